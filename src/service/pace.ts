// Keeps one long call from starving the others: reads of a local store run without waiting, so a scan would otherwise
// hold the event loop until its stream is full. Between steps a call asks whether its slice of time is used up, and
// then lets the loop turn once. The same place notices that the caller is gone.
import { NeleusError } from "../core/errors.js";

/** How long a call may run before it lets others run, in milliseconds. */
const SLICE_MS = 4;

/** @throws NeleusError - CANCELLED or DEADLINE_EXCEEDED, or the reason that the signal was given */
export function throwIfEnded(signal: AbortSignal): void {
  if (signal.aborted) throw endedError(signal);
}

/** The error of a call whose signal has fired. */
export function endedError(signal: AbortSignal): NeleusError {
  const reason: unknown = signal.reason;
  if (reason instanceof NeleusError) return reason;
  if (reason instanceof Error && reason.name === "TimeoutError") {
    return new NeleusError("DEADLINE_EXCEEDED", "the call's deadline passed");
  }
  return new NeleusError("CANCELLED", "the call was cancelled");
}

/** Work that was given a call's signal: where that ended it, it fails as the call does. */
export async function endedBy<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const isEnd = error === signal.reason || (error instanceof Error && error.name === "AbortError");
    throw signal.aborted && isEnd ? endedError(signal) : error;
  }
}

/** The pace of one call. In a loop: `if (pace.isDue) await pace.rest();` */
export class Pace {
  readonly #signal: AbortSignal;
  #restedMs = performance.now();

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** True when it is time to rest, or the call has ended. */
  get isDue(): boolean {
    return this.#signal.aborted || performance.now() - this.#restedMs >= SLICE_MS;
  }

  /** Lets the event loop turn. @throws NeleusError - the call has ended */
  async rest(): Promise<void> {
    throwIfEnded(this.#signal);
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
    throwIfEnded(this.#signal);
    this.#restedMs = performance.now();
  }
}
