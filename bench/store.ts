// What the LMDB store costs: durable batches a second from one and from sixteen writers, reads of map nodes, and large
// blobs. Build first: `npx tsc -b tsconfig.test.json && node build/bench/store.js [DIRECTORY]`
//
// DIRECTORY says where to measure (default: the system's temporary directory; on a tmpfs a flush costs nothing). One
// batch is what a small write is: eight nodes of 1 KB, a log leaf, and the tail under compare-and-swap.
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { u64be, utf8 } from "#src/core/bytes.js";
import { ConditionFailed, createDirectory } from "#src/store/index.js";
import type { Row, Store } from "#src/store/index.js";

const ROUND_MS = 3_000;
const NODES_PER_BATCH = 8;
const NODE_BYTES = 1_000;
const BLOB_BYTES = 256 * 1024 * 1024;
const PIECE_BYTES = 256 * 1024;
const TAIL = { space: "meta", key: utf8("tail") } as const;

/** A key that looks like a hash: spread over the whole space. */
function nodeKey(number: number): Uint8Array {
  const key = new Uint8Array(32);
  const view = new DataView(key.buffer);
  view.setUint32(0, Math.imul(number, 2_654_435_761));
  view.setUint32(4, number);
  return key;
}

let nextNode = 0;
let nextLeaf = 0;

function newNodes(): Row[] {
  return Array.from({ length: NODES_PER_BATCH }, () => {
    const key = nodeKey(nextNode);
    nextNode += 1;
    return { space: "nodes", key, value: new Uint8Array(NODE_BYTES).fill(nextNode) };
  });
}

/** Each writer has a tail of its own, so that this measures the store and not the contention of a counter. */
async function writeFor(store: Store, writer: number): Promise<number> {
  const tail = { space: "meta", key: utf8(`tail ${writer}`) } as const;
  const end = performance.now() + ROUND_MS;
  let batches = 0;
  let [before] = await store.snapshot([tail]);
  while (performance.now() < end) {
    const after = u64be(nextLeaf);
    const leaf: Row = { space: "log", key: u64be(nextLeaf), value: new Uint8Array(50) };
    nextLeaf += 1;
    await store.write({
      conditions: [{ ...tail, expected: before ?? "absent" }],
      puts: [...newNodes(), leaf, { ...tail, value: after }],
    });
    before = after;
    batches += 1;
  }
  return batches;
}

async function measureWrites(store: Store, writers: number): Promise<void> {
  const started = performance.now();
  const counts = await Promise.all(Array.from({ length: writers }, (_, writer) => writeFor(store, writer)));
  const seconds = (performance.now() - started) / 1000;
  const batches = counts.reduce((sum, count) => sum + count, 0);
  report(`durable batches from ${writers} writer${writers === 1 ? "" : "s"}`, batches / seconds, "/s");
}

/** All writers swap one row, as commits to one log do: most attempts fail and are made again. */
async function measureContention(store: Store): Promise<void> {
  const end = performance.now() + ROUND_MS;
  let won = 0;
  let lost = 0;
  const writer = async (): Promise<void> => {
    while (performance.now() < end) {
      const [old] = await store.snapshot([TAIL]);
      const value = u64be(nextLeaf++);
      try {
        await store.write({ conditions: [{ ...TAIL, expected: old ?? "absent" }], puts: [{ ...TAIL, value }] });
        won += 1;
      } catch (error) {
        if (!(error instanceof ConditionFailed)) throw error;
        lost += 1;
      }
    }
  };
  await Promise.all(Array.from({ length: 16 }, writer));
  report("16 writers that swap one row: won", won / (ROUND_MS / 1000), "/s");
  report("16 writers that swap one row: refused", lost / (ROUND_MS / 1000), "/s");
}

async function measureReads(store: Store): Promise<void> {
  const keys = Array.from({ length: 20_000 }, (_, index) => nodeKey(Math.imul(index, 7919) % nextNode));
  const { sync } = store;
  if (sync !== undefined) {
    for (const name of ["first", "second"]) {
      const started = performance.now();
      for (const key of keys) sync.get("nodes", key);
      report(`get of a node, ${name} pass`, ((performance.now() - started) * 1000) / keys.length, "µs");
    }
    const started = performance.now();
    for (const key of keys) sync.has("nodes", key);
    report("has of a node", ((performance.now() - started) * 1000) / keys.length, "µs");
  }
  const started = performance.now();
  for (let from = 0; from < keys.length; from += 100) await store.getMany("nodes", keys.slice(from, from + 100));
  report("getMany of 100 nodes, each", ((performance.now() - started) * 1000) / keys.length, "µs");
  const scanned = performance.now();
  let rows = 0;
  for await (const { index } of store.scanLog()) rows += index >= 0 ? 1 : 0;
  report("scan of the log, each row", ((performance.now() - scanned) * 1000) / rows, "µs");
}

async function measureBlobs(store: Store): Promise<void> {
  const piece = new Uint8Array(PIECE_BYTES).fill(5);
  const started = performance.now();
  const staged = await store.files.stage("bench", { metadata: new Uint8Array(0) });
  while (staged.sizeBytes < BLOB_BYTES) await staged.append(staged.sizeBytes, piece);
  await staged.appendOutboard(new Uint8Array(BLOB_BYTES / 256));
  await staged.publish(new Uint8Array(32));
  report("large blob up, flushed", BLOB_BYTES / 1e6 / ((performance.now() - started) / 1000), "MB/s");
  const blob = await store.files.open(new Uint8Array(32));
  if (blob === undefined) throw new Error("the blob is not there");
  const reading = performance.now();
  for (let offset = 0; offset < BLOB_BYTES; offset += PIECE_BYTES) await blob.read(offset, PIECE_BYTES);
  report("large blob down, from the page cache", BLOB_BYTES / 1e6 / ((performance.now() - reading) / 1000), "MB/s");
  await blob.close();
  const small = performance.now();
  const count = 50;
  for (let number = 0; number < count; number += 1) {
    const one = await store.files.stage(`small-${number}`, { metadata: new Uint8Array(0) });
    await one.append(0, piece);
    await one.appendOutboard(new Uint8Array(1024));
    await one.publish(nodeKey(number));
  }
  report("blobs of 256 KiB, one after another", count / ((performance.now() - small) / 1000), "/s");
}

function report(what: string, value: number, unit: string): void {
  const digits = value < 100 ? 2 : 0;
  console.log(`${what.padEnd(46)} ${value.toFixed(digits).padStart(10)} ${unit}`);
}

const directory = mkdtempSync(join(process.argv[2] ?? tmpdir(), "neleus-bench-store-"));
try {
  console.log(`node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? "unknown"}, ${directory}`);
  const { store } = await createDirectory(join(directory, "db"));
  await measureWrites(store, 1);
  await measureWrites(store, 16);
  await measureContention(store);
  await measureReads(store);
  await measureBlobs(store);
  report("data file after all this", (await store.usage()).rowFilesBytes / 1e6, "MB");
  await store.close();
} finally {
  rmSync(directory, { recursive: true, force: true });
}
