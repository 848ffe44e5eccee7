// Goal: what was acknowledged survives a kill at any instant, with two processes writing at once; the log only grows.
// Method: two writers on one directory, both killed with SIGKILL under load; then the directory is opened, everything
// that they had printed is looked up, all nodes are walked, since the writers free those that they replaced, and the next
// round goes on from there. One writer alone frees the most, so it is killed by itself as well.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, it } from "node:test";
import { fromHex, toHex } from "#src/core/bytes.js";
import { parseCheckpointUnverified, verifyConsistency } from "#src/core/log/index.js";
import { Database } from "#src/database/index.js";
import { openDirectory } from "#src/store/index.js";
import { patternBytes } from "./support/bytes.js";
import { entriesOf, inDirectory, readText } from "./support/database.js";
import { checkNodes } from "./support/node-rows.js";
import type { NodeCount } from "./support/node-rows.js";

const ROUNDS = 3;
const WRITER = join(process.cwd(), "build/test/database/support/kill-writer.js");

/** Runs a writer until it has been killed, soon after so many acknowledgements. Returns the lines that it printed. */
async function writeUntilKilled(directory: string, name: string, acknowledgements: number): Promise<string[]> {
  const writer = spawn(process.execPath, [WRITER, directory, name], { stdio: ["ignore", "pipe", "inherit"] });
  const lines: string[] = [];
  const ended = once(writer, "exit");
  for await (const line of createInterface({ input: writer.stdout })) {
    if (line !== "ready") lines.push(line);
    // At a random instant of whatever it is doing.
    if (lines.length === acknowledgements) setTimeout(() => writer.kill("SIGKILL"), Math.random() * 20);
  }
  assert.deepEqual(await ended, [null, "SIGKILL"], "the writer failed by itself");
  return lines;
}

async function checkAcknowledged(db: Database, lines: readonly string[]): Promise<void> {
  const { logSize } = await db.view();
  const commits = new Set<string>();
  for await (const { hash } of db.commits.log({ head: "main" })) commits.add(toHex(hash));
  const { ledger } = await (await db.view()).resolve({ staged: "main" });
  const filed = new Set(entriesOf(db, ledger!).map(({ key }) => toHex(key.slice(-32))));
  for (const line of lines) {
    const [kind, what = "", index] = line.split(" ");
    if (kind === "commit") {
      assert.ok(commits.has(what), line);
    } else if (kind === "document") {
      assert.ok(filed.has(what), line);
      const { blob, chunks, chunkCount } = await db.documents.open(fromHex(what));
      assert.equal((await db.blobs.find(blob.hash, { atMostBytes: 1e6 }))?.bytes?.length, blob.sizeBytes);
      assert.equal(entriesOf(db, chunks).length, chunkCount);
    } else {
      assert.ok(Number(index) < logSize, line);
      const number = Number(what.split("/").at(-1));
      const expected =
        number % 10 === 9 ? Buffer.from(patternBytes(70_000 + number, number)).toString() : `value of ${what}`;
      assert.equal(await readText(db, what), expected, line);
    }
  }
}

/** Every node in the directory has what is below it, and everything that is needed is there. */
async function checkWhole(db: Database, location: string): Promise<NodeCount> {
  const { store } = await openDirectory(location);
  const nodes = await checkNodes(db, store);
  await store.close();
  return nodes;
}

describe("a killed process", () => {
  it("leaves every map whole, in the midst of freeing", { timeout: 120_000 }, () =>
    inDirectory(async ({ create, location }) => {
      await (await create()).close();
      const lines: string[] = [];
      for (let round = 0; round < ROUNDS; round += 1) {
        lines.push(...(await writeUntilKilled(location, `c${round}`, 60 + 25 * round)));
        const db = await Database.open(location);
        await checkAcknowledged(db, lines);
        const { rows, live } = await checkWhole(db, location);
        const written = (await db.view()).logSize;
        assert.ok(rows - live < 4 * written, `${rows} rows for ${live} in use, after ${written} leaves`);
        await db.close();
      }
    }),
  );

  it("has lost nothing that it acknowledged", { timeout: 120_000 }, () =>
    inDirectory(async ({ create, location }) => {
      const made = await create();
      let known = parseCheckpointUnverified(await made.log.checkpoint());
      await made.close();
      const lines: string[] = [];
      for (let round = 0; round < ROUNDS; round += 1) {
        const printed = await Promise.all([
          writeUntilKilled(location, `a${round}`, 15 + 15 * round),
          writeUntilKilled(location, `b${round}`, 20 + 10 * round),
        ]);
        lines.push(...printed.flat());
        const db = await Database.open(location);
        await checkAcknowledged(db, lines);
        await checkWhole(db, location);
        const proof = await (await db.view()).logProof({ knownSize: known.size });
        const newest = parseCheckpointUnverified(proof.checkpoint);
        verifyConsistency({
          from: known.size,
          to: newest.size,
          fromRoot: known.root,
          toRoot: newest.root,
          proof: proof.consistency,
        });
        assert.ok(newest.size > known.size);
        known = newest;
        await db.close();
      }
      for (const kind of ["state", "commit", "document"])
        assert.ok(
          lines.some((line) => line.startsWith(kind)),
          kind,
        );
    }),
  );
});
