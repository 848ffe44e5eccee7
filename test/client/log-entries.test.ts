// Goal: the log is listed whole, leaf by leaf, under a verified checkpoint, the same over every transport, and by hand
// through the services that monitors use.
// Method: a log longer than a message; what is listed is compared with the leaves that the engine has, and tiles with the
// leaves.
import assert from "node:assert/strict";
import { toHex } from "#src/core/bytes.js";
import { InvalidArgument, NeleusError } from "#src/core/errors.js";
import { logLeafHash, parseCheckpointUnverified, verifyConsistency } from "#src/core/log/index.js";
import { ProofService } from "#gen/neleus/v1/proof_pb.js";
import { put } from "../database/support/database.js";
import { slowRoot } from "../core/log/slow-tree.js";
import { all, onEachTransport, type Fixture } from "./support/fixture.js";

async function grow({ engine }: Fixture, leaves: number): Promise<void> {
  while ((await engine.view()).logSize < leaves) {
    await engine.states.apply("main", { operations: [put("k", String((await engine.view()).logSize))] });
  }
}

onEachTransport("leaves are listed in order, and one by one", async (fixture) => {
  await grow(fixture, 700);
  const db = await fixture.client();
  const { receipt } = await db.state("main").put("late", "1");
  const listed = await all(db.logEntries.list());
  assert.deepEqual(
    listed.map(({ index }) => index),
    Array.from({ length: 701 }, (_, index) => index),
  );
  assert.deepEqual(listed[0]?.beginning, { reason: "created" });
  assert.ok(listed.slice(1).every(({ beginning }) => beginning === undefined));
  assert.equal(toHex(slowRoot(listed.map(({ bytes }) => bytes))), toHex(receipt.checkpoint.root));
  const some = await all(db.logEntries.list({ start: 255, end: 513 }));
  assert.deepEqual(some, listed.slice(255, 513));
  assert.deepEqual(await all(db.logEntries.list({ start: 700 })), listed.slice(700));
  for (const index of [0, 1, 256, 700]) assert.deepEqual(await db.logEntries.get(index), listed[index]);
  for await (const { index } of db.logEntries.list({ start: 3 })) {
    assert.equal(index, 3);
    break;
  }
  await assert.rejects(db.logEntries.get(701), InvalidArgument);
  await assert.rejects(all(db.logEntries.list({ start: 701 })), InvalidArgument);
  await assert.rejects(all(db.logEntries.list({ end: 702 })), InvalidArgument);
  await assert.rejects(all(db.logEntries.list({ start: 5, end: 5 })), InvalidArgument);
  await assert.rejects(db.logEntries.get(-1), InvalidArgument);
  await db.close();
});

onEachTransport("tiles and consistency, as monitors ask for them", async (fixture) => {
  await grow(fixture, 600);
  const transport = fixture.transport();
  const { getTile, proveConsistency } = ProofService.method;
  const view = await fixture.engine.view();
  const leaves = (await all((await fixture.client()).logEntries.list())).map(({ bytes }) => bytes);
  for (const [index, width] of [
    [0, 256],
    [1, 100],
    [2, 88],
  ] as const) {
    const { hashes } = await transport.unary(getTile, { level: 0, index: BigInt(index), width });
    const expected = leaves.slice(index * 256, index * 256 + width).map((leaf) => toHex(logLeafHash(leaf)));
    assert.equal(toHex(hashes), expected.join(""));
  }
  const whole = await transport.unary(getTile, { level: 0, index: 2n });
  assert.equal(whole.hashes.length, 88 * 32);
  const above = await transport.unary(getTile, { level: 1, index: 0n });
  assert.equal(toHex(above.hashes), [0, 256].map((from) => toHex(slowRoot(leaves.slice(from, from + 256)))).join(""));
  for (const [level, index, width] of [
    [1, 1n, undefined],
    [2, 0n, 1],
    [0, 2n, 89],
    [0, 3n, 1],
    [0, 2n ** 60n, 1],
    [4_000_000_000, 0n, 1],
    [0, 0n, 0],
  ] as const) {
    const request = { level, index, ...(width === undefined ? {} : { width }) };
    await assert.rejects(transport.unary(getTile, request), (error) => {
      return error instanceof NeleusError && error.code === "INVALID_ARGUMENT" && error.field !== undefined;
    });
  }
  for (const [from, to] of [
    [0, 600],
    [1, 2],
    [255, 600],
    [256, 512],
    [600, 600],
  ] as const) {
    const answer = await transport.unary(proveConsistency, { fromSize: BigInt(from), toSize: BigInt(to) });
    const [fromRoot, toRoot] = [from, to].map((size) => slowRoot(leaves.slice(0, size)));
    assert.ok(fromRoot && toRoot);
    verifyConsistency({ from, to, fromRoot, toRoot, proof: answer.hashes });
    assert.equal(parseCheckpointUnverified(answer.checkpoint).size, view.logSize);
  }
  for (const sizes of [{ fromSize: 601n }, { fromSize: 2n, toSize: 1n }, { fromSize: 1n, toSize: 601n }]) {
    await assert.rejects(transport.unary(proveConsistency, sizes), { code: "INVALID_ARGUMENT" });
  }
  await transport.close();
});
