// Goal: however a peer goes away, its handler is told at once, its iterators are closed, and an upload never looks
// finished. Method: resets of every code with and without a proper end before them, lost connections, and client
// processes killed in the middle; handlers note how it ended for them.
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { toBinary, create } from "@bufbuild/protobuf";
import { BlobService, BlobServiceUploadRequestSchema } from "#gen/neleus/v1/blob_pb.js";
import { NeleusError } from "#src/core/errors.js";
import type { RunningServer } from "#src/server/index.js";
import type { CallContext } from "#src/service/implementation.js";
import { fakeServices } from "./support/fakes.js";
import { connectRaw, openSocket } from "./support/raw-client.js";
import {
  END_STREAM,
  FrameType,
  headersFrame,
  http2Frame,
  messageFrame,
  PREFACE,
  resetFrame,
} from "./support/raw-frames.js";
import { connectTo, deferred, eventually, serve, type Deferred } from "./support/running.js";

const { stat } = BlobService.method;
const UPLOAD = "/neleus.v1.BlobService/Upload";
const DOWNLOAD = "/neleus.v1.BlobService/Download";
const PART = toBinary(
  BlobServiceUploadRequestSchema,
  create(BlobServiceUploadRequestSchema, { part: { case: "data", value: { data: new Uint8Array(100) } } }),
);

/** What a handler saw of its call. */
interface Seen {
  readonly reached: Deferred<CallContext>;
  /** How the iteration ended: an error, or a text. */
  readonly ended: Deferred<unknown>;
}

/** A server with an endless download, and an upload that reads to the end. */
async function serveStreams(t: TestContext): Promise<{ server: RunningServer; seen: Seen }> {
  const seen: Seen = { reached: deferred<CallContext>(), ended: deferred<unknown>() };
  const services = fakeServices({
    blob: {
      upload: async (requests, context) => {
        try {
          for await (const request of requests) {
            if (request.part.case === "data") seen.reached.resolve(context);
          }
          seen.ended.resolve("ended as if complete");
          return {};
        } catch (error) {
          seen.ended.resolve(error);
          throw error;
        }
      },
      async *download(_, context) {
        try {
          for (let count = 0; ; count += 1) {
            if (count === 3) seen.reached.resolve(context);
            yield { part: { case: "slice", value: { data: new Uint8Array(64 * 1024) } } };
          }
        } finally {
          seen.ended.resolve("closed");
        }
      },
    },
  });
  return { server: await serve(t, { services }), seen };
}

/** Asserts that the handler is told within a second, and the call is gone from the books. */
async function assertToldSoon(server: RunningServer, seen: Seen): Promise<void> {
  const context = await seen.reached.promise;
  await eventually(() => context.signal.aborted, "the handler's signal");
  assert.equal((context.signal.reason as NeleusError).code, "CANCELLED");
  await eventually(() => server.counters().openCalls === 0, "the end of the call");
}

async function assertCancelled(seen: Seen): Promise<void> {
  const error = await seen.ended.promise;
  assert.ok(error instanceof NeleusError, String(error));
  assert.equal(error.code, "CANCELLED");
}

describe("an upload that is broken off", () => {
  for (const [name, code] of Object.entries({ NO_ERROR: 0, INTERNAL_ERROR: 2, CANCEL: 8, ENHANCE_YOUR_CALM: 11 })) {
    test(`a bare reset with ${name}`, async (t) => {
      const { server, seen } = await serveStreams(t);
      const socket = openSocket(server.address);
      t.after(() => socket.destroy());
      socket.write(Buffer.concat([PREFACE, headersFrame(UPLOAD, 1), messageFrame(PART, 1)]));
      await seen.reached.promise;
      socket.write(resetFrame(code, 1));
      await assertToldSoon(server, seen);
      await assertCancelled(seen);
    });

    test(`a proper end, and a reset with ${name} in the same packet`, async (t) => {
      const { server, seen } = await serveStreams(t);
      const call = connectRaw(t, server.address).call(UPLOAD).send(PART);
      await seen.reached.promise;
      // Node ends its side before it resets.
      call.stream.close(code);
      await assertToldSoon(server, seen);
      await assertCancelled(seen);
    });
  }

  test("a proper end, and a reset in the next packet", async (t) => {
    const { server, seen } = await serveStreams(t);
    const socket = openSocket(server.address);
    t.after(() => socket.destroy());
    socket.write(Buffer.concat([PREFACE, headersFrame(UPLOAD, 1), messageFrame(PART, 1)]));
    await seen.reached.promise;
    socket.write(http2Frame({ type: FrameType.DATA, flags: END_STREAM, streamId: 1, payload: Buffer.alloc(0) }));
    await delay(15);
    socket.write(resetFrame(8, 1));
    await assertToldSoon(server, seen);
    await assertCancelled(seen);
  });

  test("data and reset in one packet, before the handler has read anything", async (t) => {
    const { server, seen } = await serveStreams(t);
    const socket = openSocket(server.address);
    t.after(() => socket.destroy());
    const parts = Array.from({ length: 40 }, () => messageFrame(PART, 1));
    socket.write(Buffer.concat([PREFACE, headersFrame(UPLOAD, 1), ...parts, resetFrame(0, 1)]));
    const outcome = await Promise.race([
      seen.ended.promise,
      eventually(() => server.counters().startedCalls > 0, "the call"),
    ]);
    // Where the reset is seen before the handler starts there is nothing to tell.
    if (outcome !== undefined) await assertCancelled(seen);
    await eventually(() => server.counters().openCalls === 0, "the end of the call");
  });

  test("a lost connection", async (t) => {
    const { server, seen } = await serveStreams(t);
    const client = connectRaw(t, server.address);
    client.call(UPLOAD).send(PART);
    await seen.reached.promise;
    client.session.destroy();
    await assertToldSoon(server, seen);
    await assertCancelled(seen);
  });

  test("a message cut in half, then the end", async (t) => {
    const { server, seen } = await serveStreams(t);
    const call = connectRaw(t, server.address).call(UPLOAD).send(PART);
    await seen.reached.promise;
    call.stream.end(Buffer.from([0, 0, 0, 1, 0, 1, 2, 3]));
    // The half is dropped by grpc-js; what was missing is the finish, and the services ask for that.
    assert.equal(await seen.ended.promise, "ended as if complete");
    assert.equal((await call.ended).status, 0);
  });
});

describe("a download that is broken off", () => {
  for (const code of [0, 8]) {
    test(`a reset with code ${code}`, async (t) => {
      const { server, seen } = await serveStreams(t);
      const call = connectRaw(t, server.address).call(DOWNLOAD).send(Buffer.alloc(0)).end();
      await seen.reached.promise;
      call.stream.close(code);
      await assertToldSoon(server, seen);
      assert.equal(await seen.ended.promise, "closed");
    });
  }

  test("a lost connection while the answer waits for the peer", async (t) => {
    const { server, seen } = await serveStreams(t);
    const client = connectRaw(t, server.address);
    client.call(DOWNLOAD, { reads: false }).send(Buffer.alloc(0)).end();
    await seen.reached.promise;
    client.session.destroy();
    await assertToldSoon(server, seen);
    assert.equal(await seen.ended.promise, "closed");
  });
});

describe("a client process that is killed", () => {
  for (const what of ["upload", "download"]) {
    test(`in the middle of its ${what}`, { timeout: 60_000 }, async (t) => {
      const { server, seen } = await serveStreams(t);
      const client = startClient(t, server.address, what);
      await seen.reached.promise;
      client.kill("SIGKILL");
      await assertToldSoon(server, seen);
      if (what === "upload") await assertCancelled(seen);
      else assert.equal(await seen.ended.promise, "closed");
      await eventually(() => server.counters().openConnections === 0, "the end of the connection");
    });
  }
});

function startClient(t: TestContext, address: string, what: string): ChildProcess {
  const script = join(process.cwd(), "build/test/rpc/support/killed-client.js");
  const child = spawn(process.execPath, [script, address, what], { stdio: ["ignore", "ignore", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  return child;
}

describe("a call that is over before its handler was reached", () => {
  const STAT = "/neleus.v1.BlobService/Stat";

  test("is no work: its deadline passed before its request was complete", async (t) => {
    let handled = 0;
    const services = fakeServices({
      blob: {
        stat: async () => {
          handled += 1;
          return {};
        },
      },
    });
    const server = await serve(t, { services });
    const client = connectRaw(t, server.address);
    const call = client.call(STAT, { headers: { "grpc-timeout": "40m" } }).send(Buffer.alloc(0));
    await delay(120);
    call.end();
    assert.equal((await call.ended).status, 4);
    await eventually(() => server.counters().openCalls === 0, "the end of the call");
    assert.equal(handled, 0);
    assert.equal((await client.call(STAT).send(Buffer.alloc(0)).end().ended).status, 0);
    assert.equal(handled, 1);
  });

  test("is no work: the server was busy when its deadline passed", async (t) => {
    let handled = 0;
    const services = fakeServices({
      blob: {
        stat: async ({ database }) => {
          handled += 1;
          // Everything else that has arrived waits for this.
          for (const endMs = performance.now() + 150; database === "busy" && performance.now() < endMs;);
          return {};
        },
      },
    });
    const server = await serve(t, { services });
    const transport = connectTo(t, server.address);
    await transport.unary(stat, {});
    handled = 0;
    const busy = transport.unary(stat, { database: "busy" });
    const late = [1, 2, 3].map(() => transport.unary(stat, {}, { timeoutMs: 50 }));
    for (const outcome of await Promise.allSettled(late)) {
      assert.equal(outcome.status, "rejected");
      assert.equal((outcome.reason as NeleusError).code, "DEADLINE_EXCEEDED");
    }
    await busy;
    await eventually(() => server.counters().openCalls === 0, "the end of the calls");
    assert.equal(handled, 1);
  });
});
