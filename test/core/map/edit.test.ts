// Goal: an edit gives the bytes of a rebuild, names exactly the nodes that came and went, and touches only a few.
//
// Method: the slow twin of the editor is `buildMap` over the edited entries. Random maps and edits over pools of keys
// ground by rank (ordinary, boundary-free, boundary-heavy, mixed), with short keys and with long ones that the limit in
// bytes cuts; edits that are single, many, clustered, deletes to empty; then runs of sorted, reversed and hostile ones.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { compareBytes, toHex } from "#src/core/bytes.js";
import { IncompleteProof, Malformed } from "#src/core/errors.js";
import type { Digest } from "#src/core/hashes.js";
import type { Edit, Entry } from "#src/core/map/index.js";
import { MapKind, NodeTable, Recorder, edit, emptyMap, readSync, verifyWitness } from "#src/core/map/index.js";
import { rankOf } from "#src/core/map/place.js";
import { EditedMap } from "./edited-map.js";
import { MIXES, byPlace, drawKey, keysByRank, lengthen, placedKeys } from "./keys.js";
import { cellOf, numberedEntries } from "./support.js";

const CELLS = Array.from({ length: 8 }, (_, index) => cellOf(`cell ${index}`));

const unit = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const drawn = fc.record({ rank: unit, index: unit, cell: fc.integer({ min: 0, max: 7 }) });
const step = fc.record({
  fresh: fc.array(drawn, { maxLength: 12 }),
  /** Present keys, as a share of the map from a start: deleted, or given another value. */
  cluster: fc.record({ start: unit, length: fc.integer({ min: 0, max: 60 }), deletes: unit }),
});

function property(mix: readonly number[], options: { readonly isLong: boolean; readonly mostKeys: number }): void {
  const keyOf = (draw: { readonly rank: number; readonly index: number }): Uint8Array => {
    const key = drawKey(mix, draw, options.mostKeys * 2);
    return options.isLong ? lengthen(key) : key;
  };
  fc.assert(
    fc.property(
      fc.array(drawn, { maxLength: options.mostKeys, size: "max" }),
      fc.array(step, { minLength: 1, maxLength: 6 }),
      (initial, steps) => {
        const map = new EditedMap(initial.map((draw) => ({ key: keyOf(draw), cell: CELLS[draw.cell] ?? CELLS[0]! })));
        for (const { fresh, cluster } of steps) {
          const edits = new Map<string, Edit>();
          const present = map.entries();
          const start = Math.floor(cluster.start * present.length);
          for (const [index, { key }] of present.slice(start, start + cluster.length).entries()) {
            const isDelete = (index * 0.618) % 1 < cluster.deletes;
            edits.set(toHex(key), { key, cell: isDelete ? undefined : CELLS[index % 8] });
          }
          for (const draw of fresh) {
            const key = keyOf(draw);
            edits.set(toHex(key), { key, cell: draw.cell === 0 ? undefined : CELLS[draw.cell] });
          }
          map.apply([...edits.values()].sort((a, b) => compareBytes(a.key, b.key)));
        }
      },
    ),
    { numRuns: 100 },
  );
}

describe("edits equal rebuilds", () => {
  for (const [name, mix] of Object.entries(MIXES)) {
    it(`keys ${name}`, () => property(mix, { isLong: false, mostKeys: 400 }));
  }
  it("keys of up to 1,024 bytes", () => property([0.9, 0.1, 0, 0], { isLong: true, mostKeys: 120 }));

  it("sorted, then in reverse, key by key, from empty and back to empty", () => {
    const entries = numberedEntries({ count: 150 });
    const map = new EditedMap([]);
    for (const entry of entries) map.apply([entry]);
    for (const { key } of [...entries].reverse()) map.apply([{ key, cell: undefined }]);
    assert.equal(toHex(map.root), toHex(emptyMap(MapKind.state).digest));
    for (const entry of [...entries].reverse()) map.apply([entry]);
    for (const { key } of entries) map.apply([{ key, cell: undefined }]);
    assert.equal(toHex(map.root), toHex(emptyMap(MapKind.state).digest));
  });

  it("all keys deleted at once, and all put at once", () => {
    for (const pool of keysByRank()) {
      const entries = pool.slice(0, 300).map((key) => ({ key, cell: CELLS[0]! }));
      const map = new EditedMap(entries);
      const keys = map.entries().map(({ key }) => key);
      map.apply(keys.map((key) => ({ key, cell: undefined })));
      assert.equal(map.source.size, 1);
      map.apply(keys.map((key) => ({ key, cell: CELLS[1] })));
    }
  });

  it("edits without effect leave no trace", () => {
    const entries = numberedEntries({ count: 100 });
    const map = new EditedMap(entries);
    const before = map.root;
    const result = map.apply([...entries.slice(3, 9), { key: new Uint8Array([0xff]), cell: undefined }]);
    assert.deepEqual(result.root, before);
    assert.deepEqual([result.created, result.superseded, result.total], [[], [], 100]);
    assert.deepEqual(map.apply([]).root, before);
  });

  it("a changed value rewrites its path and reads nothing else", () => {
    const entries = numberedEntries({ count: 2000 });
    const map = new EditedMap(entries);
    const height = map.source.load(map.root).level + 1;
    for (let index = 0; index < entries.length; index += 97) {
      const result = map.apply([{ key: entries[index]!.key, cell: CELLS[index % 8] }]);
      assert.equal(result.created.length, height);
      assert.equal(map.reads, height);
    }
  });
});

describe("edits of long segments equal rebuilds", () => {
  // Segments of hundreds of entries, cut many times, are what settling and cutting are about. Keys of rank 0 make them at
  // level 0, keys of rank 1 at level 1, where each entry is a leaf of its own. Into them go and out of them come keys that
  // end segments, keys of the lowest places, neighbours, and whole stretches.
  const operation = fc.record({
    kind: fc.constantFrom(
      "insert",
      "insert lowest",
      "insert end",
      "delete",
      "delete lowest",
      "delete end",
      "delete stretch",
    ),
    at: unit,
    length: fc.integer({ min: 1, max: 70 }),
  });
  type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

  const shapes = [
    { name: "at level 0", rank: 0, most: 260, lengths: [0] },
    { name: "at level 1", rank: 1, most: 260, lengths: [0] },
    { name: "at level 0, cut by bytes", rank: 0, most: 60, lengths: [0, 400, 1024] },
    { name: "at level 0, cut by bytes and entries", rank: 0, most: 260, lengths: [0, 0, 0, 0, 300, 600] },
  ] as const;

  for (const { name, rank, most, lengths } of shapes) {
    it(name, () => {
      const pool = poolOf(rank, lengths);
      const ends = poolOf(rank + 1, [0]).slice(0, 60);
      fc.assert(
        fc.property(
          fc.integer({ min: 0, max: most }),
          fc.integer({ min: 0, max: 400 }),
          fc.integer({ min: 0, max: 4 }),
          fc.array(fc.array(operation, { minLength: 1, maxLength: 3 }), { minLength: 4, maxLength: 10, size: "max" }),
          (count, skip, endCount, rounds) => {
            const keys = [...pool.slice(skip, skip + count), ...ends.slice(skip % 50, (skip % 50) + endCount)];
            const map = new EditedMap(keys.map((key) => ({ key, cell: CELLS[0]! })));
            for (const operations of rounds) {
              const edits = new Map<string, Edit>();
              for (const one of operations) {
                for (const edit of editsOf(one, { present: map.entries(), pool, ends }))
                  edits.set(toHex(edit.key), edit);
              }
              map.apply([...edits.values()].sort((a, b) => compareBytes(a.key, b.key)));
            }
          },
        ),
        { numRuns: 40 },
      );
    });
  }

  /** What an operation means for a map that holds these entries. */
  function editsOf(
    one: Operation,
    map: { present: readonly Entry[]; pool: readonly Uint8Array[]; ends: readonly Uint8Array[] },
  ): Edit[] {
    const { present, pool, ends } = map;
    const pick = <T>(list: readonly T[]): T[] => list.slice(Math.floor(one.at * list.length)).slice(0, 1);
    const endKeys = new Set(ends.map(toHex));
    switch (one.kind) {
      case "insert":
        return pick(pool).map((key) => ({ key, cell: CELLS[1] }));
      case "insert lowest":
        return pick(byPlace(pool).slice(0, 20)).map((key) => ({ key, cell: CELLS[2] }));
      case "insert end":
        return pick(ends).map((key) => ({ key, cell: CELLS[3] }));
      case "delete":
        return pick(present).map(({ key }) => ({ key, cell: undefined }));
      case "delete lowest": {
        const inner = present.map(({ key }) => key).filter((key) => !endKeys.has(toHex(key)));
        return pick(byPlace(inner).slice(0, 12)).map((key) => ({ key, cell: undefined }));
      }
      case "delete end":
        return pick(present.filter(({ key }) => endKeys.has(toHex(key)))).map(({ key }) => ({ key, cell: undefined }));
      default: {
        const start = Math.floor(one.at * present.length);
        return present.slice(start, start + one.length).map(({ key }) => ({ key, cell: undefined }));
      }
    }
  }
});

/** Keys of exactly one rank (3: or more), some made longer: those whose rank stays. */
function poolOf(rank: number, lengths: readonly number[]): Uint8Array[] {
  const keys = (keysByRank()[rank] ?? []).slice(0, 900).map((key, index) => {
    const length = Math.max(key.length, lengths[index % lengths.length] ?? 0);
    const long = new Uint8Array(length);
    long.set(key);
    return long;
  });
  return placedKeys(keys)
    .filter((placed) => Math.min(rankOf(placed), 3) === rank)
    .map(({ key }) => key);
}

describe("what one key costs in a run of 4,000 keys without a boundary", () => {
  const pool = keysByRank()[0]!;
  const run = pool.slice(0, 4000);
  const outside = pool.slice(4000, 12_000);
  const lowest = byPlace(outside).slice(0, 12);
  const entries = run.map((key) => ({ key, cell: CELLS[0]! })).sort((a, b) => compareBytes(a.key, b.key));

  function costs(keys: readonly Uint8Array[]): { mostCreated: number; mostReads: number } {
    const map = new EditedMap(entries);
    let mostCreated = 0;
    let mostReads = 0;
    for (const key of keys) {
      for (const cell of [CELLS[1], CELLS[2], undefined]) {
        const { created } = map.apply([{ key, cell }]);
        mostCreated = Math.max(mostCreated, created.length);
        mostReads = Math.max(mostReads, map.reads);
      }
    }
    return { mostCreated, mostReads };
  }

  it("any key: at most 12 nodes written, 24 read", (test) => {
    const { mostCreated, mostReads } = costs([...outside.slice(0, 20), ...run.slice(0, 20)]);
    test.diagnostic(`any of 40 keys: ${mostCreated} nodes written, ${mostReads} read at most`);
    assert.ok(mostCreated <= 12 && mostReads <= 24, `${mostCreated} written, ${mostReads} read`);
  });

  it("keys ground to the lowest places: the same", (test) => {
    const cuts = byPlace(run).slice(0, 12);
    const { mostCreated, mostReads } = costs([...lowest, ...cuts]);
    test.diagnostic(`any of 24 lowest keys: ${mostCreated} nodes written, ${mostReads} read at most`);
    assert.ok(mostCreated <= 12 && mostReads <= 24, `${mostCreated} written, ${mostReads} read`);
  });
});

describe("what edits read", () => {
  // Exact sums, so that a needless look at a neighbour shows. Fewer are welcome: then lower the numbers.
  const [low, ends] = keysByRank();
  const maps = {
    ordinary: { keys: numberedEntries({ count: 3000 }).map(({ key }) => key), puts: 360, deletes: 393 },
    "boundary-free": { keys: low!.slice(0, 1500), puts: 246, deletes: 315 },
    "of rank 1": { keys: ends!.slice(0, 1500), puts: 370, deletes: 574 },
  };
  for (const [name, { keys, puts, deletes }] of Object.entries(maps)) {
    it(`of a map with keys ${name}`, (test) => {
      const map = new EditedMap(keys.map((key) => ({ key, cell: CELLS[0]! })));
      let sumOfPuts = 0;
      let sumOfDeletes = 0;
      for (let index = 0; index < 120; index += 1) {
        const { key } = map.entries()[(index * 7919) % keys.length]!;
        map.apply([{ key, cell: undefined }]);
        sumOfDeletes += map.reads;
        map.apply([{ key, cell: CELLS[0] }]);
        sumOfPuts += map.reads;
      }
      test.diagnostic(`120 puts read ${sumOfPuts} nodes, 120 deletes ${sumOfDeletes}`);
      assert.ok(sumOfPuts <= puts && sumOfDeletes <= deletes, `${sumOfPuts} and ${sumOfDeletes}`);
    });
  }
});

describe("edits refuse", () => {
  const at = { kind: MapKind.state, root: emptyMap(MapKind.state).digest };
  const source = new NodeTable();
  source.add(emptyMap(MapKind.state));
  const [first, second] = numberedEntries({ count: 2 });
  const refused: Readonly<Record<string, readonly Edit[]>> = {
    "keys out of order": [second!, first!],
    "a key twice": [first!, first!],
    "an empty key": [{ key: new Uint8Array(0), cell: undefined }],
    "a key of 1,025 bytes": [{ key: new Uint8Array(1025), cell: CELLS[0] }],
    "a cell that is not a list": [{ key: first!.key, cell: new Uint8Array([0xa0]) }],
    "a cell of 257 bytes": [{ key: first!.key, cell: new Uint8Array([0x81, 0x58, 0xfe, ...new Uint8Array(254)]) }],
    "a cell with trailing bytes": [{ key: first!.key, cell: new Uint8Array([0x80, 0x00]) }],
  };
  for (const [name, edits] of Object.entries(refused)) {
    it(name, () => assert.throws(() => readSync(edit(at, edits), source), Malformed));
  }

  it("a transition witness that hides an entry", () => {
    const map = new EditedMap(numberedEntries({ count: 40 }));
    const recorder = new Recorder();
    const reader = edit({ kind: MapKind.state, root: map.root }, [{ key: first!.key, cell: CELLS[1] }]);
    readSync(reader, map.source, recorder);
    const whole = [...recorder.reveals()];
    const hidden = whole.map((reveal, position) => {
      if (position < whole.length - 1) return reveal;
      const indices = reveal.indices.slice(1);
      const siblings = map.source.load(leafUnder(map)).tree.siblings(indices);
      return { ...reveal, indices, entries: reveal.entries.slice(1), siblings };
    });
    const again = edit({ kind: MapKind.state, root: map.root }, [{ key: first!.key, cell: CELLS[1] }]);
    assert.throws(() => verifyWitness(again, hidden), IncompleteProof);
  });
});

/** Digest of the leftmost leaf. */
function leafUnder(map: EditedMap): Digest {
  let node = map.source.load(map.root);
  while (node.level > 0) node = map.source.load(node.childDigest(0));
  return node.digest;
}
