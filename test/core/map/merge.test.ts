// Goal: a merge is what the table in its file says, key by key, and costs what the side that is taken in has changed.
// Method: random maps that came from one base, beside plain Maps as the model; nodes that are read are counted.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { compareBytes, toHex, utf8 } from "#src/core/bytes.js";
import type { Digest } from "#src/core/hashes.js";
import type { Edit, Entry, MapMerge } from "#src/core/map/index.js";
import { MapKind, NodeTable, buildMap, edit, merge, readSync } from "#src/core/map/index.js";
import { cellOf, numberedEntries } from "./support.js";

/** Values by key; absent: no such key. */
type Model = ReadonlyMap<string, string>;
/** A key's number, and its value or undefined to remove it. */
type Change = readonly [number: number, value: string | undefined];

const nameOf = (number: number): string => `key-${String(number).padStart(4, "0")}`;

function changed(model: Model, changes: readonly Change[]): Model {
  const result = new Map(model);
  for (const [number, value] of changes) {
    if (value === undefined) result.delete(nameOf(number));
    else result.set(nameOf(number), value);
  }
  return result;
}

function entriesOf(model: Model): Entry[] {
  return [...model]
    .map(([key, value]) => ({ key: utf8(key), cell: cellOf(value) }))
    .sort((a, b) => compareBytes(a.key, b.key));
}

class Maps {
  readonly source = new NodeTable();
  /** Nodes that were read. */
  reads = 0;

  build(model: Model): Digest {
    return buildMap(MapKind.state, entriesOf(model), this.source.add).root;
  }

  merge(roots: { base: Digest; ours: Digest; theirs: Digest }): MapMerge {
    const at = (root: Digest) => ({ kind: MapKind.state, root });
    const load = (digest: Digest) => {
      this.reads += 1;
      return this.source.load(digest);
    };
    return readSync(merge({ base: at(roots.base), ours: at(roots.ours), theirs: at(roots.theirs) }), { load });
  }

  edited(root: Digest, edits: readonly Edit[]): Digest {
    const result = readSync(edit({ kind: MapKind.state, root }, edits), this.source);
    for (const node of result.created) this.source.add(node);
    return result.root;
  }
}

/** The table, by its definition. */
function expected(base: Model, ours: Model, theirs: Model): { merged: Model; conflicts: string[] } {
  const merged = new Map(ours);
  const conflicts: string[] = [];
  for (const key of [...new Set([...base.keys(), ...ours.keys(), ...theirs.keys()])].sort()) {
    const [b, o, t] = [base.get(key), ours.get(key), theirs.get(key)];
    if (t === b || t === o) continue;
    if (o !== b) conflicts.push(key);
    else if (t === undefined) merged.delete(key);
    else merged.set(key, t);
  }
  return { merged, conflicts };
}

const change = fc.tuple(fc.nat(399), fc.constantFrom(undefined, "a", "b", "c"));
const changes = (most: number): fc.Arbitrary<Change[]> => fc.array(change, { maxLength: most });

describe("a merge", () => {
  it("is what the model makes of it, and the same map from either side", () => {
    fc.assert(
      fc.property(fc.nat(400), changes(60), changes(60), changes(20), (count, first, second, common) => {
        const base: Model = new Map(Array.from({ length: count }, (_, index) => [nameOf(index), `value ${index}`]));
        const ours = changed(changed(base, common), first);
        const theirs = changed(changed(base, common), second);
        const maps = new Maps();
        const roots = { base: maps.build(base), ours: maps.build(ours), theirs: maps.build(theirs) };
        const { edits, conflicts } = maps.merge(roots);
        const model = expected(base, ours, theirs);
        assert.deepEqual(
          conflicts.map(({ key }) => Buffer.from(key).toString()),
          model.conflicts,
        );
        for (const { key, base: before, ours: mine, theirs: other } of conflicts) {
          const name = Buffer.from(key).toString();
          for (const [cell, of] of [
            [before, base],
            [mine, ours],
            [other, theirs],
          ] as const) {
            const value = of.get(name);
            assert.deepEqual(cell && toHex(cell), value === undefined ? undefined : toHex(cellOf(value)));
          }
        }
        assert.equal(toHex(maps.edited(roots.ours, edits)), toHex(maps.build(model.merged)));
        // From the other side: with each side's own in conflicts, and with theirs taken, they meet.
        const back = maps.merge({ base: roots.base, ours: roots.theirs, theirs: roots.ours });
        assert.deepEqual(
          back.conflicts.map(({ key }) => toHex(key)),
          conflicts.map(({ key }) => toHex(key)),
        );
        const taken = [...back.edits, ...back.conflicts.map(({ key, theirs: cell }) => ({ key, cell }))];
        taken.sort((a, b) => compareBytes(a.key, b.key));
        assert.equal(toHex(maps.edited(roots.theirs, taken)), toHex(maps.build(model.merged)));
      }),
      { numRuns: 150 },
    );
  });

  it("of what only one side changed is that side, whichever it is", () => {
    const maps = new Maps();
    const base: Model = new Map(Array.from({ length: 300 }, (_, index) => [nameOf(index), "v"]));
    const other = changed(base, [
      [7, "w"],
      [8, undefined],
      [500, "x"],
    ]);
    const roots = { base: maps.build(base), other: maps.build(other) };
    const forward = maps.merge({ base: roots.base, ours: roots.base, theirs: roots.other });
    assert.deepEqual(maps.edited(roots.base, forward.edits), roots.other);
    for (const theirs of [roots.base, roots.other]) {
      assert.deepEqual(maps.merge({ base: roots.base, ours: roots.other, theirs }), { edits: [], conflicts: [] });
    }
  });

  it("reads what theirs changed, not what ours did", () => {
    const maps = new Maps();
    const entries = numberedEntries({ count: 20_000 });
    const base = buildMap(MapKind.state, entries, maps.source.add).root;
    const ours = maps.edited(
      base,
      entries.filter((_, index) => index % 2 === 0).map(({ key }) => ({ key, cell: cellOf("o") })),
    );
    const theirs = maps.edited(base, [{ key: entries[4_001]!.key, cell: cellOf("t") }]);
    const { edits, conflicts } = maps.merge({ base, ours, theirs });
    assert.deepEqual([edits.length, conflicts.length], [1, 0]);
    assert.ok(maps.reads < 30, `${maps.reads} nodes`);
    // What is handed out holds none of the nodes.
    assert.equal(edits[0]!.key.buffer.byteLength, edits[0]!.key.length);
  });
});
