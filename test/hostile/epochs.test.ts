// Goal: nothing in the way from one epoch to the next can be changed without the client refusing it. Method: the answer that
// leads there is recorded, and every mutation of every field and of its bytes is replayed to a client that trusts the old key.
import assert from "node:assert/strict";
import { test } from "node:test";
import { inProcessTransport } from "#src/client/embedded/index.js";
import { createServices } from "#src/service/index.js";
import { inMemory, put } from "../database/support/database.js";
import { tryMutants } from "./support/trial.js";

for (const [what, call] of [
  ["its only step", 1],
  ["the second of two", 2],
] as const) {
  test(`mutated answers on the way to a new epoch: ${what}`, async () => {
    const { db: engine } = await inMemory();
    const set = (value: string) => engine.states.apply("main", { operations: [put("k", value)] });
    const options = { verifierKey: engine.log.verifierKey, checkpoint: await engine.log.checkpoint(), maxAttempts: 1 };
    for (let epoch = 1; epoch <= call; epoch += 1) {
      for (const value of ["1", "2", "3"]) await set(value);
      await engine.epochs.announceKey();
      await engine.epochs.begin({ reason: "rekeyed" });
    }
    await set("4");
    const services = createServices({ database: async () => engine, version: "0.0.0" });
    const { refused } = await tryMutants(inProcessTransport({ address: "x", services }), {
      options,
      run: async ({ trust }) => trust.state,
      call,
      // The announced key has signed the end as well: a line that who trusts the old key alone does not look at.
      harmless: /^0\.end\.log\.checkpoint$/,
      isStateless: false,
      thoroughness: { items: 8, offsets: 12, flips: 400 },
    });
    assert.ok(refused > 300, `${refused} mutants`);
  });
}

for (const step of ["announce", "finish", "finish-unannounced"] as const) {
  test(`mutated answers to a key that is changed: ${step}`, async () => {
    const { db: engine } = await inMemory();
    if (step === "finish") await engine.epochs.announceKey();
    const options = { verifierKey: engine.log.verifierKey, maxAttempts: 1 };
    const services = createServices({ database: async () => engine, version: "0.0.0" });
    const { refused } = await tryMutants(inProcessTransport({ address: "x", services }), {
      options,
      run: async (db) => [await db.rotateKey({ step }), db.trust.state.verifierKey],
      // After the capabilities and the checkpoint that is taken before.
      call: 2,
      // What is said beside what is signed.
      harmless: step === "announce" ? /^0\.origin$/ : /^0\.(origin|nextVerifierKey)$/,
      isStateless: false,
      thoroughness: { items: 8, offsets: 12, flips: 200 },
    });
    assert.ok(refused > 100, `${refused} mutants`);
  });
}
