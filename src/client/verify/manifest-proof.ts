// The proof of one manifest of any kind: manifest → ledger → commit or staged roots → log (FORMATS §6, §7).
import { toHex } from "../../core/bytes.js";
import type { ManifestProof } from "../../../gen/neleus/v1/proof_pb.js";
import { receivedManifest } from "../object.js";
import type { CheckedProof } from "./checked.js";
import { checkLedgerPart } from "./ledger-part.js";
import { signatureSentences } from "./signature-sentences.js";
import { requireType } from "./state-proof.js";

export const MANIFEST_PROOF_TYPE = "neleus.manifest-proof.v1";

/**
 * @throws VerificationFailed, IncompleteProof - a part is wrong or missing
 * @throws Unsupported - a version, kind or type that this program does not know
 */
export function checkManifestProof(proof: ManifestProof): CheckedProof {
  requireType(proof.type, MANIFEST_PROOF_TYPE);
  const record = receivedManifest(proof.manifest);
  const { hash, object, bytes } = record;
  const above = checkLedgerPart(proof, record);
  return {
    claim: { kind: "manifest", manifest: hash, manifestKind: object.kind, bytes },
    shown: [
      `The manifest in the proof is ${toHex(hash)}, of kind ${object.kind}.`,
      ...signatureSentences("manifest", record.signatures),
      ...above.shown,
    ],
    notShown: ["That the manifest says the truth: it is what its writer recorded."],
    // Whoever trusts the hash of a manifest knows its bytes, and nothing of where they were recorded.
    holds: [
      {
        what: "manifest hash",
        digest: hash,
        leavesOpen: ["That the ledger in the proof is one to rely on: the root given is below it."],
      },
      ...above.holds,
    ],
    log: above.log,
  };
}
