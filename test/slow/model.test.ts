// Goal and method: as system/model.test.ts, with 40,000 changes (over 100,000 operations) by 16 clients.
import assert from "node:assert/strict";
import test from "node:test";
import { modelCheck } from "../system/model-check.js";

test("over 100,000 random operations by 16 clients have the model's root, each", async (context) => {
  const result = await modelCheck(context, { clients: 16, changes: 40_000, keys: 1_000, seed: 2 });
  console.log(JSON.stringify(result));
  assert.ok(
    result.operations > 100_000 && result.roots > 25_000 && result.sharedLeaves > 0 && result.snapshotsRead > 500,
    JSON.stringify(result),
  );
});
