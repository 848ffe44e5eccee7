// What hashes: the contract that the WASM kernel and the portable fallback both keep, byte for byte. The functions of
// index.ts check their arguments and then call whichever is in use.
//
// An engine is synchronous and holds no state between calls, so one instance serves the whole program.
import type { Digest } from "../hashes.js";
import type { Tag } from "./tag.js";

/** Which implementation hashes. */
export type KernelName = "wasm-simd" | "portable";

/**
 * Trees of which only some leaves are known. Their hashes are numbered: first the digests of the known leaves, then what
 * is given, then the results of the joins.
 */
export interface PartialTrees {
  readonly leafTag: Tag;
  /** The known leaves of all trees, one behind the other: leaf i is bytes leafStarts[i] … leafStarts[i + 1] − 1. */
  readonly leaves: Uint8Array;
  readonly leafStarts: readonly number[];
  /** Hashes, 32 bytes each, in pieces of any number of them. */
  readonly given: readonly Uint8Array[];
  /** Numbers of two hashes each, which come before the result. Quickest where four in a row need none of each other. */
  readonly joins: readonly number[];
  /** The number of each tree's root. */
  readonly roots: readonly number[];
  readonly headTag: Tag;
  /** What is hashed before the root: of tree i bytes headStarts[i] … headStarts[i + 1] − 1. */
  readonly heads: Uint8Array;
  readonly headStarts: readonly number[];
}

export interface HashEngine {
  readonly name: KernelName;
  /** `BLAKE3(prefix ‖ bytes)` of any length. */
  hashPrefixed(prefix: Uint8Array, bytes: Uint8Array): Digest;
  /** The digests of `prefix ‖ message` for each message, one after the other. */
  hashBatch(prefix: Uint8Array, messages: readonly Uint8Array[]): Uint8Array;
  /** The same for messages that lie one behind the other: message i is bytes starts[i] … starts[i + 1] − 1. */
  hashRanges(prefix: Uint8Array, bytes: Uint8Array, starts: readonly number[]): Uint8Array;
  /**
   * The hashes of the tree over at least one such message: their digests, then layer by layer the digests of neighbours
   * joined as `hashPairs` does, an odd last one carried up unchanged, to the root.
   */
  hashTree(prefix: Uint8Array, bytes: Uint8Array, starts: readonly number[]): Uint8Array;
  /** The digests of `"merkle_node:" ‖ pair` for each 64-byte pair. */
  hashPairs(pairs: Uint8Array): Uint8Array;
  /** Writes the digest of `head ‖ root` of each tree, 32 bytes a tree. */
  hashPartialTrees(trees: PartialTrees, into: Uint8Array): void;
  /** Chaining value of one group of 0–16,384 bytes of hashed input. */
  groupChainingValue(input: Uint8Array, position: GroupPosition): Digest;
  /** Chaining values of consecutive full groups, none of them the root. */
  groupChainingValues(input: Uint8Array, firstGroupIndex: number): Uint8Array;
  /** Chaining value of an interior node, from the 64 bytes left ‖ right. */
  parentChainingValue(pair: Uint8Array, position: NodePosition): Digest;
}

/** Whether a node is the root of its tree: then its chaining value is the hash. */
export interface NodePosition {
  readonly isRoot: boolean;
}

/** Where a group stands in its tree. */
export interface GroupPosition extends NodePosition {
  /** Groups of 16 KiB before this one. */
  readonly groupIndex: number;
}
