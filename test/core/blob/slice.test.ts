// Goal: the slice of every range is the one of FORMATS §5, and decoding it gives the bytes of the range, however the
// messages are cut. Method: the vectors item by item, a recursion as oracle of the plan, random ranges and cuts.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { blake3 } from "@noble/hashes/blake3.js";
import fc from "fast-check";
import {
  computeOutboard,
  decodeSlice,
  encodeSlice,
  hashBlob,
  SliceDecoder,
  slicePlan,
  type ByteRange,
  type SlicePart,
} from "#src/core/blob/index.js";
import { concatBytes, toHex } from "#src/core/bytes.js";
import { InvalidArgument } from "#src/core/errors.js";
import { patternBytes, readVectors } from "../../support/vectors.js";
import { twinTree, type TwinItem } from "./twin.js";

const GROUP = 16_384;
const EMPTY = new Uint8Array(0);

interface BlobVectors {
  readonly blobs: readonly {
    readonly length: number;
    readonly hash: string;
    readonly slices: readonly { start: number; end: number; items: ["parent" | "data", string][] }[];
  }[];
}

/** The items that a plan names, read from the blob and its outboard as a server would. */
function itemsOf(blob: Uint8Array, range: ByteRange): TwinItem[] {
  const outboard = computeOutboard(blob);
  return Array.from(slicePlan(blob.length, range), (item) =>
    item.kind === "parent"
      ? { parent: outboard.slice(item.pairIndex * 64, item.pairIndex * 64 + 64) }
      : { group: blob.slice(item.start, item.end) },
  );
}

/** Messages that hold the items in order, cut after every `cutBytes` bytes of pairs and content together. */
function messages(items: readonly TwinItem[], cutBytes: number): SlicePart[] {
  const parts: SlicePart[] = [];
  let parents: Uint8Array[] = [];
  let data: Uint8Array[] = [];
  let room = cutBytes;
  const close = (): void => {
    parts.push({ parents: concatBytes(...parents), data: concatBytes(...data) });
    parents = [];
    data = [];
    room = cutBytes;
  };
  for (const item of items) {
    const bytes = "parent" in item ? item.parent : item.group;
    for (let offset = 0; offset < bytes.length;) {
      const piece = bytes.subarray(offset, offset + room);
      ("parent" in item ? parents : data).push(piece);
      offset += piece.length;
      room -= piece.length;
      if (room === 0) close();
    }
  }
  close();
  return parts;
}

/** A blob of `groups` groups, the last of which has a few bytes, and a range in it. */
const blobAndRange = fc
  .record({ groups: fc.integer({ min: 0, max: 9 }), rest: fc.integer({ min: 1, max: 300 }) })
  .map(({ groups, rest }) => groups * GROUP + rest)
  .chain((size) =>
    fc
      .tuple(fc.integer({ min: 0, max: size - 1 }), fc.integer({ min: 1, max: size }), fc.boolean())
      .map(([start, length, toEnd]) => ({ size, start, end: toEnd ? size : Math.min(size, start + length) })),
  );

describe("slices", () => {
  test("match the vectors item by item", () => {
    for (const { length, slices } of (readVectors("blob") as BlobVectors).blobs) {
      const blob = patternBytes(length);
      for (const { start, end, items } of slices) {
        const actual = itemsOf(blob, { start, end }).map((item) =>
          "parent" in item
            ? ["parent", toHex(item.parent)]
            : ["data", `${toHex(blake3(item.group))}:${item.group.length}`],
        );
        assert.deepEqual(actual, items, `bytes ${start} to ${end} of ${length}`);
        const slice = encodeSlice(blob, { range: { start, end } });
        const decoded = decodeSlice(slice, { hash: hashBlob(blob), sizeBytes: length, range: { start, end } });
        assert.deepEqual(decoded, blob.slice(start, end));
      }
    }
  });

  test("are those of the recursion, and decode to the range from messages cut anywhere", () => {
    fc.assert(
      fc.property(blobAndRange, fc.integer({ min: 1, max: 3 * GROUP }), ({ size, start, end }, cutBytes) => {
        const blob = patternBytes(size);
        const range = { start, end };
        const items = itemsOf(blob, range);
        assert.deepEqual(items, twinTree(blob, range).slice);

        const decoder = new SliceDecoder({ hash: hashBlob(blob), sizeBytes: size, range });
        const pieces: Uint8Array[] = [];
        // A cut of a few bytes makes tens of thousands of messages: the least here is some 50 a group.
        for (const part of messages(items, Math.max(cutBytes, 331))) {
          assert.equal(decoder.complete && part.data.length > 0, false);
          for (const piece of decoder.push(part)) {
            assert.notEqual(piece.length, 0);
            pieces.push(piece.slice());
          }
        }
        decoder.finish();
        assert.deepEqual(concatBytes(...pieces), blob.slice(start, end));
        assert.equal(decoder.complete, true);
        assert.equal(decoder.sizeProved, items.length > 0 && reachesLastGroup(size, range));
      }),
      { numRuns: 80 },
    );
  });

  test("take in no group but those that the range touches", () => {
    const blob = patternBytes(6 * GROUP + 2);
    const edges = [0, 1, 2, 3, 4, 5, 6].flatMap((group) => [-6, -5, -4].map((offset) => group * GROUP + offset));
    const offsets = [...edges.filter((offset) => offset > 0), 0, blob.length];
    for (const start of offsets) {
      for (const end of offsets.filter((offset) => offset > start)) {
        const range = { start, end };
        assert.deepEqual(itemsOf(blob, range), twinTree(blob, range).slice, `bytes ${start} to ${end}`);
      }
    }
  });

  test("decode from messages whose buffers are used again", () => {
    const blob = patternBytes(5 * GROUP);
    const range = { start: 0, end: blob.length };
    const decoder = new SliceDecoder({ hash: hashBlob(blob), sizeBytes: blob.length, range });
    const pieces: Uint8Array[] = [];
    for (const { parents, data } of messages(itemsOf(blob, range), 7000)) {
      for (const piece of decoder.push({ parents, data })) pieces.push(piece.slice());
      parents.fill(0);
      data.fill(0);
    }
    decoder.finish();
    assert.deepEqual(concatBytes(...pieces), blob);
  });

  test("decode byte by byte", () => {
    const blob = patternBytes(GROUP + 20);
    const range = { start: GROUP - 2, end: GROUP + 20 };
    const decoder = new SliceDecoder({ hash: hashBlob(blob), sizeBytes: blob.length, range });
    const pieces = messages(itemsOf(blob, range), 1).flatMap((part) => decoder.push(part));
    decoder.finish();
    assert.deepEqual(concatBytes(...pieces), blob.slice(range.start));
  });

  test("hand on each group as soon as its last byte is there", () => {
    const blob = patternBytes(3 * GROUP);
    const decoder = new SliceDecoder({
      hash: hashBlob(blob),
      sizeBytes: blob.length,
      range: { start: 0, end: 40_000 },
    });
    const { parents, data } = encodeSlice(blob, { range: { start: 0, end: 40_000 } });
    assert.deepEqual(decoder.push({ parents: parents.subarray(0, 128), data: data.subarray(0, GROUP - 6) }), []);
    const [first, ...none] = decoder.push({ parents: EMPTY, data: data.subarray(GROUP - 6, GROUP - 5) });
    assert.deepEqual(first, blob.slice(0, GROUP - 5));
    assert.deepEqual(none, []);
  });

  test("of the empty blob: one empty group", () => {
    const range = { start: 0, end: 0 };
    const decoder = new SliceDecoder({ hash: hashBlob(EMPTY), sizeBytes: 0, range });
    assert.deepEqual(decoder.push({ parents: EMPTY, data: EMPTY }), []);
    decoder.finish();
    assert.equal(decoder.sizeProved, true);
    assert.deepEqual(encodeSlice(EMPTY, { range }), { parents: EMPTY, data: EMPTY });
  });

  test("a plan reaches into the largest blob without walking it", () => {
    const size = 2 ** 44;
    const items = [...slicePlan(size, { start: size - 1, end: size })];
    assert.equal(items.length, 2);
    const middle = [...slicePlan(size, { start: size / 2, end: size / 2 + 1 })];
    assert.equal(middle.length, 32);
    for (const item of middle) if (item.kind === "parent") assert.ok(item.pairIndex >= 0 && item.pairIndex < 2 ** 30);
  });

  test("refuse sizes and ranges that are none, and name the field", () => {
    const cases: [number, number, number, string][] = [
      [-1, 0, 0, "size_bytes"],
      [0.5, 0, 0, "size_bytes"],
      [Number.NaN, 0, 0, "size_bytes"],
      [2 ** 44 + 1, 0, 1, "size_bytes"],
      [10, -1, 5, "start"],
      [10, 10, 11, "start"],
      [10, 1.5, 5, "start"],
      [10, Number.NaN, 5, "start"],
      [10, 0, 0, "end"],
      [10, 5, 5, "end"],
      [10, 5, 4, "end"],
      [10, 5, 11, "end"],
      [10, 5, Number.NaN, "end"],
      [10, 5, Infinity, "end"],
      [0, 0, 1, "end"],
      [0, 1, 1, "start"],
    ];
    for (const [sizeBytes, start, end, field] of cases) {
      const refused = (error: unknown): boolean => error instanceof InvalidArgument && error.field === field;
      assert.throws(() => slicePlan(sizeBytes, { start, end }), refused, `${start} to ${end} of ${sizeBytes}`);
      assert.throws(() => new SliceDecoder({ hash: hashBlob(EMPTY), sizeBytes, range: { start, end } }), refused);
    }
  });
});

function reachesLastGroup(size: number, range: ByteRange): boolean {
  return Math.floor((range.end + 4) / GROUP) === Math.floor((size + 4) / GROUP);
}
