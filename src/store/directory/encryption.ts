// The keys of a directory: opened with a password, or made for a new one.
//
// A new database's keys are made by whoever completes its configuration, and of several processes at that one has to win before
// anything is sealed: the completed text is created under a name of its own, `meta/config.completed.json`, which fails where there is one,
// and all of them go on with what lies there. It goes once the database exists. Who makes one in clear does the same: else one that comes
// late would write a configuration without keys over that of a database which is lost without them.
import { readFile, rm, stat } from "node:fs/promises";
import { AlreadyExists, Corrupt, InvalidArgument, PermissionDenied, assert } from "../../core/errors.js";
import { createFile, flushDirectory, onFileIfThere, replaceFile } from "../files/file-system.js";
import { newKeyRing, unwrapKeys } from "../sealing/key-ring.js";
import type { KeyRing } from "../sealing/key-ring.js";
import { MAX_CONFIG_BYTES, encryptedConfig, formatConfig, parseConfig } from "./config.js";
import type { DatabaseConfig } from "./config.js";
import { inspect } from "./layout.js";
import type { Layout } from "./layout.js";
import { readPassword } from "./password.js";
import type { PasswordSource } from "./password.js";

/** A configuration that is complete, with its keys where there are any. */
export interface UnlockedConfig {
  readonly config: DatabaseConfig;
  readonly keys: KeyRing | undefined;
}

/**
 * Opens the keys of a database.
 * @throws PermissionDenied - there is no password, or it is another
 */
export async function unlock(
  layout: Layout,
  config: DatabaseConfig,
  password: PasswordSource | undefined,
): Promise<KeyRing | undefined> {
  const { encryption } = config;
  if (!encryption.enabled) return undefined;
  const bytes = await readPassword(password, layout.root);
  if (encryption.keys === undefined) throw withoutKeys(layout);
  return unwrapKeys(encryption.keys, bytes, layout.config);
}

/**
 * Completes the configuration of a database that is being made, and writes it.
 * @throws PermissionDenied - there is no password, or making it was begun with another
 * @throws AlreadyExists - somebody else has made it meanwhile
 * @throws InvalidArgument - it is to be encrypted, and making it was begun in clear
 */
export async function complete(
  layout: Layout,
  config: DatabaseConfig,
  options: { readonly password: PasswordSource | undefined; readonly makeDirectories: () => Promise<void> },
): Promise<UnlockedConfig> {
  const { encryption } = config;
  // Asked for first: without one nothing is written.
  const password = encryption.enabled ? await readPassword(options.password, layout.root) : undefined;
  await options.makeDirectories();
  if (encryption.enabled && password !== undefined && encryption.keys !== undefined) {
    return { config, keys: await unwrapKeys(encryption.keys, password, layout.config) };
  }
  const chosen = await choose(layout, password === undefined ? formatConfig(config) : await withKeys(config, password));
  const completed = parseConfig(chosen, layout.completed);
  if (!completed.encryption.enabled) {
    if (encryption.enabled) throw begunInClear(layout);
    await replaceFile(layout.config, Buffer.from(formatConfig(config)));
    return { config, keys: undefined };
  }
  const keys = await unlock(layout, completed, password ?? options.password);
  // That took its time. What another has finished may have been given another password since.
  await requireUnmade(layout);
  await replaceFile(layout.config, Buffer.from(chosen));
  return { config: completed, keys };
}

/** The text of a configuration with new keys. */
async function withKeys(config: DatabaseConfig, password: Uint8Array): Promise<string> {
  const { encryption } = config;
  assert(encryption.enabled, "keys are for who wants encryption");
  const keys = await newKeyRing(encryption.settings.algorithm).wrap(password, encryption.settings);
  return formatConfig({ ...config, encryption: { ...encryption, keys } });
}

/** The completed text of whoever is first: this one, or what another has written. */
async function choose(layout: Layout, text: string): Promise<string> {
  const path = layout.completed;
  await createFile(path, Buffer.from(text));
  // One who is late finds no such file, because the database exists, and must not replace the configuration of that one.
  await requireUnmade(layout);
  const file = await onFileIfThere({ doing: "look at", path }, () => stat(path));
  if (file !== undefined && file.size > MAX_CONFIG_BYTES) throw tooLarge(path);
  const chosen = await onFileIfThere({ doing: "read", path }, () => readFile(path, "utf8"));
  if (chosen === undefined) throw alreadyMade(layout);
  return chosen;
}

/** @throws AlreadyExists - somebody has made the database */
async function requireUnmade(layout: Layout): Promise<void> {
  if ((await inspect(layout)).kind !== "database") return;
  await dropCompleted(layout);
  throw alreadyMade(layout);
}

/**
 * The text of a configuration with its keys wrapped under another password: what is sealed stays as it is, so this takes no longer
 * for a large database. Who has the database open goes on. A copy of the old configuration still opens with the old password.
 * @throws PermissionDenied - a password is missing, or the old one is another
 * @throws InvalidArgument - the database is not encrypted
 */
export async function rewrap(
  layout: Layout,
  text: string,
  options: {
    readonly password: PasswordSource | undefined;
    readonly newPassword: PasswordSource | undefined;
    readonly kdfIterations: number | undefined;
  },
): Promise<string> {
  const config = parseConfig(text, layout.config);
  const { encryption } = config;
  const keys = await unlock(layout, config, options.password);
  if (keys === undefined || !encryption.enabled) {
    throw new InvalidArgument(`the database at ${layout.root} is not encrypted`, {
      field: "db",
      facts: { path: layout.root },
    });
  }
  const password = await readPassword(options.newPassword, layout.root, "NELEUS_DB_ENCRYPTION_NEW_PASSWORD");
  const { algorithm, kdfIterations } = encryption.settings;
  const wanted = encryptedConfig({ algorithm, kdfIterations: options.kdfIterations ?? kdfIterations }).encryption;
  const wrapped = await keys.wrap(password, wanted.enabled ? wanted.settings : encryption.settings);
  return formatConfig({ ...config, encryption: { ...encryption, keys: wrapped } });
}

/** To be called once the database exists. */
export async function dropCompleted(layout: Layout): Promise<void> {
  const path = layout.completed;
  const removed = await onFileIfThere({ doing: "remove", path }, async () => {
    await rm(path);
    return true;
  });
  if (removed === true) await flushDirectory(layout.meta);
}

function alreadyMade(layout: Layout): AlreadyExists {
  return new AlreadyExists(`there is a database at ${layout.root} already`, { facts: { path: layout.root } });
}

function begunInClear(layout: Layout): InvalidArgument {
  return new InvalidArgument(`making the database at ${layout.root} was begun as one that is not encrypted`, {
    field: "encryption.enabled",
    hint: `if nobody is at it any more, remove ${layout.completed}`,
    facts: { path: layout.completed },
  });
}

function tooLarge(path: string): Corrupt {
  return new Corrupt(`${path} is no configuration: more than ${MAX_CONFIG_BYTES} bytes`, {
    hint: "remove the file: the database does not exist yet",
    facts: { path },
  });
}

function withoutKeys(layout: Layout): PermissionDenied {
  return new PermissionDenied(`${layout.config} asks for encryption and holds no keys; nothing was read or written`, {
    field: "encryption",
    hint: "restore the file from a backup; if the database was never encrypted, set encryption.enabled to false",
    facts: { path: layout.config },
  });
}
