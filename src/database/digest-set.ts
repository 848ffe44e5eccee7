// A set of very many digests in little memory: 8 bytes of each, hashed with a key that only this set has.
//
// Of n digests two are taken for one with a chance of n² / 2^65: three in a million for ten million. Nobody can choose
// digests that collide, since the key is random and is never shown. Whoever asks must be able to live with that chance: a
// check that passes over one node in such a case, or a collector that keeps one more.
//
// Memory: 11 to 21 bytes a digest. The table is cut into 256 parts, which grow one by one, so that nobody waits long.
import { assert } from "../core/errors.js";

const PARTS = 256;
const FIRST_SLOTS = 64;
/** A part grows when it is so full. */
const MOST_FULL = 0.75;

/** Two words for a slot; both 0 where it is empty. */
interface Part {
  words: Uint32Array;
  used: number;
}

export class DigestSet {
  readonly #parts: Part[] = Array.from({ length: PARTS }, () => ({ words: new Uint32Array(2 * FIRST_SLOTS), used: 0 }));
  readonly #multipliers: Uint32Array;
  #size = 0;
  #low = 0;
  #high = 0;

  /** `key`: 16 random bytes, which nobody else knows. */
  constructor(key: Uint8Array) {
    assert(key.length >= 16, "the key of a set of digests has 16 bytes");
    const view = new DataView(key.buffer, key.byteOffset, key.length);
    // Odd, so that no word is lost.
    this.#multipliers = Uint32Array.from([0, 4, 8, 12], (offset) => view.getUint32(offset) | 1);
  }

  get size(): number {
    return this.#size;
  }

  /** Bytes that the set takes. */
  get memoryBytes(): number {
    return this.#parts.reduce((sum, { words }) => sum + words.byteLength, 0);
  }

  /** Adds a digest, with what is said of it. @returns false where it was there already */
  add(digest: Uint8Array, about: readonly (number | Uint8Array | undefined)[] = []): boolean {
    const part = this.#hash(digest, about);
    const slot = this.#find(part);
    if (slot < 0) return false;
    part.words[slot] = this.#low;
    part.words[slot + 1] = this.#high;
    part.used += 1;
    this.#size += 1;
    if (2 * part.used > MOST_FULL * part.words.length) grow(part);
    return true;
  }

  /** True where it was added, with the same said of it. */
  has(digest: Uint8Array, about: readonly (number | Uint8Array | undefined)[] = []): boolean {
    return this.#find(this.#hash(digest, about)) < 0;
  }

  /** Sets the two words of a digest, and returns the part that they belong to. */
  #hash(digest: Uint8Array, about: readonly (number | Uint8Array | undefined)[]): Part {
    const [a = 1, b = 1, c = 1, d = 1] = this.#multipliers;
    this.#low = c;
    this.#high = d;
    this.#mix(digest, a, b);
    for (const item of about) {
      if (typeof item === "number") {
        this.#mixWord(item % 2 ** 32, a, b);
        this.#mixWord(Math.floor(item / 2 ** 32), a, b);
      } else if (item === undefined) {
        this.#mixWord(0xffff_ffff, a, b);
      } else {
        this.#mixWord(item.length, a, b);
        this.#mix(item, a, b);
      }
    }
    // The high bits are the best mixed ones of a product: the part comes from these, the slot from the other word.
    if (this.#low === 0 && this.#high === 0) this.#low = 1;
    return this.#parts[this.#high >>> 24] as Part;
  }

  #mix(bytes: Uint8Array, a: number, b: number): void {
    let low = this.#low;
    let high = this.#high;
    for (let index = 0; index < bytes.length; index += 1) {
      const byte = bytes[index] ?? 0;
      low = Math.imul(low ^ byte, a);
      low ^= low >>> 15;
      high = Math.imul(high + byte + 1, b);
      high ^= high >>> 13;
    }
    this.#low = low >>> 0;
    this.#high = high >>> 0;
  }

  #mixWord(word: number, a: number, b: number): void {
    let low = Math.imul(this.#low ^ word, a);
    low ^= low >>> 15;
    let high = Math.imul((this.#high + word + 1) | 0, b);
    high ^= high >>> 13;
    this.#low = low >>> 0;
    this.#high = high >>> 0;
  }

  /** The empty slot where the words belong, or -1 where they are there. */
  #find({ words }: Part): number {
    const mask = words.length - 1;
    const low = this.#low;
    const high = this.#high;
    for (let slot = (2 * low) & mask; ; slot = (slot + 2) & mask) {
      const there = words[slot] ?? 0;
      const above = words[slot + 1] ?? 0;
      if (there === 0 && above === 0) return slot;
      if (there === low && above === high) return -1;
    }
  }
}

function grow(part: Part): void {
  const before = part.words;
  const words = new Uint32Array(2 * before.length);
  const mask = words.length - 1;
  for (let from = 0; from < before.length; from += 2) {
    const low = before[from] ?? 0;
    const high = before[from + 1] ?? 0;
    if (low === 0 && high === 0) continue;
    let slot = (2 * low) & mask;
    while (words[slot] !== 0 || words[slot + 1] !== 0) slot = (slot + 2) & mask;
    words[slot] = low;
    words[slot + 1] = high;
  }
  part.words = words;
}
