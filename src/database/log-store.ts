// The transparency log in the store (FORMATS §7): proofs, and the tail that guards everything (log-rows.ts has the rows).
//
// A tail that this process has not written itself is held against the newest leaf, and its log root against the stored
// hashes, before anything is appended, signed or served on top of it: a damaged hash stops here, since signing over it would
// look like a fork to every client. It is held against the tail that this process knew before, too: whatever loses a write that
// was confirmed (a file system, a copy put in place of a directory that is open, a lock that does not lock) ends there.
//
// A tail belongs to an epoch. Another process, or this one, may have begun the next: then the newest tail is of that one,
// and tails that are still held go on with the log that they are of.
import { concatBytes, equalBytes } from "../core/bytes.js";
import { Corrupt, VerificationFailed } from "../core/errors.js";
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
import type { LogBeginning, SizePair, TilePosition } from "../core/log/index.js";
import { MapKind } from "../core/map/index.js";
import type { Condition, Row, SyncReader } from "../store/contract.js";
import { fromStore } from "./boundary.js";
import type { CheckpointSigner } from "./checkpoint-signer.js";
import { cosignedNote, type StoredCosignature } from "./cosignatures.js";
import type { CosignedCheckpoint, LogEntries, LogProof, LoggedLeaf } from "./view-contract.js";
import { isSamePlace, liveEpoch } from "./log-epoch.js";
import type { LogEpoch } from "./log-epoch.js";
import { appendLeaf, corruptLog, decodeTail, encodeTail, TAIL_KEY } from "./log-rows.js";
import type { TailFields, TailPlace } from "./log-rows.js";
import type { RollbackAlarm } from "./rollback-alarm.js";

/** Where the log ends. Immutable. */
export interface Tail extends TailFields {
  readonly epoch: LogEpoch;
  /** Place behind the newest leaf: the leaves of all epochs up to here. It only grows, also from one epoch to the next. */
  readonly end: number;
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

/** Rows of the first leaf of a new log, tail included. @throws InvalidArgument - `previous` is no checkpoint */
export function firstLeaf(leaf: NewLeaf & { readonly first: LogBeginning }, place: TailPlace): readonly Row[] {
  const { timeMs, refsRoot, first } = leaf;
  const bytes = encodeLogLeaf({ version: 1, time: timeMs, refsRoot, first }, 0);
  const { rows, frontier } = appendLeaf(Frontier.empty(), place.start, bytes);
  const fields = { size: 1, timeMs, refsRoot, logRoot: frontier.root() };
  return [...rows, { space: "meta", key: TAIL_KEY, value: encodeTail(fields, place) }];
}

/** Index of the leaf at a place. What an earlier epoch held, the first leaf of this one holds too. */
export function indexOfPlace(tail: Tail, place: number): number {
  return Math.max(0, place - tail.epoch.place.start);
}

export class LogStore {
  readonly #rows: SyncReader;
  readonly #alarm: RollbackAlarm;
  /** The newest tail known to be right, with the frontier at it. */
  #known: { readonly tail: Tail; readonly frontier: Frontier } | undefined;
  #live: (LogEpoch & { readonly signer: CheckpointSigner }) | undefined;

  constructor(options: { readonly rows: SyncReader; readonly alarm: RollbackAlarm }) {
    this.#rows = options.rows;
    this.#alarm = options.alarm;
  }

  /** The newest durable tail. @throws Corrupt - damaged, or without leaves that this process has seen to be durable */
  tail(): Tail {
    const row = this.#rows.get("meta", TAIL_KEY);
    if (row === undefined) throw corruptLog("the tail of the log is missing");
    const known = this.#known;
    if (known !== undefined && equalBytes(known.tail.row, row)) return known.tail;
    const { place, ...fields } = fromStore("the tail of the log", () => decodeTail(row));
    // Read in the same turn of the event loop as the row: of the same state of the store.
    const tail = { ...fields, epoch: this.#epochAt(place), end: place.start + fields.size, row };
    const frontier = this.#check(tail);
    if (known !== undefined) this.#requireFollows(tail, known.tail);
    this.#keep({ tail, frontier });
    return tail;
  }

  /** What was durable still is: the leaves of an earlier tail are the first of this one. */
  #requireFollows(tail: Tail, earlier: Tail): void {
    const isOtherLog = tail.epoch.place.start !== earlier.epoch.place.start;
    const holdsAll = tail.end >= earlier.end;
    if (holdsAll && (isOtherLog || equalBytes(this.rootAt(tail, earlier.size), earlier.logRoot))) return;
    throw new Corrupt(`the log has lost leaves that were durable: it had ${earlier.size}, and leads elsewhere now`, {
      hint: "somebody changed the directory while it was open, or its disk loses writes: stop all that use it, then neleus db fsck",
      facts: { kind: "log", size: String(earlier.size) },
    });
  }

  /** The epoch that goes on, with what signs for it. */
  live(): LogEpoch & { readonly signer: CheckpointSigner } {
    return this.#epochAt(this.tail().epoch.place);
  }

  #epochAt(place: TailPlace): LogEpoch & { readonly signer: CheckpointSigner } {
    if (this.#live === undefined || !isSamePlace(this.#live.place, place)) this.#live = liveEpoch(this.#rows, place);
    return this.#live;
  }

  #keep(known: { readonly tail: Tail; readonly frontier: Frontier }): void {
    if (this.#known === undefined || this.#known.tail.end < known.tail.end) this.#known = known;
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
    const { epoch } = tail;
    return this.#append({ tail, leaf, before, epoch });
  }

  /** The same, where a key is announced with the leaf. */
  appendAnnouncement(tail: Tail, leaf: NewLeaf): readonly Row[] {
    const epoch = { ...tail.epoch, place: { ...tail.epoch.place, isAnnouncing: true } };
    return this.#append({ tail, leaf, epoch }).rows;
  }

  #append(options: {
    readonly tail: Tail;
    readonly leaf: NewLeaf;
    readonly before?: Appended | undefined;
    readonly epoch: LogEpoch;
  }): Appended {
    const { tail, leaf, before, epoch } = options;
    const { start } = epoch.place;
    const timeMs = Math.max(leaf.timeMs, tail.timeMs);
    const { refsRoot } = leaf;
    const bytes = encodeLogLeaf({ version: 1, time: timeMs, refsRoot }, tail.size);
    const known = before?.tail === tail ? before : this.#known;
    const isAt = known?.tail.end === tail.end;
    const { rows, frontier } = appendLeaf(
      isAt ? known.frontier.clone() : epoch.rows.frontierAt(tail.size),
      start,
      bytes,
    );
    const fields = { size: frontier.size, timeMs, refsRoot, logRoot: frontier.root() };
    const next = { ...fields, epoch, end: start + frontier.size, row: encodeTail(fields, epoch.place) };
    return { rows: [...rows, { space: "meta", key: TAIL_KEY, value: next.row }], tail: next, frontier };
  }

  /** To be called once what `append` gave is durable. */
  moved(appended: Appended): void {
    this.#keep(appended);
  }

  /** Signs the checkpoint of a tail that is being made durable, to be had from `checkpoint` once it is. Never throws. */
  prepareCheckpoint(tail: Tail): void {
    tail.epoch.signer.prepare({ size: tail.size, root: tail.logRoot });
  }

  /** The checkpoint of a durable tail. @throws RolledBack - it is known that the log lost leaves: nothing is signed */
  checkpoint(tail: Tail): string {
    this.#alarm.requireSilent();
    return tail.epoch.signer.checkpoint({ size: tail.size, root: tail.logRoot });
  }

  /** From the checkpoint of a tail to its newest leaf, and from a known size to this one. @throws Corrupt */
  proof(tail: Tail, known: { readonly size: number }): LogProof {
    const { rows } = tail.epoch;
    const index = tail.size - 1;
    const leaf = rows.leaf(index);
    const inclusion = proveInclusion({ index, size: tail.size }, rows.readSubtree);
    const isKnown = known.size > 0 && known.size <= tail.size;
    const sizes = { from: known.size, to: tail.size };
    const consistency = isKnown ? proveConsistency(sizes, rows.readSubtree) : [];
    const knownRoot = isKnown ? this.rootAt(tail, known.size) : undefined;
    // Every hash in either proof goes into the root, so a damaged one shows here and not at the client.
    this.#requireProved(tail, () => {
      const { logRoot } = tail;
      verifyInclusion({ index, size: tail.size, leafHash: logLeafHash(leaf), proof: inclusion, root: logRoot });
      if (knownRoot !== undefined) {
        verifyConsistency({ ...sizes, fromRoot: knownRoot, toRoot: logRoot, proof: consistency });
      }
    });
    return { checkpoint: this.checkpoint(tail), logSize: tail.size, consistency, leaf, inclusion, knownRoot };
  }

  /** One leaf, as the checkpoint of a tail has it. @throws Corrupt */
  leaf(tail: Tail, index: number): LoggedLeaf {
    const { rows } = tail.epoch;
    const leaf = rows.leaf(index);
    const { size } = tail;
    const inclusion = proveInclusion({ index, size }, rows.readSubtree);
    this.#requireProved(tail, () => {
      verifyInclusion({ index, size, leafHash: logLeafHash(leaf), proof: inclusion, root: tail.logRoot });
    });
    const { refsRoot } = fromStore(`leaf ${index} of the log`, () => decodeLogLeaf(leaf, index));
    return { leaf, inclusion, refs: { kind: MapKind.refs, root: refsRoot } };
  }

  /** From one size to a later one, neither above that of the tail. @throws Corrupt */
  consistency(tail: Tail, sizes: SizePair): Digest[] {
    const { rows } = tail.epoch;
    const proof = proveConsistency(sizes, rows.readSubtree);
    this.#requireProved(tail, () => {
      const fromRoot = this.rootAt(tail, sizes.from);
      verifyConsistency({ ...sizes, fromRoot, toRoot: this.rootAt(tail, sizes.to), proof });
    });
    return proof;
  }

  /** What witnesses have cosigned of the log that ends at a tail, the largest size first. */
  cosigned(tail: Tail, cosignatures: readonly StoredCosignature[]): CosignedCheckpoint[] {
    const { origin, signer } = tail.epoch;
    const own = cosignatures.filter((stored) => stored.origin === origin && stored.size <= tail.size);
    this.#alarm.requireSilent();
    return [...new Set(own.map(({ size }) => size))]
      .sort((a, b) => b - a)
      .map((size) => {
        const tree = { size, root: this.rootAt(tail, size) };
        const lines = own.filter((stored) => stored.size === size && equalBytes(stored.root, tree.root));
        const consistency = this.consistency(tail, { from: size, to: tail.size });
        return { note: cosignedNote(signer.checkpoint(tree), lines), consistency };
      });
  }

  /**
   * Leaves from an index on, as many as there are up to some bytes and 256, with what shows them to be those of the tail:
   * the frontier before them, and the proof that the tail extends the tree that ends with them. @throws Corrupt
   */
  entries(tail: Tail, range: { readonly start: number; readonly end: number }, maxBytes: number): LogEntries {
    const { rows } = tail.epoch;
    const { start } = range;
    const left = subtreesOf({ start: 0, end: start }).map(rows.readSubtree);
    const frontier = rows.frontierAt(start);
    const leaves: Uint8Array[] = [];
    let sizeBytes = 0;
    while (start + leaves.length < range.end && leaves.length < TILE_WIDTH) {
      const leaf = rows.leaf(start + leaves.length);
      sizeBytes += leaf.length;
      if (leaves.length > 0 && sizeBytes > maxBytes) break;
      leaves.push(leaf);
      frontier.append(logLeafHash(leaf));
    }
    const sizes = { from: start + leaves.length, to: tail.size };
    const right = proveConsistency(sizes, rows.readSubtree);
    this.#requireProved(tail, () => {
      verifyConsistency({ ...sizes, fromRoot: frontier.root(), toRoot: tail.logRoot, proof: right });
    });
    return { first: start, leaves, left, right };
  }

  /** The hashes of a tile, held against the hash above them where it is full. @throws Corrupt */
  tile(tail: Tail, { level, index, width }: TilePosition): Uint8Array {
    const { rows } = tail.epoch;
    const hashes = Array.from({ length: width }, (_, place) =>
      rows.readSubtree({ level: TILE_HEIGHT * level, index: index * TILE_WIDTH + place }),
    );
    if (width === TILE_WIDTH) {
      const above = rows.readSubtree({ level: TILE_HEIGHT * (level + 1), index });
      if (!equalBytes(tileRoot(hashes), above)) throw corruptLog(`the stored hashes of tile ${level}/${index} differ`);
    }
    return concatBytes(...hashes);
  }

  /** The root that the log of a tail had at a size. @throws Corrupt */
  rootAt(tail: Tail, size: number): Digest {
    return size === tail.size ? tail.logRoot : tail.epoch.rows.frontierAt(size).root();
  }

  #requireProved(tail: Tail, verify: () => void): void {
    try {
      verify();
    } catch (cause) {
      if (!(cause instanceof VerificationFailed)) throw cause;
      throw corruptLog(`the stored hashes of the log do not lead to its root at size ${tail.size}`, cause);
    }
  }

  /** Holds a tail against the newest leaf and the stored hashes. */
  #check(tail: Tail): Frontier {
    const { rows } = tail.epoch;
    const frontier = rows.frontierAt(tail.size);
    if (!equalBytes(frontier.root(), tail.logRoot)) {
      throw corruptLog(`the stored hashes of the log do not lead to its root at size ${tail.size}`);
    }
    const index = tail.size - 1;
    const bytes = rows.leaf(index);
    const inclusion = proveInclusion({ index, size: tail.size }, rows.readSubtree);
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
