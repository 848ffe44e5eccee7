// The file of a Unix socket, cleared of what a crashed server left behind.
//
// A socket outlives the process that made it, so a restart finds a stale one in its way. Removing it by name could hit
// the socket of another server that has just started there. So:
//   - only a socket that refuses connections, twice, is stale: between binding and listening a live one refuses too;
//   - only who has made the claim file `<path>.claim` may remove a socket, and only the very one that was found stale.
// A dead socket never comes alive, nobody can bind while it is there, and nobody else may remove it: so what is checked
// under the claim is still true when it is removed. Who binds then is decided by the system.
import { closeSync, lstatSync, openSync, unlinkSync, type BigIntStats } from "node:fs";
import { connect } from "node:net";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { AlreadyExists, InvalidArgument, NeleusError } from "../core/errors.js";

/** How long after the first question a socket is asked again. */
const SECOND_QUESTION_MS = 50;

/**
 * Makes room for a socket: nothing there, or a socket that nobody listens on, which is removed.
 * @throws AlreadyExists - something else is there, a server listens on it, or another is just starting there
 * @throws InvalidArgument - its folder does not exist
 * @throws NeleusError - PERMISSION_DENIED: it cannot be asked or removed
 */
export async function clearSocketPath(path: string): Promise<void> {
  if (identify(dirname(path)) === undefined) {
    throw new InvalidArgument(`no folder ${dirname(path)} for ${path}`, { field: "listen" });
  }
  const found = identify(path);
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new AlreadyExists(`${path} exists and is no socket: it is left alone`, { field: "listen" });
  }
  if (await isListenedOn(path)) throw inUse(path);
  await delay(SECOND_QUESTION_MS);
  if (await isListenedOn(path)) throw inUse(path);
  removeUnderClaim(path, found);
}

/** Removes the socket if it is still the one that was found. All in one turn, so that a claim lives for an instant. */
function removeUnderClaim(path: string, found: BigIntStats): void {
  const claim = `${path}.claim`;
  try {
    closeSync(openSync(claim, "wx", 0o600));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cannotClear(path, cause);
    throw new AlreadyExists(`another server is starting on unix:${path}`, {
      field: "listen",
      hint: `if none is, one died at it: remove ${claim}`,
    });
  }
  try {
    const present = identify(path);
    if (present !== undefined && isSame(present, found)) unlinkSync(path);
  } catch (cause) {
    throw cause instanceof NeleusError ? cause : cannotClear(path, cause);
  } finally {
    unlinkSync(claim);
  }
}

function identify(path: string): BigIntStats | undefined {
  try {
    return lstatSync(path, { bigint: true, throwIfNoEntry: false });
  } catch (cause) {
    throw cannotClear(path, cause);
  }
}

/** Numbers of files are used again: the time of the last change tells the new one apart. */
function isSame(a: BigIntStats, b: BigIntStats): boolean {
  return a.dev === b.dev && a.ino === b.ino && a.ctimeNs === b.ctimeNs;
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
      else reject(cannotClear(path, cause));
    });
  });
}

function inUse(path: string): AlreadyExists {
  return new AlreadyExists(`a server is listening on unix:${path}`, {
    field: "listen",
    hint: "use that one (--server), or choose another --listen",
  });
}

function cannotClear(path: string, cause: unknown): NeleusError {
  const message = `cannot make room for the socket ${path}: ${(cause as Error).message}`;
  return new NeleusError("PERMISSION_DENIED", message, { field: "listen" }, { cause });
}
