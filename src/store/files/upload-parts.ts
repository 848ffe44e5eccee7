// The files of an upload, `wal/<id>.wal/` (FORMATS §8), and how a writer comes to have them for itself.
//
// The engine hashes what it appends, and publishes under that hash what lies in the file. So nobody else may ever write
// to that file: each writer has one of its own. A writer that finds the last one gone without a word (a crash, or a
// process that has merely stopped for a while) copies the durable part and leaves the old file alone; only a file
// whose writer let go of it is taken over as it is, and the exclusive creation of a claim decides who takes it.
// Files of earlier writers go when the upload ends, with its directory.
import { randomBytes } from "node:crypto";
import { constants, copyFile, open, stat } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { Corrupt } from "../../core/errors.js";
import { FILE_MODE, onFile, onFileIfThere, systemCode } from "./file-system.js";
import { readRecord, writeRecord, writeRecordUnflushed } from "./upload-record.js";
import type { UploadRecord } from "./upload-record.js";

const READ_WRITE_CREATE = constants.O_RDWR | constants.O_CREAT;

/** One open file of an upload. */
export interface UploadPart {
  readonly path: string;
  readonly handle: FileHandle;
}

/** An upload as its writer has it: nobody else writes to these files. */
export interface UploadParts {
  readonly record: UploadRecord;
  readonly content: UploadPart;
  /** Empty. */
  readonly outboard: UploadPart;
}

/**
 * Begins an upload in an existing directory, or takes it over from its durable end.
 * @throws Corrupt - the record is damaged, or the content shorter than was durable
 */
export async function takeUpload(directory: string, metadata: Uint8Array): Promise<UploadParts> {
  const found = await readRecord(directory);
  const now = Date.now();
  if (found === undefined) {
    const content = contentName(1);
    const fresh = { generation: 1, content, sizeBytes: 0, released: false, metadata, startedMs: now, touchedMs: now };
    return openParts(directory, fresh, writeRecordUnflushed);
  }
  const next = { ...found, generation: found.generation + 1, released: false, touchedMs: now };
  if (found.released && (await claim(directory, found.generation)) && (await isThere(join(directory, found.content)))) {
    return openParts(directory, next, writeRecord);
  }
  const content = contentName(next.generation);
  const hasCopy = await copyDurablePart(join(directory, found.content), join(directory, content), found.sizeBytes);
  return openParts(directory, { ...next, content, sizeBytes: hasCopy ? found.sizeBytes : 0 }, writeRecord);
}

export async function closeParts(parts: Pick<UploadParts, "content" | "outboard">): Promise<void> {
  await parts.content.handle.close();
  await parts.outboard.handle.close();
}

function contentName(generation: number): string {
  return `content-${generation}-${randomBytes(8).toString("hex")}`;
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

/**
 * A flushed copy of the first bytes of a file; shares its blocks where the file system can. False where there is no such file:
 * it became a blob, and whoever wrote it died before the record went. Then the upload begins anew.
 */
async function copyDurablePart(from: string, to: string, sizeBytes: number): Promise<boolean> {
  const copied = await onFileIfThere({ doing: "copy", path: from }, async () => {
    await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    const handle = await open(to, "r+");
    try {
      if ((await handle.stat()).size > sizeBytes) await handle.truncate(sizeBytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    return true;
  });
  return copied ?? false;
}

type WriteRecord = (directory: string, record: UploadRecord) => Promise<void>;

async function openParts(directory: string, record: UploadRecord, write: WriteRecord): Promise<UploadParts> {
  const content = await openPart(join(directory, record.content));
  try {
    const outboard = await openPart(join(directory, record.content.replace(/^content-/, "outboard-")));
    try {
      await checkContent(content, record.sizeBytes);
      const { handle, path } = outboard;
      // What the last writer left of one is of no use: whoever goes on hashes the content again.
      await onFile({ doing: "cut", path }, () => handle.truncate(0));
      await write(directory, record);
      return { record, content, outboard };
    } catch (error) {
      await outboard.handle.close();
      throw error;
    }
  } catch (error) {
    await content.handle.close();
    throw error;
  }
}

async function openPart(path: string): Promise<UploadPart> {
  return { path, handle: await onFile({ doing: "open", path }, () => open(path, READ_WRITE_CREATE, FILE_MODE)) };
}

async function checkContent({ path, handle }: UploadPart, sizeBytes: number): Promise<void> {
  const actual = (await onFile({ doing: "measure", path }, () => handle.stat())).size;
  if (actual >= sizeBytes) return;
  throw new Corrupt(`${path} holds ${actual} bytes, and ${sizeBytes} were durable`, {
    hint: "discard the upload and begin it anew",
    facts: { path },
  });
}
