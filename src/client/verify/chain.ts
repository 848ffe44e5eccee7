// From a refs root down to the roots of a head or tag (FORMATS §7): refs witness → commit → state and ledger roots.
//
// What stands above the refs root, the log, is LogTrust's for a client that has a key pinned, and `proof.ts`'s for a
// proof in a file.
import { toHex } from "../../core/bytes.js";
import { VerificationFailed } from "../../core/errors.js";
import type { CommitHash, Digest, MapRoot } from "../../core/hashes.js";
import { get, getMany, MapKind } from "../../core/map/index.js";
import { commitCell, headKey, stagedCell, stagedKey, tagKey } from "../../core/object/index.js";
import type { NodeReveal, Snapshot } from "../../../gen/neleus/v1/proof_pb.js";
import { receivedCommit } from "../object.js";
import { verifying, verifyNodes } from "../received.js";
import type { CommitRecord } from "../records.js";

/** What the refs say of one head. */
export interface HeadRefs {
  /** Undefined while the head has no commit. */
  readonly commitHash: CommitHash | undefined;
  readonly stagedStateRoot: MapRoot;
  readonly stagedLedgerRoot: MapRoot;
}

/** What stands below a refs root for one head. */
export interface HeadChain extends HeadRefs {
  readonly commit: CommitRecord | undefined;
}

/**
 * The refs of a head, by one witness for both of its keys; undefined where it proves that there is no such head.
 * @throws VerificationFailed, IncompleteProof - the witness is wrong, or does not show it
 * @throws InvalidArgument - no name of a head
 */
function headRefs(refsRoot: Digest, head: string, nodes: readonly NodeReveal[]): HeadRefs | undefined {
  const cells: (Uint8Array | undefined)[] = [];
  const keys = [headKey(head), stagedKey(head)];
  verifyNodes(
    getMany({ kind: MapKind.refs, root: refsRoot }, keys, ({ index, cell }) => {
      cells[index] = cell;
    }),
    nodes,
  );
  const [commitBytes, stagedBytes] = cells;
  if (stagedBytes === undefined) {
    if (commitBytes !== undefined) {
      throw new VerificationFailed(`the refs have a commit for head "${head}", and no staged roots`);
    }
    return undefined;
  }
  const staged = verifying("the staged roots", () => stagedCell.decode(stagedBytes));
  const commit = commitBytes === undefined ? undefined : verifying("the head", () => commitCell.decode(commitBytes));
  return { commitHash: commit?.commit, stagedStateRoot: staged.stateRoot, stagedLedgerRoot: staged.ledgerRoot };
}

/**
 * Everything that a snapshot shows below its refs root, which the caller has verified; undefined where it proves that
 * there is no such head.
 * @throws VerificationFailed, IncompleteProof, InvalidArgument - as `headRefs`
 * @throws Unsupported - the commit is of a version that this program does not know
 */
export function headChain(
  refsRoot: Digest,
  snapshot: Pick<Snapshot, "head" | "refs" | "commit">,
): HeadChain | undefined {
  const refs = headRefs(refsRoot, snapshot.head, snapshot.refs);
  if (refs === undefined) return undefined;
  if (refs.commitHash === undefined) {
    if (snapshot.commit.length === 0) return { ...refs, commit: undefined };
    throw new VerificationFailed(`head "${snapshot.head}" has no commit, and the answer holds one`);
  }
  return { ...refs, commit: namedCommit(snapshot.commit, refs.commitHash) };
}

/** What stands below a refs root for one tag. */
export interface TagChain {
  readonly commitHash: CommitHash;
  readonly commit: CommitRecord;
}

/**
 * Everything that a snapshot of a tag shows below its refs root, which the caller has verified; undefined where it proves
 * that there is no such tag.
 * @throws VerificationFailed, IncompleteProof, InvalidArgument, Unsupported - as `headChain`
 */
export function tagChain(refsRoot: Digest, snapshot: Pick<Snapshot, "tag" | "refs" | "commit">): TagChain | undefined {
  const cell = verifyNodes(get({ kind: MapKind.refs, root: refsRoot }, tagKey(snapshot.tag)), snapshot.refs);
  if (cell === undefined) return undefined;
  const { commit: commitHash } = verifying("the tag", () => commitCell.decode(cell));
  return { commitHash, commit: namedCommit(snapshot.commit, commitHash) };
}

/** @throws VerificationFailed - the bytes are none, or another commit's */
function namedCommit(bytes: Uint8Array, hash: CommitHash): CommitRecord {
  if (bytes.length === 0) throw new VerificationFailed(`the answer leaves out the commit ${toHex(hash)}`);
  return receivedCommit(bytes, hash);
}
