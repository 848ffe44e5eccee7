// Who has a database open: `wal/open.<16 hex digits>.wal`, made when a process opens it and removed when it closes it in good
// order. What is left of one that is gone says that a process crashed, was killed, or lost its machine.
//
//   {"version":1,"pid":4711,"started":"81923","boot":"0d6c…","namespace":"pid:[4026531836]","opened_ms":1763800000000}
//
// Nothing depends on its being there: it is not flushed, and on a full disk there is none. What depends on its being *gone* is
// that what belongs to it is not touched while its owner lives. Who lives is asked of LMDB first, whose reader slots are
// guarded by locks that the system releases at a death; a number of a process says little where it may be of another
// container, or used again.
//
// (No code of ours may ever open lock.mdb: closing any descriptor of it would release LMDB's locks of this whole process.)
import { randomBytes } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { readFile, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { FILE_MODE, onFile, onFileIfThere, systemCode } from "../files/file-system.js";

/** A process that has, or had, the database open. */
export interface Presence {
  /** Of its file in `wal/`, without the suffix: what belongs to this process is marked with it. */
  readonly name: string;
  /** Undefined where the file is damaged or was never finished. */
  readonly process: ProcessIdentity | undefined;
}

interface ProcessIdentity {
  readonly pid: number;
  /** When it began, in the system's own count: another process of this number began at another time. */
  readonly started: string | undefined;
  readonly boot: string | undefined;
  /** Numbers of processes mean something only within one of these. */
  readonly namespace: string | undefined;
  readonly openedMs: number;
}

const NAME = /^open\.[0-9a-f]{16}$/;
const SUFFIX = ".wal";

/** Says that this process has the database open. Undefined where there is no room to say so. */
export async function enter(uploads: string): Promise<string | undefined> {
  const name = `open.${randomBytes(8).toString("hex")}`;
  const { pid, started, boot, namespace, openedMs } = ownIdentity();
  const text = JSON.stringify({ version: 1, pid, started, boot, namespace, opened_ms: openedMs });
  try {
    await writeFile(join(uploads, name + SUFFIX), `${text}\n`, { flag: "wx", mode: FILE_MODE });
    return name;
  } catch (error) {
    // A database on a disk that is full, or cannot be written, is read all the same.
    await rm(join(uploads, name + SUFFIX), { force: true }).catch(() => undefined);
    if (systemCode(error) === undefined) throw error;
    return undefined;
  }
}

/** Takes a presence back. True if this call removed it. */
export async function leave(uploads: string, name: string): Promise<boolean> {
  const path = join(uploads, name + SUFFIX);
  const removed = await onFileIfThere({ doing: "remove", path }, async () => {
    await rm(path);
    return true;
  });
  return removed ?? false;
}

/** All that are noted. */
export async function listPresences(uploads: string): Promise<Presence[]> {
  const names = (await onFileIfThere({ doing: "list", path: uploads }, () => readdir(uploads))) ?? [];
  const presences: Presence[] = [];
  for (const file of names) {
    const name = file.slice(0, -SUFFIX.length);
    if (!file.endsWith(SUFFIX) || !NAME.test(name)) continue;
    const path = join(uploads, file);
    const text = await onFile({ doing: "read", path }, () => readFile(path, "utf8")).catch(() => "");
    presences.push({ name, process: parse(text) });
  }
  return presences;
}

/** What is known of a process: `unknown` where it is of another namespace, or its file cannot be read. */
export function stateOf({ process: found }: Presence): "own" | "alive" | "dead" | "unknown" {
  if (found === undefined) return "unknown";
  const own = ownIdentity();
  if (found.boot !== undefined && own.boot !== undefined && found.boot !== own.boot) return "dead";
  if (found.namespace !== own.namespace) return "unknown";
  if (found.pid === own.pid && found.started === own.started) return "own";
  if (!exists(found.pid)) return "dead";
  const started = startOf(found.pid);
  return started === found.started || started === undefined || found.started === undefined ? "alive" : "dead";
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemCode(error) === "EPERM";
  }
}

let identity: Omit<ProcessIdentity, "openedMs"> | undefined;

function ownIdentity(): ProcessIdentity {
  identity ??= {
    pid: process.pid,
    started: startOf(process.pid),
    boot: readText("/proc/sys/kernel/random/boot_id")?.trim(),
    namespace: linkOf("/proc/self/ns/pid"),
  };
  return { ...identity, openedMs: Date.now() };
}

/** The 22nd field of `/proc/<pid>/stat`; the second, the name, may hold spaces and parentheses. Linux only. */
function startOf(pid: number): string | undefined {
  const stat = readText(`/proc/${pid}/stat`);
  return stat?.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

function parse(text: string): ProcessIdentity | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof json !== "object" || json === null) return undefined;
  const { version, pid, started, boot, namespace, opened_ms: openedMs } = json as Record<string, unknown>;
  if (version !== 1 || !isCount(pid) || pid === 0 || !isCount(openedMs)) return undefined;
  return { pid, started: textOf(started), boot: textOf(boot), namespace: textOf(namespace), openedMs };
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
