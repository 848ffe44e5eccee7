// Tells once when a server has had nothing to do for a while: a server that a client started for itself then leaves.

export class IdleWatch {
  readonly #afterMs: number;
  readonly #onIdle: (() => void) | undefined;
  readonly #busyCount: () => number;
  #timer: NodeJS.Timeout | undefined;
  #isStopped: boolean;

  constructor(options: {
    /** Absent: it is never told. */
    readonly onIdle?: () => void;
    readonly afterMs?: number;
    /** Calls and connections at the moment. */
    readonly busyCount: () => number;
  }) {
    this.#afterMs = options.afterMs ?? 0;
    this.#onIdle = options.onIdle;
    this.#busyCount = options.busyCount;
    this.#isStopped = options.onIdle === undefined;
    this.update();
  }

  /** To be called whenever the count may have changed. */
  update(): void {
    if (this.#isStopped) return;
    if (this.#busyCount() > 0) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      return;
    }
    this.#timer ??= setTimeout(() => {
      this.#isStopped = true;
      this.#onIdle?.();
    }, this.#afterMs);
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }
}
