// What a peer owes that streams requests: something within each limit of time, and enough of it. Without the second part
// one byte a minute would hold a call, and an upload's place, for ever.
//
// Only the time in which the handler waits for the peer counts, so a slow disk or a busy server is never held against it.
// Enough is judged once that time adds up to a whole window; what is finished before that may be as small as it likes.
import { NeleusError } from "../core/errors.js";

export interface ProgressLimits {
  /** Longest wait for one message, and the length of a window, in milliseconds. */
  readonly slowPeerTimeoutMs: number;
  /** Bytes of messages that have to arrive in each window. */
  readonly minProgressBytes: number;
}

/** The account of one stream. */
export class RequestProgress {
  readonly #limits: ProgressLimits;
  readonly #onTooSlow: (reason: NeleusError) => void;
  #windowBytes = 0;
  /** What is left of the window while nobody waits; as of `#armedMs` while somebody does. */
  #windowLeftMs: number;
  #waitStartedMs = 0;
  #armedMs = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param onTooSlow - told during a wait, at most once in each */
  constructor(limits: ProgressLimits, onTooSlow: (reason: NeleusError) => void) {
    this.#limits = limits;
    this.#onTooSlow = onTooSlow;
    this.#windowLeftMs = limits.slowPeerTimeoutMs;
  }

  /** A message has arrived, whether or not anybody waits for it. */
  arrived(sizeBytes: number): void {
    this.#windowBytes += sizeBytes;
  }

  /** The handler has to wait for the next message. */
  waitBegins(): void {
    this.#waitStartedMs = performance.now();
    this.#arm(this.#waitStartedMs);
  }

  /** The wait is over, whichever way. No effect where there was none. */
  waitEnds(): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#windowLeftMs -= performance.now() - this.#armedMs;
  }

  /** The end of the window comes no later than that of the longest wait: a window is as long. */
  #arm(nowMs: number): void {
    const idleLeftMs = this.#limits.slowPeerTimeoutMs - (nowMs - this.#waitStartedMs);
    this.#armedMs = nowMs;
    this.#timer = setTimeout(() => this.#judge(), Math.max(0, Math.min(this.#windowLeftMs, idleLeftMs)));
  }

  #judge(): void {
    const { slowPeerTimeoutMs, minProgressBytes } = this.#limits;
    const nowMs = performance.now();
    this.#windowLeftMs -= nowMs - this.#armedMs;
    // A timer may fire a little early by this clock.
    const isOver = (leftMs: number): boolean => leftMs < 1;
    if (isOver(slowPeerTimeoutMs - (nowMs - this.#waitStartedMs))) {
      this.#onTooSlow(tooSlow("nothing arrived on the stream", this.#limits));
      return;
    }
    if (isOver(this.#windowLeftMs)) {
      if (this.#windowBytes < minProgressBytes) {
        this.#onTooSlow(tooSlow(`only ${this.#windowBytes} bytes arrived on the stream`, this.#limits));
        return;
      }
      this.#windowBytes = 0;
      this.#windowLeftMs = slowPeerTimeoutMs;
    }
    this.#arm(nowMs);
  }
}

function tooSlow(what: string, { slowPeerTimeoutMs, minProgressBytes }: ProgressLimits): NeleusError {
  const waited = `in ${slowPeerTimeoutMs / 1000} seconds of waiting for it`;
  return new NeleusError("DEADLINE_EXCEEDED", `${what} ${waited}, and ${minProgressBytes} bytes is the least`, {
    hint: "gather the content before it is sent; an upload with an id goes on where it stands: ask QueryUpload",
    facts: { limit: "progress_bytes", value: String(minProgressBytes) },
  });
}
