// The embedded store: rows in LMDB, large blobs in files. Several processes may have one database open at once.
import type { LogRange, LogRow, RowName, Space, Store, StoreUsage, SyncReader, WriteBatch } from "../contract.js";
import { FileBlobs } from "../files/file-blobs.js";
import { LmdbRows } from "./rows.js";

/** Where the parts of a store lie. All directories exist. */
export interface StoreDirectories {
  /** The LMDB environment. */
  readonly rows: string;
  readonly blobs: string;
  readonly uploads: string;
}

export class LmdbStore implements Store {
  readonly sync: SyncReader;
  readonly files: FileBlobs;
  readonly #rows: LmdbRows;

  /**
   * Opens a store and drops its expired uploads.
   * @throws Corrupt - the files of the environment are damaged
   * @throws Unavailable - out of disk, memory, file handles or reader slots
   */
  static async open(directories: StoreDirectories): Promise<LmdbStore> {
    const store = new LmdbStore(LmdbRows.open(directories.rows), new FileBlobs(directories));
    try {
      await store.files.dropExpiredUploads();
      return store;
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  /** Makes a store in directories that hold none. */
  static create(directories: StoreDirectories): LmdbStore {
    return new LmdbStore(LmdbRows.create(directories.rows), new FileBlobs(directories));
  }

  private constructor(rows: LmdbRows, files: FileBlobs) {
    this.#rows = rows;
    this.sync = rows;
    this.files = files;
  }

  getMany(space: Space, keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    return this.#rows.getMany(space, keys);
  }

  async snapshot(rows: readonly RowName[]): Promise<(Uint8Array | undefined)[]> {
    return this.#rows.snapshot(rows);
  }

  async write(batch: WriteBatch): Promise<void> {
    await this.#rows.write(batch);
  }

  scanLog(range?: LogRange): AsyncIterable<LogRow> {
    return this.#rows.scanLog(range);
  }

  iterate(space: Space): AsyncIterable<Uint8Array> {
    return this.#rows.iterate(space);
  }

  async usage(): Promise<StoreUsage> {
    const { rows, fileBytes } = this.#rows.usage();
    return { rows, rowFilesBytes: fileBytes, ...(await this.files.usage()) };
  }

  async close(): Promise<void> {
    await this.files.close();
    await this.#rows.close();
  }
}
