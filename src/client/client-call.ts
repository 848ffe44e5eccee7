// What a call has on the client's side, over whatever transport: its signals, its deadline, and why this side ended it.
import { InvalidArgument, NeleusError, Unavailable } from "../core/errors.js";
import type { CallOptions } from "./transport.js";

/**
 * Longest deadline in milliseconds, about 23 days: timers of Node overflow to "now" at 24.8, on either side of a
 * connection. A longer one is cut to this.
 */
const MAX_TIMEOUT_MS = 2_000_000_000;

/** One call, from before its start until it has ended. */
export class ClientCall {
  /** When the call ends at the latest, in milliseconds since 1970, or Infinity. */
  readonly deadlineMs: number;
  readonly #signals: readonly AbortSignal[];
  readonly #timer: NodeJS.Timeout | undefined;
  #endedBy: NeleusError | undefined;
  #onEnd: ((reason: NeleusError) => void) | undefined;

  /**
   * @param options - the call's own settings
   * @param defaults - those of the connection: their signal ends the call too, their deadline holds if it has none
   * @throws InvalidArgument - the deadline is no number
   * @throws NeleusError - CANCELLED: a signal has fired already
   */
  constructor(options: CallOptions, defaults: CallOptions = {}) {
    const timeoutMs = options.timeoutMs ?? defaults.timeoutMs;
    if (timeoutMs !== undefined && !(timeoutMs >= 0)) {
      throw new InvalidArgument(`a deadline of ${timeoutMs} milliseconds`, { field: "timeoutMs" });
    }
    this.#signals = [options.signal, defaults.signal].filter((signal) => signal !== undefined);
    const fired = this.#signals.find((signal) => signal.aborted);
    if (fired !== undefined) throw signalReason(fired);
    for (const signal of this.#signals) signal.addEventListener("abort", this.#onSignal);
    const waitMs = timeoutMs === undefined ? Infinity : Math.min(timeoutMs, MAX_TIMEOUT_MS);
    this.deadlineMs = Date.now() + waitMs;
    if (waitMs === Infinity) return;
    const passed = new NeleusError("DEADLINE_EXCEEDED", `no answer within ${waitMs} milliseconds`);
    this.#timer = setTimeout(() => this.end(passed), waitMs);
  }

  readonly #onSignal = (event: Event): void => this.end(signalReason(event.target as AbortSignal));

  /** Once the call has started: how it is ended from this side. Called at most once, at once if it has to. */
  onEnd(listener: (reason: NeleusError) => void): void {
    if (this.#endedBy === undefined) this.#onEnd = listener;
    else listener(this.#endedBy);
  }

  /** Why this side ended the call; undefined while it has not. */
  get endedBy(): NeleusError | undefined {
    return this.#endedBy;
  }

  /** Ends the call from this side. The first reason stays. */
  end(reason: NeleusError): void {
    if (this.#endedBy !== undefined) return;
    this.#endedBy = reason;
    this.#onEnd?.(reason);
  }

  throwIfEnded(): void {
    if (this.#endedBy !== undefined) throw this.#endedBy;
  }

  /** The call is over: lets go of signals and timer. */
  release(): void {
    clearTimeout(this.#timer);
    for (const signal of this.#signals) signal.removeEventListener("abort", this.#onSignal);
    this.#onEnd = undefined;
  }
}

/** This side has closed its connection: no call over it is to be made again. */
export class ConnectionClosed extends Unavailable {}

/** The error of a call whose signal has fired. */
export function signalReason(signal: AbortSignal): NeleusError {
  const reason: unknown = signal.reason;
  if (reason instanceof NeleusError) return reason;
  if (reason instanceof Error && reason.name === "TimeoutError") {
    return new NeleusError("DEADLINE_EXCEEDED", "the caller's time limit passed", {}, { cause: reason });
  }
  return new NeleusError("CANCELLED", "cancelled by the caller", {}, { cause: reason });
}
