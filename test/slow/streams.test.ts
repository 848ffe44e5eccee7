// Goal: a thousand open streams that nobody reads, some of them read slowly, take a bounded amount of the server's memory, and
// others are served meanwhile.
// Method: a server in a process of its own; scans with values, 12 MB each, over five raw connections whose windows stay as they
// are. Its own memory is sampled until it stands still. Prints the figures.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { StateServiceScanRequestSchema } from "#gen/neleus/v1/state_pb.js";
import { connect } from "#src/client/remote.js";
import { connectRaw, type RawCall } from "../rpc/support/raw-client.js";
import { startServerProcess } from "../system/server-process.js";

const MiB = 1024 * 1024;
const STREAMS = 1_000;
const CONNECTIONS = 5;
const SLOW_READERS = 50;
/** What all answers may hold back, a message and what a scan is made of for each, and what V8 leaves lying. */
const MOST_BYTES = 320 * MiB;

test("a thousand streams that nobody reads", { timeout: 10 * 60_000 }, async (t) => {
  const server = await startServerProcess(t);
  const db = await connect(server.address, { onTrustOnFirstUse: () => undefined });
  const value = new Uint8Array(4_000);
  const keys = Array.from({ length: 3_000 }, (_, index) => `key/${String(index).padStart(6, "0")}`);
  await db.state("main").load(keys.map((key, index) => ({ key, value: value.fill(index) })));
  const { staged } = await db.snapshot("main");
  let read = 0;
  for await (const entry of staged.scan({ values: true })) read += entry.sizeBytes;
  assert.equal(read, 12_000_000);
  const beforeBytes = server.ownBytes();

  const request = toBinary(
    StateServiceScanRequestSchema,
    create(StateServiceScanRequestSchema, { at: { at: { case: "staged", value: "main" } }, withValues: true }),
  );
  const calls: RawCall[] = [];
  for (let connection = 0; connection < CONNECTIONS; connection += 1) {
    const client = connectRaw(t, server.address);
    for (let stream = 0; stream < STREAMS / CONNECTIONS; stream += 1) {
      calls.push(client.call("/neleus.v1.StateService/Scan", { reads: false }).send(request).end());
    }
  }
  let peakBytes = 0;
  let stillFor = 0;
  for (let samples = 0; samples < 300 && stillFor < 50; samples += 1) {
    for (const { stream } of calls.slice(0, SLOW_READERS)) stream.read(1_000);
    const ownBytes = server.ownBytes();
    stillFor = ownBytes > peakBytes + MiB ? 0 : stillFor + 1;
    peakBytes = Math.max(peakBytes, ownBytes);
    await delay(100);
  }
  const startedMs = performance.now();
  assert.equal((await staged.get("key/000123"))?.sizeBytes, 4_000);
  const servedMs = Math.round(performance.now() - startedMs);
  const open = calls.filter(({ stream }) => !stream.closed).length;
  const inMiB = (bytes: number): number => Math.round(bytes / MiB);
  t.diagnostic(`${open} streams: ${inMiB(peakBytes)} MiB, ${inMiB(beforeBytes)} before; a get took ${servedMs} ms`);
  assert.equal(open, STREAMS);
  assert.ok(peakBytes - beforeBytes <= MOST_BYTES, `${inMiB(peakBytes - beforeBytes)} MiB more`);
  // A stream closes once it has been read.
  for (const { stream } of calls) stream.resume().close();
  await Promise.all(calls.map(({ ended }) => ended));
  assert.equal((await staged.get("key/000124"))?.sizeBytes, 4_000);
  await db.close();
});
