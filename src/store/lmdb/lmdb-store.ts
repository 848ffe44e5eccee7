// The embedded store: rows in LMDB, large blobs in files. Several processes may have one database open at once.
import type {
  IterateOptions,
  LogRange,
  LogRow,
  RowName,
  Space,
  Store,
  StoreUsage,
  SyncReader,
  WriteBatch,
} from "../contract.js";
import { enter, leave } from "../directory/presence.js";
import { Presences, type Recovery } from "../directory/recovery.js";
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

interface StoreParts {
  readonly rows: LmdbRows;
  readonly files: FileBlobs;
  readonly uploads: string;
  readonly presence: string | undefined;
}

export class LmdbStore implements Store {
  readonly sync: SyncReader;
  readonly orderOf?: (space: Space, key: Uint8Array) => Uint8Array;
  readonly files: FileBlobs;
  readonly #rows: LmdbRows;
  readonly #uploads: string;
  readonly #presence: string | undefined;
  #recovery: Recovery | undefined;

  /**
   * Opens a store, which is sealed by these keys, or not at all where there are none, recovers it from processes that ended
   * without closing it, and drops its expired uploads.
   * @throws Corrupt - the files of the environment are damaged, or sealed by other keys
   * @throws InvalidArgument - it is in clear, and there are keys
   * @throws Unavailable - out of disk, memory, file handles or reader slots
   */
  static async open(directories: StoreDirectories, keys?: KeyRing): Promise<LmdbStore> {
    const { uploads } = directories;
    // Before the rows are opened: whoever lives of these has a reader slot by then.
    const presences = await Presences.look(uploads);
    const checking = presences.mayBeUnclosed ? "every" : "small";
    const rows = await LmdbRows.open(directories.rows, { seal: keys && new RowSeal(keys), checking });
    let presence: string | undefined;
    try {
      const gone = presences.gone(rows.isAlone());
      presence = await enter(uploads);
      const files = new FileBlobs({ ...directories, owner: presence }, keys && sealedFormat(keys));
      const store = new LmdbStore({ rows, files, uploads, presence });
      await store.#recover(gone);
      await store.files.dropExpiredUploads();
      return store;
    } catch (error) {
      await rows.close();
      if (presence !== undefined) await leave(uploads, presence).catch(() => false);
      throw error;
    }
  }

  /** Makes a store in directories that hold none: sealed where there are keys. */
  static create(directories: StoreDirectories, keys?: KeyRing): LmdbStore {
    const { uploads } = directories;
    const rows = LmdbRows.create(directories.rows, keys && new RowSeal(keys));
    const files = new FileBlobs(directories, keys && sealedFormat(keys));
    return new LmdbStore({ rows, files, uploads, presence: undefined });
  }

  private constructor(parts: StoreParts) {
    this.#rows = parts.rows;
    this.#uploads = parts.uploads;
    this.#presence = parts.presence;
    this.sync = parts.rows;
    this.files = parts.files;
    if (parts.rows.isSealed) this.orderOf = (space, key) => parts.rows.nameOf(space, key);
  }

  /** What opening it did for processes that had not closed it; undefined where there were none, or another reports it. */
  get recovery(): Recovery | undefined {
    return this.#recovery;
  }

  async #recover(gone: readonly string[]): Promise<void> {
    if (gone.length === 0) return;
    const stagedDropped = await this.files.dropStagedOf(new Set(gone));
    let unclosed = 0;
    // Last: what is not finished now is begun again by the next to open it.
    for (const name of gone) if (await leave(this.#uploads, name)) unclosed += 1;
    if (unclosed === 0) return;
    const uploadsKept = (await this.files.listUploads()).length;
    this.#recovery = { unclosed, stagedDropped, uploadsKept, pagesChecked: this.#rows.pagesChecked };
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

  iterate(space: Space, options?: IterateOptions): AsyncIterable<Uint8Array> {
    return this.#rows.iterate(space, options);
  }

  async usage(): Promise<StoreUsage> {
    const { rows, fileBytes } = this.#rows.usage();
    return { rows, rowFilesBytes: fileBytes, ...(await this.files.usage()) };
  }

  async close(): Promise<void> {
    await this.files.close();
    await this.#rows.close();
    // Last: until here it may be looked for.
    if (this.#presence !== undefined) await leave(this.#uploads, this.#presence).catch(() => false);
  }
}
