// Goal: the version that servers report is the package's.
import test from "node:test";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PROGRAM_VERSION } from "#src/core/version.js";

test("the version is package.json's", () => {
  const { version } = JSON.parse(readFileSync(join(process.cwd(), "package.json"), "utf8")) as { version: string };
  assert.equal(PROGRAM_VERSION, version);
});
