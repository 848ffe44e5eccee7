// The proof that a commit is in the history of a head or tag: the chain down to the commit that this is at, and from there a
// path of commits, each a parent of the one before it (FORMATS §6, §7, §11). A hash can lie on no path to itself, so there are no
// cycles to look for.
import { equalBytes, toHex } from "../../core/bytes.js";
import { VerificationFailed } from "../../core/errors.js";
import type { CommitProof } from "../../../gen/neleus/v1/proof_pb.js";
import { receivedCommit } from "../object.js";
import { receivedPart } from "../received.js";
import type { CommitRecord } from "../records.js";
import { checkedChain, namedRef, type CheckedProof, type Hold } from "./checked.js";
import { notShownOfCommit } from "./ref-proof.js";
import { signatureSentences } from "./signature-sentences.js";
import { requireType } from "./state-proof.js";

export const COMMIT_PROOF_TYPE = "neleus.commit-proof.v1";

/**
 * @throws VerificationFailed, IncompleteProof - a part is wrong or missing
 * @throws Unsupported - a version or type that this program does not know
 */
export function checkCommitProof(proof: CommitProof): CheckedProof {
  requireType(proof.type, COMMIT_PROOF_TYPE);
  const chain = receivedPart(proof.chain, "chain");
  const { name, committed, staged, log, shown } = checkedChain(chain);
  if (committed === undefined)
    throw new VerificationFailed(`the proof is of the history of ${name}, which has no commit`);
  const newest = committed.commit;
  const { commit, hashes } = walked(newest, proof.path);
  const steps = hashes.length - 1;
  const isOf = staged === undefined ? `the commit of ${name}` : `the newest commit of ${name}`;
  const last = {
    what: "commit hash",
    digest: commit.hash,
    leavesOpen: [`That it is in the history of ${name}: the hash given is the commit's own.`],
  };
  return {
    claim: { kind: "commit", ref: namedRef(chain), commit, newest: newest.hash, steps },
    shown: [
      steps === 0
        ? `Commit ${toHex(commit.hash)} is ${isOf}, at log size ${log.claimed.size}.`
        : `Commit ${toHex(commit.hash)} is an ancestor of ${isOf} at log size ${log.claimed.size}, ${toHex(newest.hash)}: ` +
          `${steps === 1 ? "one step" : `${steps} steps`} down, from each commit to one that it names as a parent.`,
      ...signatureSentences("commit", commit.signatures),
      ...shown,
    ],
    notShown: [
      notShownOfCommit(commit),
      ...(steps === 0
        ? []
        : [`That ${name} was ever at that commit itself: it may have come in with a commit above it.`]),
    ],
    holds: [last, ...hashes.slice(0, -1).map((digest) => holdAbove(digest, isOf))],
    log,
  };
}

/** From the newest commit down: the last one, and the hashes of all. @throws VerificationFailed - a step leads to no parent */
function walked(
  newest: CommitRecord,
  path: readonly Uint8Array[],
): { readonly commit: CommitRecord; readonly hashes: readonly CommitRecord["hash"][] } {
  const hashes = [newest.hash];
  let commit = newest;
  for (const [index, bytes] of path.entries()) {
    const parent = receivedCommit(bytes);
    if (!commit.parents.some((hash) => equalBytes(hash, parent.hash))) {
      throw new VerificationFailed(
        `path[${index}] is the commit ${toHex(parent.hash)}, which is no parent of ${toHex(commit.hash)}`,
        { facts: { actual: toHex(parent.hash), child: toHex(commit.hash) } },
      );
    }
    commit = parent;
    hashes.push(commit.hash);
  }
  return { commit, hashes };
}

/** A commit vouches for all that is below it, and not for where it stands itself. */
function holdAbove(digest: CommitRecord["hash"], isOf: string): Hold {
  return {
    what: "hash of a commit above it",
    digest,
    leavesOpen: [`That the commit given is ${isOf}, or below it: the hash given says nothing of where it stands.`],
  };
}
