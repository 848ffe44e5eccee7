// Bringing many keys in at once, beside LMDB puts of the same bytes.
import { open } from "lmdb";
import { Database } from "#src/database/index.js";
import { emptyDatabase, freshPlace, numberedKey, valueOf } from "../databases.js";
import { median, shown, type Bench } from "../harness.js";

const BATCH_KEYS = 10_000;

export const loading: Bench = {
  name: "loading",
  about: "keys brought in by the thousand, beside LMDB puts of the same bytes",
  figures: ["load"],
  isInShortForm: true,
  async run(context) {
    const keys = context.isShort ? 50_000 : 1_000_000;
    const rounds = context.isShort ? Math.min(context.rounds, 3) : 1;
    const ratios: number[] = [];
    const rates: { ours: number; bare: number }[] = [];
    for (let round = 0; round < rounds; round += 1) {
      context.progress(`${keys.toLocaleString("en")} keys, round ${round + 1}`);
      const ours = await loadOurs(await emptyDatabase(context, "load"), keys);
      const bare = await loadBare(freshPlace(context, "bare-load"), keys);
      rates.push({ ours, bare });
      ratios.push(ours / bare);
    }
    return [
      {
        name: "load",
        what: `${keys.toLocaleString("en")} keys of 18 + 100 bytes`,
        measured: shown(median(rates.map(({ ours }) => ours)), "keys/s"),
        baseline: `${shown(median(rates.map(({ bare }) => bare)), "/s")}: LMDB puts`,
        result: median(ratios),
        goal: { atLeast: 0.5, unit: "×" },
      },
    ];
  },
};

async function loadOurs(directory: string, keys: number): Promise<number> {
  const database = await Database.open(directory);
  const startedMs = performance.now();
  for (let first = 0; first < keys; first += BATCH_KEYS) {
    const operations = Array.from({ length: Math.min(BATCH_KEYS, keys - first) }, (_, index) => ({
      key: numberedKey(first + index),
      change: { put: valueOf(first + index) },
    }));
    await database.states.apply("main", { operations });
  }
  const perSecond = (keys / (performance.now() - startedMs)) * 1000;
  await database.close();
  return perSecond;
}

async function loadBare(path: string, keys: number): Promise<number> {
  const root = open<Uint8Array, Uint8Array>({
    path,
    encoding: "binary",
    keyEncoding: "binary",
    overlappingSync: false,
    eventTurnBatching: false,
  });
  const startedMs = performance.now();
  for (let first = 0; first < keys; first += BATCH_KEYS) {
    await root.transaction(() => {
      const end = Math.min(first + BATCH_KEYS, keys);
      for (let number = first; number < end; number += 1) void root.put(numberedKey(number), valueOf(number));
    });
  }
  const perSecond = (keys / (performance.now() - startedMs)) * 1000;
  await root.close();
  return perSecond;
}
