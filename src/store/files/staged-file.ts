// An upload being written by this process, in files of its own (upload-parts.ts).
//
// Flushes: three a sync (content, record, directory), one after another; a publish waits for two rounds (content,
// outboard and folders at once, then the folder that names them). Appending flushes nothing. A writer learns that its upload was discarded or taken over when it next
// looks at the record, at `sync` and `publish`; until then it writes into files that nobody else has.
import { dirname } from "node:path";
import { rm, stat } from "node:fs/promises";
import { Conflict, NeleusError, Unavailable, assert } from "../../core/errors.js";
import type { StagedBlob } from "../contract.js";
import { checkRange, flushBlobFolders } from "./blob-file.js";
import type { BlobPaths } from "./blob-file.js";
import type { FileFormat } from "./file-format.js";
import { flushDirectory, makeDirectory, onFileIfThere, renameOver } from "./file-system.js";
import { closeParts } from "./upload-parts.js";
import type { UploadPart, UploadParts } from "./upload-parts.js";
import { readRecord, writeRecord } from "./upload-record.js";
import type { UploadRecord } from "./upload-record.js";

/** What a staged file needs of the blobs that it belongs to. */
export interface StagingPlace {
  readonly uploadId: string;
  /** `wal/<id>.wal`. */
  readonly directory: string;
  readonly format: FileFormat;
  blobPaths(hash: Uint8Array): BlobPaths;
  /** Runs one change of a blob's files at a time, in this process. */
  exclusively<T>(hash: Uint8Array, run: () => Promise<T>): Promise<T>;
  /** Removes the upload's directory. */
  remove(): Promise<unknown>;
  /** Called once, when this process no longer writes the upload. */
  ended(): void;
}

export class StagedFile implements StagedBlob {
  readonly #place: StagingPlace;
  readonly #content: UploadPart;
  readonly #outboard: UploadPart;
  #record: UploadRecord;
  #nameIsDurable = false;
  /** Why nothing more is taken: a flush failed. */
  #failure: NeleusError | undefined;
  #ended = false;

  constructor(place: StagingPlace, parts: UploadParts) {
    this.#place = place;
    this.#content = parts.content;
    this.#outboard = parts.outboard;
    this.#record = parts.record;
  }

  get sizeBytes(): number {
    return this.#content.writer.sizeBytes;
  }

  get durableSizeBytes(): number {
    return this.#record.sizeBytes;
  }

  get metadata(): Uint8Array {
    return this.#record.metadata;
  }

  async append(offset: number, bytes: Uint8Array): Promise<void> {
    this.#assertWriting();
    assert(offset === this.sizeBytes, `appending at ${offset} to an upload of ${this.sizeBytes} bytes`);
    await this.#content.writer.append(bytes);
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    await this.readInto(offset, bytes);
    return bytes;
  }

  async readInto(offset: number, into: Uint8Array): Promise<void> {
    this.#assertWriting();
    checkRange({ offset, length: into.length, sizeBytes: this.sizeBytes });
    await this.#content.writer.fill(offset, into);
  }

  async appendOutboard(bytes: Uint8Array): Promise<void> {
    this.#assertWriting();
    await this.#outboard.writer.append(bytes);
  }

  async sync(): Promise<void> {
    this.#assertWriting();
    await this.#assertOwner();
    const { sizeBytes } = this;
    const tail = await this.#flushing(() => this.#content.writer.sync());
    await this.#saveRecord({ ...this.#record, sizeBytes, tail, touchedMs: Date.now() });
  }

  async publish(hash: Uint8Array): Promise<void> {
    this.#assertWriting();
    const paths = this.#place.blobPaths(hash);
    await this.#assertOwner();
    const parents = await makeFolders(paths.directory);
    // All flushes at once: the file system writes its journal once for them. The folders' too, always: whoever made
    // them may not have come to it yet.
    const { writer: content } = this.#content;
    const { writer: outboard } = this.#outboard;
    await Promise.all([
      this.#flushing(() => content.finish(hash)),
      this.#flushing(() => outboard.finish(hash)),
      ...parents.map(flushDirectory),
    ]);
    await this.#place.exclusively(hash, () => this.#moveIntoPlace(paths));
    await this.#end();
    // The blob is there; what is left of the upload in case of a failure goes when it expires.
    await this.#place.remove().catch(() => false);
  }

  async close(): Promise<void> {
    if (this.#ended) return;
    try {
      // The record stays as it is: what it says to be durable is.
      if (this.#failure !== undefined) return;
      await this.#assertOwner();
      const { sizeBytes } = this;
      const released = await this.#flushing(() => this.#content.writer.release());
      // Where a write failed, whoever goes on takes what was durable before.
      if (released === undefined) return;
      const { tail } = released;
      await this.#saveRecord({ ...this.#record, sizeBytes, tail, released: true, touchedMs: Date.now() });
    } catch (error) {
      // Somebody else has the upload now, or nobody: then there is nothing to keep.
      if (!(error instanceof Conflict)) throw error;
    } finally {
      await this.#end();
    }
  }

  async discard(): Promise<void> {
    if (this.#ended) return;
    const owned = await this.#isOwner();
    await this.#end();
    if (owned) await this.#place.remove();
  }

  #assertWriting(): void {
    if (this.#ended) throw new Unavailable(`upload ${this.#place.uploadId} is no longer being written`);
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Runs what flushes a file. Where it fails, nothing more is taken. */
  async #flushing<T>(run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      if (error instanceof NeleusError) this.#failure = error;
      throw error;
    }
  }

  async #isOwner(): Promise<boolean> {
    const record = await readRecord(this.#place.directory, this.#place.format);
    return record?.content === this.#record.content && record.generation === this.#record.generation;
  }

  async #assertOwner(): Promise<void> {
    if (!(await this.#isOwner())) throw this.#lost();
  }

  #lost(): Conflict {
    const { uploadId } = this.#place;
    return new Conflict(`upload ${uploadId} was discarded, or taken over by another stream`, {
      hint: "ask where to resume it, or begin it anew",
      facts: { upload_id: uploadId },
    });
  }

  async #saveRecord(record: UploadRecord): Promise<void> {
    try {
      await writeRecord(this.#place.directory, record, this.#place.format);
      if (!this.#nameIsDurable) await flushDirectory(dirname(this.#place.directory));
    } catch (error) {
      throw isGone(error) ? this.#lost() : error;
    }
    this.#nameIsDurable = true;
    this.#record = record;
  }

  /** The outboard first, so that no blob is ever seen without one. */
  async #moveIntoPlace(paths: BlobPaths): Promise<void> {
    if ((await isFile(paths.content)) && (await isFile(paths.outboard))) {
      // Whoever put it there may not have come to flush its name.
      await flushBlobFolders(paths.directory);
      return;
    }
    try {
      await renameOver(this.#outboard.path, paths.outboard);
      await renameOver(this.#content.path, paths.content);
    } catch (error) {
      throw isGone(error) ? this.#lost() : error;
    }
    await flushDirectory(paths.directory);
    if (await isFile(paths.outboard)) return;
    // Another process deleted an older copy of this blob between the two renames, and took the new outboard with it.
    await rm(paths.content, { force: true });
    throw new Unavailable(`blob ${paths.content} was deleted while it was being stored`, { hint: "upload it again" });
  }

  async #end(): Promise<void> {
    this.#ended = true;
    try {
      await closeParts({ content: this.#content, outboard: this.#outboard });
    } finally {
      this.#place.ended();
    }
  }
}

/** Makes `aa/bb` if it is not there. Returns the folders that name a part of it, for the caller to flush. */
async function makeFolders(directory: string): Promise<string[]> {
  const first = dirname(directory);
  await makeDirectory(first);
  await makeDirectory(directory);
  return [dirname(first), first];
}

async function isFile(path: string): Promise<boolean> {
  return (await onFileIfThere({ doing: "look at", path }, () => stat(path)))?.isFile() ?? false;
}

/** True for an operation that failed because its file or directory is not there any more. */
function isGone(error: unknown): boolean {
  return error instanceof NeleusError && error.facts["system_code"] === "ENOENT";
}
