// Goal: processes that are killed at any instant, with several of them writing to one database, lose nothing that was
// acknowledged, and leave nothing half done for those who go on.
// Method: in each round a server and two writers on its directory work at once; all three end by SIGKILL, each at a random
// instant after its first acknowledgement, or by strace at a random flush, rename or write. Then the database is opened and
// everything acknowledged so far, in this round and those before, is held against it. The seed is printed; the suite in CI
// kills 210 times; by hand, as often as you like: NELEUS_TEST_KILLS=10000 (test/slow/kills.test.ts).
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { describe, it } from "node:test";
import { Database } from "#src/database/index.js";
import { Ledger, readCounter } from "./support/examine.js";
import { randomEnding, runServer, runWriter, type Ended } from "./support/load.js";
import { copyOf, randomFrom, seedOfRun, smallDatabase, temporaryDirectory } from "./support/place.js";
import { requireStrace } from "./support/strace.js";

const KILLS = Number(process.env["NELEUS_TEST_KILLS"] ?? 210);
const PROCESSES = 3;
/** Then a new database: what there is to look up grows with each round. */
const ROUNDS_OF_ONE = 18;

describe("killed under load", () => {
  it("has strace", requireStrace);

  it(`loses nothing in ${KILLS} kills`, { timeout: 60_000 + KILLS * 4_000 }, async (context) => {
    const seed = seedOfRun();
    context.diagnostic(`NELEUS_TEST_SEED=${seed}`);
    const random = randomFrom(seed);
    const original = await smallDatabase(temporaryDirectory(context));
    const total = { kills: 0, acknowledged: 0, inCalls: new Map<string, number>() };
    for (let database = 0; total.kills < KILLS; database += 1) {
      const path = copyOf(original, `load-${database}`);
      const ledger = new Ledger();
      for (let round = 0; round < ROUNDS_OF_ONE && total.kills < KILLS; round += 1) {
        const ended = await killAll(path, `${round}`, random);
        for (const { did, inCall } of ended) {
          ledger.add(did);
          total.kills += 1;
          if (inCall !== undefined) total.inCalls.set(inCall, (total.inCalls.get(inCall) ?? 0) + 1);
        }
        await ledger.examine(path);
      }
      total.acknowledged += ledger.size;
      await checkCounter(path, ledger, ROUNDS_OF_ONE * (PROCESSES - 1));
      rmSync(path, { recursive: true, force: true });
    }
    const inCalls = [...total.inCalls.values()].reduce((sum, count) => sum + count, 0);
    const byCall = [...total.inCalls].map(([call, count]) => `${call} ${count}`).join(", ");
    context.diagnostic(`${total.kills} kills, ${inCalls} in a call (${byCall}); ${total.acknowledged} acknowledged`);
    const flushes = inCalls - (total.inCalls.get("pwrite64") ?? 0);
    assert.ok(flushes >= (KILLS * 50) / 210 - 10, `only ${flushes} died in a flush or rename`);
    assert.ok(total.acknowledged > 3 * KILLS);
  });
});

/** One round: a server and two writers, of which one or two end in a call. */
function killAll(path: string, round: string, random: () => number): Promise<Ended[]> {
  return Promise.all([
    runServer(path, `s${round}`, randomEnding(random, random() < 0.4 ? "call" : "delay")),
    runWriter(path, `a${round}`, randomEnding(random, "call")),
    runWriter(path, `b${round}`, randomEnding(random, "delay")),
  ]);
}

/** No increment was lost, and none came twice: what nobody was told of are at most those on their way at a death. */
async function checkCounter(path: string, ledger: Ledger, deaths: number): Promise<void> {
  const db = await Database.open(path);
  const counter = await readCounter(db);
  await db.close();
  assert.ok(counter >= ledger.counted && counter <= ledger.counted + deaths, `${counter} for ${ledger.counted}`);
}
