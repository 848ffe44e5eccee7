// Goal: what is missing or damaged in content comes back from a copy, and nothing else does; what the copy lacks too is
// told; interrupted, a repair can be run again; a copy that lies is not believed.
// Method: databases of random histories, copied row by row; many rows of the original are damaged; the repaired one is
// checked clean and its rows are compared with the copy's.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cp, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import fc from "fast-check";
import { toHex } from "#src/core/bytes.js";
import { Database, repairDirectory } from "#src/database/index.js";
import { repairStore } from "#src/database/fsck/repair.js";
import type { RepairEvent } from "#src/database/fsck/repair.js";
import type { Store } from "#src/store/index.js";
import { MemoryStore, openDirectory } from "#src/store/index.js";
import { patternBytes } from "../support/bytes.js";
import { inDirectory, inMemory, put, readAll } from "../support/database.js";
import { DEEDS, check, placeOf, putDocument } from "./support.js";

const CONTENT = ["nodes", "objects", "blobs"] as const;

async function copyOf(store: MemoryStore): Promise<MemoryStore> {
  const copy = new MemoryStore();
  for (const space of [...CONTENT, "log", "tiles", "meta"] as const) {
    for await (const key of store.iterate(space)) {
      await copy.write({ puts: [{ space, key, value: store.sync.get(space, key)! }] });
    }
  }
  return copy;
}

let ids = 0;
async function repair(store: Store, source: Store, signal?: AbortSignal): Promise<RepairEvent[]> {
  const events: RepairEvent[] = [];
  const options = { signal, newUploadId: () => `r-${(ids += 1)}` };
  for await (const event of repairStore({ store, clock: Date.now }, source, options)) events.push(event);
  return events;
}

describe("repair", () => {
  it("brings back whatever content was damaged or lost", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(DEEDS, { minLength: 3, maxLength: 15 }),
        fc.array(fc.tuple(fc.nat(), fc.constantFrom("flip", "delete")), { minLength: 1, maxLength: 20 }),
        async (deeds, wounds) => {
          const { db, store } = await inMemory();
          for (const [step, deed] of deeds.entries()) await deed(db, step);
          // Files are not copied: without those this is about rows.
          for await (const hash of store.files.iterate()) {
            const file = (await store.files.open(hash))!;
            await store.write({ puts: [{ space: "blobs", key: hash, value: await file.read(0, file.sizeBytes) }] });
            await file.close();
          }
          const copy = await copyOf(store);
          const keys: [(typeof CONTENT)[number], Uint8Array][] = [];
          for (const space of CONTENT) for await (const key of store.iterate(space)) keys.push([space, key]);
          for (const [at, how] of wounds) {
            const [space, key] = keys[at % keys.length]!;
            const value = Uint8Array.from(copy.sync.get(space, key)!);
            if (how === "delete") await store.write({ deletes: [{ space, key }] });
            else {
              value[at % value.length]! ^= 1;
              await store.write({ puts: [{ space, key, value }] });
            }
          }
          const events = await repair(store, copy);
          assert.deepEqual(
            events.filter(({ kind }) => kind === "finding"),
            [],
          );
          assert.deepEqual((await check(store)).findings, []);
          for (const space of CONTENT) {
            for await (const key of store.iterate(space)) {
              assert.deepEqual(store.sync.get(space, key), copy.sync.get(space, key), `${space}/${toHex(key)}`);
            }
          }
        },
      ),
      { numRuns: 15 },
    );
  });

  it("takes nothing that is wrong, tells what is still missing, and leaves the log alone", async () => {
    const { db, store } = await inMemory();
    await db.states.apply("main", { operations: [put("a", "1"), put("b", "2")] });
    const copy = await copyOf(store);
    const [a, b] = await Promise.all(["1", "2"].map((text) => db.blobs.put(Buffer.from(text))));
    await store.write({ deletes: [a!, b!].map(({ hash }) => ({ space: "blobs", key: hash })) });
    await copy.write({ puts: [{ space: "blobs", key: b!.hash, value: Buffer.from("3") }] });
    const key = new Uint8Array(8);
    await store.write({ puts: [{ space: "log", key, value: new Uint8Array(3) }] });
    const events = await repair(store, copy);
    const left = events.flatMap((event) => (event.kind === "finding" ? [placeOf(event.finding)] : []));
    assert.deepEqual(left.sort(), [`blobs/${toHex(b!.hash)}`, `log/${toHex(key)}`].sort());
    assert.equal(events.filter(({ kind }) => kind === "repaired").length, 1);
  });

  it("may be killed at any time, and goes on from there", async () => {
    await inDirectory(async ({ create, location }) => {
      const db = await create({ clock: Date.now });
      await db.states.apply("main", { operations: Array.from({ length: 2_000 }, (_, n) => put(`key-${n}`, `${n}`)) });
      for (let n = 0; n < 4; n += 1) await db.blobs.put(patternBytes(400_000, n + 1));
      await db.close();
      const copy = `${location}-copy`;
      await cp(location, copy, { recursive: true });
      const { store } = await openDirectory(location);
      for (const space of ["nodes", "blobs"] as const) {
        const keys: Uint8Array[] = [];
        for await (const key of store.iterate(space)) keys.push(key);
        await store.write({ deletes: keys.map((key) => ({ space, key })) });
      }
      for await (const hash of store.files.iterate()) await store.files.delete(hash);
      await store.close();
      const script = join(process.cwd(), "build/test/database/fsck/repair-once.js");
      for (let kill = 0; kill < 6; kill += 1) {
        const child = spawn(process.execPath, [script, location, copy], { stdio: "ignore" });
        const ended = new Promise((resolve) => child.once("exit", resolve));
        const timer = setTimeout(() => child.kill("SIGKILL"), 300 + 250 * kill * Math.random());
        await ended;
        clearTimeout(timer);
      }
      for await (const { kind } of repairDirectory(location, copy)) assert.notEqual(kind, "finding");
      const opened = await Database.open(location);
      assert.equal(Object.keys(await readAll(opened)).length, 2_000);
      await opened.close();
      await rm(copy, { recursive: true });
    });
  });

  it("of files, in directories, also begun again", async () => {
    await inDirectory(async ({ create, location }) => {
      const db = await create({ clock: Date.now });
      await putDocument(db, 300_000);
      await db.states.apply("main", { operations: Array.from({ length: 900 }, (_, n) => put(`key-${n}`, `${n}`)) });
      await db.close();
      const copy = `${location}-copy`;
      await cp(location, copy, { recursive: true });
      const blobs = join(location, "blobs");
      const names = (await readdir(blobs, { recursive: true })).filter((name) => name.length > 60);
      await writeFile(
        join(
          blobs,
          names.find((name) => name.endsWith(".outboard"))!,
        ),
        "x",
      );
      const { store } = await openDirectory(location);
      for (const space of ["nodes", "blobs"] as const) {
        const keys: Uint8Array[] = [];
        for await (const key of store.iterate(space)) keys.push(key);
        await store.write({ deletes: keys.filter((_, index) => index % 3 === 0).map((key) => ({ space, key })) });
      }
      await store.close();
      // Left after each repair of its first turn.
      for await (const { kind } of repairDirectory(location, copy)) if (kind === "repaired") break;
      const kinds = new Map<string, number>();
      for await (const { kind } of repairDirectory(location, copy)) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
      assert.equal(kinds.get("finding"), undefined);
      assert.ok((kinds.get("repaired") ?? 0) > 100);
      const opened = await Database.open(location);
      await opened.states.apply("main", { operations: [put("after", "1")] });
      await opened.close();
      await rm(copy, { recursive: true });
    });
  });
});
