// The surface of the engine: what services, the embedded client and the CLI call. One `Database` is one directory, or
// any Store.
//
// What holds throughout:
// - A write that moves a ref resolves once it is durable, atomic and in the log, and says where (`Receipt`). A write
//   that fails has changed nothing, unless it is Unavailable with the fact `outcome: applied`: then only its receipt,
//   with its signed checkpoint, could not be made.
// - Reads go through a `View`: refs, roots and log as they were at one instant. What hangs on them never changes, but what
//   was staged is freed some time after it was replaced (docs/decisions/0003): a read of more than one turn of the event
//   loop takes a `Lease` first, and one that comes too late is `Pruned`. What a commit names is kept.
// - Arrays handed in are not kept once the promise has settled, and not changed; the caller leaves them alone until
//   then. Arrays handed out are not to be changed: some are views of shared caches.
// - Names, keys and sizes are checked here, so that callers need not. `field` of an InvalidArgument is the parameter's
//   name in the protos' spelling (`head`, `operations[3].key`, `expected_root`, …).
// - Bytes that do not match their hash are `Corrupt`, which names them, and never data. With `verify_on_read` off blobs
//   and nodes are not hashed again on the way out.
// - After `close` everything throws `Unavailable`.
import type { CommitHash, Digest, ManifestHash, MapRoot } from "../core/hashes.js";
import type { LeafRange, SizePair, TilePosition } from "../core/log/index.js";
import type { MapAt, NodeSource, Recorder } from "../core/map/index.js";
import type { Commit, Manifest } from "../core/object/index.js";
import type { DatabaseConfig, Store, StoreUsage } from "../store/index.js";
import type { BlobRef, Blobs, Incoming, Uploads } from "./blob-contract.js";
import type { FreeingLimits } from "./followed-nodes.js";

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
  /** Leaves from one index up to another, as many as fit. @throws InvalidArgument - `start` or `end`: not in the log */
  logEntries(range: LeafRange, limit: { readonly maxBytes: number }): Promise<LogEntries>;
  /** Hashes of a tile, 32 bytes each (C2SP tlog-tiles). @throws InvalidArgument - `level`, `index` or `width`: none */
  logTile(tile: TilePosition): Promise<Uint8Array>;
}

/** A commit or manifest as it is stored: the exact bytes, what they say, and the hash that names them. */
export interface Stored<H, T> {
  readonly hash: H;
  readonly bytes: Uint8Array;
  readonly object: T;
}
export type StoredCommit = Stored<CommitHash, Commit>;
export type StoredManifest = Stored<ManifestHash, Manifest>;

export interface Chunking {
  /** `fixed`. */
  readonly method: string;
  readonly sizeBytes: number;
  readonly overlapBytes: number;
}

export interface DocumentOptions extends WriteOptions {
  /** Whose staged ledger takes the manifest; absent: it is stored unattached, and takes no idempotency key. */
  readonly head?: string | undefined;
  readonly source: string;
  readonly title?: string | undefined;
  readonly media?: string | undefined;
  readonly chunking: Chunking;
  /** Milliseconds since 1970; absent: the clock. */
  readonly timeMs?: number | undefined;
  readonly meta?: Readonly<Record<string, string>> | undefined;
}

export interface PutResult {
  readonly manifest: StoredManifest;
  /** Absent where no head was named. */
  readonly receipt: Receipt | undefined;
}

/** A document and the map of its chunks. */
export interface OpenDocument {
  readonly manifest: StoredManifest;
  readonly blob: BlobRef;
  /** Kind 2, ready for the read algorithms over `Database.nodes`. */
  readonly chunks: MapAt;
  /** Keys of that map: number of chunks. */
  readonly chunkCount: number;
}

export interface Documents {
  /**
   * Checks the options, then takes the bytes.
   * @throws NotFound - kind `head`
   * @throws InvalidArgument - an unknown method, a size or overlap out of range, a text that is empty or too long
   * @throws LimitExceeded - MAX_UPLOADS; from `finish`: MAX_CHUNKS
   */
  begin(options: DocumentOptions): Promise<Incoming<PutResult>>;
  /** @throws NotFound - kind `manifest` @throws InvalidArgument - another kind of manifest, or a commit's hash */
  open(manifest: Uint8Array): Promise<OpenDocument>;
}

export interface Manifests {
  /** @throws NotFound - kind `manifest` @throws InvalidArgument - a commit's hash @throws Corrupt */
  get(hash: Uint8Array): Promise<StoredManifest>;
  /**
   * Stores a manifest's bytes as received, with a head in its staged ledger too.
   * @throws InvalidArgument - not a manifest @throws Unsupported - of a kind or version not known
   * @throws NotFound - kind `head`
   */
  put(bytes: Uint8Array, options?: { readonly head?: string | undefined }): Promise<PutResult>;
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

/** What happens to a key, and what must hold of it before. */
export interface StateOperation {
  readonly key: Uint8Array;
  readonly change: StateChange;
  readonly condition?: KeyCondition | undefined;
}
export type StateChange =
  | { readonly put: Uint8Array }
  | { readonly putBlob: { readonly hash: Uint8Array; readonly sizeBytes: number } }
  | "delete";
/** The key's value has this blob hash, or the key is absent. */
export type KeyCondition = { readonly expectedHash: Uint8Array } | "absent";

export interface ApplyOptions extends WriteOptions {
  /** 1 to MAX_BATCH_KEYS of them, of different keys, in any order. */
  readonly operations: readonly StateOperation[];
  /** The staged root must be this one. */
  readonly expectedRoot?: Uint8Array | undefined;
  /** True to keep what the change reads of the old map, so that it can be shown. */
  readonly withTransition?: boolean | undefined;
}

export interface Applied {
  /** The staged root that was changed. */
  readonly beforeRoot: MapRoot;
  /** The staged root after the change. Later changes of the same batch may have moved it on. */
  readonly root: MapRoot;
  readonly receipt: Receipt;
  /** What the change read of the old map, where asked for and at most MAX_TRANSITION_BYTES; not of a repeated request. */
  readonly transition: Recorder | undefined;
  /** True where an earlier request with this idempotency key made the change. */
  readonly isRepeated: boolean;
  /** The database at the log that the receipt's checkpoint signs: its newest leaf is the receipt's, unless repeated. */
  readonly view: View;
  /** The leaf of the receipt, as its checkpoint has it. @throws Corrupt */
  logged(): LoggedLeaf;
}

/** One leaf of the log. */
export interface LoggedLeaf {
  readonly leaf: Uint8Array;
  readonly inclusion: readonly Digest[];
  /** The refs that it names. Of a leaf that is not the newest, nodes may be gone. */
  readonly refs: MapAt;
}

export interface States {
  /**
   * Changes keys of a head's staged state, all or none.
   * @throws NotFound - kind `head`; kind `blob`: a blob named that is not held
   * @throws Conflict - expected root or a key's condition (`facts.current_root`, and `facts.key` in hex)
   * @throws InvalidArgument - a key empty, too long or there twice; a value over MAX_INLINE_VALUE_BYTES; a blob of another
   *   size than claimed @throws LimitExceeded - over MAX_BATCH_KEYS or MAX_BATCH_BYTES
   */
  apply(head: string, options: ApplyOptions): Promise<Applied>;
  /**
   * Begins a bulk put into a head's staged state, in memory that does not grow with it.
   * @throws NotFound - kind `head` @throws Conflict - the expected root @throws LimitExceeded - MAX_LOADS are in progress
   */
  load(head: string, options?: LoadOptions): Promise<Load>;
}

/** An idempotency key is bound to all that is loaded, in its order. */
export interface LoadOptions extends WriteOptions {
  /** The staged root must be this one, or that of the empty state, now and when the head moves. */
  readonly expectedRoot?: Uint8Array | "empty" | undefined;
}

/** Keys and as many values, each at most MAX_INLINE_VALUE_BYTES. */
export interface LoadEntries {
  readonly keys: readonly Uint8Array[];
  readonly values: readonly Uint8Array[];
}

/** Keys and values on their way into a head. Calls one after the other. Close it, also after `finish`. */
export interface Load {
  /** Entries added. */
  readonly count: number;
  /** In any order. Of a key that comes twice the later value holds. @throws InvalidArgument - a key or value that cannot be */
  add(entries: LoadEntries): Promise<void>;
  /**
   * Moves the head, once, to what it held with all of this put on top. Where others moved it meanwhile and nothing was
   * expected of it, that is what they left. The signal ends it before the head moves, with its reason.
   * @throws NotFound - the head is gone @throws Conflict - the expected root, or others moved the head again and again
   * @throws AlreadyExists - the idempotency key was used for something else
   * @throws LimitExceeded - keys that were made to avoid the ends of nodes
   */
  finish(options?: { readonly signal?: AbortSignal | undefined }): Promise<Loaded>;
  /** Without `finish`: nothing has changed, and nothing is left. */
  close(): Promise<void>;
}

export interface Loaded {
  /** The staged root that was loaded into. */
  readonly beforeRoot: MapRoot;
  readonly root: MapRoot;
  /** Different keys among those added. */
  readonly keys: number;
  readonly receipt: Receipt;
  /** True where an earlier request did it, with the same idempotency key: roots and receipt are of then. */
  readonly isRepeated: boolean;
  /** As in `Applied`. */
  readonly view: View;
  /** As in `Applied`. @throws Corrupt */
  logged(): LoggedLeaf;
}

export interface CommitOptions extends WriteOptions {
  readonly head: string;
  readonly author: string;
  readonly message: string;
  /** Milliseconds since 1970; absent: the clock. */
  readonly timeMs?: number | undefined;
  readonly meta?: Readonly<Record<string, string>> | undefined;
  /** Hashes of manifests to add to the ledger of this commit; at most 10,000. */
  readonly manifests?: readonly Uint8Array[] | undefined;
  readonly expectedCommit?: ExpectedCommit | undefined;
  /** The staged root must be this: the state root of the commit. */
  readonly expectedRoot?: Uint8Array | undefined;
  /** Ends it, with its reason, before the head moves. */
  readonly signal?: AbortSignal | undefined;
}

/** The head's commit must be this one, or there must be none. */
export type ExpectedCommit = Uint8Array | "none";

export interface Committed {
  readonly commit: StoredCommit;
  readonly receipt: Receipt;
}

export interface Commits {
  /**
   * Makes a commit of what is staged, also where nothing changed.
   * @throws NotFound - kind `head` or `manifest` @throws Conflict - expected commit (`facts.current_commit`)
   * @throws InvalidArgument - a hash that is no manifest's, an empty author, a text too long @throws LimitExceeded
   */
  create(options: CommitOptions): Promise<Committed>;
  /** @throws NotFound - kind `commit` @throws InvalidArgument - a manifest's hash @throws Corrupt */
  get(hash: Uint8Array): Promise<StoredCommit>;
  /** Along first parents, newest first; a head without a commit has an empty log. Errors as of `View.resolve`. */
  log(
    start: { readonly head: string } | { readonly commit: Uint8Array },
  ): AsyncGenerator<StoredCommit, void, undefined>;
}

export interface CreateHeadOptions extends WriteOptions {
  readonly commit?: Uint8Array | undefined;
}

export interface DeleteHeadOptions extends WriteOptions {
  readonly expectedCommit?: ExpectedCommit | undefined;
}

export interface Heads {
  /**
   * Makes a head at a commit, or empty.
   * @throws AlreadyExists @throws NotFound - kind `commit` @throws InvalidArgument - no name @throws LimitExceeded - MAX_HEADS
   */
  create(name: string, options?: CreateHeadOptions): Promise<Receipt>;
  /** @throws NotFound - kind `head` @throws Conflict - expected commit */
  delete(name: string, options?: DeleteHeadOptions): Promise<Receipt>;
  /**
   * Moves a head anywhere, and drops what is staged on it.
   * @throws NotFound - kind `head` or `commit` @throws Conflict - expected commit or root
   */
  reset(name: string, options?: ResetHeadOptions): Promise<Receipt>;
}

export interface ResetHeadOptions extends WriteOptions {
  /** Where the head is to be, with nothing else staged; absent: without a commit, state and ledger empty. */
  readonly commit?: Uint8Array | undefined;
  readonly expectedCommit?: ExpectedCommit | undefined;
  /** The staged root must be this one. */
  readonly expectedRoot?: Uint8Array | undefined;
}

export interface DeleteTagOptions extends WriteOptions {
  /** The tag's commit must be this one. */
  readonly expectedCommit?: Uint8Array | undefined;
}

export interface Tags {
  /**
   * @throws AlreadyExists - a tag does not move @throws NotFound - kind `commit` @throws InvalidArgument - no name
   * @throws LimitExceeded - MAX_TAGS
   */
  create(name: string, commit: Uint8Array, options?: WriteOptions): Promise<Receipt>;
  /** @throws NotFound - kind `tag` @throws Conflict - expected commit */
  delete(name: string, options?: DeleteTagOptions): Promise<Receipt>;
}

/** The transparency log. Proofs come from a `View`. */
export interface TransparencyLog {
  /** `neleus/<database id>/<epoch>`: the first line of every checkpoint. */
  readonly origin: string;
  /** C2SP signed-note verifier key: what a client pins. */
  readonly verifierKey: string;
  /** The newest checkpoint. */
  checkpoint(): Promise<string>;
  /**
   * Has the newest leaf be at most this old at the time of the call, in milliseconds: where it is older, one with the same
   * refs root is appended, at most one in FRESH_LEAF_INTERVAL_MS, for which this waits if it must. The signal ends the
   * wait, with an AbortError.
   */
  freshen(options: { readonly maxAgeMs: number; readonly signal?: AbortSignal | undefined }): Promise<void>;
}

/** What comes from outside. Tests give their own, so that everything a database does can be repeated to the byte. */
export interface DatabaseOptions {
  /** Milliseconds since 1970. Default: the system's clock. */
  readonly clock?: (() => number) | undefined;
  /** Default: the system's source of random bytes. */
  readonly randomBytes?: ((count: number) => Uint8Array) | undefined;
  /** Hash blobs and nodes again when they are read. Default: as the directory's config says, else true. */
  readonly verifyOnRead?: boolean | undefined;
  /** How long a read waits for a log that is shorter than its caller has seen it. Default: LOG_WAIT_MS. */
  readonly logWaitMs?: number | undefined;
  /** When replaced nodes of staged maps are freed. Default: as core/limits.ts has it. */
  readonly freeing?: Partial<FreeingLimits> | undefined;
}

/** What a view must have. */
export interface ViewRequest {
  /** Leaves of the log at least; it is waited for them, LOG_WAIT_MS at most. */
  readonly minLogSize?: number | undefined;
  /** Ends the wait, with an AbortError. */
  readonly signal?: AbortSignal | undefined;
}

/** Where a database lives: a directory, or a store that is open; the database closes it. */
export type Location = string | Store;

/** One database: `Database.create(location, options)` and `Database.open(location, options)` make it. */
export interface Database {
  /** 32 characters of lower-case hex. */
  readonly id: string;
  readonly verifyOnRead: boolean;
  /** Where it lies and how it is configured; absent for a store that was handed in. */
  readonly directory: { readonly path: string; readonly config: DatabaseConfig } | undefined;
  /**
   * Map nodes, for the drivers of core/map. Each was held against its digest when it came from the store. What a head has
   * staged is read by the nodes of a `ReadPoint`: here a missing node is Corrupt.
   */
  readonly nodes: NodeSource;
  /** The same for scans: leaves are not kept in memory once they have been passed. */
  readonly nodesInPassing: NodeSource;
  readonly blobs: Blobs;
  readonly uploads: Uploads;
  readonly documents: Documents;
  readonly manifests: Manifests;
  readonly states: States;
  readonly commits: Commits;
  readonly heads: Heads;
  readonly tags: Tags;
  readonly log: TransparencyLog;
  /**
   * The newest durable state of everything, other processes' writes included.
   * @throws RolledBack - the log has fewer leaves than it must, and did not get them in time
   */
  view(request?: ViewRequest): Promise<View>;
  usage(): Promise<StoreUsage>;
  /** Waits for writes in progress, then lets go of everything. Closing twice is fine. */
  close(): Promise<void>;
}
