// Goal: one version, wherever it is said.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { PROGRAM_VERSION } from "#src/core/version.js";

test("package.json and the program say the same version", () => {
  const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
  assert.equal(PROGRAM_VERSION, version);
});
