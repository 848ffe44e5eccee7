// Goal: verifiers that others wrote take our log: its signed notes, proofs and exported tiles (golang.org/x/mod/sumdb/note and
// tlog, transparency-dev's merkle and formats), and refuse them altered. Needs Go; run by `npm run test:interop`.
// Method: a database with a log of a few full tiles is exported by the command line and read by test/interop/go, whose
// tests are told here one by one.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { create, open } from "#src/client/embedded/index.js";
import { IncompleteProof } from "#src/core/errors.js";
import { cosign, formatNote, formatWitnessKey, parseNote, witnessKey } from "#src/core/log/index.js";
import { signerFromSeed } from "#src/core/signature/index.js";
import { Database as Engine } from "#src/database/index.js";
import { MemoryStore } from "#src/store/index.js";
import { toHex } from "#src/core/bytes.js";
import { put } from "../database/support/database.js";

/** Two full tiles of leaves and part of a third. */
const LEAVES = 600;

const WITNESS = "witness.example/ours";
const witness = signerFromSeed(new Uint8Array(32).fill(3));

/** What each test of the Go program came to, and what it printed. */
type Outcomes = Map<string, { outcome: string; output: string }>;

interface TestEvent {
  readonly Action: string;
  readonly Test?: string;
  readonly Output?: string;
}

interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(
  program: string,
  options: { args: readonly string[]; cwd: string; env?: NodeJS.ProcessEnv },
): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, options.args, { cwd: options.cwd, env: { ...process.env, ...options.env } });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (text: Buffer) => (stdout += String(text)));
    child.stderr.on("data", (text: Buffer) => (stderr += String(text)));
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr }));
  });
}

interface Made {
  readonly key: string;
  readonly note: string;
}

/** A folder with a database, its exported log, and proofs. */
async function makeFixture(folder: string, originHost: string | undefined): Promise<void> {
  const path = join(folder, "db");
  const engine = await Engine.create(path, { originHost });
  for (let count = 1; count < LEAVES; count += 1) {
    await engine.states.apply("main", { operations: [put(`k${count % 7}`, String(count))] });
  }
  const view = await engine.view();
  const { checkpoint, logSize } = await view.logProof();
  const leafOf = async (index: number): Promise<unknown> => {
    const { leaf, inclusion } = await view.logLeaf(index);
    return { index, leaf: toHex(leaf), proof: inclusion.map(toHex) };
  };
  const growthFrom = async (from: number): Promise<unknown> => {
    const proof = await view.logConsistency({ from, to: logSize });
    const fromRoot = fromRoots.get(from);
    assert.ok(fromRoot);
    return { from, fromRoot, proof: proof.map(toHex) };
  };
  const sizes = [1, 2, 255, 256, 257, 300, 512, 513, logSize - 1];
  const fromRoots = await rootsAt(engine, sizes);
  const other = await create(new MemoryStore());
  const fixture = {
    verifierKey: engine.log.verifierKey,
    otherKey: other.trust.state.verifierKey,
    checkpoint,
    witnessKey: formatWitnessKey(witnessKey(WITNESS, witness.publicKey)),
    cosigned: formatNote(cosign(parseNote(checkpoint), { name: WITNESS, signer: witness, seconds: 1_763_800_000 })),
    inclusion: await Promise.all([0, 1, 255, 256, 511, 512, logSize - 1].map(leafOf)),
    consistency: await Promise.all(sizes.map(growthFrom)),
  };
  await writeFile(join(folder, "fixture.json"), JSON.stringify(fixture));
  await other.close();
  await engine.close();
  const exported = await run(process.execPath, {
    args: [join(process.cwd(), "bin/neleus.js"), "log", "export", join(folder, "log"), "--db", path, "--json"],
    cwd: folder,
    env: { NELEUS_TRUST_FILE: join(folder, "trust.json") },
  });
  assert.equal(exported.code, 0, exported.stderr);
}

/** Roots of the log at sizes, made from its leaves by the RFC's own words. */
async function rootsAt(engine: Engine, sizes: readonly number[]): Promise<Map<number, string>> {
  const { slowRoot } = await import("../core/log/slow-tree.js");
  const view = await engine.view();
  const leaves: Uint8Array[] = [];
  while (leaves.length < view.logSize) {
    const range = { start: leaves.length, end: view.logSize };
    leaves.push(...(await view.logEntries(range, { maxBytes: 1e6 })).leaves);
  }
  return new Map(sizes.map((size) => [size, toHex(slowRoot(leaves.slice(0, size)))]));
}

for (const originHost of [undefined, "log.example.org"]) {
  describe(`in Go, of the log of ${originHost ?? "no host"}`, () => inGo(originHost));
}

function inGo(originHost: string | undefined): void {
  let folder: string;
  const outcomes: Outcomes = new Map();

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "neleus-interop-"));
    await makeFixture(folder, originHost);
    const { stdout, stderr } = await run("go", {
      args: ["test", "-count=1", "-json", "./..."],
      cwd: join(process.cwd(), "test/interop/go"),
      env: { NELEUS_FIXTURE: folder },
    });
    for (const line of stdout.split("\n").filter((text) => text.startsWith("{"))) {
      const { Action: action, Test: name, Output: output } = JSON.parse(line) as TestEvent;
      if (name === undefined) continue;
      const told = outcomes.get(name) ?? { outcome: "", output: "" };
      outcomes.set(name, { outcome: action, output: told.output + (output ?? "") });
    }
    assert.ok(outcomes.size > 0, `go test told of no test: ${stderr}${stdout}`);
  });
  after(() => rm(folder, { recursive: true, force: true }));

  for (const name of [
    "TestCheckpointIsASignedNote",
    "TestInclusionProofs",
    "TestConsistencyProofs",
    "TestExportedTiles",
    "TestRootOfAllLeaves",
    "TestCosignatures",
  ]) {
    it(name, () => {
      const told = outcomes.get(name);
      outcomes.delete(name);
      assert.equal(told?.outcome, "pass", told?.output);
    });
  }

  it("a cosignature made in Go is taken, and counts", async () => {
    const { key, note } = JSON.parse(await readFile(join(folder, "cosigned-in-go.json"), "utf8")) as Made;
    const db = await open(join(folder, "db"));
    await assert.rejects(db.witnessed({ keys: [key] }), IncompleteProof);
    await db.submitCosignatures({ checkpoint: note, witnessKeys: [key] });
    const { witnesses, checkpoint } = await db.witnessed({ keys: [key], maxAgeMs: 3_600_000 });
    assert.deepEqual(
      witnesses.map(({ size }) => size),
      [checkpoint.size],
    );
    await db.close();
  });

  it("no test is left out here", () => assert.deepEqual([...outcomes.keys()], []));
}
