// Goal: signatures of objects are made as the vectors have them, cover every member but themselves, and are judged one
// by one without making the object malformed.
// Method: the vectors, whose seeds are known; every bit flip of a signed object.
import test from "node:test";
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { concatBytes, fromHex, toHex, utf8 } from "#src/core/bytes.js";
import { decodeMap, encode } from "#src/core/codec/index.js";
import type { ValueMap } from "#src/core/codec/index.js";
import { InvalidArgument, Malformed } from "#src/core/errors.js";
import { hashTagged } from "#src/core/hash/index.js";
import { decodeManifest, encodeManifestDraft } from "#src/core/object/index.js";
import { signObject, signaturePayload, signerFromSeed, verifyObjectSignatures } from "#src/core/signature/index.js";
import type { Signer } from "#src/core/signature/index.js";
import { change, example, exampleBytes, exampleWire, vectors } from "../object/examples.js";

const signerOf = (name: string): Signer => signerFromSeed(createHash("sha256").update(name).digest());
const unsigned = (bytes: Uint8Array): Uint8Array => encode(change(decodeMap(bytes), "signatures", undefined));

test("vectors: every signature is valid", () => {
  let count = 0;
  for (const { tag, cbor } of vectors.objects) {
    for (const verdict of verifyObjectSignatures(tag, fromHex(cbor))) {
      assert.equal(verdict.valid, true);
      count += 1;
    }
  }
  assert.equal(count, 4);
});

test("vectors: signing the unsigned objects again, in any order of signers, gives the same bytes", () => {
  const signers: Record<string, string[]> = {
    run: ["run key"],
    attestation: ["auditor"],
    "commit without parents, two signatures": ["a", "b"],
  };
  for (const { name, tag, cbor } of vectors.objects) {
    const names = signers[name];
    if (names === undefined) continue;
    for (const order of [names, [...names].reverse()]) {
      let bytes = unsigned(fromHex(cbor));
      assert.deepEqual(verifyObjectSignatures(tag, bytes), []);
      for (const signer of order) bytes = signObject(tag, bytes, signerOf(signer));
      assert.equal(toHex(bytes), cbor, name);
      // Signing again replaces.
      assert.equal(toHex(signObject(tag, bytes, signerOf(names[0] ?? ""))), cbor);
    }
  }
});

test("the payload is the context, the tag and the hash without signatures", () => {
  const bytes = exampleBytes("run");
  const expected = concatBytes(utf8("neleus signature v1\nmanifest:"), hashTagged("manifest:", unsigned(bytes)));
  assert.deepEqual(signaturePayload("manifest:", bytes), expected);
  assert.deepEqual(signaturePayload("manifest:", unsigned(bytes)), expected);
});

test("a signature for one domain is invalid in the other", () => {
  assert.deepEqual(
    verifyObjectSignatures("commit:", exampleBytes("run")).map((verdict) => verdict.valid),
    [false],
  );
});

test("signatures cover members that this version does not know", () => {
  const signed = signObject("manifest:", encode({ ...exampleWire("intent"), future: [1] }), signerOf("a"));
  assert.equal(verifyObjectSignatures("manifest:", signed)[0]?.valid, true);
  const altered = encode({ ...decodeMap(signed), future: [2] });
  assert.deepEqual(
    verifyObjectSignatures("manifest:", altered).map((verdict) => verdict.valid || verdict.why),
    ["signature does not match"],
  );
  assert.deepEqual(decodeManifest(signed).object.extra, { future: [1] });
});

test("one invalid signature leaves the object well-formed and the other one valid", () => {
  const bytes = vectors.objects.find(({ name }) => name.startsWith("commit without"))?.cbor ?? "";
  const wire = decodeMap(fromHex(bytes));
  const second = (wire["signatures"] as ValueMap[])[1]!;
  second["value"] = new Uint8Array(64);
  const verdicts = verifyObjectSignatures("commit:", encode(wire));
  assert.deepEqual(
    verdicts.map(({ valid }) => valid),
    [true, false],
  );
});

test("an attestation is signed from a draft", () => {
  const { signatures, ...draft } = example("attestation");
  const signed = signObject("manifest:", encodeManifestDraft(draft), signerOf("auditor"));
  assert.deepEqual(signed, exampleBytes("attestation"));
  assert.equal(signatures.length, 1);
});

test("malformed signature lists are refused; a signer that lies, and a 17th signature, are too", () => {
  const run = exampleWire("run");
  for (const signatures of [[], null, [null], {}, [{ alg: "ed25519" }]]) {
    assert.throws(() => verifyObjectSignatures("manifest:", encode({ ...run, signatures })), Malformed);
    assert.throws(() => signaturePayload("manifest:", encode({ ...run, signatures })), Malformed);
  }
  assert.throws(() => verifyObjectSignatures("manifest:", encode([1])), Malformed);
  const liar: Signer = { publicKey: signerOf("a").publicKey, sign: () => new Uint8Array(64) };
  assert.throws(() => signObject("manifest:", exampleBytes("run"), liar), InvalidArgument);
  const short: Signer = { publicKey: new Uint8Array(5), sign: () => new Uint8Array(64) };
  assert.throws(() => signObject("manifest:", exampleBytes("run"), short), InvalidArgument);
  let bytes = exampleBytes("intent");
  for (let index = 0; index < 16; index += 1) bytes = signObject("manifest:", bytes, signerOf(`signer ${index}`));
  assert.equal(decodeManifest(bytes).object.signatures?.length, 16);
  assert.throws(() => signObject("manifest:", bytes, signerOf("one more")), InvalidArgument);
});

test("a bit flipped in any byte of a signed object: it is malformed, or its signature invalid or gone", () => {
  const bytes = signObject("manifest:", exampleBytes("erasure"), signerOf("a"));
  for (let index = 0; index < bytes.length; index += 1) {
    const flipped = bytes.slice();
    flipped[index] = (flipped[index] ?? 0) ^ (1 << (index % 8));
    try {
      for (const verdict of verifyObjectSignatures("manifest:", flipped)) assert.equal(verdict.valid, false);
    } catch (error) {
      assert.ok(error instanceof Malformed, String(error));
    }
  }
});
