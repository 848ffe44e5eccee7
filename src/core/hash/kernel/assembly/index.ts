// The hash kernel: BLAKE3 (https://github.com/BLAKE3-team/BLAKE3-specs) in WebAssembly with 128-bit SIMD, four
// compressions side by side. Built by tools/build-kernel.js, which also writes out the rounds (./compress).
//
// The host writes input to memory, calls, and reads 32-byte results at OUTPUT. Nothing is kept between calls but the
// prefix. The kernel trusts its host: lengths and counts are checked there (../wasm-engine.ts).
import {
  CHUNK_BYTES,
  CHUNK_END,
  CHUNKS_IN_GROUP,
  HEAD_LENGTHS,
  HEAD_SLOT_BYTES,
  HEADS,
  INPUT,
  INPUT_BYTES,
  LENGTHS,
  OUTPUT,
  PREFIX,
  PREFIX_MASK,
  ROOT,
  ROOTS,
} from "./layout";
import { hashFourChunks, hashMessages, hashParents, slotBytes } from "./lanes";
import { joinAll, joinPairs } from "./pairs";
import { hashChunk, hashParent } from "./scalar";

export {
  HEAD_LENGTHS,
  HEAD_SLOT_BYTES,
  HEADS,
  INPUT,
  INPUT_BYTES,
  JOINS,
  LENGTHS,
  MAX_MESSAGES,
  MAX_TREES,
  OUTPUT,
  PREFIX,
  PREFIX_MASK,
  ROOTS,
} from "./layout";

/** Chaining values of `count` full groups at INPUT, the first of whose chunks is numbered `counter`. */
export function groups(count: i32, counter: f64): void {
  const chunks = count * CHUNKS_IN_GROUP;
  const first = <i64>counter;
  for (let chunk = 0; chunk < chunks; chunk += 4) {
    hashFourChunks(INPUT + <usize>(chunk * CHUNK_BYTES), first + <i64>chunk, OUTPUT + <usize>(chunk * 32));
  }
  // Level by level over all groups at once, so that the lanes stay full: 8, 4, 2, 1 parents a group.
  for (let parents = chunks >> 1; parents >= count; parents >>= 1) hashParents(OUTPUT, parents, OUTPUT, 0);
}

/** Chaining value of the tree over 0–16,384 bytes at INPUT; with `rootFlag` = ROOT its hash. */
export function group(length: i32, counter: f64, rootFlag: i32): void {
  if (length <= CHUNK_BYTES) {
    hashChunk(INPUT, length, <i64>counter, rootFlag, OUTPUT);
    return;
  }
  hashChunks(length, <i64>counter);
  // Level by level, an odd last one going up as it is: the same tree as splitting at powers of two from the top.
  let nodes = (length + CHUNK_BYTES - 1) / CHUNK_BYTES;
  while (nodes > 2) {
    const parents = nodes >> 1;
    const odd = nodes & 1;
    const last = OUTPUT + <usize>((nodes - 1) * 32);
    const low = v128.load(last, 0);
    const high = v128.load(last, 16);
    hashParents(OUTPUT, parents, OUTPUT, 0);
    if (odd) {
      v128.store(OUTPUT + <usize>(parents * 32), low, 0);
      v128.store(OUTPUT + <usize>(parents * 32), high, 16);
    }
    nodes = parents + odd;
  }
  hashParent(OUTPUT, rootFlag, OUTPUT);
}

/** Up to this much, one chunk after the other is quicker than side by side: four lanes take as long as 1.7 alone. */
const SCALAR_BYTES: i32 = CHUNK_BYTES + CHUNK_BYTES / 2;

/** Chaining values of the chunks of 1,025–16,384 bytes at INPUT. */
function hashChunks(length: i32, counter: i64): void {
  const full = length / CHUNK_BYTES;
  let done = 0;
  for (; done + 4 <= full; done += 4) {
    hashFourChunks(INPUT + <usize>(done * CHUNK_BYTES), counter + <i64>done, OUTPUT + <usize>(done * 32));
  }
  const rest = length - done * CHUNK_BYTES;
  if (rest == 0) return;
  const input = INPUT + <usize>(done * CHUNK_BYTES);
  const output = OUTPUT + <usize>(done * 32);
  if (rest <= SCALAR_BYTES) {
    hashChunk(input, min(rest, CHUNK_BYTES), counter + <i64>done, 0, output);
    if (rest > CHUNK_BYTES) {
      hashChunk(input + CHUNK_BYTES, rest - CHUNK_BYTES, counter + <i64>done + 1, 0, output + 32);
    }
    return;
  }
  const count = (rest + CHUNK_BYTES - 1) / CHUNK_BYTES;
  for (let index = 0; index < count; index += 1) {
    store<i32>(LENGTHS + ((<usize>index) << 2), min(CHUNK_BYTES, rest - index * CHUNK_BYTES));
  }
  const none = i32x4.splat(0);
  hashMessages(input, count, LENGTHS, CHUNK_BYTES, counter + <i64>done, 1, CHUNK_END, none, none, output);
}

/** Digest of the 0–16,384 bytes at INPUT, over the first of which the prefix is laid. */
export function prefixed(length: i32): void {
  v128.store(INPUT, v128.bitselect(v128.load(PREFIX), v128.load(INPUT), v128.load(PREFIX_MASK)));
  group(length, 0, ROOT);
}

/**
 * Digests of `count` ≥ 1 messages of at most a chunk each, in slots of (length + 127) & ~63 bytes from INPUT on, their
 * lengths at LENGTHS. The prefix is laid over the first bytes of each.
 */
export function messages(count: i32): void {
  if (count == 1) {
    prefixed(load<i32>(LENGTHS));
    return;
  }
  const flags = CHUNK_END | ROOT;
  hashMessages(INPUT, count, LENGTHS, 0, 0, 0, flags, v128.load(PREFIX), v128.load(PREFIX_MASK), OUTPUT);
}

/**
 * The same for messages that lie one behind the other, `packedBytes` in all, up to the end of the input area: LENGTHS
 * holds their lengths without the prefix, of `prefixBytes`. Each is first moved down to its slot. Slots are larger than
 * what they hold and all fit, so the start of a slot never passes the message that goes there.
 */
export function packedMessages(count: i32, packedBytes: i32, prefixBytes: i32): void {
  let from = INPUT + INPUT_BYTES - <usize>packedBytes;
  let slot = INPUT;
  for (let index = 0; index < count; index += 1) {
    const at = LENGTHS + ((<usize>index) << 2);
    const length = load<i32>(at);
    const to = slot + <usize>prefixBytes;
    // Whole vectors: what is too much falls on the room for zeros behind the message.
    for (let offset: usize = 0; offset < <usize>length; offset += 16) {
      v128.store(to + offset, v128.load(from + offset));
    }
    store<i32>(at, length + prefixBytes);
    from += <usize>length;
    slot += <usize>slotBytes(length + prefixBytes);
  }
  messages(count);
}

/**
 * The hashes of the tree over such messages, of which there are at most MAX_MESSAGES / 2: their digests, then layer by
 * layer the digests of neighbours joined, an odd last one going up as it is, to the root.
 */
export function packedTree(count: i32, packedBytes: i32, prefixBytes: i32): void {
  packedMessages(count, packedBytes, prefixBytes);
  let layer = OUTPUT;
  for (let size = count; size > 1; size = (size + 1) >> 1) {
    const pairs = size >> 1;
    const above = layer + ((<usize>size) << 5);
    joinPairs(layer, pairs, above);
    if (size & 1) {
      const odd = layer + ((<usize>(size - 1)) << 5);
      const to = above + ((<usize>pairs) << 5);
      v128.store(to, v128.load(odd, 0), 0);
      v128.store(to, v128.load(odd, 16), 16);
    }
    layer = above;
  }
}

/**
 * Digests of `trees` trees of which some hashes are given. Hashes are numbered from OUTPUT on: first the digests of
 * `count` messages, as for `packedMessages`; then `given` that the host has written there; then those of `joins` pairs
 * of them, each listed in JOINS behind what it joins. Of each tree the hash that ROOTS names is written behind its head,
 * and that is hashed: `trees` digests at OUTPUT.
 */
export function partialTrees(count: i32, packedBytes: i32, prefixBytes: i32, given: i32, joins: i32, trees: i32): void {
  if (count > 0) packedMessages(count, packedBytes, prefixBytes);
  joinAll(joins, count + given);
  for (let tree: usize = 0; tree < <usize>trees; tree += 1) {
    const length = HEAD_LENGTHS + (tree << 2);
    const headBytes = load<i32>(length);
    const root = OUTPUT + ((<usize>load<u32>(ROOTS + (tree << 2))) << 5);
    const to = HEADS + tree * <usize>HEAD_SLOT_BYTES + <usize>headBytes;
    v128.store(to, v128.load(root, 0), 0);
    v128.store(to, v128.load(root, 16), 16);
    store<i32>(length, headBytes + 32);
  }
  const none = i32x4.splat(0);
  hashMessages(HEADS, trees, HEAD_LENGTHS, HEAD_SLOT_BYTES, 0, 0, CHUNK_END | ROOT, none, none, OUTPUT);
}

/** Chaining value of the pair at INPUT; with `rootFlag` = ROOT the hash. */
export function parent(rootFlag: i32): void {
  hashParent(INPUT, rootFlag, OUTPUT);
}

/** Digests of `count` pairs at INPUT, each behind `merkle_node:`. */
export function taggedPairs(count: i32): void {
  joinPairs(INPUT, count, OUTPUT);
}
