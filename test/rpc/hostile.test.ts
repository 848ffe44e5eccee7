// Goal: no peer can crash the server, read its insides, or make it work or remember much more than it was sent. Method:
// each case is sent by hand; it must end in a status that says little, and a good call must work afterwards.
import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { fromBinary } from "@bufbuild/protobuf";
import { StatusSchema } from "#gen/google/rpc/status_pb.js";
import { BlobService } from "#gen/neleus/v1/blob_pb.js";
import { NeleusError, NotFound } from "#src/core/errors.js";
import type { RunningServer, ServerLimits } from "#src/server/index.js";
import { fakeServices } from "./support/fakes.js";
import { connectRaw, frame, openSocket, type RawClient } from "./support/raw-client.js";
import { headersFrame, http2Frame, messageFrame, PREFACE } from "./support/raw-frames.js";
import { connectTo, eventually, MemoryLogger, serve } from "./support/running.js";

const STAT = "/neleus.v1.BlobService/Stat";
const UPLOAD = "/neleus.v1.BlobService/Upload";
const DOWNLOAD = "/neleus.v1.BlobService/Download";
const FIND_MISSING = "/neleus.v1.BlobService/FindMissing";

interface Setting {
  readonly server: RunningServer;
  readonly client: RawClient;
  readonly logger: MemoryLogger;
  /** Asserts that a good call still works. */
  readonly stillWorks: () => Promise<void>;
}

async function start(t: TestContext, limits: Partial<ServerLimits> = {}): Promise<Setting> {
  const logger = new MemoryLogger();
  const services = fakeServices({
    blob: {
      stat: async ({ hash }) => ({ size: BigInt(hash.length) }),
      findMissing: async ({ hashes }) => ({ missing: hashes.slice(0, 1) }),
      upload: async (requests) => {
        let count = 0n;
        for await (const request of requests) count += request.part.case === undefined ? 0n : 1n;
        return { size: count };
      },
      async *download() {
        yield { part: { case: "header", value: { size: 1n } } };
      },
    },
  });
  const server = await serve(t, { services, logger, limits });
  const transport = connectTo(t, server.address);
  const stillWorks = async (): Promise<void> => {
    const answer = await transport.unary(BlobService.method.stat, { hash: new Uint8Array(6) });
    assert.equal(answer.size, 6n);
    await eventually(() => server.counters().openCalls === 0, "the end of all calls", 3_000);
  };
  return { server, client: connectRaw(t, server.address), logger, stillWorks };
}

describe("malformed messages", () => {
  const garbage: Record<string, Buffer> = {
    "a field that is cut off": Buffer.from([0x12, 0x20, 1, 2, 3]),
    "a wire type that does not exist": Buffer.from([0x0f, 1, 2, 3]),
    "field number 0": Buffer.from([0x02, 0]),
    "an endless varint": Buffer.alloc(40, 0xff),
    "a length of 4 GiB": Buffer.from([0x12, 0xff, 0xff, 0xff, 0xff, 0x0f]),
    "text that is not UTF-8": Buffer.from([0x0a, 2, 0xc3, 0x28]),
    "groups in groups, a million deep": Buffer.alloc(1_000_000, 0x7b),
    "the wrong type for a field": Buffer.from([0x0d, 1, 2, 3, 4, 0x15]),
    "random bytes": Buffer.from("9c3f0e5a77d1b2f84c6e21aa90ffee", "hex"),
  };
  for (const [name, bytes] of Object.entries(garbage)) {
    test(`${name}: INVALID_ARGUMENT in every kind of call`, async (t) => {
      const { client, stillWorks, logger } = await start(t);
      for (const path of [STAT, UPLOAD, DOWNLOAD]) {
        const end = await client.call(path).send(bytes).end().ended;
        assert.equal(end.status, 3, `${path}: ${end.message}`);
        assert.match(end.message, /^malformed BlobService/);
        assert.doesNotMatch(end.message, /at .*\.js|node_modules|\n/);
        assert.equal(fromBinary(StatusSchema, end.details ?? Buffer.alloc(0)).code, 3);
      }
      await stillWorks();
      assert.deepEqual(
        logger.lines.filter((line) => line.level === "error" || line.level === "warn"),
        [],
      );
    });
  }

  test("millions of elements in one message: RESOURCE_EXHAUSTED, at once", async (t) => {
    const { client, stillWorks } = await start(t);
    const elements = Buffer.alloc(4_000_000);
    for (let at = 0; at < elements.length; at += 2) elements[at] = 0x12;
    const before = process.memoryUsage().heapUsed;
    const startedMs = performance.now();
    const end = await client.call(FIND_MISSING).send(elements).end().ended;
    assert.equal(end.status, 8, end.message);
    assert.match(end.message, /65536/);
    assert.ok(performance.now() - startedMs < 2_000);
    assert.ok(process.memoryUsage().heapUsed - before < 64e6);
    await stillWorks();
  });

  test("unknown fields are skipped and cost nothing", async (t) => {
    const { client, stillWorks } = await start(t);
    const unknown = Buffer.concat([Buffer.from([0x12, 3, 1, 2, 3]), Buffer.alloc(60_000, Buffer.from([0x78, 0x01]))]);
    const end = await client.call(STAT).send(unknown).end().ended;
    assert.equal(end.status, 0, end.message);
    await stillWorks();
  });
});

describe("malformed streams of messages", () => {
  test("a message announced over the limit is refused before it comes", async (t) => {
    const { client, stillWorks } = await start(t);
    for (const path of [STAT, UPLOAD, DOWNLOAD]) {
      const call = client.call(path);
      call.stream.write(Buffer.from([0, 0xff, 0xff, 0xff, 0xff]));
      await delay(20);
      call.end();
      assert.equal((await call.ended).status, 8);
    }
    await stillWorks();
  });

  test("no message, or two, where one is wanted", async (t) => {
    const { client, stillWorks } = await start(t);
    assert.notEqual((await client.call(STAT).end().ended).status, 0);
    assert.notEqual((await client.call(STAT).send(Buffer.alloc(0)).send(Buffer.alloc(0)).end().ended).status, 0);
    await stillWorks();
  });

  test("compressed messages: undone where announced, refused where not, bounded in either case", async (t) => {
    const { client, stillWorks } = await start(t);
    const compressed = (bytes: Buffer, encoding?: string) => {
      const call = client.call(STAT, { headers: encoding === undefined ? {} : { "grpc-encoding": encoding } });
      call.stream.end(frame(bytes, 1));
      return call.ended;
    };
    const request = Buffer.from([0x12, 3, 1, 2, 3]);
    assert.equal((await compressed(gzipSync(request), "gzip")).status, 0);
    assert.notEqual((await compressed(gzipSync(request), "zstd")).status, 0);
    assert.notEqual((await compressed(Buffer.from("no gzip"), "gzip")).status, 0);
    const bomb = await compressed(gzipSync(Buffer.alloc(64 * 1024 * 1024)), "gzip");
    assert.equal(bomb.status, 8, bomb.message);
    await stillWorks();
  });
});

describe("malformed requests", () => {
  test("paths of every kind: UNIMPLEMENTED, or the stream's end", async (t) => {
    const { client, stillWorks } = await start(t);
    const paths = [
      "/neleus.v1.BlobService/",
      "/",
      "/neleus.v1.BlobService/__proto__",
      "/neleus.v1.BlobService/constructor",
      `/${"x".repeat(5_000)}`,
      "/x%0a%0d",
      "/\u00e9\u00ff",
      "*",
    ];
    for (const path of paths) {
      const end = await client.call(path).send(Buffer.alloc(0)).end().ended;
      assert.notEqual(end.status, 0, path);
    }
    await stillWorks();
  });

  test("headers of every kind", async (t) => {
    const { client, stillWorks } = await start(t);
    const headers: Record<string, string>[] = [
      { "grpc-timeout": "banana" },
      { "grpc-timeout": "-1S" },
      { "grpc-timeout": "0n" },
      { "x-bin": "!!!not base64" },
      { "a!b": "odd name" },
      { "x-long": "y".repeat(20_000) },
      { "grpc-encoding": "\u00e9" },
      { "content-type": "application/grpc+json" },
    ];
    for (const extra of headers) {
      await client.call(STAT, { headers: extra }).send(Buffer.alloc(0)).end().ended;
    }
    await stillWorks();
  });

  test("deadlines too long for a timer are no deadlines", async (t) => {
    const { client, stillWorks } = await start(t);
    for (const timeout of ["1000H", "99999999H", "99999999M", "3000000S"]) {
      const end = await client
        .call(STAT, { headers: { "grpc-timeout": timeout } })
        .send(Buffer.alloc(0))
        .end().ended;
      assert.equal(end.status, 0, `${timeout}: ${end.message}`);
    }
    await stillWorks();
  });

  test("what is not gRPC is answered by HTTP", async (t) => {
    const { client, stillWorks } = await start(t);
    const end = await client.call(STAT, { headers: { "content-type": "text/html" } }).end().ended;
    assert.equal(end.httpStatus, 415);
    await stillWorks();
  });
});

describe("malformed connections", () => {
  const openings: Record<string, Buffer> = {
    "HTTP/1.1": Buffer.from("GET / HTTP/1.1\r\nhost: x\r\n\r\n"),
    "a TLS greeting": Buffer.from("16030100a5010000a10303", "hex"),
    "a preface and nothing": PREFACE,
    "a frame of no known type": Buffer.concat([
      PREFACE,
      http2Frame({ type: 0xee, streamId: 1, payload: Buffer.alloc(9) }),
    ]),
    "data on a stream that was never opened": Buffer.concat([PREFACE, messageFrame(Buffer.alloc(9), 7)]),
    "headers whose compression is broken": Buffer.concat([
      PREFACE,
      http2Frame({ type: 1, flags: 4, streamId: 1, payload: Buffer.alloc(30, 0xff) }),
    ]),
    "half a frame": Buffer.concat([PREFACE, headersFrame(STAT, 1).subarray(0, 20)]),
    "a path with a line break": Buffer.concat([
      PREFACE,
      headersFrame("/a\r\nb: c", 1),
      messageFrame(Buffer.alloc(0), 1),
    ]),
    "random bytes": Buffer.from("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "hex"),
  };
  for (const [name, bytes] of Object.entries(openings)) {
    test(name, async (t) => {
      const { server, stillWorks } = await start(t, { keepaliveTimeMs: 500, keepaliveTimeoutMs: 500 });
      const socket = openSocket(server.address);
      t.after(() => socket.destroy());
      socket.on("error", () => undefined);
      socket.resume();
      socket.write(bytes);
      await delay(20);
      await stillWorks();
      // Node keeps some sessions that it has given up, even where the peer has closed: they answer no sign of life.
      await eventually(() => server.counters().openConnections <= 2, "the end of the connection", 5_000);
    });
  }

  test("more connections than the limit are closed as they come", async (t) => {
    const services = fakeServices({});
    const server = await serve(t, { services, limits: { maxConnections: 3 } });
    let closed = 0;
    for (let index = 0; index < 8; index += 1) {
      const socket = openSocket(server.address);
      t.after(() => socket.destroy());
      socket.on("error", () => undefined);
      socket.on("close", () => (closed += 1));
      socket.resume();
      socket.write(PREFACE);
    }
    await eventually(() => closed === 5, "five closed connections", 3_000);
    assert.equal(server.counters().openConnections, 3);
  });

  test("streams beyond the limit of a connection are refused, and the others go on", async (t) => {
    const services = fakeServices({
      blob: {
        stat: async (_, { signal }) => new Promise((_resolve, reject) => signal.addEventListener("abort", reject)),
      },
    });
    const server = await serve(t, { services, limits: { maxConcurrentStreams: 4 } });
    const socket = openSocket(server.address);
    t.after(() => socket.destroy());
    socket.resume();
    const ids = [1, 3, 5, 7, 9, 11];
    socket.write(
      Buffer.concat([PREFACE, ...ids.flatMap((id) => [headersFrame(STAT, id), messageFrame(Buffer.alloc(0), id)])]),
    );
    await delay(100);
    assert.ok(server.counters().openCalls <= 4);
    assert.equal(server.counters().openConnections, 1);
  });
});

describe("what an error may say", () => {
  test("a text of any kind reaches the caller, within its bounds, and crashes nothing", async (t) => {
    const texts = [
      "lone \ud800 surrogate",
      "line\nbreak\r\n",
      "% percent %zz",
      "\u0000\u0007",
      "é".repeat(5_000),
      "\u{1f600}".repeat(900),
      "",
    ];
    const services = fakeServices({
      blob: {
        stat: async ({ database }) => {
          const text = texts[Number(database)] ?? "";
          throw new NotFound(text, { hint: text, field: text, facts: { fact: text } });
        },
      },
    });
    const server = await serve(t, { services });
    const client = connectRaw(t, server.address);
    const transport = connectTo(t, server.address);
    for (const index of texts.keys()) {
      const end = await client
        .call(STAT)
        .send(Buffer.from([0x0a, 1, 0x30 + index]))
        .end().ended;
      assert.equal(end.status, 5);
      assert.ok((end.details?.length ?? 0) <= 4_096);
      await assert.rejects(transport.unary(BlobService.method.stat, { database: String(index) }), (error) => {
        assert.ok(error instanceof NotFound);
        assert.doesNotMatch(error.message, /\p{Cc}/u);
        return true;
      });
    }
  });

  test("an error that cannot be put into bytes still ends its call", async (t) => {
    const logger = new MemoryLogger();
    const services = fakeServices({
      blob: {
        stat: async () => {
          // A bug of a handler: the types forbid it, and it cannot be cut to length.
          throw new NotFound("gone", { facts: { name: undefined as unknown as string } });
        },
      },
    });
    const server = await serve(t, { services, logger });
    const end = await connectRaw(t, server.address).call(STAT).send(Buffer.alloc(0)).end().ended;
    assert.equal(end.status, 13);
    assert.match(end.message, /^internal error /);
    assert.ok(logger.lines.some(({ level, message }) => level === "error" && message === "no status for an error"));
  });

  test("the text of a bug is in the log, under the id that the caller is given", async (t) => {
    const logger = new MemoryLogger();
    const services = fakeServices({
      blob: {
        stat: async () => {
          throw new TypeError("secret of /var/lib", { cause: new Error("the cause") });
        },
      },
    });
    const server = await serve(t, { services, logger });
    const transport = connectTo(t, server.address);
    await assert.rejects(transport.unary(BlobService.method.stat, {}), (error) => {
      assert.ok(error instanceof NeleusError);
      assert.doesNotMatch(JSON.stringify([error.message, error.facts, error.hint]), /secret/);
      const [line] = logger.lines.filter(({ level }) => level === "error");
      assert.ok(line);
      assert.equal(line.fields["error"], "secret of /var/lib");
      assert.match(String(line.fields["cause"]), /the cause/);
      assert.equal(line.fields["request_id"], error.facts["request_id"]);
      assert.equal(line.fields["path"], STAT);
      return true;
    });
  });

  test("damage is in the log as well as in the answer", async (t) => {
    const logger = new MemoryLogger();
    const services = fakeServices({
      blob: {
        stat: async () => {
          throw new NeleusError("CORRUPT", "blob 00ff does not match");
        },
      },
    });
    const server = await serve(t, { services, logger });
    const isCorrupt = (error: unknown): boolean => error instanceof NeleusError && error.code === "CORRUPT";
    await assert.rejects(connectTo(t, server.address).unary(BlobService.method.stat, {}), isCorrupt);
    assert.deepEqual(
      logger.lines.filter(({ level }) => level === "error").map(({ fields }) => fields["error"]),
      ["blob 00ff does not match"],
    );
  });
});
