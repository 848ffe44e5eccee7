// Databases to measure with: keys `user/` and 13 digits (18 bytes), values of 100 bytes.
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { toHex, utf8 } from "#src/core/bytes.js";
import { Database } from "#src/database/index.js";
import type { BenchContext } from "./harness.js";

export const KEY_BYTES = 18;
export const VALUE_BYTES = 100;
const BATCH_KEYS = 10_000;

export interface LoadedDatabase {
  readonly directory: string;
  readonly keys: number;
  /** Staged root of `main`, hex. */
  readonly root: string;
}

export function numberedKey(number: number): Uint8Array {
  return utf8(`user/${String(number).padStart(13, "0")}`);
}

/** Bytes that do not repeat, and are the same in every run. */
export function valueOf(number: number, sizeBytes = VALUE_BYTES): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  for (let offset = 0; offset < sizeBytes; offset += 64) {
    const block = createHash("sha512").update(`${number}/${offset}`).digest();
    bytes.set(block.subarray(0, Math.min(64, sizeBytes - offset)), offset);
  }
  return bytes;
}

let places = 0;

/** A place in the scratch directory where nothing has been yet. */
export function freshPlace(context: BenchContext, name: string): string {
  places += 1;
  return join(context.scratch, `${name}-${places}`);
}

export async function emptyDatabase(context: BenchContext, name: string): Promise<string> {
  const directory = freshPlace(context, name);
  await (await Database.create(directory)).close();
  return directory;
}

/** A database with so many keys, made once a run. */
export async function loadedDatabase(context: BenchContext, keys: number): Promise<LoadedDatabase> {
  const directory = join(context.scratch, `keys-${keys}`);
  const isNew = !existsSync(directory);
  const database = isNew ? await Database.create(directory) : await Database.open(directory);
  if (isNew) {
    context.progress(`loading ${keys.toLocaleString("en")} keys`);
    for (let first = 0; first < keys; first += BATCH_KEYS) {
      const operations = Array.from({ length: Math.min(BATCH_KEYS, keys - first) }, (_, index) => ({
        key: numberedKey(first + index),
        change: { put: valueOf(first + index) },
      }));
      await database.states.apply("main", { operations });
    }
  }
  const { stagedState } = await (await database.view()).head("main");
  await database.close();
  return { directory, keys, root: toHex(stagedState) };
}
