// Goal: commits, heads, documents, chunks and proofs through the client, the same over every transport.
// Method: write, then read back by every way there is; lists are compared with what was written.
import assert from "node:assert/strict";
import { equals, fromJsonString, toJsonString } from "@bufbuild/protobuf";
import { ChunkProofSchema, RangeProofSchema, StateProofSchema } from "#gen/neleus/v1/proof_pb.js";
import { hashBlob } from "#src/core/blob/index.js";
import { toHex, utf8 } from "#src/core/bytes.js";
import {
  AlreadyExists,
  Conflict,
  IncompleteProof,
  InvalidArgument,
  NotFound,
  VerificationFailed,
} from "#src/core/errors.js";
import type { Database } from "#src/client/contract.js";
import type { Transport } from "#src/client/transport.js";
import { parseProof, verifyProof } from "#src/client/verify/index.js";
import { patternBytes } from "../database/support/bytes.js";
import { all, askingOtherwise, onEachTransport } from "./support/fixture.js";

onEachTransport("commits are chained", async ({ client }) => {
  const db = await client();
  const made: string[] = [];
  for (let index = 0; index < 30; index += 1) {
    await db.state("main").put(`k${index}`, String(index));
    const { hash, commit, receipt } = await db.commit("main", {
      author: "tester",
      message: `commit ${index}`,
      meta: { index: String(index) },
      ...(index % 2 === 0 ? { timeMs: 1_000 + index } : {}),
    });
    assert.deepEqual(commit.meta, { index: String(index) });
    assert.ok(receipt.checkpoint.size > receipt.logIndex);
    if (index % 2 === 0) assert.equal(commit.timeMs, 1_000 + index);
    made.unshift(toHex(hash));
  }
  const hashes = (commits: { hash: Uint8Array }[]): string[] => commits.map(({ hash }) => toHex(hash));
  assert.deepEqual(hashes(await all(db.commits.log({ head: "main" }))), made);
  assert.deepEqual(hashes(await all(db.commits.log({ head: "main" }, { limit: 7 }))), made.slice(0, 7));
  assert.deepEqual(hashes(await all(db.commits.log({ commit: made[10]! }))), made.slice(10));
  const bytes = (commits: { bytes: Uint8Array }[]): number =>
    commits.reduce((sum, commit) => sum + commit.bytes.length, 0);
  const some = await all(db.commits.log({ head: "main" }, { maxBytes: 1_000 }));
  assert.deepEqual(hashes(some), made.slice(0, some.length));
  assert.ok(bytes(some) >= 1_000 && bytes(some.slice(0, -1)) < 1_000);
  assert.equal((await all(db.commits.log({ head: "main" }, { maxBytes: 1_000, limit: 2 }))).length, 2);
  assert.equal((await all(db.commits.log({ head: "main" }, { maxBytes: 1e9 }))).length, 30);
  await assert.rejects(all(db.commits.log({ head: "main" }, { maxBytes: 0 })), InvalidArgument);
  // A server that does not stop there, and one that stops sooner.
  const log = (server: Database): Promise<unknown> => all(server.commits.log({ head: "main" }, { maxBytes: 1_000 }));
  await assert.rejects(log(await client({}, withoutLimits)), VerificationFailed);
  await assert.rejects(log(await client({}, withSmallerLimit)), IncompleteProof);
  assert.deepEqual(hashes(await all(db.commits.log({ commit: made[29]! }, { limit: 5 }))), made.slice(29));
  for await (const { message } of db.commits.log({ head: "main" })) {
    assert.equal(message, "commit 29");
    break;
  }
  assert.equal((await db.commits.get(made[3]!)).message, "commit 26");
  await assert.rejects(db.commits.get(new Uint8Array(32)), NotFound);
  await assert.rejects(db.commit("absent", { author: "a", message: "m" }), NotFound);
  await assert.rejects(db.commit("main", { author: "", message: "m" }), InvalidArgument);
  await assert.rejects(db.commit("main", { author: "\ud800", message: "m" }), InvalidArgument);
  await assert.rejects(db.commit("main", { author: "a", message: "m", expectedCommit: null }), Conflict);
  await assert.rejects(db.commit("main", { author: "a", message: "m", expectedCommit: made[1]! }), Conflict);
  const { root } = await db.state("main").put("staged", "1");
  await db.state("main").put("staged", "2");
  await assert.rejects(db.commit("main", { author: "a", message: "m", expectedRoot: root }), Conflict);
  const { stateRoot } = (await db.snapshot("main")).staged;
  const next = await db.commit("main", {
    author: "a",
    message: "m",
    expectedCommit: made[0]!,
    expectedRoot: toHex(stateRoot),
  });
  assert.deepEqual(next.commit.stateRoot, stateRoot);
  assert.equal(toHex(next.commit.parents[0]!), made[0]);
  await db.close();
});

onEachTransport("heads are listed completely", async ({ client }) => {
  const db = await client();
  await db.state("main").put("k", "1");
  const { hash } = await db.commit("main", { author: "a", message: "m" });
  const names = ["a", "a/b", "heads", "main", "z-9", "states"];
  for (const name of names) {
    if (name === "main") continue;
    await db.heads.create(name, name === "a/b" ? { commit: hash } : {});
  }
  await assert.rejects(db.heads.create("a"), AlreadyExists);
  await assert.rejects(db.heads.create("b", { commit: new Uint8Array(32) }), NotFound);
  await assert.rejects(db.heads.create("../b"), InvalidArgument);
  const listed = await db.heads.list();
  assert.deepEqual(
    listed.map(({ head }) => head),
    [...names].sort(),
  );
  const commits = new Map(listed.map(({ head, commitHash }) => [head, commitHash && toHex(commitHash)]));
  assert.equal(commits.get("main"), toHex(hash));
  assert.equal(commits.get("a/b"), toHex(hash));
  assert.equal(commits.get("a"), undefined);
  const main = await db.snapshot("main");
  assert.deepEqual(listed.find(({ head }) => head === "main")?.stagedStateRoot, main.staged.stateRoot);
  assert.equal((await db.snapshot("a/b")).commit?.message, "m");
  assert.deepEqual(await all(db.commits.log({ head: "a" })), []);
  await assert.rejects(db.heads.delete("a/b", { expectedCommit: null }), Conflict);
  await db.heads.delete("a/b", { expectedCommit: hash });
  await db.heads.delete("z-9", { expectedCommit: null });
  await assert.rejects(db.heads.delete("z-9"), NotFound);
  assert.deepEqual(
    (await db.heads.list()).map(({ head }) => head),
    ["a", "heads", "main", "states"],
  );
  await db.close();
});

onEachTransport("names and texts that would not arrive are refused by field", async ({ client }) => {
  const db = await client();
  const lost = JSON.parse('{"a": "1", "__proto__": "2"}') as Record<string, string>;
  const wrong: [unknown, string][] = [
    [lost, "meta"],
    [{ "\ud800": "1" }, "meta"],
    [{ a: "\ud800" }, 'meta["a"]'],
    [{ a: 1 }, 'meta["a"]'],
    [["a"], "meta"],
    ["a", "meta"],
  ];
  for (const [value, field] of wrong) {
    const meta = value as Record<string, string>;
    const isRefused = (error: unknown): boolean => error instanceof InvalidArgument && error.field === field;
    await assert.rejects(db.commit("main", { author: "a", message: "m", meta }), isRefused);
    await assert.rejects(db.putDocument("x", { source: "s", chunking: { sizeBytes: 4 }, meta }), isRefused);
  }
  const author = utf8("a") as unknown as string;
  await assert.rejects(db.commit("main", { author, message: "m" }), InvalidArgument);
  assert.equal((await db.snapshot("main")).commit, undefined, "nothing was made");
  // Other names of what every object inherits are names like any.
  const meta = { constructor: "1", toString: "2", "": "3" };
  assert.deepEqual((await db.commit("main", { author: "a", message: "m", meta })).commit.meta, meta);
  await db.close();
});

/** A server that does not look at limits. */
const withoutLimits = (inner: Transport): Transport =>
  askingOtherwise(inner, { limit: undefined, maxBytes: undefined });

/** A server that ends an answer too soon. */
const withSmallerLimit = (inner: Transport): Transport => askingOtherwise(inner, { maxBytes: 400n });

onEachTransport("documents and their chunks", async ({ client }) => {
  const db = await client();
  const ignoring = await client({}, withoutLimits);
  const cases = [
    { size: 0, sizeBytes: 10, overlapBytes: 0 },
    { size: 1, sizeBytes: 10, overlapBytes: 9 },
    { size: 10, sizeBytes: 10, overlapBytes: 3 },
    { size: 11, sizeBytes: 10, overlapBytes: 3 },
    { size: 40_000, sizeBytes: 1_000, overlapBytes: 100 },
    { size: 300_000, sizeBytes: 16_384, overlapBytes: 0 },
  ];
  for (const { size, ...chunking } of cases) {
    const content = patternBytes(size, size);
    const options = { source: `file-${size}`, title: "T", media: "text/plain", chunking, meta: { a: "b" } };
    const { hash, manifest, receipt } = await db.putDocument(content, { ...options, head: "main", timeMs: 77 });
    assert.equal(manifest.timeMs, 77);
    assert.deepEqual(manifest.blob, { hash: hashBlob(content), sizeBytes: size });
    assert.ok(receipt !== undefined);
    assert.deepEqual((await db.manifest(hash)).bytes, manifest.bytes);
    const chunks = await all(db.chunks(hash));
    const step = chunking.sizeBytes - chunking.overlapBytes;
    const expected: Uint8Array[] = [];
    for (let start = 0; size > 0; start += step) {
      expected.push(content.slice(start, start + chunking.sizeBytes));
      if (start + chunking.sizeBytes >= size) break;
    }
    assert.deepEqual(
      chunks.map(({ hash: chunk }) => toHex(chunk)),
      expected.map((bytes) => toHex(hashBlob(bytes))),
    );
    if (size === 0) await assert.rejects(all(db.chunks(hash, { first: 1 })), InvalidArgument);
    for (const chunk of chunks.slice(-2)) assert.deepEqual(await chunk.bytes(), expected[chunk.index]);
    if (expected.length < 4) continue;
    const page = await all(db.chunks(hash, { first: 2, limit: 2 }));
    assert.deepEqual(
      page.map(({ index }) => index),
      [2, 3],
    );
    assert.deepEqual((await all(db.chunks(hash, { first: expected.length - 1, limit: 9 }))).length, 1);
    await assert.rejects(all(db.chunks(hash, { first: expected.length })), InvalidArgument);
    await assert.rejects(all(ignoring.chunks(hash, { limit: 2 })), VerificationFailed);
    assert.equal((await all(ignoring.chunks(hash, { limit: expected.length }))).length, expected.length);
  }
  const unattached = await db.putDocument("unattached", { source: "s", chunking: { sizeBytes: 4 } });
  assert.equal(unattached.receipt, undefined);
  assert.equal(unattached.manifest.title, undefined);
  await assert.rejects(db.manifest(new Uint8Array(32)), NotFound);
  await assert.rejects(all(db.chunks(new Uint8Array(32))), NotFound);
  await assert.rejects(db.putDocument("x", { source: "s", head: "absent", chunking: { sizeBytes: 4 } }), NotFound);
  await assert.rejects(db.putDocument("x", { source: "", chunking: { sizeBytes: 4 } }), InvalidArgument);
  await assert.rejects(
    db.putDocument("x", { source: "s", chunking: { sizeBytes: 4, overlapBytes: 4 } }),
    InvalidArgument,
  );
  const wrong = db.putDocument("x", { source: "s", chunking: { method: "by feel", sizeBytes: 4 } });
  await assert.rejects(wrong, InvalidArgument);
  // A commit can take a manifest that was stored unattached.
  const { commit } = await db.commit("main", { author: "a", message: "m", manifests: [unattached.hash] });
  const proof = await db.proofs.chunk({ manifest: unattached.hash, index: 1, place: { commit: commit.hash } });
  assert.equal(toHex(proof.ledgerRoot), toHex(commit.ledgerRoot));
  await db.close();
});

onEachTransport("proofs are verified before they are handed on, and again from their JSON", async ({ client }) => {
  const db = await client();
  const main = db.state("main");
  await main.apply(Array.from({ length: 100 }, (_, index) => ({ key: `k/${index}`, value: `v${index}` })));
  const { hash: document } = await db.putDocument(patternBytes(50_000, 3), {
    source: "doc",
    head: "main",
    chunking: { sizeBytes: 20_000 },
  });
  const { commit } = await db.commit("main", { author: "a", message: "m" });
  await main.put("k/1", "later");
  const { verifierKey } = db.trust.state;
  const staged = await db.proofs.state({ staged: "main" }, "k/1");
  const committed = await db.proofs.state({ head: "main" }, "k/1");
  assert.notDeepEqual(staged.root, committed.root);
  for (const proof of [staged, committed]) {
    const report = verifyProof(parseProof(toJsonString(StateProofSchema, proof)), { verifierKey });
    assert.equal(report.verdict, "shown");
    assert.equal(report.claim.kind === "state" && report.claim.entry?.sizeBytes, proof === staged ? 5 : 2);
  }
  const places = [{ staged: "main" }, { head: "main" }, { commit: commit.hash }, { root: commit.stateRoot }];
  for (const place of places) {
    assert.equal((await db.proofs.state(place, "absent")).present, false);
    const range = await db.proofs.range(place, { prefix: "k/2" });
    const report = verifyProof(parseProof(toJsonString(RangeProofSchema, range)), { root: toHex(range.root) });
    assert.equal(report.claim.kind === "range" && report.claim.entries.length, 11);
    if ("root" in place) continue;
    const chunk = await db.proofs.chunk({ manifest: document, index: 2, place });
    const chunkReport = verifyProof(parseProof(toJsonString(ChunkProofSchema, chunk)), { root: commit.ledgerRoot });
    assert.equal(chunkReport.verdict, "shown");
    assert.deepEqual(
      chunkReport.claim.kind === "chunk" && chunkReport.claim.bytes,
      patternBytes(50_000, 3).slice(40_000),
    );
    assert.ok(equals(ChunkProofSchema, fromJsonString(ChunkProofSchema, toJsonString(ChunkProofSchema, chunk)), chunk));
  }
  assert.equal((await db.proofs.chunk({ manifest: document, index: 0 })).ledgerRoot.length, 0);
  await assert.rejects(db.proofs.chunk({ manifest: document, index: 3 }), NotFound);
  await assert.rejects(
    db.proofs.chunk({ manifest: document, index: 0, place: { root: commit.stateRoot } }),
    InvalidArgument,
  );
  await assert.rejects(db.proofs.range({ head: "main" }, { from: "b", to: "a" }), InvalidArgument);
  await assert.rejects(db.proofs.state({ head: "absent" }, "k"), NotFound);
  assert.equal((await db.proofs.range({ root: commit.stateRoot })).nodes.length > 3, true);
  await db.close();
});

onEachTransport("what the server says of itself, and whom the client trusts", async ({ client, engine }) => {
  const notices: string[] = [];
  const db = await client({ onTrustOnFirstUse: ({ verifierKey }) => notices.push(verifierKey) });
  assert.deepEqual(notices, [engine.log.verifierKey]);
  const capabilities = await db.capabilities();
  assert.equal(capabilities.verifierKey, engine.log.verifierKey);
  assert.equal(capabilities.origin, db.trust.origin);
  assert.equal(capabilities.limits.keyBytes, 1024);
  await db.state("main").put("k", "1");
  const seen = await db.checkpoint();
  assert.equal(db.trust.state.checkpoint, seen.checkpoint.note);
  const again = await client({ ...db.trust.state });
  assert.equal((await again.snapshot("main")).checkpoint.size, seen.checkpoint.size);
  await assert.rejects(client({ checkpoint: seen.checkpoint.note }), InvalidArgument);
  await assert.rejects(client({ verifierKey: "nonsense" }), InvalidArgument);
  assert.equal(toHex((await db.state("main").get("k"))?.hash ?? utf8("")), toHex(hashBlob(utf8("1"))));
});

onEachTransport("freshness is by our own clock", async ({ client, clock }) => {
  const db = await client({ clockToleranceMs: 0 });
  await db.state("main").put("k", "1");
  const before = await db.snapshot("main");
  clock.nowMs += 3_600_000;
  const stale = await db.snapshot("main", { maxAgeMs: 7_200_000 });
  assert.equal(stale.checkpoint.size, before.checkpoint.size);
  const fresh = await db.snapshot("main", { maxAgeMs: 60_000 });
  assert.equal(fresh.checkpoint.size, before.checkpoint.size + 1);
  assert.deepEqual(fresh.staged.stateRoot, before.staged.stateRoot);
  await db.close();
});
