// Goal: any number of processes on one database lose no update of each other's, and fail for no reason of the others'; what a
// process that was killed held is taken over.
// Method: twenty writers at once, some with the directory open themselves, some through one server, commands among them; all
// count one key up on condition of what it was. Then the count, every key, and one chain of log leaves. Writers killed by strace
// inside the write lock, with an upload, and with the lock of the trust file.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, it, type TestContext } from "node:test";
import { promisify } from "node:util";
import { fileTrustStore } from "#src/client/file-trust-store.js";
import { connect } from "#src/client/remote.js";
import { hashBlob } from "#src/core/blob/index.js";
import { toHex } from "#src/core/bytes.js";
import { Conflict } from "#src/core/errors.js";
import { parseCheckpointUnverified } from "#src/core/log/index.js";
import { Database } from "#src/database/index.js";
import { patternBytes } from "../database/support/bytes.js";
import { put, readAll, readText } from "../database/support/database.js";
import { bundled } from "./support/bundle.js";
import { readCounter } from "./support/examine.js";
import { runWorkload } from "./support/injection.js";
import { smallDatabase, temporaryDirectory } from "./support/place.js";
import { COUNTER, COUNT_EVERY, MIB, UPLOAD } from "./support/report.js";

const run = promisify(execFile);
const NELEUS = join(process.cwd(), "bin", "neleus.js");
const TIMES = 120;
const COUNTED = TIMES / COUNT_EVERY;
const EMBEDDED = 10;
const SERVED = 6;
const COMMANDS = 4;

async function serve(context: TestContext, path: string): Promise<{ address: string; key: string }> {
  const child = spawn(process.execPath, [NELEUS, "serve", "--db", path, "--listen", "127.0.0.1:0"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  context.after(async () => {
    child.kill("SIGTERM");
    await once(child, "exit");
  });
  for await (const line of createInterface({ input: child.stdout }))
    return JSON.parse(line) as { address: string; key: string };
  throw new Error("the server ended");
}

/** Counts up through the server. */
async function countOver(place: { address: string; key: string }, name: string): Promise<void> {
  const db = await connect(place.address, { verifierKey: place.key });
  for (let done = 0; done < TIMES;) {
    if (done % COUNT_EVERY !== 0) {
      await db.state("main").apply([
        { key: `${name}/${done}`, value: "x" },
        { key: `${name}/${done}/more`, value: "y" },
      ]);
      done += 1;
      continue;
    }
    const snapshot = await db.snapshot("main");
    const entry = await snapshot.staged.get(COUNTER);
    assert.ok(entry !== undefined);
    const next = String(Number(entry.text()) + 1);
    try {
      await db.state("main").apply([
        { key: COUNTER, value: next, condition: { hash: entry.hash } },
        { key: `${name}/${done}`, value: next },
      ]);
      done += 1;
    } catch (error) {
      if (!(error instanceof Conflict)) throw error;
    }
  }
  await db.close();
}

describe("twenty processes on one database", () => {
  it("lose no update, and none fails", { timeout: 180_000 }, async (context) => {
    const parent = temporaryDirectory(context);
    const path = await smallDatabase(parent);
    const first = await Database.open(path);
    await first.states.apply("main", { operations: [put(COUNTER, "0")] });
    const known = parseCheckpointUnverified(await first.log.checkpoint());
    await first.close();
    const place = await serve(context, path);
    const counter = bundled("counter");
    const value = join(parent, "value");
    writeFileSync(value, "by a command");
    const environment = { env: { ...process.env, NELEUS_TRUST_FILE: join(parent, "trust.json") } };
    const command = async (index: number): Promise<void> => {
      const where = index % 2 === 0 ? ["--db", path] : ["--server", place.address, "--key", place.key];
      for (let count = 0; count < 3; count += 1) {
        await run(
          process.execPath,
          [NELEUS, ...where, "state", "set", "main", `command/${index}/${count}`, value],
          environment,
        );
      }
    };
    const indices = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
    const told: string[] = [];
    await Promise.all([
      ...indices(EMBEDDED).map(async (index) => {
        const { stdout } = await run(process.execPath, [counter, path, `embedded/${index}`, String(TIMES)]);
        told.push(...stdout.trim().split("\n"));
      }),
      ...indices(SERVED).map((index) => countOver(place, `served/${index}`)),
      ...indices(COMMANDS).map(command),
    ]);
    const db = await Database.open(path);
    const writers = EMBEDDED + SERVED;
    // First, since it tells whether a whole transaction was lost: every log that was signed for is the beginning of this one.
    const end = await db.view();
    assert.equal(told.length, EMBEDDED * TIMES);
    for (const line of told) {
      const [size, root] = line.split(" ");
      const { knownRoot } = await end.logProof({ knownSize: Number(size) });
      assert.equal(knownRoot && toHex(knownRoot), root, `the log as it was signed for at ${size} leaves`);
    }
    assert.equal(await readCounter(db), writers * COUNTED);
    const all = await readAll(db);
    const numbers = Object.entries(all).flatMap(([key, text]) =>
      /^(embedded|served)\/.*[0-9]$/.test(key) && text !== "x" ? [Number(text)] : [],
    );
    // Each number was counted by one alone.
    assert.deepEqual(
      numbers.sort((a, b) => a - b),
      indices(writers * COUNTED).map((index) => index + 1),
    );
    const names = [...indices(EMBEDDED).map((at) => `embedded/${at}`), ...indices(SERVED).map((at) => `served/${at}`)];
    const wanted = names.flatMap((name) => {
      const uncounted = indices(TIMES).filter((done) => done % COUNT_EVERY !== 0);
      return uncounted.flatMap((done) => [`${name}/${done}=x`, `${name}/${done}/more=y`]);
    });
    assert.deepEqual(
      wanted.filter((entry) => all[entry.slice(0, -2)] !== entry.slice(-1)),
      [],
      "every acknowledged key",
    );
    assert.equal(Object.keys(all).filter((key) => key.startsWith("command/")).length, COMMANDS * 3);
    const view = await db.view();
    assert.ok(view.logSize <= known.size + writers * TIMES + COMMANDS * 3);
    await view.logProof({ knownSize: known.size });
    await db.close();
  });
});

describe("what a killed process held", () => {
  it("is the write lock: others write on at once", async (context) => {
    const path = await smallDatabase(temporaryDirectory(context));
    const db = await Database.open(path);
    // Every one of the first writes of a transaction, the lock held.
    for (let step = 1; step <= 5; step += 1) {
      const injection = { call: "pwrite64", step: step + 1, effect: "SIGKILL" } as const;
      const dead = await runWorkload({ workload: "writes", directory: path, name: `dead-${step}`, injection });
      assert.equal(dead.injected, 1);
      const started = performance.now();
      await db.states.apply("main", { operations: [put(`after/${step}`, "x")] });
      assert.ok(performance.now() - started < 5_000, "the lock of the dead is taken over");
      assert.equal(await readText(db, `after/${step}`), "x");
    }
    await db.close();
  });

  it("is an upload: it goes on elsewhere", async (context) => {
    const path = await smallDatabase(temporaryDirectory(context));
    const db = await Database.open(path);
    const injection = { call: "rename", step: 3, effect: "SIGKILL" } as const;
    const dead = await runWorkload({ workload: "upload", directory: path, name: "up", injection });
    assert.equal(dead.injected, 1);
    const upload = await db.uploads.begin({ uploadId: "up" });
    const content = patternBytes(UPLOAD.sizeBytes, UPLOAD.seed);
    for (let at = upload.sizeBytes; at < content.length; at += MIB)
      await upload.append(at, content.subarray(at, at + MIB));
    await upload.finish({ sizeBytes: content.length, hash: hashBlob(content) });
    await upload.close();
    await db.close();
  });

  it("is the lock of the trust file: it is taken over when it is old", async (context) => {
    const file = join(temporaryDirectory(context), "trust.json");
    const place = { address: "somewhere:1", database: "default" };
    const record = { verifierKey: "key", isPinned: true, checkpoints: [], sinceMs: 1, seenMs: 1 };
    await fileTrustStore(file).update(place, () => record);
    writeFileSync(`${file}.lock`, "of a process that was killed");
    const long = Date.now() / 1000 - 60;
    utimesSync(`${file}.lock`, long, long);
    await fileTrustStore(file).update(place, (present) => ({ ...(present ?? record), seenMs: 2 }));
    assert.equal((await fileTrustStore(file).load(place))?.seenMs, 2);
  });
});
