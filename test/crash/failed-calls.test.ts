// Goal: a write, flush, rename or removal that fails fails the call that it was made for, with a typed error, and takes
// nothing that was acknowledged with it; the process goes on, or refuses further writes, and never hangs.
// Method: as killed-calls.test.ts, but the nth call returns EIO or ENOSPC. The workloads go on after each refusal, as a server
// would, in the same process.
//
// One case is beyond us: where a write of LMDB's own fails, its binding prints more than it has room for, and the process may
// end with its heap damaged (src/store/lmdb/growth.ts, which sees to it that a full disk does not get there). That is counted
// here, and nothing that was acknowledged may be lost by it either.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { WORKLOADS, spoilEach, type Examined } from "./support/enumerate.js";
import { CALLS, type CallKind } from "./support/injection.js";
import { smallDatabase, temporaryDirectory } from "./support/place.js";
import { requireStrace } from "./support/strace.js";

/** Errors that a failing device may be told as; of a refused upload, what is asked for next is not there. */
const TYPED = new Set(["UNAVAILABLE", "NOT_FOUND", "INVALID_ARGUMENT", "PERMISSION_DENIED"]);
/** How a process ends whose heap is damaged. */
const ENDED_BY_ITSELF = new Set(["SIGABRT", "SIGSEGV"]);

describe("a failing nth call", () => {
  it("has strace", requireStrace);

  for (const workload of WORKLOADS) {
    it(`${workload}: every write, flush, rename and removal`, { timeout: 300_000 }, async (context) => {
      const original = await smallDatabase(temporaryDirectory(context));
      const counts: string[] = [];
      let aborts = 0;
      for (const calls of Object.keys(CALLS) as CallKind[]) {
        const effect = calls === "name" ? "ENOSPC" : "EIO";
        const spoilt = await spoilEach(context, { original, workload, calls, effect }, (examined) => {
          aborts += checkFailure(examined);
        });
        counts.push(`${calls} ${spoilt}`);
      }
      context.diagnostic(`${counts.join(", ")}; ended by a damaged heap: ${aborts}`);
    });
  }
});

/** Returns 1 where the process ended by itself, for the reason that we know. */
function checkFailure({ outcome }: Examined): number {
  for (const { code, what, message } of outcome.failed) assert.ok(TYPED.has(code), `${what}: ${code} ${message}`);
  if (outcome.signal === undefined) {
    assert.equal(outcome.code, 0, outcome.stderr);
    assert.equal(outcome.did.at(-1)?.kind, "ended");
    return 0;
  }
  // SIGKILL is what ends a run that hangs.
  assert.ok(ENDED_BY_ITSELF.has(outcome.signal), `${outcome.signal}\n${outcome.stderr}`);
  assert.match(outcome.stderr, /Write error: /);
  return 1;
}
