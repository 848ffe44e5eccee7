// The binary Merkle tree inside a node (FORMATS §3, RFC 6962 shape).
//
// n leaves split at the largest power of two below n. Joining neighbours layer by layer, with an odd last one carried up
// unchanged, gives the same tree: the subtree over leaves p·2^h … min((p+1)·2^h, n) − 1 is number p of layer h.
import { hashTagged, hashTree } from "../hash/index.js";
import type { Digest } from "../hashes.js";

const DIGEST_BYTES = 32;
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
   * entry, left to right. `indices` ascend. `room` gives the array for so many bytes.
   */
  siblings(indices: readonly number[], room = newArray): Uint8Array {
    const slots: number[] = [];
    if (this.#count > 0) this.#collect({ indices, next: 0, slots }, 0, this.#count);
    const bytes = room(slots.length * DIGEST_BYTES);
    const hashes = this.#hashes;
    let at = 0;
    for (const slot of slots) {
      // By hand: a view for each 32 bytes would cost more than the copy.
      for (let from = slot * DIGEST_BYTES; from < (slot + 1) * DIGEST_BYTES; from += 1) bytes[at++] = hashes[from] ?? 0;
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

function newArray(sizeBytes: number): Uint8Array {
  return new Uint8Array(sizeBytes);
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
