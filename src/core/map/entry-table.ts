// Entries that lie one behind the other in one array, read once and strictly: what whole and partial nodes share.
//
// Positions count the entries that are here; of a whole node they are its indices. Plain arrays of offsets, no object an
// entry: a scan reads a million of them a second.
import { Malformed } from "../errors.js";
import type { Digest } from "../hashes.js";
import { EntryFrame, readEntry } from "./entry.js";
import { treeOfEntries, type TreeHashes } from "./merkle.js";

/** What an entry table is read from. The array is kept, not copied. */
export interface EntryTableInput {
  readonly level: number;
  readonly bytes: Uint8Array;
  /** Where each entry starts, and behind them where the last one ends; those of other tables may lie before and behind. */
  readonly starts: readonly number[];
  /** Which of them is the first of this table. */
  readonly first: number;
  /** How many are. */
  readonly size: number;
}

/** Reading is not re-entrant, so one frame serves all tables. */
const frame = new EntryFrame();

export class EntryTable {
  readonly level: number;
  readonly size: number;
  readonly bytes: Uint8Array;
  readonly #starts: readonly number[];
  readonly #first: number;
  /** Two numbers an entry: where its key starts and ends. */
  readonly #keys: number[] = [];
  readonly #totals: number[] = [];

  /** @throws Malformed - an entry is not canonical or not of its level's form, or keys do not ascend */
  constructor(input: EntryTableInput) {
    this.level = input.level;
    this.bytes = input.bytes;
    this.#starts = input.starts;
    this.#first = input.first;
    this.size = input.size;
    let start = this.#start(0);
    for (let position = 0; position < this.size; position += 1) {
      const end = this.#start(position + 1);
      readEntry(this.bytes, start, end, this.level, frame);
      start = end;
      this.#keys.push(frame.keyStart, frame.keyEnd);
      if (this.level > 0) this.#totals.push(frame.childTotal);
      if (position > 0 && this.#compareNeighbours(position - 1) >= 0) {
        throw new Malformed("the keys of a node do not ascend");
      }
    }
  }

  /** Key, or last key above level 0. */
  key(position: number): Uint8Array {
    return this.bytes.subarray(this.#keys[2 * position], this.#keys[2 * position + 1]);
  }

  /** Level 0 only. */
  cell(position: number): Uint8Array {
    return this.bytes.subarray(this.#keys[2 * position + 1], this.#start(position + 1));
  }

  /** Above level 0 only. */
  childDigest(position: number): Digest {
    const start = (this.#keys[2 * position + 1] ?? 0) + 2;
    return this.bytes.subarray(start, start + 32);
  }

  /** Above level 0 only. */
  childTotal(position: number): number {
    return this.#totals[position] ?? 0;
  }

  entryBytes(position: number): Uint8Array {
    return this.bytes.subarray(this.#start(position), this.#start(position + 1));
  }

  /** The hashes of the tree over the entries. */
  treeHashes(): TreeHashes {
    const isAll = this.#first === 0 && this.#starts.length === this.size + 1;
    const starts = isAll ? this.#starts : this.#starts.slice(this.#first, this.#first + this.size + 1);
    return treeOfEntries(this.bytes, starts);
  }

  /** Sum of the children's totals; the number of entries at level 0. */
  sumOfTotals(): number {
    if (this.level === 0) return this.size;
    let sum = 0;
    for (const total of this.#totals) sum += total;
    return sum;
  }

  /** The first position whose key is at or above `key`, or `size`. */
  seek(key: Uint8Array): number {
    let low = 0;
    let high = this.size;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.compareKey(middle, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Bytewise: negative where the key at `position` is below `key`, 0 where they are equal. */
  compareKey(position: number, key: Uint8Array): number {
    const { bytes } = this;
    const start = this.#keys[2 * position] ?? 0;
    const length = (this.#keys[2 * position + 1] ?? 0) - start;
    const shared = Math.min(length, key.length);
    for (let index = 0; index < shared; index += 1) {
      const difference = (bytes[start + index] ?? 0) - (key[index] ?? 0);
      if (difference !== 0) return difference;
    }
    return length - key.length;
  }

  /** Where an entry starts, or the last one ends. */
  #start(position: number): number {
    return this.#starts[this.#first + position] ?? 0;
  }

  #compareNeighbours(position: number): number {
    const { bytes } = this;
    const left = this.#keys[2 * position] ?? 0;
    const right = this.#keys[2 * position + 2] ?? 0;
    const leftLength = (this.#keys[2 * position + 1] ?? 0) - left;
    const rightLength = (this.#keys[2 * position + 3] ?? 0) - right;
    const shared = Math.min(leftLength, rightLength);
    for (let index = 0; index < shared; index += 1) {
      const difference = (bytes[left + index] ?? 0) - (bytes[right + index] ?? 0);
      if (difference !== 0) return difference;
    }
    return leftLength - rightLength;
  }
}
