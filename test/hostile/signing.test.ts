// Goal: a server gets nobody to sign what it made up, cannot move a guarded head by itself unseen, and cannot show another
// set of keys than the refs have. Method: an honest engine behind a transport that lies, or whose operator writes as he
// likes; the signer keeps what it was asked to sign.
import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import {
  CommitService,
  CommitServiceCreateResponseSchema,
  CommitServiceListHeadKeysResponseSchema,
  CommitServicePrepareResponseSchema,
  type CommitServiceListHeadKeysResponse,
  type CommitServicePrepareResponse,
} from "#gen/neleus/v1/commit_pb.js";
import {
  ProofService,
  ProofServiceGetSnapshotResponseSchema,
  type ProofServiceGetSnapshotResponse,
} from "#gen/neleus/v1/proof_pb.js";
import { AlreadyExists, Conflict, IncompleteProof, NeleusError, VerificationFailed } from "#src/core/errors.js";
import { commitHash, mapRoot } from "#src/core/hashes.js";
import { decodeCommit, encodeCommit, type Commit } from "#src/core/object/index.js";
import { signaturePayload } from "#src/core/signature/index.js";
import { headKeys, keyring } from "#src/client/signing.js";
import { remoteSigner, signerOf } from "../client/support/signers.js";
import { scene } from "./support/liar.js";

const CREATE = CommitService.method.create.name;
const PREPARE = CommitService.method.prepare.name;
const LIST_KEYS = CommitService.method.listHeadKeys.name;
const SNAPSHOT = ProofService.method.getSnapshot.name;
const WORDS = { author: "a", message: "m", timeMs: 5, meta: { a: "b" } };
const [ada, bob] = [signerOf(1), signerOf(2)];

function isRefusal(error: unknown): boolean {
  return error instanceof VerificationFailed || error instanceof IncompleteProof;
}

scene("a prepared commit with anything changed is not signed, and names the member", async ({ liar, db }) => {
  await db.state("main").put("k", "1");
  const { hash: first } = await db.commit("main", WORDS);
  await db.commit("main", WORDS);
  const signature = { alg: "ed25519" as const, key: new Uint8Array(32).fill(1), value: new Uint8Array(64) };
  const cases: [string, (honest: Commit) => object][] = [
    ["author", () => ({ author: "b" })],
    ["message", () => ({ message: "m " })],
    ["time", () => ({ time: 6 })],
    ["meta", () => ({ meta: { a: "c" } })],
    ["meta", () => ({ meta: undefined })],
    ["signatures", () => ({ signatures: [signature] })],
    ["database", () => ({ database: new Uint8Array(16) })],
    ["database", () => ({ database: undefined })],
    ["state root", () => ({ stateRoot: mapRoot(new Uint8Array(32)) })],
    ["ledger root", () => ({ manifests: mapRoot(new Uint8Array(32)) })],
    ["parents", ({ parents }) => ({ parents: [...parents, first] })],
    ["parents", () => ({ parents: [first] })],
    ["parents", () => ({ parents: [] })],
    ["member", () => ({ extra: { hidden: 1 } })],
  ];
  const signer = remoteSigner(1);
  for (const [member, change] of cases) {
    liar.lies.set(PREPARE, async (_, pass) => {
      const answer = (await pass()) as CommitServicePrepareResponse;
      const { object } = decodeCommit(answer.commit);
      const commit = encodeCommit({ ...object, ...change(object) });
      return create(CommitServicePrepareResponseSchema, { ...answer, commit });
    });
    await assert.rejects(db.commit("main", WORDS, { signer }), (error) => {
      assert.ok(error instanceof VerificationFailed, String(error));
      assert.equal(error.facts["member"], member);
      return true;
    });
  }
  for (const commit of [new Uint8Array(0), Uint8Array.of(0xa0), new Uint8Array(100).fill(0xff)]) {
    liar.lies.set(PREPARE, async (_, pass) =>
      create(CommitServicePrepareResponseSchema, { ...((await pass()) as CommitServicePrepareResponse), commit }),
    );
    await assert.rejects(db.commit("main", WORDS, { signer }), VerificationFailed);
  }
  assert.equal(signer.signed.length, 0);
});

scene("a commit prepared of something else than was asked for is not signed", async ({ liar, db, other }) => {
  await db.heads.create("side");
  await db.state("side").put("k", "side");
  const documents = await Promise.all(
    ["one", "two"].map((text) => db.putDocument(text, { source: `of ${text}`, chunking: { sizeBytes: 2 } })),
  );
  const manifests = documents.map(({ hash }) => hash);
  const { root } = await db.state("main").put("k", "mine");
  const signer = remoteSigner(1);
  const changes: object[] = [
    { head: "side" },
    { author: "b" },
    { message: "" },
    { time: 6n },
    { meta: {} },
    { manifests: [] },
    { manifests: [manifests[0]] },
  ];
  for (const change of changes) {
    liar.lies.set(PREPARE, (request, pass) => pass({ ...request, ...change }));
    await assert.rejects(db.commit("main", { ...WORDS, manifests }, { signer }), isRefusal);
  }
  // The expected root is not what the head has: an honest server says so.
  liar.lies.set(PREPARE, async (request, pass) => {
    await other.state("main").put("k", "theirs");
    return pass({ ...request, expectedRoot: undefined });
  });
  await assert.rejects(db.commit("main", { ...WORDS, expectedRoot: root }, { signer }), VerificationFailed);
  // Nodes of the ledger left out, repeated, or given where none are needed.
  for (const [named, change] of [
    [manifests, (answer: CommitServicePrepareResponse) => ({ ...answer, ledger: [] })],
    [
      manifests,
      (answer: CommitServicePrepareResponse) => ({ ...answer, ledger: [...answer.ledger, ...answer.ledger] }),
    ],
    [[], (answer: CommitServicePrepareResponse) => ({ ...answer, ledger: answer.snapshot?.refs ?? [] })],
    [[], (answer: CommitServicePrepareResponse) => ({ ...answer, snapshot: undefined })],
  ] as const) {
    liar.lies.set(PREPARE, async (_, pass) =>
      create(CommitServicePrepareResponseSchema, change((await pass()) as CommitServicePrepareResponse)),
    );
    await assert.rejects(db.commit("main", { ...WORDS, manifests: named }, { signer }), isRefusal);
  }
  assert.equal(signer.signed.length, 0);
  liar.lies.clear();
  await db.commit("main", { ...WORDS, manifests }, { signer });
  assert.equal(signer.signed.length, 1);
});

scene("a server that says for ever that the head has moved is asked a few times", async ({ liar, db }) => {
  let count = 0;
  liar.lies.set(PREPARE, () => {
    count += 1;
    return Promise.reject(new Conflict("somebody was first"));
  });
  await assert.rejects(db.commit("main", WORDS, { signer: ada }), Conflict);
  assert.ok(count <= 8, `${count} times`);
});

scene("a signed commit that is kept back, or answered by another", async ({ liar, db, other }) => {
  await other.commit("main", WORDS);
  const prepared = await db.commits.prepare("main", WORDS);
  const made = [{ publicKey: ada.publicKey, signature: await ada.sign(prepared.message) }];
  // Never made: the receipt is of another write.
  liar.lies.set(CREATE, async (request) => {
    const { receipt } = await other.state("main").put("beside", "x");
    const { note: checkpoint } = receipt.checkpoint;
    return create(CommitServiceCreateResponseSchema, {
      commit: request["signedCommit"] as Uint8Array,
      receipt: { logIndex: BigInt(receipt.logIndex), checkpoint },
    });
  });
  await assert.rejects(db.commits.submit(prepared, made), VerificationFailed);
  liar.lies.set(CREATE, async (_, pass) => {
    const { object } = decodeCommit(prepared.bytes);
    return create(CommitServiceCreateResponseSchema, {
      ...((await pass()) as object),
      commit: encodeCommit({ ...object, author: "b" }),
    });
  });
  const next = await db.commits.prepare("main", WORDS);
  const again = [{ publicKey: ada.publicKey, signature: await ada.sign(next.message) }];
  await assert.rejects(db.commits.submit(next, again), VerificationFailed);
});

scene("an operator who moves a guarded head by himself", async ({ fixture, db, other }) => {
  await other.heads.setKeys("main", [ada.publicKey]);
  await other.commit("main", WORDS, { signer: ada });
  const guarded = await fixture.client({ commitVerifier: headKeys() });
  const pinned = await fixture.client({ commitVerifier: keyring([ada.publicKey]) });
  await guarded.snapshot("main");
  await pinned.snapshot("main");
  // He takes the keys away, moves the head, and puts them back.
  await fixture.engine.heads.setKeys("main", { keys: [] });
  await fixture.engine.commits.create({ head: "main", author: "a", message: "forged" });
  await pinnedRefuses();
  await guarded.snapshot("main");
  await fixture.engine.heads.setKeys("main", { keys: [ada.publicKey] });
  await assert.rejects(guarded.snapshot("main"), VerificationFailed);
  await assert.rejects(
    guarded
      .state("main")
      .put("k", "v")
      .then(() => guarded.state("main").get("k")),
    VerificationFailed,
  );
  await pinnedRefuses();
  // What the caller of headKeys sees of it otherwise is in the log: the keys went and came.
  assert.ok((await db.checkpoint()).checkpoint.size >= 5);

  async function pinnedRefuses(): Promise<void> {
    await assert.rejects(pinned.snapshot("main"), VerificationFailed);
    await assert.rejects(pinned.commit("main", WORDS, { signer: ada }), VerificationFailed);
  }
});

scene("a signature of another commit, and one that is not valid, open nothing", async ({ fixture, other }) => {
  await other.commit("main", WORDS);
  const { bytes } = await other.commits.prepare("main", WORDS);
  const value = await ada.sign(signaturePayload("commit:", bytes));
  const { object } = decodeCommit(bytes);
  // An operator's program without the checks of ours would store these.
  for (const change of [{ author: "b" }, { parents: [commitHash(new Uint8Array(32))] }]) {
    const signatures = [{ alg: "ed25519" as const, key: ada.publicKey, value: new Uint8Array(value) }];
    const forged = encodeCommit({ ...object, ...change, signatures });
    await assert.rejects(fixture.engine.commits.submit({ head: "main", signedCommit: forged }), NeleusError);
  }
});

scene("another set of keys than the refs have", async ({ liar, db, other }) => {
  await other.heads.create("main/next");
  await other.heads.setKeys("main", [ada.publicKey]);
  await other.heads.setKeys("main/next", [bob.publicKey]);
  const listed = async (
    request: object,
    pass: (changed?: object) => Promise<object>,
  ): Promise<CommitServiceListHeadKeysResponse> => (await pass(request)) as CommitServiceListHeadKeysResponse;
  const change = (alter: (answer: CommitServiceListHeadKeysResponse) => object): void => {
    liar.lies.set(LIST_KEYS, async (request, pass) =>
      create(CommitServiceListHeadKeysResponseSchema, alter(await listed(request, pass))),
    );
  };
  change((answer) => ({ ...answer, headKeys: [] }));
  await assert.rejects(db.heads.keys("main"), isRefusal);
  change((answer) => ({ ...answer, headKeys: answer.headKeys.slice(0, -1) }));
  await assert.rejects(db.heads.keys("main"), isRefusal);
  change((answer) => ({
    ...answer,
    headKeys: answer.headKeys.map((node) => ({ ...node, entries: [], indices: [] })),
  }));
  await assert.rejects(db.heads.keys("main"), isRefusal);
  for (const head of ["main/next", "other"]) {
    liar.lies.set(LIST_KEYS, (request, pass) => pass({ ...request, head }));
    const shown = await db.heads.keys("main").catch((error: unknown) => error);
    // Refs so few lie in one node, which may show more than was asked for: then the answer is right all the same.
    if (Array.isArray(shown)) assert.deepEqual(shown, [ada.publicKey]);
    else assert.ok(isRefusal(shown), String(shown));
  }
  liar.lies.clear();
  // In a snapshot for a verifier that asks for them.
  const careful = { commitVerifier: headKeys({ required: true }) };
  await other.commit("main", WORDS, { signer: ada });
  await db.snapshot("main", careful);
  liar.lies.set(SNAPSHOT, async (request, pass) => {
    const answer = (await pass(request)) as ProofServiceGetSnapshotResponse;
    return create(ProofServiceGetSnapshotResponseSchema, { ...answer, headKeys: [] });
  });
  await assert.rejects(db.snapshot("main", careful), isRefusal);
  liar.lies.set(SNAPSHOT, (request, pass) => pass({ ...request, withHeadKeys: false }));
  await assert.rejects(db.snapshot("main", careful), isRefusal);
});

scene("keys that are not set, or others", async ({ liar, db, other }) => {
  const SET_KEYS = CommitService.method.setHeadKeys.name;
  for (const keys of [[], [bob.publicKey], [ada.publicKey, bob.publicKey]]) {
    liar.lies.set(SET_KEYS, (request, pass) => pass({ ...request, keys }));
    await assert.rejects(db.heads.setKeys("main", [ada.publicKey]), VerificationFailed);
  }
  liar.lies.set(SET_KEYS, () => Promise.reject(new AlreadyExists("no")));
  await assert.rejects(db.heads.setKeys("main", []), AlreadyExists);
  assert.equal((await other.heads.keys("main")).length, 2);
});
