// Sends the messages of an answer no faster than the peer takes them, counted in bytes.
//
// grpc-js lets 16 messages wait, whatever their size, and its `drain` never comes once a call is cancelled. So each
// message's own callback is awaited, together with the call's signal; a peer that takes nothing for too long, or too little,
// ends the call (peer-progress.ts).
import type { Writable } from "node:stream";
import type { StreamMemory } from "../database/index.js";
import { MESSAGE_OVERHEAD_BYTES } from "../wire/receive-budget.js";
import type { Allocate } from "../wire/nested-message.js";
import { MessageFrames } from "./message-frames.js";
import type { OpenCall, SurfaceCall } from "./open-calls.js";
import { PeerProgress, type ProgressLimits } from "./peer-progress.js";
import type { SendBudget } from "./send-budget.js";
import { takenTooSlowly } from "./too-slow.js";

export class ResponseStream implements StreamMemory {
  readonly #call: Pick<Writable, "write">;
  readonly #open: OpenCall;
  readonly #budget: SendBudget;
  readonly #bufferBytes: number;
  readonly #progress: PeerProgress;
  #waitingBytes = 0;
  #keptBytes = 0;
  #isDropped = false;
  #onTaken: (() => void) | undefined;
  readonly #frames: MessageFrames;

  constructor(options: {
    readonly call: Pick<Writable, "write"> & SurfaceCall;
    readonly open: OpenCall;
    readonly budget: SendBudget;
    readonly limits: ProgressLimits & { readonly sendBufferBytes: number };
  }) {
    this.#call = options.call;
    this.#frames = new MessageFrames(options.call);
    this.#open = options.open;
    this.#budget = options.budget;
    this.#bufferBytes = options.limits.sendBufferBytes;
    // Emitted at every end of a call, when nothing of it is left; what was not taken is dropped without a callback.
    options.call.once("cancelled", () => this.#drop());
    const { limits, open } = options;
    this.#progress = new PeerProgress(limits, (how) => open.abort(takenTooSlowly(how, limits)));
  }

  /** What the peer has not taken. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  messageBytes(mostBytes: number): number {
    return Math.min(mostBytes, this.#budget.shareBytes);
  }

  keep(wantedBytes: number): number {
    if (this.#isDropped) return wantedBytes;
    this.#budget.add(-this.#keptBytes);
    this.#keptBytes = Math.min(wantedBytes, this.#budget.shareBytes);
    this.#budget.add(this.#keptBytes);
    return this.#keptBytes;
  }

  /** Room for a message, with anything in it. */
  get allocate(): Allocate {
    return this.#frames.allocate;
  }

  /**
   * Hands a message to the connection; the bytes belong to it from then on.
   * @returns undefined where there is room for another at once, else a promise of room
   * @throws NeleusError - the call has ended, or the peer takes nothing or too little (also as the promise's rejection)
   */
  send(bytes: Buffer): Promise<void> | undefined {
    this.#open.signal.throwIfAborted();
    const costBytes = bytes.length + MESSAGE_OVERHEAD_BYTES;
    this.#waitingBytes += costBytes;
    this.#budget.add(costBytes);
    const frame = this.#frames.frameOf(bytes);
    this.#call.write(frame, () => {
      if (this.#isDropped) return;
      this.#waitingBytes -= costBytes;
      this.#budget.add(-costBytes);
      this.#frames.giveBack(frame);
      this.#progress.moved(costBytes);
      this.#onTaken?.();
    });
    const bufferBytes = Math.min(this.#bufferBytes, this.#budget.shareBytes);
    return this.#waitingBytes < bufferBytes ? undefined : this.#room(bufferBytes);
  }

  /** Nothing waits any more: the call is over. */
  #drop(): void {
    if (this.#isDropped) return;
    this.#isDropped = true;
    this.#budget.add(-this.#waitingBytes - this.#keptBytes);
    this.#waitingBytes = 0;
    this.#keptBytes = 0;
  }

  /** Waits until all messages have gone: grpc-js may drop what waits when a status follows. Ends with the call. */
  async flushed(): Promise<void> {
    if (this.#waitingBytes === 0 || this.#open.signal.aborted) return;
    await this.#room(1).catch(() => undefined);
  }

  #room(belowBytes: number): Promise<void> {
    const { signal } = this.#open;
    return new Promise((resolve, reject) => {
      this.#progress.waitBegins();
      const settle = (): void => {
        this.#progress.waitEnds();
        signal.removeEventListener("abort", onAbort);
        this.#onTaken = undefined;
      };
      const onAbort = (): void => {
        settle();
        reject(signal.reason as Error);
      };
      signal.addEventListener("abort", onAbort);
      this.#onTaken = () => {
        if (this.#waitingBytes >= belowBytes) return;
        settle();
        resolve();
      };
    });
  }
}
