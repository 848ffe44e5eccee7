// Checks of request fields: each takes a value and the field's path in the proto's spelling (`operations[3].key`), and
// returns what the engine takes, or throws InvalidArgument that names the field.
//
// Here 64-bit integers become numbers, hashes get their brands, and everything that outlives the call is copied: byte
// fields of decoded messages are views of a larger buffer, often of Node's Buffer, whose `slice` does not copy.
// What only the engine can know (does the head exist, is the size the right one) is the engine's to check.
import { isWellFormed } from "../core/bytes.js";
import { InvalidArgument, LimitExceeded, Malformed } from "../core/errors.js";
import {
  blobHash,
  commitHash,
  manifestHash,
  mapRoot,
  type BlobHash,
  type CommitHash,
  type ManifestHash,
  type MapRoot,
} from "../core/hashes.js";
import {
  MAX_DATABASE_NAME_CHARACTERS,
  MAX_IDEMPOTENCY_KEY_CHARACTERS,
  MAX_KEY_BYTES,
  MAX_KEYS_OF_HEAD,
  MAX_META_BYTES,
  MAX_NAME_CHARACTERS,
  MAX_TEXT_BYTES,
} from "../core/limits.js";
import { namePrefixProblem, nameProblem } from "../core/object/index.js";
import type { WriteOptions } from "../database/index.js";

/** The database that an empty name means. */
export const DEFAULT_DATABASE = "default";

/** The error for a field that is wrong. */
export function invalid(field: string, message: string, hint?: string): InvalidArgument {
  return new InvalidArgument(`${field}: ${message}`, hint === undefined ? { field } : { field, hint });
}

/**
 * The error that a caller gets for one that names no field of the request, or another than the caller wrote: malformed
 * bytes and wrong arguments of core and engine become InvalidArgument of this field. Anything else stays what it is.
 */
function renamed(field: string, error: unknown): unknown {
  if (!(error instanceof Malformed) && !(error instanceof InvalidArgument)) return error;
  if (error instanceof InvalidArgument && error.field === field) return error;
  const hint = error.hint === undefined ? {} : { hint: error.hint };
  return new InvalidArgument(`${field}: ${error.message}`, { field, facts: error.facts, ...hint }, { cause: error });
}

/** Runs a check of core over a field. @throws InvalidArgument - names the field, also for what is Malformed there */
export function checkField<T>(field: string, check: () => T): T {
  try {
    return check();
  } catch (error) {
    throw renamed(field, error);
  }
}

/** Waits for the engine's answer about a field. @throws InvalidArgument - names the field */
export async function forField<T>(field: string, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw renamed(field, error);
  }
}

/** Waits for the engine's answer about a nested message. @throws InvalidArgument - with the path of the engine's field */
export async function forFieldsBelow<T>(path: string, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof InvalidArgument)) throw error;
    throw renamed(error.field === undefined ? path : `${path}.${error.field}`, error);
  }
}

/** A copy in an array of its own. `Uint8Array.prototype.slice` would not do: Buffer overrides it with a view. */
export function copyOf(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}

/** A 64-bit integer as a number. @throws InvalidArgument - over 2^53 − 1 */
export function integerField(value: bigint, field: string): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid(field, `${value} is over 2^53 - 1`);
  return Number(value);
}

/** A limit of entries: absent means none. @throws InvalidArgument - 0, or over 2^53 − 1 */
export function limitField(value: bigint | undefined, field: string): number | undefined {
  if (value === undefined) return undefined;
  if (value === 0n) throw invalid(field, "0 asks for nothing", "leave it out for no limit");
  return integerField(value, field);
}

/** The name of a database; empty means "default". */
export function databaseField(name: string, field = "database"): string {
  if (name === "") return DEFAULT_DATABASE;
  const valid = name.length <= MAX_DATABASE_NAME_CHARACTERS && /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/.test(name);
  if (!valid) {
    throw invalid(
      field,
      `${quoted(name)} is no database name: 1 to ${MAX_DATABASE_NAME_CHARACTERS} characters of A-Z a-z 0-9 . _ -, ` +
        "the first no dot",
    );
  }
  return name;
}

/** The name of a head (FORMATS §7). */
export function headField(name: string, field: string): string {
  return refNameField("head", name, field);
}

/** The name of a tag (FORMATS §7). */
export function tagField(name: string, field: string): string {
  return refNameField("tag", name, field);
}

function refNameField(kind: "head" | "tag", name: string, field: string): string {
  if (name === "") throw invalid(field, `a ${kind} is wanted`);
  if (nameProblem(name) === undefined) return name;
  throw invalid(
    field,
    `${quoted(name)} is no ${kind} name: 1 to ${MAX_NAME_CHARACTERS} characters of A-Z a-z 0-9 . _ - and / between ` +
      'parts, no part "." or ".."',
  );
}

/** How names start that are asked for; empty: all. @throws InvalidArgument - no name starts so */
export function namePrefixField(prefix: string, field: string): string {
  const problem = namePrefixProblem(prefix);
  if (problem === undefined) return prefix;
  throw invalid(field, `the start of a name, ${quoted(prefix)}, ${problem}`);
}

/** The id that a client gives an upload. */
export function uploadIdField(id: string, field: string): string {
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(id)) {
    throw invalid(field, `${quoted(id)} is no upload id: 1 to 64 characters of A-Z a-z 0-9 . _ -`);
  }
  return id;
}

/** The caller of every request, while there are no identities. */
const NO_CALLER = "";

/** The field `idempotency_key`; empty: none. */
export function idempotencyField(
  request: { readonly idempotencyKey: string },
  field = "idempotency_key",
): WriteOptions {
  const { idempotencyKey: key } = request;
  if (key === "") return {};
  if (key.length > MAX_IDEMPOTENCY_KEY_CHARACTERS || !/^[\x21-\x7e]+$/.test(key)) {
    throw invalid(field, `a key is 1 to ${MAX_IDEMPOTENCY_KEY_CHARACTERS} printable characters of ASCII, no spaces`);
  }
  return { idempotency: { caller: NO_CALLER, key } };
}

/** A key of a state map. A copy. */
export function keyField(key: Uint8Array, field: string): Uint8Array {
  if (key.length === 0) throw invalid(field, "the key is empty");
  if (key.length > MAX_KEY_BYTES) {
    throw invalid(field, `the key has ${key.length} bytes, and ${MAX_KEY_BYTES} is the most`);
  }
  return copyOf(key);
}

/** An end of a range of keys, which may be empty. A copy. */
export function boundField(bound: Uint8Array, field: string): Uint8Array {
  return bound.length === 0 ? new Uint8Array(0) : keyField(bound, field);
}

export function blobHashField(bytes: Uint8Array, field: string): BlobHash {
  return blobHash(hashBytes(bytes, field));
}
export function commitHashField(bytes: Uint8Array, field: string): CommitHash {
  return commitHash(hashBytes(bytes, field));
}
export function manifestHashField(bytes: Uint8Array, field: string): ManifestHash {
  return manifestHash(hashBytes(bytes, field));
}
export function mapRootField(bytes: Uint8Array, field: string): MapRoot {
  return mapRoot(hashBytes(bytes, field));
}

/** Public keys: that they are points is the engine's to check. Copies. */
export function publicKeysField(keys: readonly Uint8Array[], field: string): Uint8Array[] {
  countWithin(keys.length, { field, name: "keys_of_head", value: MAX_KEYS_OF_HEAD });
  return keys.map((key, index) => {
    if (key.length !== 32) throw invalid(`${field}[${index}]`, `a public key has 32 bytes, not ${key.length}`);
    return copyOf(key);
  });
}

function hashBytes(bytes: Uint8Array, field: string): Uint8Array {
  if (bytes.length !== 32) throw invalid(field, `a hash has 32 bytes, not ${bytes.length}`);
  return copyOf(bytes);
}

/** An `expected_commit`: absent means nothing is expected, empty means that there must be none. */
export function expectedCommitField(bytes: Uint8Array | undefined, field: string): CommitHash | "none" | undefined {
  if (bytes === undefined) return undefined;
  return bytes.length === 0 ? "none" : commitHashField(bytes, field);
}

/** Free text of at most 64 KiB. */
export function textField(value: string, field: string): string {
  wellFormed(value, field);
  const sizeBytes = utf8Length(value);
  if (sizeBytes > MAX_TEXT_BYTES) throw invalid(field, `${sizeBytes} bytes of text, and ${MAX_TEXT_BYTES} is the most`);
  return value;
}

/** Free text of 1 byte to 64 KiB. */
export function nonEmptyTextField(value: string, field: string): string {
  if (value === "") throw invalid(field, "is empty");
  return textField(value, field);
}

/** Free text by name; undefined where there is none, because an absent field is left out of an object. */
export function metaField(meta: Readonly<Record<string, string>>, field = "meta"): Record<string, string> | undefined {
  const entries = Object.entries(meta);
  if (entries.length === 0) return undefined;
  let sizeBytes = 0;
  for (const [name, value] of entries) {
    wellFormed(name, field);
    wellFormed(value, field);
    sizeBytes += utf8Length(name) + utf8Length(value);
  }
  if (sizeBytes > MAX_META_BYTES) throw invalid(field, `${sizeBytes} bytes of text, and ${MAX_META_BYTES} is the most`);
  return Object.fromEntries(entries);
}

function wellFormed(value: string, field: string): void {
  if (!isWellFormed(value)) throw invalid(field, "the text holds a lone surrogate, which has no UTF-8");
}

const encoder = new TextEncoder();

function utf8Length(value: string): number {
  return encoder.encode(value).length;
}

/** A value at most this long, in characters, is shown in an error; a longer one is cut. */
const SHOWN_CHARACTERS = 64;

/** Controls beside those that JSON escapes, and marks that change the direction of text. */
const UNSHOWABLE = /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** User text for a message: JSON's quoting, so that no control character reaches a terminal or log, and never long. */
export function quoted(value: string): string {
  const shown = value.length <= SHOWN_CHARACTERS ? value : `${value.slice(0, SHOWN_CHARACTERS)}…`;
  return JSON.stringify(shown).replace(
    UNSHOWABLE,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** @throws LimitExceeded - more items than one request may hold */
export function countWithin(actual: number, limit: { field: string; name: string; value: number }): void {
  if (actual <= limit.value) return;
  throw new LimitExceeded(`${limit.field}: ${actual} items, and one request takes ${limit.value}`, {
    field: limit.field,
    facts: { limit: limit.name, value: String(limit.value) },
  });
}
