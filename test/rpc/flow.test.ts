// Goal: neither side runs ahead of the other by more than its buffers, whatever the size of messages; nothing is lost or
// reordered when the reader is slow; and a peer that takes or sends nothing is ended. Method: count what the producer has
// been asked for while the consumer stands still, then let it go on and compare digests.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  BlobService,
  type BlobServiceDownloadResponseSchema,
  type BlobServiceUploadRequestSchema,
} from "#gen/neleus/v1/blob_pb.js";
import { NeleusError, Unavailable } from "#src/core/errors.js";
import { HTTP2_WINDOW_BYTES, RECEIVE_BUFFER_BYTES, SEND_BUFFER_BYTES } from "#src/core/limits.js";
import { fakeServices } from "./support/fakes.js";
import { connectRaw } from "./support/raw-client.js";
import { connectTo, deferred, eventually, serve, untilAborted } from "./support/running.js";

type DownloadPart = MessageInitShape<typeof BlobServiceDownloadResponseSchema>;
type UploadPart = MessageInitShape<typeof BlobServiceUploadRequestSchema>;

const { upload, download, stat } = BlobService.method;
const DOWNLOAD = "/neleus.v1.BlobService/Download";
const UPLOAD = "/neleus.v1.BlobService/Upload";
const STAT = "/neleus.v1.BlobService/Stat";
const MiB = 1024 * 1024;

/** What may lie between a producer and a consumer: buffers, a window, a message each in the hands of grpc-js, Node and us. */
function mostBetween(messageBytes: number): number {
  return SEND_BUFFER_BYTES + RECEIVE_BUFFER_BYTES + HTTP2_WINDOW_BYTES + 4 * messageBytes;
}

describe("a slow reader of a download", () => {
  for (const [name, sizes] of Object.entries({
    "messages of 256 KiB": () => 256 * 1024,
    "messages of 1 MiB": () => MiB,
    "messages of all sizes": (index: number) => (index * 7919) % 100_000,
  })) {
    test(`${name}: held back, then whole and in order`, { timeout: 60_000 }, async (t) => {
      const sent = createHash("sha256");
      let sentBytes = 0;
      const totalBytes = 32 * MiB;
      const services = fakeServices({
        blob: {
          async *download() {
            for (let index = 0; sentBytes < totalBytes; index += 1) {
              const data = randomBytes(sizes(index));
              sent.update(data);
              sentBytes += data.length;
              yield { part: { case: "slice", value: { data } } };
            }
          },
        },
      });
      const server = await serve(t, { services });
      const transport = connectTo(t, server.address);
      const received = createHash("sha256");
      let receivedBytes = 0;
      let count = 0;
      for await (const { part } of transport.serverStream(download, {})) {
        assert.ok(part.case === "slice");
        received.update(part.value.data);
        receivedBytes += part.value.data.length;
        count += 1;
        if (count === 3) {
          await standStill(() => sentBytes);
          const between = sentBytes - receivedBytes;
          assert.ok(between <= mostBetween(MiB), `${between} bytes were under way`);
        }
        if (count % 50 === 0) await delay(2);
      }
      assert.equal(receivedBytes, sentBytes);
      assert.equal(received.digest("hex"), sent.digest("hex"));
    });
  }
});

describe("a slow handler of an upload", () => {
  for (const messageBytes of [1_000, 256 * 1024, MiB]) {
    test(`messages of ${messageBytes} bytes: held back, then whole and in order`, { timeout: 60_000 }, async (t) => {
      const received = createHash("sha256");
      let sentBytes = 0;
      let receivedBytes = 0;
      const services = fakeServices({
        blob: {
          upload: async (requests) => {
            let count = 0;
            for await (const { part } of requests) {
              assert.ok(part.case === "data");
              received.update(part.value.data);
              receivedBytes += part.value.data.length;
              count += 1;
              if (count !== 3) continue;
              await standStill(() => sentBytes);
              const between = sentBytes - receivedBytes;
              assert.ok(between <= mostBetween(messageBytes), `${between} bytes were under way`);
            }
            return { hash: received.digest() };
          },
        },
      });
      const server = await serve(t, { services });
      const transport = connectTo(t, server.address);
      const sent = createHash("sha256");
      async function* parts(): AsyncGenerator<UploadPart> {
        // Tiny messages: their count is what could run away.
        for (const totalBytes = messageBytes < 10_000 ? 20 * MiB : 32 * MiB; sentBytes < totalBytes;) {
          const data = randomBytes(messageBytes);
          sent.update(data);
          sentBytes += data.length;
          yield { part: { case: "data", value: { data } } };
        }
      }
      const answer = await transport.clientStream(upload, parts());
      assert.equal(Buffer.from(answer.hash).toString("hex"), sent.digest("hex"));
      assert.equal(receivedBytes, sentBytes);
    });
  }
});

describe("a peer that stands still", () => {
  const limits = { slowPeerTimeoutMs: 150 };

  test("taking nothing of a download: the handler is told, and the stream is reset", async (t) => {
    const ended = deferred<unknown>();
    const services = fakeServices({
      blob: {
        async *download(_, context) {
          context.signal.addEventListener("abort", () => ended.resolve(context.signal.reason));
          for (;;) yield { part: { case: "slice", value: { data: new Uint8Array(256 * 1024) } } };
        },
      },
    });
    const server = await serve(t, { services, limits });
    const call = connectRaw(t, server.address).call(DOWNLOAD, { reads: false }).send(Buffer.alloc(0)).end();
    assert.ok((await ended.promise) instanceof Unavailable);
    await eventually(() => server.counters().openCalls === 0, "the end of the call", 3_000);
    call.stream.resume();
    await call.ended;
  });

  test("taking nothing of an answer that is complete: the stream is reset all the same", async (t) => {
    const services = fakeServices({ blob: { stat: async () => ({ data: new Uint8Array(3 * MiB) }) } });
    const server = await serve(t, { services, limits });
    const client = connectRaw(t, server.address, { initialWindowSize: 0 });
    client.call(STAT, { reads: false }).send(Buffer.alloc(0)).end();
    await eventually(() => server.counters().openCalls === 1, "the call");
    await eventually(() => server.counters().openCalls === 0, "its end", 3_000);
  });

  test("sending nothing that is waited for: DEADLINE_EXCEEDED", async (t) => {
    const ended = deferred<unknown>();
    const services = fakeServices({
      blob: {
        upload: async (requests) => {
          try {
            for await (const request of requests) assert.equal(request.part.case, undefined);
          } catch (error) {
            ended.resolve(error);
            throw error;
          }
          return {};
        },
      },
    });
    const server = await serve(t, { services, limits });
    const call = connectRaw(t, server.address).call(UPLOAD).send(Buffer.alloc(0));
    const error = await ended.promise;
    assert.ok(error instanceof NeleusError && error.code === "DEADLINE_EXCEEDED");
    await eventually(() => server.counters().openCalls === 0, "the end of the call");
    call.end();
    assert.equal((await call.ended).status, 4);
  });

  test("a slow peer that does take something is not ended", { timeout: 30_000 }, async (t) => {
    const services = fakeServices({
      blob: {
        async *download() {
          for (let count = 0; count < 60; count += 1) {
            yield { part: { case: "slice", value: { data: new Uint8Array(256 * 1024) } } };
          }
        },
      },
    });
    // Long enough for a busy machine, and shorter than the whole download takes.
    const server = await serve(t, { services, limits: { ...limits, slowPeerTimeoutMs: 1_000 } });
    const transport = connectTo(t, server.address, { windowBytes: 65_535 });
    let count = 0;
    for await (const { part } of transport.serverStream(download, {})) {
      assert.equal(part.case, "slice");
      count += 1;
      await delay(20);
    }
    assert.equal(count, 60);
  });

  test("our client is told that the server is not there for it any more", { timeout: 30_000 }, async (t) => {
    const services = fakeServices({
      blob: {
        async *download(_, context) {
          for (let count = 0; count < 100; count += 1) {
            yield { part: { case: "slice", value: { data: new Uint8Array(256 * 1024) } } };
          }
          await untilAborted(context.signal);
        },
      },
    });
    const server = await serve(t, { services, limits });
    const transport = connectTo(t, server.address);
    await assert.rejects(
      async () => {
        for await (const { part } of transport.serverStream(download, {})) {
          assert.equal(part.case, "slice");
          await eventually(() => server.counters().openCalls === 0, "the end of the call", 5_000);
        }
      },
      (error) => error instanceof NeleusError && error.code === "UNAVAILABLE",
    );
  });
});

describe("limits of messages", () => {
  test("an answer over the limit is RESOURCE_EXHAUSTED and names it, unary and in a stream", async (t) => {
    const services = fakeServices({
      blob: {
        stat: async () => ({ data: new Uint8Array(200_000) }),
        async *download(): AsyncGenerator<DownloadPart> {
          yield { part: { case: "header", value: {} } };
          yield { part: { case: "slice", value: { data: new Uint8Array(200_000) } } };
        },
      },
    });
    const server = await serve(t, { services, limits: { maxMessageBytes: 100_000 } });
    const transport = connectTo(t, server.address);
    const isLimit = (error: unknown): boolean =>
      error instanceof NeleusError && error.code === "LIMIT_EXCEEDED" && error.facts["value"] === "100000";
    await assert.rejects(transport.unary(stat, {}), isLimit);
    await assert.rejects(async () => {
      for await (const { part } of transport.serverStream(download, {})) assert.equal(part.case, "header");
    }, isLimit);
  });

  test("a request over the limit is refused by the client, and by the server where the client would send it", async (t) => {
    const services = fakeServices({
      blob: {
        stat: async () => ({}),
        upload: async (requests) => {
          for await (const { part } of requests) assert.equal(part.case, "data");
          return {};
        },
      },
    });
    const server = await serve(t, { services });
    const isLimit = (error: unknown): boolean => error instanceof NeleusError && error.code === "LIMIT_EXCEEDED";
    const request = { hash: new Uint8Array(5 * MiB) };
    await assert.rejects(connectTo(t, server.address).unary(stat, request), isLimit);
    const lax = connectTo(t, server.address, { maxMessageBytes: 50 * MiB });
    await assert.rejects(lax.unary(stat, request), isLimit);
    async function* parts(): AsyncGenerator<UploadPart> {
      yield { part: { case: "data", value: { data: new Uint8Array(5 * MiB) } } };
    }
    await assert.rejects(lax.clientStream(upload, parts()), isLimit);
    assert.equal((await lax.unary(stat, {})).size, 0n);
  });

  test("an answer over the client's own limit is refused by the client", async (t) => {
    const services = fakeServices({ blob: { stat: async () => ({ data: new Uint8Array(200_000) }) } });
    const server = await serve(t, { services });
    const transport = connectTo(t, server.address, { maxMessageBytes: 100_000 });
    await assert.rejects(
      transport.unary(stat, {}),
      (error) => error instanceof NeleusError && error.code === "LIMIT_EXCEEDED",
    );
  });
});

/** Waits until the count has stopped growing. */
async function standStill(count: () => number): Promise<void> {
  for (let last = -1, same = 0; same < 5;) {
    await delay(20);
    same = count() === last ? same + 1 : 0;
    last = count();
  }
}
