// The engine that runs everywhere, on the compression of compress.ts: up to 280 MB/s where the kernel
// does 1.7 GB/s.
//
// It is ours rather than @noble/hashes', the oracle in the tests, because chaining values need a compression of our
// own anyway, and whole hashes from the same one are some five times as fast.
import type { Digest } from "../hashes.js";
import { BLOB_GROUP_BYTES } from "../limits.js";
import { CHUNK_END, CHUNK_START, compress, IV, loadBlock, PARENT, ROOT, storeWords } from "./compress.js";
import type { GroupPosition, HashEngine, NodePosition, PartialTrees } from "./engine.js";
import { partialTreesOf } from "./partial-trees.js";
import { tagPrefix } from "./tag.js";
import { TreeHasher } from "./tree-hasher.js";
import { treeOf } from "./tree-layers.js";

const BLOCK_BYTES = 64;
const CHUNK_BYTES = 1024;
const CHUNKS_IN_GROUP = BLOB_GROUP_BYTES / CHUNK_BYTES;

/** Part of a group: bytes `start` to `end` of it, whose first chunk is number `counter`. */
interface Span {
  readonly start: number;
  readonly end: number;
  readonly counter: number;
  readonly rootFlag: number;
}

export class PortableEngine implements HashEngine {
  readonly name = "portable";
  readonly #block = new Uint32Array(16);
  readonly #group = new Uint8Array(BLOB_GROUP_BYTES);

  hashPrefixed(prefix: Uint8Array, bytes: Uint8Array): Digest {
    const length = prefix.length + bytes.length;
    if (length > BLOB_GROUP_BYTES) {
      const tree = new TreeHasher({ engine: this, prefix });
      tree.update(bytes);
      return tree.finish();
    }
    this.#group.set(prefix);
    this.#group.set(bytes, prefix.length);
    return this.groupChainingValue(this.#group.subarray(0, length), { groupIndex: 0, isRoot: true });
  }

  hashBatch(prefix: Uint8Array, messages: readonly Uint8Array[]): Uint8Array {
    const digests = new Uint8Array(messages.length * 32);
    messages.forEach((message, index) => {
      digests.set(this.hashPrefixed(prefix, message), index * 32);
    });
    return digests;
  }

  hashRanges(prefix: Uint8Array, bytes: Uint8Array, starts: readonly number[]): Uint8Array {
    const messages = starts.slice(1).map((end, index) => bytes.subarray(starts[index], end));
    return this.hashBatch(prefix, messages);
  }

  hashTree(prefix: Uint8Array, bytes: Uint8Array, starts: readonly number[]): Uint8Array {
    return treeOf(this, this.hashRanges(prefix, bytes, starts));
  }

  hashPairs(pairs: Uint8Array): Uint8Array {
    const prefix = tagPrefix("merkle_node:");
    const digests = new Uint8Array(pairs.length / 2);
    for (let offset = 0; offset < pairs.length; offset += 64) {
      digests.set(this.hashPrefixed(prefix, pairs.subarray(offset, offset + 64)), offset / 2);
    }
    return digests;
  }

  hashPartialTrees(trees: PartialTrees, into: Uint8Array): void {
    into.set(partialTreesOf(this, trees));
  }

  groupChainingValue(input: Uint8Array, position: GroupPosition): Digest {
    const counter = position.groupIndex * CHUNKS_IN_GROUP;
    const rootFlag = position.isRoot ? ROOT : 0;
    return storeWords(this.#subtree(viewOf(input), { start: 0, end: input.length, counter, rootFlag }));
  }

  groupChainingValues(input: Uint8Array, firstGroupIndex: number): Uint8Array {
    const count = input.length / BLOB_GROUP_BYTES;
    const values = new Uint8Array(count * 32);
    for (let index = 0; index < count; index += 1) {
      const group = input.subarray(index * BLOB_GROUP_BYTES, (index + 1) * BLOB_GROUP_BYTES);
      const groupIndex = firstGroupIndex + index;
      values.set(this.groupChainingValue(group, { groupIndex, isRoot: false }), index * 32);
    }
    return values;
  }

  parentChainingValue(pair: Uint8Array, position: NodePosition): Digest {
    loadBlock(this.#block, viewOf(pair), 0);
    return storeWords(this.#parent(position.isRoot ? ROOT : 0));
  }

  /** Chaining value of the tree over a span. Depth is at most 4. */
  #subtree(input: DataView, span: Span): Uint32Array {
    const length = span.end - span.start;
    if (length <= CHUNK_BYTES) return this.#chunk(input, span);
    let leftChunks = 1;
    while (leftChunks * 2 * CHUNK_BYTES < length) leftChunks *= 2;
    const middle = span.start + leftChunks * CHUNK_BYTES;
    const left = this.#subtree(input, { ...span, end: middle, rootFlag: 0 });
    const right = this.#subtree(input, {
      start: middle,
      end: span.end,
      counter: span.counter + leftChunks,
      rootFlag: 0,
    });
    this.#block.set(left);
    this.#block.set(right, 8);
    return this.#parent(span.rootFlag);
  }

  #chunk(input: DataView, span: Span): Uint32Array {
    const value = Uint32Array.from(IV);
    let flags = CHUNK_START;
    let at = span.start;
    for (; span.end - at > BLOCK_BYTES; at += BLOCK_BYTES) {
      loadBlock(this.#block, input, at);
      compress(value, this.#block, { counter: span.counter, blockBytes: BLOCK_BYTES, flags });
      flags = 0;
    }
    // Only the last block of the whole input is short, so none takes in what follows its span.
    loadBlock(this.#block, input, at);
    flags |= CHUNK_END | span.rootFlag;
    compress(value, this.#block, { counter: span.counter, blockBytes: span.end - at, flags });
    return value;
  }

  /** Compresses the pair that is in the block buffer. */
  #parent(rootFlag: number): Uint32Array {
    const value = Uint32Array.from(IV);
    compress(value, this.#block, { counter: 0, blockBytes: BLOCK_BYTES, flags: PARENT | rootFlag });
    return value;
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
