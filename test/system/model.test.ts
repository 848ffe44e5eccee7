// Goal: what many clients at once are told is one history, and every root in it is right. Method: system/model-check.ts.
import assert from "node:assert/strict";
import test from "node:test";
import { modelCheck } from "./model-check.js";

test("600 random changes by 8 clients have the model's root, each", async (context) => {
  const result = await modelCheck(context, { clients: 8, changes: 600, keys: 200, seed: 1 });
  assert.ok(result.roots > 300 && result.conflicts > 0 && result.snapshotsRead > 0, JSON.stringify(result));
  assert.ok(result.sharedLeaves > 0, "writers shared leaves");
});
