// Limits of the free text that a request brings.
import { isWellFormed } from "../core/bytes.js";
import { InvalidArgument } from "../core/errors.js";
import { MAX_META_BYTES, MAX_TEXT_BYTES } from "../core/limits.js";

/** @throws InvalidArgument - over MAX_TEXT_BYTES of UTF-8, or with a lone surrogate */
export function requireText(field: string, text: string): void {
  const bytes = sizeOf(field, text);
  if (bytes <= MAX_TEXT_BYTES) return;
  throw new InvalidArgument(`${field}: at most ${MAX_TEXT_BYTES} bytes of text, not ${bytes}`, { field });
}

/** @throws InvalidArgument - empty, or as of `requireText` */
export function requireSomeText(field: string, text: string): void {
  if (text === "") throw new InvalidArgument(`${field}: may not be empty`, { field });
  requireText(field, text);
}

/** @throws InvalidArgument - over MAX_META_BYTES together, or with a lone surrogate */
export function requireMeta(meta: Readonly<Record<string, string>>): void {
  let bytes = 0;
  for (const [name, text] of Object.entries(meta)) bytes += sizeOf("meta", name) + sizeOf("meta", text);
  if (bytes <= MAX_META_BYTES) return;
  throw new InvalidArgument(`meta: at most ${MAX_META_BYTES} bytes, not ${bytes}`, { field: "meta" });
}

/** Milliseconds since 1970, as far as the formats go. @throws InvalidArgument */
export function requireTime(field: string, timeMs: number): void {
  if (Number.isSafeInteger(timeMs) && timeMs >= 0) return;
  throw new InvalidArgument(`${field}: milliseconds since 1970, 0 to 2^53 − 1, not ${timeMs}`, { field });
}

function sizeOf(field: string, text: string): number {
  if (!isWellFormed(text)) throw new InvalidArgument(`${field}: holds a lone surrogate, which has no UTF-8`, { field });
  return Buffer.byteLength(text);
}
