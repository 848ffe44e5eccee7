// Trees of which only some leaves are known, step by step: what an engine does that has no quicker way, and with more than
// it takes at once.
import { concatBytes } from "../bytes.js";
import { assert } from "../errors.js";
import type { HashEngine, PartialTrees } from "./engine.js";
import { tagPrefix } from "./tag.js";

const DIGEST_BYTES = 32;

/** Hashes that are given. */
export function countGiven({ given }: Pick<PartialTrees, "given">): number {
  let bytes = 0;
  for (const piece of given) bytes += piece.length;
  return bytes / DIGEST_BYTES;
}

/** As `HashEngine.hashPartialTrees`, with the other functions of an engine. */
export function partialTreesOf(
  engine: Pick<HashEngine, "hashRanges" | "hashPairs" | "hashBatch">,
  trees: PartialTrees,
): Uint8Array {
  const hashes = knownHashes(engine, trees);
  const joins = trees.joins.length / 2;
  let known = hashes.length / DIGEST_BYTES - joins;
  for (let done = 0; done < joins;) {
    const end = endOfReady(trees.joins, done, known);
    const pairs = new Uint8Array((end - done) * 2 * DIGEST_BYTES);
    for (let at = 2 * done; at < 2 * end; at += 1) {
      pairs.set(hashAt(hashes, trees.joins[at] ?? 0), (at - 2 * done) * DIGEST_BYTES);
    }
    hashes.set(engine.hashPairs(pairs), known * DIGEST_BYTES);
    known += end - done;
    done = end;
  }
  const messages = trees.roots.map((root, tree) => headed(trees, tree, hashAt(hashes, root)));
  return engine.hashBatch(tagPrefix(trees.headTag), messages);
}

/** Room for all hashes, with those that need no join in it. */
function knownHashes(engine: Pick<HashEngine, "hashRanges">, trees: PartialTrees): Uint8Array {
  const leaves = engine.hashRanges(tagPrefix(trees.leafTag), trees.leaves, trees.leafStarts);
  const count = leaves.length / DIGEST_BYTES + countGiven(trees) + trees.joins.length / 2;
  const hashes = new Uint8Array(count * DIGEST_BYTES);
  hashes.set(leaves);
  let offset = leaves.length;
  for (const piece of trees.given) {
    hashes.set(piece, offset);
    offset += piece.length;
  }
  return hashes;
}

/** The joins from number `first` on that need none of each other, up to this one. */
function endOfReady(joins: readonly number[], first: number, known: number): number {
  let end = first;
  while (2 * end < joins.length && (joins[2 * end] ?? 0) < known && (joins[2 * end + 1] ?? 0) < known) end += 1;
  assert(end > first, "a tree is made of hashes that come before");
  return end;
}

function headed(trees: PartialTrees, tree: number, root: Uint8Array): Uint8Array {
  return concatBytes(trees.heads.subarray(trees.headStarts[tree], trees.headStarts[tree + 1]), root);
}

function hashAt(hashes: Uint8Array, number: number): Uint8Array {
  assert((number + 1) * DIGEST_BYTES <= hashes.length, "a tree is made of hashes that come before");
  return hashes.subarray(number * DIGEST_BYTES, (number + 1) * DIGEST_BYTES);
}
