// What is written down about an upload in progress: `wal/<id>.wal/record.json`, replaced whole at each sync.
//
//   {"version":1,"generation":1,"content":"content-1-9f…","size_bytes":4194304,"released":false,
//    "metadata":"…base64…","started_ms":…,"touched_ms":…,"upload_id":"…"}
//
// In an encrypted store it is `record`, sealed, with the `tail` of the content that no segment holds yet.
//
// The record names the one content file that counts and how much of it is durable. `generation` grows by one each time
// somebody takes the upload over; `released` says that its writer let go in good order and writes no more.
import { readFile, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { Corrupt, Malformed } from "../../core/errors.js";
import type { FileFormat } from "./file-format.js";
import { onFileIfThere, replaceFile, replaceFileUnflushed } from "./file-system.js";

/** Metadata and a tail of a segment in base 64, with room to spare. */
const MAX_RECORD_BYTES = 256 * 1024;
/** Read in the place of what is: it is no record either. */
const TOO_LARGE = Buffer.from("{");

/** What the name of an upload's folder ends with. */
export const UPLOAD_SUFFIX = ".wal";

export interface UploadRecord {
  readonly generation: number;
  /** Name of the content file within the upload's directory. */
  readonly content: string;
  readonly sizeBytes: number;
  readonly released: boolean;
  readonly metadata: Uint8Array;
  readonly startedMs: number;
  readonly touchedMs: number;
  /** Which upload it is, where the name of its folder does not tell. */
  readonly uploadId: string;
  /** The end of the durable content, where that is not in the file. */
  readonly tail: Uint8Array | undefined;
  /** The process that it goes with (store/directory/presence.ts); absent: it stays to be gone on with. */
  readonly owner?: string | undefined;
}

/** Durable when it resolves. */
export async function writeRecord(directory: string, record: UploadRecord, format: FileFormat): Promise<void> {
  await replaceFile(join(directory, format.recordName), encodeRecord(directory, record, format));
}

/** For a record that promises nothing yet: a crash of the machine may lose it, or leave it empty. */
export async function writeRecordUnflushed(directory: string, record: UploadRecord, format: FileFormat): Promise<void> {
  await replaceFileUnflushed(join(directory, format.recordName), encodeRecord(directory, record, format));
}

function encodeRecord(directory: string, record: UploadRecord, format: FileFormat): Uint8Array {
  const json = {
    version: 1,
    generation: record.generation,
    content: record.content,
    size_bytes: record.sizeBytes,
    released: record.released,
    metadata: toBase64(record.metadata),
    started_ms: record.startedMs,
    touched_ms: record.touchedMs,
    upload_id: record.uploadId,
    ...(record.tail === undefined ? {} : { tail: toBase64(record.tail) }),
    owner: record.owner,
  };
  return format.encodeRecord(basename(directory), Buffer.from(JSON.stringify(json) + "\n"));
}

/** The record in an upload's directory, or undefined where there is none or an empty one. @throws Corrupt - it is not a record */
export async function readRecord(directory: string, format: FileFormat): Promise<UploadRecord | undefined> {
  const path = join(directory, format.recordName);
  const stored = await onFileIfThere({ doing: "read", path }, async () => {
    // Nobody's record is larger, whatever the file is.
    return (await stat(path)).size <= MAX_RECORD_BYTES ? readFile(path) : TOO_LARGE;
  });
  if (stored === undefined || stored.length === 0) return undefined;
  const record = decodeRecord(directory, stored, format);
  if (record !== undefined) return record;
  throw new Corrupt(`${path} is not the record of an upload`, {
    hint: `remove ${directory}; the upload begins anew`,
    facts: { path },
  });
}

function decodeRecord(directory: string, stored: Uint8Array, format: FileFormat): UploadRecord | undefined {
  try {
    const folder = basename(directory);
    const text = new TextDecoder().decode(format.decodeRecord(folder, stored));
    // Records of before had no id: the name of their folder is it.
    return parseRecord(text, folder.slice(0, -UPLOAD_SUFFIX.length));
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}

function parseRecord(text: string, folderId: string): UploadRecord | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof json !== "object" || json === null) return undefined;
  const fields = json as Record<string, unknown>;
  const { version, generation, content, size_bytes, released, metadata, started_ms, touched_ms } = fields;
  const { upload_id = folderId, tail, owner } = fields;
  if (version !== 1 || !isCount(generation) || !isCount(size_bytes) || !isCount(started_ms)) return undefined;
  if (!isCount(touched_ms) || typeof released !== "boolean" || typeof metadata !== "string") return undefined;
  if (typeof upload_id !== "string" || (tail !== undefined && typeof tail !== "string")) return undefined;
  if (owner !== undefined && typeof owner !== "string") return undefined;
  // The name is joined to a path: nothing but names that this program gives.
  if (typeof content !== "string" || !/^content-[0-9]+-[0-9a-f]{16}$/.test(content)) return undefined;
  return {
    generation,
    content,
    sizeBytes: size_bytes,
    released,
    metadata: fromBase64(metadata),
    startedMs: started_ms,
    touchedMs: touched_ms,
    uploadId: upload_id,
    tail: tail === undefined ? undefined : fromBase64(tail),
    owner,
  };
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

function fromBase64(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "base64"));
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
