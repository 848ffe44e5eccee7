// Goal: however many streams take what they may, all of them together keep to the budget, and each gets a message through.
// Method: streams that take their share and give nothing back; then what one gives back is there for others.
import assert from "node:assert/strict";
import { test } from "node:test";
import { SendBudget } from "#src/server/send-budget.js";

const LIMIT = 24 * 1024 * 1024;
const LEAST = 12 * 1024;

test("a thousand streams that take what they may", () => {
  const budget = new SendBudget(LIMIT);
  let kept = 0;
  let least = Infinity;
  for (let stream = 0; stream < 1_000; stream += 1) {
    const share = Math.min(1024 * 1024, budget.shareBytes);
    least = Math.min(least, share);
    budget.add(share);
    kept += share;
  }
  assert.equal(least, LEAST);
  assert.ok(kept <= LIMIT + 1_000 * LEAST, `${kept} bytes`);
  const spent = budget.shareBytes;
  budget.add(-kept);
  assert.equal(spent, LEAST);
  assert.equal(budget.shareBytes, LIMIT / 8);
});
