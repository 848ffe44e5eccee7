// The log as callers see it: who signs it, its newest checkpoint, and a fresher leaf for those who ask for one.
//
// Asking is reading, and leaves are kept for ever: so readers together cause at most one leaf in FRESH_LEAF_INTERVAL_MS,
// however many they are and in however many processes. Whoever asks for less than that waits for the interval to pass,
// and is then served by the one leaf that all who wait share, or by that of a write which came first.
import { setTimeout as delay } from "node:timers/promises";
import { InvalidArgument } from "../core/errors.js";
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
}

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
