// The messages of a client's stream, ended by the signal. A transport may end a cancelled stream as if it were complete,
// or not at all, so neither is relied on: the signal decides which it was, and a handler waits for it as well.
import { endedError, throwIfEnded } from "./pace.js";

/**
 * The messages in order. Lets go of the stream when left early, without waiting for a message that is still out.
 * @throws NeleusError - the call has ended, also where the stream then ends as if complete
 */
export async function* incoming<T>(
  requests: AsyncIterable<T>,
  signal: AbortSignal,
): AsyncGenerator<T, void, undefined> {
  throwIfEnded(signal);
  const iterator = requests[Symbol.asyncIterator]();
  // One listener and a promise for each message: a race against one long-lived promise would keep all of them.
  let refuse: ((reason: Error) => void) | undefined;
  const onAbort = (): void => refuse?.(endedError(signal));
  signal.addEventListener("abort", onAbort);
  try {
    for (;;) {
      const result = await new Promise<IteratorResult<T>>((resolve, reject) => {
        refuse = reject;
        iterator.next().then(resolve, reject);
      });
      throwIfEnded(signal);
      if (result.done === true) return;
      yield result.value;
      throwIfEnded(signal);
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    // Not awaited: a generator answers it only once the message it waits for has come.
    iterator.return?.().catch(() => undefined);
  }
}
