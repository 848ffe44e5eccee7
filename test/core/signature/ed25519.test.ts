// Goal: the verdict of the strict rule on every odd input where libraries disagree.
// Method: points of small order, second encodings and points of mixed order made here, with the expected verdict worked
// out from the equation; node's own Ed25519 as oracle on honest and mutated signatures.
import test from "node:test";
import assert from "node:assert/strict";
import { createHash, createPrivateKey, createPublicKey, sign, verify } from "node:crypto";
import { ed25519 } from "@noble/curves/ed25519.js";
import fc from "fast-check";
import { concatBytes, fromHex, utf8 } from "#src/core/bytes.js";
import { InvalidArgument } from "#src/core/errors.js";
import { isValidSignature, signatureFault, signerFromSeed } from "#src/core/signature/index.js";

const { Point } = ed25519;
const L = Point.CURVE().n;

/** The eight points of small order, canonically. */
const SMALL_ORDER = [
  "0100000000000000000000000000000000000000000000000000000000000000",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0000000000000000000000000000000000000000000000000000000000000080",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
].map(fromHex);

/** Second encodings: y ≥ p, or the sign bit on x = 0. */
const NOT_CANONICAL = [
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
  "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "0100000000000000000000000000000000000000000000000000000000000080",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
].map(fromHex);

const ORDER_8 = Point.fromBytes(SMALL_ORDER[4] ?? new Uint8Array());

function little(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`);
}

function scalarBytes(value: bigint): Uint8Array {
  return fromHex(value.toString(16).padStart(64, "0")).reverse();
}

function challenge(encodedR: Uint8Array, key: Uint8Array, message: Uint8Array): bigint {
  return little(createHash("sha512").update(encodedR).update(key).update(message).digest()) % L;
}

/** S = r + k·a, which satisfies the equation up to points of small order. */
function craft(parts: {
  a: bigint;
  r: bigint;
  key: Uint8Array;
  encodedR: Uint8Array;
  message: Uint8Array;
}): Uint8Array {
  const k = challenge(parts.encodedR, parts.key, parts.message);
  return concatBytes(parts.encodedR, scalarBytes((parts.r + k * parts.a) % L));
}

const message = utf8("message");

test("the points of small order are that, and the second encodings decode only in the lax mode", () => {
  for (const bytes of SMALL_ORDER) assert.ok(Point.fromBytes(bytes).isSmallOrder());
  assert.equal(new Set(SMALL_ORDER.map((bytes) => Point.fromBytes(bytes).toHex())).size, 8);
  assert.ok(!ORDER_8.double().double().is0());
});

test("a key of small order is refused, although [S]B − [k]A = R holds for it", () => {
  for (const publicKey of SMALL_ORDER) {
    for (let attempt = 0; attempt < 16; attempt += 1) {
      const text = utf8(`message ${attempt}`);
      const r = 7n;
      const encodedR = Point.BASE.multiply(r).toBytes();
      const signature = craft({ a: 0n, r, key: publicKey, encodedR, message: text });
      assert.equal(signatureFault({ publicKey, message: text, signature }), "key is of small order");
    }
  }
});

test("a key that is not canonical is refused", () => {
  for (const publicKey of NOT_CANONICAL) {
    const encodedR = Point.BASE.toBytes();
    const signature = craft({ a: 0n, r: 1n, key: publicKey, encodedR, message });
    assert.equal(signatureFault({ publicKey, message, signature }), "key is not a canonical point");
  }
  // Bytes that are no point at all.
  const none = fromHex("02" + "00".repeat(31));
  assert.equal(
    signatureFault({ publicKey: none, message, signature: new Uint8Array(64) }),
    "key is not a canonical point",
  );
});

test("an R of small order is refused, although the equation holds", () => {
  const a = 12_345n;
  const publicKey = Point.BASE.multiply(a).toBytes();
  // Only the identity is reached by honest arithmetic: r = 0.
  const encodedR = SMALL_ORDER[0] ?? new Uint8Array();
  const signature = craft({ a, r: 0n, key: publicKey, encodedR, message });
  assert.equal(signatureFault({ publicKey, message, signature }), "R is of small order");
  // The others by a key of mixed order: R = −[k]T for the right k.
  const mixed = Point.BASE.multiply(a).add(ORDER_8);
  const seen = new Set<number>();
  for (let attempt = 0; seen.size < 8 && attempt < 2_000; attempt += 1) {
    const text = utf8(`message ${attempt}`);
    for (const [index, R] of SMALL_ORDER.entries()) {
      const signature = craft({ a, r: 0n, key: mixed.toBytes(), encodedR: R, message: text });
      const k = challenge(R, mixed.toBytes(), text);
      const holds =
        ORDER_8.multiplyUnsafe(k % 8n)
          .negate()
          .toHex() === Point.fromBytes(R).toHex();
      const fault = signatureFault({ publicKey: mixed.toBytes(), message: text, signature });
      assert.equal(fault, holds ? "R is of small order" : "signature does not match");
      if (holds) seen.add(index);
    }
  }
  assert.equal(seen.size, 8);
});

test("R that is another encoding of the right point is refused", () => {
  const a = 99n;
  const publicKey = Point.BASE.multiply(a).toBytes();
  for (const encodedR of NOT_CANONICAL) {
    const signature = craft({ a, r: 0n, key: publicKey, encodedR, message });
    assert.equal(signatureFault({ publicKey, message, signature }), "signature does not match");
  }
});

test("a key of mixed order passes exactly where its small part cancels: no cofactor", () => {
  const a = 4_242n;
  const key = Point.BASE.multiply(a).add(ORDER_8).toBytes();
  const outcomes = new Set<boolean>();
  for (let attempt = 0; attempt < 60; attempt += 1) {
    const text = utf8(`message ${attempt}`);
    const encodedR = Point.BASE.multiply(5n).toBytes();
    const signature = craft({ a, r: 5n, key, encodedR, message: text });
    const cancels = challenge(encodedR, key, text) % 8n === 0n;
    assert.equal(isValidSignature({ publicKey: key, message: text, signature }), cancels);
    // The cofactored rule takes them all.
    assert.ok(ed25519.verify(signature, text, key, { zip215: true }));
    outcomes.add(cancels);
  }
  assert.equal(outcomes.size, 2);
});

test("an R of mixed order is refused, which the cofactored rule accepts", () => {
  const a = 31_337n;
  const publicKey = Point.BASE.multiply(a).toBytes();
  const encodedR = Point.BASE.multiply(9n).add(ORDER_8).toBytes();
  const signature = craft({ a, r: 9n, key: publicKey, encodedR, message });
  assert.ok(ed25519.verify(signature, message, publicKey, { zip215: true }));
  assert.equal(signatureFault({ publicKey, message, signature }), "signature does not match");
});

test("S at or above L is refused", () => {
  const signer = signerFromSeed(new Uint8Array(32).fill(3));
  const signature = signer.sign(message);
  const S = little(signature.subarray(32));
  for (const other of [S + L, L, L + 1n, 2n ** 256n - 1n, S + 8n * L]) {
    const bad = concatBytes(signature.subarray(0, 32), scalarBytes(other));
    assert.equal(
      signatureFault({ publicKey: signer.publicKey, message, signature: bad }),
      "S is not below the group order",
    );
  }
  assert.equal(
    signatureFault({
      publicKey: signer.publicKey,
      message,
      signature: concatBytes(signature.subarray(0, 32), scalarBytes(L - 1n)),
    }),
    "signature does not match",
  );
});

test("wrong lengths are a verdict, not an exception", () => {
  const signature = new Uint8Array(64);
  assert.equal(signatureFault({ publicKey: new Uint8Array(31), message, signature }), "key is not 32 bytes");
  assert.equal(
    signatureFault({ publicKey: new Uint8Array(32), message, signature: new Uint8Array(65) }),
    "signature is not 64 bytes",
  );
  assert.throws(() => signerFromSeed(new Uint8Array(31)), InvalidArgument);
});

test("RFC 8032 §7.1, test 3", () => {
  const signer = signerFromSeed(fromHex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7"));
  assert.deepEqual(signer.publicKey, fromHex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"));
  const signature = fromHex(
    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
  );
  assert.deepEqual(signer.sign(fromHex("af82")), signature);
  assert.ok(isValidSignature({ publicKey: signer.publicKey, message: fromHex("af82"), signature }));
});

test("honest and mutated signatures: the same verdict as node's, and the same signatures", () => {
  const bytes = fc.uint8Array({ minLength: 32, maxLength: 32 });
  fc.assert(
    fc.property(bytes, fc.uint8Array({ maxLength: 80 }), fc.nat(96 * 8 - 1), (seed, text, bit) => {
      const signer = signerFromSeed(seed);
      const secret = createPrivateKey({
        key: Buffer.from(concatBytes(fromHex("302e020100300506032b657004220420"), seed)),
        format: "der",
        type: "pkcs8",
      });
      const signature = signer.sign(text);
      assert.deepEqual(signature, new Uint8Array(sign(null, text, secret)));
      assert.ok(isValidSignature({ publicKey: signer.publicKey, message: text, signature }));
      const all = concatBytes(signature, signer.publicKey);
      all[bit >> 3] = (all[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const [mutated, publicKey] = [all.subarray(0, 64), all.subarray(64)];
      const spki = Buffer.from(concatBytes(fromHex("302a300506032b6570032100"), publicKey));
      const theirs = verify(null, text, createPublicKey({ key: spki, format: "der", type: "spki" }), mutated);
      assert.equal(isValidSignature({ publicKey, message: text, signature: mutated }), theirs);
      assert.ok(!theirs);
    }),
    { numRuns: 60 },
  );
});
