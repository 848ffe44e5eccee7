// Goal: concurrent writers share flushes and lose nothing: what was acknowledged is there, in an order that explains every
// answer; a write that fails has changed nothing, and nobody is answered before the flush.
// Method: counters that only survive if every write saw the one before it; a store whose flushes can be held, failed and
// raced; two databases on one store and on one directory.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hashBlob } from "#src/core/blob/index.js";
import { utf8 } from "#src/core/bytes.js";
import { Conflict } from "#src/core/errors.js";
import { parseVerifierKey, verifyCheckpoint } from "#src/core/log/index.js";
import { CheckpointSigner } from "#src/database/checkpoint-signer.js";
import { Database } from "#src/database/index.js";
import type { KeyCondition } from "#src/database/index.js";
import { patternBytes } from "./support/bytes.js";
import { inDirectory, inMemory, onEachStore, put, readAll, readText, remove, testRandom } from "./support/database.js";
import { expectError } from "./support/expect.js";
import { FaultyStore, diskFull } from "./support/faulty-store.js";

const count = (items: number) => Array.from({ length: items }, (_, index) => index);

/** Adds one to a number under a key, however often somebody else is first. */
async function increment(db: Database, head: string, key: string): Promise<number> {
  for (let conflicts = 0; ; conflicts += 1) {
    const before = await readText(db, key, { staged: head });
    const condition: KeyCondition = before === undefined ? "absent" : { expectedHash: hashBlob(utf8(before)) };
    try {
      await db.states.apply(head, { operations: [{ ...put(key, `${Number(before ?? 0) + 1}`), condition }] });
      return conflicts;
    } catch (error) {
      if (!(error instanceof Conflict)) throw error;
    }
  }
}

async function openFaulty(): Promise<{ store: FaultyStore; db: Database }> {
  const store = new FaultyStore();
  const db = await Database.create(store, { randomBytes: testRandom() });
  store.written.length = 0;
  return { store, db };
}

/** Holds every write back until it is called. */
function hold(store: FaultyStore): () => void {
  let release = (): void => undefined;
  const gate = new Promise<void>((resolve) => (release = resolve));
  store.beforeWrite = () => gate;
  return () => {
    store.beforeWrite = async () => undefined;
    release();
  };
}

const tick = () => new Promise((resolve) => setTimeout(resolve, 5));

describe("concurrent writes", () => {
  onEachStore("on one and several heads are all there, and share leaves", async (place) => {
    const db = await place.create();
    const heads = ["main", "a", "b"];
    for (const head of heads.slice(1)) await db.heads.create(head);
    const writes = count(300).map((index) =>
      db.states.apply(heads[index % 3] ?? "", {
        operations: [put(`key-${index}`, `${index}`), remove(`key-${index - 30}`)],
      }),
    );
    const applied = await Promise.all(writes);
    for (const [position, head] of heads.entries()) {
      const mine = count(300).filter((index) => index % 3 === position && index >= 270);
      const expected = Object.fromEntries(mine.map((index): [string, string] => [`key-${index}`, `${index}`]).sort());
      assert.deepEqual(await readAll(db, { staged: head }), expected);
    }
    const { logSize } = await db.view();
    assert.ok(logSize < 60, `${logSize} leaves for 300 writes`);
    const key = parseVerifierKey(db.log.verifierKey);
    for (const { receipt } of applied.slice(0, 5))
      assert.ok(verifyCheckpoint(receipt.checkpoint, key).size > receipt.logIndex);
    await db.close();
  });

  onEachStore("under conditions lose no update", async (place) => {
    const db = await place.create();
    const conflicts = await Promise.all(count(40).map((index) => increment(db, "main", `counter-${index % 3}`)));
    assert.deepEqual(await readAll(db), { "counter-0": "14", "counter-1": "13", "counter-2": "13" });
    assert.ok(conflicts.some((number) => number > 0));
    await db.close();
  });

  it("from two databases on one store lose no update", async () => {
    const { db, store } = await inMemory();
    const other = await Database.open(store);
    const both = [db, other];
    await Promise.all(count(60).map((index) => increment(both[index % 2] ?? db, "main", `counter-${index % 4}`)));
    for (const reader of both) {
      assert.deepEqual(await readAll(reader), {
        "counter-0": "15",
        "counter-1": "15",
        "counter-2": "15",
        "counter-3": "15",
      });
    }
  });

  it("from two databases on one directory lose no update, conditions or not", () =>
    inDirectory(async ({ create, location }) => {
      const db = await create();
      const other = await Database.open(location);
      const both = [db, other];
      await Promise.all([
        ...count(40).map((index) => increment(both[index % 2] ?? db, "main", `counter-${index % 2}`)),
        ...count(100).map((index) =>
          (both[index % 2] ?? db).states.apply("main", { operations: [put(`plain-${index}`, `${index}`)] }),
        ),
        ...count(20).map((index) =>
          (both[index % 2] ?? db).commits.create({ head: "main", author: "a", message: `${index}` }),
        ),
      ]);
      const expected: Record<string, string> = { "counter-0": "20", "counter-1": "20" };
      for (const index of count(100)) expected[`plain-${index}`] = `${index}`;
      assert.deepEqual(await readAll(db), expected);
      assert.deepEqual(await readAll(other), expected);
      let commits = 0;
      for await (const { object } of other.commits.log({ head: "main" }))
        commits += object.parents.length <= 1 ? 1 : 100;
      assert.equal(commits, 20);
      await other.close();
      await db.close();
    }));
});

describe("a round", () => {
  it("writes one batch for all that wait, and answers nobody before the flush", async () => {
    const { db, store } = await openFaulty();
    const release = hold(store);
    let answered = 0;
    const writes = count(50).map((index) =>
      db.states.apply("main", { operations: [put(`${index}`, `${index}`)] }).finally(() => (answered += 1)),
    );
    await tick();
    assert.equal(answered, 0);
    assert.deepEqual(await readAll(db), {});
    release();
    const applied = await Promise.all(writes);
    assert.equal(store.written.length, 1);
    assert.deepEqual(new Set(applied.map(({ receipt }) => receipt.logIndex)), new Set([1]));
    assert.equal(new Set(applied.map(({ receipt }) => receipt.checkpoint)).size, 1);
    assert.equal(Object.keys(await readAll(db)).length, 50);
    // Each answer's root is readable, although the next write in the same batch has replaced it.
    for (const [index, { root }] of applied.entries())
      assert.equal(Object.keys(await readAll(db, { root })).length, index + 1);
  });

  it("rejects alone the mutation whose condition fails, by what the ones before it did", async () => {
    const { db, store } = await openFaulty();
    const release = hold(store);
    const first = db.states.apply("main", { operations: [{ ...put("k", "1"), condition: "absent" }] });
    const second = db.states.apply("main", {
      operations: [put("other", "x"), { ...put("k", "2"), condition: "absent" }],
    });
    const third = db.states.apply("main", {
      operations: [{ ...put("k", "3"), condition: { expectedHash: hashBlob(utf8("1")) } }],
    });
    const refused = expectError(second, { code: "CONFLICT" });
    await tick();
    release();
    await Promise.all([first, refused, third]);
    assert.deepEqual(await readAll(db), { k: "3" });
    assert.equal(store.written.length, 1);
  });

  it("that fails leaves nothing, rejects all, and the next one starts afresh", async () => {
    const { db, store } = await openFaulty();
    const before = await db.view();
    store.beforeWrite = async (batch) => {
      // As far as having signed what then does not become durable.
      batch.meanwhile?.();
      throw diskFull();
    };
    const writes = [
      db.states.apply("main", { operations: [put("k", "1")] }),
      // Its condition fails only because of the write before it, which does not become durable: no conflict to report.
      db.states.apply("main", { operations: [{ ...put("k", "2"), condition: "absent" }] }),
      db.commits.create({ head: "main", author: "a", message: "" }),
    ];
    for (const result of await Promise.allSettled(writes)) {
      assert.equal(result.status, "rejected");
      await expectError(Promise.reject(result.reason as Error), { code: "UNAVAILABLE" });
    }
    store.beforeWrite = async () => undefined;
    const after = await db.view();
    assert.deepEqual([after.logSize, after.refs], [before.logSize, before.refs]);
    await db.states.apply("main", { operations: [{ ...put("k", "2"), condition: "absent" }] });
    assert.deepEqual(await readAll(db), { k: "2" });
  });

  it("that is durable and cannot be signed says to each of its writers what became of its write", async (t) => {
    const { db } = await openFaulty();
    const signing = t.mock.method(CheckpointSigner.prototype, "checkpoint", () => {
      throw new Error("the key is gone");
    });
    const [first, refused, commit] = await Promise.allSettled([
      db.states.apply("main", { operations: [put("k", "1")] }),
      db.states.apply("main", { operations: [{ ...put("k", "2"), condition: "absent" }] }),
      db.commits.create({ head: "main", author: "a", message: "" }),
    ]);
    for (const result of [first, commit]) {
      assert.equal(result.status, "rejected");
      const error = await expectError(Promise.reject(result.reason as Error), {
        code: "UNAVAILABLE",
        message: /was applied and is durable/,
        facts: { outcome: "applied", log_index: "1" },
      });
      assert.match(error.hint ?? "", /read back/);
      assert.match((error.cause as Error).message, /the key is gone/);
    }
    // What would have been refused anyway is refused, and has changed nothing.
    assert.equal(refused.status, "rejected");
    await expectError(Promise.reject(refused.reason as Error), { code: "CONFLICT" });
    signing.mock.restore();
    assert.deepEqual(await readAll(db), { k: "1" });
    assert.ok((await (await db.view()).head("main")).commit !== undefined);
    const { receipt } = await db.states.apply("main", { operations: [put("k", "3")] });
    assert.equal(receipt.logIndex, 2);
    verifyCheckpoint(receipt.checkpoint, parseVerifierKey(db.log.verifierKey));
  });

  it("that loses the race runs again on what the winner wrote, verdicts included", async () => {
    const { db, store } = await openFaulty();
    const winner = await Database.open(store);
    let races = 0;
    store.beforeWrite = async () => {
      if ((races += 1) !== 1) return;
      await winner.states.apply("main", { operations: [put("taken", "by the winner")] });
    };
    const results = await Promise.allSettled([
      db.states.apply("main", { operations: [{ ...put("taken", "1"), condition: "absent" }] }),
      db.states.apply("main", {
        operations: [{ ...put("taken", "2"), condition: { expectedHash: hashBlob(utf8("by the winner")) } }],
      }),
      db.states.apply("main", { operations: [put("plain", "3")] }),
    ]);
    assert.deepEqual(
      results.map(({ status }) => status),
      ["rejected", "fulfilled", "fulfilled"],
    );
    assert.deepEqual(await readAll(db), { plain: "3", taken: "2" });
    assert.deepEqual(await readAll(winner), { plain: "3", taken: "2" });
  });

  it("that loses every race gives up, with nothing written", async () => {
    const { db, store } = await openFaulty();
    const winner = await Database.open(store);
    let number = 0;
    const mine = db.states.apply("main", { operations: [put("mine", "1")] });
    let isWinnerWriting = false;
    store.beforeWrite = async () => {
      if (isWinnerWriting) return;
      isWinnerWriting = true;
      await winner.states.apply("main", { operations: [put("theirs", `${(number += 1)}`)] });
      isWinnerWriting = false;
    };
    await expectError(mine, { code: "UNAVAILABLE" });
    assert.deepEqual(await readAll(winner), { theirs: `${number}` });
    store.beforeWrite = async () => undefined;
    await db.states.apply("main", { operations: [put("mine", "2")] });
    assert.deepEqual(await readAll(db), { mine: "2", theirs: `${number}` });
  });

  /** Two rounds, of which the second is put together while the first is held back. */
  async function twoRounds(first: Promise<unknown>, second: () => Promise<unknown>): Promise<boolean[]> {
    const answered = [false, false];
    await tick();
    for (const [index, write] of [first, second()].entries()) {
      const note = (): void => void (answered[index] = true);
      write.then(note, note);
    }
    await tick();
    return answered;
  }
  const seeing = (before: string, after: string) => ({
    operations: [{ ...put("k", after), condition: { expectedHash: hashBlob(utf8(before)) } }],
  });

  it("is put together while the one before it is written, and is durable behind it", async () => {
    const { db, store } = await openFaulty();
    const release = hold(store);
    const first = db.states.apply("main", { operations: [put("k", "1")] });
    let second: ReturnType<typeof db.states.apply> | undefined;
    const answered = await twoRounds(first, () => (second = db.states.apply("main", seeing("1", "2"))));
    const refused = expectError(db.states.apply("main", seeing("1", "3")), { code: "CONFLICT" });
    assert.deepEqual(answered, [false, false]);
    assert.deepEqual(await readAll(db), {}, "nobody sees what is not durable");
    release();
    const receipts = [(await first).receipt, (await second!).receipt];
    await refused;
    assert.deepEqual(
      receipts.map(({ logIndex }) => logIndex),
      [1, 2],
    );
    for (const { checkpoint } of receipts) verifyCheckpoint(checkpoint, parseVerifierKey(db.log.verifierKey));
    assert.deepEqual((await second!).beforeRoot, (await first).root);
    assert.equal(store.written.length, 2);
    assert.deepEqual(await readAll(db), { k: "2" });
  });

  for (const [what, write, outcome] of [
    ["what it changed", (db: Database) => db.states.apply("main", seeing("1", "2")), "refused"],
    ["nothing of it", (db: Database) => db.states.apply("main", { operations: [put("other", "2")] }), "written"],
    // Refused on top of the other, and so writes no batch that could fail.
    [
      "what it took",
      (db: Database) => db.states.apply("main", { operations: [{ ...put("k", "2"), condition: "absent" }] }),
      "written",
    ],
  ] as const) {
    it(`behind one that fails runs again without it: it needed ${what}`, async () => {
      const { db, store } = await openFaulty();
      let fail: (error: Error) => void = () => undefined;
      const failed = new Promise<void>((_resolve, reject) => (fail = reject));
      let writes = 0;
      store.beforeWrite = async () => ((writes += 1) === 1 ? failed : failed.catch(() => undefined));
      const first = expectError(db.states.apply("main", { operations: [put("k", "1")] }), { code: "UNAVAILABLE" });
      let second: Promise<unknown> | undefined;
      assert.deepEqual(await twoRounds(first, () => (second = write(db))), [false, false]);
      fail(diskFull());
      await first;
      const [result] = await Promise.allSettled([second]);
      assert.equal(result.status, outcome === "written" ? "fulfilled" : "rejected");
      assert.equal((await readAll(db))["k"], outcome === "written" && what === "what it took" ? "2" : undefined);
      const { receipt } = await db.states.apply("main", { operations: [put("last", "1")] });
      assert.equal(receipt.logIndex, outcome === "written" ? 2 : 1);
    });
  }

  it("behind one that loses the race runs again behind it, in their order", async () => {
    const { db, store } = await openFaulty();
    const winner = await Database.open(store);
    const release = hold(store);
    const held = store.beforeWrite;
    const first = db.states.apply("main", { operations: [put("k", "1")] });
    let second: ReturnType<typeof db.states.apply> | undefined;
    await twoRounds(first, () => (second = db.states.apply("main", seeing("1", "2"))));
    store.beforeWrite = async () => undefined;
    await winner.states.apply("main", { operations: [put("theirs", "1")] });
    store.beforeWrite = held;
    release();
    const indices = [(await first).receipt.logIndex, (await second!).receipt.logIndex];
    assert.ok(indices[0]! >= 2 && indices[1]! >= indices[0]!, indices.join(" and "));
    assert.deepEqual(await readAll(db), { k: "2", theirs: "1" });
    assert.deepEqual(await readAll(winner), { k: "2", theirs: "1" });
  });

  it("answers a request that the one before it makes, and fails it with that one", async () => {
    for (const isFailing of [false, true]) {
      const { db, store } = await openFaulty();
      const release = hold(store);
      const held = store.beforeWrite;
      let writes = 0;
      store.beforeWrite = async (batch) => {
        const isFirst = (writes += 1) === 1;
        await held(batch);
        if (isFailing && isFirst) throw diskFull();
      };
      const idempotency = { caller: "", key: "once" };
      const ask = () => db.states.apply("main", { operations: [put("k", "1")], idempotency });
      const first = ask();
      let again: ReturnType<typeof ask> | undefined;
      assert.deepEqual(await twoRounds(first, () => (again = ask())), [false, false]);
      release();
      const [one] = await Promise.allSettled([first]);
      const { root, receipt } = await again!;
      assert.equal(one.status, isFailing ? "rejected" : "fulfilled");
      if (one.status === "fulfilled") assert.deepEqual([root, receipt.logIndex], [one.value.root, 1]);
      assert.equal(receipt.logIndex, 1);
      assert.equal((await db.view()).logSize, 2, "one effect");
      assert.deepEqual(await readAll(db), { k: "1" });
    }
  });

  it("publishes large values before the batch that refers to them", async () => {
    const { db, store } = await openFaulty();
    const value = patternBytes(100_000);
    store.beforeWrite = async () => assert.ok(await store.files.has(hashBlob(value)));
    await db.states.apply("main", { operations: [put("large", value)] });
    assert.equal(store.written.length, 1);
  });

  it("is bounded: what does not fit goes next, in order", async () => {
    const { db, store } = await openFaulty();
    const value = (index: number): Uint8Array => patternBytes(60_000, index + 1);
    const writes = count(300).map((index) =>
      db.states.apply("main", { operations: [put("same", value(index)), put(`${index}`, value(index))] }),
    );
    const applied = await Promise.all(writes);
    assert.ok(store.written.length >= 2 && store.written.length < 10, `${store.written.length} batches`);
    for (const batch of store.written) {
      const bytes = (batch.puts ?? []).reduce((sum, row) => sum + row.value.length, 0);
      assert.ok(bytes < 10 * 1024 * 1024, `${bytes} bytes`);
    }
    assert.deepEqual(
      applied.map(({ receipt }) => receipt.logIndex),
      applied.map(({ receipt }) => receipt.logIndex).sort((a, b) => a - b),
    );
    assert.equal(await readText(db, "same"), Buffer.from(value(299)).toString());
  });
});
