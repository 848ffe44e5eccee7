// Every hash of neleus goes through here: BLAKE3 with a domain tag (FORMATS §1), alone or many at once, and the
// chaining values of 16 KiB groups from which a blob's tree is built (FORMATS §5).
//
// A WASM SIMD kernel does the work where it can be loaded; elsewhere a portable engine gives the same bytes, slower.
// Arguments come from our own code: a wrong length is a bug, and is asserted. Results are new arrays, the caller's to
// keep. No input is kept or written to.
import { assert } from "../errors.js";
import type { Digest } from "../hashes.js";
import { BLOB_GROUP_BYTES } from "../limits.js";
import type { GroupPosition, KernelName, NodePosition, PartialTrees } from "./engine.js";
import { engine } from "./selection.js";
import type { Tag } from "./tag.js";
import { tagPrefix } from "./tag.js";
import { TreeHasher } from "./tree-hasher.js";

export type { GroupPosition, KernelName, NodePosition, PartialTrees } from "./engine.js";
export type { Tag } from "./tag.js";
export { loadKernel } from "./selection.js";
export { tagPrefix } from "./tag.js";
export type { TreeHasher } from "./tree-hasher.js";

/** `H_tag(bytes)`: 32 bytes. */
export function hashTagged(tag: Tag, bytes: Uint8Array): Digest {
  return engine().hashPrefixed(tagPrefix(tag), bytes);
}

/**
 * `H_tag` of each message, in order, as one array of 32 bytes a message. Far cheaper a message than `hashTagged` from
 * about four messages on: short ones (a chunk, 1,024 bytes with the tag) are hashed side by side.
 */
export function hashBatch(tag: Tag, messages: readonly Uint8Array[]): Uint8Array {
  return engine().hashBatch(tagPrefix(tag), messages);
}

/**
 * The same for messages that lie one behind the other in one array: message i is bytes starts[i] … starts[i + 1] − 1, so
 * `starts` has one element more than there are messages. Makes no object a message.
 */
export function hashRanges(tag: Tag, bytes: Uint8Array, starts: readonly number[]): Uint8Array {
  assert((starts.at(-1) ?? 0) <= bytes.length, "the messages lie within the bytes");
  return engine().hashRanges(tagPrefix(tag), bytes, starts);
}

/**
 * All hashes of the binary tree (RFC 6962 shape) over at least one message, given as for `hashRanges`: `H_tag` of each,
 * then layer by layer `H_merkle_node(left ‖ right)` of neighbours, an odd last hash carried up unchanged. The root is last.
 */
export function hashTree(tag: Tag, bytes: Uint8Array, starts: readonly number[]): Uint8Array {
  assert(starts.length > 1, "a tree has a leaf");
  assert((starts.at(-1) ?? 0) <= bytes.length, "the messages lie within the bytes");
  return engine().hashTree(tagPrefix(tag), bytes, starts);
}

/**
 * Trees of which only some leaves are known, all at once: the digests of the leaves, then `H_merkle_node(left ‖ right)` of
 * what is joined, then for each tree the digest of its head and root, 32 bytes a tree, written to `into`. One call of the
 * kernel for what fits.
 */
export function hashPartialTrees(trees: PartialTrees, into: Uint8Array): void {
  assert((trees.leafStarts.at(-1) ?? 0) <= trees.leaves.length, "the leaves lie within the bytes");
  assert(trees.headStarts.length === trees.roots.length + 1, "a tree has a head");
  assert(into.length === trees.roots.length * 32, "a tree has a digest");
  engine().hashPartialTrees(trees, into);
}

/** `H_merkle_node(left ‖ right)` for each 64-byte pair, in order, as one array of 32 bytes a pair. */
export function hashPairs(pairs: Uint8Array): Uint8Array {
  assert(pairs.length % 64 === 0, "pairs are 64 bytes each");
  return engine().hashPairs(pairs);
}

/**
 * Chaining value of one group of hashed input (tag included), 0–16,384 bytes: full unless it is the last. With
 * `isRoot`, when the group is the whole input, it is the hash.
 */
export function groupChainingValue(input: Uint8Array, position: GroupPosition): Digest {
  assert(input.length <= BLOB_GROUP_BYTES, "a group is at most 16 KiB");
  assertGroupIndex(position.groupIndex);
  assert(!position.isRoot || position.groupIndex === 0, "only group 0 can be a root");
  return engine().groupChainingValue(input, position);
}

/**
 * Chaining values of consecutive full groups, the first of which is number `firstGroupIndex`: 32 bytes a group.
 * `input` is a multiple of 16,384 bytes; none of the groups is a root.
 */
export function groupChainingValues(input: Uint8Array, firstGroupIndex: number): Uint8Array {
  assert(input.length % BLOB_GROUP_BYTES === 0, "groups are 16 KiB each");
  assertGroupIndex(firstGroupIndex);
  return engine().groupChainingValues(input, firstGroupIndex);
}

/** Chaining value of an interior node from the 64 bytes left ‖ right. With `isRoot` it is the hash. */
export function parentChainingValue(pair: Uint8Array, position: NodePosition): Digest {
  assert(pair.length === 64, "a pair is 64 bytes");
  return engine().parentChainingValue(pair, position);
}

/**
 * Hashes input that arrives in pieces, and hands out the pairs left ‖ right of its interior nodes in post-order: each
 * is only lent for the call.
 */
export function treeHasher(tag: Tag, onPair: (pair: Uint8Array) => void): TreeHasher {
  return new TreeHasher({ engine: engine(), prefix: tagPrefix(tag), onPair });
}

/** The implementation in use: `portable` where WebAssembly with SIMD is missing or blocked. */
export function kernelName(): KernelName {
  return engine().name;
}

/** Far above any blob: the bound is what keeps chunk counters exact. */
function assertGroupIndex(groupIndex: number): void {
  const inRange = Number.isInteger(groupIndex) && groupIndex >= 0 && groupIndex <= 2 ** 40;
  assert(inRange, "a group index is an integer of 0 … 2^40");
}
