// Goal: docs/SECURITY.md claims nothing that no test shows. Method: every row of its table names test files, and each is there.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const COLUMNS = ["who", "may lie about", "what catches it", "shown by", "what is left"];

/** The cells of every row below the header. */
function rows(): string[][] {
  const text = readFileSync(join(process.cwd(), "docs", "SECURITY.md"), "utf8");
  const lines = text.split("\n").filter((line) => line.startsWith("|"));
  const [header, , ...body] = lines.map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
  assert.deepEqual(header, COLUMNS);
  return body;
}

test("every row of the threat model names tests that exist, and says what is left", () => {
  const body = rows();
  assert.ok(body.length > 15, `${body.length} rows`);
  for (const row of body) {
    assert.equal(row.length, COLUMNS.length, row.join(" | "));
    assert.ok(
      row.every((cell) => cell !== ""),
      row.join(" | "),
    );
    const files = [...(row[3] ?? "").matchAll(/`([^`]+)`/g)].map(([, file = ""]) => file);
    assert.ok(files.length > 0, row.join(" | "));
    for (const file of files) {
      assert.match(file, /^test\/.*\.test\.ts$/);
      assert.ok(existsSync(join(process.cwd(), file)), `${file} is named in docs/SECURITY.md and is not there`);
    }
  }
});
