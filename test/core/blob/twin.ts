// The slow twin of core/blob: the tree of FORMATS §5 as one recursion over the prefixed input, with nothing shared with
// the code under test but the chaining values of single groups and parents, which test/core/hash checks.
import { concatBytes, utf8 } from "#src/core/bytes.js";
import { groupChainingValue, parentChainingValue } from "#src/core/hash/index.js";
import type { ByteRange } from "#src/core/blob/index.js";

const GROUP = 16_384;
const PREFIX = 5;

export type TwinItem = { parent: Uint8Array } | { group: Uint8Array };

export interface TwinTree {
  readonly chainingValue: Uint8Array;
  /** Interior pairs, children before parents. */
  readonly postOrder: Uint8Array[];
  /** The items of the slice. */
  readonly slice: TwinItem[];
}

/** Hash, outboard and slice of a blob at once. */
export function twinTree(blob: Uint8Array, range: ByteRange): TwinTree {
  const input = concatBytes(utf8("blob:"), blob);
  const wanted = { start: range.start + PREFIX, end: range.end + PREFIX };

  const build = (start: number, end: number): TwinTree => {
    const isRoot = start === 0 && end === input.length;
    const meets = (wanted.start < end && start < wanted.end) || blob.length === 0;
    if (end - start <= GROUP) {
      const bytes = input.slice(start, end);
      const chainingValue = groupChainingValue(bytes, { groupIndex: start / GROUP, isRoot });
      const group = start === 0 ? bytes.slice(PREFIX) : bytes;
      return { chainingValue, postOrder: [], slice: meets ? [{ group }] : [] };
    }
    let leftBytes = GROUP;
    while (leftBytes * 2 < end - start) leftBytes *= 2;
    const left = build(start, start + leftBytes);
    const right = build(start + leftBytes, end);
    const parent = concatBytes(left.chainingValue, right.chainingValue);
    return {
      chainingValue: parentChainingValue(parent, { isRoot }),
      postOrder: [...left.postOrder, ...right.postOrder, parent],
      slice: meets ? [{ parent }, ...left.slice, ...right.slice] : [],
    };
  };
  return build(0, input.length);
}
