// The transparency log in the store (FORMATS §7): leaves, the hashes of complete subtrees, and the tail that guards both.
//
//   meta  tail          dag_cbor([1, size, time of the newest leaf, refs root, log root])
//   log   u64be(index)  the leaf's bytes
//   tiles u64be(index)  the hashes of the subtrees of two leaves and more that this leaf completes, lowest level first, 32
//                       bytes each; none, no row
//
// So a leaf adds a row, every other leaf a second one, and any complete subtree is one read: level L ≥ 1, number i lies in
// the row of leaf (i + 1)·2^L − 1, and level 0 is the leaf's own bytes, hashed. (Earlier versions kept its hash first in a
// row of each leaf, which shows in the row's length.) A tail that this process has not written itself is held against the
// newest leaf, and its log root against the stored hashes, before anything is appended, signed or served on top of it: a
// damaged hash stops here, since signing over it would look like a fork to every client.
import { decode, encode } from "../core/codec/index.js";
import { concatBytes, equalBytes, u64be, utf8 } from "../core/bytes.js";
import { Corrupt, Malformed, VerificationFailed, assert } from "../core/errors.js";
import { mapRoot } from "../core/hashes.js";
import type { Digest, MapRoot } from "../core/hashes.js";
import {
  Frontier,
  decodeLogLeaf,
  encodeLogLeaf,
  logLeafHash,
  proveConsistency,
  proveInclusion,
  subtreesOf,
  TILE_HEIGHT,
  TILE_WIDTH,
  tileRoot,
  verifyConsistency,
  verifyInclusion,
} from "../core/log/index.js";
import type { SizePair, SubtreePosition, TilePosition } from "../core/log/index.js";
import { MapKind } from "../core/map/index.js";
import type { Condition, Row, SyncReader } from "../store/contract.js";
import { fromStore } from "./boundary.js";
import type { CheckpointSigner } from "./checkpoint-signer.js";
import type { LogEntries, LogProof, LoggedLeaf } from "./view-contract.js";

const TAIL_KEY = utf8("tail");
const TAIL_VERSION = 1;
const HASH_BYTES = 32;

/** Where the log ends. Immutable. */
export interface Tail {
  /** Leaves; at least 1. */
  readonly size: number;
  /** Time of the newest leaf, in milliseconds since 1970. */
  readonly timeMs: number;
  /** As the newest leaf says. */
  readonly refsRoot: MapRoot;
  readonly logRoot: Digest;
  /** The stored row. */
  readonly row: Uint8Array;
}

/** A leaf to be. */
export interface NewLeaf {
  readonly timeMs: number;
  readonly refsRoot: MapRoot;
}

/** Rows that append a leaf, and the tail that they make. */
export interface Appended {
  readonly rows: readonly Row[];
  readonly tail: Tail;
  /** The tree's right edge at that tail. */
  readonly frontier: Frontier;
}

/** The first leaf of a new log. */
export function firstLeaf(leaf: NewLeaf): Appended {
  const bytes = encodeLogLeaf(
    { version: 1, time: leaf.timeMs, refsRoot: leaf.refsRoot, first: { reason: "created" } },
    0,
  );
  return append(Frontier.empty(), { ...leaf, bytes });
}

/** True where a store holds a database. */
export function hasTail(rows: SyncReader): boolean {
  return rows.has("meta", TAIL_KEY);
}

/** The condition under which a new database is written. */
export const NO_TAIL: Condition = { space: "meta", key: TAIL_KEY, expected: "absent" };

export class LogStore {
  readonly #rows: SyncReader;
  readonly #signer: CheckpointSigner;
  /** The newest tail known to be right, with the frontier at it. */
  #known: { readonly tail: Tail; readonly frontier: Frontier } | undefined;

  constructor(options: { readonly rows: SyncReader; readonly signer: CheckpointSigner }) {
    this.#rows = options.rows;
    this.#signer = options.signer;
  }

  /** The newest durable tail. @throws Corrupt */
  tail(): Tail {
    const row = this.#rows.get("meta", TAIL_KEY);
    if (row === undefined) throw corruptLog("the tail of the log is missing");
    const known = this.#known;
    if (known !== undefined && equalBytes(known.tail.row, row)) return known.tail;
    const tail = fromStore("the tail of the log", () => decodeTail(row));
    const frontier = this.#check(tail);
    // Another process may have moved on since; an older tail is still right, and is not to displace a newer one.
    if (this.#known === undefined || this.#known.tail.size < tail.size) this.#known = { tail, frontier };
    return tail;
  }

  /** The condition that nobody has moved the tail. */
  unmoved(tail: Tail): Condition {
    return { space: "meta", key: TAIL_KEY, expected: tail.row };
  }

  /**
   * Rows that append a leaf to the log as it ends at `tail`: a durable one, or what an `append` before gave, which the rows
   * then are to follow. The time is never below that of the leaf before.
   */
  append(tail: Tail, leaf: NewLeaf, before?: Appended): Appended {
    const timeMs = Math.max(leaf.timeMs, tail.timeMs);
    const bytes = encodeLogLeaf({ version: 1, time: timeMs, refsRoot: leaf.refsRoot }, tail.size);
    const known = before?.tail === tail ? before : this.#known;
    const frontier = known?.tail.size === tail.size ? known.frontier.clone() : this.#frontierAt(tail.size);
    return append(frontier, { timeMs, refsRoot: leaf.refsRoot, bytes });
  }

  /** To be called once what `append` gave is durable. */
  moved(appended: Appended): void {
    const { tail, frontier } = appended;
    if (this.#known === undefined || this.#known.tail.size < tail.size) this.#known = { tail, frontier };
  }

  /** Signs the checkpoint of a tail that is being made durable, to be had from `checkpoint` once it is. Never throws. */
  prepareCheckpoint(tail: Tail): void {
    this.#signer.prepare({ size: tail.size, root: tail.logRoot });
  }

  /** The checkpoint of a durable tail. */
  checkpoint(tail: Tail): string {
    return this.#signer.checkpoint({ size: tail.size, root: tail.logRoot });
  }

  /** From the checkpoint of a tail to its newest leaf, and from a known size to this one. @throws Corrupt */
  proof(tail: Tail, known: { readonly size: number }): LogProof {
    const index = tail.size - 1;
    const leaf = this.#leaf(index);
    const inclusion = proveInclusion({ index, size: tail.size }, this.#readSubtree);
    const extendsKnown = known.size > 0 && known.size < tail.size;
    const sizes = { from: known.size, to: tail.size };
    const consistency = extendsKnown ? proveConsistency(sizes, this.#readSubtree) : [];
    // Every hash in either proof goes into the root, so a damaged one shows here and not at the client.
    this.#requireProved(tail, () => {
      const { logRoot } = tail;
      verifyInclusion({ index, size: tail.size, leafHash: logLeafHash(leaf), proof: inclusion, root: logRoot });
      if (!extendsKnown) return;
      const fromRoot = this.#frontierAt(known.size).root();
      verifyConsistency({ ...sizes, fromRoot, toRoot: logRoot, proof: consistency });
    });
    return { checkpoint: this.checkpoint(tail), logSize: tail.size, consistency, leaf, inclusion };
  }

  /** One leaf, as the checkpoint of a tail has it. @throws Corrupt */
  leaf(tail: Tail, index: number): LoggedLeaf {
    const leaf = this.#leaf(index);
    const { size } = tail;
    const inclusion = proveInclusion({ index, size }, this.#readSubtree);
    this.#requireProved(tail, () => {
      verifyInclusion({ index, size, leafHash: logLeafHash(leaf), proof: inclusion, root: tail.logRoot });
    });
    const { refsRoot } = fromStore(`leaf ${index} of the log`, () => decodeLogLeaf(leaf, index));
    return { leaf, inclusion, refs: { kind: MapKind.refs, root: refsRoot } };
  }

  /** From one size to a later one, neither above that of the tail. @throws Corrupt */
  consistency(tail: Tail, sizes: SizePair): Digest[] {
    const proof = proveConsistency(sizes, this.#readSubtree);
    this.#requireProved(tail, () => {
      const fromRoot = this.#rootAt(tail, sizes.from);
      verifyConsistency({ ...sizes, fromRoot, toRoot: this.#rootAt(tail, sizes.to), proof });
    });
    return proof;
  }

  /**
   * Leaves from an index on, as many as there are up to some bytes and 256, with what shows them to be those of the tail:
   * the frontier before them, and the proof that the tail extends the tree that ends with them. @throws Corrupt
   */
  entries(tail: Tail, range: { readonly start: number; readonly end: number }, maxBytes: number): LogEntries {
    const { start } = range;
    const left = subtreesOf({ start: 0, end: start }).map(this.#readSubtree);
    const frontier = this.#frontierAt(start);
    const leaves: Uint8Array[] = [];
    let sizeBytes = 0;
    while (start + leaves.length < range.end && leaves.length < TILE_WIDTH) {
      const leaf = this.#leaf(start + leaves.length);
      sizeBytes += leaf.length;
      if (leaves.length > 0 && sizeBytes > maxBytes) break;
      leaves.push(leaf);
      frontier.append(logLeafHash(leaf));
    }
    const sizes = { from: start + leaves.length, to: tail.size };
    const right = proveConsistency(sizes, this.#readSubtree);
    this.#requireProved(tail, () => {
      verifyConsistency({ ...sizes, fromRoot: frontier.root(), toRoot: tail.logRoot, proof: right });
    });
    return { first: start, leaves, left, right };
  }

  /** The hashes of a tile, held against the hash above them where it is full. @throws Corrupt */
  tile({ level, index, width }: TilePosition): Uint8Array {
    const hashes = Array.from({ length: width }, (_, place) =>
      this.#readSubtree({ level: TILE_HEIGHT * level, index: index * TILE_WIDTH + place }),
    );
    if (width === TILE_WIDTH) {
      const above = this.#readSubtree({ level: TILE_HEIGHT * (level + 1), index });
      if (!equalBytes(tileRoot(hashes), above)) throw corruptLog(`the stored hashes of tile ${level}/${index} differ`);
    }
    return concatBytes(...hashes);
  }

  #rootAt(tail: Tail, size: number): Digest {
    return size === tail.size ? tail.logRoot : this.#frontierAt(size).root();
  }

  #requireProved(tail: Tail, verify: () => void): void {
    try {
      verify();
    } catch (cause) {
      if (!(cause instanceof VerificationFailed)) throw cause;
      throw corruptLog(`the stored hashes of the log do not lead to its root at size ${tail.size}`, cause);
    }
  }

  readonly #readSubtree = ({ level, index }: SubtreePosition): Digest => {
    if (level === 0) return logLeafHash(this.#leaf(index));
    const leaf = (index + 1) * 2 ** level - 1;
    const hashes = this.#rows.get("tiles", u64be(leaf));
    const completed = levelsCompletedBy(leaf);
    const withLevel0 = (completed + 1) * HASH_BYTES;
    if (hashes?.length !== completed * HASH_BYTES && hashes?.length !== withLevel0) {
      throw corruptLog(`the hashes stored with leaf ${leaf} of the log are missing`);
    }
    const start = (hashes.length === withLevel0 ? level : level - 1) * HASH_BYTES;
    return hashes.subarray(start, start + HASH_BYTES);
  };

  #leaf(index: number): Uint8Array {
    const leaf = this.#rows.get("log", u64be(index));
    if (leaf === undefined) throw corruptLog(`leaf ${index} of the log is missing`);
    return leaf;
  }

  #frontierAt(size: number): Frontier {
    return Frontier.read(size, this.#readSubtree);
  }

  /** Holds a tail against the newest leaf and the stored hashes. */
  #check(tail: Tail): Frontier {
    const frontier = this.#frontierAt(tail.size);
    if (!equalBytes(frontier.root(), tail.logRoot)) {
      throw corruptLog(`the stored hashes of the log do not lead to its root at size ${tail.size}`);
    }
    const index = tail.size - 1;
    const bytes = this.#leaf(index);
    const inclusion = proveInclusion({ index, size: tail.size }, this.#readSubtree);
    this.#requireProved(tail, () => {
      const leafHash = logLeafHash(bytes);
      verifyInclusion({ index, size: tail.size, leafHash, proof: inclusion, root: tail.logRoot });
    });
    const leaf = fromStore(`leaf ${index} of the log`, () => decodeLogLeaf(bytes, index));
    if (leaf.time !== tail.timeMs || !equalBytes(leaf.refsRoot, tail.refsRoot)) {
      throw corruptLog(`leaf ${index} of the log is not what its tail says`);
    }
    return frontier;
  }
}

function append(frontier: Frontier, leaf: NewLeaf & { readonly bytes: Uint8Array }): Appended {
  const index = frontier.size;
  const finished = frontier.append(logLeafHash(leaf.bytes));
  const hashes = new Uint8Array((finished.length - 1) * HASH_BYTES);
  for (const [position, { level, hash }] of finished.entries()) {
    assert(level === position, "a leaf completes one subtree of each level up to some level");
    if (level > 0) hashes.set(hash, (level - 1) * HASH_BYTES);
  }
  const end = { size: frontier.size, timeMs: leaf.timeMs, refsRoot: leaf.refsRoot, logRoot: frontier.root() };
  const tail = { ...end, row: encode([TAIL_VERSION, end.size, end.timeMs, end.refsRoot, end.logRoot]) };
  const key = u64be(index);
  return {
    rows: [
      { space: "log", key, value: leaf.bytes },
      ...(hashes.length === 0 ? [] : [{ space: "tiles", key, value: hashes } as const]),
      { space: "meta", key: TAIL_KEY, value: tail.row },
    ],
    tail,
    frontier,
  };
}

/** How many levels above 0 have a subtree that ends with this leaf. */
function levelsCompletedBy(leaf: number): number {
  let levels = 0;
  for (let count = leaf + 1; count % 2 === 0; count /= 2) levels += 1;
  return levels;
}

/** @throws Malformed */
function decodeTail(row: Uint8Array): Tail {
  const parts = decode(row);
  if (!Array.isArray(parts) || parts.length !== 5) throw new Malformed("not a list of five");
  const [version, size, timeMs, refsRoot, logRoot] = parts as unknown[];
  if (version !== TAIL_VERSION) throw new Malformed("unknown version");
  if (typeof size !== "number" || size < 1 || typeof timeMs !== "number" || timeMs < 0) {
    throw new Malformed("a size or time out of range");
  }
  if (!(refsRoot instanceof Uint8Array) || !(logRoot instanceof Uint8Array) || logRoot.length !== HASH_BYTES) {
    throw new Malformed("a root that is no hash");
  }
  return { size, timeMs, refsRoot: mapRoot(refsRoot), logRoot, row };
}

function corruptLog(message: string, cause?: unknown): Corrupt {
  return new Corrupt(message, { hint: "restore the database from a backup", facts: { kind: "log" } }, { cause });
}
