// Several processes with one database open, and processes that are killed.
//
// Goal: conditions hold across processes, and what was acknowledged is there after kill −9, in whole batches. Method:
// children of this program's own (children/child.ts), and a look at the database from here afterwards.
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { readU64be, u64be, utf8 } from "#src/core/bytes.js";
import { createDirectory, openDirectory } from "#src/store/index.js";
import type { Store } from "#src/store/index.js";
import { run, start } from "./children/run.js";
import { temporaryDirectory } from "./temporary-directory.js";

const COUNTER = { space: "meta", key: utf8("counter") } as const;

describe("several processes", () => {
  it("lose no increment", async (context) => {
    const path = join(temporaryDirectory(context), "db");
    const { store } = await createDirectory(path);
    const outcomes = await Promise.all([1, 2].map(() => run({ program: "increment", path, argument: "150" })));
    for (const { code, stderr } of outcomes) assert.equal(code, 0, stderr);
    // The process that had it open all along sees the others' writes.
    assert.deepEqual(await store.snapshot([COUNTER]), [utf8("300")]);
    const conflicts = outcomes.map(({ lines }) => Number(lines.at(-1)?.replace("conflicts ", "")));
    context.diagnostic(`conflicts: ${conflicts.join(", ")}`);
    await store.close();
  });

  it("can have one database open twice in one process", async (context) => {
    const path = join(temporaryDirectory(context), "db");
    const first = (await createDirectory(path)).store;
    const second = (await openDirectory(path)).store;
    await first.write({ puts: [{ ...COUNTER, value: utf8("1") }] });
    assert.deepEqual(await second.snapshot([COUNTER]), [utf8("1")]);
    await Promise.allSettled([
      first.write({ conditions: [{ ...COUNTER, expected: utf8("1") }], puts: [{ ...COUNTER, value: utf8("2") }] }),
      second.write({ conditions: [{ ...COUNTER, expected: utf8("1") }], puts: [{ ...COUNTER, value: utf8("2") }] }),
    ]).then((outcomes) => {
      assert.deepEqual(outcomes.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
    });
    await first.close();
    await second.write({ puts: [{ ...COUNTER, value: utf8("3") }] });
    assert.deepEqual(await second.snapshot([COUNTER]), [utf8("3")]);
    await second.close();
  });

  it(
    "can open a directory that they are writing to, while others write to it",
    { timeout: 60_000 },
    async (context) => {
      const path = join(temporaryDirectory(context), "db");
      await (await createDirectory(path)).store.close();
      const children = [1, 2].map(() => start({ program: "reopen", path }));
      // One that waits for itself would wait for ever.
      const timer = setTimeout(() => children.forEach((child) => child.process.kill("SIGKILL")), 30_000);
      const codes = await Promise.all(children.map(({ ended }) => ended));
      clearTimeout(timer);
      assert.deepEqual(codes, [0, 0]);
    },
  );

  it("find every acknowledged batch after kill -9, and no part of another", async (context) => {
    const path = join(temporaryDirectory(context), "db");
    await (await createDirectory(path)).store.close();
    let acknowledged = 0;
    let next = 0;
    for (let round = 0; round < 5; round += 1) {
      const numbers = await loadAndKill(path, { from: next, afterLines: 40 + 35 * round });
      const { store } = await openDirectory(path);
      const rows = await checkWholeBatches(store);
      for (const number of numbers) assert.ok(rows.has(number), `batch ${number} was acknowledged and is gone`);
      acknowledged += numbers.length;
      next = Math.max(...rows) + 1;
      await store.close();
    }
    assert.ok(acknowledged > 300);
  });

  it("go on when one is killed while others write", async (context) => {
    const path = join(temporaryDirectory(context), "db");
    const { store } = await createDirectory(path);
    const [outcome] = await Promise.all([
      run({ program: "increment", path, argument: "100" }),
      loadAndKill(path, { from: 0, afterLines: 50 }),
    ]);
    assert.equal(outcome.code, 0, outcome.stderr);
    assert.deepEqual(await store.snapshot([COUNTER]), [utf8("100")]);
    await checkWholeBatches(store);
    await store.close();
  });
});

describe("a full disk", () => {
  // Files may grow to 4 MiB at first: the same failures as on a full disk, without one.
  for (const argument of ["rows", "file"]) {
    it(`is reported as such, leaves nothing half written, and is survived: ${argument}`, async (context) => {
      const path = join(temporaryDirectory(context), "db");
      await (await createDirectory(path)).store.close();
      const under = ["bash", "-c", 'ulimit -S -f 4096 && exec "$@"', "limited"];
      const { code, lines, stderr } = await run({ program: "fill", path, argument, under });
      assert.equal(code, 0, stderr);
      assert.match(lines[1] ?? "", /^refused UNAVAILABLE (EFBIG|ENOSPC)$/);
      assert.match(lines[2] ?? "", /^still UNAVAILABLE (EFBIG|ENOSPC)$/);
      assert.deepEqual(lines.slice(3), ["whole true", "again"]);
      await (await openDirectory(path)).store.close();
    });
  }
});

/** Lets a child write until it has acknowledged so many batches, and kills it. Returns all that it acknowledged. */
async function loadAndKill(path: string, load: { from: number; afterLines: number }): Promise<number[]> {
  const child = start({ program: "load", path, argument: String(load.from) });
  const acknowledged: number[] = [];
  for await (const line of child.lines) {
    if (line === "open") continue;
    acknowledged.push(Number(line));
    if (acknowledged.length === load.afterLines) child.process.kill("SIGKILL");
  }
  assert.equal(await child.ended, null, child.stderr());
  return acknowledged;
}

/** Every batch of `load` is three equal rows. Returns the numbers of those that are there. */
async function checkWholeBatches(store: Store): Promise<Set<number>> {
  const numbers = new Set<number>();
  for await (const { index, value } of store.scanLog()) {
    const key = u64be(index);
    assert.deepEqual(value, new Uint8Array(1500).fill(index));
    assert.deepEqual(
      await store.snapshot([
        { space: "meta", key },
        { space: "requests", key },
      ]),
      [value, value],
    );
    numbers.add(index);
  }
  for await (const key of store.iterate("requests")) assert.ok(numbers.has(readU64be(key)));
  return numbers;
}
