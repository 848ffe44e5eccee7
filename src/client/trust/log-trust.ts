// Whom a client trusts, and how far it has seen the log (FORMATS §7): one pinned key, and checkpoints that extend each other.
//
// A checkpoint arrives in two ways. An answer to a request that carried a known checkpoint must prove that it extends
// that one: `extend`. A receipt comes with its signature alone and is remembered until the proof is had: `remember`.
// Several calls may be in flight: each answer is held against what its own request carried, so one that arrives late
// is no rollback, and what is left open between answers is settled by `settle` (settlement.ts).
import { InvalidArgument, RolledBack, VerificationFailed } from "../../core/errors.js";
import { parseCheckpointUnverified, verifyConsistency } from "../../core/log/index.js";
import type { Trust } from "../contract.js";
import type { TrustOptions, TrustState } from "../options.js";
import { verifying } from "../received.js";
import type { SignedCheckpoint } from "../records.js";
import { Frontier, forked, sameTree } from "./frontier.js";
import { LogKey } from "./log-key.js";

/** A checkpoint with the proof that it extends the one that the request carried. */
export interface ProvedCheckpoint {
  readonly checkpoint: string;
  readonly consistency: readonly Uint8Array[];
}

export class LogTrust implements Trust {
  #key: LogKey;
  #frontier = new Frontier();
  readonly #followed: LogKey[] = [];
  readonly #onTrustChanged: ((state: TrustState) => void) | undefined;
  /** The newest checkpoint at an instant when nothing was open. */
  #settled: SignedCheckpoint | undefined;

  /**
   * @param options - `checkpoints`: those that earlier runs saw; one, or several that are not yet shown to be of one history
   * @throws InvalidArgument - a checkpoint is not signed by the key @throws Forked - two of one size differ
   */
  constructor(
    key: LogKey,
    options: Pick<TrustOptions, "onTrustChanged"> & { readonly checkpoints?: readonly string[] | undefined } = {},
  ) {
    this.#key = key;
    for (const note of options.checkpoints ?? []) this.#frontier.add(ownCheckpoint(key, note));
    const [first, ...others] = this.#frontier.checkpoints;
    if (others.length === 0) this.#settled = first;
    this.#onTrustChanged = options.onTrustChanged;
  }

  /** Of the epoch that is followed. */
  get key(): LogKey {
    return this.#key;
  }

  /** Keys of the epochs that were trusted before it, each of which led to the next. */
  get followed(): readonly string[] {
    return this.#followed.map(({ text }) => text);
  }

  /**
   * Opens a checkpoint that was verified to be of the epoch that was followed at that time. Errors as of `LogKey.open`.
   */
  openSeen(note: string): SignedCheckpoint {
    const { origin } = verifying("the checkpoint", () => parseCheckpointUnverified(note));
    return (this.#followed.find((key) => key.origin === origin) ?? this.#key).open(note);
  }

  get state(): TrustState {
    return { verifierKey: this.key.text, checkpoint: this.#settled?.note };
  }

  /** Goes on with an epoch that the one before was shown to lead to: everything seen of that one is behind its beginning. */
  follow(next: { readonly key: LogKey; readonly checkpoint: SignedCheckpoint }): void {
    this.#followed.push(this.#key);
    this.#key = next.key;
    this.#frontier = new Frontier();
    this.#frontier.add(next.checkpoint);
    this.#noteChange();
  }

  get origin(): string {
    return this.key.origin;
  }

  get pendingCheckpoints(): number {
    return Math.max(0, this.#frontier.checkpoints.length - (this.#settled === undefined ? 0 : 1));
  }

  /** What the next request should carry: the oldest that a proof is owed from. Undefined before the first. */
  get known(): SignedCheckpoint | undefined {
    return this.#frontier.checkpoints[0];
  }

  /** The largest seen, proved or not: no answer to a request made from now on may be behind it. */
  get newest(): SignedCheckpoint | undefined {
    return this.#frontier.checkpoints.at(-1);
  }

  /** Checkpoints that are not yet proved to be of one history; at most one: all are. */
  get open(): readonly SignedCheckpoint[] {
    return this.#frontier.checkpoints;
  }

  /**
   * Takes the checkpoint of an answer to a request that carried `known`; where that is of an epoch before, it says nothing.
   * @throws VerificationFailed - not a checkpoint, or not signed by the pinned key
   * @throws NewEpoch - the database has a new log
   * @throws RolledBack - it is behind the known one
   * @throws Forked - it does not extend the known one, or is another of a size that has been seen
   */
  extend(known: SignedCheckpoint | undefined, answer: ProvedCheckpoint): SignedCheckpoint {
    const checkpoint = this.key.open(answer.checkpoint);
    if (known?.origin !== checkpoint.origin) {
      if (answer.consistency.length > 0)
        throw new VerificationFailed("the answer holds a consistency proof from nothing");
      this.#frontier.add(checkpoint);
    } else {
      requireExtension(known, checkpoint, answer.consistency);
      this.#frontier.replace(known, checkpoint);
    }
    this.#noteChange();
    return checkpoint;
  }

  /**
   * Takes the checkpoint of a receipt: signed, and owed a proof.
   * @throws VerificationFailed, NewEpoch, Forked - as `extend`
   */
  remember(note: string): SignedCheckpoint {
    const checkpoint = this.key.open(note);
    this.#frontier.add(checkpoint);
    // The first one ever seen has nothing to be consistent with.
    this.#noteChange();
    return checkpoint;
  }

  #noteChange(): void {
    const [only] = this.#frontier.checkpoints;
    if (only === undefined || this.#frontier.checkpoints.length > 1 || only === this.#settled) return;
    this.#settled = only;
    this.#onTrustChanged?.(this.state);
  }
}

function ownCheckpoint(key: LogKey, note: string): SignedCheckpoint {
  try {
    return key.open(note);
  } catch (error) {
    throw new InvalidArgument(
      "checkpoint: is not one signed by the verifier key",
      { field: "checkpoint" },
      { cause: error },
    );
  }
}

/**
 * An answer is never behind what had been seen when it was asked for: what a receipt names was durable by then. What was
 * seen of an epoch before is behind every checkpoint of the one that was followed.
 * @throws RolledBack - it is behind
 */
export function requireNotBehind(seen: SignedCheckpoint, answered: SignedCheckpoint): void {
  if (answered.size >= seen.size || answered.origin !== seen.origin) return;
  throw new RolledBack(
    `the log of ${answered.origin} was rolled back: it has ${answered.size} leaves, and had ${seen.size} when it was last seen`,
    {
      hint: "keep both checkpoints as evidence; if the database was restored on purpose, it must begin a new epoch",
      facts: { older_size: String(seen.size), newer_size: String(answered.size) },
      evidence: { older: seen.note, newer: answered.note },
    },
  );
}

/**
 * Holds a checkpoint against an older one of the same log.
 * @throws RolledBack - it is behind
 * @throws Forked - it is no extension, or the proof does not show it
 */
export function requireExtension(
  older: SignedCheckpoint,
  newer: SignedCheckpoint,
  consistency: readonly Uint8Array[],
): void {
  requireNotBehind(older, newer);
  if (newer.size === older.size) {
    if (!sameTree(older, newer)) throw forked(older, newer, `two roots at size ${newer.size}`);
    if (consistency.length > 0) throw new VerificationFailed("a consistency proof between equal sizes has no hashes");
    return;
  }
  if (isConsistent({ older, newer, consistency })) return;
  const reason = `the one of size ${newer.size} is not shown to extend the one of size ${older.size}`;
  throw forked(older, newer, reason, consistency);
}

function isConsistent(claim: {
  readonly older: SignedCheckpoint;
  readonly newer: SignedCheckpoint;
  readonly consistency: readonly Uint8Array[];
}): boolean {
  const { older, newer, consistency } = claim;
  try {
    verifyConsistency({
      from: older.size,
      to: newer.size,
      fromRoot: older.root,
      toRoot: newer.root,
      proof: consistency,
    });
    return true;
  } catch (error) {
    if (error instanceof VerificationFailed) return false;
    throw error;
  }
}
