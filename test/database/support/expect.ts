// Expecting typed errors: the class, and what the error says beside its message.
import assert from "node:assert/strict";
import { NeleusError } from "#src/core/errors.js";
import type { ErrorCode } from "#src/core/errors.js";

export interface ExpectedError {
  readonly code: ErrorCode;
  readonly field?: string;
  readonly facts?: Readonly<Record<string, string>>;
  readonly message?: RegExp;
}

/** Requires that the action fails with such an error; returns it. */
export async function expectError(
  action: Promise<unknown> | (() => unknown),
  expected: ExpectedError,
): Promise<NeleusError> {
  let error: unknown;
  try {
    await (typeof action === "function" ? action() : action);
  } catch (thrown) {
    error = thrown;
  }
  assert.ok(error instanceof NeleusError, `expected ${expected.code}, got ${String(error)}`);
  assert.equal(error.code, expected.code, error.message);
  if (expected.field !== undefined) assert.equal(error.field, expected.field);
  if (expected.message !== undefined) assert.match(error.message, expected.message);
  for (const [name, value] of Object.entries(expected.facts ?? {})) assert.equal(error.facts[name], value, name);
  return error;
}
