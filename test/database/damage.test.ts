// Goal: a stored byte that was changed is never returned: whatever is read ends in Corrupt, naming what is damaged, or is
// right.
// Method: a small database with everything in it; each of its rows changed in turn (first byte, last byte, cut short,
// gone), opened afresh, and everything read through the calls that services use.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hashBlob } from "#src/core/blob/index.js";
import { toHex } from "#src/core/bytes.js";
import { Corrupt, NotFound } from "#src/core/errors.js";
import { encodeManifest } from "#src/core/object/index.js";
import { Database } from "#src/database/index.js";
import { MemoryStore } from "#src/store/index.js";
import type { Space } from "#src/store/index.js";
import { patternBytes } from "./support/bytes.js";
import { entriesOf, inMemory, put, readAll } from "./support/database.js";
import { expectError } from "./support/expect.js";

const manifestBytes = encodeManifest({
  v: 1,
  kind: "intent",
  agent: "a",
  provider: "p",
  model: "m",
  inputs: [],
  time: 1,
});

async function build(options: { verifyOnRead?: boolean } = {}): Promise<MemoryStore> {
  const { db, store } = await inMemory(options);
  const many = Array.from({ length: 60 }, (_, index) => put(`key-${index}`, `value ${index}`));
  await db.states.apply("main", { operations: many });
  await db.manifests.put(manifestBytes, { head: "main" });
  await db.commits.create({ head: "main", author: "a", message: "first" });
  await db.commits.create({ head: "main", author: "a", message: "second" });
  const document = await db.documents.begin({
    source: "s",
    head: "main",
    chunking: { method: "fixed", sizeBytes: 50, overlapBytes: 0 },
  });
  await document.append(0, patternBytes(4000));
  await document.finish({ sizeBytes: 4000, hash: hashBlob(patternBytes(4000)) });
  await document.close();
  return store;
}

/** Everything that can be read, as text. */
async function readEverything(store: MemoryStore): Promise<string> {
  const db = await Database.open(store);
  const found: unknown[] = [];
  const view = await db.view();
  for (const head of await view.heads()) {
    found.push(head, await readAll(db, { staged: head.name }), await readAll(db, { head: head.name }));
    const { ledger } = await view.resolve({ staged: head.name });
    for (const { key } of entriesOf(db, ledger!)) {
      const manifest = await db.manifests.get(key.slice(-32));
      found.push(manifest.bytes);
      if (manifest.object.kind !== "document") continue;
      const { chunks, blob } = await db.documents.open(manifest.hash);
      found.push(
        entriesOf(db, chunks).map(({ cell }) => toHex(cell)),
        (await db.blobs.find(blob.hash, { atMostBytes: 1e6 }))?.bytes,
      );
    }
    for await (const { bytes } of db.commits.log({ head: head.name })) found.push(bytes);
  }
  found.push(await view.logProof({ knownSize: 1 }), db.id, db.log.verifierKey);
  return JSON.stringify(found, (_, value: unknown) => (value instanceof Uint8Array ? toHex(value) : value));
}

const changes: [string, (row: Uint8Array) => Uint8Array | undefined][] = [
  ["its first byte", (row) => Uint8Array.from(row, (byte, index) => (index === 0 ? byte ^ 1 : byte))],
  ["its last byte", (row) => Uint8Array.from(row, (byte, index) => (index === row.length - 1 ? byte ^ 0x80 : byte))],
  ["its end cut off", (row) => row.slice(0, -1)],
  ["gone", () => undefined],
];

describe("damage", () => {
  for (const [what, change] of changes) {
    it(`to any one row (${what}) is reported, and never read`, async () => {
      const store = await build();
      const intact = await readEverything(store);
      let reported = 0;
      for (const space of ["nodes", "objects", "blobs", "log", "tiles", "meta"] satisfies Space[]) {
        for await (const key of store.iterate(space)) {
          const row = store.sync.get(space, key)!;
          const changed = change(row);
          if (changed === undefined) await store.write({ deletes: [{ space, key }] });
          else await store.write({ puts: [{ space, key, value: changed }] });
          try {
            // What nobody reads any more may be damaged unseen.
            assert.equal(await readEverything(store), intact, `${space} ${toHex(key)}`);
          } catch (error) {
            if (error instanceof assert.AssertionError && changed === undefined && space === "blobs") {
              // A blob that is gone is absent to a reader; it is no wrong data.
            } else {
              const isGone = changed === undefined && error instanceof NotFound;
              assert.ok(error instanceof Corrupt || isGone, `${space} ${toHex(key)}: ${String(error)}`);
            }
            reported += 1;
          }
          await store.write({ puts: [{ space, key, value: row }] });
        }
      }
      assert.equal(await readEverything(store), intact);
      assert.ok(reported > 70, `${reported} reported`);
    });
  }

  it("is noticed by writers too, and only what they touch is refused", async () => {
    const store = await build();
    const db = await Database.open(store);
    const { stagedLedger } = await (await db.view()).head("main");
    const row = store.sync.get("nodes", stagedLedger)!;
    await store.write({ puts: [{ space: "nodes", key: stagedLedger, value: row.slice(0, -1) }] });
    const other = await Database.open(store);
    await expectError(other.manifests.put(manifestBytes, { head: "main" }), {
      code: "CORRUPT",
      facts: { hash: toHex(stagedLedger) },
    });
    await other.states.apply("main", { operations: [put("key-1", "changed")] });
    assert.equal((await readAll(other))["key-1"], "changed");
  });
});
