// How keys and hashes are written on the command line, and how files are read.
import { readFile } from "node:fs/promises";
import { addAbortSignal } from "node:stream";
import { concatBytes, fromHex, fromUtf8, toHex, utf8 } from "../core/bytes.js";
import { InvalidArgument, Malformed, NotFound, Unavailable } from "../core/errors.js";
import { MAX_KEY_BYTES } from "../core/limits.js";

/** How keys are written: `--key-encoding`. */
export type KeyEncoding = "utf8" | "hex" | "base64";

export const KEY_ENCODINGS: readonly KeyEncoding[] = ["utf8", "hex", "base64"];

/** @throws InvalidArgument - not in the encoding, empty or over 1,024 bytes; `field` names the argument */
export function parseKey(text: string, encoding: KeyEncoding, field = "key"): Uint8Array {
  const bytes = decodeText(text, encoding, field);
  if (bytes.length === 0)
    throw new InvalidArgument(`the ${field} is empty; a key has 1 to ${MAX_KEY_BYTES} bytes`, { field });
  if (bytes.length > MAX_KEY_BYTES) {
    throw new InvalidArgument(`the ${field} has ${bytes.length} bytes; a key has 1 to ${MAX_KEY_BYTES}`, { field });
  }
  return bytes;
}

/** Bytes of a prefix or a bound: as a key, but may be empty. */
export function decodeText(text: string, encoding: KeyEncoding, field: string): Uint8Array {
  try {
    if (encoding === "utf8") return utf8(text);
    if (encoding === "hex") return fromHex(text);
  } catch (cause) {
    if (!(cause instanceof Malformed)) throw cause;
    throw new InvalidArgument(`the ${field} "${text}" is not ${encoding}: ${cause.message}`, { field }, { cause });
  }
  const bytes = Buffer.from(text, "base64");
  // Buffer skips what it does not know; only text that comes back the same was base64.
  if (bytes.toString("base64").replace(/=+$/, "") !== text.replace(/=+$/, "")) {
    throw new InvalidArgument(`the ${field} "${text}" is not base64`, { field });
  }
  return new Uint8Array(bytes);
}

/** A key in an encoding; undefined where it is no text in utf8. */
export function encodeKey(key: Uint8Array, encoding: KeyEncoding): string | undefined {
  if (encoding === "hex") return toHex(key);
  if (encoding === "base64") return Buffer.from(key).toString("base64");
  try {
    return fromUtf8(key);
  } catch {
    return undefined;
  }
}

/** A key in JSON: as text of the asked encoding, or in hex, which the member beside it then says. */
export function keyMembers(key: Uint8Array, encoding: KeyEncoding): { readonly [name: string]: string } {
  const text = encodeKey(key, encoding);
  return text === undefined ? { key: toHex(key), key_encoding: "hex" } : { key: text };
}

/** Text that must not stand on a line for itself: what begins like our own mark, and controls, line ends among them. */
const NEEDS_HEX = /^hex:|[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

/**
 * A key for people, on one line, and never as another key is written: bytes that are no text in utf8, text with control
 * characters, and text that itself begins with `hex:` are all written as `hex:…`.
 */
export function formatKey(key: Uint8Array, encoding: KeyEncoding): string {
  const text = encodeKey(key, encoding);
  return text === undefined || (encoding === "utf8" && NEEDS_HEX.test(text)) ? `hex:${toHex(key)}` : text;
}

/** 32 bytes of hex. @throws InvalidArgument */
export function parseHash(text: string, field = "hash"): Uint8Array {
  if (!/^[0-9a-fA-F]{64}$/.test(text)) {
    throw new InvalidArgument(`the ${field} "${text}" is not a hash: 64 hex digits`, { field });
  }
  return fromHex(text);
}

/** A whole number from `least` on. @throws InvalidArgument */
export function parseCount(text: string, field: string, least = 0): number {
  const value = Number(text);
  if (!/^[0-9]+$/.test(text) || !Number.isSafeInteger(value) || value < least) {
    throw new InvalidArgument(`--${field} takes a whole number from ${least}, not "${text}"`, { field });
  }
  return value;
}

/** Longest time that a timer takes, in seconds: about 24.8 days. */
const MAX_TIMER_SECONDS = Math.floor((2 ** 31 - 1) / 1000);

/** A time in whole seconds from `least` on, in milliseconds, for a timer. @throws InvalidArgument */
export function parseSeconds(text: string, field: string, least = 0): number {
  const seconds = parseCount(text, field, least);
  if (seconds <= MAX_TIMER_SECONDS) return seconds * 1000;
  throw new InvalidArgument(`--${field} takes at most ${MAX_TIMER_SECONDS} seconds, not ${text}`, { field });
}

/** `A:B`, first byte included and end excluded; either may be left out. @throws InvalidArgument - also: A is not below B */
export function parseRange(text: string): { readonly start: number; readonly end?: number } {
  const match = /^([0-9]*):([0-9]*)$/.exec(text);
  if (match === null)
    throw new InvalidArgument(`--range takes A:B, bytes A to B − 1, not "${text}"`, { field: "range" });
  const [, startText = "", endText = ""] = match;
  const start = startText === "" ? 0 : parseCount(startText, "range");
  if (endText === "") return { start };
  const end = parseCount(endText, "range");
  // 0:0 is the one range of an empty blob.
  if (start < end || end === 0) return { start, end };
  throw new InvalidArgument(`--range "${text}" holds nothing: ${start} is not below ${end}`, { field: "range" });
}

/** A small file's bytes, or stdin's for `-`. @throws NotFound, InvalidArgument - with the path */
export async function readInput(
  path: string,
  { field, signal }: { readonly field: string; readonly signal: AbortSignal },
): Promise<Uint8Array> {
  if (path === "-") {
    const parts: Uint8Array[] = [];
    for await (const part of standardInput(signal)) parts.push(part);
    return concatBytes(...parts);
  }
  try {
    return new Uint8Array(await readFile(path));
  } catch (cause) {
    throw fileError(cause, { path, field });
  }
}

/** Standard input in pieces. Ctrl-C ends the wait for more of it. */
export function standardInput(signal: AbortSignal): AsyncIterable<Uint8Array> {
  return addAbortSignal(signal, process.stdin) as AsyncIterable<Uint8Array>;
}

/** A file that cannot be read, as a typed error. Other errors come back unchanged. */
export function fileError(cause: unknown, file: { readonly path: string; readonly field: string }): unknown {
  const code = (cause as NodeJS.ErrnoException | null)?.code;
  const details = { field: file.field, facts: { path: file.path } };
  if (code === "ENOENT")
    return new NotFound(
      `no such file: ${file.path}`,
      { ...details, facts: { kind: "file", path: file.path } },
      { cause },
    );
  if (code === "ENOTDIR")
    return new InvalidArgument(`a part of the path ${file.path} is a file, not a directory`, details, { cause });
  if (code === "EISDIR") return new InvalidArgument(`${file.path} is a directory, not a file`, details, { cause });
  if (code === "EACCES" || code === "EPERM")
    return new InvalidArgument(`${file.path} may not be read or written`, details, { cause });
  if (code === "ENOSPC" || code === "EDQUOT") {
    const hint = "make room on the disk, then run it again";
    return new Unavailable(`no room for ${file.path}: ${code}`, { ...details, hint }, { cause });
  }
  if (code !== undefined && /^E[A-Z]+$/.test(code)) {
    return new Unavailable(`${file.path} cannot be read or written now: ${code}`, details, { cause });
  }
  return cause;
}
