// Keys ground by rank (FORMATS §3), since what an attacker can grind the tests must try.
import assert from "node:assert/strict";
import { utf8 } from "#src/core/bytes.js";
import type { Placed } from "#src/core/map/place.js";
import { comparePlaces, placeHeads, rankOf } from "#src/core/map/place.js";

/** Ranks that keys are told apart by; the last is "or more". */
const RANKS = 4;
const POOL_KEYS = 60_000;

/** Keys of ranks 0, 1, 2 and 3 or more, in no order; those of one rank never end a segment below its level. */
export function keysByRank(): readonly (readonly Uint8Array[])[] {
  return (pools ??= grind());
}

let pools: Uint8Array[][] | undefined;

function grind(): Uint8Array[][] {
  const keys = Array.from({ length: POOL_KEYS }, (_, index) => {
    // Multiplying by an odd number scatters neighbours, so that the order of the pool is not the order of the keys.
    const scattered = (index * 2_654_435_761) % 2 ** 32;
    return utf8(`${scattered.toString(36)}/${index.toString(36)}`);
  });
  const found: Uint8Array[][] = Array.from({ length: RANKS }, () => []);
  for (const placed of placedKeys(keys)) found[Math.min(rankOf(placed), RANKS - 1)]?.push(placed.key);
  return found;
}

export function placedKeys(keys: readonly Uint8Array[]): Placed[] {
  const heads = placeHeads(keys);
  return keys.map((key, index) => ({ key, placeHead: heads[index] ?? 0 }));
}

/** The same keys from the lowest place to the highest. */
export function byPlace(keys: readonly Uint8Array[]): Uint8Array[] {
  return placedKeys(keys)
    .sort(comparePlaces)
    .map(({ key }) => key);
}

/** Which ranks the keys of a map have: shares of the pools of rank 0, 1, 2, and 3 or more. */
export const MIXES: Readonly<Record<string, readonly number[]>> = {
  ordinary: [0.9375, 0.0586, 0.0037, 0.0002],
  "boundary-free": [1, 0, 0, 0],
  "of rank 1": [0, 1, 0, 0],
  "of high rank": [0, 0, 0.7, 0.3],
  mixed: [0.25, 0.25, 0.25, 0.25],
  "runs with few boundaries": [0.97, 0.01, 0.01, 0.01],
};

/** Where in the pools a key is drawn: both are shares of 1. */
export interface Draw {
  readonly rank: number;
  readonly index: number;
}

/** Draws a key by a mix, from the first `most` keys of a pool, so that draws meet again. */
export function drawKey(mix: readonly number[], draw: Draw, most: number): Uint8Array {
  let rank = 0;
  for (let left = draw.rank - (mix[0] ?? 0); left >= 0 && rank < RANKS - 1; left -= mix[rank] ?? 0) rank += 1;
  const pool = keysByRank()[rank] ?? [];
  const key = pool[Math.floor(draw.index * Math.min(pool.length, most))];
  assert.ok(key !== undefined);
  return key;
}

/** Makes a key long, always the same way. Ranks change; what counts is that the limit in bytes cuts. */
export function lengthen(key: Uint8Array): Uint8Array {
  const long = new Uint8Array(1024 - ((key[0] ?? 0) % 7) * 60);
  long.set(key);
  return long;
}
