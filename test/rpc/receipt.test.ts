// Goal: a writer whose write is durable and whose receipt cannot be signed hears so over the wire, and the operator hears why.
// Method: a real server whose signer fails, asked by our client's transport.
import assert from "node:assert/strict";
import test from "node:test";
import { StateService } from "#gen/neleus/v1/state_pb.js";
import { NeleusError } from "#src/core/errors.js";
import { CheckpointSigner } from "#src/database/checkpoint-signer.js";
import { createServices } from "#src/service/index.js";
import { inMemory, readAll } from "../database/support/database.js";
import { connectTo, MemoryLogger, serve } from "./support/running.js";

test("a durable write that could not be signed is told as such, and logged with its cause", async (t) => {
  const { db } = await inMemory();
  const services = createServices({ database: async () => db, version: "0.0.0" });
  const logger = new MemoryLogger();
  const server = await serve(t, { services, logger });
  const signing = t.mock.method(CheckpointSigner.prototype, "checkpoint", () => {
    throw new Error("the key is gone");
  });
  const operations = [{ key: Buffer.from("k"), change: { case: "value", value: Buffer.from("v") } as const }];
  const write = connectTo(t, server.address).unary(StateService.method.apply, { head: "main", operations });
  await assert.rejects(write, (error) => {
    assert.ok(error instanceof NeleusError);
    assert.equal(error.code, "UNAVAILABLE");
    assert.deepEqual([error.facts["outcome"], error.facts["log_index"]], ["applied", "1"]);
    assert.match(`${error.message} ${error.hint ?? ""}`, /applied and is durable.* read back/);
    assert.doesNotMatch(error.message, /key is gone/);
    return true;
  });
  signing.mock.restore();
  assert.deepEqual(await readAll(db), { k: "v" });
  const logged = logger.lines.filter(({ level }) => level === "error");
  assert.equal(logged.length, 1);
  assert.match(String(logged[0]?.fields["cause"]), /the key is gone/);
});
