// The upper chain as a client checks it: checkpoint under the pinned key, newest leaf, refs, commit. For tests.
import assert from "node:assert/strict";
import type { LogProof, Snapshot } from "#gen/neleus/v1/proof_pb.js";
import { toHex } from "#src/core/bytes.js";
import type { CommitHash, MapRoot } from "#src/core/hashes.js";
import {
  decodeLogLeaf,
  logLeafHash,
  parseCheckpointUnverified,
  parseVerifierKey,
  verifyCheckpoint,
  verifyConsistency,
  verifyInclusion,
  type Checkpoint,
} from "#src/core/log/index.js";
import { getMany, MapKind, verifyWitness } from "#src/core/map/index.js";
import {
  commitCell,
  commitHashOf,
  decodeCommit,
  headKey,
  stagedCell,
  stagedKey,
  type Commit,
} from "#src/core/object/index.js";
import type { Database } from "#src/database/index.js";
import { revealsOf } from "./harness.js";

/** Checks the log part; returns what it proves. */
export function verifiedLog(
  database: Database,
  proof: LogProof | undefined,
  known?: string,
): { checkpoint: Checkpoint; refsRoot: MapRoot; timeMs: number } {
  assert.ok(proof);
  const checkpoint = verifyCheckpoint(proof.checkpoint, parseVerifierKey(database.log.verifierKey));
  const { size, root } = checkpoint;
  const leaf = decodeLogLeaf(proof.leaf, size - 1);
  verifyInclusion({ index: size - 1, size, leafHash: logLeafHash(proof.leaf), proof: proof.inclusion, root });
  if (known !== undefined) {
    const from = parseCheckpointUnverified(known);
    verifyConsistency({ from: from.size, to: size, fromRoot: from.root, toRoot: root, proof: proof.consistency });
  } else {
    assert.deepEqual(proof.consistency, []);
  }
  return { checkpoint, refsRoot: leaf.refsRoot, timeMs: leaf.time };
}

export interface VerifiedSnapshot {
  readonly checkpoint: Checkpoint;
  readonly timeMs: number;
  readonly refsRoot: MapRoot;
  readonly commitHash: CommitHash | undefined;
  readonly commit: Commit | undefined;
  readonly stagedState: MapRoot;
  readonly stagedLedger: MapRoot;
}

/** Checks a snapshot down to the roots of the head. */
export function verifiedSnapshot(database: Database, snapshot: Snapshot | undefined, known?: string): VerifiedSnapshot {
  assert.ok(snapshot);
  const { checkpoint, refsRoot, timeMs } = verifiedLog(database, snapshot.log, known);
  const cells: (Uint8Array | undefined)[] = [];
  const keys = [headKey(snapshot.head), stagedKey(snapshot.head)];
  const reader = getMany({ kind: MapKind.refs, root: refsRoot }, keys, ({ cell }) => {
    cells.push(cell === undefined ? undefined : new Uint8Array(cell));
  });
  verifyWitness(reader, revealsOf(snapshot.refs));
  const [headBytes, stagedBytes] = cells;
  assert.ok(stagedBytes, "the head is there");
  const { stateRoot, ledgerRoot } = stagedCell.decode(stagedBytes);
  const commitHash = headBytes === undefined ? undefined : commitCell.decode(headBytes).commit;
  if (commitHash === undefined) assert.equal(snapshot.commit.length, 0);
  else assert.equal(toHex(commitHashOf(snapshot.commit)), toHex(commitHash));
  const commit = commitHash === undefined ? undefined : decodeCommit(snapshot.commit).object;
  return { checkpoint, timeMs, refsRoot, commitHash, commit, stagedState: stateRoot, stagedLedger: ledgerRoot };
}
