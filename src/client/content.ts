// Content on its way in, whatever form the caller has it in, as a stream of byte arrays.
import { InvalidArgument } from "../core/errors.js";
import { MAX_INLINE_VALUE_BYTES } from "../core/limits.js";
import { textOrBytes } from "./argument.js";
import type { ContentSource } from "./records.js";

/** Thrown through a transport when the caller's own source fails, and unwrapped again: the caller gets its own error. */
export class SourceFailed extends Error {
  constructor(cause: unknown) {
    super("the source of the content failed", { cause });
  }
}

/** The content at once, where the caller has it at once and it may travel inline; else undefined. */
export function inlineContent(content: ContentSource): Uint8Array | undefined {
  if (typeof content !== "string" && !(content instanceof Uint8Array)) return undefined;
  const bytes = textOrBytes(content, "content");
  return bytes.length <= MAX_INLINE_VALUE_BYTES ? bytes : undefined;
}

/** True for content that can be read from its start once more: what has a `stream()` and says its size, as files do. */
export function canReadAgain(content: ContentSource): boolean {
  if (typeof content === "string" || content instanceof Uint8Array) return true;
  const given: unknown = content;
  return typeof given === "object" && given !== null && "stream" in given && "size" in given;
}

/** The content in pieces of any size. @throws SourceFailed @throws InvalidArgument - a piece is no byte array */
export async function* contentPieces(content: ContentSource): AsyncGenerator<Uint8Array, void, undefined> {
  if (typeof content === "string" || content instanceof Uint8Array) {
    yield typeof content === "string" ? textOrBytes(content, "content") : content;
    return;
  }
  const iterator = iteratorOf(content);
  let finished = false;
  try {
    for (;;) {
      const next = await nextOf(iterator);
      if (next.done === true) break;
      const piece: unknown = next.value;
      if (!(piece instanceof Uint8Array)) {
        throw new InvalidArgument("content: each piece must be bytes (a Uint8Array)", { field: "content" });
      }
      yield piece;
    }
    finished = true;
  } finally {
    // Whoever stops early lets the source close its file.
    if (!finished) await iterator.return?.();
  }
}

function iteratorOf(
  content: Exclude<ContentSource, string | Uint8Array>,
): AsyncIterator<Uint8Array> | Iterator<Uint8Array> {
  const given: unknown = content;
  if (typeof given === "object" && given !== null) {
    const source = "stream" in content ? content.stream() : content;
    if (Symbol.asyncIterator in source) return source[Symbol.asyncIterator]();
    if (Symbol.iterator in source) return source[Symbol.iterator]();
  }
  throw new InvalidArgument("content: expected bytes, text, or something that yields bytes", { field: "content" });
}

async function nextOf(iterator: AsyncIterator<Uint8Array> | Iterator<Uint8Array>): Promise<IteratorResult<Uint8Array>> {
  try {
    return await iterator.next();
  } catch (cause) {
    throw new SourceFailed(cause);
  }
}
