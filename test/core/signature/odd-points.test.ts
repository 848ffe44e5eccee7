// Goal: every verifier that we have gives the verdict of FORMATS §6 on every odd input at which libraries disagree.
// Method: keys and R of all 14 encodings of the points of small order, of other encodings that are not canonical, of
// mixed order and honest ones, each pair with an S that satisfies the equation up to points of small order, and with S
// beside and above the group order. The oracle is the rule itself, written from its text on bigints, slowly.
import test from "node:test";
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { LogKey } from "#src/client/trust/index.js";
import { nativeSignatureCheck } from "#src/client/native-signature.js";
import { concatBytes, fromHex, toHex, utf8 } from "#src/core/bytes.js";
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

const P = 2n ** 255n - 19n;
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const modulo = (value: bigint, by = P): bigint => ((value % by) + by) % by;

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (let square = base, rest = exponent; rest > 0n; rest >>= 1n, square = modulo(square * square)) {
    if ((rest & 1n) === 1n) result = modulo(result * square);
  }
  return result;
}
const inverse = (value: bigint): bigint => power(modulo(value), P - 2n);
const D = modulo(-121665n * inverse(121666n));
const ROOT_OF_MINUS_ONE = power(2n, (P - 1n) / 4n);

/** A point of −x² + y² = 1 + d·x²·y², as x = X/Z, y = Y/Z, x·y = T/Z. */
type Point = readonly [X: bigint, Y: bigint, Z: bigint, T: bigint];
const ZERO: Point = [0n, 1n, 1n, 0n];

/** Holds for every pair of points of this curve. */
function add([x1, y1, z1, t1]: Point, [x2, y2, z2, t2]: Point): Point {
  const a = modulo((y1 - x1) * (y2 - x2));
  const b = modulo((y1 + x1) * (y2 + x2));
  const c = modulo(2n * t1 * t2 * D);
  const d = modulo(2n * z1 * z2);
  const [e, f, g, h] = [b - a, d - c, d + c, b + a];
  return [modulo(e * f), modulo(g * h), modulo(f * g), modulo(e * h)];
}

function times(point: Point, scalar: bigint): Point {
  let sum = ZERO;
  for (let double = point, rest = scalar; rest > 0n; rest >>= 1n, double = add(double, double)) {
    if ((rest & 1n) === 1n) sum = add(sum, double);
  }
  return sum;
}
const negate = ([x, y, z, t]: Point): Point => [modulo(-x), y, z, modulo(-t)];
const isZero = ([x, y, z]: Point): boolean => x === 0n && y === z;
const isSmall = (point: Point): boolean => isZero(times(point, 8n));

function bytesOf(value: bigint): Uint8Array {
  return fromHex(value.toString(16).padStart(64, "0")).reverse();
}
function little(bytes: Uint8Array): bigint {
  return BigInt(`0x${toHex(Uint8Array.from(bytes).reverse())}`);
}

function encodingOf([x, y, z]: Point): Uint8Array {
  const unit = inverse(z);
  const affine = { x: modulo(x * unit), y: modulo(y * unit) };
  return bytesOf(affine.y | ((affine.x & 1n) << 255n));
}

/** RFC 8032 §5.1.3, which refuses y ≥ p and a sign on x = 0. */
function decoded(bytes: Uint8Array): Point | undefined {
  const value = little(bytes);
  const [sign, y] = [value >> 255n, value & (2n ** 255n - 1n)];
  if (y >= P) return undefined;
  const square = modulo((y * y - 1n) * inverse(D * y * y + 1n));
  let x = power(square, (P + 3n) / 8n);
  if (modulo(x * x) !== square) x = modulo(x * ROOT_OF_MINUS_ONE);
  if (modulo(x * x) !== square) return undefined;
  if (x === 0n && sign === 1n) return undefined;
  if ((x & 1n) !== sign) x = P - x;
  return [x, y, 1n, modulo(x * y)];
}

const BASE = decoded(fromHex("58" + "66".repeat(31))) ?? ZERO;

function challenge(encodedR: Uint8Array, key: Uint8Array, message: Uint8Array): bigint {
  return modulo(little(createHash("sha512").update(encodedR).update(key).update(message).digest()), L);
}

interface Signed {
  readonly publicKey: Uint8Array;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

/** The rule of FORMATS §6, word by word. */
function verdict({ publicKey, message, signature }: Signed): boolean {
  const [encodedR, S] = [signature.subarray(0, 32), little(signature.subarray(32))];
  const [A, R] = [decoded(publicKey), decoded(encodedR)];
  if (A === undefined || S >= L || isSmall(A)) return false;
  if (R !== undefined && isSmall(R)) return false;
  const computed = add(times(BASE, S), negate(times(A, challenge(encodedR, publicKey, message))));
  return toHex(encodingOf(computed)) === toHex(encodedR);
}

/** A point of order 8: any point times L that has it. */
function generatorOfSmall(): Point {
  for (let y = 2n; ; y += 1n) {
    const point = decoded(bytesOf(y));
    const small = point && times(point, L);
    if (small !== undefined && !isZero(times(small, 4n))) return small;
  }
}

const TORSION = generatorOfSmall();

/** Every encoding of the eight points of small order: y, and y + p where that has 255 bits; and both signs where x is 0. */
function smallEncodings(): { readonly point: Point; readonly bytes: Uint8Array; readonly isCanonical: boolean }[] {
  return Array.from({ length: 8 }, (_, multiple) => times(TORSION, BigInt(multiple))).flatMap((point) => {
    const canonical = little(encodingOf(point));
    const [sign, y] = [canonical >> 255n, canonical & (2n ** 255n - 1n)];
    const signs = point[0] === 0n ? [0n, 1n] : [sign];
    const ys = y + P < 2n ** 255n ? [y, y + P] : [y];
    return ys.flatMap((one) =>
      signs.map((bit) => ({
        point,
        bytes: bytesOf(one | (bit << 255n)),
        isCanonical: one === y && bit === sign,
      })),
    );
  });
}

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

/** A key or an R, and the honest scalar in it. */
interface Part {
  readonly what: string;
  readonly bytes: Uint8Array;
  readonly scalar: bigint;
}

const SMALL = smallEncodings();
const SMALL_PARTS: readonly Part[] = SMALL.map(({ bytes, isCanonical }) => ({
  what: `${isCanonical ? "small" : "small, not canonical"} ${toHex(bytes)}`,
  bytes,
  scalar: 0n,
}));
const MIXED_PARTS: readonly Part[] = Array.from({ length: 8 }, (_, multiple) => ({
  what: `of order ${multiple === 0 ? "L" : "8L or less"}, ${multiple}`,
  bytes: encodingOf(add(times(BASE, 4_242n), times(TORSION, BigInt(multiple)))),
  scalar: 4_242n,
}));
/** No points, or y ≥ p. */
const NO_POINTS: readonly Part[] = ["02" + "00".repeat(31), "f0" + "ff".repeat(30) + "7f", "ff".repeat(32)].map(
  (hex) => ({
    what: `none ${hex}`,
    bytes: fromHex(hex),
    scalar: 0n,
  }),
);
const PARTS = [...SMALL_PARTS, ...MIXED_PARTS, ...NO_POINTS];

function crafted(A: Part, R: Part, message: Uint8Array): Signed {
  const S = modulo(R.scalar + challenge(R.bytes, A.bytes, message) * A.scalar, L);
  return { publicKey: A.bytes, message, signature: concatBytes(R.bytes, bytesOf(S)) };
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
