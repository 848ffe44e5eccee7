// Goal: trees of which only some leaves are known give the digests that hashing one thing after another gives, in one call
// of the kernel and in many, in whatever order the joins come.
// Method: @noble/hashes, a hash at a time, as oracle of both engines; random forests, and forests just within and just
// over what one call takes; the kernel's memory full of older bytes.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { blake3 } from "@noble/hashes/blake3.js";
import fc from "fast-check";
import { concatBytes } from "#src/core/bytes.js";
import { AssertionFailed } from "#src/core/errors.js";
import { hashPartialTrees, tagPrefix, type PartialTrees } from "#src/core/hash/index.js";
import { loadWasmEngine } from "#src/core/hash/kernel/wasm-engine.js";
import { PortableEngine } from "#src/core/hash/portable.js";
import { patternBytes } from "../../support/vectors.js";

const wasm = loadWasmEngine();
assert.ok(wasm !== undefined, "the kernel runs where the tests do");
const engines = [wasm, new PortableEngine()];
const PATTERN = patternBytes(80_000);

interface Forest {
  readonly leafBytes: readonly number[];
  /** Hashes in each given piece. */
  readonly given: readonly number[];
  readonly joins: readonly number[];
  readonly roots: readonly number[];
  readonly headBytes: readonly number[];
}

function piecesOf(lengths: readonly number[], offset: number): { bytes: Uint8Array; starts: number[] } {
  const starts = [offset];
  for (const length of lengths) starts.push((starts.at(-1) ?? 0) + length);
  const end = starts.at(-1) ?? 0;
  // More bytes before and behind than belong to it, none of which may matter.
  return { bytes: Uint8Array.from({ length: end + 7 }, (_, index) => PATTERN[index % PATTERN.length] ?? 0), starts };
}

function treesOf(forest: Forest): PartialTrees {
  const leaves = piecesOf(forest.leafBytes, 3);
  const heads = piecesOf(forest.headBytes, 1);
  return {
    leafTag: "state_leaf:",
    leaves: leaves.bytes,
    leafStarts: leaves.starts,
    given: forest.given.map((hashes, index) => PATTERN.subarray(index, index + hashes * 32)),
    joins: forest.joins,
    roots: forest.roots,
    headTag: "state_node:",
    heads: heads.bytes,
    headStarts: heads.starts,
  };
}

/** One hash after another. */
function slowDigests(trees: PartialTrees): Uint8Array {
  const part = (bytes: Uint8Array, starts: readonly number[], index: number): Uint8Array =>
    bytes.subarray(starts[index], starts[index + 1]);
  const hashes: Uint8Array[] = [];
  for (let leaf = 0; leaf + 1 < trees.leafStarts.length; leaf += 1) {
    hashes.push(blake3(concatBytes(tagPrefix(trees.leafTag), part(trees.leaves, trees.leafStarts, leaf))));
  }
  for (const piece of trees.given) {
    for (let at = 0; at < piece.length; at += 32) hashes.push(piece.subarray(at, at + 32));
  }
  for (let join = 0; join < trees.joins.length; join += 2) {
    const [left, right] = [hashes[trees.joins[join]!]!, hashes[trees.joins[join + 1]!]!];
    hashes.push(blake3(concatBytes(tagPrefix("merkle_node:"), left, right)));
  }
  const digests = trees.roots.map((root, tree) =>
    blake3(concatBytes(tagPrefix(trees.headTag), part(trees.heads, trees.headStarts, tree), hashes[root]!)),
  );
  return concatBytes(...digests);
}

function requireRight(forest: Forest): void {
  const trees = treesOf(forest);
  const expected = slowDigests(trees);
  for (const engine of engines) {
    engine.groupChainingValues(new Uint8Array(262_144).fill(0xff), 5);
    const into = new Uint8Array(forest.roots.length * 32);
    engine.hashPartialTrees(trees, into);
    assert.deepEqual(into, expected, engine.name);
  }
}

/** A forest of random joins, each of two hashes before it. */
const forests: fc.Arbitrary<Forest> = fc
  .record({
    leafBytes: fc.array(fc.oneof({ weight: 9, arbitrary: fc.nat(120) }, fc.nat(1100)), { maxLength: 12 }),
    given: fc.array(fc.integer({ min: 0, max: 6 }), { maxLength: 6 }),
    joins: fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 30 }),
    roots: fc.array(fc.nat(), { maxLength: 8 }),
    headBytes: fc.array(fc.nat(25), { minLength: 8, maxLength: 8 }),
  })
  .map(({ leafBytes, given, joins, roots, headBytes }) => {
    const known = leafBytes.length + given.reduce((sum, hashes) => sum + hashes, 0);
    const isEmpty = known === 0;
    return {
      leafBytes,
      given,
      joins: isEmpty ? [] : joins.flatMap(([a, b], index) => [a % (known + index), b % (known + index)]),
      roots: isEmpty ? [] : roots.map((root) => root % (known + joins.length)),
      headBytes: isEmpty ? [] : headBytes.slice(0, roots.length),
    };
  });

/** So many given hashes joined to one, neighbour with neighbour, over and over. */
function joined(given: number): { joins: number[]; root: number } {
  const joins: number[] = [];
  let layer = Array.from({ length: given }, (_, index) => index);
  let next = given;
  while (layer.length > 1) {
    const above: number[] = [];
    for (let at = 0; at < layer.length; at += 2) {
      if (at + 1 === layer.length) above.push(layer[at]!);
      else {
        joins.push(layer[at]!, layer[at + 1]!);
        above.push(next++);
      }
    }
    layer = above;
  }
  return { joins, root: layer[0]! };
}

describe("partial trees", () => {
  test("random forests", () => {
    fc.assert(fc.property(forests, requireRight), { numRuns: 400 });
  });

  test("chains, in which no two joins can be done at once", () => {
    for (const links of [1, 2, 3, 4, 5, 64]) {
      const joins = Array.from({ length: links }, (_, link) => (link === 0 ? [0, 1] : [1 + link, 1])).flat();
      requireRight({ leafBytes: [50], given: [1], joins, roots: [1 + links], headBytes: [8] });
    }
  });

  test("as much as one call takes, and more", () => {
    // 4,095 hashes, then 4,097; 64 trees, then 65.
    for (const given of [2048, 2049]) {
      const { joins, root } = joined(given);
      requireRight({ leafBytes: [], given: [given - 600, 600], joins, roots: [root], headBytes: [12] });
    }
    for (const trees of [63, 64, 65]) {
      const roots = Array.from({ length: trees }, (_, tree) => tree % 2);
      requireRight({ leafBytes: [60, 61], given: [], joins: [], roots, headBytes: roots.map((_, tree) => tree % 22) });
    }
    // Heads that leave room for the root in a block, and that do not; leaves of a chunk, and of more.
    for (const headBytes of [20, 21, 22, 53, 200]) {
      requireRight({ leafBytes: [60], given: [1], joins: [0, 1], roots: [2, 0], headBytes: [headBytes, 5] });
    }
    for (const leafBytes of [1012, 1013, 1014, 1400]) {
      requireRight({ leafBytes: [leafBytes, 60], given: [1], joins: [0, 1, 3, 2], roots: [4], headBytes: [10] });
    }
    requireRight({ leafBytes: Array<number>(400).fill(900), given: [], joins: [], roots: [399], headBytes: [10] });
  });

  test("what is joined comes before, which is asserted", () => {
    const forest = { leafBytes: [60], given: [1], joins: [0, 1], roots: [2], headBytes: [10] };
    for (const wrong of [{ joins: [0, 2] }, { joins: [3, 1] }, { roots: [3] }, { headBytes: [10, 11] }]) {
      const trees = treesOf({ ...forest, ...wrong });
      assert.throws(() => hashPartialTrees(trees, new Uint8Array(32)), AssertionFailed, JSON.stringify(wrong));
      if (wrong.headBytes !== undefined) continue;
      for (const engine of engines) {
        assert.throws(() => engine.hashPartialTrees(trees, new Uint8Array(32)), AssertionFailed, engine.name);
      }
    }
    assert.throws(() => hashPartialTrees(treesOf(forest), new Uint8Array(64)), AssertionFailed);
  });
});
