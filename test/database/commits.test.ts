// Goal: commits chain states and ledgers as FORMATS §6 says, heads come and go under their conditions, and hashes of the
// wrong kind are told apart from unknown ones.
// Method: one expectation a rule, over both stores where the store matters.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hashBlob } from "#src/core/blob/index.js";
import { toHex, utf8 } from "#src/core/bytes.js";
import { blobHash, mapRoot } from "#src/core/hashes.js";
import { MapKind, emptyMap } from "#src/core/map/index.js";
import { MAX_HEADS, MAX_META_BYTES, MAX_TEXT_BYTES } from "#src/core/limits.js";
import { commitHashOf, decodeCommit, encodeManifest, parseLedgerKey } from "#src/core/object/index.js";
import type { Database } from "#src/database/index.js";
import { entriesOf, inMemory, onEachStore, put, readAll } from "./support/database.js";
import { expectError } from "./support/expect.js";

const commitOn = (db: Database, head = "main") => db.commits.create({ head, author: "ada", message: "m" });

function intent(agent: string): Uint8Array {
  return encodeManifest({ v: 1, kind: "intent", agent, provider: "local", model: "stub", inputs: [], time: 5 });
}

function run(agent: string): Uint8Array {
  return encodeManifest({
    v: 1,
    kind: "run",
    agent,
    provider: "local",
    model: "stub",
    parameters: {},
    inputs: [],
    outputs: [],
    retrieved: [],
    started: 7,
    ended: 9,
    status: "ok",
  });
}

async function ledgerOf(db: Database, at: { staged: string } | { head: string }): Promise<string[]> {
  const { ledger } = await (await db.view()).resolve(at);
  assert.ok(ledger !== undefined);
  return entriesOf(db, ledger).map(({ key }) => {
    const { kind, agent, time, hash } = parseLedgerKey(key);
    return `${kind} ${agent ?? "-"} ${time} ${toHex(hash)}`;
  });
}

describe("commits", () => {
  onEachStore("hold what was asked, what is staged, and their parent", async (place) => {
    const db = await place.create();
    const { root } = await db.states.apply("main", { operations: [put("a", "1")] });
    const first = await db.commits.create({
      head: "main",
      author: "ada",
      message: "first",
      timeMs: 1234,
      meta: { ticket: "7" },
    });
    assert.deepEqual(commitHashOf(first.commit.bytes), first.commit.hash);
    const { object } = decodeCommit(first.commit.bytes);
    assert.deepEqual(object, first.commit.object);
    assert.deepEqual(
      { ...object, database: toHex(object.database ?? new Uint8Array(0)), manifests: undefined },
      {
        v: 1,
        parents: [],
        author: "ada",
        message: "first",
        stateRoot: root,
        manifests: undefined,
        time: 1234,
        database: db.id,
        meta: { ticket: "7" },
      },
    );
    const second = await commitOn(db);
    assert.deepEqual(second.commit.object.parents, [first.commit.hash]);
    assert.deepEqual(second.commit.object.stateRoot, root);
    assert.equal(second.commit.object.time, place.clock.nowMs - 1);
    assert.ok(!("meta" in second.commit.object));
    assert.equal(second.receipt.logIndex, first.receipt.logIndex + 1);
    assert.deepEqual(await db.commits.get(first.commit.hash), first.commit);
    const log = [];
    for await (const { hash } of db.commits.log({ head: "main" })) log.push(hash);
    assert.deepEqual(log, [second.commit.hash, first.commit.hash]);
    const older = [];
    for await (const { hash } of db.commits.log({ commit: first.commit.hash })) older.push(hash);
    assert.deepEqual(older, [first.commit.hash]);
    await db.close();
  });

  onEachStore("take staged manifests, and add those named", async (place) => {
    const db = await place.create();
    const staged = await db.manifests.put(intent("a"), { head: "main" });
    const loose = await db.manifests.put(run("b"));
    assert.equal(loose.receipt, undefined);
    assert.equal(staged.receipt?.logIndex, 1);
    const intentLine = `intent - 5 ${toHex(staged.manifest.hash)}`;
    assert.deepEqual(await ledgerOf(db, { staged: "main" }), [intentLine]);
    await db.commits.create({
      head: "main",
      author: "a",
      message: "",
      manifests: [loose.manifest.hash, staged.manifest.hash, loose.manifest.hash],
    });
    const runHash = toHex(loose.manifest.hash);
    const expected = [intentLine, `run - 7 ${runHash}`, `run b 7 ${runHash}`];
    assert.deepEqual(await ledgerOf(db, { head: "main" }), expected);
    assert.deepEqual(await ledgerOf(db, { staged: "main" }), expected);
    assert.deepEqual((await db.manifests.get(loose.manifest.hash)).bytes, run("b"));
    await db.close();
  });

  it("read each manifest named once, and let others run meanwhile", async () => {
    const { db, store } = await inMemory();
    const hashes: Uint8Array[] = [];
    for (let index = 0; index < 12; index += 1) {
      const inputs: [] = [];
      const meta = { note: String(index).padEnd(500_000, ".") };
      const bytes = encodeManifest({
        v: 1,
        kind: "intent",
        agent: "a",
        provider: "p",
        model: "m",
        inputs,
        time: 5,
        meta,
      });
      hashes.push((await db.manifests.put(bytes)).manifest.hash);
    }
    const rows = store.sync as { get: typeof store.sync.get };
    const get = rows.get.bind(store.sync);
    let reads = 0;
    rows.get = (space, key) => {
      if (space === "objects") reads += 1;
      return get(space, key);
    };
    let turns = 0;
    let timer = setImmediate(function turn() {
      turns += 1;
      timer = setImmediate(turn);
    });
    const manifests = Array.from({ length: 3000 }, (_, index) => hashes[index % hashes.length]!);
    await db.commits.create({ head: "main", author: "ada", message: "m", manifests });
    clearImmediate(timer);
    assert.equal(reads, hashes.length);
    assert.ok(turns >= 4, `${turns} turns of the event loop for 6 MB of manifests`);
    assert.equal((await ledgerOf(db, { head: "main" })).length, hashes.length);
  });

  it("keep what they do not know of a manifest, and refuse what is none", async () => {
    const { db } = await inMemory();
    for (const bytes of [new Uint8Array(0), utf8("hello"), intent("a").subarray(1)]) {
      await expectError(db.manifests.put(bytes), { code: "INVALID_ARGUMENT" });
    }
    await expectError(db.manifests.put(intent("a"), { head: "nope" }), { code: "NOT_FOUND", facts: { kind: "head" } });
    await expectError(db.manifests.put(intent("a"), { head: "no pe" }), { code: "INVALID_ARGUMENT", field: "head" });
    const { commit } = await commitOn(db);
    await expectError(db.manifests.put(commit.bytes), { code: "INVALID_ARGUMENT" });
    assert.equal((await db.usage()).rows.objects, 1);
  });

  it("take a document put together elsewhere only where its blob and chunks are here", async () => {
    const { db } = await inMemory();
    const blob = await db.blobs.put(utf8("text"));
    const empty = emptyMap(MapKind.chunks).digest;
    const documentOf = (change: { hash?: Uint8Array; size?: number; chunks?: Uint8Array }): Uint8Array =>
      encodeManifest({
        v: 1,
        kind: "document",
        source: "s",
        blob: { hash: blobHash(change.hash ?? blob.hash), size: change.size ?? 4 },
        chunking: { method: "other", size: 1, overlap: 0 },
        chunks: mapRoot(change.chunks ?? empty),
        time: 1,
      });
    await db.manifests.put(documentOf({}), { head: "main" });
    const unknown = hashBlob(utf8("unknown"));
    const { stagedState } = await (await db.view()).head("main");
    await expectError(db.manifests.put(documentOf({ hash: unknown })), { code: "NOT_FOUND", facts: { kind: "blob" } });
    await expectError(db.manifests.put(documentOf({ chunks: unknown })), {
      code: "NOT_FOUND",
      facts: { kind: "root" },
    });
    await expectError(db.manifests.put(documentOf({ size: 5 })), {
      code: "INVALID_ARGUMENT",
      field: "manifest.blob.size",
    });
    await expectError(db.manifests.put(documentOf({ chunks: stagedState })), {
      code: "INVALID_ARGUMENT",
      field: "manifest.chunks",
    });
  });

  it("tell an unknown hash from one of another kind", async () => {
    const { db } = await inMemory();
    const { commit } = await commitOn(db);
    const { manifest } = await db.manifests.put(intent("a"));
    const small = await db.blobs.put(utf8("a blob"));
    const large = await db.blobs.put(new Uint8Array(100_000));
    const { root } = await db.states.apply("main", { operations: [put("a", "1")] });
    const unknown = hashBlob(utf8("nothing"));
    const others: [Uint8Array, string][] = [
      [small.hash, "blob"],
      [large.hash, "blob"],
      [root, "map node"],
    ];
    for (const [hash, kind] of [...others, [manifest.hash, "manifest"] as const]) {
      await expectError(db.commits.get(hash), { code: "INVALID_ARGUMENT", field: "commit", facts: { kind } });
    }
    for (const [hash, kind] of [...others, [commit.hash, "commit"] as const]) {
      await expectError(db.manifests.get(hash), { code: "INVALID_ARGUMENT", field: "manifest", facts: { kind } });
      const withManifest = db.commits.create({
        head: "main",
        author: "a",
        message: "",
        manifests: [manifest.hash, hash],
      });
      await expectError(withManifest, { code: "INVALID_ARGUMENT", field: "manifests[1]" });
      await expectError(db.documents.open(hash), { code: "INVALID_ARGUMENT" });
    }
    await expectError(db.documents.open(manifest.hash), { code: "INVALID_ARGUMENT", field: "manifest" });
    await expectError(db.commits.get(unknown), { code: "NOT_FOUND", facts: { kind: "commit", hash: toHex(unknown) } });
    await expectError(db.manifests.get(unknown), { code: "NOT_FOUND", facts: { kind: "manifest" } });
    await expectError(db.commits.get(new Uint8Array(3)), { code: "INVALID_ARGUMENT", field: "commit" });
    const view = await db.view();
    await expectError(view.resolve({ commit: unknown }), { code: "NOT_FOUND", facts: { kind: "commit" } });
    await expectError(view.resolve({ commit: manifest.hash }), { code: "INVALID_ARGUMENT" });
    await expectError(view.resolve({ root: unknown }), { code: "PRUNED", facts: { kind: "root" } });
    await expectError(view.resolve({ root: commit.object.manifests }), { code: "INVALID_ARGUMENT", field: "at.root" });
    await expectError(view.resolve({ root: new Uint8Array(33) }), { code: "INVALID_ARGUMENT", field: "at.root" });
    await expectError(view.resolve({ staged: "nope" }), { code: "NOT_FOUND", facts: { kind: "head" } });
    await expectError(view.resolve({ head: "no pe" }), { code: "INVALID_ARGUMENT", field: "head" });
    const missing = db.commits.log({ commit: unknown });
    await expectError(missing.next(), { code: "NOT_FOUND", facts: { kind: "commit" } });
    await expectError(db.commits.log({ head: "nope" }).next(), { code: "NOT_FOUND", facts: { kind: "head" } });
  });

  it("are made only on the commit expected", async () => {
    const { db } = await inMemory();
    const options = { head: "main", author: "a", message: "" };
    const wrong = hashBlob(utf8("no commit"));
    await expectError(db.commits.create({ ...options, expectedCommit: wrong }), {
      code: "CONFLICT",
      field: "expected_commit",
      facts: { current_commit: "none", head: "main" },
    });
    const { commit } = await db.commits.create({ ...options, expectedCommit: "none" });
    const facts = { current_commit: toHex(commit.hash) };
    await expectError(db.commits.create({ ...options, expectedCommit: "none" }), { code: "CONFLICT", facts });
    await expectError(db.commits.create({ ...options, expectedCommit: wrong }), { code: "CONFLICT", facts });
    await db.commits.create({ ...options, expectedCommit: commit.hash });
    await expectError(db.heads.delete("main", { expectedCommit: commit.hash }), { code: "CONFLICT" });
    await expectError(db.commits.create({ ...options, expectedCommit: new Uint8Array(1) }), {
      code: "INVALID_ARGUMENT",
      field: "expected_commit",
    });
    assert.equal((await db.view()).logSize, 3);
  });

  it("are made only of the staged root expected", async () => {
    const { db } = await inMemory();
    const options = { head: "main", author: "a", message: "" };
    const { root } = await db.states.apply("main", { operations: [put("a", "1")] });
    const empty = emptyMap(MapKind.state).digest;
    await expectError(db.commits.create({ ...options, expectedRoot: empty }), {
      code: "CONFLICT",
      field: "expected_root",
      facts: { kind: "root", head: "main", current_root: toHex(root), expected: toHex(empty) },
    });
    await expectError(db.commits.create({ ...options, expectedRoot: new Uint8Array(31) }), {
      code: "INVALID_ARGUMENT",
      field: "expected_root",
    });
    assert.equal((await db.view()).logSize, 2);
    const { commit } = await db.commits.create({ ...options, expectedRoot: root, expectedCommit: "none" });
    assert.deepEqual(commit.object.stateRoot, root);
  });

  it("refuse texts and times out of range", async () => {
    const { db } = await inMemory();
    const valid = { head: "main", author: "a", message: "" };
    const long = "ä".repeat(MAX_TEXT_BYTES / 2) + "x";
    const cases: [object, string][] = [
      [{ author: "" }, "author"],
      [{ author: long }, "author"],
      [{ author: "\ud800" }, "author"],
      [{ message: long }, "message"],
      [{ message: "a\udc00" }, "message"],
      [{ timeMs: -1 }, "time"],
      [{ timeMs: 1.5 }, "time"],
      [{ timeMs: 2 ** 53 }, "time"],
      [{ meta: { a: "x".repeat(MAX_META_BYTES) } }, "meta"],
      [{ meta: { "\ud800": "" } }, "meta"],
      [{ head: "" }, "head"],
    ];
    for (const [change, field] of cases) {
      await expectError(db.commits.create({ ...valid, ...change }), { code: "INVALID_ARGUMENT", field });
    }
    const many = Array.from({ length: 10_001 }, () => new Uint8Array(32));
    await expectError(db.commits.create({ ...valid, manifests: many }), { code: "LIMIT_EXCEEDED", field: "manifests" });
    await db.commits.create({ ...valid, author: long.slice(0, -1), meta: { a: "x".repeat(MAX_META_BYTES - 1) } });
  });
});

describe("heads", () => {
  onEachStore("start empty or at a commit, and go", async (place) => {
    const db = await place.create();
    await db.states.apply("main", { operations: [put("a", "1")] });
    const { commit } = await commitOn(db);
    await db.states.apply("main", { operations: [put("b", "2")] });
    await db.heads.create("at/commit", { commit: commit.hash });
    await db.heads.create("empty");
    assert.deepEqual(await readAll(db, { staged: "at/commit" }), { a: "1" });
    assert.deepEqual(await readAll(db, { head: "at/commit" }), { a: "1" });
    assert.deepEqual(await readAll(db, { staged: "empty" }), {});
    const heads = await (await db.view()).heads();
    assert.deepEqual(
      heads.map(({ name, commit: at }) => [name, at]),
      [
        ["at/commit", commit.hash],
        ["empty", undefined],
        ["main", commit.hash],
      ],
    );
    await db.heads.delete("main", { expectedCommit: commit.hash });
    await db.heads.delete("empty", { expectedCommit: "none" });
    assert.deepEqual(
      (await (await db.view()).heads()).map(({ name }) => name),
      ["at/commit"],
    );
    assert.deepEqual((await db.commits.get(commit.hash)).bytes, commit.bytes);
    await db.close();
  });

  it("are refused where they cannot be", async () => {
    const { db } = await inMemory();
    await expectError(db.heads.create("main"), { code: "ALREADY_EXISTS", facts: { head: "main" } });
    await expectError(db.heads.create("a b"), { code: "INVALID_ARGUMENT", field: "head" });
    await expectError(db.heads.create("x", { commit: hashBlob(utf8("nothing")) }), {
      code: "NOT_FOUND",
      facts: { kind: "commit" },
    });
    await expectError(db.heads.delete("x"), { code: "NOT_FOUND", facts: { kind: "head" } });
    await expectError(db.heads.delete("main", { expectedCommit: hashBlob(utf8("x")) }), {
      code: "CONFLICT",
      facts: { current_commit: "none" },
    });
  });

  it("are limited in number, also within one round", async () => {
    const { db } = await inMemory();
    const names = Array.from({ length: MAX_HEADS + 5 }, (_, index) => `head-${index}`);
    const results = await Promise.allSettled(names.map((name) => db.heads.create(name)));
    const failed = results.filter(({ status }) => status === "rejected");
    assert.equal(failed.length, 6);
    for (const result of failed)
      await expectError(Promise.reject((result as PromiseRejectedResult).reason as Error), {
        code: "LIMIT_EXCEEDED",
        facts: { limit: "heads" },
      });
    assert.equal((await (await db.view()).heads()).length, MAX_HEADS);
  });
});
