// What a writer checks (FORMATS §4): from the root that a map had, and the whole nodes that an edit of it touches, the
// same editor computes the root that the map has now. Nothing of it is taken from whoever made the change.
//
// The nodes come in the order in which the editor first touches them, each once. They also show what every edited key
// had before, present or absent, so that conditions on keys are checked on the way. A map that was not built as its keys
// say is edited into one that is not either: of that a transition shows nothing.
import { IncompleteProof, assert } from "../errors.js";
import type { MapRoot } from "../hashes.js";
import { digestName } from "./digest-name.js";
import type { Edit } from "./edit/edit.js";
import { edit } from "./edit/edit.js";
import { getMany } from "./get-many.js";
import type { Reveal } from "./reveal.js";
import { WitnessReader } from "./verify.js";
import type { MapAt, NodeView, Reader } from "./view.js";

/** What an edit made of a map. */
export interface Transition {
  readonly root: MapRoot;
  /** Keys in the edited map. */
  readonly total: number;
  /** The cell that each edited key had before, in the order of the edits; undefined where it was absent. */
  readonly cellsBefore: readonly (Uint8Array | undefined)[];
}

/**
 * Applies changes, in strictly ascending order of key, to a map of which a witness shows what they touch.
 * @throws VerificationFailed - a reveal breaks a rule, is not the node that comes next, or is not needed
 * @throws IncompleteProof - the witness does not show all that the edit touches, every entry of it
 * @throws Malformed - keys of the changes do not ascend strictly, or a key or cell is not valid
 */
export function verifyTransition(map: MapAt, edits: readonly Edit[], reveals: Iterable<readonly Reveal[]>): Transition {
  const witness = new WitnessReader(transition(map, edits));
  for (const batch of reveals) witness.push(batch);
  return witness.finish();
}

function* transition(map: MapAt, edits: readonly Edit[]): Reader<Transition> {
  const nodes = new Map<string, NodeView>();
  const { root, total } = yield* noting(edit(map, edits), nodes);
  return { root, total, cellsBefore: cellsOf(map, edits, nodes) };
}

/** The same read; what it is handed is noted by digest. */
function* noting<T>(reader: Reader<T>, nodes: Map<string, NodeView>): Reader<T> {
  let step = reader.next();
  while (step.done !== true) {
    const node = yield step.value;
    nodes.set(digestName(step.value.digest), node);
    step = reader.next(node);
  }
  return step.value;
}

/** Looks the keys up in nodes that have been held against their parents: an edit opens the path to each. */
function cellsOf(
  map: MapAt,
  edits: readonly Edit[],
  nodes: ReadonlyMap<string, NodeView>,
): readonly (Uint8Array | undefined)[] {
  const cells: (Uint8Array | undefined)[] = [];
  const keys = edits.map(({ key }) => key);
  const reader = getMany(map, keys, ({ cell }) => cells.push(cell));
  for (let step = reader.next(); step.done !== true;) {
    const node = nodes.get(digestName(step.value.digest));
    if (node === undefined) throw new IncompleteProof("the proof does not show what a key had before the change");
    step = reader.next(node);
  }
  assert(cells.length === edits.length, "every key is answered");
  return cells;
}
