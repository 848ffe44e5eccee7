// The proof of what the refs say of a head or tag: where it is, or that there is none of that name (FORMATS §7).
import { toHex } from "../../core/bytes.js";
import { VerificationFailed } from "../../core/errors.js";
import type { RefProof } from "../../../gen/neleus/v1/proof_pb.js";
import { receivedPart } from "../received.js";
import type { CommitRecord } from "../records.js";
import { signatureSentences } from "./signature-sentences.js";
import { checkedRef, namedRef, type CheckedProof, type Hold } from "./checked.js";
import { requireType } from "./state-proof.js";

export const REF_PROOF_TYPE = "neleus.ref-proof.v1";

/**
 * @throws VerificationFailed, IncompleteProof - a part is wrong or missing
 * @throws Unsupported - a version or type that this program does not know
 */
export function checkRefProof(proof: RefProof): CheckedProof {
  requireType(proof.type, REF_PROOF_TYPE);
  const chain = receivedPart(proof.chain, "chain");
  const { name, roots, log, shown } = checkedRef(chain);
  if (proof.present !== (roots !== undefined)) {
    throw new VerificationFailed(
      `the proof says that ${name} ${proof.present ? "exists" : "does not exist"}; its witness does not`,
    );
  }
  const commit = roots?.committed?.commit;
  if (roots === undefined && chain.commit.length > 0) {
    throw new VerificationFailed(`the proof holds a commit of ${name}, which does not exist`);
  }
  const holds: readonly Hold[] =
    commit === undefined ? [] : [{ what: "commit hash", digest: commit.hash, leavesOpen: [placeOf(name)] }];
  return {
    claim: { kind: "ref", ref: namedRef(chain), isPresent: roots !== undefined, commit },
    shown: [
      sentence(name, roots === undefined, commit?.hash),
      ...signatureSentences("commit", commit?.signatures ?? []),
      ...shown,
    ],
    notShown: [notShownOfCommit(commit)],
    holds,
    log,
  };
}

/** What proofs of a commit do not show, whatever else they show. */
export function notShownOfCommit(commit: CommitRecord | undefined): string {
  const isSigned = commit?.signatures.some(({ isValid }) => isValid) === true;
  return `That the commit says the truth, and ${isSigned ? "whose keys those are" : "who made it"}.`;
}

function placeOf(name: string): string {
  return `That it is the commit of ${name}: the hash given is the commit's own.`;
}

function sentence(name: string, isAbsent: boolean, commit: Uint8Array | undefined): string {
  const subject = `${name.charAt(0).toUpperCase()}${name.slice(1)}`;
  if (isAbsent) return `There is no ${name}.`;
  return commit === undefined ? `${subject} has no commit.` : `${subject} is at commit ${toHex(commit)}.`;
}
