// The binary Merkle tree inside a node (FORMATS §3, RFC 6962 shape), many trees at a time.
//
// n leaves split at the largest power of two below n. Joining neighbours layer by layer, with an odd last one carried up
// unchanged, gives the same tree: the subtree over leaves p·2^h … min((p+1)·2^h, n) − 1 is number p of layer h. Trees are
// worked on in step, a layer of all of them in one call of the hash kernel, which is what makes short paths cheap.
import { hashPairs, hashTagged, hashTree } from "../hash/index.js";
import type { Digest } from "../hashes.js";

const DIGEST_BYTES = 32;
const WORDS = DIGEST_BYTES / 4;
const NO_BYTES = new Uint8Array(0);

let rootOfNothing: Digest | undefined;

/** Entries root of a node without entries: `H_merkle_node("")`. Shared: do not write to it. */
export function emptyEntriesRoot(): Digest {
  return (rootOfNothing ??= hashTagged("merkle_node:", NO_BYTES));
}

/** Every hash of one node's tree, kept so that any of its proofs costs no hashing. About 64 bytes an entry. */
export class TreeHashes {
  readonly #count: number;
  /** Layers one behind the other; layer h holds the hashes of the subtrees of 2^h leaves. */
  readonly #hashes: Uint8Array;
  /** Where each layer starts, in hashes. */
  readonly #layerStarts: readonly number[];

  /** `hashes`: all layers of the tree over so many entries, as `hashTree` gives them; without entries, none. */
  constructor(count: number, hashes: Uint8Array) {
    this.#count = count;
    this.#hashes = count === 0 ? emptyEntriesRoot() : hashes;
    this.#layerStarts = layerStarts(count);
  }

  get root(): Digest {
    const start = (this.#layerStarts.at(-1) ?? 0) * DIGEST_BYTES;
    return this.#hashes.subarray(start, start + DIGEST_BYTES);
  }

  /**
   * The siblings that a reveal of these entries needs (FORMATS §4): one hash for every maximal subtree without a shown
   * entry, left to right. `indices` ascend.
   */
  siblings(indices: readonly number[]): Uint8Array {
    const slots: number[] = [];
    if (this.#count > 0) this.#collect({ indices, next: 0, slots }, 0, this.#count);
    const bytes = new Uint8Array(slots.length * DIGEST_BYTES);
    for (let position = 0; position < slots.length; position += 1) {
      const start = (slots[position] ?? 0) * DIGEST_BYTES;
      bytes.set(this.#hashes.subarray(start, start + DIGEST_BYTES), position * DIGEST_BYTES);
    }
    return bytes;
  }

  #collect(
    walk: { readonly indices: readonly number[]; next: number; readonly slots: number[] },
    first: number,
    end: number,
  ): void {
    const shown = walk.indices[walk.next];
    if (shown === undefined || shown >= end) {
      walk.slots.push(this.#subtree(first, end));
    } else if (end - first === 1) {
      walk.next += 1;
    } else {
      const middle = first + splitPoint(end - first);
      this.#collect(walk, first, middle);
      this.#collect(walk, middle, end);
    }
  }

  /** Which hash is that of the subtree over leaves first … end − 1. */
  #subtree(first: number, end: number): number {
    const layer = end - first === 1 ? 0 : 32 - Math.clz32(end - first - 1);
    return (this.#layerStarts[layer] ?? 0) + (first >> layer);
  }
}

/** The tree over entries that lie one behind the other: entry i is bytes starts[i] … starts[i + 1] − 1. */
export function treeOfEntries(bytes: Uint8Array, starts: readonly number[]): TreeHashes {
  const count = starts.length - 1;
  return new TreeHashes(count, count === 0 ? NO_BYTES : hashTree("state_leaf:", bytes, starts));
}

const startsOf: (readonly number[])[] = [];

/** Where the layers of a tree of so many leaves start, in hashes. Nodes have few sizes, so these are made once. */
function layerStarts(count: number): readonly number[] {
  let starts = startsOf[count];
  if (starts === undefined) {
    const made = [0];
    let hashes = count;
    for (let size = count; size > 1;) {
      made.push(hashes);
      size = (size + 1) >> 1;
      hashes += size;
    }
    starts = made;
    startsOf[count] = starts;
  }
  return starts;
}

/** The largest power of two below `count`, which is at least 2. */
export function splitPoint(count: number): number {
  return 1 << (31 - Math.clz32(count - 1));
}

/** A hash that a plan refers to: `layer * LAYER + number`. Layer 0 holds what is given, layer h what h joins give. */
const LAYER = 2 ** 20;

/**
 * Works out the roots of partly shown trees, all in step. First `plan` each tree, which costs no hash and says whether it
 * has the siblings that its indices imply; then `run` once.
 */
export class PartialRoots {
  /** Hashes that are given: of the shown entries, then siblings. */
  #givenCount: number;
  readonly #siblings: { readonly first: number; readonly bytes: Uint8Array }[] = [];
  /** Joins by the layer of their result less one, in the order of their results: left, right, left, right, … */
  readonly #joins: number[][] = [];
  readonly #roots: number[] = [];

  // The walk over one tree.
  #indices: readonly number[] = [];
  #nextIndex = 0;
  #firstEntry = 0;
  #nextSibling = 0;

  /** `entryCount`: shown entries of all the trees. */
  constructor(entryCount: number) {
    this.#givenCount = entryCount;
  }

  /**
   * Plans the tree of `count` leaves (at least one), of which those at `indices`, ascending, are shown; their hashes are
   * numbers `firstEntry` … of the entry hashes. False if the siblings are not exactly as many as that implies.
   */
  plan(tree: {
    readonly count: number;
    readonly indices: readonly number[];
    readonly firstEntry: number;
    readonly siblings: Uint8Array;
  }): boolean {
    const { siblings } = tree;
    const first = this.#givenCount;
    this.#siblings.push({ first, bytes: siblings });
    this.#givenCount += Math.ceil(siblings.length / DIGEST_BYTES);
    this.#indices = tree.indices;
    this.#nextIndex = 0;
    this.#firstEntry = tree.firstEntry;
    this.#nextSibling = first;
    this.#roots.push(this.#walk(0, tree.count));
    return (this.#nextSibling - first) * DIGEST_BYTES === siblings.length;
  }

  /** The roots, 32 bytes a tree, in the order of planning, from the hashes of the shown entries. */
  run(entryHashes: Uint8Array): Uint8Array {
    const layerStarts = [0, this.#givenCount];
    for (const joins of this.#joins) layerStarts.push((layerStarts.at(-1) ?? 0) + joins.length / 2);
    const hashes = scratch.hashes.words((layerStarts.at(-1) ?? 0) * WORDS);
    const bytes = new Uint8Array(hashes.buffer);
    bytes.set(entryHashes);
    for (const { first, bytes: siblings } of this.#siblings) bytes.set(siblings, first * DIGEST_BYTES);
    for (let layer = 1; layer <= this.#joins.length; layer += 1) {
      const pairs = gather(this.#joins[layer - 1] ?? [], hashes, layerStarts, scratch.pairs);
      bytes.set(hashPairs(pairs), (layerStarts[layer] ?? 0) * DIGEST_BYTES);
    }
    return gather(this.#roots, hashes, layerStarts, scratch.pairs).slice();
  }

  /** The hash of the subtree over leaves first … end − 1. */
  #walk(first: number, end: number): number {
    const shown = this.#indices[this.#nextIndex];
    if (shown === undefined || shown >= end) {
      // One that is not there shows when the walk is over: then nothing is run.
      this.#nextSibling += 1;
      return this.#nextSibling - 1;
    }
    if (end - first === 1) {
      this.#nextIndex += 1;
      return this.#firstEntry + this.#nextIndex - 1;
    }
    const middle = first + splitPoint(end - first);
    const left = this.#walk(first, middle);
    const right = this.#walk(middle, end);
    const below = Math.max(Math.floor(left / LAYER), Math.floor(right / LAYER));
    const joins = (this.#joins[below] ??= []);
    joins.push(left, right);
    return (below + 1) * LAYER + joins.length / 2 - 1;
  }
}

/** Copies hashes behind one another, word by word: a view for each 32 bytes would cost more than the copy. */
function gather(
  wanted: readonly number[],
  hashes: Int32Array,
  layerStarts: readonly number[],
  into: ScratchWords,
): Uint8Array {
  const target = into.words(wanted.length * WORDS);
  for (let index = 0; index < wanted.length; index += 1) {
    const hash = wanted[index] ?? 0;
    const from = ((layerStarts[Math.floor(hash / LAYER)] ?? 0) + (hash % LAYER)) * WORDS;
    for (let word = 0; word < WORDS; word += 1) target[index * WORDS + word] = hashes[from + word] ?? 0;
  }
  return new Uint8Array(target.buffer, 0, wanted.length * DIGEST_BYTES);
}

/** Room that is used again by the next call: an array of a few hundred bytes costs more to make than to fill. */
class ScratchWords {
  #kept = new Int32Array(0);

  /** At least this many words, with anything in them. What is larger than usual is not kept. */
  words(count: number): Int32Array {
    if (count <= this.#kept.length) return this.#kept;
    const words = new Int32Array(Math.max(count, FIRST_SCRATCH_WORDS));
    if (count <= MAX_SCRATCH_WORDS) this.#kept = words;
    return words;
  }
}

const FIRST_SCRATCH_WORDS = 1024;
const MAX_SCRATCH_WORDS = 65_536;
// Nothing here waits or calls back, so no two calls are ever in progress at once.
const scratch = { hashes: new ScratchWords(), pairs: new ScratchWords() };
