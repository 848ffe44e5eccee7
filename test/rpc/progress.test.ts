// Goal: a peer that streams in too little to matter, or does not end its request, or takes too little of an answer, cannot
// hold a call, an upload's place, a staged file or a lease; one that is slow but does get on is left alone, and so is one
// that waits for a slow server. Method: real services behind a server with limits of a fraction of a second, fed and read
// byte by byte over a raw connection.
import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { fromBinary, toBinary, create, type MessageInitShape } from "@bufbuild/protobuf";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "#gen/google/rpc/status_pb.js";
import {
  BlobService,
  BlobServiceFindMissingRequestSchema,
  BlobServiceUploadRequestSchema,
} from "#gen/neleus/v1/blob_pb.js";
import { ManifestServicePutDocumentRequestSchema } from "#gen/neleus/v1/manifest_pb.js";
import { hashBlob } from "#src/core/blob/index.js";
import { Unavailable } from "#src/core/errors.js";
import { createServices } from "#src/service/index.js";
import type { Database } from "#src/database/index.js";
import type { RunningServer } from "#src/server/index.js";
import { inMemory } from "../database/support/database.js";
import { fakeServices } from "./support/fakes.js";
import { connectRaw, frame, type RawCall } from "./support/raw-client.js";
import { connectTo, deferred, eventually, serve } from "./support/running.js";

const UPLOAD = "/neleus.v1.BlobService/Upload";
const PUT_DOCUMENT = "/neleus.v1.ManifestService/PutDocument";
const LIMITS = { slowPeerTimeoutMs: 250, minProgressBytes: 2_000 };

type UploadPart = MessageInitShape<typeof BlobServiceUploadRequestSchema>["part"] & {};

const uploadMessage = (part: UploadPart): Uint8Array =>
  toBinary(BlobServiceUploadRequestSchema, create(BlobServiceUploadRequestSchema, { part }));

const documentMessage = (
  part: MessageInitShape<typeof ManifestServicePutDocumentRequestSchema>["part"] & {},
): Uint8Array =>
  toBinary(ManifestServicePutDocumentRequestSchema, create(ManifestServicePutDocumentRequestSchema, { part }));

async function realServer(t: TestContext): Promise<{ server: RunningServer; db: Database }> {
  const { db } = await inMemory();
  t.after(() => db.close());
  const services = createServices({ database: async () => db, version: "0.0.0" });
  return { server: await serve(t, { services, limits: LIMITS }), db };
}

/** Ten a window, and a server that ends a call waits a second for its peer. */
const MOST_DRIPS = 200;

/** Sends a byte now and then until the server has had enough. @returns how many were sent */
async function drip(call: RawCall, message: (offset: number) => Uint8Array): Promise<number> {
  let sent = 0;
  const over = call.ended.then(() => "over");
  for (; sent < MOST_DRIPS; sent += 1) {
    call.send(message(sent));
    if ((await Promise.race([over, delay(LIMITS.slowPeerTimeoutMs / 10)])) === "over") break;
  }
  return sent;
}

async function requireTooSlow(call: RawCall): Promise<void> {
  const { status, message, details } = await call.ended;
  assert.equal(status, 4);
  assert.match(message, /^only \d+ bytes arrived on the stream in 0\.25 seconds of waiting for it, and 2000 bytes is/);
  const info = fromBinary(StatusSchema, details!).details.find(({ typeUrl }) => typeUrl.endsWith("ErrorInfo"));
  const { reason, metadata } = fromBinary(ErrorInfoSchema, info!.value);
  assert.equal(reason, "DEADLINE_EXCEEDED");
  assert.equal(metadata["limit"], "progress_bytes");
  assert.match(metadata["hint"] ?? "", /QueryUpload/);
}

describe("a peer that sends a byte now and then", () => {
  test("its upload is ended, and goes on where it stood when there is more", { timeout: 20_000 }, async (t) => {
    const { server, db } = await realServer(t);
    const call = connectRaw(t, server.address).call(UPLOAD);
    call.send(uploadMessage({ case: "header", value: { uploadId: "slow" } }));
    const content = new Uint8Array(70_000).fill(7);
    const sent = await drip(call, (offset) =>
      uploadMessage({ case: "data", value: { offset: BigInt(offset), data: content.subarray(offset, offset + 1) } }),
    );
    assert.ok(sent < MOST_DRIPS, "within a few windows");
    await requireTooSlow(call);
    await eventually(() => server.counters().openCalls === 0, "the end of the call");
    const transport = connectTo(t, server.address);
    const { offset } = await transport.unary(BlobService.method.queryUpload, { uploadId: "slow" });
    assert.ok(offset > 0n && offset <= BigInt(sent));
    const parts: UploadPart[] = [
      { case: "header", value: { uploadId: "slow" } },
      { case: "data", value: { offset, data: content.subarray(Number(offset)) } },
      { case: "finish", value: { size: BigInt(content.length), hash: hashBlob(content) } },
    ];
    const stored = await transport.clientStream(
      BlobService.method.upload,
      (async function* () {
        for (const part of parts) yield { part };
      })(),
    );
    assert.deepEqual(Buffer.from(stored.hash), Buffer.from(hashBlob(content)));
    assert.equal((await db.usage()).uploads, 0);
  });

  test("its document is ended, and leaves nothing", { timeout: 20_000 }, async (t) => {
    const { server, db } = await realServer(t);
    const call = connectRaw(t, server.address).call(PUT_DOCUMENT);
    const chunking = { method: "fixed", size: 100n };
    call.send(documentMessage({ case: "header", value: { source: "s", chunking } }));
    await drip(call, (offset) =>
      documentMessage({ case: "data", value: { offset: BigInt(offset), data: new Uint8Array(1) } }),
    );
    await requireTooSlow(call);
    await eventually(() => server.counters().openCalls === 0, "the end of the call");
    const { uploads, rows } = await db.usage();
    assert.deepEqual([uploads, rows["blobs"]], [0, 0]);
  });
});

test("a peer that has its answer and streams on is cut off, and keeps the answer", { timeout: 20_000 }, async (t) => {
  const { server } = await realServer(t);
  const call = connectRaw(t, server.address).call(UPLOAD);
  const data = uploadMessage({ case: "data", value: { data: new Uint8Array(10) } });
  await drip(call, () => data);
  const { status, message, resetCode } = await call.ended;
  assert.deepEqual([status, resetCode], [3, 0]);
  assert.match(message, /header/);
});

describe("a request that does not come to its end", () => {
  for (const [path, kind] of [
    ["/neleus.v1.BlobService/Stat", "unary"],
    ["/neleus.v1.BlobService/Download", "a stream out"],
  ] as const) {
    test(`${kind}: the call is ended, and reaches no handler`, { timeout: 20_000 }, async (t) => {
      let handled = 0;
      const stat = async (): Promise<object> => ({ size: BigInt((handled += 1)) });
      const download = async function* () {
        yield { part: { case: "header", value: await stat() } } as const;
      };
      const server = await serve(t, { services: fakeServices({ blob: { stat, download } }), limits: LIMITS });
      const client = connectRaw(t, server.address);
      const startedMs = performance.now();
      // Nothing; a message without an end; one that comes byte by byte.
      const silent = client.call(path);
      const open = client.call(path).send(Buffer.alloc(0));
      const dripping = client.call(path);
      const framed = frame(new Uint8Array(5_000));
      const sending = (async () => {
        for (let sent = 0; sent < MOST_DRIPS && !dripping.stream.closed; sent += 1) {
          dripping.stream.write(framed.subarray(sent, sent + 1));
          await delay(LIMITS.slowPeerTimeoutMs / 20);
        }
      })();
      for (const call of [silent, open, dripping]) {
        const { status, message, details, resetCode } = await call.ended;
        assert.deepEqual([status, resetCode], [4, 0], message);
        assert.match(message, /^the request did not come to its end: \d+ bytes of it arrived in 0\.25 seconds/);
        const info = fromBinary(StatusSchema, details!).details.find(({ typeUrl }) => typeUrl.endsWith("ErrorInfo"));
        assert.equal(fromBinary(ErrorInfoSchema, info!.value).metadata["limit"], "progress_bytes");
      }
      await sending;
      assert.ok(performance.now() - startedMs >= LIMITS.slowPeerTimeoutMs);
      assert.equal(handled, 0);
      const whole = client.call(path).send(Buffer.alloc(0)).end();
      assert.deepEqual([(await whole.ended).status, handled], [0, 1]);
      await eventually(() => server.counters().openCalls === 0, "the end of the calls");
    });
  }

  test("a slow one that gets on is answered, through many windows", { timeout: 20_000 }, async (t) => {
    const { server } = await realServer(t);
    const call = connectRaw(t, server.address).call("/neleus.v1.BlobService/FindMissing");
    const hashes = Array.from({ length: 1_500 }, (_, index) => new Uint8Array(32).fill(index));
    const message = frame(
      toBinary(BlobServiceFindMissingRequestSchema, create(BlobServiceFindMissingRequestSchema, { hashes })),
    );
    for (let start = 0; start < message.length; start += 1_000) {
      call.stream.write(message.subarray(start, start + 1_000));
      await delay(LIMITS.slowPeerTimeoutMs / 12);
    }
    call.end();
    assert.equal((await call.ended).status, 0);
  });
});

describe("an answer", () => {
  /** A server that streams without end, and what becomes of it. */
  async function endless(t: TestContext, limits: object) {
    const ended = deferred<unknown>();
    const services = fakeServices({
      blob: {
        async *download(_, context) {
          context.signal.addEventListener("abort", () => ended.resolve(context.signal.reason));
          for (;;) yield { part: { case: "slice", value: { data: new Uint8Array(500) } } };
        },
      },
    });
    return { server: await serve(t, { services, limits }), ended: ended.promise };
  }

  /** Takes so many bytes at a time of a call that has no window but what it is given. */
  async function sip(call: RawCall, bytes: number): Promise<void> {
    while (!call.stream.closed) {
      call.stream.read(bytes);
      await delay(LIMITS.slowPeerTimeoutMs / 20);
    }
  }

  test("taken a little now and then: the handler is told, and the call is ended", { timeout: 20_000 }, async (t) => {
    const limits = { ...LIMITS, minProgressBytes: 200_000, sendBufferBytes: 100_000 };
    const { server, ended } = await endless(t, limits);
    const client = connectRaw(t, server.address, { initialWindowSize: 4_000 });
    const call = client.call("/neleus.v1.BlobService/Download", { reads: false }).send(Buffer.alloc(0)).end();
    void sip(call, 2_000);
    const reason = await ended;
    assert.ok(reason instanceof Unavailable, String(reason));
    assert.match(reason.message, /^the caller took only \d+ bytes of the answer in 0\.25 seconds of waiting for it/);
    await eventually(() => server.counters().openCalls === 0, "the end of the call", 3_000);
  });

  test("taken slowly, but enough of it, is not ended", { timeout: 20_000 }, async (t) => {
    const limits = { ...LIMITS, minProgressBytes: 1_000, sendBufferBytes: 100_000 };
    const { server, ended } = await endless(t, limits);
    const client = connectRaw(t, server.address, { initialWindowSize: 4_000 });
    const call = client.call("/neleus.v1.BlobService/Download", { reads: false }).send(Buffer.alloc(0)).end();
    void sip(call, 2_000);
    assert.equal(await Promise.race([ended, delay(6 * LIMITS.slowPeerTimeoutMs, "left alone")]), "left alone");
    assert.equal(server.counters().openCalls, 1);
    call.stream.close();
  });

  test("that is complete is taken to its end by a slow peer that gets on", { timeout: 30_000 }, async (t) => {
    const total = 600_000;
    const services = fakeServices({
      blob: {
        async *download() {
          for (let sent = 0; sent < total; sent += 10_000) {
            yield { part: { case: "slice", value: { data: new Uint8Array(10_000) } } };
          }
        },
      },
    });
    // The handler has finished at once: everything waits in the buffer, and takes many windows to go.
    const limits = { ...LIMITS, sendBufferBytes: 2 * total };
    const server = await serve(t, { services, limits });
    const client = connectRaw(t, server.address, { initialWindowSize: 10_000 });
    const call = client.call("/neleus.v1.BlobService/Download", { reads: false }).send(Buffer.alloc(0)).end();
    let received = 0;
    for await (const bytes of call.stream) {
      received += (bytes as Buffer).length;
      await delay(LIMITS.slowPeerTimeoutMs / 20);
    }
    assert.ok(received >= total, `${received} bytes`);
    assert.equal((await call.ended).status, 0);
  });
});

describe("a stream that is left alone", () => {
  test("a slow peer that gets on, through many windows", { timeout: 20_000 }, async (t) => {
    const { server } = await realServer(t);
    const call = connectRaw(t, server.address).call(UPLOAD);
    call.send(uploadMessage({ case: "header", value: {} }));
    const content = new Uint8Array(60_000).fill(3);
    for (let offset = 0; offset < content.length; offset += 1_000) {
      const data = content.subarray(offset, offset + 1_000);
      call.send(uploadMessage({ case: "data", value: { offset: BigInt(offset), data } }));
      await delay(LIMITS.slowPeerTimeoutMs / 12);
    }
    call.send(uploadMessage({ case: "finish", value: { size: BigInt(content.length), hash: hashBlob(content) } }));
    call.end();
    assert.equal((await call.ended).status, 0);
  });

  test("a peer that waits for a slow server", { timeout: 20_000 }, async (t) => {
    let count = 0;
    const services = fakeServices({
      blob: {
        upload: async (requests) => {
          for await (const { part } of requests) {
            assert.equal(part.case, "header");
            await delay(2 * LIMITS.slowPeerTimeoutMs);
            count += 1;
          }
          return {};
        },
      },
    });
    const server = await serve(t, { services, limits: LIMITS });
    const call = connectRaw(t, server.address).call(UPLOAD);
    for (let index = 0; index < 3; index += 1) call.send(uploadMessage({ case: "header", value: {} }));
    call.end();
    assert.equal((await call.ended).status, 0);
    assert.equal(count, 3);
  });
});
