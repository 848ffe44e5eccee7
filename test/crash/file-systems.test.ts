// Goal: a file system that is full, read-only or not of this machine is told as what it is; nothing acknowledged is lost, and
// once it is mended all goes on.
// Method: a small tmpfs where this user may mount one (and a limit on the size of files where not), remounted read-only
// (or a directory without rights to write); statfs made to name another kind of file system by strace.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { NeleusError } from "#src/core/errors.js";
import { Database } from "#src/database/index.js";
import { put, readAll, readText } from "../database/support/database.js";
import { patternBytes } from "../database/support/bytes.js";
import { Ledger } from "./support/examine.js";
import { runWorkload } from "./support/injection.js";
import { copyOf, smallDatabase, temporaryDirectory } from "./support/place.js";

const NELEUS = join(process.cwd(), "bin", "neleus.js");

/** A file system of this size, or undefined where this user may not mount one. */
function mountSmall(context: TestContext, size: string): string | undefined {
  const place = mkdtempSync(join(tmpdir(), "neleus-small-"));
  const isMounted = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${size},mode=700`, "tmpfs", place]).status === 0;
  context.after(() => {
    if (isMounted) spawnSync("umount", ["-l", place]);
    rmSync(place, { recursive: true, force: true });
  });
  return isMounted ? place : undefined;
}

/** The error that ends a series of attempts. */
async function firstRefusal(
  attempt: (number: number) => Promise<unknown>,
): Promise<{ error: NeleusError; done: number }> {
  for (let done = 0; ; done += 1) {
    try {
      await attempt(done);
    } catch (error) {
      assert.ok(error instanceof NeleusError, String(error));
      return { error, done };
    }
  }
}

describe("a full disk", () => {
  for (const valueBytes of [20_000, 100_000]) {
    it(`refuses, loses nothing, reads on, and goes on with room: values of ${valueBytes} bytes`, async (context) => {
      const mounted = mountSmall(context, "8m");
      if (mounted === undefined) {
        // test/store/processes.test.ts has the same by a limit on files, and the test below by injected errors.
        context.diagnostic("no file system may be mounted here: see the injected form");
        return;
      }
      const path = join(mounted, "db");
      const filler = join(mounted, "filler");
      await (await Database.create(path)).close();
      writeFileSync(filler, new Uint8Array(2_000_000));
      const db = await Database.open(path);
      const set = (number: number) =>
        db.states.apply("main", { operations: [put(`key/${number}`, patternBytes(valueBytes, number))] });
      const { error, done } = await firstRefusal(set);
      assert.equal(error.code, "UNAVAILABLE");
      assert.match(error.message, /no space left on the device/);
      for (let attempt = 0; attempt < 20; attempt += 1)
        assert.equal((await firstRefusal(() => set(done))).error.code, "UNAVAILABLE");
      const check = async (opened: Database): Promise<void> => {
        const all = await readAll(opened);
        assert.equal(Object.keys(all).length, done);
        for (let number = 0; number < done; number += 1)
          assert.equal(all[`key/${number}`], Buffer.from(patternBytes(valueBytes, number)).toString());
      };
      await check(db);
      // Another process opens and reads it on the full disk.
      const info = spawnSync(process.execPath, [NELEUS, "--db", path, "db", "info", "--json"], { encoding: "utf8" });
      assert.equal(info.status, 0, info.stderr);
      rmSync(filler);
      await set(done);
      await db.close();
      const again = await Database.open(path);
      assert.ok((await readText(again, `key/${done}`)) !== undefined);
      await again.close();
    });
  }

  it("by injected errors, at the writes that make files longer: the same process goes on", async (context) => {
    const original = await smallDatabase(temporaryDirectory(context));
    const path = copyOf(original, "full");
    // The first write of this workload makes room in the data file.
    const injection = { call: "pwrite64", step: 1, effect: "ENOSPC" } as const;
    const outcome = await runWorkload({ workload: "load", directory: path, name: "full", injection });
    assert.equal(outcome.code, 0, outcome.stderr);
    assert.ok(
      outcome.failed.length > 0 &&
        outcome.failed.every(({ code, system }) => code === "UNAVAILABLE" && system === "ENOSPC"),
    );
    const ledger = new Ledger();
    ledger.add(outcome.did);
    await ledger.examine(path);
  });
});

describe("a directory that may not be written", () => {
  it("is told as such, and is as it was afterwards", async (context) => {
    const mounted = mountSmall(context, "32m");
    const parent = mounted ?? temporaryDirectory(context);
    const path = await smallDatabase(parent);
    const isRoot = process.getuid?.() === 0;
    if (mounted !== undefined) assert.equal(spawnSync("mount", ["-o", "remount,ro", mounted]).status, 0);
    else if (isRoot) {
      context.diagnostic("root may write everywhere, and nothing may be mounted here: see the injected form");
      return;
    } else for (const folder of ["", "objects", "objects/1", "wal"]) chmodSync(join(path, folder), 0o500);
    await assert.rejects(Database.open(path), (error) => {
      assert.ok(error instanceof NeleusError, String(error));
      assert.ok(["UNAVAILABLE", "PERMISSION_DENIED"].includes(error.code), `${error.code} ${error.message}`);
      assert.match(error.message, /read-only|permission denied/i);
      return true;
    });
    if (mounted !== undefined) spawnSync("mount", ["-o", "remount,rw", mounted]);
    else for (const folder of ["", "objects", "objects/1", "wal"]) chmodSync(join(path, folder), 0o700);
    const db = await Database.open(path);
    assert.equal(await readText(db, "first/7"), "value 7");
    await db.close();
  });
});

describe("a directory that became read-only", () => {
  it("is told as such by injected errors, and nothing acknowledged is lost", async (context) => {
    const path = copyOf(await smallDatabase(temporaryDirectory(context)), "read-only");
    const injection = { call: "fdatasync", step: 2, effect: "EROFS" } as const;
    const outcome = await runWorkload({ workload: "writes", directory: path, name: "ro", injection });
    assert.equal(outcome.code, 0, outcome.stderr);
    assert.equal(outcome.injected, 1);
    assert.ok(
      outcome.failed.length > 0 && outcome.failed.every(({ code }) => code === "UNAVAILABLE" || code === "NOT_FOUND"),
    );
    const ledger = new Ledger();
    ledger.add(outcome.did);
    await ledger.examine(path);
  });
});

describe("a file system that is not of this machine", () => {
  /** Runs a command that is told this type by statfs. */
  function runOn(type: string, words: readonly string[], environment: Record<string, string> = {}) {
    const options = [
      "-f",
      "-qq",
      "-o",
      "/dev/null",
      "-e",
      "trace=statfs",
      "-e",
      `inject=statfs:poke_exit=@arg2=${type}`,
    ];
    return spawnSync("strace", [...options, process.execPath, NELEUS, ...words], {
      encoding: "utf8",
      env: { ...process.env, ...environment },
    });
  }

  for (const [name, type] of [
    ["NFS", "6969000000000000"],
    ["CIFS", "424d53ff00000000"],
    ["FUSE", "4655736500000000"],
    ["9p", "9719020100000000"],
  ] as const) {
    it(`is refused for a new database and an old one, unless that is asked for: ${name}`, async (context) => {
      const parent = temporaryDirectory(context);
      const path = await smallDatabase(parent);
      const fresh = join(parent, "new", "db");
      for (const words of [
        ["db", "init", fresh],
        ["--db", path, "db", "info"],
      ]) {
        const refused = runOn(type, words);
        assert.equal(refused.status, 11, refused.stdout + refused.stderr);
        assert.match(refused.stderr, new RegExp(`on a file system of type ${name}`));
        assert.match(refused.stderr, /NELEUS_ALLOW_NETWORK_FS=1/);
      }
      const allowed = runOn(type, ["--db", path, "db", "info", "--json"], { NELEUS_ALLOW_NETWORK_FS: "1" });
      assert.equal(allowed.status, 0, allowed.stderr);
    });
  }
});
