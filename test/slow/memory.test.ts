// Goal: memory is bounded, on both sides: a 2 GiB blob peaks within 32 MiB of a 256 MiB one, and a scan of 1,000,000 keys
// within 32 MiB of one of 100,000. A load of 1,000,000 keys peaks within 96 MiB of one of 100,000, which is over before
// garbage that waits for V8 has reached its level (docs/PERFORMANCE.md).
// Method: for each size a server and a client in fresh processes of their own. Of the client VmHWM at the end; of the server
// the most memory of its own that was seen, sampled, because LMDB maps the database: a scan touches each page of it once,
// and those pages are the kernel's cache. The larger size is held against the smaller one of the same run.
// NELEUS_MEMORY_REPORT=1 prints the figures, with mapped pages as well.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import test, { type TestContext } from "node:test";
import { finished, makeDatabase, startServerProcess } from "../system/server-process.js";

const MiB = 1024 * 1024;
const SLACK_BYTES = 32 * MiB;
const LOAD_SLACK_BYTES = 96 * MiB;

const SAMPLE_MS = 5;

interface Peaks {
  readonly server: number;
  readonly client: number;
}

const client = new URL("memory-client.js", import.meta.url).pathname;

async function peaksOf(context: TestContext, work: readonly string[], directory?: string): Promise<Peaks> {
  const server = await startServerProcess(context, directory);
  const child = spawn(process.execPath, [client, server.address, ...work], { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.on("data", (data: Buffer) => (text += data.toString()));
  let ownBytes = 0;
  const sampling = setInterval(() => (ownBytes = Math.max(ownBytes, server.ownBytes())), SAMPLE_MS);
  assert.equal(await finished(child), 0);
  clearInterval(sampling);
  const peaks = { server: ownBytes, client: Number(text) };
  if (process.env["NELEUS_MEMORY_REPORT"] !== undefined) {
    const inMiB = (bytes: number): number => Math.round(bytes / MiB);
    const mapped = `${inMiB(server.peakBytes())} MiB with mapped files`;
    console.log(`${work.join(" ")}: server ${inMiB(peaks.server)} MiB (${mapped}), client ${inMiB(peaks.client)} MiB`);
  }
  await server.stop();
  return peaks;
}

function requireBounded(small: Peaks, large: Peaks, slackBytes = SLACK_BYTES): void {
  for (const side of ["server", "client"] as const) {
    const more = large[side] - small[side];
    assert.ok(more <= slackBytes, `the ${side} took ${Math.round(more / MiB)} MiB more`);
  }
}

test("a blob of 2 GiB up and down, beside one of 256 MiB", async (context) => {
  const small = await peaksOf(context, ["blob", String(256 * MiB)]);
  requireBounded(small, await peaksOf(context, ["blob", String(2048 * MiB)]));
});

test("a load of 1,000,000 keys, beside one of 100,000; and a scan likewise", async (context) => {
  const smallLoad = await peaksOf(context, ["load", "100000"]);
  const directory = await makeDatabase(context);
  const load = await peaksOf(context, ["load", "1000000"], directory);
  // By processes of their own, so that what loading took hides nothing of what scanning takes.
  const smallScan = await peaksOf(context, ["scan", "100000"], directory);
  const scan = await peaksOf(context, ["scan", "1000000"], directory);
  requireBounded(smallScan, scan);
  requireBounded(smallLoad, load, LOAD_SLACK_BYTES);
});
