// Sends the messages of an answer no faster than the peer takes them, counted in bytes.
//
// grpc-js lets 16 messages wait, whatever their size, and its `drain` never comes once a call is cancelled. So each
// message's own callback is awaited, together with the call's signal and a limit on how long the peer may take nothing.
import type { Writable } from "node:stream";
import { Unavailable } from "../core/errors.js";
import { MESSAGE_OVERHEAD_BYTES } from "../wire/receive-budget.js";
import type { Allocate } from "../wire/nested-message.js";
import { MessageFrames } from "./message-frames.js";
import type { OpenCall } from "./open-calls.js";

export class ResponseStream {
  readonly #call: Pick<Writable, "write">;
  readonly #open: OpenCall;
  readonly #bufferBytes: number;
  readonly #slowPeerTimeoutMs: number;
  #waitingBytes = 0;
  #onTaken: (() => void) | undefined;
  readonly #frames: MessageFrames;

  constructor(options: {
    readonly call: Pick<Writable, "write">;
    readonly open: OpenCall;
    readonly bufferBytes: number;
    readonly slowPeerTimeoutMs: number;
  }) {
    this.#call = options.call;
    this.#frames = new MessageFrames(options.call);
    this.#open = options.open;
    this.#bufferBytes = options.bufferBytes;
    this.#slowPeerTimeoutMs = options.slowPeerTimeoutMs;
  }

  /** Room for a message, with anything in it. */
  get allocate(): Allocate {
    return this.#frames.allocate;
  }

  /**
   * Hands a message to the connection; the bytes belong to it from then on.
   * @returns undefined where there is room for another at once, else a promise of room
   * @throws NeleusError - the call has ended, or the peer takes nothing (also as the promise's rejection)
   */
  send(bytes: Buffer): Promise<void> | undefined {
    this.#open.signal.throwIfAborted();
    const costBytes = bytes.length + MESSAGE_OVERHEAD_BYTES;
    this.#waitingBytes += costBytes;
    const frame = this.#frames.frameOf(bytes);
    this.#call.write(frame, () => {
      this.#waitingBytes -= costBytes;
      this.#frames.giveBack(frame);
      this.#onTaken?.();
    });
    return this.#waitingBytes < this.#bufferBytes ? undefined : this.#room(this.#bufferBytes);
  }

  /** Waits until all messages have gone: grpc-js may drop what waits when a status follows. Ends with the call. */
  async flushed(): Promise<void> {
    if (this.#waitingBytes === 0 || this.#open.signal.aborted) return;
    await this.#room(1).catch(() => undefined);
  }

  #room(belowBytes: number): Promise<void> {
    const { signal } = this.#open;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const waitedSeconds = this.#slowPeerTimeoutMs / 1000;
        this.#open.abort(new Unavailable(`the caller took nothing of the answer for ${waitedSeconds} seconds`));
      }, this.#slowPeerTimeoutMs);
      const settle = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", onAbort);
        this.#onTaken = undefined;
      };
      const onAbort = (): void => {
        settle();
        reject(signal.reason as Error);
      };
      signal.addEventListener("abort", onAbort);
      this.#onTaken = () => {
        timer.refresh();
        if (this.#waitingBytes >= belowBytes) return;
        settle();
        resolve();
      };
    });
  }
}
