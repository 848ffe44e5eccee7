// Goal: what we reach for inside grpc-js is still there; a new version that moves it fails here, not in production.
// Method: the effect of each piece, seen from a peer, and the fallback where the pieces are missing.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Client, credentials, Metadata, Server, ServerCredentials, type ServerWritableStream } from "@grpc/grpc-js";
import { BlobService } from "#gen/neleus/v1/blob_pb.js";
import { concatBytes, equalBytes } from "#src/core/bytes.js";
import { methodDefinition } from "#src/server/adapter.js";
import {
  endRequests,
  hasEnded,
  prepareConnections,
  resetStream,
  setStreamWindow,
  takeFrames,
} from "#src/server/grpc-internals.js";
import { fakeServices } from "../rpc/support/fakes.js";
import { connectRaw } from "../rpc/support/raw-client.js";
import { connectTo, eventually, MemoryLogger, serve } from "../rpc/support/running.js";

const WINDOW_BYTES = 3_000_000;
const PREPARED = { windowBytes: WINDOW_BYTES, onStream: () => undefined };
const { download } = BlobService.method;

describe("private fields of grpc-js", () => {
  test("they are found", () => {
    const server = new Server({ "grpc.max_concurrent_streams": 7 });
    assert.equal(setStreamWindow(server, WINDOW_BYTES), true);
    server.createConnectionInjector(ServerCredentials.createInsecure());
    assert.equal(prepareConnections(server, PREPARED), true);
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
    const server = await serve(t, { services, limits: { slowPeerTimeoutMs: 400 } });
    const client = connectRaw(t, server.address, { initialWindowSize: 0 });
    for (const path of ["Download", "Upload"]) {
      const call = client.call(`/neleus.v1.BlobService/${path}`, { reads: false }).send(Buffer.alloc(0)).end();
      const { status } = await call.ended;
      results.push(status === undefined);
    }
    assert.deepEqual(results, [true, true]);
    await eventually(() => server.counters().openCalls === 0, "the end of the calls", 3_000);
  });

  test("a stream takes messages with their frame around them", async (t) => {
    const taken: boolean[] = [];
    const server = new Server();
    server.addService(
      { download: methodDefinition(download) },
      {
        download: (call: ServerWritableStream<Buffer, Buffer>) => {
          taken.push(takeFrames(call));
          call.write(Buffer.from([0, 0, 0, 0, 3, 10, 20, 30]));
          call.end();
        },
      },
    );
    t.after(() => server.forceShutdown());
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
    t.after(() => client.close());
    const pass = (bytes: Buffer): Buffer => bytes;
    const { path } = methodDefinition(download);
    const received: Buffer[] = [];
    const answers = client.makeServerStreamRequest(path, pass, pass, Buffer.alloc(0), new Metadata());
    for await (const message of answers as AsyncIterable<Buffer>) received.push(message);
    assert.deepEqual(taken, [true]);
    assert.deepEqual(received, [Buffer.from([10, 20, 30])]);
  });

  test("messages of many sizes arrive as they were sent, whose arrays are used again", async (t) => {
    const sent = Uint8Array.from({ length: 4_000_000 }, (_, index) => (index * index) >> 9);
    const services = fakeServices({
      blob: {
        async *download() {
          for (let start = 0, size = 1; start < sent.length; start += size, size = 1 + ((size * 7 + 90) % 200_003)) {
            // Where it is lent from is written to as soon as the next is asked for.
            const data = sent.slice(start, start + size);
            yield { part: { case: "slice", value: { data } } };
            data.fill(0xee);
          }
        },
      },
    });
    const server = await serve(t, { services });
    const received: Uint8Array[] = [];
    for await (const { part } of connectTo(t, server.address).serverStream(download, {})) {
      assert.ok(part.case === "slice");
      received.push(new Uint8Array(part.value.data));
      if (received.length % 10 === 0) await delay(3);
    }
    assert.ok(equalBytes(concatBytes(...received), sent));
  });

  test("where they are missing nothing happens, and the server says so and serves", () => {
    const stranger = {} as unknown as Server;
    assert.equal(setStreamWindow(stranger, WINDOW_BYTES), false);
    assert.equal(prepareConnections(stranger, PREPARED), false);
    assert.equal(endRequests({}, 1), false);
    assert.equal(hasEnded({}), false);
    assert.equal(resetStream({}), false);
    assert.equal(takeFrames({}), false);
    assert.equal(takeFrames({ call: { stream: { close: () => undefined } } }), false);
    assert.equal(resetStream({ call: { nextCall: { nextCall: {} } } }), false);
  });

  test("a server of this version warns of nothing", async (t) => {
    const logger = new MemoryLogger();
    await serve(t, { services: fakeServices({}), logger });
    assert.deepEqual(logger.lines, []);
  });
});
