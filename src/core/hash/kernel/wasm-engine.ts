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
import type { GroupPosition, HashEngine, NodePosition } from "../engine.js";
import { MAX_PREFIX_BYTES, tagPrefix } from "../tag.js";
import { TreeHasher } from "../tree-hasher.js";
import { decodeBase64 } from "./base64.js";
import { KERNEL_BASE64 } from "./kernel-binary.js";
import { instantiate, type KernelExports } from "./webassembly.js";

const CHUNK_BYTES = 1024;
const CHUNKS_IN_GROUP = BLOB_GROUP_BYTES / CHUNK_BYTES;
const BLOCK_BYTES = 64;
const PAIR_BYTES = 64;
const DIGEST_BYTES = 32;
const NO_BYTES = new Uint8Array(0);

/** The kernel's engine, or undefined where it cannot run. */
export function loadWasmEngine(): HashEngine | undefined {
  const kernel = instantiate(decodeBase64(KERNEL_BASE64));
  return kernel === undefined ? undefined : new WasmEngine(kernel);
}

/** Messages to be copied into the window. */
interface Messages {
  readonly count: number;
  lengthOf(index: number): number;
  copy(index: number, target: Uint8Array, offset: number): void;
  view(index: number): Uint8Array;
}

class MessageList implements Messages {
  readonly count: number;
  readonly #messages: readonly Uint8Array[];

  constructor(messages: readonly Uint8Array[]) {
    this.count = messages.length;
    this.#messages = messages;
  }

  lengthOf(index: number): number {
    return this.view(index).length;
  }

  copy(index: number, target: Uint8Array, offset: number): void {
    target.set(this.view(index), offset);
  }

  view(index: number): Uint8Array {
    return this.#messages[index] ?? NO_BYTES;
  }
}

/** Short messages are copied byte by byte: a view of each would cost more than that, and be left as garbage. */
const COPIED_BY_BYTE_BYTES = 128;

/** Messages one behind the other. */
class MessageRanges implements Messages {
  readonly count: number;
  readonly #bytes: Uint8Array;
  readonly #starts: readonly number[];

  constructor(bytes: Uint8Array, starts: readonly number[]) {
    this.count = Math.max(starts.length - 1, 0);
    this.#bytes = bytes;
    this.#starts = starts;
  }

  lengthOf(index: number): number {
    return (this.#starts[index + 1] ?? 0) - (this.#starts[index] ?? 0);
  }

  copy(index: number, target: Uint8Array, offset: number): void {
    const bytes = this.#bytes;
    const start = this.#starts[index] ?? 0;
    const length = this.lengthOf(index);
    if (length > COPIED_BY_BYTE_BYTES) target.set(this.view(index), offset);
    else for (let byte = 0; byte < length; byte += 1) target[offset + byte] = bytes[start + byte] ?? 0;
  }

  view(index: number): Uint8Array {
    return this.#bytes.subarray(this.#starts[index], this.#starts[index + 1]);
  }
}

class WasmEngine implements HashEngine {
  readonly name = "wasm-simd";
  readonly #kernel: KernelExports;
  readonly #memory: Uint8Array;
  readonly #input: Uint8Array;
  readonly #lengths: Uint32Array;
  readonly #outputOffset: number;
  /** The prefix that lies in the kernel's memory. */
  #prefix: Uint8Array | undefined;

  constructor(kernel: KernelExports) {
    this.#kernel = kernel;
    const { buffer } = kernel.memory;
    this.#memory = new Uint8Array(buffer);
    this.#input = new Uint8Array(buffer, kernel.INPUT.value, kernel.INPUT_BYTES.value);
    this.#lengths = new Uint32Array(buffer, kernel.LENGTHS.value, kernel.MAX_MESSAGES.value);
    this.#outputOffset = kernel.OUTPUT.value;
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
    return this.#hashMessages(prefix, new MessageList(messages));
  }

  hashRanges(prefix: Uint8Array, bytes: Uint8Array, starts: readonly number[]): Uint8Array {
    return this.#hashMessages(prefix, new MessageRanges(bytes, starts));
  }

  #hashMessages(prefix: Uint8Array, messages: Messages): Uint8Array {
    const digests = new Uint8Array(messages.count * DIGEST_BYTES);
    let first = 0;
    let slot = 0;
    for (let index = 0; index < messages.count; index += 1) {
      const length = prefix.length + messages.lengthOf(index);
      // Its blocks and room for the zeros after it: at least a block, so no more are packed than there are lengths.
      const slotBytes = (length + 2 * BLOCK_BYTES - 1) & -BLOCK_BYTES;
      const isShort = length <= CHUNK_BYTES;
      if (!isShort || slot + slotBytes > this.#input.length) {
        this.#hashPacked(prefix, { digests, first, end: index });
        first = index;
        slot = 0;
      }
      if (isShort) {
        messages.copy(index, this.#input, slot + prefix.length);
        this.#lengths[index - first] = length;
        slot += slotBytes;
      } else {
        digests.set(this.hashPrefixed(prefix, messages.view(index)), index * DIGEST_BYTES);
        first = index + 1;
      }
    }
    this.#hashPacked(prefix, { digests, first, end: messages.count });
    return digests;
  }

  /** Hashes the messages that were packed, number `first` … `end` − 1, into their places. */
  #hashPacked(prefix: Uint8Array, batch: { readonly digests: Uint8Array; first: number; end: number }): void {
    const { digests, first, end } = batch;
    if (first === end) return;
    this.#setPrefix(prefix);
    this.#kernel.messages(end - first);
    digests.set(this.#output(end - first), first * DIGEST_BYTES);
  }

  hashPairs(pairs: Uint8Array): Uint8Array {
    const prefix = tagPrefix("merkle_node:");
    if (pairs.length === PAIR_BYTES) return this.hashPrefixed(prefix, pairs);
    const digests = new Uint8Array(pairs.length / 2);
    this.#setPrefix(prefix);
    for (let offset = 0; offset < pairs.length; offset += this.#input.length) {
      const part = pairs.subarray(offset, offset + this.#input.length);
      this.#input.set(part);
      this.#kernel.taggedPairs(part.length / PAIR_BYTES);
      digests.set(this.#output(part.length / PAIR_BYTES), offset / 2);
    }
    return digests;
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
