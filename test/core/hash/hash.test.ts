// Goal: every hash is the one of FORMATS §1 and §5. Method: the project's vectors, the BLAKE3 team's vectors, and
// @noble/hashes as oracle at the edges of blocks, chunks and groups; all of it with the kernel and without.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { blake3 } from "@noble/hashes/blake3.js";
import { concatBytes, toHex } from "#src/core/bytes.js";
import {
  groupChainingValue,
  groupChainingValues,
  hashBatch,
  hashPairs,
  hashTagged,
  parentChainingValue,
  tagPrefix,
  type Tag,
} from "#src/core/hash/index.js";
import { selectKernel } from "#src/core/hash/selection.js";
import { patternBytes, readVectors } from "../../support/vectors.js";

const GROUP = 16_384;
const TAGS: readonly Tag[] = [
  "blob:",
  "manifest:",
  "commit:",
  "state_node:",
  "state_leaf:",
  "merkle_node:",
  "state_key:",
];

/** The slow twin: the tree of BLAKE3 over groups, as a recursion. */
function treeHash(input: Uint8Array, groupIndex = 0, isRoot = true): Uint8Array {
  if (input.length <= GROUP) return groupChainingValue(input, { groupIndex, isRoot });
  let leftGroups = 1;
  while (leftGroups * 2 * GROUP < input.length) leftGroups *= 2;
  const left = treeHash(input.subarray(0, leftGroups * GROUP), groupIndex, false);
  const right = treeHash(input.subarray(leftGroups * GROUP), groupIndex + leftGroups, false);
  return parentChainingValue(concatBytes(left, right), { isRoot });
}

for (const kernel of ["wasm-simd", "portable"] as const) {
  describe(kernel, () => {
    before(() => assert.equal(selectKernel(kernel), kernel));
    after(() => void selectKernel("wasm-simd"));

    describe("tagged hashes", () => {
      const vectors = readVectors("hash") as { tags: Record<Tag, Record<string, string>> };
      for (const tag of TAGS) {
        test(`${tag} matches the vectors`, () => {
          for (const [length, expected] of Object.entries(vectors.tags[tag])) {
            const input = patternBytes(Number(length));
            assert.equal(toHex(hashTagged(tag, input)), expected, `length ${length}`);
            assert.equal(toHex(hashBatch(tag, [input])), expected, `length ${length}, as a batch`);
          }
        });
      }

      test("a batch is the digests of its messages in order", () => {
        const messages = [0, 1, 52, 53, 64, 1012, 1013, 1024, 5000, 20_000, 3].map((length) => patternBytes(length));
        for (const tag of TAGS) {
          const expected = concatBytes(...messages.map((message) => blake3(concatBytes(tagPrefix(tag), message))));
          assert.deepEqual(hashBatch(tag, messages), expected);
        }
        assert.deepEqual(hashBatch("blob:", []), new Uint8Array(0));
      });

      test("pairs hash as merkle_node of 64 bytes", () => {
        for (const count of [0, 1, 2, 3, 4, 5, 8, 31]) {
          const pairs = patternBytes(count * 64);
          const each = Array.from({ length: count }, (_, index) =>
            hashTagged("merkle_node:", pairs.slice(index * 64, index * 64 + 64)),
          );
          assert.deepEqual(hashPairs(pairs), concatBytes(...each));
        }
      });
    });

    describe("chaining values", () => {
      test("build the hashes of the BLAKE3 team's vectors", () => {
        const vectors = readVectors("blake3-official") as { cases: { input_len: number; hash: string }[] };
        for (const { input_len: length, hash } of vectors.cases) {
          assert.equal(toHex(treeHash(patternBytes(length))), hash.slice(0, 64), `length ${length}`);
        }
      });

      test("build the hash of noble at every edge of block, chunk and group", () => {
        for (const edge of [0, 64, 128, 1024, 2048, 3072, 4096, 5120, 8192, 15_360, GROUP, 2 * GROUP, 5 * GROUP]) {
          for (const length of [edge - 1, edge, edge + 1]) {
            if (length < 0) continue;
            const input = patternBytes(length);
            assert.deepEqual(treeHash(input), blake3(input), `length ${length}`);
          }
        }
      });

      test("of a run of groups are those of its groups, wherever it starts", () => {
        const input = patternBytes(5 * GROUP + 3).subarray(3);
        for (const firstGroupIndex of [0, 1, 2 ** 28 - 2, 2 ** 30 - 1]) {
          const each = [0, 1, 2, 3, 4].map((index) =>
            groupChainingValue(input.subarray(index * GROUP, (index + 1) * GROUP), {
              groupIndex: firstGroupIndex + index,
              isRoot: false,
            }),
          );
          assert.deepEqual(groupChainingValues(input, firstGroupIndex), concatBytes(...each));
        }
        assert.deepEqual(groupChainingValues(new Uint8Array(0), 7), new Uint8Array(0));
      });
    });
  });
}
