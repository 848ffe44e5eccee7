// Follows a database from one epoch of its log to the next, as far as what is trusted leads (trust/epoch-step.ts).
import { Forked, LimitExceeded, NeleusError, NewEpoch } from "../core/errors.js";
import { MAX_EPOCHS_FOLLOWED } from "../core/limits.js";
import { ProofService } from "../../gen/neleus/v1/proof_pb.js";
import { getCapabilities } from "./capabilities.js";
import type { Connection } from "./connection.js";
import { receivedPart } from "./received.js";
import type { SignedCheckpoint } from "./records.js";
import type { CallOptions } from "./transport.js";
import { newEpoch, openBeginning, openStep, presentedKey } from "./trust/epoch-step.js";
import type { OpenedEpoch } from "./trust/epoch-step.js";
import type { LogKey, LogTrust, SignatureCheckMaker } from "./trust/index.js";

export interface EpochsContext {
  readonly connection: Connection;
  readonly trust: LogTrust;
  readonly makeSignatureCheck?: SignatureCheckMaker | undefined;
  /** Default: MAX_EPOCHS_FOLLOWED. */
  readonly mostEpochs?: number | undefined;
}

/**
 * Takes the trust on to the key that the server presents now. Does nothing where that is the trusted one.
 * @throws NewEpoch - nothing trusted leads there; the evidence says what it says of itself
 * @throws LimitExceeded - there are more than MAX_EPOCHS_FOLLOWED on the way
 * @throws Forked, VerificationFailed, IncompleteProof - what is shown on the way does not hold
 */
export async function followEpochs(context: EpochsContext, call: CallOptions = {}): Promise<void> {
  const { verifierKey } = await getCapabilities(context.connection, call);
  if (verifierKey === context.trust.key.text) return;
  await followTo(context, presentedKey(verifierKey, context.makeSignatureCheck), call);
}

/** The same for a key that the server has presented. */
export async function followTo(context: EpochsContext, presented: LogKey, call: CallOptions = {}): Promise<void> {
  const { trust, mostEpochs = MAX_EPOCHS_FOLLOWED } = context;
  if (!trust.key.isOfSameDatabase(presented)) throw trust.key.mismatch(presented);
  for (let steps = 0; trust.key.text !== presented.text; steps += 1) {
    if (steps === mostEpochs) throw tooManyEpochs(presented, mostEpochs);
    if (presented.epoch <= trust.key.epoch) throw await strangeEpoch(context, presented, call);
    await followOne(context, presented, call);
  }
}

/** A server can begin epochs as fast as it is asked for them. */
function tooManyEpochs(presented: LogKey, mostEpochs: number): LimitExceeded {
  return new LimitExceeded(`the way to ${presented.origin} leads through more than ${mostEpochs} epochs`, {
    hint: "if that is so, see what it says of itself: neleus trust accept-epoch",
    facts: { limit: "MAX_EPOCHS_FOLLOWED", value: String(mostEpochs) },
  });
}

/**
 * Everything seen of the epoch must be extended by its end: mostly one checkpoint, else those that are not yet shown to be of
 * one history, and whatever receipts bring meanwhile.
 */
async function followOne(context: EpochsContext, presented: LogKey, call: CallOptions): Promise<void> {
  const { connection, trust, makeSignatureCheck } = context;
  const { database } = connection;
  const { key } = trust;
  const epoch = BigInt(key.epoch);
  const shown = new Set<SignedCheckpoint>();
  let next: OpenedEpoch | undefined;
  for (;;) {
    const known = trust.open.find((checkpoint) => !shown.has(checkpoint));
    // In one turn: what comes now is of an epoch that has ended.
    if (known === undefined && next !== undefined) {
      trust.follow(next);
      return;
    }
    const request = { database, epoch, knownCheckpoint: known?.note ?? "" };
    const answer = await connection
      .unary(ProofService.method.proveEpoch, request, call)
      .catch(async (error: unknown) => {
        // It never had that epoch, or cannot say how it ended.
        const isUnknown = error instanceof NeleusError && (error.code === "NOT_FOUND" || error.code === "UNSUPPORTED");
        throw isUnknown ? await strangeEpoch(context, presented, call) : error;
      });
    const step = openStep({ key, known }, answer, makeSignatureCheck);
    if (known !== undefined) shown.add(known);
    next ??= step;
    requireOneEnd(next, step);
  }
}

/** Each answer holds by itself: together they are of one history only where the epoch ends once. @throws Forked */
function requireOneEnd(one: OpenedEpoch, other: OpenedEpoch): void {
  if (one.key.text === other.key.text && one.first.previous === other.first.previous) return;
  throw new Forked(`the epoch before ${one.key.origin} is shown to end in two ways`, {
    hint: "keep both checkpoints as evidence, and stop using this server",
    evidence: { older: one.first.previous, newer: other.first.previous },
  });
}

/** The error for an epoch that is not reached from the one trusted, with what it says of itself. */
async function strangeEpoch(
  { connection, trust }: EpochsContext,
  presented: LogKey,
  call: CallOptions,
): Promise<NewEpoch> {
  const opened = await openPresented(connection, presented, call);
  const isEarlier = presented.epoch < trust.key.epoch;
  const why =
    presented.epoch === trust.key.epoch
      ? "two logs of one name: a copy of the database began an epoch of its own, or this is not it"
      : isEarlier
        ? "it is of before"
        : "the server does not show how that one ended";
  return newEpoch({ key: trust.key, next: opened ?? { key: presented }, seen: trust.newest }, why);
}

/**
 * What the epoch that a server presents says of itself, shown under its own key; undefined where the server does not say.
 * @throws VerificationFailed - it does not hold
 */
export async function openPresented(
  connection: Connection,
  presented: LogKey,
  call: CallOptions,
): Promise<OpenedEpoch | undefined> {
  const { database } = connection;
  let answer;
  try {
    answer = await connection.unary(ProofService.method.proveInclusion, { database, leafIndex: 0n }, call);
  } catch (error) {
    const isPassing =
      error instanceof NeleusError && ["UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"].includes(error.code);
    if (!(error instanceof NeleusError) || isPassing) throw error;
    return undefined;
  }
  const { leaf, inclusion, log } = answer;
  return openBeginning(presented, { checkpoint: receivedPart(log, "log proof").checkpoint, leaf, inclusion });
}
