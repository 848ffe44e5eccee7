// Goal: a million keys have one root in whatever order they are loaded.
// Method: the same keys and values ascending, descending and scattered, each into a head that is empty, in a directory; the
// root is also built here, from a sorted list.
import assert from "node:assert/strict";
import { it } from "node:test";
import { hashBlobs } from "#src/core/blob/index.js";
import { toHex, utf8 } from "#src/core/bytes.js";
import { MapBuilder, MapKind } from "#src/core/map/index.js";
import { stateCell } from "#src/core/object/index.js";
import type { Database } from "#src/database/index.js";
import { inDirectory } from "../database/support/database.js";

const KEYS = 1_000_000;
const AT_ONCE = 2_000;
/** Has no factor in common with KEYS: every number comes once. */
const STRIDE = 618_033;

const ORDERS: Readonly<Record<string, (position: number) => number>> = {
  ascending: (position) => position,
  descending: (position) => KEYS - 1 - position,
  scattered: (position) => (position * STRIDE) % KEYS,
};

const keyOf = (number: number): Uint8Array => utf8(`key/${String(number).padStart(12, "0")}`);
const valueOf = (number: number): Uint8Array => utf8(`value of ${number}`);

function* groups(order: (position: number) => number): Generator<{ keys: Uint8Array[]; values: Uint8Array[] }> {
  for (let first = 0; first < KEYS; first += AT_ONCE) {
    const numbers = Array.from({ length: AT_ONCE }, (_, index) => order(first + index));
    yield { keys: numbers.map(keyOf), values: numbers.map(valueOf) };
  }
}

function expectedRoot(): string {
  const builder = new MapBuilder(MapKind.state, () => undefined);
  for (const { keys, values } of groups((position) => position)) {
    const hashes = hashBlobs(values);
    for (const [index, key] of keys.entries()) {
      const hash = hashes[index];
      assert.ok(hash);
      builder.add(key, stateCell.encode({ hash, size: values[index]?.length ?? 0 }));
    }
  }
  return toHex(builder.finish().root);
}

async function loaded(db: Database, order: (position: number) => number): Promise<{ root: string; keys: number }> {
  const load = await db.states.load("main", { expectedRoot: "empty" });
  try {
    for (const group of groups(order)) await load.add(group);
    const { root, keys } = await load.finish();
    return { root: toHex(root), keys };
  } finally {
    await load.close();
  }
}

it("a million keys in three orders have one root", { timeout: 30 * 60_000 }, (t) =>
  inDirectory(async ({ create }) => {
    const db = await create();
    const root = expectedRoot();
    for (const [name, order] of Object.entries(ORDERS)) {
      await db.heads.delete("main");
      await db.heads.create("main");
      const startedMs = performance.now();
      assert.deepEqual(await loaded(db, order), { root, keys: KEYS }, name);
      const seconds = (performance.now() - startedMs) / 1000;
      t.diagnostic(`${name}: ${seconds.toFixed(0)} s, ${Math.round(KEYS / seconds)} keys/s`);
    }
    await db.close();
  }),
);
