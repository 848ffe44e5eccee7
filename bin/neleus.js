#!/usr/bin/env node
// Runs the compiled program. In a source checkout it compiles first where dist/ is absent or older than the sources; an
// installed package holds dist/ and no sources, and starts at once. dist/cli/ is the same program in a few files, which
// starts in half the time; where it is older than what was compiled, the modules themselves run.
import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const program = join(root, "dist", "src", "cli", "main.js");
const bundle = join(root, "dist", "cli", "main.js");
const bundler = join(root, "tools", "bundle-cli.js");
const stamp = join(root, "dist", ".tsbuildinfo");
const compiler = join(root, "node_modules", "typescript", "bin", "tsc");

function newestChangeMs(directory) {
  let newest = 0;
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) newest = Math.max(newest, newestChangeMs(path));
    else if (entry.name.endsWith(".ts")) newest = Math.max(newest, statSync(path).mtimeMs);
  }
  return newest;
}

function isStale() {
  if (!existsSync(program) || !existsSync(stamp)) return true;
  const builtMs = statSync(stamp).mtimeMs;
  return newestChangeMs(join(root, "src")) > builtMs || newestChangeMs(join(root, "gen")) > builtMs;
}

async function build() {
  // Only here: loading it takes some milliseconds of every start.
  const { spawnSync } = await import("node:child_process");
  if (!existsSync(compiler)) {
    console.error("neleus: dist/ is missing or stale and the compiler is not installed; run: npm ci");
    process.exit(70);
  }
  // It can take a minute on a busy machine, and silence would look like a hang.
  if (process.stderr.isTTY) console.error("neleus: compiling the sources of this checkout, this once…");
  const result = spawnSync(process.execPath, [compiler, "-b", join(root, "tsconfig.json")], {
    cwd: root,
    // Compiler messages must not mix with what the program prints.
    stdio: ["ignore", 2, 2],
  });
  if (result.status !== 0) process.exit(70);
  const now = new Date();
  utimesSync(stamp, now, now);
  // Without it the program only starts more slowly.
  spawnSync(process.execPath, [bundler], { cwd: root, stdio: "ignore" });
}

/** Whether dist/cli/ is there, and made from what dist/src/ holds now. A package has no stamp, and both from one build. */
function hasBundle() {
  if (!existsSync(bundle)) return false;
  return !existsSync(stamp) || statSync(bundle).mtimeMs >= statSync(stamp).mtimeMs;
}

/** Whether the process that holds the lock is gone, for example by Ctrl-C while it compiled. */
function isAbandoned(lock) {
  try {
    const holder = Number(readFileSync(lock, "utf8"));
    // Made a moment ago and not yet filled, or of nobody's.
    if (!Number.isSafeInteger(holder) || holder <= 0) return Date.now() - statSync(lock).mtimeMs > 5_000;
    process.kill(holder, 0);
    return false;
  } catch (error) {
    // ESRCH: no such process. Anything else (the lock is gone, the process is another user's) is settled by trying again.
    return error.code === "ESRCH";
  }
}

/** Only one process compiles; others wait for it. A lock left by a dead process is taken over. */
async function buildOnce() {
  const lock = join(root, ".build-lock");
  for (;;) {
    try {
      const file = openSync(lock, "wx");
      writeSync(file, String(process.pid));
      closeSync(file);
      break;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
      if (isAbandoned(lock)) rmSync(lock, { force: true });
      else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    }
  }
  try {
    if (isStale()) await build();
  } finally {
    rmSync(lock, { force: true });
  }
}

// A package has no sources beside dist/: nothing to compare, nothing to build.
if (existsSync(join(root, "tsconfig.json")) && isStale()) await buildOnce();
const { main } = await import(pathToFileURL(hasBundle() ? bundle : program).href);
await main(process.argv.slice(2));
