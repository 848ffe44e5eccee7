// Every nth system call of a workload made to fail, or to be the last, one after the other.
import assert from "node:assert/strict";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { hashBlob } from "#src/core/blob/index.js";
import { toHex, utf8 } from "#src/core/bytes.js";
import { NotFound } from "#src/core/errors.js";
import { Database } from "#src/database/index.js";
import { put } from "../../database/support/database.js";
import { Ledger } from "./examine.js";
import { CALLS, countCalls, runWorkload, type CallKind, type Injection, type Outcome } from "./injection.js";
import { copyOf } from "./place.js";
import type { WorkloadName } from "./report.js";

export const WORKLOADS: readonly WorkloadName[] = ["init", "writes", "upload", "load", "epochs"];
const NAME = "w";

export interface Series {
  readonly original: string;
  readonly workload: WorkloadName;
  readonly calls: CallKind;
  readonly effect: Injection["effect"];
}

/** What an examination needs to know of a run. */
export interface Examined {
  readonly outcome: Outcome;
  readonly path: string;
  readonly step: number;
}

/**
 * Runs a workload once for each of its calls of a kind, and spoils that one; after each the database is opened and held against
 * what was acknowledged. Returns how many runs were spoilt.
 */
export async function spoilEach(
  context: TestContext,
  series: Series,
  check: (examined: Examined) => void | Promise<void>,
): Promise<number> {
  const { workload, calls, effect } = series;
  const counts = await countCalls({ workload, directory: newPlace(series, `count-${calls}-${effect}`), name: NAME });
  let spoilt = 0;
  for (const call of CALLS[calls]) {
    for (let step = 1; step <= (counts.get(call) ?? 0); step += 1) {
      const name = `${workload}-${call}-${effect}-${step}`;
      const path = newPlace(series, name);
      const outcome = await runWorkload({ workload, directory: path, name: NAME, injection: { call, step, effect } });
      try {
        await check({ outcome, path, step });
        await examine(path, workload, outcome);
      } catch (error) {
        context.diagnostic(`${name}: ${JSON.stringify(outcome)}`);
        throw error;
      }
      rmSync(path, { recursive: true, force: true });
      spoilt += Math.min(1, outcome.injected);
    }
  }
  return spoilt;
}

function newPlace({ original, workload }: Series, name: string): string {
  return workload === "init" ? join(original, "..", name) : copyOf(original, name);
}

async function examine(path: string, workload: WorkloadName, outcome: Outcome): Promise<void> {
  if (workload === "init" && !(await isMade(path, outcome))) await finishInit(path);
  const ledger = new Ledger();
  ledger.add(outcome.did);
  const second = toHex(hashBlob(utf8("one, again")));
  await ledger.examine(path, new Map([[`${NAME}/one`, [second]]]));
  // And it goes on.
  const db = await Database.open(path);
  await db.states.apply("main", { operations: [put("after", "the crash")] });
  await db.close();
}

/** Whether there is a database. If not, none was acknowledged, and it is said how to make one. */
async function isMade(path: string, outcome: Outcome): Promise<boolean> {
  const wasMade = outcome.did.some(({ kind }) => kind === "made");
  try {
    await (await Database.open(path)).close();
    return true;
  } catch (error) {
    assert.ok(error instanceof NotFound && !wasMade, String(error));
    assert.equal(error.hint, `neleus db init ${path}`);
    return false;
  }
}

async function finishInit(path: string): Promise<void> {
  await (await Database.create(path)).close();
  assert.ok(existsSync(join(path, "objects", "CURRENT")));
}
