// One BLAKE3 compression in plain 32-bit arithmetic (BLAKE3 paper §2.2), for the chaining values that whole-hash
// libraries do not expose. It is the portable fallback and the second opinion on the WASM kernel in tests.
//
// Cost: about 0.6 µs a 64-byte block once compiled, some five times what the kernel takes.

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

const state = new Uint32Array(16);

/** Quarter of a mixing round: adds two message words into the column or diagonal (a, b, c, d) of the state. */
function mix(position: Mixed, first: number, second: number): void {
  const { a, b, c, d } = position;
  let va = state[a] ?? 0;
  let vb = state[b] ?? 0;
  let vc = state[c] ?? 0;
  let vd = state[d] ?? 0;
  va = (va + vb + first) | 0;
  vd ^= va;
  vd = (vd >>> 16) | (vd << 16);
  vc = (vc + vd) | 0;
  vb ^= vc;
  vb = (vb >>> 12) | (vb << 20);
  va = (va + vb + second) | 0;
  vd ^= va;
  vd = (vd >>> 8) | (vd << 24);
  vc = (vc + vd) | 0;
  vb ^= vc;
  vb = (vb >>> 7) | (vb << 25);
  state[a] = va;
  state[b] = vb;
  state[c] = vc;
  state[d] = vd;
}

interface Mixed {
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
}

/** The four columns, then the four diagonals: what one round mixes, in order. */
const POSITIONS: readonly Mixed[] = [
  { a: 0, b: 4, c: 8, d: 12 },
  { a: 1, b: 5, c: 9, d: 13 },
  { a: 2, b: 6, c: 10, d: 14 },
  { a: 3, b: 7, c: 11, d: 15 },
  { a: 0, b: 5, c: 10, d: 15 },
  { a: 1, b: 6, c: 11, d: 12 },
  { a: 2, b: 7, c: 8, d: 13 },
  { a: 3, b: 4, c: 9, d: 14 },
];

/** Replaces the eight words of `chainingValue` by the result of compressing the 16 words of `block` into them. */
export function compress(chainingValue: Uint32Array, block: Uint32Array, input: CompressionInput): void {
  state.set(chainingValue);
  state.set(IV.subarray(0, 4), 8);
  state[12] = input.counter % 2 ** 32;
  state[13] = Math.floor(input.counter / 2 ** 32);
  state[14] = input.blockBytes;
  state[15] = input.flags;
  for (let step = 0; step < ROUNDS * 8; step += 1) {
    const position = POSITIONS[step % 8];
    if (position === undefined) continue;
    const first = block[SCHEDULE[step * 2] ?? 0] ?? 0;
    const second = block[SCHEDULE[step * 2 + 1] ?? 0] ?? 0;
    mix(position, first, second);
  }
  for (let word = 0; word < 8; word += 1) chainingValue[word] = (state[word] ?? 0) ^ (state[word + 8] ?? 0);
}

/** Fills the 16 words of `block` from up to 64 bytes, little-endian, zeros after them. Any byte offset will do. */
export function loadBlock(block: Uint32Array, bytes: Uint8Array): void {
  block.fill(0);
  for (let index = 0; index < bytes.length; index += 1) {
    block[index >> 2] = (block[index >> 2] ?? 0) | ((bytes[index] ?? 0) << ((index & 3) * 8));
  }
}

/** The 32 bytes of eight words, little-endian. */
export function storeWords(words: Uint32Array): Uint8Array {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  for (let word = 0; word < 8; word += 1) view.setUint32(word * 4, words[word] ?? 0, true);
  return bytes;
}
