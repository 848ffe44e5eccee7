// Throughput of the hash kernel on one thread, beside the portable engine and @noble/hashes in the same run.
//
//   npm run build:all && node build/bench/kernel.js
//
// Each figure is the best of several rounds that take turns between the implementations: what the machine can do
// while nothing else disturbs it. Everything a caller pays is included: packing, copies in and out, new arrays.
import { cpus } from "node:os";
import { blake3 } from "@noble/hashes/blake3.js";
import { BlobHasher } from "#src/core/blob/index.js";
import {
  groupChainingValues,
  hashBatch,
  hashPairs,
  hashTagged,
  tagPrefix,
  type KernelName,
} from "#src/core/hash/index.js";
import { selectKernel } from "#src/core/hash/selection.js";

const ROUNDS = 12;
const ROUND_MS = 15;
const MiB = 1_048_576;
const data = Uint8Array.from({ length: MiB }, (_, index) => index % 251);

/** One thing to measure, with the engine in use or with noble. */
interface Workload {
  readonly name: string;
  /** Bytes, or messages, that one run hashes. */
  readonly amount: number;
  readonly unit: "MB/s" | "M/s";
  readonly ours: () => void;
  readonly noble?: () => void;
}

function nobleTagged(bytes: Uint8Array): Uint8Array {
  return blake3.create().update(tagPrefix("blob:")).update(bytes).digest();
}

function oneMessage(length: number, name: string): Workload {
  const bytes = data.subarray(0, length);
  return {
    name: `hashTagged, ${name}`,
    amount: length,
    unit: "MB/s",
    ours: () => hashTagged("blob:", bytes),
    noble: () => nobleTagged(bytes),
  };
}

function batch(length: number): Workload {
  const messages = Array.from({ length: 4096 }, (_, index) => data.slice(index, index + length));
  return {
    name: `hashBatch, 4,096 messages of ${length} B`,
    amount: messages.length,
    unit: "M/s",
    ours: () => hashBatch("state_leaf:", messages),
    noble: () => messages.forEach(nobleTagged),
  };
}

function upload(pieceBytes: number): Workload {
  const run = (): void => {
    const hasher = new BlobHasher();
    for (let offset = 0; offset < data.length; offset += pieceBytes) {
      hasher.update(data.subarray(offset, offset + pieceBytes));
    }
    hasher.finish();
  };
  return { name: `BlobHasher, 1 MiB in ${pieceBytes / 1024} KiB pieces`, amount: MiB, unit: "MB/s", ours: run };
}

const workloads: readonly Workload[] = [
  oneMessage(64, "64 B"),
  oneMessage(1024, "1 KiB"),
  oneMessage(16_384, "16 KiB"),
  oneMessage(MiB, "1 MiB"),
  { name: "groupChainingValues, 1 MiB", amount: MiB, unit: "MB/s", ours: () => groupChainingValues(data, 1) },
  upload(64 * 1024),
  upload(256 * 1024),
  batch(18),
  batch(64),
  batch(300),
  { name: "hashPairs, 4,096 pairs", amount: 4096, unit: "M/s", ours: () => hashPairs(data.subarray(0, 4096 * 64)) },
];

/** Milliseconds of one run: the average over a round long enough for the clock. */
function roundMs(run: () => void): number {
  const start = performance.now();
  let runs = 0;
  let elapsed = 0;
  while (elapsed < ROUND_MS) {
    run();
    runs += 1;
    elapsed = performance.now() - start;
  }
  return elapsed / runs;
}

function measure(workload: Workload): string {
  const contenders: { name: string; run: () => void; bestMs: number }[] = [];
  const add = (name: string, run: () => void): number => contenders.push({ name, run, bestMs: Infinity });
  const withKernel = (name: KernelName) => (): void => {
    // A second instance of the kernel would start uncompiled, so each engine is chosen only when the last was another.
    if (selected !== name) selected = selectKernel(name);
    workload.ours();
  };
  for (const name of ["wasm-simd", "portable"] as const) add(name, withKernel(name));
  if (workload.noble !== undefined) add("noble", workload.noble);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const contender of contenders) contender.bestMs = Math.min(contender.bestMs, roundMs(contender.run));
  }
  const figures = contenders.map(({ name, bestMs }) => `${name} ${(workload.amount / bestMs / 1e3).toFixed(2)}`);
  return `${workload.name.padEnd(40)} ${workload.unit.padEnd(5)} ${figures.join("   ")}`;
}

let selected: KernelName = selectKernel("wasm-simd");
console.log(`node ${process.version}, ${cpus()[0]?.model.trim() ?? "unknown processor"}, kernel ${selected}`);
for (const workload of workloads) console.log(measure(workload));
