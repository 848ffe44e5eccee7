// What a peer is told that was too slow: where it was to send, DEADLINE_EXCEEDED; where it was to take, UNAVAILABLE, since
// what it has not taken it may ask for again.
import { NeleusError, Unavailable } from "../core/errors.js";
import type { ProgressLimits, TooSlow } from "./peer-progress.js";

/** Too little came on a request stream. */
export function sentTooSlowly({ movedBytes }: TooSlow, limits: ProgressLimits): NeleusError {
  const what = movedBytes === undefined ? "nothing" : `only ${movedBytes} bytes`;
  return new NeleusError("DEADLINE_EXCEEDED", `${what} arrived on the stream ${inWaiting(limits)}`, {
    hint: "gather the content before it is sent; an upload with an id goes on where it stands: ask QueryUpload",
    facts: factsOf(limits),
  });
}

/** A request that is one message did not come to its end. */
export function requestTooSlow(arrivedBytes: number, limits: ProgressLimits): NeleusError {
  const message = `the request did not come to its end: ${arrivedBytes} bytes of it arrived ${inWaiting(limits)}`;
  return new NeleusError("DEADLINE_EXCEEDED", message, {
    hint: "end the stream behind the request",
    facts: factsOf(limits),
  });
}

/** Too little of an answer was taken. */
export function takenTooSlowly({ movedBytes }: TooSlow, limits: ProgressLimits): Unavailable {
  const what = movedBytes === undefined ? "nothing" : `only ${movedBytes} bytes`;
  return new Unavailable(`the caller took ${what} of the answer ${inWaiting(limits)}`, { facts: factsOf(limits) });
}

function inWaiting({ slowPeerTimeoutMs, minProgressBytes }: ProgressLimits): string {
  return `in ${slowPeerTimeoutMs / 1000} seconds of waiting for it, and ${minProgressBytes} bytes is the least`;
}

function factsOf({ minProgressBytes }: ProgressLimits): Readonly<Record<string, string>> {
  return { limit: "progress_bytes", value: String(minProgressBytes) };
}
