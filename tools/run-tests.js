// Runs the compiled tests with node's own runner and closes with one line: `N passed, N failed, N skipped`.
//
//   node tools/run-tests.js                 every suite except slow/ and crash/, and interop/ and browser/, which need other programs
//   node tools/run-tests.js core crash      only build/test/core and build/test/crash
//   node tools/run-tests.js slow            the long ones
//   node tools/run-tests.js browser         those in a headless Chromium
//   node tools/run-tests.js core/map.test   any path prefix below build/test
import { readdirSync, existsSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "node:test";
import { spec } from "node:test/reporters";

const testRoot = fileURLToPath(new URL("../build/test/", import.meta.url));
if (!existsSync(testRoot)) {
  console.error("build/test is missing: run `npm run build:all` first, or `npm test`");
  process.exit(70);
}
const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith("--"));
const files = readdirSync(testRoot, { recursive: true })
  .filter((name) => name.endsWith(".test.js"))
  .map((name) => name.split(sep).join("/"))
  .filter((name) =>
    wanted.length === 0
      ? !/^(slow|crash|interop|browser)\//.test(name)
      : wanted.some((prefix) => name.startsWith(prefix)),
  )
  .sort()
  .map((name) => join(testRoot, name));
if (files.length === 0) {
  console.error(`no test file matches ${wanted.join(" ")}`);
  process.exit(64);
}

const counts = { passed: 0, failed: 0, skipped: 0 };
const count = (event, key) => {
  // A file's own entry is not a test; suites are counted by the tests in them.
  if (event.details?.type === "suite" || files.includes(event.name)) return;
  if (event.skip !== undefined || event.todo !== undefined) counts.skipped += 1;
  else counts[key] += 1;
};
let fileFailures = 0;
/** How the processes of failed files ended: a signal is a crash, whatever its tests said before. */
const ends = [];
// A file, not a test: those of slow/ measure, one at a time, and some wait for a disk a hundred thousand times.
const isSlow = files.some((name) => relative(testRoot, name).startsWith("slow"));
const timeout = Number(process.env.NELEUS_TEST_TIMEOUT_MS ?? (isSlow ? 3_600_000 : 600_000));
const stream = run({ files, concurrency: isSlow ? 1 : 2, timeout });
stream.on("test:pass", (event) => count(event, "passed"));
stream.on("test:fail", (event) => {
  if (files.includes(event.name)) {
    fileFailures += 1;
    const { exitCode, signal } = event.details.error;
    ends.push(`${relative(testRoot, event.name)}: ended with ${signal ?? `exit code ${exitCode}`}`);
  }
  count(event, "failed");
});
stream.compose(new spec()).pipe(process.stdout);
stream.on("end", () => {
  setImmediate(() => {
    for (const line of ends) console.log(line);
    // A file that dies outside any test (an import error, a crash) counts as one failure.
    const failed = counts.failed === 0 && fileFailures > 0 ? fileFailures : counts.failed;
    if (failed > 0 && wanted.length === 0) {
      console.log(`run one again: node tools/run-tests.js ${relative(testRoot, files[0]).replace(/\.js$/, "")}`);
    }
    console.log(`${counts.passed} passed, ${failed} failed, ${counts.skipped} skipped`);
    process.exitCode = failed > 0 || counts.passed === 0 ? 1 : 0;
  });
});
