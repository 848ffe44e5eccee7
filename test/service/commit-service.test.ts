// Goal: commits say what was asked, chain to each other and lie under the log; heads are listed completely, with proof.
// Method: every answer is decoded and hashed here, and every error of the proto's comments is caused once.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CommitService } from "#gen/neleus/v1/commit_pb.js";
import { ManifestService } from "#gen/neleus/v1/manifest_pb.js";
import { ProofService } from "#gen/neleus/v1/proof_pb.js";
import { StateService } from "#gen/neleus/v1/state_pb.js";
import { hashBlob } from "#src/core/blob/index.js";
import { fromUtf8, toHex } from "#src/core/bytes.js";
import { MAX_BATCH_KEYS } from "#src/core/limits.js";
import { get, MapKind, ScanVerifier, verifyWitness } from "#src/core/map/index.js";
import { commitHashOf, decodeCommit, ledgerKeysOf, decodeManifest, manifestHashOf } from "#src/core/object/index.js";
import { GrpcStatus } from "#src/service/index.js";
import { collect, fails, openHarness, revealsOf, utf8Of, type Harness } from "./harness.js";
import { verifiedLog } from "./log-chain.js";

const {
  create: Create,
  get: Get,
  log: Log,
  listHeads: ListHeads,
  createHead: CreateHead,
  deleteHead: DeleteHead,
  resetHead: ResetHead,
  createTag: CreateTag,
  deleteTag: DeleteTag,
  listTags: ListTags,
} = CommitService.method;
const INVALID = { code: "INVALID_ARGUMENT", status: GrpcStatus.INVALID_ARGUMENT } as const;
const NOT_FOUND = { code: "NOT_FOUND", status: GrpcStatus.NOT_FOUND } as const;
const CONFLICT = { code: "CONFLICT", status: GrpcStatus.ABORTED } as const;
const LIMIT = { code: "LIMIT_EXCEEDED", status: GrpcStatus.RESOURCE_EXHAUSTED } as const;
const UNKNOWN = new Uint8Array(32).fill(9);

async function set(harness: Harness, key: string, value: string, head = "main"): Promise<Uint8Array> {
  const operations = [{ key: utf8Of(key), change: { case: "value", value: utf8Of(value) } as const }];
  return (await harness.caller.unary(StateService.method.apply, { head, operations })).root;
}

async function commit(harness: Harness, message: string, head = "main"): Promise<Uint8Array> {
  return (await harness.caller.unary(Create, { head, author: "ann", message })).commit;
}

async function putDocument(harness: Harness, text: string, head = ""): Promise<Uint8Array> {
  const bytes = utf8Of(text);
  const chunking = { method: "fixed", size: 4n };
  const { manifest } = await harness.caller.clientStream(ManifestService.method.putDocument, [
    { part: { case: "header", value: { head, source: "test", chunking } } },
    { part: { case: "data", value: { data: bytes } } },
    { part: { case: "finish", value: { size: BigInt(bytes.length), hash: hashBlob(bytes) } } },
  ]);
  return manifest;
}

describe("CommitService.Create", () => {
  test("says what was asked, extends the head and is in the log", async () => {
    const harness = await openHarness();
    const root = await set(harness, "a", "1");
    const request = { head: "main", author: "ann", message: "first", time: 1234n, meta: { run: "7" } };
    const { commit: bytes, receipt } = await harness.caller.unary(Create, request);
    const { object } = decodeCommit(bytes);
    assert.deepEqual(
      { author: object.author, message: object.message, time: object.time, meta: object.meta, parents: object.parents },
      { author: "ann", message: "first", time: 1234, meta: { run: "7" }, parents: [] },
    );
    assert.equal(toHex(object.stateRoot), toHex(root));
    assert.equal(receipt?.checkpoint, await harness.database.log.checkpoint());

    const second = decodeCommit(await commit(harness, "nothing changed")).object;
    assert.deepEqual(second.parents.map(toHex), [toHex(commitHashOf(bytes))]);
    assert.equal(toHex(second.stateRoot), toHex(root));
    assert.equal(second.time, harness.clock.nowMs);
  });

  test("named manifests are in the commit's ledger", async () => {
    const harness = await openHarness();
    const manifest = await putDocument(harness, "hello world");
    const hash = manifestHashOf(manifest);
    const { commit: bytes } = await harness.caller.unary(Create, { head: "main", author: "a", manifests: [hash] });
    const ledger = { kind: MapKind.ledger, root: decodeCommit(bytes).object.manifests };
    const [key] = ledgerKeysOf(decodeManifest(manifest).object, hash);
    assert.ok(key);
    const { ledger: stored } = await (await harness.database.view()).resolve({ head: "main" });
    assert.equal(toHex(stored?.root ?? UNKNOWN), toHex(ledger.root));
    const proof = await harness.caller.unary(
      (await import("#gen/neleus/v1/proof_pb.js")).ProofService.method.proveChunk,
      {
        manifest: hash,
        at: { at: { case: "head", value: "main" } },
      },
    );
    assert.ok(verifyWitness(get(ledger, key), revealsOf(proof.proof?.ledgerNodes ?? [])));
  });

  test("every error has its status and field, and changes nothing", async () => {
    const harness = await openHarness();
    const { caller } = harness;
    const first = commitHashOf(await commit(harness, "first"));
    const manifest = manifestHashOf(await putDocument(harness, "doc"));
    const before = await harness.fingerprint();
    const ask = (more: object) => caller.unary(Create, { head: "main", author: "ann", ...more });
    await fails(ask({ head: "mian" }), { ...NOT_FOUND, kind: "head" });
    await fails(ask({ head: "" }), { ...INVALID, field: "head" });
    await fails(ask({ author: "" }), { ...INVALID, field: "author" });
    await fails(ask({ author: "a".repeat(65_537) }), { ...INVALID, field: "author" });
    await fails(ask({ message: "a".repeat(65_537) }), { ...INVALID, field: "message" });
    await fails(ask({ time: 2n ** 53n }), { ...INVALID, field: "time" });
    await fails(ask({ meta: { a: "b".repeat(300_000) } }), { ...INVALID, field: "meta" });
    await fails(ask({ manifests: [manifest, UNKNOWN] }), { ...NOT_FOUND, kind: "manifest" });
    await fails(ask({ manifests: [manifest, first] }), { ...INVALID, field: "manifests[1]" });
    await fails(ask({ manifests: [manifest, utf8Of("x")] }), { ...INVALID, field: "manifests[1]" });
    await fails(ask({ manifests: Array.from({ length: MAX_BATCH_KEYS + 1 }, () => manifest) }), {
      ...LIMIT,
      field: "manifests",
    });
    await fails(ask({ expectedCommit: UNKNOWN }), CONFLICT);
    const conflict = await fails(ask({ expectedCommit: new Uint8Array(0) }), CONFLICT);
    assert.equal(conflict.facts["current_commit"], toHex(first));
    await fails(ask({ expectedCommit: utf8Of("x") }), { ...INVALID, field: "expected_commit" });
    await fails(ask({ expectedRoot: UNKNOWN }), CONFLICT);
    await fails(ask({ expectedRoot: new Uint8Array(0) }), { ...INVALID, field: "expected_root" });
    assert.equal(await harness.fingerprint(), before);
    assert.ok(await ask({ expectedCommit: first }));
  });

  test("with an expected commit of none, only the first is made", async () => {
    const harness = await openHarness();
    const request = { head: "main", author: "ann", expectedCommit: new Uint8Array(0) };
    await harness.caller.unary(Create, request);
    await fails(harness.caller.unary(Create, request), CONFLICT);
  });
});

describe("CommitService.Get", () => {
  test("returns the bytes that hash to the name", async () => {
    const harness = await openHarness();
    const bytes = await commit(harness, "one");
    const answer = await harness.caller.unary(Get, { commit: commitHashOf(bytes) });
    assert.deepEqual(answer.commit, bytes);
  });

  test("errors", async () => {
    const harness = await openHarness();
    const manifest = manifestHashOf(await putDocument(harness, "doc"));
    await fails(harness.caller.unary(Get, { commit: UNKNOWN }), { ...NOT_FOUND, kind: "commit" });
    await fails(harness.caller.unary(Get, { commit: utf8Of("x") }), { ...INVALID, field: "commit" });
    await fails(harness.caller.unary(Get, { commit: manifest }), { ...INVALID, field: "commit" });
  });
});

describe("CommitService.Log", () => {
  test("is the chain of first parents, newest first, cut where asked", async () => {
    const harness = await openHarness();
    const { caller } = harness;
    assert.deepEqual(await collect(caller.serverStream(Log, { start: { case: "head", value: "main" } })), []);
    const made: string[] = [];
    const message = "m".repeat(10_000);
    for (let index = 0; index < 60; index += 1)
      made.unshift(toHex(commitHashOf(await commit(harness, `${index}${message}`))));
    const ask = async (request: object) => {
      const messages = await collect(caller.serverStream(Log, request));
      const commits = messages.flatMap(({ commits: list }) => list);
      for (const [index, bytes] of commits.slice(0, -1).entries()) {
        const next = commits[index + 1];
        assert.equal(toHex(decodeCommit(bytes).object.parents[0] ?? UNKNOWN), next && toHex(commitHashOf(next)));
      }
      return { hashes: commits.map((bytes) => toHex(commitHashOf(bytes))), messages: messages.length };
    };
    const whole = await ask({ start: { case: "head", value: "main" } });
    assert.deepEqual(whole.hashes, made);
    assert.ok(whole.messages > 1, "600 KiB of commits do not go in one message");
    assert.deepEqual((await ask({ start: { case: "head", value: "main" }, limit: 3n })).hashes, made.slice(0, 3));
    const limited = { start: { case: "head", value: "main" }, maxBytes: 30_000n } as const;
    assert.deepEqual((await ask(limited)).hashes, made.slice(0, 3), "each has a little over 10,000 bytes");
    assert.deepEqual((await ask({ ...limited, maxBytes: 1n })).hashes, made.slice(0, 1));
    assert.deepEqual((await ask({ ...limited, limit: 2n })).hashes, made.slice(0, 2));
    assert.deepEqual((await ask({ ...limited, maxBytes: 2n ** 40n })).hashes, made);
    const start = { case: "commit", value: Buffer.from(made[55] ?? "", "hex") } as const;
    assert.deepEqual((await ask({ start })).hashes, made.slice(55));
    assert.deepEqual((await ask({ start, limit: 2n ** 53n - 1n })).hashes, made.slice(55));
  });

  test("errors", async () => {
    const harness = await openHarness();
    const manifest = manifestHashOf(await putDocument(harness, "doc"));
    const ask = (request: object) => collect(harness.caller.serverStream(Log, request));
    await fails(ask({}), { ...INVALID, field: "start" });
    await fails(ask({ start: { case: "head", value: "mian" } }), { ...NOT_FOUND, kind: "head" });
    await fails(ask({ start: { case: "head", value: "" } }), { ...INVALID, field: "head" });
    await fails(ask({ start: { case: "commit", value: UNKNOWN } }), { ...NOT_FOUND, kind: "commit" });
    await fails(ask({ start: { case: "commit", value: manifest } }), { ...INVALID, field: "commit" });
    await fails(ask({ start: { case: "head", value: "main" }, limit: 0n }), { ...INVALID, field: "limit" });
    await fails(ask({ start: { case: "head", value: "main" }, maxBytes: 0n }), { ...INVALID, field: "max_bytes" });
  });

  test("a cancelled stream stops", async () => {
    const harness = await openHarness();
    for (let index = 0; index < 12; index += 1) await commit(harness, "m".repeat(60_000));
    const controller = new AbortController();
    const stream = harness.caller.serverStream(
      Log,
      { start: { case: "head", value: "main" } },
      { signal: controller.signal },
    );
    assert.equal((await stream.next()).done, false);
    controller.abort();
    await fails(stream.next(), { code: "CANCELLED", status: GrpcStatus.CANCELLED });
  });
});

describe("heads", () => {
  test("are listed completely, with proof, before and after changes", async () => {
    const harness = await openHarness();
    const { caller, database } = harness;
    const bytes = await commit(harness, "one");
    await caller.unary(CreateHead, { head: "empty" });
    await caller.unary(CreateHead, { head: "copy", commit: commitHashOf(bytes) });
    await caller.unary(CreateHead, { head: "gone" });
    const known = await database.log.checkpoint();
    await caller.unary(DeleteHead, { head: "gone", expectedCommit: new Uint8Array(0) });
    const answer = await caller.unary(ListHeads, { knownCheckpoint: known });
    const { refsRoot } = verifiedLog(database, answer.log, known);
    const listed = (prefix: "heads" | "states") => {
      const range = { from: utf8Of(`${prefix}/`), to: utf8Of(`${prefix}0`) };
      const verifier = new ScanVerifier({ kind: MapKind.refs, root: refsRoot }, range);
      const names = verifier.push(revealsOf(answer[prefix])).map(({ key }) => fromUtf8(key).slice(prefix.length + 1));
      verifier.finish();
      return names;
    };
    assert.deepEqual(listed("heads"), ["copy", "main"]);
    assert.deepEqual(listed("states"), ["copy", "empty", "main"]);
  });

  test("a head at a commit starts with its state staged", async () => {
    const harness = await openHarness();
    await set(harness, "a", "1");
    const bytes = await commit(harness, "one");
    await harness.caller.unary(CreateHead, { head: "copy", commit: commitHashOf(bytes) });
    const at = { at: { case: "staged", value: "copy" } } as const;
    const answer = await harness.caller.unary(StateService.method.get, { at, key: utf8Of("a") });
    assert.equal(answer.value && fromUtf8(answer.value), "1");
  });

  test("every error has its status and field, and changes nothing", async () => {
    const harness = await openHarness();
    const { caller } = harness;
    const first = commitHashOf(await commit(harness, "one"));
    const manifest = manifestHashOf(await putDocument(harness, "doc"));
    const before = await harness.fingerprint();
    const exists = { code: "ALREADY_EXISTS", status: GrpcStatus.ALREADY_EXISTS } as const;
    await fails(caller.unary(CreateHead, { head: "main" }), exists);
    await fails(caller.unary(CreateHead, { head: "a/../b" }), { ...INVALID, field: "head" });
    await fails(caller.unary(CreateHead, { head: "new", commit: UNKNOWN }), { ...NOT_FOUND, kind: "commit" });
    await fails(caller.unary(CreateHead, { head: "new", commit: manifest }), { ...INVALID, field: "commit" });
    await fails(caller.unary(CreateHead, { head: "new", commit: new Uint8Array(0) }), { ...INVALID, field: "commit" });
    await fails(caller.unary(DeleteHead, { head: "mian" }), { ...NOT_FOUND, kind: "head" });
    await fails(caller.unary(DeleteHead, { head: "main", expectedCommit: UNKNOWN }), CONFLICT);
    await fails(caller.unary(DeleteHead, { head: "main", expectedCommit: new Uint8Array(0) }), CONFLICT);
    await fails(caller.unary(DeleteHead, { head: "main", expectedCommit: utf8Of("x") }), {
      ...INVALID,
      field: "expected_commit",
    });
    const root = new Uint8Array(31);
    await fails(caller.unary(ResetHead, { head: "mian" }), { ...NOT_FOUND, kind: "head" });
    await fails(caller.unary(ResetHead, { head: "main", commit: UNKNOWN }), { ...NOT_FOUND, kind: "commit" });
    await fails(caller.unary(ResetHead, { head: "main", expectedCommit: UNKNOWN }), CONFLICT);
    await fails(caller.unary(ResetHead, { head: "main", expectedRoot: UNKNOWN }), CONFLICT);
    await fails(caller.unary(ResetHead, { head: "main", expectedRoot: root }), { ...INVALID, field: "expected_root" });
    await fails(caller.unary(ListHeads, { knownCheckpoint: "nonsense" }), { ...INVALID, field: "known_checkpoint" });
    assert.equal(await harness.fingerprint(), before);
    await caller.unary(DeleteHead, { head: "main", expectedCommit: first });
    assert.deepEqual((await caller.unary(Get, { commit: first })).commit.length > 0, true, "its commits stay readable");
  });
});

describe("tags", () => {
  test("every error has its status and field, and changes nothing", async () => {
    const harness = await openHarness();
    const { caller } = harness;
    const first = commitHashOf(await commit(harness, "one"));
    await caller.unary(CreateTag, { tag: "v1", commit: first });
    const before = await harness.fingerprint();
    const exists = { code: "ALREADY_EXISTS", status: GrpcStatus.ALREADY_EXISTS } as const;
    await fails(caller.unary(CreateTag, { tag: "v1", commit: first }), exists);
    await fails(caller.unary(CreateTag, { tag: "", commit: first }), { ...INVALID, field: "tag" });
    await fails(caller.unary(CreateTag, { tag: "v2", commit: new Uint8Array(0) }), { ...INVALID, field: "commit" });
    await fails(caller.unary(CreateTag, { tag: "v2", commit: UNKNOWN }), { ...NOT_FOUND, kind: "commit" });
    await fails(caller.unary(DeleteTag, { tag: "v2" }), { ...NOT_FOUND, kind: "tag" });
    await fails(caller.unary(DeleteTag, { tag: "v1", expectedCommit: UNKNOWN }), CONFLICT);
    await fails(collect(caller.serverStream(ListTags, { prefix: "no name" })), { ...INVALID, field: "prefix" });
    await fails(collect(caller.serverStream(ListTags, { knownCheckpoint: "x" })), {
      ...INVALID,
      field: "known_checkpoint",
    });
    const { getSnapshot } = ProofService.method;
    await fails(caller.unary(getSnapshot, { tag: "v2" }), { ...NOT_FOUND, kind: "tag" });
    await fails(caller.unary(getSnapshot, { tag: "v1", head: "main" }), { ...INVALID, field: "tag" });
    const at = { at: { case: "tag", value: "v2" } } as const;
    await fails(caller.unary(StateService.method.get, { at, key: utf8Of("a") }), { ...NOT_FOUND, kind: "tag" });
    assert.equal(await harness.fingerprint(), before);
  });
});

describe("a log that is shorter than its caller has seen it", () => {
  test("is not answered from", async () => {
    const harness = await openHarness();
    const { caller, database } = harness;
    await commit(harness, "one");
    const { logSize } = await database.view();
    const [has, lacks] = [BigInt(logSize), BigInt(logSize + 1)];
    const at = (minLogSize: bigint) => ({ at: { case: "staged", value: "main" }, minLogSize }) as const;
    const start = { case: "head", value: "main" } as const;
    const { get: getKey, scan } = StateService.method;
    const { getSnapshot, getCheckpoint, proveState } = ProofService.method;
    const key = utf8Of("k");
    const calls: readonly (readonly [string, (minLogSize: bigint) => Promise<unknown>])[] = [
      ["at.min_log_size", (size) => caller.unary(getKey, { at: at(size), key })],
      ["at.min_log_size", (size) => collect(caller.serverStream(scan, { at: at(size) }))],
      ["at.min_log_size", (size) => caller.unary(proveState, { at: at(size), key })],
      ["min_log_size", (minLogSize) => caller.unary(getSnapshot, { head: "main", minLogSize })],
      ["min_log_size", (minLogSize) => caller.unary(getCheckpoint, { minLogSize })],
      ["min_log_size", (minLogSize) => caller.unary(ListHeads, { minLogSize })],
      ["min_log_size", (minLogSize) => collect(caller.serverStream(ListTags, { minLogSize }))],
      ["min_log_size", (minLogSize) => collect(caller.serverStream(Log, { start, minLogSize }))],
    ];
    for (const [field, call] of calls) {
      await call(has);
      await fails(call(lacks), { code: "ROLLED_BACK", status: GrpcStatus.FAILED_PRECONDITION });
      await fails(call(2n ** 63n), { ...INVALID, field });
    }
  });
});
