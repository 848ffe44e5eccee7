// The Store contract (docs/ARCHITECTURE.md, "Store"): what the engine asks of whatever keeps its bytes.
//
// A store is a few named spaces of small rows, which change together in atomic batches guarded by compare-and-swap,
// and beside them large blobs in files. It knows nothing of hashes, maps or refs: that a row's key is the hash of its
// value is the engine's business, and so is checking it. Every driver passes test/store/conformance.ts.
//
// What every driver promises:
// - `write` is all or nothing, also across a crash at any instruction, and durable when it resolves;
// - conditions hold against every writer of the database, in whatever process;
// - after `write` resolves, every later read of this store sees it, and those of other processes from their next event
//   turn on;
// - arrays that a store returns belong to the caller; arrays handed in are not changed and are not kept after the
//   promise settles, and the caller leaves them alone until then.
//
// Errors, by class: `Conflict` (a condition did not hold; always a `ConditionFailed`), `Unavailable` (closed, disk full,
// out of file handles: nothing was written, or the caller cannot know, and may retry after reading), `Corrupt` (the
// database's own files are damaged; names the path). Keys and values outside the stated sizes are bugs of the caller
// and fail an assertion.
import { toHex } from "../core/bytes.js";
import { Conflict } from "../core/errors.js";
import type { Corrupt } from "../core/errors.js";

/**
 * Where rows live.
 * - `nodes` (map nodes), `objects` (commits, manifests), `blobs` (small blobs): content-addressed. Keys are 32 bytes. A
 *   row never changes its meaning, so a value once read stays right until it is deleted.
 * - `log`: leaves of the log. Keys are `u64be(index)`; the only space that is scanned in order.
 * - `tiles`: hashes of the log's complete subtrees, however the engine groups them. Append-only, like the log.
 * - `meta`: a handful of small mutable rows: the tail of the log with the refs root, the signing key, …
 * - `leases`: roots held against garbage collection; few, mutable, expiring.
 * - `requests`: outcomes of idempotent requests; many, expiring.
 *
 * Keys of the last four spaces are 1 … 512 bytes. The name of a space is part of the format on disk.
 */
export type Space = "nodes" | "objects" | "blobs" | "log" | "tiles" | "meta" | "leases" | "requests";

/** Every space, in the order in which batches touch them. */
export const SPACES: readonly Space[] = ["nodes", "objects", "blobs", "log", "tiles", "meta", "leases", "requests"];

/** Longest key of a row, in bytes. */
export const MAX_ROW_KEY_BYTES = 512;
/** Largest value of a row, in bytes. What is larger belongs in a file. An empty value is a value. */
export const MAX_ROW_VALUE_BYTES = 8 * 1024 * 1024;

/** Most bytes of metadata kept with an upload. */
export const MAX_UPLOAD_METADATA_BYTES = 4096;

/** The place of one row. */
export interface RowName {
  readonly space: Space;
  readonly key: Uint8Array;
}

/** A row with its value. */
export interface Row extends RowName {
  readonly value: Uint8Array;
}

/** What must hold of a row, before the batch, for the batch to happen: exactly these bytes, none, or any. */
export interface Condition extends RowName {
  readonly expected: Uint8Array | "absent" | "present";
}

/** Rows that change together. Conditions see the state before the batch; puts apply in order, then deletes. */
export interface WriteBatch {
  readonly conditions?: readonly Condition[];
  /** A row that already holds these very bytes is left as it is, which costs a read and no write. */
  readonly puts?: readonly Row[];
  /** Deleting what is not there is no error. */
  readonly deletes?: readonly RowName[];
  /**
   * What the caller can do with this thread while the batch is flushed. Called at most once, when the conditions were seen
   * to hold and the rows are on their way. Nothing is durable yet, and the batch may still fail. MUST NOT throw.
   */
  readonly meanwhile?: () => void;
}

/** A batch was refused whole, because this condition did not hold. `actual` is what the row held at that instant. */
export class ConditionFailed extends Conflict {
  readonly condition: Condition;
  /** The position in `conditions`; the first that failed. */
  readonly index: number;
  readonly actual: Uint8Array | undefined;

  constructor(failure: { condition: Condition; index: number; actual: Uint8Array | undefined }) {
    const { space, key } = failure.condition;
    super(`the row ${toHex(key)} of ${space} is not what condition ${failure.index} expects`, {
      facts: { space, key: toHex(key), condition: String(failure.index) },
    });
    this.condition = failure.condition;
    this.index = failure.index;
    this.actual = failure.actual;
  }
}

/** Rows read without waiting. Offered by drivers whose reads come from memory or a mapped file. */
export interface SyncReader {
  /** The value, or undefined where there is none. Sees the newest durable state; two calls may see two states. */
  get(space: Space, key: Uint8Array): Uint8Array | undefined;
  /** True where the row exists; cheaper than reading it. */
  has(space: Space, key: Uint8Array): boolean;
}

/** One row of the log. */
export interface LogRow {
  readonly index: number;
  readonly value: Uint8Array;
}

/** Which part of the log to scan, by index. */
export interface LogRange {
  /** First index wanted. Default 0. */
  readonly from?: number;
  /** First index no longer wanted. Default: to the end as it is when the scan gets there. */
  readonly to?: number;
}

/** What to do where a store is damaged. */
export interface IterateOptions {
  /** Told of each row or file of which nothing tells the key: it is passed over. */
  readonly onUnreadable?: ((error: Corrupt) => void) | undefined;
}

/** For who wants the rows that can be read, and leaves it to a check to tell of others. */
export const PASSING_OVER: IterateOptions = { onUnreadable: () => undefined };

/** How much a store holds. Sizes are those of files, free pages included; 0 where nothing is on disk. */
export interface StoreUsage {
  readonly rows: Readonly<Record<Space, number>>;
  readonly rowFilesBytes: number;
  readonly largeBlobs: number;
  /** Content and outboards. */
  readonly largeBlobsBytes: number;
  readonly uploads: number;
}

/** One database's bytes. */
export interface Store {
  /** Present where reads need no waiting: the engine then runs the map algorithms synchronously. */
  readonly sync?: SyncReader;

  /**
   * Present where rows do not lie in the order of their keys: much is put cheapest in the order of what this gives for them.
   */
  readonly orderOf?: (space: Space, key: Uint8Array) => Uint8Array;

  /**
   * The values of many rows of one space, in the order of `keys`; undefined where there is none. Meant for the
   * content-addressed spaces: for mutable rows that belong together use `snapshot`.
   */
  getMany(space: Space, keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]>;

  /**
   * The values of rows of any spaces, all as they were at one instant, in the order asked for. No batch is ever seen in
   * part. What these rows refer to by hash or log index can be read afterwards: it never changes.
   */
  snapshot(rows: readonly RowName[]): Promise<(Uint8Array | undefined)[]>;

  /**
   * Applies a batch whole, or not at all. Resolves when it is durable (flushed to the device), also when it changes
   * nothing. Batches apply in the order in which this process called `write`; concurrent callers share a flush.
   * @throws ConditionFailed - a condition did not hold; nothing was written
   * @throws Unavailable - closed, or the disk is full; nothing was written
   */
  write(batch: WriteBatch): Promise<void>;

  /** Rows of the log in order of index. Gaps are passed over: whether one is a fault is for the caller to say. */
  scanLog(range?: LogRange): AsyncIterable<LogRow>;

  /**
   * The key of every row of a space, in no promised order: each that is there from beginning to end exactly once; one
   * put or deleted meanwhile perhaps. The caller may write, also to the same space, between two steps.
   * @throws Corrupt - nothing tells the key of a row (an encrypted store), and `onUnreadable` was not given
   */
  iterate(space: Space, options?: IterateOptions): AsyncIterable<Uint8Array>;

  /** Costs a look at every large blob's file; the rows are counted already. */
  usage(): Promise<StoreUsage>;

  /** Large blobs, beside the rows: their files and the rows do not change in one transaction. */
  readonly files: LargeBlobs;

  /** Waits for writes in progress, then lets go of everything. Later calls throw `Unavailable`; closing twice is fine. */
  close(): Promise<void>;
}

/** Blobs too large for a row, each with its *outboard*: the interior hashes that let any part of it be proved. */
export interface LargeBlobs {
  /**
   * Opens a blob for reading, or undefined where there is none. It stays readable until closed, even if deleted.
   * @throws Corrupt - its outboard is gone; the message names the file
   */
  open(hash: Uint8Array): Promise<LargeBlob | undefined>;
  has(hash: Uint8Array): Promise<boolean>;
  /**
   * True where the blob is there, and then it survives a crash: another process may have been about to flush its name, and
   * died. To be called before anything durable refers to a blob that the caller has not itself published.
   */
  ensureDurable(hash: Uint8Array): Promise<boolean>;
  /** Removes a blob and its outboard. True if it was there. Durable when it resolves. */
  delete(hash: Uint8Array): Promise<boolean>;
  /** The hash of every blob, in no promised order; promises and errors as of `Store.iterate`. */
  iterate(options?: IterateOptions): AsyncIterable<Uint8Array>;

  /**
   * Begins an upload, or continues one from its durable end. Ids are 1 … 64 characters of `a–z 0–9 -`.
   * @throws Conflict - another stream of this process is writing this upload
   */
  stage(uploadId: string, begin: StageOptions): Promise<StagedBlob>;
  /** What is known of an upload without touching it, or undefined. */
  findUpload(uploadId: string): Promise<UploadState | undefined>;
  /** Uploads in progress, those of other processes included. */
  listUploads(): Promise<UploadState[]>;
  /**
   * Drops an upload and its bytes. True if it was there. Whoever is writing it gets `Conflict` from its next `sync` or
   * `publish`.
   */
  discardUpload(uploadId: string): Promise<boolean>;
  /**
   * Drops uploads that nobody has touched for `UPLOAD_EXPIRY_MS` and what crashes left behind. Opening a store drops the
   * expired uploads by itself; a server that stays up, and garbage collection, call this.
   */
  cleanUp(): Promise<CleanUpResult>;
}

/** What `cleanUp` dropped. */
export interface CleanUpResult {
  readonly uploads: number;
  /** Outboards whose blob never came: a crash fell between the two renames of `publish`. */
  readonly outboards: number;
}

/** A blob open for reading. Close it. Reads at different offsets may run at once. */
export interface LargeBlob {
  readonly sizeBytes: number;
  readonly outboardSizeBytes: number;
  /** Exactly these bytes of the content. @throws Corrupt - the file is shorter than it was when opened */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** Fills the array with the content from `offset` on: for who reads much. @throws Corrupt - the same */
  readInto(offset: number, into: Uint8Array): Promise<void>;
  /** Exactly these bytes of the outboard. @throws Corrupt - the same */
  readOutboard(offset: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** What to record with an upload when it begins; an upload that exists keeps what it has. */
export interface StageOptions {
  /** What the engine wants back on resuming: who owns it, what it is for. At most `MAX_UPLOAD_METADATA_BYTES`. */
  readonly metadata: Uint8Array;
  /** `process`: nobody goes on with it when this process is gone, so that it is dropped then. Default `upload`. */
  readonly lifetime?: "upload" | "process";
}

/** An upload in progress, as recorded at its last `sync`. */
export interface UploadState {
  readonly uploadId: string;
  /** Bytes of content that would survive a crash; where to resume. */
  readonly sizeBytes: number;
  readonly metadata: Uint8Array;
  /** When it began and when it was last synced or opened, in milliseconds since 1970. */
  readonly startedMs: number;
  readonly touchedMs: number;
}

/**
 * An upload being written: content and outboard, each at its end only. One writer at a time, who writes the outboard anew; the
 * content is in a file of this writer's own, so that what it hashed while appending is what it publishes, whatever a
 * stale writer in another process still does.
 */
export interface StagedBlob {
  /** Content appended so far, the part that is not yet durable included. After `stage`: the durable end. */
  readonly sizeBytes: number;
  readonly durableSizeBytes: number;
  readonly metadata: Uint8Array;
  /** Appends content. `offset` must be `sizeBytes`: it is there to catch a caller that lost count. */
  append(offset: number, bytes: Uint8Array): Promise<void>;
  /** Reads staged content back, to hash it again after resuming. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** Reads as many bytes from `offset` on as `into` takes, into it. */
  readInto(offset: number, into: Uint8Array): Promise<void>;
  /** Appends to the outboard, which is empty after `stage`. */
  appendOutboard(bytes: Uint8Array): Promise<void>;
  /**
   * Makes the content so far durable and records where it ends. A flush that failed may have lost what it was to write, and a
   * later one that succeeds does not say otherwise: so from then on this one takes nothing more, and whoever stages the
   * upload again goes on from its durable end.
   * @throws Conflict - discarded or taken over @throws Unavailable - a flush failed, now or before
   */
  sync(): Promise<void>;
  /**
   * Makes content and outboard durable and visible under `hash`, at once; the upload is then gone and this closed. If
   * the blob is already there, that one stays and these bytes are dropped. A crash at any instruction leaves the whole
   * blob, or none and the upload as last synced.
   * @throws Conflict - discarded or taken over @throws Unavailable - a flush failed, now or before
   */
  publish(hash: Uint8Array): Promise<void>;
  /** Lets go of the upload after a last `sync`, to be continued with `stage`. No effect after `publish`. */
  close(): Promise<void>;
  /** Drops the upload and its bytes. */
  discard(): Promise<void>;
}
