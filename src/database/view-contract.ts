// The part of the engine's surface that everything else rests on: one instant of a database, what is read there, and what a
// write takes and confirms. See contract.ts for what holds throughout.
import type { CommitHash, Digest, ManifestHash, MapRoot } from "../core/hashes.js";
import type { LeafRange, SizePair, TilePosition } from "../core/log/index.js";
import type { MapAt, NodeSource } from "../core/map/index.js";
import type { Commit, Manifest } from "../core/object/index.js";

/** Confirms a durable write: the log contains it at this index, and this checkpoint contains that index. */
export interface Receipt {
  readonly logIndex: number;
  /** A C2SP signed note of origin, size and root; its size is above `logIndex`. */
  readonly checkpoint: string;
}

/** From a checkpoint down to the refs root that it contains. All hashes are 32 bytes. */
export interface LogProof {
  readonly checkpoint: string;
  /** Size of the log that the checkpoint signs. */
  readonly logSize: number;
  /** From the size that the caller knows to this one; empty where it knows none, this one or a larger one. */
  readonly consistency: readonly Digest[];
  /** The newest leaf, index `logSize` − 1: its exact bytes. */
  readonly leaf: Uint8Array;
  readonly inclusion: readonly Digest[];
  /** The root that this log had at the size that the caller knows; absent where it knows none, or a larger one. */
  readonly knownRoot: Digest | undefined;
}

/** Leaves in a row, with what shows them to be those of a checkpoint. */
export interface LogEntries {
  /** Index of the first. */
  readonly first: number;
  /** Their exact bytes. */
  readonly leaves: readonly Uint8Array[];
  /** Hashes of the complete subtrees of the leaves before them, largest first. */
  readonly left: readonly Digest[];
  /** The proof that the checkpoint's tree extends the one that ends with them. */
  readonly right: readonly Digest[];
}

/** Where a head stands. */
export interface Head {
  readonly name: string;
  /** Absent while the head has no commit. */
  readonly commit: CommitHash | undefined;
  readonly stagedState: MapRoot;
  readonly stagedLedger: MapRoot;
}

/** A name of a commit. */
export interface Tag {
  readonly name: string;
  readonly commit: CommitHash;
}

/** What a read of state or ledger names. `root` is the root of a state map: it has no ledger. */
export type ReadSelector =
  | { readonly staged: string }
  | { readonly head: string }
  | { readonly tag: string }
  | { readonly commit: Uint8Array }
  | { readonly root: Uint8Array };

/** Where a read is answered. */
export interface ReadPoint {
  /** The state map, ready for the read algorithms over `nodes`. */
  readonly state: MapAt;
  /** The ledger beside it; absent for a bare root. */
  readonly ledger: MapAt | undefined;
  /** The commit that is read, where one is. */
  readonly commit: StoredCommit | undefined;
  /** The head that was named, as it stood. */
  readonly head: Head | undefined;
  /** The tag that was named. */
  readonly tag: Tag | undefined;
  readonly logSize: number;
  /** The nodes of these maps. Loading throws Pruned where the state was replaced and freed since. */
  readonly nodes: NodeSource;
  /** The same for scans: leaves are not kept in memory once they have been passed. */
  readonly nodesInPassing: NodeSource;
  /** Keeps these maps whole until released. Release it. */
  hold(): Lease;
}

/**
 * Keeps what was replaced since some instant from being freed, for MAX_LEASE_MS at most; after that a read goes on as long as
 * what it reads is there.
 */
export interface Lease {
  /** Releasing twice is fine. */
  release(): void;
}

/**
 * Refs, roots and log at one instant. It holds no resource and may be dropped at will; what is kept for longer than
 * FREE_AFTER_MS may find its refs Pruned, unless it is held.
 */
export interface View {
  /** Of the log, which names its epoch: the first line of the view's checkpoint. */
  readonly origin: string;
  /** Leaves of the log; the newest holds `refs.root`. */
  readonly logSize: number;
  /** The refs map, ready for the read algorithms over `nodes`. */
  readonly refs: MapAt;
  /** Its nodes. Loading throws Pruned where they were freed since. */
  readonly nodes: NodeSource;
  /** Keeps everything that the view has whole until released. Release it. */
  hold(): Lease;
  /** All heads, ascending by name in bytes. */
  heads(): Promise<readonly Head[]>;
  /** @throws NotFound - no such head (kind `head`, with the nearest name in the hint) @throws InvalidArgument - no name */
  head(name: string): Promise<Head>;
  /** @throws NotFound - no such tag (kind `tag`) @throws InvalidArgument - no name */
  tag(name: string): Promise<Tag>;
  /**
   * @throws NotFound - kind `head`, `tag` or `commit` (also: the head has none yet)
   * @throws Pruned - no map of that root is kept, or ever was
   * @throws InvalidArgument - a hash of another length, a manifest's hash, a root of another kind of map
   */
  resolve(at: ReadSelector): Promise<ReadPoint>;
  /** `knownSize`: size of the last checkpoint that the caller has seen; absent or 0: none. */
  logProof(known?: { readonly knownSize?: number | undefined }): Promise<LogProof>;
  /** @throws InvalidArgument - `leaf_index`: the log has no such leaf */
  logLeaf(index: number): Promise<LoggedLeaf>;
  /** @throws InvalidArgument - `from_size` or `to_size`: not ascending, or above `logSize` */
  logConsistency(sizes: SizePair): Promise<readonly Digest[]>;
  /** What witnesses have cosigned of this log, the largest size first. */
  cosigned(): Promise<readonly CosignedCheckpoint[]>;
  /** Leaves from one index up to another, as many as fit. @throws InvalidArgument - `start` or `end`: not in the log */
  logEntries(range: LeafRange, limit: { readonly maxBytes: number }): Promise<LogEntries>;
  /** Hashes of a tile, 32 bytes each (C2SP tlog-tiles). @throws InvalidArgument - `level`, `index` or `width`: none */
  logTile(tile: TilePosition): Promise<Uint8Array>;
}

/** A checkpoint that witnesses have cosigned, and how a view's log extends it. */
export interface CosignedCheckpoint {
  /** Signed by the log, with the lines of all witnesses that saw this one last. */
  readonly note: string;
  /** From its size to that of the view. */
  readonly consistency: readonly Digest[];
}

/** A commit or manifest as it is stored: the exact bytes, what they say, and the hash that names them. */
export interface Stored<H, T> {
  readonly hash: H;
  readonly bytes: Uint8Array;
  readonly object: T;
}
export type StoredCommit = Stored<CommitHash, Commit>;
export type StoredManifest = Stored<ManifestHash, Manifest>;

/** One leaf of the log. */
export interface LoggedLeaf {
  readonly leaf: Uint8Array;
  readonly inclusion: readonly Digest[];
  /** The refs that it names. Of a leaf that is not the newest, nodes may be gone. */
  readonly refs: MapAt;
}

/**
 * Makes a write safe to ask for again: within REQUEST_EXPIRY_MS the same write with the same key, of the same caller, has
 * its first effect alone and its first answer, with the newest checkpoint. What was refused is not remembered. Of every
 * write that takes one: @throws AlreadyExists - the key was used for another write (kind `idempotency-key`)
 * @throws InvalidArgument - `idempotency_key`, not 1 to 128 printable characters of ASCII
 */
export interface IdempotencyKey {
  /** Who asks: keys of different callers have nothing to do with one another. Empty while there are no identities. */
  readonly caller: string;
  readonly key: string;
}

/** What every write that moves a ref takes. */
export interface WriteOptions {
  readonly idempotency?: IdempotencyKey | undefined;
}
