// The log as callers see it: who signs it, its newest checkpoint, and a fresher leaf for those who ask for one.
//
// Asking is reading, and leaves are kept for ever: so readers together cause at most one leaf in FRESH_LEAF_INTERVAL_MS,
// however many they are and in however many processes. Whoever asks for less than that waits for the interval to pass,
// and is then served by the one leaf that all who wait share, or by that of a write which came first.
import { setTimeout as delay } from "node:timers/promises";
import { InvalidArgument, RolledBack } from "../core/errors.js";
import { FRESH_LEAF_INTERVAL_MS } from "../core/limits.js";
import type { CheckpointSigner } from "./checkpoint-signer.js";
import type { Committer } from "./committer.js";
import type { TransparencyLog } from "./contract.js";
import type { LogStore, Tail } from "./log-store.js";

export interface LogOptions {
  readonly log: LogStore;
  readonly committer: Committer;
  readonly signer: CheckpointSigner;
  readonly clock: () => number;
  /** How long `reach` waits at most. */
  readonly longestWaitMs: number;
}

/** What other processes append is seen by looking. */
const LOOK_EVERY_MS = 50;

export class DatabaseLog implements TransparencyLog {
  readonly #options: LogOptions;

  constructor(options: LogOptions) {
    this.#options = options;
  }

  get origin(): string {
    return this.#options.signer.origin;
  }

  get verifierKey(): string {
    return this.#options.signer.verifierKey;
  }

  async checkpoint(): Promise<string> {
    const { log } = this.#options;
    return log.checkpoint(log.tail());
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

function behind(size: number, wanted: number): RolledBack {
  return new RolledBack(`the log has ${size} leaves, and its caller has seen ${wanted}`, {
    field: "min_log_size",
    hint: "ask a server that has them; if there is none, this one has lost writes that were acknowledged",
    facts: { kind: "log", log_size: String(size), min_log_size: String(wanted) },
  });
}
