// Four compressions side by side: vector w holds word w of four inputs, one in each lane (BLAKE3 paper §5.3).
import { compressLanes } from "./compress";
import {
  BLOCK_BYTES,
  CHUNK_BYTES,
  CHUNK_END,
  CHUNK_START,
  IV0,
  IV1,
  IV2,
  IV3,
  IV4,
  IV5,
  IV6,
  IV7,
  LANE_BLOCK_BYTES,
  LANE_COUNTERS_HIGH,
  LANE_COUNTERS_LOW,
  LANE_FLAGS,
  LANE_MESSAGE,
  LANE_POINTER,
  LANE_REMAINING,
  LANE_START,
  LANE_VALUES,
  LANE_WORDS,
  PARENT,
} from "./layout";
import { zeroTail } from "./scalar";

/** Sets the chaining values of all four lanes to the initial one. */
export function resetValues(): void {
  v128.store(LANE_VALUES, i32x4.splat(IV0), 0);
  v128.store(LANE_VALUES, i32x4.splat(IV1), 16);
  v128.store(LANE_VALUES, i32x4.splat(IV2), 32);
  v128.store(LANE_VALUES, i32x4.splat(IV3), 48);
  v128.store(LANE_VALUES, i32x4.splat(IV4), 64);
  v128.store(LANE_VALUES, i32x4.splat(IV5), 80);
  v128.store(LANE_VALUES, i32x4.splat(IV6), 96);
  v128.store(LANE_VALUES, i32x4.splat(IV7), 112);
}

/** Turns four vectors, a quarter of a block of each lane, into the vectors of their four words, at `to`. */
function transpose(a: v128, b: v128, c: v128, d: v128, to: usize): void {
  const ab01 = i32x4.shuffle(a, b, 0, 4, 1, 5);
  const ab23 = i32x4.shuffle(a, b, 2, 6, 3, 7);
  const cd01 = i32x4.shuffle(c, d, 0, 4, 1, 5);
  const cd23 = i32x4.shuffle(c, d, 2, 6, 3, 7);
  v128.store(to, i64x2.shuffle(ab01, cd01, 0, 2), 0);
  v128.store(to, i64x2.shuffle(ab01, cd01, 1, 3), 16);
  v128.store(to, i64x2.shuffle(ab23, cd23, 0, 2), 32);
  v128.store(to, i64x2.shuffle(ab23, cd23, 1, 3), 48);
}

/** Loads a block for each lane into the sixteen word vectors at `to`. */
export function loadBlocks(lane0: usize, lane1: usize, lane2: usize, lane3: usize, to: usize): void {
  transpose(v128.load(lane0), v128.load(lane1), v128.load(lane2), v128.load(lane3), to);
  transpose(v128.load(lane0, 16), v128.load(lane1, 16), v128.load(lane2, 16), v128.load(lane3, 16), to + 64);
  transpose(v128.load(lane0, 32), v128.load(lane1, 32), v128.load(lane2, 32), v128.load(lane3, 32), to + 128);
  transpose(v128.load(lane0, 48), v128.load(lane1, 48), v128.load(lane2, 48), v128.load(lane3, 48), to + 192);
}

/** Four words of each lane to their places in four outputs, 32 bytes apart. */
function storeHalves(from: usize, output: usize): void {
  const a = v128.load(from, 0);
  const b = v128.load(from, 16);
  const c = v128.load(from, 32);
  const d = v128.load(from, 48);
  const ab01 = i32x4.shuffle(a, b, 0, 4, 1, 5);
  const ab23 = i32x4.shuffle(a, b, 2, 6, 3, 7);
  const cd01 = i32x4.shuffle(c, d, 0, 4, 1, 5);
  const cd23 = i32x4.shuffle(c, d, 2, 6, 3, 7);
  v128.store(output, i64x2.shuffle(ab01, cd01, 0, 2), 0);
  v128.store(output, i64x2.shuffle(ab01, cd01, 1, 3), 32);
  v128.store(output, i64x2.shuffle(ab23, cd23, 0, 2), 64);
  v128.store(output, i64x2.shuffle(ab23, cd23, 1, 3), 96);
}

/** Writes the chaining values of the four lanes, 32 bytes each, in order. */
export function storeValues(output: usize): void {
  storeHalves(LANE_VALUES, output);
  storeHalves(LANE_VALUES + 64, output + 16);
}

/** Chaining values of four full chunks, the first numbered `counter`, none of them the root. */
export function hashFourChunks(input: usize, counter: i64, output: usize): void {
  resetValues();
  const low = i32x4(<i32>counter, <i32>(counter + 1), <i32>(counter + 2), <i32>(counter + 3));
  const high = i32x4(
    <i32>(counter >> 32),
    <i32>((counter + 1) >> 32),
    <i32>((counter + 2) >> 32),
    <i32>((counter + 3) >> 32),
  );
  const blockBytes = i32x4.splat(BLOCK_BYTES);
  for (let block = 0; block < 16; block += 1) {
    const at = input + <usize>(block * BLOCK_BYTES);
    loadBlocks(at, at + CHUNK_BYTES, at + 2 * CHUNK_BYTES, at + 3 * CHUNK_BYTES, LANE_WORDS);
    const flags = (block == 0 ? CHUNK_START : 0) | (block == 15 ? CHUNK_END : 0);
    compressLanes(LANE_VALUES, LANE_WORDS, low, high, blockBytes, i32x4.splat(flags));
  }
  storeValues(output);
}

/**
 * Chaining values of `count` pairs, four at a time: up to three of the last four lanes compress what happens to lie
 * there, and what they write past `count` means nothing. `output` may be `input`: results never overtake the pairs.
 */
export function hashParents(input: usize, count: i32, output: usize, flags: i32): void {
  const zero = i32x4.splat(0);
  for (let index = 0; index < count; index += 4) {
    resetValues();
    const at = input + <usize>(index * 64);
    loadBlocks(at, at + 64, at + 128, at + 192, LANE_WORDS);
    compressLanes(LANE_VALUES, LANE_WORDS, zero, zero, i32x4.splat(BLOCK_BYTES), i32x4.splat(PARENT | flags));
    storeValues(output + <usize>(index * 32));
  }
}

// ---- Messages of different lengths: a lane that ends its message takes the next, so that no lane waits. ----

/** Where messages come from and what they become. */
let nextPointer: usize = 0;
let nextMessage: i32 = 0;
let messageCount: i32 = 0;
let messageLengths: usize = 0;
/** Bytes from one message to the next, or 0: whole blocks, and one more for the zeros. */
let messageStride: i32 = 0;
/** Added to the counter from one message to the next. */
let counterStep: i64 = 0;
let firstCounter: i64 = 0;

/** Bytes of the slot of a message: its blocks, and room for the zeros after its end. */
export function slotBytes(length: i32): i32 {
  return (length + 127) & ~63;
}

/** Gives a lane the next message. False when there is none: the lane then idles on what it had. */
function takeMessage(lane: usize, prefix: v128, prefixMask: v128): bool {
  if (nextMessage == messageCount) {
    store<i32>(LANE_MESSAGE + lane, -1);
    return false;
  }
  const length = load<i32>(messageLengths + ((<usize>nextMessage) << 2));
  const at = nextPointer;
  v128.store(at, v128.bitselect(prefix, v128.load(at), prefixMask));
  zeroTail(at, length);
  store<i32>(LANE_POINTER + lane, <i32>at);
  store<i32>(LANE_REMAINING + lane, length);
  store<i32>(LANE_MESSAGE + lane, nextMessage);
  store<i32>(LANE_START + lane, CHUNK_START);
  const counter = firstCounter + counterStep * <i64>nextMessage;
  store<i32>(LANE_COUNTERS_LOW + lane, <i32>counter);
  store<i32>(LANE_COUNTERS_HIGH + lane, <i32>(counter >> 32));
  nextMessage += 1;
  nextPointer = at + <usize>(messageStride == 0 ? slotBytes(length) : messageStride);
  return true;
}

/** Sets the chaining value of one lane to the initial one. */
function resetLane(lane: usize): void {
  const at = LANE_VALUES + lane;
  store<i32>(at, IV0, 0);
  store<i32>(at, IV1, 16);
  store<i32>(at, IV2, 32);
  store<i32>(at, IV3, 48);
  store<i32>(at, IV4, 64);
  store<i32>(at, IV5, 80);
  store<i32>(at, IV6, 96);
  store<i32>(at, IV7, 112);
}

function storeLane(lane: usize, output: usize): void {
  const at = LANE_VALUES + lane;
  store<i32>(output, load<i32>(at, 0), 0);
  store<i32>(output, load<i32>(at, 16), 4);
  store<i32>(output, load<i32>(at, 32), 8);
  store<i32>(output, load<i32>(at, 48), 12);
  store<i32>(output, load<i32>(at, 64), 16);
  store<i32>(output, load<i32>(at, 80), 20);
  store<i32>(output, load<i32>(at, 96), 24);
  store<i32>(output, load<i32>(at, 112), 28);
}

/**
 * Chaining values of `count` ≥ 1 messages of at most a chunk each, with `endFlags` on each one's last block. The
 * first 16 bytes of each are merged with `prefix` where `prefixMask` says so.
 */
export function hashMessages(
  input: usize,
  count: i32,
  lengths: usize,
  stride: i32,
  counter: i64,
  step: i64,
  endFlags: i32,
  prefix: v128,
  prefixMask: v128,
  output: usize,
): void {
  nextPointer = input;
  nextMessage = 0;
  messageCount = count;
  messageLengths = lengths;
  messageStride = stride;
  firstCounter = counter;
  counterStep = step;
  resetValues();
  let active = 0;
  for (let lane: usize = 0; lane < 16; lane += 4) {
    // A lane without a message compresses the first one's block, to no end.
    store<i32>(LANE_POINTER + lane, <i32>input);
    store<i32>(LANE_REMAINING + lane, 0);
    if (takeMessage(lane, prefix, prefixMask)) active += 1;
  }
  while (active > 0) {
    for (let lane: usize = 0; lane < 16; lane += 4) {
      const remaining = load<i32>(LANE_REMAINING + lane);
      const last = remaining <= BLOCK_BYTES;
      store<i32>(LANE_BLOCK_BYTES + lane, last ? remaining : BLOCK_BYTES);
      store<i32>(LANE_FLAGS + lane, load<i32>(LANE_START + lane) | (last ? endFlags : 0));
    }
    loadBlocks(
      <usize>load<i32>(LANE_POINTER, 0),
      <usize>load<i32>(LANE_POINTER, 4),
      <usize>load<i32>(LANE_POINTER, 8),
      <usize>load<i32>(LANE_POINTER, 12),
      LANE_WORDS,
    );
    compressLanes(
      LANE_VALUES,
      LANE_WORDS,
      v128.load(LANE_COUNTERS_LOW),
      v128.load(LANE_COUNTERS_HIGH),
      v128.load(LANE_BLOCK_BYTES),
      v128.load(LANE_FLAGS),
    );
    for (let lane: usize = 0; lane < 16; lane += 4) {
      const message = load<i32>(LANE_MESSAGE + lane);
      if (message < 0) continue;
      const remaining = load<i32>(LANE_REMAINING + lane);
      if (remaining > BLOCK_BYTES) {
        store<i32>(LANE_REMAINING + lane, remaining - BLOCK_BYTES);
        store<i32>(LANE_POINTER + lane, load<i32>(LANE_POINTER + lane) + BLOCK_BYTES);
        store<i32>(LANE_START + lane, 0);
        continue;
      }
      storeLane(lane, output + ((<usize>message) << 5));
      resetLane(lane);
      if (!takeMessage(lane, prefix, prefixMask)) active -= 1;
    }
  }
}
