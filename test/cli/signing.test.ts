// Goal: keys, signed commits and guarded heads from the command line, with the exit codes that scripts decide by.
// Method: the program in processes of its own; signing elsewhere is done by node:crypto on the file that prepare wrote.
import assert from "node:assert/strict";
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from "node:crypto";
import { chmodSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { errorOf, folder, json, neleus, serve, type Run } from "./support.js";

const NEW = ["commit", "new", "--head", "main", "--author", "a", "--message", "m", "--json"];
const PREPARE = ["commit", "prepare", "--head", "main", "--author", "a", "--message", "elsewhere", "--json"];

function lines(run: Run): Record<string, unknown>[] {
  return run.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

test("a guarded head, from its key to its rotation", async (context) => {
  const cwd = folder(context);
  await neleus(cwd, ["db", "init", "./neleus_db"]);
  const made = json(await neleus(cwd, ["key", "new", "ada.pem", "--json"]));
  const ada = String(made["key"]);
  assert.match(ada, /^[0-9a-f]{64}$/);
  assert.equal(made["file"], "ada.pem");
  assert.equal(statSync(join(cwd, "ada.pem")).mode & 0o777, 0o600);
  const pem = readFileSync(join(cwd, "ada.pem"), "utf8");
  const theirs = createPublicKey(createPrivateKey(pem)).export({ format: "pem", type: "spki" }).toString();
  assert.equal(made["public"], theirs);
  assert.equal((await neleus(cwd, ["key", "new", "ada.pem"])).code, 5);
  const bob = String(json(await neleus(cwd, ["key", "new", "bob.pem", "--json"]))["key"]);

  const unsigned = json(await neleus(cwd, NEW));
  assert.equal(unsigned["signatures"], undefined);
  assert.deepEqual(json(await neleus(cwd, ["key", "list", "main", "--json"])), { head: "main", keys: [] });
  const set = json(await neleus(cwd, ["key", "set", "main", ada, "--json"]));
  assert.deepEqual([set["head"], set["keys"]], ["main", [ada]]);
  assert.equal(typeof set["log_index"], "number");
  assert.deepEqual(json(await neleus(cwd, ["key", "list", "main", "--json"]))["keys"], [ada]);

  const denied = await neleus(cwd, NEW);
  assert.deepEqual([denied.code, denied.stdout, errorOf(denied).code], [6, "", "PERMISSION_DENIED"]);
  assert.equal((await neleus(cwd, [...NEW, "--sign-key", "bob.pem"])).code, 6);
  assert.equal((await neleus(cwd, ["head", "reset", "main", "--empty"])).code, 6);
  assert.equal((await neleus(cwd, ["head", "delete", "main"])).code, 6);
  const signed = json(await neleus(cwd, [...NEW, "--sign-key", "ada.pem"]));
  assert.deepEqual(signed["signatures"], [{ key: ada, valid: true }]);
  const hash = String(signed["commit"]);

  // Whose signature it is, and what a script is told.
  const verify = (...args: string[]): Promise<Run> => neleus(cwd, ["commit", "verify", ...args, "--json"]);
  const [held, open] = await Promise.all([verify(hash, "--signer", ada), verify(hash)]);
  assert.deepEqual([held.code, json(held)["verdict"]], [0, "signed"]);
  assert.deepEqual([open.code, json(open)["verdict"], errorOf(open).code], [3, "not anchored", "NOT_ANCHORED"]);
  const first = String(unsigned["commit"]);
  const cases: [number, string[]][] = [
    [0, [hash, "--head", "main"]],
    [1, [hash, "--signer", bob]],
    [0, [hash, "--signer", bob, "--signer", ada]],
    [1, [first]],
    [1, [first, "--head", "main"]],
    [4, ["00".repeat(32)]],
    [64, [hash, "--signer", "abc"]],
  ];
  for (let start = 0; start < cases.length; start += 3) {
    const group = cases.slice(start, start + 3);
    const codes = await Promise.all(group.map(async ([, args]) => (await verify(...args)).code));
    assert.deepEqual(
      codes,
      group.map(([code]) => code),
    );
  }

  const log = lines(await neleus(cwd, ["log", "main", "--show-signature", "--json"]));
  assert.deepEqual(
    log.map(({ signatures }) => signatures),
    [[{ key: ada, valid: true, listed: true }], []],
  );
  assert.equal(lines(await neleus(cwd, ["log", "main", "--json"]))[0]?.["signatures"], undefined);
  assert.match(
    (await neleus(cwd, ["log", "main", "--show-signature"])).stdout,
    new RegExp(`signed ${ada} {2}valid, a key`),
  );
  assert.deepEqual(json(await neleus(cwd, ["commit", "show", hash, "--json"]))["signatures"], [
    { key: ada, valid: true },
  ]);

  // Rotation, in two steps.
  const rotate = (...args: string[]): Promise<Run> => neleus(cwd, ["key", "rotate", "main", ...args, "--json"]);
  assert.equal((await rotate("--old", bob, "--new", ada)).code, 5);
  const both = json(await rotate("--old", ada, "--new", bob, "--keep-old"));
  assert.deepEqual(both["keys"], [ada, bob].sort());
  assert.equal((await neleus(cwd, [...NEW, "--sign-key", "bob.pem"])).code, 0);
  assert.deepEqual(json(await rotate("--old", ada, "--new", bob))["keys"], [bob]);
  assert.equal((await neleus(cwd, [...NEW, "--sign-key", "ada.pem"])).code, 6);
  const small = await neleus(cwd, ["key", "set", "main", "00".repeat(32), "--json"]);
  assert.deepEqual([small.code, errorOf(small).field], [64, "public-key"]);
  assert.equal((await neleus(cwd, ["key", "set", "main"])).code, 64);
  assert.equal((await neleus(cwd, ["key", "set", "main", bob, "--none"])).code, 64);
  assert.equal((await neleus(cwd, ["key", "set", "main", "--none", "--expected", ada])).code, 5);
  assert.equal((await neleus(cwd, ["key", "set", "main", "--none", "--expected", bob])).code, 0);
  assert.equal((await neleus(cwd, NEW)).code, 0);

  // Files that are no keys, or not one's own.
  writeFileSync(join(cwd, "junk.pem"), "junk", { mode: 0o600 });
  assert.equal((await neleus(cwd, [...NEW, "--sign-key", "junk.pem"])).code, 64);
  assert.equal((await neleus(cwd, [...NEW, "--sign-key", "none.pem"])).code, 4);
  chmodSync(join(cwd, "ada.pem"), 0o644);
  const shared = await neleus(cwd, [...NEW, "--sign-key", "ada.pem"]);
  assert.equal(shared.code, 6);
  assert.ok(!shared.stderr.includes(pem.split("\n")[1] ?? ""));
});

test("signed elsewhere, through a server, with a document of its own", async (context) => {
  const cwd = folder(context);
  await neleus(cwd, ["db", "init", "./neleus_db"]);
  const { address } = await serve(context, cwd);
  const at = ["--server", address];
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const key = Buffer.from(publicKey.export({ format: "jwk" }).x ?? "", "base64url").toString("hex");
  assert.equal((await neleus(cwd, ["key", "set", "main", key, ...at])).code, 0);
  const put = ["manifest", "put-doc", "--source", "s", "--file", "-", "--chunk-size", "4", "--json", ...at];
  const { manifest } = json(await neleus(cwd, put, "some text"));
  const prepared = await neleus(cwd, [...PREPARE, "--manifest", String(manifest), ...at]);
  writeFileSync(join(cwd, "commit.json"), prepared.stdout);
  const message = Buffer.from(String(json(prepared)["message"]), "base64");
  assert.match(message.toString("latin1"), /^neleus signature v1\ncommit:/);
  const signature = `${key}:${sign(null, message, privateKey).toString("base64")}`;
  const submit = (...args: string[]): Promise<Run> => neleus(cwd, ["commit", "submit", ...args, "--json", ...at]);
  assert.equal((await submit("commit.json")).code, 64);
  const wrong = await submit("commit.json", "--signature", `${key}:${Buffer.alloc(64).toString("base64")}`);
  assert.deepEqual([wrong.code, errorOf(wrong).field], [64, "signature"]);
  assert.equal((await submit("commit.json", "--signature", "abc")).code, 64);
  writeFileSync(join(cwd, "junk.json"), `{"head": "main"}`);
  writeFileSync(join(cwd, "altered.json"), prepared.stdout.replace('"commit":"', '"commit":"AAAA'));
  for (const file of ["junk.json", "altered.json", "neleus_db/meta/config.json"]) {
    assert.equal((await submit(file, "--signature", signature)).code, 64);
  }
  const made = await submit("commit.json", "--signature", signature, "--idempotency-key", "once");
  assert.equal(made.code, 0, made.stderr);
  const again = await submit("commit.json", "--signature", signature, "--idempotency-key", "once");
  assert.equal(json(again)["commit"], json(made)["commit"]);
  assert.equal((await submit("commit.json", "--signature", signature)).code, 5);
  const verified = await neleus(cwd, ["commit", "verify", String(json(made)["commit"]), "--head", "main", ...at]);
  assert.equal(verified.code, 0);
  assert.equal((await neleus(cwd, ["key", "new", "auditor.pem"])).code, 0);
  const about = ["--commit", String(json(made)["commit"]), "--statement", "seen", "--sign-key", "auditor.pem"];
  const attested = json(
    await neleus(cwd, ["manifest", "put-attestation", ...about, "--head", "main", "--json", ...at]),
  );
  assert.equal(attested["kind"], "attestation");
  const shown = json(await neleus(cwd, ["manifest", "get", String(attested["manifest"]), "--json", ...at]));
  assert.deepEqual(
    (shown["signatures"] as { valid: boolean }[]).map(({ valid }) => valid),
    [true],
  );
  assert.equal((await neleus(cwd, ["manifest", "put-attestation", ...about.slice(2), ...at])).code, 64);
  const document = json(await neleus(cwd, [...put, "--sign-key", "auditor.pem"], "signed text"));
  const manifestOf = json(await neleus(cwd, ["manifest", "get", String(document["manifest"]), "--json", ...at]));
  assert.deepEqual(
    (manifestOf["signatures"] as { valid: boolean }[]).map(({ valid }) => valid),
    [true],
  );
  // A proof of where the head is says who has signed, to others.
  const proof = await neleus(cwd, ["proof", "commit", "main", ...at]);
  const report = await neleus(
    cwd,
    ["verify", "-", "--json", "--key", String(json(await neleus(cwd, ["db", "info", "--json"]))["key"])],
    proof.stdout,
  );
  assert.equal(report.code, 0, report.stderr);
  assert.ok(
    (json(report)["shown"] as string[]).some((sentence) => sentence.includes(key)),
    report.stdout,
  );
});
