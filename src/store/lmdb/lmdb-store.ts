// The embedded store: rows in LMDB, large blobs in files. Several processes may have one database open at once.
import type { LogRange, LogRow, RowName, Space, Store, StoreUsage, SyncReader, WriteBatch } from "../contract.js";
import { FileBlobs } from "../files/file-blobs.js";
import type { KeyRing } from "../sealing/key-ring.js";
import { RowSeal } from "../sealing/row-seal.js";
import { sealedFormat } from "../sealing/sealed-format.js";
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
   * Opens a store, which is sealed by these keys, or not at all where there are none, and drops its expired uploads.
   * @throws Corrupt - the files of the environment are damaged, or sealed by other keys
   * @throws InvalidArgument - it is in clear, and there are keys
   * @throws Unavailable - out of disk, memory, file handles or reader slots
   */
  static async open(directories: StoreDirectories, keys?: KeyRing): Promise<LmdbStore> {
    const rows = await LmdbRows.open(directories.rows, keys && new RowSeal(keys));
    const store = new LmdbStore(rows, new FileBlobs(directories, keys && sealedFormat(keys)));
    try {
      await store.files.dropExpiredUploads();
      return store;
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  /** Makes a store in directories that hold none: sealed where there are keys. */
  static create(directories: StoreDirectories, keys?: KeyRing): LmdbStore {
    const rows = LmdbRows.create(directories.rows, keys && new RowSeal(keys));
    return new LmdbStore(rows, new FileBlobs(directories, keys && sealedFormat(keys)));
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
