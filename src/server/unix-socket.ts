// The file of a Unix socket: cleared of what a crashed server left behind, and never readable by anybody else.
//
// A socket outlives the process that made it, so a restart finds a stale one in its way. It may be removed only if
// nobody listens on it, and removing by name could hit a socket that another server has put there in between. So it is
// first moved to a name of our own, then asked once more under that name, and only then removed; one that turns out
// to be alive is put back.
import { randomBytes } from "node:crypto";
import { linkSync, lstatSync, renameSync, unlinkSync } from "node:fs";
import { connect } from "node:net";
import { basename, dirname, join } from "node:path";
import { AlreadyExists, NeleusError } from "../core/errors.js";

/**
 * Makes room for a socket: nothing there, or a socket that nobody listens on, which is removed.
 * @throws AlreadyExists - something else is there, or a server listens on it
 * @throws NeleusError - PERMISSION_DENIED: it cannot be asked or removed
 */
export async function clearSocketPath(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new AlreadyExists(`${path} exists and is no socket: it is left alone`, { field: "listen" });
  }
  if (await isListenedOn(path)) throw inUse(path);
  const aside = nameBeside(path);
  try {
    renameSync(path, aside);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return;
    throw cannotRemove(path, cause);
  }
  if (await isListenedOn(aside)) {
    putBack(aside, path);
    throw inUse(path);
  }
  unlinkSync(aside);
}

/** A free name in the same folder, no longer than the socket's own: longer ones could not be asked any more. */
function nameBeside(path: string): string {
  const length = Math.min(basename(path).length, 12);
  const aside = join(dirname(path), randomBytes(6).toString("hex").slice(0, length));
  if (lstatSync(aside, { throwIfNoEntry: false }) === undefined) return aside;
  throw cannotRemove(path, new Error(`${aside} exists`));
}

function putBack(aside: string, path: string): void {
  try {
    // A link, unlike a rename, never replaces what has come there since.
    linkSync(aside, path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause;
  }
  unlinkSync(aside);
}

/** True where a server takes connections on the socket. */
function isListenedOn(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = connect({ path });
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", (cause: NodeJS.ErrnoException) => {
      if (cause.code === "ECONNREFUSED" || cause.code === "ENOENT") resolve(false);
      // A full backlog is a server that is busy, not one that is gone.
      else if (cause.code === "EAGAIN") resolve(true);
      else reject(cannotRemove(path, cause));
    });
  });
}

function inUse(path: string): AlreadyExists {
  return new AlreadyExists(`a server is listening on unix:${path}`, {
    field: "listen",
    hint: "use that one (--server), or choose another --listen",
  });
}

function cannotRemove(path: string, cause: unknown): NeleusError {
  const message = `the socket ${path} is in the way and cannot be removed: ${(cause as Error).message}`;
  return new NeleusError("PERMISSION_DENIED", message, { field: "listen" }, { cause });
}
