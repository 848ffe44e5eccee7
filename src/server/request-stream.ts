// The requests of a client stream, as its handler iterates over them.
//
// A cancelled stream must not look finished. A peer that cancels may close its side properly first (Node does) and reset
// the stream in the next packet; where it only resets, Node ends the readable side and tells of the reset some ticks
// later. So an end is believed only when a while has passed without a cancellation; the iterator throws the reason of
// the call's signal otherwise. The wait costs a good upload nothing, since services act on its explicit finish message
// and do not read on to the end; and because no wait is long enough for every network, only that message may commit.
import type { EventEmitter } from "node:events";
import { assert } from "../core/errors.js";
import type { OpenCall } from "./open-calls.js";
import { PeerProgress, type ProgressLimits } from "./peer-progress.js";
import type { ReceivedMessage } from "./receive-budget.js";
import { sentTooSlowly } from "./too-slow.js";

/** How long a reset may follow the end of the requests. */
const END_BELIEVED_AFTER_MS = 50;

interface Waiter<T> {
  readonly resolve: (result: IteratorResult<T, undefined>) => void;
  readonly reject: (reason: unknown) => void;
}

/** Iterates once, in order, one `next` at a time. */
export class RequestStream<T> implements AsyncIterableIterator<T, undefined> {
  readonly #open: OpenCall;
  readonly #decode: (bytes: Buffer) => T;
  readonly #progress: PeerProgress;
  readonly #queue: ReceivedMessage[] = [];
  #hasEnded = false;
  #isLeft = false;
  #waiter: Waiter<T> | undefined;

  constructor(options: {
    /** The grpc-js call: a readable stream of ReceivedMessage. */
    readonly call: EventEmitter;
    readonly open: OpenCall;
    readonly decode: (bytes: Buffer) => T;
    readonly limits: ProgressLimits;
  }) {
    this.#open = options.open;
    this.#decode = options.decode;
    const { limits, open } = options;
    this.#progress = new PeerProgress(limits, (how) => open.abort(sentTooSlowly(how, limits)));
    options.call.on("data", (message: ReceivedMessage) => {
      if (this.#isLeft) return;
      this.#progress.moved(message.bytes.length);
      this.#queue.push(message);
      this.#wake();
    });
    options.call.once("end", () => {
      const believe = (): void => {
        this.#hasEnded = true;
        this.#wake();
      };
      // The turn after the timer: on a busy machine the reset may have come, and not have been read yet.
      setTimeout(() => setImmediate(believe), END_BELIEVED_AFTER_MS);
    });
    options.open.signal.addEventListener("abort", () => this.#wake(), { once: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /**
   * The next request, decoded; its byte fields are views of its own message.
   * @throws NeleusError - the call was cancelled, its deadline passed, or the server ended it
   * @throws NeleusError - DEADLINE_EXCEEDED: nothing, or too little, arrived for too long
   * @throws InvalidArgument - the message is malformed
   */
  next(): Promise<IteratorResult<T, undefined>> {
    assert(this.#waiter === undefined, "one next at a time");
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
      if (!this.#wake()) this.#progress.waitBegins();
    });
  }

  /** The handler wants no more. What has not been taken is dropped, and the peer is held back until the call ends. */
  async return(): Promise<IteratorResult<T, undefined>> {
    this.#isLeft = true;
    this.#queue.length = 0;
    return { done: true, value: undefined };
  }

  /** Gives the waiting `next` what there is. @returns false where it goes on waiting */
  #wake(): boolean {
    const waiter = this.#waiter;
    if (waiter === undefined) return true;
    const { signal } = this.#open;
    const message = signal.aborted || this.#isLeft ? undefined : this.#queue.shift();
    if (message === undefined && !signal.aborted && !this.#isLeft && !this.#hasEnded) return false;
    this.#waiter = undefined;
    this.#progress.waitEnds();
    if (signal.aborted) waiter.reject(signal.reason);
    else if (message === undefined) waiter.resolve({ done: true, value: undefined });
    else this.#deliver(message, waiter);
    return true;
  }

  #deliver(message: ReceivedMessage, waiter: Waiter<T>): void {
    message.release();
    try {
      waiter.resolve({ done: false, value: this.#decode(message.bytes) });
    } catch (error) {
      waiter.reject(error);
    }
  }
}
