// Goal: what a client streams arrives as it was, though the arrays in which messages were encoded are used again: where the
// server is not there yet when the first are written, and where it refuses the stream and grpc-js sends all again by itself.
// Method: a bare HTTP/2 server that keeps what it gets; messages of different content, more than wait at once.
import assert from "node:assert/strict";
import { createServer, constants, type Http2Server, type ServerHttp2Stream } from "node:http2";
import { createServer as createSocketServer } from "node:net";
import { test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  BlobService,
  BlobServiceUploadRequestSchema,
  BlobServiceUploadResponseSchema,
} from "#gen/neleus/v1/blob_pb.js";
import { grpcTransport } from "#src/client/grpc-transport.js";

const MESSAGE_BYTES = 150_000;

const content = (index: number): Uint8Array => new Uint8Array(MESSAGE_BYTES).fill(index + 1);

async function* uploads(count: number) {
  for (let index = 0; index < count; index += 1) {
    const data = { offset: BigInt(index * MESSAGE_BYTES), data: content(index) };
    yield { part: { case: "data", value: data } } as const;
  }
}

/** The messages in what was received. */
function messagesOf(received: Buffer): { offset: bigint; data: Uint8Array }[] {
  const messages: { offset: bigint; data: Uint8Array }[] = [];
  for (let start = 0; start < received.length;) {
    const end = start + 5 + received.readUInt32BE(start + 1);
    const { part } = fromBinary(BlobServiceUploadRequestSchema, received.subarray(start + 5, end));
    assert.ok(part.case === "data");
    messages.push(part.value);
    start = end;
  }
  return messages;
}

function requireAll(received: Buffer, count: number): void {
  const messages = messagesOf(received);
  assert.equal(messages.length, count);
  for (const [index, { offset, data }] of messages.entries()) {
    assert.equal(offset, BigInt(index * MESSAGE_BYTES));
    assert.ok(Buffer.from(data).equals(content(index)), `message ${index}`);
  }
}

function answer(stream: ServerHttp2Stream): void {
  const message = toBinary(BlobServiceUploadResponseSchema, create(BlobServiceUploadResponseSchema, { size: 7n }));
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  stream.end(Buffer.concat([head, message]));
}

async function listening(t: TestContext, server: Http2Server, port: number): Promise<void> {
  t.after(() => server.close());
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
}

async function freePort(): Promise<number> {
  const socket = createSocketServer();
  await new Promise<void>((resolve) => socket.listen(0, "127.0.0.1", resolve));
  const address = socket.address();
  await new Promise((resolve) => socket.close(resolve));
  assert.ok(address !== null && typeof address === "object");
  return address.port;
}

test("a server that comes while the first messages wait", { timeout: 30_000 }, async (t) => {
  const port = await freePort();
  const transport = grpcTransport({ address: `127.0.0.1:${port}` });
  t.after(() => transport.close());
  let received: Buffer | undefined;
  const server = createServer({ settings: { initialWindowSize: 4 * 1024 * 1024 } });
  server.on("stream", (stream: ServerHttp2Stream) => {
    const parts: Buffer[] = [];
    stream.on("data", (bytes: Buffer) => parts.push(bytes));
    stream.on("end", () => {
      received = Buffer.concat(parts);
      answer(stream);
    });
  });
  const sent = (async () => {
    // A call while there is no server fails at once: only one that has begun to connect waits.
    for (;;) {
      try {
        return await transport.clientStream(BlobService.method.upload, uploads(40));
      } catch {
        await delay(10);
      }
    }
  })();
  await delay(100);
  await listening(t, server, port);
  assert.equal((await sent).size, 7n);
  requireAll(received ?? Buffer.alloc(0), 40);
});

test("a server that refuses the stream at first", { timeout: 30_000 }, async (t) => {
  const port = await freePort();
  const transport = grpcTransport({ address: `127.0.0.1:${port}` });
  t.after(() => transport.close());
  let streams = 0;
  let received: Buffer | undefined;
  const server = createServer();
  server.on("stream", (stream: ServerHttp2Stream) => {
    streams += 1;
    stream.on("error", () => undefined);
    if (streams === 1) {
      // Until some messages have been written, and arrays have come back.
      setTimeout(() => stream.close(constants.NGHTTP2_REFUSED_STREAM), 200);
      return;
    }
    const parts: Buffer[] = [];
    stream.on("data", (bytes: Buffer) => parts.push(bytes));
    stream.on("end", () => {
      received = Buffer.concat(parts);
      answer(stream);
    });
  });
  await listening(t, server, port);
  const sent = await transport.clientStream(BlobService.method.upload, uploads(5));
  assert.equal(sent.size, 7n);
  assert.equal(streams, 2, "sent again by itself");
  requireAll(received ?? Buffer.alloc(0), 5);
});
