// The entries of a range (FORMATS §4): each one in it, the successor or the end, and the predecessor unless `from` is
// itself present, so that nothing can be left out.
//
// The walk declares what it needs of a node when it opens it, and settles the predecessor on the way down the left edge,
// before it emits for the first time: from then on every reveal is complete when the next node is asked for, and a
// server can send it. Both sides hold one node a level.
import { compareBytes } from "../bytes.js";
import type { Digest } from "../hashes.js";
import { touchLast } from "./get.js";
import type { Entry, KeyRange, MapAt, NodeView, Reader, Want } from "./view.js";
import type { OpenNode } from "./want.js";
import { childWant, requireRange, rootWant } from "./want.js";

/** A node whose children are being walked. */
interface Step extends OpenNode {
  /** The child to open next. */
  next: number;
  /** Behind the last child to open. */
  readonly end: number;
}

/** Entries of one leaf, one behind the other. A proof is made of the leaf, so a server needs no object an entry. */
export class EntryRun {
  readonly #node: NodeView;
  readonly #first: number;
  readonly #end: number;

  constructor(node: NodeView, first: number, end: number) {
    this.#node = node;
    this.#first = first;
    this.#end = end;
  }

  /** Appends the entries to a list, in order. */
  collect(list: Entry[]): void {
    for (let index = this.#first; index < this.#end; index += 1) {
      list.push({ key: this.#node.key(index), cell: this.#node.cell(index) });
    }
  }
}

/** The entries of several runs. */
export function entriesOfRuns(runs: readonly EntryRun[]): Entry[] {
  const entries: Entry[] = [];
  for (const run of runs) run.collect(entries);
  return entries;
}

/**
 * Hands the entries of the range to `onRun` in order, the shown part of a leaf at a time; a call may bring none.
 * After the first call, and when the reader is done, all nodes read so far have been touched as much as they ever will.
 * @throws Malformed - a bad range
 */
export function* scan(map: MapAt, range: KeyRange, onRun: (run: EntryRun) => void): Reader<void> {
  requireRange(range);
  const { from, to } = range;
  const path: Step[] = [];
  let want: Want | undefined = rootWant(map);
  // The entry left of the left edge, as deep as there is one; unsettled until the first leaf.
  let left: { readonly node: NodeView; readonly index: number } | undefined;
  let isOnLeftEdge = true;
  while (want !== undefined) {
    const node = yield want;
    const first = isOnLeftEdge && from.length > 0 ? node.seek(from) : 0;
    if (first === node.count) {
      touchLast(node);
      onRun(new EntryRun(node, first, first));
      return;
    }
    if (isOnLeftEdge && first > 0) left = { node, index: first - 1 };
    const successor: number = to === undefined ? node.count : node.seek(to);
    const end = Math.min(successor + 1, node.count);
    node.touch(first, end);
    if (node.level > 0) {
      path.push({ node, want, next: first, end });
    } else {
      if (isOnLeftEdge && from.length > 0 && compareBytes(node.key(first), from) !== 0) {
        left?.node.touch(left.index, left.index + 1);
      }
      isOnLeftEdge = false;
      onRun(new EntryRun(node, first, successor));
      if (successor < node.count) return;
    }
    want = nextChild(path);
  }
}

/** The next node in order, leaving those that are done. */
function nextChild(path: Step[]): Want | undefined {
  for (let step = path.at(-1); step !== undefined; step = path.at(-1)) {
    const { node, next, end } = step;
    if (next < end) {
      step.next += 1;
      return childWant(step, next, (limit) => digestsOf(node, next + 1, Math.min(end, next + 1 + limit)));
    }
    path.pop();
  }
  return undefined;
}

function digestsOf(node: NodeView, first: number, end: number): Digest[] {
  const digests: Digest[] = [];
  for (let index = first; index < end; index += 1) digests.push(node.childDigest(index));
  return digests;
}
