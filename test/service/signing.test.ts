// Goal: what commits finished elsewhere and the keys of heads are on the wire, and every status that the proto names.
// Method: answers are decoded and verified here with core alone; every error of the comments is caused once.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CommitService } from "#gen/neleus/v1/commit_pb.js";
import { ProofService } from "#gen/neleus/v1/proof_pb.js";
import { toHex } from "#src/core/bytes.js";
import { MAX_KEYS_OF_HEAD, MAX_OBJECT_BYTES } from "#src/core/limits.js";
import { MapKind, ScanVerifier, verifyTransition } from "#src/core/map/index.js";
import {
  decodeCommit,
  encodeManifest,
  headKeysIn,
  headKeysRange,
  ledgerCell,
  ledgerKeysOf,
} from "#src/core/object/index.js";
import { signObject, signerFromSeed } from "#src/core/signature/index.js";
import { GrpcStatus } from "#src/service/index.js";
import { fails, openHarness, revealsOf, type Harness } from "./harness.js";
import { verifiedLog } from "./log-chain.js";

const {
  create: Create,
  prepare: Prepare,
  setHeadKeys: SetHeadKeys,
  listHeadKeys: ListHeadKeys,
  resetHead: ResetHead,
  deleteHead: DeleteHead,
} = CommitService.method;
const [ada, bob] = [1, 2].map((seed) => signerFromSeed(new Uint8Array(32).fill(seed)));
const WORDS = { head: "main", author: "ann", message: "m" };
const invalid = (field: string) => ({ code: "INVALID_ARGUMENT", status: GrpcStatus.INVALID_ARGUMENT, field }) as const;
const CONFLICT = { code: "CONFLICT", status: GrpcStatus.ABORTED } as const;
const DENIED = { code: "PERMISSION_DENIED", status: GrpcStatus.PERMISSION_DENIED } as const;

/** Prepares and signs. */
async function signedCommit({ caller }: Harness): Promise<Uint8Array> {
  const { commit } = await caller.unary(Prepare, WORDS);
  return signObject("commit:", commit, ada!);
}

function keysOf(refsRoot: Uint8Array, head: string, nodes: Parameters<typeof revealsOf>[0]): string[] {
  const verifier = new ScanVerifier({ kind: MapKind.refs, root: refsRoot }, headKeysRange(head));
  const entries = verifier.push(revealsOf(nodes));
  verifier.finish();
  return headKeysIn(head, entries).map(toHex);
}

describe("commits finished elsewhere", () => {
  test("Prepare shows what the commit is made of; Create takes it signed", async () => {
    const harness = await openHarness();
    const { caller, database } = harness;
    const bytes = encodeManifest({ v: 1, kind: "intent", agent: "a", provider: "p", model: "m", inputs: [], time: 5 });
    const { manifest } = await database.manifests.put(bytes);
    const manifests = [manifest.hash];
    const answer = await caller.unary(Prepare, { ...WORDS, time: 7n, meta: { a: "b" }, manifests });
    const { object } = decodeCommit(answer.commit);
    assert.deepEqual([object.author, object.message, object.time, object.meta], ["ann", "m", 7, { a: "b" }]);
    const head = await (await database.view()).head("main");
    assert.equal(answer.snapshot?.head, "main");
    assert.deepEqual(object.stateRoot, head.stagedState);
    const cell = ledgerCell.encode({ size: bytes.length });
    const edits = ledgerKeysOf(manifest.object, manifest.hash).map((key) => ({ key, cell }));
    const map = { kind: MapKind.ledger, root: head.stagedLedger };
    assert.deepEqual(verifyTransition(map, edits, [revealsOf(answer.ledger)]).root, object.manifests);
    const signed = signObject("commit:", answer.commit, ada!);
    const made = await caller.unary(Create, { head: "main", manifests, signedCommit: signed });
    assert.deepEqual(made.commit, signed);
    assert.equal(Number(made.receipt?.logIndex), (await database.view()).logSize - 1);
  });

  test("a signed commit says everything itself", async () => {
    const harness = await openHarness();
    const request = { head: "main", signedCommit: await signedCommit(harness) };
    for (const [field, beside] of [
      ["author", { author: "a" }],
      ["message", { message: "m" }],
      ["time", { time: 0n }],
      ["meta", { meta: { a: "b" } }],
      ["expected_commit", { expectedCommit: new Uint8Array(0) }],
      ["expected_root", { expectedRoot: new Uint8Array(32) }],
    ] as const) {
      await fails(harness.caller.unary(Create, { ...request, ...beside }), invalid(field));
    }
    const { caller } = harness;
    await fails(caller.unary(Create, { ...request, signedCommit: Uint8Array.of(1) }), invalid("signed_commit"));
    const large = new Uint8Array(MAX_OBJECT_BYTES + 1);
    await fails(caller.unary(Create, { ...request, signedCommit: large }), invalid("signed_commit"));
    await fails(caller.unary(Create, { ...request, head: "" }), invalid("head"));
    await caller.unary(Create, request);
    await fails(caller.unary(Create, request), CONFLICT);
  });

  test("Prepare refuses what Create refuses, and writes nothing", async () => {
    const { caller, work } = await openHarness();
    const { writes } = work;
    await fails(caller.unary(Prepare, { ...WORDS, author: "" }), invalid("author"));
    await fails(caller.unary(Prepare, { ...WORDS, head: "nain" }), { code: "NOT_FOUND", status: GrpcStatus.NOT_FOUND });
    await fails(caller.unary(Prepare, { ...WORDS, expectedRoot: new Uint8Array(32) }), CONFLICT);
    await fails(caller.unary(Prepare, { ...WORDS, knownCheckpoint: "no" }), invalid("known_checkpoint"));
    await caller.unary(Prepare, WORDS);
    assert.equal(work.writes, writes);
  });
});

describe("keys of heads", () => {
  test("are set, shown to be all, and taken away", async () => {
    const harness = await openHarness();
    const { caller } = harness;
    const keys = [ada!.publicKey, bob!.publicKey];
    const { receipt } = await caller.unary(SetHeadKeys, { head: "main", keys });
    assert.equal(receipt?.logIndex, 1n);
    const listed = await caller.unary(ListHeadKeys, { head: "main" });
    const { refsRoot } = verifiedLog(harness.database, listed.log);
    assert.deepEqual(keysOf(refsRoot, "main", listed.headKeys), keys.map(toHex).sort());
    const shown = await caller.unary(ProofService.method.getSnapshot, { head: "main", withHeadKeys: true });
    assert.deepEqual(keysOf(refsRoot, "main", shown.headKeys), keys.map(toHex).sort());
    const plain = await caller.unary(ProofService.method.getSnapshot, { head: "main" });
    assert.equal(plain.headKeys.length, 0);
    await fails(caller.unary(Create, WORDS), DENIED);
    await fails(caller.unary(ResetHead, { head: "main" }), DENIED);
    await fails(caller.unary(DeleteHead, { head: "main" }), DENIED);
    await caller.unary(Create, { head: "main", signedCommit: await signedCommit(harness) });
    await caller.unary(SetHeadKeys, { head: "main", expectedKeys: { keys } });
    await caller.unary(Create, WORDS);
    const none = await caller.unary(ListHeadKeys, { head: "nothing" });
    assert.deepEqual(keysOf(verifiedLog(harness.database, none.log).refsRoot, "nothing", none.headKeys), []);
  });

  test("and every refusal", async () => {
    const { caller } = await openHarness();
    const set = (request: object): Promise<unknown> => caller.unary(SetHeadKeys, { head: "main", ...request });
    await fails(set({ keys: [new Uint8Array(31)] }), invalid("keys[0]"));
    await fails(set({ keys: [new Uint8Array(32)] }), invalid("keys[0]"));
    await fails(set({ expectedKeys: { keys: [new Uint8Array(33)] } }), invalid("expected_keys.keys[0]"));
    await fails(set({ expectedKeys: { keys: [ada!.publicKey] } }), CONFLICT);
    await fails(set({ head: "nain" }), { code: "NOT_FOUND", status: GrpcStatus.NOT_FOUND });
    const many = Array.from({ length: MAX_KEYS_OF_HEAD + 1 }, () => ada!.publicKey);
    await fails(set({ keys: many }), { code: "LIMIT_EXCEEDED", status: GrpcStatus.RESOURCE_EXHAUSTED });
    await set({ expectedKeys: {} });
    const tagged = { tag: "v1", withHeadKeys: true };
    await fails(caller.unary(ProofService.method.getSnapshot, tagged), invalid("with_head_keys"));
  });
});
