// A store in memory: for tests, and as the plain twin of the drivers that write to disk.
//
// Rows are in one Map a space, keyed by the key's bytes as a string. A batch is checked and applied within one step of
// the event loop, which makes it atomic; nothing outlives the process. Scans and iterations work on a copy of the keys,
// so that they cost memory in proportion to the space.
import { equalBytes, readU64be } from "../../core/bytes.js";
import { Unavailable, assert } from "../../core/errors.js";
import { checkBatch, checkKey, failedCondition } from "../batch.js";
import { SPACES } from "../contract.js";
import type { LogRange, LogRow, RowName, Space, Store, StoreUsage, SyncReader, WriteBatch } from "../contract.js";
import { MemoryBlobs } from "./memory-blobs.js";

interface StoredRow {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

export class MemoryStore implements Store {
  readonly sync: SyncReader;
  readonly files: MemoryBlobs = new MemoryBlobs();
  readonly #spaces = new Map<Space, Map<string, StoredRow>>(SPACES.map((space) => [space, new Map()]));
  #closed = false;

  constructor() {
    this.sync = {
      get: (space, key) => this.#get(space, key)?.slice(),
      has: (space, key) => this.#get(space, key) !== undefined,
    };
  }

  async getMany(space: Space, keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    return keys.map((key) => this.#get(space, key)?.slice());
  }

  async snapshot(rows: readonly RowName[]): Promise<(Uint8Array | undefined)[]> {
    return rows.map(({ space, key }) => this.#get(space, key)?.slice());
  }

  async write(batch: WriteBatch): Promise<void> {
    this.#assertOpen();
    checkBatch(batch);
    const refusal = failedCondition(batch.conditions ?? [], (space, key) => this.#get(space, key)?.slice());
    if (refusal !== undefined) throw refusal;
    for (const { space, key, value } of batch.puts ?? []) {
      const name = nameOf(key);
      const stored = this.#rows(space).get(name);
      if (stored !== undefined && equalBytes(stored.value, value)) continue;
      // Not `slice`: the caller's may be a Buffer, whose slice is a view.
      this.#rows(space).set(name, { key: new Uint8Array(key), value: new Uint8Array(value) });
    }
    for (const { space, key } of batch.deletes ?? []) this.#rows(space).delete(nameOf(key));
    batch.meanwhile?.();
  }

  async *scanLog(range: LogRange = {}): AsyncIterable<LogRow> {
    const from = range.from ?? 0;
    const to = range.to ?? Number.MAX_SAFE_INTEGER;
    assert(Number.isSafeInteger(from) && from >= 0, `a log scan begins at ${from}`);
    this.#assertOpen();
    const rows = [...this.#rows("log").values()].map((row) => ({ index: readU64be(row.key), value: row.value }));
    rows.sort((a, b) => a.index - b.index);
    for (const { index, value } of rows) {
      if (index < from || index >= to) continue;
      yield { index, value: value.slice() };
      this.#assertOpen();
    }
  }

  async *iterate(space: Space): AsyncIterable<Uint8Array> {
    this.#assertOpen();
    for (const [name, row] of [...this.#rows(space)]) {
      if (!this.#rows(space).has(name)) continue;
      yield row.key.slice();
      this.#assertOpen();
    }
  }

  async usage(): Promise<StoreUsage> {
    this.#assertOpen();
    const rows: Partial<Record<Space, number>> = {};
    for (const space of SPACES) rows[space] = this.#rows(space).size;
    return { rows: rows as Record<Space, number>, rowFilesBytes: 0, ...this.files.usage() };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.files.close();
  }

  #assertOpen(): void {
    if (this.#closed) throw new Unavailable("the database is closed");
  }

  #rows(space: Space): Map<string, StoredRow> {
    const rows = this.#spaces.get(space);
    assert(rows !== undefined, `no space ${space}`);
    return rows;
  }

  #get(space: Space, key: Uint8Array): Uint8Array | undefined {
    this.#assertOpen();
    checkKey(space, key);
    return this.#rows(space).get(nameOf(key))?.value;
  }
}

/** One character a byte: distinct for distinct keys, and cheap. Keys are at most 512 bytes. */
function nameOf(key: Uint8Array): string {
  return String.fromCharCode(...key);
}
