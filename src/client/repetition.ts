// Calls that are made again where their answer may have been lost on the way.
//
// A call is repeated only if that can do no harm: it reads, it stores what is named by its own hash, or it carries an
// idempotency key. Only UNAVAILABLE is a reason, which says that nobody knows; between two tries lies a random wait that
// doubles with each, so that the clients of a server that comes back do not come all at once. All tries and waits
// together stay within the deadline of the call, and a signal that fires ends them.
import type { DescMethod } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { BlobService } from "../../gen/neleus/v1/blob_pb.js";
import { ProofService } from "../../gen/neleus/v1/proof_pb.js";
import { InvalidArgument, NeleusError } from "../core/errors.js";
import { ConnectionClosed, signalReason } from "./client-call.js";
import type { CallOptions } from "./transport.js";

/** How often a call is made at most. */
export const DEFAULT_MAX_ATTEMPTS = 5;
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 2_000;

/** Calls that change something, and may all the same be made twice: the second time finds nothing left to do. */
const HARMLESS: ReadonlySet<DescMethod> = new Set<DescMethod>([
  BlobService.method.batchPut,
  // Appends a leaf with the same refs root at most.
  ProofService.method.getSnapshot,
]);

/** True for a call that may be made again without knowing what became of it. */
export function isRepeatable(method: DescMethod, request: object): boolean {
  if (method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS || HARMLESS.has(method)) return true;
  const key: unknown = "idempotencyKey" in request ? request.idempotencyKey : "";
  return typeof key === "string" && key !== "";
}

/** @throws InvalidArgument - not an integer from 1 on */
export function requireMaxAttempts(maxAttempts: number): number {
  if (Number.isSafeInteger(maxAttempts) && maxAttempts >= 1) return maxAttempts;
  throw new InvalidArgument(`maxAttempts: an integer from 1 on, not ${maxAttempts}`, { field: "maxAttempts" });
}

/** The tries of one call. */
export class Repetition {
  readonly #maxAttempts: number;
  readonly #signals: readonly AbortSignal[];
  readonly #signal: AbortSignal | undefined;
  readonly #timeoutMs: number | undefined;
  readonly #startedMs = performance.now();
  #attempts = 1;
  #isAgain = false;

  /** @param defaults - those of the transport: their signal counts too, their deadline holds where the call has none */
  constructor(maxAttempts: number, options: CallOptions, defaults: CallOptions = {}) {
    this.#maxAttempts = maxAttempts;
    this.#signal = options.signal;
    this.#signals = [options.signal, defaults.signal].filter((signal) => signal !== undefined);
    this.#timeoutMs = options.timeoutMs ?? defaults.timeoutMs;
  }

  /** The settings of the next try: with what is left of the deadline. */
  get options(): CallOptions {
    const timeoutMs = this.#timeoutMs;
    if (timeoutMs === undefined || !this.#isAgain) return { signal: this.#signal, timeoutMs };
    return { signal: this.#signal, timeoutMs: Math.max(0, Math.ceil(timeoutMs - this.#elapsedMs)) };
  }

  /** The last try got somewhere: the next is the first from there. */
  hasProgressed(): void {
    this.#attempts = 1;
  }

  get #elapsedMs(): number {
    return performance.now() - this.#startedMs;
  }

  /**
   * Resolves when the call is to be made again.
   * @throws what the last try failed with, where that is no reason, or there is no try or time left
   * @throws NeleusError - CANCELLED: a signal fired meanwhile
   */
  async next(failure: unknown): Promise<void> {
    const isReason = failure instanceof NeleusError && failure.code === "UNAVAILABLE";
    if (!isReason || failure instanceof ConnectionClosed || this.#attempts >= this.#maxAttempts) throw failure;
    const longestMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (this.#attempts - 1));
    const waitMs = longestMs / 2 + (Math.random() * longestMs) / 2;
    if (this.#timeoutMs !== undefined && this.#elapsedMs + waitMs >= this.#timeoutMs) throw failure;
    await this.#wait(waitMs);
    this.#attempts += 1;
    this.#isAgain = true;
  }

  #wait(waitMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer);
        for (const signal of this.#signals) signal.removeEventListener("abort", onAbort);
      };
      const onAbort = (): void => {
        settle();
        const fired = this.#signals.find((signal) => signal.aborted);
        if (fired !== undefined) reject(signalReason(fired));
      };
      const timer = setTimeout(() => {
        settle();
        resolve();
      }, waitMs);
      for (const signal of this.#signals) signal.addEventListener("abort", onAbort);
      if (this.#signals.some((signal) => signal.aborted)) onAbort();
    });
  }
}
