// Goal: a blob hashes to H_blob however it arrives, and its outboard is the interior nodes in post-order.
// Method: the vectors, @noble/hashes as oracle of the hash, a recursion as oracle of the outboard.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { blake3 } from "@noble/hashes/blake3.js";
import fc from "fast-check";
import { BlobHasher, computeOutboard, groupCount, hashBlob, outboardBytes } from "#src/core/blob/index.js";
import { concatBytes, toHex, utf8 } from "#src/core/bytes.js";
import { LimitExceeded } from "#src/core/errors.js";
import { patternBytes, readVectors } from "../../support/vectors.js";
import { twinTree } from "./twin.js";

const GROUP = 16_384;
/** Sizes at which the number of groups changes, and their neighbours. */
const EDGE_SIZES = [0, 1, 2, 3, 4, 5, 7, 8, 9].flatMap((groups) =>
  [-6, -5, -4, 0].map((offset) => groups * GROUP + offset).filter((size) => size >= 0),
);

describe("BlobHasher", () => {
  test("matches the vectors", () => {
    const vectors = readVectors("blob") as { blobs: { length: number; hash: string }[] };
    for (const { length, hash } of vectors.blobs) {
      const hasher = new BlobHasher();
      hasher.update(patternBytes(length));
      assert.equal(toHex(hasher.finish().hash), hash, `length ${length}`);
      assert.equal(toHex(hashBlob(patternBytes(length))), hash, `length ${length}, at once`);
    }
  });

  test("hash, size and outboard at every edge", () => {
    for (const size of EDGE_SIZES) {
      const blob = patternBytes(size);
      const hasher = new BlobHasher();
      hasher.update(blob);
      const { hash, sizeBytes, outboard } = hasher.finish();
      assert.deepEqual(new Uint8Array(hash), blake3(concatBytes(utf8("blob:"), blob)), `size ${size}`);
      assert.equal(sizeBytes, size);
      assert.deepEqual(outboard, concatBytes(...twinTree(blob, { start: 0, end: size }).postOrder), `size ${size}`);
      assert.deepEqual(outboard, computeOutboard(blob));
      assert.equal(outboard.length, outboardBytes(size));
      assert.equal(outboard.length / 64, groupCount(size) - 1);
    }
  });

  test("does not depend on how the blob is cut, nor on when the outboard is drained", () => {
    const pieces = fc.array(
      fc.oneof(
        fc.integer({ min: 0, max: 40 }),
        fc.integer({ min: 0, max: 5 * GROUP }),
        fc.constantFrom(GROUP - 5, GROUP, 2 * GROUP, 4 * GROUP + 1),
      ),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(pieces, fc.integer({ min: 1, max: 5 }), (lengths, drainEvery) => {
        const blob = patternBytes(lengths.reduce((sum, length) => sum + length, 0));
        const hasher = new BlobHasher();
        const drained: Uint8Array[] = [];
        let offset = 0;
        lengths.forEach((length, index) => {
          hasher.update(blob.subarray(offset, offset + length));
          offset += length;
          if (index % drainEvery === 0) drained.push(hasher.drainOutboard());
        });
        assert.equal(hasher.sizeBytes, blob.length);
        const { hash, outboard } = hasher.finish();
        assert.deepEqual(hash, hashBlob(blob));
        assert.deepEqual(concatBytes(...drained, outboard), computeOutboard(blob));
      }),
      { numRuns: 60 },
    );
  });

  test("takes a single byte at every point around a group's end", () => {
    const blob = patternBytes(2 * GROUP);
    for (const cut of [GROUP - 6, GROUP - 5, GROUP - 4, GROUP, 2 * GROUP - 6, 2 * GROUP - 5]) {
      for (const end of [cut, cut + 1, cut + 2]) {
        const hasher = new BlobHasher();
        hasher.update(blob.subarray(0, cut));
        for (let index = cut; index < end; index += 1) hasher.update(blob.subarray(index, index + 1));
        assert.deepEqual(hasher.finish().hash, hashBlob(blob.subarray(0, end)), `${cut} bytes, then up to ${end}`);
      }
    }
  });

  test("refuses a blob over the limit and stays usable", () => {
    const hasher = new BlobHasher();
    // A view that claims a length without holding it: the check comes before any byte is read.
    const claimed = Object.defineProperty(new Uint8Array(0), "length", { value: 2 ** 44 + 1 });
    assert.throws(() => hasher.update(claimed), LimitExceeded);
    hasher.update(patternBytes(3));
    assert.deepEqual(hasher.finish().hash, hashBlob(patternBytes(3)));
  });
});
