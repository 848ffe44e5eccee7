// Goal: what a newcomer gets wrong at the terminal is answered with what to do, and no path or pipe that was named is harmed.
// Method: the program in processes of its own, as a user runs it.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { lstatSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { folder, json, neleus, serve, trustFolder } from "./support.js";

test("a group without a command, and wrong usage, name the command whose help to read", async (context) => {
  const cwd = folder(context);
  const cases: [args: string[], says: RegExp, help: string][] = [
    [["state"], /neleus state needs a command: set, get, del, scan/, "see: neleus state --help"],
    [["state", "set", "main"], /missing required argument 'key'/, "see: neleus state set --help"],
    [["bogus"], /unknown command 'bogus'/, "see: neleus --help"],
  ];
  for (const [args, says, help] of cases) {
    const run = await neleus(cwd, args);
    assert.deepEqual([run.code, run.stdout], [64, ""]);
    assert.match(run.stderr, says);
    assert.ok(run.stderr.includes(help), run.stderr);
  }
});

test("an unknown head names the command that makes it; a failure with --json is one document on stderr", async (context) => {
  const cwd = folder(context);
  await neleus(cwd, ["db", "init", "./neleus_db", "--no-color"]);
  assert.match((await neleus(cwd, ["state", "set", "other", "k", "-"], "v")).stderr, /neleus head create other/);
  const { address } = await serve(context, cwd);
  const failed = await neleus(cwd, ["state", "get", "main", "k", "--server", address, "--json"]);
  const said = JSON.parse(failed.stderr) as { error: { code: string }; notices: string[] };
  assert.equal(said.error.code, "NOT_FOUND");
  assert.match(said.notices[0] ?? "", /trusting the key/);
  const done = await neleus(cwd, ["checkpoint", "--server", address, "--json"]);
  const lines = done.stderr.trim().split("\n");
  assert.deepEqual(
    lines.map((line) => Object.keys(JSON.parse(line) as object)),
    // Trusted by the command before: what is left to say is when the newest leaf was written.
    [["notice"]],
  );
});

test("an output path that is a directory, a device or a link; a database path that cannot be", async (context) => {
  const cwd = folder(context);
  await neleus(cwd, ["db", "init", "./neleus_db"]);
  const { hash } = json(await neleus(cwd, ["blob", "put", "-", "--json"], "content")) as { hash: string };
  writeFileSync(join(cwd, "file"), "old");
  symlinkSync("file", join(cwd, "link"));
  const before = readdirSync(cwd).sort();
  for (const path of [".", "neleus_db", "nowhere/out", "file/out"]) {
    const run = await neleus(cwd, ["blob", "get", hash, path, "--json"]);
    const said = JSON.parse(run.stderr) as { error: { code: string; field: string } };
    assert.deepEqual([run.code, said.error.code, said.error.field], [64, "INVALID_ARGUMENT", "out_file"], path);
  }
  assert.equal((await neleus(cwd, ["blob", "get", hash, "link"])).code, 0);
  assert.ok(lstatSync(join(cwd, "link")).isSymbolicLink());
  assert.equal(readFileSync(join(cwd, "file"), "utf8"), "content");
  execFileSync("mkfifo", [join(cwd, "pipe")]);
  const [run, received] = await Promise.all([
    neleus(cwd, ["blob", "get", hash, "pipe"]),
    readFile(join(cwd, "pipe"), "utf8"),
  ]);
  assert.deepEqual([run.code, received, lstatSync(join(cwd, "pipe")).isFIFO()], [0, "content", true]);
  assert.deepEqual(readdirSync(cwd).sort(), [...before, "pipe"].sort());
  for (const path of ["", "file/db"]) assert.equal((await neleus(cwd, ["db", "init", path])).code, 64, path);
  assert.equal((await neleus(cwd, ["db", "info", "--db", ""])).code, 64);
});

test("Ctrl-C ends a command that waits for standard input", async (context) => {
  const cwd = folder(context);
  await neleus(cwd, ["db", "init", "./neleus_db"]);
  const program = join(process.cwd(), "bin", "neleus.js");
  const env = { ...process.env, NELEUS_TRUST_FILE: join(trustFolder(cwd), "trust.json") };
  const child = spawn(process.execPath, [program, "state", "set", "main", "k", "-"], { cwd, env });
  const exited = once(child, "exit");
  // No byte comes, and no end: the process waits once it has started.
  const first = setTimeout(() => child.kill("SIGINT"), 3_000);
  const last = setTimeout(() => child.kill("SIGKILL"), 20_000);
  assert.deepEqual(await exited, [130, null]);
  clearTimeout(first);
  clearTimeout(last);
  assert.equal((await neleus(cwd, ["state", "get", "main", "k"])).code, 4);
});
