// What every driver of the Store contract must do; `<driver>.test.ts` runs this over one driver.
//
// Goal: any two drivers can be exchanged under the engine. Method: the contract's sentences one by one, and then random
// batches against a model of plain Maps (the slow twin of a store).
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { TestContext } from "node:test";
import { setImmediate as eventTurn } from "node:timers/promises";
import fc from "fast-check";
import { concatBytes, toHex, u64be, utf8 } from "#src/core/bytes.js";
import { AssertionFailed, Conflict, Unavailable } from "#src/core/errors.js";
import { ConditionFailed, SPACES } from "#src/store/index.js";
import type { LogRange, Space, Store, WriteBatch } from "#src/store/index.js";

/** How to open a fresh, empty store for one test. The test closes it. */
export type OpenStore = (context: TestContext) => Promise<Store>;

/** `blobOverheadBytes`: what the files of two blobs, one of 100,000 bytes and one empty, hold beside contents and outboards. */
export function testConformance(driver: string, open: OpenStore, { blobOverheadBytes = 0 } = {}): void {
  describe(`store conformance: ${driver}`, () => {
    testRows(open);
    testConditions(open);
    testModel(open);
    testScans(open);
    testLargeBlobs(open, blobOverheadBytes);
    testUploads(open);
    testClose(open);
  });
}

const EMPTY = new Uint8Array(0);
const HOUR_MS = 60 * 60 * 1000;

/** A key of 32 bytes that begins with this number. */
function key(number: number): Uint8Array {
  const bytes = new Uint8Array(32);
  new DataView(bytes.buffer).setUint32(0, number);
  return bytes;
}

async function collect<T>(iterable: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of iterable) items.push(item);
  return items;
}

async function hexKeys(keys: AsyncIterable<Uint8Array>): Promise<string[]> {
  return (await collect(keys)).map((bytes) => toHex(bytes)).sort();
}

async function logIndices(store: Store, range?: LogRange): Promise<number[]> {
  return (await collect(store.scanLog(range))).map((row) => row.index);
}

function isFailure(expected: { index: number; actual: Uint8Array | undefined }): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof ConditionFailed && error instanceof Conflict);
    assert.equal(error.index, expected.index);
    assert.deepEqual(error.actual, expected.actual);
    assert.equal(error.facts["condition"], String(expected.index));
    return true;
  };
}

function testRows(open: OpenStore): void {
  it("keeps rows of each space apart and returns what was put", async (context) => {
    const store = await open(context);
    for (const [number, space] of SPACES.entries()) {
      const name = space === "log" ? u64be(7) : key(7);
      await store.write({ puts: [{ space, key: name, value: Uint8Array.of(number) }] });
    }
    for (const [number, space] of SPACES.entries()) {
      const name = space === "log" ? u64be(7) : key(7);
      assert.deepEqual(await store.getMany(space, [name]), [Uint8Array.of(number)]);
      if (store.sync === undefined) continue;
      assert.deepEqual(store.sync.get(space, name), Uint8Array.of(number));
      assert.equal(store.sync.has(space, name), true);
    }
    const { rows } = await store.usage();
    for (const space of SPACES) assert.equal(rows[space], 1);
    await store.close();
  });

  it("returns values in the order of the keys, with undefined for what is absent", async (context) => {
    const store = await open(context);
    await store.write({ puts: [1, 2, 3].map((number) => ({ space: "nodes", key: key(number), value: key(number) })) });
    const values = await store.getMany("nodes", [key(3), key(9), key(1), key(3)]);
    assert.deepEqual(values, [key(3), undefined, key(1), key(3)]);
    if (store.sync !== undefined) {
      assert.equal(store.sync.get("nodes", key(9)), undefined);
      assert.equal(store.sync.has("nodes", key(9)), false);
    }
    assert.deepEqual(await store.getMany("nodes", []), []);
    await store.close();
  });

  it("tells an empty value from none, and keeps values of several MiB", async (context) => {
    const store = await open(context);
    const large = Uint8Array.from({ length: 5 * 1024 * 1024 + 1 }, (_, index) => (index * 31) & 255);
    await store.write({
      puts: [
        { space: "meta", key: utf8("empty"), value: EMPTY },
        { space: "blobs", key: key(1), value: large },
      ],
    });
    assert.deepEqual(await store.getMany("meta", [utf8("empty"), utf8("none")]), [EMPTY, undefined]);
    const [read] = await store.getMany("blobs", [key(1)]);
    assert.ok(read !== undefined && Buffer.compare(read, large) === 0);
    await store.close();
  });

  it("takes keys of 1 to 512 bytes of any value, zeros included", async (context) => {
    const store = await open(context);
    const keys = [Uint8Array.of(0), Uint8Array.of(255), Uint8Array.of(0, 0), new Uint8Array(512).fill(255)];
    await store.write({
      puts: keys.map((name, index) => ({ space: "leases", key: name, value: Uint8Array.of(index) })),
    });
    const values = await store.getMany("leases", keys);
    assert.deepEqual(
      values,
      keys.map((_, index) => Uint8Array.of(index)),
    );
    assert.deepEqual(await hexKeys(store.iterate("leases")), keys.map((name) => toHex(name)).sort());
    await store.close();
  });

  it("gives arrays to the caller and keeps none of the caller's", async (context) => {
    const store = await open(context);
    const name = key(1);
    const value = Uint8Array.of(1, 2, 3);
    await store.write({ puts: [{ space: "objects", key: name, value }] });
    name.fill(9);
    value.fill(9);
    const [first] = await store.getMany("objects", [key(1)]);
    assert.deepEqual(first, Uint8Array.of(1, 2, 3));
    assert.equal(Object.getPrototypeOf(first), Uint8Array.prototype);
    first.fill(7);
    if (store.sync !== undefined) {
      const second = store.sync.get("objects", key(1));
      assert.deepEqual(second, Uint8Array.of(1, 2, 3));
      second.fill(7);
    }
    assert.deepEqual(await store.snapshot([{ space: "objects", key: key(1) }]), [Uint8Array.of(1, 2, 3)]);
    await store.close();
  });

  it("returns values that later writes leave alone", async (context) => {
    const store = await open(context);
    const read: [Uint8Array, Uint8Array][] = [];
    for (let round = 0; round < 30; round += 1) {
      const value = new Uint8Array(3000).fill(round);
      await store.write({ puts: [{ space: "meta", key: utf8("row"), value }] });
      const [stored] = await store.getMany("meta", [utf8("row")]);
      assert.ok(stored !== undefined);
      read.push([stored, value]);
    }
    for (const [stored, value] of read) assert.deepEqual(stored, value);
    await store.close();
  });

  it("applies puts in order and then deletes; deleting nothing is no error", async (context) => {
    const store = await open(context);
    await store.write({
      puts: [
        { space: "meta", key: utf8("a"), value: utf8("1") },
        { space: "meta", key: utf8("a"), value: utf8("2") },
        { space: "meta", key: utf8("b"), value: utf8("3") },
      ],
      deletes: [
        { space: "meta", key: utf8("b") },
        { space: "meta", key: utf8("never") },
      ],
    });
    assert.deepEqual(await store.getMany("meta", [utf8("a"), utf8("b")]), [utf8("2"), undefined]);
    await store.write({});
    await store.close();
  });

  it("mends a row whose stored bytes differ", async (context) => {
    const store = await open(context);
    await store.write({ puts: [{ space: "nodes", key: key(1), value: utf8("damaged") }] });
    await store.write({ puts: [{ space: "nodes", key: key(1), value: utf8("right") }] });
    assert.deepEqual(await store.getMany("nodes", [key(1)]), [utf8("right")]);
    await store.close();
  });

  it("fails an assertion on keys that no space takes, having written nothing", async (context) => {
    const store = await open(context);
    const good = { space: "meta", key: utf8("good"), value: EMPTY } as const;
    const bad: [Space, Uint8Array][] = [
      ["nodes", new Uint8Array(31)],
      ["objects", new Uint8Array(33)],
      ["blobs", EMPTY],
      ["log", new Uint8Array(7)],
      ["meta", EMPTY],
      ["requests", new Uint8Array(513)],
    ];
    for (const [space, name] of bad) {
      await assert.rejects(store.write({ puts: [good, { space, key: name, value: EMPTY }] }), AssertionFailed);
      await assert.rejects(store.write({ puts: [good], deletes: [{ space, key: name }] }), AssertionFailed);
      await assert.rejects(store.getMany(space, [name]), AssertionFailed);
    }
    const tooLarge = new Uint8Array(8 * 1024 * 1024 + 1);
    await assert.rejects(store.write({ puts: [good, { ...good, value: tooLarge }] }), AssertionFailed);
    assert.deepEqual(await store.getMany("meta", [utf8("good")]), [undefined]);
    await store.close();
  });
}

function testConditions(open: OpenStore): void {
  const tail = { space: "meta", key: utf8("tail") } as const;

  it("checks exact bytes, absence and presence", async (context) => {
    const store = await open(context);
    const put = (value: string): WriteBatch => ({ puts: [{ ...tail, value: utf8(value) }] });
    await assert.rejects(
      store.write({ ...put("x"), conditions: [{ ...tail, expected: "present" }] }),
      isFailure({ index: 0, actual: undefined }),
    );
    await assert.rejects(
      store.write({ ...put("x"), conditions: [{ ...tail, expected: EMPTY }] }),
      isFailure({ index: 0, actual: undefined }),
    );
    await store.write({ ...put("one"), conditions: [{ ...tail, expected: "absent" }] });
    await assert.rejects(
      store.write({ ...put("x"), conditions: [{ ...tail, expected: "absent" }] }),
      isFailure({ index: 0, actual: utf8("one") }),
    );
    await assert.rejects(
      store.write({ ...put("x"), conditions: [{ ...tail, expected: utf8("on") }] }),
      isFailure({ index: 0, actual: utf8("one") }),
    );
    await store.write({ ...put("two"), conditions: [{ ...tail, expected: utf8("one") }] });
    await store.write({ ...put("three"), conditions: [{ ...tail, expected: "present" }] });
    assert.deepEqual(await store.getMany("meta", [tail.key]), [utf8("three")]);
    await store.close();
  });

  it("sees the state before the batch, and names the first condition that failed", async (context) => {
    const store = await open(context);
    const other = { space: "leases", key: utf8("lease") } as const;
    const batch: WriteBatch = {
      conditions: [
        { ...tail, expected: "absent" },
        { ...other, expected: "present" },
        { ...other, expected: utf8("no") },
      ],
      puts: [
        { ...other, value: utf8("now") },
        { ...tail, value: utf8("now") },
      ],
    };
    await assert.rejects(store.write(batch), isFailure({ index: 1, actual: undefined }));
    assert.deepEqual(await store.snapshot([tail, other]), [undefined, undefined]);
    await store.close();
  });

  it("leaves nothing of a refused batch", async (context) => {
    const store = await open(context);
    await store.write({ puts: [{ space: "objects", key: key(1), value: utf8("kept") }] });
    const refused: WriteBatch = {
      conditions: [{ ...tail, expected: "present" }],
      puts: [
        { ...tail, value: utf8("x") },
        { space: "nodes", key: key(2), value: utf8("x") },
        { space: "log", key: u64be(0), value: utf8("x") },
      ],
      deletes: [{ space: "objects", key: key(1) }],
    };
    // Beside it, in the same flush where the driver shares one, a batch that succeeds.
    const beside = store.write({ puts: [{ space: "nodes", key: key(3), value: utf8("beside") }] });
    await assert.rejects(store.write(refused), ConditionFailed);
    await beside;
    assert.deepEqual(await store.getMany("nodes", [key(2), key(3)]), [undefined, utf8("beside")]);
    assert.deepEqual(await store.getMany("objects", [key(1)]), [utf8("kept")]);
    assert.deepEqual(await logIndices(store), []);
    await store.close();
  });

  it("lets the caller work while a batch is flushed, once, and not for one that is refused", async (context) => {
    const store = await open(context);
    const worked: string[] = [];
    const meanwhile = (name: string) => (): void => void worked.push(name);
    const refused = store.write({ conditions: [{ ...tail, expected: "present" }], meanwhile: meanwhile("refused") });
    const written = store.write({ puts: [{ ...tail, value: utf8("x") }], meanwhile: meanwhile("written") });
    await assert.rejects(refused, ConditionFailed);
    await written;
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(worked, ["written"]);
    await store.close();
  });

  it("lets exactly one of many concurrent claims win", async (context) => {
    const store = await open(context);
    const claims = Array.from({ length: 50 }, (_, number) =>
      store.write({
        conditions: [{ ...tail, expected: "absent" }],
        puts: [{ ...tail, value: Uint8Array.of(number) }],
      }),
    );
    const outcomes = await Promise.allSettled(claims);
    const winners = outcomes.flatMap(({ status }, number) => (status === "fulfilled" ? [number] : []));
    // In the order of the calls, so the first.
    assert.deepEqual(winners, [0]);
    for (const outcome of outcomes.slice(1)) {
      assert.ok(outcome.status === "rejected");
      assert.ok(isFailure({ index: 0, actual: Uint8Array.of(0) })(outcome.reason));
    }
    await store.close();
  });

  it("loses no increment of writers that compare and swap", async (context) => {
    const store = await open(context);
    const increment = async (): Promise<void> => {
      for (;;) {
        const [old] = await store.snapshot([tail]);
        const count = old === undefined ? 0 : Number(Buffer.from(old).toString());
        const value = utf8(String(count + 1));
        try {
          await store.write({ conditions: [{ ...tail, expected: old ?? "absent" }], puts: [{ ...tail, value }] });
          return;
        } catch (error) {
          if (!(error instanceof ConditionFailed)) throw error;
        }
      }
    };
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        for (let round = 0; round < 10; round += 1) await increment();
      }),
    );
    assert.deepEqual(await store.snapshot([tail]), [utf8("80")]);
    await store.close();
  });

  it("applies batches in the order of the calls", async (context) => {
    const store = await open(context);
    const writes: Promise<void>[] = [];
    for (let number = 0; number < 40; number += 1) {
      const conditions = number === 0 ? [] : [{ ...tail, expected: Uint8Array.of(number - 1) }];
      writes.push(store.write({ conditions, puts: [{ ...tail, value: Uint8Array.of(number) }] }));
    }
    await Promise.all(writes);
    assert.deepEqual(await store.snapshot([tail]), [Uint8Array.of(39)]);
    await store.close();
  });

  it("takes snapshots that never see part of a batch", async (context) => {
    const store = await open(context);
    const rows = [tail, { space: "leases", key: utf8("twin") }, { space: "nodes", key: key(1) }] as const;
    const state = { writing: true };
    const writer = (async () => {
      for (let round = 0; round < 60; round += 1) {
        await store.write({ puts: rows.map((row) => ({ ...row, value: Uint8Array.of(round) })) });
        await eventTurn();
      }
      state.writing = false;
    })();
    let seen = 0;
    while (state.writing) {
      const values = await store.snapshot(rows);
      assert.deepEqual(values[1], values[0]);
      assert.deepEqual(values[2], values[0]);
      seen += 1;
      await eventTurn();
    }
    await writer;
    assert.ok(seen > 1);
    await store.close();
  });
}

/** The slow twin: one Map a space, and conditions checked one by one. */
class ModelStore {
  readonly rows = new Map<string, Uint8Array>();

  write(batch: WriteBatch): "written" | "refused" {
    const name = (row: { space: Space; key: Uint8Array }) => `${row.space}/${toHex(row.key)}`;
    for (const condition of batch.conditions ?? []) {
      const actual = this.rows.get(name(condition));
      const { expected } = condition;
      if (expected === "absent" && actual !== undefined) return "refused";
      if (expected === "present" && actual === undefined) return "refused";
      if (typeof expected === "string") continue;
      if (actual === undefined || toHex(actual) !== toHex(expected)) return "refused";
    }
    for (const row of batch.puts ?? []) this.rows.set(name(row), row.value.slice());
    for (const row of batch.deletes ?? []) this.rows.delete(name(row));
    return "written";
  }
}

function testModel(open: OpenStore): void {
  it("agrees with a model on random batches", async (context) => {
    const space = fc.constantFrom<Space>("nodes", "meta", "log", "requests");
    const row = fc.record({ space, number: fc.nat(3) }).map(({ space, number }) => ({
      space,
      key: space === "log" ? u64be(number) : key(number),
    }));
    const value = fc.uint8Array({ maxLength: 3 });
    const expected = fc.oneof(value, fc.constantFrom("absent" as const, "present" as const));
    const batch = fc.record({
      conditions: fc.array(
        fc.tuple(row, expected).map(([name, expected]) => ({ ...name, expected })),
        { maxLength: 1 },
      ),
      puts: fc.array(
        fc.tuple(row, value).map(([name, value]) => ({ ...name, value })),
        { maxLength: 4 },
      ),
      deletes: fc.array(row, { maxLength: 2 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(batch, { maxLength: 12 }), async (batches) => {
        const store = await open(context);
        const model = new ModelStore();
        // All at once, so that drivers which share a flush do so.
        const outcomes = await Promise.allSettled(batches.map((batch) => store.write(batch)));
        for (const [index, batch] of batches.entries()) {
          assert.equal(outcomes[index]?.status === "fulfilled" ? "written" : "refused", model.write(batch));
        }
        const actual = new Map<string, Uint8Array>();
        for (const space of SPACES) {
          for await (const name of store.iterate(space)) {
            const [stored] = await store.getMany(space, [name]);
            assert.ok(stored !== undefined);
            actual.set(`${space}/${toHex(name)}`, stored);
          }
        }
        assert.deepEqual([...actual].sort(), [...model.rows].sort());
        await store.close();
      }),
      { numRuns: 20 },
    );
  });
}

function testScans(open: OpenStore): void {
  const fill = async (store: Store, space: Space, numbers: readonly number[]): Promise<void> => {
    const name = (number: number) => (space === "log" ? u64be(number) : key(number));
    await store.write({ puts: numbers.map((number) => ({ space, key: name(number), value: u64be(number) })) });
  };

  it("scans the log in order of index, whatever the order of writing, over several pages", async (context) => {
    const store = await open(context);
    const numbers = Array.from({ length: 1000 }, (_, index) => (index * 7919) % 1000);
    await fill(store, "log", numbers);
    const rows = await collect(store.scanLog());
    assert.deepEqual(
      rows.map((row) => row.index),
      Array.from({ length: 1000 }, (_, index) => index),
    );
    for (const row of rows) assert.deepEqual(row.value, u64be(row.index));
    await store.close();
  });

  it("scans ranges of the log, half open, past gaps and past its end", async (context) => {
    const store = await open(context);
    assert.deepEqual(await logIndices(store), []);
    await fill(store, "log", [0, 1, 255, 256, 2 ** 32, 2 ** 40]);
    assert.deepEqual(await logIndices(store, { from: 1, to: 256 }), [1, 255]);
    assert.deepEqual(await logIndices(store, { from: 2, to: 255 }), []);
    assert.deepEqual(await logIndices(store, { from: 257 }), [2 ** 32, 2 ** 40]);
    assert.deepEqual(await logIndices(store, { to: 1 }), [0]);
    assert.deepEqual(await logIndices(store, { from: 5, to: 5 }), []);
    assert.deepEqual(await logIndices(store, { from: 9, to: 5 }), []);
    assert.deepEqual(await logIndices(store, { from: 2 ** 41 }), []);
    assert.deepEqual(await logIndices(store), [0, 1, 255, 256, 2 ** 32, 2 ** 40]);
    await store.close();
  });

  it("can leave a scan early and go on using the store", async (context) => {
    const store = await open(context);
    await fill(
      store,
      "log",
      Array.from({ length: 600 }, (_, index) => index),
    );
    for (let round = 0; round < 5; round += 1) {
      for await (const row of store.scanLog({ from: 300 })) if (row.index === 300 + round) break;
      await fill(store, "nodes", [round]);
    }
    assert.equal((await logIndices(store)).length, 600);
    await store.close();
  });

  it("iterates over every key of one space once", async (context) => {
    const store = await open(context);
    const numbers = Array.from({ length: 700 }, (_, index) => index);
    await fill(store, "nodes", numbers);
    await fill(store, "objects", [1, 2]);
    assert.deepEqual(
      await hexKeys(store.iterate("nodes")),
      numbers.map((number) => toHex(key(number))),
    );
    assert.deepEqual(await hexKeys(store.iterate("blobs")), []);
    assert.deepEqual(await hexKeys(store.iterate("objects")), [toHex(key(1)), toHex(key(2))]);
    await store.close();
  });

  it("lets the caller delete while iterating, as a collector does", async (context) => {
    const store = await open(context);
    const numbers = Array.from({ length: 700 }, (_, index) => index);
    await fill(store, "nodes", numbers);
    const met = new Set<string>();
    for await (const name of store.iterate("nodes")) {
      assert.ok(!met.has(toHex(name)));
      met.add(toHex(name));
      const number = new DataView(name.buffer).getUint32(0);
      if (number % 2 === 0) await store.write({ deletes: [{ space: "nodes", key: name }] });
      if (number === 3) await fill(store, "nodes", [10_001]);
    }
    for (const number of numbers) assert.ok(met.has(toHex(key(number))));
    const left = await hexKeys(store.iterate("nodes"));
    assert.deepEqual(
      left,
      [...numbers.filter((number) => number % 2 === 1), 10_001].map((number) => toHex(key(number))),
    );
    await store.close();
  });
}

const METADATA = { metadata: utf8("owner") };

/** Publishes a blob in pieces of 1,000 bytes. */
async function putBlob(
  store: Store,
  blob: { hash: Uint8Array; content: Uint8Array; outboard: Uint8Array },
): Promise<void> {
  const staged = await store.files.stage(`put-${toHex(blob.hash).slice(0, 8)}`, METADATA);
  for (let offset = 0; offset < blob.content.length; offset += 1000) {
    await staged.append(offset, blob.content.subarray(offset, offset + 1000));
  }
  await staged.appendOutboard(blob.outboard);
  await staged.publish(blob.hash);
}

function testLargeBlobs(open: OpenStore, blobOverheadBytes: number): void {
  const content = Uint8Array.from({ length: 100_000 }, (_, index) => (index * 17) & 255);
  const outboard = Uint8Array.from({ length: 400 }, (_, index) => index & 255);

  it("stores, reads in ranges, lists and deletes", async (context) => {
    const store = await open(context);
    assert.equal(await store.files.open(key(1)), undefined);
    assert.equal(await store.files.has(key(1)), false);
    await putBlob(store, { hash: key(1), content, outboard });
    await putBlob(store, { hash: key(2), content: EMPTY, outboard: EMPTY });
    assert.equal(await store.files.has(key(1)), true);
    assert.deepEqual(await hexKeys(store.files.iterate()), [toHex(key(1)), toHex(key(2))]);
    const blob = await store.files.open(key(1));
    assert.ok(blob !== undefined);
    assert.equal(blob.sizeBytes, content.length);
    assert.equal(blob.outboardSizeBytes, outboard.length);
    assert.deepEqual(await blob.read(0, content.length), content);
    assert.deepEqual(await blob.read(99_999, 1), content.slice(99_999));
    assert.deepEqual(await blob.read(100_000, 0), EMPTY);
    assert.deepEqual(await blob.readOutboard(64, 64), outboard.slice(64, 128));
    const parts = await Promise.all([0, 3, 1, 2].map((part) => blob.read(part * 25_000, 25_000)));
    assert.deepEqual(concatBytes(parts[0]!, parts[2]!, parts[3]!, parts[1]!), content);
    const room = new Uint8Array(30).fill(7);
    await blob.readInto(99_980, room.subarray(5, 25));
    assert.deepEqual(room, concatBytes(new Uint8Array(5).fill(7), content.slice(99_980), new Uint8Array(5).fill(7)));
    await assert.rejects(blob.readInto(99_990, new Uint8Array(11)), AssertionFailed);
    await assert.rejects(blob.read(99_999, 2), AssertionFailed);
    await assert.rejects(blob.read(-1, 1), AssertionFailed);
    await assert.rejects(blob.readOutboard(0, 401), AssertionFailed);
    await blob.close();
    await blob.close();
    await assert.rejects(blob.read(0, 1), Unavailable);
    await assert.rejects(blob.readInto(0, new Uint8Array(1)), Unavailable);
    const usage = await store.usage();
    assert.equal(usage.largeBlobs, 2);
    assert.equal(usage.largeBlobsBytes, content.length + outboard.length + blobOverheadBytes);
    assert.equal(await store.files.delete(key(1)), true);
    assert.equal(await store.files.delete(key(1)), false);
    assert.equal(await store.files.open(key(1)), undefined);
    assert.deepEqual(await hexKeys(store.files.iterate()), [toHex(key(2))]);
    await store.close();
  });

  it("keeps an open blob readable after it was deleted", async (context) => {
    const store = await open(context);
    await putBlob(store, { hash: key(1), content, outboard });
    const blob = await store.files.open(key(1));
    assert.ok(blob !== undefined);
    await store.files.delete(key(1));
    assert.deepEqual(await blob.read(50_000, 10), content.slice(50_000, 50_010));
    assert.deepEqual(await blob.readOutboard(0, 400), outboard);
    await blob.close();
    await store.close();
  });

  it("takes the same blob from several uploads at once", async (context) => {
    const store = await open(context);
    const uploads = Array.from({ length: 6 }, async (_, number) => {
      const staged = await store.files.stage(`upload-${number}`, METADATA);
      await staged.append(0, content);
      await staged.appendOutboard(outboard);
      await staged.publish(key(1));
      const blob = await store.files.open(key(1));
      assert.deepEqual(await blob?.read(0, content.length), content);
      assert.deepEqual(await blob?.readOutboard(0, outboard.length), outboard);
      await blob?.close();
    });
    await Promise.all(uploads);
    assert.deepEqual(await hexKeys(store.files.iterate()), [toHex(key(1))]);
    assert.deepEqual(await store.files.listUploads(), []);
    await store.close();
  });

  it("shows a blob whole or not at all while it is put and deleted over and over", async (context) => {
    const store = await open(context);
    const state = { working: true };
    const worker = (async () => {
      for (let round = 0; round < 30; round += 1) {
        await putBlob(store, { hash: key(1), content, outboard });
        await eventTurn();
        await store.files.delete(key(1));
      }
      state.working = false;
    })();
    let seen = 0;
    while (state.working) {
      // Several at once, so that some meet the moment between two steps of a deletion.
      const blobs = await Promise.all(Array.from({ length: 8 }, () => store.files.open(key(1))));
      for (const blob of blobs) {
        if (blob === undefined) continue;
        seen += 1;
        assert.equal(blob.sizeBytes, content.length);
        assert.equal(blob.outboardSizeBytes, outboard.length);
        await blob.close();
      }
      await eventTurn();
    }
    await worker;
    assert.ok(seen > 0);
    await store.close();
  });
}

function testUploads(open: OpenStore): void {
  it("resumes an upload where its writer let go", async (context) => {
    const store = await open(context);
    const begun = Date.now();
    const first = await store.files.stage("u1", METADATA);
    assert.equal(first.sizeBytes, 0);
    assert.deepEqual(first.metadata, utf8("owner"));
    await first.append(0, utf8("hello "));
    await first.append(6, utf8("there "));
    assert.equal(first.sizeBytes, 12);
    assert.equal(first.durableSizeBytes, 0);
    await first.sync();
    assert.equal(first.durableSizeBytes, 12);
    await first.append(12, utf8("all"));
    await first.appendOutboard(utf8("chaining"));
    await first.close();
    await first.close();

    const state = await store.files.findUpload("u1");
    assert.ok(state !== undefined);
    assert.equal(state.sizeBytes, 15);
    assert.deepEqual(state.metadata, utf8("owner"));
    assert.ok(state.startedMs >= begun && state.touchedMs >= state.startedMs && state.touchedMs <= Date.now());
    assert.deepEqual(await store.files.listUploads(), [state]);
    assert.equal((await store.usage()).uploads, 1);

    const second = await store.files.stage("u1", { metadata: utf8("somebody else") });
    assert.deepEqual(second.metadata, utf8("owner"));
    assert.equal(second.sizeBytes, 15);
    assert.equal(second.durableSizeBytes, 15);
    assert.deepEqual(await second.read(6, 9), utf8("there all"));
    const room = utf8("<         >");
    await second.readInto(6, room.subarray(1, 10));
    assert.deepEqual(room, utf8("<there all>"));
    await second.appendOutboard(utf8("values"));
    await second.append(15, utf8(" good"));
    await second.publish(key(1));

    const blob = await store.files.open(key(1));
    assert.deepEqual(await blob?.read(0, 20), utf8("hello there all good"));
    assert.equal(blob?.outboardSizeBytes, 6);
    assert.deepEqual(await blob.readOutboard(0, 6), utf8("values"));
    await blob.close();
    assert.equal(await store.files.findUpload("u1"), undefined);
    assert.deepEqual(await store.files.listUploads(), []);
    await store.close();
  });

  it("appends at the end only", async (context) => {
    const store = await open(context);
    const staged = await store.files.stage("u1", METADATA);
    await staged.append(0, utf8("abc"));
    await assert.rejects(staged.append(2, utf8("x")), AssertionFailed);
    await assert.rejects(staged.append(4, utf8("x")), AssertionFailed);
    await assert.rejects(staged.read(2, 2), AssertionFailed);
    await assert.rejects(staged.readInto(2, new Uint8Array(2)), AssertionFailed);
    await staged.appendOutboard(utf8("ab"));
    await staged.appendOutboard(utf8("c"));
    await staged.publish(key(1));
    const blob = await store.files.open(key(1));
    assert.deepEqual(await blob?.readOutboard(0, 3), utf8("abc"));
    await blob?.close();
    await store.close();
  });

  it("lets one stream at a time write an upload", async (context) => {
    const store = await open(context);
    const both = await Promise.allSettled([store.files.stage("u1", METADATA), store.files.stage("u1", METADATA)]);
    assert.deepEqual(
      both.map(({ status }) => status),
      ["fulfilled", "rejected"],
    );
    await assert.rejects(store.files.stage("u1", METADATA), Conflict);
    const other = await store.files.stage("u2", METADATA);
    await other.discard();
    assert.ok(both[0].status === "fulfilled");
    await both[0].value.close();
    const again = await store.files.stage("u1", METADATA);
    await again.discard();
    await again.discard();
    assert.deepEqual(await store.files.listUploads(), []);
    await store.close();
  });

  it("tells the writer of a discarded upload", async (context) => {
    const store = await open(context);
    const staged = await store.files.stage("u1", METADATA);
    await staged.append(0, utf8("abc"));
    await staged.sync();
    assert.equal(await store.files.discardUpload("u1"), true);
    assert.equal(await store.files.discardUpload("u1"), false);
    await assert.rejects(staged.sync(), Conflict);
    await assert.rejects(staged.publish(key(1)), Conflict);
    await staged.close();
    assert.equal(await store.files.has(key(1)), false);
    assert.equal(await store.files.findUpload("u1"), undefined);
    await store.close();
  });

  it("refuses to go on with an upload that was published", async (context) => {
    const store = await open(context);
    const staged = await store.files.stage("u1", METADATA);
    await staged.append(0, utf8("abc"));
    await staged.publish(key(1));
    await assert.rejects(staged.append(3, utf8("d")), Unavailable);
    await assert.rejects(staged.sync(), Unavailable);
    await assert.rejects(staged.publish(key(2)), Unavailable);
    await staged.close();
    await staged.discard();
    assert.equal(await store.files.has(key(1)), true);
    await store.close();
  });

  it("fails an assertion on ids that could name another file", async (context) => {
    const store = await open(context);
    for (const id of ["", "../x", "A", "a/b", "a.b", "a".repeat(65), "é"]) {
      await assert.rejects(store.files.stage(id, METADATA), AssertionFailed);
      await assert.rejects(store.files.findUpload(id), AssertionFailed);
      await assert.rejects(store.files.discardUpload(id), AssertionFailed);
    }
    await assert.rejects(store.files.stage("u", { metadata: new Uint8Array(4097) }), AssertionFailed);
    await store.close();
  });

  it("drops uploads that nobody has touched for a day, and no other", async (context) => {
    const clock = { nowMs: Date.now() };
    context.mock.method(Date, "now", () => clock.nowMs);
    const store = await open(context);
    const stale = await store.files.stage("stale", METADATA);
    await stale.append(0, utf8("abc"));
    await stale.close();
    const writing = await store.files.stage("writing", METADATA);
    clock.nowMs += 23 * HOUR_MS;
    const fresh = await store.files.stage("fresh", METADATA);
    await fresh.close();
    assert.deepEqual(await store.files.cleanUp(), { uploads: 0, outboards: 0 });
    clock.nowMs += 2 * HOUR_MS;
    assert.deepEqual(await store.files.cleanUp(), { uploads: 1, outboards: 0 });
    const left = (await store.files.listUploads()).map(({ uploadId }) => uploadId).sort();
    assert.deepEqual(left, ["fresh", "writing"]);
    await writing.append(0, utf8("x"));
    await writing.publish(key(1));
    await store.close();
  });
}

function testClose(open: OpenStore): void {
  it("finishes the writes in progress, then refuses", async (context) => {
    const store = await open(context);
    const name = utf8("row");
    const writes = [1, 2, 3].map((number) =>
      store.write({ puts: [{ space: "meta", key: name, value: Uint8Array.of(number) }] }),
    );
    const closed = store.close();
    await Promise.all(writes);
    await closed;
    await store.close();
    await assert.rejects(store.write({ puts: [{ space: "meta", key: name, value: EMPTY }] }), Unavailable);
    await assert.rejects(store.getMany("meta", [name]), Unavailable);
    await assert.rejects(store.snapshot([{ space: "meta", key: name }]), Unavailable);
    await assert.rejects(collect(store.scanLog()), Unavailable);
    await assert.rejects(collect(store.iterate("meta")), Unavailable);
    await assert.rejects(store.usage(), Unavailable);
    await assert.rejects(store.files.open(key(1)), Unavailable);
    await assert.rejects(store.files.has(key(1)), Unavailable);
    await assert.rejects(store.files.stage("u1", METADATA), Unavailable);
    await assert.rejects(store.files.listUploads(), Unavailable);
    await assert.rejects(collect(store.files.iterate()), Unavailable);
    if (store.sync !== undefined) assert.throws(() => store.sync?.get("meta", name), Unavailable);
  });

  it("ends a scan that is under way with an error, not early", async (context) => {
    const store = await open(context);
    await store.write({
      puts: Array.from({ length: 600 }, (_, index) => ({ space: "log", key: u64be(index), value: EMPTY })),
    });
    const scan = async (): Promise<void> => {
      for await (const row of store.scanLog()) if (row.index === 10) await store.close();
    };
    await assert.rejects(scan(), Unavailable);
  });
}
