// A proof whose parts have been found to fit together, before it is held against anything that the caller trusts.
import { equalBytes, fromUtf8, toHex } from "../../core/bytes.js";
import { Malformed, VerificationFailed } from "../../core/errors.js";
import type { CommitHash, Digest, MapRoot } from "../../core/hashes.js";
import { parseCheckpointUnverified, type Checkpoint } from "../../core/log/index.js";
import { nameProblem } from "../../core/object/index.js";
import type { LogProof, Snapshot } from "../../../gen/neleus/v1/proof_pb.js";
import { receivedPart, verifying } from "../received.js";
import { openCosigned, openNewestLeaf, type CosignedClaim } from "../trust/index.js";
import type { CommitRecord } from "../records.js";
import { headChain, tagChain } from "./chain.js";
import type { ProofClaim, RefClaim } from "./report.js";

/** A digest that the proof hangs on: whoever trusts it can trust the claim. */
export interface Hold {
  /** As in "the … given", e.g. `state root`. */
  readonly what: string;
  readonly digest: Digest;
  /** What the proof holds beside and that this digest does not vouch for. */
  readonly leavesOpen: readonly string[];
}

/** The log part of a proof. Its checkpoint's signature is not verified yet. */
export interface CheckedLog {
  readonly proof: LogProof;
  readonly claimed: Checkpoint;
  readonly timeMs: number;
  /** What is said to be cosigned: of this log, and signed by nobody yet. */
  readonly cosigned: readonly CosignedClaim[];
}

export interface CheckedProof {
  readonly claim: ProofClaim;
  readonly shown: readonly string[];
  readonly notShown: readonly string[];
  readonly holds: readonly Hold[];
  /** Absent where the proof ends below the log. */
  readonly log: CheckedLog | undefined;
}

/** The chain of a proof, checked from its checkpoint's root down. */
export interface CheckedChain {
  readonly log: CheckedLog;
  /** What it is of, for sentences: `head "main"`, `tag "v1"`. */
  readonly name: string;
  /** The commit that it leads to; undefined where a head has none. */
  readonly committed: { readonly hash: CommitHash; readonly commit: CommitRecord } | undefined;
  /** What is staged there; undefined for a tag. */
  readonly staged: { readonly stateRoot: MapRoot; readonly ledgerRoot: MapRoot } | undefined;
  readonly shown: readonly string[];
}

/**
 * @throws VerificationFailed, IncompleteProof - a part is wrong or missing
 * @throws Unsupported - a version that this program does not know
 */
export function checkedChain(snapshot: Snapshot): CheckedChain {
  const { roots, ...chain } = checkedRef(snapshot);
  if (roots === undefined) throw new VerificationFailed(`the proof is of ${chain.name}, which does not exist`);
  return { ...chain, ...roots };
}

/** The same of a name that there may be nothing of. */
export function checkedRef(
  snapshot: Snapshot,
): Pick<CheckedChain, "log" | "name" | "shown"> & Pick<NamedRoots, "roots"> {
  const proof = receivedPart(snapshot.log, "log proof");
  const claimed = verifying("the checkpoint", () => parseCheckpointUnverified(proof.checkpoint));
  const { timeMs, refsRoot } = openNewestLeaf(claimed, proof);
  openCosigned(snapshot.cosigned, { ...claimed, note: proof.checkpoint }, (note) => openUnsigned(note, claimed));
  const { name, roots } = snapshot.tag === "" ? headRoots(refsRoot, snapshot) : tagRoots(refsRoot, snapshot);
  return {
    log: { proof, claimed, timeMs, cosigned: snapshot.cosigned },
    name,
    roots,
    shown: [
      `The refs of the log's newest leaf, written ${shownTime(timeMs)} by the server's clock, have this for ${name}.`,
      `That leaf is the last of ${claimed.size} in the log ${claimed.origin}, whose root the checkpoint states.`,
    ],
  };
}

/** @throws VerificationFailed - no checkpoint, or of another log */
function openUnsigned(note: string, { origin }: Checkpoint): Checkpoint & { readonly note: string } {
  const claimed = verifying("a cosigned checkpoint", () => parseCheckpointUnverified(note));
  if (claimed.origin === origin) return { ...claimed, note };
  throw new VerificationFailed(`the proof is from the log ${origin}, and what was cosigned from ${claimed.origin}`);
}

/** What a chain is of, for programs. */
export function namedRef({ head, tag }: Pick<Snapshot, "head" | "tag">): RefClaim["ref"] {
  return tag === "" ? { kind: "head", name: head } : { kind: "tag", name: tag };
}

interface NamedRoots {
  readonly name: string;
  /** Undefined where the refs prove that there is nothing of that name. */
  readonly roots: Pick<CheckedChain, "committed" | "staged"> | undefined;
}

function headRoots(refsRoot: Digest, snapshot: Snapshot): NamedRoots {
  const name = `head "${checkedName("head", snapshot.head)}"`;
  const chain = headChain(refsRoot, snapshot);
  if (chain === undefined) return { name, roots: undefined };
  const { commitHash: hash, commit, stagedStateRoot: stateRoot, stagedLedgerRoot: ledgerRoot } = chain;
  const committed = hash === undefined || commit === undefined ? undefined : { hash, commit };
  return { name, roots: { committed, staged: { stateRoot, ledgerRoot } } };
}

function tagRoots(refsRoot: Digest, snapshot: Snapshot): NamedRoots {
  const name = `tag "${checkedName("tag", snapshot.tag)}"`;
  if (snapshot.head !== "") throw new VerificationFailed("the chain of the proof names a head and a tag");
  const chain = tagChain(refsRoot, snapshot);
  const roots = chain && { committed: { hash: chain.commitHash, commit: chain.commit }, staged: undefined };
  return { name, roots };
}

function checkedName(kind: "head" | "tag", name: string): string {
  const problem = nameProblem(name);
  if (problem === undefined) return name;
  throw new VerificationFailed(`the name of the ${kind} in the proof ${problem}`);
}

/** @throws VerificationFailed - the root that the proof is of is not the one that its chain leads to */
export function requireSameRoot(what: string, roots: { readonly proof: Digest; readonly chain: Digest }): void {
  if (equalBytes(roots.proof, roots.chain)) return;
  throw new VerificationFailed(`the proof is of ${what} ${toHex(roots.proof)}, and its chain leads to another`, {
    facts: { expected: toHex(roots.chain), actual: toHex(roots.proof) },
  });
}

/** A key for a sentence: as text where it is text without control characters, else in hex. */
export function shownKey(key: Uint8Array): string {
  try {
    const text = fromUtf8(key);
    if (!/\p{C}/u.test(text)) return JSON.stringify(text);
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
  }
  return `0x${toHex(key)}`;
}

/** A time for a sentence. The longest that a JavaScript date holds is far below 2^53 ms: beyond it the number is shown. */
export function shownTime(timeMs: number): string {
  return timeMs <= 8.64e15 ? new Date(timeMs).toISOString() : `${timeMs} ms after 1970`;
}
