// How the read algorithms see a node, and what they ask for (FORMATS §4).
//
// An algorithm is a generator: it yields a `Want`, is handed the node as a `NodeView`, and returns its answer. It holds
// no promise and does no I/O, so the same code runs over whole nodes (the server, whose recorder notes what is touched:
// that is the witness) and over partial ones (the verifier, where touching what is not shown throws IncompleteProof).
import type { Digest } from "../hashes.js";
import type { MapKind } from "./kind.js";

/** Which map is read: its kind and the digest of its root node. */
export interface MapAt {
  readonly kind: MapKind;
  readonly root: Digest;
}

/** One key and its cell (an encoded DAG-CBOR list, at most 256 bytes). Views of larger arrays: copy what you keep. */
export interface Entry {
  readonly key: Uint8Array;
  readonly cell: Uint8Array;
}

/** Keys from `from` (included; empty: from the first) to `to` (excluded; absent: to the end). `from` is below `to`. */
export interface KeyRange {
  readonly from: Uint8Array;
  readonly to?: Uint8Array | undefined;
}

/**
 * The node that an algorithm reads next, and everything its parent says about it. Drivers hold the node that they hand
 * over against this in one place, `faultAgainst`, whatever the source.
 */
export interface Want {
  readonly kind: MapKind;
  readonly digest: Digest;
  /** One below the parent's; undefined for the root. */
  readonly level: number | undefined;
  /** Keys below the node, as the parent's entry says; undefined for the root. */
  readonly total: number | undefined;
  /** Every key of the node is above this one; undefined where nothing is known to its left. */
  readonly above: Uint8Array | undefined;
  /** The last key of the node, exactly; undefined for the root. */
  readonly last: Uint8Array | undefined;
  /** Which of two maps read side by side it belongs to: 0, or 1 for the second of a diff or merge. */
  readonly side: 0 | 1;
  /** Digests of at most `limit` nodes that will be wanted soon after, in order, for sources that read ahead. */
  readonly ahead?: ((limit: number) => Digest[]) | undefined;
}

/**
 * A node, whole or partial. Indices are 0 … count − 1. `seek` and `keyBelow` look without touching; every other method
 * with an index touches that entry: a recorder notes it, a partial node throws IncompleteProof unless it is shown.
 */
export interface NodeView {
  readonly kind: MapKind;
  readonly level: number;
  readonly count: number;
  readonly total: number;
  /**
   * The first index whose key (last key, above level 0) is at or above `key`, or `count`. On a partial node: among the
   * shown entries. What makes that sound is that the algorithm then touches the entry before it, where FORMATS §4 asks.
   */
  seek(key: Uint8Array): number;
  /** The greatest key known to lie left of entry `index` in this node, or undefined. */
  keyBelow(index: number): Uint8Array | undefined;
  /** Key, or last key above level 0. A view. */
  key(index: number): Uint8Array;
  /** The encoded cell; level 0 only. A view. */
  cell(index: number): Uint8Array;
  /** Digest of the child; above level 0 only. A view. */
  childDigest(index: number): Digest;
  /** Keys below the child; above level 0 only. */
  childTotal(index: number): number;
  /** The entry's exact bytes. A view. */
  entryBytes(index: number): Uint8Array;
  /** Touches the entries first … end − 1 at once. */
  touch(first: number, end: number): void;
}

/**
 * A node before it is handed to an algorithm, with what is needed to hold it against a want; nothing here touches. The
 * comparisons make no views of bytes, of which each costs as much as hashing a block of them.
 */
export interface CheckableNode extends NodeView {
  readonly digest: Digest;
  hasDigest(digest: Digest): boolean;
  /** The lowest and highest keys that are known: first and last of a whole node, of the shown ones of a partial one. */
  readonly lowestKnownKey: Uint8Array | undefined;
  readonly highestKnownKey: Uint8Array | undefined;
  /** The same keys held against another: negative where they are below it. NaN where none is known. */
  compareLowestKnown(key: Uint8Array): number;
  compareHighestKnown(key: Uint8Array): number;
  /** True where the highest known key is that of the last entry. */
  readonly knowsLastKey: boolean;
}

/** A read algorithm in progress. Started by calling one of `get`, `scan`, …; run by a driver. */
export type Reader<T> = Generator<Want, T, NodeView>;
