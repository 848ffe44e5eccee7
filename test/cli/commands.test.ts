// Goal: the commands do what CLI documentation says, embedded and against a server alike, with the JSON that programs read.
// Method: the program in processes of its own, over one database; what it prints is parsed, never matched loosely.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { cpSync, existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { hashBlob } from "#src/core/blob/index.js";
import { toHex } from "#src/core/bytes.js";
import { errorOf, folder, json, neleus, serve, trustFolder } from "./support.js";

const HASH = /^[0-9a-f]{64}$/;

test("the main job, embedded", async (context) => {
  const cwd = folder(context);
  const made = json(await neleus(cwd, ["db", "init", "./neleus_db", "--json"]));
  assert.match(String(made["database"]), /^[0-9a-f]{32}$/);
  assert.match(String(made["key"]), /^neleus\//);

  const set = json(await neleus(cwd, ["state", "set", "main", "user/42/name", "-", "--json"], "Ada"));
  assert.deepEqual([set["head"], set["key"], set["size"], set["log_index"]], ["main", "user/42/name", 3, 1]);
  assert.equal(set["hash"], toHex(hashBlob(Buffer.from("Ada"))));

  const got = json(await neleus(cwd, ["--json", "state", "get", "main", "user/42/name"]));
  assert.equal(Buffer.from(String(got["value"]), "base64").toString(), "Ada");
  assert.equal(got["root"], set["root"]);
  assert.equal((await neleus(cwd, ["state", "get", "main", "user/42/name"])).stdout, "Ada");

  const committed = json(
    await neleus(cwd, ["commit", "new", "--head", "main", "--author", "a", "--message", "one\ntwo", "--json"]),
  );
  assert.match(String(committed["commit"]), HASH);
  assert.equal(committed["state_root"], set["root"]);
  const again = json(
    await neleus(cwd, ["commit", "new", "--head", "main", "--author", "a", "--message", "", "--json"]),
  );
  assert.notEqual(again["commit"], committed["commit"], "with nothing changed it still makes one");
  const log = (await neleus(cwd, ["log", "main", "--json"])).stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(
    log.map((entry) => entry["commit"]),
    [again["commit"], committed["commit"]],
  );
  assert.deepEqual(log[0]?.["parents"], [committed["commit"]]);

  const head = json(await neleus(cwd, ["head", "show", "main", "--json"]));
  assert.deepEqual(
    [head["commit"], head["staged_root"], head["committed_root"]],
    [again["commit"], set["root"], set["root"]],
  );
  const info = json(await neleus(cwd, ["db", "info", "--json"]));
  assert.deepEqual(
    [info["database"], info["key"], info["schema_version"], info["encryption"]],
    [made["database"], made["key"], 3, false],
  );

  const deleted = json(await neleus(cwd, ["state", "del", "main", "user/42/name", "--json"]));
  assert.match(String(deleted["root"]), HASH);
  const absent = await neleus(cwd, ["state", "get", "main", "user/42/name", "--json"]);
  assert.deepEqual([absent.code, absent.stdout], [4, ""]);
  assert.equal(errorOf(absent).code, "NOT_FOUND");
});

test("the same commands against a server, and a large value by itself", async (context) => {
  const cwd = folder(context);
  await neleus(cwd, ["db", "init", "./neleus_db"]);
  const { address } = await serve(context, cwd);
  const remote = ["--server", address, "--json"];
  const large = randomBytes(3 * 1024 * 1024 + 17);
  writeFileSync(join(cwd, "large.bin"), large);
  const put = json(await neleus(cwd, ["blob", "put", "large.bin", "--upload-id", "once", ...remote]));
  assert.deepEqual(put, { hash: toHex(hashBlob(large)), size: large.length });
  const { hash } = put as { hash: string };
  const held = json(await neleus(cwd, ["blob", "put", "large.bin", ...remote]));
  assert.deepEqual(held, { hash, size: large.length, already_held: true });
  const resent = json(await neleus(cwd, ["blob", "put", "large.bin", "--when-held", "send", ...remote]));
  assert.deepEqual(resent, { hash, size: large.length });
  assert.equal(json(await neleus(cwd, ["blob", "stat", hash, ...remote]))["size"], large.length);
  await neleus(cwd, ["blob", "get", hash, "part.bin", "--range", "1000000:2000001", ...remote]);
  assert.deepEqual(readFileSync(join(cwd, "part.bin")), large.subarray(1_000_000, 2_000_001));
  const two = ["--range", "10:20", "--range", "2000000:2000001"];
  assert.equal(json(await neleus(cwd, ["blob", "get", hash, "two.bin", ...two, ...remote]))["size"], 11);
  const twoParts = Buffer.concat([large.subarray(10, 20), large.subarray(2_000_000, 2_000_001)]);
  assert.deepEqual(readFileSync(join(cwd, "two.bin")), twoParts);
  const digest = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
  const piped = await neleus(cwd, ["blob", "get", hash, "-", "--server", address, "--quiet"]);
  assert.equal(digest(piped.stdoutBytes), digest(large));

  const set = json(await neleus(cwd, ["state", "set", "main", "big", "large.bin", ...remote]));
  assert.deepEqual([set["hash"], set["size"]], [hash, large.length]);
  await neleus(cwd, ["state", "get", "main", "big", "--out-file", "big.bin", ...remote]);
  assert.equal(digest(readFileSync(join(cwd, "big.bin"))), digest(large));

  const document = json(
    await neleus(cwd, [
      "manifest",
      "put-doc",
      "--source",
      "s",
      "--file",
      "large.bin",
      "--chunk-size",
      "1000000",
      "--overlap",
      "10",
      "--head",
      "main",
      ...remote,
    ]),
  );
  assert.deepEqual([document["kind"], document["blob"], document["chunks"]], ["document", hash, 4]);
  assert.match(String(document["chunks_root"]), HASH);
  const manifest = String(document["manifest"]);
  const chunks = (await neleus(cwd, ["manifest", "chunks", manifest, ...remote])).stdout.trim().split("\n");
  assert.equal(chunks.length, 4);
  assert.deepEqual(JSON.parse(chunks[3] ?? ""), {
    index: 3,
    hash: toHex(hashBlob(large.subarray(3 * 999_990))),
    size: large.length - 3 * 999_990,
    offset: 3 * 999_990,
  });
  assert.equal(json(await neleus(cwd, ["manifest", "get", manifest, ...remote]))["source"], "s");

  for (const name of ["a", "b"]) await neleus(cwd, ["state", "set", "main", `k/${name}`, "-", ...remote], name);
  const scanned = (await neleus(cwd, ["state", "scan", "main", "--prefix", "k/", "--values", ...remote])).stdout
    .trim()
    .split("\n");
  assert.deepEqual(
    scanned.map((line) => JSON.parse(line) as Record<string, unknown>).map((entry) => [entry["key"], entry["value"]]),
    [
      ["k/a", Buffer.from("a").toString("base64")],
      ["k/b", Buffer.from("b").toString("base64")],
    ],
  );
  const several = (await neleus(cwd, ["state", "get", "main", "k/a", "none", ...remote])).stdout.trim().split("\n");
  assert.deepEqual(
    several.map((line) => (JSON.parse(line) as { present: boolean }).present),
    [true, false],
  );

  await neleus(cwd, ["commit", "new", "--head", "main", "--author", "a", "--message", "m", ...remote]);
  await neleus(cwd, ["head", "create", "other", ...remote]);
  const heads = (await neleus(cwd, ["head", "list", ...remote])).stdout.trim().split("\n");
  assert.deepEqual(
    heads.map((line) => (JSON.parse(line) as { head: string }).head),
    ["main", "other"],
  );
  assert.equal((await neleus(cwd, ["head", "delete", "other", ...remote])).code, 0);

  const making = ["commit", "new", "--head", "main", "--author", "a", "--message", "n", ...remote];
  assert.equal((await neleus(cwd, [...making, "--expected-root", "00".repeat(32)])).code, 5);
  assert.equal((await neleus(cwd, [...making, "--expected-commit", "00"])).code, 64);
  const v1 = json(await neleus(cwd, ["tag", "create", "v1", "--head", "main", ...remote]));
  assert.deepEqual(json(await neleus(cwd, ["tag", "list", ...remote])), { tag: "v1", commit: v1["commit"] });
  assert.equal(json(await neleus(cwd, ["tag", "show", "v1", ...remote]))["commit"], v1["commit"]);
  const last = json(await neleus(cwd, ["state", "set", "main", "k/c", "-", ...remote], "c"))["log_index"] as number;
  const fresh = ["--min-log-size", String(last + 1)];
  assert.equal(json(await neleus(cwd, ["state", "count", "main", ...fresh, ...remote]))["count"], 4);
  const differs = json(await neleus(cwd, ["state", "diff", "tag:v1", "main", ...remote]));
  assert.deepEqual([differs["key"], differs["change"]], ["k/c", "added"]);
  assert.equal(json(await neleus(cwd, ["log", "tag:v1", ...remote]))["commit"], v1["commit"]);
  const reset = json(await neleus(cwd, ["head", "reset", "main", ...remote]));
  assert.equal(reset["commit"], v1["commit"]);
  assert.equal(json(await neleus(cwd, ["state", "count", "main", ...remote]))["count"], 3);
  assert.equal((await neleus(cwd, ["head", "reset", "main", "--expected-root", "00".repeat(32), ...remote])).code, 5);
  assert.equal((await neleus(cwd, ["tag", "create", "v1", "--head", "main", ...remote])).code, 5);
  assert.equal((await neleus(cwd, ["tag", "create", "v2", ...remote])).code, 64);
  assert.equal((await neleus(cwd, ["tag", "delete", "v1", ...remote])).code, 0);
  assert.equal((await neleus(cwd, ["tag", "show", "v1", ...remote])).code, 4);
  assert.equal(json(await neleus(cwd, ["checkpoint", ...remote]))["size"], 12);
  assert.equal(json(await neleus(cwd, ["db", "info", ...remote]))["server_version"], "0.1.0");
});

test("proofs are verified with no database at hand, and exit 0 only when anchored", async (context) => {
  const cwd = folder(context);
  const { key } = json(await neleus(cwd, ["db", "init", "./neleus_db", "--json"])) as { key: string };
  for (const name of ["a", "b", "c"]) await neleus(cwd, ["state", "set", "main", name, "-"], `value of ${name}`);
  writeFileSync(join(cwd, "doc.txt"), "0123456789".repeat(10));
  const document = json(
    await neleus(cwd, [
      "manifest",
      "put-doc",
      "--source",
      "doc.txt",
      "--file",
      "doc.txt",
      "--chunk-size",
      "30",
      "--head",
      "main",
      "--json",
    ]),
  );
  const proofs: [string, string[]][] = [
    ["present", ["proof", "state", "main", "b"]],
    ["absent", ["proof", "state", "main", "bb"]],
    ["range", ["proof", "range", "main", "--from", "a", "--to", "c"]],
    ["chunk", ["proof", "chunk", String(document["manifest"]), "1", "--head", "main"]],
  ];
  for (const [name, args] of proofs) {
    const proof = await neleus(cwd, [...args, "--json"]);
    assert.equal(proof.code, 0, proof.stderr);
    writeFileSync(join(cwd, `${name}.json`), proof.stdout);
    const elsewhere = folder(context);
    const file = join(cwd, `${name}.json`);
    const anchored = await neleus(elsewhere, ["verify", file, "--key", key, "--json"]);
    assert.deepEqual([anchored.code, json(anchored)["verdict"]], [0, "shown"], anchored.stderr);
    assert.equal((await neleus(elsewhere, ["verify", file])).code, 3);
    const { root = "" } = JSON.parse(proof.stdout) as { root?: string };
    if (root !== "") {
      const hex = Buffer.from(root, "base64").toString("hex");
      assert.equal((await neleus(elsewhere, ["verify", file, "--root", hex])).code, 0);
      assert.equal((await neleus(elsewhere, ["verify", file, "--root", "00".repeat(32)])).code, 1);
    }
  }
  // Claims the opposite of what its witness shows.
  const lie = { ...(JSON.parse(readFileSync(join(cwd, "present.json"), "utf8")) as object), present: false };
  writeFileSync(join(cwd, "lie.json"), JSON.stringify(lie));
  assert.equal((await neleus(cwd, ["verify", "lie.json", "--key", key])).code, 1);
  const cut = JSON.parse(readFileSync(join(cwd, "range.json"), "utf8")) as { nodes: unknown[] };
  writeFileSync(join(cwd, "cut.json"), JSON.stringify({ ...cut, nodes: [] }));
  assert.equal((await neleus(cwd, ["verify", "cut.json", "--key", key])).code, 2);
});

test("wrong use and bad input: the code, the field, what to do, and nothing on stdout", async (context) => {
  const cwd = folder(context);
  await neleus(cwd, ["db", "init", "./neleus_db"]);
  writeFileSync(join(cwd, "file"), "x");
  writeFileSync(join(cwd, "empty"), "");
  const none = "00".repeat(32);
  const putDocument = ["manifest", "put-doc", "--source", "s", "--file", "file", "--chunk-size", "9"];
  const cases: [args: string[], code: number, error: string][] = [
    [["stat"], 64, "INVALID_ARGUMENT"],
    [["state", "get", "main"], 64, "INVALID_ARGUMENT"],
    [["state", "get", "main", "k", "--nope"], 64, "INVALID_ARGUMENT"],
    [["state", "get", "mian", "k"], 4, "NOT_FOUND"],
    [["state", "set", "mian", "k", "file"], 4, "NOT_FOUND"],
    [["state", "set", "main", "", "file"], 64, "INVALID_ARGUMENT"],
    [["state", "set", "main", "k".repeat(1025), "file"], 64, "INVALID_ARGUMENT"],
    [["state", "set", "main", "zz", "file", "--key-encoding", "hex"], 64, "INVALID_ARGUMENT"],
    [["state", "set", "main", "k", "file", "--key-encoding", "latin1"], 64, "INVALID_ARGUMENT"],
    [["state", "set", "main", "k", "no-such-file"], 4, "NOT_FOUND"],
    [["state", "set", "main", "k", "."], 64, "INVALID_ARGUMENT"],
    [["state", "scan", "main", "--from", "b", "--to", "a"], 64, "INVALID_ARGUMENT"],
    [["state", "scan", "main", "--limit", "0"], 64, "INVALID_ARGUMENT"],
    [["state", "scan", "main", "--max-bytes", "0"], 64, "INVALID_ARGUMENT"],
    [["log", "main", "--max-bytes", "none"], 64, "INVALID_ARGUMENT"],
    [["blob", "get", none, "out"], 4, "NOT_FOUND"],
    [["blob", "get", "xyz", "out"], 64, "INVALID_ARGUMENT"],
    [["blob", "stat", none], 4, "NOT_FOUND"],
    [["commit", "show", none], 4, "NOT_FOUND"],
    [["commit", "new", "--head", "main", "--author", "a", "--message", "m", "--manifest", none], 4, "NOT_FOUND"],
    [["commit", "new", "--head", "main", "--message", "m"], 64, "INVALID_ARGUMENT"],
    [["manifest", "put-doc", "--source", "s", "--file", "file", "--chunk-size", "0"], 64, "INVALID_ARGUMENT"],
    [[...putDocument, "--meta", "__proto__=x"], 64, "INVALID_ARGUMENT"],
    [[...putDocument, "--meta", "a=1", "--meta", "a=2"], 64, "INVALID_ARGUMENT"],
    [
      ["manifest", "put-doc", "--source", "s", "--file", "file", "--chunk-size", "4", "--overlap", "4"],
      64,
      "INVALID_ARGUMENT",
    ],
    [
      ["manifest", "put-doc", "--source", "s", "--file", "file", "--chunk-size", "4", "--method", "semantic"],
      64,
      "INVALID_ARGUMENT",
    ],
    [["manifest", "get", none], 4, "NOT_FOUND"],
    [["head", "create", "main"], 5, "ALREADY_EXISTS"],
    [["head", "create", "../up"], 64, "INVALID_ARGUMENT"],
    [["head", "delete", "mian"], 4, "NOT_FOUND"],
    [["verify", "empty"], 1, "VERIFICATION_FAILED"],
    [["db", "init", "./neleus_db"], 5, "ALREADY_EXISTS"],
    [["db", "init", "."], 64, "INVALID_ARGUMENT"],
    [["db", "info", "--db", "nowhere"], 4, "NOT_FOUND"],
    [["state", "get", "main", "k", "--db", "file"], 64, "INVALID_ARGUMENT"],
    [["db", "init", "new", "--encrypt"], 6, "PERMISSION_DENIED"],
    [["db", "init", "new", "--encrypt", "--algorithm", "rot13"], 64, "INVALID_ARGUMENT"],
    [["db", "init", "new", "--algorithm", "aes-256-gcm"], 64, "INVALID_ARGUMENT"],
    [["state", "get", "main", "k", "--server", "127.0.0.1:1"], 7, "UNAVAILABLE"],
    [["state", "get", "main", "k", "--server", "127.0.0.1:1", "--db", "x"], 64, "INVALID_ARGUMENT"],
    [["serve", "--listen", "0.0.0.0:7117"], 64, "INVALID_ARGUMENT"],
    [["completion", "tcsh"], 64, "INVALID_ARGUMENT"],
  ];
  const before = readdirSync(cwd).sort();
  for (const [args, code, error] of cases) {
    const run = await neleus(cwd, [...args, "--json"]);
    const said = JSON.parse(run.stderr) as { error: { code: string; message: string; field?: string; hint?: string } };
    assert.deepEqual(
      [run.code, said.error.code, run.stdout],
      [code, error, ""],
      `${args.join(" ").slice(0, 80)}: ${run.stderr}`,
    );
    assert.doesNotMatch(run.stderr, /\n\s+at |node:internal/, "no stack trace");
    if (code === 64) assert.ok(said.error.field, `${args.join(" ")} names no field`);
  }
  assert.deepEqual(readdirSync(cwd).sort(), before, "nothing was left behind");
  assert.equal(existsSync(join(cwd, "out")), false);
});

test("a wrong range is told in the words of the option", async (context) => {
  const cwd = folder(context);
  await neleus(cwd, ["db", "init", "./neleus_db"]);
  const { hash } = json(await neleus(cwd, ["blob", "put", "-", "--json"], "hello")) as { hash: string };
  for (const range of ["2:9", "9:12", "5:2", "3:3", "5:", "a:b", "1", "99999999999999999999:"]) {
    const run = await neleus(cwd, ["blob", "get", hash, "out", "--range", range, "--json"]);
    const { error } = JSON.parse(run.stderr) as { error: { code: string; field: string; message: string } };
    assert.deepEqual([run.code, error.code, error.field], [64, "INVALID_ARGUMENT", "range"], range);
    assert.match(error.message, /^--range /);
  }
  const empty = json(await neleus(cwd, ["blob", "put", "-", "--json"], "")) as { hash: string };
  assert.equal(json(await neleus(cwd, ["blob", "get", empty.hash, "out", "--range", "0:0", "--json"]))["size"], 0);
});

test("wrong input is told in the words of the command line", async (context) => {
  const cwd = folder(context);
  await neleus(cwd, ["db", "init", "./neleus_db"]);
  writeFileSync(join(cwd, "file"), "x");
  const commit = json(
    await neleus(cwd, ["commit", "new", "--head", "main", "--author", "a", "--message", "m", "--json"]),
  );
  const hash = String(commit["commit"]);
  const document = ["manifest", "put-doc", "--source", "s", "--file", "file", "--chunk-size", "9"];
  const cases: [field: string, args: string[]][] = [
    ["source", ["manifest", "put-doc", "--source", "", "--file", "file", "--chunk-size", "9"]],
    ["chunk-size", [...document, "--chunk-size", "99999999999"]],
    ["method", [...document, "--method", "semantic"]],
    ["overlap", [...document, "--overlap", "9"]],
    ["upload-id", ["blob", "put", "file", "--upload-id", "bad id"]],
    ["manifest", ["commit", "new", "--head", "main", "--author", "a", "--message", "m", "--manifest", hash]],
    ["key", ["checkpoint", "--key", "nonsense"]],
    ["database", ["state", "get", "main", "k", "--database", "other"]],
    ["exit-when-idle", ["serve", "--exit-when-idle", "99999999999"]],
    ["grace", ["serve", "--grace", "99999999999"]],
    ["index", ["proof", "chunk", hash, "-1"]],
    ["root", ["verify", "file", "--root", "zz"]],
  ];
  for (const [field, args] of cases) {
    const run = await neleus(cwd, [...args, "--json"]);
    const { error } = JSON.parse(run.stderr) as { error: { code: string; field: string; message: string } };
    assert.deepEqual([run.code, error.code, error.field, run.stdout], [64, "INVALID_ARGUMENT", field, ""], run.stderr);
    assert.doesNotMatch(error.message, /header\.|chunking\.|upload_id|verifierKey|manifests\[/);
  }
  const log = await neleus(cwd, ["state", "scan", "main", "--database", "default"]);
  assert.equal(log.code, 0);
});

test("no two keys are printed alike, and each on one line", async (context) => {
  const cwd = folder(context);
  await neleus(cwd, ["db", "init", "./neleus_db"]);
  const keys = ["00ff", "hex:00ff", "hex:", "a\nb", "a\\nb", "\u001b[31mred", "plain", "hexa"].map((text, index) =>
    index === 0 ? text : Buffer.from(text).toString("hex"),
  );
  for (const key of keys) await neleus(cwd, ["state", "set", "main", key, "-", "--key-encoding", "hex"], "x");
  const lines = (await neleus(cwd, ["state", "scan", "main"])).stdout.trim().split("\n");
  const some = (await neleus(cwd, ["state", "scan", "main", "--max-bytes", "83"])).stdout.trim().split("\n");
  assert.deepEqual(some, lines.slice(0, 3), "of 38, 44 and 39 bytes");
  const printed = lines.map((line) => line.split("  ")[0] ?? "");
  const read = printed.map((text) =>
    text.startsWith("hex:") ? text.slice(4) : Buffer.from(text, "utf8").toString("hex"),
  );
  assert.deepEqual(read.sort(), [...keys].sort());
  assert.ok(printed.includes("plain") && printed.includes("hexa") && printed.includes("a\\nb"));
  // JSON has no need of that: text is text, and what is none says so.
  const entries = (await neleus(cwd, ["state", "scan", "main", "--json"])).stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { key: string; key_encoding?: string });
  const text = entries.filter(({ key_encoding }) => key_encoding === undefined).map(({ key }) => key);
  assert.deepEqual(text.sort(), ["hex:00ff", "hex:", "a\nb", "a\\nb", "\u001b[31mred", "plain", "hexa"].sort());
  assert.deepEqual(
    entries.filter(({ key_encoding }) => key_encoding === "hex").map(({ key }) => key),
    ["00ff"],
  );
});

test("keys that are no text, and completion", async (context) => {
  const cwd = folder(context);
  await neleus(cwd, ["db", "init", "./neleus_db"]);
  await neleus(cwd, ["state", "set", "main", "00ff", "-", "--key-encoding", "hex"], "x");
  const asText = json(await neleus(cwd, ["state", "scan", "main", "--json"]));
  assert.deepEqual([asText["key"], asText["key_encoding"]], ["00ff", "hex"]);
  const asBase64 = json(await neleus(cwd, ["state", "scan", "main", "--json", "--key-encoding", "base64"]));
  assert.equal(asBase64["key"], "AP8=");
  for (const shell of ["bash", "zsh", "fish"]) {
    const script = await neleus(cwd, ["completion", shell]);
    assert.equal(script.code, 0);
    assert.match(script.stdout, /put-doc/);
  }
});

test("the log is exported as tiles, again and again, and never another one into the same folder", async (context) => {
  const cwd = folder(context);
  for (const db of ["one", "two"]) await neleus(cwd, ["db", "init", `./${db}`]);
  const copy = join(cwd, "one-before");
  cpSync(join(cwd, "one"), copy, { recursive: true });
  await neleus(cwd, ["state", "set", "main", "k", "-", "--db", "./one"], "v");
  const exported = json(await neleus(cwd, ["log", "export", "./log", "--db", "./one", "--json"]));
  assert.deepEqual([exported["size"], exported["written"]], [2, 3]);
  assert.deepEqual(readdirSync(join(cwd, "log/tile/entries/000.p")), ["2"]);
  await neleus(cwd, ["state", "set", "main", "k", "-", "--db", "./one"], "w");
  assert.equal(json(await neleus(cwd, ["log", "export", "./log", "--db", "./one", "--json"]))["size"], 3);
  const wrong = await neleus(cwd, ["log", "export", "./log", "--db", "./two", "--json"]);
  assert.equal(errorOf(wrong).code, "FORKED");
  // Somebody who remembers nothing of the log meets the folder alone.
  const elsewhere = folder(context);
  const fork = join(cwd, "one-forked");
  cpSync(copy, fork, { recursive: true });
  const intoFolder = ["log", "export", join(cwd, "log"), "--json", "--db"];
  assert.equal(errorOf(await neleus(elsewhere, [...intoFolder, fork])).code, "ROLLED_BACK");
  for (const value of ["x", "y", "z"]) await neleus(elsewhere, ["state", "set", "main", "k", "-", "--db", fork], value);
  assert.equal(errorOf(await neleus(elsewhere, [...intoFolder, fork])).code, "FORKED");
  assert.equal(errorOf(await neleus(cwd, [...intoFolder, copy])).code, "ROLLED_BACK");
  assert.equal((await neleus(cwd, ["log", "main", "more", "--db", "./one"])).code, 64);
});

test("a manifest and a head are proved to others", async (context) => {
  const cwd = folder(context);
  const { key } = json(await neleus(cwd, ["db", "init", "./neleus_db", "--json"])) as { key: string };
  writeFileSync(join(cwd, "d.txt"), "text");
  const put = [
    "manifest",
    "put-doc",
    "--source",
    "s",
    "--file",
    "d.txt",
    "--chunk-size",
    "10",
    "--head",
    "main",
    "--json",
  ];
  const { manifest } = json(await neleus(cwd, put)) as { manifest: string };
  const proofs = [
    ["manifest", manifest, "--head", "main"],
    ["commit", "main"],
    ["commit", "nobody"],
  ];
  for (const [index, args] of proofs.entries()) {
    const file = join(cwd, `${index}.json`);
    writeFileSync(file, (await neleus(cwd, ["proof", ...args])).stdout);
    const report = json(await neleus(cwd, ["verify", file, "--key", key, "--json"]));
    assert.equal(report["verdict"], "shown", args.join(" "));
    assert.equal((await neleus(cwd, ["verify", file])).code, 3);
  }
  const absent = await neleus(cwd, ["proof", "manifest", manifest, "--head", "main", "--committed"]);
  assert.equal(absent.code, 4);
});

test("keys counted, and what differs between two states", async (context) => {
  const cwd = folder(context);
  await neleus(cwd, ["db", "init", "./neleus_db"]);
  for (const [key, value] of ["a/1", "a/2", "b/1"].map((name) => [name, name] as const)) {
    await neleus(cwd, ["state", "set", "main", key, "-"], value);
  }
  const committed = json(
    await neleus(cwd, ["commit", "new", "--head", "main", "--author", "a", "--message", "m", "--json"]),
  );
  const commit = `commit:${String(committed["commit"])}`;
  await neleus(cwd, ["state", "del", "main", "a/1"]);
  await neleus(cwd, ["state", "set", "main", "a/2", "-"], "other");
  await neleus(cwd, ["state", "set", "main", "c", "-"], "new");

  const counted = json(await neleus(cwd, ["state", "count", "main", "--json"]));
  assert.deepEqual([counted["head"], counted["count"]], ["main", 3]);
  assert.match(String(counted["root"]), HASH);
  assert.equal((await neleus(cwd, ["state", "count", "main", "--prefix", "a/"])).stdout, "1\n");
  assert.equal((await neleus(cwd, ["state", "count", "main", "--from", "b", "--to", "a"])).code, 64);

  const lines = (await neleus(cwd, ["state", "diff", commit, "main", "--values", "--json"])).stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const described = (value: string): unknown => ({ hash: toHex(hashBlob(Buffer.from(value))), size: value.length });
  const base64 = (value: string): string => Buffer.from(value).toString("base64");
  assert.deepEqual(lines, [
    { key: "a/1", change: "removed", before: described("a/1") },
    { key: "a/2", change: "changed", before: described("a/2"), after: described("other"), value: base64("other") },
    { key: "c", change: "added", after: described("new"), value: base64("new") },
  ]);
  const plain = await neleus(cwd, ["state", "diff", "head:main", "staged:main"]);
  assert.deepEqual(plain.stdout, "- a/1  3 bytes\n~ a/2  3 -> 5 bytes\n+ c  3 bytes\n");
  assert.equal((await neleus(cwd, ["state", "diff", "main", "main"])).stdout, "");
  assert.equal((await neleus(cwd, ["state", "diff", "main", "root:12"])).code, 64);
  const wrong = await neleus(cwd, ["state", "diff", "tip:main", "main", "--json"]);
  assert.deepEqual([wrong.code, wrong.stdout], [64, ""]);
  assert.equal(errorOf(wrong).field, "before");
});

test("many keys from a file of lines", async (context) => {
  const cwd = folder(context);
  await neleus(cwd, ["db", "init", "./neleus_db"]);
  const { address } = await serve(context, cwd);
  const remote = ["--server", address, "--json"];
  const lines = Array.from({ length: 2_500 }, (_, index) =>
    JSON.stringify({ key: `k/${index}`, value: `v ${index} é` }),
  );
  writeFileSync(join(cwd, "keys.ndjson"), `${lines.join("\n")}\n\n`);
  const loaded = json(await neleus(cwd, ["state", "load", "main", "keys.ndjson", "--into-empty", ...remote]));
  assert.deepEqual([loaded["head"], loaded["keys"], loaded["log_index"]], ["main", 2_500, 1]);
  assert.equal(json(await neleus(cwd, ["state", "count", "main", ...remote]))["root"], loaded["root"]);
  assert.equal(
    (await neleus(cwd, ["state", "get", "main", "k/1234", "--server", address, "--quiet"])).stdout,
    "v 1234 é",
  );

  const encoded = `{"key": "00ff", "value": "${Buffer.from([0, 255]).toString("base64")}"}`;
  const more = ["state", "load", "main", "-", "--key-encoding", "hex", "--value-encoding", "base64", ...remote];
  assert.equal(json(await neleus(cwd, more, encoded))["keys"], 1);
  assert.equal(json(await neleus(cwd, ["state", "count", "main", ...remote]))["count"], 2_501);

  const wrong = async (input: string, ...options: string[]): Promise<[number | null, string, string]> => {
    const run = await neleus(cwd, ["state", "load", "main", "-", ...options, ...remote], input);
    const { error } = JSON.parse(run.stderr) as { error: { field: string; message: string } };
    return [run.code, error.field, error.message];
  };
  const first = '{"key": "a", "value": "b"}\n';
  assert.deepEqual(await wrong(`${first}{"key": "a"}`), [64, "file", 'line 2: must be {"key": "…", "value": "…"}']);
  assert.deepEqual(await wrong(`${first}\nnull`), [64, "file", 'line 3: must be {"key": "…", "value": "…"}']);
  assert.deepEqual(await wrong("{key"), [64, "file", "line 1: is not JSON"]);
  assert.equal((await wrong('{"key": "", "value": ""}'))[1], "file");
  assert.equal((await wrong(first, "--into-empty"))[0], 5);
  assert.equal((await wrong(first, "--value-encoding", "rot13"))[1], "value-encoding");
  assert.equal(json(await neleus(cwd, ["state", "count", "main", ...remote]))["count"], 2_501);
});

test("a write run again with its idempotency key has one effect and the same result", async (context) => {
  const cwd = folder(context);
  await neleus(cwd, ["db", "init", "./neleus_db"]);
  writeFileSync(join(cwd, "text"), "some text");
  const put = ["manifest", "put-doc", "--source", "s", "--file", "text", "--chunk-size", "4"];
  const commit = ["commit", "new", "--head", "main", "--author", "a", "--message", "m"];
  const commands = [
    ["state", "set", "main", "k", "text"],
    [...put, "--head", "main"],
    commit,
    ["head", "create", "other"],
    ["head", "delete", "other"],
    ["state", "del", "main", "k"],
    ["state", "load", "main", "keys.ndjson"],
  ];
  writeFileSync(join(cwd, "keys.ndjson"), '{"key": "l", "value": "1"}\n{"key": "m", "value": "2"}\n');
  const results: Record<string, unknown>[] = [];
  const key = (index: number): string[] => ["--idempotency-key", `key-${index}`, "--json"];
  for (const [index, command] of commands.entries()) {
    results.push(json(await neleus(cwd, [...command, ...key(index)])));
  }
  for (const [index, command] of commands.entries()) {
    const again = json(await neleus(cwd, [...command, ...key(index)]));
    assert.deepEqual(again, results[index], command.join(" "));
  }
  const log = (await neleus(cwd, ["log", "main", "--json"])).stdout.trim().split("\n");
  assert.equal(log.length, 1);
  const other = await neleus(cwd, [...commit, "--manifest", "00".repeat(32), ...key(commands.indexOf(commit))]);
  assert.equal(other.code, 5);
  const { error } = JSON.parse(other.stderr) as { error: Record<string, unknown> };
  assert.equal(error["code"], "ALREADY_EXISTS");
  const wrong = await neleus(cwd, [...put, "--idempotency-key", "key"]);
  assert.deepEqual([wrong.code, /--idempotency-key/.test(wrong.stderr)], [64, true], wrong.stderr);
});

test("a server's key is trusted once, pinned, forgotten; and a rollback is refused with its evidence written down", async (context) => {
  const cwd = folder(context);
  const { key } = json(await neleus(cwd, ["db", "init", "./one", "--json"])) as { key: string };
  cpSync(join(cwd, "one"), join(cwd, "before"), { recursive: true });
  const socket = join(cwd, "s");
  const server = await serve(context, cwd, ["--db", "./one", "--listen", `unix:${socket}`]);
  const remote = ["--server", `unix:${socket}`, "--json"];
  const first = await neleus(cwd, ["state", "set", "main", "k", "-", ...remote], "1");
  assert.match(first.stderr, /trusting the key .* from now on/);
  assert.equal((await neleus(cwd, ["state", "get", "main", "k", ...remote])).stderr, "");
  const record = json(await neleus(cwd, ["trust", "list", "--json"]));
  assert.deepEqual([record["key"], record["pinned"], record["size"]], [key, false, 2]);
  assert.equal(json(await neleus(cwd, ["trust", "pin", key, ...remote]))["pinned"], true);
  assert.equal(json(await neleus(cwd, ["trust", "list", "--json"]))["pinned"], true);
  await server.stop();

  await serve(context, cwd, ["--db", "./before", "--listen", `unix:${socket}`]);
  const refused = await neleus(cwd, ["state", "get", "main", "k", ...remote]);
  assert.deepEqual([refused.code, errorOf(refused).code], [10, "ROLLED_BACK"]);
  const [evidence = ""] = readdirSync(join(trustFolder(cwd), "evidence"));
  const kept = JSON.parse(readFileSync(join(trustFolder(cwd), "evidence", evidence), "utf8")) as {
    refused: { code: string };
    exhibits: { kind: string; note: string }[];
  };
  assert.equal(kept.refused.code, "ROLLED_BACK");
  const notes = kept.exhibits.filter(({ kind }) => kind === "checkpoint").map(({ note }) => note);
  assert.equal(notes.length, 2);
  for (const note of notes) assert.match(note, /^neleus\//);
  // Where there is no place for it, the refusal is the same.
  rmSync(join(trustFolder(cwd), "evidence"), { recursive: true });
  writeFileSync(join(trustFolder(cwd), "evidence"), "");
  const unwritten = await neleus(cwd, ["state", "get", "main", "k", ...remote]);
  assert.deepEqual([unwritten.code, errorOf(unwritten).code], [10, "ROLLED_BACK"]);
  assert.match(unwritten.stderr, /the evidence of this refusal could not be written/);
  assert.equal((await neleus(cwd, ["trust", "forget", ...remote])).code, 0);
  assert.equal((await neleus(cwd, ["trust", "forget", ...remote])).code, 4);
  // Who has forgotten it does not know of the rollback. The server has been shown it, and does.
  assert.equal((await neleus(cwd, ["state", "get", "main", "k", ...remote])).code, 10);
  assert.equal((await neleus(cwd, ["trust", "pin", "nonsense", ...remote])).code, 64);
  assert.equal((await neleus(cwd, ["trust", "forget"])).code, 64);
});
