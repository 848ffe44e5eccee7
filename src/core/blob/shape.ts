// The shape of a blob's tree (FORMATS §5): where groups start and end, which pair of the outboard a node is.
//
// The hashed input is "blob:" and the content, so byte i of the blob is byte i + 5 of the input, and group g covers
// input bytes [16,384 g, 16,384 (g + 1)): the first group holds 16,379 bytes of the blob, and the last at least one
// byte of input. A subtree is named by its first group and its number of groups.
import { InvalidArgument } from "../errors.js";
import { BLOB_GROUP_BYTES, MAX_BLOB_BYTES } from "../limits.js";
import { tagPrefix } from "../hash/index.js";

/** What is hashed before the content. */
export const BLOB_PREFIX = tagPrefix("blob:");
const PREFIX_BYTES = BLOB_PREFIX.length;

/** Bytes of the interior node left ‖ right. */
export const PAIR_BYTES = 64;

/** Part of a blob: from byte `start` up to, not including, byte `end`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** What is wanted of a blob: one range, or several, ascending, none of which begins before the one before it ends. */
export type ByteRanges = ByteRange | readonly ByteRange[];

/** Groups from `first` on, `count` of them: one node of the tree. */
export interface Subtree {
  readonly first: number;
  readonly count: number;
}

/** Groups in the tree of a blob: at least 1, since the empty blob has its one empty group. */
export function groupCount(sizeBytes: number): number {
  return Math.ceil((sizeBytes + PREFIX_BYTES) / BLOB_GROUP_BYTES);
}

/** Bytes of the outboard of a blob: 64 for each interior node, 0 up to 16,379 bytes, then about 0.4 % of the blob. */
export function outboardBytes(sizeBytes: number): number {
  return (groupCount(sizeBytes) - 1) * PAIR_BYTES;
}

/** The blob bytes of a group. */
export function groupRange(groupIndex: number, sizeBytes: number): ByteRange {
  return {
    start: Math.max(0, groupIndex * BLOB_GROUP_BYTES - PREFIX_BYTES),
    end: Math.min(sizeBytes, (groupIndex + 1) * BLOB_GROUP_BYTES - PREFIX_BYTES),
  };
}

/** The group that holds a byte of the blob. */
export function groupOf(offset: number): number {
  return Math.floor((offset + PREFIX_BYTES) / BLOB_GROUP_BYTES);
}

/** The two halves of a subtree of two or more groups: the left one is the largest power of two below the whole. */
export function split(node: Subtree): { left: Subtree; right: Subtree } {
  const leftCount = 2 ** (31 - Math.clz32(node.count - 1));
  return {
    left: { first: node.first, count: leftCount },
    right: { first: node.first + leftCount, count: node.count - leftCount },
  };
}

/**
 * The place of an interior node in post-order, which is its place in the outboard. Before it come the nodes inside it,
 * count − 2, and those of the complete subtrees left of it: one subtree for each set bit of `first`, a node fewer than
 * groups in each. It does not depend on the size of the blob, so an outboard can be written while the blob arrives.
 */
export function pairIndex(node: Subtree): number {
  return node.first - setBits(node.first) + node.count - 2;
}

function setBits(value: number): number {
  let count = 0;
  for (let rest = value; rest !== 0; rest &= rest - 1) count += 1;
  return count;
}

/** @throws InvalidArgument - not an integer of 0 … MAX_BLOB_BYTES */
export function checkSize(sizeBytes: number): void {
  if (Number.isSafeInteger(sizeBytes) && sizeBytes >= 0 && sizeBytes <= MAX_BLOB_BYTES) return;
  throw new InvalidArgument(`a blob has 0 to ${MAX_BLOB_BYTES} bytes, not ${sizeBytes}`, { field: "size_bytes" });
}

/**
 * Checks the range of a slice: 0 ≤ start < end ≤ size, or [0, 0) of the empty blob.
 * @throws InvalidArgument - `field` is `size_bytes`, `start` or `end`
 */
export function checkRange(sizeBytes: number, range: ByteRange): void {
  checkSize(sizeBytes);
  const { start, end } = range;
  if (!Number.isSafeInteger(start) || start < 0 || (start >= sizeBytes && start !== 0)) {
    throw new InvalidArgument(`start ${start} is not an offset within a blob of ${sizeBytes} bytes`, {
      field: "start",
    });
  }
  const least = sizeBytes === 0 ? 0 : start + 1;
  if (!Number.isSafeInteger(end) || end < least || end > sizeBytes) {
    throw new InvalidArgument(`end ${end} is not within ${least} … ${sizeBytes}`, { field: "end" });
  }
}

/**
 * The ranges of a slice as a list: each as `checkRange` wants it, in ascending order, without a byte in two of them.
 * @throws InvalidArgument - `field` is `size_bytes`, `start` or `end`, of several `ranges[i].start` or `ranges[i].end`
 */
export function checkedRanges(sizeBytes: number, ranges: ByteRanges): readonly ByteRange[] {
  if (!isList(ranges)) {
    checkRange(sizeBytes, ranges);
    return [ranges];
  }
  if (ranges.length === 0) throw new InvalidArgument("ranges: at least one is wanted", { field: "ranges" });
  let previousEnd = 0;
  for (const [index, range] of ranges.entries()) {
    try {
      checkRange(sizeBytes, range);
    } catch (error) {
      if (!(error instanceof InvalidArgument) || error.field === "size_bytes") throw error;
      const field = `ranges[${index}].${error.field ?? "start"}`;
      throw new InvalidArgument(`ranges[${index}]: ${error.message}`, { field }, { cause: error });
    }
    const isEmptyAgain = index > 0 && range.start === range.end;
    if (range.start < previousEnd || isEmptyAgain) {
      const message = `ranges[${index}]: starts at ${range.start}, where the one before it ends at ${previousEnd}`;
      throw new InvalidArgument(message, { field: `ranges[${index}].start`, hint: "give them in ascending order" });
    }
    previousEnd = range.end;
  }
  return ranges;
}

function isList(ranges: ByteRanges): ranges is readonly ByteRange[] {
  return Array.isArray(ranges);
}
