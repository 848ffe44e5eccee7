// A trust store in a file, for the command line and for programs on Node: JSON, docs/FORMATS.md §9.
//
// It is read whole and replaced by rename, under a lock that is a file beside it, so a crash leaves the old file or the new
// one, and of several processes none undoes what another did. A lock whose holder has died is taken after LOCK_STALE_MS.
import { randomUUID } from "node:crypto";
import { link, mkdir, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { homedir, platform } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Corrupt, InvalidArgument, Unavailable } from "../core/errors.js";
import type { TrustPlace, TrustRecord, TrustStore } from "./trust/trust-store.js";

const FILE_VERSION = 1;
const LOCK_STALE_MS = 10_000;
const LOCK_WAIT_MS = 15_000;
/** Largest trust file that is read: some ten thousand databases. */
const MAX_FILE_BYTES = 16 * 1024 * 1024;

/**
 * `$NELEUS_TRUST_FILE`, else `trust.json` in the user's configuration folder for neleus.
 * @throws Unavailable - the user has no home directory to look in, as in some containers
 */
export function defaultTrustFile(environment: NodeJS.ProcessEnv = process.env, home: () => string = homedir): string {
  const { NELEUS_TRUST_FILE: named, XDG_CONFIG_HOME: xdg, APPDATA: roaming } = environment;
  if (named !== undefined && named !== "") return named;
  if (platform() === "win32" && roaming !== undefined) return join(roaming, "neleus", "trust.json");
  if (platform() === "darwin") return join(homeFolder(home), "Library", "Application Support", "neleus", "trust.json");
  return join(xdg === undefined || xdg === "" ? join(homeFolder(home), ".config") : xdg, "neleus", "trust.json");
}

function homeFolder(home: () => string): string {
  try {
    return home();
  } catch (cause) {
    const hint = "set NELEUS_TRUST_FILE to a file that you may write";
    throw new Unavailable("there is no home directory to keep the trust file in", { hint }, { cause });
  }
}

/** A trust store in a file, which is made with the first record. */
export function fileTrustStore(path: string = defaultTrustFile()): TrustStore {
  return new FileTrustStore(path);
}

/** One record as it stands in the file. */
interface StoredRecord {
  readonly place: TrustPlace;
  readonly record: TrustRecord;
}

class FileTrustStore implements TrustStore {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  async load(place: TrustPlace): Promise<TrustRecord | undefined> {
    return (await this.list()).find((stored) => isSame(stored.place, place))?.record;
  }

  async list(): Promise<readonly StoredRecord[]> {
    const bytes = await this.#read();
    return bytes === undefined ? [] : parseFile(this.#path, bytes);
  }

  async update(
    place: TrustPlace,
    change: (present: TrustRecord | undefined) => TrustRecord | undefined,
  ): Promise<void> {
    await this.#locked(async (lock) => {
      const stored = await this.list();
      const present = stored.find((candidate) => isSame(candidate.place, place))?.record;
      const record = change(present);
      if (record === present) return;
      const others = stored.filter((candidate) => !isSame(candidate.place, place));
      await this.#replace(record === undefined ? others : [...others, { place, record }], lock);
    });
  }

  async #read(): Promise<Uint8Array | undefined> {
    try {
      if ((await stat(this.#path)).size > MAX_FILE_BYTES) throw damaged(this.#path, "it is too large");
      return await readFile(this.#path);
    } catch (error) {
      if (systemCode(error) === "ENOENT") return undefined;
      throw this.#failed("read", error);
    }
  }

  async #replace(stored: readonly StoredRecord[], lock: TakenLock): Promise<void> {
    const temporary = `${this.#path}.${process.pid}.tmp`;
    try {
      const file = await open(temporary, "w", 0o600);
      try {
        await file.writeFile(formatFile(stored));
        await file.sync();
      } finally {
        await file.close();
      }
      // Whoever held it for too long has lost it, and what it read may be old by now.
      if (!(await isHeld(lock))) throw lockedError(this.#path);
      await rename(temporary, this.#path);
      await flushFolder(dirname(this.#path));
    } catch (error) {
      await rm(temporary, { force: true });
      throw this.#failed("write", error);
    }
  }

  async #locked(work: (lock: TakenLock) => Promise<void>): Promise<void> {
    const lock = { path: `${this.#path}.lock`, token: randomUUID() };
    await this.#takeLock(lock);
    try {
      await work(lock);
    } finally {
      // Another's, once ours was taken away.
      if (await isHeld(lock)) await rm(lock.path, { force: true });
    }
  }

  async #takeLock({ path: lock, token }: TakenLock): Promise<void> {
    const endsMs = Date.now() + LOCK_WAIT_MS;
    try {
      await mkdir(dirname(lock), { recursive: true, mode: 0o700 });
      for (;;) {
        try {
          await writeFile(lock, token, { flag: "wx", mode: 0o600 });
          return;
        } catch (error) {
          if (systemCode(error) !== "EEXIST") throw error;
        }
        if (await isStale(lock)) await breakLock(lock);
        else if (Date.now() > endsMs) throw lockedError(this.#path);
        else await delay(10 + Math.random() * 40);
      }
    } catch (error) {
      throw this.#failed("lock", error);
    }
  }

  /** What a failure of the file system is to the caller. Ours are passed on. */
  #failed(doing: string, cause: unknown): unknown {
    const code = systemCode(cause);
    if (code === undefined) return cause;
    const hint = "set NELEUS_TRUST_FILE to a file that you may write";
    const facts = { path: this.#path, code };
    return new Unavailable(`cannot ${doing} the trust file ${this.#path}: ${code}`, { hint, facts }, { cause });
  }
}

/** So that the new name survives a crash of the machine. Windows opens no folders, and needs none of this. */
async function flushFolder(path: string): Promise<void> {
  if (platform() === "win32") return;
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** A lock that this call took: the file has its token for as long as nobody took it away. */
interface TakenLock {
  readonly path: string;
  readonly token: string;
}

async function isHeld({ path, token }: TakenLock): Promise<boolean> {
  try {
    return (await readFile(path, "utf8")) === token;
  } catch (error) {
    if (systemCode(error) === "ENOENT") return false;
    throw error;
  }
}

async function isStale(lock: string): Promise<boolean> {
  try {
    return Date.now() - (await stat(lock)).mtimeMs > LOCK_STALE_MS;
  } catch (error) {
    if (systemCode(error) === "ENOENT") return false;
    throw error;
  }
}

/**
 * Takes away a lock whose holder is gone. Of several who find it stale one moves it; should that be a new one by then, it is
 * put back.
 */
async function breakLock(lock: string): Promise<void> {
  const moved = `${lock}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  try {
    await rename(lock, moved);
    if (!(await isStale(moved))) await link(moved, lock);
  } catch (error) {
    const code = systemCode(error);
    if (code !== "ENOENT" && code !== "EEXIST") throw error;
  } finally {
    await rm(moved, { force: true });
  }
}

function lockedError(path: string): Unavailable {
  return new Unavailable(`the trust file ${path} is locked by another process`, {
    hint: `if none is at work, remove ${path}.lock`,
    facts: { path },
  });
}

function isSame(a: TrustPlace, b: TrustPlace): boolean {
  if ("databaseId" in a) return "databaseId" in b && a.databaseId === b.databaseId;
  return "address" in b && a.address === b.address && a.database === b.database;
}

function formatFile(stored: readonly StoredRecord[]): string {
  const databases = stored.map(({ place, record }) => ({
    ...("databaseId" in place ? { id: place.databaseId } : { address: place.address, database: place.database }),
    verifier_key: record.verifierKey,
    pinned: record.isPinned,
    checkpoints: record.checkpoints,
    ...(record.followed === undefined || record.followed.length === 0 ? {} : { followed: record.followed }),
    since: record.sinceMs,
    seen: record.seenMs,
  }));
  return `${JSON.stringify({ version: FILE_VERSION, databases }, undefined, 2)}\n`;
}

/** @throws Corrupt - not such a file @throws InvalidArgument - of a later version */
function parseFile(path: string, bytes: Uint8Array): StoredRecord[] {
  let file: unknown;
  try {
    file = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw damaged(path, "it is not JSON", cause);
  }
  if (!isObject(file)) throw damaged(path, "it is no object");
  if (file["version"] !== FILE_VERSION) {
    throw new InvalidArgument(`the trust file ${path} is of a version that this program does not know`, {
      field: "trust-file",
      hint: "a later version of neleus wrote it: use that, or set NELEUS_TRUST_FILE to another file",
    });
  }
  const databases = file["databases"];
  if (!Array.isArray(databases)) throw damaged(path, "it has no databases");
  return databases.map(
    (entry: unknown, index) => parseRecord(entry) ?? raise(damaged(path, `entry ${index} is wrong`)),
  );
}

function parseRecord(entry: unknown): StoredRecord | undefined {
  if (!isObject(entry)) return undefined;
  const { id, address, database, verifier_key: verifierKey, pinned, checkpoints, followed = [], since, seen } = entry;
  const place =
    typeof id === "string"
      ? { databaseId: id }
      : typeof address === "string" && typeof database === "string"
        ? { address, database }
        : undefined;
  if (place === undefined || typeof verifierKey !== "string" || typeof pinned !== "boolean") return undefined;
  if (!isTexts(checkpoints) || !isTexts(followed)) return undefined;
  if (typeof since !== "number" || typeof seen !== "number") return undefined;
  const way = followed.length === 0 ? {} : { followed };
  return { place, record: { verifierKey, isPinned: pinned, checkpoints, ...way, sinceMs: since, seenMs: seen } };
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function raise(error: Error): never {
  throw error;
}

function damaged(path: string, why: string, cause?: unknown): Corrupt {
  return new Corrupt(
    `the trust file ${path} is damaged: ${why}`,
    {
      hint: "restore it; or move it away, and check each key anew with whoever runs the server",
      facts: { kind: "trust-file", path },
    },
    { cause },
  );
}

/** The code of an error of the system; undefined for any other, ours among them. */
function systemCode(error: unknown): string | undefined {
  const { code, syscall } = error as NodeJS.ErrnoException;
  return syscall === undefined ? undefined : code;
}
