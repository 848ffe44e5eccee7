// A stream whose first message holds the log that the whole of it hangs on: that is verified before the rest is taken.
import { IncompleteProof } from "../core/errors.js";

export class OpenedStream<R, T> {
  readonly #open: (request: R) => AsyncIterable<T>;
  #messages: AsyncIterator<T, unknown, undefined> | undefined;

  constructor(open: (request: R) => AsyncIterable<T>) {
    this.#open = open;
  }

  /** Asks, and waits for the first message. Asked again, the stream before is let go. @throws IncompleteProof - there is none */
  async begin(request: R): Promise<T> {
    await this.end();
    this.#messages = this.#open(request)[Symbol.asyncIterator]();
    const first = await this.#messages.next();
    if (first.done !== true) return first.value;
    throw new IncompleteProof("the answer ended before it began");
  }

  /** The first message, and all that follow. */
  async *from(first: T): AsyncGenerator<T, void, undefined> {
    yield first;
    for (;;) {
      const step = await this.#messages?.next();
      if (step === undefined || step.done === true) return;
      yield step.value;
    }
  }

  /** Lets go of the stream, wherever it stands. Twice is fine. */
  async end(): Promise<void> {
    const messages = this.#messages;
    this.#messages = undefined;
    await messages?.return?.();
  }
}
