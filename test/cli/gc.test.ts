// Goal: `neleus db gc` and `neleus state compact` free what a deleted head leaves behind, say how much, and change nothing else.
// Method: the program itself: a head with a commit of its own, deleted; the last leaves of the log, which are kept for readers,
// are those of an hour ago by the clock that the library is given.
import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import { Database } from "#src/database/index.js";
import { put } from "../database/support/database.js";
import { errorOf, folder, json, neleus } from "./support.js";

test("db gc, state compact", async (context) => {
  const cwd = folder(context);
  const path = join(cwd, "neleus_db");
  // Made by that clock, too: the times of leaves never decrease.
  const db = await Database.create(path, { clock: () => Date.now() - 3_600_000 });
  await db.states.apply("main", { operations: [put("kept", "1")] });
  await db.heads.create("gone");
  const operations = Array.from({ length: 500 }, (_, n) => put(`key-${n}`, `${n}`));
  await db.states.apply("gone", { operations });
  await db.commits.create({ head: "gone", author: "a", message: "m" });
  await db.heads.delete("gone");
  for (let n = 0; n < 300; n += 1) await db.states.apply("main", { operations: [put("leaf", `${n}`)] });
  await db.close();

  const planned = json(await neleus(cwd, ["db", "gc", "--dry-run", "--json"]));
  assert.equal(planned["dry_run"], true);
  assert.equal(planned["commits_freed"], 1);
  assert.ok(Number(planned["nodes_freed"]) > 20 && Number(planned["node_bytes_freed"]) > 20_000);
  const before = (await neleus(cwd, ["state", "scan", "main", "--values", "--json"])).stdout;
  const compacted = json(await neleus(cwd, ["state", "compact", "main", "--json"]));
  assert.deepEqual([compacted["head"], compacted["nodes_freed"]], ["main", planned["nodes_freed"]]);
  assert.equal(compacted["bytes_freed"], planned["node_bytes_freed"]);
  assert.equal(compacted["root"], json(await neleus(cwd, ["head", "show", "main", "--json"]))["staged_root"]);
  assert.equal((await neleus(cwd, ["state", "scan", "main", "--values", "--json"])).stdout, before);
  const again = json(await neleus(cwd, ["db", "gc", "--json"]));
  assert.deepEqual([again["nodes_freed"], again["commits_freed"]], [0, 0]);
  assert.equal((await neleus(cwd, ["db", "fsck"])).code, 0);
  const unknown = await neleus(cwd, ["state", "compact", "mian", "--json"]);
  assert.deepEqual([unknown.code, errorOf(unknown).code], [4, "NOT_FOUND"]);
});
