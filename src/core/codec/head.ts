// The head of a CBOR item (RFC 8949 §3) under the strict rules of FORMATS §2: one initial byte, then up to eight bytes
// of argument, big-endian, always the shortest form.
//
//   initial byte = major type (3 bits) ‖ additional information (5 bits)
//   0x18 0x18    = unsigned 24        0x58 0x20 …  = 32 bytes        0xa2 … = a map of two members
//
// Shared by the object codec here and by the map's own entry codec. Reading allocates nothing.
import { Malformed } from "../errors.js";

/** Major types in use; 6 (tags) is refused everywhere. */
export const MAJOR_UNSIGNED = 0;
export const MAJOR_NEGATIVE = 1;
export const MAJOR_BYTES = 2;
export const MAJOR_TEXT = 3;
export const MAJOR_LIST = 4;
export const MAJOR_MAP = 5;
/** false, true, null and float64; never a length. */
export const MAJOR_SIMPLE = 7;

export type Major = 0 | 1 | 2 | 3 | 4 | 5 | 7;

/** Arguments of major type 7 that are accepted. */
export const SIMPLE_FALSE = 20;
export const SIMPLE_TRUE = 21;
export const SIMPLE_NULL = 22;
export const SIMPLE_FLOAT64 = 27;

/** Additional information: the argument is in the next 1, 2, 4 or 8 bytes. */
const IN_ONE_BYTE = 24;
const IN_TWO_BYTES = 25;
const IN_FOUR_BYTES = 26;
const IN_EIGHT_BYTES = 27;
const LARGEST_HIGH_WORD = 0x1fffff; // of 2^53 − 1

/** The error of this codec: what rule is broken, and where. */
export function malformedAt(offset: number, rule: string): Malformed {
  return new Malformed(`byte ${offset}: ${rule}`, { facts: { offset: String(offset) } });
}

/**
 * A position in encoded bytes, and the head read last. Mutable, so that a hot loop allocates nothing: `readHead` moves
 * `offset` past the head and sets `major` and `argument`.
 */
export class Cursor {
  readonly bytes: Uint8Array;
  /** The next byte to read. */
  offset: number;
  /** Major type of the head read last. */
  major: Major = MAJOR_UNSIGNED;
  /**
   * Argument of the head read last: the value of an unsigned integer, −1 − value of a negative one, a length in bytes,
   * a number of list elements or of map members, or one of the SIMPLE_… numbers.
   */
  argument = 0;

  constructor(bytes: Uint8Array, offset = 0) {
    this.bytes = bytes;
    this.offset = offset;
  }

  /**
   * Reads one head. After SIMPLE_FLOAT64 the eight bytes of the float follow, unread. Lengths and counts are not yet
   * held against what is left of the input: see `requireLeft`.
   * @throws Malformed - out of bytes; not the shortest form; indefinite length; tag, undefined, short float or simple
   *   value; an integer beyond ±(2^53 − 1)
   */
  readHead(): void {
    const start = this.offset;
    const initial = this.bytes[start];
    if (initial === undefined) throw malformedAt(start, "the input ends where an item should begin");
    const information = initial & 31;
    const major = initial >> 5;
    if (major === 6) throw malformedAt(start, "tags are not allowed");
    this.major = major as Major;
    this.offset = start + 1;
    if (major === MAJOR_SIMPLE) this.argument = simpleArgument(information, start);
    else if (information < IN_ONE_BYTE) this.argument = information;
    else this.argument = this.#longArgument(information, start);
  }

  /** @throws Malformed - fewer than `count` bytes are left */
  requireLeft(count: number): void {
    if (count > this.bytes.length - this.offset) {
      throw malformedAt(this.offset, `${count} more bytes announced, ${this.bytes.length - this.offset} left`);
    }
  }

  /** The float64 at the cursor, which moves past it. @throws Malformed - out of bytes */
  readFloat64(): number {
    this.requireLeft(8);
    const value = new DataView(this.bytes.buffer, this.bytes.byteOffset + this.offset, 8).getFloat64(0);
    this.offset += 8;
    return value;
  }

  #longArgument(information: number, start: number): number {
    if (information > IN_EIGHT_BYTES) {
      throw malformedAt(start, information === 31 ? "indefinite lengths are not allowed" : "reserved head");
    }
    const length = 1 << (information - IN_ONE_BYTE);
    this.requireLeft(length);
    let argument: number;
    if (information === IN_ONE_BYTE) {
      argument = this.#byteAt(start + 1);
      if (argument < IN_ONE_BYTE) throw notShortest(start);
    } else if (information === IN_TWO_BYTES) {
      argument = this.#byteAt(start + 1) * 256 + this.#byteAt(start + 2);
      if (argument <= 0xff) throw notShortest(start);
    } else if (information === IN_FOUR_BYTES) {
      argument = this.#wordAt(start + 1);
      if (argument <= 0xffff) throw notShortest(start);
    } else {
      const high = this.#wordAt(start + 1);
      if (high === 0) throw notShortest(start);
      if (high > LARGEST_HIGH_WORD) throw malformedAt(start, "integer or length beyond 2^53 − 1");
      argument = high * 2 ** 32 + this.#wordAt(start + 5);
      // −1 − argument must not pass −(2^53 − 1) either.
      if (this.major === MAJOR_NEGATIVE && argument === Number.MAX_SAFE_INTEGER) {
        throw malformedAt(start, "integer below −(2^53 − 1)");
      }
    }
    this.offset = start + 1 + length;
    return argument;
  }

  // Callers have checked that the byte is there.
  #byteAt(offset: number): number {
    return this.bytes[offset] ?? 0;
  }

  #wordAt(offset: number): number {
    return (
      this.#byteAt(offset) * 2 ** 24 +
      ((this.#byteAt(offset + 1) << 16) | (this.#byteAt(offset + 2) << 8) | this.#byteAt(offset + 3))
    );
  }
}

function simpleArgument(information: number, start: number): number {
  switch (information) {
    case SIMPLE_FALSE:
    case SIMPLE_TRUE:
    case SIMPLE_NULL:
    case SIMPLE_FLOAT64:
      return information;
    case 23:
      throw malformedAt(start, "undefined is not allowed");
    case 25:
    case 26:
      throw malformedAt(start, "only 64-bit floats are allowed");
    case 31:
      throw malformedAt(start, "break without an indefinite length, which is not allowed");
    default:
      throw malformedAt(start, "simple values other than false, true and null are not allowed");
  }
}

function notShortest(start: number): Malformed {
  return malformedAt(start, "integer or length not in its shortest form");
}

/** Bytes of the shortest head with this argument (0 … 2^53 − 1): 1, 2, 3, 5 or 9. */
export function headSizeBytes(argument: number): number {
  if (argument < IN_ONE_BYTE) return 1;
  if (argument <= 0xff) return 2;
  if (argument <= 0xffff) return 3;
  return argument <= 0xffffffff ? 5 : 9;
}

/** What `writeHead` writes. The simple ones are a single byte each and are not heads with an argument: see `simpleByte`. */
export interface Head {
  readonly major: Exclude<Major, 7>;
  /** 0 … 2^53 − 1. */
  readonly argument: number;
}

/**
 * Writes the shortest head at `offset` and returns the offset behind it. The target has room for it: see
 * `headSizeBytes`.
 */
export function writeHead(target: Uint8Array, offset: number, head: Head): number {
  const { major, argument } = head;
  const top = major << 5;
  const size = headSizeBytes(argument);
  if (size === 1) {
    target[offset] = top | argument;
    return offset + 1;
  }
  target[offset] =
    top | (size === 2 ? IN_ONE_BYTE : size === 3 ? IN_TWO_BYTES : size === 5 ? IN_FOUR_BYTES : IN_EIGHT_BYTES);
  let rest = argument;
  for (let position = offset + size - 1; position > offset; position -= 1) {
    target[position] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return offset + size;
}

/** The one byte that encodes false, true or null, or that a float64 begins with. */
export function simpleByte(argument: number): number {
  return (MAJOR_SIMPLE << 5) | argument;
}
