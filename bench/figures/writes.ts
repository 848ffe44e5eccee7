// Durable writes of one key over gRPC, log leaf and signature included.
//
// The baseline of one writer is the least that such a write could be: one echo through the same client, and one durable
// LMDB transaction of rows like those that a write makes. Of many writers, it is what one writer gets, and the echo.
import { open } from "lmdb";
import { inTurns, rateOf, shown, type Bench, type BenchContext, type Figure } from "../harness.js";
import { freshPlace, loadedDatabase, VALUE_BYTES } from "../databases.js";
import { load, serveDatabase, serveEcho } from "../processes.js";

const WARM_UP_SECONDS = 8;
/** Bytes of the rows of one write at 100,000 keys: value, nodes of state and refs, leaf, its hashes, tail. */
const ROW_BYTES = [VALUE_BYTES, 900, 2_200, 1_600, 300, 60, 64, 150];

export const writes: Bench = {
  name: "writes",
  about: "durable sets over gRPC from 1, 16 and 64 writers on one head",
  figures: ["set-1", "set-16", "set-64", "set-64-echo"],
  // What a flush takes on a shared disk changes several-fold from minute to minute: no ground to fail a build on.
  isInShortForm: false,
  async run(context) {
    const keys = context.isShort ? 20_000 : 100_000;
    const { directory } = await loadedDatabase(context, keys);
    const ours = await serveDatabase(directory);
    const echo = await serveEcho();
    const seconds = context.isShort ? 1 : 3;
    const rate = async (mode: "set" | "echo", inFlight: number): Promise<number> => {
      const { address } = mode === "set" ? ours : echo;
      const { perSecond } = await load({ address, mode, inFlight, seconds, keys, bytes: VALUE_BYTES });
      return perSecond;
    };
    try {
      // The engine (V8) compiles what runs often: some thousand calls, which an echo has behind it in the first second and
      // one writer only after half a minute.
      context.progress("warming up");
      await load({
        address: ours.address,
        mode: "set",
        inFlight: 16,
        seconds: WARM_UP_SECONDS,
        keys,
        bytes: VALUE_BYTES,
      });
      context.progress("1 writer, beside an echo and a bare transaction");
      const one = await inTurns(
        context.rounds,
        async () => 1e6 / (await rate("set", 1)),
        async () => 1e6 / (await rate("echo", 1)) + (await bareTransactionUs(context, seconds)),
      );
      const figures: Figure[] = [
        {
          name: "set-1",
          what: "durable set, 1 writer",
          measured: shown(one.ours, "µs"),
          baseline: `${shown(one.baseline, "µs")}: echo + LMDB transaction`,
          result: one.ratio,
          goal: { atMost: 1.35, unit: "×" },
        },
      ];
      for (const inFlight of [16, 64]) {
        context.progress(`${inFlight} writers`);
        const many = await inTurns(
          context.rounds,
          () => rate("set", inFlight),
          () => rate("set", 1),
        );
        figures.push({
          name: `set-${inFlight}`,
          what: `durable sets, ${inFlight} writers`,
          measured: shown(many.ours, "/s"),
          baseline: `${shown(many.baseline, "/s")}: 1 writer`,
          result: many.ratio,
          goal: { atLeast: 6, unit: "×" },
        });
      }
      const beside = await inTurns(
        context.rounds,
        () => rate("set", 64),
        () => rate("echo", 64),
      );
      figures.push({
        name: "set-64-echo",
        what: "durable sets, 64 writers",
        measured: shown(beside.ours, "/s"),
        baseline: `${shown(beside.baseline, "/s")}: echo, 64 in flight`,
        result: beside.ratio,
        goal: { atLeast: 0.45, unit: "×" },
        details: { serverPeakMiB: Math.round(ours.peakBytes() / 1_048_576) },
      });
      return figures;
    } finally {
      await ours.stop();
      await echo.stop();
    }
  },
};

let transactions = 0;

/** Microseconds of one durable transaction of LMDB by itself. */
async function bareTransactionUs(context: BenchContext, seconds: number): Promise<number> {
  const root = open<Uint8Array, Uint8Array>({
    path: freshPlace(context, "bare-lmdb"),
    encoding: "binary",
    keyEncoding: "binary",
    overlappingSync: false,
    eventTurnBatching: false,
  });
  const perSecond = await rateOf(seconds * 1000, async () => {
    await root.transaction(() => {
      for (const [index, size] of ROW_BYTES.entries()) {
        const key = new Uint8Array(32);
        new DataView(key.buffer).setUint32(0, Math.imul(transactions * ROW_BYTES.length + index, 2_654_435_761));
        new DataView(key.buffer).setUint32(4, transactions);
        void root.put(key, new Uint8Array(size).fill(transactions));
      }
    });
    transactions += 1;
  });
  await root.close();
  return 1e6 / perSecond;
}
