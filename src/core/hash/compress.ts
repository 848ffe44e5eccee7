// One BLAKE3 compression in plain 32-bit arithmetic (BLAKE3 paper §2.2): what the portable engine is made of, and the
// second opinion on the WASM kernel in tests.
//
// Cost: about 0.2 µs a 64-byte block once compiled, twice what the kernel takes for one and six times what it takes for
// one of four.

/** Flags of a compression (BLAKE3 paper §2.2, table 3). */
export const CHUNK_START = 1;
export const CHUNK_END = 2;
export const PARENT = 4;
export const ROOT = 8;

/** The initial chaining value, which is also the third row of every state. */
export const IV: Readonly<Uint32Array> = Uint32Array.of(
  0x6a09e667,
  0xbb67ae85,
  0x3c6ef372,
  0xa54ff53a,
  0x510e527f,
  0x9b05688c,
  0x1f83d9ab,
  0x5be0cd19,
);

const ROUNDS = 7;
const PERMUTATION = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];

/** Which message word each half-mix takes, round after round: the permutation applied again and again. */
const SCHEDULE = ((): Uint8Array => {
  const schedule = new Uint8Array(ROUNDS * 16);
  let order = Array.from({ length: 16 }, (_, index) => index);
  for (let round = 0; round < ROUNDS; round += 1) {
    schedule.set(order, round * 16);
    order = PERMUTATION.map((from) => order[from] ?? 0);
  }
  return schedule;
})();

/** What one compression takes beside the chaining value and the block. */
export interface CompressionInput {
  /** Chunk number: 0 for parents. An integer below 2^53. */
  readonly counter: number;
  /** Message bytes in the block, 0–64. */
  readonly blockBytes: number;
  /** Sum of the flags above. */
  readonly flags: number;
}

function rotateRight(word: number, bits: number): number {
  return (word >>> bits) | (word << (32 - bits));
}

/**
 * Replaces the eight words of `value`, a chaining value, by the result of compressing the 16 words of `block` into it.
 * The state is sixteen variables, rows a to d of four columns, which a compiler keeps out of memory: three times as
 * fast as an array.
 */
export function compress(value: Uint32Array, block: Uint32Array, input: CompressionInput): void {
  let a0 = value[0] ?? 0;
  let a1 = value[1] ?? 0;
  let a2 = value[2] ?? 0;
  let a3 = value[3] ?? 0;
  let b0 = value[4] ?? 0;
  let b1 = value[5] ?? 0;
  let b2 = value[6] ?? 0;
  let b3 = value[7] ?? 0;
  let c0 = IV[0] ?? 0;
  let c1 = IV[1] ?? 0;
  let c2 = IV[2] ?? 0;
  let c3 = IV[3] ?? 0;
  let d0 = input.counter | 0;
  let d1 = Math.floor(input.counter / 2 ** 32) | 0;
  let d2 = input.blockBytes;
  let d3 = input.flags;
  for (let at = 0; at < ROUNDS * 16; at += 16) {
    // The four columns of the state,
    a0 = (a0 + b0 + (block[SCHEDULE[at] ?? 0] ?? 0)) | 0;
    d0 = rotateRight(d0 ^ a0, 16);
    c0 = (c0 + d0) | 0;
    b0 = rotateRight(b0 ^ c0, 12);
    a0 = (a0 + b0 + (block[SCHEDULE[at + 1] ?? 0] ?? 0)) | 0;
    d0 = rotateRight(d0 ^ a0, 8);
    c0 = (c0 + d0) | 0;
    b0 = rotateRight(b0 ^ c0, 7);
    a1 = (a1 + b1 + (block[SCHEDULE[at + 2] ?? 0] ?? 0)) | 0;
    d1 = rotateRight(d1 ^ a1, 16);
    c1 = (c1 + d1) | 0;
    b1 = rotateRight(b1 ^ c1, 12);
    a1 = (a1 + b1 + (block[SCHEDULE[at + 3] ?? 0] ?? 0)) | 0;
    d1 = rotateRight(d1 ^ a1, 8);
    c1 = (c1 + d1) | 0;
    b1 = rotateRight(b1 ^ c1, 7);
    a2 = (a2 + b2 + (block[SCHEDULE[at + 4] ?? 0] ?? 0)) | 0;
    d2 = rotateRight(d2 ^ a2, 16);
    c2 = (c2 + d2) | 0;
    b2 = rotateRight(b2 ^ c2, 12);
    a2 = (a2 + b2 + (block[SCHEDULE[at + 5] ?? 0] ?? 0)) | 0;
    d2 = rotateRight(d2 ^ a2, 8);
    c2 = (c2 + d2) | 0;
    b2 = rotateRight(b2 ^ c2, 7);
    a3 = (a3 + b3 + (block[SCHEDULE[at + 6] ?? 0] ?? 0)) | 0;
    d3 = rotateRight(d3 ^ a3, 16);
    c3 = (c3 + d3) | 0;
    b3 = rotateRight(b3 ^ c3, 12);
    a3 = (a3 + b3 + (block[SCHEDULE[at + 7] ?? 0] ?? 0)) | 0;
    d3 = rotateRight(d3 ^ a3, 8);
    c3 = (c3 + d3) | 0;
    b3 = rotateRight(b3 ^ c3, 7);
    // then its four diagonals.
    a0 = (a0 + b1 + (block[SCHEDULE[at + 8] ?? 0] ?? 0)) | 0;
    d3 = rotateRight(d3 ^ a0, 16);
    c2 = (c2 + d3) | 0;
    b1 = rotateRight(b1 ^ c2, 12);
    a0 = (a0 + b1 + (block[SCHEDULE[at + 9] ?? 0] ?? 0)) | 0;
    d3 = rotateRight(d3 ^ a0, 8);
    c2 = (c2 + d3) | 0;
    b1 = rotateRight(b1 ^ c2, 7);
    a1 = (a1 + b2 + (block[SCHEDULE[at + 10] ?? 0] ?? 0)) | 0;
    d0 = rotateRight(d0 ^ a1, 16);
    c3 = (c3 + d0) | 0;
    b2 = rotateRight(b2 ^ c3, 12);
    a1 = (a1 + b2 + (block[SCHEDULE[at + 11] ?? 0] ?? 0)) | 0;
    d0 = rotateRight(d0 ^ a1, 8);
    c3 = (c3 + d0) | 0;
    b2 = rotateRight(b2 ^ c3, 7);
    a2 = (a2 + b3 + (block[SCHEDULE[at + 12] ?? 0] ?? 0)) | 0;
    d1 = rotateRight(d1 ^ a2, 16);
    c0 = (c0 + d1) | 0;
    b3 = rotateRight(b3 ^ c0, 12);
    a2 = (a2 + b3 + (block[SCHEDULE[at + 13] ?? 0] ?? 0)) | 0;
    d1 = rotateRight(d1 ^ a2, 8);
    c0 = (c0 + d1) | 0;
    b3 = rotateRight(b3 ^ c0, 7);
    a3 = (a3 + b0 + (block[SCHEDULE[at + 14] ?? 0] ?? 0)) | 0;
    d2 = rotateRight(d2 ^ a3, 16);
    c1 = (c1 + d2) | 0;
    b0 = rotateRight(b0 ^ c1, 12);
    a3 = (a3 + b0 + (block[SCHEDULE[at + 15] ?? 0] ?? 0)) | 0;
    d2 = rotateRight(d2 ^ a3, 8);
    c1 = (c1 + d2) | 0;
    b0 = rotateRight(b0 ^ c1, 7);
  }
  value[0] = a0 ^ c0;
  value[1] = a1 ^ c1;
  value[2] = a2 ^ c2;
  value[3] = a3 ^ c3;
  value[4] = b0 ^ d0;
  value[5] = b1 ^ d1;
  value[6] = b2 ^ d2;
  value[7] = b3 ^ d3;
}

/** Fills the 16 words of `block` from the bytes at `offset`, at most 64, little-endian, zeros after the last. */
export function loadBlock(block: Uint32Array, input: DataView, offset: number): void {
  const available = input.byteLength - offset;
  if (available >= 64) {
    for (let word = 0; word < 16; word += 1) block[word] = input.getUint32(offset + word * 4, true);
    return;
  }
  block.fill(0);
  for (let index = 0; index < available; index += 1) {
    const word = index >> 2;
    block[word] = (block[word] ?? 0) | (input.getUint8(offset + index) << ((index & 3) * 8));
  }
}

/** The 32 bytes of eight words, little-endian. */
export function storeWords(words: Uint32Array): Uint8Array {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  for (let word = 0; word < 8; word += 1) view.setUint32(word * 4, words[word] ?? 0, true);
  return bytes;
}
