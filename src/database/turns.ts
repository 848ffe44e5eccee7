// Long work of this thread, in slices: between its steps it lets others run, and notices that nobody waits for it any
// more. Promises alone do neither: work whose every step is at hand goes by in one turn of the event loop, and no timer of
// a deadline fires meanwhile.
import { setImmediate as eventTurn } from "node:timers/promises";

/** How long work goes on without a turn of the event loop, in milliseconds; one step of it may take longer. */
const MAX_RUN_MS = 4;

export class Turns {
  readonly #signal: AbortSignal | undefined;
  #sinceMs = performance.now();

  constructor(signal?: AbortSignal) {
    this.#signal = signal;
  }

  /** To be awaited between two steps. @throws the signal's reason - it has fired */
  async giveWay(): Promise<void> {
    this.#signal?.throwIfAborted();
    if (performance.now() - this.#sinceMs < MAX_RUN_MS) return;
    await eventTurn();
    this.#signal?.throwIfAborted();
    this.#sinceMs = performance.now();
  }
}
