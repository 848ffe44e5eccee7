// neleus blob: content by its hash, in and out.
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { Option, type Command } from "commander";
import { toHex } from "../core/bytes.js";
import { InvalidArgument } from "../core/errors.js";
import type { BlobPiece, PutBlobOptions } from "../client/contract.js";
import type { RepeatableContent } from "../client/records.js";
import { collect, group, leaf, listOption, textOption } from "./command.js";
import { fileError, parseHash, parseRange, standardInput } from "./encoding.js";
import { writeOutput } from "./output-file.js";
import type { Session } from "./session.js";

export function registerBlob(program: Command): void {
  const blob = group(program, "blob", "content by its hash");
  leaf(blob, "put <file>", "store a file (- for stdin) and print its hash", putBlob)
    .option("--upload-id <id>", "make the upload resumable: the same id and file again send only what is missing")
    .addOption(
      new Option(
        "--when-held <action>",
        "where the server says that it holds the file: skip it, read a sample back first, or send it all the same, " +
          "which mends a damaged copy",
      )
        .choices(["skip", "sample", "send"])
        .default("skip"),
    );
  leaf(
    blob,
    "get <hash> <out_file>",
    "write a blob, or ranges of it, to a file (- for stdout), each part checked",
    getBlob,
  ).option(
    "--range <A:B>",
    "only the bytes A to B − 1 (repeatable: in ascending order, one behind another)",
    collect,
    [],
  );
  leaf(blob, "stat <hash>", "the size of a blob, proved by its last bytes", statBlob);
}

/** A file or stdin in pieces. A file that cannot be read fails as a typed error. */
export async function* fileContent(path: string, session: Session): AsyncGenerator<Uint8Array> {
  if (path === "-") {
    yield* standardInput(session.signal);
    return;
  }
  let sizeBytes = 0;
  try {
    const found = await stat(path);
    if (found.isDirectory()) throw new InvalidArgument(`${path} is a directory, not a file`, { field: "file" });
    sizeBytes = found.size;
    let read = 0;
    for await (const part of createReadStream(path, { highWaterMark: 256 * 1024 }) as AsyncIterable<Uint8Array>) {
      yield part;
      read += part.length;
      session.output.progress(`${path}: ${percent(read, sizeBytes)}`);
    }
  } catch (cause) {
    throw fileError(cause, { path, field: "file" });
  } finally {
    session.output.progressDone();
  }
}

/** The same, in a form that can be read again where the file is one that can. */
export async function repeatableContent(path: string, session: Session): Promise<RepeatableContent> {
  const stream = (): AsyncGenerator<Uint8Array> => fileContent(path, session);
  // What cannot be looked at fails when it is read.
  const found = path === "-" ? undefined : await stat(path).catch(() => undefined);
  return found?.isFile() === true ? { stream, size: found.size } : { stream };
}

function percent(done: number, total: number): string {
  return total === 0 ? "100 %" : `${Math.floor((done / total) * 100)} %`;
}

async function putBlob(
  session: Session,
  args: readonly string[],
  options: Readonly<Record<string, unknown>>,
): Promise<void> {
  const [path = ""] = args;
  const uploadId = textOption(options, "uploadId");
  const whenHeld = textOption(options, "whenHeld") as PutBlobOptions["whenHeld"];
  const content = await repeatableContent(path, session);
  const client = await session.client();
  const stored = await client.putBlob(content, { signal: session.signal, uploadId, whenHeld });
  const result = { hash: stored.hash, size: stored.sizeBytes, ...(stored.wasHeld ? { already_held: true } : {}) };
  await session.output.result(result, () => toHex(stored.hash));
}

async function getBlob(
  session: Session,
  args: readonly string[],
  options: Readonly<Record<string, unknown>>,
): Promise<void> {
  const [hashText = "", path = ""] = args;
  if (path === "-" && session.output.json) {
    throw new InvalidArgument("--json cannot share stdout with the blob; give a file", { field: "out_file" });
  }
  const hash = parseHash(hashText);
  const rangeTexts = listOption(options, "range");
  const ranges = rangeTexts.map(parseRange);
  const blob = (await session.client()).blob(hash);
  const { signal } = session;
  const parts = ranges.length > 1 ? onlyBytes(blob.ranges(ranges, { signal })) : blob.stream({ ...ranges[0], signal });
  const content = namingRange(parts, rangeTexts);
  const written = await writeOutput(path, content, session.output);
  if (path !== "-") await session.output.result({ hash, size: written }, () => `${written} bytes written to ${path}`);
}

async function* onlyBytes(pieces: AsyncIterable<BlobPiece>): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const { bytes } of pieces) yield bytes;
}

/** The parts of a stream; an error about either end of a range names the option that was typed. */
async function* namingRange(
  content: AsyncIterable<Uint8Array>,
  rangeTexts: readonly string[],
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* content;
  } catch (cause) {
    if (!(cause instanceof InvalidArgument)) throw cause;
    const [, index = "0"] = /^(?:ranges\[([0-9]+)\]\.)?(?:start|end)$/.exec(cause.field ?? "") ?? [undefined, ""];
    const rangeText = rangeTexts[index === "" ? -1 : Number(index)];
    if (rangeText === undefined) throw cause;
    const { hint, facts } = cause;
    const details = { field: "range", ...(hint === undefined ? {} : { hint }), facts };
    const text = cause.message.replace(/^(start|end|ranges\[[0-9]+\](\.(start|end))?): /, "");
    throw new InvalidArgument(`--range "${rangeText}": ${text}`, details, { cause });
  }
}

async function statBlob(session: Session, args: readonly string[]): Promise<void> {
  const hash = parseHash(args[0] ?? "");
  const found = await (await session.client()).blob(hash).stat({ signal: session.signal });
  await session.output.result(
    { hash: found.hash, size: found.sizeBytes },
    () => `${toHex(found.hash)}  ${found.sizeBytes} bytes`,
  );
}
