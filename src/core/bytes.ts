// Byte strings: comparison, concatenation, hex. Pure, no node: imports.
import { Malformed } from "./errors.js";

/** Orders byte strings as the formats do: bytewise, a prefix before what extends it. Negative, zero or positive. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let index = 0; index < shared; index += 1) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** True when both hold the same bytes. Not constant-time: never for secrets. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index += 1) if (a[index] !== b[index]) return false;
  return true;
}

/** A new array of all the parts, in order. */
export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const joined = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

const HEX_DIGITS = "0123456789abcdef";

/** Lower-case hex. */
export function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += (HEX_DIGITS[byte >> 4] ?? "") + (HEX_DIGITS[byte & 15] ?? "");
  return text;
}

/**
 * Bytes of a hex string, either case.
 * @throws Malformed - odd length, or a character that is no hex digit
 */
export function fromHex(text: string): Uint8Array {
  if (text.length % 2 !== 0) throw new Malformed(`hex text of odd length ${text.length}`);
  const bytes = new Uint8Array(text.length / 2);
  for (let index = 0; index < bytes.length; index += 1) {
    const pair = text.slice(index * 2, index * 2 + 2);
    if (!/^[0-9a-fA-F]{2}$/.test(pair)) throw new Malformed(`"${pair}" at position ${index * 2} is not hex`);
    bytes[index] = Number.parseInt(pair, 16);
  }
  return bytes;
}

const encoder = new TextEncoder();

/** UTF-8 of a well-formed string. Lone surrogates are refused, never replaced. @throws Malformed */
export function utf8(text: string): Uint8Array {
  if (!isWellFormed(text)) throw new Malformed("text holds a lone surrogate");
  return encoder.encode(text);
}

/** False where the text holds a lone surrogate, which has no UTF-8. */
export function isWellFormed(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit < 0xd800 || unit > 0xdfff) continue;
    const next = text.charCodeAt(index + 1);
    if (unit > 0xdbff || Number.isNaN(next) || next < 0xdc00 || next > 0xdfff) return false;
    index += 1;
  }
  return true;
}

const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Text of strict UTF-8; a leading U+FEFF is kept. @throws Malformed */
export function fromUtf8(bytes: Uint8Array): string {
  try {
    return strictDecoder.decode(bytes);
  } catch (cause) {
    throw new Malformed("not valid UTF-8", {}, { cause });
  }
}

/** Eight bytes, big-endian. @throws RangeError - not an integer of 0 … 2^53 − 1 */
export function u64be(value: number): Uint8Array {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not an unsigned 53-bit integer: ${value}`);
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, Math.floor(value / 2 ** 32));
  view.setUint32(4, value % 2 ** 32);
  return bytes;
}

/** The integer in eight big-endian bytes at `offset`. @throws Malformed - over 2^53 − 1, or out of bytes */
export function readU64be(bytes: Uint8Array, offset = 0): number {
  if (offset + 8 > bytes.length) throw new Malformed("eight bytes wanted");
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, 8);
  const value = view.getUint32(0) * 2 ** 32 + view.getUint32(4);
  if (!Number.isSafeInteger(value)) throw new Malformed("integer over 2^53 − 1");
  return value;
}
