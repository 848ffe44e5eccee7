// The files of an upload, `wal/<id>.wal/` (FORMATS §8), and how a writer comes to have them for itself.
//
// The engine hashes what it appends, and publishes under that hash what lies in the file. So nobody else may ever write
// to that file: each writer has one of its own. A writer that finds the last one gone without a word (a crash, or a
// process that has merely stopped for a while) copies the durable part and leaves the old file alone; only a file
// whose writer let go of it is taken over as it is, and the exclusive creation of a claim decides who takes it. A sealed one
// is copied then, too (sealed-file.ts), and removed.
// Files of earlier writers go when the upload ends, with its directory.
import { randomBytes } from "node:crypto";
import { constants, open, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { FileFormat, FileWriter } from "./file-format.js";
import { FILE_MODE, onFile, onFileIfThere, systemCode, type OpenFile } from "./file-system.js";
import { readRecord, writeRecord, writeRecordUnflushed } from "./upload-record.js";
import type { UploadRecord } from "./upload-record.js";

const READ_WRITE_CREATE = constants.O_RDWR | constants.O_CREAT;

/** Where an upload lies, and how. */
export interface UploadPlace {
  readonly uploadId: string;
  readonly directory: string;
  readonly format: FileFormat;
}

/** One open file of an upload. */
export interface UploadPart extends OpenFile {
  readonly writer: FileWriter;
}

/** An upload as its writer has it: nobody else writes to these files. */
export interface UploadParts {
  readonly record: UploadRecord;
  readonly content: UploadPart;
  /** Empty. */
  readonly outboard: UploadPart;
}

/** What is recorded with a new upload. */
export interface BeginUpload {
  readonly metadata: Uint8Array;
  readonly owner: string | undefined;
}

/**
 * Begins an upload in an existing directory, or takes it over from its durable end.
 * @throws Corrupt - the record is damaged, or the content shorter than was durable
 */
export async function takeUpload(place: UploadPlace, { metadata, owner }: BeginUpload): Promise<UploadParts> {
  const { uploadId, directory, format } = place;
  const found = await readRecord(directory, format);
  const now = Date.now();
  if (found === undefined) {
    const fresh: UploadRecord = {
      generation: 1,
      content: contentName(1),
      sizeBytes: 0,
      released: false,
      metadata,
      startedMs: now,
      touchedMs: now,
      uploadId,
      tail: undefined,
      owner,
    };
    const begin = (file: OpenFile): Promise<FileWriter> => format.begin(file, "content");
    return openParts(place, fresh, { writer: begin, write: writeRecordUnflushed });
  }
  const next = { ...found, generation: found.generation + 1, released: false, touchedMs: now };
  const from = join(directory, found.content);
  // The upload begins anew where nothing of it was durable: then its file need not even have the beginning that it was given. And where
  // the file is gone: it became a blob, and whoever wrote it died before the record went.
  const isLost = found.sizeBytes === 0 || !(await isThere(from));
  const isReleased = !isLost && found.released && (await claim(directory, found.generation));
  const { resume } = format;
  if (isReleased && resume !== undefined) {
    return openParts(place, next, { writer: (file) => resume(file, found), write: writeRecord });
  }
  const content = contentName(next.generation);
  const sizeBytes = isLost ? 0 : found.sizeBytes;
  const copy = (file: OpenFile): Promise<FileWriter> =>
    isLost ? format.begin(file, "content") : format.copy(from, file, found);
  const parts = await openParts(place, { ...next, content, sizeBytes }, { writer: copy, write: writeRecord });
  // Nobody writes to it, and nobody else is to go on with it: an upload that is often let go of is not kept as often. What a failure
  // leaves of it goes with the upload.
  if (isReleased) await Promise.allSettled([rm(from), rm(join(directory, outboardName(found.content)))]);
  return parts;
}

export async function closeParts(parts: Pick<UploadParts, "content" | "outboard">): Promise<void> {
  await parts.content.handle.close();
  await parts.outboard.handle.close();
}

function contentName(generation: number): string {
  return `content-${generation}-${randomBytes(8).toString("hex")}`;
}

function outboardName(content: string): string {
  return content.replace(/^content-/, "outboard-");
}

async function isThere(path: string): Promise<boolean> {
  return (await onFileIfThere({ doing: "look at", path }, () => stat(path))) !== undefined;
}

/** True for the one caller that may take over the file that the writer of this generation released. */
async function claim(directory: string, generation: number): Promise<boolean> {
  const path = join(directory, `claim-${generation}`);
  try {
    await (await open(path, "wx", FILE_MODE)).close();
    return true;
  } catch (error) {
    // Somebody has it, or crashed after creating the claim: then a copy is made, which is always right.
    if (systemCode(error) === "EEXIST") return false;
    return onFile({ doing: "create", path }, () => Promise.reject(error as Error));
  }
}

type WriteRecord = (directory: string, record: UploadRecord, format: FileFormat) => Promise<void>;

async function openParts(
  { directory, format }: UploadPlace,
  record: UploadRecord,
  by: { readonly writer: (file: OpenFile) => Promise<FileWriter>; readonly write: WriteRecord },
): Promise<UploadParts> {
  const content = await openFile(join(directory, record.content));
  try {
    const outboard = await openFile(join(directory, outboardName(record.content)));
    try {
      const writer = await by.writer(content);
      // What the last writer left of one is of no use: whoever goes on hashes the content again.
      const outboardWriter = await format.begin(outboard, "outboard");
      // A copy may be sealed anew, and then ends elsewhere in its file.
      const tail = record.sizeBytes === 0 ? undefined : await writer.sync();
      const taken = { ...record, tail };
      await by.write(directory, taken, format);
      return {
        record: taken,
        content: { ...content, writer },
        outboard: { ...outboard, writer: outboardWriter },
      };
    } catch (error) {
      await outboard.handle.close();
      throw error;
    }
  } catch (error) {
    await content.handle.close();
    throw error;
  }
}

async function openFile(path: string): Promise<OpenFile> {
  return { path, handle: await onFile({ doing: "open", path }, () => open(path, READ_WRITE_CREATE, FILE_MODE)) };
}
