// Where segments end and how large ones are cut (FORMATS §3).
//
// A segment ends by the rank of its last entry; one of more than 64 entries or 16,384 bytes of keys is cut after its
// lowest place, then both parts likewise. That is a treap: its shape depends on what is in the segment and nothing else,
// and changing one entry changes one path of it. Keys can be ground so that the treap is as deep as it is long, so there
// is no recursion here, and the lowest place of a range is looked up in a tree: n log n whatever the keys.
import { MAX_NODE_ENTRIES, MAX_NODE_KEY_BYTES } from "../limits.js";
import type { Placed } from "./place.js";
import { comparePlaces, rankOf } from "./place.js";

/** Entries first … end − 1 of some list. */
export interface Range {
  readonly first: number;
  readonly end: number;
}

/** True where a node cannot hold this many entries and bytes of keys. */
export function isOversize(size: { readonly entries: number; readonly keyBytes: number }): boolean {
  return size.entries > MAX_NODE_ENTRIES || size.keyBytes > MAX_NODE_KEY_BYTES;
}

/** Tells which entries of one level end a segment, fed with all of them in order. */
export class SegmentEnds {
  readonly #level: number;
  #previousIsHigh: boolean;
  #isFirst: boolean;

  /** To begin within a level, say what lies immediately before; absent: the level begins here. */
  constructor(level: number, before?: Placed) {
    this.#level = level;
    this.#isFirst = before === undefined;
    this.#previousIsHigh = before !== undefined && rankOf(before) > level;
  }

  /** True where the next entry ends a segment. */
  next(entry: Placed): boolean {
    const isHigh = rankOf(entry) > this.#level;
    // At level 0 rank alone decides; above it the first entry and one behind a high one never end a segment.
    const ends = isHigh && (this.#level === 0 || (!this.#isFirst && !this.#previousIsHigh));
    this.#isFirst = false;
    this.#previousIsHigh = isHigh;
    return ends;
  }
}

/** The nodes of one segment, in order, as ranges of its entries. */
export function cutSegment(segment: readonly Placed[]): Range[] {
  let keyBytes = 0;
  for (const { key } of segment) keyBytes += key.length;
  if (!isOversize({ entries: segment.length, keyBytes })) return [{ first: 0, end: segment.length }];

  const keyBytesBefore = runningKeyBytes(segment);
  const lowest = new LowestPlace(segment);
  const nodes: Range[] = [];
  const parts: Range[] = [{ first: 0, end: segment.length }];
  for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
    const { first, end } = part;
    const bytes = (keyBytesBefore[end] ?? 0) - (keyBytesBefore[first] ?? 0);
    if (!isOversize({ entries: end - first, keyBytes: bytes })) {
      nodes.push(part);
      continue;
    }
    // Entries 2 … n − 2, counted from 1, may be cut after.
    const cut = lowest.find(first + 1, end - 2) + 1;
    parts.push({ first: cut, end }, { first, end: cut });
  }
  return nodes;
}

function runningKeyBytes(segment: readonly Placed[]): number[] {
  const before = [0];
  let sum = 0;
  for (const { key } of segment) {
    sum += key.length;
    before.push(sum);
  }
  return before;
}

/** Finds the entry of lowest place within any range, in log n. */
export class LowestPlace {
  readonly #entries: readonly Placed[];
  /** A complete binary tree as an array: entry i at size + i, each node above holding the lower of its two. */
  readonly #tree: Int32Array;
  readonly #size: number;

  constructor(entries: readonly Placed[]) {
    this.#entries = entries;
    this.#size = entries.length;
    this.#tree = new Int32Array(2 * this.#size);
    for (let index = 0; index < this.#size; index += 1) this.#tree[this.#size + index] = index;
    for (let node = this.#size - 1; node > 0; node -= 1) {
      this.#tree[node] = this.#lower(this.#tree[2 * node] ?? 0, this.#tree[2 * node + 1] ?? 0);
    }
  }

  /** Index of the lowest place among first … end − 1, which are not none. */
  find(first: number, end: number): number {
    let best = first;
    let low = first + this.#size;
    let high = end + this.#size;
    while (low < high) {
      if ((low & 1) === 1) {
        best = this.#lower(best, this.#tree[low] ?? 0);
        low += 1;
      }
      if ((high & 1) === 1) {
        high -= 1;
        best = this.#lower(best, this.#tree[high] ?? 0);
      }
      low >>= 1;
      high >>= 1;
    }
    return best;
  }

  #lower(a: number, b: number): number {
    const left = this.#entries[a];
    const right = this.#entries[b];
    if (left === undefined || right === undefined || a === b) return a;
    return comparePlaces(left, right) <= 0 ? a : b;
  }
}
