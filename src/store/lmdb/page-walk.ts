// Follows the trees of an LMDB data file through every page, and holds against each other all that LMDB takes on trust:
// where nodes lie in their page, how long keys and values are, which pages follow, what is free. On a page that passes, LMDB
// neither reads outside of it nor loses its way; what the rows hold is checked elsewhere, by hashes.
//
// The format is in data-file.ts. Cost: a read of 4 KiB and some comparisons a page; 150 MB in some 0.2 s.
import { fstatSync, readSync } from "node:fs";

const HEADER_BYTES = 24;
const NODE_BYTES = 8;
/** Of the tree of free pages, in the key of the page number's own form. */
const NUMBER_BYTES = 8;
const LARGE_VALUE_BYTES = 24;
/** Longest key that the binding allows in a page of 4 KiB. */
const MOST_KEY_BYTES = 1_978;
const MOST_DEPTH = 32;

const BRANCH = 1;
const LEAF = 2;
const OVERFLOW = 4;
const NODE_LARGE = 1;
const NODE_TREE = 2;
const TREE_BYTES = 48;

/** A tree as its record has it. */
export interface TreeRecord {
  readonly root: number | undefined;
  readonly depth: number;
  readonly branchPages: number;
  readonly leafPages: number;
  readonly overflowPages: number;
  readonly entries: number;
}

/** @throws RangeError - the page ends before */
export function readTreeRecord(page: DataView, offset: number): TreeRecord {
  const root = readU64(page, offset + 40);
  return {
    // All bits set: an empty tree.
    root: root >= 2 ** 63 ? undefined : root,
    depth: page.getUint16(offset + 6, true),
    branchPages: readU64(page, offset + 8),
    leafPages: readU64(page, offset + 16),
    overflowPages: readU64(page, offset + 24),
    entries: readU64(page, offset + 32),
  };
}

/** As a double: numbers that can be are far below 2^53, and of the others only the size matters. */
export function readU64(page: DataView, offset: number): number {
  return page.getUint32(offset, true) + page.getUint32(offset + 4, true) * 2 ** 32;
}

/** Something that is not as it should be. Never leaves this folder. */
export class Damage extends Error {}

/** What the walk knows of the file before it begins. */
export interface FileShape {
  readonly file: number;
  readonly pageSize: number;
  /** The last page in use, and the transaction that wrote it. */
  readonly lastPage: number;
  readonly transaction: number;
}

/** A page on its way to be looked at. */
interface Step {
  readonly number: number;
  readonly level: number;
  /** Keys of the page are at least this, where that is known, and below that. */
  readonly from: Buffer | undefined;
  readonly to: Buffer | undefined;
}

interface Counts {
  branchPages: number;
  leafPages: number;
  overflowPages: number;
  entries: number;
}

export class PageWalk {
  readonly #shape: FileShape;
  readonly #pages: number;
  /** A bit a page: used by a tree. */
  readonly #used: Uint8Array;
  readonly #bytes: Buffer;
  readonly #page: DataView;
  #count = 0;

  constructor(shape: FileShape) {
    this.#shape = shape;
    this.#pages = Math.floor(fstatSync(shape.file).size / shape.pageSize);
    this.#used = new Uint8Array(Math.ceil(this.#pages / 8));
    this.#bytes = Buffer.alloc(shape.pageSize);
    this.#page = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, shape.pageSize);
  }

  /** Pages of trees so far. */
  get count(): number {
    return this.#count;
  }

  /** @throws Damage - the first that is found */
  walk(trees: { readonly free: TreeRecord; readonly main: TreeRecord }): void {
    const named: TreeRecord[] = [];
    this.#walkTree(trees.main, { kind: "bytes", onTree: (tree) => named.push(tree) });
    for (const tree of named) this.#walkTree(tree, { kind: "bytes" });
    const free: [first: number, count: number][] = [];
    this.#walkTree(trees.free, { kind: "numbers", onValue: (value) => free.push(...freePages(value)) });
    // Last, when all that is in use is known.
    for (const [first, count] of free) this.#requireFree(first, count);
  }

  #walkTree(tree: TreeRecord, visitor: Visitor): void {
    const counts: Counts = { branchPages: 0, leafPages: 0, overflowPages: 0, entries: 0 };
    if (tree.depth > MOST_DEPTH) throw new Damage("a tree is too deep");
    if (tree.root !== undefined) {
      const open: Step[] = [{ number: tree.root, level: tree.depth, from: undefined, to: undefined }];
      for (let step = open.pop(); step !== undefined; step = open.pop()) {
        try {
          this.#visit(step, { counts, visitor, open });
        } catch (error) {
          if (error instanceof RangeError) throw new Damage(`page ${step.number} is damaged`);
          throw error;
        }
      }
    }
    for (const name of ["branchPages", "leafPages", "overflowPages", "entries"] as const) {
      if (counts[name] !== tree[name])
        throw new Damage(`a tree has ${counts[name]} ${name}, and ${tree[name]} are noted`);
    }
  }

  #visit(step: Step, into: { counts: Counts; visitor: Visitor; open: Step[] }): void {
    const { number, level } = step;
    this.#take(number, 1);
    this.#read(number);
    const page = this.#page;
    const flags = page.getUint16(18, true);
    if (flags !== (level > 1 ? BRANCH : LEAF)) throw new Damage(`page ${number} is no page of a tree`);
    if (readU64(page, 0) !== number) throw new Damage(`page ${number} has the number of another`);
    if (readU64(page, 8) > this.#shape.transaction) throw new Damage(`page ${number} is of a later transaction`);
    const nodes = this.#nodesOf(number, into.visitor.kind, step);
    if (level > 1) {
      into.counts.branchPages += 1;
      this.#openChildren(step, nodes, { kind: into.visitor.kind, open: into.open });
      return;
    }
    into.counts.leafPages += 1;
    into.counts.entries += nodes.length;
    // The page is read over when a large value is looked at, so that what is needed of it is taken first.
    const large: { number: number; pages: number; sizeBytes: number }[] = [];
    for (const node of nodes) this.#visitValue(number, node, { visitor: into.visitor, large });
    for (const { number: first, pages, sizeBytes } of large) {
      this.#visitLarge(first, { pages, sizeBytes });
      // A long list of free pages.
      into.visitor.onValue?.(this.#readLarge(first, sizeBytes));
      into.counts.overflowPages += pages;
    }
  }

  /** Offsets of a page's nodes; each lies within the page, and their keys ascend within those of the page. */
  #nodesOf(number: number, kind: Visitor["kind"], { level, from, to }: Step): number[] {
    const page = this.#page;
    const room = this.#shape.pageSize - HEADER_BYTES;
    const lower = page.getUint16(20, true);
    const upper = page.getUint16(22, true);
    const count = lower >> 1;
    if (count === 0 || lower % 2 !== 0 || lower > upper || upper > room) throw new Damage(`page ${number} is damaged`);
    const nodes: number[] = [];
    let previous = from;
    for (let index = 0; index < count; index += 1) {
      const at = page.getUint16(HEADER_BYTES + 2 * index, true);
      const node = HEADER_BYTES + at;
      if (at < upper || at + NODE_BYTES > room) throw new Damage(`page ${number} has a node outside of it`);
      const keyBytes = page.getUint16(node + 6, true);
      const isLeft = level > 1 && index === 0;
      if (
        keyBytes > MOST_KEY_BYTES ||
        at + NODE_BYTES + keyBytes > room ||
        (kind === "numbers" && !isLeft && keyBytes !== NUMBER_BYTES)
      )
        throw new Damage(`page ${number} has a key outside of it`);
      nodes.push(node);
      // The first key of a branch stands for whatever is left of the second.
      if (isLeft) continue;
      const key = this.#keyOf(node, kind);
      const isFirst = previous === from;
      const order = previous === undefined ? -1 : Buffer.compare(previous, key);
      if (order > 0 || (order === 0 && !isFirst)) throw new Damage(`page ${number} has keys out of order`);
      if (to !== undefined && Buffer.compare(key, to) >= 0)
        throw new Damage(`page ${number} has a key of another page`);
      previous = key;
    }
    return nodes;
  }

  /** A view, good until the next page is read; numbers as big-endian, which sorts as they do. */
  #keyOf(node: number, kind: Visitor["kind"]): Buffer {
    const keyBytes = this.#page.getUint16(node + 6, true);
    const key = this.#bytes.subarray(node + NODE_BYTES, node + NODE_BYTES + keyBytes);
    return kind === "numbers" ? Buffer.from(key).reverse() : key;
  }

  #openChildren(step: Step, nodes: readonly number[], into: { kind: Visitor["kind"]; open: Step[] }): void {
    const { kind, open } = into;
    // A branch of one child is not made, but in the tree of free pages.
    if (nodes.length < 2 && kind === "bytes") throw new Damage(`page ${step.number} has one child`);
    const starts = nodes.map((node, index) => (index === 0 ? step.from : Buffer.from(this.#keyOf(node, kind))));
    for (const [index, node] of nodes.entries()) {
      const page = this.#page;
      // Low, high and flags of the node are the number.
      const number = page.getUint32(node, true) + page.getUint16(node + 4, true) * 2 ** 32;
      const to = index + 1 < nodes.length ? starts[index + 1] : step.to;
      open.push({ number, level: step.level - 1, from: starts[index], to });
    }
  }

  #visitValue(
    number: number,
    node: number,
    into: { visitor: Visitor; large: { number: number; pages: number; sizeBytes: number }[] },
  ): void {
    const page = this.#page;
    const flags = page.getUint16(node + 4, true);
    const sizeBytes = page.getUint16(node, true) + page.getUint16(node + 2, true) * 2 ** 16;
    const data = node + NODE_BYTES + page.getUint16(node + 6, true);
    const kept = flags === NODE_LARGE ? LARGE_VALUE_BYTES : sizeBytes;
    if (data + kept > this.#shape.pageSize) throw new Damage(`page ${number} has a value outside of it`);
    if (flags === NODE_LARGE) {
      into.large.push({ number: readU64(page, data), pages: readU64(page, data + 16), sizeBytes });
    } else if (flags === NODE_TREE && into.visitor.onTree !== undefined && sizeBytes === TREE_BYTES) {
      // Of another kind, keys would be in another order.
      if (page.getUint16(data + 4, true) !== 0) throw new Damage(`page ${number} has a tree of another kind`);
      into.visitor.onTree(readTreeRecord(page, data));
    } else if (flags !== 0) {
      throw new Damage(`page ${number} has a value of a kind that is not in use`);
    } else {
      into.visitor.onValue?.(this.#bytes.subarray(data, data + sizeBytes));
    }
  }

  #visitLarge(number: number, { pages, sizeBytes }: { pages: number; sizeBytes: number }): void {
    const wanted = Math.floor((HEADER_BYTES - 1 + sizeBytes) / this.#shape.pageSize) + 1;
    if (pages !== wanted) throw new Damage(`page ${number} holds no large value of ${sizeBytes} bytes`);
    this.#take(number, pages);
    this.#read(number);
    const isLarge = this.#page.getUint16(18, true) === OVERFLOW && this.#page.getUint32(20, true) === pages;
    if (!isLarge || readU64(this.#page, 0) !== number) throw new Damage(`page ${number} holds no large value`);
  }

  /** Notes pages as used. Each may be used once: trees have no cycles. */
  #take(first: number, count: number): void {
    if (first + count > this.#pages || first + count > this.#shape.lastPage + 1) {
      throw new Damage(`page ${first} lies beyond the end`);
    }
    for (let number = first; number < first + count; number += 1) {
      if (number < 2 || this.#isUsed(number)) throw new Damage(`page ${number} is used twice`);
      this.#used[number >> 3] = (this.#used[number >> 3] ?? 0) | (1 << (number & 7));
    }
    this.#count += count;
  }

  #requireFree(first: number, count: number): void {
    for (let number = first; number < first + count; number += 1) {
      if (number < 2 || number > this.#shape.lastPage) throw new Damage(`page ${number} is free, and there is none`);
      if (this.#isUsed(number)) throw new Damage(`page ${number} is free and in use`);
    }
  }

  #isUsed(number: number): boolean {
    return ((this.#used[number >> 3] ?? 0) & (1 << (number & 7))) !== 0;
  }

  #read(number: number): void {
    this.#readInto(this.#bytes, number, number * this.#shape.pageSize);
  }

  /** The value behind the header of its first page; its pages are there. */
  #readLarge(number: number, sizeBytes: number): Buffer {
    const value = Buffer.alloc(sizeBytes);
    this.#readInto(value, number, number * this.#shape.pageSize + HEADER_BYTES);
    return value;
  }

  #readInto(bytes: Buffer, number: number, offset: number): void {
    for (let filled = 0; filled < bytes.length;) {
      const read = readSync(this.#shape.file, bytes, filled, bytes.length - filled, offset + filled);
      if (read === 0) throw new Damage(`page ${number} lies beyond the end`);
      filled += read;
    }
  }
}

/** How a tree is read. */
interface Visitor {
  /** Keys are bytes in their order, or numbers of the machine. */
  readonly kind: "bytes" | "numbers";
  readonly onTree?: (tree: TreeRecord) => void;
  /** The value is a view, good until the next page is read. */
  readonly onValue?: (value: Buffer) => void;
}

/** Runs of pages in a record of the tree of free pages: a count, then numbers; a negative one is a length before its number. */
function freePages(value: Buffer): [first: number, count: number][] {
  const runs: [number, number][] = [];
  if (value.length < NUMBER_BYTES || value.length % NUMBER_BYTES !== 0)
    throw new Damage("a list of free pages is damaged");
  const count = Number(value.readBigInt64LE(0));
  if (count < 0 || (count + 1) * NUMBER_BYTES > value.length) throw new Damage("a list of free pages is damaged");
  for (let index = 1; index <= count; index += 1) {
    const entry = Number(value.readBigInt64LE(index * NUMBER_BYTES));
    if (entry === 0) continue;
    if (entry > 0) runs.push([entry, 1]);
    else {
      index += 1;
      if (index > count) throw new Damage("a list of free pages is damaged");
      const first = Number(value.readBigInt64LE(index * NUMBER_BYTES));
      if (-entry > 2 ** 40) throw new Damage("a list of free pages is damaged");
      runs.push([first, -entry]);
    }
  }
  return runs;
}
