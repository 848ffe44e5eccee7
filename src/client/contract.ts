// The client's contract: what `connect` and `open` both give.
//
// Every plain call verifies: what it returns has been checked, by hashes and proofs, up to a key that the caller pinned
// (or trusted on first use). Where something is not checked, its name or its comment says so. Bytes and hashes that are
// returned belong to the caller.
//
// Errors, everywhere: the server's own (`NotFound`, `Conflict`, …) as NeleusError; `VerificationFailed` where what came
// is wrong; `IncompleteProof` where a stream or proof ended before it showed what was asked; `RolledBack`, `Forked` and
// `NewEpoch` where the log does not extend what this client has seen; `Unavailable`, `DEADLINE_EXCEEDED`, `CANCELLED`
// for what happens on the way; `InvalidArgument` for a wrong call. Nothing else is thrown.
import type { NeleusError } from "../core/errors.js";
import type { BlobHash, CommitHash, MapRoot } from "../core/hashes.js";
import type { StateCellExtension } from "../core/object/index.js";
import type { Snapshot as SnapshotMessage } from "../../gen/neleus/v1/proof_pb.js";
import type {
  BlobReference,
  StoredBlob,
  CommitRecord,
  Committed,
  CommitRequest,
  ContentSource,
  HashArgument,
  Key,
  Receipt,
  RotatedKey,
  RotateKeyOptions,
  SignedCheckpoint,
} from "./records.js";
import type { VerifierOptions } from "./commit-checking.js";
import type { CollectEvent, CollectOptions } from "./collect.js";
import type { FsckEvent, FsckOptions } from "./fsck.js";
import type { Witnessed, WitnessPolicy } from "./trust/witnesses.js";
import type { CommitOptions, Commits, Documents, Heads, LogEntries, ProofPlace, Proofs, Tags } from "./sections.js";
import type { CallOptions, FreshOptions, WriteOptions } from "./transport.js";
import type { TrustState } from "./options.js";

/** Whom the client trusts, and how far it has seen the log. */
export interface Trust {
  /** The pinned key, and the newest checkpoint shown to be consistent with all before it. */
  readonly state: TrustState;
  /** Origin named by the pinned key. */
  readonly origin: string;
  /** Checkpoints of receipts that are signed, but not yet shown to be consistent: `Database.checkpoint` settles them. */
  readonly pendingCheckpoints: number;
}

/** A database, however it is reached. */
export interface Database extends Documents {
  /** Where it is: an address or a directory. */
  readonly address: string;
  /** Its name there. */
  readonly name: string;
  /** The pinned key and the last checkpoint seen. */
  readonly trust: Trust;
  readonly commits: Commits;
  readonly heads: Heads;
  readonly tags: Tags;
  readonly logEntries: LogEntries;
  readonly proofs: Proofs;

  /**
   * Changes the key of the log, a step at a time. This client follows it, as do all who have seen the announcement.
   * @throws InvalidArgument - `finish`, and no key is announced
   */
  rotateKey(options: RotateKeyOptions & CallOptions): Promise<RotatedKey>;

  /**
   * Has the server check everything that it stores, while others read and write. The last event is the summary. What it says
   * is not proved: it is for whoever runs the server.
   * @throws LimitExceeded - another check goes on @throws VerificationFailed - the answer is none
   */
  fsck(options?: FsckOptions): AsyncIterable<FsckEvent>;

  /**
   * Frees map nodes and commits that nothing leads to any more, while others read and write. The last event is the summary.
   * @throws Corrupt - something that is kept is damaged: nothing was freed @throws Unavailable - others hold everything
   */
  collectGarbage(options?: CollectOptions): AsyncIterable<CollectEvent>;

  /** The staged state of a head: writes, and reads at a fresh snapshot each. */
  state(head: string): HeadState;
  /**
   * A verified, unchanging view of a head: checkpoint signature, consistency with what was seen before, newest leaf,
   * refs, commit. One round trip; each further read costs one witness.
   * @throws NotFound - no such head, as the server says: `heads.list` would prove it
   */
  snapshot(head: string, options?: SnapshotOptions): Promise<Snapshot>;
  /**
   * A verified, unchanging view of the state of a tag's commit, likewise.
   * @throws NotFound - no such tag, as the server says: `tags.list` would prove it
   */
  tag(tag: string, options?: SnapshotOptions): Promise<TagSnapshot>;
  /** A view of a state whose commit or root the caller names and so trusts; it is not looked up in the log. */
  at(place: { readonly commit: HashArgument } | { readonly root: HashArgument }): StateView;
  /**
   * What differs between two states, in order of key: provably all of it once the iteration ends, at the cost of the
   * differences. Heads and tags are read at a fresh snapshot each; a commit or root that is named is trusted, as in `at`.
   * @throws NotFound - no such head, tag, commit or root
   */
  diff(before: ProofPlace, after: ProofPlace, options?: DiffOptions): AsyncIterable<StateChange>;
  /**
   * Makes a commit of what is staged, and checks that it says what was asked, that the head has it under a verified
   * checkpoint and had not before, and that its ledger holds the manifests named: two round trips more, and one for each
   * manifest. That its state is the one that was staged is checked where `expectedRoot` says which: others may stage
   * meanwhile.
   */
  commit(head: string, request: CommitRequest, options?: CommitOptions): Promise<Committed>;

  /** A blob by its hash. Nothing is fetched before one of its methods is called. */
  blob(hash: HashArgument): BlobHandle;
  /**
   * Stores content and returns its hash, which the client computed itself. Memory is bounded whatever the size. Content
   * of 1 MiB or more that can be read twice (bytes, text, a Blob, `fileContent`) is hashed first, and not sent where the
   * server says that it holds it.
   * @throws InvalidArgument - the content changed meanwhile, or since an earlier try with this upload id
   */
  putBlob(content: ContentSource, options?: PutBlobOptions): Promise<StoredBlob>;
  /**
   * Stores small blobs, as many as there are, and says in their order what became of each: one that is refused throws
   * nothing and stops no other. They travel in calls of 10,000 or 3 MiB; what a call reports is durable with it. Where one
   * fails, and this throws, those before it have stored theirs: doing it all again is safe.
   */
  putBlobs(contents: readonly (string | Uint8Array)[], options?: CallOptions): Promise<BatchedBlob[]>;
  /**
   * Many small blobs, in the order asked for, each checked against its hash. That one is not held is the server's word:
   * nothing proves it.
   */
  getBlobs(hashes: readonly HashArgument[], options?: CallOptions): AsyncIterable<FetchedBlob>;
  /** Those that the server says it does not hold, in the order asked for: so that only those are sent. Unproved. */
  missingBlobs(hashes: readonly HashArgument[], options?: CallOptions): Promise<BlobHash[]>;

  /** The newest checkpoint, verified. Every checkpoint seen so far is known to be consistent with it afterwards. */
  checkpoint(options?: FreshOptions): Promise<SeenLog>;
  /**
   * What these witnesses have cosigned of the log, verified, with the newest checkpoint.
   * @throws IncompleteProof - fewer than required have
   */
  witnessed(policy: WitnessPolicy, options?: FreshOptions): Promise<WitnessedLog>;
  /**
   * Hands in what witnesses have put under a checkpoint (C2SP tlog-cosignature), for clients that require them.
   * @throws InvalidArgument - no checkpoint of this log, or one of the witnesses named has not validly signed it
   */
  submitCosignatures(
    request: { readonly checkpoint: string; readonly witnessKeys: readonly string[] },
    options?: CallOptions,
  ): Promise<{ readonly size: number }>;
  /** What the server says of itself. Unverified: nothing here is proved. */
  capabilities(options?: CallOptions): Promise<Capabilities>;
  /** Ends the connection or closes the directory. Calls in progress fail with `Unavailable`. */
  close(): Promise<void>;
}

/** The newest checkpoint, and which witnesses have seen that the log leads there. */
export interface WitnessedLog extends SeenLog {
  readonly witnesses: readonly Witnessed[];
}

export interface SnapshotOptions extends FreshOptions, VerifierOptions {
  /**
   * Greatest age of the newest log leaf by this machine's clock, in milliseconds; the server appends a leaf where it
   * must, at most one a second, so that less than 1,000 may take up to a second. Absent: any age, so a server could
   * withhold the newest writes.
   */
  readonly maxAgeMs?: number | undefined;
}

/** An unchanging map of keys to values at one root. Every answer is held against that root. */
export interface StateView {
  /** The value of a key, checked; undefined where it is proved absent. Loads the whole value: see `entry`. */
  get(key: Key, options?: ValueOptions): Promise<StateValue | undefined>;
  /** What a key's cell says, without the value; undefined where it is proved absent. */
  entry(key: Key, options?: CallOptions): Promise<StateEntry | undefined>;
  /** Many keys with one witness for each 10,000, in ascending order of keys, each key once. Values come along. */
  getMany(keys: Iterable<Key>, options?: ValueOptions): AsyncIterable<Found>;
  /** Every entry of a range in order: provably complete once the iteration ends. */
  scan(range?: ScanRange & { readonly values?: false | undefined }): AsyncIterable<StateEntry>;
  scan(range: ScanRange & { readonly values: true }): AsyncIterable<StateValue>;
  scan(range?: ScanRange): AsyncIterable<StateEntry>;
  /**
   * How many keys a range holds: the witness of its two ends, whatever the number. It rests on totals that the builder of
   * the map wrote; a scan shows them to be right.
   */
  count(range?: KeyRange): Promise<number>;
}

export interface ValueOptions extends CallOptions {
  /** Largest value to load into memory, in bytes; default 64 MiB. A larger one: `LimitExceeded`, stream its blob. */
  readonly maxValueBytes?: number | undefined;
}

/** A range of keys: those with a prefix, or from (included) to (excluded); neither: all. */
export interface KeyRange extends CallOptions {
  readonly prefix?: Key | undefined;
  readonly from?: Key | undefined;
  readonly to?: Key | undefined;
}

export interface ScanRange extends KeyRange, ValueOptions {
  /** Most entries; the iteration then ends there, with everything up to the last entry proved complete. */
  readonly limit?: number | undefined;
  /**
   * The iteration ends behind the entry with which the bytes of all of them reach this: of key and cell, and with `values`
   * of each value up to 256 KiB. Everything up to that entry is proved complete, and no entry before it reached it.
   */
  readonly maxBytes?: number | undefined;
  /** True to have the values too. */
  readonly values?: boolean | undefined;
}

/** One key, present. */
export interface StateEntry extends BlobReference {
  readonly key: Uint8Array;
  /** The key as text. @throws Malformed - the key is not UTF-8 */
  keyText(): string;
  /** What the cell says beside hash and size (FORMATS §6): expires, media, salted. */
  readonly extension: StateCellExtension;
}

/** One key, present, with its value, which hashes to what its cell says. */
export interface StateValue extends StateEntry {
  readonly bytes: Uint8Array;
  /** The value as text. @throws Malformed - the value is not UTF-8 */
  text(): string;
}

/** A key that two states do not have alike. Absent before: it is new; absent after: it is gone. */
export interface StateChange {
  readonly key: Uint8Array;
  readonly before: StateEntry | undefined;
  /** A `StateValue` where values were asked for and this one is at most 256 KiB. */
  readonly after: StateEntry | StateValue | undefined;
}

export interface DiffOptions extends CallOptions {
  /** True to have the values of keys as they are after, those of at most 256 KiB. */
  readonly values?: boolean | undefined;
}

/** One key asked for. */
export interface Found {
  readonly key: Uint8Array;
  /** Absent where the key is proved absent. */
  readonly value: StateValue | undefined;
}

/**
 * The staged state of a head. Each read takes a fresh verified snapshot, and another one where it was overtaken by writes:
 * for several reads at one root take your own.
 */
export interface HeadState extends StateView {
  readonly head: string;
  put(key: Key, value: string | Uint8Array, options?: ConditionOptions): Promise<Applied>;
  delete(key: Key, options?: ConditionOptions): Promise<Applied>;
  /**
   * All the operations or none, of different keys, at most 10,000. Values over 256 KiB are uploaded first, by
   * themselves. What was recorded is checked before this returns: the client computes the new root itself, from the nodes
   * of the old map that the operations touch; where those take over 1 MiB it compares the two states instead.
   * @throws Conflict - the expected root or a condition does not hold
   * @throws VerificationFailed, IncompleteProof - something else was recorded
   */
  apply(operations: readonly Operation[], options?: ApplyOptions): Promise<Applied>;
  /**
   * Puts any number of keys as one change: the head moves once, at the end, or not at all. Memory is bounded on both
   * sides. Values are at most 256 KiB; of a key that comes twice the later value holds. What comes in ascending order of
   * key (bytewise) costs the least, and into an empty state is checked: the client computes the root itself.
   * It reads all that is staged: for much, into a head with little or about as much.
   * @throws Conflict - the expected root does not hold
   * @throws VerificationFailed - something else was recorded
   */
  load(entries: Iterable<LoadEntry> | AsyncIterable<LoadEntry>, options?: LoadOptions): Promise<Loaded>;
}

/** A key and its value, both text as its UTF-8, or bytes. */
export interface LoadEntry {
  readonly key: Key;
  readonly value: string | Uint8Array;
}

/**
 * An idempotency key is bound to the entries in their order. Entries in an array are sent again where a connection is lost;
 * those that an iterator makes are sent once.
 */
export interface LoadOptions extends WriteOptions {
  /** The staged root must be this, or that of the empty state, or nothing happens: `Conflict`. */
  readonly expectedRoot?: HashArgument | { readonly empty: true } | undefined;
  /** Called with the number of entries that have been sent so far; from none again where they are sent again. */
  readonly onProgress?: ((entries: number) => void) | undefined;
  /** True: take the server's word for the root, which saves computing it. */
  readonly unverified?: boolean | undefined;
}

/** A durable load. */
export interface Loaded {
  /** The staged root that was loaded into: the expected one, where one was given, else as the server says. */
  readonly beforeRoot: MapRoot;
  readonly root: MapRoot;
  /** As in `Applied`; undefined also where it was an earlier load, with the same idempotency key, that was answered. */
  readonly loggedRoot: MapRoot | undefined;
  /** Different keys among the entries. */
  readonly keys: number;
  /** True where `root` was computed here; else it is the server's word, and `diff` from `beforeRoot` shows what it holds. */
  readonly isRootComputed: boolean;
  readonly receipt: Receipt;
}

/** What must hold of a key before: it is absent, or its value has this hash. */
export type Condition = { readonly absent: true } | { readonly hash: HashArgument };

export interface ConditionOptions extends WriteOptions {
  readonly condition?: Condition | undefined;
  /** As in `ApplyOptions`. */
  readonly unverified?: boolean | undefined;
}

/** One change: put a value, put a blob that the database holds, or delete. */
export type Operation =
  | { readonly key: Key; readonly value: string | Uint8Array; readonly condition?: Condition | undefined }
  | { readonly key: Key; readonly blob: BlobReference; readonly condition?: Condition | undefined }
  | { readonly key: Key; readonly delete: true; readonly condition?: Condition | undefined };

export interface ApplyOptions extends WriteOptions {
  /** The staged root must be this, or nothing happens: `Conflict`. */
  readonly expectedRoot?: HashArgument | undefined;
  /**
   * True: take the server's word for both roots. Saves the check of what was recorded, and what it takes on the wire: about
   * 6 KB for one key among a million.
   */
  readonly unverified?: boolean | undefined;
}

/** A durable change, which the client has computed itself unless it was made `unverified`. */
export interface Applied {
  /** The staged root that was changed: the expected one, where one was given, else as the server says. */
  readonly beforeRoot: MapRoot;
  /** The staged root after the change: `beforeRoot` with exactly the operations that were asked for. */
  readonly root: MapRoot;
  /**
   * The staged root of the head that the log contains in the leaf of the receipt: `root`, unless changes of other writers
   * followed in the same leaf. Undefined where that leaf has the head removed, and where the change was `unverified`.
   */
  readonly loggedRoot: MapRoot | undefined;
  readonly receipt: Receipt;
}

/** A verified view of a head. Reads on itself are of the committed state; `staged` has the staged one. */
export interface Snapshot extends StateView {
  readonly head: string;
  /** The newest commit; undefined while there is none: then the committed state is the empty map. */
  readonly commit: CommitRecord | undefined;
  readonly commitHash: CommitHash | undefined;
  readonly stateRoot: MapRoot;
  readonly ledgerRoot: MapRoot;
  readonly staged: StagedView;
  readonly checkpoint: SignedCheckpoint;
  /** When the newest log leaf was written, by the server's clock. */
  readonly logTimeMs: number;
  /** What was verified, to keep as evidence or to hand to others. */
  readonly message: SnapshotMessage;
}

/** A verified view of a tag: the state of its commit. */
export interface TagSnapshot extends StateView {
  readonly tag: string;
  readonly commit: CommitRecord;
  readonly commitHash: CommitHash;
  readonly stateRoot: MapRoot;
  readonly ledgerRoot: MapRoot;
  readonly checkpoint: SignedCheckpoint;
  /** When the newest log leaf was written, by the server's clock. */
  readonly logTimeMs: number;
  /** What was verified, to keep as evidence or to hand to others. */
  readonly message: SnapshotMessage;
}

/**
 * What a head had staged. The server frees it some time after it was replaced, a second at least: then reads are Pruned.
 */
export interface StagedView extends StateView {
  readonly stateRoot: MapRoot;
  readonly ledgerRoot: MapRoot;
}

/** The newest leaf of the log under its checkpoint. */
export interface SeenLog {
  readonly checkpoint: SignedCheckpoint;
  readonly logTimeMs: number;
  readonly refsRoot: MapRoot;
}

/** Bytes from `start` (default 0) up to, not including, `end` (default: the end of the blob). */
export interface BlobRange {
  readonly start?: number | undefined;
  readonly end?: number | undefined;
}

/** One range, and the settings of the call. */
export interface RangeOptions extends BlobRange, CallOptions {}

/** Checked bytes of a blob, and where they lie in it. They belong to the caller. */
export interface BlobPiece {
  readonly start: number;
  readonly bytes: Uint8Array;
}

/** A blob by its hash. */
export interface BlobHandle {
  readonly hash: BlobHash;
  /** The bytes in pieces, each checked before it is handed on. Pieces are of any size and belong to the caller. */
  stream(range?: RangeOptions): AsyncIterable<Uint8Array>;
  /**
   * The bytes at once.
   * @throws LimitExceeded - over `maxBytes`, default 256 MiB
   */
  bytes(range?: RangeOptions & { readonly maxBytes?: number | undefined }): Promise<Uint8Array>;
  /** The bytes as text. @throws Malformed - not UTF-8 */
  text(range?: RangeOptions & { readonly maxBytes?: number | undefined }): Promise<string>;
  /**
   * Parts of it in one call: up to 1,024 ranges, ascending, none beginning before the one before it ends; only the last may
   * leave out its end. Their bytes come in order, in pieces that each lie in one range, checked like those of `stream`: what
   * ranges share of 16 KiB or of its proof travels once.
   */
  ranges(ranges: readonly BlobRange[], options?: CallOptions): AsyncIterable<BlobPiece>;
  /** Its size, proved by its last group. */
  stat(options?: CallOptions): Promise<BlobReference>;
  /**
   * The whole blob in pieces that are checked only when the last has been handed on: cheaper by the parents. Whoever
   * uses a piece before the iteration has ended uses unverified bytes.
   */
  streamUnverifiedUntilEnd(options?: CallOptions): AsyncIterable<Uint8Array>;
}

/** What became of one blob of many that were to be stored. */
export interface BatchedBlob extends BlobReference {
  /** `held`: it was there already, or came earlier in the same call. */
  readonly outcome: "stored" | "held" | "refused";
  /** Why it was refused: over 256 KiB is `InvalidArgument`, and for `putBlob`. */
  readonly refusal: NeleusError | undefined;
}

/** One blob of many. */
export interface FetchedBlob {
  readonly hash: BlobHash;
  /** Absent where the server does not hold it, or it is over 256 KiB: then stream it. */
  readonly bytes: Uint8Array | undefined;
  readonly isHeld: boolean;
}

export interface PutBlobOptions extends CallOptions {
  /**
   * Makes the upload resumable: 1 to 64 characters of A–Z a–z 0–9 . _ -, best random. A second call with the same id and
   * the same content, read from its start again, sends only what the server does not hold yet.
   */
  readonly uploadId?: string | undefined;
  /**
   * What to do where the server says that it holds the content. `skip`, the default: believe it, as one believes that what was
   * sent is kept; whoever reads the blob later checks every byte, and finds out if it was not so. `sample`: read back the
   * last 16 KiB and four others at random, with their proofs, and send everything where they are missing or damaged.
   * `send`: do not ask; the server then reads what it holds, and mends it.
   */
  readonly whenHeld?: "skip" | "sample" | "send" | undefined;
  /** Called with the bytes that the server has been sent so far, those of earlier tries included. */
  readonly onProgress?: ((sentBytes: number) => void) | undefined;
}

/** What a server says of itself: unverified. */
export interface Capabilities {
  readonly version: string;
  readonly features: readonly string[];
  readonly databaseId: string;
  readonly origin: string;
  readonly verifierKey: string;
  /** Of the epoch to come, while it is announced; the proof is in the refs, and nothing here rests on this. */
  readonly nextVerifierKey: string | undefined;
  readonly limits: Readonly<Record<LimitName, number>>;
}

/** The limits that a server reports; bytes and milliseconds where the name says so, else counts. */
export type LimitName =
  | "messageBytes"
  | "keyBytes"
  | "inlineValueBytes"
  | "batchKeys"
  | "batchBlobs"
  | "blobBytes"
  | "heads"
  | "minChunkBytes"
  | "maxChunkBytes"
  | "chunks"
  | "uploadExpiryMs"
  | "freshLeafIntervalMs"
  | "idempotencyKeyCharacters"
  | "requestExpiryMs"
  | "tags"
  | "logWaitMs"
  | "keysOfHead"
  | "headKeys"
  | "pathCommits"
  | "pathBytes";
