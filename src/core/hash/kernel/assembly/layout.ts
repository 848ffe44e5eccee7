// Where things lie in the kernel's memory, in bytes. The module exports what the host needs to know; nothing else is
// shared. There is no allocator and no static data: these areas are all of it.

/** Eight vectors: the chaining values of four lanes, word by word (lane = element). */
export const LANE_VALUES: usize = 1024;
/** Thirty-two vectors: two blocks of four lanes, word by word. */
export const LANE_WORDS: usize = 1152;
/** Vectors of what a compression takes beside the message, one element a lane. */
export const LANE_COUNTERS_LOW: usize = 1664;
export const LANE_COUNTERS_HIGH: usize = 1680;
export const LANE_BLOCK_BYTES: usize = 1696;
export const LANE_FLAGS: usize = 1712;
/** For each lane: where its next block starts, bytes left of its message, which message it is, its flags so far. */
export const LANE_POINTER: usize = 1728;
export const LANE_REMAINING: usize = 1744;
export const LANE_MESSAGE: usize = 1760;
export const LANE_START: usize = 1776;
/** Eight words: the chaining value of the scalar path. */
export const VALUE: usize = 1792;
/** Sixteen bytes that the host sets: the prefix, zeros after it; and sixteen that are 0xff where the prefix is. */
export const PREFIX: usize = 1824;
export const PREFIX_MASK: usize = 1840;

/** Four pairs side by side, or one message of a tag and a pair with room for the zeros after it. */
export const PAIRS: usize = 2048;

/** Most messages in one call. */
export const MAX_MESSAGES: i32 = 4096;
/** The length of each message, prefix included, as u32. */
export const LENGTHS: usize = 4096;
/** Digests or chaining values, 32 bytes each. */
export const OUTPUT: usize = LENGTHS + <usize>MAX_MESSAGES * 4;
/** What is hashed: 16 groups, or 4,096 pairs, or messages in slots. At least 64 bytes of the last page follow it. */
export const INPUT: usize = OUTPUT + <usize>MAX_MESSAGES * 32;
export const INPUT_BYTES: usize = 262144;

/** Most trees in one call of `partialTrees`. */
export const MAX_TREES: i32 = 64;
/** What is hashed before the root of each tree, a slot of HEAD_SLOT_BYTES each, and how many bytes of it, as u32. */
export const HEADS: usize = INPUT + <usize>INPUT_BYTES + 64;
export const HEAD_SLOT_BYTES: i32 = 128;
export const HEAD_LENGTHS: usize = HEADS + <usize>(MAX_TREES * HEAD_SLOT_BYTES);
/** Which hash is the root of each tree, as u32. */
export const ROOTS: usize = HEAD_LENGTHS + <usize>MAX_TREES * 4;
/** Which two hashes are joined, a u16 each. */
export const JOINS: usize = ROOTS + <usize>MAX_TREES * 4;

export const BLOCK_BYTES: i32 = 64;
export const CHUNK_BYTES: i32 = 1024;
export const CHUNKS_IN_GROUP: i32 = 16;

export const CHUNK_START: i32 = 1;
export const CHUNK_END: i32 = 2;
export const PARENT: i32 = 4;
export const ROOT: i32 = 8;

/** The tag `merkle_node:` as words, little-endian. */
export const MERKLE_NODE_0: i32 = 0x6b72656d;
export const MERKLE_NODE_1: i32 = 0x6e5f656c;
export const MERKLE_NODE_2: i32 = 0x3a65646f;

export const IV0: i32 = 0x6a09e667;
export const IV1: i32 = 0xbb67ae85;
export const IV2: i32 = 0x3c6ef372;
export const IV3: i32 = 0xa54ff53a;
export const IV4: i32 = 0x510e527f;
export const IV5: i32 = 0x9b05688c;
export const IV6: i32 = 0x1f83d9ab;
export const IV7: i32 = 0x5be0cd19;
