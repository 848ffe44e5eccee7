// Rows of one space on their way into the store in bulk: gathered in one array, written as one batch, two of them in turns.
//
// Bulk writes by themselves make much short-lived garbage; copying each row into an array that is used again makes none.
import { assert } from "../core/errors.js";
import { LOAD_BATCH_BYTES } from "../core/limits.js";
import type { Row, Space, Store } from "../store/contract.js";

/** Largest row that is written so: small blobs, and nodes of 64 entries with their hashes, some 92 KiB at most. */
const MAX_ROW_BYTES = 128 * 1024;

/** Writes rows of one space in batches, each while the next one is gathered: two arrays in turns. */
export class BatchWriter {
  readonly #store: Store;
  readonly #space: Space;
  #batch = new RowBatch();
  #written = new RowBatch();
  #writing: Promise<void> | undefined;

  constructor(store: Store, space: Space) {
    this.#store = store;
    this.#space = space;
  }

  /** Takes a row, which is copied. True where the batch is full: then `write` is to be awaited before the next. */
  add(key: Uint8Array, value: Uint8Array): boolean {
    return this.#batch.add(key, value);
  }

  /** Begins to write what was gathered, once the batch before is durable. */
  async write(): Promise<void> {
    await this.#writing;
    const batch = this.#batch;
    if (batch.isEmpty) return;
    this.#writing = this.#store.write({ puts: batch.rows(this.#space) });
    // Waited for before the next one; until then a failure must not count as one that nobody looks at.
    this.#writing.catch(() => undefined);
    this.#batch = this.#written;
    this.#written = batch;
    this.#batch.clear();
  }

  /** Waits until everything is durable. */
  async end(): Promise<void> {
    await this.write();
    await this.#writing;
  }
}

/** Made by a constructor: V8 comes to make literals that all live as long as a batch in the old generation. */
class BatchedRow implements Row {
  constructor(
    readonly space: Space,
    readonly key: Uint8Array,
    readonly value: Uint8Array,
  ) {}
}

/** Rows that are gathered, in one array. */
class RowBatch {
  /** Room for any row behind those that do not fill a batch. */
  readonly #bytes = Buffer.allocUnsafeSlow(LOAD_BATCH_BYTES + MAX_ROW_BYTES);
  /** Where each key and each value ends. */
  #ends: number[] = [];
  #sizeBytes = 0;

  get isEmpty(): boolean {
    return this.#ends.length === 0;
  }

  /** True where there is no more room for a row of any size. */
  add(key: Uint8Array, value: Uint8Array): boolean {
    const keyEnd = this.#sizeBytes + key.length;
    const end = keyEnd + value.length;
    assert(end <= this.#bytes.length, "a row fits");
    this.#bytes.set(key, this.#sizeBytes);
    this.#bytes.set(value, keyEnd);
    this.#ends.push(keyEnd, end);
    this.#sizeBytes = end;
    return end >= LOAD_BATCH_BYTES;
  }

  /** The rows: views, good until `clear`. */
  rows(space: Space): Row[] {
    const rows: Row[] = [];
    let start = 0;
    for (let index = 0; index < this.#ends.length; index += 2) {
      const keyEnd = this.#ends[index] ?? 0;
      const end = this.#ends[index + 1] ?? 0;
      rows.push(new BatchedRow(space, this.#bytes.subarray(start, keyEnd), this.#bytes.subarray(keyEnd, end)));
      start = end;
    }
    return rows;
  }

  clear(): void {
    this.#ends = [];
    this.#sizeBytes = 0;
  }
}
