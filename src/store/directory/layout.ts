// What lies in a database's directory, and what a directory that somebody names turns out to be (FORMATS §8).
//
//   <root>/meta/config.json     objects/CURRENT     objects/<n>/     blobs/     wal/
//
// A database exists from the moment that `objects/CURRENT` does: it is created last, whole, and by one process alone.
import { readFileSync } from "node:fs";
import { readFile, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { Corrupt, InvalidArgument } from "../../core/errors.js";
import { fileError, isTemporaryName, onFile, onFileIfThere } from "../files/file-system.js";
import { MAX_CONFIG_BYTES } from "./config.js";

/** A store that is being made, not yet `objects/<n>`. */
export const UNFINISHED_PREFIX = ".initialising-";

const COMPLETED_CONFIG = "config.completed.json";

export interface Layout {
  readonly root: string;
  readonly meta: string;
  readonly config: string;
  /** The configuration of an encrypted database that is being made (encryption.ts). */
  readonly completed: string;
  readonly objects: string;
  readonly current: string;
  readonly blobs: string;
  readonly uploads: string;
}

export function layoutOf(root: string): Layout {
  const meta = join(root, "meta");
  const objects = join(root, "objects");
  return {
    root,
    meta,
    config: join(meta, "config.json"),
    completed: join(meta, COMPLETED_CONFIG),
    objects,
    current: join(objects, "CURRENT"),
    blobs: join(root, "blobs"),
    uploads: join(root, "wal"),
  };
}

/**
 * What a directory is:
 * - `absent` or `empty`;
 * - `configured`: nothing but a config.json that somebody wrote by hand;
 * - `unfinished`: an initialisation that was interrupted;
 * - `database`;
 * - `damaged`: a database whose config.json is gone;
 * - `unnamed`: one whose CURRENT is gone;
 * - `other`: something else, with the names of a few things found there.
 */
export type Finding =
  | { readonly kind: "absent" | "empty" | "configured" | "unfinished" | "database" | "damaged" | "unnamed" }
  | { readonly kind: "other"; readonly found: string };

/** Looks at what is there and changes nothing. @throws InvalidArgument - it is a file */
export async function inspect(layout: Layout): Promise<Finding> {
  const root = await onFileIfThere({ doing: "look at", path: layout.root }, () => stat(layout.root));
  if (root === undefined) return { kind: "absent" };
  if (!root.isDirectory()) {
    throw new InvalidArgument(`${layout.root} is a file, and a database is a directory`, {
      field: "db",
      facts: { path: layout.root },
    });
  }
  const names = await listNames(layout.root);
  if (names.length === 0) return { kind: "empty" };
  const meta = await listNames(layout.meta);
  const objects = await listNames(layout.objects);
  if (objects.includes("CURRENT")) return { kind: meta.includes("config.json") ? "database" : "damaged" };
  const strangers = await findStrangers(layout, { meta, objects });
  const isContent = (name: string): boolean => name.startsWith("blobs/") || name.startsWith("wal/");
  if (strangers.length > 0 && strangers.every(isContent) && objects.some(isGeneration)) return { kind: "unnamed" };
  if (strangers.length > 0) return { kind: "other", found: describeNames(strangers) };
  return { kind: names.length === 1 && meta.includes("config.json") ? "configured" : "unfinished" };
}

/** What lies in a directory that an interrupted initialisation, or a hand-written config, does not leave there. */
async function findStrangers(
  layout: Layout,
  names: { readonly meta: readonly string[]; readonly objects: readonly string[] },
): Promise<string[]> {
  const entries = await onFile({ doing: "list", path: layout.root }, () =>
    readdir(layout.root, { withFileTypes: true }),
  );
  const isPart = (name: string) => ["meta", "objects", "blobs", "wal"].includes(name);
  const isOfObjects = (name: string) =>
    isTemporaryName(name) || isGeneration(name) || name.startsWith(UNFINISHED_PREFIX);
  const under = (folder: string, inside: readonly string[]) => inside.map((name) => `${folder}/${name}`);
  return [
    ...entries.filter((entry) => !isPart(entry.name) || !entry.isDirectory()).map((entry) => entry.name),
    ...under(
      "meta",
      names.meta.filter((name) => name !== "config.json" && name !== COMPLETED_CONFIG && !isTemporaryName(name)),
    ),
    ...under(
      "objects",
      names.objects.filter((name) => !isOfObjects(name)),
    ),
    ...under("blobs", await listNames(layout.blobs)),
    ...under("wal", await listNames(layout.uploads)),
  ];
}

/** The names in a directory; none where there is no such directory. */
export async function listNames(path: string): Promise<string[]> {
  return (await onFileIfThere({ doing: "list", path }, () => readdir(path))) ?? [];
}

/** True for the name of a store's directory in `objects/`: a number from 1. */
export function isGeneration(name: string): boolean {
  return /^[1-9][0-9]{0,8}$/.test(name);
}

/** The directory of the store that `objects/CURRENT` names. @throws Corrupt - it names none, or one that is not there */
export async function currentStore(layout: Layout): Promise<string> {
  const text = await onFile({ doing: "read", path: layout.current }, () => readFile(layout.current, "utf8"));
  const name = text.trim();
  const hint = "restore the database from a backup";
  if (!isGeneration(name)) {
    throw new Corrupt(`${layout.current} does not name a store`, { hint, facts: { path: layout.current } });
  }
  const path = join(layout.objects, name);
  if (!(await listNames(path)).includes("data.mdb")) {
    throw new Corrupt(`${layout.current} names ${path}, where there is no store`, { hint, facts: { path } });
  }
  return path;
}

/** The text of config.json. @throws InvalidArgument - it is implausibly large, or no file */
export async function readConfigText(layout: Layout): Promise<string> {
  const path = layout.config;
  const file = await onFile({ doing: "look at", path }, () => stat(path));
  if (!file.isFile() || file.size > MAX_CONFIG_BYTES) {
    throw new InvalidArgument(`${path} is no configuration: not a file of at most ${MAX_CONFIG_BYTES} bytes`, {
      field: "meta/config.json",
      facts: { path },
    });
  }
  return onFile({ doing: "read", path }, () => readFile(path, "utf8"));
}

/** The same in one go, for who holds the lock. */
export function readConfigTextNow(layout: Layout): string {
  const path = layout.config;
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw fileError(error, { doing: "read", path });
  }
}

function describeNames(names: readonly string[]): string {
  const shown = names.slice(0, 3).join(", ");
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown;
}
