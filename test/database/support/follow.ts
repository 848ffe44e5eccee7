// Follows a database from one epoch to the next as a client would, with core's verifiers alone.
import assert from "node:assert/strict";
import { equalBytes } from "#src/core/bytes.js";
import {
  decodeLogLeaf,
  logLeafHash,
  parseVerifierKey,
  verifyCheckpoint,
  verifyConsistency,
  verifyInclusion,
} from "#src/core/log/index.js";
import type { Checkpoint, LogBeginning } from "#src/core/log/index.js";
import { Recorder, get, readSync, verifyWitness } from "#src/core/map/index.js";
import { LOG_KEYS_KEY, logKeysCell } from "#src/core/object/index.js";
import type { Database } from "#src/database/index.js";

export interface Followed {
  readonly verifierKey: string;
  readonly checkpoint: Checkpoint;
  readonly first: LogBeginning;
  /** True where the epoch before listed the key. */
  readonly isListed: boolean;
}

/** One step, from a checkpoint of an epoch that has ended. */
export async function followStep(db: Database, from: { verifierKey: string; known: Checkpoint }): Promise<Followed> {
  const { verifierKey, known } = from;
  const epoch = Number(known.origin.split("/").at(-1));
  const { end, beginning } = await db.epochs.step({ epoch, knownSize: known.size });
  const { log } = end;
  const last = verifyCheckpoint(log.checkpoint, parseVerifierKey(verifierKey));
  assert.equal(last.size, log.logSize);
  verifyConsistency({
    from: known.size,
    to: last.size,
    fromRoot: known.root,
    toRoot: last.root,
    proof: log.consistency,
  });
  const index = last.size - 1;
  const { size, root } = last;
  verifyInclusion({ index, size, root, leafHash: logLeafHash(log.leaf), proof: log.inclusion });
  const { refsRoot } = decodeLogLeaf(log.leaf, index);
  assert.ok(equalBytes(refsRoot, end.refs.root));
  const recorder = new Recorder();
  readSync(get(end.refs, LOG_KEYS_KEY), end.nodes, recorder);
  const cell = verifyWitness(get(end.refs, LOG_KEYS_KEY), [...recorder.reveals()]);
  const keys = logKeysCell.decode(cell!);
  assert.equal(keys[0], verifierKey);
  const checkpoint = verifyCheckpoint(beginning.checkpoint, parseVerifierKey(beginning.verifierKey));
  verifyInclusion({
    index: 0,
    size: checkpoint.size,
    root: checkpoint.root,
    leafHash: logLeafHash(beginning.leaf),
    proof: beginning.inclusion,
  });
  const { first } = decodeLogLeaf(beginning.leaf, 0);
  assert.ok(first !== undefined);
  return { verifierKey: beginning.verifierKey, checkpoint, first, isListed: keys.includes(beginning.verifierKey) };
}

/** From a key and a checkpoint of it to the epoch that goes on. */
export async function followAll(db: Database, from: { verifierKey: string; known: Checkpoint }): Promise<Followed[]> {
  const steps: Followed[] = [];
  let at = from;
  while (at.verifierKey !== db.log.verifierKey) {
    const step = await followStep(db, at);
    steps.push(step);
    at = { verifierKey: step.verifierKey, known: step.checkpoint };
  }
  return steps;
}
