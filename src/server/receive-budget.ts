// Bounds what one request stream holds of messages that its handler has not taken, in bytes.
//
// grpc-js reads ahead until 16 messages wait, whatever their size. It does ask for the next one only after an interceptor
// has passed this one on, so a message over the budget is held back there until the handler has taken enough; the
// HTTP/2 window then fills, and the peer waits.
import { ServerInterceptingCall, type ServerInterceptor } from "@grpc/grpc-js";

/** A message of a request stream. The bytes are its own. */
export interface ReceivedMessage {
  readonly bytes: Buffer;
  /** The handler has taken it: its bytes no longer count. */
  readonly release: () => void;
}

/** What a message costs beside its bytes: many tiny ones must not be free. */
const MESSAGE_OVERHEAD_BYTES = 256;

/** Wraps the messages of every call that streams requests; other calls pass untouched. */
export function receiveBudget(limitBytes: number): ServerInterceptor {
  return (method, call) => {
    // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- only its interface is used
    if (!method.requestStream) return call as ServerInterceptingCall;
    const budget = new Budget(limitBytes);
    return new ServerInterceptingCall(call, {
      start: (next) => next({ onReceiveMessage: (bytes: Buffer, pass) => budget.admit(bytes, pass) }),
    });
  };
}

class Budget {
  readonly #limitBytes: number;
  #usedBytes = 0;
  /** At most one message: the next is asked for only once this one has been passed on. */
  #held: (() => void) | undefined;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  admit(bytes: Buffer, pass: (message: ReceivedMessage) => void): void {
    const costBytes = bytes.length + MESSAGE_OVERHEAD_BYTES;
    const proceed = (): void => {
      this.#usedBytes += costBytes;
      pass({ bytes, release: () => this.#release(costBytes) });
    };
    // One message always passes, however large: the message limit bounds it.
    if (this.#usedBytes === 0 || this.#usedBytes + costBytes <= this.#limitBytes) proceed();
    else this.#held = proceed;
  }

  #release(costBytes: number): void {
    this.#usedBytes -= costBytes;
    if (this.#usedBytes > this.#limitBytes / 2) return;
    const held = this.#held;
    this.#held = undefined;
    held?.();
  }
}
