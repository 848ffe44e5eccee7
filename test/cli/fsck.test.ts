// Goal: `neleus db fsck` says what is wrong and exits as documented, of a directory and of a server.
// Method: the program itself, over a database that is clean, then damaged in its store.
import assert from "node:assert/strict";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { hashBlob } from "#src/core/blob/index.js";
import { toHex, utf8 } from "#src/core/bytes.js";
import { openDirectory } from "#src/store/index.js";
import { errorOf, folder, neleus, serve } from "./support.js";

/** What the lines of the output say, each under one name. */
function lines(text: string): ReadonlyMap<string, Record<string, unknown>>[] {
  const parsed = text.trim().split("\n");
  return parsed.map((line) => new Map(Object.entries(JSON.parse(line) as Record<string, Record<string, unknown>>)));
}

test("db fsck: clean, damaged, sampled, remote", async (context) => {
  const cwd = folder(context);
  await neleus(cwd, ["db", "init", "neleus_db"]);
  await neleus(cwd, ["state", "set", "main", "user/42", "-"], "Ada");
  await neleus(cwd, ["commit", "new", "--head", "main", "--author", "a", "--message", "m"]);

  const clean = await neleus(cwd, ["db", "fsck", "--json"]);
  assert.equal(clean.code, 0, clean.stderr);
  const [summary] = lines(clean.stdout);
  assert.equal(summary?.get("summary")?.["findings"], 0);
  assert.deepEqual(summary.get("summary")?.["left_out"], []);
  assert.match((await neleus(cwd, ["db", "fsck"])).stdout, /nothing is wrong/);
  assert.equal((await neleus(cwd, ["db", "fsck", "--sample", "50%"])).code, 0);
  const wrong = await neleus(cwd, ["db", "fsck", "--sample", "0%", "--json"]);
  assert.deepEqual([wrong.code, errorOf(wrong).field], [64, "sample"]);

  await cp(join(cwd, "neleus_db"), join(cwd, "copy"), { recursive: true });
  const { store } = await openDirectory(join(cwd, "neleus_db"));
  const hash = hashBlob(utf8("Ada"));
  await store.write({ puts: [{ space: "blobs", key: hash, value: utf8("Eve") }] });
  await store.close();
  const damaged = await neleus(cwd, ["db", "fsck", "--json"]);
  assert.deepEqual([damaged.code, errorOf(damaged).code], [8, "CORRUPT"]);
  const [finding, after] = lines(damaged.stdout);
  assert.deepEqual(finding?.get("finding")?.["where"], { space: "blobs", key: toHex(hash) });
  assert.equal(finding.get("finding")?.["kind"], "damaged");
  assert.equal(finding.get("finding")?.["affected_count"], 2);
  assert.equal(after?.get("summary")?.["findings"], 1);
  const plain = await neleus(cwd, ["db", "fsck"]);
  assert.match(plain.stdout, /affects states\/main state, key user\/42/);

  const { address } = await serve(context, cwd);
  const remote = await neleus(cwd, ["db", "fsck", "--server", address, "--json"]);
  assert.equal(remote.code, 8, remote.stderr);
  assert.deepEqual(lines(remote.stdout)[0], lines(damaged.stdout)[0]);

  const refused = await neleus(cwd, ["db", "fsck", "--repair-from", "neleus_db", "--json"]);
  assert.deepEqual([refused.code, errorOf(refused).field], [64, "repair-from"]);
  const repaired = await neleus(cwd, ["db", "fsck", "--repair-from", "copy", "--json"]);
  assert.equal(repaired.code, 0, repaired.stderr);
  assert.deepEqual(lines(repaired.stdout)[0]?.get("repaired"), { space: "blobs", key: toHex(hash) });
});
