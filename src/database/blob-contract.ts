// The surface of the engine for blobs: bytes by their hash, whole, in slices, and as they arrive. What holds throughout is in
// contract.ts.
import type { ByteRange, ByteRanges, SlicePart } from "../core/blob/index.js";
import type { InvalidArgument } from "../core/errors.js";
import type { BlobHash } from "../core/hashes.js";

/** A blob and its size. */
export interface BlobRef {
  readonly hash: BlobHash;
  readonly sizeBytes: number;
}

/** What a look at a blob found. */
export interface FoundBlob {
  readonly sizeBytes: number;
  /** The content, verified; absent where it is larger than asked for. */
  readonly bytes: Uint8Array | undefined;
}

/** What became of one blob of many: `held` is one that was there, in the store or earlier among them. */
export interface PutOutcome extends BlobRef {
  readonly outcome: "stored" | "held" | "refused";
  /** Why it was refused. */
  readonly refusal: InvalidArgument | undefined;
}

/** Content-addressed bytes of any size. */
export interface Blobs {
  /**
   * Stores bytes, whatever their size below MAX_MESSAGE_BYTES; larger ones go by `uploads`. Durable when it resolves.
   * Bytes that are there already cost a look.
   */
  put(bytes: Uint8Array): Promise<BlobRef>;
  /**
   * Stores many, in order, durable together when it resolves. One over MAX_INLINE_VALUE_BYTES is refused, and the others
   * are stored. @throws LimitExceeded - over MAX_BATCH_BLOBS
   */
  putMany(blobs: readonly Uint8Array[]): Promise<PutOutcome[]>;
  /** Those that the database does not hold, in the order asked for. @throws LimitExceeded - over MAX_BATCH_BLOBS */
  findMissing(hashes: readonly Uint8Array[]): Promise<BlobHash[]>;
  /**
   * Whether content of this hash and size is there: by the sizes of its files, which are not read. One that could not
   * be opened for reading counts as absent, so that whoever has it sends it, which mends it.
   */
  isHeld(named: UploadFinish): Promise<boolean>;
  /** @throws NotFound - kind `blob` */
  stat(hash: Uint8Array): Promise<BlobRef>;
  /** The whole blob where it is at most this large, or its size alone; undefined where there is none. @throws Corrupt */
  find(hash: Uint8Array, limit: { readonly atMostBytes: number }): Promise<FoundBlob | undefined>;
  /** For reading; close it. @throws NotFound - kind `blob` */
  open(hash: Uint8Array): Promise<BlobReader>;
}

/**
 * What a stream may keep for a peer who takes its time: less, the more all streams together keep, so that a thousand which
 * nobody reads take little more memory than thirty.
 */
export interface StreamMemory {
  /** Bytes that the next message should have, at most `mostBytes`. What cannot be cut may be larger. */
  messageBytes(mostBytes: number): number;
  /** Says what the stream keeps besides, from now until it says so again or ends. Returns what it may: `wantedBytes`, or less. */
  keep(wantedBytes: number): number;
}

/** A blob open for reading. */
export interface BlobReader extends BlobRef {
  /**
   * The slice of a range, or of several in ascending order, in parts of at most DATA_MESSAGE_BYTES of content; no item of
   * the walk is cut in two. `range` absent: all of it. A part is lent: its bytes are good until the next is asked for.
   * `memory` is asked for room; absent: parts are as large as they may be, and the next few are read ahead.
   * @throws InvalidArgument - a range that is empty or passes the end (only the empty blob has an empty range)
   * @throws Corrupt - content or outboard do not match the hash
   */
  slices(range?: ByteRanges, memory?: StreamMemory): AsyncGenerator<SlicePart, void, undefined>;
  /** Exactly the bytes of the range, checked and lent likewise, in parts of at most DATA_MESSAGE_BYTES. The rest as of `slices`. */
  bytes(range?: ByteRange, memory?: StreamMemory): AsyncGenerator<Uint8Array, void, undefined>;
  close(): Promise<void>;
}

/** What a caller says that it has sent. */
export interface UploadFinish {
  readonly sizeBytes: number;
  /** `H_blob` of the whole, 32 bytes. */
  readonly hash: Uint8Array;
}

/** How a finish is to go on. */
export interface FinishOptions {
  /** Ends it, with its reason, until what it does is about to be seen. */
  readonly signal?: AbortSignal | undefined;
}

/** Bytes arriving for a `T`. One stream at a time, calls one after the other. Close it, also after `finish`. */
export interface Incoming<T> {
  /** Where the next byte goes. */
  readonly sizeBytes: number;
  /**
   * @throws Conflict - an offset other than `sizeBytes` (`facts.offset` is the right one), or the upload was taken over
   * @throws LimitExceeded - over MAX_BLOB_BYTES
   */
  append(offset: number, bytes: Uint8Array): Promise<void>;
  /** Checks size and hash against what arrived, then stores it all. @throws InvalidArgument - they do not match */
  finish(claim: UploadFinish, options?: FinishOptions): Promise<T>;
  /** Without `finish`: a resumable upload is kept for 24 hours, any other is dropped. */
  close(): Promise<void>;
}

export type Upload = Incoming<BlobRef>;

/** Blobs that arrive in pieces. */
export interface Uploads {
  /**
   * Begins an upload, or goes on with the one of this id: then what arrived before is read and hashed once more.
   * @throws InvalidArgument - an id not of 1 to 64 characters of A-Z a-z 0-9 . _ -
   * @throws Conflict - the id is in use @throws LimitExceeded - MAX_UPLOADS are in progress
   */
  begin(options?: { readonly uploadId?: string | undefined }): Promise<Upload>;
  /** Bytes that need not be sent again; 0 for an id that is not known. @throws InvalidArgument - no valid id */
  query(uploadId: string): Promise<number>;
  /**
   * Drops uploads that nobody has touched for UPLOAD_EXPIRY_MS, and says how many. Opening does so too; this is for
   * servers that stay up.
   */
  dropExpired(): Promise<number>;
}
