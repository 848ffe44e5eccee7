// The binary Merkle tree inside a node (FORMATS §3, RFC 6962 shape), many trees at a time.
//
// n leaves split at the largest power of two below n. Joining neighbours layer by layer, with an odd last one carried up
// unchanged, gives the same tree: the subtree over leaves p·2^h … min((p+1)·2^h, n) − 1 is number p of layer h. Trees are
// worked on in step, a layer of all of them in one call of the hash kernel, which is what makes short paths cheap.
import { assert } from "../errors.js";
import { hashBatch, hashPairs, hashTagged } from "../hash/index.js";
import type { Digest } from "../hashes.js";

const DIGEST_BYTES = 32;
const NO_BYTES = new Uint8Array(0);

let rootOfNothing: Digest | undefined;

/** Entries root of a node without entries: `H_merkle_node("")`. Shared: do not write to it. */
export function emptyEntriesRoot(): Digest {
  return (rootOfNothing ??= hashTagged("merkle_node:", NO_BYTES));
}

/** `H_state_leaf` of each entry, 32 bytes an entry. */
export function leafHashes(entries: readonly Uint8Array[]): Uint8Array {
  return hashBatch("state_leaf:", entries);
}

/**
 * Roots of several trees, 32 bytes a tree: `counts[i]` leaves of each (at least one) lie one behind the other in
 * `leaves`.
 */
export function treeRoots(leaves: Uint8Array, counts: readonly number[]): Uint8Array {
  let layer = leaves;
  let sizes = counts;
  while (sizes.some((size) => size > 1)) {
    layer = nextLayer(layer, sizes);
    sizes = sizes.map((size) => (size + 1) >> 1);
  }
  return layer;
}

/** The layer above: each tree's neighbours joined, its odd last hash carried up. */
function nextLayer(layer: Uint8Array, sizes: readonly number[]): Uint8Array {
  let pairCount = 0;
  let nextCount = 0;
  for (const size of sizes) {
    pairCount += size >> 1;
    nextCount += (size + 1) >> 1;
  }
  const pairs = new Uint8Array(pairCount * 2 * DIGEST_BYTES);
  gatherPairs(layer, sizes, pairs);
  const joined = hashPairs(pairs);
  if (pairCount === nextCount) return joined;
  const next = new Uint8Array(nextCount * DIGEST_BYTES);
  let from = 0;
  let done = 0;
  let to = 0;
  for (const size of sizes) {
    const bytes = (size >> 1) * DIGEST_BYTES;
    next.set(joined.subarray(done, done + bytes), to);
    done += bytes;
    to += bytes;
    from += size * DIGEST_BYTES;
    if ((size & 1) === 0) continue;
    next.set(layer.subarray(from - DIGEST_BYTES, from), to);
    to += DIGEST_BYTES;
  }
  return next;
}

function gatherPairs(layer: Uint8Array, sizes: readonly number[], pairs: Uint8Array): void {
  if (pairs.length === layer.length) {
    pairs.set(layer);
    return;
  }
  let from = 0;
  let to = 0;
  for (const size of sizes) {
    const bytes = (size >> 1) * 2 * DIGEST_BYTES;
    pairs.set(layer.subarray(from, from + bytes), to);
    to += bytes;
    from += size * DIGEST_BYTES;
  }
}

/** Every hash of one node's tree, kept so that any of its proofs costs no hashing. About 64 bytes an entry. */
export class TreeHashes {
  readonly count: number;
  /** Layer h: hashes of the subtrees of 2^h leaves. */
  readonly #layers: Uint8Array[];

  constructor(entries: readonly Uint8Array[]) {
    this.count = entries.length;
    this.#layers = [entries.length === 0 ? emptyEntriesRoot() : leafHashes(entries)];
    for (let size = entries.length; size > 1; size = (size + 1) >> 1) {
      this.#layers.push(nextLayer(this.#layers.at(-1) ?? NO_BYTES, [size]));
    }
  }

  get root(): Digest {
    return this.#layers.at(-1) ?? NO_BYTES;
  }

  /**
   * The siblings that a reveal of these entries needs (FORMATS §4): one hash for every maximal subtree without a shown
   * entry, left to right. `indices` ascend.
   */
  siblings(indices: readonly number[]): Uint8Array {
    const found: Uint8Array[] = [];
    if (this.count > 0) this.#collect({ indices, next: 0, found }, 0, this.count);
    const bytes = new Uint8Array(found.length * DIGEST_BYTES);
    for (const [position, hash] of found.entries()) bytes.set(hash, position * DIGEST_BYTES);
    return bytes;
  }

  #collect(
    walk: { readonly indices: readonly number[]; next: number; found: Uint8Array[] },
    first: number,
    end: number,
  ) {
    const shown = walk.indices[walk.next];
    if (shown === undefined || shown >= end) {
      walk.found.push(this.#subtree(first, end));
    } else if (end - first === 1) {
      walk.next += 1;
    } else {
      const middle = first + splitPoint(end - first);
      this.#collect(walk, first, middle);
      this.#collect(walk, middle, end);
    }
  }

  #subtree(first: number, end: number): Uint8Array {
    let layer = 0;
    while (1 << layer < end - first) layer += 1;
    const start = (first >> layer) * DIGEST_BYTES;
    return this.#layers[layer]?.subarray(start, start + DIGEST_BYTES) ?? NO_BYTES;
  }
}

/** The largest power of two below `count`, which is at least 2. */
export function splitPoint(count: number): number {
  return 1 << (31 - Math.clz32(count - 1));
}

/**
 * Works out the roots of partly shown trees, all in step. First `plan` each tree, which costs no hash and says how many
 * siblings it takes; then `run` once.
 */
export class PartialRoots {
  /** 32-byte slots: entry hashes first, then siblings and results in the order in which they were planned. */
  #slotCount: number;
  readonly #copies: { readonly slot: number; readonly bytes: Uint8Array }[] = [];
  /** Joins by height, three numbers each: left slot, right slot, result slot. */
  readonly #joins: number[][] = [];
  readonly #roots: number[] = [];

  // The walk over one tree.
  #indices: readonly number[] = [];
  #nextIndex = 0;
  #firstEntrySlot = 0;
  #siblings: Uint8Array = NO_BYTES;
  #nextSibling = 0;
  #height = 0;

  /** `entryCount`: shown entries of all the trees. */
  constructor(entryCount: number) {
    this.#slotCount = entryCount;
  }

  /**
   * Plans the tree of `count` leaves (at least one), of which those at `indices` are shown; their hashes are numbers
   * `firstEntrySlot` … of the entry hashes. False if the siblings are not exactly as many as the indices imply.
   */
  plan(tree: {
    readonly count: number;
    readonly indices: readonly number[];
    readonly firstEntrySlot: number;
    readonly siblings: Uint8Array;
  }): boolean {
    this.#indices = tree.indices;
    this.#nextIndex = 0;
    this.#firstEntrySlot = tree.firstEntrySlot;
    this.#siblings = tree.siblings;
    this.#nextSibling = 0;
    this.#roots.push(this.#walk(0, tree.count));
    return this.#nextSibling * DIGEST_BYTES === tree.siblings.length;
  }

  /** The roots, 32 bytes a tree, in the order of planning, from the hashes of the shown entries. */
  run(entryHashes: Uint8Array): Uint8Array {
    const slots = new Uint8Array(this.#slotCount * DIGEST_BYTES);
    slots.set(entryHashes);
    for (const { slot, bytes } of this.#copies) slots.set(bytes, slot * DIGEST_BYTES);
    for (const joins of this.#joins) runJoins(slots, joins);
    const roots = new Uint8Array(this.#roots.length * DIGEST_BYTES);
    for (const [position, slot] of this.#roots.entries()) copySlot(slots, slot, roots, position);
    return roots;
  }

  /** The slot of the subtree over leaves first … end − 1; sets `#height` to the joins below it. */
  #walk(first: number, end: number): number {
    const shown = this.#indices[this.#nextIndex];
    if (shown === undefined || shown >= end) return this.#takeSibling();
    if (end - first === 1) {
      this.#height = 0;
      this.#nextIndex += 1;
      return this.#firstEntrySlot + this.#nextIndex - 1;
    }
    const middle = first + splitPoint(end - first);
    const left = this.#walk(first, middle);
    const leftHeight = this.#height;
    const right = this.#walk(middle, end);
    const height = Math.max(leftHeight, this.#height) + 1;
    this.#height = height;
    const slot = this.#slotCount;
    this.#slotCount += 1;
    (this.#joins[height - 1] ??= []).push(left, right, slot);
    return slot;
  }

  #takeSibling(): number {
    const start = this.#nextSibling * DIGEST_BYTES;
    this.#nextSibling += 1;
    this.#height = 0;
    const slot = this.#slotCount;
    this.#slotCount += 1;
    // A sibling that is not there leaves its slot empty; `plan` then says so and nothing is run.
    this.#copies.push({ slot, bytes: this.#siblings.subarray(start, start + DIGEST_BYTES) });
    return slot;
  }
}

function runJoins(slots: Uint8Array, joins: readonly number[]): void {
  const pairs = new Uint8Array((joins.length / 3) * 2 * DIGEST_BYTES);
  for (let join = 0; join * 3 < joins.length; join += 1) {
    copySlot(slots, joins[join * 3] ?? 0, pairs, join * 2);
    copySlot(slots, joins[join * 3 + 1] ?? 0, pairs, join * 2 + 1);
  }
  const joined = hashPairs(pairs);
  assert(joined.length === pairs.length / 2, "one hash a pair");
  for (let join = 0; join * 3 < joins.length; join += 1) copySlot(joined, join, slots, joins[join * 3 + 2] ?? 0);
}

function copySlot(from: Uint8Array, fromSlot: number, to: Uint8Array, toSlot: number): void {
  const start = fromSlot * DIGEST_BYTES;
  to.set(from.subarray(start, start + DIGEST_BYTES), toSlot * DIGEST_BYTES);
}
