// The log's Merkle tree: RFC 6962 §2.1 with SHA-256.
//
//   leaf = SHA-256(0x00 ‖ bytes)   parent = SHA-256(0x01 ‖ left ‖ right)   no leaves = SHA-256("")
//   n > 1 leaves split at the largest power of two below n
//
//             7            A subtree is complete when it spans 2^level leaves from a multiple of 2^level. Its hash never
//          /     \         changes again, so exactly those are stored, by (level, index). In a tree of 7 leaves:
//        4         \
//      /   \        \      level 2  0
//     2     2    2   1     level 1  0 1 2
//    / \   / \  / \  |     level 0  0 1 2 3 4 5 6
//
// Everything else (roots, proofs) is a range of leaves, made of the complete subtrees that it splits into. A tile of
// `tlog-tiles` at tile level L is the 256 hashes at level 8·L from index 256·N on. Sizes go to 2^53 − 1, so all index
// arithmetic is in floating-point integers and never in 32-bit operators.
import { sha256 } from "@noble/hashes/sha2.js";
import { concatBytes } from "../bytes.js";
import { InvalidArgument, assert } from "../errors.js";
import type { Digest } from "../hashes.js";

const LEAF_PREFIX = Uint8Array.of(0);
const HASH_BYTES = 32;

/** Root of the tree without leaves. Shared: callers must not write to it. */
export const EMPTY_LOG_ROOT: Digest = sha256(new Uint8Array(0));

/** Hash of a leaf's bytes. */
export function logLeafHash(leaf: Uint8Array): Digest {
  return sha256(concatBytes(LEAF_PREFIX, leaf));
}

/** Hash of a parent. */
export function logNodeHash(left: Digest, right: Digest): Digest {
  const message = new Uint8Array(1 + 2 * HASH_BYTES);
  message[0] = 1;
  message.set(left, 1);
  message.set(right, 1 + HASH_BYTES);
  return sha256(message);
}

/** Where a complete subtree stands: leaves from `index · 2^level` on, 2^level of them. */
export interface SubtreePosition {
  readonly level: number;
  readonly index: number;
}

/** A complete subtree and its hash. */
export interface SubtreeHash extends SubtreePosition {
  readonly hash: Digest;
}

/**
 * Reads a stored hash of a complete subtree: 32 bytes, which the caller does not write to. It MUST answer for every
 * complete subtree of the size that it is used with, and throws where it cannot.
 */
export type ReadSubtree = (position: SubtreePosition) => Digest;

/** Leaves `start` … `end` − 1. */
export interface LeafRange {
  readonly start: number;
  readonly end: number;
}

/** The largest power of two below `count`, which is at least 2: where RFC 6962 splits. */
export function splitPoint(count: number): number {
  let power = 1;
  while (power * 2 < count) power *= 2;
  return power;
}

/**
 * The complete subtrees that make up a range, left to right, each smaller than the one before. The range is a subtree of
 * some tree: it begins at a multiple of the largest power of two that fits.
 */
export function subtreesOf(range: LeafRange): SubtreePosition[] {
  const positions: SubtreePosition[] = [];
  let start = range.start;
  while (start < range.end) {
    let level = 0;
    let span = 1;
    while (span * 2 <= range.end - start) {
      span *= 2;
      level += 1;
    }
    assert(start % span === 0, "a range of leaves that is no subtree");
    positions.push({ level, index: start / span });
    start += span;
  }
  return positions;
}

/** Hash of a range of leaves, from stored hashes: at most 53 reads. The range is a subtree of some tree. */
export function rangeHash(range: LeafRange, readSubtree: ReadSubtree): Digest {
  return joinSubtrees(subtreesOf(range).map((position) => readSubtree(position)));
}

/** Root of the tree of the first `size` leaves, from stored hashes. @throws InvalidArgument - not a size */
export function logRoot(size: number, readSubtree: ReadSubtree): Digest {
  requireSize(size);
  return rangeHash({ start: 0, end: size }, readSubtree);
}

/** True for integers of 0 … 2^53 − 1. */
export function isLogSize(size: number): boolean {
  return Number.isSafeInteger(size) && size >= 0;
}

function requireSize(size: number): void {
  if (!isLogSize(size)) throw new InvalidArgument(`a log has 0 to 2^53 − 1 leaves, not ${size}`);
}

/** Joins the hashes of subtrees of falling size, from the right. */
function joinSubtrees(hashes: readonly Digest[]): Digest {
  let joined: Digest | undefined;
  for (let index = hashes.length - 1; index >= 0; index -= 1) {
    const hash = hashes[index];
    assert(hash?.length === HASH_BYTES, "a stored hash of the log is 32 bytes");
    joined = joined === undefined ? hash : logNodeHash(hash, joined);
  }
  return joined ?? EMPTY_LOG_ROOT;
}

/**
 * The right edge of a growing tree: the hashes of the complete subtrees of its size (at most 53). All that is needed to
 * append leaves and to know the root. Mutable; `clone` before work that may be thrown away.
 */
export class Frontier {
  #size: number;
  readonly #hashes: Digest[];

  private constructor(size: number, hashes: Digest[]) {
    this.#size = size;
    this.#hashes = hashes;
  }

  /** The frontier of a tree without leaves. */
  static empty(): Frontier {
    return new Frontier(0, []);
  }

  /** The frontier at `size`, from stored hashes. @throws InvalidArgument - not a size */
  static read(size: number, readSubtree: ReadSubtree): Frontier {
    requireSize(size);
    return new Frontier(
      size,
      subtreesOf({ start: 0, end: size }).map((position) => readSubtree(position)),
    );
  }

  /** Number of leaves. */
  get size(): number {
    return this.#size;
  }

  clone(): Frontier {
    return new Frontier(this.#size, [...this.#hashes]);
  }

  /** Root of the tree. Cost: one hash for each subtree of the frontier but the first. */
  root(): Digest {
    return joinSubtrees(this.#hashes);
  }

  /**
   * Appends a leaf by its hash. Answers with the complete subtrees that it finishes, the leaf itself first, each the
   * parent of the one before: exactly what is to be stored with it. Two on average.
   */
  append(leafHash: Digest): SubtreeHash[] {
    assert(leafHash.length === HASH_BYTES, "a leaf hash is 32 bytes");
    assert(this.#size < Number.MAX_SAFE_INTEGER, "the log is full");
    const finished: SubtreeHash[] = [];
    let hash = leafHash;
    let index = this.#size;
    let level = 0;
    finished.push({ level, index, hash });
    // An odd index has a left brother of the same size, which is the last hash of the frontier.
    while (index % 2 === 1) {
      const brother = this.#hashes.pop();
      assert(brother !== undefined, "a frontier without the brother of a subtree");
      hash = logNodeHash(brother, hash);
      index = (index - 1) / 2;
      level += 1;
      finished.push({ level, index, hash });
    }
    this.#hashes.push(hash);
    this.#size += 1;
    return finished;
  }
}

/**
 * The place of a complete subtree in one dense order, in which the hashes that each leaf finishes follow the leaf
 * (Crosby and Wallach 2009, §3.3): for stores that keep all hashes in one row of numbers.
 */
export function storedHashIndex(position: SubtreePosition): number {
  // The subtree is finished by its last leaf; before that leaf's own hash come all hashes finished by earlier leaves.
  const lastLeaf = (position.index + 1) * 2 ** position.level - 1;
  let earlier = 0;
  for (let rest = lastLeaf; rest > 0; rest = Math.floor(rest / 2)) earlier += rest;
  const stored = earlier + position.level;
  assert(Number.isSafeInteger(stored), "a stored hash beyond 2^53 − 1");
  return stored;
}
