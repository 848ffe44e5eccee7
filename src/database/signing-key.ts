// The key that signs checkpoints: Ed25519, made with the database, its seed kept in the store's `meta` space.
//
// Signing goes through node:crypto, which gives the same bytes as portable code and is far faster. The note format, and
// all verification by others, are core's.
import { createPrivateKey, createPublicKey, sign } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { assert } from "../core/errors.js";

export const SEED_BYTES = 32;
/** Everything of a PKCS#8 Ed25519 key that comes before its seed (RFC 8410). */
const PKCS8_PREFIX = Buffer.from("302e020100300506032b657004220420", "hex");

export interface SigningKey {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** The same, for node:crypto. */
  readonly verifyingKey: KeyObject;
  /** Ed25519 (RFC 8032, pure): 64 bytes. */
  readonly sign: (message: Uint8Array) => Uint8Array;
}

/** The key of a 32-byte seed, which is copied. */
export function signingKeyFromSeed(seed: Uint8Array): SigningKey {
  assert(seed.length === SEED_BYTES, "an Ed25519 seed is 32 bytes");
  const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: "der", type: "pkcs8" });
  const verifyingKey = createPublicKey(privateKey);
  const spki = verifyingKey.export({ format: "der", type: "spki" });
  return {
    publicKey: new Uint8Array(spki.subarray(spki.length - 32)),
    verifyingKey,
    sign: (message) => new Uint8Array(sign(undefined, message, privateKey)),
  };
}
