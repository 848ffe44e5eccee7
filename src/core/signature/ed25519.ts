// Ed25519 by one strict rule (FORMATS §6), since libraries disagree on odd inputs and everybody must reach the same
// verdict on the same bytes:
//
//   A decodes canonically (y < p, no −0); S < L; neither A nor R is of small order;
//   R' = [S]B − [k]A with k = SHA-512(R ‖ A ‖ M) mod L, and the encoding of R' equals R byte for byte.
//
// No multiplication by the cofactor: a point of mixed order passes only where its small part cancels. Cost: two or three
// milliseconds a verification, point arithmetic of `@noble/curves`. Verification handles public data alone. Signing here
// is for tests, tools and browsers; a server signs with its platform's library, which gives the same bytes.
import { ed25519 } from "@noble/curves/ed25519.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { compareBytes, concatBytes } from "../bytes.js";
import { InvalidArgument } from "../errors.js";

const { Point } = ed25519;
const ORDER = Point.CURVE().n;

/** Makes signatures with one key. Whoever holds the secret implements it; core never sees it. */
export interface Signer {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** Ed25519 (RFC 8032, pure) over the message: 64 bytes. */
  readonly sign: (message: Uint8Array) => Uint8Array;
}

/** Why a signature is not valid. */
export type SignatureFault =
  | "key is not 32 bytes"
  | "signature is not 64 bytes"
  | "key is not a canonical point"
  | "key is of small order"
  | "S is not below the group order"
  | "R is of small order"
  | "signature does not match";

/** A message, and who is said to have signed it. */
export interface SignedMessage {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly message: Uint8Array;
  /** 64 bytes: R ‖ S. */
  readonly signature: Uint8Array;
}

/** What is wrong with a signature by the rule above; undefined where it is valid. Never throws. */
export function signatureFault(signed: SignedMessage): SignatureFault | undefined {
  const { publicKey, message, signature } = signed;
  if (publicKey.length !== 32) return "key is not 32 bytes";
  if (signature.length !== 64) return "signature is not 64 bytes";
  const scalar = littleEndian(signature.subarray(32));
  if (scalar >= ORDER) return "S is not below the group order";
  const key = canonicalPoint(publicKey);
  if (key === undefined) return "key is not a canonical point";
  if (key.isSmallOrder()) return "key is of small order";
  const encodedR = signature.subarray(0, 32);
  const challenge = littleEndian(sha512(concatBytes(encodedR, publicKey, message))) % ORDER;
  const computed = Point.BASE.multiplyUnsafe(scalar).subtract(key.multiplyUnsafe(challenge));
  if (compareBytes(computed.toBytes(), encodedR) !== 0) return "signature does not match";
  // Equal encodings are equal points, so this is the check of R itself.
  return computed.isSmallOrder() ? "R is of small order" : undefined;
}

/** What is wrong with a public key whatever it signs; undefined where nothing is. Never throws. */
export function publicKeyFault(publicKey: Uint8Array): SignatureFault | undefined {
  if (publicKey.length !== 32) return "key is not 32 bytes";
  const key = canonicalPoint(publicKey);
  if (key === undefined) return "key is not a canonical point";
  return key.isSmallOrder() ? "key is of small order" : undefined;
}

/** True where the signature is valid by the rule above. */
export function isValidSignature(signed: SignedMessage): boolean {
  return signatureFault(signed) === undefined;
}

/**
 * A signer from a 32-byte seed (the secret key of RFC 8032). The seed is copied. Not hardened against timing.
 * @throws InvalidArgument - not 32 bytes
 */
export function signerFromSeed(seed: Uint8Array): Signer {
  if (seed.length !== 32) throw new InvalidArgument(`an Ed25519 seed is 32 bytes, not ${seed.length}`);
  const secret = new Uint8Array(seed);
  return {
    publicKey: ed25519.getPublicKey(secret),
    sign: (message) => ed25519.sign(message, secret),
  };
}

function canonicalPoint(bytes: Uint8Array): InstanceType<typeof Point> | undefined {
  try {
    // Without the lax mode (ZIP 215), y ≥ p and the second encodings of x = 0 are refused.
    return Point.fromBytes(new Uint8Array(bytes), false);
  } catch {
    return undefined;
  }
}

function littleEndian(bytes: Uint8Array): bigint {
  let value = 0n;
  for (let index = bytes.length - 1; index >= 0; index -= 1) value = (value << 8n) | BigInt(bytes[index] ?? 0);
  return value;
}
