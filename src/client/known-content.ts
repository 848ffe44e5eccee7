// Hash and size of content before it is sent, where that pays: where it is large, and can be read a second time.
import { BlobHasher } from "../core/blob/index.js";
import { ClientCall } from "./client-call.js";
import { contentPieces, SourceFailed } from "./content.js";
import type { BlobReference, ContentSource } from "./records.js";
import type { CallOptions } from "./transport.js";

/** Smaller content is sent at once: asking first costs a round trip, and hashing it apart a second reading. */
export const ASK_FIRST_BYTES = 1024 * 1024;

/** Bytes hashed, some five milliseconds of work, before others of this thread have their turn. */
const STEP_BYTES = 8 * 1024 * 1024;

/**
 * Reads and hashes content that is at least ASK_FIRST_BYTES long and can be read again; undefined for any other, of which
 * nothing has been read.
 * @throws NeleusError - CANCELLED or DEADLINE_EXCEEDED: the call's signal fired, or its time passed
 */
export async function knownContent(content: ContentSource, options: CallOptions): Promise<BlobReference | undefined> {
  if (repeatableBytes(content) < ASK_FIRST_BYTES) return undefined;
  const call = new ClientCall(options);
  try {
    const hasher = new BlobHasher();
    let sinceTurn = 0;
    for await (const piece of contentPieces(content)) {
      for (let start = 0; start < piece.length; start += STEP_BYTES) {
        const part = piece.subarray(start, start + STEP_BYTES);
        hasher.update(part);
        hasher.drainOutboard();
        sinceTurn += part.length;
        if (sinceTurn < STEP_BYTES) continue;
        sinceTurn = 0;
        await new Promise((resolve) => setImmediate(resolve));
        call.throwIfEnded();
      }
    }
    const { hash, sizeBytes } = hasher.finish();
    return { hash, sizeBytes };
  } catch (error) {
    throw error instanceof SourceFailed ? error.cause : error;
  } finally {
    call.release();
  }
}

/** The size that content says it has, where it can be read again; else 0. For text at least its size. */
function repeatableBytes(content: ContentSource): number {
  if (typeof content === "string" || content instanceof Uint8Array) return content.length;
  // What is no content at all is told where it is read.
  const given: unknown = content;
  if (typeof given !== "object" || given === null || !("stream" in given) || !("size" in given)) return 0;
  return typeof given.size === "number" ? given.size : 0;
}
