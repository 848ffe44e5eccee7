// Goal: the conformance kit and its protocol do for another language: a verifier in Go, written from docs/FORMATS.md with nothing of
// this library, answers as expected. Needs Go; run by `npm run test:interop`.
// Method: test/interop/go/conformance is built and driven through the whole kit; what it does not support is listed here.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";

const LEFT_OUT = ["map.diff", "map.edit"];

it("a verifier in Go passes the conformance kit in all that it supports", (context) => {
  const place = mkdtempSync(join(tmpdir(), "neleus-go-"));
  context.after(() => rmSync(place, { recursive: true, force: true }));
  const runner = join(place, "runner");
  const cwd = join(process.cwd(), "test/interop/go");
  const built = spawnSync("go", ["build", "-o", runner, "./conformance"], { cwd, encoding: "utf8" });
  assert.equal(built.status, 0, built.error?.message ?? built.stderr);
  const driven = spawnSync(process.execPath, ["tools/conformance.js", "--", runner], { encoding: "utf8" });
  const lines = driven.stdout.trimEnd().split("\n");
  assert.equal(driven.status, 0, driven.stdout);
  assert.match(lines.at(-1) ?? "", /^1[0-9]{3} passed, 0 failed, [0-9]+ skipped$/);
  const unsupported = lines.flatMap((line) => /^not supported: (\S+)/.exec(line)?.[1] ?? []);
  assert.deepEqual(unsupported.sort(), LEFT_OUT);
});
