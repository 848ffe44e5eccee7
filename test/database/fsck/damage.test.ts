// Goal: a check names exactly what is wrong, and of a clean database nothing; whatever one row was done to.
// Method: databases of random histories; each is checked clean; then rows and blobs of every space are flipped, cut, emptied,
// replaced or deleted, one at a time, and the finding must be of that place and no other.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { readU64be, toHex, u64be } from "#src/core/bytes.js";
import { Database } from "#src/database/index.js";
import type { Space } from "#src/store/index.js";
import { MemoryStore } from "#src/store/index.js";
import { inMemory } from "../support/database.js";
import { DEEDS, check, placeOf } from "./support.js";

const runs = { numRuns: Number(process.env["FSCK_RUNS"] ?? 5) };

async function history(deeds: readonly ((db: Database, step: number) => Promise<unknown>)[]): Promise<MemoryStore> {
  const { db, store } = await inMemory();
  for (const [step, deed] of deeds.entries()) await deed(db, step);
  return store;
}

const CHANGES: readonly [string, (row: Uint8Array, at: number) => Uint8Array | undefined][] = [
  [
    "flipped",
    (row, at) =>
      row.length === 0
        ? Uint8Array.of(1)
        : Uint8Array.from(row, (byte, index) => (index === at % row.length ? byte ^ (1 << (at % 8)) : byte)),
  ],
  ["cut", (row) => row.slice(0, -1)],
  ["longer", (row) => Uint8Array.from([...row, 0])],
  ["zeros", (row) => new Uint8Array(row.length)],
  ["deleted", () => undefined],
];

/** Rows that need not be there, so that nobody misses them; of `holds` any value is one: it is only seen to change. */
const OPTIONAL = new Set(["cosignatures", "rolled-back", "next-signing-key", "holds"]);

describe("fsck", () => {
  it("finds nothing in a clean database, and exactly one row that was damaged", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(DEEDS, { minLength: 1, maxLength: 25 }),
        fc.nat(),
        fc.nat(4),
        async (deeds, at, how) => {
          const store = await history(deeds);
          const clean = await check(store);
          assert.deepEqual(clean.findings, []);
          const [name, change] = CHANGES[how]!;
          for (const space of ["nodes", "objects", "blobs", "log", "tiles", "meta"] satisfies Space[]) {
            const keys: Uint8Array[] = [];
            for await (const key of store.iterate(space)) keys.push(key);
            for (const key of [0, 1, 2].flatMap((n) => keys[(at * 31 + n * 7) % Math.max(1, keys.length)] ?? [])) {
              if (space === "meta" && OPTIONAL.has(Buffer.from(key).toString())) continue;
              const row = store.sync.get(space, key)!;
              const changed = change(row, at);
              if (changed === undefined) await store.write({ deletes: [{ space, key }] });
              else await store.write({ puts: [{ space, key, value: changed }] });
              const { findings } = await check(store);
              const places = findings.map(placeOf);
              const wanted = `${space}/${toHex(key)}`;
              const what = `${wanted} ${name}: ${findings.map(({ message }, index) => `${places[index]} ${message}`).join("; ")}`;
              await store.write({ puts: [{ space, key, value: row }] });
              const isReached =
                (space !== "nodes" && space !== "objects" && space !== "blobs") ||
                name !== "deleted" ||
                findings.length > 0;
              // What nothing names is missed by nobody.
              if (!isReached) continue;
              assert.equal(findings.length, 1, what);
              if (space === "log" && places[0] !== wanted) {
                // Of a pair of leaves either may be the one.
                assert.equal(places[0], `log/${toHex(u64be(readU64be(key) - 1))}`, what);
              } else if (space === "meta" && places[0] !== wanted) {
                assert.ok(places[0]?.startsWith("meta/"), what);
              } else assert.equal(places[0], wanted, what);
            }
          }
        },
      ),
      runs,
    );
  });
});
