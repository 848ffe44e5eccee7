// `meta/config.json` (FORMATS §8): what a database is, in the clear, readable and editable by its owner.
//
//   {"schema_version": 3, "hashing": "blake3", "verify_on_read": true, "encryption": {"enabled": false}}
//
// Fields that this program does not know are kept. Nothing in it is trusted to be right: every field is checked. What the section
// `encryption` holds is key-ring.ts.
import { Corrupt, InvalidArgument, Unsupported } from "../../core/errors.js";
import { originHostProblem } from "../../core/log/index.js";
import { ENCRYPTION_FIELDS, formatSettings, formatWrappedKeys, parseEncryption } from "../sealing/key-ring.js";
import type { ParsedEncryption } from "../sealing/key-ring.js";

export const SCHEMA_VERSION = 3;
/** Far above any configuration that makes sense. */
export const MAX_CONFIG_BYTES = 64 * 1024;

export interface DatabaseConfig {
  readonly schemaVersion: typeof SCHEMA_VERSION;
  readonly hashing: "blake3";
  /** Whether the server hashes again what it reads from its own disk. Proofs and clients are unaffected. */
  readonly verifyOnRead: boolean;
  readonly encryption: EncryptionConfig;
  /** The host of the log's origin (FORMATS §7), as it was last chosen. Read when the database is made; absent: `neleus`. */
  readonly originHost?: string | undefined;
  /** Further fields, as they are in the file. */
  readonly extra: Readonly<Record<string, unknown>>;
}

/** Off, on, or on with the keys: a configuration that was written by hand has none yet. */
export type EncryptionConfig =
  | { readonly enabled: false; readonly extra: Readonly<Record<string, unknown>> }
  | (ParsedEncryption & { readonly enabled: true; readonly extra: Readonly<Record<string, unknown>> });

export const DEFAULT_CONFIG: DatabaseConfig = {
  schemaVersion: SCHEMA_VERSION,
  hashing: "blake3",
  verifyOnRead: true,
  encryption: { enabled: false, extra: {} },
  extra: {},
};

/** The configuration of a new database that is to be encrypted. @throws InvalidArgument @throws Unsupported */
export function encryptedConfig(wanted: {
  readonly algorithm?: string | undefined;
  readonly kdfIterations?: number | undefined;
}): DatabaseConfig {
  const { algorithm, kdfIterations } = wanted;
  const { settings } = parseEncryption({ algorithm, kdf_iterations: kdfIterations }, "a new database");
  return { ...DEFAULT_CONFIG, encryption: { enabled: true, settings, keys: undefined, extra: {} } };
}

/** The text of the file. */
export function formatConfig(config: DatabaseConfig): string {
  const fields = {
    schema_version: config.schemaVersion,
    hashing: config.hashing,
    verify_on_read: config.verifyOnRead,
    encryption: formatEncryption(config.encryption),
    ...(config.originHost === undefined ? {} : { origin_host: config.originHost }),
    ...config.extra,
  };
  return JSON.stringify(fields, undefined, 2) + "\n";
}

/**
 * Reads the text of a config file. Only `schema_version` has no default.
 * @param path - for messages
 * @throws Corrupt - not a JSON object
 * @throws InvalidArgument - a field has a value that it cannot have; `field` names it
 * @throws Unsupported - another schema version, hash function or cipher
 */
export function parseConfig(text: string, path: string): DatabaseConfig {
  const { schema_version, hashing, verify_on_read, encryption, origin_host, ...extra } = parseObject(text, path);
  checkVersion(schema_version, path);
  if (hashing !== undefined && hashing !== "blake3") {
    if (typeof hashing !== "string") throw invalid(path, "hashing", `"blake3"`, hashing);
    throw new Unsupported(`${path} names the hash function "${hashing}"; this program knows "blake3"`, {
      field: "hashing",
      facts: { path },
    });
  }
  if (verify_on_read !== undefined && typeof verify_on_read !== "boolean") {
    throw invalid(path, "verify_on_read", "true or false", verify_on_read);
  }
  return {
    ...DEFAULT_CONFIG,
    verifyOnRead: verify_on_read ?? DEFAULT_CONFIG.verifyOnRead,
    encryption: checkEncryption(encryption, path),
    ...(origin_host === undefined ? {} : { originHost: checkOriginHost(origin_host, path) }),
    extra,
  };
}

function parseObject(text: string, path: string): Record<string, unknown> {
  const details = { hint: "restore the file from a backup, or mend it by hand", facts: { path } };
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : "";
    throw new Corrupt(`${path} is not JSON: ${why}`, details, { cause });
  }
  if (!isObject(json)) throw new Corrupt(`${path} is not a JSON object`, details);
  return json;
}

function checkVersion(version: unknown, path: string): void {
  if (version === SCHEMA_VERSION) return;
  const isVersion = typeof version === "number" && Number.isSafeInteger(version) && version >= 0;
  if (!isVersion) throw invalid(path, "schema_version", String(SCHEMA_VERSION), version);
  const hint =
    version > SCHEMA_VERSION
      ? "the database was written by a newer neleus: update this program"
      : "the database was written by an older neleus: open it with that one";
  throw new Unsupported(`${path} has schema version ${version}; this program reads version ${SCHEMA_VERSION}`, {
    field: "schema_version",
    hint,
    facts: { path, expected: String(SCHEMA_VERSION), actual: String(version) },
  });
}

function formatEncryption(encryption: EncryptionConfig): Record<string, unknown> {
  const { enabled, extra } = encryption;
  if (!enabled) return { enabled, ...extra };
  const { settings, keys } = encryption;
  return { enabled, ...(keys === undefined ? formatSettings(settings) : formatWrappedKeys(keys)), ...extra };
}

function checkEncryption(value: unknown, path: string): EncryptionConfig {
  if (value === undefined) return DEFAULT_CONFIG.encryption;
  if (!isObject(value)) throw invalid(path, "encryption", "an object", value);
  const { enabled = false, ...section } = value;
  // What is off is kept as it is, whatever it is.
  if (enabled === false) return { enabled, extra: section };
  if (enabled !== true) throw invalid(path, "encryption.enabled", "true or false", enabled);
  const extra = Object.entries(section).filter(([name]) => !ENCRYPTION_FIELDS.includes(name));
  return { enabled, ...parseEncryption(section, path), extra: Object.fromEntries(extra) };
}

function checkOriginHost(value: unknown, path: string): string {
  const problem = typeof value === "string" ? originHostProblem(value) : "is no text";
  if (typeof value === "string" && problem === undefined) return value;
  throw invalid(path, "origin_host", "a DNS name in lower case, not too long", value);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function invalid(path: string, field: string, wanted: string, found: unknown): InvalidArgument {
  const shown = found === undefined ? "absent" : JSON.stringify(found).slice(0, 80);
  return new InvalidArgument(`${path}: ${field} is ${shown}, and must be ${wanted}`, { field, facts: { path } });
}
