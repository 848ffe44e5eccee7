// Objects that were signed elsewhere: every signature that they bear must be valid before they are taken.
//
// An invalid one leaves an object well-formed, and readers report it as invalid (FORMATS §6). To take it in would only help
// somebody who cannot sign: so it is refused at the door.
import { toHex } from "../core/bytes.js";
import { InvalidArgument } from "../core/errors.js";
import type { Signature } from "../core/object/index.js";
import { signatureFault, signaturePayload } from "../core/signature/index.js";
import type { SignableTag } from "../core/signature/index.js";
import type { Turns } from "./turns.js";

/** An object as it came, decoded. */
export interface SignedObject {
  readonly tag: SignableTag;
  readonly bytes: Uint8Array;
  readonly signatures: readonly Signature[] | undefined;
}

/**
 * The keys that have signed it. Each signature costs two or three milliseconds; others run in between.
 * @throws InvalidArgument - no signature, or one that is not valid; `field` is the request's name for the object
 */
export async function requireValidSignatures(
  object: SignedObject,
  of: { readonly field: string; readonly turns: Turns },
): Promise<Uint8Array[]> {
  const { field, turns } = of;
  const { tag, bytes, signatures = [] } = object;
  const refuse = (what: string): InvalidArgument => new InvalidArgument(`${field}: ${what}`, { field });
  if (signatures.length === 0) throw refuse("bears no signature");
  const message = signaturePayload(tag, bytes);
  const signers: Uint8Array[] = [];
  for (const [index, { key, value }] of signatures.entries()) {
    await turns.giveWay();
    const fault = signatureFault({ publicKey: key, message, signature: value });
    if (fault !== undefined) throw refuse(`signature ${index}, by ${toHex(key)}, is not valid: ${fault}`);
    signers.push(key);
  }
  return signers;
}
