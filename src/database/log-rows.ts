// The rows of the transparency log (FORMATS §7, §8), one log an epoch:
//
//   meta  tail          dag_cbor([1, size, time of the newest leaf, refs root, log root]) in the first epoch, or
//                       dag_cbor([2, the same four, epoch, place of its leaf 0, true while a key is announced])
//   log   u64be(place)  the leaf's bytes
//   tiles u64be(place)  the hashes of the subtrees of two leaves and more that this leaf completes, lowest level first, 32
//                       bytes each; none, no row
//
// Leaves are never removed. Those of all epochs lie one after the other, so their places only ever grow: the *place* of a
// leaf is its index plus the place of its epoch's leaf 0, which in the first epoch is 0. What the tree says of a leaf goes
// by its index.
//
// A leaf adds a row, every other leaf a second one, and any complete subtree is one read: level L ≥ 1, number i lies in the
// row of leaf (i + 1)·2^L − 1, and level 0 is the leaf's own bytes, hashed. (Earlier versions kept its hash first in a row
// of each leaf, which shows in the row's length.)
import { u64be, utf8 } from "../core/bytes.js";
import { decode, encode } from "../core/codec/index.js";
import { Corrupt, Malformed, assert } from "../core/errors.js";
import { mapRoot } from "../core/hashes.js";
import type { Digest, MapRoot } from "../core/hashes.js";
import { Frontier, logLeafHash } from "../core/log/index.js";
import type { SubtreePosition } from "../core/log/index.js";
import type { Condition, Row, SyncReader } from "../store/contract.js";

export const TAIL_KEY = utf8("tail");
const HASH_BYTES = 32;

/** What the row `tail` says. */
export interface TailFields {
  /** Leaves; at least 1. */
  readonly size: number;
  /** Time of the newest leaf, in milliseconds since 1970. */
  readonly timeMs: number;
  /** As the newest leaf says. */
  readonly refsRoot: MapRoot;
  readonly logRoot: Digest;
}

/** Which log it is the tail of. */
export interface TailPlace {
  readonly epoch: number;
  /** Place of leaf 0. */
  readonly start: number;
  readonly isAnnouncing: boolean;
}

export const FIRST_PLACE: TailPlace = { epoch: 1, start: 0, isAnnouncing: false };

/** True where a store holds a database. */
export function hasTail(rows: SyncReader): boolean {
  return rows.has("meta", TAIL_KEY);
}

/** The condition under which a new database is written. */
export const NO_TAIL: Condition = { space: "meta", key: TAIL_KEY, expected: "absent" };

export function encodeTail(tail: TailFields, { epoch, start, isAnnouncing }: TailPlace): Uint8Array {
  const fields = [tail.size, tail.timeMs, tail.refsRoot, tail.logRoot];
  if (epoch === 1 && start === 0 && !isAnnouncing) return encode([1, ...fields]);
  return encode([2, ...fields, epoch, start, isAnnouncing]);
}

/** @throws Malformed */
export function decodeTail(row: Uint8Array): TailFields & { readonly place: TailPlace } {
  const parts = decode(row);
  if (!Array.isArray(parts)) throw new Malformed("not a list");
  const [version, size, timeMs, refsRoot, logRoot, ...rest] = parts as unknown[];
  if (version !== 1 && version !== 2) throw new Malformed("unknown version");
  if (typeof size !== "number" || size < 1 || typeof timeMs !== "number" || timeMs < 0) {
    throw new Malformed("a size or time out of range");
  }
  if (!(refsRoot instanceof Uint8Array) || !(logRoot instanceof Uint8Array) || logRoot.length !== HASH_BYTES) {
    throw new Malformed("a root that is no hash");
  }
  const place = version === 1 && rest.length === 0 ? FIRST_PLACE : decodePlace(rest);
  return { size, timeMs, refsRoot: mapRoot(refsRoot), logRoot, place };
}

function decodePlace(parts: readonly unknown[]): TailPlace {
  const [epoch, start, isAnnouncing] = parts;
  if (parts.length !== 3 || typeof isAnnouncing !== "boolean") throw new Malformed("a list of another length");
  if (typeof epoch !== "number" || epoch < 1 || typeof start !== "number" || start < 0) {
    throw new Malformed("an epoch or place out of range");
  }
  return { epoch, start, isAnnouncing };
}

/** A leaf that is put behind others. */
export interface AppendedLeaf {
  /** Leaf and hashes; the tail is the caller's to write. */
  readonly rows: readonly Row[];
  /** The tree's right edge with it. */
  readonly frontier: Frontier;
}

/** Appends a leaf to a tree, which is changed. */
export function appendLeaf(frontier: Frontier, start: number, leaf: Uint8Array): AppendedLeaf {
  const key = u64be(start + frontier.size);
  const finished = frontier.append(logLeafHash(leaf));
  const hashes = new Uint8Array((finished.length - 1) * HASH_BYTES);
  for (const [position, { level, hash }] of finished.entries()) {
    assert(level === position, "a leaf completes one subtree of each level up to some level");
    if (level > 0) hashes.set(hash, (level - 1) * HASH_BYTES);
  }
  const leafRow: Row = { space: "log", key, value: leaf };
  const rows = hashes.length === 0 ? [leafRow] : [leafRow, { space: "tiles", key, value: hashes } as const];
  return { rows, frontier };
}

/** The leaves and hashes of one epoch's log. */
export class LogRows {
  readonly #rows: SyncReader;
  readonly #start: number;

  constructor(rows: SyncReader, start: number) {
    this.#rows = rows;
    this.#start = start;
  }

  /** The bytes of a leaf. @throws Corrupt */
  leaf(index: number): Uint8Array {
    const leaf = this.#rows.get("log", u64be(this.#start + index));
    if (leaf === undefined) throw corruptLog(`leaf ${index} of the log is missing`);
    return leaf;
  }

  /** The hash of a complete subtree. @throws Corrupt */
  readonly readSubtree = ({ level, index }: SubtreePosition): Digest => {
    if (level === 0) return logLeafHash(this.leaf(index));
    const leaf = (index + 1) * 2 ** level - 1;
    const hashes = this.#rows.get("tiles", u64be(this.#start + leaf));
    const completed = levelsCompletedBy(leaf);
    const withLevel0 = (completed + 1) * HASH_BYTES;
    if (hashes?.length !== completed * HASH_BYTES && hashes?.length !== withLevel0) {
      throw corruptLog(`the hashes stored with leaf ${leaf} of the log are missing`);
    }
    const start = (hashes.length === withLevel0 ? level : level - 1) * HASH_BYTES;
    return hashes.subarray(start, start + HASH_BYTES);
  };

  /** The tree's right edge at a size. @throws Corrupt */
  frontierAt(size: number): Frontier {
    return Frontier.read(size, this.readSubtree);
  }
}

/** How many levels above 0 have a subtree that ends with this leaf. */
function levelsCompletedBy(leaf: number): number {
  let levels = 0;
  for (let count = leaf + 1; count % 2 === 0; count /= 2) levels += 1;
  return levels;
}

export function corruptLog(message: string, cause?: unknown): Corrupt {
  return new Corrupt(message, { hint: "restore the database from a backup", facts: { kind: "log" } }, { cause });
}
