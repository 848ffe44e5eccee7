// The keys of a directory: opened with a password, or made for a new one.
//
// A new database's keys are made by whoever completes its configuration, and of several processes at that one has to win before
// anything is sealed: the completed text is created under a name of its own, `meta/config.completed.json`, which fails where there is one,
// and all of them go on with what lies there. It goes once the database exists.
import { readFile, rm } from "node:fs/promises";
import { AlreadyExists, InvalidArgument, PermissionDenied } from "../../core/errors.js";
import { createFile, flushDirectory, onFile, onFileIfThere, replaceFile } from "../files/file-system.js";
import { newKeyRing, unwrapKeys } from "../sealing/key-ring.js";
import type { KeyRing } from "../sealing/key-ring.js";
import { encryptedConfig, formatConfig, parseConfig } from "./config.js";
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
  if (!encryption.enabled || password === undefined) {
    await replaceFile(layout.config, Buffer.from(formatConfig(config)));
    return { config, keys: undefined };
  }
  if (encryption.keys !== undefined) {
    return { config, keys: await unwrapKeys(encryption.keys, password, layout.config) };
  }
  const fresh = newKeyRing(encryption.settings.algorithm);
  const wrapped = await fresh.wrap(password, encryption.settings);
  const text = formatConfig({ ...config, encryption: { ...encryption, keys: wrapped } });
  await createFile(layout.completed, Buffer.from(text));
  // One who is late finds no such file, because the database exists, and must not replace the keys of that one.
  if ((await inspect(layout)).kind === "database") {
    await dropCompleted(layout);
    throw new AlreadyExists(`there is a database at ${layout.root} already`, { facts: { path: layout.root } });
  }
  const chosen = await onFile({ doing: "read", path: layout.completed }, () => readFile(layout.completed, "utf8"));
  const completed = parseConfig(chosen, layout.completed);
  const keys = await unlock(layout, completed, password);
  await replaceFile(layout.config, Buffer.from(chosen));
  return { config: completed, keys };
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

function withoutKeys(layout: Layout): PermissionDenied {
  return new PermissionDenied(`${layout.config} asks for encryption and holds no keys; nothing was read or written`, {
    field: "encryption",
    hint: "restore the file from a backup; if the database was never encrypted, set encryption.enabled to false",
    facts: { path: layout.config },
  });
}
