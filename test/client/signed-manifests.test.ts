// Goal: what is said about commits and manifests is signed by who says it, and a document's manifest by who put it; what a
// server adds to it is not signed. Method: an honest engine over both transports, and one that lies about the manifest.
import assert from "node:assert/strict";
import { it } from "node:test";
import { create } from "@bufbuild/protobuf";
import {
  ManifestService,
  ManifestServicePutDocumentResponseSchema,
  type ManifestServicePutDocumentResponse,
} from "#gen/neleus/v1/manifest_pb.js";
import type { Transport } from "#src/client/transport.js";
import { verifyProof } from "#src/client/verify/index.js";
import { toHex } from "#src/core/bytes.js";
import { AlreadyExists, InvalidArgument, NotFound, VerificationFailed } from "#src/core/errors.js";
import { decodeManifest, encodeManifest, encodeManifestDraft, type Manifest } from "#src/core/object/index.js";
import { attachSignature, signaturePayload } from "#src/core/signature/index.js";
import { onEachTransport, openFixture } from "./support/fixture.js";
import { remoteSigner, signerOf } from "./support/signers.js";

const WORDS = { author: "a", message: "m" };
const [ada, bob] = [signerOf(1), signerOf(2)];
const document = { source: "s", chunking: { sizeBytes: 4 } };

onEachTransport("attestations about commits and manifests", async ({ client }) => {
  const db = await client({ signer: ada });
  const { hash: commit } = await db.commit("main", WORDS);
  const { hash: manifest } = await db.putDocument("some text", document);
  const about = await db.putAttestation({ commit }, "reviewed", { head: "main", timeMs: 5, meta: { by: "ada" } });
  const { object, signatures, kind } = await db.manifest(about.hash);
  assert.equal(kind, "attestation");
  assert.ok(object.kind === "attestation");
  assert.deepEqual([object.subject, object.subjectTag, object.statement], [commit, "commit:", "reviewed"]);
  assert.deepEqual([object.time, object.meta], [5, { by: "ada" }]);
  assert.deepEqual(signatures, [{ publicKey: ada.publicKey, isValid: true, fault: undefined }]);
  await db.proofs.manifest(about.hash, { staged: "main" });
  const other = await db.putAttestation({ manifest }, "true", { signer: bob });
  assert.deepEqual(
    other.manifest.signatures.map(({ publicKey }) => publicKey),
    [bob.publicKey],
  );
  assert.equal(other.receipt, undefined);
  // An attestation about an attestation, and one taken into a commit.
  await db.putAttestation({ manifest: other.hash }, "so it is");
  const { commit: second } = await db.commit("main", { ...WORDS, manifests: [other.hash] });
  // Whoever is handed a proof is told who has signed, of manifests and of commits.
  const proof = await db.proofs.manifest(other.hash, { commit: second.hash });
  const shown = [...verifyProof(proof).shown, ...verifyProof(await db.proofs.ref({ head: "main" })).shown];
  for (const sentence of [
    `The manifest bears a valid signature by the key ${toHex(bob.publicKey)}.`,
    `The commit bears a valid signature by the key ${toHex(ada.publicKey)}.`,
  ]) {
    assert.ok(shown.includes(sentence), sentence);
  }
  const nobody = await client();
  await assert.rejects(nobody.putAttestation({ commit }, "unsigned"), InvalidArgument);
  await assert.rejects(db.putAttestation({ commit: new Uint8Array(32) }, "of nothing"), NotFound);
  await assert.rejects(db.putAttestation({ manifest: commit }, "of another kind"), InvalidArgument);
  await assert.rejects(db.putAttestation({ commit }, "x", { head: "nain" }), NotFound);
  await assert.rejects(db.putAttestation({ commit }, "x", { idempotencyKey: "k" }), InvalidArgument);
  const once = { head: "main", timeMs: 6, idempotencyKey: "once" };
  const first = await db.putAttestation({ commit }, "x", once);
  const again = await db.putAttestation({ commit }, "x", once);
  assert.deepEqual([again.hash, again.receipt?.logIndex], [first.hash, first.receipt?.logIndex]);
  await assert.rejects(db.putAttestation({ commit }, "y", once), AlreadyExists);
});

onEachTransport("a document whose manifest is signed", async ({ client }) => {
  const db = await client();
  const signer = remoteSigner(1);
  const options = { ...document, title: "t", media: "text/plain", meta: { a: "b" }, head: "main", signer };
  const { hash, manifest, receipt } = await db.putDocument("some text", { ...options, timeMs: 5, idempotencyKey: "k" });
  assert.ok(receipt);
  assert.deepEqual(signer.signed, [signaturePayload("manifest:", manifest.bytes)]);
  assert.deepEqual(
    manifest.signatures.map(({ isValid }) => isValid),
    [true],
  );
  assert.deepEqual((await db.manifest(hash)).bytes, manifest.bytes);
  await db.proofs.manifest(hash, { staged: "main" });
  const chunks = [];
  for await (const chunk of db.chunks(hash)) chunks.push(Buffer.from(await chunk.bytes()).toString());
  assert.equal(chunks.join(""), "some text");
  const again = await db.putDocument("some text", { ...options, timeMs: 5, idempotencyKey: "k" });
  assert.deepEqual([again.hash, again.receipt?.logIndex], [hash, receipt.logIndex]);
  const plain = await db.putDocument("some text", { ...document, signer: ada });
  assert.equal(plain.receipt, undefined);
  await assert.rejects(db.putDocument("x", { ...document, signer, idempotencyKey: "k" }), InvalidArgument);
});

it("what is not finished, not signed or about nothing is not taken", async () => {
  const { client, close } = await openFixture("in process");
  const db = await client();
  const { manifest } = await db.putDocument("some text", document);
  const sign = async (object: Manifest | Uint8Array): Promise<Uint8Array> => {
    const bytes = object instanceof Uint8Array ? object : encodeManifest(object);
    const signature = await ada.sign(signaturePayload("manifest:", bytes));
    return attachSignature("manifest:", bytes, { publicKey: ada.publicKey, signature });
  };
  const signed = await sign(manifest.object);
  const { signatures = [] } = decodeManifest(signed).object;
  const intent = { v: 1, kind: "intent", agent: "a", provider: "p", model: "m", inputs: [], time: 5 } as const;
  const forged = { ...manifest.object, source: "other", signatures };
  for (const bytes of [
    manifest.bytes,
    encodeManifest(forged),
    signed.slice(1),
    new Uint8Array(0),
    await sign(intent),
  ]) {
    await assert.rejects(db.putSignedManifest(bytes), InvalidArgument);
  }
  const none = new Uint8Array(32).fill(9);
  for (const change of [{ chunks: none }, { blob: { hash: none, size: 1 } }]) {
    await assert.rejects(db.putSignedManifest(await sign({ ...manifest.object, ...change } as Manifest)), NotFound);
  }
  const wrongSize = { ...manifest.object, blob: { hash: manifest.blob.hash, size: 1 } };
  await assert.rejects(db.putSignedManifest(await sign(wrongSize)), InvalidArgument);
  const draft = encodeManifestDraft({
    v: 1,
    kind: "attestation",
    subject: manifest.hash,
    subjectTag: "manifest:",
    statement: "elsewhere",
    time: 5,
  });
  await db.putSignedManifest(await sign(draft), { head: "main" });
  await db.putSignedManifest(signed);
  await close();
});

it("a server that adds to a manifest does not get it signed", async () => {
  const { client, close } = await openFixture("in process");
  const adding =
    (change: object) =>
    (inner: Transport): Transport => ({
      address: inner.address,
      unary: inner.unary.bind(inner),
      serverStream: inner.serverStream.bind(inner),
      close: () => inner.close(),
      async clientStream(method, requests, options) {
        const answer = await inner.clientStream(method, requests, options);
        if (method.name !== ManifestService.method.putDocument.name) return answer;
        const { object } = decodeManifest((answer as unknown as ManifestServicePutDocumentResponse).manifest);
        const manifest = encodeManifest({ ...object, ...change });
        return create(ManifestServicePutDocumentResponseSchema, { manifest }) as never;
      },
    });
  const signer = remoteSigner(1);
  for (const change of [{ extra: { hidden: 1 } }, { time: 6 }, { source: "other" }, { meta: { a: "b" } }]) {
    const db = await client({}, adding(change));
    await assert.rejects(db.putDocument("some text", { ...document, timeMs: 5, signer }), VerificationFailed);
  }
  assert.equal(signer.signed.length, 0);
  await close();
});
