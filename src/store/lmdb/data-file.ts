// Looks at LMDB's data file that LMDB itself does not survive: it takes an empty file for a new database, crashes on one
// that is not its own, and a page beyond the end of a file that was cut short ends the process with SIGBUS.
//
// The file begins with two meta pages. Each: a page header of 24 bytes, the magic number 0xBEEFC0DE and the version 2
// as 32-bit words, … in the byte order of the machine, which is little-endian wherever the binding is prebuilt.
import { closeSync, openSync, readSync, statSync, truncateSync } from "node:fs";
import { Corrupt } from "../../core/errors.js";
import { fileError } from "../files/file-system.js";

const META_OFFSET = 24;
const MAGIC = 0xbeefc0de;
const VERSION = 2;
const HINT = "restore the database from a backup";

/** @throws Corrupt - not LMDB's data file, or none at all */
export function checkHeader(path: string): void {
  const head = new Uint8Array(META_OFFSET + 8);
  let bytesRead: number;
  try {
    const file = openSync(path, "r");
    bytesRead = readSync(file, head, 0, head.length, 0);
    closeSync(file);
  } catch (error) {
    throw fileError(error, { doing: "read", path });
  }
  const view = new DataView(head.buffer);
  const isData =
    bytesRead === head.length &&
    view.getUint32(META_OFFSET, true) === MAGIC &&
    view.getUint16(META_OFFSET + 4, true) === VERSION;
  if (!isData) throw new Corrupt(`${path} is not a data file of LMDB`, { hint: HINT, facts: { path } });
}

/** How long a data file is, and how long its newest meta page says that it may have to be. */
export interface DataFileLength {
  readonly path: string;
  readonly actualBytes: number;
  readonly expectedBytes: number;
}

export function measureDataFile(path: string, pages: { lastPageNumber: number; pageSize: number }): DataFileLength {
  const expectedBytes = (pages.lastPageNumber + 1) * pages.pageSize;
  return { path, actualBytes: statSync(path).size, expectedBytes };
}

/**
 * Extends a file with zeros, so that no page lies beyond its end. The last pages may rightly be missing, if a
 * transaction took them and freed them again, so that alone is no damage. The caller holds the write lock.
 */
export function extendDataFile(length: DataFileLength): void {
  if (length.actualBytes < length.expectedBytes) truncateSync(length.path, length.expectedBytes);
}

export function cutShort({ path, actualBytes, expectedBytes }: DataFileLength, cause: unknown): Corrupt {
  return new Corrupt(
    `${path} is cut short: ${actualBytes} bytes of ${expectedBytes}`,
    { hint: HINT, facts: { path, expected: String(expectedBytes), actual: String(actualBytes) } },
    { cause },
  );
}
