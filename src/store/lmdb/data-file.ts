// Looks at LMDB's data file that LMDB itself does not survive: it takes an empty file for a new database, crashes on one
// that is not its own, and a page beyond the end of a file that was cut short ends the process with SIGBUS.
//
// The format, version 2 of LMDB's, in the byte order of the machine (little-endian wherever the binding is prebuilt):
//
//   page    number u64, transaction u64, pad u16, flags u16, then lower u16, upper u16 (or, overflow, pages u32); 24 bytes
//   meta    pages 0 and 1: magic 0xBEEFC0DE u32, version u32, address u64, map size u64, free tree, main tree,
//           last page u64, transaction u64; the one of the higher transaction counts
//   tree    page size or 0 u32, flags u16, depth u16, branch pages, leaf pages, overflow pages, entries, root u64; 48 bytes
//   node    of a branch or leaf page, at 24 + one of (lower / 2) u16 offsets: low u16, high u16, flags u16, key size u16,
//           key, data. In a branch low, high and flags are the child's page number, in a leaf low and high the size of
//           the data. Flags of a leaf's node: 1, the data is in overflow pages (page u64, transaction u64, pages u64);
//           2, the data is a tree.
import { closeSync, openSync, readSync } from "node:fs";
import { Corrupt } from "../../core/errors.js";
import { fileError } from "../files/file-system.js";
import { Damage, PageWalk, readTreeRecord, readU64 } from "./page-walk.js";

const HEADER_BYTES = 24;
const MAGIC = 0xbeefc0de;
const VERSION = 2;
const META_BYTES = HEADER_BYTES + 136;
const FREE_TREE = HEADER_BYTES + 24;
const MAIN_TREE = FREE_TREE + 48;
const LAST_PAGE = MAIN_TREE + 48;
const TRANSACTION = MAIN_TREE + 56;

/** @throws Corrupt - not LMDB's data file, or an empty one */
export function checkHeader(path: string): void {
  withFile(path, (file) => {
    if (!isMeta(readBytes(file, { offset: 0, length: META_BYTES }))) throw notData(path);
  });
}

/** What a look at all pages found. */
export interface PagesSeen {
  /** The first page that is not there, or not what its tree needs, in words; undefined where all are. */
  readonly damage: string | undefined;
  /** Pages of trees that were looked at. */
  readonly pages: number;
}

/**
 * Follows every tree of a data file. The caller sees to it that no page changes: by the write lock, or by a read transaction
 * that is not older than the newest meta page.
 */
export function lookAtPages(path: string): PagesSeen {
  return withFile(path, (file) => {
    const first = readBytes(file, { offset: 0, length: META_BYTES });
    if (!isMeta(first)) throw notData(path);
    const pageSize = first.getUint32(FREE_TREE, true);
    if (pageSize < 512 || pageSize > 65_536) throw notData(path);
    const second = readBytes(file, { offset: pageSize, length: META_BYTES });
    if (!isMeta(second)) return { damage: "page 1 is not a meta page", pages: 0 };
    const transactions = [readU64(first, TRANSACTION), readU64(second, TRANSACTION)] as const;
    // Transactions take turns at the two pages.
    const isTurn = transactions[0] % 2 === 0 && (transactions[1] % 2 === 1 || transactions[1] === 0);
    if (!isTurn) return { damage: "the meta pages are of no two transactions that followed each other", pages: 0 };
    const newest = transactions[0] > transactions[1] ? first : second;
    const shape = { file, pageSize, lastPage: readU64(newest, LAST_PAGE), transaction: Math.max(...transactions) };
    const walk = new PageWalk(shape);
    try {
      walk.walk({ free: readTreeRecord(newest, FREE_TREE), main: readTreeRecord(newest, MAIN_TREE) });
      return { damage: undefined, pages: walk.count };
    } catch (error) {
      if (error instanceof Damage) return { damage: error.message, pages: walk.count };
      throw error;
    }
  });
}

/** The same, for who only asks whether. */
export function findDamage(path: string): string | undefined {
  return lookAtPages(path).damage;
}

/** How often a look that writers disturbed is taken again. */
const MAX_LOOKS = 3;

/**
 * The same without a lock, while others may write.
 * @returns also undefined where they never left it alone for long enough
 * @throws Corrupt - not LMDB's data file
 */
export function examineData(path: string): string | undefined {
  for (let look = 0; look < MAX_LOOKS; look += 1) {
    const before = newestTransaction(path);
    const damage = findDamage(path);
    if (damage === undefined) return undefined;
    if (newestTransaction(path) === before) return damage;
  }
  return undefined;
}

/** Its number, by the two meta pages. */
function newestTransaction(path: string): number {
  return withFile(path, (file) => {
    const first = readBytes(file, { offset: 0, length: META_BYTES });
    const pageSize = first.getUint32(FREE_TREE, true);
    const second = readBytes(file, { offset: pageSize <= 65_536 ? pageSize : 0, length: META_BYTES });
    return Math.max(readU64(first, TRANSACTION), readU64(second, TRANSACTION));
  });
}

function withFile<T>(path: string, run: (file: number) => T): T {
  let file: number | undefined;
  try {
    file = openSync(path, "r");
    return run(file);
  } catch (error) {
    throw fileError(error, { doing: "read", path });
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** Exactly so many bytes; what lies beyond the end reads as zeros. */
function readBytes(file: number, range: { readonly offset: number; readonly length: number }): DataView {
  const bytes = new Uint8Array(range.length);
  for (let filled = 0; filled < range.length;) {
    const read = readSync(file, bytes, filled, range.length - filled, range.offset + filled);
    if (read === 0) break;
    filled += read;
  }
  return new DataView(bytes.buffer);
}

function isMeta(page: DataView): boolean {
  return page.getUint32(HEADER_BYTES, true) === MAGIC && page.getUint16(HEADER_BYTES + 4, true) === VERSION;
}

function notData(path: string): Corrupt {
  return new Corrupt(`${path} is not a data file of LMDB`, {
    hint: "restore the database from a backup",
    facts: { path },
  });
}
