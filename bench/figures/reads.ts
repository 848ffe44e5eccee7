// Reads with their proofs: single gets as the server gives them, and what a client needs to verify, one key and many.
import { connect } from "#src/index.js";
import { fromHex } from "#src/core/bytes.js";
import { get, getMany, MapKind, readSync, Recorder, verifyWitness, type Reveal } from "#src/core/map/index.js";
import { Database } from "#src/database/index.js";
import { loadedDatabase, numberedKey } from "../databases.js";
import { inTurns, median, rateOf, shown, type Bench, type BenchContext, type Figure } from "../harness.js";
import { load, peakBytes, serveDatabase, serveEcho } from "../processes.js";

export const gets: Bench = {
  name: "gets",
  about: "single verified gets, a client in Go, beside an echo of 100 bytes",
  figures: ["get-1", "get-16"],
  isInShortForm: true,
  async run(context) {
    const database = await loadedDatabase(context, context.isShort ? 20_000 : 1_000_000);
    const ours = await serveDatabase(database.directory);
    const echo = await serveEcho();
    const seconds = context.isShort ? 1 : 3;
    const figures: Figure[] = [];
    try {
      for (const inFlight of [1, 16]) {
        context.progress(`${inFlight} in flight`);
        let answerBytes = 0;
        const both = await inTurns(
          context.rounds,
          async () => {
            const { keys, root } = database;
            const got = await load({ address: ours.address, mode: "get", inFlight, seconds, keys, root });
            ({ answerBytes } = got);
            return got.perSecond;
          },
          async () => (await load({ address: echo.address, mode: "echo", inFlight, seconds })).perSecond,
        );
        figures.push({
          name: `get-${inFlight}`,
          what: `get with its proof, ${inFlight} in flight`,
          measured: shown(both.ours, "/s"),
          baseline: `${shown(both.baseline, "/s")}: echo of 100 B`,
          result: both.ratio,
          goal: { atLeast: 0.75, unit: "×" },
          details: {
            answerBytes: Math.round(answerBytes),
            serverPeakMiB: Math.round(ours.peakBytes() / 1_048_576),
          },
        });
      }
      return figures;
    } finally {
      await ours.stop();
      await echo.stop();
    }
  },
};

const SAMPLES = 2_000;

export const verification: Bench = {
  name: "verification",
  about: "what checking a point proof costs the TypeScript client, and its size",
  figures: ["verify-point", "point-proof-size"],
  isInShortForm: true,
  async run(context) {
    const { directory, keys, root } = await loadedDatabase(context, context.isShort ? 20_000 : 1_000_000);
    const database = await Database.open(directory);
    try {
      const map = { kind: MapKind.state, root: fromHex(root) };
      const proofs: { readonly key: Uint8Array; readonly reveals: Reveal[] }[] = [];
      for (let sample = 0; sample < SAMPLES; sample += 1) {
        const key = numberedKey((sample * 7_919_777) % keys);
        const recorder = new Recorder();
        readSync(get(map, key), database.nodes, recorder);
        proofs.push({ key, reveals: [...recorder.reveals()] });
      }
      const rounds: number[] = [];
      for (let round = 0; round < Math.max(context.rounds, 5); round += 1) {
        const times: number[] = [];
        for (const { key, reveals } of proofs) {
          const startedMs = performance.now();
          verifyWitness(get(map, key), reveals);
          times.push((performance.now() - startedMs) * 1000);
        }
        rounds.push(median(times));
      }
      const medianUs = Math.min(...rounds);
      const bytes = proofs.map(({ reveals }) => proofBytes(reveals));
      const meanBytes = bytes.reduce((sum, size) => sum + size, 0) / bytes.length;
      return [
        {
          name: "verify-point",
          what: `verifying a point proof, ${keys.toLocaleString("en")} keys`,
          measured: shown(medianUs, "µs, median"),
          result: medianUs,
          goal: { atMost: 15, unit: "µs" },
        },
        {
          name: "point-proof-size",
          what: `a point proof, ${keys.toLocaleString("en")} keys, mean`,
          measured: shown(meanBytes, "bytes"),
          result: meanBytes,
          goal: { atMost: 1_250, unit: "bytes" },
        },
      ];
    } finally {
      await database.close();
    }
  },
};

/** Entries, siblings, and about what protobuf puts around them. */
function proofBytes(reveals: readonly Reveal[]): number {
  let size = 0;
  for (const { entries, siblings } of reveals) {
    size += 16 + siblings.length;
    for (const entry of entries) size += entry.length + 4;
  }
  return size;
}

const BATCH_KEYS = 1_000;

export const batches: Bench = {
  name: "batches",
  about: "BatchGet of 1,000 keys and scans, verified by the TypeScript client",
  figures: ["batch-get", "batch-proof-spread", "batch-proof-neighbours", "scan"],
  isInShortForm: true,
  async run(context) {
    const database = await loadedDatabase(context, context.isShort ? 20_000 : 1_000_000);
    const server = await serveDatabase(database.directory);
    const db = await connect(server.address, { onTrustOnFirstUse: () => undefined });
    try {
      const { staged } = await db.snapshot("main");
      const random = (): Uint8Array[] =>
        Array.from({ length: BATCH_KEYS }, () => numberedKey(Math.floor(Math.random() * database.keys)));
      context.progress("batches of 1,000 keys, and single gets");
      const both = await inTurns(
        context.rounds,
        async () => BATCH_KEYS * (await rateOf(2_000, () => drain(staged.getMany(random())))),
        () => {
          let next = 0;
          const keys = random();
          return rateOf(2_000, () => staged.get(keys[next++ % BATCH_KEYS] ?? numberedKey(0)));
        },
      );
      return [
        {
          name: "batch-get",
          what: "BatchGet of 1,000 keys, verified",
          measured: shown(both.ours, "keys/s"),
          baseline: `${shown(both.baseline, "/s")}: single gets`,
          result: both.ratio,
          goal: { atLeast: 20, unit: "×" },
          details: { clientPeakMiB: Math.round(peakBytes("self") / 1_048_576) },
        },
        ...(await proofSizes(database.directory, database.root, database.keys)),
        await scanned(context, { keys: database.keys, scan: () => drain(staged.scan()) }),
      ];
    } finally {
      await db.close();
      await server.stop();
    }
  },
};

async function drain(entries: AsyncIterable<unknown>): Promise<number> {
  let count = 0;
  for await (const entry of entries) count += entry === undefined ? 0 : 1;
  return count;
}

async function scanned(
  context: BenchContext,
  database: { readonly keys: number; readonly scan: () => Promise<number> },
): Promise<Figure> {
  context.progress("a scan of everything");
  const rates: number[] = [];
  for (let round = 0; round < context.rounds; round += 1) {
    const startedMs = performance.now();
    const count = await database.scan();
    if (count !== database.keys) throw new Error(`the scan found ${count} of ${database.keys} keys`);
    rates.push((count / (performance.now() - startedMs)) * 1000);
  }
  return {
    name: "scan",
    what: `verified scan of ${database.keys.toLocaleString("en")} keys`,
    measured: shown(median(rates), "keys/s"),
    result: median(rates),
    goal: { atLeast: 300_000, unit: "keys/s" },
  };
}

/** Proof bytes a key of a batch, for keys all over the map and for neighbours. */
async function proofSizes(directory: string, root: string, keys: number): Promise<Figure[]> {
  const database = await Database.open(directory);
  const map = { kind: MapKind.state, root: fromHex(root) };
  const bytesAKey = (wanted: readonly Uint8Array[]): number => {
    const recorder = new Recorder();
    readSync(
      getMany(map, wanted, () => undefined),
      database.nodes,
      recorder,
    );
    return proofBytes([...recorder.reveals()]) / wanted.length;
  };
  try {
    const step = Math.floor(keys / BATCH_KEYS);
    const spread = bytesAKey(Array.from({ length: BATCH_KEYS }, (_, index) => numberedKey(index * step)));
    const first = Math.floor(keys / 3);
    const neighbours = bytesAKey(Array.from({ length: BATCH_KEYS }, (_, index) => numberedKey(first + index)));
    return [
      {
        name: "batch-proof-spread",
        what: `proof a key of 1,000, spread over ${keys.toLocaleString("en")}`,
        measured: shown(spread, "bytes"),
        result: spread,
        goal: { atMost: 600, unit: "bytes" },
      },
      {
        name: "batch-proof-neighbours",
        what: "proof a key of 1,000 neighbours",
        measured: shown(neighbours, "bytes"),
        result: neighbours,
        goal: { atMost: 90, unit: "bytes" },
      },
    ];
  } finally {
    await database.close();
  }
}
