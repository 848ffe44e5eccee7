// Bounds what heavy calls hold in memory, all together: each says beforehand how many bytes it may come to hold, and waits
// its turn when there is no room. First come, first served, so that a large call is not overtaken for ever by small ones.
//
// The budget is one for each set of services, which is one for each server. What waits is bounded in time and number, and
// is refused with advice beyond that: a queue without an end would be the memory that this is to save.
import { LimitExceeded } from "../core/errors.js";
import { MAX_WAITING_CALLS, WORK_BUDGET_BYTES, WORK_WAIT_MS } from "../core/limits.js";
import { endedError, throwIfEnded } from "./pace.js";

export interface WorkBudgetLimits {
  /** What may be held at once, in bytes. One call alone always passes. */
  readonly bytes: number;
  /** How long a call waits for room, in milliseconds. */
  readonly waitMs: number;
  /** How many calls wait at once. */
  readonly waitingCalls: number;
}

const DEFAULTS: WorkBudgetLimits = {
  bytes: WORK_BUDGET_BYTES,
  waitMs: WORK_WAIT_MS,
  waitingCalls: MAX_WAITING_CALLS,
};

interface Waiter {
  readonly sizeBytes: number;
  readonly admit: () => void;
}

export class WorkBudget {
  readonly #limits: WorkBudgetLimits;
  readonly #waiting: Waiter[] = [];
  #usedBytes = 0;

  constructor(limits: Partial<WorkBudgetLimits> = {}) {
    this.#limits = { ...DEFAULTS, ...limits };
  }

  /**
   * Waits until there is room for so many bytes, which count until what this resolves to is called.
   * @throws LimitExceeded - no room came in time, or too many wait already
   * @throws NeleusError - the call ended while it waited
   */
  async take(sizeBytes: number, signal: AbortSignal): Promise<() => void> {
    throwIfEnded(signal);
    if (this.#waiting.length === 0 && this.#hasRoom(sizeBytes)) this.#usedBytes += sizeBytes;
    else await this.#turn(sizeBytes, signal);
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#usedBytes -= sizeBytes;
      this.#admitWaiting();
    };
  }

  #hasRoom(sizeBytes: number): boolean {
    return this.#usedBytes === 0 || this.#usedBytes + sizeBytes <= this.#limits.bytes;
  }

  #turn(sizeBytes: number, signal: AbortSignal): Promise<void> {
    if (this.#waiting.length >= this.#limits.waitingCalls) return Promise.reject(this.#noRoom());
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", onAbort);
      };
      const waiter: Waiter = {
        sizeBytes,
        admit: () => {
          settle();
          resolve();
        },
      };
      const giveUp = (reason: Error): void => {
        settle();
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(reason);
        // It may have been the one that all others were behind.
        this.#admitWaiting();
      };
      const onAbort = (): void => giveUp(endedError(signal));
      const timer = setTimeout(() => giveUp(this.#noRoom()), this.#limits.waitMs);
      signal.addEventListener("abort", onAbort);
      this.#waiting.push(waiter);
    });
  }

  #admitWaiting(): void {
    for (
      let first = this.#waiting[0];
      first !== undefined && this.#hasRoom(first.sizeBytes);
      first = this.#waiting[0]
    ) {
      this.#waiting.shift();
      this.#usedBytes += first.sizeBytes;
      first.admit();
    }
  }

  #noRoom(): LimitExceeded {
    const { bytes } = this.#limits;
    return new LimitExceeded(
      `the server is busy with as many large reads as it takes at once, ${bytes} bytes of them`,
      {
        hint: "try again in a few seconds, with fewer keys in a request or fewer requests at once",
        facts: { limit: "work_bytes", value: String(bytes) },
      },
    );
  }
}
