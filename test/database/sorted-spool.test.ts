// Goal: records come out in order of key, of equal keys the last, however they went in and however many runs that took.
// Method: random records in runs over a staged file in memory, beside a sorted Map; some so large that a run takes several
// reads, across the ends of which records lie; and the same keys in two runs, each of so many reads that its array is
// overwritten while the other run still has the key that was handed out last.
import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { compareBytes, toHex } from "#src/core/bytes.js";
import { LOAD_READ_BYTES } from "#src/core/limits.js";
import { SortedSpool } from "#src/database/sorted-spool.js";
import { MemoryStore } from "#src/store/index.js";

/** Keys that share beginnings, differ late, or are each other's beginnings. */
const key = fc
  .tuple(fc.constantFrom("", "shared/", "shared/prefix/", "\0\0"), fc.uint8Array({ minLength: 1, maxLength: 6 }))
  .map(([prefix, bytes]) => Uint8Array.from([...Buffer.from(prefix), ...bytes]));
const bit = fc.constantFrom(0, 1, 127, 128, 255);
const near = fc.array(bit, { minLength: 1, maxLength: 7 }).map((bytes) => Uint8Array.from([7, 7, ...bytes]));
const small = fc.uint8Array({ maxLength: 40 });
const large = fc.integer({ min: 5_000, max: 11_000 }).map((length) => new Uint8Array(length).fill(length));
const mixed = fc.oneof({ weight: 9, arbitrary: small }, { weight: 1, arbitrary: large });
const shape = (content: fc.Arbitrary<Uint8Array>, runBytes: { min: number; max: number }) =>
  fc.record({
    records: fc.array(fc.tuple(fc.oneof(key, near), content), { maxLength: 300 }),
    runBytes: fc.integer(runBytes),
  });

it("records are sorted, and the last of each key stays", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(shape(small, { min: 128, max: 4_000 }), shape(mixed, { min: 12_000, max: 100_000 })),
      fc.constantFrom("as they are", "sorted", "reversed"),
      async ({ records, runBytes }, order) => {
        if (order !== "as they are") records.sort(([a], [b]) => compareBytes(a, b));
        if (order === "reversed") records.reverse();
        const file = await new MemoryStore().files.stage("spool", { metadata: new Uint8Array(0) });
        const spool = new SortedSpool(file, { runBytes });
        for (const [name, value] of records) {
          const record = { key: name, value };
          if (spool.add(record)) continue;
          await spool.endRun();
          assert.ok(spool.add(record));
        }
        await spool.end();
        const expected = new Map(records.map(([name, value]) => [toHex(name), toHex(value)]));
        const sorted = [...expected].sort(([a], [b]) => (a < b ? -1 : 1));
        const found: [string, string][] = [];
        for await (const batch of spool.records()) {
          for (const record of batch) found.push([toHex(record.key), toHex(record.value)]);
        }
        assert.deepEqual(found, sorted);
      },
    ),
    { numRuns: 200 },
  );
});

it("a key that is in two runs comes once, also where a read ends behind it", async () => {
  const count = 40;
  const contentBytes = Math.floor((3 * LOAD_READ_BYTES) / count);
  const file = await new MemoryStore().files.stage("spool", { metadata: new Uint8Array(0) });
  const spool = new SortedSpool(file, { runBytes: 4 * LOAD_READ_BYTES });
  for (const run of [1, 2]) {
    for (let number = 0; number < count; number += 1) {
      assert.ok(spool.add({ key: Uint8Array.of(number), value: new Uint8Array(contentBytes).fill(run) }));
    }
    await spool.endRun();
  }
  await spool.end();
  const found: string[] = [];
  for await (const batch of spool.records()) {
    for (const { key, value } of batch) found.push(`${key[0]} of run ${value[0]}`);
  }
  assert.deepEqual(
    found,
    Array.from({ length: count }, (_, number) => `${number} of run 2`),
  );
});
