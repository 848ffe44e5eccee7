// Goal: a check goes on beside writers and finds nothing in what they do; it ends when its caller leaves, and gives way
// meanwhile; it says what a finding affects and what a sample leaves out; and it names what is wrong with files, also where
// the engine does not open the database.
// Method: databases in directories; writers of the same process and of another while checks go round; files changed by hand.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFile, readdir, rename, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { toHex } from "#src/core/bytes.js";
import { Database, checkDirectory } from "#src/database/index.js";
import type { Finding, FsckEvent } from "#src/database/index.js";
import { openDirectory } from "#src/store/index.js";
import { patternBytes } from "../support/bytes.js";
import { inDirectory, inMemory, put } from "../support/database.js";
import { check, placeOf, putDocument } from "./support.js";

async function collect(events: AsyncIterable<FsckEvent>): Promise<FsckEvent[]> {
  const all: FsckEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}

const findingsOf = (events: readonly FsckEvent[]): Finding[] =>
  events.flatMap((event) => (event.kind === "finding" ? [event.finding] : []));

async function findingsIn(path: string): Promise<Finding[]> {
  return findingsOf(await collect(checkDirectory(path)));
}

describe("a check beside others", () => {
  it("finds nothing while this process and another one write", async () => {
    await inDirectory(async ({ create, location }) => {
      const db = await create({ clock: Date.now });
      await db.states.apply("main", { operations: Array.from({ length: 500 }, (_, n) => put(`key-${n}`, `${n}`)) });
      const writer = join(process.cwd(), "build/test/database/fsck/write-on.js");
      const child = spawn(process.execPath, [writer, location], { stdio: ["ignore", "ignore", "inherit"] });
      const ended = new Promise((resolve) => child.once("exit", resolve));
      const until = performance.now() + 4_000;
      let checks = 0;
      let writes = 0;
      const write = async (): Promise<void> => {
        while (performance.now() < until) {
          writes += 1;
          await db.states.apply("main", { operations: [put(`key-${writes % 700}`, `again ${writes}`)] });
          if (writes % 50 === 0) await db.commits.create({ head: "main", author: "a", message: "m" });
        }
      };
      const checkOn = async (): Promise<void> => {
        while (performance.now() < until) {
          assert.deepEqual(findingsOf(await collect(db.fsck())), []);
          checks += 1;
        }
      };
      try {
        await Promise.all([write(), checkOn()]);
      } finally {
        child.kill();
        await ended;
      }
      assert.ok(checks > 2 && writes > 5, `${checks} checks, ${writes} writes`);
      await db.close();
    });
  });

  it("is one at a time, ends with its caller, and leaves no lease", async () => {
    const { db, store } = await inMemory({ clock: Date.now });
    await db.states.apply("main", { operations: Array.from({ length: 9_000 }, (_, n) => put(`key-${n}`, `${n}`)) });
    const controller = new AbortController();
    const events = db.fsck({ signal: controller.signal });
    assert.equal((await events.next()).done, false);
    await assert.rejects(collect(db.fsck()), { code: "LIMIT_EXCEEDED" });
    controller.abort();
    await assert.rejects(collect(events), { name: "AbortError" });
    assert.equal((await store.usage()).rows.leases, 0);
    const left = db.fsck();
    await left.next();
    await left.return(undefined);
    assert.equal((await store.usage()).rows.leases, 0);
    let turns = 0;
    const counter = setInterval(() => (turns += 1), 1);
    assert.equal((await collect(db.fsck())).at(-1)?.kind, "summary");
    clearInterval(counter);
    assert.ok(turns > 3, "others run meanwhile");
  });
});

describe("what a check tells", () => {
  it("of a blob that is gone: each key and commit that it leaves without a value", async () => {
    const { db, store } = await inMemory();
    await db.states.apply("main", { operations: [put("a", "same"), put("b", "same"), put("c", "other")] });
    const first = await db.commits.create({ head: "main", author: "a", message: "m" });
    await db.states.apply("main", { operations: [put("d", "more")] });
    const second = await db.commits.create({ head: "main", author: "a", message: "m" });
    const { hash } = await db.blobs.put(new TextEncoder().encode("same"));
    await store.write({ deletes: [{ space: "blobs", key: hash }] });
    const { findings } = await check(store);
    assert.equal(findings.length, 1);
    const [{ kind, affects, affectedCount } = {} as Finding] = findings;
    assert.equal(kind, "missing");
    const told = affects.map(({ name, map, key }) => `${name} ${map} ${Buffer.from(key ?? []).toString()}`).sort();
    const commits = [first, second].flatMap(({ commit }) =>
      ["a", "b"].map((key) => `commit ${toHex(commit.hash)} state ${key}`),
    );
    // What is staged is the state of the second commit.
    const staged = ["a", "b"].map((key) => `states/main state ${key}`);
    assert.deepEqual(told, [...commits, ...staged].sort());
    assert.equal(affectedCount, told.length);
  });

  it("counts what nothing reaches, and of a sample what was left out", async () => {
    const { db, store } = await inMemory();
    await db.states.apply("main", { operations: Array.from({ length: 2_000 }, (_, n) => put(`key-${n}`, `${n}`)) });
    for (let n = 0; n < 7; n += 1) await db.blobs.put(patternBytes(100, n + 1));
    const whole = await check(store);
    assert.deepEqual(whole.summary.leftOut, []);
    const blobs = whole.summary.counts.find(({ name }) => name === "blobs");
    assert.deepEqual(blobs, { name: "blobs", checked: 2_007, total: 2_007, unreachable: 7 });
    const sample = await check(store, { sample: { percent: 10 } });
    assert.deepEqual(sample.findings, []);
    const some = sample.summary.counts.find(({ name }) => name === "blobs");
    assert.ok(some !== undefined && some.checked > 100 && some.checked < 400, `${some?.checked}`);
    assert.equal(sample.summary.leftOut.length, 3);
    const all = await check(store, { sample: { percent: 100 } });
    assert.equal(all.summary.counts.find(({ name }) => name === "nodes")?.checked, (await store.usage()).rows.nodes);
  });
});

describe("files", () => {
  it("are named where they are damaged, gone, cut or strange", async () => {
    await inDirectory(async ({ create, location }) => {
      const db = await create({ clock: Date.now });
      await putDocument(db, 200_000);
      const upload = await db.uploads.begin({ uploadId: "u" });
      await upload.append(0, patternBytes(100_000));
      await upload.close();
      await db.close();
      assert.deepEqual(await findingsIn(location), []);
      const names = (await readdir(join(location, "blobs"), { recursive: true })).filter((name) => name.length > 60);
      const content = join(
        location,
        "blobs",
        names.find((name) => !name.endsWith(".outboard"))!,
      );
      const outboard = `${content}.outboard`;
      for (const path of [content, outboard]) {
        const bytes = await readFile(path);
        const flipped = Uint8Array.from(bytes);
        flipped[bytes.length >> 1]! ^= 4;
        for (const changed of [flipped, bytes.subarray(0, -1), new Uint8Array(0)]) {
          await writeFile(path, changed);
          const [finding, ...others] = await findingsIn(location);
          assert.deepEqual([finding?.kind, finding?.affectedCount, others], ["damaged", 1, []]);
          assert.equal(placeOf(finding!), `large/${content.slice(-64)}`);
        }
        await writeFile(path, bytes);
        await rename(path, `${path}.away`);
        const found = await findingsIn(location);
        // The name that it has now is none.
        assert.deepEqual(
          found.map(({ kind }) => kind).sort(),
          [path === content ? "missing" : "damaged", "unexpected"].sort(),
        );
        await rename(`${path}.away`, path);
      }
      const [wal] = await readdir(join(location, "wal"));
      const record = join(location, "wal", wal!, "record.json");
      await writeFile(record, "{");
      assert.deepEqual(
        (await findingsIn(location)).map(({ kind, subject }) => [kind, subject]),
        [["damaged", "upload"]],
      );
      await rm(join(location, "wal", wal!), { recursive: true });
      assert.deepEqual(await findingsIn(location), []);
    });
  });

  it("that keep the database from being opened are the one finding", async () => {
    await inDirectory(async ({ create, location }) => {
      const db = await create();
      await db.states.apply("main", { operations: Array.from({ length: 300 }, (_, n) => put(`key-${n}`, `${n}`)) });
      await db.close();
      for (const file of ["meta/config.json", "objects/CURRENT", "objects/1/data.mdb"]) {
        const path = join(location, file);
        const bytes = await readFile(path);
        await writeFile(path, "x");
        const [finding, ...others] = await findingsIn(location);
        assert.deepEqual([finding?.kind, finding?.subject, others], ["damaged", "file", []]);
        assert.equal(placeOf(finding!), path);
        await writeFile(path, bytes);
      }
      const data = join(location, "objects/1/data.mdb");
      const bytes = await readFile(data);
      await truncate(data, 3 * 4096);
      assert.equal((await findingsIn(location)).length, 1);
      await writeFile(data, bytes);
      assert.deepEqual(await findingsIn(location), []);
    });
  });

  it("a tail that the engine does not take is told with everything else", async () => {
    await inDirectory(async ({ create, location }) => {
      const db = await create();
      await db.states.apply("main", { operations: Array.from({ length: 300 }, (_, n) => put(`key-${n}`, `${n}`)) });
      const { hash } = await db.blobs.put(new TextEncoder().encode("12"));
      await db.close();
      const { store } = await openDirectory(location);
      await store.write({ puts: [{ space: "meta", key: new TextEncoder().encode("tail"), value: new Uint8Array(3) }] });
      await store.write({ deletes: [{ space: "blobs", key: hash }] });
      await store.close();
      await assert.rejects(Database.open(location), { code: "CORRUPT" });
      const places = (await findingsIn(location)).map(placeOf).sort();
      assert.deepEqual(places, [`blobs/${toHex(hash)}`, `meta/${Buffer.from("tail").toString("hex")}`]);
    });
  });
});
