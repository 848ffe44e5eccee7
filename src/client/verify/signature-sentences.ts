// What a proof shows of the signatures of a commit or manifest in it: by which keys, and whether they are valid (FORMATS §6).
import { toHex } from "../../core/bytes.js";
import type { ObjectSignature } from "../records.js";

/** A sentence for each signature. Whose key it is no proof can say. */
export function signatureSentences(what: "commit" | "manifest", signatures: readonly ObjectSignature[]): string[] {
  return signatures.map(({ publicKey, isValid, fault }) =>
    isValid
      ? `The ${what} bears a valid signature by the key ${toHex(publicKey)}.`
      : `The ${what} bears a signature by the key ${toHex(publicKey)} that is not valid: ${fault ?? ""}.`,
  );
}
