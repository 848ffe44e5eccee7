// Goal: the dedicated entry codec writes what a DAG-CBOR library writes and accepts nothing else. Method: `@ipld/dag-cbor`
// is the oracle for bytes; for acceptance, the general strict codec and the form of FORMATS §3 written out plainly.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as dagCbor from "@ipld/dag-cbor";
import fc from "fast-check";
import { Malformed } from "#src/core/errors.js";
import type { Value } from "#src/core/codec/index.js";
import { decode } from "#src/core/codec/index.js";
import { EntryFrame, encodeChildEntry, encodeLeafEntry, readEntry } from "#src/core/map/entry.js";

const key = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 40 }),
  fc.uint8Array({ minLength: 1, maxLength: 1024, size: "max" }),
  fc.constantFrom(...[1, 23, 24, 255, 256, 1024].map((length) => new Uint8Array(length).fill(7))),
);
const total = fc.oneof(
  fc.maxSafeNat().map((value) => value || 1),
  fc.constantFrom(1, 23, 24, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1),
);
const item = fc.oneof(
  { weight: 4, arbitrary: fc.oneof(fc.uint8Array({ maxLength: 40 }), total) },
  fc.oneof(
    fc.string({ maxLength: 12, unit: "binary" }),
    fc.boolean(),
    fc.constant(null),
    fc.constantFrom(-1, -300, 1.5, 2 ** 40),
    fc.dictionary(fc.string({ maxLength: 4, unit: "grapheme" }), fc.nat(), { maxKeys: 4, noNullPrototype: true }),
    fc.array(fc.nat(), { maxLength: 4 }),
  ),
);
const cell = fc
  .array(item, { maxLength: 30 })
  .map((list) => Uint8Array.from(dagCbor.encode(list)))
  .filter((bytes) => bytes.length <= 256);

function isAccepted(bytes: Uint8Array, level: number): boolean {
  // Within a larger array, as entries lie in nodes: what is beside it must not matter.
  const larger = new Uint8Array(bytes.length + 64).fill(0x18);
  larger.set(bytes, 32);
  try {
    readEntry(larger, 32, 32 + bytes.length, level, new EntryFrame());
    return true;
  } catch (error) {
    assert.ok(error instanceof Malformed, String(error));
    return false;
  }
}

/** The form, plainly: what `readEntry` must accept and nothing else. */
function isEntry(bytes: Uint8Array, level: number): boolean {
  let value: Value;
  try {
    value = decode(bytes);
  } catch {
    return false;
  }
  if (!Array.isArray(value) || !(value[0] instanceof Uint8Array)) return false;
  const [first, second, third] = value;
  if (!(first instanceof Uint8Array) || first.length === 0 || first.length > 1024) return false;
  if (level === 0) return value.length === 2 && Array.isArray(second) && dagCbor.encode(second).length <= 256;
  if (value.length !== 3 || !(second instanceof Uint8Array) || second.length !== 32) return false;
  return typeof third === "number" && Number.isInteger(third) && third >= 1;
}

describe("entries", () => {
  it("are written as DAG-CBOR", () => {
    fc.assert(
      fc.property(
        key,
        cell,
        total,
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        (someKey, someCell, sum, digest) => {
          const leaf = encodeLeafEntry(someKey, someCell);
          assert.deepEqual(leaf, Uint8Array.from(dagCbor.encode([someKey, dagCbor.decode(someCell)])));
          const child = encodeChildEntry({ lastKey: someKey, digest, total: sum });
          assert.deepEqual(child, Uint8Array.from(dagCbor.encode([someKey, digest, sum])));
          assert.ok(isAccepted(leaf, 0) && isAccepted(child, 1));
          assert.ok(!isAccepted(leaf, 1) && !isAccepted(child, 0));
        },
      ),
      { numRuns: 400 },
    );
  });

  it("give back their parts", () => {
    fc.assert(
      fc.property(key, cell, total, (someKey, someCell, sum) => {
        const leaf = encodeLeafEntry(someKey, someCell);
        const frame = new EntryFrame();
        readEntry(leaf, 0, leaf.length, 0, frame);
        assert.deepEqual(leaf.subarray(frame.keyStart, frame.keyEnd), someKey);
        assert.deepEqual(leaf.subarray(frame.keyEnd), someCell);
        const digest = new Uint8Array(32).fill(9);
        const child = encodeChildEntry({ lastKey: someKey, digest, total: sum });
        readEntry(child, 0, child.length, 3, frame);
        assert.deepEqual(child.subarray(frame.keyStart, frame.keyEnd), someKey);
        assert.deepEqual(child.subarray(frame.keyEnd + 2, frame.keyEnd + 34), digest);
        assert.equal(frame.childTotal, sum);
      }),
    );
  });

  it("are refused wherever one byte is changed, dropped or added, unless that is an entry too", () => {
    const short = fc.uint8Array({ minLength: 1, maxLength: 26 });
    fc.assert(
      fc.property(short, cell, total, fc.nat(), fc.nat({ max: 255 }), (someKey, someCell, sum, at, byte) => {
        const digest = new Uint8Array(32).fill(9);
        const child = encodeChildEntry({ lastKey: someKey, digest, total: sum });
        for (const [entry, level] of [
          [encodeLeafEntry(someKey, someCell), 0],
          [child, 1],
        ] as const) {
          const offset = at % entry.length;
          const changed = Uint8Array.from(entry);
          changed[offset] = byte;
          const dropped = [...entry.subarray(0, offset), ...entry.subarray(offset + 1)];
          const added = [...entry.subarray(0, offset), byte, ...entry.subarray(offset)];
          const cut = entry.subarray(0, offset);
          for (const bytes of [changed, Uint8Array.from(dropped), Uint8Array.from(added), cut]) {
            assert.equal(isAccepted(bytes, level), isEntry(bytes, level), Buffer.from(bytes).toString("hex"));
          }
        }
      }),
      { numRuns: 1500 },
    );
  });

  it("are refused as noise", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.constantFrom(0, 1), (noise, level) => {
        const bytes = Uint8Array.from([0x82 + level, 0x41, 0x6b, level === 0 ? 0x82 : 0x58, ...noise]);
        assert.equal(isAccepted(bytes, level), isEntry(bytes, level));
      }),
      { numRuns: 1500 },
    );
  });
});
