// What the map costs on one thread: building, proving, verifying, scanning, editing.
//
//   npm run build:all && node build/bench/map.js [keys, default 100000]
//
// Processor time, not the clock's, the best of several rounds: what the machine can do while nothing disturbs it. Keys
// are 18 bytes, cells are of state. Stored nodes are in memory, already decoded, so reads measure the map and no store.
import { concatBytes, utf8 } from "#src/core/bytes.js";
import { kernelName } from "#src/core/hash/index.js";
import type { Entry, Reveal } from "#src/core/map/index.js";
import {
  MapKind,
  NodeTable,
  Recorder,
  ScanVerifier,
  buildMap,
  decodeNode,
  edit,
  get,
  proveScanSync,
  readSync,
  verifyNode,
  verifyWitness,
} from "#src/core/map/index.js";

const ROUNDS = 7;
const SAMPLES = 2000;
const keyCount = Number(process.argv[2] ?? 100_000);

function cpuMicroseconds(action: () => void): number {
  const start = process.cpuUsage();
  action();
  const { user, system } = process.cpuUsage(start);
  return user + system;
}

function report(name: string, count: number, unit: string, action: () => void): void {
  let best = Infinity;
  for (let round = 0; round < ROUNDS; round += 1) best = Math.min(best, cpuMicroseconds(action));
  const each = best / count;
  console.log(`${name.padEnd(36)} ${each.toFixed(2).padStart(9)} µs a ${unit.padEnd(7)} ${Math.round(1e6 / each)}/s`);
}

const entries: Entry[] = Array.from({ length: keyCount }, (_, index) => ({
  key: utf8(`user/${String(index).padStart(13, "0")}`),
  cell: concatBytes(Uint8Array.of(0x82, 0x58, 0x20), new Uint8Array(32).fill(index), Uint8Array.of(0x18, 100)),
}));
const samples = Array.from({ length: SAMPLES }, (_, index) => entries[(index * 7919) % keyCount]!);
const other = entries[1]!.cell;

const source = new NodeTable();
const { root } = buildMap(MapKind.state, entries, source.add);
const map = { kind: MapKind.state, root };
console.log(`${keyCount} keys, ${source.size} nodes, ${source.load(root).level + 1} levels, kernel ${kernelName()}`);

report("build", keyCount, "key", () => buildMap(MapKind.state, entries, () => undefined));

const proofs: Reveal[][] = [];
report("get", SAMPLES, "key", () => {
  for (const { key } of samples) readSync(get(map, key), source);
});
report("get with witness", SAMPLES, "key", () => {
  proofs.length = 0;
  for (const { key } of samples) {
    const recorder = new Recorder();
    readSync(get(map, key), source, recorder);
    proofs.push([...recorder.reveals()]);
  }
});
report("verify the witness of a key", SAMPLES, "key", () => {
  for (const [index, { key }] of samples.entries()) verifyWitness(get(map, key), proofs[index]!);
});

const all = { from: new Uint8Array(0) };
let reveals: Reveal[] = [];
report("scan with witness", keyCount, "key", () => {
  reveals = [...proveScanSync(source, map, all)].flatMap((part) => part.reveals);
});
report("verify a scan, 64 reveals at a time", keyCount, "key", () => {
  const verifier = new ScanVerifier(map, all);
  for (let first = 0; first < reveals.length; first += 64) verifier.push(reveals.slice(first, first + 64));
  verifier.finish();
});

report("put a changed value", SAMPLES, "key", () => {
  for (const { key } of samples) readSync(edit(map, [{ key, cell: other }]), source);
});
report("put a new key", SAMPLES, "key", () => {
  for (const { key } of samples)
    readSync(edit(map, [{ key: concatBytes(key, Uint8Array.of(1)), cell: other }]), source);
});
report("put 100 new keys at once", 100 * 20, "key", () => {
  for (let batch = 0; batch < 20; batch += 1) {
    const edits = samples
      .slice(batch * 100, batch * 100 + 100)
      .map(({ key }) => ({ key: concatBytes(key, key), cell: other }));
    edits.sort((a, b) => Buffer.compare(a.key, b.key));
    readSync(edit(map, edits), source);
  }
});

const stored = samples.map(({ key }) => {
  let node = source.load(root);
  while (node.level > 0) node = source.load(node.childDigest(node.seek(key)));
  return node;
});
report("decode a node", SAMPLES, "node", () => {
  for (const node of stored) decodeNode(node.stored, { digest: node.digest });
});
report("verify a stored node", SAMPLES, "node", () => {
  for (const node of stored) verifyNode(node.stored, node.digest);
});
