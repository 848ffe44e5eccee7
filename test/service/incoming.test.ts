// Goal: a stream in ends when its signal says so, whatever its transport does, and a busy loop lets others run.
// Method: streams that never send, that end cleanly on cancel, and that count what is let go.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { NeleusError, Unavailable } from "#src/core/errors.js";
import { incoming } from "#src/service/incoming.js";
import { endedError, Pace, throwIfEnded } from "#src/service/pace.js";

function isCancelled(error: unknown): boolean {
  return error instanceof NeleusError && error.code === "CANCELLED";
}

describe("incoming", () => {
  test("hands on what comes, in order", async () => {
    const seen: number[] = [];
    const source = (async function* () {
      yield 1;
      yield 2;
    })();
    for await (const item of incoming(source, new AbortController().signal)) seen.push(item);
    assert.deepEqual(seen, [1, 2]);
  });

  test("does not wait for a message that never comes", async () => {
    const controller = new AbortController();
    let isReturned = false;
    const silent: AsyncIterable<number> = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise(() => undefined),
        return: async () => {
          isReturned = true;
          return { done: true, value: undefined };
        },
      }),
    };
    const read = incoming(silent, controller.signal).next();
    controller.abort();
    await assert.rejects(read, isCancelled);
    assert.equal(isReturned, true);
  });

  test("a stream that ends cleanly because it was cancelled is cancelled, not complete", async () => {
    const controller = new AbortController();
    const polite = (async function* () {
      yield 1;
      controller.abort();
    })();
    const read = incoming(polite, controller.signal);
    assert.equal((await read.next()).value, 1);
    await assert.rejects(read.next(), isCancelled);
  });

  test("lets go of the stream when the reader stops, and keeps no listener", async () => {
    let isReleased = false;
    const source = (async function* () {
      try {
        for (;;) yield 1;
      } finally {
        isReleased = true;
      }
    })();
    const { signal } = new AbortController();
    let listeners = 0;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners += 1;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners -= 1;
      remove(...args);
    };
    for await (const item of incoming(source, signal)) if (item === 1) break;
    assert.equal(isReleased, true);
    assert.equal(listeners, 0);
  });

  test("passes on the error of the stream", async () => {
    const broken = (async function* (): AsyncGenerator<number> {
      throw new Unavailable("gone");
    })();
    await assert.rejects(incoming(broken, new AbortController().signal).next(), Unavailable);
  });
});

describe("pace", () => {
  test("a call that has ended stops at its next step", async () => {
    const controller = new AbortController();
    const pace = new Pace(controller.signal);
    assert.equal(pace.isDue, false);
    controller.abort();
    assert.equal(pace.isDue, true);
    await assert.rejects(pace.rest(), isCancelled);
  });

  test("a long loop lets timers run", async () => {
    const pace = new Pace(new AbortController().signal);
    const timer = { isDone: false };
    setTimeout(() => (timer.isDone = true), 1);
    const until = performance.now() + 1000;
    while (!timer.isDone && performance.now() < until) if (pace.isDue) await pace.rest();
    assert.equal(timer.isDone, true);
  });

  test("the signal's reason decides the error", () => {
    const reason = new Unavailable("shutting down");
    assert.equal(endedError(AbortSignal.abort(reason)), reason);
    assert.equal(endedError(AbortSignal.abort(new DOMException("late", "TimeoutError"))).code, "DEADLINE_EXCEEDED");
    assert.equal(endedError(AbortSignal.abort()).code, "CANCELLED");
    throwIfEnded(new AbortController().signal);
    assert.throws(() => throwIfEnded(AbortSignal.abort()), isCancelled);
  });
});
