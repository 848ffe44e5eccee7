// Entries of a state map as callers see them: the cell decoded, the value held against it.
import { hashBlob } from "../core/blob/index.js";
import { equalBytes, fromUtf8, toHex } from "../core/bytes.js";
import { VerificationFailed } from "../core/errors.js";
import type { BlobHash } from "../core/hashes.js";
import { stateCell, type StateCellExtension } from "../core/object/index.js";
import type { StateEntry, StateValue } from "./contract.js";
import { verifying, wrongHash } from "./received.js";

const NO_EXTENSION: StateCellExtension = Object.freeze({});

class Entry implements StateEntry {
  readonly key: Uint8Array;
  readonly hash: BlobHash;
  readonly sizeBytes: number;
  readonly extension: StateCellExtension;

  constructor(fields: Pick<StateEntry, "key" | "hash" | "sizeBytes" | "extension">) {
    this.key = fields.key;
    this.hash = fields.hash;
    this.sizeBytes = fields.sizeBytes;
    this.extension = fields.extension;
  }

  keyText(): string {
    return fromUtf8(this.key);
  }
}

class Value extends Entry implements StateValue {
  readonly bytes: Uint8Array;

  constructor(entry: StateEntry, bytes: Uint8Array) {
    super(entry);
    this.bytes = bytes;
  }

  text(): string {
    return fromUtf8(this.bytes);
  }
}

/** The entry of a key and its proved cell, both copied. @throws VerificationFailed - the cell is no state cell */
export function stateEntry(key: Uint8Array, cell: Uint8Array): StateEntry {
  const name = (): string => `the cell of key ${toHex(key)}`;
  const { hash, size, ext } = verifying(name, () => stateCell.decode(cell));
  return new Entry({ key: new Uint8Array(key), hash, sizeBytes: size, extension: ext ?? NO_EXTENSION });
}

/** The entry with bytes that are known to be its value. */
export function valueOf(entry: StateEntry, bytes: Uint8Array): StateValue {
  return new Value(entry, bytes);
}

/**
 * The entry with the bytes that came as its value, copied.
 * @throws VerificationFailed - another length than the cell says, or another hash
 */
export function checkedValue(entry: StateEntry, received: Uint8Array): StateValue {
  if (received.length !== entry.sizeBytes) {
    const message = `the value of key ${toHex(entry.key)} has ${received.length} bytes; its cell says ${entry.sizeBytes}`;
    throw new VerificationFailed(message, {
      facts: { expected: String(entry.sizeBytes), actual: String(received.length) },
    });
  }
  const bytes = new Uint8Array(received);
  const actual = hashBlob(bytes);
  if (!equalBytes(actual, entry.hash)) throw wrongHash("value", { expected: entry.hash, actual, bytes });
  return new Value(entry, bytes);
}
