// Value → bytes: the one canonical encoding of FORMATS §2, or an error that names the place. Values come from callers
// who may hold anything, so every type is checked; depth is bounded, which also ends cyclic input.
import { compareBytes, isWellFormed } from "../bytes.js";
import { InvalidArgument } from "../errors.js";
import { MAX_OBJECT_BYTES, MAX_OBJECT_DEPTH } from "../limits.js";
import {
  MAJOR_BYTES,
  MAJOR_LIST,
  MAJOR_MAP,
  MAJOR_NEGATIVE,
  MAJOR_TEXT,
  MAJOR_UNSIGNED,
  SIMPLE_FALSE,
  SIMPLE_FLOAT64,
  SIMPLE_NULL,
  SIMPLE_TRUE,
  headSizeBytes,
  simpleByte,
  writeHead,
} from "./head.js";
import type { Head } from "./head.js";
import { formatPath } from "./path.js";
import { isValueMap } from "./value.js";
import type { Value } from "./value.js";

/**
 * The canonical encoding of a value (FORMATS §2): map keys sorted, integral floats within ±(2^53 − 1) and −0 written as
 * integers. Absent members are left out by the caller; an undefined one is refused. Byte strings may be views.
 * @throws InvalidArgument - `field` is the path of what cannot be encoded: undefined, NaN, infinity, an integral number
 *   beyond ±(2^53 − 1), a lone surrogate, bigint, function, symbol, class instance, hole; or depth over 32 (so also a
 *   cycle), or size over 1 MiB
 */
export function encode(value: Value): Uint8Array {
  const encoder = new Encoder();
  encoder.write(value);
  return encoder.finish();
}

const INITIAL_BYTES = 256;
/** Texts up to this long are tried as ASCII first, which beats calling the platform's encoder. */
const SHORT_TEXT_UNITS = 32;
const textEncoder = new TextEncoder();

function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) if (text.charCodeAt(index) >= 0x80) return false;
  return true;
}

class Encoder {
  #bytes = new Uint8Array(INITIAL_BYTES);
  #length = 0;
  readonly #path: (string | number)[] = [];
  #depth = 0;

  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  write(value: unknown): void {
    if (typeof value === "number") this.#writeNumber(value);
    else if (typeof value === "string") this.#writeText(value);
    else if (typeof value === "boolean") this.#writeSimple(value ? SIMPLE_TRUE : SIMPLE_FALSE);
    else if (value === null) this.#writeSimple(SIMPLE_NULL);
    else if (value instanceof Uint8Array) this.#writeBytes(value);
    else if (typeof value === "object") this.#writeContainer(value);
    else throw this.#refusal(`${typeof value} cannot be encoded`);
  }

  #writeBytes(bytes: Uint8Array): void {
    this.#writeHead(MAJOR_BYTES, bytes.length);
    this.#append(bytes);
  }

  #writeContainer(value: object): void {
    if (this.#depth === MAX_OBJECT_DEPTH) throw this.#refusal(`more than ${MAX_OBJECT_DEPTH} lists and maps open`);
    this.#depth += 1;
    if (Array.isArray(value)) this.#writeList(value);
    else if (isValueMap(value)) this.#writeMap(value);
    else throw this.#refusal("an instance of a class cannot be encoded");
    this.#depth -= 1;
  }

  #writeNumber(value: number): void {
    if (Number.isSafeInteger(value)) {
      // −0 lands in the first branch, as 0.
      if (value >= 0) this.#writeHead(MAJOR_UNSIGNED, value);
      else this.#writeHead(MAJOR_NEGATIVE, -1 - value);
      return;
    }
    if (!Number.isFinite(value)) throw this.#refusal(`${value} cannot be encoded`);
    if (Number.isInteger(value)) throw this.#refusal("an integral number beyond ±(2^53 − 1) cannot be encoded");
    this.#writeSimple(SIMPLE_FLOAT64);
    this.#reserve(8);
    new DataView(this.#bytes.buffer).setFloat64(this.#length, value);
    this.#length += 8;
  }

  #writeText(text: string): void {
    if (text.length <= SHORT_TEXT_UNITS && isAscii(text)) {
      this.#writeHead(MAJOR_TEXT, text.length);
      this.#reserve(text.length);
      for (let index = 0; index < text.length; index += 1) this.#bytes[this.#length + index] = text.charCodeAt(index);
      this.#length += text.length;
      return;
    }
    const bytes = this.#utf8(text);
    this.#writeHead(MAJOR_TEXT, bytes.length);
    this.#append(bytes);
  }

  #utf8(text: string): Uint8Array {
    if (text.length > MAX_OBJECT_BYTES) throw this.#tooLarge();
    if (!isWellFormed(text)) throw this.#refusal("text holds a lone surrogate");
    return textEncoder.encode(text);
  }

  #writeList(list: readonly unknown[]): void {
    this.#writeHead(MAJOR_LIST, list.length);
    // By index, so that a hole is met as undefined and refused.
    for (let index = 0; index < list.length; index += 1) {
      this.#path.push(index);
      this.write(list[index]);
      this.#path.pop();
    }
  }

  #writeMap(map: Readonly<Record<string, unknown>>): void {
    const names = this.#sorted(Object.keys(map));
    this.#writeHead(MAJOR_MAP, names.length);
    for (const name of names) {
      this.#writeText(name);
      this.#path.push(name);
      this.write(map[name]);
      this.#path.pop();
    }
  }

  /** Names by length, then bytes, of their UTF-8. Of ASCII that is the order of the units. */
  #sorted(names: string[]): string[] {
    if (names.every(isAscii)) return names.sort((a, b) => a.length - b.length || (a < b ? -1 : 1));
    return names
      .map((name) => ({ name, bytes: this.#utf8(name) }))
      .sort((a, b) => a.bytes.length - b.bytes.length || compareBytes(a.bytes, b.bytes))
      .map(({ name }) => name);
  }

  #writeSimple(argument: number): void {
    this.#reserve(1);
    this.#bytes[this.#length] = simpleByte(argument);
    this.#length += 1;
  }

  #writeHead(major: Head["major"], argument: number): void {
    this.#reserve(headSizeBytes(argument));
    this.#length = writeHead(this.#bytes, this.#length, { major, argument });
  }

  #append(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed > MAX_OBJECT_BYTES) throw this.#tooLarge();
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }

  #tooLarge(): InvalidArgument {
    return this.#refusal(`an encoded object has at most ${MAX_OBJECT_BYTES} bytes`);
  }

  #refusal(reason: string): InvalidArgument {
    const field = formatPath(this.#path);
    return field === "" ? new InvalidArgument(reason) : new InvalidArgument(`${field}: ${reason}`, { field });
  }
}
