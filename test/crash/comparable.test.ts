// Failures that comparable software has had, which stay impossible here.
//
// Goal and method, each by the program as users run it: a flipped byte is never handed out with exit code 0; a configuration
// copied from the documentation makes a database; a process that looks at a database in use replays and removes nothing of
// what a living one is at.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { hashBlob } from "#src/core/blob/index.js";
import { toHex } from "#src/core/bytes.js";
import { Database } from "#src/database/index.js";
import { patternBytes } from "../database/support/bytes.js";
import { put, readText } from "../database/support/database.js";
import { smallDatabase, temporaryDirectory } from "./support/place.js";

const NELEUS = join(process.cwd(), "bin", "neleus.js");

function neleus(words: readonly string[], environment: Record<string, string> = {}) {
  const env = { ...process.env, ...environment };
  return spawnSync(process.execPath, [NELEUS, ...words], { encoding: "utf8", env });
}

describe("a flipped byte", () => {
  it("of a large value or a small one is no answer, and leaves no file", async (context) => {
    const parent = temporaryDirectory(context);
    const path = await smallDatabase(parent);
    const trust = { NELEUS_TRUST_FILE: join(parent, "trust.json") };
    const large = patternBytes(150_000, 4);
    const small = "a value that stands in the data file once";
    const db = await Database.open(path);
    await db.states.apply("main", {
      operations: [put("large", large), put("small", small), put("other", "as it was")],
    });
    await db.close();
    const name = toHex(hashBlob(large));
    const file = join(path, "blobs", name.slice(0, 2), name.slice(2, 4), name);
    writeFileSync(
      file,
      readFileSync(file).map((byte, index) => (index === 77_777 ? byte ^ 1 : byte)),
    );
    const rows = join(path, "objects", "1", "data.mdb");
    const bytes = readFileSync(rows);
    for (let at = bytes.indexOf(small); at >= 0; at = bytes.indexOf(small, at + 1)) bytes[at] = (bytes[at] ?? 0) ^ 1;
    writeFileSync(rows, bytes);
    const out = join(parent, "out");
    for (const words of [
      ["state", "get", "main", "large", "--out-file", out],
      ["state", "get", "main", "small", "--out-file", out],
      ["blob", "get", name, out],
    ]) {
      const { status, stderr } = neleus(["--db", path, ...words], trust);
      assert.equal(status, 8, `${words.join(" ")}: ${stderr}`);
      assert.match(stderr, /do(es)? not match/);
      assert.ok(!existsSync(out));
    }
    const other = neleus(["--db", path, "state", "get", "main", "other", "--json"], trust);
    assert.equal(other.status, 0, other.stderr);
    assert.match(other.stdout, /as it was|YXMgaXQgd2Fz/);
  });
});

describe("a configuration from the documentation", () => {
  const documents = [
    "README.md",
    ...readdirSync("docs").flatMap((name) => (name.endsWith(".md") ? [join("docs", name)] : [])),
  ];
  const found = documents.flatMap((path) =>
    [...readFileSync(path, "utf8").matchAll(/\{\s*"schema_version"[^`]*\}/g)].map(([text]) => ({ path, text })),
  );

  it("is there", () => assert.ok(found.length > 0));

  for (const [index, { path, text }] of found.entries()) {
    it(`makes a database as it stands: ${path}, ${index}`, (context) => {
      const place = join(temporaryDirectory(context), "db");
      mkdirSync(join(place, "meta"), { recursive: true });
      writeFileSync(join(place, "meta", "config.json"), text);
      const { status, stderr } = neleus(["db", "init", place], { NELEUS_DB_ENCRYPTION_PASSWORD: "correct horse" });
      assert.equal(status, 0, stderr);
    });
  }
});

describe("a look at a database in use", () => {
  it("replays and removes nothing of a living process", async (context) => {
    const path = await smallDatabase(temporaryDirectory(context));
    const db = await Database.open(path);
    const content = patternBytes(300_000, 8);
    const upload = await db.uploads.begin();
    await upload.append(0, content.subarray(0, 200_000));
    const load = await db.states.load("main");
    const key = Buffer.from("loaded");
    await load.add({ keys: [key], values: [key] });
    const before = readdirSync(join(path, "wal")).sort();
    for (let round = 0; round < 3; round += 1) {
      const info = neleus(["--db", path, "db", "info", "--json"]);
      assert.equal(info.status, 0, info.stderr);
      assert.ok(!("recovered" in (JSON.parse(info.stdout) as object)));
    }
    assert.deepEqual(readdirSync(join(path, "wal")).sort(), before);
    await upload.append(200_000, content.subarray(200_000));
    await upload.finish({ sizeBytes: content.length, hash: hashBlob(content) });
    await upload.close();
    await load.finish();
    await load.close();
    assert.equal(await readText(db, "loaded"), "loaded");
    await db.close();
  });
});
