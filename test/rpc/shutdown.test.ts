// Goal: a server that is told to stop takes no more, lets calls in progress finish within the grace period, tells the rest
// why they end, and is gone in bounded time whatever handlers and peers do. Method: each in turn.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { BlobService } from "#gen/neleus/v1/blob_pb.js";
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from "#gen/grpc/health/v1/health_pb.js";
import { NeleusError, Unavailable } from "#src/core/errors.js";
import { startServer } from "#src/server/index.js";
import { fakeServices } from "./support/fakes.js";
import { connectRaw, openSocket } from "./support/raw-client.js";
import { PREFACE } from "./support/raw-frames.js";
import { connectTo, deferred, eventually, MemoryLogger, serve, untilAborted } from "./support/running.js";

const { stat, download } = BlobService.method;
const DOWNLOAD = "/neleus.v1.BlobService/Download";

async function timed(action: Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await action;
  return performance.now() - startedMs;
}

describe("shutting down", () => {
  test("without calls it is done at once, whatever connections are open", async (t) => {
    const server = await serve(t, { services: fakeServices({ blob: { stat: async () => ({}) } }) });
    const transport = connectTo(t, server.address);
    await transport.unary(stat, {});
    const idle = openSocket(server.address);
    t.after(() => idle.destroy());
    idle.resume();
    idle.write(PREFACE);
    await eventually(() => server.counters().openConnections === 2, "both connections");
    assert.ok((await timed(server.close({ graceMs: 20_000 }))) < 3_000);
    assert.deepEqual({ ...server.counters(), startedCalls: 0 }, { openCalls: 0, openConnections: 0, startedCalls: 0 });
  });

  test("calls in progress finish; new ones are refused", async (t) => {
    const reached = deferred();
    const release = deferred();
    const services = fakeServices({
      blob: {
        stat: async () => {
          reached.resolve();
          await release.promise;
          return { size: 5n };
        },
      },
    });
    const server = await serve(t, { services });
    const transport = connectTo(t, server.address);
    const call = transport.unary(stat, {});
    await reached.promise;
    const closing = server.close({ graceMs: 20_000 });
    await assert.rejects(connectTo(t, server.address).unary(stat, {}), Unavailable);
    await assert.rejects(transport.unary(stat, {}), Unavailable);
    release.resolve();
    assert.equal((await call).size, 5n);
    await closing;
  });

  test("after the grace period the rest are told UNAVAILABLE, in a stream and out of one", async (t) => {
    const reasons: unknown[] = [];
    const services = fakeServices({
      blob: {
        stat: async (_, { signal }) => untilAborted(signal),
        async *download(_, { signal }) {
          yield { part: { case: "header", value: {} } };
          try {
            await untilAborted(signal);
          } finally {
            reasons.push(signal.reason);
          }
        },
      },
    });
    const server = await serve(t, { services });
    const transport = connectTo(t, server.address);
    const unary = assert.rejects(transport.unary(stat, {}), isShutdown);
    const stream = assert.rejects(async () => {
      for await (const { part } of transport.serverStream(download, {})) assert.equal(part.case, "header");
    }, isShutdown);
    await eventually(() => server.counters().openCalls === 2, "both calls", 5_000);
    const tookMs = await timed(server.close({ graceMs: 100 }));
    await Promise.all([unary, stream]);
    assert.ok(tookMs >= 99 && tookMs < 3_000, `${tookMs} ms`);
    assert.equal(reasons.length, 1);
    assert.ok(reasons[0] instanceof Unavailable);
  });

  test("a stream whose handler just returns when told to stop does not look complete", async (t) => {
    const services = fakeServices({
      blob: {
        async *download(_, { signal }) {
          yield { part: { case: "header", value: {} } };
          await untilAborted(signal).catch(() => undefined);
        },
      },
    });
    const server = await serve(t, { services });
    const transport = connectTo(t, server.address);
    const stream = assert.rejects(async () => {
      for await (const { part } of transport.serverStream(download, {})) assert.equal(part.case, "header");
    }, isShutdown);
    await eventually(() => server.counters().openCalls === 1, "the call", 5_000);
    await server.close({ graceMs: 20 });
    await stream;
  });

  test("a handler that ignores its signal is named in the log and not waited for", async (t) => {
    const logger = new MemoryLogger();
    const release = deferred();
    t.after(() => release.resolve());
    const services = fakeServices({
      blob: {
        stat: async () => {
          await release.promise;
          return {};
        },
      },
    });
    const server = await serve(t, { services, logger });
    const call = assert.rejects(connectTo(t, server.address).unary(stat, {}), Unavailable);
    await eventually(() => server.counters().openCalls === 1, "the call", 5_000);
    assert.ok((await timed(server.close({ graceMs: 0 }))) < 5_000);
    await call;
    assert.ok(logger.lines.some(({ level, fields }) => level === "warn" && fields["calls"] === 1));
  });

  test("a peer that reads nothing does not hold it up", async (t) => {
    const services = fakeServices({
      blob: {
        async *download() {
          for (;;) yield { part: { case: "slice", value: { data: new Uint8Array(256 * 1024) } } };
        },
      },
    });
    const server = await serve(t, { services });
    connectRaw(t, server.address).call(DOWNLOAD, { reads: false }).send(Buffer.alloc(0)).end();
    await eventually(() => server.counters().openCalls === 1, "the call", 5_000);
    assert.ok((await timed(server.close({ graceMs: 50 }))) < 4_000);
    assert.equal(server.counters().openConnections, 0);
  });

  test("an answer that was made is sent even if the grace period has ended meanwhile", async (t) => {
    const services = fakeServices({
      blob: {
        stat: async (_, { signal }) => {
          await untilAborted(signal).catch(() => undefined);
          return { size: 8n };
        },
      },
    });
    const server = await serve(t, { services });
    const call = connectTo(t, server.address).unary(stat, {});
    await eventually(() => server.counters().openCalls === 1, "the call", 5_000);
    await server.close({ graceMs: 20 });
    assert.equal((await call).size, 8n);
  });

  test("a second close shares the first, and may shorten its grace", async (t) => {
    const services = fakeServices({ blob: { stat: async (_, { signal }) => untilAborted(signal) } });
    const server = await serve(t, { services });
    const call = assert.rejects(connectTo(t, server.address).unary(stat, {}), Unavailable);
    await eventually(() => server.counters().openCalls === 1, "the call", 5_000);
    const first = server.close({ graceMs: 60_000 });
    await delay(30);
    assert.ok((await timed(server.close({ graceMs: 0 }))) < 3_000);
    await first;
    await call;
  });

  test("the address is free at once", async (t) => {
    const reached = deferred();
    const services = fakeServices({
      blob: {
        stat: async (_, { signal }) => {
          reached.resolve();
          return untilAborted(signal);
        },
      },
    });
    const server = await serve(t, { services });
    const call = assert.rejects(connectTo(t, server.address).unary(stat, {}), Unavailable);
    await reached.promise;
    const closing = server.close({ graceMs: 300 });
    const next = await startServer({ services, listen: server.address });
    assert.equal(next.address, server.address);
    await next.close();
    await closing;
    await call;
  });
});

describe("health", () => {
  const { check, list, watch } = Health.method;

  test("every service is serving, health and the whole included; others are not found", async (t) => {
    const server = await serve(t, { services: fakeServices({}) });
    const transport = connectTo(t, server.address);
    for (const service of ["", "neleus.v1.BlobService", "neleus.v1.StateService"]) {
      assert.equal((await transport.unary(check, { service })).status, ServingStatus.SERVING);
    }
    await assert.rejects(
      transport.unary(check, { service: "neleus.v1.Blob" }),
      (error) => error instanceof NeleusError && error.code === "NOT_FOUND",
    );
    const { statuses } = await transport.unary(list, {});
    assert.deepEqual(Object.keys(statuses).sort(), ["", "neleus.v1.BlobService", "neleus.v1.StateService"]);
  });

  test("a watcher sees the end coming, and is let go before the grace period has passed", async (t) => {
    const server = await serve(t, { services: fakeServices({}) });
    const transport = connectTo(t, server.address);
    const seen: ServingStatus[] = [];
    const watching = assert.rejects(async () => {
      for await (const { status } of transport.serverStream(watch, {})) seen.push(status);
    }, isShutdown);
    await eventually(() => seen.length === 1, "the first status", 5_000);
    assert.ok((await timed(server.close({ graceMs: 20_000 }))) < 3_000);
    await watching;
    assert.deepEqual(seen, [ServingStatus.SERVING, ServingStatus.NOT_SERVING]);
  });

  test("a watcher of an unknown service is told so and kept; one that leaves is forgotten", async (t) => {
    const server = await serve(t, { services: fakeServices({}) });
    const transport = connectTo(t, server.address);
    for await (const { status } of transport.serverStream(watch, { service: "other" })) {
      assert.equal(status, ServingStatus.SERVICE_UNKNOWN);
      await delay(30);
      assert.equal(server.counters().openCalls, 1);
      break;
    }
    await eventually(() => server.counters().openCalls === 0, "the end of the watch");
  });
});

describe("a server without work", () => {
  test("says so once, after the last connection has gone and a while has passed", async (t) => {
    let idleCount = 0;
    const server = await serve(t, {
      services: fakeServices({ blob: { stat: async () => ({}) } }),
      idle: { afterMs: 150, onIdle: () => (idleCount += 1) },
    });
    const transport = connectTo(t, server.address);
    for (let index = 0; index < 5; index += 1) {
      await transport.unary(stat, {});
      await delay(60);
      assert.equal(idleCount, 0, "a connection is work");
    }
    await transport.close();
    await eventually(() => idleCount === 1, "the notice", 3_000);
    await delay(200);
    assert.equal(idleCount, 1);
  });

  test("that nobody ever calls says so too; one that is closed does not", async (t) => {
    let first = 0;
    let second = 0;
    await serve(t, { services: fakeServices({}), idle: { afterMs: 40, onIdle: () => (first += 1) } });
    const closed = await serve(t, { services: fakeServices({}), idle: { afterMs: 40, onIdle: () => (second += 1) } });
    await closed.close();
    await eventually(() => first === 1, "the notice", 3_000);
    await delay(60);
    assert.equal(second, 0);
  });
});

function isShutdown(error: unknown): boolean {
  assert.ok(error instanceof Unavailable, String(error));
  assert.equal(error.message, "the server is shutting down");
  return true;
}
