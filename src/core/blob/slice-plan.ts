// What a slice consists of, in the order in which it is sent and checked (FORMATS §5): the pre-order walk over the
// subtrees that meet the range, or one of several ranges. The sender runs it to know what to read, the verifier to know what to expect.
//
//            P              The range lies in g1 and g2: the slice is P, A, g1, B, g2. Of A's children only g1 is
//          /   \            entered, of B's only g2; the other chaining value of each pair proves the rest.
//         A     B
//        / \   / \          Cost: 64 bytes for each node on the two edges of the range, and for each node inside it.
//       g0 g1 g2 g3
import {
  checkedRanges,
  groupCount,
  groupOf,
  groupRange,
  pairIndex,
  split,
  type ByteRange,
  type ByteRanges,
  type Subtree,
} from "./shape.js";

/** An interior node: 64 bytes, pair number `pairIndex` of the outboard. */
export interface SliceParent {
  readonly kind: "parent";
  readonly pairIndex: number;
  readonly isRoot: boolean;
  /** Which of its children the walk enters, left first. */
  readonly entersLeft: boolean;
  readonly entersRight: boolean;
}

/** A group: bytes `start` to `end` of the blob, all of them, even where the ranges want only some. */
export interface SliceGroup extends ByteRange {
  readonly kind: "group";
  readonly groupIndex: number;
  readonly isRoot: boolean;
}

export type SliceItem = SliceParent | SliceGroup;

/**
 * The items of the slice of a range, or of several, in order. The groups among them ascend, each once; those of one range
 * are consecutive bytes of the blob.
 * @throws InvalidArgument - the size or a range is invalid (`field` as of `checkedRanges`); thrown at once
 */
export function slicePlan(sizeBytes: number, ranges: ByteRanges): Generator<SliceItem, void, undefined> {
  return walk(sizeBytes, checkedRanges(sizeBytes, ranges));
}

function* walk(sizeBytes: number, ranges: readonly ByteRange[]): Generator<SliceItem, void, undefined> {
  const root: Subtree = { first: 0, count: groupCount(sizeBytes) };
  const meets = meeting(ranges);

  const waiting = [root];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    const isRoot = node === root;
    if (node.count === 1) {
      yield { kind: "group", groupIndex: node.first, isRoot, ...groupRange(node.first, sizeBytes) };
      continue;
    }
    const { left, right } = split(node);
    const entersLeft = meets(left);
    const entersRight = meets(right);
    yield { kind: "parent", pairIndex: pairIndex(node), isRoot, entersLeft, entersRight };
    if (entersRight) waiting.push(right);
    if (entersLeft) waiting.push(left);
  }
}

/** Whether a subtree meets one of the ranges. Takes the logarithm of their number. */
function meeting(ranges: readonly ByteRange[]): (node: Subtree) => boolean {
  const firstGroups = ranges.map(({ start }) => groupOf(start));
  // The empty range of the empty blob ends before byte 0, which is still in the one group that there is.
  const lastGroups = ranges.map(({ end }) => groupOf(end - 1));
  return (node) => {
    // The first range that does not end before the subtree begins.
    let low = 0;
    let high = lastGroups.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((lastGroups[middle] ?? 0) < node.first) low = middle + 1;
      else high = middle;
    }
    const firstGroup = firstGroups[low];
    return firstGroup !== undefined && firstGroup < node.first + node.count;
  };
}
