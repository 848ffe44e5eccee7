// The slow, obvious twin of core's Ed25519: the rule of FORMATS §6 word by word on bigints, with points made for it on which
// libraries disagree. Shares nothing with the code under test.
import { createHash } from "node:crypto";
import { concatBytes, fromHex, toHex } from "#src/core/bytes.js";

const P = 2n ** 255n - 19n;
export const L = 2n ** 252n + 27742317777372353535851937790883648493n;
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

export function times(point: Point, scalar: bigint): Point {
  let sum = ZERO;
  for (let double = point, rest = scalar; rest > 0n; rest >>= 1n, double = add(double, double)) {
    if ((rest & 1n) === 1n) sum = add(sum, double);
  }
  return sum;
}
const negate = ([x, y, z, t]: Point): Point => [modulo(-x), y, z, modulo(-t)];
const isZero = ([x, y, z]: Point): boolean => x === 0n && y === z;
export const isSmall = (point: Point): boolean => isZero(times(point, 8n));

export function bytesOf(value: bigint): Uint8Array {
  return fromHex(value.toString(16).padStart(64, "0")).reverse();
}
export function little(bytes: Uint8Array): bigint {
  return BigInt(`0x${toHex(Uint8Array.from(bytes).reverse())}`);
}

export function encodingOf([x, y, z]: Point): Uint8Array {
  const unit = inverse(z);
  const affine = { x: modulo(x * unit), y: modulo(y * unit) };
  return bytesOf(affine.y | ((affine.x & 1n) << 255n));
}

/** RFC 8032 §5.1.3, which refuses y ≥ p and a sign on x = 0. */
export function decoded(bytes: Uint8Array): Point | undefined {
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

export const BASE = decoded(fromHex("58" + "66".repeat(31))) ?? ZERO;

function challenge(encodedR: Uint8Array, key: Uint8Array, message: Uint8Array): bigint {
  return modulo(little(createHash("sha512").update(encodedR).update(key).update(message).digest()), L);
}

export interface Signed {
  readonly publicKey: Uint8Array;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

/** The rule of FORMATS §6, word by word. */
export function verdict({ publicKey, message, signature }: Signed): boolean {
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

/** A key or an R, and the honest scalar in it. */
export interface Part {
  readonly what: string;
  readonly bytes: Uint8Array;
  readonly scalar: bigint;
}

export const SMALL = smallEncodings();
const SMALL_PARTS: readonly Part[] = SMALL.map(({ bytes, isCanonical }) => ({
  what: `${isCanonical ? "small" : "small, not canonical"} ${toHex(bytes)}`,
  bytes,
  scalar: 0n,
}));
export const MIXED_PARTS: readonly Part[] = Array.from({ length: 8 }, (_, multiple) => ({
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
export const PARTS = [...SMALL_PARTS, ...MIXED_PARTS, ...NO_POINTS];

export function crafted(A: Part, R: Part, message: Uint8Array): Signed {
  const S = modulo(R.scalar + challenge(R.bytes, A.bytes, message) * A.scalar, L);
  return { publicKey: A.bytes, message, signature: concatBytes(R.bytes, bytesOf(S)) };
}
