// Goal: the platform's check never lets through what the strict rule refuses, and lets through what honest keys sign.
// Method: honest signatures, flipped bits, and signatures made on purpose with R of each small order, which the laxer
// rule of ZIP 215 accepts (as some versions of OpenSSL accept some of them); core's rule is the oracle.
import test from "node:test";
import assert from "node:assert/strict";
import { ed25519 } from "@noble/curves/ed25519.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { LogKey } from "#src/client/trust/index.js";
import { nativeSignatureCheck } from "#src/client/native-signature.js";
import { concatBytes, utf8 } from "#src/core/bytes.js";
import { InvalidArgument } from "#src/core/errors.js";
import { formatVerifierKey, verifierKey } from "#src/core/log/index.js";
import { isValidSignature, signerFromSeed } from "#src/core/signature/index.js";
import { ModelLog, ORIGIN } from "../support/model-log.js";

const { Point } = ed25519;
const ORDER = Point.CURVE().n;

function littleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`);
}

/** A point of order 8: a random point times the large prime order. */
function smallOrderPoint(): InstanceType<typeof Point> {
  for (let y = 2n; ; y += 1n) {
    const bytes = new Uint8Array(32);
    bytes[0] = Number(y);
    try {
      const point = Point.fromBytes(bytes)
        .multiplyUnsafe(ORDER - 1n)
        .add(Point.fromBytes(bytes));
      if (!point.multiplyUnsafe(4n).is0()) return point;
    } catch {
      // Not every y is a point.
    }
  }
}

test("honest signatures pass, altered ones never do", () => {
  const signer = signerFromSeed(new Uint8Array(32).fill(9));
  const check = nativeSignatureCheck(signer.publicKey);
  const message = utf8("a message");
  const signature = signer.sign(message);
  assert.ok(check(message, signature));
  assert.ok(!check(utf8("another"), signature));
  assert.ok(!check(message, signature.slice(1)));
  for (let bit = 0; bit < 512; bit += 1) {
    const flipped = signature.slice();
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    assert.ok(!check(message, flipped));
  }
});

test("R of small order is refused, though the laxer rule of ZIP 215 takes it", () => {
  const seed = new Uint8Array(32).fill(4);
  const { scalar, pointBytes } = ed25519.utils.getExtendedPublicKey(seed);
  const check = nativeSignatureCheck(pointBytes);
  const generator = smallOrderPoint();
  const tried = new Set<string>();
  for (let multiple = 0n; multiple < 8n; multiple += 1n) {
    const encodedR = (multiple === 0n ? Point.ZERO : generator.multiplyUnsafe(multiple)).toBytes();
    const message = utf8(`message ${multiple}`);
    const challenge = littleEndian(sha512(concatBytes(encodedR, pointBytes, message))) % ORDER;
    // S = k·a makes [S]B − [k]A the identity: every R that eight times gives the identity passes a cofactored check.
    const s = Buffer.from(((challenge * scalar) % ORDER).toString(16).padStart(64, "0"), "hex").reverse();
    const signature = concatBytes(encodedR, s);
    tried.add(Buffer.from(encodedR).toString("hex"));
    assert.ok(ed25519.verify(signature, message, pointBytes, { zip215: true }), "the laxer rule takes it");
    assert.ok(!isValidSignature({ publicKey: pointBytes, message, signature }));
    assert.ok(!check(message, signature));
    assert.ok(!check(message, concatBytes(encodedR, new Uint8Array(32))));
  }
  assert.equal(tried.size, 8, "every point of small order was tried");
});

test("keys that sign anything are not pinned", () => {
  for (const point of [Point.ZERO.toBytes(), smallOrderPoint().toBytes(), new Uint8Array(32).fill(255)]) {
    assert.throws(() => LogKey.parse(formatVerifierKey(verifierKey(ORIGIN, point))), InvalidArgument);
  }
});

test("with the platform's help or without, the same checkpoints are opened", () => {
  const log = new ModelLog().append(3);
  const keys = [LogKey.parse(log.verifierKey), LogKey.parse(log.verifierKey, nativeSignatureCheck)];
  const [plain, native] = keys.map((key) => key.open(log.note()));
  assert.deepEqual(plain, native);
  for (const key of keys) assert.throws(() => key.open(new ModelLog({ seed: 5 }).append(3).note()));
});
