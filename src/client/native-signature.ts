// Ed25519 by node:crypto, some fifteen times as fast as core's portable arithmetic: it lets a valid checkpoint through
// quickly, and leaves every other verdict to core.
//
// The strict rule of FORMATS §6 holds all the same. OpenSSL too computes R' = [S]B − [k]A, compares its encoding with R
// byte for byte, and refuses S ≥ L. What it does not look at is checked here or before: that A decodes canonically and
// is not of small order (LogKey, once), and that R is not of small order (the eight encodings below; R' is encoded
// canonically, so no other could be equal to it). test/client/trust/native-signature.test.ts compares both rules.
import { createPublicKey, verify } from "node:crypto";
import { toHex } from "../core/bytes.js";
import type { SignatureCheck } from "./trust/index.js";

/** Everything of an Ed25519 public key in SPKI form that comes before its 32 bytes (RFC 8410). */
const SPKI_PREFIX = Buffer.from("302a300506032b6570032100", "hex");

/** The points of small order: identity, order 2, the two of order 4, the four of order 8. */
const SMALL_ORDER = new Set([
  "0100000000000000000000000000000000000000000000000000000000000000",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0000000000000000000000000000000000000000000000000000000000000080",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
]);

/** A check for one public key of 32 bytes, which the caller has found to be canonical and not of small order. */
export function nativeSignatureCheck(publicKey: Uint8Array): SignatureCheck {
  const key = createPublicKey({ key: Buffer.concat([SPKI_PREFIX, publicKey]), format: "der", type: "spki" });
  return (message, signature) =>
    signature.length === 64 &&
    !SMALL_ORDER.has(toHex(signature.subarray(0, 32))) &&
    verify(null, message, key, signature);
}
