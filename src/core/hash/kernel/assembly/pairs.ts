// Pairs of hashes inside a map node, each behind `merkle_node:`. The tag is three words, so that the words of a pair need
// no shifting: block 1 is the tag and 13 words of the pair, block 2 the last three and zeros.
import { compressLanes } from "./compress";
import {
  BLOCK_BYTES,
  CHUNK_END,
  CHUNK_START,
  JOINS,
  LANE_VALUES,
  LANE_WORDS,
  MERKLE_NODE_0,
  MERKLE_NODE_1,
  MERKLE_NODE_2,
  OUTPUT,
  PAIRS,
  ROOT,
} from "./layout";
import { loadBlocks, resetValues, storeValues } from "./lanes";
import { hashChunk } from "./scalar";

const TAGGED_PAIR_BYTES: i32 = 76;

/** Lays tag and zeros around the words of four pairs. They stay while only `joinFour` writes to LANE_WORDS. */
function layTag(): void {
  v128.store(LANE_WORDS, i32x4.splat(MERKLE_NODE_0), 0);
  v128.store(LANE_WORDS, i32x4.splat(MERKLE_NODE_1), 16);
  v128.store(LANE_WORDS, i32x4.splat(MERKLE_NODE_2), 32);
  const zero = i32x4.splat(0);
  for (let word: usize = 19; word < 32; word += 1) v128.store(LANE_WORDS + (word << 4), zero);
}

/** Digests of the four pairs at `at`. */
function joinFour(at: usize, output: usize): void {
  const zero = i32x4.splat(0);
  resetValues();
  loadBlocks(at, at + 64, at + 128, at + 192, LANE_WORDS + 48);
  compressLanes(LANE_VALUES, LANE_WORDS, zero, zero, i32x4.splat(BLOCK_BYTES), i32x4.splat(CHUNK_START));
  compressLanes(LANE_VALUES, LANE_WORDS + 256, zero, zero, i32x4.splat(12), i32x4.splat(CHUNK_END | ROOT));
  storeValues(output);
}

/** Digests of `count` pairs, read and written four at a time: up to three of each past the last. */
export function joinPairs(input: usize, count: i32, output: usize): void {
  layTag();
  for (let index = 0; index < count; index += 4) joinFour(input + <usize>(index * 64), output + <usize>(index * 32));
}

/**
 * Joins the pairs of hashes that JOINS lists, `count` of them; the results become the hashes from number `first` on. As
 * many as four in a row are joined side by side where none needs another's result: what is written past the last is
 * written again later, or means nothing.
 */
export function joinAll(count: i32, first: i32): void {
  layTag();
  for (let done = 0; done < count;) {
    const output = OUTPUT + ((<usize>(first + done)) << 5);
    let ready = 0;
    while (ready < 4 && done + ready < count) {
      const join = JOINS + ((<usize>(done + ready)) << 2);
      const left = <i32>load<u16>(join, 0);
      const right = <i32>load<u16>(join, 2);
      if (max(left, right) >= first + done) break;
      const pair = PAIRS + ((<usize>ready) << 6);
      copyHash(OUTPUT + ((<usize>left) << 5), pair);
      copyHash(OUTPUT + ((<usize>right) << 5), pair + 32);
      ready += 1;
    }
    // Four lanes take as long as 1.7 alone.
    if (ready > 1) joinFour(PAIRS, output);
    else joinOne(output);
    done += max(ready, 1);
  }
}

/** Digest of the pair at PAIRS. */
function joinOne(output: usize): void {
  const message = PAIRS + 64;
  store<i32>(message, MERKLE_NODE_0, 0);
  store<i32>(message, MERKLE_NODE_1, 4);
  store<i32>(message, MERKLE_NODE_2, 8);
  copyHash(PAIRS, message + 12);
  copyHash(PAIRS + 32, message + 44);
  hashChunk(message, TAGGED_PAIR_BYTES, 0, ROOT, output);
}

function copyHash(from: usize, to: usize): void {
  v128.store(to, v128.load(from, 0), 0);
  v128.store(to, v128.load(from, 16), 16);
}
