// Three-way merge of maps: what `theirs` changed since `base`, put on top of `ours`.
//
// Only what theirs changed is looked at: it is compared with base, skipping what both have, and of ours the paths to those
// keys are read. What ours changed besides costs nothing. So the cost is that of the smaller side, if the caller lets the
// side that changed less be theirs: the merged map is the same either way.
//
//   key in base, ours, theirs       ours stays, or
//   base  base  other               takes theirs
//   base  same  same                both made the same change
//   base  one   other               conflict: both changed it, each otherwise (removing it is a change too)
import { equalBytes } from "../bytes.js";
import { assert } from "../errors.js";
import type { MapChange } from "./diff.js";
import { diff } from "./diff.js";
import type { Edit } from "./edit/edit.js";
import { getMany } from "./get-many.js";
import type { MapAt, Reader } from "./view.js";

/** Three maps of one kind; `base` is what both others came from. */
export interface MapTriple {
  readonly base: MapAt;
  readonly ours: MapAt;
  readonly theirs: MapAt;
}

/** A key that both sides changed, each otherwise. Undefined where a map does not hold it. */
export interface MapConflict {
  readonly key: Uint8Array;
  readonly base: Uint8Array | undefined;
  readonly ours: Uint8Array | undefined;
  readonly theirs: Uint8Array | undefined;
}

/** What a merge comes to. All arrays are the caller's. */
export interface MapMerge {
  /** Changes that make ours the merged map, conflicts aside, strictly ascending by key: for `edit`. */
  readonly edits: readonly Edit[];
  /** Strictly ascending by key; none of them in `edits`. With `{ key, cell: theirs }` theirs would win. */
  readonly conflicts: readonly MapConflict[];
}

/**
 * Merges. Holds all that theirs changed. It reads three maps and wants have two sides, so it is for sources that find nodes
 * by digest, not for witnesses of two.
 */
export function* merge(maps: MapTriple): Reader<MapMerge> {
  const { base, ours, theirs } = maps;
  assert(base.kind === ours.kind && base.kind === theirs.kind, "maps of one kind are merged");
  const edits: Edit[] = [];
  const conflicts: MapConflict[] = [];
  if (equalBytes(ours.root, theirs.root)) return { edits, conflicts };
  const changes: MapChange[] = [];
  yield* diff({ before: base, after: theirs }, (found) => changes.push(...found.map(ownChange)));
  const keys = changes.map(({ key }) => key);
  yield* getMany(ours, keys, ({ index, cell }) => {
    const change = changes[index];
    assert(change !== undefined, "one answer for each key");
    const { key, before, after } = change;
    if (isSame(cell, before)) edits.push({ key, cell: after });
    else if (!isSame(cell, after)) conflicts.push({ key, base: before, ours: copyOf(cell), theirs: after });
  });
  return { edits, conflicts };
}

function ownChange({ key, before, after }: MapChange): MapChange {
  return { key: new Uint8Array(key), before: copyOf(before), after: copyOf(after) };
}

function copyOf(cell: Uint8Array | undefined): Uint8Array | undefined {
  return cell === undefined ? undefined : new Uint8Array(cell);
}

function isSame(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : equalBytes(a, b);
}
