// Goal: a collection frees what nothing leads to, all of it, and nothing else; beside writers, in other processes too, and
// whenever it is killed.
// Method: random histories with heads that are deleted and reset, by databases that are closed now and then, so that nodes are
// left behind; the model is what can be reached, by a walk of its own. After a collection everything reachable is read, a
// check finds nothing, and nothing unreachable is left. Then writers, checks and collectors at once.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Database } from "#src/database/index.js";
import type { CollectEvent, CollectSummary } from "#src/database/index.js";
import { MemoryStore } from "#src/store/index.js";
import { patternBytes } from "../support/bytes.js";
import { TestClock, inDirectory, inMemory, put, readAll, testRandom } from "../support/database.js";
import { DEEDS, check, putDocument } from "../fsck/support.js";
import type { Deed } from "../fsck/support.js";

async function collect(db: Database, isDryRun = false): Promise<CollectSummary> {
  const events: CollectEvent[] = [];
  for await (const event of db.collectGarbage({ isDryRun })) events.push(event);
  const last = events.at(-1);
  if (last?.kind !== "summary") throw new Error("the last event is the summary");
  return last.summary;
}

const forget: Deed = async (db) => {
  for (const { name } of (await (await db.view()).heads()).filter((head) => head.name !== "main").slice(0, 2)) {
    await db.heads.delete(name);
  }
  for (let step = 0; step < 25; step += 1) await db.tags.delete(`tag/${step}`).catch(() => undefined);
};
const reset: Deed = (db) => db.heads.reset("main");

async function unreachable(store: MemoryStore): Promise<{ nodes: number; objects: number }> {
  const { findings, summary } = await check(store);
  assert.deepEqual(findings, []);
  const of = (name: string): number => summary.counts.find((count) => count.name === name)?.unreachable ?? NaN;
  return { nodes: of("nodes"), objects: of("objects") };
}

/** Soon after they were replaced, nodes are nobody's. */
const QUICK = { afterMs: 4, afterLeaves: 2, atLatestMs: 8 };
/** Later than anybody reads what was replaced. */
const MUCH_LATER_MS = 10 * 60_000;

describe("a collection", () => {
  it("frees all that nothing leads to, and nothing else", async (context) => {
    const freed = { nodes: 0, commits: 0 };
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof({ weight: 8, arbitrary: DEEDS }, { weight: 2, arbitrary: fc.constantFrom(forget, reset) }), {
          minLength: 2,
          maxLength: 25,
        }),
        async (deeds) => {
          const store = new MemoryStore();
          const clock = new TestClock();
          const options = { clock: clock.read, randomBytes: testRandom(), logWaitMs: 20, freeing: QUICK };
          let db = await Database.create(store, options);
          for (const [step, deed] of deeds.entries()) {
            await deed(db, step);
            // Another process goes on, which knows nothing of what this one has replaced.
            if (step % 4 === 3) db = await Database.open(store, { ...options, randomBytes: testRandom(step + 50) });
          }
          clock.nowMs += MUCH_LATER_MS;
          await db.states.apply("main", { operations: [put("leaf", "1")] });
          await db.states.apply("main", { operations: [put("leaf", "last")] });
          const before = await unreachable(store);
          const values = await readAll(db);
          const planned = await collect(db, true);
          const summary = await collect(db);
          // What this process has replaced itself it may have freed in between.
          assert.ok(summary.nodes.rows <= planned.nodes.rows && planned.isDryRun && !summary.isDryRun);
          assert.deepEqual(summary.commits, planned.commits);
          const after = await unreachable(store);
          assert.ok(after.nodes <= before.nodes - summary.nodes.rows);
          // Of the last leaves, which somebody may still read.
          assert.ok(after.nodes <= 40, `${after.nodes} of ${before.nodes} nodes left`);
          assert.deepEqual(await readAll(db), values);
          assert.deepEqual(await readAll(await Database.open(store)), values);
          freed.nodes += summary.nodes.rows;
          freed.commits += summary.commits.rows;
          const again = await collect(db, true);
          // By now the refs of the last leaves are old, too.
          assert.ok(again.nodes.rows <= 10 && again.commits.rows === 0, `${again.nodes.rows} nodes`);
        },
      ),
      { numRuns: 20 },
    );
    context.diagnostic(`${freed.nodes} nodes and ${freed.commits} commits freed`);
    assert.ok(freed.nodes > 20);
  });

  it("keeps documents that no head has, and frees nothing of a damaged database", async () => {
    const { db, store, clock } = await inMemory({ freeing: QUICK });
    await putDocument(db, 20_000, undefined);
    await db.states.apply("main", { operations: Array.from({ length: 300 }, (_, n) => put(`key-${n}`, `${n}`)) });
    clock.nowMs += MUCH_LATER_MS;
    const summary = await collect(db);
    assert.equal(summary.commits.rows, 0);
    let nodes = 0;
    for await (const key of store.iterate("nodes")) {
      nodes += 1;
      const row = store.sync.get("nodes", key)!;
      if (row[2] !== 1) continue;
      await store.write({ puts: [{ space: "nodes", key, value: patternBytes(40) }] });
      await assert.rejects(collect(db), { code: "CORRUPT" });
      await store.write({ puts: [{ space: "nodes", key, value: row }] });
    }
    assert.ok(nodes > 30);
    assert.deepEqual((await check(store)).findings, []);
  });

  it("goes on beside writers, checks and other collections in other processes, and may be killed", async (context) => {
    await inDirectory(async ({ create, location }) => {
      const db = await create({ clock: Date.now });
      await db.states.apply("main", { operations: Array.from({ length: 800 }, (_, n) => put(`key-${n}`, `${n}`)) });
      await db.close();
      const script = (name: string): string => join(process.cwd(), "build/test/database", name);
      let swept = 0;
      const children = new Set<ReturnType<typeof spawn>>();
      const start = (name: string): ReturnType<typeof spawn> => {
        const child = spawn(process.execPath, [script(name), location], { stdio: ["ignore", "pipe", "inherit"] });
        child.stdout.on("data", (data: Buffer) => {
          swept = Math.max(swept, ...data.toString().trim().split(" ").map(Number));
        });
        children.add(child);
        return child;
      };
      try {
        for (let writer = 0; writer < 4; writer += 1) start("gc/write-and-forget.js");
        // One goes on for as long as it takes to free something, however busy the machine is.
        const first = start("gc/collect-on.js");
        for (let waited = 0; swept <= 20 && waited < 600; waited += 1)
          await new Promise((resolve) => setTimeout(resolve, 50));
        const firstEnded = new Promise((resolve) => first.once("exit", resolve));
        first.kill("SIGKILL");
        await firstEnded;
        children.delete(first);
        const until = performance.now() + 7_000;
        let kills = 0;
        while (performance.now() < until) {
          const collector = start("gc/collect-on.js");
          await new Promise((resolve) => setTimeout(resolve, 1_500 + 1_500 * Math.random()));
          const ended = new Promise((resolve) => collector.once("exit", resolve));
          assert.equal(collector.exitCode, null, "it goes on until it is killed");
          collector.kill("SIGKILL");
          await ended;
          children.delete(collector);
          kills += 1;
        }
        for (const child of children) assert.equal(child.exitCode, null, "writers go on");
        context.diagnostic(`${kills} collectors killed, ${swept} nodes swept at once`);
        assert.ok(swept > 20);
      } finally {
        const ends = [...children].map((child) => new Promise((resolve) => child.once("exit", resolve)));
        for (const child of children) child.kill("SIGKILL");
        await Promise.all(ends);
      }
      const opened = await Database.open(location);
      try {
        const events = [];
        for await (const event of opened.fsck()) if (event.kind === "finding") events.push(event.finding);
        assert.deepEqual(events, []);
      } finally {
        await opened.close();
      }
    });
  });
});
