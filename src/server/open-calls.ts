// Every call that the server is working on: its signal, its id, and how it ends.
//
// A call is open from its first byte until the peer has taken the last of the answer and the handler has let go. grpc-js
// emits `cancelled` on every end of a call, also the good one, once nothing of it is left on the wire: before the
// handler's answer it means that the peer or the deadline ended the call, afterwards that the answer is gone.
import { randomBytes } from "node:crypto";
import { setMaxListeners } from "node:events";
import { NeleusError } from "../core/errors.js";
import type { CallContext } from "../service/implementation.js";
import { hasEnded, resetStream } from "./grpc-internals.js";

/** What calls of every kind have in common. */
export interface SurfaceCall {
  once(event: "cancelled", listener: () => void): unknown;
  getDeadline(): Date | number;
}

/** How long a peer has to take the status and end its side before its stream is reset, if it was too slow or streams on. */
export const LAST_WORD_MS = 1_000;

/** One call in progress. */
export class OpenCall implements CallContext {
  readonly requestId: string;
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly startedMs = performance.now();
  readonly #call: SurfaceCall;
  #controller: AbortController | undefined;
  readonly #lingerMs: number;
  readonly #onOver: (call: OpenCall) => void;
  #endedBy: NeleusError | undefined;
  #isAnswered = false;
  #isOver = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: {
    readonly call: SurfaceCall;
    readonly path: string;
    readonly requestId: string;
    readonly lingerMs: number;
    readonly onOver: (call: OpenCall) => void;
  }) {
    this.#call = options.call;
    this.path = options.path;
    this.requestId = options.requestId;
    this.#lingerMs = options.lingerMs;
    this.#onOver = options.onOver;
    options.call.once("cancelled", () => this.#onEnd());
    if (hasEnded(options.call)) this.#onEnd();
  }

  /**
   * To be asked before any work is done for the call.
   * @throws NeleusError - it has ended, or its deadline has passed though no timer has had its turn to say so
   */
  throwIfEnded(): void {
    if (Date.now() >= Number(this.#call.getDeadline())) this.abort(this.#whyEnded());
    if (this.#endedBy !== undefined) throw this.#endedBy;
  }

  /** Made when it is first asked for: that costs a tenth of a small call, and small calls do not ask. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      // A handler may hand its signal to any number of reads.
      setMaxListeners(0, this.#controller.signal);
      if (this.#endedBy !== undefined) this.#controller.abort(this.#endedBy);
    }
    return this.#controller.signal;
  }

  /** True once the peer is gone or has been given a status: nothing more can be sent. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Why the call was ended before its handler answered; undefined while it was not. */
  get endedBy(): NeleusError | undefined {
    return this.#endedBy;
  }

  /** Tells the handler to stop. The first reason stays. */
  abort(reason: NeleusError): void {
    if (this.#isAnswered || this.#endedBy !== undefined) return;
    this.#endedBy = reason;
    this.#controller?.abort(reason);
  }

  /** The handler has let go, and its answer or status was handed to grpc-js. The peer may still be taking it. */
  answered(): void {
    this.#isAnswered = true;
    if (this.#isOver) {
      this.#onOver(this);
      return;
    }
    const waitMs = this.#endedBy !== undefined ? Math.min(LAST_WORD_MS, this.#lingerMs) : this.#lingerMs;
    this.#timer = setTimeout(() => {
      resetStream(this.#call);
      this.#onEnd();
    }, waitMs);
  }

  #onEnd(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    if (this.#isAnswered) this.#onOver(this);
    else this.abort(this.#whyEnded());
  }

  #whyEnded(): NeleusError {
    const deadline = this.#call.getDeadline();
    return Date.now() >= Number(deadline)
      ? new NeleusError("DEADLINE_EXCEEDED", "the call's deadline passed")
      : new NeleusError("CANCELLED", "the call was cancelled by its caller, or the connection was lost");
  }
}

/** All of them. */
export class OpenCalls {
  /** Calls taken since the start. */
  startedCount = 0;
  readonly #open = new Set<OpenCall>();
  readonly #idPrefix = randomBytes(4).toString("hex");
  readonly #lingerMs: number;
  readonly #onCountChanged: () => void;

  constructor(options: { readonly lingerMs: number; readonly onCountChanged: () => void }) {
    this.#lingerMs = options.lingerMs;
    this.#onCountChanged = options.onCountChanged;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Notes a new call. Its id is unique among all servers for practical purposes, and says nothing of the call. */
  open(call: SurfaceCall, path: string): OpenCall {
    this.startedCount += 1;
    const open = new OpenCall({
      call,
      path,
      requestId: `${this.#idPrefix}-${this.startedCount.toString(36)}`,
      lingerMs: this.#lingerMs,
      onOver: (over) => {
        this.#open.delete(over);
        this.#onCountChanged();
      },
    });
    this.#open.add(open);
    this.#onCountChanged();
    return open;
  }

  abortAll(reason: NeleusError): void {
    for (const call of this.#open) call.abort(reason);
  }
}
