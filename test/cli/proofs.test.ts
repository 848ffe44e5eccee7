// Goal: a commit's place in a history is proved and checked by the command line: with no database at hand, in words, and with
// the exit codes of the table. Method: the program itself, over a directory; the checks run in another folder.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { errorOf, folder, json, neleus } from "./support.js";

test("a commit of a head's history is proved, and verified elsewhere", { timeout: 120_000 }, async (context) => {
  const [cwd, elsewhere] = [folder(context), folder(context)];
  const { key } = json(await neleus(cwd, ["db", "init", "neleus_db", "--json"]));
  const commits: string[] = [];
  for (const message of ["first", "second", "third"]) {
    const made = await neleus(cwd, [
      "commit",
      "new",
      "--head",
      "main",
      "--author",
      "a",
      "--message",
      message,
      "--json",
    ]);
    commits.unshift(json(made)["commit"] as string);
  }
  const [newest, , first] = commits;
  assert.ok(newest !== undefined && first !== undefined);
  const proof = await neleus(cwd, ["proof", "commit", "main", "--commit", first, "--json"]);
  assert.equal(proof.code, 0, proof.stderr);
  assert.equal(json(proof)["type"], "neleus.commit-proof.v1");
  writeFileSync(join(elsewhere, "proof.json"), proof.stdout);
  const verify = (...args: readonly string[]) => neleus(elsewhere, ["verify", "proof.json", "--json", ...args]);
  const shown = await verify("--key", key as string);
  assert.equal(shown.code, 0, shown.stderr);
  const report = json(shown) as { verdict: string; kind: string; shown: string[]; not_shown: string[] };
  assert.deepEqual([report.verdict, report.kind], ["shown", "commit"]);
  assert.match(
    report.shown[0]!,
    new RegExp(`^Commit ${first} is an ancestor of the newest commit of head "main" at log`),
  );
  assert.match(report.not_shown.join("\n"), /was ever at that commit itself/);
  // The newest commit, which somebody may know by other ways, vouches for those below it.
  assert.equal((await verify("--root", newest)).code, 0);
  assert.equal((await verify()).code, 3);
  assert.equal((await verify("--root", "00".repeat(32))).code, 1);

  const plain = await neleus(cwd, ["proof", "commit", "main", "--json"]);
  assert.equal(json(plain)["type"], "neleus.ref-proof.v1");
  await neleus(cwd, ["tag", "create", "v1", "--commit", first]);
  const tagged = await neleus(cwd, ["proof", "commit", "tag:v1", "--commit", newest, "--json"]);
  assert.deepEqual([tagged.code, errorOf(tagged).code], [4, "NOT_FOUND"]);
  const wrong = await neleus(cwd, ["proof", "commit", "main", "--commit", "abc", "--json"]);
  assert.deepEqual([wrong.code, errorOf(wrong).field], [64, "commit"]);
});
