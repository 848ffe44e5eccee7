// Rows of an encrypted store (docs/FORMATS.md §8): each is a sealed record of
//
//   u16be(length of the key) ‖ key ‖ value
//
// under a name that only who has the name key can tell from a key. Rows of `log` and `tiles`, whose keys are numbers, keep
// them as names: `log` is read in order, and that a log has so many leaves can be seen anyway.
import { concatBytes, equalBytes, toHex, utf8 } from "../../core/bytes.js";
import { Corrupt, Malformed } from "../../core/errors.js";
import type { Space } from "../contract.js";
import type { KeyRing } from "./key-ring.js";
import { openRecord, placeOf, sealRecord } from "./record.js";

/** A row as a caller knows it. */
export interface PlainRow {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

export class RowSeal {
  readonly #keys: KeyRing;

  constructor(keys: KeyRing) {
    this.#keys = keys;
  }

  /** Where the row with this key lies. */
  nameOf(space: Space, key: Uint8Array): Uint8Array {
    return hasPlainKeys(space) ? key : this.#keys.name(space, key);
  }

  /** The key of a row. @throws Corrupt - the bytes are not what was sealed under this name */
  keyOf(space: Space, name: Uint8Array, stored: Uint8Array): Uint8Array {
    return hasPlainKeys(space) ? name : this.open(space, name, stored).key;
  }

  seal(space: Space, name: Uint8Array, { key, value }: PlainRow): Uint8Array {
    const plaintext = concatBytes(Uint8Array.of(key.length >> 8, key.length & 0xff), key, value);
    return sealRecord(this.#keys.current, placeOf(space, name), plaintext);
  }

  /** @throws Corrupt - the bytes are not what was sealed under this name */
  open(space: Space, name: Uint8Array, stored: Uint8Array): PlainRow {
    try {
      const plaintext = openRecord(this.#keys.find, placeOf(space, name), stored);
      const end = 2 + (((plaintext[0] ?? 0) << 8) | (plaintext[1] ?? 0));
      if (plaintext.length < end) throw new Malformed("a row without its key");
      const key = plaintext.slice(2, end);
      if (!equalBytes(this.nameOf(space, key), name)) throw new Malformed("a row under another's name");
      return { key, value: plaintext.slice(end) };
    } catch (cause) {
      if (!(cause instanceof Malformed)) throw cause;
      throw new Corrupt(`a row of ${space} cannot be opened: ${cause.message}`, {
        hint: "the stored bytes were changed or damaged; restore the database from a backup",
        facts: { kind: "row", space, name: toHex(name) },
      });
    }
  }

  /** What the store itself says of being sealed, so that no edited configuration has it taken for another. */
  get marker(): Uint8Array {
    return sealRecord(this.#keys.current, MARKER_PLACE, MARKER);
  }

  /** True where a marker was made with these keys. */
  isMarkedBy(marker: Uint8Array): boolean {
    try {
      return equalBytes(openRecord(this.#keys.find, MARKER_PLACE, marker), MARKER);
    } catch (error) {
      if (error instanceof Malformed) return false;
      throw error;
    }
  }
}

function hasPlainKeys(space: Space): boolean {
  return space === "log" || space === "tiles";
}

const MARKER = utf8("neleus sealed store v1");
const MARKER_PLACE = placeOf("store", utf8("sealed"));
