// Goal: what a client has seen is not forgotten between runs, whoever else runs beside it and whatever happens to the file; and
// a server that rolls back, forks or shows another key in between is found out by the next run.
// Method: clients of servers that share a key and a history up to a point, over one store in a file; many writers of one
// file in several processes' stead; files that are damaged in every way.
import assert from "node:assert/strict";
import { mkdtemp, readFile, readdir, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { openOver } from "#src/client/database.js";
import type { Database } from "#src/client/contract.js";
import { inProcessTransport } from "#src/client/embedded/index.js";
import { fileTrustStore, defaultTrustFile } from "#src/client/file-trust-store.js";
import type { Transport } from "#src/client/transport.js";
import {
  Corrupt,
  Forked,
  InvalidArgument,
  NeleusError,
  RolledBack,
  Unavailable,
  VerificationFailed,
} from "#src/core/errors.js";
import { parseCheckpointUnverified } from "#src/core/log/index.js";
import type { Database as Engine } from "#src/database/index.js";
import { createServices } from "#src/service/index.js";
import { inMemory, put, testRandom } from "../../database/support/database.js";
import { NATIVE } from "../support/fixture.js";
import { unaware } from "../support/unaware.js";

async function trustFile(context: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "neleus-trust-"));
  context.after(() => rm(folder, { recursive: true, force: true }));
  return join(folder, "neleus", "trust.json");
}

/** Servers of one seed share their key and the beginning of their log. They believe whatever they have. */
async function server(seed = 7): Promise<Engine> {
  return unaware((await inMemory({ randomBytes: testRandom(seed) })).db);
}

/** As over a network: known by its address. */
function reach(engine: Engine, address = "db.example:7117"): Transport {
  const inner = inProcessTransport({
    address,
    services: createServices({ database: async () => engine, version: "0.0.0" }),
  });
  return {
    address,
    unary: (method, request, options) => inner.unary(method, request, options),
    serverStream: (method, request, options) => inner.serverStream(method, request, options),
    clientStream: (method, requests, options) => inner.clientStream(method, requests, options),
    close: async () => undefined,
  };
}

function client(path: string, transport: Transport, options = {}): Promise<Database> {
  return openOver(transport, { trustStore: fileTrustStore(path), maxAttempts: 1, ...options }, NATIVE);
}

const set = (engine: Engine, value: string): Promise<unknown> =>
  engine.states.apply("main", { operations: [put("k", value)] });

const PLACE = { address: "db.example:7117", database: "default" };

test("a key is trusted once, and the log from where it was seen", async (context) => {
  const path = await trustFile(context);
  const engine = await server();
  const notices: unknown[] = [];
  const onTrustOnFirstUse = (notice: unknown): void => void notices.push(notice);
  const first = await client(path, reach(engine), { onTrustOnFirstUse });
  await first.state("main").put("k", "1");
  await first.checkpoint();
  await first.close();
  const second = await client(path, reach(engine), { onTrustOnFirstUse });
  assert.equal(notices.length, 1);
  assert.ok(second.trust.state.checkpoint);
  await second.close();
  const record = await fileTrustStore(path).load(PLACE);
  assert.equal(record?.verifierKey, engine.log.verifierKey);
  assert.deepEqual([record.isPinned, record.checkpoints.length], [false, 1]);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.deepEqual((await readdir(join(path, ".."))).sort(), ["trust.json"]);
  // A key that is given pins the place.
  await (await client(path, reach(engine), { verifierKey: engine.log.verifierKey })).close();
  assert.equal((await fileTrustStore(path).load(PLACE))?.isPinned, true);
});

test("a server that was rolled back, forked or swapped between two runs", async (context) => {
  const path = await trustFile(context);
  const [seen, older, other] = [await server(), await server(), await server(8)];
  const first = await client(path, reach(seen));
  for (const value of ["1", "2", "3"]) await first.state("main").put("k", value);
  await first.close();
  const file = await readFile(path);
  await assert.rejects(async () => (await client(path, reach(older))).snapshot("main"), RolledBack);
  for (const value of ["a", "b", "c", "d", "e"]) await set(older, value);
  await assert.rejects(async () => (await client(path, reach(older))).snapshot("main"), Forked);
  await assert.rejects(client(path, reach(other)), VerificationFailed);
  assert.deepEqual(await readFile(path), file, "what was refused changes nothing of what is remembered");
  // Elsewhere it is another place.
  await (await client(path, reach(other, "other.example:7117"))).close();
  assert.equal((await fileTrustStore(path).list()).length, 2);
  // Whoever gives the new key means it; what was seen of the old one says nothing of it.
  await (await client(path, reach(other), { verifierKey: other.log.verifierKey })).close();
  await (await client(path, reach(other))).close();
});

test("a directory is known by its database's id, not by where it lies", async (context) => {
  const path = await trustFile(context);
  const open = (engine: Engine): Promise<Database> => {
    const services = createServices({ database: async () => engine, version: "0.0.0" });
    return client(path, inProcessTransport({ address: "./neleus_db", services }));
  };
  const [one, copy] = [await server(), await server()];
  const first = await open(one);
  await first.state("main").put("k", "1");
  await first.close();
  // Made anew in the same place: another database.
  await (await open(await server(9))).close();
  // An older copy of the first, wherever it lies: a rollback.
  await assert.rejects(async () => (await open(copy)).snapshot("main"), RolledBack);
});

test("two clients that run side by side cannot hide a fork from each other, nor set the other back", async (context) => {
  const path = await trustFile(context);
  const [left, right] = [await server(), await server()];
  const both = [await client(path, reach(left)), await client(path, reach(right))];
  for (const [index, engine] of [left, right].entries()) {
    for (let count = 0; count <= 2 * index; count += 1) await set(engine, `${index} ${count}`);
  }
  for (const db of both) {
    await db.checkpoint();
    await db.close();
  }
  const sizes = (await fileTrustStore(path).load(PLACE))?.checkpoints.map(
    (note) => parseCheckpointUnverified(note).size,
  );
  assert.deepEqual(sizes?.sort(), [2, 4]);
  await assert.rejects(async () => (await client(path, reach(right))).checkpoint(), Forked);

  // Of one history the later one is what is left, whoever saves last.
  const honest = await trustFile(context);
  const [slow, quick] = [await client(honest, reach(left)), await client(honest, reach(left))];
  await slow.checkpoint();
  for (const value of ["x", "y"]) await set(left, value);
  await quick.checkpoint();
  await quick.close();
  await slow.close();
  const next = await client(honest, reach(left));
  assert.equal(next.trust.pendingCheckpoints, 2);
  await next.checkpoint();
  await next.close();
  const left4 = (await fileTrustStore(honest).load(PLACE))?.checkpoints;
  assert.deepEqual(
    left4?.map((note) => parseCheckpointUnverified(note).size),
    [4],
  );
});

test("records of many writers at once are all there", async (context) => {
  const path = await trustFile(context);
  const engine = await server();
  const places = Array.from({ length: 24 }, (_, index) => `h${index}:1`);
  await Promise.all(places.map(async (address) => (await client(path, reach(engine, address))).close()));
  assert.deepEqual(
    (await fileTrustStore(path).list()).map(({ place }) => ("address" in place ? place.address : "")).sort(),
    places.sort(),
  );
});

test("a lock whose holder died is broken, and one that is held is waited for", async (context) => {
  const path = await trustFile(context);
  const engine = await server();
  await (await client(path, reach(engine))).close();
  await writeFile(`${path}.lock`, "");
  const freed = new Promise((resolve) => setTimeout(() => resolve(rm(`${path}.lock`)), 300));
  const startedMs = performance.now();
  await (await client(path, reach(engine, "a:1"))).close();
  assert.ok(performance.now() - startedMs > 250);
  await freed;
  await writeFile(`${path}.lock`, "");
  const longAgo = new Date(Date.now() - 60_000);
  await utimes(`${path}.lock`, longAgo, longAgo);
  await (await client(path, reach(engine, "b:1"))).close();
  assert.deepEqual(await readdir(join(path, "..")), ["trust.json"]);
});

test("a holder whose lock was taken away writes nothing, and leaves that of the other", async (context) => {
  const path = await trustFile(context);
  const engine = await server();
  await (await client(path, reach(engine))).close();
  const before = await readFile(path, "utf8");
  const store = fileTrustStore(path);
  const [known] = await store.list();
  assert.ok(known);
  const slow = store.update(known.place, (record) => {
    writeFileSync(`${path}.lock`, "somebody else");
    return record && { ...record, isPinned: true };
  });
  await assert.rejects(slow, Unavailable);
  assert.equal(await readFile(path, "utf8"), before);
  assert.equal(await readFile(`${path}.lock`, "utf8"), "somebody else");
  assert.deepEqual((await readdir(join(path, ".."))).sort(), ["trust.json", "trust.json.lock"]);
});

test("a damaged file is told, and never taken for an empty one", async (context) => {
  const path = await trustFile(context);
  const engine = await server();
  await (await client(path, reach(engine))).close();
  const good = JSON.parse(await readFile(path, "utf8")) as { databases: Record<string, unknown>[] };
  const [entry] = good.databases;
  const wrong: unknown[] = [
    [],
    { ...good, databases: {} },
    { ...good, databases: [null] },
    ...Object.keys(entry ?? {}).map((name) => ({ ...good, databases: [{ ...entry, [name]: undefined }] })),
    { ...good, databases: [{ ...entry, checkpoints: [1] }] },
  ];
  for (const text of ["", "{", "\u0000", ...wrong.map((value) => JSON.stringify(value))]) {
    await writeFile(path, text);
    await assert.rejects(client(path, reach(engine)), Corrupt, text);
  }
  await writeFile(path, JSON.stringify({ ...good, version: 2 }));
  await assert.rejects(client(path, reach(engine)), InvalidArgument);
  // A checkpoint that the key has not signed is none of ours.
  await writeFile(path, JSON.stringify({ ...good, databases: [{ ...entry, checkpoints: ["nonsense"] }] }));
  await assert.rejects(client(path, reach(engine)), NeleusError);
});

test("the file is where the user says, or in the folder for configuration", () => {
  assert.equal(defaultTrustFile({ NELEUS_TRUST_FILE: "/x/t.json" }), "/x/t.json");
  if (process.platform === "linux") {
    assert.equal(defaultTrustFile({ XDG_CONFIG_HOME: "/c" }), "/c/neleus/trust.json");
    const homeless = (): string => {
      throw new Error("no such user");
    };
    assert.throws(() => defaultTrustFile({}, homeless), Unavailable);
    assert.equal(defaultTrustFile({ XDG_CONFIG_HOME: "/c" }, homeless), "/c/neleus/trust.json");
    assert.match(defaultTrustFile({}), /\/\.config\/neleus\/trust\.json$/);
  }
});
