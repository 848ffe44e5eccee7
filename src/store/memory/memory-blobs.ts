// Large blobs in memory: what the files of the other drivers promise, short of outliving the process.
import { fromHex, toHex } from "../../core/bytes.js";
import { Conflict, Unavailable, assert } from "../../core/errors.js";
import { UPLOAD_EXPIRY_MS } from "../../core/limits.js";
import { MAX_UPLOAD_METADATA_BYTES } from "../contract.js";
import type { CleanUpResult, LargeBlob, LargeBlobs, StageOptions, StagedBlob, UploadState } from "../contract.js";
import { GrowingBytes } from "./growing-bytes.js";

interface StoredBlob {
  readonly content: Uint8Array;
  readonly outboard: Uint8Array;
}

/** An upload, whoever is writing it or nobody. */
interface Upload {
  readonly uploadId: string;
  readonly content: GrowingBytes;
  readonly outboard: GrowingBytes;
  readonly metadata: Uint8Array;
  readonly startedMs: number;
  durableSizeBytes: number;
  touchedMs: number;
}

export class MemoryBlobs implements LargeBlobs {
  readonly #blobs = new Map<string, StoredBlob>();
  readonly #uploads = new Map<string, Upload>();
  readonly #writing = new Set<string>();
  #closed = false;

  async open(hash: Uint8Array): Promise<LargeBlob | undefined> {
    const blob = this.#blobs.get(this.#name(hash));
    return blob === undefined ? undefined : new MemoryBlob(blob);
  }

  async has(hash: Uint8Array): Promise<boolean> {
    return this.#blobs.has(this.#name(hash));
  }

  ensureDurable(hash: Uint8Array): Promise<boolean> {
    return this.has(hash);
  }

  async delete(hash: Uint8Array): Promise<boolean> {
    return this.#blobs.delete(this.#name(hash));
  }

  async *iterate(): AsyncIterable<Uint8Array> {
    this.#assertOpen();
    for (const name of [...this.#blobs.keys()]) {
      if (this.#blobs.has(name)) yield fromHex(name);
      this.#assertOpen();
    }
  }

  async stage(uploadId: string, begin: StageOptions): Promise<StagedBlob> {
    this.#assertOpen();
    checkUploadId(uploadId);
    assert(begin.metadata.length <= MAX_UPLOAD_METADATA_BYTES, `upload metadata of ${begin.metadata.length} bytes`);
    if (this.#writing.has(uploadId)) {
      throw new Conflict(`upload ${uploadId} is being written by another stream`, {
        hint: "wait for that stream to end, then ask where to resume",
        facts: { upload_id: uploadId },
      });
    }
    const upload = this.#uploads.get(uploadId) ?? newUpload(uploadId, new Uint8Array(begin.metadata));
    upload.touchedMs = Date.now();
    this.#uploads.set(uploadId, upload);
    this.#writing.add(uploadId);
    return new MemoryStagedBlob(upload, {
      owns: () => this.#uploads.get(uploadId) === upload,
      publish: (hash, blob) => {
        const name = this.#name(hash);
        if (!this.#blobs.has(name)) this.#blobs.set(name, blob);
      },
      end: (keep) => {
        this.#writing.delete(uploadId);
        if (!keep && this.#uploads.get(uploadId) === upload) this.#uploads.delete(uploadId);
      },
    });
  }

  async findUpload(uploadId: string): Promise<UploadState | undefined> {
    this.#assertOpen();
    checkUploadId(uploadId);
    const upload = this.#uploads.get(uploadId);
    return upload === undefined ? undefined : stateOf(upload);
  }

  async listUploads(): Promise<UploadState[]> {
    this.#assertOpen();
    return [...this.#uploads.values()].map(stateOf);
  }

  async discardUpload(uploadId: string): Promise<boolean> {
    this.#assertOpen();
    checkUploadId(uploadId);
    return this.#uploads.delete(uploadId);
  }

  async cleanUp(): Promise<CleanUpResult> {
    this.#assertOpen();
    let uploads = 0;
    for (const [uploadId, upload] of [...this.#uploads]) {
      if (this.#writing.has(uploadId) || Date.now() - upload.touchedMs < UPLOAD_EXPIRY_MS) continue;
      this.#uploads.delete(uploadId);
      uploads += 1;
    }
    return { uploads, outboards: 0 };
  }

  usage(): { largeBlobs: number; largeBlobsBytes: number; uploads: number } {
    let largeBlobsBytes = 0;
    for (const blob of this.#blobs.values()) largeBlobsBytes += blob.content.length + blob.outboard.length;
    return { largeBlobs: this.#blobs.size, largeBlobsBytes, uploads: this.#uploads.size };
  }

  close(): void {
    this.#closed = true;
  }

  #assertOpen(): void {
    if (this.#closed) throw new Unavailable("the database is closed");
  }

  #name(hash: Uint8Array): string {
    this.#assertOpen();
    assert(hash.length === 32, `a blob's hash is 32 bytes, not ${hash.length}`);
    return toHex(hash);
  }
}

function checkUploadId(uploadId: string): void {
  assert(/^[0-9a-z-]{1,64}$/.test(uploadId), "an upload id of other characters than a–z, 0–9 and -");
}

function newUpload(uploadId: string, metadata: Uint8Array): Upload {
  const now = Date.now();
  const parts = { content: new GrowingBytes(), outboard: new GrowingBytes() };
  return { uploadId, metadata, ...parts, durableSizeBytes: 0, startedMs: now, touchedMs: now };
}

function stateOf({ uploadId, durableSizeBytes, metadata, startedMs, touchedMs }: Upload): UploadState {
  return { uploadId, sizeBytes: durableSizeBytes, metadata: metadata.slice(), startedMs, touchedMs };
}

class MemoryBlob implements LargeBlob {
  readonly #blob: StoredBlob;
  #closed = false;

  constructor(blob: StoredBlob) {
    this.#blob = blob;
  }

  get sizeBytes(): number {
    return this.#blob.content.length;
  }

  get outboardSizeBytes(): number {
    return this.#blob.outboard.length;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    return this.#slice(this.#blob.content, offset, length);
  }

  async readInto(offset: number, into: Uint8Array): Promise<void> {
    into.set(this.#slice(this.#blob.content, offset, into.length));
  }

  async readOutboard(offset: number, length: number): Promise<Uint8Array> {
    return this.#slice(this.#blob.outboard, offset, length);
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #slice(bytes: Uint8Array, offset: number, length: number): Uint8Array {
    if (this.#closed) throw new Unavailable("the blob is closed");
    assert(offset >= 0 && length >= 0 && offset + length <= bytes.length, `bytes ${offset} + ${length} are outside`);
    return bytes.slice(offset, offset + length);
  }
}

/** What an upload asks of the blobs that it belongs to. */
interface UploadOwner {
  owns(): boolean;
  publish(hash: Uint8Array, blob: StoredBlob): void;
  /** The writer is done; `keep` says whether the upload stays to be resumed. */
  end(keep: boolean): void;
}

class MemoryStagedBlob implements StagedBlob {
  readonly #upload: Upload;
  readonly #owner: UploadOwner;
  #ended = false;

  constructor(upload: Upload, owner: UploadOwner) {
    this.#upload = upload;
    this.#owner = owner;
    upload.outboard.resize(0);
  }

  get sizeBytes(): number {
    return this.#upload.content.length;
  }

  get durableSizeBytes(): number {
    return this.#upload.durableSizeBytes;
  }

  get metadata(): Uint8Array {
    return this.#upload.metadata.slice();
  }

  async append(offset: number, bytes: Uint8Array): Promise<void> {
    this.#assertWriting();
    assert(offset === this.sizeBytes, `appending at ${offset} to an upload of ${this.sizeBytes} bytes`);
    this.#upload.content.write(offset, bytes);
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    this.#assertWriting();
    return this.#upload.content.read(offset, length);
  }

  async readInto(offset: number, into: Uint8Array): Promise<void> {
    this.#assertWriting();
    into.set(this.#upload.content.read(offset, into.length));
  }

  async appendOutboard(bytes: Uint8Array): Promise<void> {
    this.#assertWriting();
    this.#upload.outboard.write(this.#upload.outboard.length, bytes);
  }

  async sync(): Promise<void> {
    this.#assertWriting();
    this.#assertOwner();
    this.#upload.durableSizeBytes = this.sizeBytes;
    this.#upload.touchedMs = Date.now();
  }

  async publish(hash: Uint8Array): Promise<void> {
    this.#assertWriting();
    this.#assertOwner();
    const { content, outboard } = this.#upload;
    this.#owner.publish(hash, {
      content: content.read(0, content.length),
      outboard: outboard.read(0, outboard.length),
    });
    this.#end("drop");
  }

  async close(): Promise<void> {
    if (this.#ended) return;
    if (this.#owner.owns()) await this.sync();
    this.#end("keep");
  }

  async discard(): Promise<void> {
    if (!this.#ended) this.#end("drop");
  }

  #end(upload: "keep" | "drop"): void {
    this.#ended = true;
    this.#owner.end(upload === "keep");
  }

  #assertWriting(): void {
    if (this.#ended) throw new Unavailable(`upload ${this.#upload.uploadId} is no longer being written`);
  }

  #assertOwner(): void {
    if (this.#owner.owns()) return;
    throw new Conflict(`upload ${this.#upload.uploadId} was discarded, or taken over by another stream`, {
      hint: "ask where to resume it, or begin it anew",
      facts: { upload_id: this.#upload.uploadId },
    });
  }
}
