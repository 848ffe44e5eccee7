// Goal: every proof leads from a key that was pinned down to the bytes, in core's verifiers alone, and all of it is of one
// instant. Method: each answer is checked as a client would, at every kind of selector, while the log grows.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { AdminService } from "#gen/neleus/v1/admin_pb.js";
import { CommitService } from "#gen/neleus/v1/commit_pb.js";
import { ManifestService } from "#gen/neleus/v1/manifest_pb.js";
import { ProofService, type ChunkProof } from "#gen/neleus/v1/proof_pb.js";
import { StateService } from "#gen/neleus/v1/state_pb.js";
import { decodeSlice, hashBlob } from "#src/core/blob/index.js";
import { fromUtf8, toHex } from "#src/core/bytes.js";
import { mapRoot } from "#src/core/hashes.js";
import { MAX_INLINE_VALUE_BYTES, MAX_MESSAGE_BYTES } from "#src/core/limits.js";
import { cosign, formatNote, formatWitnessKey, parseNote, verifyConsistency, witnessKey } from "#src/core/log/index.js";
import { get, MapKind, ScanVerifier, verifyWitness } from "#src/core/map/index.js";
import {
  chunkCell,
  chunkKey,
  commitHashOf,
  decodeCommit,
  decodeManifestOf,
  ledgerKeysOf,
  manifestHashOf,
  stateCell,
} from "#src/core/object/index.js";
import { signerFromSeed } from "#src/core/signature/index.js";
import { GrpcStatus } from "#src/service/index.js";
import { patternBytes } from "../support/vectors.js";
import { collect, fails, openHarness, revealsOf, utf8Of, type Harness } from "./harness.js";
import { verifiedLog, verifiedSnapshot } from "./log-chain.js";

const {
  getSnapshot: GetSnapshot,
  getCheckpoint: GetCheckpoint,
  proveState: ProveState,
  proveRange: ProveRange,
  proveChunk: ProveChunk,
} = ProofService.method;
const INVALID = { code: "INVALID_ARGUMENT", status: GrpcStatus.INVALID_ARGUMENT } as const;
const NOT_FOUND = { code: "NOT_FOUND", status: GrpcStatus.NOT_FOUND } as const;
const UNKNOWN = new Uint8Array(32).fill(9);
const STAGED = { at: { case: "staged", value: "main" } } as const;
const HEAD = { at: { case: "head", value: "main" } } as const;

async function set(harness: Harness, pairs: Readonly<Record<string, string>>): Promise<Uint8Array> {
  const operations = Object.entries(pairs).map(([key, value]) => ({
    key: utf8Of(key),
    change: { case: "value", value: utf8Of(value) } as const,
  }));
  return (await harness.caller.unary(StateService.method.apply, { head: "main", operations })).root;
}

async function commit(harness: Harness): Promise<Uint8Array> {
  return (await harness.caller.unary(CommitService.method.create, { head: "main", author: "ann" })).commit;
}

async function putDocument(harness: Harness, bytes: Uint8Array, chunkSize: number, head = ""): Promise<Uint8Array> {
  const chunking = { method: "fixed", size: BigInt(chunkSize) };
  const { manifest } = await harness.caller.clientStream(ManifestService.method.putDocument, [
    { part: { case: "header", value: { head, source: "test", chunking } } },
    { part: { case: "data", value: { data: bytes } } },
    { part: { case: "finish", value: { size: BigInt(bytes.length), hash: hashBlob(bytes) } } },
  ]);
  return manifest;
}

describe("ProofService.GetSnapshot", () => {
  test("leads from the pinned key to the head's roots, before and after the first commit", async () => {
    const harness = await openHarness();
    const { caller, database } = harness;
    const { verifierKey, origin } = await caller.unary(AdminService.method.getCapabilities, {});
    assert.equal(verifierKey, database.log.verifierKey);
    const root = await set(harness, { a: "1" });
    const early = verifiedSnapshot(database, (await caller.unary(GetSnapshot, { head: "main" })).snapshot);
    assert.equal(early.checkpoint.origin, origin);
    assert.equal(early.commit, undefined);
    assert.equal(toHex(early.stagedState), toHex(root));
    const bytes = await commit(harness);
    const staged = await set(harness, { a: "2" });
    const later = verifiedSnapshot(database, (await caller.unary(GetSnapshot, { head: "main" })).snapshot);
    assert.equal(toHex(later.commitHash ?? UNKNOWN), toHex(commitHashOf(bytes)));
    assert.equal(toHex(later.commit?.stateRoot ?? UNKNOWN), toHex(root));
    assert.equal(toHex(later.stagedState), toHex(staged));
  });

  test("extends every checkpoint that the caller has seen", async () => {
    const harness = await openHarness();
    const { caller, database } = harness;
    const seen: string[] = [];
    for (let index = 0; index < 12; index += 1) {
      seen.push(await database.log.checkpoint());
      await set(harness, { a: String(index) });
    }
    for (const knownCheckpoint of seen) {
      const { snapshot } = await caller.unary(GetSnapshot, { head: "main", knownCheckpoint });
      verifiedSnapshot(database, snapshot, knownCheckpoint);
    }
    const current = await database.log.checkpoint();
    const { log } = await caller.unary(GetCheckpoint, { knownCheckpoint: current });
    assert.deepEqual(log?.consistency, []);
    verifiedLog(database, log, current);
  });

  test("a checkpoint of another log, or of a longer one, gets no consistency proof", async () => {
    const harness = await openHarness();
    const { caller, database } = harness;
    await set(harness, { a: "1" });
    const own = await database.log.checkpoint();
    const lines = own.split("\n");
    const longer = [lines[0], "999", ...lines.slice(2)].join("\n");
    const other = [`neleus/${"0".repeat(32)}/1`, "1", ...lines.slice(2)].join("\n");
    for (const knownCheckpoint of [longer, other]) {
      const { log } = await caller.unary(GetCheckpoint, { knownCheckpoint });
      assert.deepEqual(log?.consistency, []);
      verifiedLog(database, log);
    }
  });

  test("an old log gets a fresh leaf with the same refs root, only where asked", async () => {
    const harness = await openHarness();
    const { caller, database, clock } = harness;
    await set(harness, { a: "1" });
    const first = verifiedSnapshot(database, (await caller.unary(GetSnapshot, { head: "main" })).snapshot);
    clock.nowMs += 60_000;
    const ask = async (maxAgeMs: bigint | undefined) => {
      const request = { head: "main", knownCheckpoint: "", ...(maxAgeMs === undefined ? {} : { maxAgeMs }) };
      return verifiedSnapshot(database, (await caller.unary(GetSnapshot, request)).snapshot);
    };
    assert.equal((await ask(undefined)).checkpoint.size, first.checkpoint.size);
    assert.equal((await ask(60_000n)).checkpoint.size, first.checkpoint.size);
    const fresh = await ask(59_999n);
    assert.equal(fresh.checkpoint.size, first.checkpoint.size + 1);
    assert.equal(fresh.timeMs, clock.nowMs);
    assert.equal(toHex(fresh.refsRoot), toHex(first.refsRoot));
  });

  test("a call that ends while it waits for a fresher leaf appends none", async () => {
    const harness = await openHarness();
    await set(harness, { a: "1" });
    const before = await harness.fingerprint();
    harness.clock.nowMs += 1;
    const controller = new AbortController();
    const call = harness.caller.unary(GetSnapshot, { head: "main", maxAgeMs: 0n }, { signal: controller.signal });
    setImmediate(() => controller.abort());
    await fails(call, { code: "CANCELLED", status: GrpcStatus.CANCELLED });
    assert.equal(await harness.fingerprint(), before);
  });

  test("is of one instant while others write", async () => {
    const harness = await openHarness();
    await set(harness, { a: "0" });
    const writes = (async () => {
      for (let index = 1; index <= 20; index += 1) {
        await set(harness, { a: String(index) });
        await commit(harness);
      }
    })();
    for (let index = 0; index < 20; index += 1) {
      const { snapshot } = await harness.caller.unary(GetSnapshot, { head: "main" });
      verifiedSnapshot(harness.database, snapshot);
    }
    await writes;
  });

  test("errors append nothing", async () => {
    const harness = await openHarness();
    const { caller, clock } = harness;
    clock.nowMs += 60_000;
    const before = await harness.fingerprint();
    await fails(caller.unary(GetSnapshot, { head: "mian", maxAgeMs: 0n }), { ...NOT_FOUND, kind: "head" });
    await fails(caller.unary(GetSnapshot, { head: "" }), { ...INVALID, field: "head" });
    await fails(caller.unary(GetSnapshot, { head: "main", maxAgeMs: 2n ** 53n }), { ...INVALID, field: "max_age_ms" });
    await fails(caller.unary(GetSnapshot, { head: "main", database: "other" }), NOT_FOUND);
    for (const knownCheckpoint of ["x", "a\nb\nc\n", "x".repeat(70_000), "\ud800"]) {
      const call = caller.unary(GetCheckpoint, { knownCheckpoint: knownCheckpoint.replace("\ud800", "\0") });
      await fails(call, { ...INVALID, field: "known_checkpoint" });
    }
    await fails(caller.unary(GetCheckpoint, { database: "other" }), NOT_FOUND);
    assert.equal(await harness.fingerprint(), before);
  });
});

describe("ProofService.ProveState", () => {
  test("stands on its own at every selector", async () => {
    const harness = await openHarness();
    const { caller, database } = harness;
    const known = await database.log.checkpoint();
    const committed = await set(harness, { a: "1", b: "2" });
    const commitHash = commitHashOf(await commit(harness));
    const staged = await set(harness, { a: "3" });
    const cases = [
      [STAGED, staged, "3"],
      [HEAD, committed, "1"],
      [{ at: { case: "commit", value: commitHash } }, committed, "1"],
      [{ at: { case: "root", value: staged } }, staged, "3"],
    ] as const;
    for (const [at, root, value] of cases) {
      for (const key of ["a", "absent"]) {
        const { proof } = await caller.unary(ProveState, { at, key: utf8Of(key), knownCheckpoint: known });
        assert.ok(proof);
        assert.equal(proof.type, "neleus.state-proof.v1");
        assert.deepEqual(proof.root, root);
        assert.equal(fromUtf8(proof.key), key);
        const cell = verifyWitness(
          get({ kind: MapKind.state, root: mapRoot(root) }, proof.key),
          revealsOf(proof.nodes),
        );
        assert.equal(proof.present, cell !== undefined);
        assert.equal(proof.present, key === "a");
        if (cell !== undefined) {
          assert.equal(fromUtf8(proof.value ?? new Uint8Array(0)), value);
          assert.equal(toHex(stateCell.decode(cell).hash), toHex(hashBlob(utf8Of(value))));
        } else assert.equal(proof.value, undefined);
        assert.equal(proof.staged, at === STAGED);
        if (at !== STAGED && at !== HEAD) {
          assert.equal(proof.chain, undefined);
          continue;
        }
        const chain = verifiedSnapshot(database, proof.chain, known);
        assert.equal(toHex(at === STAGED ? chain.stagedState : (chain.commit?.stateRoot ?? UNKNOWN)), toHex(root));
      }
    }
  });

  test("errors", async () => {
    const { caller } = await openHarness();
    const key = utf8Of("a");
    await fails(caller.unary(ProveState, { key }), { ...INVALID, field: "at" });
    await fails(caller.unary(ProveState, { at: STAGED }), { ...INVALID, field: "key" });
    await fails(caller.unary(ProveState, { at: HEAD, key }), { ...NOT_FOUND, kind: "commit" });
    await fails(caller.unary(ProveState, { at: { at: { case: "root", value: UNKNOWN } }, key }), {
      ...NOT_FOUND,
      code: "PRUNED",
      kind: "root",
    });
    await fails(caller.unary(ProveState, { at: STAGED, key, knownCheckpoint: "x" }), {
      ...INVALID,
      field: "known_checkpoint",
    });
  });
});

describe("ProofService.ProveRange", () => {
  test("put together it proves every entry of the range", async () => {
    const harness = await openHarness();
    const { caller, database } = harness;
    const pairs = Object.fromEntries(
      Array.from({ length: 9000 }, (_, index) => [`k${String(index).padStart(5, "0")}`, "v"]),
    );
    const root = await set(harness, pairs);
    for (const range of [{}, { from: utf8Of("k00500"), to: utf8Of("k01800") }, { from: utf8Of("x") }]) {
      const messages = await collect(caller.serverStream(ProveRange, { at: STAGED, ...range }));
      const [first, ...others] = messages.map(({ proof }) => proof);
      assert.ok(first);
      assert.equal(first.type, "neleus.range-proof.v1");
      assert.deepEqual([first.root, first.nodes.length, first.staged], [root, 0, true]);
      assert.equal(toHex(verifiedSnapshot(database, first.chain).stagedState), toHex(root));
      const bounds = { from: first.from, to: first.to };
      assert.deepEqual(bounds, { from: new Uint8Array(0), to: undefined, ...range });
      const verifier = new ScanVerifier({ kind: MapKind.state, root: mapRoot(root) }, bounds);
      const keys = others.flatMap((part) => {
        assert.deepEqual([part?.type, part?.chain, part?.root.length], ["", undefined, 0]);
        return verifier.push(revealsOf(part?.nodes ?? [])).map(({ key }) => fromUtf8(key));
      });
      verifier.finish();
      const [from, to] = [fromUtf8(bounds.from), bounds.to && fromUtf8(bounds.to)];
      assert.deepEqual(
        keys,
        Object.keys(pairs).filter((key) => key >= from && (to === undefined || key < to)),
      );
      if (keys.length === 2000) assert.ok(others.length > 1, "cut into messages");
    }
  });

  test("errors", async () => {
    const { caller } = await openHarness();
    const ask = (request: object) => collect(caller.serverStream(ProveRange, request));
    await fails(ask({}), { ...INVALID, field: "at" });
    await fails(ask({ at: STAGED, from: utf8Of("b"), to: utf8Of("b") }), { ...INVALID, field: "to" });
    await fails(ask({ at: { at: { case: "staged", value: "mian" } } }), { ...NOT_FOUND, kind: "head" });
  });
});

describe("ProofService.ProveChunk", () => {
  /** Checks everything below the ledger; returns the chunk's bytes. */
  function verifiedChunk(proof: ChunkProof | undefined, manifest: Uint8Array): Uint8Array | undefined {
    assert.ok(proof);
    assert.equal(proof.type, "neleus.chunk-proof.v1");
    assert.equal(toHex(manifestHashOf(proof.manifest)), toHex(manifestHashOf(manifest)));
    const { object } = decodeManifestOf("document", proof.manifest);
    const list = { kind: MapKind.chunks, root: object.chunks };
    const bytes = verifyWitness(get(list, chunkKey(Number(proof.index))), revealsOf(proof.nodes));
    assert.ok(bytes);
    const { hash, offset, size } = chunkCell.decode(bytes);
    if (proof.slice === undefined) return undefined;
    const range = { start: Number(proof.slice.start), end: Number(proof.slice.end) };
    assert.deepEqual(range, { start: offset, end: offset + size });
    const content = decodeSlice(proof.slice, { hash: object.blob.hash, sizeBytes: object.blob.size, range });
    assert.equal(toHex(hashBlob(content)), toHex(hash));
    return content;
  }

  test("leads to the chunk's bytes, and with a selector from the ledger", async () => {
    const harness = await openHarness();
    const { caller, database } = harness;
    const bytes = patternBytes(100_000);
    const manifest = await putDocument(harness, bytes, 30_000, "main");
    const hash = manifestHashOf(manifest);
    const commitBytes = await commit(harness);
    const AT_COMMIT = { at: { case: "commit", value: commitHashOf(commitBytes) } } as const;
    const [key] = ledgerKeysOf(decodeManifestOf("document", manifest).object, hash);
    assert.ok(key);
    for (const at of [undefined, STAGED, HEAD, AT_COMMIT]) {
      for (const index of [0, 1, 3]) {
        const request = { manifest: hash, index: BigInt(index), ...(at === undefined ? {} : { at }) };
        const { proof } = await caller.unary(ProveChunk, request);
        assert.deepEqual(verifiedChunk(proof, manifest), bytes.subarray(index * 30_000, (index + 1) * 30_000));
        assert.ok(proof);
        if (at === undefined) {
          assert.deepEqual([proof.ledgerRoot.length, proof.ledgerNodes.length, proof.chain], [0, 0, undefined]);
          continue;
        }
        const ledger = { kind: MapKind.ledger, root: mapRoot(proof.ledgerRoot) };
        assert.ok(verifyWitness(get(ledger, key), revealsOf(proof.ledgerNodes)), "the document is in the ledger");
        assert.equal(proof.staged, at === STAGED);
        if (at === AT_COMMIT) {
          assert.deepEqual(proof.commit, commitBytes);
          assert.equal(proof.chain, undefined);
          assert.equal(toHex(decodeCommit(proof.commit).object.manifests), toHex(ledger.root));
        } else {
          assert.equal(proof.commit.length, 0);
          const chain = verifiedSnapshot(database, proof.chain);
          const root = at === STAGED ? chain.stagedLedger : chain.commit?.manifests;
          assert.equal(toHex(root ?? UNKNOWN), toHex(ledger.root));
        }
      }
    }
    assert.deepEqual(harness.open, { blobs: 0, uploads: 0 });
  });

  test("a chunk over 256 KiB is proved without its bytes", async () => {
    const harness = await openHarness();
    const manifest = await putDocument(harness, patternBytes(600_000), MAX_INLINE_VALUE_BYTES + 1);
    const hash = manifestHashOf(manifest);
    assert.equal(
      verifiedChunk((await harness.caller.unary(ProveChunk, { manifest: hash })).proof, manifest),
      undefined,
    );
    const last = (await harness.caller.unary(ProveChunk, { manifest: hash, index: 2n })).proof;
    assert.equal(verifiedChunk(last, manifest)?.length, 600_000 - 2 * (MAX_INLINE_VALUE_BYTES + 1));
  });

  test("errors", async () => {
    const harness = await openHarness();
    const { caller } = harness;
    const manifest = manifestHashOf(await putDocument(harness, patternBytes(100), 10));
    await commit(harness);
    const ask = (request: object) => caller.unary(ProveChunk, { manifest, ...request });
    await fails(ask({ index: 10n }), { ...NOT_FOUND, kind: "chunk" });
    await fails(ask({ index: 2n ** 53n - 1n }), { ...NOT_FOUND, kind: "chunk" });
    await fails(ask({ index: 2n ** 53n }), { ...INVALID, field: "index" });
    await fails(ask({ manifest: UNKNOWN }), { ...NOT_FOUND, kind: "manifest" });
    await fails(ask({ manifest: utf8Of("x") }), { ...INVALID, field: "manifest" });
    await fails(ask({ at: STAGED }), { ...NOT_FOUND, kind: "manifest" });
    await fails(ask({ at: HEAD }), { ...NOT_FOUND, kind: "manifest" });
    await fails(ask({ at: {} }), { ...INVALID, field: "at" });
    await fails(ask({ at: { at: { case: "root", value: UNKNOWN } } }), { ...INVALID, field: "at.root" });
    await fails(ask({ at: { at: { case: "commit", value: UNKNOWN } } }), { ...NOT_FOUND, kind: "commit" });
    await fails(ask({ knownCheckpoint: "x" }), { ...INVALID, field: "known_checkpoint" });
  });
});

describe("ProofService.ProveCommit", () => {
  const { proveCommit: ProveCommit } = ProofService.method;

  test("leads from the checkpoint down to any commit of a head's or tag's history", async () => {
    const harness = await openHarness();
    const { caller, database } = harness;
    const commits: Uint8Array[] = [];
    for (let count = 0; count < 5; count += 1) commits.unshift(await commit(harness));
    const hashes = commits.map(commitHashOf);
    await caller.unary(CommitService.method.createTag, { tag: "v1", commit: hashes[2]! });
    for (const [of, newest] of [
      [{ head: "main" }, 0],
      [{ tag: "v1" }, 2],
    ] as const) {
      for (const [index, hash] of hashes.entries()) {
        const asked = caller.unary(ProveCommit, { ...of, commit: hash });
        if (index < newest) {
          const error = await fails(asked, { ...NOT_FOUND, kind: "commit", field: "commit" });
          assert.match(error.message, /^commit [0-9a-f]{64} is not in the history of tag "v1"$/);
          assert.match(error.hint ?? "", /neleus head list/);
          continue;
        }
        const { proof } = await asked;
        assert.equal(proof?.type, "neleus.commit-proof.v1");
        assert.deepEqual(proof.path.map(toHex), commits.slice(newest + 1, index + 1).map(toHex));
        assert.equal(toHex(proof.chain?.commit ?? UNKNOWN), toHex(commits[newest]!));
        verifiedLog(database, proof.chain?.log);
        if ("head" in of) verifiedSnapshot(database, proof.chain);
      }
    }
  });

  test("errors", async () => {
    const harness = await openHarness();
    const { caller } = harness;
    const unborn = { ...NOT_FOUND, kind: "commit" };
    await fails(caller.unary(ProveCommit, { head: "main", commit: UNKNOWN }), unborn);
    const hash = commitHashOf(await commit(harness));
    const ask = (request: object) => caller.unary(ProveCommit, { head: "main", commit: hash, ...request });
    await ask({});
    await fails(ask({ head: "" }), { ...INVALID, field: "head" });
    await fails(ask({ head: "nobody" }), { ...NOT_FOUND, kind: "head" });
    await fails(ask({ tag: "v1" }), { ...INVALID, field: "tag" });
    await fails(ask({ head: "", tag: "nothing" }), { ...NOT_FOUND, kind: "tag" });
    await fails(ask({ commit: UNKNOWN }), unborn);
    await fails(ask({ commit: new Uint8Array(0) }), { ...INVALID, field: "commit" });
    const document = manifestHashOf(await putDocument(harness, patternBytes(10), 10));
    await fails(ask({ commit: document }), { ...INVALID, field: "commit" });
    await fails(ask({ knownCheckpoint: "x" }), { ...INVALID, field: "known_checkpoint" });
    await fails(ask({ minLogSize: 99n }), { code: "ROLLED_BACK", status: GrpcStatus.FAILED_PRECONDITION });
  });
});

describe("AdminService.GetCapabilities", () => {
  test("says what is served and the limits in force", async () => {
    const { caller, database } = await openHarness();
    const answer = await caller.unary(AdminService.method.getCapabilities, {});
    assert.equal(answer.version, "1.2.3");
    assert.deepEqual([answer.databaseId, answer.origin], [database.id, database.log.origin]);
    assert.equal(answer.limits?.messageBytes, BigInt(MAX_MESSAGE_BYTES));
    const values = Object.entries(answer.limits).filter(([name]) => !name.startsWith("$"));
    assert.equal(values.length, 20);
    for (const [name, value] of values) assert.ok((value as unknown as bigint) > 0n, name);
    await fails(caller.unary(AdminService.method.getCapabilities, { database: "other" }), NOT_FOUND);
  });
});

describe("ProofService.SubmitCosignature", () => {
  test("keeps what a witness said, and gives it to whoever asks", async () => {
    const { caller, database } = await openHarness();
    const { submitCosignature, getCheckpoint } = ProofService.method;
    const signer = signerFromSeed(new Uint8Array(32).fill(1));
    const key = formatWitnessKey(witnessKey("witness.example", signer.publicKey));
    const early = parseNote(await database.log.checkpoint());
    const checkpoint = formatNote(cosign(early, { name: "witness.example", signer, seconds: 1_763_800_000 }));
    await fails(caller.unary(submitCosignature, { checkpoint }), { ...INVALID, field: "witness_keys" });
    await fails(caller.unary(submitCosignature, { checkpoint: "x", witnessKeys: [key] }), {
      ...INVALID,
      field: "checkpoint",
    });
    const log = database.log.verifierKey;
    await fails(caller.unary(submitCosignature, { checkpoint, witnessKeys: [key, log] }), {
      code: "UNSUPPORTED",
      status: GrpcStatus.UNIMPLEMENTED,
    });
    assert.deepEqual((await caller.unary(getCheckpoint, { withCosignatures: true })).cosigned, []);
    assert.equal((await caller.unary(submitCosignature, { checkpoint, witnessKeys: [key] })).size, 1n);
    await database.states.apply("main", { operations: [{ key: utf8Of("k"), change: { put: utf8Of("v") } }] });
    assert.deepEqual((await caller.unary(getCheckpoint, {})).cosigned, []);
    const { log: proof, cosigned: all } = await caller.unary(getCheckpoint, { withCosignatures: true });
    const [cosigned, ...more] = all;
    assert.deepEqual([cosigned?.note, more], [checkpoint, []]);
    const sizes = { from: 1, to: 2 };
    const [fromRoot, toRoot] = [early.text, parseNote(proof?.checkpoint ?? "").text].map((text) =>
      Buffer.from(text.split("\n")[2] ?? "", "base64"),
    );
    assert.ok(fromRoot && toRoot);
    verifyConsistency({ ...sizes, fromRoot, toRoot, proof: cosigned?.consistency ?? [] });
  });

  test("is in proofs of heads and tags, where it is asked for", async () => {
    const harness = await openHarness();
    const { caller, database } = harness;
    await set(harness, { a: "1" });
    const hash = commitHashOf(await commit(harness));
    const manifest = manifestHashOf(await putDocument(harness, patternBytes(10), 10, "main"));
    await caller.unary(CommitService.method.createTag, { tag: "v1", commit: hash });
    const signer = signerFromSeed(new Uint8Array(32).fill(1));
    const key = formatWitnessKey(witnessKey("witness.example", signer.publicKey));
    const early = parseNote(await database.log.checkpoint());
    const checkpoint = formatNote(cosign(early, { name: "witness.example", signer, seconds: 1_763_800_000 }));
    await database.log.cosign(checkpoint, [key]);
    await set(harness, { a: "2" });
    const { proveRef, proveCommit, proveManifest } = ProofService.method;
    const chains = async (at: object, withCosignatures: boolean) => {
      const asked = { at, withCosignatures };
      const ranges = await collect(caller.serverStream(ProveRange, asked));
      return [
        (await caller.unary(ProveState, { ...asked, key: utf8Of("a") })).proof?.chain,
        ...ranges.slice(0, 1).map(({ proof }) => proof?.chain),
      ];
    };
    const ledgers = async (at: object, withCosignatures: boolean) => [
      (await caller.unary(proveManifest, { at, manifest, withCosignatures })).proof?.chain,
      (await caller.unary(ProveChunk, { at, manifest, withCosignatures })).proof?.chain,
    ];
    const named = async (of: object, withCosignatures: boolean) => [
      (await caller.unary(proveRef, { ...of, withCosignatures })).proof?.chain,
      (await caller.unary(proveCommit, { ...of, commit: hash, withCosignatures })).proof?.chain,
    ];
    const TAG = { at: { case: "tag", value: "v1" } } as const;
    for (const isAsked of [true, false]) {
      const all = await Promise.all([
        chains(STAGED, isAsked),
        chains(HEAD, isAsked),
        chains(TAG, isAsked),
        ledgers(STAGED, isAsked),
        named({ head: "main" }, isAsked),
        named({ tag: "v1" }, isAsked),
      ]);
      for (const chain of all.flat()) {
        assert.deepEqual(
          chain?.cosigned.map(({ note }) => note),
          isAsked ? [checkpoint] : [],
        );
        assert.equal((chain.cosigned[0]?.consistency.length ?? 0) > 0, isAsked);
      }
    }
    const nobody = (await caller.unary(proveRef, { head: "nobody", withCosignatures: true })).proof;
    assert.equal(nobody?.chain?.cosigned.length, 1);
    const { snapshot } = await caller.unary(GetSnapshot, { head: "main" });
    assert.deepEqual(snapshot?.cosigned, []);
    for (const at of [{ at: { case: "commit", value: hash } }, { at: { case: "root", value: UNKNOWN } }] as const) {
      const refused = { ...INVALID, field: "with_cosignatures" };
      await fails(caller.unary(ProveState, { at, key: utf8Of("a"), withCosignatures: true }), refused);
      await fails(collect(caller.serverStream(ProveRange, { at, withCosignatures: true })), refused);
    }
    const below = { at: { at: { case: "commit", value: hash } }, manifest, withCosignatures: true } as const;
    await fails(caller.unary(proveManifest, below), { ...INVALID, field: "with_cosignatures" });
    await fails(caller.unary(ProveChunk, below), { ...INVALID, field: "with_cosignatures" });
    await fails(caller.unary(ProveChunk, { manifest, withCosignatures: true }), {
      ...INVALID,
      field: "with_cosignatures",
    });
  });
});

describe("ProofService.ProveEpoch and AdminService.RotateKey", () => {
  test("name the fields that are wrong, and what there is not", async () => {
    const { caller, database } = await openHarness();
    const { rotateKey, getCapabilities } = AdminService.method;
    const { proveEpoch } = ProofService.method;
    const first = await database.log.checkpoint();
    await fails(caller.unary(proveEpoch, { epoch: 1n }), { ...NOT_FOUND, kind: "epoch" });
    await fails(caller.unary(proveEpoch, { epoch: 1n, knownCheckpoint: "x" }), {
      ...INVALID,
      field: "known_checkpoint",
    });
    await fails(caller.unary(proveEpoch, { epoch: 2n ** 60n }), { ...INVALID, field: "epoch" });
    await fails(caller.unary(rotateKey, { finish: true }), { ...INVALID, field: "finish" });
    await fails(caller.unary(rotateKey, { unannounced: true }), { ...INVALID, field: "unannounced" });
    assert.equal((await caller.unary(getCapabilities, {})).nextVerifierKey, "");
    const announced = await caller.unary(rotateKey, {});
    assert.equal(announced.verifierKey, database.log.verifierKey);
    assert.equal((await caller.unary(getCapabilities, {})).nextVerifierKey, announced.nextVerifierKey);
    const finished = await caller.unary(rotateKey, { finish: true });
    assert.deepEqual([finished.verifierKey, finished.nextVerifierKey], [announced.nextVerifierKey, ""]);
    assert.equal(finished.origin, database.log.origin);
    const { end, beginning } = await caller.unary(proveEpoch, { epoch: 1n, knownCheckpoint: first });
    assert.equal(beginning?.verifierKey, finished.verifierKey);
    assert.ok((end?.log?.consistency.length ?? 0) > 0);
    // A checkpoint of another log says nothing of this one's sizes.
    const other = await caller.unary(proveEpoch, { epoch: 1n, knownCheckpoint: finished.checkpoint });
    assert.deepEqual(other.end?.log?.consistency, []);
  });
});
