// The client process of memory.test.ts: does one piece of work against a server and prints its own peak in bytes.
//
//   node memory-client.js ADDRESS blob BYTES        uploads a blob of that size and downloads it, verified
//   node memory-client.js ADDRESS load KEYS         loads so many keys, ascending
//   node memory-client.js ADDRESS scan KEYS         scans the first so many
import assert from "node:assert/strict";
import { connect } from "#src/client/remote.js";
import type { Database, LoadEntry } from "#src/client/contract.js";
import { peakBytes } from "../system/server-process.js";

const [address = "", kind = "", amountText = ""] = process.argv.slice(2);
const amount = Number(amountText);

/** Bytes that are no two pieces alike, without holding more than one. */
function* content(sizeBytes: number): Generator<Uint8Array> {
  for (let offset = 0; offset < sizeBytes; offset += 262_144) {
    const piece = new Uint8Array(Math.min(262_144, sizeBytes - offset)).fill(offset >> 18);
    new DataView(piece.buffer).setFloat64(0, offset);
    yield piece;
  }
}

async function blob(db: Database, sizeBytes: number): Promise<void> {
  const stored = await db.putBlob(content(sizeBytes));
  let read = 0;
  for await (const piece of db.blob(stored.hash).stream()) read += piece.length;
  assert.equal(read, sizeBytes);
}

async function load(db: Database, keys: number): Promise<void> {
  function* entries(): Generator<LoadEntry> {
    for (let index = 0; index < keys; index += 1) {
      const number = String(index).padStart(10, "0");
      yield { key: `keys/${number}`, value: number.repeat(10) };
    }
  }
  const loaded = await db.state("main").load(entries());
  assert.deepEqual([loaded.keys, loaded.isRootComputed], [keys, true]);
}

async function scan(db: Database, limit: number): Promise<void> {
  const snapshot = await db.snapshot("main");
  let found = 0;
  for await (const entry of snapshot.staged.scan({ limit })) found += entry.sizeBytes > 0 ? 1 : 0;
  assert.equal(found, limit);
}

const WORK = new Map([
  ["blob", blob],
  ["load", load],
  ["scan", scan],
]);

const work = WORK.get(kind);
if (work === undefined) throw new Error(`unknown work: ${kind}`);
const db = await connect(address, { onTrustOnFirstUse: () => undefined });
await work(db, amount);
await db.close();
process.stdout.write(String(peakBytes("self")));
