// Large blobs as files (FORMATS §8): `blobs/aa/bb/<name>` with `<name>.outboard` beside it, uploads in `wal/<name>.wal/`. In
// clear the names are hash and upload id.
//
// What is visible is complete: files come into `blobs/` by renames, the outboard's first, and leave it by removals, the
// content's first. Several processes may work in one directory at once.
import { randomBytes } from "node:crypto";
import { readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { toHex } from "../../core/bytes.js";
import { Conflict, Corrupt, Unavailable, assert } from "../../core/errors.js";
import { UPLOAD_EXPIRY_MS } from "../../core/limits.js";
import { MAX_UPLOAD_METADATA_BYTES } from "../contract.js";
import type {
  CleanUpResult,
  IterateOptions,
  LargeBlob,
  LargeBlobs,
  StageOptions,
  StagedBlob,
  UploadState,
} from "../contract.js";
import { BlobFile, OUTBOARD_SUFFIX, blobPaths, flushBlobFolders, type BlobPaths } from "./blob-file.js";
import type { FileFormat } from "./file-format.js";
import { LEFTOVER_AGE_MS, flushDirectory, makeDirectory, onFile, onFileIfThere, systemCode } from "./file-system.js";
import { plainFormat } from "./plain-format.js";
import { StagedFile } from "./staged-file.js";
import type { StagingPlace } from "./staged-file.js";
import { takeUpload } from "./upload-parts.js";
import { UPLOAD_SUFFIX, readRecord } from "./upload-record.js";

const DISCARDED_PREFIX = ".discarded-";
/** Names of blobs kept in memory: some 100 bytes each. */
const MOST_KNOWN_DURABLE = 4_096;

export class FileBlobs implements LargeBlobs {
  readonly #blobs: string;
  readonly #uploads: string;
  readonly #format: FileFormat;
  /** What is marked as this process's. */
  readonly #owner: string | undefined;
  /** Folders of the uploads that this process is writing. */
  readonly #writing = new Set<string>();
  /** The last change of each blob's files that is in progress, by hash in hex. */
  readonly #changing = new Map<string, Promise<unknown>>();
  /** Blobs whose names are known to be flushed, in hex; forgotten all at once when they are many. */
  readonly #durable = new Set<string>();
  #closed = false;

  /** Works in two existing directories. */
  constructor(
    options: { readonly blobs: string; readonly uploads: string; readonly owner?: string | undefined },
    format: FileFormat = plainFormat,
  ) {
    this.#blobs = options.blobs;
    this.#uploads = options.uploads;
    this.#owner = options.owner;
    this.#format = format;
  }

  async open(hash: Uint8Array): Promise<LargeBlob | undefined> {
    this.#assertOpen();
    requireHash(hash);
    return BlobFile.open(this.#blobs, hash, this.#format);
  }

  async has(hash: Uint8Array): Promise<boolean> {
    this.#assertOpen();
    const { content } = this.#paths(hash);
    return (await onFileIfThere({ doing: "look at", path: content }, () => stat(content))) !== undefined;
  }

  async ensureDurable(hash: Uint8Array): Promise<boolean> {
    if (!(await this.has(hash))) return false;
    const name = toHex(hash);
    if (this.#durable.has(name)) return true;
    await flushBlobFolders(this.#paths(hash).directory);
    if (this.#durable.size >= MOST_KNOWN_DURABLE) this.#durable.clear();
    this.#durable.add(name);
    return true;
  }

  async delete(hash: Uint8Array): Promise<boolean> {
    this.#assertOpen();
    const paths = this.#paths(hash);
    this.#durable.delete(toHex(hash));
    return this.#exclusively(hash, async () => {
      const found = await removeFile(paths.content);
      const outboard = await removeFile(paths.outboard);
      if (found || outboard) await flushDirectory(paths.directory);
      return found;
    });
  }

  async *iterate({ onUnreadable }: IterateOptions = {}): AsyncIterable<Uint8Array> {
    this.#assertOpen();
    for await (const { directory, names } of this.#blobDirectories()) {
      for (const name of names) {
        this.#assertOpen();
        if (/^[0-9a-f]{64}$/.test(name) && join(this.#blobs, name.slice(0, 2), name.slice(2, 4)) === directory) {
          const path = join(directory, name);
          const hash = await this.#format.blobOf(name, path);
          if (hash instanceof Corrupt) {
            if (onUnreadable === undefined) throw hash;
            onUnreadable(hash);
          } else if (hash !== undefined) yield hash;
        }
      }
    }
  }

  async stage(uploadId: string, begin: StageOptions): Promise<StagedBlob> {
    this.#assertOpen();
    const directory = this.#uploadDirectory(uploadId);
    assert(begin.metadata.length <= MAX_UPLOAD_METADATA_BYTES, `upload metadata of ${begin.metadata.length} bytes`);
    if (this.#writing.has(directory)) {
      throw new Conflict(`upload ${uploadId} is being written by another stream`, {
        hint: "wait for that stream to end, then ask where to resume",
        facts: { upload_id: uploadId },
      });
    }
    this.#writing.add(directory);
    try {
      await makeDirectory(directory);
      const owner = begin.lifetime === "process" ? this.#owner : undefined;
      const place = { uploadId, directory, format: this.#format };
      const parts = await takeUpload(place, { metadata: begin.metadata, owner });
      return new StagedFile(this.#stagingPlace(uploadId, directory), parts);
    } catch (error) {
      this.#writing.delete(directory);
      throw error;
    }
  }

  async findUpload(uploadId: string): Promise<UploadState | undefined> {
    this.#assertOpen();
    return this.#stateOf(this.#uploadDirectory(uploadId));
  }

  async #stateOf(directory: string): Promise<UploadState | undefined> {
    const record = await readRecord(directory, this.#format);
    if (record === undefined) return undefined;
    const { uploadId, sizeBytes, metadata, startedMs, touchedMs } = record;
    return { uploadId, sizeBytes, metadata, startedMs, touchedMs };
  }

  async listUploads(): Promise<UploadState[]> {
    this.#assertOpen();
    const states: UploadState[] = [];
    for (const directory of await this.#uploadDirectories()) {
      const state = await this.#stateOf(directory).catch(ignoreCorrupt);
      if (state !== undefined) states.push(state);
    }
    return states;
  }

  async discardUpload(uploadId: string): Promise<boolean> {
    this.#assertOpen();
    return this.#removeUpload(this.#uploadDirectory(uploadId));
  }

  async cleanUp(): Promise<CleanUpResult> {
    return { uploads: await this.dropExpiredUploads(), outboards: await this.#dropOrphanedOutboards() };
  }

  /** Drops what was staged by these processes, which are gone, and cannot be gone on with. Returns how many. */
  async dropStagedOf(owners: ReadonlySet<string>): Promise<number> {
    let dropped = 0;
    for (const directory of await this.#uploadDirectories()) {
      const owner = (await readRecord(directory, this.#format).catch(ignoreCorrupt))?.owner;
      if (owner !== undefined && owners.has(owner) && (await this.#removeUpload(directory))) dropped += 1;
    }
    return dropped;
  }

  /** The part of `cleanUp` that does not look at every blob. */
  async dropExpiredUploads(): Promise<number> {
    this.#assertOpen();
    let dropped = 0;
    for (const name of await this.#names(this.#uploads)) {
      if (name.startsWith(DISCARDED_PREFIX)) await removeTree(join(this.#uploads, name));
    }
    for (const directory of await this.#uploadDirectories()) {
      if (this.#writing.has(directory)) continue;
      const touchedMs = await this.#touchedMs(directory);
      if (touchedMs === undefined || Date.now() - touchedMs < UPLOAD_EXPIRY_MS) continue;
      if (await this.#removeUpload(directory)) dropped += 1;
    }
    return dropped;
  }

  /** Number and bytes of the blobs, and how many uploads are in progress. Looks at every file. */
  async usage(): Promise<{ largeBlobs: number; largeBlobsBytes: number; uploads: number }> {
    let largeBlobs = 0;
    let largeBlobsBytes = 0;
    for await (const { directory, names } of this.#blobDirectories()) {
      for (const name of names) {
        const path = join(directory, name);
        const file = await onFileIfThere({ doing: "look at", path }, () => stat(path));
        if (file === undefined) continue;
        if (!name.endsWith(OUTBOARD_SUFFIX)) largeBlobs += 1;
        largeBlobsBytes += file.size;
      }
    }
    return { largeBlobs, largeBlobsBytes, uploads: (await this.#uploadDirectories()).length };
  }

  /** Takes no new work. Blobs and uploads that are open stay so, and are their holders' to close. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#changing.values());
  }

  #assertOpen(): void {
    if (this.#closed) throw new Unavailable("the database is closed");
  }

  #uploadDirectory(uploadId: string): string {
    // The id becomes a file name. Lower case only: some file systems do not tell the cases apart.
    assert(/^[0-9a-z-]{1,64}$/.test(uploadId), "an upload id of other characters than a–z, 0–9 and -");
    return join(this.#uploads, this.#format.uploadName(uploadId) + UPLOAD_SUFFIX);
  }

  #paths(hash: Uint8Array): BlobPaths {
    requireHash(hash);
    return blobPaths(this.#blobs, this.#format.blobName(hash));
  }

  #stagingPlace(uploadId: string, directory: string): StagingPlace {
    return {
      uploadId,
      directory,
      format: this.#format,
      blobPaths: (hash) => this.#paths(hash),
      exclusively: (hash, run) => this.#exclusively(hash, run),
      remove: () => this.#removeUpload(directory),
      ended: () => void this.#writing.delete(directory),
    };
  }

  async #exclusively<T>(hash: Uint8Array, run: () => Promise<T>): Promise<T> {
    const name = toHex(hash);
    const before = this.#changing.get(name) ?? Promise.resolve();
    const turn = before.then(run, run);
    this.#changing.set(name, turn);
    try {
      return await turn;
    } finally {
      if (this.#changing.get(name) === turn) this.#changing.delete(name);
    }
  }

  /** By a rename first, so that nobody meets it half removed. False if it was not there. */
  async #removeUpload(directory: string): Promise<boolean> {
    const discarded = join(dirname(directory), DISCARDED_PREFIX + randomBytes(8).toString("hex"));
    const moved = await onFileIfThere({ doing: "discard", path: directory }, async () => {
      await rename(directory, discarded);
      return true;
    });
    if (moved === undefined) return false;
    await removeTree(discarded);
    return true;
  }

  async #touchedMs(directory: string): Promise<number | undefined> {
    const state = await this.#stateOf(directory).catch(ignoreCorrupt);
    if (state !== undefined) return state.touchedMs;
    return (await onFileIfThere({ doing: "look at", path: directory }, () => stat(directory)))?.mtimeMs;
  }

  async #uploadDirectories(): Promise<string[]> {
    const names = await this.#names(this.#uploads);
    return names.filter((name) => /^[0-9a-z-]{1,64}\.wal$/.test(name)).map((name) => join(this.#uploads, name));
  }

  async #dropOrphanedOutboards(): Promise<number> {
    let dropped = 0;
    for await (const { directory, names } of this.#blobDirectories()) {
      const present = new Set(names);
      for (const name of names) {
        if (!name.endsWith(OUTBOARD_SUFFIX) || present.has(name.slice(0, -OUTBOARD_SUFFIX.length))) continue;
        const path = join(directory, name);
        const file = await onFileIfThere({ doing: "look at", path }, () => stat(path));
        // By the time of the rename: it may be on the way to be followed by the content's.
        if (file === undefined || Date.now() - file.ctimeMs < LEFTOVER_AGE_MS) continue;
        if (await removeFile(path)) dropped += 1;
      }
    }
    return dropped;
  }

  async *#blobDirectories(): AsyncIterable<{ directory: string; names: string[] }> {
    for (const first of await this.#names(this.#blobs)) {
      for (const second of await this.#names(join(this.#blobs, first))) {
        const directory = join(this.#blobs, first, second);
        yield { directory, names: await this.#names(directory) };
      }
    }
  }

  async #names(path: string): Promise<string[]> {
    return (await onFileIfThere({ doing: "list", path }, () => readdir(path))) ?? [];
  }
}

function requireHash(hash: Uint8Array): void {
  assert(hash.length === 32, `a blob's hash is 32 bytes, not ${hash.length}`);
}

async function removeFile(path: string): Promise<boolean> {
  try {
    await rm(path);
    return true;
  } catch (error) {
    if (systemCode(error) === "ENOENT") return false;
    return onFile({ doing: "remove", path }, () => Promise.reject(error as Error));
  }
}

async function removeTree(path: string): Promise<void> {
  await onFile({ doing: "remove", path }, () => rm(path, { recursive: true, force: true }));
}

function ignoreCorrupt(error: unknown): undefined {
  if (error instanceof Corrupt) return undefined;
  throw error;
}
