// Where a key falls (FORMATS §3): `place(key) = H_state_key(key)`, and its rank, leading zero bits divided by four.
//
// Places are kept as their first six bytes, as a number: that decides nearly every comparison and every rank below 12
// without holding 32 bytes a key. Where six bytes do not decide, the key is hashed again.
import { compareBytes } from "../bytes.js";
import { hashBatch, hashTagged } from "../hash/index.js";

const DIGEST_BYTES = 32;
const LOW_BITS = 16;
const LOW_VALUES = 2 ** LOW_BITS;
const BITS_A_RANK = 4;

/** A key and the first six bytes of its place. */
export interface Placed {
  readonly key: Uint8Array;
  readonly placeHead: number;
}

/** First six bytes of the place of each key, as numbers. */
export function placeHeads(keys: readonly Uint8Array[]): number[] {
  if (keys.length === 0) return [];
  const places = hashBatch("state_key:", keys);
  const view = new DataView(places.buffer, places.byteOffset, places.length);
  return keys.map((_, index) => {
    const start = index * DIGEST_BYTES;
    return view.getUint32(start) * LOW_VALUES + view.getUint16(start + 4);
  });
}

/** Orders by place: negative where `a` is lower. */
export function comparePlaces(a: Placed, b: Placed): number {
  if (a.placeHead !== b.placeHead) return a.placeHead - b.placeHead;
  return compareBytes(hashTagged("state_key:", a.key), hashTagged("state_key:", b.key));
}

/** Leading zero bits of the key's place, divided by four, rounded down. */
export function rankOf(placed: Placed): number {
  const { placeHead } = placed;
  if (placeHead === 0) return rankOfPlace(hashTagged("state_key:", placed.key));
  const high = Math.floor(placeHead / LOW_VALUES);
  const zeroBits = high !== 0 ? Math.clz32(high) : 32 + Math.clz32(placeHead) - (32 - LOW_BITS);
  return Math.floor(zeroBits / BITS_A_RANK);
}

function rankOfPlace(place: Uint8Array): number {
  const first = place.findIndex((byte) => byte !== 0);
  if (first < 0) return (DIGEST_BYTES * 8) / BITS_A_RANK;
  return first * 2 + ((place[first] ?? 0) < 16 ? 1 : 0);
}
