// Goal: what docs/OPERATIONS.md tells an operator to do works as it is told there, and clients see what it says they see.
// Method: the program itself, in processes of their own: a server, a client with its trust file, a directory that is copied,
// restored and served again; a key that is changed while the client is away.
import assert from "node:assert/strict";
import { cp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { Health, HealthCheckResponse_ServingStatus as Serving } from "#gen/grpc/health/v1/health_pb.js";
import { grpcTransport } from "#src/client/grpc-transport.js";
import { errorOf, folder, json, neleus, serve, trustFolder } from "./support.js";

const DB = "neleus_db";

test("a restored backup: clients are told, and go on when they are told to", { timeout: 120_000 }, async (context) => {
  const cwd = folder(context);
  const client = folder(context);
  assert.equal((await neleus(cwd, ["db", "init", DB])).code, 0);
  let server = await serve(context, cwd);
  // The same address throughout: by it the client knows the server.
  const port = server.address.split(":").at(-1) ?? "";
  const again = async (): Promise<void> => {
    server = await serve(context, cwd, ["--listen", `127.0.0.1:${port}`]);
  };
  const remote = (args: readonly string[], input = "") =>
    neleus(client, [...args, "--server", server.address, "--json"], input);
  assert.equal((await remote(["state", "set", "main", "k", "-"], "kept")).code, 0);
  await server.stop();
  await cp(join(cwd, DB), join(cwd, "copy"), { recursive: true });
  await again();
  for (const value of ["lost 1", "lost 2"]) {
    assert.equal((await remote(["state", "set", "main", "k", "-"], value)).code, 0);
  }
  const newest = json(await remote(["checkpoint"]))["note"] as string;
  await server.stop();
  await rm(join(cwd, DB), { recursive: true });
  await cp(join(cwd, "copy"), join(cwd, DB), { recursive: true });
  await again();
  // The client sees it, keeps the evidence, and the server has learned of it.
  const rolledBack = await remote(["state", "get", "main", "k"]);
  assert.deepEqual([rolledBack.code, rolledBack.stdout, errorOf(rolledBack).code], [10, "", "ROLLED_BACK"]);
  const evidence = join(trustFolder(client), "evidence");
  const [file = ""] = await readdir(evidence);
  const { exhibits } = JSON.parse(await readFile(join(evidence, file), "utf8")) as {
    exhibits: { kind: string; role: string; note: string }[];
  };
  const noteOf = (role: string): string | undefined => exhibits.find((exhibit) => exhibit.role === role)?.note;
  assert.equal(noteOf("seen"), newest);
  assert.match(noteOf("answered") ?? "", /\n2\n/);
  const transport = grpcTransport({ address: server.address });
  context.after(() => transport.close());
  const health = await transport.unary(Health.method.check, { service: "" });
  assert.equal(health.status, Serving.NOT_SERVING);
  // Nobody else can write, before and after the server is started anew.
  const other = folder(context);
  const write = () => neleus(other, ["state", "set", "main", "k", "-", "--server", server.address, "--json"], "v");
  assert.equal((await write()).code, 10);
  await server.stop();
  await again();
  const refused = await write();
  assert.equal(refused.code, 10);
  assert.match(refused.stderr, /db new-epoch --reason restored/);
  assert.equal(json(await neleus(cwd, ["db", "info", "--json"]))["rolled_back"], true);
  assert.equal((await neleus(cwd, ["db", "new-epoch", "--reason", "rekeyed", "--now", "--json"])).code, 10);
  assert.equal((await neleus(cwd, ["db", "new-epoch", "--reason", "because", "--json"])).code, 64);
  await server.stop();
  // The operator says what it is.
  const begun = json(await neleus(cwd, ["db", "new-epoch", "--reason", "restored", "--json"]));
  assert.deepEqual([begun["epoch"], begun["reason"], begun["previous"]], [2, "restored", newest]);
  assert.equal((await neleus(cwd, ["state", "get", "main", "k"])).stdout.trim(), "kept");
  await again();
  const stopped = await remote(["state", "get", "main", "k"]);
  assert.deepEqual([stopped.code, stopped.stdout, errorOf(stopped).code], [10, "", "NEW_EPOCH"]);
  assert.match(stopped.stderr, /restored.*trust accept-epoch/);
  const offered = await remote(["trust", "accept-epoch"]);
  assert.equal(offered.code, 10);
  const offer = json(offered);
  assert.deepEqual(
    [offer["accepted"], offer["reason"], offer["key"], offer["previous"], offer["seen"]],
    [false, "restored", begun["key"], newest, newest],
  );
  assert.equal((await remote(["state", "get", "main", "k"])).code, 10, "looking at it accepts nothing");
  const wrong = await remote(["trust", "accept-epoch", "--key", offer["trusted_key"] as string]);
  assert.equal(wrong.code, 1);
  const accepted = await remote(["trust", "accept-epoch", "--key", begun["key"] as string]);
  assert.deepEqual([accepted.code, json(accepted)["accepted"]], [0, true]);
  assert.equal((await neleus(client, ["state", "get", "main", "k", "--server", server.address])).stdout.trim(), "kept");
  assert.equal((await remote(["state", "set", "main", "k", "-"], "goes on")).code, 0);
  assert.deepEqual(json(await remote(["trust", "accept-epoch"])), { accepted: false, key: begun["key"] });
});

test("a key that is changed as announced: who was away follows", { timeout: 120_000 }, async (context) => {
  const cwd = folder(context);
  const client = folder(context);
  assert.equal((await neleus(cwd, ["db", "init", DB])).code, 0);
  const server = await serve(context, cwd);
  const remote = (args: readonly string[], input = "") =>
    neleus(client, [...args, "--server", server.address, "--json"], input);
  assert.equal((await remote(["state", "set", "main", "k", "-"], "1")).code, 0);
  const first = json(await remote(["db", "info"]))["key"];
  // Somebody else, by the server, while it runs.
  const admin = folder(context);
  const rotate = (...more: string[]) =>
    neleus(admin, ["db", "rotate-log-key", ...more, "--server", server.address, "--json"]);
  const early = await rotate("--finish");
  assert.deepEqual([early.code, errorOf(early).field], [64, "finish"]);
  const announced = json(await rotate());
  assert.equal(announced["key"], first);
  assert.equal((announced["checkpoint"] as string).split("\n").filter((line) => line.startsWith("—")).length, 2);
  assert.equal(json(await neleus(cwd, ["db", "info", "--json"]))["next_key"], announced["next_key"]);
  const finished = json(await rotate("--finish"));
  assert.deepEqual([finished["key"], finished["next_key"]], [announced["next_key"], undefined]);
  // Twice, and the second time by the directory, while the server runs on it.
  assert.equal((await neleus(cwd, ["db", "rotate-log-key"])).code, 0);
  const second = json(await neleus(cwd, ["db", "new-epoch", "--reason", "rekeyed", "--json"]));
  assert.equal(second["epoch"], 3);
  assert.equal((await remote(["state", "set", "main", "k", "-"], "2")).code, 0);
  const record = json(await remote(["trust", "list"]));
  assert.deepEqual([record["key"], (record["followed"] as string[])[0]], [second["key"], first]);
  // The log of before is still there to be looked at.
  const exported = json(await remote(["log", "export", "./first", "--epoch", "1"]));
  assert.deepEqual([exported["size"], (exported["origin"] as string).endsWith("/1")], [3, true]);
  assert.equal((await remote(["log", "main", "--epoch", "1"])).code, 64);
  // One that nobody was told of.
  assert.equal((await rotate("--finish", "--now")).code, 0);
  assert.equal((await remote(["state", "get", "main", "k"])).code, 10);
  assert.equal((await remote(["trust", "accept-epoch", "--yes"])).code, 0);
  assert.equal((await remote(["state", "get", "main", "k"])).code, 0);
});

test("a later checkpoint than the copy has is handed in", async (context) => {
  const cwd = folder(context);
  assert.equal((await neleus(cwd, ["db", "init", DB])).code, 0);
  await cp(join(cwd, DB), join(cwd, "copy"), { recursive: true });
  await neleus(cwd, ["state", "set", "main", "k", "-"], "v");
  const { note } = json(await neleus(cwd, ["checkpoint", "--json"])) as { note: string };
  await writeFile(join(cwd, "last.note"), note);
  const args = ["db", "new-epoch", "--db", "copy", "--reason", "restored", "--previous", "last.note", "--json"];
  assert.equal(json(await neleus(cwd, args))["previous"], note);
  await writeFile(join(cwd, "last.note"), "no note");
  const refused = await neleus(cwd, args);
  assert.deepEqual([refused.code, errorOf(refused).field], [64, "previous"]);
});
