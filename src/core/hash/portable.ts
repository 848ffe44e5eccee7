// The engine that runs everywhere: @noble/hashes for whole hashes, the compression of compress.ts for chaining values.
import { blake3 } from "@noble/hashes/blake3.js";
import type { Digest } from "../hashes.js";
import { BLOB_GROUP_BYTES } from "../limits.js";
import { CHUNK_END, CHUNK_START, compress, IV, loadBlock, PARENT, ROOT, storeWords } from "./compress.js";
import type { GroupPosition, HashEngine, NodePosition } from "./engine.js";
import { tagPrefix } from "./tag.js";

const BLOCK_BYTES = 64;
const CHUNK_BYTES = 1024;
const CHUNKS_IN_GROUP = BLOB_GROUP_BYTES / CHUNK_BYTES;

export class PortableEngine implements HashEngine {
  readonly name = "portable";
  readonly #block = new Uint32Array(16);

  hashPrefixed(prefix: Uint8Array, bytes: Uint8Array): Digest {
    return blake3.create().update(prefix).update(bytes).digest();
  }

  hashBatch(prefix: Uint8Array, messages: readonly Uint8Array[]): Uint8Array {
    const digests = new Uint8Array(messages.length * 32);
    messages.forEach((message, index) => {
      digests.set(this.hashPrefixed(prefix, message), index * 32);
    });
    return digests;
  }

  hashPairs(pairs: Uint8Array): Uint8Array {
    const prefix = tagPrefix("merkle_node:");
    const digests = new Uint8Array(pairs.length / 2);
    for (let offset = 0; offset < pairs.length; offset += 64) {
      digests.set(this.hashPrefixed(prefix, pairs.subarray(offset, offset + 64)), offset / 2);
    }
    return digests;
  }

  groupChainingValue(input: Uint8Array, position: GroupPosition): Digest {
    return storeWords(this.#subtree(input, position.groupIndex * CHUNKS_IN_GROUP, position.isRoot ? ROOT : 0));
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
    loadBlock(this.#block, pair);
    return storeWords(this.#parent(position.isRoot ? ROOT : 0));
  }

  /** Chaining value of the tree over at most a group of input, its first chunk numbered `counter`. Depth is 4. */
  #subtree(input: Uint8Array, counter: number, rootFlag: number): Uint32Array {
    if (input.length <= CHUNK_BYTES) return this.#chunk(input, counter, rootFlag);
    let leftChunks = 1;
    while (leftChunks * 2 * CHUNK_BYTES < input.length) leftChunks *= 2;
    const left = this.#subtree(input.subarray(0, leftChunks * CHUNK_BYTES), counter, 0);
    const right = this.#subtree(input.subarray(leftChunks * CHUNK_BYTES), counter + leftChunks, 0);
    this.#block.set(left);
    this.#block.set(right, 8);
    return this.#parent(rootFlag);
  }

  #chunk(input: Uint8Array, counter: number, rootFlag: number): Uint32Array {
    const value = Uint32Array.from(IV);
    const blocks = Math.max(1, Math.ceil(input.length / BLOCK_BYTES));
    for (let index = 0; index < blocks; index += 1) {
      const bytes = input.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES);
      loadBlock(this.#block, bytes);
      const flags = (index === 0 ? CHUNK_START : 0) | (index === blocks - 1 ? CHUNK_END | rootFlag : 0);
      compress(value, this.#block, { counter, blockBytes: bytes.length, flags });
    }
    return value;
  }

  /** Compresses the pair that is in the block buffer. */
  #parent(rootFlag: number): Uint32Array {
    const value = Uint32Array.from(IV);
    compress(value, this.#block, { counter: 0, blockBytes: BLOCK_BYTES, flags: PARENT | rootFlag });
    return value;
  }
}
