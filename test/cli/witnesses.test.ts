// Goal: what witnesses put under a checkpoint gets to the server by the command line, and a client that requires them is told
// who saw what. Method: the program itself, over a directory; a witness made here.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { cosign, formatNote, formatWitnessKey, parseNote, witnessKey } from "#src/core/log/index.js";
import { signerFromSeed } from "#src/core/signature/index.js";
import { errorOf, folder, json, neleus } from "./support.js";

test("checkpoints are cosigned, and that is asked for", { timeout: 120_000 }, async (context) => {
  const cwd = folder(context);
  const signer = signerFromSeed(new Uint8Array(32).fill(4));
  const key = formatWitnessKey(witnessKey("witness.example/w", signer.publicKey));
  assert.equal((await neleus(cwd, ["db", "init", "neleus_db"])).code, 0);
  const plain = json(await neleus(cwd, ["checkpoint", "--json"]));
  assert.equal(plain["witnesses"], undefined);
  const required = ["checkpoint", "--witness", key, "--json"];
  const before = await neleus(cwd, required);
  assert.deepEqual([before.code, before.stdout, errorOf(before).code], [2, "", "INCOMPLETE_PROOF"]);
  const seconds = Math.floor(Date.now() / 1000);
  const note = formatNote(cosign(parseNote(plain["note"] as string), { name: "witness.example/w", signer, seconds }));
  await writeFile(join(cwd, "cosigned"), note);
  const codeOf = async (args: readonly string[]): Promise<number | null> => (await neleus(cwd, args)).code;
  assert.equal(await codeOf(["cosign", "cosigned"]), 64);
  assert.equal(await codeOf(["checkpoint", "--required", "1"]), 64);
  assert.equal(await codeOf(["cosign", "none", "--witness", key]), 4);
  assert.deepEqual(json(await neleus(cwd, ["cosign", "cosigned", "--witness", key, "--json"])), {
    size: 1,
    witnesses: [key],
  });
  const state = await neleus(cwd, ["state", "set", "main", "k", "-"], "v");
  assert.equal(state.code, 0);
  const after = json(await neleus(cwd, [...required, "--max-witness-age", "3600000"]));
  assert.deepEqual(after["witnesses"], [{ key, size: 1, time: seconds * 1000 }]);
  assert.equal(after["size"], 2);
  // A proof says it by itself, to somebody who has no database at hand.
  const { key: logKey } = json(await neleus(cwd, ["db", "info", "--json"])) as { key: string };
  const proof = await neleus(cwd, ["proof", "state", "main", "k", "--with-cosignatures"]);
  await writeFile(join(cwd, "proof.json"), proof.stdout);
  await writeFile(join(cwd, "plain.json"), (await neleus(cwd, ["proof", "state", "main", "k"])).stdout);
  const verify = (file: string, ...args: readonly string[]) =>
    neleus(cwd, ["verify", file, "--key", logKey, "--json", ...args]);
  const report = json(await verify("proof.json", "--witness", key, "--required", "1", "--max-witness-age", "3600000"));
  assert.deepEqual([report["verdict"], report["witnesses"]], ["shown", after["witnesses"]]);
  assert.match(JSON.stringify(report["not_shown"]), /more than the first 1 leaves: the proof hangs on the last of 2/);
  const cases: readonly (readonly [number, string, readonly string[]])[] = [
    [2, "plain.json", ["--witness", key]],
    [2, "proof.json", ["--witness", key, "--max-witness-age", "1"]],
    [64, "proof.json", ["--required", "1"]],
    [64, "proof.json", ["--witness", key, "--required", "2"]],
    [64, "proof.json", ["--witness", "none"]],
    [0, "proof.json", []],
  ];
  for (const [code, file, args] of cases) assert.equal((await verify(file, ...args)).code, code, args.join(" "));
  const unkeyed = await neleus(cwd, ["verify", "proof.json", "--witness", key, "--json"]);
  assert.deepEqual([unkeyed.code, errorOf(unkeyed).field], [64, "witness"]);
  const shown = await neleus(cwd, ["checkpoint", "--witness", key]);
  assert.match(shown.stderr, /cosigned by witness\.example\/w\+/);
});
