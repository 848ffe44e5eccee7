// Bounds what a stream of answers holds that its reader has not taken, in bytes. grpc-js reads ahead until 16 messages
// wait, whatever their size; it asks for the next one only after an interceptor has passed this one on, so a message
// over the budget is held back there. The HTTP/2 window then fills, and the server waits.
import { InterceptingCall, type Interceptor } from "@grpc/grpc-js";

/** What a message costs beside its bytes: many tiny ones must not be free. */
const MESSAGE_OVERHEAD_BYTES = 256;

/** The budget of one call. */
export class ReceiveBudget {
  readonly #limitBytes: number;
  #usedBytes = 0;
  /** At most one message: the next is asked for only once this one has been passed on. */
  #held: (() => void) | undefined;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Goes into the options of the call. */
  readonly interceptor: Interceptor = (options, nextCall) =>
    new InterceptingCall(nextCall(options), {
      start: (metadata, _listener, next) => {
        next(metadata, { onReceiveMessage: (bytes: Buffer, pass) => this.#admit(bytes, pass) });
      },
    });

  /** The reader has taken a message. */
  release(bytes: Buffer): void {
    this.#usedBytes -= bytes.length + MESSAGE_OVERHEAD_BYTES;
    if (this.#usedBytes > this.#limitBytes / 2) return;
    const held = this.#held;
    this.#held = undefined;
    held?.();
  }

  #admit(bytes: Buffer, pass: (bytes: Buffer) => void): void {
    const costBytes = bytes.length + MESSAGE_OVERHEAD_BYTES;
    const proceed = (): void => {
      this.#usedBytes += costBytes;
      pass(bytes);
    };
    // One message always passes, however large: the message limit bounds it.
    if (this.#usedBytes === 0 || this.#usedBytes + costBytes <= this.#limitBytes) proceed();
    else this.#held = proceed;
  }
}
