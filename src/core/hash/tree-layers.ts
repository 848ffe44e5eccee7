// The layers of a binary tree of hashes (RFC 6962 shape): leaves, then neighbours joined, an odd last one carried up
// unchanged, to the root. All lie one behind the other in one array.
import type { HashEngine } from "./engine.js";

const DIGEST_BYTES = 32;

/** Hashes of a tree of so many leaves, all layers together. */
export function treeHashCount(leaves: number): number {
  let hashes = leaves;
  for (let size = leaves; size > 1;) {
    size = (size + 1) >> 1;
    hashes += size;
  }
  return hashes;
}

/** The tree over these leaves, 32 bytes each, of which there is at least one. */
export function treeOf(engine: Pick<HashEngine, "hashPairs">, leaves: Uint8Array): Uint8Array {
  const count = leaves.length / DIGEST_BYTES;
  const hashes = new Uint8Array(treeHashCount(count) * DIGEST_BYTES);
  hashes.set(leaves);
  let layer = 0;
  for (let size = count; size > 1; size = (size + 1) >> 1) {
    const above = layer + size * DIGEST_BYTES;
    const paired = (size >> 1) * 2 * DIGEST_BYTES;
    hashes.set(engine.hashPairs(hashes.subarray(layer, layer + paired)), above);
    if (size % 2 === 1) hashes.copyWithin(above + paired / 2, layer + paired, above);
    layer = above;
  }
  return hashes;
}
