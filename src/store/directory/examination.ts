// Looks at the files of a database's directory without opening it, and changes nothing: what the engine never reads, or
// would not survive reading.
//
// A data file whose trees of pages are broken is told before LMDB maps it: on some such files LMDB does not fail but ends
// the process. While others write, pages change under the look; then it is taken again, and given up after a few times.
import { readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { NeleusError } from "../../core/errors.js";
import { OUTBOARD_SUFFIX } from "../files/blob-file.js";
import { LEFTOVER_AGE_MS, isTemporaryName, onFile, onFileIfThere } from "../files/file-system.js";
import { plainFormat } from "../files/plain-format.js";
import { readRecord } from "../files/upload-record.js";
import { examineData } from "../lmdb/data-file.js";
import { currentStore, layoutOf, listNames } from "./layout.js";
import type { Layout } from "./layout.js";

/** What the record of an upload is called in an encrypted database. */
const SEALED_RECORD = "record";

/** Something about a file that should not be. */
export interface FileFault {
  readonly path: string;
  /**
   * `blocking`: the database cannot be opened. `damaged`: the bytes are no record. `stray`: nothing that this program puts
   * there. `unreadable`: the system refuses it. `sealed`: it was not looked at, for want of the key.
   */
  readonly kind: "blocking" | "damaged" | "stray" | "unreadable" | "sealed";
  /** One sentence. */
  readonly message: string;
}

/** Faults of the file that holds the rows; none: it can be opened. Reads every page of it that leads to others. */
export async function* examineRowsFile(path: string): AsyncGenerator<FileFault, void, undefined> {
  const layout = layoutOf(resolve(path));
  const data = join(await currentStore(layout), "data.mdb");
  const damage = examineData(data);
  if (damage !== undefined) yield { path: data, kind: "blocking", message: `${data} is damaged: ${damage}` };
}

/** Faults among the files of large blobs and uploads, content aside. */
export async function* examineFiles(path: string): AsyncGenerator<FileFault, void, undefined> {
  const layout = layoutOf(resolve(path));
  yield* guarded(layout.blobs, examineBlobs(layout));
  yield* guarded(layout.uploads, examineUploads(layout));
}

async function* guarded(path: string, faults: AsyncIterable<FileFault>): AsyncGenerator<FileFault, void, undefined> {
  try {
    yield* faults;
  } catch (error) {
    if (!(error instanceof NeleusError)) throw error;
    yield { path, kind: "unreadable", message: error.message };
  }
}

async function* examineBlobs({ blobs }: Layout): AsyncGenerator<FileFault, void, undefined> {
  for (const first of await listNames(blobs)) {
    const inFirst = join(blobs, first);
    if (!/^[0-9a-f]{2}$/.test(first) || !(await isDirectory(inFirst))) {
      if (!isTemporaryName(first)) yield stray(inFirst);
      continue;
    }
    for (const second of await listNames(inFirst)) {
      const directory = join(inFirst, second);
      if (/^[0-9a-f]{2}$/.test(second) && (await isDirectory(directory))) {
        yield* examineNames(directory, first + second);
      } else if (!isTemporaryName(second)) yield stray(directory);
    }
  }
}

async function* examineNames(directory: string, prefix: string): AsyncGenerator<FileFault, void, undefined> {
  const names = new Set(await listNames(directory));
  for (const name of names) {
    const path = join(directory, name);
    const isOutboard = name.endsWith(OUTBOARD_SUFFIX);
    const hash = isOutboard ? name.slice(0, -OUTBOARD_SUFFIX.length) : name;
    if (!/^[0-9a-f]{64}$/.test(hash) || !hash.startsWith(prefix)) {
      if (!isTemporaryName(name)) yield stray(path);
    } else if (isOutboard && !names.has(hash)) {
      const file = await onFileIfThere({ doing: "look at", path }, () => stat(path));
      // A young one may be about to be followed by its content, or be what a crash left, which cleaning up removes.
      if (file === undefined || Date.now() - file.ctimeMs < LEFTOVER_AGE_MS) continue;
      yield { path, kind: "stray", message: `${path} is the outboard of a blob that is not there` };
    }
  }
}

async function* examineUploads({ uploads }: Layout): AsyncGenerator<FileFault, void, undefined> {
  for (const name of await listNames(uploads)) {
    if (!/^[0-9a-z-]{1,64}\.wal$/.test(name)) continue;
    const path = join(uploads, name);
    try {
      if ((await listNames(path)).includes(SEALED_RECORD)) {
        yield { path, kind: "sealed", message: `the record of the upload in ${path}` };
        continue;
      }
      await readRecord(path, plainFormat);
    } catch (error) {
      if (!(error instanceof NeleusError)) throw error;
      yield { path, kind: error.code === "CORRUPT" ? "damaged" : "unreadable", message: error.message };
    }
  }
}

function stray(path: string): FileFault {
  return { path, kind: "stray", message: `${path} is nothing that belongs there` };
}

async function isDirectory(path: string): Promise<boolean> {
  return await onFile({ doing: "look at", path }, () => readdir(path).then(() => true, notADirectory));
}

function notADirectory(error: NodeJS.ErrnoException): false {
  if (error.code === "ENOTDIR" || error.code === "ENOENT") return false;
  throw error;
}
