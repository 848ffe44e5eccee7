// The log as callers see it: who signs it, its newest checkpoint, and a fresher leaf for those who ask for one.
import { InvalidArgument } from "../core/errors.js";
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

  async freshen(options: { readonly maxAgeMs: number }): Promise<void> {
    const { maxAgeMs } = options;
    if (!Number.isSafeInteger(maxAgeMs) || maxAgeMs < 0) {
      throw new InvalidArgument(`max_age_ms: 0 or more milliseconds, not ${maxAgeMs}`, { field: "max_age_ms" });
    }
    const { log, committer, clock } = this.#options;
    const isOld = (tail: Tail): boolean => clock() - tail.timeMs > maxAgeMs;
    if (!isOld(log.tail())) return;
    await committer.commit(({ draft, tail }) => {
      // Somebody else's write may have come in between.
      if (isOld(tail)) draft.touch();
    });
  }
}
