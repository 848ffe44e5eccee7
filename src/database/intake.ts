// Bytes of one blob as they arrive: hashed at once, kept in memory while they are few and in a staged file from
// LARGE_BLOB_BYTES on, so that memory stays bounded whatever the blob. The outboard is written beside the content as
// its pairs are completed.
//
// A resumable intake is staged from its first byte and made durable every SYNC_INTERVAL_BYTES. When it goes on after a
// break, the staged bytes are read and hashed once more, in pieces: the state of a hasher is not kept.
import { BlobHasher } from "../core/blob/index.js";
import { concatBytes, equalBytes, toHex } from "../core/bytes.js";
import { Conflict, InvalidArgument, LimitExceeded, assert } from "../core/errors.js";
import type { NeleusError } from "../core/errors.js";
import type { BlobHash } from "../core/hashes.js";
import { DATA_MESSAGE_BYTES, LARGE_BLOB_BYTES, MAX_BLOB_BYTES } from "../core/limits.js";
import type { LargeBlobs, StagedBlob } from "../store/contract.js";
import { removeIfDamaged } from "./blob-reader.js";
import { requireHashBytes } from "./boundary.js";
import type { BlobRef, UploadFinish } from "./blob-contract.js";

/** Pieces of small content kept apart: an array of one byte takes a hundred. */
const MAX_PIECES = 64;
const SYNC_INTERVAL_BYTES = 16 * 1024 * 1024;
/** Pairs wait in memory up to this many bytes. */
const OUTBOARD_BUFFER_BYTES = 64 * 1024;

/** All bytes are here and are what the sender said. */
export interface ClosedIntake extends BlobRef {
  readonly hash: BlobHash;
  /** The content, where it is small: it belongs into a row. */
  readonly small: Uint8Array | undefined;
}

export interface IntakeOptions {
  readonly files: LargeBlobs;
  /** Where to stage the content once it is large. Called at most once. */
  readonly stage: () => Promise<StagedBlob>;
  readonly purpose: "resumable" | "once";
}

export class Intake {
  readonly #options: IntakeOptions;
  readonly #hasher = new BlobHasher();
  /** The content, as long as it is small. */
  #small: Uint8Array[] | undefined = [];
  #staged: StagedBlob | undefined;
  #outboard: Uint8Array[] = [];
  #outboardBytes = 0;
  /** The append in progress, or the last one. */
  #taking: Promise<void> | undefined;
  #closed = false;
  #state: "open" | "checked" | "stored" | "ended" = "open";
  /** What is thrown once it has ended. */
  #ending: NeleusError = new Conflict("this upload has ended", { hint: "begin it again" });

  private constructor(options: IntakeOptions) {
    this.#options = options;
  }

  /** Begins, or goes on with what was staged before. */
  static async begin(options: IntakeOptions): Promise<Intake> {
    const intake = new Intake(options);
    if (options.purpose === "once") return intake;
    const staged = await options.stage();
    intake.#staged = staged;
    try {
      await intake.#hashAgain(staged);
    } catch (error) {
      await staged.close();
      throw error;
    }
    return intake;
  }

  get sizeBytes(): number {
    return this.#hasher.sizeBytes;
  }

  async append(offset: number, bytes: Uint8Array): Promise<void> {
    this.#requireOpen();
    const { sizeBytes } = this;
    if (offset !== sizeBytes) {
      throw new Conflict(`data at offset ${offset}, where the upload stands at ${sizeBytes}`, {
        field: "data.offset",
        hint: "go on at the offset that the server has",
        facts: { offset: String(sizeBytes), received: String(offset) },
      });
    }
    if (sizeBytes + bytes.length > MAX_BLOB_BYTES) {
      throw new LimitExceeded(`a blob has at most ${MAX_BLOB_BYTES} bytes`, {
        facts: { limit: "blob_bytes", value: String(MAX_BLOB_BYTES) },
      });
    }
    if (bytes.length === 0) return;
    // What fails leaves the hasher and the file apart, and so ends the intake.
    this.#state = "ended";
    this.#taking = this.#take(bytes);
    await this.#taking;
    this.#state = "open";
  }

  /**
   * Holds what arrived against what the sender says. After this nothing is appended; `publish` or `close` follow.
   * @throws InvalidArgument - size or hash do not match. After another size the intake stays open; after another hash
   *   there is nothing to go on with, and it is dropped
   */
  async check(claim: UploadFinish): Promise<ClosedIntake> {
    this.#requireOpen();
    const expected = requireHashBytes("finish.hash", claim.hash);
    if (claim.sizeBytes !== this.sizeBytes) {
      throw new InvalidArgument(`finish: ${this.sizeBytes} bytes arrived, not ${claim.sizeBytes}`, {
        field: "finish.size",
        facts: { offset: String(this.sizeBytes) },
      });
    }
    this.#state = "ended";
    const { hash, sizeBytes, outboard } = this.#hasher.finish();
    if (!equalBytes(hash, expected)) {
      const staged = this.#staged;
      this.#staged = undefined;
      await staged?.discard();
      throw new InvalidArgument(`finish: the bytes that arrived have the hash ${toHex(hash)}, not ${toHex(expected)}`, {
        field: "finish.hash",
        hint: "send the blob again from its beginning",
        facts: { expected: toHex(expected), actual: toHex(hash) },
      });
    }
    if (this.#small === undefined) await this.#writeOutboard([outboard]);
    this.#state = "checked";
    return { hash, sizeBytes, small: this.#small === undefined ? undefined : concatBytes(...this.#small) };
  }

  /** Makes a large blob durable and visible. Of a small one the row is the caller's to write, before this. */
  async publish(blob: ClosedIntake): Promise<void> {
    if (this.#closed) throw this.#ending;
    assert(this.#state === "checked", "an intake is checked before it is published");
    if (blob.small === undefined) {
      assert(this.#staged !== undefined, "a large blob is staged");
      // A blob that is there already stays, which is right only if it is whole.
      await removeIfDamaged(this.#options.files, blob.hash);
      await this.#staged.publish(blob.hash);
      this.#staged = undefined;
    }
    this.#state = "stored";
  }

  /**
   * Lets go. What is staged is kept where it can be resumed and is not stored; else it is dropped. Whoever goes on
   * gets `ending`, if given.
   */
  async close(ending?: NeleusError): Promise<void> {
    this.#closed = true;
    if (ending !== undefined) this.#ending = ending;
    await this.#taking?.catch(() => undefined);
    const keep = this.#options.purpose === "resumable" && this.#state !== "stored";
    this.#state = "ended";
    const staged = this.#staged;
    this.#staged = undefined;
    await (keep ? staged?.close() : staged?.discard());
  }

  #requireOpen(): void {
    if (this.#state !== "open" || this.#closed) throw this.#ending;
  }

  async #take(bytes: Uint8Array): Promise<void> {
    const after = this.sizeBytes + bytes.length;
    if (this.#small !== undefined && after < LARGE_BLOB_BYTES) this.#small = joinedPieces(this.#small, bytes);
    else if (this.#small !== undefined) await this.#leaveMemory();
    const offset = this.sizeBytes;
    const written = this.#staged?.append(offset, bytes);
    // Hashed while the file system works.
    this.#hasher.update(bytes);
    await written;
    await this.#drainOutboard();
    await this.#syncNowAndThen();
  }

  /** From here on the content is in the staged file alone. */
  async #leaveMemory(): Promise<void> {
    const content = concatBytes(...(this.#small ?? []));
    if (this.#staged === undefined) {
      this.#staged = await this.#options.stage();
      if (content.length > 0) await this.#staged.append(0, content);
    }
    this.#small = undefined;
  }

  async #drainOutboard(): Promise<void> {
    const pairs = this.#hasher.drainOutboard();
    if (pairs.length === 0) return;
    this.#outboard.push(pairs);
    this.#outboardBytes += pairs.length;
    if (this.#outboardBytes >= OUTBOARD_BUFFER_BYTES) await this.#writeOutboard([]);
  }

  async #writeOutboard(more: readonly Uint8Array[]): Promise<void> {
    const pairs = concatBytes(...this.#outboard, ...more);
    this.#outboard = [];
    this.#outboardBytes = 0;
    if (pairs.length > 0) await this.#staged?.appendOutboard(pairs);
  }

  async #syncNowAndThen(): Promise<void> {
    const staged = this.#staged;
    if (staged === undefined || this.#options.purpose === "once") return;
    if (staged.sizeBytes - staged.durableSizeBytes >= SYNC_INTERVAL_BYTES) await staged.sync();
  }

  async #hashAgain(staged: StagedBlob): Promise<void> {
    const { sizeBytes } = staged;
    if (sizeBytes >= LARGE_BLOB_BYTES) this.#small = undefined;
    while (this.sizeBytes < sizeBytes) {
      const bytes = await staged.read(this.sizeBytes, Math.min(DATA_MESSAGE_BYTES, sizeBytes - this.sizeBytes));
      this.#small?.push(bytes);
      this.#hasher.update(bytes);
      await this.#drainOutboard();
    }
  }
}

/** The pieces and a copy of one more, put together where there are many. */
function joinedPieces(pieces: readonly Uint8Array[], more: Uint8Array): Uint8Array[] {
  return pieces.length < MAX_PIECES ? [...pieces, new Uint8Array(more)] : [concatBytes(...pieces, more)];
}
