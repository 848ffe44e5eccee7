// Goal: damage in an encrypted database is named as in one in clear, and does not end what goes on beside it. Method: bytes of sealed rows and
// files changed below the store, each kind of space in turn; a check afterwards, and writes that go on.
import assert from "node:assert/strict";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { open as openEnvironment } from "lmdb";
import { Corrupt } from "#src/core/errors.js";
import { Database } from "#src/database/index.js";
import type { Finding } from "#src/database/fsck/index.js";
import type { Space } from "#src/store/index.js";
import { temporaryDirectory } from "../../store/temporary-directory.js";
import { put } from "../support/database.js";

const PASSWORD = "secret";

async function make(path: string): Promise<void> {
  const db = await Database.create(path, { encryption: { kdfIterations: 100_000 }, password: PASSWORD });
  const operations = Array.from({ length: 100 }, (_, number) => put(`key/${number}`, `value ${number}`));
  await db.states.apply("main", { operations, idempotency: { caller: "", key: "once" } });
  await db.states.apply("main", { operations: [put("large", new Uint8Array(100_000).fill(3))] });
  await db.commits.create({ head: "main", author: "a", message: "m" });
  await db.close();
}

/** Changes a byte of a sealed row of a space, below everything; again, the byte is as it was. */
async function spoil(path: string, space: Space, index: number): Promise<void> {
  const binary = { encoding: "binary", keyEncoding: "binary" } as const;
  const root = openEnvironment<Uint8Array, Uint8Array>({
    ...binary,
    path: join(path, "objects", "1"),
    noSubdir: false,
    maxDbs: 16,
    overlappingSync: false,
  });
  const rows = root.openDB<Uint8Array, Uint8Array>({ ...binary, name: space });
  const row = [...rows.getRange({ start: new Uint8Array(1), limit: index + 1 })][index];
  assert.ok(row !== undefined, `row ${index} of ${space}`);
  const value = Buffer.from(row.value);
  value[50]! ^= 1;
  await rows.put(Buffer.from(row.key), value);
  await root.close();
}

/** The same to the first row without which the database still opens: it does not without the nodes that lead to its keys. */
async function spoilOne(path: string, space: Space): Promise<void> {
  for (let index = 0; ; index += 1) {
    await spoil(path, space, index);
    const opened = await Database.open(path, { password: PASSWORD }).catch((error: unknown) => error);
    if (!(opened instanceof Corrupt)) {
      await (opened as Database).close();
      return;
    }
    await spoil(path, space, index);
  }
}

let checks = 0;

async function check(path: string, space: Space): Promise<Finding[]> {
  const db = await Database.open(path, { password: PASSWORD });
  const findings: Finding[] = [];
  for await (const event of db.fsck()) if (event.kind === "finding") findings.push(event.finding);
  // Whoever writes goes on, but where the way to what is written is damaged.
  const idempotency = { caller: "", key: `check-${(checks += 1)}` };
  if (space !== "nodes") await db.states.apply("other", { operations: [put("k", "v")], idempotency });
  await db.close();
  return findings;
}

describe("fsck of an encrypted database", () => {
  for (const space of ["nodes", "objects", "blobs", "requests"] as const) {
    it(`names damage in ${space}`, async (context) => {
      const path = join(temporaryDirectory(context), "db");
      await make(path);
      const before = await Database.open(path, { password: PASSWORD });
      await before.heads.create("other");
      await before.close();
      assert.deepEqual(await check(path, space), []);
      await spoilOne(path, space);
      const findings = await check(path, space);
      assert.ok(
        findings.some(({ place }) => "space" in place && place.space === space),
        JSON.stringify(findings.map(({ message }) => message)),
      );
      const kinds = new Set(findings.map(({ kind }) => kind));
      assert.ok(kinds.has("damaged") && !kinds.has("malformed"), [...kinds].join());
    });
  }

  it("names a file of which nothing tells whose it is", async (context) => {
    const path = join(temporaryDirectory(context), "db");
    await make(path);
    const names = readdirSync(join(path, "blobs"), { recursive: true, withFileTypes: true });
    const file = names.find((entry) => entry.isFile() && !entry.name.endsWith(".outboard"));
    assert.ok(file !== undefined);
    const name = join(file.parentPath, file.name);
    const bytes = readFileSync(name);
    bytes[60]! ^= 1;
    writeFileSync(name, bytes);
    const db = await Database.open(path, { password: PASSWORD });
    const messages: string[] = [];
    for await (const event of db.fsck()) if (event.kind === "finding") messages.push(event.finding.message);
    await db.close();
    assert.ok(
      messages.some((message) => message.startsWith(`${name}: nothing tells which blob it is`)),
      messages.join("; "),
    );
  });
});
