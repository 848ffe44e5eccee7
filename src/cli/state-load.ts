// neleus state load: many keys at once from a file of JSON lines, {"key": …, "value": …} each.
import type { Command } from "commander";
import type { LoadEntry } from "../client/contract.js";
import { toHex } from "../core/bytes.js";
import { InvalidArgument } from "../core/errors.js";
import { fileContent } from "./blob.js";
import { idempotencyOption, leaf, textOption, withIdempotencyKey } from "./command.js";
import { decodeText, KEY_ENCODINGS, parseKey, type KeyEncoding } from "./encoding.js";
import type { Session } from "./session.js";

/** Longest line, in bytes: the largest value in hex with a key and some room. */
const MAX_LINE_BYTES = 1024 * 1024;

export function registerStateLoad(state: Command): void {
  withIdempotencyKey(
    leaf(state, "load <head> <file>", 'put many keys at once (- for stdin): lines {"key", "value"}', loadKeys),
  )
    .option("--value-encoding <encoding>", "how values are written: utf8, hex or base64 (default utf8)")
    .option("--into-empty", "only if nothing is staged on the head");
}

async function loadKeys(
  session: Session,
  args: readonly string[],
  options: Readonly<Record<string, unknown>>,
): Promise<void> {
  const [head = "", path = ""] = args;
  const valueEncoding = textOption(options, "valueEncoding") ?? "utf8";
  if (!KEY_ENCODINGS.includes(valueEncoding as KeyEncoding)) {
    throw new InvalidArgument(`--value-encoding is one of ${KEY_ENCODINGS.join(", ")}, not "${valueEncoding}"`, {
      field: "value-encoding",
    });
  }
  const client = await session.client();
  const entries = parsedLines(session, path, valueEncoding as KeyEncoding);
  const loaded = await client.state(head).load(entries, {
    signal: session.signal,
    ...idempotencyOption(options),
    ...(options["intoEmpty"] === true ? { expectedRoot: { empty: true as const } } : {}),
  });
  const { root, keys, receipt } = loaded;
  await session.output.result(
    { head, root, keys, log_index: receipt.logIndex },
    () => `${keys} keys loaded, root ${toHex(root)}, log index ${receipt.logIndex}`,
  );
}

async function* parsedLines(
  session: Session,
  path: string,
  valueEncoding: KeyEncoding,
): AsyncGenerator<LoadEntry, void, undefined> {
  let number = 0;
  for await (const line of linesOf(fileContent(path, session))) {
    number += 1;
    if (line.trim() === "") continue;
    yield parsedLine(line, { number, keyEncoding: session.keyEncoding, valueEncoding });
  }
}

/** @throws InvalidArgument - with the number of the line */
function parsedLine(
  line: string,
  how: { readonly number: number; readonly keyEncoding: KeyEncoding; readonly valueEncoding: KeyEncoding },
): LoadEntry {
  const { number, keyEncoding, valueEncoding } = how;
  const wrong = (what: string): InvalidArgument =>
    new InvalidArgument(`line ${number}: ${what}`, { field: "file", facts: { line: String(number) } });
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    throw wrong("is not JSON");
  }
  const { key, value } = (typeof parsed === "object" ? (parsed ?? {}) : {}) as Record<string, unknown>;
  if (typeof key !== "string" || typeof value !== "string") throw wrong('must be {"key": "…", "value": "…"}');
  try {
    return { key: parseKey(key, keyEncoding), value: decodeText(value, valueEncoding, "value") };
  } catch (error) {
    throw error instanceof InvalidArgument ? wrong(error.message) : error;
  }
}

/** Lines of UTF-8 text. @throws InvalidArgument - one that is too long, or no UTF-8 */
async function* linesOf(content: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let rest: Buffer = Buffer.alloc(0);
  const decoded = (line: Uint8Array): string => {
    try {
      return decoder.decode(line);
    } catch (cause) {
      throw new InvalidArgument("the file is not UTF-8 text", { field: "file" }, { cause });
    }
  };
  for await (const piece of content) {
    let start = 0;
    for (let end = piece.indexOf(0x0a); end >= 0; end = piece.indexOf(0x0a, start)) {
      yield decoded(Buffer.concat([rest, piece.subarray(start, end)]));
      rest = Buffer.alloc(0);
      start = end + 1;
    }
    rest = Buffer.concat([rest, piece.subarray(start)]);
    if (rest.length > MAX_LINE_BYTES) {
      throw new InvalidArgument(`a line has more than ${MAX_LINE_BYTES} bytes`, { field: "file" });
    }
  }
  if (rest.length > 0) yield decoded(rest);
}
