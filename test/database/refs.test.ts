// Goal: tags name commits and do not move, a head can be put anywhere, and a read waits for the log that its caller has seen.
// Method: one expectation a rule, over both stores where the store matters; two databases on one store where one waits.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { utf8 } from "#src/core/bytes.js";
import { hashBlob } from "#src/core/blob/index.js";
import { Database } from "#src/database/index.js";
import type { StoredCommit } from "#src/database/index.js";
import { MemoryStore } from "#src/store/index.js";
import { inMemory, onEachStore, put, readAll } from "./support/database.js";
import { expectError } from "./support/expect.js";

async function commitOn(db: Database, key: string, head = "main"): Promise<StoredCommit> {
  await db.states.apply(head, { operations: [put(key, key)] });
  return (await db.commits.create({ head, author: "ada", message: key })).commit;
}

const UNKNOWN = hashBlob(utf8("nothing"));

describe("tags", () => {
  onEachStore("name a commit, also when its head is gone, and can be made anew", async (place) => {
    const db = await place.create();
    const [first, second] = [await commitOn(db, "a"), await commitOn(db, "b")];
    const { logIndex } = await db.tags.create("v1", first.hash);
    assert.equal((await db.view()).logSize, logIndex + 1);
    await db.tags.create("rel/v2", second.hash);
    await db.heads.create("other");
    await db.heads.delete("main", {});
    const view = await db.view();
    assert.deepEqual(await view.tag("v1"), { name: "v1", commit: first.hash });
    const point = await view.resolve({ tag: "rel/v2" });
    assert.deepEqual(point.commit?.hash, second.hash);
    assert.deepEqual([point.tag?.name, point.head], ["rel/v2", undefined]);
    assert.deepEqual(await readAll(db, { tag: "v1" }), { a: "a" });
    assert.deepEqual(await readAll(db, { tag: "rel/v2" }), { a: "a", b: "b" });
    await db.tags.delete("v1", { expectedCommit: first.hash });
    await db.tags.create("v1", second.hash);
    assert.deepEqual(await readAll(db, { tag: "v1" }), { a: "a", b: "b" });
    await db.close();
  });

  it("are refused where they cannot be", async () => {
    const { db } = await inMemory();
    const first = await commitOn(db, "a");
    await db.tags.create("v1", first.hash);
    const size = (await db.view()).logSize;
    const facts = { kind: "tag", tag: "v1" };
    await expectError(db.tags.create("v1", first.hash), { code: "ALREADY_EXISTS", field: "tag", facts });
    await expectError(db.tags.create("a b", first.hash), { code: "INVALID_ARGUMENT", field: "tag" });
    await expectError(db.tags.create("x", UNKNOWN), { code: "NOT_FOUND", facts: { kind: "commit" } });
    await expectError(db.tags.create("x", utf8("x")), { code: "INVALID_ARGUMENT", field: "commit" });
    await expectError(db.tags.delete("v2"), { code: "NOT_FOUND", facts: { kind: "tag", tag: "v2", nearest: "v1" } });
    await expectError(db.tags.delete("v1", { expectedCommit: UNKNOWN }), {
      code: "CONFLICT",
      field: "expected_commit",
    });
    await expectError((await db.view()).tag("v2"), { code: "NOT_FOUND" });
    await expectError((await db.view()).resolve({ tag: "../x" }), { code: "INVALID_ARGUMENT", field: "tag" });
    assert.equal((await db.view()).logSize, size);
  });
});

describe("a head that is reset", () => {
  onEachStore("is at the commit, with nothing else staged", async (place) => {
    const db = await place.create();
    const [first, second] = [await commitOn(db, "a"), await commitOn(db, "b")];
    await db.states.apply("main", { operations: [put("c", "staged")] });
    const { logIndex } = await db.heads.reset("main", { commit: second.hash });
    assert.equal((await db.view()).logSize, logIndex + 1);
    assert.deepEqual(await readAll(db), { a: "a", b: "b" });
    await db.heads.reset("main", { commit: first.hash, expectedCommit: second.hash });
    assert.deepEqual([await readAll(db), await readAll(db, { head: "main" })], [{ a: "a" }, { a: "a" }]);
    // What it had before is still there, and it can go back.
    assert.deepEqual(await readAll(db, { commit: second.hash }), { a: "a", b: "b" });
    const third = await commitOn(db, "d");
    assert.deepEqual(third.object.parents, [first.hash]);
    await db.heads.reset("main", {});
    const head = await (await db.view()).head("main");
    assert.deepEqual([head.commit, await readAll(db)], [undefined, {}]);
    await db.heads.reset("main", { commit: third.hash, expectedCommit: "none", expectedRoot: head.stagedState });
    assert.deepEqual(await readAll(db), { a: "a", d: "d" });
    await db.close();
  });

  it("is refused where it cannot be, and then stays", async () => {
    const { db } = await inMemory();
    const first = await commitOn(db, "a");
    const second = await commitOn(db, "b");
    const { stagedState } = await (await db.view()).head("main");
    const size = (await db.view()).logSize;
    const reset = (options: object): Promise<unknown> => db.heads.reset("main", { commit: first.hash, ...options });
    await expectError(reset({ expectedCommit: first.hash }), { code: "CONFLICT", field: "expected_commit" });
    await expectError(reset({ expectedCommit: "none" }), { code: "CONFLICT", field: "expected_commit" });
    await expectError(reset({ expectedRoot: UNKNOWN }), { code: "CONFLICT", field: "expected_root" });
    await expectError(reset({ expectedRoot: utf8("x") }), { code: "INVALID_ARGUMENT", field: "expected_root" });
    await expectError(reset({ commit: UNKNOWN }), { code: "NOT_FOUND", facts: { kind: "commit" } });
    await expectError(db.heads.reset("mian", { commit: first.hash }), { code: "NOT_FOUND", facts: { kind: "head" } });
    assert.equal((await db.view()).logSize, size);
    await reset({ expectedCommit: second.hash, expectedRoot: stagedState });
  });
});

describe("a view of a log of some size", () => {
  it("is there at once where the log has it, and is waited for where another is about to write it", async () => {
    const store = new MemoryStore();
    const db = await Database.create(store);
    const other = await Database.open(store);
    assert.equal((await db.view({ minLogSize: 0 })).logSize, 1);
    const { logSize } = await db.view({ minLogSize: 1 });
    const waiting = db.view({ minLogSize: logSize + 2 });
    await other.states.apply("main", { operations: [put("a", "1")] });
    await delay(20);
    await other.states.apply("main", { operations: [put("a", "2")] });
    assert.equal((await waiting).logSize, logSize + 2);
  });

  it("that the log does not have is refused in time, and not waited for by one who is gone", async () => {
    const { db } = await inMemory({ logWaitMs: 30 });
    const facts = { kind: "log", log_size: "1", min_log_size: "2" };
    await expectError(db.view({ minLogSize: 2 }), { code: "ROLLED_BACK", field: "min_log_size", facts });
    const { db: patient } = await inMemory({ logWaitMs: 60_000 });
    const leaving = new AbortController();
    const waiting = patient.view({ minLogSize: 2, signal: leaving.signal });
    leaving.abort();
    await assert.rejects(waiting, { name: "AbortError" });
  });
});
