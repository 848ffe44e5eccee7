// Goal: the attacks that a verifiable database is for, each by its name: refused, with evidence that is kept, and of which
// `neleus verify` says truly what it shows to a third person. Method: real directories that are copied and served again, and
// servers over gRPC that lie; the client is the program, in a process of its own, with its trust file.
import assert from "node:assert/strict";
import { cp, readFile, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import type { Message } from "@bufbuild/protobuf";
import type {
  ProofServiceGetCheckpointResponse,
  ProofServiceGetSnapshotResponse,
  ProofServiceListLogEntriesResponse,
} from "#gen/neleus/v1/proof_pb.js";
import { decodeLogLeaf, encodeLogLeaf, parseCheckpointUnverified, signCheckpoint } from "#src/core/log/index.js";
import { mapRoot } from "#src/core/hashes.js";
import { signerFromSeed } from "#src/core/signature/index.js";
import type { Database as Engine } from "#src/database/index.js";
import { startServer } from "#src/server/index.js";
import { createServices } from "#src/service/index.js";
import { errorOf, folder, json, neleus, serve, trustFolder, type Run } from "../cli/support.js";
import { unaware } from "../client/support/unaware.js";
import { inMemory, put, testRandom } from "../database/support/database.js";

const DB = "neleus_db";
const TIME_MS = 60_000;

/** What a client's newest evidence is, and what the program says of it to somebody else. */
async function evidenceIn(context: TestContext, client: string, key: string) {
  const place = join(trustFolder(client), "evidence");
  const names = (await readdir(place)).sort();
  const path = join(place, names.at(-1) ?? "");
  const third = folder(context);
  const verify = (...more: string[]): Promise<Run> => neleus(third, ["verify", path, "--json", ...more]);
  const told = await verify("--key", key);
  const file = JSON.parse(await readFile(path, "utf8")) as {
    type: string;
    verifier_key?: string;
    refused: { code: string; place: string };
    exhibits: { kind: string; role?: string; note?: string; message?: string; bytes?: string }[];
  };
  assert.equal(file.type, "neleus.evidence.v1");
  return { file, told, verify, report: json(told) as { verdict: string; shown: string[]; not_shown: string[] } };
}

/** A server that answers as it likes; which database it has, and what it changes, can be switched while it runs. */
interface Liar {
  readonly address: string;
  engine: Engine;
  /** By the name of the method, with a small first letter. */
  readonly lies: Map<string, (answer: never) => Message>;
}

async function liar(context: TestContext, engine: Engine): Promise<Liar> {
  const state = { engine, lies: new Map<string, (answer: never) => Message>() };
  const services = createServices({ database: async () => state.engine, version: "0.0.0" }).map((binding) => {
    const handlers = Object.entries(binding.handlers).map(([name, handler]) => {
      const { methodKind } = binding.descriptor.method[name]!;
      const changed = (answer: unknown): unknown => state.lies.get(name)?.(answer as never) ?? answer;
      const call = handler as unknown as (...args: unknown[]) => unknown;
      const lying =
        methodKind === "server_streaming"
          ? async function* (...args: unknown[]) {
              for await (const answer of call.apply(binding.handlers, args) as AsyncIterable<unknown>)
                yield changed(answer);
            }
          : async (...args: unknown[]) => changed(await call.apply(binding.handlers, args));
      return [name, lying as unknown as typeof handler] as const;
    });
    return { descriptor: binding.descriptor, handlers: Object.fromEntries(handlers) };
  });
  const server = await startServer({ services, listen: "127.0.0.1:0" });
  context.after(() => server.close({ graceMs: 100 }));
  return Object.assign(state, { address: server.address });
}

/** Engines of one seed have one key; histories begin alike and part where they are written to differently. */
async function history(values: readonly string[], seed = 7): Promise<Engine> {
  const engine = unaware((await inMemory({ randomBytes: testRandom(seed) })).db);
  for (const value of values) await engine.states.apply("main", { operations: [put("k", value)] });
  return engine;
}

function client(context: TestContext, address: string) {
  const cwd = folder(context);
  const run = (args: readonly string[], input = ""): Promise<Run> =>
    neleus(cwd, [...args, "--server", address, "--json"], input);
  return { cwd, run };
}

/** A refusal of an answer that nobody signed: kept, and worth nothing to others. */
async function assertKeptUnsigned(
  context: TestContext,
  { cwd, refused, key }: { readonly cwd: string; readonly refused: Run; readonly key: string },
): Promise<void> {
  assert.deepEqual([refused.code, refused.stdout, errorOf(refused).code], [1, "", "VERIFICATION_FAILED"]);
  const { file, told, report } = await evidenceIn(context, cwd, key);
  assert.equal(file.refused.code, "VERIFICATION_FAILED");
  assert.ok(file.exhibits.some(({ kind, bytes }) => kind === "answer" && bytes !== undefined));
  assert.deepEqual([told.code, report.verdict], [2, "not shown"]);
  assert.match(report.not_shown.join(" "), /an answer is not signed/);
}

test("rollback: the whole directory is put back to an older copy", { timeout: TIME_MS }, async (context) => {
  const cwd = folder(context);
  assert.equal((await neleus(cwd, ["db", "init", DB])).code, 0);
  let server = await serve(context, cwd);
  const { run, cwd: seen } = client(context, server.address);
  const again = async (): Promise<void> => {
    server = await serve(context, cwd, ["--listen", `127.0.0.1:${server.address.split(":").at(-1) ?? ""}`]);
  };
  assert.equal((await run(["state", "set", "main", "k", "-"], "kept")).code, 0);
  const key = json(await run(["db", "info"]))["key"] as string;
  await server.stop();
  await cp(join(cwd, DB), join(cwd, "copy"), { recursive: true });
  await again();
  assert.equal((await run(["state", "set", "main", "k", "-"], "lost")).code, 0);
  await server.stop();
  const restore = async (): Promise<void> => {
    await rm(join(cwd, DB), { recursive: true });
    await cp(join(cwd, "copy"), join(cwd, DB), { recursive: true });
    await again();
  };
  await restore();
  const refused = await run(["state", "get", "main", "k"]);
  assert.deepEqual([refused.code, refused.stdout, errorOf(refused).code], [10, "", "ROLLED_BACK"]);
  const rollback = await evidenceIn(context, seen, key);
  assert.equal(rollback.file.verifier_key, key);
  assert.deepEqual([rollback.told.code, rollback.report.verdict], [2, "not shown"]);
  assert.equal(rollback.report.shown.length, 2);
  assert.match(rollback.report.not_shown.join(" "), /which was shown last/);
  // Had others written to the copy meanwhile, there would be two logs of one size: that anybody can see.
  await server.stop();
  await restore();
  assert.equal((await client(context, server.address).run(["state", "set", "main", "k", "-"], "instead")).code, 0);
  assert.equal((await run(["state", "get", "main", "k"])).code, 10);
  const fork = await evidenceIn(context, seen, key);
  assert.deepEqual([fork.told.code, fork.report.verdict], [0, "fraud-shown"]);
  assert.match(fork.report.not_shown.join(" "), /a lie or an accident/);
  const unanchored = await fork.verify();
  assert.deepEqual([unanchored.code, json(unanchored)["verdict"]], [3, "not anchored"]);
});

test("fork: two clients are shown two histories", { timeout: TIME_MS }, async (context) => {
  const [left, right] = [await history(["1", "left", "2", "3"]), await history(["1", "right", "2", "3", "4"])];
  const server = await liar(context, left);
  const [ann, bob] = [client(context, server.address), client(context, server.address)];
  const noteOf = async ({ run }: typeof ann): Promise<string> => json(await run(["checkpoint"]))["note"] as string;
  await noteOf(ann);
  server.engine = right;
  await noteOf(bob);
  const key = left.log.verifierKey;
  // One is shown what the other was: the proof of the longer log has another beginning in it.
  const refused = await ann.run(["state", "get", "main", "k"]);
  assert.deepEqual([refused.code, refused.stdout, errorOf(refused).code], [10, "", "FORKED"]);
  const fork = await evidenceIn(context, ann.cwd, key);
  assert.ok(fork.file.exhibits.some(({ kind }) => kind === "consistency"));
  assert.deepEqual([fork.told.code, fork.report.verdict], [0, "fraud-shown"], JSON.stringify(fork.report));
  assert.match(fork.report.shown.join(" "), /began with .* others/);
});

test("a checkpoint of earlier is replayed", { timeout: TIME_MS }, async (context) => {
  const server = await liar(context, await history(["1", "2"]));
  const { cwd, run } = client(context, server.address);
  let kept: ProofServiceGetCheckpointResponse | undefined;
  server.lies.set("getCheckpoint", (answer: ProofServiceGetCheckpointResponse) => (kept ??= answer));
  assert.equal((await run(["checkpoint"])).code, 0);
  assert.equal((await run(["state", "set", "main", "k", "-"], "3")).code, 0);
  const refused = await run(["checkpoint"]);
  assert.deepEqual([refused.code, refused.stdout, errorOf(refused).code], [10, "", "ROLLED_BACK"]);
  const { told, report } = await evidenceIn(context, cwd, server.engine.log.verifierKey);
  assert.deepEqual([told.code, report.verdict, report.shown.length], [2, "not shown", 2]);
});

test("the log is truncated, or a part of it is left out", { timeout: TIME_MS }, async (context) => {
  const server = await liar(context, await history(["1", "2", "3", "4"]));
  const { cwd, run } = client(context, server.address);
  const key = server.engine.log.verifierKey;
  assert.equal((await run(["checkpoint"])).code, 0);
  const whole = server.engine;
  server.engine = await history(["1", "2"]);
  const refused = await run(["checkpoint"]);
  assert.deepEqual([refused.code, refused.stdout, errorOf(refused).code], [10, "", "ROLLED_BACK"]);
  const { told, report } = await evidenceIn(context, cwd, key);
  assert.deepEqual([told.code, report.verdict, report.shown.length], [2, "not shown", 2]);
  // All of it is signed, and its listing leaves out a leaf.
  server.engine = whole;
  server.lies.set("listLogEntries", (answer: ProofServiceListLogEntriesResponse) => ({
    ...answer,
    leaves: answer.leaves.slice(0, -1),
  }));
  const listed = await run(["log", "export", "./mirror"]);
  assert.deepEqual([listed.code, errorOf(listed).code], [1, "VERIFICATION_FAILED"], listed.stderr);
});

test("heads are swapped", { timeout: TIME_MS }, async (context) => {
  const engine = await history(["1"]);
  await engine.heads.create("other");
  await engine.states.apply("other", { operations: [put("k", "other")] });
  const server = await liar(context, engine);
  const { cwd, run } = client(context, server.address);
  const kept = new Map<string, ProofServiceGetSnapshotResponse>();
  server.lies.set("getSnapshot", (answer: ProofServiceGetSnapshotResponse) => {
    kept.set(answer.snapshot!.head, answer);
    return answer;
  });
  for (const head of ["main", "other"]) assert.equal((await run(["head", "show", head])).code, 0);
  server.lies.set("getSnapshot", () => kept.get("other")!);
  const refused = await run(["head", "show", "main"]);
  await assertKeptUnsigned(context, { cwd, refused, key: engine.log.verifierKey });
  // Under the right name its witness does not show that head: then nothing is wrong in it but what is missing.
  const { snapshot } = kept.get("other")!;
  server.lies.set("getSnapshot", () => ({ ...kept.get("other")!, snapshot: { ...snapshot!, head: "main" } }));
  const renamed = await run(["head", "show", "main"]);
  assert.ok(renamed.code === 1 || renamed.code === 2, renamed.stderr);
  assert.equal(renamed.stdout, "");
});

test("a leaf of the log is forged", { timeout: TIME_MS }, async (context) => {
  const server = await liar(context, await history(["1", "2"]));
  const { cwd, run } = client(context, server.address);
  assert.equal((await run(["checkpoint"])).code, 0);
  server.lies.set("getSnapshot", (answer: ProofServiceGetSnapshotResponse) => {
    const log = answer.snapshot!.log!;
    const index = parseCheckpointUnverified(log.checkpoint).size - 1;
    const leaf = { ...decodeLogLeaf(log.leaf, index), refsRoot: mapRoot(new Uint8Array(32).fill(5)) };
    return { ...answer, snapshot: { ...answer.snapshot!, log: { ...log, leaf: encodeLogLeaf(leaf, index) } } };
  });
  const refused = await run(["head", "show", "main"]);
  await assertKeptUnsigned(context, { cwd, refused, key: server.engine.log.verifierKey });
});

test("another key signs", { timeout: TIME_MS }, async (context) => {
  const server = await liar(context, await history(["1", "2"]));
  const { cwd, run } = client(context, server.address);
  assert.equal((await run(["checkpoint"])).code, 0);
  const forger = signerFromSeed(new Uint8Array(32).fill(9));
  server.lies.set("getCheckpoint", (answer: ProofServiceGetCheckpointResponse) => {
    const { checkpoint } = answer.log!;
    const forged = signCheckpoint(parseCheckpointUnverified(checkpoint), forger);
    return { ...answer, log: { ...answer.log!, checkpoint: forged } };
  });
  const refused = await run(["checkpoint"]);
  await assertKeptUnsigned(context, { cwd, refused, key: server.engine.log.verifierKey });
  const { report } = await evidenceIn(context, cwd, server.engine.log.verifierKey);
  assert.deepEqual(report.shown, []);
});

test("a commit of another database", { timeout: TIME_MS }, async (context) => {
  const commit = { head: "main", author: "a", message: "m" };
  const [mine, others] = [await history(["1"]), await history(["9"], 8)];
  for (const engine of [mine, others]) await engine.commits.create(commit);
  const server = await liar(context, others);
  let foreign: Uint8Array | undefined;
  server.lies.set("getSnapshot", (answer: ProofServiceGetSnapshotResponse) => {
    foreign = answer.snapshot!.commit;
    return answer;
  });
  assert.equal((await client(context, server.address).run(["head", "show", "main"])).code, 0);
  server.engine = mine;
  server.lies.clear();
  const { cwd, run } = client(context, server.address);
  assert.equal((await run(["checkpoint"])).code, 0);
  server.lies.set("getSnapshot", (answer: ProofServiceGetSnapshotResponse) => ({
    ...answer,
    snapshot: { ...answer.snapshot!, commit: foreign! },
  }));
  const refused = await run(["head", "show", "main"]);
  await assertKeptUnsigned(context, { cwd, refused, key: mine.log.verifierKey });
});
