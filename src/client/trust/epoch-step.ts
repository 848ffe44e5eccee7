// From the epoch of a log that is trusted to the one after it (FORMATS §7).
//
//   trusted key ── last checkpoint, which extends what was seen ── newest leaf ── refs ── keys/log lists the next key
//   next key ── its checkpoint ── leaf 0 {reason, previous: that last checkpoint}
//
// Where all of that holds the next epoch is as trusted as the one before: its key was announced by what the old key signed, and
// it says itself that it goes on from exactly there. A restored or cloned database cannot show it: then a person decides.
// Cost: two or three signatures and a few dozen hashes.
import { InvalidArgument, NewEpoch, VerificationFailed } from "../../core/errors.js";
import { decodeLogLeaf, type LogBeginning } from "../../core/log/index.js";
import { get, MapKind } from "../../core/map/index.js";
import { LOG_KEYS_KEY, logKeysCell } from "../../core/object/index.js";
import type { EpochBeginning, EpochEnd } from "../../../gen/neleus/v1/proof_pb.js";
import { receivedPart, verifying, verifyNodes } from "../received.js";
import type { NewEpochEvidence, SignedCheckpoint } from "../records.js";
import { sameTree } from "./frontier.js";
import { LogKey, type SignatureCheckMaker } from "./log-key.js";
import { requireExtension } from "./log-trust.js";
import { openLeaf, openNewestLeaf } from "./newest-leaf.js";

/** An epoch by its first leaf and a checkpoint, both shown under its own key. That is trusted only by what led there. */
export interface OpenedEpoch {
  readonly key: LogKey;
  readonly checkpoint: SignedCheckpoint;
  readonly first: LogBeginning;
}

/** What a server shows of how an epoch began. */
export type BeginningMessage = Pick<EpochBeginning, "checkpoint" | "leaf" | "inclusion">;

/**
 * The key of an epoch that a server presents.
 * @throws VerificationFailed - it is none
 */
export function presentedKey(text: string, makeCheck: SignatureCheckMaker | undefined): LogKey {
  try {
    return LogKey.parse(text, makeCheck);
  } catch (cause) {
    if (!(cause instanceof InvalidArgument)) throw cause;
    throw new VerificationFailed(`the server presents no usable verifier key: ${cause.message}`, {}, { cause });
  }
}

/** @throws VerificationFailed - the checkpoint is not the key's, or does not hold the leaf, or the leaf is none */
export function openBeginning(key: LogKey, message: BeginningMessage): OpenedEpoch {
  const checkpoint = key.open(message.checkpoint);
  if (checkpoint.size === 0) throw new VerificationFailed("an epoch has a first leaf, and this log has none");
  const { leaf, inclusion } = message;
  openLeaf(checkpoint, { index: 0, leaf, inclusion });
  const { first } = verifying("the first leaf of the log", () => decodeLogLeaf(leaf, 0));
  return { key, checkpoint, first: receivedPart(first, "reason of the epoch") };
}

/**
 * Verifies a step from the epoch of a trusted key to the next, which may then be followed.
 * @param known - a checkpoint of the trusted epoch that was seen
 * @throws NewEpoch - the epochs are what they are, and nothing trusted leads from the one to the other
 * @throws Forked - the epoch did not end with what was seen of it
 * @throws VerificationFailed, IncompleteProof - what is shown does not hold
 */
export function openStep(
  trusted: { readonly key: LogKey; readonly known: SignedCheckpoint | undefined },
  answer: { readonly end?: EpochEnd | undefined; readonly beginning?: EpochBeginning | undefined },
  makeCheck: SignatureCheckMaker | undefined,
): OpenedEpoch {
  const { key, known } = trusted;
  const message = receivedPart(answer.beginning, "beginning of the next epoch");
  const end = receivedPart(answer.end, "end of the epoch");
  const log = receivedPart(end.log, "log proof");
  const nextKey = presentedKey(message.verifierKey, makeCheck);
  if (!key.isOfSameDatabase(nextKey)) throw key.mismatch(nextKey);
  const next = openBeginning(nextKey, message);
  const last = key.open(log.checkpoint);
  const stop = (why: string): NewEpoch => newEpoch({ key, next, seen: known }, why);
  if (known !== undefined) {
    if (last.size < known.size) throw stop(`it ended with ${last.size} leaves, and ${known.size} had been seen`);
    requireExtension(known, last, log.consistency);
  }
  const { refsRoot } = openNewestLeaf(last, log);
  const cell = verifyNodes(get({ kind: MapKind.refs, root: refsRoot }, LOG_KEYS_KEY), end.refs);
  const keys = cell === undefined ? [] : verifying("the keys of the log", () => logKeysCell.decode(cell));
  if (nextKey.epoch !== key.epoch + 1) throw stop("it is not the next one");
  if (!isPrevious(key, next.first, last)) throw stop("it does not go on from where that one ended");
  if (!keys.includes(nextKey.text)) throw stop("its key was not announced");
  return next;
}

/** True where an epoch names this checkpoint as the last of the one before. */
function isPrevious(key: LogKey, { reason, previous }: LogBeginning, last: SignedCheckpoint): boolean {
  if (reason === "created" || previous === undefined) return false;
  try {
    return sameTree(key.open(previous), last);
  } catch (error) {
    // Of another key, or of none: whatever it is, it is not this one.
    if (error instanceof VerificationFailed || error instanceof NewEpoch) return false;
    throw error;
  }
}

/** The error for an epoch that a person has to decide about. */
export function newEpoch(
  epochs: {
    readonly key: LogKey;
    readonly next: Pick<OpenedEpoch, "key"> & Partial<OpenedEpoch>;
    readonly seen: SignedCheckpoint | undefined;
  },
  why: string,
): NewEpoch {
  const { key, next, seen } = epochs;
  const reason = next.first?.reason;
  const evidence: NewEpochEvidence = {
    verifierKey: next.key.text,
    trustedKey: key.text,
    reason,
    previous: next.first?.previous,
    checkpoint: next.checkpoint?.note,
    seen: seen?.note,
  };
  const said = reason === undefined ? "" : ` (${reason})`;
  return new NewEpoch(`the log is ${next.key.origin}${said}, and the one trusted is ${key.origin}: ${why}`, {
    hint: "ask whoever runs it; if it was done on purpose, see what it says of itself: neleus trust accept-epoch",
    facts: {
      trusted_origin: key.origin,
      origin: next.key.origin,
      verifier_key: next.key.text,
      ...(reason === undefined ? {} : { reason }),
    },
    evidence,
  });
}
