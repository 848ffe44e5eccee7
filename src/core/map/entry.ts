// The bytes of one entry of a map node (FORMATS §3), written and read by hand: the general codec costs ten times more,
// and every read, write and proof passes here.
//
//   level 0:    82 ‖ key as a byte string ‖ cell           a cell is a canonical list of at most 256 bytes
//   above it:   83 ‖ last key ‖ 58 20 ‖ 32 bytes of digest ‖ total, an unsigned integer from 1
//
// Reading is as strict as writing: what is accepted here re-encodes to the same bytes. Cells of the usual make (byte
// strings and unsigned integers) are checked in place; any other goes through the general codec, within its entry, so
// that the entry's own list counts as one of the 32 that may be open at once.
import { headSizeBytes, requireCanonical } from "../codec/index.js";
import { Malformed } from "../errors.js";
import type { Digest } from "../hashes.js";
import { MAX_CELL_BYTES, MAX_KEY_BYTES } from "../limits.js";

const LIST_OF_TWO = 0x82;
const LIST_OF_THREE = 0x83;
const BYTES_HEAD = 0x40;
const DIGEST_BYTES = 32;
/** `58 20`: the head of a digest. */
const DIGEST_HEAD_BYTES = 2;

/** Where the parts of an entry lie. Mutable, so that a loop over entries allocates nothing. */
export class EntryFrame {
  keyStart = 0;
  keyEnd = 0;
  /** Keys below the child; above level 0 only. */
  childTotal = 0;
}

/** @throws Malformed - not 1 … 1,024 bytes */
export function requireKey(key: Uint8Array): void {
  if (key.length === 0 || key.length > MAX_KEY_BYTES) {
    throw new Malformed(`a key is 1 to ${MAX_KEY_BYTES} bytes, not ${key.length}`);
  }
}

/**
 * The entry of a key and its cell.
 * @throws Malformed - key not of 1 … 1,024 bytes; cell not a canonical list of at most 256 bytes
 */
export function encodeLeafEntry(key: Uint8Array, cell: Uint8Array): Uint8Array {
  requireKey(key);
  const keyStart = 1 + headSizeBytes(key.length);
  const entry = new Uint8Array(keyStart + key.length + cell.length);
  entry[0] = LIST_OF_TWO;
  writeKey(entry, key);
  entry.set(cell, keyStart + key.length);
  readCell(entry, 0, entry.length, keyStart + key.length);
  return entry;
}

/** A child as its parent's entry describes it. */
export interface ChildEntry {
  readonly lastKey: Uint8Array;
  readonly digest: Digest;
  readonly total: number;
}

/** The entry of a child. From our own code only: lengths and total are taken as right. */
export function encodeChildEntry(child: ChildEntry): Uint8Array {
  const { lastKey, digest, total } = child;
  const keyStart = 1 + headSizeBytes(lastKey.length);
  const digestStart = keyStart + lastKey.length + DIGEST_HEAD_BYTES;
  const entry = new Uint8Array(digestStart + DIGEST_BYTES + headSizeBytes(total));
  entry[0] = LIST_OF_THREE;
  writeKey(entry, lastKey);
  entry[digestStart - 2] = 0x58;
  entry[digestStart - 1] = DIGEST_BYTES;
  entry.set(digest, digestStart);
  writeUnsigned(entry, digestStart + DIGEST_BYTES, total);
  return entry;
}

/**
 * Reads the entry from `start` to `end` of a node of this level, and sets where its parts lie.
 * Limits on key and cell keep it below 1,400 bytes.
 * @throws Malformed - not canonical, or not of the form of its level
 */
export function readEntry(bytes: Uint8Array, start: number, end: number, level: number, frame: EntryFrame): void {
  const head = bytes[start];
  if (end - start < 4 || head !== (level === 0 ? LIST_OF_TWO : LIST_OF_THREE)) {
    throw new Malformed(level === 0 ? "an entry of level 0 is [key, cell]" : "an entry is [last key, digest, total]");
  }
  readKey(bytes, start, frame);
  if (level === 0) readCell(bytes, start, end, frame.keyEnd);
  else frame.childTotal = readChild(bytes, frame.keyEnd, end);
}

function writeKey(entry: Uint8Array, key: Uint8Array): void {
  const { length } = key;
  if (length < 24) {
    entry[1] = BYTES_HEAD | length;
    entry.set(key, 2);
  } else if (length < 256) {
    entry[1] = BYTES_HEAD | 24;
    entry[2] = length;
    entry.set(key, 3);
  } else {
    entry[1] = BYTES_HEAD | 25;
    entry[2] = length >> 8;
    entry[3] = length & 0xff;
    entry.set(key, 4);
  }
}

/** Writes the shortest unsigned integer and returns the offset behind it. */
export function writeUnsigned(target: Uint8Array, offset: number, value: number): number {
  const size = headSizeBytes(value);
  if (size === 1) {
    target[offset] = value;
    return offset + 1;
  }
  target[offset] = size === 2 ? 24 : size === 3 ? 25 : size === 5 ? 26 : 27;
  let rest = value;
  for (let position = offset + size - 1; position > offset; position -= 1) {
    target[position] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return offset + size;
}

/** A key that runs over the end of the entry is refused by what reads on from there. */
function readKey(bytes: Uint8Array, start: number, frame: EntryFrame): void {
  const head = at(bytes, start + 1);
  let length: number;
  let keyStart: number;
  if (head >= BYTES_HEAD && head < BYTES_HEAD + 24) {
    length = head - BYTES_HEAD;
    keyStart = start + 2;
  } else if (head === BYTES_HEAD + 24) {
    length = at(bytes, start + 2);
    keyStart = start + 3;
    if (length < 24) throw new Malformed("the length of a key is not in its shortest form");
  } else if (head === BYTES_HEAD + 25) {
    length = (at(bytes, start + 2) << 8) | at(bytes, start + 3);
    keyStart = start + 4;
    if (length < 256) throw new Malformed("the length of a key is not in its shortest form");
  } else {
    throw new Malformed("the key of an entry is a byte string");
  }
  if (length === 0 || length > MAX_KEY_BYTES) {
    throw new Malformed(`a key is 1 to ${MAX_KEY_BYTES} bytes, not ${length}`);
  }
  frame.keyStart = keyStart;
  frame.keyEnd = keyStart + length;
}

/** Returns the child's total. */
function readChild(bytes: Uint8Array, start: number, end: number): number {
  if (at(bytes, start) !== 0x58 || at(bytes, start + 1) !== DIGEST_BYTES) {
    throw new Malformed("the digest of a child is 32 bytes");
  }
  const offset = start + DIGEST_HEAD_BYTES + DIGEST_BYTES;
  const head = at(bytes, offset);
  const size = head < 24 ? 1 : head < 28 ? 1 + (1 << (head - 24)) : 0;
  if (size === 0 || offset + size !== end) throw new Malformed("the total of a child is one unsigned integer");
  let total = size === 1 ? head : 0;
  for (let position = offset + 1; position < end; position += 1) total = total * 256 + at(bytes, position);
  if (!Number.isSafeInteger(total)) throw new Malformed("the total of a child is beyond 2^53 − 1");
  if (headSizeBytes(total) !== size) throw new Malformed("the total of a child is not in its shortest form");
  if (total === 0) throw new Malformed("the total of a child is 0");
  return total;
}

function readCell(bytes: Uint8Array, start: number, end: number, cellStart: number): void {
  const head = at(bytes, cellStart);
  // 0x80 … 0x97 has its count in the head, 0x98 and 0x99 in one or two bytes more; 256 bytes hold no longer list.
  if (cellStart >= end || head < 0x80 || head > 0x99) throw new Malformed("a cell is a list");
  if (end - cellStart > MAX_CELL_BYTES) {
    throw new Malformed(`a cell has at most ${MAX_CELL_BYTES} bytes, not ${end - cellStart}`);
  }
  if (!isPlainList(bytes, cellStart, end)) requireCanonical(bytes.subarray(start, end));
}

/**
 * True for a list of up to 23 byte strings of up to 255 bytes and unsigned integers up to 2^32 − 1, in canonical form,
 * that fills the range. False says nothing yet.
 */
function isPlainList(bytes: Uint8Array, start: number, end: number): boolean {
  const count = at(bytes, start) - 0x80;
  if (count > 23) return false;
  let offset = start + 1;
  for (let element = 0; element < count; element += 1) {
    if (offset >= end) return false;
    const head = at(bytes, offset);
    if (head < 24) offset += 1;
    else if (head === 24 && at(bytes, offset + 1) >= 24) offset += 2;
    else if (head === 25 && at(bytes, offset + 1) > 0) offset += 3;
    else if (head === 26 && (at(bytes, offset + 1) | at(bytes, offset + 2)) > 0) offset += 5;
    else if (head >= BYTES_HEAD && head < BYTES_HEAD + 24) offset += 1 + head - BYTES_HEAD;
    else if (head === BYTES_HEAD + 24 && at(bytes, offset + 1) >= 24) offset += 2 + at(bytes, offset + 1);
    else return false;
  }
  return offset === end;
}

/** The byte at an offset; 0 past the end of the array, which a length check refuses before or after. */
function at(bytes: Uint8Array, offset: number): number {
  return bytes[offset] ?? 0;
}
