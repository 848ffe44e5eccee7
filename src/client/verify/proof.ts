// Checking a proof without any server: its parts against each other, then against what the caller trusts.
import { equalBytes, toHex } from "../../core/bytes.js";
import { IncompleteProof, InvalidArgument, NeleusError, VerificationFailed } from "../../core/errors.js";
import { loadKernel } from "../../core/hash/index.js";
import { parseCheckpointUnverified, verifyConsistency, type Checkpoint } from "../../core/log/index.js";
import { checkArgument, hashBytes } from "../argument.js";
import { forked } from "../trust/frontier.js";
import { LogKey, type Witnessed } from "../trust/index.js";
import { belowWitnesses, heldByKey, namedWitnesses, NOT_SHOWN_OF_WITNESSES } from "./witnessed.js";
import type { CheckedLog, CheckedProof, Hold } from "./checked.js";
import { checkChunkProof } from "./chunk-proof.js";
import { checkCommitProof } from "./commit-proof.js";
import { checkManifestProof } from "./manifest-proof.js";
import { parseProof, type Proof } from "./proof-file.js";
import { checkRangeProof } from "./range-proof.js";
import { checkRefProof } from "./ref-proof.js";
import type { Anchors, ProofReport } from "./report.js";
import { checkStateProof } from "./state-proof.js";

/**
 * Checks a proof, and holds it against what the caller trusts.
 * @throws VerificationFailed - a part is wrong, or it is not of the root, or not signed by the key, that was given
 * @throws IncompleteProof - it does not show what it says, or not that its checkpoint extends the one given; or too few of the
 *   witnesses given have cosigned, or too long ago
 * @throws Forked - its checkpoint and the one given are of two histories
 * @throws NewEpoch - its checkpoint is of another log of the database than the key given
 * @throws Unsupported - a version, kind or type that this program does not know
 * @throws InvalidArgument - an anchor that is none
 */
export function verifyProof(proof: Proof, anchors: Anchors = {}): ProofReport {
  const checked = checkProof(proof);
  const { claim, shown } = checked;
  const held = holdAgainst(checked, anchors);
  return {
    claim,
    verdict: held.anchoredTo.length > 0 ? "shown" : "not anchored",
    shown,
    witnesses: held.witnesses,
    anchoredTo: held.anchoredTo,
    notShown: [...held.notShown, ...checked.notShown],
  };
}

/**
 * Reads a proof from a file's content, protobuf JSON or bytes, and checks it as `verifyProof` does. Loads the hash kernel first,
 * in the way that every browser allows; where WebAssembly is refused, hashing is slower and the report the same.
 * @throws as `parseProof` and `verifyProof`
 */
export async function verifyProofFile(file: string | Uint8Array, anchors: Anchors = {}): Promise<ProofReport> {
  // Before anything is awaited: the caller's array is read as it is now.
  const proof = parseProof(file);
  await loadKernel();
  return verifyProof(proof, anchors);
}

/** Checks the parts of a proof against each other. */
export function checkProof(proof: Proof): CheckedProof {
  switch (proof.$typeName) {
    case "neleus.v1.StateProof":
      return checkStateProof(proof);
    case "neleus.v1.RangeProof":
      return checkRangeProof(proof);
    case "neleus.v1.ChunkProof":
      return checkChunkProof(proof);
    case "neleus.v1.ManifestProof":
      return checkManifestProof(proof);
    case "neleus.v1.RefProof":
      return checkRefProof(proof);
    case "neleus.v1.CommitProof":
      return checkCommitProof(proof);
  }
}

const NOT_SHOWN_OF_CHECKPOINT = "That the checkpoint is genuine: give the log's verifier key.";

interface Held {
  readonly anchoredTo: string[];
  readonly notShown: string[];
  readonly witnesses?: readonly Witnessed[] | undefined;
}

function holdAgainst(checked: CheckedProof, anchors: Anchors): Held {
  const anchoredTo: string[] = [];
  const notShown: string[] = [];
  const key = anchors.verifierKey === undefined ? undefined : LogKey.parse(anchors.verifierKey);
  const witnesses = namedWitnesses(anchors);
  const hold = anchors.root === undefined ? undefined : holdOf(checked, hashBytes(anchors.root, "root"));
  if (hold !== undefined) anchoredTo.push(`The ${hold.what} ${toHex(hold.digest)} is the one given.`);
  const { log } = checked;
  if (log === undefined) {
    if (witnesses !== undefined) throw belowWitnesses();
    notShown.push(...(hold?.leavesOpen ?? []));
    if (anchors.verifierKey !== undefined || anchors.checkpoint !== undefined) {
      notShown.push(
        "That its root was ever logged: the proof ends below the log, so a key or checkpoint says nothing of it.",
      );
    }
    return { anchoredTo, notShown };
  }
  const witnessed = key && heldByKey(log, key, witnesses);
  if (key !== undefined) anchoredTo.push(`The verifier key ${key.text} has signed the checkpoint.`);
  anchoredTo.push(...(witnessed?.anchoredTo ?? []));
  let isGenuine = key !== undefined;
  if (anchors.checkpoint !== undefined) {
    const compared = comparedCheckpoint(log, ownCheckpoint(anchors.checkpoint, key));
    if (compared.relation === "same tree") isGenuine = true;
    const isAnchor = compared.relation === "same tree" || (isGenuine && compared.relation === "extends it");
    if (isAnchor) anchoredTo.push(compared.sentence);
    else if (compared.relation === "is older") notShown.push(compared.sentence);
  }
  if (!isGenuine) notShown.push(...(hold?.leavesOpen ?? []), NOT_SHOWN_OF_CHECKPOINT);
  if (log.cosigned.length > 0 && witnesses === undefined) notShown.push(NOT_SHOWN_OF_WITNESSES);
  notShown.push(...(witnessed?.notShown ?? []), "What was written after that leaf of the log.");
  return { anchoredTo, notShown, witnesses: witnessed?.witnesses };
}

/** A path of commits holds a thousand of them. */
const MAX_NAMED_HOLDS = 8;

/** The digest of the proof that the caller trusts. @throws VerificationFailed - it is none of them */
function holdOf(checked: CheckedProof, root: Uint8Array): Hold {
  const hold = checked.holds.find(({ digest }) => equalBytes(digest, root));
  if (hold !== undefined) return hold;
  const named = checked.holds.slice(0, MAX_NAMED_HOLDS).map(({ what, digest }) => `${what} ${toHex(digest)}`);
  const others = checked.holds.length - named.length;
  const found = [...named, ...(others > 0 ? [`${others} more`] : [])].join(", ");
  throw new VerificationFailed(`the proof is not of the root given, ${toHex(root)}; it has ${found}`, {
    facts: { expected: toHex(root) },
  });
}

/** A checkpoint of the caller's own. @throws InvalidArgument - it is none, or not signed by the key beside it */
function ownCheckpoint(text: string, key: LogKey | undefined): Checkpoint & { readonly note: string } {
  if (key === undefined) return { ...checkArgument("checkpoint", () => parseCheckpointUnverified(text)), note: text };
  try {
    return key.open(text);
  } catch (cause) {
    if (!(cause instanceof NeleusError)) throw cause;
    const message = "checkpoint: is not one signed by the verifier key";
    throw new InvalidArgument(message, { field: "checkpoint" }, { cause });
  }
}

/**
 * How the proof's checkpoint stands to one of the caller's. The same tree vouches for it; being an extension does not,
 * since anybody can extend a log and only its key can sign that.
 */
function comparedCheckpoint(
  log: CheckedLog,
  own: Checkpoint & { readonly note: string },
): { readonly relation: "same tree" | "extends it" | "is older"; readonly sentence: string } {
  const { claimed, proof } = log;
  const theirs = { ...claimed, note: proof.checkpoint };
  if (own.origin !== claimed.origin) {
    throw new VerificationFailed(
      `the proof is from the log ${claimed.origin}, the checkpoint given from ${own.origin}`,
    );
  }
  if (own.size === claimed.size) {
    if (!equalBytes(own.root, claimed.root)) throw forked(own, theirs, `two roots at size ${own.size}`);
    return { relation: "same tree", sentence: `The checkpoint given is of the same tree of ${own.size} leaves.` };
  }
  if (own.size > claimed.size) {
    return {
      relation: "is older",
      sentence: "That the checkpoint given, which is newer, extends the one in the proof.",
    };
  }
  requireShownExtension(log, own);
  const sizes = `from ${own.size} to ${claimed.size} leaves`;
  return { relation: "extends it", sentence: `The checkpoint extends the one given, ${sizes}.` };
}

function requireShownExtension({ claimed, proof }: CheckedLog, own: Checkpoint): void {
  const sizes = { from: own.size, to: claimed.size, fromRoot: own.root, toRoot: claimed.root };
  try {
    verifyConsistency({ ...sizes, proof: proof.consistency });
  } catch (cause) {
    if (!(cause instanceof VerificationFailed)) throw cause;
    throw new IncompleteProof(
      `the proof does not show that its checkpoint of ${claimed.size} leaves extends the one given, of ${own.size}`,
      { hint: "ask for the proof again, with that checkpoint as the known one" },
      { cause },
    );
  }
}
