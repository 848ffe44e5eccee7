// Goal: an operator names the log by a host when a database is made or an epoch begins, and everything that follows a log takes
// that name. Method: the program itself: init, info, trust, export, proofs, a new epoch.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { errorOf, folder, json, neleus } from "./support.js";

test("a log is named by a host from its first leaf, or from an epoch on", { timeout: 180_000 }, async (context) => {
  const cwd = folder(context);
  const run = async (...args: readonly string[]) => neleus(cwd, [...args, "--json"]);
  const wrong = await run("db", "init", "neleus_db", "--origin-host", "DB.example");
  assert.deepEqual([wrong.code, errorOf(wrong).field], [64, "origin-host"]);
  const made = json(await run("db", "init", "neleus_db", "--origin-host", "db.example"));
  const id = made["database"] as string;
  assert.equal(made["origin"], `db.example/${id}/1`);
  assert.ok((made["key"] as string).startsWith(`db.example/${id}/1+`));
  assert.equal((await neleus(cwd, ["state", "set", "main", "k", "-"], "v")).code, 0);
  const info = json(await run("db", "info"));
  assert.deepEqual([info["origin"], info["origin_host"]], [`db.example/${id}/1`, "db.example"]);
  assert.match((await neleus(cwd, ["db", "info"])).stdout, new RegExp(`^log +db\\.example/${id}/1$`, "m"));

  const [trusted] = (await run("trust", "list")).stdout.trim().split("\n");
  assert.match(trusted ?? "", new RegExp(`db\\.example/${id}/1\\+`));
  const exported = json(await run("log", "export", "static"));
  assert.equal(exported["origin"], `db.example/${id}/1`);
  assert.equal(readFileSync(join(cwd, "static/checkpoint"), "utf8").split("\n")[0], `db.example/${id}/1`);
  const proof = await run("proof", "state", "main", "k");
  writeFileSync(join(cwd, "proof.json"), proof.stdout);
  assert.equal((await run("verify", "proof.json", "--key", made["key"] as string)).code, 0);

  const bad = await run("db", "new-epoch", "--reason", "rekeyed", "--now", "--origin-host", "a b");
  assert.deepEqual([bad.code, errorOf(bad).field], [64, "origin-host"]);
  const begun = json(await run("db", "new-epoch", "--reason", "rekeyed", "--now", "--origin-host", "log.example"));
  assert.deepEqual([begun["origin"], begun["epoch"]], [`log.example/${id}/2`, 2]);
  const config = JSON.parse(readFileSync(join(cwd, "neleus_db/meta/config.json"), "utf8")) as Record<string, unknown>;
  assert.equal(config["origin_host"], "log.example");
  // Whoever began it goes on; a proof from before is of the log before.
  assert.equal((await run("state", "get", "main", "k")).code, 0);
  assert.equal((await run("verify", "proof.json", "--key", begun["key"] as string)).code, 10);
  assert.equal(json(await run("log", "export", "old", "--epoch", "1"))["origin"], `db.example/${id}/1`);
  const kept = json(await run("db", "new-epoch", "--reason", "restored"));
  assert.equal(kept["origin"], `log.example/${id}/3`);
});

test("a config written by hand names the log", { timeout: 60_000 }, async (context) => {
  const cwd = folder(context);
  mkdirSync(join(cwd, "db/meta"), { recursive: true });
  writeFileSync(join(cwd, "db/meta/config.json"), '{"schema_version": 3, "origin_host": "hand.example"}');
  const other = await neleus(cwd, ["db", "init", "db", "--origin-host", "db.example", "--json"]);
  assert.deepEqual([other.code, errorOf(other).field], [64, "origin-host"]);
  const made = json(await neleus(cwd, ["db", "init", "db", "--json"]));
  assert.equal(made["origin"], `hand.example/${made["database"] as string}/1`);
});
