// Goal: a checkpoint of one process is no rollback to another on the same directory, however soon it is shown there; and a
// new epoch that one of them begins is followed at the other. Method: two servers over one directory, and a client that writes
// at the one and shows what it got to the other at once.
import assert from "node:assert/strict";
import test from "node:test";
import { ProofService } from "#gen/neleus/v1/proof_pb.js";
import { connect } from "#src/client/remote.js";
import { grpcTransport } from "#src/client/grpc-transport.js";
import { parseCheckpointUnverified } from "#src/core/log/index.js";
import { startServerProcess } from "./server-process.js";

const WRITES = 300;

test("what one process signs is of the log of the other", { timeout: 60_000 }, async (context) => {
  const one = await startServerProcess(context);
  const two = await startServerProcess(context, one.directory);
  const db = await connect(one.address, { onTrustOnFirstUse: () => undefined });
  const other = grpcTransport({ address: two.address });
  context.after(async () => {
    await db.close();
    await other.close();
  });
  const { getCheckpoint } = ProofService.method;
  for (let count = 0; count < WRITES; count += 1) {
    const { receipt } = await db.state("main").put("k", String(count));
    const { note, size } = receipt.checkpoint;
    const { log } = await other.unary(getCheckpoint, { knownCheckpoint: note });
    assert.ok(parseCheckpointUnverified(log?.checkpoint ?? "").size >= size);
  }
  // Writers at both at once, each shown what the other has.
  const there = await connect(two.address, { onTrustOnFirstUse: () => undefined });
  context.after(() => there.close());
  await Promise.all(
    [db, there].map(async (client, lane) => {
      for (let count = 0; count < 50; count += 1) await client.state("main").put(`${lane}`, String(count));
    }),
  );
  await there.rotateKey({ step: "announce" });
  await there.rotateKey({ step: "finish" });
  await db.state("main").put("k", "after");
  assert.equal(db.trust.origin, there.trust.origin);
  assert.equal((await there.state("main").get("k"))?.text(), "after");
});
