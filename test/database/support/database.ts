// Databases for tests: one in memory and one in a directory of its own, with a clock and random bytes that repeat.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { utf8 } from "#src/core/bytes.js";
import { get, readSync, scanSync } from "#src/core/map/index.js";
import type { MapAt } from "#src/core/map/index.js";
import { stateCell } from "#src/core/object/index.js";
import { Database } from "#src/database/index.js";
import type {
  CreateDatabaseOptions,
  DatabaseOptions,
  Location,
  ReadSelector,
  StateOperation,
} from "#src/database/index.js";
import { MemoryStore } from "#src/store/index.js";
import { patternBytes } from "./bytes.js";

export const START_MS = 1_763_800_000_000;

/** A clock that moves one millisecond a look, and can be set. */
export class TestClock {
  nowMs = START_MS;
  readonly read = (): number => (this.nowMs += 1);
}

/** Random bytes that are the same in each test. */
export function testRandom(seed = 7): (count: number) => Uint8Array {
  let calls = seed * 1000;
  return (count) => patternBytes(count, (calls += 1));
}

export interface Place {
  readonly kind: "memory" | "directory";
  /** A place where nothing is yet. For directories: opened again, it holds what was written. */
  readonly location: Location;
}

export interface TestPlace extends Place {
  readonly clock: TestClock;
  readonly options: DatabaseOptions;
  readonly create: (options?: CreateDatabaseOptions) => Promise<Database>;
}

/** Runs a test over a store in memory and over one in a directory. */
export function onEachStore(name: string, test: (place: TestPlace) => Promise<void>): void {
  describe(name, () => {
    it("in memory", () => test(testPlace({ kind: "memory", location: new MemoryStore() })));
    it("in a directory", () => inDirectory(test));
  });
}

/** Runs a test in a directory of its own. */
export async function inDirectory(test: (place: TestPlace & { location: string }) => Promise<void>): Promise<void> {
  const parent = await mkdtemp(join(tmpdir(), "neleus-test-"));
  try {
    const location = join(parent, "db");
    await test({ ...testPlace({ kind: "directory", location }), location });
  } finally {
    await rm(parent, { recursive: true, force: true });
  }
}

/** A database in memory, and its store. */
export async function inMemory(
  options: DatabaseOptions = {},
): Promise<{ db: Database; store: MemoryStore; clock: TestClock }> {
  const store = new MemoryStore();
  const place = testPlace({ kind: "memory", location: store });
  return { db: await place.create(options), store, clock: place.clock };
}

function testPlace(place: Place): TestPlace {
  const clock = new TestClock();
  // Nobody else writes to most of them, so waiting for a longer log is in vain.
  const options = { clock: clock.read, randomBytes: testRandom(), logWaitMs: 20 };
  return { ...place, clock, options, create: (more) => Database.create(place.location, { ...options, ...more }) };
}

export const put = (key: string, value: string | Uint8Array): StateOperation => ({
  key: utf8(key),
  change: { put: typeof value === "string" ? utf8(value) : value },
});
export const remove = (key: string): StateOperation => ({ key: utf8(key), change: "delete" });

/** The value of a key as text, through node source and blobs as a service reads it. */
export async function readText(
  db: Database,
  key: string,
  at: ReadSelector = { staged: "main" },
): Promise<string | undefined> {
  const { state } = await (await db.view()).resolve(at);
  const cell = readSync(get(state, utf8(key)), db.nodes);
  if (cell === undefined) return undefined;
  const { hash, size } = stateCell.decode(cell);
  const found = await db.blobs.find(hash, { atMostBytes: 1e9 });
  if (found?.bytes?.length !== size) throw new Error("the cell's size is not the blob's");
  return Buffer.from(found.bytes).toString();
}

/** All keys and values of a state, as text. */
export async function readAll(db: Database, at: ReadSelector = { staged: "main" }): Promise<Record<string, string>> {
  const { state } = await (await db.view()).resolve(at);
  const all: Record<string, string> = {};
  for (const { key, cell } of entriesOf(db, state)) {
    const found = await db.blobs.find(stateCell.decode(cell).hash, { atMostBytes: 1e9 });
    all[Buffer.from(key).toString()] = Buffer.from(found?.bytes ?? []).toString();
  }
  return all;
}

/** Every entry of a map. */
export function entriesOf(db: Database, map: MapAt): { key: Uint8Array; cell: Uint8Array }[] {
  const all: { key: Uint8Array; cell: Uint8Array }[] = [];
  for (const entries of scanSync(db.nodes, map, { from: new Uint8Array(0) })) all.push(...entries);
  return all;
}
