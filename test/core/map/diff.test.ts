// Goal: a diff names every change and no other, proves it, and reads only what changed. Method: the slow twin compares
// two sorted arrays; random pairs of maps, related by edits or not; both witnesses are verified in pieces, and changed.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { compareBytes, toHex } from "#src/core/bytes.js";
import { IncompleteProof, VerificationFailed } from "#src/core/errors.js";
import type { AsyncNodeSource, DiffPart, Entry, MapChange, NodeSource, Reveal } from "#src/core/map/index.js";
import { DiffVerifier, MapKind, diff, diffSync, proveDiffAsync, proveDiffSync, readSync } from "#src/core/map/index.js";
import { MIXES, drawKey } from "./keys.js";
import type { SampleMap } from "./support.js";
import { cellOf, numberedEntries, plain, sampleMap } from "./support.js";

const CELLS = Array.from({ length: 4 }, (_, index) => cellOf(`cell ${index}`));

interface Pair {
  readonly before: SampleMap;
  readonly after: SampleMap;
  readonly source: NodeSource;
}

function pairOf(before: readonly Entry[], after: readonly Entry[]): Pair {
  const first = sampleMap(before);
  const second = sampleMap(after);
  const source = { load: (digest: Uint8Array) => first.source.find(digest) ?? second.source.load(digest) };
  return { before: first, after: second, source };
}

function compare({ before, after }: Pair): MapChange[] {
  const changes = new Map<string, MapChange>();
  for (const { key, cell } of before.entries) changes.set(toHex(key), { key, before: cell, after: undefined });
  for (const { key, cell } of after.entries) {
    changes.set(toHex(key), { key, before: changes.get(toHex(key))?.before, after: cell });
  }
  return [...changes.values()]
    .filter((change) => !change.before || !change.after || compareBytes(change.before, change.after) !== 0)
    .sort((a, b) => compareBytes(a.key, b.key));
}

function check(pair: Pair): DiffPart[] {
  const expected = compare(pair);
  assert.deepEqual([...diffSync(pair.source, pair)].flat(), expected);
  const parts = [...proveDiffSync(pair.source, pair)];
  const verifier = new DiffVerifier(pair);
  for (const part of parts) assert.deepEqual(verifier.push(part), part.changes);
  assert.ok(verifier.isComplete);
  verifier.finish();
  assert.deepEqual(
    parts.flatMap(({ changes }) => changes),
    expected,
  );
  return parts;
}

describe("diffs", () => {
  const draw = fc.record({
    rank: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    index: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    cell: fc.nat({ max: 3 }),
  });
  for (const [name, mix] of Object.entries(MIXES)) {
    it(`of maps with keys ${name}`, () => {
      const entriesOf = (draws: readonly { rank: number; index: number; cell: number }[]): Entry[] => {
        const entries = draws.map((one) => ({ key: drawKey(mix, one, 600), cell: CELLS[one.cell]! }));
        const unique = new Map(entries.map((entry) => [toHex(entry.key), entry]));
        return [...unique.values()].sort((a, b) => compareBytes(a.key, b.key));
      };
      fc.assert(
        fc.property(
          fc.array(draw, { maxLength: 400, size: "max" }),
          fc.array(draw, { maxLength: 20 }),
          fc.array(draw, { maxLength: 20 }),
          (common, before, after) => {
            check(pairOf(entriesOf([...common, ...before]), entriesOf([...common, ...after])));
            check(pairOf(entriesOf(before), entriesOf([...before, ...common])));
          },
        ),
        { numRuns: 20 },
      );
    });
  }

  it("of equal maps read nothing and show nothing", () => {
    const entries = numberedEntries({ count: 100 });
    assert.deepEqual(check(pairOf(entries, entries)), []);
  });

  it("from and to the empty map name every key", () => {
    const entries = numberedEntries({ count: 100 });
    check(pairOf([], entries));
    check(pairOf(entries, []));
  });

  it("of two kinds compare cells all the same", () => {
    const entries = numberedEntries({ count: 30 });
    const before = sampleMap(entries, MapKind.state);
    const after = sampleMap(entries, MapKind.ledger);
    const source = { load: (digest: Uint8Array) => before.source.find(digest) ?? after.source.load(digest) };
    assert.deepEqual([...diffSync(source, { before, after })].flat(), []);
    const found: MapChange[] = [];
    readSync(
      diff({ before, after }, (changes) => found.push(...changes)),
      source,
    );
    assert.deepEqual(found, []);
  });

  it("of one change among 20,000 keys read two paths", () => {
    const entries = numberedEntries({ count: 20_000 });
    for (const position of [0, 777, 12_345, 19_999]) {
      const changed = entries.map((entry, index) => (index === position ? { ...entry, cell: CELLS[1]! } : entry));
      const pair = pairOf(entries, changed);
      const height = pair.before.source.load(pair.before.root).level + 1;
      const parts = check(pair);
      assert.equal(parts.flatMap(({ before, after }) => [...before, ...after]).length, 2 * height);
    }
  });

  it("of one key more or less read little more", () => {
    const entries = numberedEntries({ count: 20_000 });
    for (let position = 0; position < 20_000; position += 1999) {
      const pair = pairOf(
        entries,
        entries.filter((_, index) => index !== position),
      );
      const reveals = check(pair).flatMap(({ before, after }) => [...before, ...after]);
      assert.ok(reveals.length <= 20, `${reveals.length} nodes`);
    }
  });

  it("run over a source that takes waiting for", async () => {
    const pair = pairOf(numberedEntries({ count: 900 }), numberedEntries({ count: 1000 }));
    const source: AsyncNodeSource = {
      loadMany: (digests) => Promise.resolve(digests.map((digest) => pair.source.load(digest, MapKind.state))),
    };
    const verifier = new DiffVerifier(pair);
    const found: MapChange[] = [];
    for await (const part of proveDiffAsync(source, pair)) found.push(...verifier.push(part));
    verifier.finish();
    assert.deepEqual(found, compare(pair));
  });
});

describe("changed proofs of a diff", () => {
  const entries = numberedEntries({ count: 300 });
  const pair = pairOf(
    entries,
    entries.flatMap((entry, index) =>
      index % 97 === 5 ? [] : index % 89 === 7 ? [{ ...entry, cell: CELLS[2]! }] : [entry],
    ),
  );
  const parts = [...proveDiffSync(pair.source, pair)];
  const before = parts.flatMap((part) => part.before);
  const after = parts.flatMap((part) => part.after);

  function verify(piece: { before: readonly Reveal[]; after: readonly Reveal[] }): MapChange[] {
    const verifier = new DiffVerifier(pair);
    const changes = verifier.push(piece);
    verifier.finish();
    return changes;
  }

  const refused = (action: () => unknown): void =>
    assert.throws(action, (error) => error instanceof VerificationFailed || error instanceof IncompleteProof);

  it("all at once: accepted", () => assert.deepEqual(verify({ before, after }), compare(pair)));

  it("a reveal dropped, repeated or on the wrong side", () => {
    for (const [index, reveal] of before.entries()) {
      refused(() => verify({ before: before.toSpliced(index, 1), after }));
      refused(() => verify({ before: before.toSpliced(index, 0, reveal), after }));
      refused(() => verify({ before: before.toSpliced(index, 1), after: after.toSpliced(index, 0, reveal) }));
    }
    for (const index of after.keys()) refused(() => verify({ before, after: after.toSpliced(index, 1) }));
    refused(() => verify({ before: after, after: before }));
    refused(() => verify({ before: [], after: [] }));
  });

  it("an entry hidden", () => {
    for (const [index, reveal] of after.entries()) {
      for (const hidden of [0, reveal.count - 1]) {
        const node = pair.after.source.load(digestOf(pair.after, reveal));
        const indices = reveal.indices.toSpliced(hidden, 1);
        const changed = {
          ...reveal,
          indices,
          entries: reveal.entries.toSpliced(hidden, 1),
          siblings: node.tree.siblings(indices),
        };
        refused(() => verify({ before, after: after.with(index, changed) }));
      }
    }
  });

  it("a piece that holds a node back is refused, so that none pile up", () => {
    const verifier = new DiffVerifier(pair);
    refused(() => verifier.push({ before: before.slice(0, 2), after: [] }));
  });

  it("a bit flipped anywhere", () => {
    for (const [index, reveal] of before.entries()) {
      for (const [position, entry] of reveal.entries.entries()) {
        const changed = Uint8Array.from(entry);
        changed[position % entry.length] = (entry[position % entry.length] ?? 0) ^ 0x10;
        refused(() =>
          verify({ before: before.with(index, { ...reveal, entries: reveal.entries.with(position, changed) }), after }),
        );
      }
    }
  });
});

/** Digest of the node that a reveal shows whole. */
function digestOf(map: SampleMap, reveal: Reveal): Uint8Array {
  const wanted = JSON.stringify(plain([reveal]));
  const pending: Uint8Array[] = [map.root];
  for (let digest = pending.pop(); digest !== undefined; digest = pending.pop()) {
    const node = map.source.load(digest);
    const entries = Array.from({ length: node.count }, (_, index) => node.entryBytes(index));
    const { kind, level, count, total } = node;
    const indices = entries.map((_, index) => index);
    const whole = { kind, level, count, total, indices, entries, siblings: new Uint8Array(0) };
    if (JSON.stringify(plain([whole])) === wanted) return digest;
    for (let index = 0; level > 0 && index < count; index += 1) pending.push(node.childDigest(index));
  }
  throw new Error("no such node");
}
