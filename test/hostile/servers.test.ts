// Goal: whole lies of a server that holds the right key, or nearly: replays, forks, another database, another key, another
// epoch, a log that was rolled back. Each is refused and named, with both checkpoints as evidence where there are two.
// Method: two engines that begin with the same random bytes have the same id and key, so they are two histories of one
// log; clients are switched from one to the other.
import test from "node:test";
import assert from "node:assert/strict";
import {
  clone,
  type DescMessage,
  type DescMethodUnary,
  type Message,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { AdminService } from "#gen/neleus/v1/admin_pb.js";
import { ProofService } from "#gen/neleus/v1/proof_pb.js";
import { StateService } from "#gen/neleus/v1/state_pb.js";
import type { Database } from "#src/client/contract.js";
import { openOver } from "#src/client/database.js";
import { inProcessTransport } from "#src/client/embedded/index.js";
import type { Transport } from "#src/client/transport.js";
import { Forked, NeleusError, NewEpoch, NotFound, RolledBack, VerificationFailed } from "#src/core/errors.js";
import type { Database as Engine } from "#src/database/index.js";
import { createServices } from "#src/service/index.js";
import { inMemory, testRandom } from "../database/support/database.js";
import { all, NATIVE } from "../client/support/fixture.js";
import { unaware } from "../client/support/unaware.js";
import { asText } from "./support/trial.js";

interface Server {
  readonly engine: Engine;
  readonly transport: Transport;
}

/** Servers with the same seed share their key and the beginning of their log. They believe whatever they have. */
async function server(seed = 7): Promise<Server> {
  const engine = unaware((await inMemory({ randomBytes: testRandom(seed) })).db);
  const services = createServices({ database: async () => engine, version: "0.0.0" });
  return { engine, transport: inProcessTransport({ address: `server ${seed}`, services }) };
}

/** A transport that leads now here, now there, and may change answers on the way. */
class Switch implements Transport {
  readonly address = "switch";
  to: Transport;
  /** Changes the answers of unary calls; by method name. */
  readonly lies = new Map<string, (answer: Message) => Message>();

  constructor(to: Server) {
    this.to = to.transport;
  }

  async unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
  ): Promise<MessageShape<O>> {
    const answer = await this.to.unary(method, request);
    return (this.lies.get(method.name)?.(answer) ?? answer) as MessageShape<O>;
  }

  readonly serverStream: Transport["serverStream"] = (method, request) => this.to.serverStream(method, request);
  readonly clientStream: Transport["clientStream"] = (method, requests) => this.to.clientStream(method, requests);
  readonly close = async (): Promise<void> => undefined;
}

function client(through: Transport, options = {}): Promise<Database> {
  return openOver(through, options, NATIVE);
}

/** Everything that reads or writes, for the cases in which nothing may work. */
const EVERYTHING: readonly ((db: Database) => Promise<unknown>)[] = [
  (db) => db.snapshot("main"),
  (db) => db.checkpoint(),
  (db) => db.heads.list(),
  (db) => all(db.tags.list()),
  (db) => all(db.logEntries.list()),
  (db) => db.proofs.ref({ head: "main" }),
  async (db) => {
    const [newest] = await all(db.commits.log({ head: "main" }, { limit: 1 }));
    return db.proofs.commit({ head: "main" }, newest!.hash);
  },
  (db) => db.logEntries.get(0),
  (db) => db.state("main").get("k"),
  (db) => all(db.commits.log({ head: "main" })),
  (db) => db.proofs.state({ staged: "main" }, "k"),
];

function forkedOrRolledBack(error: unknown): boolean {
  assert.ok(error instanceof Forked || error instanceof RolledBack, String(error));
  const evidence = error.evidence as { older: string; newer: string };
  assert.match(evidence.older, /^neleus\/[0-9a-f]{32}\/1\n\d+\n/);
  assert.match(evidence.newer, /^neleus\/[0-9a-f]{32}\/1\n\d+\n/);
  return true;
}

test("two histories under one key: whoever has seen one does not take the other", async () => {
  for (const lead of [0, 3]) {
    for (const [index, action] of EVERYTHING.entries()) {
      const [left, right] = [await server(), await server()];
      const through = new Switch(left);
      const db = await client(through);
      await db.state("main").put("k", "left");
      await db.commit("main", { author: "a", message: "left" });
      await db.snapshot("main");
      const other = await client(right.transport);
      await other.state("main").put("k", "right");
      for (let count = 0; count < lead; count += 1) await other.state("main").put("k", `right ${count}`);
      await other.commit("main", { author: "a", message: "right" });
      through.to = right.transport;
      await assert.rejects(action(db), forkedOrRolledBack, `action ${index}, lead ${lead}`);
      // And it is not won over by asking again.
      await assert.rejects(db.snapshot("main"), forkedOrRolledBack);
      through.to = left.transport;
      assert.equal((await db.state("main").get("k"))?.text(), "left");
    }
  }
});

test("a writer's receipt of another history is found out by the next answer", async () => {
  const [left, right] = [await server(), await server()];
  const through = new Switch(left);
  const db = await client(through);
  await db.state("main").put("k", "1");
  await db.snapshot("main");
  const other = await client(right.transport);
  for (let count = 0; count < 3; count += 1) await other.state("main").put("k", `right ${count}`);
  through.to = right.transport;
  // The receipt is signed and larger than all that was seen: nothing is wrong with it yet.
  await db.state("main").put("k", "2");
  assert.equal(db.trust.pendingCheckpoints, 1);
  through.to = left.transport;
  await assert.rejects(db.snapshot("main"), RolledBack);
  const third = await client(new Switch(left));
  for (let count = 0; count < 9; count += 1) await third.state("main").put("k", `left ${count}`);
  await assert.rejects(db.snapshot("main"), Forked);
});

test("an older copy of the database is a rollback", async () => {
  const [server1, older] = [await server(), await server()];
  const through = new Switch(server1);
  const db = await client(through);
  await db.checkpoint();
  for (let count = 0; count < 5; count += 1) await db.state("main").put("k", String(count));
  const state = { ...db.trust.state, checkpoint: (await db.checkpoint()).checkpoint.note };
  for (const action of EVERYTHING) {
    const again = await client(new Switch(older), state);
    await assert.rejects(action(again), (error) => error instanceof RolledBack && forkedOrRolledBack(error));
  }
});

test("answers of earlier are refused, whole", async () => {
  const { transport } = await server();
  for (const method of ["GetSnapshot", "GetCheckpoint", "ListHeads"]) {
    const through = new Switch({ transport } as Server);
    const db = await client(through);
    await db.checkpoint();
    const kept = new Map<string, Message>();
    through.lies.set(method, (answer) => {
      kept.set(method, answer);
      return answer;
    });
    const action = (): Promise<unknown> =>
      method === "GetSnapshot" ? db.snapshot("main") : method === "ListHeads" ? db.heads.list() : db.checkpoint();
    await action();
    through.lies.set(method, () => kept.get(method)!);
    await action();
    await db.state("main").put("k", `after ${method}`);
    await assert.rejects(action(), RolledBack);
  }
});

test("another database, another key, another epoch", async () => {
  const [mine, others] = [await server(7), await server(8)];
  const db = await client(mine.transport);
  const { verifierKey } = db.trust.state;
  await assert.rejects(client(new Switch(others), { verifierKey }), VerificationFailed);
  // One that claims the pinned key, and answers from the other database all the same.
  const through = new Switch(mine);
  const fooled = await client(through, { verifierKey });
  through.to = others.transport;
  for (const action of EVERYTHING) await assert.rejects(action(fooled), VerificationFailed);
  await assert.rejects(fooled.state("main").put("k", "1"), VerificationFailed);
  // A new epoch of the same database, as the server presents itself.
  through.to = mine.transport;
  const later = { origin: "", text: "" };
  through.lies.set(AdminService.method.getCapabilities.name, (answer) => {
    const changed = clone(AdminService.method.getCapabilities.output, answer as never);
    later.origin = changed.origin.replace(/1$/, "2");
    changed.origin = later.origin;
    changed.verifierKey = mine.engine.log.verifierKey.replace(mine.engine.log.origin, later.origin);
    return changed;
  });
  // The key id no longer fits the name, so this is no key at all.
  await assert.rejects(client(through, { verifierKey }), VerificationFailed);
});

test("a checkpoint that names another epoch of this database stops the client", async () => {
  const { transport } = await server();
  const through = new Switch({ transport } as Server);
  const db = await client(through);
  through.lies.set(ProofService.method.getCheckpoint.name, (answer) => {
    const changed = clone(ProofService.method.getCheckpoint.output, answer as never);
    changed.log!.checkpoint = changed.log!.checkpoint.replaceAll("/1\n", "/2\n").replaceAll("/1 ", "/2 ");
    return changed;
  });
  await assert.rejects(db.checkpoint(), NewEpoch);
});

test("an answer about another head, another key, another root", async () => {
  const { transport } = await server();
  const honest = await client(transport);
  await honest.heads.create("other");
  await honest.state("main").put("k", "1");
  await honest.state("other").put("k", "2");
  const [main, other] = [await honest.snapshot("main"), await honest.snapshot("other")];
  const through = new Switch({ transport } as Server);
  const db = await client(through, honest.trust.state);
  const swapped = (changed: Message): void => void through.lies.set("GetSnapshot", () => changed);
  const answer = async (head: string): Promise<MessageShape<typeof ProofService.method.getSnapshot.output>> =>
    transport.unary(ProofService.method.getSnapshot, { head, knownCheckpoint: honest.trust.state.checkpoint ?? "" });
  swapped(await answer("other"));
  await assert.rejects(db.snapshot("main"), VerificationFailed);
  const renamed = await answer("other");
  renamed.snapshot!.head = "main";
  swapped(renamed);
  await assert.rejects(db.snapshot("main"), NeleusError);
  through.lies.clear();
  // A value of another key or root, with its own good witness.
  const get = (root: Uint8Array, key: string): Promise<Message> =>
    transport.unary(StateService.method.get, {
      at: { at: { case: "root", value: root } },
      key: new TextEncoder().encode(key),
    });
  for (const wrong of [await get(other.staged.stateRoot, "k"), await get(main.staged.stateRoot, "l")]) {
    through.lies.set("Get", () => wrong);
    await assert.rejects(db.at({ root: main.staged.stateRoot }).get("k"), NeleusError);
  }
});

test("a server cannot deny by proof what is there, and a claim without proof is named as such", async () => {
  const { transport } = await server();
  const through = new Switch({ transport } as Server);
  const db = await client(through);
  await db.state("main").put("k", "1");
  through.lies.set("GetSnapshot", () => {
    throw new NotFound("no such head");
  });
  await assert.rejects(db.snapshot("main"), NotFound);
  // The list, which is proved, has it.
  assert.deepEqual(
    (await db.heads.list()).map(({ head }) => head),
    ["main"],
  );
});

test("a commit that the head does not have is no commit", async () => {
  const [left, right] = [await server(), await server()];
  const through = new Switch(left);
  const db = await client(through);
  await db.checkpoint();
  // The server makes another commit than it shows: the answer is that of another history, of the same size.
  let shown: Message | undefined;
  const other = await client(right.transport);
  const record = new Switch(right);
  record.lies.set("Create", (answer) => (shown = answer));
  await other.state("main").put("k", "elsewhere");
  await (await client(record)).commit("main", { author: "a", message: "m", timeMs: 1 });
  await db.state("main").put("k", "here");
  through.lies.set("Create", () => shown!);
  await assert.rejects(db.commit("main", { author: "a", message: "m", timeMs: 1 }), NeleusError);
});

test("a withheld write shows by its age", async () => {
  let now = 1_763_800_000_000;
  const { db: engine } = await inMemory({ clock: () => now });
  const services = createServices({ database: async () => engine, version: "0.0.0" });
  const through = new Switch({ transport: inProcessTransport({ address: "old", services }) } as Server);
  const db = await client(through, { clock: () => now, clockToleranceMs: 1_000 });
  await db.state("main").put("k", "1");
  await db.snapshot("main", { maxAgeMs: 5_000 });
  let frozen: Message | undefined;
  through.lies.set("GetSnapshot", (answer) => (frozen ??= answer));
  await db.snapshot("main", { maxAgeMs: 5_000 });
  now += 4_000;
  await db.snapshot("main", { maxAgeMs: 5_000 });
  now += 4_000;
  await assert.rejects(db.snapshot("main", { maxAgeMs: 5_000 }), VerificationFailed);
  now -= 60_000;
  await assert.rejects(db.snapshot("main", { maxAgeMs: 5_000 }), VerificationFailed);
  assert.equal(asText((await db.snapshot("main")).logTimeMs), "1763800000000");
});
