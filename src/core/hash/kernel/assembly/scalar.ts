// One chunk at a time, in 32-bit integers: what is quickest for a single short message.
import { compressOne } from "./compress";
import { BLOCK_BYTES, CHUNK_END, CHUNK_START, IV0, IV1, IV2, IV3, IV4, IV5, IV6, IV7, PARENT, VALUE } from "./layout";

/** Fills the last block of a message with zeros. They reach up to a block past its end. */
export function zeroTail(input: usize, length: i32): void {
  if (length != 0 && (length & (BLOCK_BYTES - 1)) == 0) return;
  const end = input + <usize>length;
  const zero = i32x4.splat(0);
  v128.store(end, zero, 0);
  v128.store(end, zero, 16);
  v128.store(end, zero, 32);
  v128.store(end, zero, 48);
}

function resetValue(): void {
  store<i32>(VALUE, IV0, 0);
  store<i32>(VALUE, IV1, 4);
  store<i32>(VALUE, IV2, 8);
  store<i32>(VALUE, IV3, 12);
  store<i32>(VALUE, IV4, 16);
  store<i32>(VALUE, IV5, 20);
  store<i32>(VALUE, IV6, 24);
  store<i32>(VALUE, IV7, 28);
}

function storeValue(output: usize): void {
  v128.store(output, v128.load(VALUE, 0), 0);
  v128.store(output, v128.load(VALUE, 16), 16);
}

/** Chaining value of one chunk of 0–1,024 bytes, with `endFlags` beside CHUNK_END on its last block. */
export function hashChunk(input: usize, length: i32, counter: i64, endFlags: i32, output: usize): void {
  zeroTail(input, length);
  resetValue();
  let flags = CHUNK_START;
  let at = input;
  let remaining = length;
  while (remaining > BLOCK_BYTES) {
    compressOne(VALUE, at, <i32>counter, <i32>(counter >> 32), BLOCK_BYTES, flags);
    flags = 0;
    at += BLOCK_BYTES;
    remaining -= BLOCK_BYTES;
  }
  compressOne(VALUE, at, <i32>counter, <i32>(counter >> 32), remaining, flags | CHUNK_END | endFlags);
  storeValue(output);
}

/** Chaining value of one pair. `output` may be `input`. */
export function hashParent(input: usize, flags: i32, output: usize): void {
  resetValue();
  compressOne(VALUE, input, 0, 0, BLOCK_BYTES, PARENT | flags);
  storeValue(output);
}
