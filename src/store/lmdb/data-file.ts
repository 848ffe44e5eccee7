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
/** How often a look that writers disturbed is taken again. */
const MAX_LOOKS = 3;
const LEAST_PAGE_BYTES = 512;
const MOST_PAGE_BYTES = 65_536;
/** Far beyond any database of this kind, and within what can be mapped. */
const MOST_FILE_BYTES = 2 ** 46;
const MOST_DEPTH = 32;
/** Flags of a meta page, and of the tree of free pages; the main tree has none. */
const META = 8;
const INTEGER_KEYS = 8;

const ADDRESS = HEADER_BYTES + 8;
const MAP_SIZE = HEADER_BYTES + 16;
const LAST_PAGE = MAIN_TREE + 48;
const TRANSACTION = MAIN_TREE + 56;

/**
 * Looks at the two pages that LMDB reads before any other, and trusts. Others may be writing them: what is wrong is looked at again.
 * @throws Corrupt - not LMDB's data file, or pages that it would not survive
 */
export function checkHeader(path: string): void {
  withFile(path, (file) => {
    let fault: string | undefined;
    for (let look = 0; look < MAX_LOOKS; look += 1) {
      fault = faultOfMetas(readMetas(file, path));
      if (fault === undefined) return;
    }
    throw new Corrupt(`${path} is damaged: ${fault ?? ""}`, {
      hint: "restore the database from a backup",
      facts: { path },
    });
  });
}

interface Metas {
  readonly pageSize: number;
  readonly pages: readonly [DataView, DataView];
}

/** @throws Corrupt - the first page is none of LMDB's */
function readMetas(file: number, path: string): Metas {
  const first = readBytes(file, { offset: 0, length: META_BYTES });
  if (!isMeta(first)) throw notData(path);
  const pageSize = first.getUint32(FREE_TREE, true);
  // The second is where the first says; nowhere if that cannot be.
  const offset = pageSize >= LEAST_PAGE_BYTES && pageSize <= MOST_PAGE_BYTES ? pageSize : 0;
  return { pageSize, pages: [first, readBytes(file, { offset, length: META_BYTES })] };
}

function faultOfMetas({ pageSize, pages }: Metas): string | undefined {
  const isPower = (pageSize & (pageSize - 1)) === 0;
  if (!isPower || pageSize < LEAST_PAGE_BYTES || pageSize > MOST_PAGE_BYTES) return `pages of ${pageSize} bytes`;
  for (const [number, page] of pages.entries()) {
    if (!isMeta(page) || readU64(page, 0) !== number || page.getUint16(18, true) !== META)
      return `page ${number} is not a meta page`;
    const mapSize = readU64(page, MAP_SIZE);
    const isSane = mapSize <= MOST_FILE_BYTES && readU64(page, ADDRESS) === 0;
    const isForm = page.getUint32(FREE_TREE, true) === pageSize && page.getUint32(MAIN_TREE, true) === 0;
    const areFlags = page.getUint16(FREE_TREE + 4, true) === INTEGER_KEYS && page.getUint16(MAIN_TREE + 4, true) === 0;
    if (!isSane || !isForm || !areFlags) return `meta page ${number} has values that cannot be`;
  }
  const [first, second] = pages.map((page) => readU64(page, TRANSACTION)) as [number, number];
  // Transactions take turns at the two pages; both are of none in a new file.
  const isTurn = (first === 0 && second === 0) || (first % 2 === 0 && Math.abs(first - second) === 1);
  if (!isTurn) return "the meta pages are of no two transactions that followed each other";
  // Of the older one a write that failed may have left a part.
  return faultOfTrees(pages[first > second ? 0 : 1], pageSize);
}

function faultOfTrees(page: DataView, pageSize: number): string | undefined {
  const lastPage = readU64(page, LAST_PAGE);
  if (lastPage * pageSize > MOST_FILE_BYTES) return "the newest meta page has values that cannot be";
  for (const tree of [FREE_TREE, MAIN_TREE]) {
    const { root, depth } = readTreeRecord(page, tree);
    if (depth > MOST_DEPTH || (root !== undefined && (root < 2 || root > lastPage)))
      return "the newest meta page has a tree that cannot be";
  }
  return undefined;
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
    const metas = readMetas(file, path);
    const fault = faultOfMetas(metas);
    if (fault !== undefined) return { damage: fault, pages: 0 };
    const { pageSize } = metas;
    const [first, second] = metas.pages;
    const newest = readU64(first, TRANSACTION) > readU64(second, TRANSACTION) ? first : second;
    const transaction = readU64(newest, TRANSACTION);
    const walk = new PageWalk({ file, pageSize, lastPage: readU64(newest, LAST_PAGE), transaction });
    const main = readTreeRecord(newest, MAIN_TREE);
    try {
      walk.walk({ free: readTreeRecord(newest, FREE_TREE), main });
      // A transaction always writes the root of the trees anew: an older meta page that passes for a newer one shows.
      if (main.root !== undefined && transactionOf(file, main.root * pageSize) !== transaction)
        return { damage: `page ${main.root} is not of the newest transaction`, pages: walk.count };
      return { damage: undefined, pages: walk.count };
    } catch (error) {
      if (error instanceof Damage) return { damage: error.message, pages: walk.count };
      throw error;
    }
  });
}

function transactionOf(file: number, offset: number): number {
  return readU64(readBytes(file, { offset, length: HEADER_BYTES }), 8);
}

/** The same, for who only asks whether. */
export function findDamage(path: string): string | undefined {
  return lookAtPages(path).damage;
}

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
