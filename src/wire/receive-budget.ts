// Bounds what one stream holds of messages that its reader has not taken, in bytes: the same on both sides of a connection.
//
// grpc-js reads ahead until 16 messages wait, whatever their size. It asks for the next one only after an interceptor has
// passed this one on, so a message over the budget is held back there until the reader has taken enough; the HTTP/2
// window then fills, and the sender waits.

/** What a message costs beside its bytes: many tiny ones must not be free. */
export const MESSAGE_OVERHEAD_BYTES = 256;

/** The budget of one stream. */
export class ReceiveBudget {
  readonly #limitBytes: number;
  #usedBytes = 0;
  /** At most one message: the next is asked for only once this one has been passed on. */
  #held: (() => void) | undefined;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** A message has come: it is passed on now or later. */
  admit(message: Uint8Array, pass: () => void): void {
    const costBytes = message.length + MESSAGE_OVERHEAD_BYTES;
    const proceed = (): void => {
      this.#usedBytes += costBytes;
      pass();
    };
    // One message always passes, however large: the message limit bounds it.
    if (this.#usedBytes === 0 || this.#usedBytes + costBytes <= this.#limitBytes) proceed();
    else this.#held = proceed;
  }

  /** The reader has taken a message that was passed on. */
  release(message: Uint8Array): void {
    this.#usedBytes -= message.length + MESSAGE_OVERHEAD_BYTES;
    // Half empty before the next: one waking serves several messages.
    if (this.#usedBytes > this.#limitBytes / 2) return;
    const held = this.#held;
    this.#held = undefined;
    held?.();
  }
}
