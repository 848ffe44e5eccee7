// Goal: a reader of what is staged does not notice that it was replaced and freed under it; one who holds on to an old state
// is told so, by a class of its own.
// Method: an engine that frees at once, and a transport that writes between a snapshot and the read at its root.
import assert from "node:assert/strict";
import { test } from "node:test";
import { IncompleteProof, Pruned, Unavailable } from "#src/core/errors.js";
import { engineTransport } from "#src/client/embedded/index.js";
import { openOver } from "#src/client/database.js";
import type { Transport } from "#src/client/transport.js";
import { Database as Engine } from "#src/database/index.js";
import { MemoryStore } from "#src/store/index.js";
import { ProofService } from "#gen/neleus/v1/proof_pb.js";
import { put } from "../database/support/database.js";

const AT_ONCE = { afterMs: 0, afterLeaves: 0, atLatestMs: 0, nodesPerBatch: 1 };

test("a read that is overtaken", async () => {
  const engine = await Engine.create(new MemoryStore(), { freeing: AT_ONCE });
  const keys = Array.from({ length: 60 }, (_, index) => `key-${100 + index}`);
  await engine.states.apply("main", { operations: keys.map((key) => put(key, "old")) });
  let writes = 0;
  const overtake = async (): Promise<void> => {
    for (let count = 0; count < 3; count += 1) {
      await engine.states.apply("main", { operations: [put("key-100", `${(writes += 1)}`)] });
    }
  };
  /** Snapshots that are still to be overtaken. */
  let overtaken = 0;
  const inner = engineTransport(engine, { address: "test", database: "default" });
  const transport: Transport = {
    address: inner.address,
    serverStream: (method, request, options) => inner.serverStream(method, request, options),
    clientStream: (method, requests, options) => inner.clientStream(method, requests, options),
    close: () => inner.close(),
    async unary(method, request, options) {
      const answer = await inner.unary(method, request, options);
      if (method.name === ProofService.method.getSnapshot.name && overtaken > 0) {
        overtaken -= 1;
        await overtake();
      }
      return answer;
    },
  };
  const db = await openOver(transport);
  const main = db.state("main");
  const all = async <T>(items: AsyncIterable<T>): Promise<T[]> => {
    const list: T[] = [];
    for await (const item of items) list.push(item);
    return list;
  };

  overtaken = 1;
  assert.equal((await main.get("key-100"))?.text(), "3");
  overtaken = 1;
  assert.equal((await main.entry("key-159"))?.sizeBytes, 3);
  overtaken = 1;
  assert.equal(await main.count(), 60);
  overtaken = 1;
  assert.equal((await all(main.scan())).length, 60);
  overtaken = 1;
  assert.equal((await all(main.getMany(["key-100", "key-101", "none"]))).length, 3);
  overtaken = 1;
  for await (const { key } of main.scan()) {
    assert.equal(key.length, 7);
    break;
  }
  assert.equal(overtaken, 0);

  // Overtaken again and again it is not repeated for ever.
  for (const read of [() => main.get("key-100"), () => all(main.scan()), () => all(main.getMany(["key-100"]))]) {
    overtaken = 2;
    await assert.rejects(read(), Pruned);
    assert.equal(overtaken, 0);
  }

  // A state that somebody holds on to is that state, or nothing.
  const snapshot = await db.snapshot("main");
  await overtake();
  await assert.rejects(snapshot.staged.get("key-100"), (error) => {
    assert.ok(error instanceof Pruned);
    assert.match(error.hint ?? "", /take a new snapshot/);
    return true;
  });
  await assert.rejects(all(snapshot.staged.scan()), Pruned);
  await db.close();
});

test("a write whose answer was lost, asked for again when what would show it is gone, is told as applied", async () => {
  const engine = await Engine.create(new MemoryStore(), { freeing: AT_ONCE });
  await engine.states.apply("main", { operations: [put("a", "1"), put("b", "1")] });
  const inner = engineTransport(engine, { address: "test", database: "default" });
  let losing = 1;
  const transport: Transport = {
    address: inner.address,
    serverStream: (method, request, options) => inner.serverStream(method, request, options),
    clientStream: (method, requests, options) => inner.clientStream(method, requests, options),
    close: () => inner.close(),
    async unary(method, request, options) {
      const answer = await inner.unary(method, request, options);
      if (method.name !== "Apply" || losing === 0) return answer;
      losing -= 1;
      for (const value of ["2", "3", "4"]) await engine.states.apply("main", { operations: [put("b", value)] });
      throw new Unavailable("the connection is gone");
    },
  };
  const db = await openOver(transport);
  await assert.rejects(db.state("main").put("a", "mine"), (error) => {
    assert.ok(error instanceof IncompleteProof, String(error));
    assert.equal(error.facts["outcome"], "applied");
    return true;
  });
  assert.equal((await db.state("main").get("a"))?.text(), "mine");
  assert.equal((await db.state("main").get("b"))?.text(), "4");
  await db.close();
});
