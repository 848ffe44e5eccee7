// The check that every object passes before anything of it is decoded (FORMATS §2): one forward pass, no recursion, no
// allocation beyond a stack of fixed size. It accepts exactly the canonical encodings:
//
//   size ≤ 1 MiB, depth ≤ 32, shortest definite heads, lengths within the input, text in strict UTF-8, map keys text,
//   unique and ascending by (length, bytes), floats of 64 bits that are finite and have a fraction, nothing behind.
//
// Cost: linear in the input, a few microseconds for an object of some hundred bytes.
import { fromUtf8 } from "../bytes.js";
import { Malformed } from "../errors.js";
import { MAX_OBJECT_BYTES, MAX_OBJECT_DEPTH } from "../limits.js";
import {
  Cursor,
  MAJOR_BYTES,
  MAJOR_LIST,
  MAJOR_MAP,
  MAJOR_SIMPLE,
  MAJOR_TEXT,
  SIMPLE_FLOAT64,
  malformedAt,
} from "./head.js";

/** A list or map that is open: what is still to come of it and, of a map, where its last key lies. */
class Open {
  isMap = false;
  /** Elements or members still to come. */
  left = 0;
  keyStart = 0;
  /** −1 before the first key. */
  keyEnd = -1;
}

/**
 * Requires `bytes` to be one canonical item and nothing else.
 * @throws Malformed - with the offset and the rule that is broken
 */
export function requireCanonical(bytes: Uint8Array): void {
  if (bytes.length > MAX_OBJECT_BYTES) {
    throw new Malformed(`an object has at most ${MAX_OBJECT_BYTES} bytes, not ${bytes.length}`);
  }
  const cursor = new Cursor(bytes);
  scanItem(cursor);
  if (cursor.offset < bytes.length) throw malformedAt(cursor.offset, `${bytes.length - cursor.offset} trailing bytes`);
}

function scanItem(cursor: Cursor): void {
  const stack: Open[] = [];
  let depth = 0;
  do {
    const open = depth > 0 ? stack[depth - 1] : undefined;
    if (open !== undefined) {
      open.left -= 1;
      if (open.isMap) scanKey(cursor, open);
    }
    const start = cursor.offset;
    cursor.readHead();
    if (cursor.major === MAJOR_LIST || cursor.major === MAJOR_MAP) {
      if (depth === MAX_OBJECT_DEPTH) throw malformedAt(start, `more than ${MAX_OBJECT_DEPTH} lists and maps open`);
      openAt(cursor, (stack[depth] ??= new Open()));
      depth += 1;
    } else {
      scanScalar(cursor, start);
    }
    // The item just read may have been the last of one or more lists and maps.
    while (depth > 0 && stack[depth - 1]?.left === 0) depth -= 1;
  } while (depth > 0);
}

/** Starts the list or map whose head was read last. */
function openAt(cursor: Cursor, open: Open): void {
  open.isMap = cursor.major === MAJOR_MAP;
  open.left = cursor.argument;
  open.keyEnd = -1;
  // Each element takes a byte at least, each member two, so a count beyond that is refused without walking to the end.
  cursor.requireLeft(open.isMap ? cursor.argument * 2 : cursor.argument);
}

function scanKey(cursor: Cursor, open: Open): void {
  const start = cursor.offset;
  cursor.readHead();
  if (cursor.major !== MAJOR_TEXT) throw malformedAt(start, "a map key is text");
  const keyStart = cursor.offset;
  scanText(cursor);
  if (open.keyEnd >= 0 && compareKeys(cursor.bytes, open, keyStart, cursor.offset) >= 0) {
    throw malformedAt(start, "map keys are unique, and ascend by length, then bytes");
  }
  open.keyStart = keyStart;
  open.keyEnd = cursor.offset;
}

function compareKeys(bytes: Uint8Array, last: Open, start: number, end: number): number {
  const difference = last.keyEnd - last.keyStart - (end - start);
  if (difference !== 0) return difference;
  for (let index = 0; index < end - start; index += 1) {
    const difference = (bytes[last.keyStart + index] ?? 0) - (bytes[start + index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function scanScalar(cursor: Cursor, start: number): void {
  if (cursor.major === MAJOR_TEXT) {
    scanText(cursor);
  } else if (cursor.major === MAJOR_BYTES) {
    cursor.requireLeft(cursor.argument);
    cursor.offset += cursor.argument;
  } else if (cursor.major === MAJOR_SIMPLE && cursor.argument === SIMPLE_FLOAT64) {
    const value = cursor.readFloat64();
    if (!Number.isFinite(value)) throw malformedAt(start, "NaN and infinity are not allowed");
    // −0 is integral as well.
    if (Number.isInteger(value)) throw malformedAt(start, "a number with an integral value is an integer");
  }
}

function scanText(cursor: Cursor): void {
  cursor.requireLeft(cursor.argument);
  const { bytes, offset } = cursor;
  const end = offset + cursor.argument;
  cursor.offset = end;
  for (let index = offset; index < end; index += 1) {
    if ((bytes[index] ?? 0) < 0x80) continue;
    requireUtf8(bytes.subarray(index, end), offset);
    return;
  }
}

function requireUtf8(bytes: Uint8Array, offset: number): void {
  try {
    fromUtf8(bytes);
  } catch (cause) {
    throw new Malformed(`byte ${offset}: text is not valid UTF-8`, { facts: { offset: String(offset) } }, { cause });
  }
}
