// Entries of a load on their way into one message: copied one behind the other into one array, of which keys and values are
// views. An array for each would cost more than all the rest of sending them. The array itself is used for many messages.
import { isWellFormed, utf8 } from "../core/bytes.js";
import { assert, InvalidArgument } from "../core/errors.js";
import { MAX_INLINE_VALUE_BYTES, MAX_KEY_BYTES } from "../core/limits.js";
import type { LoadEntry } from "./contract.js";

/** Entries of one message, at most. */
const MESSAGE_ENTRIES = 4_096;
/** Bytes of one message: any one entry fits. */
const MESSAGE_BYTES = MAX_INLINE_VALUE_BYTES + MAX_KEY_BYTES;

export class LoadMessage {
  keys: Uint8Array[] = [];
  values: Uint8Array[] = [];
  readonly #bytes = Buffer.allocUnsafeSlow(MESSAGE_BYTES);
  #sizeBytes = 0;

  get isEmpty(): boolean {
    return this.keys.length === 0;
  }

  /** Begins another message, which overwrites what the keys and values of this one show. */
  clear(): void {
    this.keys = [];
    this.values = [];
    this.#sizeBytes = 0;
  }

  /**
   * Takes an entry, which is copied; false where there is no room for it, as an empty message always has.
   * @throws InvalidArgument - a key or value that cannot be; `index` is the entry's place in the load
   */
  add(entry: LoadEntry, index: number): boolean {
    if (this.keys.length === MESSAGE_ENTRIES) return false;
    const start = this.#sizeBytes;
    const keyEnd = this.#copy(entry.key, start);
    const valueEnd = keyEnd === undefined ? undefined : this.#copy(entry.value, keyEnd);
    if (keyEnd === undefined || valueEnd === undefined) {
      requireEntry(entry, index);
      assert(!this.isEmpty, "an empty message takes any entry");
      return false;
    }
    const isAllowed = keyEnd > start && keyEnd - start <= MAX_KEY_BYTES && valueEnd - keyEnd <= MAX_INLINE_VALUE_BYTES;
    if (!isAllowed) requireEntry(entry, index);
    this.keys.push(this.#bytes.subarray(start, keyEnd));
    this.values.push(this.#bytes.subarray(keyEnd, valueEnd));
    this.#sizeBytes = valueEnd;
    return true;
  }

  /** Where what was copied ends; undefined where it cannot be, or there is no room. */
  #copy(content: unknown, start: number): number | undefined {
    if (content instanceof Uint8Array) {
      if (start + content.length > MESSAGE_BYTES) return undefined;
      this.#bytes.set(content, start);
      return start + content.length;
    }
    if (typeof content !== "string" || !isWellFormed(content)) return undefined;
    const room = MESSAGE_BYTES - start;
    // Three bytes a unit of UTF-16 at most: most texts need not be measured.
    if (room < 3 * content.length && room < Buffer.byteLength(content)) return undefined;
    return start + this.#bytes.write(content, start);
  }
}

/** Says what is wrong with an entry, if anything is. @throws InvalidArgument */
function requireEntry({ key, value }: LoadEntry, index: number): void {
  const place = `entries[${index}]`;
  const keyBytes = lengthOf(key, `${place}.key`);
  if (keyBytes === 0 || keyBytes > MAX_KEY_BYTES) {
    const field = `${place}.key`;
    throw new InvalidArgument(`${field}: a key is 1 to ${MAX_KEY_BYTES} bytes, not ${keyBytes}`, { field });
  }
  const field = `${place}.value`;
  const valueBytes = lengthOf(value, field);
  if (valueBytes <= MAX_INLINE_VALUE_BYTES) return;
  throw new InvalidArgument(`${field}: at most ${MAX_INLINE_VALUE_BYTES} bytes, not ${valueBytes}`, {
    field,
    hint: "put larger values one by one",
  });
}

function lengthOf(content: unknown, field: string): number {
  if (content instanceof Uint8Array) return content.length;
  if (typeof content !== "string") throw new InvalidArgument(`${field}: expected text or bytes`, { field });
  if (!isWellFormed(content)) throw new InvalidArgument(`${field}: text holds a lone surrogate`, { field });
  return utf8(content).length;
}
