// Goal: an encrypted database is made, used, served and given another password by the commands that README tells, and refuses everybody
// else. Method: the program in processes of its own, as a user runs it, with passwords in the environment, in files and by commands.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import { errorOf, folder, json, neleus, serve } from "./support.js";

const VARIABLE = "NELEUS_DB_ENCRYPTION_PASSWORD";
const NEW_VARIABLE = "NELEUS_DB_ENCRYPTION_NEW_PASSWORD";

afterEach(() => {
  for (const name of [VARIABLE, NEW_VARIABLE]) {
    for (const end of ["", "_FILE", "_COMMAND"]) Reflect.deleteProperty(process.env, `${name}${end}`);
  }
});

const QUICK = ["--encrypt", "--kdf-iterations", "100000"];

test("an encrypted database does what one in clear does, with its password and no other", async (context) => {
  const cwd = folder(context);
  const withoutPassword = await neleus(cwd, ["db", "init", "./neleus_db", ...QUICK, "--json"]);
  assert.deepEqual([withoutPassword.code, errorOf(withoutPassword)["field"]], [6, "password"]);
  process.env[VARIABLE] = "first";
  const made = json(await neleus(cwd, ["db", "init", "./neleus_db", ...QUICK, "--json"]));
  assert.equal(made["encryption"], true);
  assert.equal((await neleus(cwd, ["state", "set", "main", "user/42", "-"], "Ada")).code, 0);
  writeFileSync(join(cwd, "large"), Buffer.alloc(3_000_000, "recognisable "));
  const { hash } = json(await neleus(cwd, ["blob", "put", "large", "--json"])) as { hash: string };
  const { address, stop } = await serve(context, cwd);
  const remote = ["--server", address];
  assert.equal((await neleus(cwd, ["state", "get", "main", "user/42", ...remote])).stdout.trim(), "Ada");
  assert.equal(
    (await neleus(cwd, ["commit", "new", "--head", "main", "--author", "a", "--message", "m", ...remote])).code,
    0,
  );
  // A command on the directory beside the server.
  assert.equal((await neleus(cwd, ["blob", "get", hash, "copy"])).code, 0);
  assert.ok(readFileSync(join(cwd, "copy")).equals(readFileSync(join(cwd, "large"))));
  await stop();
  const info = json(await neleus(cwd, ["db", "info", "--json"]));
  assert.deepEqual([info["encryption"], info["algorithm"]], [true, "aes-256-gcm"]);

  process.env[VARIABLE] = "wrong";
  for (const args of [
    ["state", "get", "main", "user/42"],
    ["state", "set", "main", "user/42", "-"],
    ["db", "info"],
  ]) {
    const refused = await neleus(cwd, [...args, "--json"], "Eve");
    assert.deepEqual([refused.code, errorOf(refused).code, refused.stdout], [6, "PERMISSION_DENIED", ""]);
    assert.doesNotMatch(refused.stderr, /wrong|first/);
  }
  process.env[VARIABLE] = "first";
  assert.equal((await neleus(cwd, ["state", "get", "main", "user/42"])).stdout.trim(), "Ada");
});

test("a configuration copied from the documentation is completed as it stands", async (context) => {
  const cwd = folder(context);
  const formats = readFileSync("docs/FORMATS.md", "utf8");
  const config = /```json\n(\{\s*"schema_version": 3,[^`]*"enabled": true[^`]*)```/.exec(formats)?.[1];
  assert.ok(config !== undefined, "docs/FORMATS.md has one");
  mkdirSync(join(cwd, "db", "meta"), { recursive: true });
  writeFileSync(join(cwd, "db", "meta", "config.json"), config);
  writeFileSync(join(cwd, "password"), "from a file\n");
  process.env[`${VARIABLE}_FILE`] = join(cwd, "password");
  const made = await neleus(cwd, ["db", "init", "./db", "--json"]);
  assert.equal(json(made)["encryption"], true);
  assert.equal((await neleus(cwd, ["--db", "db", "head", "list"])).code, 0);
  // One that says the contrary of what is asked for is no less meant.
  mkdirSync(join(cwd, "clear", "meta"), { recursive: true });
  writeFileSync(join(cwd, "clear", "meta", "config.json"), '{"schema_version": 3}');
  const refused = await neleus(cwd, ["db", "init", "./clear", "--encrypt", "--json"]);
  assert.deepEqual([refused.code, errorOf(refused).field], [64, "encryption.enabled"]);
});

test("another password takes the place of the old one at once, beside a server", async (context) => {
  const cwd = folder(context);
  process.env[VARIABLE] = "old";
  await neleus(cwd, ["db", "init", "./neleus_db", ...QUICK]);
  await neleus(cwd, ["state", "set", "main", "k", "-"], "v");
  const { address } = await serve(context, cwd);
  const missing = await neleus(cwd, ["db", "rotate-key", "--json"]);
  assert.deepEqual([missing.code, errorOf(missing).code], [6, "PERMISSION_DENIED"]);
  process.env[`${NEW_VARIABLE}_COMMAND`] = "printf new";
  assert.equal((await neleus(cwd, ["db", "rotate-key", "--kdf-iterations", "100001"])).code, 0);
  assert.equal((await neleus(cwd, ["state", "get", "main", "k"])).code, 6);
  // Who has it open goes on, and writes what the new password opens.
  assert.equal((await neleus(cwd, ["state", "set", "main", "k", "-", "--server", address], "w")).code, 0);
  process.env[VARIABLE] = "new";
  assert.equal((await neleus(cwd, ["state", "get", "main", "k"])).stdout.trim(), "w");
  const text = readFileSync(join(cwd, "neleus_db", "meta", "config.json"), "utf8");
  assert.match(text, /"kdf_iterations": 100001/);
  await neleus(cwd, ["db", "init", "./clear"]);
  const clear = await neleus(cwd, ["db", "rotate-key", "--db", "clear", "--json"]);
  assert.deepEqual([clear.code, errorOf(clear).code], [64, "INVALID_ARGUMENT"]);
});
