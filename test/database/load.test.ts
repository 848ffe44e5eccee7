// Goal: a load makes the state that the same puts one by one make, whatever their order and number, in memory and on disk;
// until it is finished, and where it is left, failed or killed, nothing is to be seen of it. Method: rebuilds as the oracle;
// loads left at every point, and a process killed in the middle.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { hashBlob } from "#src/core/blob/index.js";
import { compareBytes, toHex, utf8 } from "#src/core/bytes.js";
import { Conflict, InvalidArgument, LimitExceeded, NotFound, Unavailable } from "#src/core/errors.js";
import { MAX_LOADS, MAX_OPEN_SEGMENT_ENTRIES } from "#src/core/limits.js";
import { MapKind, buildMap, emptyMap } from "#src/core/map/index.js";
import { placeHeads, rankOf } from "#src/core/map/place.js";
import { stateCell } from "#src/core/object/index.js";
import { Database } from "#src/database/index.js";
import type { Load, LoadOptions, Loaded } from "#src/database/index.js";
import { MemoryStore } from "#src/store/index.js";
import { patternBytes } from "./support/bytes.js";
import { inDirectory, inMemory, onEachStore, put, readAll, readText, remove } from "./support/database.js";
import { checkNodes } from "./support/node-rows.js";

type Pair = readonly [key: string, value: string | Uint8Array];

const bytesOf = (value: string | Uint8Array): Uint8Array => (typeof value === "string" ? utf8(value) : value);

async function add(load: Load, pairs: readonly Pair[], atOnce = 700): Promise<void> {
  for (let first = 0; first < pairs.length; first += atOnce) {
    const part = pairs.slice(first, first + atOnce);
    await load.add({ keys: part.map(([key]) => utf8(key)), values: part.map(([, value]) => bytesOf(value)) });
  }
}

async function loadAll(db: Database, pairs: readonly Pair[], options: LoadOptions = {}): Promise<Loaded> {
  const load = await db.states.load("main", options);
  try {
    await add(load, pairs);
    return await load.finish();
  } finally {
    await load.close();
  }
}

/** The root of a rebuild; of a key that comes twice the later value. */
function rootOf(pairs: readonly Pair[]): string {
  const entries = [...new Map(pairs)].map(([key, value]) => {
    const bytes = bytesOf(value);
    return { key: utf8(key), cell: stateCell.encode({ hash: hashBlob(bytes), size: bytes.length }) };
  });
  entries.sort((a, b) => compareBytes(a.key, b.key));
  return toHex(buildMap(MapKind.state, entries, () => undefined).root);
}

const numbered = (count: number, prefix = "key"): Pair[] =>
  Array.from({ length: count }, (_, index) => {
    const key = `${prefix}/${String(index).padStart(6, "0")}`;
    return [key, `value of ${key}`] as const;
  });

onEachStore("a load", async ({ create }) => {
  const db = await create();
  const pairs: Pair[] = [
    ...numbered(500),
    ["empty value", ""],
    ["large", patternBytes(200_000, 1)],
    ["medium", patternBytes(60_000, 2)],
    ["again", "1"],
    ["again", "2"],
    ["k".repeat(1024), "long key"],
  ];
  const before = await db.view();
  const { root, keys, beforeRoot, receipt, view } = await loadAll(db, pairs);
  assert.equal(toHex(root), rootOf(pairs));
  assert.deepEqual([keys, toHex(beforeRoot)], [505, toHex(emptyMap(MapKind.state).digest)]);
  assert.equal(receipt.logIndex, before.logSize);
  assert.deepEqual((await view.head("main")).stagedState, root);
  const all = await readAll(db);
  assert.equal(Object.keys(all).length, 505);
  assert.equal(all["again"], "2");
  assert.equal(all["medium"], Buffer.from(patternBytes(60_000, 2)).toString());
  // On top of what is there; what it does not name stays.
  const more: Pair[] = [["again", "3"], ...numbered(900).slice(400), ["a", "first"], ["zzz", "last"]];
  const second = await loadAll(db, more.toReversed());
  assert.equal(toHex(second.root), rootOf([...pairs, ...more]));
  assert.deepEqual(second.beforeRoot, root);
  assert.equal((await loadAll(db, more)).receipt.logIndex, second.receipt.logIndex, "nothing changes, so no leaf");
  assert.equal((await loadAll(db, [])).keys, 0);
  assert.equal((await db.usage()).uploads, 0);
  await db.close();
});

onEachStore("a load that is left", async ({ create }) => {
  const db = await create();
  await db.states.apply("main", { operations: [put("there", "1")] });
  const state = async (): Promise<string> => JSON.stringify([await readAll(db), (await db.usage()).rows]);
  const untouched = await state();
  for (const count of [0, 3, 2_000]) {
    const load = await db.states.load("main");
    await add(load, numbered(count));
    assert.equal(load.count, count);
    assert.equal((await db.usage()).uploads, 1);
    await load.close();
    await load.close();
    await assert.rejects(load.finish(), Unavailable);
    assert.equal((await db.usage()).uploads, 0);
  }
  assert.equal(await state(), untouched);
  // Ended by its signal: whatever was written by then, nothing refers to it.
  const load = await db.states.load("main");
  await add(load, numbered(2_000));
  await assert.rejects(load.finish({ signal: AbortSignal.abort(new Error("enough")) }), /enough/);
  await load.close();
  assert.deepEqual(await readAll(db), { there: "1" });
  // The database does not wait for those who are away.
  const forgotten = await db.states.load("main");
  await add(forgotten, numbered(10));
  await db.close();
  await assert.rejects(forgotten.add({ keys: [], values: [] }), Unavailable);
});

describe("loads", () => {
  it("make one root of a hundred thousand keys in three orders", { timeout: 60_000 }, async () => {
    const { db } = await inMemory();
    const sorted = numbered(100_000);
    const scattered = sorted.map((_, index) => sorted[(index * 7_919) % sorted.length]!);
    const expected = rootOf(sorted);
    for (const pairs of [sorted, sorted.toReversed(), scattered]) {
      const before = await db.view();
      await db.heads.delete("main");
      await db.heads.create("main");
      const { root, keys } = await loadAll(db, pairs, { expectedRoot: "empty" });
      assert.deepEqual([toHex(root), keys], [expected, 100_000]);
      assert.equal((await db.view()).logSize, before.logSize + 3);
    }
    assert.equal(await readText(db, "key/077777"), "value of key/077777");
    await db.close();
  });

  it("refuse what cannot be, by field, and another root than the expected one", async () => {
    const { db } = await inMemory();
    await assert.rejects(db.states.load("none"), NotFound);
    await assert.rejects(db.states.load("a/../b"), InvalidArgument);
    const { root } = await db.states.apply("main", { operations: [put("k", "v")] });
    await assert.rejects(db.states.load("main", { expectedRoot: "empty" }), Conflict);
    await assert.rejects(db.states.load("main", { expectedRoot: new Uint8Array(32) }), Conflict);
    await assert.rejects(db.states.load("main", { expectedRoot: new Uint8Array(31) }), InvalidArgument);
    const load = await db.states.load("main", { expectedRoot: root });
    const wrong: [keys: Uint8Array[], values: Uint8Array[], field: string][] = [
      [[utf8("a"), new Uint8Array(0)], [utf8(""), utf8("")], "entries.keys[1]"],
      [[new Uint8Array(1025)], [utf8("")], "entries.keys[0]"],
      [[utf8("a")], [new Uint8Array(256 * 1024 + 1)], "entries.values[0]"],
      [[utf8("a"), utf8("b")], [utf8("")], "entries.values"],
      [[utf8("a")], [utf8(""), utf8("")], "entries.values"],
    ];
    for (const [keys, values, field] of wrong) {
      await assert.rejects(load.add({ keys, values }), (error: InvalidArgument) => error.field === field);
    }
    // Somebody is first.
    await db.states.apply("main", { operations: [put("k", "w")] });
    await add(load, [["k", "x"]]);
    await assert.rejects(load.finish(), Conflict);
    await load.close();
    assert.deepEqual(await readAll(db), { k: "w" });
    const many = await Promise.all(Array.from({ length: MAX_LOADS }, () => db.states.load("main")));
    await assert.rejects(db.states.load("main"), LimitExceeded);
    for (const one of many) await one.close();
    await (await db.states.load("main")).close();
    await db.close();
  });

  it("take over what others write meanwhile, and give way to who deletes the head", async () => {
    const { db } = await inMemory();
    const load = await db.states.load("main");
    await add(load, numbered(3_000));
    const finished = load.finish();
    const writes = Array.from({ length: 3 }, (_, index) =>
      db.states.apply("main", { operations: [put(`meanwhile/${index}`, "1")] }),
    );
    await Promise.all(writes);
    const { root } = await finished;
    assert.equal(toHex(root), rootOf([...numbered(3_000), ...[0, 1, 2].map((n) => [`meanwhile/${n}`, "1"] as const)]));
    await load.close();
    const second = await db.states.load("main");
    await add(second, numbered(10));
    await db.heads.delete("main");
    await assert.rejects(second.finish(), NotFound);
    await second.close();
    await db.close();
  });

  it("keep the nodes that they found there, though what replaced them is freed", async () => {
    const store = new MemoryStore();
    const freeing = { afterMs: 0, afterLeaves: 0, atLatestMs: 0, nodesPerBatch: 1 };
    const db = await Database.create(store, { freeing });
    await db.heads.create("other");
    for (let round = 0; round < 12; round += 1) {
      // The nodes of this are those that the load comes to; the head that has them moves on while it loads.
      const pairs = numbered(400, `round ${round}`);
      const operations = pairs.map(([key, value]) => put(key, value));
      await db.states.apply("other", { operations });
      const load = await db.states.load("main");
      await add(load, pairs);
      const finished = load.finish();
      for (let step = 0; step < 4; step += 1) {
        await db.states.apply("other", {
          operations: [put(`round ${round}/${String(step * 97).padStart(6, "0")}`, "x")],
        });
      }
      await db.states.apply("other", { operations: pairs.map(([key]) => remove(key)) });
      await finished;
      await load.close();
      assert.equal(Object.keys(await readAll(db)).length, 400 * (round + 1));
    }
    for (let tries = 0; tries < 5; tries += 1) await new Promise((resolve) => setTimeout(resolve, 120));
    await checkNodes(db, store);
    assert.equal(Object.keys(await readAll(db)).length, 4_800);
    await db.close();
  });

  it("are refused where keys were made so that no node may end", { timeout: 60_000 }, async () => {
    const { db } = await inMemory();
    const load = await db.states.load("main");
    const keys = Array.from({ length: MAX_OPEN_SEGMENT_ENTRIES * 1.15 }, (_, index) => utf8(`k${index}`));
    const heads = placeHeads(keys);
    const ground = keys.filter((key, index) => rankOf({ key, placeHead: heads[index] ?? 0 }) === 0);
    assert.ok(ground.length > MAX_OPEN_SEGMENT_ENTRIES + 2_000);
    await load.add({ keys: ground, values: ground.map(() => utf8("v")) });
    await assert.rejects(load.finish(), LimitExceeded);
    await load.close();
    assert.deepEqual(await readAll(db), {});
    await db.close();
  });

  it("leave nothing to be seen when their process is killed", { timeout: 60_000 }, () =>
    inDirectory(async ({ create, location }) => {
      const made = await create();
      await made.states.apply("main", { operations: [put("there", "1")] });
      await made.close();
      const loader = join(process.cwd(), "build/test/database/support/kill-loader.js");
      for (const when of ["added 20000", "finishing"]) {
        const child = spawn(process.execPath, [loader, location], { stdio: ["ignore", "pipe", "inherit"] });
        const ended = once(child, "exit");
        let text = "";
        for await (const data of child.stdout) {
          text += String(data);
          // In the finish: at a random instant of it.
          if (text.includes(when))
            setTimeout(() => child.kill("SIGKILL"), when === "finishing" ? Math.random() * 200 : 0);
        }
        assert.deepEqual(await ended, [null, "SIGKILL"]);
        const db = await Database.open(location);
        assert.deepEqual(await readAll(db), { there: "1" });
        // What is left of it is an upload that nobody touches any more, which goes when it expires.
        assert.ok((await readdir(join(location, "wal"))).length <= 2);
        await db.close();
      }
      const db = await Database.open(location);
      const { root } = await loadAll(db, numbered(1_000));
      assert.equal(toHex(root), rootOf([...numbered(1_000), ["there", "1"]]));
      await db.close();
    }),
  );
});
