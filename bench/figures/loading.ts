// Bringing many keys in at once, beside LMDB puts of the same bytes.
import { open as openLmdb } from "lmdb";
import { open } from "#src/index.js";
import { emptyDatabase, freshPlace, numberedKey, valueOf } from "../databases.js";
import { median, shown, type Bench } from "../harness.js";

const BATCH_KEYS = 10_000;

export const loading: Bench = {
  name: "loading",
  about: "keys brought in by the thousand, beside LMDB puts of the same bytes",
  figures: ["load"],
  // What a flush takes on a shared disk changes several-fold from minute to minute: no ground to fail a build on.
  isInShortForm: false,
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
  const db = await open(directory);
  const startedMs = performance.now();
  await db.state("main").load(pairs(keys), { expectedRoot: { empty: true } });
  const perSecond = (keys / (performance.now() - startedMs)) * 1000;
  await db.close();
  return perSecond;
}

function* pairs(keys: number): Generator<{ readonly key: Uint8Array; readonly value: Uint8Array }> {
  for (let number = 0; number < keys; number += 1) yield { key: numberedKey(number), value: valueOf(number) };
}

async function loadBare(path: string, keys: number): Promise<number> {
  const root = openLmdb<Uint8Array, Uint8Array>({
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
