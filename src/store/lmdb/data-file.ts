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
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { Corrupt } from "../../core/errors.js";
import { fileError } from "../files/file-system.js";

const HEADER_BYTES = 24;
const MAGIC = 0xbeefc0de;
const VERSION = 2;
const META_BYTES = HEADER_BYTES + 136;
const FREE_TREE = HEADER_BYTES + 24;
const MAIN_TREE = FREE_TREE + 48;
const TRANSACTION = MAIN_TREE + 56;
const TREE_BYTES = 48;

const BRANCH = 1;
const LEAF = 2;
const OVERFLOW = 4;
const NODE_OVERFLOW = 1;
const NODE_TREE = 2;

/** @throws Corrupt - not LMDB's data file, or an empty one */
export function checkHeader(path: string): void {
  withFile(path, (file) => {
    if (!isMeta(readBytes(file, { offset: 0, length: META_BYTES }))) throw notData(path);
  });
}

/**
 * Follows every tree of a data file, each page once. The caller holds the write lock, so that no page changes.
 * @returns the first page that is not there, or not what the tree needs, in words; undefined where all are
 */
export function findDamage(path: string): string | undefined {
  return withFile(path, (file) => {
    const first = readBytes(file, { offset: 0, length: META_BYTES });
    if (!isMeta(first)) throw notData(path);
    const pageSize = first.getUint32(FREE_TREE, true);
    if (pageSize < 512 || pageSize > 65_536) throw notData(path);
    const second = readBytes(file, { offset: pageSize, length: META_BYTES });
    if (!isMeta(second)) return "page 1 is not a meta page";
    const newest = readU64(first, TRANSACTION) > readU64(second, TRANSACTION) ? first : second;
    return new TreeWalk(file, pageSize).walk([readTree(newest, FREE_TREE), readTree(newest, MAIN_TREE)]);
  });
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

/** Roots of trees; an empty tree has none. */
type Roots = readonly (number | undefined)[];

/** Something that a page should be and is not. Never leaves this file. */
class Damage extends Error {}

class TreeWalk {
  readonly #file: number;
  readonly #pageSize: number;
  readonly #pages: number;
  readonly #seen = new Set<number>();

  constructor(file: number, pageSize: number) {
    this.#file = file;
    this.#pageSize = pageSize;
    this.#pages = Math.floor(fstatSync(file).size / pageSize);
  }

  walk(roots: Roots): string | undefined {
    const open = roots.filter((root) => root !== undefined);
    try {
      for (let page = open.pop(); page !== undefined; page = open.pop()) {
        for (const next of this.#visit(page)) open.push(next);
      }
      return undefined;
    } catch (error) {
      if (error instanceof Damage) return error.message;
      throw error;
    }
  }

  /** The pages that a page of a tree leads to. */
  #visit(number: number): number[] {
    this.#take(number, 1);
    const page = readBytes(this.#file, { offset: number * this.#pageSize, length: this.#pageSize });
    const flags = page.getUint16(18, true);
    if ((flags & (BRANCH | LEAF)) === 0) throw new Damage(`page ${number} is no page of a tree`);
    const next: number[] = [];
    try {
      for (let index = 0; index < page.getUint16(20, true) >> 1; index += 1) {
        const node = HEADER_BYTES + page.getUint16(HEADER_BYTES + 2 * index, true);
        if ((flags & BRANCH) !== 0) next.push(page.getUint32(node, true) + page.getUint16(node + 4, true) * 2 ** 32);
        else next.push(...this.#visitLeafNode(page, node));
      }
    } catch (error) {
      if (error instanceof RangeError) throw new Damage(`page ${number} is damaged`);
      throw error;
    }
    return next;
  }

  #visitLeafNode(page: DataView, node: number): number[] {
    const flags = page.getUint16(node + 4, true);
    const data = node + 8 + page.getUint16(node + 6, true);
    if ((flags & NODE_OVERFLOW) !== 0) {
      const number = readU64(page, data);
      this.#take(number, readU64(page, data + 16));
      const head = readBytes(this.#file, { offset: number * this.#pageSize, length: HEADER_BYTES });
      if ((head.getUint16(18, true) & OVERFLOW) === 0) throw new Damage(`page ${number} holds no large value`);
    }
    if ((flags & NODE_TREE) === 0) return [];
    if (data + TREE_BYTES > page.byteLength) throw new RangeError("a tree beyond its page");
    const root = readTree(page, data);
    return root === undefined ? [] : [root];
  }

  /** Notes pages as used. Each may be used once: trees have no cycles. */
  #take(number: number, count: number): void {
    if (number + count > this.#pages) throw new Damage(`page ${number} lies beyond the end`);
    if (number < 2 || this.#seen.has(number)) throw new Damage(`page ${number} is used twice`);
    this.#seen.add(number);
  }
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

function readTree(page: DataView, offset: number): number | undefined {
  const root = readU64(page, offset + 40);
  return root >= 2 ** 63 ? undefined : root;
}

/** As a double: page numbers that exist are far below 2^53, and of the others only the size matters. */
function readU64(page: DataView, offset: number): number {
  return page.getUint32(offset, true) + page.getUint32(offset + 4, true) * 2 ** 32;
}

function notData(path: string): Corrupt {
  return new Corrupt(`${path} is not a data file of LMDB`, {
    hint: "restore the database from a backup",
    facts: { path },
  });
}
