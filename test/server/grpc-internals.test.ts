// Goal: what we reach for inside grpc-js is still there; a new version that moves it fails here, not in production.
// Method: the effect of each piece, seen from a peer, and the fallback where the pieces are missing.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { endRequests, hasEnded, prepareConnections, resetStream, setStreamWindow } from "#src/server/grpc-internals.js";
import { fakeServices } from "../rpc/support/fakes.js";
import { connectRaw } from "../rpc/support/raw-client.js";
import { eventually, MemoryLogger, serve } from "../rpc/support/running.js";

const WINDOW_BYTES = 3_000_000;

describe("private fields of grpc-js", () => {
  test("they are found", () => {
    const server = new Server({ "grpc.max_concurrent_streams": 7 });
    assert.equal(setStreamWindow(server, WINDOW_BYTES), true);
    server.createConnectionInjector(ServerCredentials.createInsecure());
    assert.equal(prepareConnections(server, WINDOW_BYTES), true);
    server.forceShutdown();
  });

  test("a peer is given the windows and the limit of streams", async (t) => {
    const limits = { windowBytes: WINDOW_BYTES, maxConcurrentStreams: 17 };
    const server = await serve(t, { services: fakeServices({}), limits });
    const { session } = connectRaw(t, server.address);
    await eventually(() => session.remoteSettings.initialWindowSize === WINDOW_BYTES, "the window of streams", 3_000);
    assert.equal(session.remoteSettings.maxConcurrentStreams, 17);
    await eventually(() => session.state.remoteWindowSize === WINDOW_BYTES, "the window of the connection", 3_000);
  });

  test("a stream can be reset, through interceptors too", async (t) => {
    const results: boolean[] = [];
    const services = fakeServices({
      blob: {
        async *download() {
          for (;;) yield { part: { case: "slice", value: { data: new Uint8Array(300_000) } } };
        },
        upload: async (requests) => {
          for await (const request of requests) assert.equal(request.part.case, undefined);
          return { hash: new Uint8Array(3_000_000) };
        },
      },
    });
    // A peer that takes nothing is reset once its time is up: with the message that is left, the call ends.
    const server = await serve(t, { services, limits: { slowPeerTimeoutMs: 60 } });
    const client = connectRaw(t, server.address, { initialWindowSize: 0 });
    for (const path of ["Download", "Upload"]) {
      const call = client.call(`/neleus.v1.BlobService/${path}`, { reads: false }).send(Buffer.alloc(0)).end();
      const { status } = await call.ended;
      results.push(status === undefined);
    }
    assert.deepEqual(results, [true, true]);
    await eventually(() => server.counters().openCalls === 0, "the end of the calls", 3_000);
  });

  test("where they are missing nothing happens, and the server says so and serves", () => {
    const stranger = {} as unknown as Server;
    assert.equal(setStreamWindow(stranger, WINDOW_BYTES), false);
    assert.equal(prepareConnections(stranger, WINDOW_BYTES), false);
    assert.equal(endRequests({}, 1), false);
    assert.equal(hasEnded({}), false);
    assert.equal(resetStream({}), false);
    assert.equal(resetStream({ call: { nextCall: { nextCall: {} } } }), false);
  });

  test("a server of this version warns of nothing", async (t) => {
    const logger = new MemoryLogger();
    await serve(t, { services: fakeServices({}), logger });
    assert.deepEqual(logger.lines, []);
  });
});
