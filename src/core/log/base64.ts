// Base 64 as signed notes use it: RFC 4648 §4, with padding, and strict. Bits that no byte uses must be zero, so that a
// value has one text and a changed text another value.
import { Malformed } from "../errors.js";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const VALUES = new Map(Array.from(ALPHABET, (character, value) => [character, value]));
const SHAPE = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** The text of bytes. */
export function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (let offset = 0; offset < bytes.length; offset += 3) {
    const left = bytes.length - offset;
    const group = ((bytes[offset] ?? 0) << 16) | ((bytes[offset + 1] ?? 0) << 8) | (bytes[offset + 2] ?? 0);
    text +=
      digit(group >> 18) + digit(group >> 12) + (left > 1 ? digit(group >> 6) : "=") + (left > 2 ? digit(group) : "=");
  }
  return text;
}

function digit(value: number): string {
  return ALPHABET[value & 63] ?? "";
}

/** The bytes of a text. @throws Malformed - another alphabet, wrong padding, or unused bits that are not zero */
export function fromBase64(text: string): Uint8Array {
  if (!SHAPE.test(text)) throw new Malformed("not base 64 with padding");
  const digits = text.replace(/=+$/, "");
  const bytes = new Uint8Array(Math.floor((digits.length * 3) / 4));
  let pending = 0;
  let pendingBits = 0;
  let length = 0;
  for (const character of digits) {
    pending = ((pending << 6) | (VALUES.get(character) ?? 0)) & 0xffff;
    pendingBits += 6;
    if (pendingBits < 8) continue;
    pendingBits -= 8;
    bytes[length] = (pending >> pendingBits) & 0xff;
    length += 1;
  }
  if ((pending & ((1 << pendingBits) - 1)) !== 0) throw new Malformed("base 64 with unused bits that are not zero");
  return bytes;
}
