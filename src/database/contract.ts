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
import type { MapRoot } from "../core/hashes.js";
import type { MapAt, NodeSource, Recorder } from "../core/map/index.js";
import type { Algorithm, DatabaseConfig, PasswordSource, Recovery, Store, StoreUsage } from "../store/index.js";
import type { BlobRef, Blobs, Incoming, Uploads } from "./blob-contract.js";
import type { Commits, Heads, Tags } from "./commit-contract.js";
import type { FsckEvent, FsckOptions } from "./fsck/index.js";
import type { CollectEvent, CollectOptions } from "./gc/collector.js";
import type { FreeingLimits } from "./followed-nodes.js";
import type { Epochs, TransparencyLog } from "./log-contract.js";
import type { LostLeaves } from "./rollback-alarm.js";
import type { LoggedLeaf, Receipt, StoredManifest, View, WriteOptions } from "./view-contract.js";

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
  /**
   * Stores a manifest that its caller has finished and signed: an attestation whose subject is held, or a document whose blob
   * and chunk list are.
   * @throws InvalidArgument - not a manifest of these kinds, not signed, or a signature that is not valid
   * @throws Unsupported - of a kind or version not known
   * @throws NotFound - kind `head`, `commit`, `manifest`, `blob` or `root`
   */
  putSigned(bytes: Uint8Array, options?: PutSignedOptions): Promise<PutResult>;
}

/** An idempotency key needs a head: without one nothing moves. */
export interface PutSignedOptions extends WriteOptions {
  readonly head?: string | undefined;
  /** Ends it until it is written. */
  readonly signal?: AbortSignal | undefined;
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

/** What comes from outside. Tests give their own, so that everything a database does can be repeated to the byte. */
export interface DatabaseOptions {
  /** Milliseconds since 1970. Default: the system's clock. */
  readonly clock?: (() => number) | undefined;
  /** Default: the system's source of random bytes. */
  readonly randomBytes?: ((count: number) => Uint8Array) | undefined;
  /**
   * Of an encrypted directory. Default: NELEUS_DB_ENCRYPTION_PASSWORD, or the file or command that
   * NELEUS_DB_ENCRYPTION_PASSWORD_FILE or _COMMAND names.
   */
  readonly password?: PasswordSource | undefined;
  /** Hash blobs and nodes again when they are read. Default: as the directory's config says, else true. */
  readonly verifyOnRead?: boolean | undefined;
  /** How long a read waits for a log that is shorter than its caller has seen it. Default: LOG_WAIT_MS. */
  readonly logWaitMs?: number | undefined;
  /** When replaced nodes of staged maps are freed. Default: as core/limits.ts has it. */
  readonly freeing?: Partial<FreeingLimits> | undefined;
  /** Told when this process learns that the log lost leaves. Must not throw. */
  readonly onRolledBack?: ((lost: LostLeaves) => void) | undefined;
  /** Told once, when opening it found that processes had ended without closing it, with what was done. Must not throw. */
  readonly onRecovered?: ((recovery: Recovery) => void) | undefined;
}

/** What a database is made with, beside what it is opened with. */
export interface CreateDatabaseOptions extends DatabaseOptions {
  /**
   * Host of the log's origin, `<host>/<database id>/<epoch>`: a DNS name in lower case, of at most 33 characters. Absent: as the
   * directory's config.json says, else `neleus`. It is part of the name of the log's key: only an epoch can change it.
   */
  readonly originHost?: string | undefined;
  /** Encrypt a new directory at rest, where no configuration was written by hand: that one wins. Default: in clear. */
  readonly encryption?: { readonly algorithm?: Algorithm; readonly kdfIterations?: number } | undefined;
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
  readonly epochs: Epochs;
  /**
   * The newest durable state of everything, other processes' writes included.
   * @throws RolledBack - the log has fewer leaves than it must, and did not get them in time
   */
  view(request?: ViewRequest): Promise<View>;
  usage(): Promise<StoreUsage>;
  /**
   * Checks everything that is stored, as it is when this is called, while others read and write (fsck/check-store.ts has
   * what, and at what cost). The last event is the summary. One at a time.
   * @throws LimitExceeded - another check of this database goes on
   */
  fsck(options?: FsckOptions): AsyncGenerator<FsckEvent, void, undefined>;
  /**
   * Frees map nodes and commits that nothing leads to, while others read and write (gc/collector.ts). The last event is the
   * summary.
   * @throws Corrupt - something that is kept is damaged: nothing was freed
   * @throws Unavailable - a load, a check or another collection went on all the time
   */
  collectGarbage(options?: CollectOptions): AsyncGenerator<CollectEvent, void, undefined>;
  /** Waits for writes in progress, then lets go of everything. Closing twice is fine. */
  close(): Promise<void>;
}
