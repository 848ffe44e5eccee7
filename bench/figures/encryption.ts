// What encryption at rest costs: durable sets, cold reads, a large blob in and out, and bytes on the disk, each beside the same in
// clear. In one process: no network, but both sides of the client's verification.
import { create, open } from "#src/client/embedded/index.js";
import { Database } from "#src/database/index.js";
import { contentOf } from "../content.js";
import { freshPlace, numberedKey, valueOf } from "../databases.js";
import { inTurns, shown, type Bench, type BenchContext, type Figure } from "../harness.js";

const MiB = 1_048_576;
const PASSWORD = "bench";

type Form = "sealed" | "clear";

export const encryption: Bench = {
  name: "encryption",
  about: "encryption at rest beside the same in clear: sets, reads, a large blob, bytes on disk",
  figures: ["sealed-set", "sealed-read", "sealed-blob-in", "sealed-blob-out", "sealed-bytes"],
  // Of flushes, which a busy disk decides.
  isInShortForm: false,
  async run(context) {
    return [...(await rows(context)), ...(await blobs(context))];
  },
};

const engineOf = (form: Form) => ({
  password: PASSWORD,
  ...(form === "sealed" ? { encryption: { kdfIterations: 100_000 } } : {}),
});

async function rows(context: BenchContext): Promise<Figure[]> {
  const keys = context.isShort ? 10_000 : 100_000;
  const sets = context.isShort ? 100 : 500;
  const reads = context.isShort ? 500 : 5_000;
  const places = { sealed: freshPlace(context, "sealed"), clear: freshPlace(context, "clear") };
  const bytes = { sealed: 0, clear: 0 };
  for (const form of ["sealed", "clear"] as const) {
    context.progress(`${keys.toLocaleString("en")} keys, ${form}`);
    const engine = await Database.create(places[form], engineOf(form));
    const load = await engine.states.load("main");
    for (let first = 0; first < keys; first += 10_000) {
      const numbers = Array.from({ length: 10_000 }, (_, index) => first + index);
      await load.add({ keys: numbers.map(numberedKey), values: numbers.map((number) => valueOf(number)) });
    }
    await load.finish();
    await load.close();
    bytes[form] = (await engine.usage()).rowFilesBytes;
    await engine.close();
  }
  let next = 0;
  const set = async (form: Form): Promise<number> => {
    const engine = await Database.open(places[form], { password: PASSWORD });
    const startedMs = performance.now();
    for (let count = 0; count < sets; count += 1) {
      next += 1;
      const key = numberedKey((next * 7919) % keys);
      await engine.states.apply("main", { operations: [{ key, change: { put: valueOf(next) } }] });
    }
    const ms = (performance.now() - startedMs) / sets;
    await engine.close();
    return ms;
  };
  const read = async (form: Form): Promise<number> => {
    // Opened anew, so that every node comes from the store.
    const db = await open(places[form], { engine: { password: PASSWORD } });
    const snapshot = await db.snapshot("main");
    const startedMs = performance.now();
    for (let count = 0; count < reads; count += 1) await snapshot.staged.get(numberedKey((count * 7919) % keys));
    const ms = (performance.now() - startedMs) / reads;
    await db.close();
    return ms;
  };
  const setting = await inTurns(
    Math.max(context.rounds, 3),
    () => set("sealed"),
    () => set("clear"),
  );
  const reading = await inTurns(
    Math.max(context.rounds, 3),
    () => read("sealed"),
    () => read("clear"),
  );
  const many = `${keys.toLocaleString("en")} keys`;
  return [
    figure("sealed-set", { what: `durable set in the engine, ${many}`, both: setting, unit: "ms", atMost: 1.25 }),
    figure("sealed-read", { what: `verified get, caches cold, ${many}`, both: reading, unit: "ms", atMost: 1.5 }),
    figure("sealed-bytes", {
      what: `row files of ${many} of 18 bytes, values of 100`,
      both: { ours: bytes.sealed / 1e6, baseline: bytes.clear / 1e6, ratio: bytes.sealed / bytes.clear },
      unit: "MB",
      atMost: 1.6,
    }),
  ];
}

async function blobs(context: BenchContext): Promise<Figure[]> {
  const sizeBytes = (context.isShort ? 64 : 512) * MiB;
  const name = `${sizeBytes / MiB} MiB`;
  const dbs = {
    sealed: await create(freshPlace(context, "sealed"), { engine: engineOf("sealed") }),
    clear: await create(freshPlace(context, "clear"), { engine: engineOf("clear") }),
  };
  const hashes: Record<Form, Uint8Array[]> = { sealed: [], clear: [] };
  const seconds = async (action: () => Promise<void>): Promise<number> => {
    const startedMs = performance.now();
    await action();
    return (performance.now() - startedMs) / 1000;
  };
  const put = (form: Form): Promise<number> =>
    seconds(async () => {
      const { hash } = await dbs[form].putBlob(contentOf(sizeBytes, hashes[form].length));
      hashes[form].push(hash);
    });
  let round = 0;
  const get = (form: Form): Promise<number> =>
    seconds(async () => {
      const hash = hashes[form][round++ % hashes[form].length];
      if (hash === undefined) throw new Error("nothing was stored");
      let read = 0;
      for await (const piece of dbs[form].blob(hash).stream()) read += piece.length;
      if (read !== sizeBytes) throw new Error(`${read} bytes came back`);
    });
  context.progress(`${name} in and out`);
  const up = await inTurns(
    context.rounds,
    () => put("sealed"),
    () => put("clear"),
  );
  const down = await inTurns(
    context.rounds,
    () => get("sealed"),
    () => get("clear"),
  );
  await dbs.sealed.close();
  await dbs.clear.close();
  return [
    figure("sealed-blob-in", { what: `${name} in, hashed at both ends`, both: up, unit: "s", atMost: 1.5 }),
    figure("sealed-blob-out", { what: `${name} out, verified`, both: down, unit: "s", atMost: 1.5 }),
  ];
}

function figure(
  name: string,
  of: {
    readonly what: string;
    readonly both: { readonly ours: number; readonly baseline: number; readonly ratio: number };
    readonly unit: string;
    readonly atMost: number;
  },
): Figure {
  const { what, both, unit, atMost } = of;
  return {
    name,
    what: `encrypted: ${what}`,
    measured: shown(both.ours, unit),
    baseline: `${shown(both.baseline, unit)}: in clear`,
    result: both.ratio,
    goal: { atMost, unit: "×" },
  };
}
