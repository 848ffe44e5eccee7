// Goal: a thousand open streams that nobody reads, some of them read slowly, take a bounded amount of the server's memory, and
// others are served meanwhile.
// Method: a server in a process of its own; scans with values, 12 MB each, and downloads of 64 MiB, over five raw connections
// whose windows stay as they are. Its own memory is sampled until it stands still. Prints the figures.
import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { BlobServiceDownloadRequestSchema } from "#gen/neleus/v1/blob_pb.js";
import { StateServiceScanRequestSchema } from "#gen/neleus/v1/state_pb.js";
import { connect } from "#src/client/remote.js";
import { connectRaw, type RawCall } from "../rpc/support/raw-client.js";
import { startServerProcess, type ServerProcess } from "../system/server-process.js";

const MiB = 1024 * 1024;
const STREAMS = 1_000;
const CONNECTIONS = 5;
const SLOW_READERS = 50;
/** The budget of all streams (24 MiB), for each some 200 KiB of a small message and what a call is made of, and what V8 leaves lying. */
const MOST_BYTES = 256 * MiB;

interface Method {
  readonly path: string;
  readonly request: Uint8Array;
}

const SCAN: Method = {
  path: "/neleus.v1.StateService/Scan",
  request: toBinary(
    StateServiceScanRequestSchema,
    create(StateServiceScanRequestSchema, { at: { at: { case: "staged", value: "main" } }, withValues: true }),
  ),
};

const download = (hash: Uint8Array): Method => ({
  path: "/neleus.v1.BlobService/Download",
  request: toBinary(BlobServiceDownloadRequestSchema, create(BlobServiceDownloadRequestSchema, { hash })),
});

/** Memory of the server when it takes no more, with the streams open; they are read in the end. */
async function openStreams(
  t: TestContext,
  server: ServerProcess,
  options: { readonly method: Method; readonly whileOpen: () => Promise<void> },
): Promise<number> {
  const { path, request } = options.method;
  const calls: RawCall[] = [];
  for (let connection = 0; connection < CONNECTIONS; connection += 1) {
    const client = connectRaw(t, server.address);
    for (let stream = 0; stream < STREAMS / CONNECTIONS; stream += 1) {
      calls.push(client.call(path, { reads: false }).send(request).end());
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
  await options.whileOpen();
  assert.equal(calls.filter(({ stream }) => !stream.closed).length, STREAMS);
  // A stream closes once it has been read, or was left.
  for (const { stream } of calls) stream.resume().close();
  await Promise.all(calls.map(({ ended }) => ended));
  return peakBytes;
}

describe("a thousand streams that nobody reads", () => {
  test("scans, then downloads", { timeout: 10 * 60_000 }, async (t) => {
    const server = await startServerProcess(t);
    const db = await connect(server.address, { onTrustOnFirstUse: () => undefined });
    const value = new Uint8Array(4_000);
    const keys = Array.from({ length: 3_000 }, (_, index) => `key/${String(index).padStart(6, "0")}`);
    await db.state("main").load(keys.map((key, index) => ({ key, value: value.fill(index) })));
    const { staged } = await db.snapshot("main");
    let read = 0;
    for await (const entry of staged.scan({ values: true })) read += entry.sizeBytes;
    assert.equal(read, 12_000_000);
    const { hash } = await db.putBlob(new Uint8Array(64 * MiB).fill(7));
    const beforeBytes = server.ownBytes();
    const inMiB = (bytes: number): number => Math.round(bytes / MiB);
    for (const [name, method] of [
      ["scans", SCAN],
      ["downloads", download(hash)],
    ] as const) {
      let servedMs = 0;
      const whileOpen = async (): Promise<void> => {
        const startedMs = performance.now();
        assert.equal((await staged.get("key/000123"))?.sizeBytes, 4_000);
        servedMs = Math.round(performance.now() - startedMs);
        let bytes = 0;
        for await (const part of db.blob(hash).stream({ start: 0, end: MiB })) bytes += part.length;
        assert.equal(bytes, MiB);
      };
      const peakBytes = await openStreams(t, server, { method, whileOpen });
      t.diagnostic(
        `${STREAMS} ${name}: ${inMiB(peakBytes)} MiB, ${inMiB(beforeBytes)} before; a get took ${servedMs} ms`,
      );
      assert.ok(peakBytes - beforeBytes <= MOST_BYTES, `${inMiB(peakBytes - beforeBytes)} MiB more`);
    }
    assert.equal((await staged.get("key/000124"))?.sizeBytes, 4_000);
    await db.close();
  });
});
