// Where bytes and hashes enter the engine: checks of what a caller handed in, and the two ways to take a `Malformed`.
import { equalBytes, toHex } from "../core/bytes.js";
import { Corrupt, InvalidArgument, Malformed } from "../core/errors.js";
import type { Digest } from "../core/hashes.js";

/** Runs what throws Malformed on bytes that a request brought. `field` is the request's name for them. */
export function fromRequest<T>(field: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof Malformed)) throw cause;
    const path = cause.field === undefined || cause.field === "" ? field : `${field}.${cause.field}`;
    throw new InvalidArgument(`${field}: ${cause.message}`, { field: path, facts: cause.facts }, { cause });
  }
}

/** Runs what throws Malformed on bytes that the store held. `what` names them: `commit 1f…`. */
export function fromStore<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof Malformed)) throw cause;
    throw new Corrupt(`${what}: ${cause.message}`, { hint: CORRUPT_HINT, facts: cause.facts }, { cause });
  }
}

const CORRUPT_HINT = "the stored bytes were changed or damaged; restore the database from a backup";

/** Stored bytes that are not what their name says. */
export function corrupt(what: string, difference: { readonly expected: Digest; readonly actual: Digest }): Corrupt {
  const hash = toHex(difference.expected);
  return new Corrupt(`${what} ${hash}: the stored bytes do not match the hash`, {
    hint: CORRUPT_HINT,
    facts: { hash, kind: what, actual: toHex(difference.actual) },
  });
}

/** Stored bytes are the ones of this hash. @throws Corrupt */
export function requireHash(what: string, difference: { readonly expected: Digest; readonly actual: Digest }): void {
  if (!equalBytes(difference.expected, difference.actual)) throw corrupt(what, difference);
}

/** A copy of a hash that a request brought. @throws InvalidArgument - not 32 bytes */
export function requireHashBytes(field: string, bytes: Uint8Array): Digest {
  if (bytes.length === 32) return new Uint8Array(bytes);
  throw new InvalidArgument(`${field}: a hash is 32 bytes, not ${bytes.length}`, { field });
}
