// What a peer owes while it is waited for, as it sends requests or takes an answer: something within each limit of time, and
// enough of it. Without the second part one byte a minute would hold a call, an upload's place, or a read's lease, for ever.
//
// Only the time in which this side waits for the peer counts, so a slow disk or a busy server is never held against it.
// Enough is judged once that time adds up to a whole window; what is finished before that may be as small as it likes.

export interface ProgressLimits {
  /** Longest wait in which nothing moves, and the length of a window, in milliseconds. */
  readonly slowPeerTimeoutMs: number;
  /** Bytes of messages that have to move in each window. */
  readonly minProgressBytes: number;
}

/** How a peer was too slow. */
export interface TooSlow {
  /** What has moved in the window; undefined: nothing has for too long. */
  readonly movedBytes: number | undefined;
}

/** The account of one stream. */
export class PeerProgress {
  readonly #limits: ProgressLimits;
  readonly #onTooSlow: (how: TooSlow) => void;
  #windowBytes = 0;
  /** What is left of the window while nobody waits; as of `#armedMs` while somebody does. */
  #windowLeftMs: number;
  /** When something moved last in this wait, or when it began. */
  #movedMs = 0;
  #armedMs = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param onTooSlow - told during a wait, at most once in each */
  constructor(limits: ProgressLimits, onTooSlow: (how: TooSlow) => void) {
    this.#limits = limits;
    this.#onTooSlow = onTooSlow;
    this.#windowLeftMs = limits.slowPeerTimeoutMs;
  }

  /** A message has arrived, or has been taken, whether or not anybody waits for it. */
  moved(sizeBytes: number): void {
    this.#windowBytes += sizeBytes;
    if (this.#timer !== undefined) this.#movedMs = performance.now();
  }

  /** The peer is waited for. */
  waitBegins(): void {
    this.#movedMs = performance.now();
    this.#arm(this.#movedMs);
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
    const idleLeftMs = this.#limits.slowPeerTimeoutMs - (nowMs - this.#movedMs);
    this.#armedMs = nowMs;
    this.#timer = setTimeout(() => this.#judge(), Math.max(0, Math.min(this.#windowLeftMs, idleLeftMs)));
  }

  #judge(): void {
    const { slowPeerTimeoutMs, minProgressBytes } = this.#limits;
    const nowMs = performance.now();
    this.#windowLeftMs -= nowMs - this.#armedMs;
    // A timer may fire a little early by this clock.
    const isOver = (leftMs: number): boolean => leftMs < 1;
    if (isOver(slowPeerTimeoutMs - (nowMs - this.#movedMs))) {
      this.#onTooSlow({ movedBytes: undefined });
      return;
    }
    if (isOver(this.#windowLeftMs)) {
      if (this.#windowBytes < minProgressBytes) {
        this.#onTooSlow({ movedBytes: this.#windowBytes });
        return;
      }
      this.#windowBytes = 0;
      this.#windowLeftMs = slowPeerTimeoutMs;
    }
    this.#arm(nowMs);
  }
}
