// The keys of an encrypted database, and how they lie wrapped in `meta/config.json` (docs/FORMATS.md §8):
//
//   "encryption": {
//     "enabled": true, "algorithm": "aes-256-gcm",
//     "kdf": "pbkdf2-hmac-sha256", "kdf_iterations": 600000, "master_salt": 32 bytes in hex,
//     "name_key": record, "data_keys": [{"id": 1, "algorithm": "aes-256-gcm", "key": record}, …]
//   }
//
// PBKDF2-HMAC-SHA256 (RFC 8018) of the password and the salt is the key that wraps the others: each is a sealed record
// (record.ts) of 32 bytes, in base 64, under key id 0, at the place `config`, `name-key` or `data-key/<id>/<algorithm>`. Another
// password wraps them anew and touches nothing else. Records are sealed under the data key with the largest id; others are
// there while a database is being re-encrypted. The name key stays for good.
import { createHmac, pbkdf2, randomBytes } from "node:crypto";
import { promisify } from "node:util";
import { fromHex, toHex, utf8 } from "../../core/bytes.js";
import {
  Corrupt,
  InvalidArgument,
  Malformed,
  PermissionDenied,
  Unsupported,
  type NeleusError,
} from "../../core/errors.js";
import { ALGORITHMS, isAlgorithm } from "./aead.js";
import type { Algorithm } from "./aead.js";
import { KEY_BYTES, openRecord, placeOf, sealRecord } from "./record.js";
import type { SealingKey } from "./record.js";

const deriveKey = promisify(pbkdf2);

export const DEFAULT_KDF_ITERATIONS = 600_000;
/** Below it a password is guessed too soon. */
export const MIN_KDF_ITERATIONS = 100_000;
/** An hour of a slow machine: a larger number is a mistake, or is meant to stop whoever opens the database. */
const MAX_KDF_ITERATIONS = 1_000_000_000;
const KDF = "pbkdf2-hmac-sha256";
const SALT_BYTES = 32;
const MAX_DATA_KEYS = 8;

/** What somebody wants who makes an encrypted database. */
export interface EncryptionSettings {
  readonly algorithm: Algorithm;
  readonly kdfIterations: number;
}

/** The section of the configuration, once there are keys in it. */
export interface WrappedKeys extends EncryptionSettings {
  readonly masterSalt: Uint8Array;
  readonly nameKey: Uint8Array;
  readonly dataKeys: readonly WrappedDataKey[];
}

export interface WrappedDataKey {
  readonly id: number;
  readonly algorithm: Algorithm;
  readonly key: Uint8Array;
}

/** Keys in memory. Printed or made JSON of, it shows none of them. */
export class KeyRing {
  readonly #current: SealingKey;
  readonly #byId: ReadonlyMap<number, SealingKey>;
  readonly #nameKey: Uint8Array;

  constructor(keys: { readonly dataKeys: readonly SealingKey[]; readonly nameKey: Uint8Array }) {
    const newest = [...keys.dataKeys].sort((a, b) => b.id - a.id)[0];
    if (newest === undefined) throw new InvalidArgument("a key ring without a data key", { field: "data_keys" });
    this.#current = newest;
    this.#byId = new Map(keys.dataKeys.map((key) => [key.id, key]));
    this.#nameKey = keys.nameKey;
  }

  /** What new records are sealed under. */
  get current(): SealingKey {
    return this.#current;
  }

  readonly find = (id: number): SealingKey | undefined => this.#byId.get(id);

  /** What a key of a space is called on the disk: 32 bytes, HMAC-SHA256 of `space ‖ 0x00 ‖ key` under the name key. */
  name(space: string, key: Uint8Array): Uint8Array {
    return new Uint8Array(createHmac("sha256", this.#nameKey).update(space).update(ZERO).update(key).digest());
  }

  /** Wraps all keys under a password. */
  async wrap(password: Uint8Array, settings: EncryptionSettings): Promise<WrappedKeys> {
    const masterSalt = new Uint8Array(randomBytes(SALT_BYTES));
    const wrapping = await wrappingKey(password, { ...settings, masterSalt });
    const dataKeys = [...this.#byId.values()].map(({ id, algorithm, key }) => {
      return { id, algorithm, key: sealRecord(wrapping, dataKeyPlace({ id, algorithm }), key) };
    });
    return { ...settings, masterSalt, nameKey: sealRecord(wrapping, NAME_KEY_PLACE, this.#nameKey), dataKeys };
  }
}

/** New keys, of a new database. */
export function newKeyRing(algorithm: Algorithm): KeyRing {
  const key = new Uint8Array(randomBytes(KEY_BYTES));
  return new KeyRing({ dataKeys: [{ id: 1, algorithm, key }], nameKey: new Uint8Array(randomBytes(KEY_BYTES)) });
}

/**
 * The keys that a configuration holds.
 * @throws PermissionDenied - the password is another, or what is wrapped was changed: nothing tells the two apart
 */
export async function unwrapKeys(wrapped: WrappedKeys, password: Uint8Array, path: string): Promise<KeyRing> {
  const wrapping = await wrappingKey(password, wrapped);
  const find = (id: number): SealingKey | undefined => (id === wrapping.id ? wrapping : undefined);
  const unwrap = (place: Uint8Array, record: Uint8Array): Uint8Array => {
    try {
      const key = openRecord(find, place, record);
      if (key.length === KEY_BYTES) return key;
      throw new Malformed("not a key");
    } catch (cause) {
      if (!(cause instanceof Malformed)) throw cause;
      throw wrongPassword(path, cause);
    }
  };
  const nameKey = unwrap(NAME_KEY_PLACE, wrapped.nameKey);
  const dataKeys = wrapped.dataKeys.map((one) => ({ ...one, key: unwrap(dataKeyPlace(one), one.key) }));
  return new KeyRing({ dataKeys, nameKey });
}

function wrongPassword(path: string, cause: Malformed): PermissionDenied {
  return new PermissionDenied(
    `the password does not open the keys in ${path}; nothing was read or written`,
    {
      field: "password",
      hint: "give the password that the database was encrypted with (NELEUS_DB_ENCRYPTION_PASSWORD); if it is that one, the file was changed: restore it",
      facts: { path },
    },
    { cause },
  );
}

async function wrappingKey(
  password: Uint8Array,
  wrapped: Pick<WrappedKeys, "algorithm" | "kdfIterations" | "masterSalt">,
): Promise<SealingKey> {
  const { algorithm, kdfIterations, masterSalt } = wrapped;
  return { id: 0, algorithm, key: await deriveKey(password, masterSalt, kdfIterations, KEY_BYTES, "sha256") };
}

const ZERO = Uint8Array.of(0);
const NAME_KEY_PLACE = placeOf("config", utf8("name-key"));

function dataKeyPlace({ id, algorithm }: Pick<WrappedDataKey, "id" | "algorithm">): Uint8Array {
  return placeOf("config", utf8(`data-key/${id}/${algorithm}`));
}

/** The fields of the section that mean something. */
export const ENCRYPTION_FIELDS = [
  "algorithm",
  "kdf",
  "kdf_iterations",
  "master_salt",
  "name_key",
  "data_keys",
] as readonly string[];

/** What somebody writes by hand. */
export function formatSettings({ algorithm, kdfIterations }: EncryptionSettings): Record<string, unknown> {
  return { algorithm, kdf: KDF, kdf_iterations: kdfIterations };
}

/** The section of the configuration as it is written. */
export function formatWrappedKeys(keys: WrappedKeys): Record<string, unknown> {
  return {
    ...formatSettings(keys),
    master_salt: toHex(keys.masterSalt),
    name_key: toBase64(keys.nameKey),
    data_keys: keys.dataKeys.map(({ id, algorithm, key }) => ({ id, algorithm, key: toBase64(key) })),
  };
}

/** What the fields of a section say: settings alone, or keys too. */
export type ParsedEncryption = { readonly settings: EncryptionSettings; readonly keys: WrappedKeys | undefined };

/**
 * Reads the section `encryption` of a configuration that has it enabled. Without `master_salt`, `name_key` and `data_keys` it is
 * one that somebody wrote by hand.
 * @throws InvalidArgument - a field has a value that it cannot have
 * @throws Unsupported - another algorithm or function
 * @throws Corrupt - some of the keys are there, and others are not
 */
export function parseEncryption(section: Readonly<Record<string, unknown>>, path: string): ParsedEncryption {
  const { algorithm = ALGORITHMS[0], kdf = KDF, kdf_iterations = DEFAULT_KDF_ITERATIONS } = section;
  if (!isAlgorithm(algorithm)) throw unknownName(path, "algorithm", algorithm, ALGORITHMS);
  if (kdf !== KDF) throw unknownName(path, "kdf", kdf, [KDF]);
  const isCount = typeof kdf_iterations === "number" && Number.isSafeInteger(kdf_iterations);
  if (!isCount || kdf_iterations < MIN_KDF_ITERATIONS || kdf_iterations > MAX_KDF_ITERATIONS) {
    throw invalid(path, "kdf_iterations", `a whole number from ${MIN_KDF_ITERATIONS} on`, kdf_iterations);
  }
  const settings = { algorithm, kdfIterations: kdf_iterations };
  const { master_salt, name_key, data_keys } = section;
  const parts = [master_salt, name_key, data_keys];
  if (parts.every((part) => part === undefined)) return { settings, keys: undefined };
  const keys = parseKeys({ master_salt, name_key, data_keys });
  if (keys !== undefined) return { settings, keys: { ...settings, ...keys } };
  throw new Corrupt(`${path}: the wrapped keys of the section "encryption" are damaged`, {
    field: "encryption",
    hint: "restore the file from a backup: without these keys nobody can read the database",
    facts: { path },
  });
}

function parseKeys(
  fields: Readonly<Record<"master_salt" | "name_key" | "data_keys", unknown>>,
): Pick<WrappedKeys, "masterSalt" | "nameKey" | "dataKeys"> | undefined {
  const { master_salt, name_key, data_keys } = fields;
  if (typeof master_salt !== "string" || !/^[0-9a-f]{64}$/.test(master_salt)) return undefined;
  const nameKey = fromBase64(name_key);
  if (nameKey === undefined || !Array.isArray(data_keys)) return undefined;
  const dataKeys = (data_keys as unknown[]).map(parseDataKey);
  const found = dataKeys.filter((key) => key !== undefined);
  const ids = new Set(found.map(({ id }) => id));
  const isWhole = found.length === dataKeys.length && ids.size === found.length;
  if (!isWhole || found.length === 0 || found.length > MAX_DATA_KEYS) return undefined;
  return { masterSalt: fromHex(master_salt), nameKey, dataKeys: found };
}

function parseDataKey(value: unknown): WrappedDataKey | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { id, algorithm, key: text } = value as Record<string, unknown>;
  const key = fromBase64(text);
  const isId = typeof id === "number" && Number.isSafeInteger(id) && id >= 1 && id < 2 ** 32;
  return isId && isAlgorithm(algorithm) && key !== undefined ? { id, algorithm, key } : undefined;
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

function fromBase64(text: unknown): Uint8Array | undefined {
  if (typeof text !== "string" || text.length > 1_024) return undefined;
  const bytes = new Uint8Array(Buffer.from(text, "base64"));
  return toBase64(bytes) === text ? bytes : undefined;
}

function unknownName(path: string, name: string, found: unknown, known: readonly string[]): NeleusError {
  const field = `encryption.${name}`;
  const wanted = known.map((one) => `"${one}"`).join(" or ");
  if (typeof found !== "string") return invalid(path, name, wanted, found);
  return new Unsupported(`${path}: ${field} is "${found}"; this program knows ${wanted}`, { field, facts: { path } });
}

function invalid(path: string, name: string, wanted: string, found: unknown): InvalidArgument {
  const field = `encryption.${name}`;
  const shown = JSON.stringify(found).slice(0, 80);
  return new InvalidArgument(`${path}: ${field} is ${shown}, and must be ${wanted}`, { field, facts: { path } });
}
