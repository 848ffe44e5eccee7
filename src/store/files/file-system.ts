// What the store needs of a file system beyond reading and writing, and what differs from one platform to another.
//
// A file is durable once its bytes are flushed *and* the directory that names it is. POSIX flushes a directory through
// a handle on it; Windows cannot open one, and its journal orders renames by itself, so there the call does nothing.
// `rename` replaces an existing file at once on POSIX; on Windows that fails while somebody has the target open, and is
// tried again for a moment. Modes (0700, 0600) are POSIX's; Windows takes the rights of the parent directory.
// Tested on Linux (ext4, tmpfs) only.
import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import * as fs from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Corrupt, InvalidArgument, NeleusError, Unavailable } from "../../core/errors.js";

/** Rights of every directory and of every file of a database: its owner's alone. */
export const DIRECTORY_MODE = 0o700;
export const FILE_MODE = 0o600;

const IS_WINDOWS = process.platform === "win32";

/** The `code` of a system error, such as `ENOENT`, or undefined for anything else. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** What was being done to which file when a system call failed. */
export interface FileAction {
  /** As in "could not write": `write`, `open`, `flush`, … */
  readonly doing: string;
  readonly path: string;
}

/** What loses no write where it fails. */
const READING: ReadonlySet<string> = new Set(["read", "open", "list", "look at", "measure"]);

/** The typed error for a failed system call. Errors of ours, and bugs, pass through unchanged. */
export function fileError(error: unknown, action: FileAction): unknown {
  const code = systemCode(error);
  if (code === undefined || error instanceof NeleusError) return error;
  const message = `could not ${action.doing} ${action.path}: ${describe(code)}`;
  const facts = { path: action.path, system_code: code };
  const details = (hint: string) => ({ hint, facts });
  switch (code) {
    case "ENOSPC":
    case "EDQUOT":
    case "EFBIG":
      return new Unavailable(message, details(`free space where ${action.path} lies, then retry`), { cause: error });
    case "EMFILE":
    case "ENFILE":
      return new Unavailable(message, details("raise the limit on open files (ulimit -n)"), { cause: error });
    case "EROFS":
      return new Unavailable(message, details("the file system is mounted read-only"), { cause: error });
    case "EACCES":
    case "EPERM":
      return new NeleusError("PERMISSION_DENIED", message, details("run as the owner of the database"), {
        cause: error,
      });
    case "EIO":
      // What cannot be read may be lost; what could not be written was not acknowledged, and is the caller's to try again.
      return READING.has(action.doing)
        ? new Corrupt(message, details("check the device, then restore from a backup"), { cause: error })
        : new Unavailable(message, details("check the device; nothing was acknowledged"), { cause: error });
    case "ENOTDIR":
    case "ENAMETOOLONG":
    case "ELOOP":
      // No retry helps: the path itself cannot be.
      return new InvalidArgument(message, { field: "path", facts }, { cause: error });
    default:
      return new Unavailable(message, { facts }, { cause: error });
  }
}

function describe(code: string): string {
  const known: Readonly<Record<string, string>> = {
    ENOSPC: "no space left on the device",
    EDQUOT: "the disk quota is used up",
    EFBIG: "the file may not grow further",
    EMFILE: "this process has too many files open",
    ENFILE: "the system has too many files open",
    EROFS: "the file system is read-only",
    ENOTDIR: "a part of the path is a file, not a directory",
    ENAMETOOLONG: "the path is too long",
    ELOOP: "too many symbolic links",
    EACCES: "permission denied",
    EPERM: "permission denied",
    EIO: "the device reports an input/output error",
  };
  const text = known[code];
  return text === undefined ? code : `${text} (${code})`;
}

/** Runs an action on a file and turns a failed system call into a typed error. */
export async function onFile<T>(action: FileAction, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw fileError(error, action);
  }
}

/** The same, except that a file or directory that is not there gives undefined. */
export async function onFileIfThere<T>(action: FileAction, run: () => Promise<T>): Promise<T | undefined> {
  try {
    return await run();
  } catch (error) {
    if (systemCode(error) === "ENOENT" || systemCode(error) === "ENOTDIR") return undefined;
    throw fileError(error, action);
  }
}

/** An open file, and what it is called in errors. */
export interface OpenFile {
  readonly path: string;
  readonly handle: fs.FileHandle;
}

/** Exactly `length` bytes of an open file. @throws Corrupt - the file ends before */
export async function readExactly(
  file: OpenFile,
  range: { readonly offset: number; readonly length: number },
): Promise<Uint8Array> {
  const bytes = new Uint8Array(range.length);
  await fillFrom(file, range.offset, bytes);
  return bytes;
}

/** Fills an array from an open file. @throws Corrupt - the file ends before */
export async function fillFrom(file: OpenFile, offset: number, bytes: Uint8Array): Promise<void> {
  let filled = 0;
  while (filled < bytes.length) {
    const { bytesRead } = await onFile({ doing: "read", path: file.path }, () =>
      file.handle.read(bytes, filled, bytes.length - filled, offset + filled),
    );
    if (bytesRead === 0) {
      throw new Corrupt(`${file.path} ends at byte ${offset + filled}, before byte ${offset + bytes.length}`, {
        hint: "run: neleus db fsck",
        facts: { path: file.path },
      });
    }
    filled += bytesRead;
  }
}

/** Writes all of an array to an open file, from `offset` on. */
export async function writeAt(file: OpenFile, offset: number, bytes: Uint8Array): Promise<void> {
  let written = 0;
  while (written < bytes.length) {
    const { bytesWritten } = await onFile({ doing: "write", path: file.path }, () =>
      file.handle.write(bytes, written, bytes.length - written, offset + written),
    );
    written += bytesWritten;
  }
}

/** Flushes a directory, so that the names created, renamed and removed in it survive a crash. */
export async function flushDirectory(path: string): Promise<void> {
  if (IS_WINDOWS) return;
  await onFile({ doing: "flush", path }, async () => {
    const handle = await fs.open(path, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  });
}

/** Renames a file over whatever has the new name. The caller flushes the directories. */
export async function renameOver(from: string, to: string): Promise<void> {
  await onFile({ doing: "rename over", path: to }, async () => {
    for (let attempt = 0; ; attempt += 1) {
      try {
        await fs.rename(from, to);
        return;
      } catch (error) {
        const code = systemCode(error);
        const busy = IS_WINDOWS && (code === "EPERM" || code === "EACCES" || code === "EBUSY");
        if (!busy || attempt === 10) throw error;
        await delay(10 * 2 ** Math.min(attempt, 5));
      }
    }
  });
}

/** Makes a directory if it is not there. True if it made it. */
export async function makeDirectory(path: string): Promise<boolean> {
  try {
    await fs.mkdir(path, { mode: DIRECTORY_MODE });
    return true;
  } catch (error) {
    if (systemCode(error) === "EEXIST") return false;
    throw fileError(error, { doing: "create", path });
  }
}

/** Makes a directory if it is not there, and flushes its parent if it made it. */
export async function ensureDirectory(path: string): Promise<void> {
  if (await makeDirectory(path)) await flushDirectory(dirname(path));
}

/** A name beside `path` that no other writer uses. Left behind by a crash, it is recognised by `isTemporaryName`. */
function temporaryPath(path: string): string {
  return join(dirname(path), `.${basename(path)}.${randomBytes(8).toString("hex")}.tmp`);
}

export function isTemporaryName(name: string): boolean {
  return /^\..+\.[0-9a-f]{16}\.tmp$/.test(name);
}

/** What is younger than this may belong to a process that is still at it. */
export const LEFTOVER_AGE_MS = 60 * 60 * 1000;

/** Removes the temporary files that crashes left in a directory. */
export async function removeOldTemporaries(directory: string): Promise<void> {
  const names = (await onFileIfThere({ doing: "list", path: directory }, () => fs.readdir(directory))) ?? [];
  for (const path of names.filter(isTemporaryName).map((name) => join(directory, name))) {
    const file = await onFileIfThere({ doing: "look at", path }, () => fs.stat(path));
    if (file === undefined || Date.now() - file.mtimeMs < LEFTOVER_AGE_MS) continue;
    await onFile({ doing: "remove", path }, () => fs.rm(path, { force: true }));
  }
}

/** What cannot be removed now is left to `removeOldTemporaries`: it is in nobody's way. */
async function dropTemporary(path: string): Promise<void> {
  await fs.rm(path, { force: true }).catch(() => undefined);
}

type Flush = (handle: fs.FileHandle) => Promise<void>;

async function writeTemporary(path: string, bytes: Uint8Array, flush: Flush): Promise<string> {
  const temporary = temporaryPath(path);
  await onFile({ doing: "write", path: temporary }, async () => {
    const handle = await fs.open(temporary, "wx", FILE_MODE);
    try {
      await writeWhole(handle, bytes);
      await flush(handle);
    } catch (error) {
      await dropTemporary(temporary);
      throw error;
    } finally {
      await handle.close();
    }
  });
  return temporary;
}

async function writeWhole(handle: fs.FileHandle, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    written += (await handle.write(bytes, written, bytes.length - written, written)).bytesWritten;
  }
}

async function replace(path: string, bytes: Uint8Array, flush: Flush): Promise<void> {
  const temporary = await writeTemporary(path, bytes, flush);
  try {
    await renameOver(temporary, path);
  } catch (error) {
    await dropTemporary(temporary);
    throw error;
  }
}

/** Replaces a small file at once and durably: after a crash it holds the old bytes or the new, never a mixture. */
export async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  await replace(path, bytes, (handle) => handle.sync());
  await flushDirectory(dirname(path));
}

/** The same in one go, for who holds a lock of this thread's. */
export function replaceFileNow(path: string, bytes: Uint8Array): void {
  const temporary = temporaryPath(path);
  try {
    const file = openSync(temporary, "wx", FILE_MODE);
    try {
      for (let written = 0; written < bytes.length;) written += writeSync(file, bytes, written);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
    if (!IS_WINDOWS) {
      const directory = openSync(dirname(path), "r");
      try {
        fsyncSync(directory);
      } finally {
        closeSync(directory);
      }
    }
  } catch (error) {
    rmSync(temporary, { force: true });
    throw fileError(error, { doing: "write", path });
  }
}

/** Replaces a small file at once. After a crash of the machine it may hold the old bytes, the new, or none. */
export async function replaceFileUnflushed(path: string, bytes: Uint8Array): Promise<void> {
  await replace(path, bytes, async () => {});
}

/** Creates a small file whole and durably, unless there is one of that name. True if this call created it. */
export async function createFile(path: string, bytes: Uint8Array): Promise<boolean> {
  const temporary = await writeTemporary(path, bytes, (handle) => handle.sync());
  try {
    // A link, unlike a rename, never replaces: of several processes one wins.
    await fs.link(temporary, path);
  } catch (error) {
    if (systemCode(error) === "EEXIST") return false;
    throw fileError(error, { doing: "create", path });
  } finally {
    await dropTemporary(temporary);
  }
  await flushDirectory(dirname(path));
  return true;
}
