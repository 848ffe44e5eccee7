// Goal: a process that is killed at any write, flush, rename or removal has lost nothing that it acknowledged, and left
// nothing half done.
// Method: five small workloads run under strace, which kills them at their nth call of a kind, for every n until they
// survive: LMDB's native writes and Node's alike. Then the database is opened, every acknowledged value, commit, tag, blob
// and epoch is looked up, the log must extend the last acknowledged checkpoint, every node have what is below it, and the
// next process must be able to write.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { WORKLOADS, spoilEach } from "./support/enumerate.js";
import { CALLS, type CallKind } from "./support/injection.js";
import { smallDatabase, temporaryDirectory } from "./support/place.js";
import { requireStrace } from "./support/strace.js";

describe("killed at the nth call", () => {
  it("has strace", requireStrace);

  for (const workload of WORKLOADS) {
    it(`${workload}: every write, flush, rename and removal`, { timeout: 300_000 }, async (context) => {
      const original = await smallDatabase(temporaryDirectory(context));
      const deaths: Partial<Record<CallKind, number>> = {};
      for (const calls of Object.keys(CALLS) as CallKind[]) {
        const series = { original, workload, calls, effect: "SIGKILL" } as const;
        deaths[calls] = await spoilEach(context, series, ({ outcome }) => {
          assert.deepEqual(outcome.failed, []);
          const isWhole = outcome.did.at(-1)?.kind === "ended";
          assert.equal(isWhole, outcome.injected === 0, "a process that was killed reported to the end");
        });
      }
      context.diagnostic(JSON.stringify(deaths));
      assert.ok((deaths.write ?? 0) > 5 && (deaths.flush ?? 0) > 4);
    });
  }
});
