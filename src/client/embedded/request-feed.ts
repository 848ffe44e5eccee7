// The requests of a client stream on their way from the caller's source to a handler in this process.
import { NeleusError } from "../../core/errors.js";

/** What the handler iterates over. Pulls from the source only as the handler asks. */
export class RequestFeed<I, O> implements AsyncIterableIterator<O, undefined> {
  readonly #source: AsyncIterator<I>;
  readonly #signal: AbortSignal;
  readonly #convert: (request: I) => O;
  readonly #onFailed: (reason: NeleusError) => void;
  #failure: { readonly error: unknown } | undefined;
  #hasEnded = false;

  constructor(options: {
    readonly source: AsyncIterable<I>;
    /** The handler's. */
    readonly signal: AbortSignal;
    readonly convert: (request: I) => O;
    /** Told when the source has failed, with what the handler may know of that. */
    readonly onFailed: (reason: NeleusError) => void;
  }) {
    this.#source = options.source[Symbol.asyncIterator]();
    this.#signal = options.signal;
    this.#convert = options.convert;
    this.#onFailed = options.onFailed;
  }

  /** What the source threw. */
  get failure(): { readonly error: unknown } | undefined {
    return this.#failure;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** @throws NeleusError - the call has ended, or the source failed (CANCELLED: the handler is not told how) */
  async next(): Promise<IteratorResult<O, undefined>> {
    this.#signal.throwIfAborted();
    if (this.#hasEnded) return { done: true, value: undefined };
    const next = await this.#pull();
    this.#signal.throwIfAborted();
    if (next.done === true) {
      this.#hasEnded = true;
      return { done: true, value: undefined };
    }
    return { done: false, value: this.#convert(next.value) };
  }

  async return(): Promise<IteratorResult<O, undefined>> {
    this.stop();
    return { done: true, value: undefined };
  }

  /** Lets go of the source, without waiting for what it may still be at. */
  stop(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#source.return?.().catch(() => undefined);
  }

  /** The source's next request, or the end of the call, whichever comes first. */
  #pull(): Promise<IteratorResult<I>> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => reject(this.#signal.reason as Error);
      this.#signal.addEventListener("abort", onAbort, { once: true });
      const settle = (): void => this.#signal.removeEventListener("abort", onAbort);
      this.#source.next().then(
        (next) => {
          settle();
          resolve(next);
        },
        (error: unknown) => {
          settle();
          this.#failure ??= { error };
          this.#hasEnded = true;
          const reason = new NeleusError("CANCELLED", "the caller's source of requests failed");
          this.#onFailed(reason);
          reject(reason);
        },
      );
    });
  }
}
