// Goal: every verifier that we have gives the verdict of FORMATS §6 on every odd input at which libraries disagree.
// Method: keys and R of all 14 encodings of the points of small order, of other encodings that are not canonical, of
// mixed order and honest ones, each pair with an S that satisfies the equation up to points of small order, and with S
// beside and above the group order. The oracle is the rule itself, written from its text on bigints, slowly.
import test from "node:test";
import assert from "node:assert/strict";
import { LogKey } from "#src/client/trust/index.js";
import { nativeSignatureCheck } from "#src/client/native-signature.js";
import { concatBytes, toHex, utf8 } from "#src/core/bytes.js";
import { InvalidArgument } from "#src/core/errors.js";
import { decodeMap, encode } from "#src/core/codec/index.js";
import { formatVerifierKey, verifierKey } from "#src/core/log/index.js";
import {
  attachSignature,
  isValidSignature,
  publicKeyFault,
  signaturePayload,
  verifyObjectSignatures,
} from "#src/core/signature/index.js";
import { exampleBytes } from "../object/examples.js";
import { ORIGIN } from "../../client/support/model-log.js";
import {
  BASE,
  bytesOf,
  crafted,
  decoded,
  encodingOf,
  isSmall,
  L,
  little,
  MIXED_PARTS,
  PARTS,
  SMALL,
  times,
  verdict,
  type Signed,
} from "./slow-ed25519.js";

/** Who verifies, and how it is asked. */
const VERIFIERS: readonly (readonly [string, (signed: Signed) => boolean])[] = [
  ["core", isValidSignature],
  // As a client opens checkpoints: odd keys are never pinned, and what the platform does not take core decides.
  [
    "the platform's, with its fence",
    (signed) => {
      try {
        LogKey.parse(formatVerifierKey(verifierKey(ORIGIN, signed.publicKey)));
      } catch (error) {
        assert.ok(error instanceof InvalidArgument, String(error));
        return false;
      }
      return nativeSignatureCheck(signed.publicKey)(signed.message, signed.signature);
    },
  ],
];

let count = { valid: 0, invalid: 0 };

function judge(signed: Signed, what: string): boolean {
  const expected = verdict(signed);
  for (const [name, verify] of VERIFIERS) assert.equal(verify(signed), expected, `${name}: ${what}`);
  count[expected ? "valid" : "invalid"] += 1;
  return expected;
}

test("the points of small order have 14 encodings, 8 of them canonical", () => {
  assert.equal(new Set(SMALL.map(({ bytes }) => toHex(bytes))).size, 14);
  assert.equal(SMALL.filter(({ isCanonical }) => isCanonical).length, 8);
  for (const { point, bytes, isCanonical } of SMALL) {
    assert.ok(isSmall(point));
    assert.equal(decoded(bytes) !== undefined, isCanonical);
    assert.equal(publicKeyFault(bytes), isCanonical ? "key is of small order" : "key is not a canonical point");
  }
});

test("every pair of an odd key and an odd R: the verdict of the rule", () => {
  count = { valid: 0, invalid: 0 };
  for (const A of PARTS) for (const R of PARTS) judge(crafted(A, R, utf8("message")), `A ${A.what}, R ${R.what}`);
  assert.ok(count.invalid > 500);
});

test("points of mixed order: the verdict is that of the bytes, both ways", () => {
  count = { valid: 0, invalid: 0 };
  const small = SMALL.filter(({ isCanonical }) => isCanonical);
  for (let attempt = 0; attempt < 12; attempt += 1) {
    const message = utf8(`message ${attempt}`);
    for (const A of MIXED_PARTS.slice(0, 3)) {
      for (const R of MIXED_PARTS.slice(0, 3)) judge(crafted(A, R, message), `A ${A.what}, R ${R.what}`);
      // R of small order for which the equation may hold byte for byte.
      for (const R of small) judge(crafted(A, { what: "small", bytes: R.bytes, scalar: 0n }, message), `A ${A.what}`);
    }
  }
  assert.ok(count.valid > 12 && count.invalid > 12, JSON.stringify(count));
});

test("S beside and above the group order, other messages, other keys", () => {
  const [A, R] = [MIXED_PARTS[0]!, { what: "honest", bytes: encodingOf(times(BASE, 77n)), scalar: 77n }];
  const honest = crafted(A, R, utf8("message"));
  assert.ok(judge(honest, "honest"));
  const S = little(honest.signature.subarray(32));
  for (const other of [0n, 1n, S + 1n, L - 1n, L, L + 1n, S + L, S + 8n * L, 2n ** 255n - 1n, 2n ** 256n - 1n]) {
    const signature = concatBytes(R.bytes, bytesOf(other));
    assert.ok(!judge({ ...honest, signature }, `S = ${other}`));
  }
  assert.ok(!judge({ ...honest, message: utf8("massage") }, "another message"));
  assert.ok(!judge({ ...honest, publicKey: MIXED_PARTS[1]!.bytes }, "another key"));
});

test("in an object: the same verdicts, and the object stays well-formed", () => {
  const object = exampleBytes("intent");
  const message = signaturePayload("manifest:", object);
  for (const A of PARTS) {
    const signed = crafted(A, MIXED_PARTS[0]!, message);
    const value = signed.signature;
    const bytes = encode({ ...decodeMap(object), signatures: [{ alg: "ed25519", key: A.bytes, value }] });
    const [found, ...others] = verifyObjectSignatures("manifest:", bytes);
    assert.equal(others.length, 0);
    assert.equal(found?.valid, verdict(signed), A.what);
    const attach = (): Uint8Array =>
      attachSignature("manifest:", object, { publicKey: A.bytes, signature: signed.signature });
    if (verdict(signed)) assert.deepEqual(attach(), bytes);
    else assert.throws(attach, InvalidArgument);
  }
});
