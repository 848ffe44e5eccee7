// Goal: no slice but the true one is accepted, and nothing but VerificationFailed or IncompleteProof comes of a false
// one. Method: true slices, mutated one way each: every byte flipped, items dropped, repeated, swapped, cut, moved
// between the fields; sizes claimed wrongly.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
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
import { concatBytes } from "#src/core/bytes.js";
import { IncompleteProof, NeleusError, VerificationFailed } from "#src/core/errors.js";
import { blobHash } from "#src/core/hashes.js";
import { patternBytes } from "../../support/vectors.js";

const GROUP = 16_384;
const EMPTY = new Uint8Array(0);

interface Case {
  readonly blob: Uint8Array;
  readonly range: ByteRange;
}

/** Small slices of each shape: one group, left and right edge, both sides of a parent, a deep right edge. */
const CASES: readonly Case[] = [
  { blob: patternBytes(100), range: { start: 0, end: 100 } },
  { blob: patternBytes(GROUP - 5 + 20), range: { start: GROUP, end: GROUP + 10 } },
  { blob: patternBytes(2 * GROUP + 9), range: { start: 2 * GROUP, end: 2 * GROUP + 9 } },
  { blob: patternBytes(4 * GROUP + 30), range: { start: 4 * GROUP + 3, end: 4 * GROUP + 4 } },
  { blob: patternBytes(7 * GROUP + 1), range: { start: 5 * GROUP - 6, end: 7 * GROUP + 1 } },
  { blob: patternBytes(3 * GROUP), range: { start: 0, end: 3 * GROUP } },
];

function refused(slice: SlicePart, { blob, range }: Case, what: string): void {
  assert.throws(
    () => decodeSlice(slice, { hash: hashBlob(blob), sizeBytes: blob.length, range }),
    (error: unknown) => error instanceof VerificationFailed || error instanceof IncompleteProof,
    what,
  );
}

/** Items of a slice as their bytes, pairs and groups apart. */
function itemsOf({ blob, range }: Case): { parents: Uint8Array[]; groups: Uint8Array[] } {
  const outboard = computeOutboard(blob);
  const parents: Uint8Array[] = [];
  const groups: Uint8Array[] = [];
  for (const item of slicePlan(blob.length, range)) {
    if (item.kind === "parent") parents.push(outboard.slice(item.pairIndex * 64, item.pairIndex * 64 + 64));
    else groups.push(blob.slice(item.start, item.end));
  }
  return { parents, groups };
}

/** The list with one item dropped, repeated or swapped with another: each way that changes it. */
function shuffled(items: readonly Uint8Array[]): Uint8Array[] {
  const whole = concatBytes(...items);
  const lists: Uint8Array[] = [];
  items.forEach((item, index) => {
    lists.push(concatBytes(...items.filter((_, other) => other !== index)));
    lists.push(concatBytes(...items.slice(0, index), item, ...items.slice(index)));
    for (let other = index + 1; other < items.length; other += 1) {
      const swapped = [...items];
      [swapped[index], swapped[other]] = [items[other]!, item];
      lists.push(concatBytes(...swapped));
    }
  });
  return lists.filter((list) => Buffer.compare(list, whole) !== 0);
}

describe("a false slice is refused", () => {
  test("with any byte changed", () => {
    for (const testCase of CASES) {
      const slice = encodeSlice(testCase.blob, testCase);
      for (const field of ["parents", "data"] as const) {
        // Every byte where they are few; of long content one in 211, each at another place in its block.
        const stride = slice[field].length > 4096 ? 211 : 1;
        for (let index = 0; index < slice[field].length; index += stride) {
          const mutated = { parents: slice.parents.slice(), data: slice.data.slice() };
          mutated[field][index]! ^= 1 << (index & 7);
          refused(mutated, testCase, `${field} byte ${index}`);
        }
      }
    }
  });

  test("with items dropped, repeated or swapped", () => {
    for (const testCase of CASES) {
      const { parents, groups } = itemsOf(testCase);
      for (const list of shuffled(parents)) refused({ parents: list, data: concatBytes(...groups) }, testCase, "pairs");
      for (const list of shuffled(groups))
        refused({ parents: concatBytes(...parents), data: list }, testCase, "groups");
    }
  });

  test("cut short, anywhere: as incomplete, since what came is true", () => {
    for (const testCase of CASES) {
      const { parents, groups } = itemsOf(testCase);
      const data = concatBytes(...groups);
      const options = { hash: hashBlob(testCase.blob), sizeBytes: testCase.blob.length, range: testCase.range };
      for (const length of [0, 1, 5, data.length - 1]) {
        const decoder = new SliceDecoder(options);
        const before = concatBytes(...decoder.push({ parents: parents[0] ?? EMPTY, data: EMPTY }));
        assert.equal(before.length, 0);
        decoder.push({ parents: EMPTY, data: EMPTY });
        if (parents.length === 1 || parents.length === 0) decoder.push({ parents: EMPTY, data: data.slice(0, length) });
        assert.throws(() => decoder.finish(), IncompleteProof);
      }
    }
  });

  test("with surplus bytes at the end or before they are wanted", () => {
    for (const testCase of CASES) {
      const slice = encodeSlice(testCase.blob, testCase);
      const one = new Uint8Array(1);
      const surplus = [
        { parents: concatBytes(slice.parents, one), data: slice.data },
        { parents: slice.parents, data: concatBytes(slice.data, one) },
        { parents: concatBytes(slice.parents, slice.parents.subarray(0, 64), one), data: slice.data },
      ];
      for (const mutated of surplus) {
        assert.throws(
          () => decodeSlice(mutated, { hash: hashBlob(testCase.blob), sizeBytes: testCase.blob.length, ...testCase }),
          VerificationFailed,
        );
      }
      const decoder = new SliceDecoder({
        hash: hashBlob(testCase.blob),
        sizeBytes: testCase.blob.length,
        range: testCase.range,
      });
      decoder.push(slice);
      decoder.push({ parents: EMPTY, data: EMPTY });
      assert.throws(() => decoder.push({ parents: EMPTY, data: one }), VerificationFailed);
      assert.throws(() => decoder.push({ parents: EMPTY, data: EMPTY }), VerificationFailed, "and stays refused");
      assert.throws(() => decoder.finish(), VerificationFailed);
    }
    const blob = patternBytes(3 * GROUP);
    const options = { hash: hashBlob(blob), sizeBytes: blob.length, range: { start: 0, end: blob.length } };
    const { parents, data } = encodeSlice(blob, options);
    assert.throws(() => new SliceDecoder(options).push({ parents: EMPTY, data }), VerificationFailed, "content first");
    assert.throws(
      () => new SliceDecoder(options).push({ parents, data: EMPTY }),
      VerificationFailed,
      "all pairs first",
    );
  });

  test("under a wrong size: refused, or the true bytes with the size not proved", () => {
    const sizes = [1, 100, GROUP - 5, GROUP - 4, 2 * GROUP - 5, 2 * GROUP + 7, 4 * GROUP, 5 * GROUP];
    for (const size of sizes) {
      const blob = patternBytes(size);
      const claims = [...sizes, size - 1, size + 1, size + 64, size + 1024, size + GROUP, size * 2].filter(
        (claim) => claim > 0 && claim !== size,
      );
      for (const claim of claims) {
        for (const range of [
          { start: 0, end: 1 },
          { start: 0, end: Math.min(size, claim) },
          { start: Math.min(size, claim) - 1, end: Math.min(size, claim) },
        ]) {
          checkClaim({ blob, range }, claim);
        }
        // The claimed whole, answered with all that there is.
        const decoder = new SliceDecoder({ hash: hashBlob(blob), sizeBytes: claim, range: { start: 0, end: claim } });
        assert.throws(() => {
          decoder.push(encodeSlice(blob, { range: { start: 0, end: size } }));
          decoder.finish();
        }, NeleusError);
        assert.equal(decoder.sizeProved, false);
      }
    }
  });

  test("under a hash that differs in any byte", () => {
    for (const { blob, range } of CASES.slice(0, 3)) {
      const slice = encodeSlice(blob, { range });
      for (let index = 0; index < 32; index += 1) {
        const other = hashBlob(blob).slice();
        other[index]! ^= 0x10;
        assert.throws(
          () => decodeSlice(slice, { hash: blobHash(other), sizeBytes: blob.length, range }),
          VerificationFailed,
        );
      }
    }
  });

  test("under another hash, the empty blob's too", () => {
    const none = { parents: EMPTY, data: EMPTY };
    const range = { start: 0, end: 0 };
    assert.throws(
      () => decodeSlice(none, { hash: blobHash(new Uint8Array(32)), sizeBytes: 0, range }),
      VerificationFailed,
    );
    assert.throws(
      () => decodeSlice(none, { hash: hashBlob(patternBytes(1)), sizeBytes: 0, range }),
      (error: unknown) => error instanceof VerificationFailed && error.evidence !== undefined,
    );
  });

  test("made of random bytes", () => {
    const bytes = fc.uint8Array({ maxLength: 300 });
    fc.assert(
      fc.property(bytes, bytes, fc.integer({ min: 1, max: 3 * GROUP }), (parents, data, sizeBytes) => {
        const range = { start: 0, end: sizeBytes };
        const hash = hashBlob(patternBytes(7));
        assert.throws(
          () => decodeSlice({ parents, data }, { hash, sizeBytes, range }),
          (error: unknown) => error instanceof VerificationFailed || error instanceof IncompleteProof,
        );
      }),
    );
  });
});

/** Decodes the true slice of a range under a claimed size that is wrong. */
function checkClaim({ blob, range }: Case, claim: number): void {
  const decoder = new SliceDecoder({ hash: hashBlob(blob), sizeBytes: claim, range });
  let bytes: Uint8Array;
  try {
    bytes = concatBytes(...decoder.push(encodeSlice(blob, { range })));
    decoder.finish();
  } catch (error) {
    assert.ok(error instanceof VerificationFailed || error instanceof IncompleteProof, String(error));
    return;
  }
  assert.deepEqual(bytes, blob.slice(range.start, range.end));
  assert.equal(decoder.sizeProved, false, `${blob.length} bytes claimed to be ${claim}`);
}
