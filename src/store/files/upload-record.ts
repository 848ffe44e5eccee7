// What is written down about an upload in progress: `wal/<id>.wal/record.json`, replaced whole at each sync.
//
//   {"version":1,"generation":1,"content":"content-1-9f…","size_bytes":4194304,"released":false,
//    "metadata":"…base64…","started_ms":…,"touched_ms":…}
//
// The record names the one content file that counts and how much of it is durable. `generation` grows by one each time
// somebody takes the upload over; `released` says that its writer let go in good order and writes no more.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Corrupt } from "../../core/errors.js";
import { onFileIfThere, replaceFile, replaceFileUnflushed } from "./file-system.js";

export interface UploadRecord {
  readonly generation: number;
  /** Name of the content file within the upload's directory. */
  readonly content: string;
  readonly sizeBytes: number;
  readonly released: boolean;
  readonly metadata: Uint8Array;
  readonly startedMs: number;
  readonly touchedMs: number;
}

function recordPath(directory: string): string {
  return join(directory, "record.json");
}

/** Durable when it resolves. */
export async function writeRecord(directory: string, record: UploadRecord): Promise<void> {
  await replaceFile(recordPath(directory), encodeRecord(record));
}

/** For a record that promises nothing yet: a crash of the machine may lose it, or leave it empty. */
export async function writeRecordUnflushed(directory: string, record: UploadRecord): Promise<void> {
  await replaceFileUnflushed(recordPath(directory), encodeRecord(record));
}

function encodeRecord(record: UploadRecord): Uint8Array {
  const json = {
    version: 1,
    generation: record.generation,
    content: record.content,
    size_bytes: record.sizeBytes,
    released: record.released,
    metadata: Buffer.from(record.metadata).toString("base64"),
    started_ms: record.startedMs,
    touched_ms: record.touchedMs,
  };
  return Buffer.from(JSON.stringify(json) + "\n");
}

/** The record in an upload's directory, or undefined where there is none or an empty one. @throws Corrupt - it is not a record */
export async function readRecord(directory: string): Promise<UploadRecord | undefined> {
  const path = recordPath(directory);
  const text = await onFileIfThere({ doing: "read", path }, () => readFile(path, "utf8"));
  if (text === undefined || text === "") return undefined;
  const record = parseRecord(text);
  if (record !== undefined) return record;
  throw new Corrupt(`${path} is not the record of an upload`, {
    hint: `remove ${directory}; the upload begins anew`,
    facts: { path },
  });
}

function parseRecord(text: string): UploadRecord | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof json !== "object" || json === null) return undefined;
  const fields = json as Record<string, unknown>;
  const { version, generation, content, size_bytes, released, metadata, started_ms, touched_ms } = fields;
  if (version !== 1 || !isCount(generation) || !isCount(size_bytes) || !isCount(started_ms)) return undefined;
  if (!isCount(touched_ms) || typeof released !== "boolean" || typeof metadata !== "string") return undefined;
  // The name is joined to a path: nothing but names that this program gives.
  if (typeof content !== "string" || !/^content-[0-9]+-[0-9a-f]{16}$/.test(content)) return undefined;
  return {
    generation,
    content,
    sizeBytes: size_bytes,
    released,
    metadata: new Uint8Array(Buffer.from(metadata, "base64")),
    startedMs: started_ms,
    touchedMs: touched_ms,
  };
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
