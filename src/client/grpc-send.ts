// Sends the requests of a client stream no faster than the server takes them, counted in bytes.
import type { Writable } from "node:stream";
import { SEND_BUFFER_BYTES } from "../core/limits.js";
import type { Allocate } from "../wire/nested-message.js";
import { MESSAGE_OVERHEAD_BYTES } from "../wire/receive-budget.js";
import { ReusedArrays } from "../wire/reused-arrays.js";

export interface Sending {
  /** Settles when there is nothing more to send. Rejects with what the source or the encoder threw. */
  readonly failed: Promise<void>;
  /** The server has answered: takes no more of the source, and lets it go. */
  stop(): void;
}

/**
 * Starts to send everything that `requests` gives, then ends the stream. `encode` may write into room that it is given,
 * which is used again once the message was written: grpc-js has copied it into its frame by then, and keeps the frame alone
 * for another try (test/rpc/send.test.ts).
 */
export function sendRequests<T>(
  call: Pick<Writable, "write" | "end">,
  requests: AsyncIterable<T>,
  encode: (request: T, allocate: Allocate) => Buffer,
): Sending {
  const iterator = requests[Symbol.asyncIterator]();
  let isStopped = false;
  let hasEnded = false;
  let waitingBytes = 0;
  const arrays = new ReusedArrays();
  const allocate: Allocate = (sizeBytes) => arrays.take(sizeBytes).subarray(0, sizeBytes);
  let onTaken: (() => void) | undefined;

  const room = (): Promise<void> =>
    new Promise((resolve) => {
      onTaken = () => {
        if (waitingBytes >= SEND_BUFFER_BYTES && !isStopped) return;
        onTaken = undefined;
        resolve();
      };
      onTaken();
    });

  const send = async (): Promise<void> => {
    for (;;) {
      const next = await iterator.next();
      hasEnded = next.done === true;
      if (hasEnded || isStopped) break;
      const bytes = encode(next.value as T, allocate);
      waitingBytes += bytes.length + MESSAGE_OVERHEAD_BYTES;
      call.write(bytes, () => {
        arrays.giveBack(bytes);
        waitingBytes -= bytes.length + MESSAGE_OVERHEAD_BYTES;
        onTaken?.();
      });
      if (waitingBytes >= SEND_BUFFER_BYTES) await room();
    }
    if (!isStopped) call.end();
  };

  const letGo = (): void => {
    // Not awaited: a generator answers it only once what it waits for has come.
    if (!hasEnded) iterator.return?.().catch(() => undefined);
    hasEnded = true;
  };

  return {
    failed: send().catch((error: unknown) => {
      if (isStopped) return;
      letGo();
      throw error;
    }),
    stop: () => {
      isStopped = true;
      onTaken?.();
      letGo();
    },
  };
}
