// Writes to the database in a directory until it is killed: states that come back to what they were, heads made, reset and
// deleted, documents with and without a head, loads. Reads back what it wrote.
import assert from "node:assert/strict";
import { NeleusError } from "#src/core/errors.js";
import { Database } from "#src/database/index.js";
import { put, readText } from "../support/database.js";
import { putDocument } from "../fsck/support.js";

const own = `own-${process.pid}`;
const db = await Database.open(process.argv[2] ?? "", { freeing: { afterMs: 200, afterLeaves: 4, atLatestMs: 400 } });
await db.heads.create(own);
const deeds: ((step: number) => Promise<unknown>)[] = [
  async (step) => {
    // Few values: nodes that were freed are made again.
    const operations = Array.from({ length: 20 }, (_, n) => put(`k-${n}`, `${(step + n) % 3}`));
    await db.states.apply(own, { operations });
    assert.equal(await readText(db, "k-4", { staged: own }), `${(step + 4) % 3}`);
  },
  (step) => db.commits.create({ head: own, author: "a", message: `${step % 2}`, timeMs: 1 }),
  () => db.heads.reset(own),
  async (step) => {
    const { commit } = await (await db.view()).head(own);
    if (commit === undefined) return;
    await db.heads.create(`${own}/${step}`, { commit });
    await db.heads.delete(`${own}/${step}`);
    await db.heads.create(`${own}/${step}`, { commit });
    await db.states.apply(`${own}/${step}`, { operations: [put("k-1", "again")] });
    await db.heads.delete(`${own}/${step}`);
  },
  (step) => putDocument(db, 500 + (step % 5) * 700, step % 2 === 0 ? own : undefined),
];
for (let step = 0; ; step += 1) {
  try {
    await deeds[step % deeds.length]!(step);
  } catch (error) {
    // A commit that lost its head may be gone before another head is made of it.
    if (!(error instanceof NeleusError) || error.code !== "NOT_FOUND") throw error;
  }
}
