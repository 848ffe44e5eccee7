// Signatures of commits and manifests as a client shows them: each with a verdict by the rule of FORMATS §6.
import { verifyObjectSignatures, type SignableTag } from "../core/signature/index.js";
import type { ObjectSignature } from "./records.js";

/** Verdicts on the signatures of an object that has been decoded: its list is well-formed. Some milliseconds each. */
export function signaturesOf(tag: SignableTag, bytes: Uint8Array): readonly ObjectSignature[] {
  return verifyObjectSignatures(tag, bytes).map((verdict) => ({
    publicKey: verdict.key,
    isValid: verdict.valid,
    fault: verdict.valid ? undefined : verdict.why,
  }));
}

/** The same, worked out when first looked at: most readers never do. */
export function lazySignaturesOf(tag: SignableTag, bytes: Uint8Array): () => readonly ObjectSignature[] {
  let signatures: readonly ObjectSignature[] | undefined;
  return () => (signatures ??= signaturesOf(tag, bytes));
}
