// A database's directory: made by `db init`, opened by everything else.
//
// Making one: the directories, the config, then a store under a name of its own (`objects/.initialising-…`), filled by
// the caller, closed, renamed to `objects/1`, and last `objects/CURRENT`. A crash before the end leaves something that
// is recognised and that `db init` finishes or makes anew; of several processes at it at once, one wins.
import { randomBytes } from "node:crypto";
import { chmod, rename, rm, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { AlreadyExists, Conflict, Corrupt, InvalidArgument, NotFound } from "../../core/errors.js";
import type { Store } from "../contract.js";
import {
  DIRECTORY_MODE,
  createFile,
  ensureDirectory,
  fileError,
  flushDirectory,
  onFile,
  onFileIfThere,
  removeOldTemporaries,
  replaceFileNow,
  systemCode,
} from "../files/file-system.js";
import { LmdbStore } from "../lmdb/lmdb-store.js";
import { underWriteLock } from "../lmdb/rows.js";
import type { KeyRing } from "../sealing/key-ring.js";
import { DEFAULT_CONFIG, formatConfig, parseConfig } from "./config.js";
import type { DatabaseConfig } from "./config.js";
import { complete, dropCompleted, rewrap, unlock } from "./encryption.js";
import { requireLocalFileSystem } from "./local-file-system.js";
import type { Recovery } from "./recovery.js";
import {
  UNFINISHED_PREFIX,
  currentStore,
  inspect,
  isGeneration,
  layoutOf,
  listNames,
  readConfigText,
  readConfigTextNow,
} from "./layout.js";
import type { Layout } from "./layout.js";
import type { PasswordSource } from "./password.js";

/** What LMDB gives to a lock file with room for 1,024 readers; a larger one would do. */
const LOCK_FILE_BYTES = 65_744;

/** A database's directory with its store open. */
export interface DatabaseDirectory {
  /** Absolute. */
  readonly path: string;
  readonly config: DatabaseConfig;
  readonly store: Store;
  /** What opening it did for processes that had not closed it; undefined where there were none. Reported once. */
  readonly recovery: Recovery | undefined;
}

export interface OpenOptions {
  /** Of an encrypted database. Default: from the environment (password.ts). */
  readonly password?: PasswordSource | undefined;
}

export interface CreateOptions {
  /** Used where no config.json was written by hand; that one wins. */
  readonly config?: DatabaseConfig;
  /** Of an encrypted database. Default: from the environment (password.ts). */
  readonly password?: PasswordSource | undefined;
  /** Host of the log's origin. A config.json that was written by hand may say the same, and nothing else. */
  readonly originHost?: string | undefined;
  /**
   * Writes a new database's first rows. The database does not exist before this has succeeded. Not called where an
   * interrupted initialisation had got past it: read back what it wrote, do not remember it.
   */
  readonly initialise?: (store: Store, config: DatabaseConfig) => Promise<void>;
}

/**
 * Makes a database in an absent path, an empty folder, a folder that holds only a hand-written meta/config.json, or one
 * where making it was interrupted; and opens it.
 * @throws AlreadyExists - there is a database
 * @throws InvalidArgument - a file, a folder with other things in it, or a config that cannot be
 * @throws Unsupported - the config asks for what this version does not have, or the path is not on a local file system
 * @throws PermissionDenied - it is to be encrypted, and there is no password
 */
export async function createDirectory(path: string, options: CreateOptions = {}): Promise<DatabaseDirectory> {
  const layout = layoutOf(resolve(path));
  await requireLocalFileSystem(layout.root);
  const finding = await inspect(layout);
  if (finding.kind === "database") throw alreadyExists(layout);
  if (finding.kind === "damaged") throw withoutConfig(layout);
  if (finding.kind === "unnamed") throw withoutCurrent(layout);
  if (finding.kind === "other") {
    throw new InvalidArgument(`${layout.root} holds other things (${finding.found}); nothing was written`, {
      field: "path",
      hint: "name a new or an empty folder",
      facts: { path: layout.root },
    });
  }
  const asked = options.config ?? DEFAULT_CONFIG;
  const wanted = withHost(await chosenConfig(layout, asked), layout, options);
  if (asked.encryption.enabled && !wanted.encryption.enabled) throw inClear(layout);
  const { password, initialise = async () => {} } = options;
  const made = await complete(layout, wanted, { password, makeDirectories: () => makeDirectories(layout) });
  const { config, keys } = made;
  const finished = (await listNames(layout.objects)).filter(isGeneration);
  if (finished.length === 0) await makeStore(layout, { initialise: (store) => initialise(store, config), keys });
  await makeCurrent(layout);
  return openFound(layout, async () => keys);
}

/**
 * Opens a database.
 * @throws NotFound - there is none; the hint says how to make one
 * @throws InvalidArgument - a file, a folder that is no database, or a config field that cannot be
 * @throws Unsupported - another schema version, hash function or cipher; or it is not on a local file system
 * @throws PermissionDenied - it is encrypted, and the password is missing or another; nothing was read or written
 * @throws Corrupt - files of it are damaged or missing; names them
 */
export async function openDirectory(path: string, options: OpenOptions = {}): Promise<DatabaseDirectory> {
  const layout = layoutOf(resolve(path));
  await requireDatabase(layout);
  return openFound(layout, (config) => unlock(layout, config, options.password));
}

async function requireDatabase(layout: Layout): Promise<void> {
  const finding = await inspect(layout);
  switch (finding.kind) {
    case "absent":
      throw notFound(layout, `no database at ${layout.root}`);
    case "empty":
      throw notFound(layout, `no database at ${layout.root}: the folder is empty`);
    case "configured":
      throw notFound(layout, `no database at ${layout.root} yet: it holds a configuration only`);
    case "unfinished":
      throw notFound(layout, `making the database at ${layout.root} was interrupted`);
    case "other":
      throw new InvalidArgument(`${layout.root} is not a database: it holds ${finding.found}`, {
        field: "db",
        hint: `name a database, or make one elsewhere: neleus db init PATH`,
        facts: { path: layout.root },
      });
    case "damaged":
      throw withoutConfig(layout);
    case "unnamed":
      throw withoutCurrent(layout);
    case "database":
      return;
  }
}

/** Changes the configuration of a database as it is now, at once and durably; of two who do so, one after the other. */
export async function changeConfig(path: string, change: (config: DatabaseConfig) => DatabaseConfig): Promise<void> {
  const layout = layoutOf(resolve(path));
  await rewriteConfig(layout, (text) => formatConfig(change(parseConfig(text, layout.config))));
}

/** The write lock of the database is the one of its configuration, too. */
async function rewriteConfig(layout: Layout, rewrite: (text: string) => string): Promise<void> {
  await underWriteLock(await currentStore(layout), () => {
    const text = rewrite(readConfigTextNow(layout));
    // What could not be read back is not written.
    parseConfig(text, layout.config);
    replaceFileNow(layout.config, Buffer.from(text));
  });
}

/**
 * Gives an encrypted database another password, at once and durably. See `rewrap` for what it costs and throws; and
 * @throws NotFound, Corrupt - as of `openDirectory`
 */
export async function rotateEncryptionKey(
  path: string,
  options: {
    /** In force. Default: from the environment (password.ts). */
    readonly password?: PasswordSource | undefined;
    /** Default: from the environment, NELEUS_DB_ENCRYPTION_NEW_PASSWORD. */
    readonly newPassword?: PasswordSource | undefined;
    /** Default: as before. */
    readonly kdfIterations?: number | undefined;
  } = {},
): Promise<void> {
  const layout = layoutOf(resolve(path));
  await requireDatabase(layout);
  const { password, newPassword, kdfIterations } = options;
  const before = await readConfigText(layout);
  const after = await rewrap(layout, before, { password, newPassword, kdfIterations });
  await rewriteConfig(layout, (now) => {
    if (now === before) return after;
    throw new Conflict(`${layout.config} was changed meanwhile; nothing was done`, {
      hint: "run it again",
      facts: { path: layout.config },
    });
  });
  // Where making it was interrupted at its very end: it still opens with the first password.
  await dropCompleted(layout);
}

async function openFound(
  layout: Layout,
  keysOf: (config: DatabaseConfig) => Promise<KeyRing | undefined>,
): Promise<DatabaseDirectory> {
  await requireLocalFileSystem(layout.root);
  const config = parseConfig(await readConfigText(layout), layout.config);
  const keys = await keysOf(config);
  const rows = await currentStore(layout);
  await ensureLockFile(rows);
  // A copy of a database may lack folders that were empty.
  for (const directory of [layout.blobs, layout.uploads]) await ensureDirectory(directory);
  for (const directory of [layout.meta, layout.objects]) await removeOldTemporaries(directory);
  for (const name of await listNames(layout.objects)) {
    if (name.startsWith(UNFINISHED_PREFIX)) await removeTree(join(layout.objects, name));
  }
  const store = await LmdbStore.open({ rows, blobs: layout.blobs, uploads: layout.uploads }, keys);
  // Last: until the configuration has opened the store, it may hold the only keys.
  try {
    await dropCompleted(layout);
  } catch (error) {
    await store.close();
    throw error;
  }
  return { path: layout.root, config, store, recovery: store.recovery };
}

/** What somebody wrote by hand; or the given config. */
async function chosenConfig(layout: Layout, config: DatabaseConfig): Promise<DatabaseConfig> {
  const names = await listNames(layout.meta);
  if (!names.includes("config.json")) return config;
  const text = await readConfigText(layout);
  try {
    return parseConfig(text, layout.config);
  } catch (error) {
    if (!(error instanceof Corrupt)) throw error;
    throw new InvalidArgument(error.message, { field: "meta/config.json", facts: error.facts }, { cause: error });
  }
}

/** @throws InvalidArgument - another host is configured already */
function withHost(config: DatabaseConfig, layout: Layout, { originHost }: CreateOptions): DatabaseConfig {
  if (originHost === undefined || config.originHost === originHost) return config;
  if (config.originHost === undefined) return { ...config, originHost };
  throw new InvalidArgument(`originHost: is "${originHost}", and ${layout.config} has "${config.originHost}"`, {
    field: "originHost",
    hint: "leave it out, or change the file",
    facts: { path: layout.config },
  });
}

async function makeDirectories(layout: Layout): Promise<void> {
  await ensureAncestors(layout.root);
  for (const directory of [layout.root, layout.meta, layout.objects, layout.blobs, layout.uploads]) {
    await ensureDirectory(directory);
  }
  // Perhaps made by hand; the config will hold wrapped keys.
  await onFile({ doing: "protect", path: layout.meta }, () => chmod(layout.meta, DIRECTORY_MODE));
}

/** Not by a recursive mkdir, which flushes nothing. */
async function ensureAncestors(path: string): Promise<void> {
  const parent = dirname(path);
  if (parent === path || (await onFileIfThere({ doing: "look at", path: parent }, () => stat(parent))) !== undefined)
    return;
  await ensureAncestors(parent);
  await ensureDirectory(parent);
}

/** Makes `objects/1`, complete or not at all. Does nothing if another process makes it first. */
async function makeStore(
  layout: Layout,
  options: { readonly initialise: (store: Store) => Promise<void>; readonly keys: KeyRing | undefined },
): Promise<void> {
  const { initialise, keys } = options;
  const unfinished = join(layout.objects, UNFINISHED_PREFIX + randomBytes(8).toString("hex"));
  try {
    await ensureDirectory(unfinished);
    await ensureLockFile(unfinished);
    const store = LmdbStore.create({ rows: unfinished, blobs: layout.blobs, uploads: layout.uploads }, keys);
    try {
      await initialise(store);
    } finally {
      await store.close();
    }
    await flushDirectory(unfinished);
    await rename(unfinished, join(layout.objects, "1"));
    await flushDirectory(layout.objects);
  } catch (error) {
    await removeTree(unfinished);
    // Another process was first: its store is in the way, or its opener has cleared this one away.
    const finding = await inspect(layout);
    if (finding.kind === "database" || systemCode(error) === "ENOTEMPTY") throw alreadyExists(layout);
    throw fileError(error, { doing: "create", path: layout.objects });
  }
}

/** Names the store that there is. */
async function makeCurrent(layout: Layout): Promise<void> {
  const [name, ...others] = (await listNames(layout.objects)).filter(isGeneration);
  if (name === undefined || others.length > 0) {
    throw new Corrupt(`${layout.objects} has ${others.length + 1} stores and no CURRENT that names one of them`, {
      hint: "restore the database from a backup",
      facts: { path: layout.objects },
    });
  }
  await createFile(layout.current, Buffer.from(`${name}\n`));
}

function alreadyExists(layout: Layout): AlreadyExists {
  return new AlreadyExists(`there is a database at ${layout.root} already`, {
    hint: `see: neleus --db ${layout.root} db info`,
    facts: { path: layout.root },
  });
}

function withoutConfig(layout: Layout): Corrupt {
  return new Corrupt(`${layout.config} of the database at ${layout.root} is missing`, {
    hint: "restore the file from a backup",
    facts: { path: layout.config },
  });
}

function inClear(layout: Layout): InvalidArgument {
  return new InvalidArgument(`${layout.config} says that the database is not encrypted; nothing was written`, {
    field: "encryption.enabled",
    hint: "set encryption.enabled to true there, or remove the file",
    facts: { path: layout.config },
  });
}

function withoutCurrent(layout: Layout): Corrupt {
  return new Corrupt(`${layout.current} of the database at ${layout.root} is missing`, {
    hint: `restore the file from a backup: it holds the name of the one folder in ${layout.objects}`,
    facts: { path: layout.current },
  });
}

function notFound(layout: Layout, message: string): NotFound {
  return new NotFound(message, {
    hint: `neleus db init ${layout.root}`,
    facts: { kind: "database", path: layout.root },
  });
}

/**
 * LMDB makes its lock file itself, but crashes where it cannot give it its size. Never touched where it is there: closing any
 * descriptor of it would release the locks of this whole process.
 */
async function ensureLockFile(rows: string): Promise<void> {
  const path = join(rows, "lock.mdb");
  const found = await onFileIfThere({ doing: "look at", path }, () => stat(path));
  if (found === undefined) await createFile(path, new Uint8Array(LOCK_FILE_BYTES));
}

async function removeTree(path: string): Promise<void> {
  await onFile({ doing: "remove", path }, () => rm(path, { recursive: true, force: true }));
}
