// Goal: nodes that writes replace are freed, and nothing that anybody needs ever is: not what a head has staged or
// committed, not what an open read reads, whatever is written, undone, committed, branched, deleted or written by others.
// Method: after every step of a random history the whole store is walked (support/node-rows.ts): no row names a child that
// is not there, every root that is needed is. Limits are tiny, so that everything that may go goes at once. Then the rules one by one,
// with stores that fail, processes that share a store, and reads that come too late.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import fc from "fast-check";
import { hashBlob } from "#src/core/blob/index.js";
import { toHex, u64be, utf8 } from "#src/core/bytes.js";
import { encode } from "#src/core/codec/index.js";
import { NeleusError } from "#src/core/errors.js";
import type { Digest } from "#src/core/hashes.js";
import { get, readSync, scanSync } from "#src/core/map/index.js";
import { Database } from "#src/database/index.js";
import type { FreeingLimits, ReadPoint } from "#src/database/index.js";
import { MemoryStore } from "#src/store/index.js";
import type { WriteBatch } from "#src/store/index.js";
import { put, remove } from "./support/database.js";
import { expectError } from "./support/expect.js";
import { FaultyStore, diskFull } from "./support/faulty-store.js";
import { checkNodes } from "./support/node-rows.js";

/** Everything that may go goes with the next batch. */
const AT_ONCE: Partial<FreeingLimits> = { afterMs: 0, afterLeaves: 0, atLatestMs: 0, nodesPerBatch: 1 };
/** Nothing goes by itself for the time of a test, except by the number of leaves. */
const BY_LEAVES: Partial<FreeingLimits> = { ...AT_ONCE, afterLeaves: 4, atLatestMs: 1e9 };

const count = (items: number) => Array.from({ length: items }, (_, index) => index);
const keyed = (index: number): string => `key-${String(index).padStart(4, "0")}`;

async function openWith<S extends MemoryStore>(
  store: S,
  freeing: Partial<FreeingLimits> = AT_ONCE,
): Promise<{ db: Database; store: S }> {
  return { db: await Database.create(store, { freeing }), store };
}

/** Can be looked into after its database has closed it. */
class UnclosedStore extends MemoryStore {
  override async close(): Promise<void> {
    // Stays open.
  }
}

/** Takes a while over each write, in their order, so that rounds are put together on top of rounds that are being written. */
class SlowStore extends MemoryStore {
  #last: Promise<void> = Promise.resolve();

  override write(batch: WriteBatch): Promise<void> {
    const write = this.#last.then(async () => {
      for (let turns = 3; turns > 0; turns -= 1) await turn();
      await super.write(batch);
    });
    this.#last = write.catch(() => undefined);
    return write;
  }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Writes some hundred keys, so that maps have levels. */
async function fill(db: Database, head = "main", keys = 300): Promise<void> {
  await db.states.apply(head, { operations: count(keys).map((index) => put(keyed(index), `value ${index}`)) });
}

async function staged(db: Database, head = "main"): Promise<ReadPoint> {
  return (await db.view()).resolve({ staged: head });
}

/** Reads a point to its last leaf. */
function readWhole(point: ReadPoint): number {
  let keys = 0;
  for (const map of [point.state, ...(point.ledger === undefined ? [] : [point.ledger])]) {
    for (const entries of scanSync(point.nodesInPassing, map, { from: new Uint8Array(0) })) keys += [...entries].length;
  }
  return keys;
}

/** What every database is made with, in use or not: three empty maps, and up to three nodes of its first refs. */
const SPARE_NODES = 6;

/** Waits until the store has no node that is in no use. */
async function becomesLean(db: Database, store: MemoryStore, spareNodes = SPARE_NODES): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    const { rows, live } = await checkNodes(db, store);
    if (rows <= live + spareNodes) return;
    assert.ok(tries < 100, `${rows} rows for ${live} nodes in use`);
    await delay(20);
  }
}

// ---- Random histories ----

type Action =
  | { readonly do: "set"; readonly head: number; readonly key: number; readonly value: number }
  | {
      readonly do: "batch";
      readonly head: number;
      readonly from: number;
      readonly keys: number;
      readonly value: number;
    }
  | { readonly do: "delete"; readonly head: number; readonly from: number; readonly keys: number }
  | { readonly do: "commit" | "drop" | "hold" | "release" | "intent" | "tag" | "untag"; readonly head: number }
  | { readonly do: "branch" | "reset"; readonly head: number; readonly from: number }
  | { readonly do: "together"; readonly actions: readonly Action[] }
  | { readonly do: "elsewhere"; readonly head: number; readonly key: number };

const HEADS = ["main", "a", "b"];
const headIndex = fc.nat(HEADS.length - 1);
const position = fc.nat(150);
// Few values, so that contents come back and nodes are made again.
const value = fc.nat(1);
const single = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant("set" as const), head: headIndex, key: position, value }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("batch" as const),
      head: headIndex,
      from: position,
      keys: fc.integer({ min: 1, max: 60 }),
      value,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("delete" as const),
      head: headIndex,
      from: position,
      keys: fc.integer({ min: 1, max: 150 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("commit" as const), head: headIndex }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("branch" as const), head: headIndex, from: headIndex }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("reset" as const), head: headIndex, from: headIndex }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("tag" as const, "untag" as const), head: headIndex }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("drop" as const), head: headIndex }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("intent" as const), head: headIndex }) },
);
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 12, arbitrary: single },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("together" as const),
      actions: fc.array(single, { minLength: 2, maxLength: 6 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("hold" as const, "release" as const), head: headIndex }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("elsewhere" as const), head: headIndex, key: position }) },
);

/** Runs actions against one database, and against a model of what each head holds. */
class History {
  readonly #db: Database;
  readonly #other: Database;
  readonly #store: MemoryStore;
  readonly #held: { readonly point: ReadPoint; readonly keys: number; readonly release: () => void }[] = [];
  #intents = 0;

  constructor(db: Database, other: Database, store: MemoryStore) {
    this.#db = db;
    this.#other = other;
    this.#store = store;
  }

  async run(action: Action): Promise<void> {
    await this.#do(action);
    const roots: Digest[] = this.#held.flatMap(({ point }) => [point.state.root, point.ledger!.root]);
    await checkNodes(this.#db, this.#store, roots);
    for (const { point, keys } of this.#held) assert.equal(readWhole(point), keys);
  }

  /** Nothing is left but what is needed, once nobody reads. Only true while nobody else wrote. */
  async finish(options: { readonly isExact: boolean }): Promise<void> {
    for (const { release } of this.#held.splice(0)) release();
    await this.#db.states.apply("main", { operations: [put("last", "1")] });
    if (options.isExact) await becomesLean(this.#db, this.#store);
    else await checkNodes(this.#db, this.#store);
  }

  async #do(action: Action): Promise<void> {
    const head = "head" in action ? (HEADS[action.head] ?? "") : "";
    try {
      switch (action.do) {
        case "set":
          await this.#db.states.apply(head, { operations: [put(keyed(action.key), `${action.value}`)] });
          return;
        case "batch":
          await this.#db.states.apply(head, {
            operations: count(action.keys).map((index) => put(keyed(action.from + index), `${action.value}`)),
          });
          return;
        case "delete":
          await this.#db.states.apply(head, {
            operations: count(action.keys).map((index) => remove(keyed(action.from + index))),
          });
          return;
        case "commit":
          await this.#db.commits.create({ head, author: "a", message: "m", timeMs: 1 });
          return;
        case "intent":
          await this.#putIntent(head);
          return;
        case "branch":
          await this.#branch(head, HEADS[action.from] ?? "");
          return;
        case "reset":
          await this.#reset(head, HEADS[action.from] ?? "");
          return;
        case "tag":
          await this.#tag(head);
          return;
        case "untag":
          await this.#db.tags.delete(head);
          return;
        case "drop":
          if (head !== "main") await this.#db.heads.delete(head);
          return;
        case "hold":
          await this.#hold(head);
          return;
        case "release":
          this.#held.shift()?.release();
          return;
        case "elsewhere":
          await this.#other.states.apply(head, { operations: [put(keyed(action.key), "elsewhere")] });
          return;
        case "together":
          await Promise.all(
            action.actions.map(async (each, index) => {
              // Behind one another, as from writers of their own: on a slow store they meet in the middle of a flush.
              for (let turns = this.#store instanceof SlowStore ? index : 0; turns > 0; turns -= 1) await turn();
              await this.#do(each);
            }),
          );
      }
    } catch (error) {
      // A head that is not there, or already: part of what may happen.
      if (!(error instanceof NeleusError) || !["NOT_FOUND", "ALREADY_EXISTS"].includes(error.code)) throw error;
    }
  }

  async #branch(name: string, from: string): Promise<void> {
    const { commit } = await (await this.#db.view()).head(from);
    await this.#db.heads.create(name, { commit });
  }

  /** To where another head is, or to nothing where that has no commit. */
  async #reset(name: string, to: string): Promise<void> {
    const { commit } = await (await this.#db.view()).head(to);
    await this.#db.heads.reset(name, { commit });
  }

  async #tag(head: string): Promise<void> {
    const { commit } = await (await this.#db.view()).head(head);
    if (commit !== undefined) await this.#db.tags.create(head, commit);
  }

  async #hold(head: string): Promise<void> {
    const point = await staged(this.#db, head);
    const lease = point.hold();
    this.#held.push({ point, keys: readWhole(point), release: () => lease.release() });
  }

  async #putIntent(head: string): Promise<void> {
    this.#intents += 1;
    const document = await this.#db.documents.begin({
      source: `${this.#intents}`,
      head,
      chunking: { method: "fixed", sizeBytes: 10, overlapBytes: 0 },
      timeMs: this.#intents,
    });
    await document.finish({ sizeBytes: 0, hash: hashBlob(new Uint8Array(0)) });
    await document.close();
  }
}

describe("whatever is written", () => {
  it("what is needed stays, and what is not goes", { timeout: 120_000 }, async () => {
    const actions = fc.array(action, { minLength: 5, maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(actions, fc.constantFrom(AT_ONCE, BY_LEAVES), fc.boolean(), async (history, freeing, isSlow) => {
        const { db, store } = await openWith(isSlow ? new SlowStore() : new MemoryStore(), freeing);
        const other = await Database.open(store, { freeing });
        const run = new History(db, other, store);
        for (const each of history) await run.run(each);
        await run.finish({ isExact: freeing === AT_ONCE && !history.some((each) => each.do === "elsewhere") });
      }),
      // What fails is told at once: making it smaller takes longer than a test may.
      { numRuns: 60, endOnFailure: true },
    );
  });
});

describe("what was replaced", () => {
  it("goes with the batches that follow, and the rest by itself once nobody writes", async () => {
    const { db, store } = await openWith(new MemoryStore(), BY_LEAVES);
    await fill(db);
    const first = (await staged(db)).state.root;
    for (const index of count(4)) await db.states.apply("main", { operations: [put(keyed(index), "new")] });
    assert.ok(store.sync.has("nodes", first), "still there: four leaves have to follow");
    await db.states.apply("main", { operations: [put(keyed(9), "new")] });
    assert.ok(!store.sync.has("nodes", first), "gone with the fifth");
    await expectError((await db.view()).resolve({ root: first }), {
      code: "PRUNED",
      facts: { kind: "root", hash: toHex(first) },
    });
    const { rows, live } = await checkNodes(db, store);
    assert.ok(rows > live + SPARE_NODES, "what the last four replaced is still there");
    await db.close();

    const quiet = await openWith(new MemoryStore(), AT_ONCE);
    await fill(quiet.db);
    await becomesLean(quiet.db, quiet.store);
  });

  for (const [what, unstoredBytes] of [
    ["is not stored where the batch that makes it replaces it, and can be read all the same", 1e9],
    ["is stored all the same where memory has no room for it", 0],
  ] as const) {
    it(what, async () => {
      const freeing = { ...BY_LEAVES, unstoredBytes };
      const { db, store } = await openWith(new FaultyStore(), freeing);
      await fill(db);
      store.written.length = 0;
      // Written together, so that each builds on the one before in one batch.
      const writes = await Promise.all(
        count(20).map((index) => db.states.apply("main", { operations: [put(keyed(index * 10), "new")] })),
      );
      assert.equal(store.written.length, 1);
      const { rows } = await checkNodes(db, store);
      const roots = writes.map(({ root }) => root);
      const stored = roots.map((root) => store.sync.has("nodes", root));
      assert.deepEqual(
        stored,
        roots.map((_, index) => index === 19 || unstoredBytes === 0),
      );
      if (unstoredBytes > 0)
        assert.ok(rows < 120, `${rows} rows, of which some 20 leaves and what is above them are new`);
      const view = await db.view();
      for (const [index, root] of roots.entries()) {
        const point = await view.resolve({ root });
        assert.equal(readWhole(point), 300);
        const cells = [...count(20)].map((key) => readSync(get(point.state, utf8(keyed(key * 10))), point.nodes));
        assert.equal(new Set(cells.slice(0, index + 1).map((cell) => toHex(cell!))).size, 1, "those before it");
        assert.equal(new Set(cells.slice(index).map((cell) => toHex(cell!))).size, 20 - index, "none behind it");
      }
      // A read that goes on keeps one of them; the others are gone after as many leaves as ever.
      const held = await view.resolve({ root: roots[7]! });
      const lease = held.hold();
      for (const index of count(6)) await db.states.apply("main", { operations: [put(keyed(index), `${index}`)] });
      assert.equal(readWhole(held), 300);
      lease.release();
      for (const index of count(2)) await db.states.apply("main", { operations: [put(keyed(index), "last")] });
      await expectError(async () => readWhole(await (await db.view()).resolve({ root: roots[3]! })), {
        code: "PRUNED",
      });
      await checkNodes(db, store);
      // What comes back is stored, and so is what a commit names in the middle of a batch.
      const [, { commit }] = await Promise.all([
        db.states.apply("main", { operations: [put("committed", "1")] }),
        db.commits.create({ head: "main", author: "a", message: "m" }),
        db.states.apply("main", { operations: [remove("committed")] }),
        db.states.apply("main", { operations: [put("committed", "1")] }),
      ]);
      await checkNodes(db, store, [commit.object.stateRoot]);
      await db.close();
    });
  }

  it("stays where a round that was still being written gave it to another head", async () => {
    const { db, store } = await openWith(new SlowStore());
    for (const head of ["a", "b"]) await db.heads.create(head);
    const apply = (head: string, value: string) => db.states.apply(head, { operations: [put("k", value)] });
    // One round makes the node for two heads, and the next, on top of it, for a third, which then lets go of it.
    const writes = [apply("main", "1"), apply("a", "1")];
    await turn();
    writes.push(apply("b", "1"));
    for (let write = writes.length; write > 0; write -= 1) await writes[write - 1];
    await apply("b", "2");
    for (const index of count(3)) {
      await apply("b", `${index}`);
      await checkNodes(db, store);
    }
  });

  it("goes also where it was made again while the round that frees it was being written", async () => {
    const { db, store } = await openWith(new SlowStore());
    await db.states.apply("main", { operations: [put("a", "1")] });
    await db.states.apply("main", { operations: [put("b", "1")] });
    // The first frees what was there before "b" came; the second, on top of it, makes that again.
    const freeing = db.states.apply("main", { operations: [put("c", "1")] });
    await turn();
    const making = db.states.apply("main", { operations: [remove("b"), remove("c")] });
    await Promise.all([freeing, making]);
    await checkNodes(db, store);
    await db.states.apply("main", { operations: [put("last", "1")] });
    await becomesLean(db, store, 4);
  });

  it("is not looked for by rounds that follow one another without end", async () => {
    const { db, store } = await openWith(new SlowStore());
    for (const head of ["a", "b"]) await db.heads.create(head);
    const writes: Promise<unknown>[] = [];
    for (const index of count(200)) {
      // The other head is where the first of these rounds found it, in refs that were replaced and freed since.
      const head = index % 50 === 49 ? "b" : "a";
      writes.push(db.states.apply(head, { operations: [put("k", `${index}`)] }));
      await turn();
    }
    await Promise.all(writes);
    await checkNodes(db, store);
  });

  it("goes bit by bit, the roots before what is below them", async () => {
    const freeing = { ...AT_ONCE, nodesPerBatch: 3, nodesWhenIdle: 1 };
    const { db, store } = await openWith(new FaultyStore(), freeing);
    await fill(db);
    await db.states.apply("main", { operations: count(300).map((index) => put(keyed(index), "new")) });
    store.written.length = 0;
    for (const index of count(5)) {
      await db.states.apply("main", { operations: [put(keyed(index), `${index}`)] });
      await checkNodes(db, store);
    }
    for (const { puts = [], deletes = [] } of store.written) {
      const created = puts.filter(({ space }) => space === "nodes").length;
      if (created > 0) assert.ok(deletes.length <= 3 + 2 * created, `${deletes.length} of ${created}`);
      else assert.equal(deletes.length, 1);
    }
    await db.close();
  });

  it("stays where a commit names it, another head has it, or a database made it before", async () => {
    const { db, store } = await openWith(new MemoryStore());
    await fill(db);
    const { commit } = await db.commits.create({ head: "main", author: "a", message: "m" });
    await db.heads.create("other", { commit: commit.hash });
    // The other head has the same content by its own way.
    await db.heads.create("own");
    await fill(db, "own");
    await db.states.apply("main", { operations: [remove(keyed(1)), put(keyed(2), "x")] });
    await db.states.apply("own", { operations: [remove(keyed(7))] });
    await db.heads.delete("own");
    await becomesLean(db, store);
    const { state } = await (await db.view()).resolve({ commit: commit.hash });
    assert.ok(store.sync.has("nodes", state.root));
    assert.equal(readWhole(await (await db.view()).resolve({ head: "other" })), 300);

    const reopened = await Database.open(store, { freeing: AT_ONCE });
    const before = (await staged(reopened)).state.root;
    await reopened.states.apply("main", { operations: [put("a", "1")] });
    await reopened.states.apply("main", { operations: [put("b", "1")] });
    assert.ok(store.sync.has("nodes", before), "who wrote it, and who else uses it, is not known any more");
    await checkNodes(reopened, store);
  });

  it("comes back when it is written again, also while it waits", async () => {
    for (const freeing of [AT_ONCE, BY_LEAVES]) {
      const { db, store } = await openWith(new MemoryStore(), freeing);
      await fill(db);
      const first = (await staged(db)).state.root;
      for (const turn of count(12)) {
        const operations = [turn % 2 === 0 ? put("toggled", "1") : remove("toggled")];
        await db.states.apply("main", { operations });
        await checkNodes(db, store);
        if (turn % 2 === 1) assert.deepEqual((await staged(db)).state.root, first);
      }
      await db.states.apply("main", { operations: [put("more", "1")] });
      await db.close();
    }
  });

  it("is not freed when the batch that should do it fails, and nothing of that batch is freed later", async () => {
    const { db, store } = await openWith(new FaultyStore());
    await fill(db);
    const first = (await staged(db)).state.root;
    store.beforeWrite = () => Promise.reject(diskFull());
    await expectError(db.states.apply("main", { operations: [put("k", "1")] }), { code: "UNAVAILABLE" });
    store.beforeWrite = async () => undefined;
    assert.deepEqual((await staged(db)).state.root, first);
    await db.states.apply("main", { operations: [put("k", "2")] });
    await db.states.apply("main", { operations: [put("k", "3")] });
    await checkNodes(db, store);
    assert.ok(store.sync.has("nodes", first), "what is not known is left to garbage collection");
    // From then on it goes on as before.
    const { rows: before } = await checkNodes(db, store);
    for (const index of count(20)) await db.states.apply("main", { operations: [put("k", `again ${index}`)] });
    await delay(150);
    const { rows: after } = await checkNodes(db, store);
    assert.ok(after <= before + 10, `${before} rows, then ${after}`);
  });

  it("is left alone while two databases write in turn", async () => {
    const { db, store } = await openWith(new MemoryStore());
    const other = await Database.open(store, { freeing: AT_ONCE });
    await fill(db);
    for (const index of count(30)) {
      const writer = index % 3 === 2 ? other : db;
      await writer.states.apply("main", { operations: [put(keyed(index * 7), `${index}`)] });
      if (index % 10 === 5) await other.commits.create({ head: "main", author: "a", message: `${index}` });
      await checkNodes(db, store);
    }
    // The same key and value: what one made and replaced, the other makes again before it is freed.
    for (const index of count(10)) {
      for (const writer of [db, other]) {
        await writer.states.apply("main", { operations: [put("same", `${index % 2}`)] });
        await checkNodes(db, store);
      }
    }
  });

  it("of more than is followed, nothing that is needed goes", async () => {
    const { db, store } = await openWith(new MemoryStore(), { ...AT_ONCE, followedNodes: 12 });
    await fill(db);
    for (const index of count(60)) {
      await db.states.apply("main", { operations: [put(keyed((index * 37) % 300), `${index}`)] });
      await checkNodes(db, store);
    }
  });

  it("is freed at the end, as far as it has waited long enough", async () => {
    const { db, store } = await openWith(new UnclosedStore(), { ...AT_ONCE, afterLeaves: 1e9, atLatestMs: 1e9 });
    await fill(db);
    await fill(db, "main", 100);
    for (const index of count(30)) await db.states.apply("main", { operations: [put("k", `${index}`)] });
    const before = await checkNodes(db, store);
    assert.ok(before.rows > before.live + SPARE_NODES);
    await db.close();
    const after = await checkNodes(await Database.open(store), store);
    assert.ok(after.rows <= after.live + SPARE_NODES);
  });
});

describe("an open read", () => {
  it("keeps its root whole, whatever is written, until it is released", async () => {
    const { db, store } = await openWith(new MemoryStore());
    await fill(db);
    const point = await staged(db);
    const lease = point.hold();
    const scan = scanSync(point.nodesInPassing, point.state, { from: new Uint8Array(0) });
    let keys = [...(scan.next().value ?? [])].length;
    for (const index of count(50)) {
      await db.states.apply("main", { operations: [put(keyed(index * 5 + 1), "new"), remove(keyed(index * 5))] });
    }
    await checkNodes(db, store, [point.state.root]);
    for (const entries of scan) keys += [...entries].length;
    assert.equal(keys, 300);
    lease.release();
    lease.release();
    await becomesLean(db, store);
  });

  it("of a root that was replaced already keeps what is left of it: all", async () => {
    const { db, store } = await openWith(new MemoryStore(), BY_LEAVES);
    await fill(db);
    const { state } = await staged(db);
    await db.states.apply("main", { operations: [put("a", "1")] });
    const point = await (await db.view()).resolve({ root: state.root });
    const lease = point.hold();
    for (const index of count(20)) await db.states.apply("main", { operations: [put("a", `${index}`)] });
    assert.equal(readWhole(point), 300);
    lease.release();
    for (const index of count(9)) await db.states.apply("main", { operations: [put("a", `${index}`)] });
    assert.throws(() => readWhole(point), { code: "PRUNED" });
    await checkNodes(db, store);
  });

  it("without a lease that comes too late is told so, and never that the store is damaged", async () => {
    const { db } = await openWith(new MemoryStore());
    await fill(db);
    const view = await db.view();
    const point = await view.resolve({ staged: "main" });
    const byRoot = await view.resolve({ root: point.state.root });
    for (const index of count(9)) await db.states.apply("main", { operations: [put(keyed(index * 30), "x")] });
    for (const late of [point, byRoot]) {
      assert.throws(() => readSync(get(late.state, utf8(keyed(30))), late.nodes), { code: "PRUNED" });
      assert.throws(() => readWhole(late), { code: "PRUNED" });
    }
    await expectError(view.head("main"), { code: "PRUNED" });
    await expectError(view.heads(), { code: "PRUNED" });
  });

  it("is told of damage where a node is missing that is needed", async () => {
    const { db, store } = await openWith(new MemoryStore(), { ...AT_ONCE, afterLeaves: 1e9, atLatestMs: 1e9 });
    await fill(db);
    const { commit } = await db.commits.create({ head: "main", author: "a", message: "m" });
    const { state } = await staged(db);
    const node = db.nodes.load(state.root, state.kind);
    const child = node.childDigest(0);
    const reader = async (): Promise<Database> => Database.open(store);
    await store.write({ deletes: [{ space: "nodes", key: child }] });
    for (const at of [{ staged: "main" }, { root: state.root }, { commit: commit.hash }, { head: "main" }]) {
      const point = await (await (await reader()).view()).resolve(at);
      assert.throws(() => readWhole(point), { code: "CORRUPT", facts: { kind: "node", hash: toHex(child) } });
    }
    await store.write({ deletes: [{ space: "nodes", key: state.root }] });
    await expectError((await (await reader()).view()).resolve({ root: state.root }), { code: "CORRUPT" });
    const point = await (await (await reader()).view()).resolve({ staged: "main" });
    assert.throws(() => readWhole(point), {
      code: "CORRUPT",
      facts: { kind: "node", hash: toHex(state.root) },
    });
  });

  it("of another database is seen once it lasts, and no longer than it says", async () => {
    const freeing = { ...AT_ONCE, afterMs: 200 };
    const { db, store } = await openWith(new MemoryStore(), freeing);
    const reader = await Database.open(store, { freeing });
    await fill(db);
    const point = await staged(reader);
    const lease = point.hold();
    const startMs = performance.now();
    let written = 0;
    while (performance.now() - startMs < 900) {
      await db.states.apply("main", { operations: [put(keyed((written += 1) % 300), `${written}`)] });
      await delay(20);
      assert.equal(readWhole(point), 300);
    }
    assert.equal((await db.usage()).rows.leases, 1);
    lease.release();
    await delay(200);
    assert.equal((await db.usage()).rows.leases, 0, "the row goes with the read");
    while (performance.now() - startMs < 1_600) {
      await db.states.apply("main", { operations: [put(keyed((written += 1) % 300), `${written}`)] });
      await delay(20);
    }
    assert.throws(() => readWhole(point), { code: "PRUNED" });
    // Left behind by a process that died, from another time, and no lease at all: they hold nothing, and go.
    const row = (id: number, value: Uint8Array) => ({ space: "leases", key: u64be(id), value }) as const;
    await store.write({
      puts: [
        row(1, encode([1, 0, Date.now() - 1])),
        row(2, encode([1, 0, Date.now() + 1e9])),
        row(3, utf8("no lease")),
        row(4, encode([1, "0", 2])),
      ],
    });
    for (const index of count(20)) {
      await db.states.apply("main", { operations: [put("again", `${index}`)] });
      await delay(25);
    }
    assert.equal((await db.usage()).rows.leases, 0);
    await checkNodes(db, store);
    await reader.close();
  });
});

describe("a load", () => {
  /** Does something before and after the first batch of nodes that no round wrote. */
  class OvertakenStore extends MemoryStore {
    before: (() => Promise<void>) | undefined;
    after: (() => Promise<void>) | undefined;

    override async write(batch: WriteBatch): Promise<void> {
      const isLoad = batch.conditions === undefined && batch.puts?.[0]?.space === "nodes";
      const { before, after } = this;
      if (isLoad) this.before = this.after = undefined;
      if (isLoad) await before?.();
      await super.write(batch);
      if (isLoad) await after?.();
    }
  }

  const content = count(300).map((index) => put(keyed(index), `value ${index}`));

  async function load(db: Database): Promise<void> {
    const bulk = await db.states.load("main");
    await bulk.add({ keys: content.map(({ key }) => key), values: count(300).map((index) => utf8(`value ${index}`)) });
    await bulk.finish();
    await bulk.close();
  }

  for (const whose of ["its own", "another"]) {
    it(`keeps nodes that ${whose} process makes as well, replaces and would free`, async () => {
      const { db, store } = await openWith(new OvertakenStore());
      const writer = whose === "another" ? await Database.open(store, { freeing: AT_ONCE }) : db;
      await writer.heads.create("other");
      // Made between the load's look at the store and its write; replaced, and due, after that.
      store.before = async () => {
        await writer.states.apply("other", { operations: content });
      };
      store.after = async () => {
        await writer.states.apply("other", { operations: content.map(({ key }) => ({ key, change: "delete" })) });
        for (const index of count(5)) await writer.states.apply("other", { operations: [put("k", `${index}`)] });
        await delay(150);
      };
      await load(db);
      assert.equal(store.before, undefined);
      assert.equal(readWhole(await staged(db)), 300);
      for (const index of count(5)) await writer.states.apply("other", { operations: [put("k", `${index}`)] });
      await delay(150);
      await checkNodes(db, store);
      assert.equal((await db.usage()).rows.leases, 0);
    });
  }

  it("begins again where nodes that it found are freed under its last step", async () => {
    const { db, store } = await openWith(new FaultyStore());
    const other = await Database.open(store, { freeing: AT_ONCE });
    await other.heads.create("other");
    await other.states.apply("other", { operations: content });
    const { state } = await staged(other, "other");
    let moves = 0;
    store.beforeWrite = async (batch) => {
      const required = batch.conditions?.filter(({ space }) => space === "nodes") ?? [];
      if (required.length === 0 || (moves += 1) > 1) return;
      // As a process does that frees what it has just replaced: without moving the tail.
      await MemoryStore.prototype.write.call(store, { deletes: [{ space: "nodes", key: state.root }] });
    };
    await load(db);
    assert.equal(moves, 2);
    assert.equal(readWhole(await staged(db)), 300);
    await checkNodes(db, store);
  });
});
