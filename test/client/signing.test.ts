// Goal: commits are signed as FORMATS §6 says, at hand or elsewhere, and every commit that is read passes the caller's
// verifier. Method: an honest engine over both transports; what is expected of each policy is said beside it.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { compareBytes, toHex } from "#src/core/bytes.js";
import { decodeMap, encode } from "#src/core/codec/index.js";
import { Conflict, InvalidArgument, PermissionDenied, VerificationFailed, AlreadyExists } from "#src/core/errors.js";
import { signaturePayload } from "#src/core/signature/index.js";
import { receivedCommit } from "#src/client/object.js";
import { headKeys, keyring, type CommitToVerify, type CommitVerifier } from "#src/client/signing.js";
import { all, onEachTransport, openFixture } from "./support/fixture.js";
import { remoteSigner, signerOf } from "./support/signers.js";

const WORDS = { author: "ada", message: "m" };
const [ada, bob, eve] = [signerOf(1), signerOf(2), signerOf(3)];
const chunking = { sizeBytes: 4 };

onEachTransport("a signed commit is the one asked for, and is verified by whoever reads it", async ({ client }) => {
  const signer = remoteSigner(1);
  const db = await client({ signer });
  const { root } = await db.state("main").put("k", "v");
  const { hash: manifest } = await db.putDocument("some text", { source: "s", chunking });
  const { commit, hash } = await db.commit("main", { ...WORDS, timeMs: 5, meta: { a: "b" }, manifests: [manifest] });
  assert.equal(signer.signed.length, 1);
  assert.deepEqual(signer.signed[0], signaturePayload("commit:", commit.bytes));
  assert.deepEqual(commit.signatures, [{ publicKey: signer.publicKey, isValid: true, fault: undefined }]);
  assert.deepEqual([commit.timeMs, commit.meta, commit.stateRoot], [5, { a: "b" }, root]);
  const reader = await client({ commitVerifier: keyring([toHex(signer.publicKey)]) });
  assert.deepEqual((await reader.commits.get(hash)).bytes, commit.bytes);
  assert.deepEqual((await reader.snapshot("main")).commitHash, hash);
  await reader.tags.create("v1", hash);
  assert.deepEqual((await reader.tag("v1")).commitHash, hash);
  await assert.rejects(reader.tag("v1", { commitVerifier: keyring([bob.publicKey]) }), VerificationFailed);
  const walked = all(reader.commits.log({ tag: "v1" }, { commitVerifier: keyring([bob.publicKey]) }));
  await assert.rejects(walked, VerificationFailed);
  assert.equal((await all(reader.commits.log({ head: "main" }))).length, 1);
  await reader.proofs.manifest(manifest, { commit: hash });
  // On top of it, without being told a time; and one that nobody signs, for this once.
  const second = await db.commit("main", WORDS);
  assert.deepEqual(second.commit.parents, [hash]);
  assert.equal(second.commit.signatures.length, 1);
  const third = await db.commit("main", WORDS, { signer: null });
  assert.deepEqual(third.commit.signatures, []);
  await assert.rejects(reader.snapshot("main"), VerificationFailed);
  await assert.rejects(reader.commits.get(third.hash), VerificationFailed);
  await assert.rejects(
    reader.commits.get(second.hash, { commitVerifier: keyring([bob.publicKey]) }),
    VerificationFailed,
  );
  assert.deepEqual((await reader.snapshot("main", { commitVerifier: null })).commitHash, third.hash);
});

onEachTransport("signed elsewhere: prepared here, submitted by another client", async ({ client }) => {
  const db = await client();
  await db.state("main").put("k", "v");
  const { hash: manifest } = await db.putDocument("some text", { source: "s", chunking });
  const prepared = await db.commits.prepare("main", { ...WORDS, manifests: [manifest, manifest] });
  assert.deepEqual(prepared.message, signaturePayload("commit:", prepared.bytes));
  assert.equal((await db.snapshot("main")).commit, undefined, "nothing is written");
  const signatures = [];
  for (const signer of [ada, bob]) {
    signatures.push({ publicKey: signer.publicKey, signature: await signer.sign(prepared.message) });
  }
  const other = await client();
  const { commit, receipt } = await other.commits.submit(prepared, signatures);
  assert.equal(commit.signatures.filter(({ isValid }) => isValid).length, 2);
  assert.deepEqual((await db.snapshot("main")).commit?.bytes, commit.bytes);
  assert.ok(receipt.logIndex > 0);
  // It fits once.
  await assert.rejects(other.commits.submit(prepared, signatures), Conflict);
  const next = await db.commits.prepare("main", WORDS);
  await db.state("main").put("k", "w");
  const signature = await ada.sign(next.message);
  await assert.rejects(db.commits.submit(next, [{ publicKey: ada.publicKey, signature }]), Conflict);
});

describe("submitting", () => {
  it("sends nothing that is not signed well", async () => {
    const { client, close } = await openFixture("in process");
    const db = await client();
    const prepared = await db.commits.prepare("main", WORDS);
    const signature = await ada.sign(prepared.message);
    const good = { publicKey: ada.publicKey, signature };
    const wrong = [
      [],
      [{ publicKey: bob.publicKey, signature }],
      [good, { publicKey: bob.publicKey, signature: new Uint8Array(64) }],
      [{ publicKey: ada.publicKey, signature: new Uint8Array(3) }],
    ];
    for (const signatures of wrong) await assert.rejects(db.commits.submit(prepared, signatures), InvalidArgument);
    for (const bytes of [new Uint8Array(0), prepared.bytes.slice(1), Uint8Array.of(0xa0)]) {
      await assert.rejects(db.commits.submit({ ...prepared, bytes }, [good]), InvalidArgument);
    }
    await assert.rejects(db.commits.submit({ ...prepared, head: "a//b" }, [good]), InvalidArgument);
    assert.equal((await db.snapshot("main")).commit, undefined);
    await close();
  });

  it("has one effect under one idempotency key", async () => {
    const { client, close } = await openFixture("over gRPC");
    const db = await client();
    const prepared = await db.commits.prepare("main", WORDS);
    const made = [{ publicKey: ada.publicKey, signature: await ada.sign(prepared.message) }];
    const options = { idempotencyKey: "once" };
    const first = await db.commits.submit(prepared, made, options);
    await db.commit("main", WORDS);
    const again = await db.commits.submit(prepared, made, options);
    assert.deepEqual([again.hash, again.receipt.logIndex], [first.hash, first.receipt.logIndex]);
    await assert.rejects(db.commit("main", WORDS, options), AlreadyExists);
    await close();
  });

  it("prepares anew where others move the head meanwhile, unless something was expected of it", async () => {
    const { client, close } = await openFixture("in process");
    const db = await client();
    let [moves, count] = [3, 0];
    const signer = {
      publicKey: ada.publicKey,
      async sign(message: Uint8Array) {
        if (moves > 0) await db.state("main").put("k", `value ${(count += 1)}`);
        moves -= 1;
        return ada.sign(message);
      },
    };
    const { commit } = await db.commit("main", WORDS, { signer });
    assert.deepEqual(commit.stateRoot, (await db.snapshot("main")).staged.stateRoot);
    moves = 1;
    const { staged } = await db.snapshot("main");
    await assert.rejects(db.commit("main", { ...WORDS, expectedRoot: staged.stateRoot }, { signer }), Conflict);
    moves = Infinity;
    await assert.rejects(db.commit("main", WORDS, { signer }), Conflict);
    await close();
  });

  it("lets no signature out that is not valid", async () => {
    const { client, close } = await openFixture("in process");
    const db = await client();
    const broken = { publicKey: ada.publicKey, sign: () => new Uint8Array(64) };
    await assert.rejects(db.commit("main", WORDS, { signer: broken }), InvalidArgument);
    const failing = { publicKey: ada.publicKey, sign: () => Promise.reject(new Error("the device is asleep")) };
    await assert.rejects(db.commit("main", WORDS, { signer: failing }), /asleep/);
    assert.equal((await db.snapshot("main")).commit, undefined);
    await close();
  });
});

onEachTransport("heads with keys", async ({ client }) => {
  const db = await client();
  await db.commit("main", WORDS);
  assert.deepEqual(await db.heads.keys("main"), []);
  const keys = [ada.publicKey, bob.publicKey];
  await db.heads.setKeys("main", [...keys, toHex(ada.publicKey)]);
  assert.deepEqual((await db.heads.keys("main")).map(toHex), keys.map(toHex).sort());
  assert.deepEqual(await db.heads.keys("other"), []);
  await db.state("main").put("k", "v");
  await assert.rejects(db.commit("main", WORDS), PermissionDenied);
  await assert.rejects(db.commit("main", WORDS, { signer: eve }), PermissionDenied);
  await assert.rejects(db.heads.reset("main", { commit: null }), PermissionDenied);
  await assert.rejects(db.heads.delete("main"), PermissionDenied);

  // Until one of its keys has signed, a reader who asks for that is told.
  const careful = await client({ commitVerifier: headKeys() });
  await assert.rejects(careful.snapshot("main"), VerificationFailed);
  await assert.rejects(careful.commit("main", WORDS, { signer: bob }), VerificationFailed);
  await careful.commit("main", WORDS, { signer: bob, commitVerifier: null });
  await careful.snapshot("main");
  assert.equal((await all(careful.commits.log({ head: "main" }))).length, 2, "what it was built on is its signer's");
  await careful.commit("main", WORDS, { signer: ada });
  // A head that nobody guards is accepted, unless that is asked for.
  await db.heads.create("open", { commit: (await db.snapshot("main")).commitHash! });
  await db.commit("open", WORDS);
  await careful.snapshot("open");
  await assert.rejects(careful.snapshot("open", { commitVerifier: headKeys({ required: true }) }), VerificationFailed);

  // Rotation: both, then the new one alone.
  await assert.rejects(db.heads.setKeys("main", [eve.publicKey], { expectedKeys: [ada.publicKey] }), Conflict);
  await db.heads.setKeys("main", [...keys, eve.publicKey], { expectedKeys: keys });
  await careful.commit("main", WORDS, { signer: eve });
  await db.heads.setKeys("main", [eve.publicKey]);
  await careful.snapshot("main");
  await assert.rejects(careful.commit("main", WORDS, { signer: ada }), PermissionDenied);
  await db.heads.setKeys("main", []);
  await db.commit("main", WORDS);
});

describe("verifiers", () => {
  it("see every commit that is read or walked, with what is known of it", async () => {
    const { client, close } = await openFixture("in process");
    const seen: CommitToVerify[] = [];
    const commitVerifier: CommitVerifier = { verify: (commit) => void seen.push(commit) };
    const db = await client({ signer: ada });
    const { hash } = await db.commit("main", WORDS);
    await db.commit("main", WORDS);
    const reader = await client({ commitVerifier });
    await reader.snapshot("main");
    assert.deepEqual(
      seen.map(({ head }) => head),
      ["main"],
    );
    assert.equal(seen[0]?.headKeys, undefined, "not asked for");
    assert.deepEqual(
      seen[0]?.signatures.map(({ isValid }) => isValid),
      [true],
    );
    seen.length = 0;
    await all(reader.commits.log({ commit: hash }));
    await all(reader.commits.log({ head: "main" }));
    assert.deepEqual(
      seen.map(({ head }) => head),
      [undefined, "main", undefined, undefined],
    );
    seen.length = 0;
    await reader.at({ commit: hash }).count();
    await reader.state("main").get("k");
    assert.equal(seen.length, 2);
    await close();
  });

  it("keyring counts keys, not signatures", async () => {
    const { client, close } = await openFixture("in process");
    const db = await client();
    const prepared = await db.commits.prepare("main", WORDS);
    const made = [];
    for (const signer of [ada, bob]) {
      made.push({ publicKey: signer.publicKey, signature: await signer.sign(prepared.message) });
    }
    const { hash } = await db.commits.submit(prepared, made);
    const get = (keys: Uint8Array[], required?: number): Promise<unknown> =>
      db.commits.get(hash, { commitVerifier: keyring(keys, { required }) });
    await get([ada.publicKey, eve.publicKey]);
    await get([ada.publicKey, bob.publicKey, eve.publicKey], 2);
    await assert.rejects(get([eve.publicKey]), VerificationFailed);
    await assert.rejects(get([ada.publicKey, eve.publicKey], 2), VerificationFailed);
    assert.throws(() => keyring([]), InvalidArgument);
    assert.throws(() => keyring([ada.publicKey, ada.publicKey], { required: 2 }), InvalidArgument);
    assert.throws(() => keyring([ada.publicKey], { required: 0 }), InvalidArgument);
    assert.throws(() => keyring([new Uint8Array(32)]), InvalidArgument);
    assert.throws(() => keyring(["abc"]), InvalidArgument);
    await close();
  });

  it("an invalid signature is reported, and is worth nothing", async () => {
    const { client, close } = await openFixture("in process");
    const { bytes } = await (await client()).commits.prepare("main", WORDS);
    const wire = decodeMap(bytes);
    const value = await ada.sign(signaturePayload("commit:", bytes));
    const signature = (key: Uint8Array): object => ({ alg: "ed25519", key, value: new Uint8Array(value) });
    const ordered = [ada, bob].map(({ publicKey }) => publicKey).sort(compareBytes);
    // A server of somebody else's may well store this: it is well-formed.
    const forged = encode({ ...wire, signatures: ordered.map(signature) } as never);
    const commit = receivedCommit(forged);
    const verdicts = new Map(
      commit.signatures.map(({ publicKey, isValid, fault }) => [toHex(publicKey), { isValid, fault }]),
    );
    assert.deepEqual(verdicts.get(toHex(ada.publicKey)), { isValid: true, fault: undefined });
    assert.deepEqual(verdicts.get(toHex(bob.publicKey)), { isValid: false, fault: "signature does not match" });
    const { hash, signatures } = commit;
    const shown = { hash, commit, signatures, head: "main" };
    const judge = async (verifier: CommitVerifier, keys: readonly Uint8Array[]): Promise<void> =>
      verifier.verify({ ...shown, headKeys: keys });
    await judge(headKeys(), [ada.publicKey]);
    await judge(headKeys(), [ada.publicKey, bob.publicKey]);
    await judge(keyring([ada.publicKey]), []);
    await assert.rejects(judge(headKeys(), [bob.publicKey]), VerificationFailed);
    await assert.rejects(judge(keyring([bob.publicKey]), []), VerificationFailed);
    const both = keyring([ada.publicKey, bob.publicKey], { required: 2 });
    await assert.rejects(judge(both, []), VerificationFailed);
    await close();
  });
});
