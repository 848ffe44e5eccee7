// An epoch of the log that has ended, seen from one after it (FORMATS §7): leaf 0 of the later one names the last checkpoint of
// the earlier. So the epoch that is trusted vouches for all before it, whether or not this client ever had their keys.
import { IncompleteProof, Malformed, NotFound, VerificationFailed } from "../core/errors.js";
import { decodeLogLeaf, parseCheckpointUnverified, parseOrigin, type Origin } from "../core/log/index.js";
import { toHex } from "../core/bytes.js";
import { MAX_EPOCHS_FOLLOWED } from "../core/limits.js";
import { ProofService, type LogProof } from "../../gen/neleus/v1/proof_pb.js";
import type { Connection } from "./connection.js";
import type { FollowedLog } from "./log.js";
import { receivedPart, verifying } from "./received.js";
import type { SignedCheckpoint } from "./records.js";
import type { CallOptions } from "./transport.js";
import { openLeaf, sameTree } from "./trust/index.js";

interface PastContext {
  readonly connection: Connection;
  readonly log: FollowedLog;
}

/**
 * The last checkpoint of an epoch that has ended, by the first leaf of the one after it. Who signed it is not looked at: what
 * vouches for it is the log that is trusted. Undefined for the epoch that goes on.
 * @throws NotFound - kind `epoch`: none of that number is among the MAX_EPOCHS_FOLLOWED before the one trusted
 * @throws VerificationFailed - what is shown does not hold @throws IncompleteProof - of an epoch on the way the end was lost
 */
export async function endOfEpoch(
  { connection, log }: PastContext,
  epoch: number,
  call: CallOptions,
): Promise<SignedCheckpoint | undefined> {
  const { proveInclusion } = ProofService.method;
  const request = { database: connection.database, leafIndex: 0n };
  const { answer, seen } = await log.read(
    (known) => connection.unary(proveInclusion, { ...request, ...known }, call),
    (message) => message.log,
    call,
  );
  let { checkpoint: tree } = seen;
  let message = answer;
  let steps = 0;
  for (let at = originOf(tree).epoch; at !== epoch; steps += 1) {
    if (steps === MAX_EPOCHS_FOLLOWED) throw noSuchEpoch(epoch, seen.checkpoint);
    openLeaf(tree, { index: 0, leaf: message.leaf, inclusion: message.inclusion });
    const before = previousOf(tree, message.leaf);
    if (before === undefined || at < epoch) throw noSuchEpoch(epoch, seen.checkpoint);
    tree = before;
    at = originOf(tree).epoch;
    if (at === epoch) return tree;
    message = await connection.unary(proveInclusion, { ...request, epoch: BigInt(at) }, call);
    requireEnd(tree, message.log);
  }
  return undefined;
}

/**
 * What an answer is held against must be the end of the epoch.
 * @throws IncompleteProof - the server has another part of it @throws VerificationFailed - it is of another log
 */
export function requireEnd(end: SignedCheckpoint, proof: LogProof | undefined): void {
  const { checkpoint } = receivedPart(proof, "log proof");
  const shown = { ...verifying("the checkpoint", () => parseCheckpointUnverified(checkpoint)), note: checkpoint };
  if (shown.origin !== end.origin)
    throw new VerificationFailed(`the answer is of ${shown.origin}, not of ${end.origin}`);
  if (sameTree(shown, end)) return;
  throw new IncompleteProof(`the server does not have ${end.origin} to its end, of ${end.size} leaves`, {
    hint: "a copy of before was restored: what followed in that epoch is lost",
    facts: { log_size: String(shown.size), size: String(end.size) },
  });
}

/** The last checkpoint of the epoch before, by a first leaf that was verified. */
function previousOf(tree: SignedCheckpoint, leaf: Uint8Array): SignedCheckpoint | undefined {
  const { first } = verifying("the first leaf of the log", () => decodeLogLeaf(leaf, 0));
  const note = first?.previous;
  if (note === undefined) return undefined;
  const before = { ...verifying("the checkpoint of the epoch before", () => parseCheckpointUnverified(note)), note };
  const [earlier, later] = [originOf(before), originOf(tree)];
  if (toHex(earlier.databaseId) === toHex(later.databaseId) && earlier.epoch < later.epoch && before.size > 0)
    return before;
  throw new VerificationFailed(`the log ${tree.origin} says that it follows ${before.origin}, which cannot be`);
}

function originOf({ origin }: SignedCheckpoint): Origin {
  try {
    return parseOrigin(origin);
  } catch (cause) {
    if (!(cause instanceof Malformed)) throw cause;
    throw new VerificationFailed(`the origin of a log: ${cause.message}`, {}, { cause });
  }
}

function noSuchEpoch(epoch: number, trusted: SignedCheckpoint): NotFound {
  return new NotFound(`no epoch ${epoch} is behind ${trusted.origin}`, {
    facts: { kind: "epoch", epoch: String(epoch), origin: trusted.origin },
  });
}
