// Base 64 as signed notes use it: RFC 4648 §4, with padding, and strict. Bits that no byte uses must be zero, so that a
// value has one text and a changed text another value.
import { Malformed } from "../errors.js";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/** The value of a character below 128, or NONE. */
const NONE = 255;
const VALUES = new Uint8Array(128).fill(NONE);
for (let value = 0; value < ALPHABET.length; value += 1) VALUES[ALPHABET.charCodeAt(value)] = value;

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
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  if (text.length % 4 !== 0) throw new Malformed("not base 64 with padding");
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  let pending = 0;
  let pendingBits = 0;
  let length = 0;
  for (let index = 0; index < text.length - padding; index += 1) {
    const value = VALUES[text.charCodeAt(index)] ?? NONE;
    if (value === NONE) throw new Malformed("not base 64 with padding");
    pending = ((pending << 6) | value) & 0xffff;
    pendingBits += 6;
    if (pendingBits < 8) continue;
    pendingBits -= 8;
    bytes[length] = (pending >> pendingBits) & 0xff;
    length += 1;
  }
  if ((pending & ((1 << pendingBits) - 1)) !== 0) throw new Malformed("base 64 with unused bits that are not zero");
  return bytes;
}
