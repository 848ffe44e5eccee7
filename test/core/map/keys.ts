// Keys ground by rank (FORMATS §3), since what an attacker can grind the tests must try.
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
