// What differs between two maps (FORMATS §4): both are walked side by side, and subtrees with equal digests are skipped
// on both sides.
//
// Nodes end where keys say, not where history was, so after a change the two walks come to equal subtrees again a node
// or two later: the cost is that of the changed paths, not of the maps. All entries of a node that is opened are part of
// the proof; a skipped subtree is proved equal by the two entries that name it.
import { compareBytes, equalBytes } from "../bytes.js";
import { assert } from "../errors.js";
import type { MapAt, NodeView, Reader, Want } from "./view.js";
import type { OpenNode } from "./want.js";
import { childWant, rootWant } from "./want.js";

/** A key whose cell is not the same in both maps. Undefined where a map does not hold the key. Views: copy to keep. */
export interface MapChange {
  readonly key: Uint8Array;
  readonly before: Uint8Array | undefined;
  readonly after: Uint8Array | undefined;
}

/** Two maps of one kind, or of any two. */
export interface MapPair {
  readonly before: MapAt;
  readonly after: MapAt;
}

/**
 * Hands every change to `onChanges` in order of key, a few at a time. Wants are of side 0 for `before` and of side 1 for
 * `after`. All that was read so far is settled whenever the next node is asked for.
 */
export function* diff(pair: MapPair, onChanges: (changes: readonly MapChange[]) => void): Reader<void> {
  const { before, after } = pair;
  if (before.kind === after.kind && equalBytes(before.root, after.root)) return;
  const left = new Walk();
  const right = new Walk();
  yield* left.open(rootWant(before, 0));
  yield* right.open(rootWant(after, 1));
  let changes: MapChange[] = [];
  while (!left.isDone || !right.isDone) {
    if (left.isAtSameSubtree(right)) {
      left.advance();
      right.advance();
    } else if (left.level < 0 && right.level < 0) {
      const change = nextChange(left, right);
      if (change !== undefined) changes.push(change);
    } else {
      if (changes.length > 0) onChanges(changes);
      changes = [];
      // The higher subtree first, so that two of one level meet and can be compared.
      const level = Math.max(left.level, right.level);
      if (left.level === level) yield* left.descend();
      if (right.level === level) yield* right.descend();
    }
  }
  if (changes.length > 0) onChanges(changes);
}

/** Both walks are at an entry of level 0, or done: passes the lower key, or both, and returns what differs. */
function nextChange(left: Walk, right: Walk): MapChange | undefined {
  const order = left.isDone ? 1 : right.isDone ? -1 : compareBytes(left.key, right.key);
  const key = order <= 0 ? left.key : right.key;
  const before = order <= 0 ? left.takeCell() : undefined;
  const after = order >= 0 ? right.takeCell() : undefined;
  if (before !== undefined && after !== undefined && equalBytes(before, after)) return undefined;
  return { key, before, after };
}

interface Step extends OpenNode {
  index: number;
}

/** A walk over one map in order of key. It stands at an entry: of level 0, or of a subtree not yet entered. */
class Walk {
  readonly #path: Step[] = [];

  *open(want: Want): Reader<void> {
    const node = yield want;
    node.touch(0, node.count);
    this.#path.push({ node, want, index: 0 });
    this.#leaveFinished();
  }

  get isDone(): boolean {
    return this.#path.length === 0;
  }

  /** Level of the subtree that the walk stands at; −1 at an entry of level 0, or when done. */
  get level(): number {
    return (this.#path.at(-1)?.node.level ?? 0) - 1;
  }

  get key(): Uint8Array {
    const { node, index } = this.#here();
    return node.key(index);
  }

  /** The cell here; the walk goes on. */
  takeCell(): Uint8Array {
    const { node, index } = this.#here();
    const cell = node.cell(index);
    this.advance();
    return cell;
  }

  isAtSameSubtree(other: Walk): boolean {
    if (this.level < 0 || this.level !== other.level) return false;
    const mine = this.#here();
    const theirs = other.#here();
    return (
      mine.want.kind === theirs.want.kind &&
      equalBytes(mine.node.childDigest(mine.index), theirs.node.childDigest(theirs.index))
    );
  }

  /** Enters the subtree here. */
  *descend(): Reader<void> {
    const step = this.#here();
    const { node, index } = step;
    const want = childWant(step, index, (limit) => digestsAhead(node, index + 1, limit));
    step.index += 1;
    yield* this.open(want);
  }

  /** Passes the entry here. */
  advance(): void {
    this.#here().index += 1;
    this.#leaveFinished();
  }

  #leaveFinished(): void {
    for (let step = this.#path.at(-1); step !== undefined && step.index === step.node.count; step = this.#path.at(-1)) {
      this.#path.pop();
    }
  }

  #here(): Step {
    const step = this.#path.at(-1);
    assert(step !== undefined, "a walk that is done is not asked where it is");
    return step;
  }
}

function digestsAhead(node: NodeView, first: number, limit: number): Uint8Array[] {
  const digests: Uint8Array[] = [];
  for (let index = first; index < node.count && digests.length < limit; index += 1)
    digests.push(node.childDigest(index));
  return digests;
}
