// Goal: state through the client: what is written is read back, absence and completeness are proved, large values travel by
// themselves, conditions hold; the same over every transport.
// Method: a plain Map as the model beside a database; random operations from a fixed seed.
import assert from "node:assert/strict";
import { compareBytes, fromUtf8, toHex, utf8 } from "#src/core/bytes.js";
import { hashBlob } from "#src/core/blob/index.js";
import {
  Conflict,
  IncompleteProof,
  InvalidArgument,
  LimitExceeded,
  NotFound,
  Pruned,
  VerificationFailed,
  type NeleusError,
} from "#src/core/errors.js";
import type { Operation, StateView } from "#src/client/contract.js";
import { patternBytes } from "../database/support/bytes.js";
import { all, askingOtherwise, onEachTransport } from "./support/fixture.js";

/** What a view holds, as the model would have it. */
async function contents(view: StateView): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for await (const entry of view.scan({ values: true })) found.set(entry.keyText(), toHex(entry.bytes));
  return found;
}

onEachTransport("a model beside a database", async ({ client }) => {
  const db = await client();
  const main = db.state("main");
  const model = new Map<string, string>();
  let seed = 12345;
  const random = (below: number): number => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) % below;
  for (let round = 0; round < 12; round += 1) {
    const operations = new Map<string, Operation>();
    for (let count = 1 + random(40); count > 0; count -= 1) {
      const key = `key/${random(200)}`;
      const value = patternBytes(random(4) === 0 ? 0 : random(3000), random(250));
      operations.set(key, random(4) === 0 ? { key, delete: true } : { key, value });
    }
    await main.apply([...operations.values()], round % 3 === 0 ? { unverified: true } : {});
    for (const [key, operation] of operations) {
      if ("value" in operation) model.set(key, toHex(operation.value as Uint8Array));
      else model.delete(key);
    }
    const { staged } = await db.snapshot("main");
    assert.deepEqual(await contents(staged), new Map([...model].sort(([a], [b]) => compareBytes(utf8(a), utf8(b)))));
  }
  const keys = Array.from({ length: 220 }, (_, index) => `key/${index}`);
  const snapshot = await db.snapshot("main");
  const many = new Map<string, string | undefined>();
  for await (const { key, value } of snapshot.staged.getMany([...keys, ...keys.slice(0, 9)])) {
    many.set(fromUtf8(key), value === undefined ? undefined : toHex(value.bytes));
  }
  assert.equal(many.size, keys.length);
  for (const key of keys) {
    const value = await snapshot.staged.get(key);
    assert.equal(value === undefined ? undefined : toHex(value.bytes), model.get(key));
    assert.equal(many.get(key), model.get(key));
    assert.equal((await snapshot.staged.entry(key)) !== undefined, model.has(key));
  }
  await db.close();
});

onEachTransport("ranges, prefixes, limits", async ({ client }) => {
  const db = await client();
  const keys = Array.from(
    { length: 300 },
    (_, index) => `${index % 3 === 0 ? "a" : "b"}/${String(index).padStart(4, "0")}`,
  );
  await db.state("main").apply(keys.map((key) => ({ key, value: key })));
  const sorted = [...keys].sort();
  const { staged } = await db.snapshot("main");
  const scanned = async (range: Parameters<StateView["scan"]>[0]): Promise<string[]> =>
    (await all(staged.scan(range))).map((entry) => entry.keyText());
  assert.deepEqual(await scanned({}), sorted);
  assert.deepEqual(
    await scanned({ prefix: "a/" }),
    sorted.filter((key) => key.startsWith("a/")),
  );
  assert.deepEqual(await scanned({ prefix: "" }), sorted);
  assert.deepEqual(await scanned({ prefix: "none" }), []);
  assert.deepEqual(
    await scanned({ from: "a/0100", to: "b/0010" }),
    sorted.filter((k) => k >= "a/0100" && k < "b/0010"),
  );
  assert.deepEqual(await scanned({ from: "b", to: "a" }), []);
  assert.deepEqual(await scanned({ from: "a/0000", to: "a/0000" }), []);
  for (const limit of [1, 2, 17, 299, 300, 301]) {
    assert.deepEqual(await scanned({ limit }), sorted.slice(0, limit));
    assert.deepEqual(await scanned({ prefix: "b/", limit }), sorted.filter((k) => k.startsWith("b/")).slice(0, limit));
    const values = await all(staged.scan({ values: true, limit, from: "a/0003" }));
    assert.deepEqual(
      values.map((value) => value.text()),
      sorted.slice(1, 1 + limit),
    );
  }
  for (const maxBytes of [1, 47, 48, 500, 5_000, 1e9]) {
    for (const values of [false, true]) {
      // Each key has 6 bytes, its cell 36, and its value 6 again.
      const count = Math.min(300, Math.ceil(maxBytes / (values ? 48 : 42)));
      assert.deepEqual(await scanned({ maxBytes, values }), sorted.slice(0, count), `${maxBytes}, ${values}`);
      assert.deepEqual(await scanned({ maxBytes, values, limit: 5 }), sorted.slice(0, Math.min(count, 5)));
      assert.deepEqual(
        await scanned({ maxBytes, values, prefix: "b/" }),
        sorted.slice(100, 100 + Math.min(200, count)),
      );
    }
  }
  await assert.rejects(all(staged.scan({ maxBytes: 0 })), InvalidArgument);
  // A server that goes on behind the limit, and servers that end before it, by whatever other limit.
  for (const [change, refusal] of [
    [{ maxBytes: undefined }, VerificationFailed],
    [{ maxBytes: 5_001n }, VerificationFailed],
    [{ maxBytes: 4_900n }, IncompleteProof],
    [{ limit: 50n }, IncompleteProof],
  ] as const) {
    const other = await client({}, (inner) => askingOtherwise(inner, change));
    const view = other.at({ root: staged.stateRoot });
    for (const values of [false, true]) await assert.rejects(all(view.scan({ maxBytes: 4_992, values })), refusal);
  }
  // Leaving early is no failure, and the next call works.
  for await (const entry of staged.scan({ values: true })) {
    assert.equal(entry.keyText(), sorted[0]);
    break;
  }
  assert.equal((await all(staged.scan())).length, 300);
  await assert.rejects(all(staged.scan({ limit: 0 })), InvalidArgument);
  await assert.rejects(all(staged.scan({ prefix: "a", from: "b" })), InvalidArgument);
  assert.deepEqual(await scanned({ prefix: new Uint8Array([255, 255]) }), []);
  await db.close();
});

onEachTransport("values of every size", async ({ client }) => {
  const db = await client();
  const main = db.state("main");
  const sizes = [0, 1, 1024, 16_379, 65_536, 256 * 1024, 256 * 1024 + 1, 1_500_000];
  for (const [index, size] of sizes.entries()) await main.put(`size/${index}`, patternBytes(size, index));
  const { staged } = await db.snapshot("main");
  for (const [index, size] of sizes.entries()) {
    const value = await staged.get(`size/${index}`);
    assert.equal(value?.sizeBytes, size);
    assert.deepEqual(value.bytes, patternBytes(size, index));
  }
  const scanned = await all(staged.scan({ prefix: "size/", values: true }));
  assert.deepEqual(
    scanned.map(({ bytes }) => bytes.length),
    sizes,
  );
  const many = await all(staged.getMany(sizes.map((_, index) => `size/${index}`)));
  assert.deepEqual(
    many.map(({ value }) => value?.bytes.length),
    sizes,
  );
  await assert.rejects(staged.get("size/7", { maxValueBytes: 1_000_000 }), LimitExceeded);
  await assert.rejects(all(staged.scan({ values: true, maxValueBytes: 1000 })), LimitExceeded);
  assert.equal((await staged.entry("size/7"))?.sizeBytes, 1_500_000);
  await db.close();
});

onEachTransport("conditions and expected roots", async ({ client }) => {
  const db = await client();
  const main = db.state("main");
  const { root } = await main.put("a", "1", { condition: { absent: true } });
  await assert.rejects(main.put("a", "2", { condition: { absent: true } }), Conflict);
  await assert.rejects(main.put("a", "2", { condition: { hash: hashBlob(utf8("0")) } }), Conflict);
  await assert.rejects(main.apply([{ key: "b", value: "1" }], { expectedRoot: new Uint8Array(32) }), Conflict);
  await main.apply([{ key: "b", value: "1" }], { expectedRoot: toHex(root) });
  await main.put("a", "2", { condition: { hash: toHex(hashBlob(utf8("1"))) } });
  await main.delete("a", { condition: { hash: hashBlob(utf8("2")) } });
  assert.equal(await main.get("a"), undefined);
  const blob = await db.putBlob("held");
  await main.apply([
    { key: "c", blob },
    { key: "b", delete: true },
  ]);
  assert.equal((await main.get("c"))?.text(), "held");
  assert.deepEqual(
    (await all(main.scan())).map((entry) => entry.keyText()),
    ["c"],
  );
  assert.equal((await all(main.getMany(["c", "d"]))).length, 2);
  const missing = { hash: hashBlob(utf8("nobody has this")), sizeBytes: 15 };
  await assert.rejects(main.apply([{ key: "d", blob: missing }]), NotFound);
  await assert.rejects(main.apply([]), InvalidArgument);
  const twice = ["x", "y", "x"].map((key) => ({ key, value: "1" }));
  await assert.rejects(main.apply(twice), (error: NeleusError) => error.field === "operations[2].key");
  await assert.rejects(main.put("", "x"), InvalidArgument);
  await assert.rejects(main.put("k".repeat(1025), "x"), InvalidArgument);
  await assert.rejects(main.put("\ud800", "x"), InvalidArgument);
  await assert.rejects(main.put("k", 7 as never), InvalidArgument);
  await assert.rejects(main.apply([{ key: "x", value: "1" }], { expectedRoot: "12" }), InvalidArgument);
  assert.throws(() => db.state("a/../b"), InvalidArgument);
  await assert.rejects(db.state("absent").put("k", "v"), NotFound);
  await assert.rejects(db.state("absent").get("k"), NotFound);
  await assert.rejects(db.snapshot("absent"), NotFound);
  await db.close();
});

onEachTransport("snapshots do not change, and commits are where they were made", async ({ client }) => {
  const db = await client();
  const main = db.state("main");
  const empty = await db.snapshot("main");
  assert.equal(empty.commitHash, undefined);
  assert.equal(await empty.get("k"), undefined);
  assert.deepEqual(await all(empty.scan()), []);
  assert.deepEqual(
    (await all(empty.getMany(["k"]))).map(({ value }) => value),
    [undefined],
  );
  await main.put("k", "1");
  const before = await db.snapshot("main");
  assert.equal(before.commit, undefined);
  assert.equal((await before.staged.get("k"))?.text(), "1");
  const committed = await db.commit("main", { author: "tester", message: "one" });
  await main.put("k", "2");
  const after = await db.snapshot("main");
  assert.deepEqual(after.commitHash, committed.hash);
  assert.deepEqual(after.commit?.bytes, committed.commit.bytes);
  assert.equal((await after.get("k"))?.text(), "1");
  assert.equal((await after.staged.get("k"))?.text(), "2");
  assert.equal((await before.staged.get("k"))?.text(), "1");
  assert.equal((await db.at({ commit: committed.hash }).get("k"))?.text(), "1");
  assert.equal((await db.at({ commit: toHex(committed.hash) }).entry("k"))?.sizeBytes, 1);
  assert.equal((await db.at({ root: after.staged.stateRoot }).get("k"))?.text(), "2");
  assert.deepEqual((await all(db.at({ commit: committed.hash }).scan())).length, 1);
  await assert.rejects(db.at({ root: new Uint8Array(32) }).get("k"), Pruned);
  await assert.rejects(db.at({ commit: new Uint8Array(32) }).get("k"), NotFound);
  assert.throws(() => db.at({ root: "zz" }), InvalidArgument);
  await db.close();
});
