// What decoding gives: objects are hashed as received, so their bytes stay beside them (FORMATS §2).
import type { ValueMap } from "../codec/index.js";
import { Malformed, Unsupported } from "../errors.js";

/** A decoded object and the exact bytes that it came as, which are what is hashed, stored and sent on. */
export interface Received<T> {
  readonly object: T;
  readonly bytes: Uint8Array;
}

/**
 * Looks at the version before anything else, since another one may change what the other members mean.
 * @throws Malformed - no integer `v`
 * @throws Unsupported - a version other than 1
 */
export function requireVersion(wire: ValueMap, what: string): void {
  const version = Object.hasOwn(wire, "v") ? wire["v"] : undefined;
  if (version === 1) return;
  if (typeof version !== "number" || !Number.isInteger(version)) {
    throw new Malformed(`v: ${version === undefined ? "is missing" : "expected an integer"}`, { field: "v" });
  }
  throw new Unsupported(`${what} of version ${version}; this program knows version 1`, {
    field: "v",
    facts: { version: String(version) },
  });
}
