// The log as callers see it: who signs it, its newest checkpoint, and a fresher leaf for those who ask for one.
//
// Asking is reading, and leaves are kept for ever: so readers together cause at most one leaf in FRESH_LEAF_INTERVAL_MS,
// however many they are and in however many processes. Whoever asks for less than that waits for the interval to pass,
// and is then served by the one leaf that all who wait share, or by that of a write which came first.
import { setImmediate as nextTurn, setTimeout as delay } from "node:timers/promises";
import { equalBytes } from "../core/bytes.js";
import { InvalidArgument, RolledBack } from "../core/errors.js";
import { FRESH_LEAF_INTERVAL_MS } from "../core/limits.js";
import { formatNote, parseCheckpointUnverified, parseNote } from "../core/log/index.js";
import type { Checkpoint, Cosignature } from "../core/log/index.js";
import { ConditionFailed } from "../store/contract.js";
import type { Store, SyncReader } from "../store/contract.js";
import { fromRequest } from "./boundary.js";
import type { Committer } from "./committer.js";
import { cosignaturesUnder, type Cosignatures } from "./cosignatures.js";
import { sameEpoch } from "./identity.js";
import type { TransparencyLog } from "./log-contract.js";
import type { LogStore, Tail } from "./log-store.js";
import { ALARM, alarmRow, rolledBack } from "./rollback-alarm.js";
import type { LostLeaves, RollbackAlarm } from "./rollback-alarm.js";

export interface LogOptions {
  readonly store: Store;
  readonly rows: SyncReader;
  readonly log: LogStore;
  readonly alarm: RollbackAlarm;
  readonly cosignatures: Cosignatures;
  readonly committer: Committer;
  readonly clock: () => number;
  /** How long `reach` waits at most. */
  readonly longestWaitMs: number;
  readonly onRolledBack: (lost: LostLeaves) => void;
}

/** What other processes append is seen by looking. */
const LOOK_EVERY_MS = 50;

export class DatabaseLog implements TransparencyLog {
  readonly #options: LogOptions;

  constructor(options: LogOptions) {
    this.#options = options;
  }

  get origin(): string {
    return this.#options.log.tail().epoch.origin;
  }

  get verifierKey(): string {
    return this.#options.log.tail().epoch.verifierKey;
  }

  get nextVerifierKey(): string | undefined {
    return this.#options.log.tail().epoch.nextVerifierKey;
  }

  get lost(): LostLeaves | undefined {
    return this.#options.alarm.find();
  }

  async checkpoint(): Promise<string> {
    const { log } = this.#options;
    return log.checkpoint(log.tail());
  }

  async shown(checkpoint: string): Promise<void> {
    const { log, alarm } = this.#options;
    const claimed = parseCheckpointUnverified(checkpoint);
    if (this.#leadsTo(log.tail(), claimed)) return;
    const { signer } = log.live();
    const note = parseNote(checkpoint);
    const signature = signer.ownSignature(note);
    if (signature === undefined) return;
    // A checkpoint is shown to nobody before its leaf is durable, so what another process wrote is there for the next turn.
    await nextTurn();
    // What others have added to it is theirs, and of any length.
    const shown = formatNote({ text: note.text, signatures: [signature] });
    while (alarm.find() === undefined && !this.#leadsTo(log.tail(), claimed)) await this.#raise(shown);
    alarm.requireSilent();
  }

  async cosign(checkpoint: string, witnessKeys: readonly string[]): Promise<readonly Cosignature[]> {
    const { log, rows, cosignatures } = this.#options;
    const field = "checkpoint";
    const { note, claimed } = fromRequest(field, () => ({
      note: parseNote(checkpoint),
      claimed: parseCheckpointUnverified(checkpoint),
    }));
    const unchanged = sameEpoch(rows);
    const { signer, origin } = log.live();
    if (claimed.origin !== origin) throw ofAnotherLog(claimed.origin, origin);
    if (signer.ownSignature(note) === undefined) {
      throw new InvalidArgument("checkpoint: not signed by the key of this log", { field });
    }
    if (claimed.size === 0) throw new InvalidArgument("checkpoint: of a log without leaves", { field });
    const found = await cosignaturesUnder(note, witnessKeys, origin);
    // One that the key signed, and that the log does not lead to, is the proof that it lost leaves.
    await this.shown(checkpoint);
    try {
      await cosignatures.add(claimed, found, { sameEpoch: unchanged });
    } catch (error) {
      if (!(error instanceof ConditionFailed)) throw error;
      throw ofAnotherLog(origin, log.live().origin);
    }
    return found;
  }

  /** Notes that leaves are missing, unless the log has moved since it was looked at. */
  async #raise(shown: string): Promise<void> {
    const { store, log, clock, onRolledBack } = this.#options;
    const tail = log.tail();
    const lost = { shown, own: log.checkpoint(tail), atMs: clock() };
    try {
      await store.write({ conditions: [log.unmoved(tail), { ...ALARM, expected: "absent" }], puts: [alarmRow(lost)] });
    } catch (error) {
      if (!(error instanceof ConditionFailed)) throw error;
      return;
    }
    onRolledBack(lost);
    throw rolledBack(lost);
  }

  /** False where a log that ends at the tail cannot have been, or come to be, what a checkpoint of its origin says. */
  #leadsTo(tail: Tail, { origin, size, root }: Checkpoint): boolean {
    if (origin !== tail.epoch.origin || size === 0) return true;
    return size <= tail.size && equalBytes(this.#options.log.rootAt(tail, size), root);
  }

  /**
   * Resolves once the log has so many leaves: those of other processes, or of a server that this one follows, may come later.
   * @throws RolledBack - it did not get them in time (`facts.log_size`, `facts.min_log_size`)
   */
  async reach(options: { readonly size: number; readonly signal?: AbortSignal | undefined }): Promise<void> {
    const { size, signal } = options;
    const { log, longestWaitMs } = this.#options;
    const endsMs = performance.now() + longestWaitMs;
    while (log.tail().size < size) {
      const leftMs = endsMs - performance.now();
      if (leftMs <= 0) throw behind(log.tail().size, size);
      await delay(Math.min(LOOK_EVERY_MS, leftMs), undefined, { signal });
    }
  }

  async freshen(options: { readonly maxAgeMs: number; readonly signal?: AbortSignal | undefined }): Promise<void> {
    const { maxAgeMs, signal } = options;
    if (!Number.isSafeInteger(maxAgeMs) || maxAgeMs < 0) {
      throw new InvalidArgument(`max_age_ms: 0 or more milliseconds, not ${maxAgeMs}`, { field: "max_age_ms" });
    }
    const { log, committer, clock } = this.#options;
    // Fixed now: a leaf that comes while this call waits is fresh enough, whenever the call is served.
    const oldestMs = clock() - maxAgeMs;
    const isOld = (tail: Tail): boolean => tail.timeMs < oldestMs;
    const newest = log.tail();
    if (!isOld(newest)) return;
    const waitMs = newest.timeMs + FRESH_LEAF_INTERVAL_MS - clock();
    if (waitMs > 0) await delay(waitMs, undefined, { signal });
    await committer.commit(({ draft, tail }) => {
      // Somebody else's leaf may have come in between.
      if (isOld(tail)) draft.touch();
    });
  }
}

function ofAnotherLog(claimed: string, origin: string): InvalidArgument {
  const field = "checkpoint";
  return new InvalidArgument(`checkpoint: of the log ${claimed}, and this one is ${origin}`, { field });
}

function behind(size: number, wanted: number): RolledBack {
  return new RolledBack(`the log has ${size} leaves, and its caller has seen ${wanted}`, {
    field: "min_log_size",
    hint: "ask a server that has them; if there is none, this one has lost writes that were acknowledged",
    facts: { kind: "log", log_size: String(size), min_log_size: String(wanted) },
  });
}
