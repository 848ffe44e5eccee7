// Goal: what a process leaves behind that ended without closing a database is cleaned up by the next to open it, is reported
// once, and nothing of a living process is touched.
// Method: a child that has staged files is killed; presences of processes of other machines, boots and containers are put
// there by hand; a data file is damaged, small and large.
import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Corrupt } from "#src/core/errors.js";
import { createDirectory, openDirectory } from "#src/store/index.js";
import { start } from "./children/run.js";
import { temporaryDirectory } from "./temporary-directory.js";

const PRESENCE = /^open\.[0-9a-f]{16}\.wal$/;

function presencesIn(path: string): string[] {
  return readdirSync(join(path, "wal")).filter((name) => PRESENCE.test(name));
}

/** A child that has staged two files, one of them to be gone on with, and waits. */
async function stagingChild(path: string) {
  const child = start({ program: "stage", path });
  for await (const line of child.lines) if (line === "staged") break;
  return child;
}

describe("recovery", () => {
  it("drops what the dead had staged, keeps their uploads, and is reported once", async (context) => {
    const path = join(temporaryDirectory(context), "db");
    await (await createDirectory(path)).store.close();
    assert.deepEqual(presencesIn(path), []);
    const child = await stagingChild(path);
    assert.equal(presencesIn(path).length, 1);
    child.process.kill("SIGKILL");
    await child.ended;
    const { store, recovery } = await openDirectory(path);
    assert.ok(recovery !== undefined && recovery.pagesChecked > 0);
    assert.deepEqual(
      { ...recovery, pagesChecked: 0 },
      { unclosed: 1, stagedDropped: 1, uploadsKept: 1, pagesChecked: 0 },
    );
    assert.equal((await store.files.findUpload("kept"))?.sizeBytes, 1000);
    assert.equal(await store.files.findUpload("dropped"), undefined);
    assert.equal(presencesIn(path).length, 1);
    const again = await openDirectory(path);
    assert.equal(again.recovery, undefined);
    await again.store.close();
    await store.close();
    assert.deepEqual(presencesIn(path), []);
  });

  it("leaves alone what the living have, whoever else died", async (context) => {
    const path = join(temporaryDirectory(context), "db");
    await (await createDirectory(path)).store.close();
    const living = await stagingChild(path);
    const dead = start({ program: "load", path, argument: "0" });
    for await (const line of dead.lines) if (line === "3") break;
    dead.process.kill("SIGKILL");
    await dead.ended;
    const { store, recovery } = await openDirectory(path);
    assert.deepEqual([recovery?.unclosed, recovery?.stagedDropped], [1, 0]);
    assert.equal((await store.files.findUpload("dropped"))?.sizeBytes, 1000);
    // Ours and the living one's.
    assert.equal(presencesIn(path).length, 2);
    living.process.kill("SIGKILL");
    await living.ended;
    await store.close();
    const after = await openDirectory(path);
    assert.deepEqual([after.recovery?.unclosed, after.recovery?.stagedDropped], [1, 1]);
    await after.store.close();
  });

  it("waits with what may belong to another container, for as long as anybody has the database open", async (context) => {
    const path = join(temporaryDirectory(context), "db");
    await (await createDirectory(path)).store.close();
    const living = await stagingChild(path);
    const elsewhere = { version: 1, pid: 7, started: "1", namespace: "pid:[1]", opened_ms: 1 };
    writeFileSync(join(path, "wal", "open.0011223344556677.wal"), JSON.stringify(elsewhere));
    writeFileSync(join(path, "wal", "open.8899aabbccddeeff.wal"), "{");
    const other = await openDirectory(path);
    assert.equal(other.recovery, undefined);
    assert.equal(presencesIn(path).length, 4);
    await other.store.close();
    living.process.kill("SIGKILL");
    await living.ended;
    const { store, recovery } = await openDirectory(path);
    assert.equal(recovery?.unclosed, 3);
    await store.close();
  });

  it("knows a process of another boot, or of a number used again, for dead", async (context) => {
    const path = join(temporaryDirectory(context), "db");
    const holding = await createDirectory(path);
    const alone = { version: 1, pid: process.ppid, opened_ms: 1 };
    const own = JSON.parse(readOne(path)) as Record<string, unknown>;
    writeFileSync(
      join(path, "wal", "open.0000000000000001.wal"),
      JSON.stringify({ ...own, ...alone, boot: "another" }),
    );
    writeFileSync(join(path, "wal", "open.0000000000000002.wal"), JSON.stringify({ ...own, ...alone, started: "1" }));
    const { store, recovery } = await openDirectory(path);
    assert.equal(recovery?.unclosed, 2);
    await store.close();
    await holding.store.close();
  });

  it("looks at the pages of a large file only after somebody had not closed it, and names the damaged one", async (context) => {
    const path = join(temporaryDirectory(context), "db");
    const { store } = await createDirectory(path);
    for (let round = 0; round < 5; round += 1) {
      const puts = Array.from({ length: 400 }, (_, index) => {
        const key = new Uint8Array(32)
          .fill(round * 3)
          .fill(index & 255, 8, 20)
          .fill(index >> 8, 20);
        return { space: "nodes", key, value: new Uint8Array(9000).fill(index) } as const;
      });
      await store.write({ puts });
    }
    const { rowFilesBytes } = await store.usage();
    assert.ok(rowFilesBytes > 16 * 1024 * 1024);
    await store.close();
    const file = join(path, "objects", "1", "data.mdb");
    damageLeaves(file);
    // A clean opening does not scan: what reads the page would have to notice.
    const unscanned = await openDirectory(path);
    await unscanned.store.close();
    writeFileSync(join(path, "wal", "open.0011223344556677.wal"), "");
    for (let attempt = 0; attempt < 2; attempt += 1) {
      await assert.rejects(openDirectory(path), (error) => {
        assert.ok(error instanceof Corrupt, String(error));
        assert.match(error.message, new RegExp(`data\\.mdb is damaged: page [0-9]+ has a node outside of it`));
        return true;
      });
    }
    assert.ok(existsSync(join(path, "wal", "open.0011223344556677.wal")), "it is looked at until it is mended");
  });

  it("opens for reading where there is no room to say who is there", async (context) => {
    const path = join(temporaryDirectory(context), "db");
    await (await createDirectory(path)).store.close();
    const { code, lines, stderr } = await (async () => {
      const child = start({ program: "look", path, under: ["bash", "-c", 'ulimit -S -f 0 && exec "$@"', "limited"] });
      const said: string[] = [];
      for await (const line of child.lines) said.push(line);
      return { code: await child.ended, lines: said, stderr: child.stderr() };
    })();
    assert.equal(code, 0, stderr);
    assert.deepEqual(lines, ["open", "looked"]);
  });
});

function readOne(path: string): string {
  const [name = ""] = presencesIn(path);
  return readFileSync(join(path, "wal", name), "utf8");
}

/** Moves a node of each leaf that is not empty outside of it. */
function damageLeaves(file: string): void {
  const bytes = readFileSync(file);
  for (let at = 2 * 4096; at + 4096 <= bytes.length; at += 4096) {
    const isLeaf = bytes.readUInt16LE(at + 18) === 2 && bytes.readBigUInt64LE(at) === BigInt(at / 4096);
    // The second node of those that have several large values: of the space of nodes.
    if (isLeaf && bytes.readUInt16LE(at + 20) > 40) bytes.writeUInt16LE(0xfff0, at + 26);
  }
  writeFileSync(file, bytes);
}
