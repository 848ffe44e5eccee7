// Goal: the slice of several ranges is one walk over every subtree that meets one of them, and decodes to exactly their
// bytes, piece by piece. Method: the plans of each range for itself as oracle, random ranges and cuts; then slices with
// something left out, added or changed.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  computeOutboard,
  hashBlob,
  SliceDecoder,
  slicePlan,
  type ByteRange,
  type SliceItem,
  type SlicePart,
} from "#src/core/blob/index.js";
import { concatBytes } from "#src/core/bytes.js";
import { IncompleteProof, InvalidArgument, VerificationFailed } from "#src/core/errors.js";
import { patternBytes } from "../../support/vectors.js";

const GROUP = 16_384;

const nameOf = (item: SliceItem): string =>
  item.kind === "parent" ? `parent ${item.pairIndex}` : `group ${item.groupIndex}`;

/** Those items of the whole walk that the walk over one of the ranges has. */
function expectedNames(sizeBytes: number, ranges: readonly ByteRange[]): string[] {
  const wanted = new Set(ranges.flatMap((range) => [...slicePlan(sizeBytes, range)].map(nameOf)));
  return [...slicePlan(sizeBytes, { start: 0, end: sizeBytes })].map(nameOf).filter((name) => wanted.has(name));
}

/** One part for each item. */
function partsOf(blob: Uint8Array, ranges: readonly ByteRange[]): SlicePart[] {
  const outboard = computeOutboard(blob);
  const none = new Uint8Array(0);
  return Array.from(slicePlan(blob.length, ranges), (item) =>
    item.kind === "parent"
      ? { parents: outboard.slice(item.pairIndex * 64, item.pairIndex * 64 + 64), data: none }
      : { parents: none, data: blob.slice(item.start, item.end) },
  );
}

function joined(parts: readonly SlicePart[]): SlicePart {
  return {
    parents: concatBytes(...parts.map(({ parents }) => parents)),
    data: concatBytes(...parts.map(({ data }) => data)),
  };
}

/** A blob of up to 12 groups, and up to 6 ranges in it, some of which touch. */
const blobAndRanges = fc
  .record({
    size: fc.integer({ min: 1, max: 12 * GROUP }),
    cuts: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 2, maxLength: 12 }),
    touching: fc.boolean(),
  })
  .map(({ size, cuts, touching }) => {
    const offsets = [...new Set(cuts.map((cut) => Math.round(cut * size)))].sort((a, b) => a - b);
    const ranges: ByteRange[] = [];
    for (let index = 0; index + 1 < offsets.length; index += touching ? 1 : 2) {
      ranges.push({ start: offsets[index] ?? 0, end: offsets[index + 1] ?? 0 });
    }
    return { size, ranges: ranges.length === 0 ? [{ start: 0, end: size }] : ranges };
  });

describe("a slice of several ranges", () => {
  test("has what the slices of each have, once, and decodes to their bytes", () => {
    fc.assert(
      fc.property(blobAndRanges, fc.boolean(), ({ size, ranges }, isOneMessage) => {
        const blob = patternBytes(size);
        assert.deepEqual([...slicePlan(size, ranges)].map(nameOf), expectedNames(size, ranges));
        const decoder = new SliceDecoder({ hash: hashBlob(blob), sizeBytes: size, range: ranges });
        const parts = partsOf(blob, ranges);
        const pieces: Uint8Array[] = [];
        for (const part of isOneMessage ? [joined(parts)] : parts) pieces.push(...decoder.push(part));
        decoder.finish();
        // A piece lies in one range: laid one behind another they fall on every boundary.
        let next = 0;
        for (const { start, end } of ranges) {
          for (let offset = start; offset < end; next += 1) {
            const piece = pieces[next] ?? assert.fail("bytes are missing");
            assert.ok(piece.length > 0 && offset + piece.length <= end);
            assert.deepEqual(piece.slice(), blob.slice(offset, offset + piece.length));
            offset += piece.length;
          }
        }
        assert.equal(next, pieces.length);
      }),
      { numRuns: 150 },
    );
  });

  test("many bytes apart, in two groups or in one", () => {
    const size = 40 * GROUP;
    const apart = Array.from({ length: 20 }, (_, index) => ({ start: index * 2 * GROUP, end: index * 2 * GROUP + 1 }));
    assert.equal([...slicePlan(size, apart)].filter(({ kind }) => kind === "group").length, 20);
    const together = Array.from({ length: 1000 }, (_, index) => ({ start: index * 2, end: index * 2 + 1 }));
    assert.deepEqual(
      [...slicePlan(size, together)].map(nameOf),
      [...slicePlan(size, { start: 0, end: 1 })].map(nameOf),
    );
  });

  test("with anything left out, added, changed or out of order is refused", () => {
    const blob = patternBytes(9 * GROUP);
    const ranges = [
      { start: 5, end: 6 },
      { start: 3 * GROUP, end: 3 * GROUP + 1 },
      { start: 7 * GROUP, end: 9 * GROUP },
    ];
    const hash = hashBlob(blob);
    const right = partsOf(blob, ranges);
    const decode = (parts: readonly SlicePart[]): void => {
      const decoder = new SliceDecoder({ hash, sizeBytes: blob.length, range: ranges });
      for (const part of parts) decoder.push(part);
      decoder.finish();
    };
    decode(right);
    assert.throws(() => decode(right.slice(0, -1)), IncompleteProof);
    const unwanted = partsOf(blob, [{ start: 2 * GROUP, end: 2 * GROUP + 1 }]).at(-1) ?? assert.fail();
    for (const [index, part] of right.entries()) {
      const changed = { parents: part.parents.slice(), data: part.data.slice() };
      const bytes = changed.data.length > 0 ? changed.data : changed.parents;
      bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
      for (const lie of [right.with(index, changed), right.toSpliced(index, 0, unwanted)]) {
        assert.throws(() => decode(lie), VerificationFailed, `item ${index}`);
      }
      const refused = (error: unknown): boolean =>
        error instanceof VerificationFailed || error instanceof IncompleteProof;
      assert.throws(() => decode(right.toSpliced(index, 1)), refused, `item ${index}`);
    }
    // What one range alone needs is not what several need.
    assert.throws(() => decode(partsOf(blob, ranges.slice(0, 1))), IncompleteProof);
  });

  test("out of order, overlapping, empty or too far: the error names which", () => {
    const range = (start: number, end: number): ByteRange => ({ start, end });
    const cases: [number, ByteRange[], string][] = [
      [10, [], "ranges"],
      [10, [range(0, 2), range(1, 3)], "ranges[1].start"],
      [10, [range(4, 6), range(0, 2)], "ranges[1].start"],
      [10, [range(0, 2), range(0, 2)], "ranges[1].start"],
      [10, [range(0, 2), range(3, 3)], "ranges[1].end"],
      [10, [range(0, 2), range(3, 11)], "ranges[1].end"],
      [10, [range(-1, 2)], "ranges[0].start"],
      [10, [range(0, 2), range(Number.NaN, 3)], "ranges[1].start"],
      [0, [range(0, 0), range(0, 0)], "ranges[1].start"],
      [-1, [range(0, 1)], "size_bytes"],
    ];
    for (const [sizeBytes, ranges, field] of cases) {
      const refused = (error: unknown): boolean => error instanceof InvalidArgument && error.field === field;
      assert.throws(() => slicePlan(sizeBytes, ranges), refused, field);
    }
    assert.equal([...slicePlan(0, [range(0, 0)])].length, 1);
  });
});
