// What a slice consists of, in the order in which it is sent and checked (FORMATS §5): the pre-order walk over the
// subtrees that meet the range. The sender runs it to know what to read, the verifier to know what to expect.
//
//            P              The range lies in g1 and g2: the slice is P, A, g1, B, g2. Of A's children only g1 is
//          /   \            entered, of B's only g2; the other chaining value of each pair proves the rest.
//         A     B
//        / \   / \          Cost: 64 bytes for each node on the two edges of the range, and for each node inside it.
//       g0 g1 g2 g3
import {
  checkRange,
  groupCount,
  groupOf,
  groupRange,
  pairIndex,
  split,
  type ByteRange,
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

/** A group: bytes `start` to `end` of the blob, all of them, even where the range wants only some. */
export interface SliceGroup extends ByteRange {
  readonly kind: "group";
  readonly groupIndex: number;
  readonly isRoot: boolean;
}

export type SliceItem = SliceParent | SliceGroup;

/**
 * The items of the slice of a range, in order. The groups among them are consecutive bytes of the blob.
 * @throws InvalidArgument - the size or range is invalid (`field` is `size_bytes`, `start` or `end`); thrown at once
 */
export function slicePlan(sizeBytes: number, range: ByteRange): Generator<SliceItem, void, undefined> {
  checkRange(sizeBytes, range);
  return walk(sizeBytes, range);
}

function* walk(sizeBytes: number, range: ByteRange): Generator<SliceItem, void, undefined> {
  const root: Subtree = { first: 0, count: groupCount(sizeBytes) };
  const firstWanted = groupOf(range.start);
  // The empty range of the empty blob ends before byte 0, which is still in the one group that there is.
  const lastWanted = groupOf(range.end - 1);
  const meets = (node: Subtree): boolean => node.first <= lastWanted && firstWanted < node.first + node.count;

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
