// Arguments of callers, turned into what the messages hold: keys, hashes, ranges, counts. All are copied.
import { compareBytes, concatBytes, fromHex, isWellFormed, utf8 } from "../core/bytes.js";
import { isValueMap } from "../core/codec/index.js";
import { InvalidArgument, Malformed } from "../core/errors.js";
import type { Digest } from "../core/hashes.js";
import { MAX_KEY_BYTES } from "../core/limits.js";
import type { HashArgument, Key } from "./records.js";

/** The bytes of a key. @throws InvalidArgument - not 1 to 1,024 bytes, or text without UTF-8 */
export function keyBytes(key: Key, field = "key"): Uint8Array {
  const bytes = textOrBytes(key, field);
  if (bytes.length > 0 && bytes.length <= MAX_KEY_BYTES) return bytes;
  throw new InvalidArgument(`${field}: a key is 1 to ${MAX_KEY_BYTES} bytes, not ${bytes.length}`, { field });
}

/** Text as UTF-8, bytes as a copy. @throws InvalidArgument - neither, or text with a lone surrogate */
export function textOrBytes(value: unknown, field: string): Uint8Array {
  if (value instanceof Uint8Array) return new Uint8Array(value);
  if (typeof value !== "string") throw new InvalidArgument(`${field}: expected text or bytes`, { field });
  return checkArgument(field, () => utf8(value));
}

/** Text that has UTF-8. @throws InvalidArgument - no text, or text with a lone surrogate */
export function textArgument(value: unknown, field: string): string {
  if (typeof value !== "string") throw new InvalidArgument(`${field}: expected text`, { field });
  if (isWellFormed(value)) return value;
  throw new InvalidArgument(`${field}: holds a lone surrogate, which has no UTF-8`, { field });
}

/**
 * A copy of texts by name.
 * @throws InvalidArgument - no object, no texts, or the name `__proto__`, which the protobuf runtime would lose
 */
export function textsByName(value: unknown, field: string): Record<string, string> {
  if (!isValueMap(value)) throw new InvalidArgument(`${field}: expected an object that holds texts by name`, { field });
  const texts: Record<string, string> = {};
  for (const [name, text] of Object.entries(value)) {
    if (name === "__proto__") throw new InvalidArgument(`${field}: "__proto__" cannot be a name here`, { field });
    texts[textArgument(name, field)] = textArgument(text, `${field}[${JSON.stringify(name)}]`);
  }
  return texts;
}

/** True for the same names with the same texts. */
export function sameTexts(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && a[name] === b[name]);
}

/** The 32 bytes of a hash. @throws InvalidArgument - another length, or text that is not hex */
export function hashBytes(hash: HashArgument, field: string): Digest {
  const bytes = typeof hash === "string" ? checkArgument(field, () => fromHex(hash)) : hash;
  if (bytes instanceof Uint8Array && bytes.length === 32) return new Uint8Array(bytes);
  throw new InvalidArgument(`${field}: a hash is 32 bytes, or 64 digits of hex`, { field });
}

/** The bytes of an expected commit: none is the empty string. */
export function expectedCommitBytes(expected: HashArgument | null): Uint8Array {
  return expected === null ? new Uint8Array(0) : hashBytes(expected, "expectedCommit");
}

/** A count or offset. @throws InvalidArgument - not an integer of `least` … 2^53 − 1 */
export function countArgument(value: number, field: string, least = 0): number {
  if (Number.isSafeInteger(value) && value >= least) return value;
  throw new InvalidArgument(`${field}: expected an integer of ${least} or more, not ${value}`, { field });
}

/** Keys from `from` (included, may be empty) to `to` (excluded; undefined: to the end). */
export interface KeyBounds {
  readonly from: Uint8Array;
  readonly to: Uint8Array | undefined;
}

/**
 * The bounds of a range given by prefix, or by its ends; undefined where it holds no key, since `from` is not below `to`.
 * @throws InvalidArgument - a prefix together with an end, an end over 1,024 bytes
 */
export function keyBounds(range: {
  readonly prefix?: Key | undefined;
  readonly from?: Key | undefined;
  readonly to?: Key | undefined;
}): KeyBounds | undefined {
  if (range.prefix !== undefined) {
    if (range.from !== undefined || range.to !== undefined) {
      throw new InvalidArgument("prefix: give a prefix or from and to, not both", { field: "prefix" });
    }
    const from = boundBytes(range.prefix, "prefix");
    return { from, to: afterPrefix(from) };
  }
  const from = range.from === undefined ? new Uint8Array(0) : boundBytes(range.from, "from");
  const to = range.to === undefined ? undefined : boundBytes(range.to, "to");
  return to === undefined || compareBytes(from, to) < 0 ? { from, to } : undefined;
}

function boundBytes(key: Key, field: string): Uint8Array {
  const bytes = textOrBytes(key, field);
  if (bytes.length <= MAX_KEY_BYTES) return bytes;
  throw new InvalidArgument(`${field}: at most ${MAX_KEY_BYTES} bytes, not ${bytes.length}`, { field });
}

/** The smallest bound that no key up to this one reaches, of at most 1,024 bytes; undefined where there is no such key. */
export function keyAfter(key: Uint8Array): Uint8Array | undefined {
  return key.length < MAX_KEY_BYTES ? concatBytes(key, Uint8Array.of(0)) : afterPrefix(key);
}

/** The first byte string after all those that begin with the prefix; undefined where there is none. */
function afterPrefix(prefix: Uint8Array): Uint8Array | undefined {
  let length = prefix.length;
  while (length > 0 && prefix[length - 1] === 0xff) length -= 1;
  if (length === 0) return undefined;
  const after = prefix.slice(0, length);
  after[length - 1] = (after[length - 1] ?? 0) + 1;
  return after;
}

/** Runs a check of core over an argument. @throws InvalidArgument - for what is wrong there; `field` names the argument */
export function checkArgument<T>(field: string, check: () => T): T {
  try {
    return check();
  } catch (error) {
    const isOfArgument = error instanceof Malformed || (error instanceof InvalidArgument && error.field === undefined);
    if (!isOfArgument) throw error;
    throw new InvalidArgument(`${field}: ${error.message}`, { field }, { cause: error });
  }
}
