// Rules about batches and keys that all drivers share.
import { equalBytes } from "../core/bytes.js";
import { assert } from "../core/errors.js";
import { ConditionFailed, MAX_ROW_KEY_BYTES, MAX_ROW_VALUE_BYTES } from "./contract.js";
import type { Condition, Space, WriteBatch } from "./contract.js";

/** Fails an assertion on a key that its space does not take. */
export function checkKey(space: Space, key: Uint8Array): void {
  switch (space) {
    case "nodes":
    case "objects":
    case "blobs":
      assert(key.length === 32, `a key of ${space} is 32 bytes, not ${key.length}`);
      return;
    case "log":
      assert(key.length === 8, `a key of log is 8 bytes, not ${key.length}`);
      return;
    case "tiles":
    case "meta":
    case "leases":
    case "requests":
      assert(key.length >= 1 && key.length <= MAX_ROW_KEY_BYTES, `a key of ${space} is of ${key.length} bytes`);
  }
}

/** Fails an assertion on keys and values that no space takes, before anything is written. */
export function checkBatch(batch: WriteBatch): void {
  for (const { space, key } of batch.conditions ?? []) checkKey(space, key);
  for (const { space, key } of batch.deletes ?? []) checkKey(space, key);
  for (const { space, key, value } of batch.puts ?? []) {
    checkKey(space, key);
    assert(value.length <= MAX_ROW_VALUE_BYTES, `a value of ${space} is of ${value.length} bytes`);
  }
}

/** The first condition that does not hold of what `get` reads, as the error to throw; undefined where all hold. */
export function failedCondition(
  conditions: readonly Condition[],
  get: (space: Space, key: Uint8Array) => Uint8Array | undefined,
): ConditionFailed | undefined {
  for (const [index, condition] of conditions.entries()) {
    const actual = get(condition.space, condition.key);
    if (!holds(condition, actual)) return new ConditionFailed({ condition, index, actual });
  }
  return undefined;
}

function holds({ expected }: Condition, actual: Uint8Array | undefined): boolean {
  if (expected === "absent") return actual === undefined;
  if (expected === "present") return actual !== undefined;
  return actual !== undefined && equalBytes(actual, expected);
}
