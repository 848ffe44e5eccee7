// The engine on the WASM SIMD kernel (assembly/): copies input into the module's memory, calls, copies results out.
//
// The module has a fixed memory of 448 KiB, of which a window of 256 KiB is for input; whatever is longer goes through
// the window in turns. Calls are synchronous and the kernel keeps nothing but the prefix, so one instance is enough.
//
// Invariants: the kernel believes its host, so every length is checked here before it is passed. Everything a call
// reads was written by the same call: the window may hold older bytes, and the kernel clears what follows the end.
import { assert } from "../../errors.js";
import type { Digest } from "../../hashes.js";
import { BLOB_GROUP_BYTES } from "../../limits.js";
import { ROOT } from "../compress.js";
import type { GroupPosition, HashEngine, NodePosition, PartialTrees } from "../engine.js";
import { countGiven, partialTreesOf } from "../partial-trees.js";
import { MAX_PREFIX_BYTES, tagPrefix } from "../tag.js";
import { treeHashCount, treeOf } from "../tree-layers.js";
import { TreeHasher } from "../tree-hasher.js";
import { decodeBase64 } from "./base64.js";
import { KERNEL_BASE64 } from "./kernel-binary.js";
import { instantiate, instantiateLater, type KernelExports } from "./webassembly.js";

const CHUNK_BYTES = 1024;
const CHUNKS_IN_GROUP = BLOB_GROUP_BYTES / CHUNK_BYTES;
const BLOCK_BYTES = 64;
const PAIR_BYTES = 64;
const DIGEST_BYTES = 32;

/**
 * Room that a message takes in the window: its blocks, and zeros after it. At least a block, so that no more messages
 * fit than there are lengths.
 */
function slotBytes(length: number): number {
  return (length + 2 * BLOCK_BYTES - 1) & -BLOCK_BYTES;
}

/** The kernel's engine, or undefined where it cannot run. */
export function loadWasmEngine(): HashEngine | undefined {
  const kernel = instantiate(decodeBase64(KERNEL_BASE64));
  return kernel === undefined ? undefined : new WasmEngine(kernel);
}

/** The same, compiled beside other work. */
export async function startWasmEngine(): Promise<HashEngine | undefined> {
  const kernel = await instantiateLater(decodeBase64(KERNEL_BASE64));
  return kernel === undefined ? undefined : new WasmEngine(kernel);
}

class WasmEngine implements HashEngine {
  readonly name = "wasm-simd";
  readonly #kernel: KernelExports;
  readonly #memory: Uint8Array;
  readonly #input: Uint8Array;
  readonly #lengths: Uint32Array;
  readonly #outputOffset: number;
  readonly #heads: Uint8Array;
  readonly #headLengths: Uint32Array;
  readonly #roots: Uint32Array;
  readonly #joins: Uint16Array;
  /** The prefix that lies in the kernel's memory. */
  #prefix: Uint8Array | undefined;

  constructor(kernel: KernelExports) {
    this.#kernel = kernel;
    const { buffer } = kernel.memory;
    this.#memory = new Uint8Array(buffer);
    this.#input = new Uint8Array(buffer, kernel.INPUT.value, kernel.INPUT_BYTES.value);
    this.#lengths = new Uint32Array(buffer, kernel.LENGTHS.value, kernel.MAX_MESSAGES.value);
    this.#outputOffset = kernel.OUTPUT.value;
    const trees = kernel.MAX_TREES.value;
    this.#heads = new Uint8Array(buffer, kernel.HEADS.value, trees * kernel.HEAD_SLOT_BYTES.value);
    this.#headLengths = new Uint32Array(buffer, kernel.HEAD_LENGTHS.value, trees);
    this.#roots = new Uint32Array(buffer, kernel.ROOTS.value, trees);
    this.#joins = new Uint16Array(buffer, kernel.JOINS.value, 2 * kernel.MAX_MESSAGES.value);
    assert(this.#lengths.length * BLOCK_BYTES === this.#input.length, "as many messages as blocks fit in the window");
  }

  hashPrefixed(prefix: Uint8Array, bytes: Uint8Array): Digest {
    const length = prefix.length + bytes.length;
    if (length > BLOB_GROUP_BYTES) {
      const tree = new TreeHasher({ engine: this, prefix });
      tree.update(bytes);
      return tree.finish();
    }
    this.#setPrefix(prefix);
    this.#input.set(bytes, prefix.length);
    this.#kernel.prefixed(length);
    return this.#results(1);
  }

  hashBatch(prefix: Uint8Array, messages: readonly Uint8Array[]): Uint8Array {
    const digests = new Uint8Array(messages.length * DIGEST_BYTES);
    let packed = 0;
    let slot = 0;
    let done = 0;
    const flush = (): void => {
      if (packed === 0) return;
      this.#setPrefix(prefix);
      this.#kernel.messages(packed);
      digests.set(this.#output(packed), done * DIGEST_BYTES);
      done += packed;
      packed = 0;
      slot = 0;
    };
    for (const message of messages) {
      const length = prefix.length + message.length;
      if (length > CHUNK_BYTES) {
        flush();
        digests.set(this.hashPrefixed(prefix, message), done * DIGEST_BYTES);
        done += 1;
        continue;
      }
      if (slot + slotBytes(length) > this.#input.length) flush();
      this.#input.set(message, slot + prefix.length);
      this.#lengths[packed] = length;
      packed += 1;
      slot += slotBytes(length);
    }
    flush();
    return digests;
  }

  hashRanges(prefix: Uint8Array, bytes: Uint8Array, starts: readonly number[]): Uint8Array {
    const count = Math.max(starts.length - 1, 0);
    const digests = new Uint8Array(count * DIGEST_BYTES);
    for (let first = 0; first < count;) {
      const end = this.#measureBatch(prefix.length, starts, first);
      if (end === first) {
        const long = bytes.subarray(starts[first], starts[first + 1]);
        digests.set(this.hashPrefixed(prefix, long), first * DIGEST_BYTES);
        first += 1;
        continue;
      }
      const packed = bytes.subarray(starts[first], starts[end]);
      this.#setPrefix(prefix);
      this.#input.set(packed, this.#input.length - packed.length);
      this.#kernel.packedMessages(end - first, packed.length, prefix.length);
      digests.set(this.#output(end - first), first * DIGEST_BYTES);
      first = end;
    }
    return digests;
  }

  hashTree(prefix: Uint8Array, bytes: Uint8Array, starts: readonly number[]): Uint8Array {
    const count = starts.length - 1;
    const hashCount = treeHashCount(count);
    const isOneCall = hashCount <= this.#lengths.length && this.#measureBatch(prefix.length, starts, 0) === count;
    if (!isOneCall) return treeOf(this, this.hashRanges(prefix, bytes, starts));
    const packed = bytes.subarray(starts[0], starts[count]);
    this.#setPrefix(prefix);
    this.#input.set(packed, this.#input.length - packed.length);
    this.#kernel.packedTree(count, packed.length, prefix.length);
    return this.#results(hashCount);
  }

  /** Writes down the lengths of the messages from `first` on that one call takes, and returns the one after them. */
  #measureBatch(prefixBytes: number, starts: readonly number[], first: number): number {
    const lengths = this.#lengths;
    let slot = 0;
    let end = first;
    for (; end + 1 < starts.length; end += 1) {
      const length = (starts[end + 1] ?? 0) - (starts[end] ?? 0);
      slot += slotBytes(prefixBytes + length);
      if (prefixBytes + length > CHUNK_BYTES || slot > this.#input.length) break;
      lengths[end - first] = length;
    }
    return end;
  }

  hashPairs(pairs: Uint8Array): Uint8Array {
    if (pairs.length === PAIR_BYTES) return this.hashPrefixed(tagPrefix("merkle_node:"), pairs);
    const digests = new Uint8Array(pairs.length / 2);
    for (let offset = 0; offset < pairs.length; offset += this.#input.length) {
      const part = pairs.subarray(offset, offset + this.#input.length);
      this.#input.set(part);
      this.#kernel.taggedPairs(part.length / PAIR_BYTES);
      digests.set(this.#output(part.length / PAIR_BYTES), offset / 2);
    }
    return digests;
  }

  hashPartialTrees(trees: PartialTrees, into: Uint8Array): void {
    const { leaves, leafStarts, joins, roots } = trees;
    const leafPrefix = tagPrefix(trees.leafTag);
    const count = leafStarts.length - 1;
    const given = countGiven(trees);
    const isOneCall =
      count + given + joins.length / 2 <= this.#lengths.length &&
      roots.length <= this.#roots.length &&
      this.#measureBatch(leafPrefix.length, leafStarts, 0) === count &&
      this.#layHeads(trees);
    if (!isOneCall) {
      into.set(partialTreesOf(this, trees));
      return;
    }
    this.#layJoins(trees, count + given);
    const packedBytes = (leafStarts[count] ?? 0) - (leafStarts[0] ?? 0);
    const packed = packedBytes === leaves.length ? leaves : leaves.subarray(leafStarts[0], leafStarts[count]);
    this.#setPrefix(leafPrefix);
    this.#input.set(packed, this.#input.length - packedBytes);
    let offset = this.#outputOffset + count * DIGEST_BYTES;
    for (const piece of trees.given) {
      this.#memory.set(piece, offset);
      offset += piece.length;
    }
    this.#kernel.partialTrees(count, packedBytes, leafPrefix.length, given, joins.length / 2, roots.length);
    into.set(this.#output(roots.length));
  }

  /** Writes heads and prefixes to their slots. False where one is too long. */
  #layHeads({ headTag, heads, headStarts }: PartialTrees): boolean {
    const prefix = tagPrefix(headTag);
    const slotBytes = this.#kernel.HEAD_SLOT_BYTES.value;
    const slots = this.#heads;
    for (let tree = 0; tree + 1 < headStarts.length; tree += 1) {
      const start = headStarts[tree] ?? 0;
      const end = headStarts[tree + 1] ?? 0;
      const length = prefix.length + end - start;
      // The root and the zeros of its block have to fit as well.
      if (length + DIGEST_BYTES > BLOCK_BYTES) return false;
      let slot = tree * slotBytes;
      for (let at = 0; at < prefix.length; at += 1) slots[slot++] = prefix[at] ?? 0;
      for (let at = start; at < end; at += 1) slots[slot++] = heads[at] ?? 0;
      this.#headLengths[tree] = length;
    }
    return true;
  }

  /** Writes down what is joined. The kernel believes it, so each number is held against the hashes that there are. */
  #layJoins({ joins, roots }: PartialTrees, known: number): void {
    const table = this.#joins;
    let isKnown = true;
    for (let at = 0; at < joins.length; at += 1) {
      const hash = joins[at] ?? 0;
      if (hash >= known + (at >> 1)) isKnown = false;
      table[at] = hash;
    }
    for (let tree = 0; tree < roots.length; tree += 1) {
      const hash = roots[tree] ?? 0;
      if (hash >= known + joins.length / 2) isKnown = false;
      this.#roots[tree] = hash;
    }
    assert(isKnown, "a tree is made of hashes that come before");
  }

  groupChainingValue(input: Uint8Array, position: GroupPosition): Digest {
    assert(input.length <= BLOB_GROUP_BYTES, "a group fits in the window");
    this.#input.set(input);
    this.#kernel.group(input.length, position.groupIndex * CHUNKS_IN_GROUP, position.isRoot ? ROOT : 0);
    return this.#results(1);
  }

  groupChainingValues(input: Uint8Array, firstGroupIndex: number): Uint8Array {
    const values = new Uint8Array((input.length / BLOB_GROUP_BYTES) * DIGEST_BYTES);
    for (let offset = 0; offset < input.length; offset += this.#input.length) {
      const part = input.subarray(offset, offset + this.#input.length);
      const groupIndex = firstGroupIndex + offset / BLOB_GROUP_BYTES;
      this.#input.set(part);
      this.#kernel.groups(part.length / BLOB_GROUP_BYTES, groupIndex * CHUNKS_IN_GROUP);
      values.set(this.#output(part.length / BLOB_GROUP_BYTES), (offset / BLOB_GROUP_BYTES) * DIGEST_BYTES);
    }
    return values;
  }

  parentChainingValue(pair: Uint8Array, position: NodePosition): Digest {
    assert(pair.length === PAIR_BYTES, "a pair fits in the window");
    this.#input.set(pair);
    this.#kernel.parent(position.isRoot ? ROOT : 0);
    return this.#results(1);
  }

  /** A view of the first results: good until the next call. */
  #output(count: number): Uint8Array {
    return this.#memory.subarray(this.#outputOffset, this.#outputOffset + count * DIGEST_BYTES);
  }

  /** A copy of the first results. */
  #results(count: number): Uint8Array {
    return this.#memory.slice(this.#outputOffset, this.#outputOffset + count * DIGEST_BYTES);
  }

  /** Lets the kernel lay this prefix over messages from now on. */
  #setPrefix(prefix: Uint8Array): void {
    if (this.#prefix === prefix) return;
    assert(prefix.length <= MAX_PREFIX_BYTES, "the kernel has room for 12 bytes of prefix");
    const { PREFIX, PREFIX_MASK } = this.#kernel;
    this.#memory.fill(0, PREFIX.value, PREFIX.value + 16);
    this.#memory.set(prefix, PREFIX.value);
    this.#memory.fill(0, PREFIX_MASK.value, PREFIX_MASK.value + 16);
    this.#memory.fill(0xff, PREFIX_MASK.value, PREFIX_MASK.value + prefix.length);
    this.#prefix = prefix;
  }
}
