// Signatures of objects (FORMATS §6): Ed25519 over "neleus signature v1\n" ‖ tag ‖ H_tag(object without signatures).
//
// An invalid signature is reported as invalid and leaves the object well-formed. A valid one means something only with
// whose key it is, which the caller's keyring or the refs say.
import { concatBytes, utf8 } from "../bytes.js";
import { InvalidArgument } from "../errors.js";
import { hashTagged } from "../hash/index.js";
import { addSignature, splitSignatures } from "../object/index.js";
import { signatureFault } from "./ed25519.js";
import type { SignatureFault, Signer } from "./ed25519.js";

/** The hash domain of an object that can be signed. */
export type SignableTag = "commit:" | "manifest:";

const CONTEXT = utf8("neleus signature v1\n");

/** What one signature of an object is worth. */
export type SignatureVerdict =
  | { readonly key: Uint8Array; readonly valid: true }
  | { readonly key: Uint8Array; readonly valid: false; readonly why: SignatureFault };

function payloadOf(tag: SignableTag, unsigned: Uint8Array): Uint8Array {
  return concatBytes(CONTEXT, utf8(tag), hashTagged(tag, unsigned));
}

/**
 * The message that a signer of an object signs, whether or not the object already has signatures.
 * @throws Malformed - not a canonical map, or signatures that break a rule
 */
export function signaturePayload(tag: SignableTag, object: Uint8Array): Uint8Array {
  return payloadOf(tag, splitSignatures(object).unsigned);
}

/** A signature that was made over `signaturePayload`, here or elsewhere. */
export interface MadeSignature {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** 64 bytes: R ‖ S. */
  readonly signature: Uint8Array;
}

/**
 * The bytes of an object with one more signature; one by the same key is replaced. The hash of the object changes.
 * @throws Malformed - not a canonical map, or signatures that break a rule
 * @throws InvalidArgument - more than 16 signatures; or this one is not valid, and is not let out
 */
export function attachSignature(tag: SignableTag, object: Uint8Array, made: MadeSignature): Uint8Array {
  const split = splitSignatures(object);
  const { publicKey, signature } = made;
  const fault = signatureFault({ publicKey, message: payloadOf(tag, split.unsigned), signature });
  if (fault !== undefined) throw new InvalidArgument(`the signer made no valid signature: ${fault}`);
  return addSignature(split, { alg: "ed25519", key: publicKey, value: signature });
}

/**
 * The same with a signer at hand.
 * @throws Malformed, InvalidArgument - as `attachSignature`
 */
export function signObject(tag: SignableTag, object: Uint8Array, signer: Signer): Uint8Array {
  const signature = signer.sign(signaturePayload(tag, object));
  return attachSignature(tag, object, { publicKey: signer.publicKey, signature });
}

/**
 * A verdict on each signature of an object, in order of their keys; empty where it has none.
 * @throws Malformed - not a canonical map, or signatures that break a rule. An invalid signature is a verdict, not an error.
 */
export function verifyObjectSignatures(tag: SignableTag, object: Uint8Array): SignatureVerdict[] {
  const { unsigned, signatures } = splitSignatures(object);
  const message = payloadOf(tag, unsigned);
  return signatures.map(({ key, value }) => {
    const why = signatureFault({ publicKey: key, message, signature: value });
    return why === undefined ? { key, valid: true } : { key, valid: false, why };
  });
}
