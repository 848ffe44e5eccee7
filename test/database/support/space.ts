// How much disk single sets leave, beside a bulk load of the same content.
import { statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { utf8 } from "#src/core/bytes.js";
import { Database } from "#src/database/index.js";
import type { StateOperation } from "#src/database/index.js";
import type { StoreUsage } from "#src/store/index.js";

const BATCH = 10_000;
/** Longer than what was replaced waits when nobody writes and much waits; FREE_AT_LATEST_MS would be a minute. */
const QUIET_MS = 1_500;

export interface Space {
  readonly fileBytes: number;
  readonly rows: StoreUsage["rows"];
}

function operation(number: number): StateOperation {
  return { key: utf8(`user/${String(number).padStart(8, "0")}`), change: { put: utf8(`value number ${number}`) } };
}

/** Numbers below a count in an order that looks random and is always the same. */
function shuffled(count: number): number[] {
  const numbers = Array.from({ length: count }, (_, index) => index);
  let state = 12_345;
  for (let index = count - 1; index > 0; index -= 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const other = state % (index + 1);
    [numbers[index], numbers[other]] = [numbers[other] ?? 0, numbers[index] ?? 0];
  }
  return numbers;
}

async function measure(path: string, write: (db: Database) => Promise<void>): Promise<Space> {
  const db = await Database.create(path);
  await write(db);
  await delay(QUIET_MS);
  const { rows } = await db.usage();
  await db.close();
  return { fileBytes: statSync(join(path, "objects", "1", "data.mdb")).size, rows };
}

/** Loads in batches, in order of key: the least that the content can take. */
export function bulkLoad(path: string, keys: number): Promise<Space> {
  return measure(path, async (db) => {
    for (let first = 0; first < keys; first += BATCH) {
      const count = Math.min(BATCH, keys - first);
      await db.states.apply("main", {
        operations: Array.from({ length: count }, (_, index) => operation(first + index)),
      });
    }
  });
}

async function setOneByOne(db: Database, keys: number): Promise<void> {
  for (const number of shuffled(keys)) await db.states.apply("main", { operations: [operation(number)] });
}

/** Sets one key after the other, in random order. */
export function singleSets(path: string, keys: number): Promise<Space> {
  return measure(path, (db) => setOneByOne(db, keys));
}

/** The same, while a reader holds what was there before, so that nothing may be freed. */
export function singleSetsFreeingNothing(path: string, keys: number): Promise<Space> {
  return measure(path, async (db) => {
    const lease = (await db.view()).hold();
    await setOneByOne(db, keys);
    lease.release();
  });
}
