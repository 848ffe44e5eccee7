// An acknowledged write has been flushed, and a crash at any system call leaves the state before or after.
//
// Goal: durability that does not rest on the word of a library. Method: strace. First the order of system calls: pages,
// fdatasync, a meta page through an O_DSYNC descriptor, and only then the acknowledgement. Then its fault injection:
// the child is killed at its nth rename, flush, link, …, for every n until it survives, and the database is opened and
// examined after each death.
//
// Without strace these tests fail, since a suite that skips them proves nothing; NELEUS_TEST_WITHOUT_STRACE=1 skips them.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { utf8 } from "#src/core/bytes.js";
import { NotFound } from "#src/core/errors.js";
import { createDirectory, openDirectory } from "#src/store/index.js";
import { canTrace, run } from "./children/run.js";
import type { Command } from "./children/run.js";
import { temporaryDirectory } from "./temporary-directory.js";

const skip = process.env["NELEUS_TEST_WITHOUT_STRACE"] === "1" ? "NELEUS_TEST_WITHOUT_STRACE=1" : false;
const COUNTER = { space: "meta", key: utf8("counter") } as const;
const HASH = new Uint8Array(32).fill(7);

describe("durability, by strace", { skip }, () => {
  it("has strace", () => {
    assert.ok(
      canTrace(),
      "strace is missing or may not trace: apt-get install strace, or set NELEUS_TEST_WITHOUT_STRACE=1",
    );
  });

  it("flushes pages, then the meta page, then acknowledges", async (context) => {
    const directory = temporaryDirectory(context);
    const path = join(directory, "db");
    await (await createDirectory(path)).store.close();
    const log = join(directory, "trace");
    const calls = "openat,pwrite64,pwritev,writev,write,fdatasync";
    const under = ["strace", "-f", "-y", "-o", log, "-e", `trace=${calls}`];
    const { code, lines, stderr } = await run({ program: "write", path, argument: "flushed", under });
    assert.equal(code, 0, stderr);
    assert.deepEqual(lines, ["open", "acknowledged"]);
    checkOrder(readTrace(log));
  });

  it("flushes an upload's content, then its record; a blob's files, then renames, then the folder", async (context) => {
    const directory = temporaryDirectory(context);
    const path = join(directory, "db");
    await (await createDirectory(path)).store.close();
    const log = join(directory, "trace");
    const under = ["strace", "-f", "-y", "-s", "300", "-o", log, "-e", "trace=fdatasync,fsync,rename,write"];
    const { code, stderr } = await run({ program: "upload", path, under, environment: { UV_THREADPOOL_SIZE: "1" } });
    assert.equal(code, 0, stderr);
    const trace = readTrace(log);
    checkSequence(trace, [
      /"staged/,
      /fdatasync\(.*\/wal\/upload\.wal\/content-/,
      /fsync\(.*\/wal\/upload\.wal\/\.record\.json/,
      /rename\(".*\/upload\.wal\/\.record\.json.*record\.json"/,
      /fsync\(.*\/wal\/upload\.wal>/,
      /fsync\(.*\/wal>/,
      /"synced 150000/,
    ]);
    const renames = [
      /rename\(.*\/outboard-.*\.outboard"/,
      /rename\(.*\/content-.*\/0707/,
      /fsync\(.*\/blobs\/07\/07>/,
      /"published/,
    ];
    checkSequence(trace, [/"synced 150000/, /fdatasync\(.*\/content-/, ...renames]);
    checkSequence(trace, [/"synced 150000/, /fdatasync\(.*\/outboard-/, ...renames]);
    checkSequence(trace, [/"synced 150000/, /fsync\(.*\/blobs>/, ...renames]);
    checkSequence(trace, [/"synced 150000/, /fsync\(.*\/blobs\/07>/, ...renames]);
  });

  it("flushes the copy from which an upload goes on after a crash, before its record names it", async (context) => {
    const directory = temporaryDirectory(context);
    const path = join(directory, "db");
    await (await createDirectory(path)).store.close();
    // The fourth rename is the outboard's, after one sync.
    const dead = await runAndDie({ program: "upload", path }, { calls: "rename", step: 3 });
    assert.deepEqual(dead.lines, ["open", "staged 0", "synced 150000"]);
    const log = join(directory, "trace");
    const under = ["strace", "-f", "-y", "-s", "300", "-o", log, "-e", "trace=fdatasync,fsync,rename,write"];
    const { code, lines, stderr } = await run({
      program: "upload",
      path,
      under,
      environment: { UV_THREADPOOL_SIZE: "1" },
    });
    assert.equal(code, 0, stderr);
    assert.equal(lines[1], "staged 150000");
    const record = [/fsync\(.*\/\.record\.json/, /rename\(.*\/record\.json"/, /fsync\(.*\/upload\.wal>/, /"staged/];
    checkSequence(readTrace(log), [/fdatasync\(.*\/content-2-/, ...record]);
  });

  it("flushes all that an initialisation made before CURRENT, and CURRENT before it says so", async (context) => {
    const directory = temporaryDirectory(context);
    const path = join(directory, "db");
    const log = join(directory, "trace");
    const under = ["strace", "-f", "-y", "-s", "300", "-o", log, "-e", "trace=fdatasync,fsync,rename,link,write"];
    const { code, stderr } = await run({ program: "init", path, under, environment: { UV_THREADPOOL_SIZE: "1" } });
    assert.equal(code, 0, stderr);
    const trace = readTrace(log);
    const current = [/fsync\(.*\/objects\/\.CURRENT/, /link\(.*CURRENT/, /fsync\(.*\/db\/objects>/, /"made/];
    const store = [
      /fdatasync\(.*data\.mdb/,
      /fsync\(.*\/\.initialising-[^/]*>/,
      /rename\(.*objects\/1"/,
      /fsync\(.*\/db\/objects>/,
    ];
    checkSequence(trace, [...store, ...current]);
    const config = [/fsync\(.*\/meta\/\.config\.json/, /rename\(.*config\.json"/, /fsync\(.*\/db\/meta>/];
    checkSequence(trace, [...config, ...current]);
    checkSequence(trace, [/fsync\(.*\/db>/, ...current]);
  });

  it("survives death at any step of an initialisation", async (context) => {
    const directory = temporaryDirectory(context);
    let deaths = 0;
    for (const calls of ["mkdir,rename,link,unlink", "fsync,fdatasync"]) {
      for (let step = 1; ; step += 1) {
        const path = join(directory, `${calls}-${step}`);
        const outcome = await runAndDie({ program: "init", path }, { calls, step });
        const finished = await examineInitialised(path);
        if (outcome.code === 0) {
          assert.ok(finished);
          break;
        }
        deaths += 1;
        assert.equal(finished || !outcome.lines.includes("made"), true);
        await finishInitialisation(path, finished);
      }
    }
    context.diagnostic(`${deaths} deaths`);
    assert.ok(deaths > 15);
  });

  it("survives death at any step of an upload", async (context) => {
    const directory = temporaryDirectory(context);
    let deaths = 0;
    for (const calls of ["mkdir,rename,unlink", "fsync,fdatasync"]) {
      for (let step = 1; ; step += 1) {
        const path = join(directory, `${calls}-${step}`);
        await (await createDirectory(path)).store.close();
        const outcome = await runAndDie({ program: "upload", path }, { calls, step });
        const durable = outcome.lines.includes("synced 150000") ? 150_000 : 0;
        const visible = await examineUpload(path, durable);
        if (outcome.lines.includes("published")) assert.ok(visible);
        if (outcome.code === 0) break;
        deaths += 1;
        await finishUpload(path, visible);
      }
    }
    context.diagnostic(`${deaths} deaths`);
    assert.ok(deaths > 10);
  });
});

/** Kills the child at the nth of these system calls, before it happens, wherever in the process it comes. */
async function runAndDie(command: Command, death: { calls: string; step: number }): ReturnType<typeof run> {
  const inject = `inject=${death.calls}:signal=SIGKILL:when=${death.step}`;
  const under = ["strace", "-f", "-o", "/dev/null", "-e", `trace=${death.calls}`, "-e", inject];
  // strace counts by thread, so the pool has one: then its nth call is the program's nth.
  return run({ ...command, under, environment: { UV_THREADPOOL_SIZE: "1" } });
}

/**
 * The calls of a trace, each in one line: strace writes "<unfinished ...>" where another thread calls meanwhile, and the rest
 * later. A flush stands where it returned, any other call where it began: so what stands behind a flush began when that was done.
 */
function readTrace(path: string): string[] {
  const calls: string[] = [];
  const begun = new Map<string, number>();
  for (const line of readFileSync(path, "utf8").split("\n")) {
    const thread = /^\d+/.exec(line)?.[0] ?? "";
    const [, head] = /^(.*) <unfinished \.\.\.>$/.exec(line) ?? [];
    const [, rest] = /<\.\.\. \w+ resumed>(.*)$/.exec(line) ?? [];
    const place = begun.get(thread);
    if (head !== undefined) begun.set(thread, calls.push(head) - 1);
    else if (rest === undefined || place === undefined) calls.push(line);
    else {
      const whole = `${calls[place] ?? ""}${rest}`;
      const isFlush = /^\d+ +f(data)?sync\(/.test(whole);
      calls[place] = isFlush ? "" : whole;
      if (isFlush) calls.push(whole);
    }
  }
  return calls;
}

/** That calls matching these patterns come in this order, and each returned without an error. */
function checkSequence(trace: readonly string[], patterns: readonly RegExp[]): void {
  let position = 0;
  for (const pattern of patterns) {
    const found = trace.findIndex((line, index) => index >= position && pattern.test(line));
    assert.ok(found >= 0, `no ${String(pattern)} after line ${position} of\n${trace.join("\n")}`);
    assert.match(trace[found] ?? "", / = \d+(<.*>)?$/);
    position = found + 1;
  }
}

/** After the last write of a page of the store: a flush, an O_DSYNC write of the meta page, and then the word. */
function checkOrder(trace: readonly string[]): void {
  const acknowledged = trace.findIndex((line) => line.includes('"acknowledged'));
  const opened = trace.findIndex((line) => line.includes('"open'));
  assert.ok(opened > 0 && acknowledged > opened);
  const calls = trace.slice(opened + 1, acknowledged);
  const isOfData = (line: string) => line.includes("/data.mdb>");
  const dsync = trace.find((line) => line.includes("openat") && line.includes("/data.mdb") && line.includes("O_DSYNC"));
  const descriptor = /= (\d+)</.exec(dsync ?? "")?.[1];
  assert.ok(descriptor !== undefined, "the meta page's descriptor is opened with O_DSYNC");
  const isMetaWrite = (line: string) => isOfData(line) && line.includes(`pwrite64(${descriptor}<`);
  const meta = calls.findLastIndex(isMetaWrite);
  // No reader, of whatever process, sees the batch before its pages are flushed: no meta page comes another way.
  const others = calls.filter((line) => isOfData(line) && /pwrite64\(.*, 128, \d+\)/.test(line) && !isMetaWrite(line));
  assert.deepEqual(others, []);
  const flush = calls.findLastIndex((line) => isOfData(line) && line.includes("fdatasync("));
  const pages = calls.findLastIndex(
    (line) => isOfData(line) && /writev?\(|pwritev?(64)?\(/.test(line) && !isMetaWrite(line),
  );
  assert.ok(pages >= 0 && pages < flush && flush < meta, calls.join("\n"));
  // Both have returned: a call that was interrupted by the trace ends in a line of its own.
  for (const call of ["fdatasync", "pwrite64"]) {
    const returned = calls.findLast((line) => line.includes(call) && / = /.test(line));
    assert.match(returned ?? "", / = \d+$/);
    assert.equal(
      calls.findLast((line) => line.includes(call)),
      returned,
      "the call has returned",
    );
  }
}

/** True if there is a database, which then is complete; false if there is none, and it says how to make it. */
async function examineInitialised(path: string): Promise<boolean> {
  try {
    const { store } = await openDirectory(path);
    assert.deepEqual(await store.snapshot([COUNTER]), [utf8("first")]);
    await store.close();
    return true;
  } catch (error) {
    assert.ok(error instanceof NotFound, String(error));
    assert.equal(error.hint, `neleus db init ${path}`);
    return false;
  }
}

/** Made anew, or finished, after a death half-way. */
async function finishInitialisation(path: string, finished: boolean): Promise<void> {
  if (finished) return;
  const { store } = await createDirectory(path, {
    initialise: (fresh) => fresh.write({ puts: [{ ...COUNTER, value: utf8("first") }] }),
  });
  assert.deepEqual(await store.snapshot([COUNTER]), [utf8("first")]);
  await store.close();
  // Temporary files of the dead stay for an hour, in case they are of the living.
  const names = readdirSync(join(path, "objects")).filter((name) => !name.endsWith(".tmp"));
  assert.deepEqual(names.sort(), ["1", "CURRENT"]);
}

/** Whether the blob is there, and if so that it is whole; if not, that the upload goes on from its durable end. */
async function examineUpload(path: string, durable: number): Promise<boolean> {
  const { store } = await openDirectory(path);
  const blob = await store.files.open(HASH);
  if (blob !== undefined) {
    assert.equal(blob.sizeBytes, 200_000);
    assert.equal(blob.outboardSizeBytes, 800);
    const content = await blob.read(0, 200_000);
    assert.ok(content.every((byte, index) => byte === ((index * 7) & 255)));
    assert.deepEqual(await blob.readOutboard(0, 800), new Uint8Array(800).fill(3));
    await blob.close();
  } else if (durable > 0) {
    assert.equal((await store.files.findUpload("upload"))?.sizeBytes, durable);
  }
  await store.close();
  return blob !== undefined;
}

async function finishUpload(path: string, visible: boolean): Promise<void> {
  if (visible) return;
  const { code, lines, stderr } = await run({ program: "upload", path });
  assert.equal(code, 0, stderr);
  assert.ok(lines.includes("published"));
  assert.ok(await examineUpload(path, 0));
}
