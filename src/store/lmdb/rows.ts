// The rows of a store in LMDB: one environment, one named database a space, binary keys and values as they are.
//
// Reads come from the memory map, through one read transaction that is renewed at most once an event turn and never
// outlives one, so that a slow caller pins no pages. Values are copied out: LMDB reuses pages.
//
// Writes: LMDB commits by writing new pages, flushing them (fdatasync) and then writing one of two meta pages through a
// descriptor opened with O_DSYNC (`overlappingSync: false`), so a resolved write is on the device, and a crash at any
// instruction leaves the transaction before or after. Writers of all processes exclude each other by a robust mutex in
// lock.mdb; conditions are checked inside the write transaction, so they hold against all of them.
//
// Cost (bench/store.ts): a read of a node takes a few microseconds, of which half is the copy. Values over about 2 KB take whole 4 KiB pages. Pages
// freed by deletes are used again, but the file never shrinks by itself.
import { realpathSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as eventTurn } from "node:timers/promises";
import { open } from "lmdb";
import type { Database, RootDatabase, RootDatabaseOptionsWithPath } from "lmdb";
import { equalBytes, readU64be, u64be, utf8 } from "../../core/bytes.js";
import { Corrupt, InvalidArgument, Unavailable, assert } from "../../core/errors.js";
import { checkBatch, checkKey, failedCondition } from "../batch.js";
import { SPACES } from "../contract.js";
import type { IterateOptions, LogRange, LogRow, Row, RowName, Space, SyncReader, WriteBatch } from "../contract.js";
import { FILE_MODE } from "../files/file-system.js";
import type { RowSeal } from "../sealing/row-seal.js";
import { checkHeader, findDamage, lookAtPages } from "./data-file.js";
import { DataFileGrowth } from "./growth.js";
import { GroupCommit } from "./group-commit.js";
import { inProcessTurn } from "./process-turn.js";
import { WRITING, causeOfCommit, isOfSystem, lmdbError, noMoreWrites } from "./lmdb-errors.js";

/** Rows read in one event turn: others are served between two pages of a long read. */
const PAGE_ROWS = 256;
/** Processes and read transactions at once; LMDB's own default of 126 is soon used up by many short commands. */
const MAX_READERS = 1_024;

type Rows = Database<Uint8Array, Uint8Array>;

/** What the binding takes and its type declarations leave out. */
interface EnvironmentOptions extends RootDatabaseOptionsWithPath {
  readonly permissionsMode: number;
}

/** What `putSync` returns, and its declaration says it does not: whether there was no such row. */
interface NewRowPut {
  putSync(key: Uint8Array, value: Uint8Array, options: { noOverwrite: true }): unknown;
}

/** What `getStats` returns; its declared type is `{}`. */
interface Statistics {
  readonly entryCount: number;
  readonly pageSize: number;
  readonly lastPageNumber: number;
}

const DATA_FILE = "data.mdb";
/** In the environment's main tree, beside the names of the spaces: says that all rows are sealed (row-seal.ts). */
const MARKER_KEY = utf8("sealed");
/** Looked at whole whenever it is opened. */
const SMALL_FILE_BYTES = 16 * 1024 * 1024;
const BINARY = { encoding: "binary", keyEncoding: "binary" } as const;

/** Which data files have all their pages looked at when they are opened. */
export type PageChecking = "small" | "every";

interface HowToOpen {
  readonly seal: RowSeal | undefined;
  readonly checking: PageChecking;
  /** In the words of an error. */
  readonly doing: string;
}

export class LmdbRows implements SyncReader {
  /** Pages that were looked at when it was opened, all whole; 0 where none were. */
  readonly pagesChecked: number;
  readonly #path: string;
  readonly #place: string;
  readonly #root: RootDatabase<Uint8Array, Uint8Array>;
  readonly #spaces: Readonly<Record<Space, Rows>>;
  readonly #commit: GroupCommit;
  readonly #growth: DataFileGrowth;
  /** Why this process writes no more. */
  #failure: Unavailable | undefined;
  readonly #seal: RowSeal | undefined;
  #closed = false;

  /**
   * Opens the environment in the directory `path`, which is sealed by these keys, or not at all where there are none.
   * @throws Corrupt - not LMDB's files, or cut short; or sealed, and by no such keys
   * @throws InvalidArgument - in clear, and there are keys
   * @throws Unavailable - out of reader slots, memory or disk
   */
  static async open(
    path: string,
    options: { readonly seal?: RowSeal | undefined; readonly checking?: PageChecking } = {},
  ): Promise<LmdbRows> {
    checkHeader(join(path, DATA_FILE));
    const { seal, checking = "small" } = options;
    const rows = await inProcessTurn(realpathSync(path), () =>
      LmdbRows.#environment(path, { seal, checking, doing: "open" }),
    );
    try {
      rows.#requireSealed();
      return rows;
    } catch (error) {
      await rows.close();
      throw error;
    }
  }

  /** Makes an environment in the directory `path`, which has none. */
  static create(path: string, seal?: RowSeal): LmdbRows {
    const rows = LmdbRows.#environment(path, { seal, checking: "small", doing: "create" });
    if (seal !== undefined) rows.#guard(WRITING, () => rows.#root.putSync(MARKER_KEY, seal.marker));
    return rows;
  }

  static #environment(path: string, how: HowToOpen): LmdbRows {
    const options: EnvironmentOptions = {
      ...BINARY,
      path,
      noSubdir: false,
      maxDbs: 16,
      maxReaders: MAX_READERS,
      overlappingSync: false,
      // Off: with it, the binding rejects a promise of its own that nobody holds when a commit fails.
      eventTurnBatching: false,
      permissionsMode: FILE_MODE,
    };
    let root: RootDatabase<Uint8Array, Uint8Array> | undefined;
    try {
      root = open<Uint8Array, Uint8Array>(options);
      // Slots of processes that died while reading would pin old pages for ever.
      root.readerCheck();
      makeWhole(root, join(path, DATA_FILE));
      const pagesChecked = checkPages(root, join(path, DATA_FILE), how.checking);
      return new LmdbRows(path, root, { seal: how.seal, pagesChecked });
    } catch (error) {
      void root?.close();
      throw lmdbError(error, { doing: how.doing, path });
    }
  }

  private constructor(
    path: string,
    root: RootDatabase<Uint8Array, Uint8Array>,
    { seal, pagesChecked }: { readonly seal: RowSeal | undefined; readonly pagesChecked: number },
  ) {
    this.#path = path;
    this.#place = realpathSync(path);
    this.#root = root;
    this.#seal = seal;
    this.pagesChecked = pagesChecked;
    const spaces: Partial<Record<Space, Rows>> = {};
    for (const space of SPACES) spaces[space] = root.openDB<Uint8Array, Uint8Array>({ ...BINARY, name: space });
    this.#spaces = spaces as Record<Space, Rows>;
    this.#growth = new DataFileGrowth(join(path, DATA_FILE));
    this.#commit = new GroupCommit({
      run: (takeAndApply) => this.#runTransaction(takeAndApply),
      prepare: (batches) => this.#growth.reserve(batches, this.#root.getStats() as Statistics),
      apply: (batch) => this.#apply(batch),
    });
  }

  /** Rows lie under other names than their keys. */
  get isSealed(): boolean {
    return this.#seal !== undefined;
  }

  get(space: Space, key: Uint8Array): Uint8Array | undefined {
    this.#assertOpen();
    checkKey(space, key);
    return this.#read(space, key);
  }

  has(space: Space, key: Uint8Array): boolean {
    this.#assertOpen();
    checkKey(space, key);
    return this.#guard("read", () => this.#spaces[space].doesExist(this.nameOf(space, key)));
  }

  async getMany(space: Space, keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    const values: (Uint8Array | undefined)[] = [];
    for (const key of keys) {
      if (values.length > 0 && values.length % PAGE_ROWS === 0) await eventTurn();
      values.push(this.get(space, key));
    }
    return values;
  }

  snapshot(names: readonly RowName[]): (Uint8Array | undefined)[] {
    this.#assertOpen();
    // A fresh read transaction, which stays the current one until the end of this event turn: one instant for all.
    this.#root.resetReadTxn();
    return names.map(({ space, key }) => this.get(space, key));
  }

  async write(batch: WriteBatch): Promise<void> {
    this.#assertOpen();
    checkBatch(batch);
    await this.#commit.write(batch);
  }

  /** See `underWriteLock`. */
  static async locked(path: string, run: () => void): Promise<void> {
    await inProcessTurn(realpathSync(path), async () => {
      const rows = LmdbRows.#environment(path, { seal: undefined, checking: "small", doing: "lock" });
      try {
        rows.#guard("lock", () => rows.#root.transactionSync(run));
      } finally {
        await rows.close();
      }
    });
  }

  async *scanLog(range: LogRange = {}): AsyncIterable<LogRow> {
    const to = range.to ?? Number.MAX_SAFE_INTEGER;
    let from = range.from ?? 0;
    assert(Number.isSafeInteger(from) && from >= 0, `a log scan begins at ${from}`);
    while (from < to) {
      const page = this.#logPage(from, to);
      for (const row of page) {
        yield row;
        from = row.index + 1;
      }
      if (page.length < PAGE_ROWS) return;
      await eventTurn();
    }
  }

  async *iterate(space: Space, options: IterateOptions = {}): AsyncIterable<Uint8Array> {
    let last: Uint8Array | undefined;
    for (;;) {
      const page = this.#namePage(space, last);
      for (const { name, stored } of page) {
        const key = stored === undefined ? name : this.#keyOf(space, { name, stored }, options);
        if (key !== undefined) yield key;
      }
      last = page.at(-1)?.name;
      if (page.length < PAGE_ROWS) return;
      await eventTurn();
    }
  }

  /** The key of a sealed row; undefined where nothing tells it, and that is told. */
  #keyOf(
    space: Space,
    { name, stored }: { readonly name: Uint8Array; readonly stored: Uint8Array },
    { onUnreadable }: IterateOptions,
  ): Uint8Array | undefined {
    try {
      return this.#seal?.keyOf(space, name, stored);
    } catch (error) {
      if (onUnreadable === undefined || !(error instanceof Corrupt)) throw error;
      onUnreadable(error);
      return undefined;
    }
  }

  /** Rows of each space, and the size of the file. */
  usage(): { rows: Record<Space, number>; fileBytes: number } {
    this.#assertOpen();
    return this.#guard("read", () => {
      const rows: Partial<Record<Space, number>> = {};
      for (const space of SPACES) rows[space] = (this.#spaces[space].getStats() as Statistics).entryCount;
      return { rows: rows as Record<Space, number>, fileBytes: statSync(join(this.#path, DATA_FILE)).size };
    });
  }

  /** True where no other process has the environment open, as far as it has read from it. */
  isAlone(): boolean {
    this.#assertOpen();
    // Claims our own slot, so that whoever opens it from now on sees us.
    this.#guard("read", () => this.#spaces.meta.doesExist(new Uint8Array(1)));
    this.#root.readerCheck();
    const pids = [...this.#root.readerList().matchAll(/^ *(\d+) [0-9a-f]+ /gm)].map(([, pid]) => Number(pid));
    return pids.every((pid) => pid === process.pid);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#commit.close();
    await this.#root.close();
    this.#growth.close();
  }

  #assertOpen(): void {
    if (this.#closed) throw new Unavailable("the database is closed");
  }

  #guard<T>(doing: string, run: () => T): T {
    try {
      return run();
    } catch (error) {
      // After some failures LMDB does not even read.
      if (this.#failure !== undefined && isOfSystem(error)) throw this.#failure;
      throw lmdbError(error, { doing, path: this.#path });
    }
  }

  /** Inside a write transaction this reads what the transaction has written so far. */
  #read(space: Space, key: Uint8Array): Uint8Array | undefined {
    return this.#guard("read", () => {
      // One buffer that every read of this thread reuses; its `length` is the value's.
      const name = this.nameOf(space, key);
      const shared = this.#spaces[space].getBinaryFast(name);
      if (shared === undefined) return undefined;
      if (this.#seal !== undefined) return this.#seal.open(space, name, shared.subarray(0, shared.length)).value;
      const value = new Uint8Array(shared.length);
      value.set(shared.subarray(0, shared.length));
      return value;
    });
  }

  #logPage(from: number, to: number): LogRow[] {
    this.#assertOpen();
    return this.#guard("read", () => {
      const range = this.#spaces.log.getRange({ start: u64be(from), end: u64be(to), limit: PAGE_ROWS });
      const rows: LogRow[] = [];
      for (const { key, value } of range)
        rows.push({ index: readU64be(key), value: this.#plainValue("log", key, value) });
      return rows;
    });
  }

  /** Names of rows in their order on the disk; with what they hold where the name does not tell the key. */
  #namePage(space: Space, after: Uint8Array | undefined): NamedRow[] {
    this.#assertOpen();
    return this.#guard("read", () => {
      // No name is shorter than one byte, so the one zero byte is the first possible.
      const options = { start: after ?? new Uint8Array(1), exclusiveStart: after !== undefined, limit: PAGE_ROWS };
      const rows: NamedRow[] = [];
      if (this.#seal === undefined) {
        for (const name of this.#spaces[space].getKeys(options))
          rows.push({ name: plainCopy(name), stored: undefined });
      } else {
        for (const { key, value } of this.#spaces[space].getRange(options)) {
          rows.push({ name: plainCopy(key), stored: plainCopy(value) });
        }
      }
      return rows;
    });
  }

  /** Where a row lies. */
  nameOf(space: Space, key: Uint8Array): Uint8Array {
    return this.#seal === undefined ? key : this.#seal.nameOf(space, key);
  }

  #plainValue(space: Space, name: Uint8Array, stored: Uint8Array): Uint8Array {
    return this.#seal === undefined ? plainCopy(stored) : this.#seal.open(space, name, stored).value;
  }

  /** The environment is sealed by our keys, or not at all. */
  #requireSealed(): void {
    const marker = this.#guard("read", () => this.#root.get(MARKER_KEY));
    if (marker === undefined) {
      if (this.#seal !== undefined) throw inClear(this.#path);
    } else if (this.#seal === undefined) throw isSealed(this.#path);
    else if (!this.#seal.isMarkedBy(marker)) throw sealedByOthers(this.#path);
  }

  async #runTransaction(takeAndApply: () => void): Promise<void> {
    try {
      // A child transaction, because only that is undone when the callback throws.
      await inProcessTurn(this.#place, () => this.#root.childTransaction(takeAndApply));
      this.#root.resetReadTxn();
    } catch (thrown) {
      const cause = await causeOfCommit(thrown);
      const error = lmdbError(cause, { doing: WRITING, path: this.#path });
      // A flush that failed may have lost pages, and a later one that succeeds would not say so; after a failed write of a
      // meta page the binding would wait for ever; after a failed write of another its heap may be damaged (growth.ts).
      if (isOfSystem(cause)) {
        this.#failure ??= noMoreWrites(error, this.#path);
        this.#commit.fail(this.#failure);
      }
      throw error;
    }
  }

  #apply(batch: WriteBatch): Error | undefined {
    const refusal = failedCondition(batch.conditions ?? [], (space, key) => this.#read(space, key));
    if (refusal !== undefined) return refusal;
    for (const row of batch.puts ?? []) this.#put(row);
    for (const { space, key } of batch.deletes ?? []) this.#spaces[space].removeSync(this.nameOf(space, key));
    return undefined;
  }

  /** Rows are rarely there already, so that one way down the tree is enough: looking first would be a second. */
  #put({ space, key, value }: Row): void {
    const rows = this.#spaces[space];
    const put: NewRowPut = rows;
    const name = this.nameOf(space, key);
    const stored = this.#seal === undefined ? value : this.#seal.seal(space, name, { key, value });
    if (put.putSync(name, stored, { noOverwrite: true })) return;
    const present = this.#seal === undefined ? rows.getBinaryFast(name) : this.#read(space, key);
    if (present === undefined || !equalBytes(present, value)) rows.putSync(name, stored);
  }
}

/** Runs something while no process writes to the environment in the directory `path`. It reads and writes nothing in it. */
export function underWriteLock(path: string, run: () => void): Promise<void> {
  return LmdbRows.locked(path, run);
}

/** A row by the name that it has on the disk. */
interface NamedRow {
  readonly name: Uint8Array;
  readonly stored: Uint8Array | undefined;
}

function inClear(path: string): InvalidArgument {
  return new InvalidArgument(`${path} holds data in clear, and the configuration asks for encryption`, {
    field: "encryption.enabled",
    hint: "set encryption.enabled to false again; nothing was written",
    facts: { path },
  });
}

function isSealed(path: string): Corrupt {
  return new Corrupt(`${path} is encrypted, and the configuration says that it is not`, {
    field: "encryption.enabled",
    hint: "restore meta/config.json from a backup: it holds the wrapped keys",
    facts: { path },
  });
}

function sealedByOthers(path: string): Corrupt {
  return new Corrupt(`${path} is encrypted with other keys than those in the configuration`, {
    field: "encryption.data_keys",
    hint: "restore the meta/config.json that belongs to this directory",
    facts: { path },
  });
}

/**
 * Sees to it that no page lies beyond the end of the data file, where touching it would end the process. The last pages
 * may rightly be missing, if a transaction took them and freed them again: then the file is extended with zeros.
 */
function makeWhole(root: RootDatabase<Uint8Array, Uint8Array>, path: string): void {
  const measure = () => {
    const { lastPageNumber, pageSize } = root.getStats() as Statistics;
    return { actual: statSync(path).size, expected: (lastPageNumber + 1) * pageSize };
  };
  const before = measure();
  if (before.actual >= before.expected) return;
  // Under the write lock, and measured again: another process may just be making the file longer.
  root.transactionSync(() => {
    const { actual, expected } = measure();
    if (actual >= expected) return;
    const damage = findDamage(path);
    if (damage === undefined) truncateSync(path, expected);
    else throw cutShort(path, { actual, expected, damage });
  });
}

/**
 * Looks at all pages, where that takes a few milliseconds or `every` is asked for: LMDB trusts what it reads, and damage can
 * end the process without a word. The pages of the newest transaction stay as they are while a read transaction holds them.
 * @throws Corrupt - names the page
 */
function checkPages(root: RootDatabase<Uint8Array, Uint8Array>, path: string, checking: PageChecking): number {
  if (checking === "small" && statSync(path).size > SMALL_FILE_BYTES) return 0;
  const transaction = root.useReadTransaction();
  try {
    const seen = lookAtPages(path);
    // What was being written just then may have been read in part.
    const { damage, pages } = seen.damage === undefined ? seen : root.transactionSync(() => lookAtPages(path));
    if (damage === undefined) return pages;
    throw new Corrupt(`${path} is damaged: ${damage}`, {
      hint: "restore the database from a backup",
      facts: { path },
    });
  } finally {
    transaction.done();
    root.resetReadTxn();
  }
}

function cutShort(path: string, found: { actual: number; expected: number; damage: string }): Corrupt {
  const { actual, expected, damage } = found;
  return new Corrupt(`${path} is cut short: ${actual} bytes of ${expected}, and ${damage}`, {
    hint: "restore the database from a backup",
    facts: { path, expected: String(expected), actual: String(actual) },
  });
}

/** The bytes in an array of their own and of the plain type: the binding returns Buffers, whose `slice` is a view. */
function plainCopy(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}
