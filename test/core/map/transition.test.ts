// Goal: over the nodes that an edit touches, verifyTransition comes to the root that a rebuild has, and knows what each key
// had before; anything else is refused. A map that a server built wrong on purpose, so that every hash holds, does not
// trip the editor. Method: random maps and edits beside a rebuild; then maps whose nodes end anywhere.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { compareBytes, toHex, utf8 } from "#src/core/bytes.js";
import { IncompleteProof, Malformed, VerificationFailed } from "#src/core/errors.js";
import type { Digest } from "#src/core/hashes.js";
import type { Edit, Entry, MapAt, Reveal } from "#src/core/map/index.js";
import {
  MapKind,
  NodeTable,
  Recorder,
  buildMap,
  decodeNode,
  edit,
  readSync,
  verifyTransition,
} from "#src/core/map/index.js";
import { encodeChildEntry, encodeLeafEntry } from "#src/core/map/entry.js";
import { encodeNode } from "#src/core/map/node.js";
import { keysByRank } from "./keys.js";
import { cellOf, numberedEntries, sampleMap } from "./support.js";

function prove(map: MapAt, source: NodeTable, edits: readonly Edit[]): Reveal[] {
  const recorder = new Recorder();
  readSync(edit(map, edits), source, recorder);
  return [...recorder.reveals()];
}

function rebuilt(entries: readonly Entry[], edits: readonly Edit[]): Digest {
  const cells = new Map(entries.map((entry) => [toHex(entry.key), entry]));
  for (const { key, cell } of edits) {
    if (cell === undefined) cells.delete(toHex(key));
    else cells.set(toHex(key), { key, cell });
  }
  const sorted = [...cells.values()].sort((a, b) => compareBytes(a.key, b.key));
  return buildMap(MapKind.state, sorted, () => undefined).root;
}

/** Edits of keys that a map of numbered keys has, or just behind them. */
function editsOf(picks: readonly (readonly [number, boolean, boolean])[]): Edit[] {
  const edits = new Map<string, Edit>();
  for (const [number, isBehind, isDelete] of picks) {
    const key = utf8(`key-${String(number).padStart(6, "0")}${isBehind ? "x" : ""}`);
    edits.set(toHex(key), { key, cell: isDelete ? undefined : cellOf(`${number} ${isBehind}`) });
  }
  return [...edits.values()].sort((a, b) => compareBytes(a.key, b.key));
}

const picks = (most: number): fc.Arbitrary<[number, boolean, boolean][]> =>
  fc.array(fc.tuple(fc.nat(most), fc.boolean(), fc.boolean()), { maxLength: 30 });

describe("a transition", () => {
  it("comes to the root of a rebuild, and tells what was there before", () => {
    fc.assert(
      fc.property(fc.nat(900), picks(900), (count, chosen) => {
        const map = sampleMap(numberedEntries({ count }));
        const edits = editsOf(chosen);
        const shown = verifyTransition(map, edits, [prove(map, map.source, edits)]);
        assert.equal(toHex(shown.root), toHex(rebuilt(map.entries, edits)));
        const cells = new Map(map.entries.map(({ key, cell }) => [toHex(key), toHex(cell)]));
        assert.deepEqual(
          shown.cellsBefore.map((cell) => cell && toHex(cell)),
          edits.map(({ key }) => cells.get(toHex(key))),
        );
      }),
      { numRuns: 60 },
    );
  });

  it("holds in runs of keys without boundaries too", () => {
    const keys = (keysByRank()[0] ?? []).slice(0, 600).sort(compareBytes);
    const entries = keys.filter((_, index) => index % 3 > 0).map((key) => ({ key, cell: cellOf("v") }));
    const map = sampleMap(entries);
    for (let first = 0; first < 60; first += 7) {
      const edits = keys
        .slice(first * 10, first * 10 + 9)
        .map((key, index) => ({ key, cell: index % 2 === 0 ? cellOf("w") : undefined }));
      const { root } = verifyTransition(map, edits, [prove(map, map.source, edits)]);
      assert.equal(toHex(root), toHex(rebuilt(map.entries, edits)));
    }
  });

  it("is refused with nodes missing, repeated, out of order, not whole, or of other edits", () => {
    const map = sampleMap(numberedEntries({ count: 3_000 }));
    const edits = editsOf([
      [17, false, true],
      [18, true, false],
      [2_500, false, false],
    ]);
    const reveals = prove(map, map.source, edits);
    const root = rebuilt(map.entries, edits);
    const wrong = [
      ...reveals.map((_, index) => reveals.toSpliced(index, 1)),
      ...reveals.map((reveal, index) => reveals.toSpliced(index, 0, reveal)),
      reveals.toReversed(),
      prove(map, map.source, edits.slice(1)),
      [],
    ];
    for (const [index, list] of wrong.entries()) {
      assert.throws(() => verifyTransition(map, edits, [list]), isRefusal, `wrong ${index}`);
    }
    const others = editsOf([[18, true, false]]);
    assert.throws(() => verifyTransition(map, others, [reveals]), isRefusal);
    // In pieces as well as at once.
    const pieces = reveals.map((reveal) => [reveal]);
    assert.equal(toHex(verifyTransition(map, edits, pieces).root), toHex(root));
    assert.throws(() => verifyTransition(map, edits.toReversed(), pieces), Malformed);
  });
});

function isRefusal(error: unknown): boolean {
  assert.ok(error instanceof VerificationFailed || error instanceof IncompleteProof, String(error));
  return true;
}

/** A map whose nodes end anywhere: sizes are taken from the list, over and over. Hashes, order and totals are right. */
function misbuilt(entries: readonly Entry[], sizes: readonly number[]): { map: MapAt; source: NodeTable } {
  const source = new NodeTable();
  let level = 0;
  let next = 0;
  let row = entries.map(({ key, cell }) => ({ key, bytes: encodeLeafEntry(key, cell), total: 1 }));
  for (;;) {
    const above: typeof row = [];
    for (let first = 0; first < row.length;) {
      // Small nodes alone would never come to a root.
      const size = level > 8 ? 64 : Math.min(1 + (sizes[next % sizes.length] ?? 0), 64);
      next += 1;
      const own = row.slice(first, first + size);
      first += size;
      const total = own.reduce((sum, entry) => sum + entry.total, 0);
      const content = { kind: MapKind.state, level, total, entries: own.map(({ bytes }) => bytes) };
      const node = decodeNode(encodeNode(content));
      source.add(node);
      const lastKey = own.at(-1)!.key;
      above.push({ key: lastKey, bytes: encodeChildEntry({ lastKey, digest: node.digest, total }), total });
      if (own.length === row.length && (level === 0 || own.length > 1)) {
        return { map: { kind: MapKind.state, root: node.digest }, source };
      }
    }
    row = above;
    level += 1;
  }
}

describe("a map that was not built as its keys say", () => {
  it("is edited all the same, alike by server and writer, without an error and soon", () => {
    const sizes = fc.oneof(
      fc.array(fc.nat(63), { minLength: 1, maxLength: 20 }),
      fc.array(fc.nat(3), { minLength: 1, maxLength: 20 }).map((list) => [...list, 1]),
      fc.constant([63]),
    );
    const pools = keysByRank();
    const mix = fc.constantFrom([0], [0, 0, 0, 0, 1], [0, 1, 2, 3], [1], [2, 3], [0, 3]);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 700 }), mix, sizes, picks(700), (count, ranks, chosenSizes, chosen) => {
        const keys = Array.from({ length: count }, (_, index) => {
          const pool = pools[ranks[index % ranks.length]!]!;
          return pool[(index * 7) % pool.length]!;
        });
        const sorted = [...new Map(keys.map((key) => [toHex(key), key])).values()].sort(compareBytes);
        const { map, source } = misbuilt(
          sorted.map((key) => ({ key, cell: cellOf("v") })),
          chosenSizes,
        );
        const picked = new Map<string, Edit>();
        for (const [number, isBehind, isDelete] of chosen) {
          const near = sorted[number % sorted.length]!;
          const key = isBehind ? Uint8Array.from([...near, 1]) : near;
          picked.set(toHex(key), { key, cell: isDelete ? undefined : cellOf(String(number)) });
        }
        const edits = [...picked.values()].sort((a, b) => compareBytes(a.key, b.key));
        const startMs = performance.now();
        const recorder = new Recorder();
        const { root } = readSync(edit(map, edits), source, recorder);
        assert.deepEqual(verifyTransition(map, edits, [[...recorder.reveals()]]).root, root);
        assert.ok(performance.now() - startMs < 2_000);
      }),
      { numRuns: 250 },
    );
  });
});
