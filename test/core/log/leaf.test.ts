// Goal: leaves are the bytes of FORMATS §7, the fourth element stands in leaf 0 and nowhere else, and what breaks a rule
// is refused.
// Method: the shared vectors; broken leaves one by one; every bit flipped.
import test from "node:test";
import assert from "node:assert/strict";
import { fromHex, toHex } from "#src/core/bytes.js";
import { encode } from "#src/core/codec/index.js";
import type { Value } from "#src/core/codec/index.js";
import { InvalidArgument, Malformed, Unsupported } from "#src/core/errors.js";
import { mapRoot } from "#src/core/hashes.js";
import { decodeLogLeaf, encodeLogLeaf } from "#src/core/log/index.js";
import type { LogLeaf } from "#src/core/log/index.js";
import { readVectors } from "../../support/vectors.js";

const vectors = readVectors("log") as { leaves: string[]; checkpoint: { leaves: string[]; note: string } };
const { note } = vectors.checkpoint;
const root = new Uint8Array(32).fill(3);
const refsRoot = mapRoot(root);

test("vectors: leaves both ways", () => {
  for (const [index, hex] of vectors.checkpoint.leaves.entries()) {
    assert.equal(toHex(encodeLogLeaf(decodeLogLeaf(fromHex(hex), index), index)), hex);
  }
  for (const hex of vectors.leaves) assert.equal(toHex(encodeLogLeaf(decodeLogLeaf(fromHex(hex), 7), 7)), hex);
});

test("leaf 0, and no other, says how the log began", () => {
  const plain: LogLeaf = { version: 1, time: 5, refsRoot };
  const beginnings: LogLeaf[] = [
    { ...plain, first: { reason: "created" } },
    { ...plain, first: { reason: "restored", previous: note } },
    { ...plain, first: { reason: "cloned", previous: note } },
    { ...plain, first: { reason: "rekeyed", previous: note, extra: { later: [1] } } },
  ];
  for (const leaf of beginnings) {
    assert.deepEqual(decodeLogLeaf(encodeLogLeaf(leaf, 0), 0), leaf);
    assert.throws(() => encodeLogLeaf(leaf, 1), InvalidArgument);
    assert.throws(() => decodeLogLeaf(encodeLogLeaf(leaf, 0), 1), Malformed);
  }
  assert.deepEqual(decodeLogLeaf(encodeLogLeaf(plain, 1), 1), plain);
  assert.throws(() => encodeLogLeaf(plain, 0), InvalidArgument);
  assert.throws(() => decodeLogLeaf(encodeLogLeaf(plain, 1), 0), Malformed);
});

test("broken leaves are malformed, other versions Unsupported", () => {
  const broken: [Value, number][] = [
    [{}, 1],
    [[], 1],
    [[1, 5], 1],
    [[1, 5, root, null], 1],
    [[1, 5, root, {}], 1],
    [[1, -5, root], 1],
    [[1, 1.5, root], 1],
    [[1, 5, root.subarray(1)], 1],
    [[1, 5, "root"], 1],
    [["1", 5, root], 1],
    [[null, 5, root], 1],
    [[1.5, 5, root], 1],
    [[1, 5, root, null], 0],
    [[1, 5, root, {}], 0],
    [[1, 5, root, { reason: "born" }], 0],
    [[1, 5, root, { reason: null }], 0],
    [[1, 5, root, { reason: "restored" }], 0],
    [[1, 5, root, { reason: "cloned" }], 0],
    [[1, 5, root, { reason: "rekeyed" }], 0],
    [[1, 5, root, { reason: "restored", previous: null }], 0],
    [[1, 5, root, { reason: "created", previous: 1 }], 0],
    [[1, 5, root, { reason: "created" }, 1], 0],
    [[1, 5, root, { reason: "restored", previous: "x".repeat(65_500) }], 0],
  ];
  for (const [wire, index] of broken) {
    assert.throws(() => decodeLogLeaf(encode(wire), index), Malformed, JSON.stringify(wire).slice(0, 80));
  }
  for (const version of [0, 2, -1, 100]) {
    assert.throws(() => decodeLogLeaf(encode([version, "whatever"]), 0), Unsupported);
  }
  assert.throws(() => decodeLogLeaf(new Uint8Array(0), 1), Malformed);
});

test("writers are held to the same rules, and to a previous checkpoint that is one", () => {
  const refused: [unknown, number][] = [
    [{ version: 1, time: -1, refsRoot }, 1],
    [{ version: 2, time: 1, refsRoot }, 1],
    [{ version: 1, time: 1, refsRoot: root.subarray(1) }, 1],
    [{ version: 1, time: 1, refsRoot, first: { reason: "restored" } }, 0],
    [{ version: 1, time: 1, refsRoot, first: { reason: "restored", previous: "no note" } }, 0],
    [{ version: 1, time: 1, refsRoot, first: { reason: "born" } }, 0],
    [{ version: 1, time: 1, refsRoot, first: { reason: "created", extra: { x: "y".repeat(65_536) } } }, 0],
    [undefined, 1],
  ];
  for (const [leaf, index] of refused) assert.throws(() => encodeLogLeaf(leaf as LogLeaf, index), InvalidArgument);
});

test("every single-bit flip of a leaf is refused, or is another proper leaf", () => {
  const bytes = encodeLogLeaf(
    { version: 1, time: 1_763_800_000_000, refsRoot, first: { reason: "restored", previous: note } },
    0,
  );
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const flipped = bytes.slice();
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    try {
      const leaf = decodeLogLeaf(flipped, 0);
      if (leaf.first?.previous === note) assert.deepEqual(encodeLogLeaf(leaf, 0), flipped);
    } catch (error) {
      assert.ok(error instanceof Malformed || error instanceof Unsupported, String(error));
    }
  }
});
