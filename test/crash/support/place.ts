// Databases for these tests, and where they lie.
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { Database } from "#src/database/index.js";
import { put } from "../../database/support/database.js";

/** A directory of a test's own, removed when the test ends. */
export function temporaryDirectory(context: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "neleus-crash-"));
  context.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** A small database with some keys and a commit. Returns its directory. */
export async function smallDatabase(parent: string): Promise<string> {
  const path = join(parent, "original");
  const db = await Database.create(path);
  const operations = Array.from({ length: 40 }, (_, index) => put(`first/${index}`, `value ${index}`));
  await db.states.apply("main", { operations });
  await db.commits.create({ head: "main", author: "first", message: "first" });
  await db.close();
  return path;
}

/** A copy of a database that nobody has open. */
export function copyOf(original: string, name: string): string {
  const path = join(original, "..", name);
  cpSync(original, path, { recursive: true });
  return path;
}

/** Numbers that look random and are the same for the same seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The seed of this run: NELEUS_TEST_SEED, or one of the clock. To be printed. */
export function seedOfRun(): number {
  const given = process.env["NELEUS_TEST_SEED"];
  return given === undefined ? Date.now() % 2 ** 31 : Number(given);
}
