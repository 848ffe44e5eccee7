// How many keys a range holds, and which key is number n, by the totals in the entries above the leaves (FORMATS §4).
//
// A count rests on totals, which only a rebuild checks: whoever built the map could have written others.
import { compareBytes } from "../bytes.js";
import { Malformed } from "../errors.js";
import { touchLast } from "./get.js";
import type { KeyRange, MapAt, NodeView, Reader, Want } from "./view.js";
import { childWant, requireRange, rootWant } from "./want.js";

/** The two edges of the range, where a node is on them. */
interface Edges {
  /** Lower bound, undefined where the whole left part of the node counts. */
  readonly from: Uint8Array | undefined;
  readonly to: Uint8Array | undefined;
}

/** The entry left of the left edge, at the deepest level so far. */
interface LeftEntry {
  entry: { readonly node: NodeView; readonly index: number } | undefined;
}

/**
 * Keys in the range. Opens the paths to its two ends, and nothing for an end that is open: a count of everything shows
 * no entry at all.
 * @throws Malformed - a bad range
 */
export function* count(map: MapAt, range: KeyRange): Reader<number> {
  requireRange(range);
  const from = range.from.length > 0 ? range.from : undefined;
  const want = rootWant(map);
  if (from !== undefined || range.to !== undefined) {
    return yield* countBelow(want, { from, to: range.to }, { entry: undefined });
  }
  const root = yield want;
  return root.total;
}

function* countBelow(want: Want, edges: Edges, left: LeftEntry): Reader<number> {
  const node = yield want;
  const { from, to } = edges;
  const first = from === undefined ? 0 : node.seek(from);
  if (first === node.count) {
    touchLast(node);
    return 0;
  }
  const successor = to === undefined ? node.count : node.seek(to);
  if (from !== undefined && first > 0) left.entry = { node, index: first - 1 };
  node.touch(first, Math.min(successor + 1, node.count));
  if (node.level === 0) {
    if (from !== undefined && compareBytes(node.key(first), from) !== 0) {
      left.entry?.node.touch(left.entry.index, left.entry.index + 1);
    }
    return successor - first;
  }
  const open = { node, want };
  if (from !== undefined && first === successor) return yield* countBelow(childWant(open, first), edges, left);

  let sum = 0;
  let whole = first;
  if (from !== undefined) {
    sum += yield* countBelow(childWant(open, first), { from, to: undefined }, left);
    whole += 1;
  }
  for (; whole < successor; whole += 1) sum += node.childTotal(whole);
  if (successor < node.count) sum += yield* countBelow(childWant(open, successor), { from: undefined, to }, left);
  return sum;
}

/** Which key to select. */
export interface Selection {
  /** Where to start, included; empty: at the first key. */
  readonly from: Uint8Array;
  /** Keys to pass over. */
  readonly skip: number;
}

/**
 * The key with `skip` keys between it and `from`, or undefined where there is none. Lets a server fix where a page ends
 * before its first reveal: the page of n entries ends before `selectKey({ from, skip: n })`.
 * @throws Malformed - `from` over 1,024 bytes, or `skip` not a count
 */
export function* selectKey(map: MapAt, selection: Selection): Reader<Uint8Array | undefined> {
  const { from, skip } = selection;
  requireRange({ from });
  if (!Number.isSafeInteger(skip) || skip < 0) throw new Malformed(`cannot pass over ${skip} keys`);
  const found = yield* selectBelow(rootWant(map), from, skip);
  return typeof found === "number" ? undefined : found;
}

/** The key, or how many keys are still to be passed over behind this node. */
function* selectBelow(want: Want, from: Uint8Array | undefined, skip: number): Reader<Uint8Array | number> {
  const node = yield want;
  const first = from === undefined ? 0 : node.seek(from);
  if (node.level === 0) {
    const index = first + skip;
    return index < node.count ? node.key(index) : index - node.count;
  }
  let left = skip;
  for (let index = first; index < node.count; index += 1) {
    const isOnEdge = from !== undefined && index === first;
    if (!isOnEdge && node.childTotal(index) <= left) {
      left -= node.childTotal(index);
      continue;
    }
    const found = yield* selectBelow(childWant({ node, want }, index), isOnEdge ? from : undefined, left);
    if (typeof found !== "number") return found;
    left = found;
  }
  return left;
}
