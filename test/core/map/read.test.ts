// Goal: every read gives what the map holds, over stored nodes and over its own witness alike, and a witness shows no
// more than it must.
//
// Method: the slow twin is a sorted array. Random maps of every make (keys.ts), random keys and ranges that meet present
// keys, neighbours of present keys and anything; each answer is compared with the array's, then verified from its
// witness, whole and in pieces, and the async drivers are run beside the sync ones.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { compareBytes, toHex, utf8 } from "#src/core/bytes.js";
import { Corrupt, IncompleteProof, Malformed } from "#src/core/errors.js";
import type { AsyncNodeSource, Entry, KeyAnswer, KeyRange, Reveal } from "#src/core/map/index.js";
import {
  GetManyVerifier,
  MapKind,
  Recorder,
  ScanVerifier,
  count,
  decodeNode,
  get,
  getMany,
  proveScanAsync,
  proveScanSync,
  readAsync,
  readSync,
  scanAsync,
  selectKey,
  verifyWitness,
} from "#src/core/map/index.js";
import { MIXES, drawKey, lengthen } from "./keys.js";
import type { SampleMap } from "./support.js";
import { cellOf, numberedEntries, plain, prove, sampleMap, scanAll } from "./support.js";

const unit = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const draw = fc.record({ rank: unit, index: unit });
/** A key to ask for: near a present one, or drawn from the same pools, or any bytes. */
const question = fc.record({
  near: unit,
  shift: fc.integer({ min: 0, max: 5 }),
  draw,
  any: fc.uint8Array({ minLength: 1, maxLength: 8 }),
});
type Question = typeof question extends fc.Arbitrary<infer T> ? T : never;

class Model {
  readonly map: SampleMap;
  readonly entries: readonly Entry[];

  constructor(keys: readonly Uint8Array[]) {
    const unique = new Map(keys.map((key) => [toHex(key), key]));
    this.entries = [...unique.values()]
      .sort(compareBytes)
      .map((key, index) => ({ key, cell: cellOf(`cell ${index % 7}`) }));
    this.map = sampleMap(this.entries);
  }

  keyOf(asked: Question, mix: readonly number[]): Uint8Array {
    const near = this.entries[Math.floor(asked.near * this.entries.length)]?.key ?? asked.any;
    switch (asked.shift) {
      case 0:
        return near;
      case 1: // just above
        return near.length < 1024 ? Uint8Array.from([...near, 0]) : near;
      case 2: // just below, or nearly
        return near.length > 1 ? near.subarray(0, near.length - 1) : near;
      case 3:
        return drawKey(mix, asked.draw, 2000);
      case 4:
        return asked.draw.index < 0.5 ? Uint8Array.of(0) : Uint8Array.of(0xff, 0xff);
      default:
        return asked.any;
    }
  }

  find(key: Uint8Array): Uint8Array | undefined {
    return this.entries.find((entry) => compareBytes(entry.key, key) === 0)?.cell;
  }

  within(range: KeyRange): Entry[] {
    const { from, to } = range;
    return this.entries.filter(
      ({ key }) => compareBytes(key, from) >= 0 && (to === undefined || compareBytes(key, to) < 0),
    );
  }
}

function asyncSource(map: SampleMap): AsyncNodeSource {
  return { loadMany: (digests) => Promise.resolve(digests.map((digest) => map.source.load(digest))) };
}

async function checkGet(model: Model, key: Uint8Array): Promise<void> {
  const { map } = model;
  const { answer, reveals } = prove(map, get(map, key));
  assert.deepEqual(answer, model.find(key));
  assert.deepEqual(verifyWitness(get(map, key), reveals), answer);
  const recorder = new Recorder();
  assert.deepEqual(await readAsync(get(map, key), asyncSource(map), recorder), answer);
  assert.deepEqual(plain([...recorder.reveals()]), plain(reveals));
  assert.deepEqual(plain(collectMany(model, [key]).reveals), plain(reveals), "one key of several is the same witness");
}

function collectMany(model: Model, keys: readonly Uint8Array[]): { answers: KeyAnswer[]; reveals: Reveal[] } {
  const answers: KeyAnswer[] = [];
  const { reveals } = prove(
    model.map,
    getMany(model.map, keys, (answer) => answers.push(answer)),
  );
  return { answers, reveals };
}

function checkGetMany(model: Model, asked: readonly Uint8Array[]): void {
  const keys = [...new Map(asked.map((key) => [toHex(key), key])).values()].sort(compareBytes);
  const { answers, reveals } = collectMany(model, keys);
  assert.deepEqual(
    answers,
    keys.map((key, index) => ({ index, key, cell: model.find(key) })),
  );
  const verifier = new GetManyVerifier(model.map, keys);
  const verified = reveals.flatMap((reveal) => verifier.push([reveal]));
  verifier.finish();
  assert.deepEqual(verified, answers);
}

async function checkScan(model: Model, range: KeyRange): Promise<void> {
  const { map } = model;
  const expected = model.within(range);
  assert.deepEqual(scanAll(map, range), expected);
  const parts = [...proveScanSync(map.source, map, range)];
  assert.deepEqual(
    parts.flatMap((part) => part.entries()),
    expected,
  );
  // A part makes its own entries certain: each is verified no later than its part.
  const verifier = new ScanVerifier(map, range);
  for (const part of parts) assert.deepEqual(verifier.push(part.reveals), part.entries());
  assert.ok(verifier.isComplete);
  verifier.finish();

  const asyncParts = await collect(proveScanAsync(asyncSource(map), map, range));
  assert.deepEqual(plain(asyncParts.flatMap(({ reveals }) => reveals)), plain(parts.flatMap(({ reveals }) => reveals)));
  assert.deepEqual((await collect(scanAsync(asyncSource(map), map, range))).flat(), expected);
}

async function collect<T>(pieces: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const piece of pieces) all.push(piece);
  return all;
}

function checkCount(model: Model, range: KeyRange): void {
  const { map } = model;
  const { answer, reveals } = prove(map, count(map, range));
  assert.equal(answer, model.within(range).length);
  assert.equal(verifyWitness(count(map, range), reveals), answer);
}

function checkSelect(model: Model, from: Uint8Array, skip: number): void {
  const found = readSync(selectKey(model.map, { from, skip }), model.map.source);
  assert.deepEqual(found, model.within({ from })[skip]?.key);
}

describe("reads agree with a sorted array and with their witness", () => {
  for (const [name, mix] of Object.entries(MIXES)) {
    for (const isLong of name === "mixed" ? [false, true] : [false]) {
      it(`keys ${name}${isLong ? ", up to 1,024 bytes" : ""}`, async () => {
        await fc.assert(
          fc.asyncProperty(
            fc.array(draw, { maxLength: isLong ? 60 : 500, size: "max" }),
            fc.array(question, { minLength: 8, maxLength: 8 }),
            async (draws, questions) => {
              const keys = draws.map((one) => drawKey(mix, one, 1000));
              const model = new Model(isLong ? keys.map(lengthen) : keys);
              const asked = questions.map((one) => model.keyOf(one, mix));
              for (const key of asked) await checkGet(model, key);
              checkGetMany(model, asked);
              const none = new Uint8Array(0);
              const ranges: KeyRange[] = [{ from: none }];
              for (const [index, from] of asked.entries()) {
                const to = asked[(index + 1) % asked.length]!;
                ranges.push({ from }, { from: none, to });
                if (compareBytes(from, to) < 0) ranges.push({ from, to });
                checkSelect(model, from, index * index);
              }
              checkSelect(model, none, 3);
              for (const range of ranges) {
                await checkScan(model, range);
                checkCount(model, range);
              }
            },
          ),
          { numRuns: 12 },
        );
      });
    }
  }
});

describe("witnesses show no more than they must", () => {
  const map = sampleMap(numberedEntries({ count: 3000 }));
  const height = map.source.load(map.root).level + 1;
  const shown = (reveals: readonly Reveal[]): number[] => reveals.map(({ indices }) => indices.length);

  it("present: one entry a level", () => {
    for (const { key } of map.entries.slice(0, 500)) {
      assert.deepEqual(
        shown(prove(map, get(map, key)).reveals),
        Array.from({ length: height }, () => 1),
      );
    }
  });

  it("absent: one entry a level and the predecessor, or no predecessor before the first key", () => {
    for (const { key } of map.entries.slice(0, 500)) {
      const above = Uint8Array.from([...key, 0]);
      const { reveals } = prove(map, get(map, above));
      assert.equal(reveals.length, height);
      assert.equal(
        shown(reveals).reduce((sum, entries) => sum + entries),
        height + 1,
      );
    }
    assert.deepEqual(
      shown(prove(map, get(map, Uint8Array.of(0))).reveals),
      Array.from({ length: height }, () => 1),
    );
  });

  it("past the end: the last entry of the root alone", () => {
    const { reveals } = prove(map, get(map, utf8("zzz")));
    assert.deepEqual(shown(reveals), [1]);
    assert.equal(reveals[0]!.indices[0], reveals[0]!.count - 1);
  });

  it("a count of everything: no entry at all", () => {
    const { answer, reveals } = prove(map, count(map, { from: new Uint8Array(0) }));
    assert.deepEqual([answer, shown(reveals)], [3000, [0]]);
  });

  it("several keys: no node twice", () => {
    const keys = map.entries.filter((_, index) => index % 7 === 0).map(({ key }) => key);
    const { reveals } = prove(
      map,
      getMany(map, keys, () => undefined),
    );
    const seen = new Set(reveals.map((reveal) => JSON.stringify(plain([reveal]))));
    assert.equal(seen.size, reveals.length);
  });

  it("no keys: no reads", () => {
    assert.deepEqual(
      prove(
        map,
        getMany(map, [], () => undefined),
      ).reveals,
      [],
    );
    verifyWitness(
      getMany(map, [], () => undefined),
      [],
    );
  });
});

describe("streaming", () => {
  const map = sampleMap(numberedEntries({ count: 20_000 }));

  it("a scan holds a handful of reveals back, on both sides", () => {
    const verifier = new ScanVerifier(map, { from: utf8("key-000777x") });
    let entries = 0;
    for (const part of proveScanSync(map.source, map, { from: utf8("key-000777x") })) {
      assert.ok(part.reveals.length <= 2 * 6, `${part.reveals.length} reveals in one piece`);
      for (const reveal of part.reveals) entries += verifier.push([reveal]).length;
    }
    verifier.finish();
    assert.equal(entries, 20_000 - 778);
  });

  it("a consumer may stop early", () => {
    const parts = proveScanSync(map.source, map, { from: new Uint8Array(0) });
    assert.ok((parts.next().value?.entries().length ?? 0) > 0);
    parts.return();
    assert.equal(parts.next().done, true);
  });

  it("an async scan asks for several nodes at once", async () => {
    let asks = 0;
    const source: AsyncNodeSource = {
      loadMany: (digests) => {
        asks += 1;
        return Promise.resolve(digests.map((digest) => map.source.load(digest)));
      },
    };
    let entries = 0;
    for await (const piece of scanAsync(source, map, { from: new Uint8Array(0) })) entries += piece.length;
    assert.equal(entries, 20_000);
    assert.ok(asks < 250, `${asks} asks for about 1,300 nodes`);
  });

  it("keys asked for at once are read ahead", async () => {
    let asks = 0;
    const source: AsyncNodeSource = {
      loadMany: (digests) => {
        asks += 1;
        return Promise.resolve(digests.map((digest) => map.source.load(digest)));
      },
    };
    const keys = map.entries.filter((_, index) => index % 20 === 0).map(({ key }) => key);
    let found = 0;
    await readAsync(
      getMany(map, keys, ({ cell }) => (found += cell === undefined ? 0 : 1)),
      source,
    );
    assert.equal(found, 1000);
    assert.ok(asks < 200, `${asks} asks`);
  });
});

describe("bad questions", () => {
  const map = sampleMap(numberedEntries({ count: 20 }));
  const long = new Uint8Array(1025);
  const key = map.entries[3]!.key;
  const ignore = (): void => undefined;
  const questions = {
    "an empty key": () => prove(map, get(map, new Uint8Array(0))),
    "a key of 1,025 bytes": () => prove(map, get(map, long)),
    "keys out of order": () => prove(map, getMany(map, [key, map.entries[1]!.key], ignore)),
    "a key twice": () => prove(map, getMany(map, [key, key], ignore)),
    "an empty key among several": () => prove(map, getMany(map, [new Uint8Array(0)], ignore)),
    "a range from a key to itself": () => scanAll(map, { from: key, to: key }),
    "a range that goes down": () => prove(map, count(map, { from: key, to: map.entries[1]!.key })),
    "a range to the empty key": () => scanAll(map, { from: new Uint8Array(0), to: new Uint8Array(0) }),
    "a range from a key of 1,025 bytes": () => scanAll(map, { from: long }),
    "a range to a key of 1,025 bytes": () =>
      scanAll(map, { from: key, to: Uint8Array.from({ length: 1025 }, () => 0xff) }),
    "a selection that skips half a key": () => prove(map, selectKey(map, { from: key, skip: 0.5 })),
    "a selection that goes back": () => prove(map, selectKey(map, { from: key, skip: -1 })),
  };
  for (const [name, ask] of Object.entries(questions)) it(name, () => assert.throws(ask, Malformed));
});

describe("a store that lies", () => {
  const map = sampleMap(numberedEntries({ count: 500 }));
  const key = map.entries[300]!.key;

  it("a node under another's digest is corrupt", () => {
    const root = map.source.load(map.root);
    const source = { load: (): typeof root => root };
    assert.throws(() => readSync(get(map, key), source), Corrupt);
  });

  it("a child that is not what its parent says is corrupt, even with a digest taken on trust", () => {
    const root = map.source.load(map.root);
    const wrong = map.source.load(root.childDigest(0));
    const source = {
      load: (digest: Uint8Array) =>
        compareBytes(digest, map.root) === 0 ? root : decodeNode(wrong.stored, { digest }),
    };
    assert.throws(() => readSync(get(map, key), source), Corrupt);
  });

  it("a missing node is named", () => {
    map.source.delete(map.root);
    assert.throws(() => readSync(get(map, key), map.source), { code: "CORRUPT", facts: { hash: toHex(map.root) } });
    assert.throws(() => verifyWitness(get({ kind: MapKind.state, root: map.root }, key), []), IncompleteProof);
  });
});
