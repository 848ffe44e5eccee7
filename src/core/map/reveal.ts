// The wire form of a partly shown node (FORMATS §4). Generated protobuf messages fit it once `total` is narrowed from a
// 64-bit integer to a number, at the edge (a value that does not fit 2^53 − 1 is a failed verification).

import { MAX_NODE_ENTRIES } from "../limits.js";

const ALL_INDICES: readonly (readonly number[])[] = Array.from({ length: MAX_NODE_ENTRIES + 1 }, (_, count) =>
  Object.freeze(Array.from({ length: count }, (_unused, index) => index)),
);

/** 0 … count − 1: the indices of a node that is shown whole, as nearly all of a scan are. Shared and frozen. */
export function allIndices(count: number): readonly number[] | undefined {
  return ALL_INDICES[count];
}

/** One partly shown node of a witness. From outside it is hostile until checked. */
export interface Reveal {
  readonly kind: number;
  readonly level: number;
  /** Entries in the node. */
  readonly count: number;
  /** Keys below the node. */
  readonly total: number;
  /** Positions of the shown entries, strictly ascending, below `count`. */
  readonly indices: readonly number[];
  /** The exact bytes of the shown entries, in the same order. */
  readonly entries: readonly Uint8Array[];
  /** 32 bytes for every maximal subtree that holds no shown entry, left to right. */
  readonly siblings: Uint8Array;
}
