// Base64 of our own module, decoded without help from the platform: browsers and Node spell it differently.

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** The bytes of padded base64 text. For text that we made ourselves: it is not checked. */
export function decodeBase64(text: string): Uint8Array {
  const values = new Uint8Array(128);
  for (let value = 0; value < 64; value += 1) values[DIGITS.charCodeAt(value)] = value;
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  let offset = 0;
  for (let index = 0; index < text.length; index += 4) {
    let bits = 0;
    for (let digit = 0; digit < 4; digit += 1) bits = (bits << 6) | (values[text.charCodeAt(index + digit)] ?? 0);
    // Writes past the end, where the padding is, are dropped.
    bytes[offset] = bits >> 16;
    bytes[offset + 1] = bits >> 8;
    bytes[offset + 2] = bits;
    offset += 3;
  }
  return bytes;
}
