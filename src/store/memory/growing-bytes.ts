// A byte string that grows: a file in memory. Doubles its room as it fills, so that n appends cost O(n) altogether.
import { assert } from "../../core/errors.js";

export class GrowingBytes {
  #room = new Uint8Array(0);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Writes at any offset; a hole before it reads as zeros. */
  write(offset: number, bytes: Uint8Array): void {
    assert(Number.isSafeInteger(offset) && offset >= 0, `writing at ${offset}`);
    if (offset + bytes.length > this.#length) this.resize(offset + bytes.length);
    this.#room.set(bytes, offset);
  }

  /** A copy of exactly these bytes. */
  read(offset: number, length: number): Uint8Array {
    const valid = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
    assert(valid && offset + length <= this.#length, `bytes ${offset} + ${length} of ${this.#length}`);
    return this.#room.slice(offset, offset + length);
  }

  /** Cuts, or extends with zeros. */
  resize(length: number): void {
    if (length > this.#room.length) {
      const room = new Uint8Array(Math.max(length, this.#room.length * 2, 4096));
      room.set(this.#room.subarray(0, this.#length));
      this.#room = room;
    } else if (length < this.#length) {
      this.#room.fill(0, length, this.#length);
    }
    this.#length = length;
  }
}
