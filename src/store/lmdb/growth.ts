// Room for LMDB's data file, taken before LMDB needs it.
//
// LMDB learns that a disk is full when it writes the pages of a transaction. The binding then prints a message into a buffer
// that is too short for it (lmdb 3.5.6, `mdb_page_flush`), and the process may end, its heap damaged. So the
// file is made longer here first, with zeros and not with a hole: what fails then is a call of ours, with an error of ours,
// and LMDB finds all its pages there. Only whoever holds the write lock may do this: pages behind the end that LMDB knows are
// the next transaction's.
//
// Cost: each page of growth is written twice, mostly in the page cache; nothing while the file has free pages at its end.
import { closeSync, fstatSync, openSync, writeSync } from "node:fs";
import { Unavailable } from "../../core/errors.js";
import { fileError } from "../files/file-system.js";
import type { WriteBatch } from "../contract.js";

/** The file grows by so much at least, and is written in pieces of that size. */
const STEP_BYTES = 256 * 1024;
/** Pages that a transaction takes beside those of its rows: branches, the list of free pages, the tree of trees. */
const MORE_PAGES = 64;
/** What a row takes in its page besides key and value, where it is sealed. */
const ROW_BYTES = 100;

/** How far a file is in use. */
export interface FileUse {
  readonly lastPageNumber: number;
  readonly pageSize: number;
}

export class DataFileGrowth {
  readonly #path: string;
  readonly #file: number;
  #sizeBytes: number;

  /** Opens the file, which is there. */
  constructor(path: string) {
    this.#path = path;
    this.#file = openSync(path, "r+");
    this.#sizeBytes = fstatSync(this.#file).size;
  }

  /**
   * Sees to it that the pages which these batches may need are on the disk. Under the write lock.
   * @throws Unavailable - the disk is full, or the file may not grow; nothing else has changed
   */
  reserve(batches: readonly WriteBatch[], { lastPageNumber, pageSize }: FileUse): void {
    const usedBytes = (lastPageNumber + 1) * pageSize;
    const wantedBytes = usedBytes + pagesOf(batches, { lastPageNumber, pageSize }) * pageSize;
    if (this.#sizeBytes >= wantedBytes) return;
    try {
      // Another process may have made it longer.
      this.#sizeBytes = fstatSync(this.#file).size;
      if (this.#sizeBytes < wantedBytes) this.#extend(Math.max(wantedBytes, this.#sizeBytes + STEP_BYTES));
    } catch (error) {
      // There was no room for the whole step.
      if (this.#sizeBytes >= wantedBytes) return;
      const typed = fileError(error, { doing: "extend", path: this.#path });
      throw typed instanceof Error ? typed : new Unavailable(String(typed));
    }
  }

  close(): void {
    closeSync(this.#file);
  }

  #extend(sizeBytes: number): void {
    const zeros = new Uint8Array(STEP_BYTES);
    while (this.#sizeBytes < sizeBytes) {
      const length = Math.min(zeros.length, sizeBytes - this.#sizeBytes);
      this.#sizeBytes += writeSync(this.#file, zeros, 0, length, this.#sizeBytes);
    }
  }
}

/** An upper bound of the pages that a transaction takes from the end of the file: it may find free ones elsewhere. */
function pagesOf(batches: readonly WriteBatch[], { lastPageNumber, pageSize }: FileUse): number {
  let rows = 0;
  let pages = MORE_PAGES;
  let bytes = 0;
  for (const { puts = [], deletes = [] } of batches) {
    rows += puts.length + deletes.length;
    for (const { key, value } of puts) {
      // What is larger than half a page lies in pages of its own.
      if (value.length > pageSize / 2) pages += Math.ceil((value.length + pageSize) / pageSize);
      else bytes += key.length + value.length + ROW_BYTES;
    }
  }
  // A page for each row that there can be a page for, as a copy; and new ones, at worst half full.
  return pages + Math.min(rows, lastPageNumber + 1) + Math.ceil((2 * bytes) / pageSize);
}
