// Signatures of commits and manifests as a client shows them: each with a verdict by the rule of FORMATS §6, worked out when
// it is first looked at. A server can put 16 of them on everything; who looks for one key pays for one.
import { splitSignatures } from "../core/object/index.js";
import { signatureFault, signaturePayload, type SignableTag, type SignatureFault } from "../core/signature/index.js";
import type { ObjectSignature } from "./records.js";

/** Signatures of an object that has been decoded: its list is well-formed. Taken apart when first asked for. */
export function lazySignaturesOf(tag: SignableTag, bytes: Uint8Array): () => readonly ObjectSignature[] {
  let signatures: readonly ObjectSignature[] | undefined;
  return () => (signatures ??= signaturesOf(tag, bytes));
}

function signaturesOf(tag: SignableTag, bytes: Uint8Array): readonly ObjectSignature[] {
  const { signatures } = splitSignatures(bytes);
  if (signatures.length === 0) return [];
  const message = signaturePayload(tag, bytes);
  return signatures.map(({ key, value }) =>
    judgedLater(key, () => signatureFault({ publicKey: key, message, signature: value })),
  );
}

function judgedLater(publicKey: Uint8Array, judge: () => SignatureFault | undefined): ObjectSignature {
  let verdict: { readonly fault: SignatureFault | undefined } | undefined;
  const faultOf = (): SignatureFault | undefined => (verdict ??= { fault: judge() }).fault;
  return {
    publicKey,
    get isValid() {
      return faultOf() === undefined;
    },
    get fault() {
      return faultOf();
    },
  };
}
