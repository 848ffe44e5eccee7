// Goal: `fixed` chunks are those of the rule in manifest.proto, whatever the pieces in which a document arrives, and the
// work that a caller can ask for is bounded.
// Method: a slow twin that follows the rule word by word over the whole document, and random documents cut at random.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { hashBlob } from "#src/core/blob/index.js";
import { toHex } from "#src/core/bytes.js";
import { InvalidArgument, LimitExceeded } from "#src/core/errors.js";
import { MAX_CHUNKS, MAX_CHUNK_BYTES } from "#src/core/limits.js";
import { FixedChunker, chunkCountOf, requireChunkWork, requireChunking } from "#src/core/document/index.js";
import type { CutChunk } from "#src/core/document/index.js";
import { patternBytes } from "../../database/support/bytes.js";

function slowChunks(document: Uint8Array, sizeBytes: number, overlapBytes: number): CutChunk[] {
  const chunks: CutChunk[] = [];
  for (let start = 0; document.length > 0;) {
    const end = Math.min(start + sizeBytes, document.length);
    const hash = hashBlob(document.subarray(start, end));
    chunks.push({ index: chunks.length, hash, sizeBytes: end - start, offset: start });
    if (end === document.length) break;
    start = end - overlapBytes;
  }
  return chunks;
}

function cut(
  document: Uint8Array,
  options: { sizeBytes: number; overlapBytes: number; pieceBytes: number },
): CutChunk[] {
  const chunker = new FixedChunker({ method: "fixed", ...options });
  const chunks: CutChunk[] = [];
  for (let offset = 0; offset < document.length; offset += options.pieceBytes) {
    const piece = document.slice(offset, offset + options.pieceBytes);
    for (const chunk of chunker.push(piece)) chunks.push(chunk);
    piece.fill(0xee);
  }
  chunks.push(...chunker.finish());
  return chunks;
}

const readable = (chunks: readonly CutChunk[]) => chunks.map((chunk) => ({ ...chunk, hash: toHex(chunk.hash) }));

describe("fixed chunks", () => {
  it("follow the rule, for any document, size, overlap and pieces", () => {
    const cases = fc
      .record({
        length: fc.nat(300),
        sizeBytes: fc.integer({ min: 1, max: 60 }),
        pieceBytes: fc.integer({ min: 1, max: 90 }),
      })
      .chain((base) => fc.nat(base.sizeBytes - 1).map((overlapBytes) => ({ ...base, overlapBytes })));
    fc.assert(
      fc.property(cases, ({ length, ...options }) => {
        const document = patternBytes(length);
        const expected = slowChunks(document, options.sizeBytes, options.overlapBytes);
        assert.deepEqual(readable(cut(document, options)), readable(expected));
        assert.equal(chunkCountOf(length, { method: "fixed", ...options }), expected.length);
      }),
      { numRuns: 500 },
    );
  });

  it("are the same when pieces and chunks are larger than the buffer's spare room", () => {
    const document = patternBytes(1_500_000);
    for (const [sizeBytes, overlapBytes] of [
      [400_000, 0],
      [300_000, 260_000],
      [1_500_000, 5],
      [2_000_000, 0],
      [70, 1],
    ] as const) {
      const expected = readable(slowChunks(document, sizeBytes, overlapBytes));
      for (const pieceBytes of [1_500_000, 262_144, 262_143]) {
        assert.deepEqual(readable(cut(document, { sizeBytes, overlapBytes, pieceBytes })), expected);
      }
    }
  });

  it("take sizes and overlaps in range only", () => {
    const valid = { method: "fixed", sizeBytes: 10, overlapBytes: 3 };
    requireChunking(valid);
    requireChunking({ ...valid, sizeBytes: MAX_CHUNK_BYTES });
    const wrong: [object, string][] = [
      [{ method: "markdown" }, "chunking.method"],
      [{ method: "" }, "chunking.method"],
      [{ sizeBytes: 0 }, "chunking.size"],
      [{ sizeBytes: -1 }, "chunking.size"],
      [{ sizeBytes: 1.5 }, "chunking.size"],
      [{ sizeBytes: Number.NaN }, "chunking.size"],
      [{ sizeBytes: MAX_CHUNK_BYTES + 1 }, "chunking.size"],
      [{ overlapBytes: 10 }, "chunking.overlap"],
      [{ overlapBytes: -1 }, "chunking.overlap"],
    ];
    for (const [change, field] of wrong) {
      assert.throws(
        () => requireChunking({ ...valid, ...change }),
        (error) => error instanceof InvalidArgument && error.field === field,
      );
    }
  });

  it("are bounded in number and in bytes hashed", () => {
    const fixed = (sizeBytes: number, overlapBytes: number) => ({ method: "fixed", sizeBytes, overlapBytes });
    requireChunkWork(MAX_CHUNKS, fixed(1, 0));
    assert.throws(() => requireChunkWork(MAX_CHUNKS + 1, fixed(1, 0)), LimitExceeded);
    requireChunkWork(100_000, fixed(100, 99));
    requireChunkWork(2 ** 30, fixed(64_000, 63_000));
    assert.throws(() => requireChunkWork(2 ** 30, fixed(64_000, 63_100)), LimitExceeded);
    assert.throws(() => requireChunkWork(2 ** 25, fixed(2 ** 24, 2 ** 24 - 1)), LimitExceeded);
  });
});
