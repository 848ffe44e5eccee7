// Content-addressed bytes (FORMATS §5): small blobs are rows of the store, larger ones files beside it.
//
// Storing what is there already writes nothing, and mends it where it was damaged: a row is compared byte by byte, a file
// read and hashed. Nothing here moves a ref: what is stored is durable, and enters the log with whatever first
// refers to it.
import { hashBlob, computeOutboard } from "../core/blob/index.js";
import { equalBytes, toHex } from "../core/bytes.js";
import { Corrupt, InvalidArgument, LimitExceeded, NotFound } from "../core/errors.js";
import { hashBatch } from "../core/hash/index.js";
import { blobHash } from "../core/hashes.js";
import type { BlobHash } from "../core/hashes.js";
import { LARGE_BLOB_BYTES, MAX_BATCH_BLOBS, MAX_INLINE_VALUE_BYTES, MAX_MESSAGE_BYTES } from "../core/limits.js";
import type { LargeBlob, Row, Store, SyncReader } from "../store/contract.js";
import { FileBlobReader, RowBlobReader, corruptFile, removeIfDamaged } from "./blob-reader.js";
import type { ReadChecking } from "./blob-reader.js";
import { requireHash, requireHashBytes } from "./boundary.js";
import type { BlobReader, BlobRef, Blobs, FoundBlob, PutOutcome } from "./blob-contract.js";
import { missingHash } from "./missing.js";

const HASH_BYTES = 32;
const NO_METADATA = new Uint8Array(0);

/** Bytes with their hash, on their way into the store. */
export interface HashedContent extends BlobRef {
  readonly bytes: Uint8Array;
}

export interface BlobsOptions {
  readonly store: Store;
  readonly rows: SyncReader;
  readonly checking: ReadChecking;
  /** A fresh id for a staged file. */
  readonly newUploadId: () => string;
}

export class DatabaseBlobs implements Blobs {
  readonly #store: Store;
  readonly #rows: SyncReader;
  readonly #checking: ReadChecking;
  readonly #newUploadId: () => string;

  constructor(options: BlobsOptions) {
    this.#store = options.store;
    this.#rows = options.rows;
    this.#checking = options.checking;
    this.#newUploadId = options.newUploadId;
  }

  async put(bytes: Uint8Array): Promise<BlobRef> {
    if (bytes.length > MAX_MESSAGE_BYTES) {
      throw new LimitExceeded(`a blob put in one piece has at most ${MAX_MESSAGE_BYTES} bytes, not ${bytes.length}`, {
        hint: "upload it in pieces",
        facts: { limit: "message_bytes", value: String(MAX_MESSAGE_BYTES) },
      });
    }
    const content = hashed(bytes);
    const rows = await this.prepare([content]);
    if (rows.length > 0) await this.#store.write({ puts: rows });
    return { hash: content.hash, sizeBytes: content.sizeBytes };
  }

  async putMany(blobs: readonly Uint8Array[]): Promise<PutOutcome[]> {
    requireBatch(blobs.length);
    const hashes = hashBatch("blob:", blobs);
    const rows: Row[] = [];
    const seen = new Set<string>();
    const outcomes: PutOutcome[] = [];
    for (const [index, bytes] of blobs.entries()) {
      const hash = blobHash(hashes.slice(index * HASH_BYTES, (index + 1) * HASH_BYTES));
      const sizeBytes = bytes.length;
      const refusal = refusalOf(bytes, index);
      const name = toHex(hash);
      const isHeld =
        refusal === undefined && (seen.has(name) || (await this.#putOne({ hash, sizeBytes, bytes }, rows)));
      if (refusal === undefined) seen.add(name);
      outcomes.push({ hash, sizeBytes, outcome: refusal ? "refused" : isHeld ? "held" : "stored", refusal });
    }
    if (rows.length > 0) await this.#store.write({ puts: rows });
    return outcomes;
  }

  /**
   * Makes large contents durable as files, and returns the rows that are still to be written for the small ones, so
   * that they can be part of the batch that refers to them.
   */
  async prepare(contents: readonly HashedContent[]): Promise<Row[]> {
    const rows: Row[] = [];
    for (const content of contents) await this.#putOne(content, rows);
    return rows;
  }

  /** Makes one large content durable, or adds a small one's row. @returns true where it is there already, and whole */
  async #putOne({ hash, bytes }: HashedContent, rows: Row[]): Promise<boolean> {
    if (bytes.length >= LARGE_BLOB_BYTES) {
      await removeIfDamaged(this.#store.files, hash);
      if (await this.#store.files.ensureDurable(hash)) return true;
      await this.#putFile(hash, bytes);
      return false;
    }
    const there = this.#rows.get("blobs", hash);
    if (there !== undefined && equalBytes(there, bytes)) return true;
    rows.push({ space: "blobs", key: hash, value: bytes });
    return false;
  }

  async findMissing(hashes: readonly Uint8Array[]): Promise<BlobHash[]> {
    requireBatch(hashes.length);
    const checked = hashes.map((hash, index) => blobHash(requireHashBytes(`hashes[${index}]`, hash)));
    const missing: BlobHash[] = [];
    for (const hash of checked) if (!(await this.has(hash))) missing.push(hash);
    return missing;
  }

  async has(hash: BlobHash): Promise<boolean> {
    return this.#rows.has("blobs", hash) || (await this.#store.files.has(hash));
  }

  async isHeld(named: { readonly hash: Uint8Array; readonly sizeBytes: number }): Promise<boolean> {
    const hash = blobHash(requireHashBytes("hash", named.hash));
    if (!(await this.has(hash))) return false;
    try {
      const reader = await this.open(hash);
      await reader.close();
      return reader.sizeBytes === named.sizeBytes;
    } catch (error) {
      // Removed meanwhile, or without an outboard that fits.
      if (error instanceof NotFound || error instanceof Corrupt) return false;
      throw error;
    }
  }

  /**
   * A blob that somebody says is held, of that size. `field` is the request's name for it.
   * @throws NotFound - kind `blob` @throws InvalidArgument - not a hash, or of another size
   */
  async requireHeld(field: string, named: { readonly hash: Uint8Array; readonly sizeBytes: number }): Promise<BlobRef> {
    const hash = blobHash(requireHashBytes(`${field}.hash`, named.hash));
    const sizeBytes = await this.#sizeOf(hash);
    if (sizeBytes === undefined) throw missingHash("blob", hash);
    // Something is about to refer to it.
    if (!this.#rows.has("blobs", hash) && !(await this.#store.files.ensureDurable(hash)))
      throw missingHash("blob", hash);
    if (sizeBytes === named.sizeBytes) return { hash, sizeBytes };
    throw new InvalidArgument(`${field}.size: the blob has ${sizeBytes} bytes, not ${named.sizeBytes}`, {
      field: `${field}.size`,
    });
  }

  async stat(hash: Uint8Array): Promise<BlobRef> {
    const reader = await this.open(hash);
    try {
      const { sizeBytes } = reader;
      // The last group proves the size.
      const last = reader.slices({ start: Math.max(0, sizeBytes - 1), end: sizeBytes });
      while ((await last.next()).done !== true);
      return { hash: reader.hash, sizeBytes };
    } finally {
      await reader.close();
    }
  }

  async find(hash: Uint8Array, limit: { readonly atMostBytes: number }): Promise<FoundBlob | undefined> {
    const name = blobHash(requireHashBytes("hash", hash));
    const row = this.#row(name);
    if (row !== undefined) {
      return { sizeBytes: row.length, bytes: row.length <= limit.atMostBytes ? row : undefined };
    }
    const file = await this.#store.files.open(name);
    if (file === undefined) return undefined;
    try {
      const { sizeBytes } = file;
      if (sizeBytes > limit.atMostBytes) return { sizeBytes, bytes: undefined };
      return { sizeBytes, bytes: await this.#readWhole(name, file) };
    } finally {
      await file.close();
    }
  }

  async open(hash: Uint8Array): Promise<BlobReader> {
    const name = blobHash(requireHashBytes("hash", hash));
    const row = this.#row(name);
    if (row !== undefined) return new RowBlobReader(name, row);
    const file = await this.#store.files.open(name);
    if (file === undefined) throw missingHash("blob", name);
    try {
      return new FileBlobReader({ hash: name, file, checking: this.#checking });
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** The size of a blob as it is stored, or undefined where there is none. */
  async #sizeOf(hash: BlobHash): Promise<number | undefined> {
    const row = this.#row(hash);
    if (row !== undefined) return row.length;
    const file = await this.#store.files.open(hash);
    await file?.close();
    return file?.sizeBytes;
  }

  /** A small blob's bytes, checked; undefined where there is no row. @throws Corrupt */
  #row(hash: BlobHash): Uint8Array | undefined {
    const row = this.#rows.get("blobs", hash);
    if (row !== undefined && this.#checking === "verified") {
      requireHash("blob", { expected: hash, actual: hashBlob(row) });
    }
    return row;
  }

  async #readWhole(hash: BlobHash, file: LargeBlob): Promise<Uint8Array> {
    const bytes = await file.read(0, file.sizeBytes);
    if (this.#checking === "verified" && !equalBytes(hashBlob(bytes), hash)) {
      throw corruptFile(hash, "the stored bytes do not match the hash");
    }
    return bytes;
  }

  async #putFile(hash: BlobHash, bytes: Uint8Array): Promise<void> {
    const staged = await this.#store.files.stage(this.#newUploadId(), {
      metadata: NO_METADATA,
      lifetime: "process",
    });
    try {
      await staged.append(0, bytes);
      await staged.appendOutboard(computeOutboard(bytes));
      await staged.publish(hash);
    } catch (error) {
      await staged.discard();
      throw error;
    }
  }
}

/** Bytes with their hash. */
export function hashed(bytes: Uint8Array): HashedContent {
  return { hash: hashBlob(bytes), sizeBytes: bytes.length, bytes };
}

/** Why a blob does not belong in a batch, if so. */
function refusalOf(bytes: Uint8Array, index: number): InvalidArgument | undefined {
  if (bytes.length <= MAX_INLINE_VALUE_BYTES) return undefined;
  const field = `blobs[${index}]`;
  const message = `${field}: ${bytes.length} bytes, and ${MAX_INLINE_VALUE_BYTES} is the most in a batch`;
  return new InvalidArgument(message, { field, hint: "send it with Upload" });
}

function requireBatch(count: number): void {
  if (count <= MAX_BATCH_BLOBS) return;
  throw new LimitExceeded(`at most ${MAX_BATCH_BLOBS} blobs in one request, not ${count}`, {
    facts: { limit: "batch_blobs", value: String(MAX_BATCH_BLOBS) },
  });
}
