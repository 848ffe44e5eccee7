// What came from a server, before anything is believed of it: narrowed, measured, and with core's `Malformed` turned into
// the reaction that a client has, `VerificationFailed`.
import { toHex } from "../core/bytes.js";
import { Malformed, VerificationFailed } from "../core/errors.js";
import type { Digest } from "../core/hashes.js";
import { WitnessReader, type Reader, type Reveal } from "../core/map/index.js";
import type { NodeReveal } from "../../gen/neleus/v1/proof_pb.js";

/** A 64-bit integer as a number. @throws VerificationFailed - over 2^53 − 1 */
export function receivedInteger(value: bigint, what: string): number {
  const narrowed = Number(value);
  if (Number.isSafeInteger(narrowed)) return narrowed;
  throw new VerificationFailed(`${what} is over 2^53 − 1`, { facts: { actual: String(value) } });
}

/** A copy of 32 bytes. @throws VerificationFailed - another length */
export function receivedHash(bytes: Uint8Array, what: string): Digest {
  if (bytes.length === 32) return new Uint8Array(bytes);
  throw new VerificationFailed(`${what} has ${bytes.length} bytes, not 32`);
}

/** A message that the answer must hold. @throws VerificationFailed - it is missing */
export function receivedPart<T>(part: T | undefined, what: string): T {
  if (part !== undefined) return part;
  throw new VerificationFailed(`the answer has no ${what}`);
}

/** Reveals narrowed at once: a message can claim half a million of them, of which the first already is refused. */
const BATCH_REVEALS = 32;

/** Reveals as core reads them, a few at a time. @throws VerificationFailed - a total over 2^53 − 1 */
export function* revealBatches(nodes: readonly NodeReveal[]): Generator<Reveal[], void, undefined> {
  for (let first = 0; first < nodes.length; first += BATCH_REVEALS) {
    yield nodes.slice(first, first + BATCH_REVEALS).map((node) => ({
      kind: node.kind,
      level: node.level,
      count: node.count,
      total: receivedInteger(node.total, "the total of a node"),
      indices: node.indices,
      entries: node.entries,
      siblings: node.siblings,
    }));
  }
}

/** The same one by one: each is narrowed when it is asked for. */
export function* receivedReveals(nodes: readonly NodeReveal[]): Generator<Reveal, void, undefined> {
  for (const reveals of revealBatches(nodes)) yield* reveals;
}

/** @throws VerificationFailed - there are values, and none were asked for */
export function requireNoValues(values: readonly unknown[]): void {
  if (values.length > 0) throw new VerificationFailed("the answer holds values that were not asked for");
}

/** @throws VerificationFailed - there are cosignatures, and none were asked for */
export function requireNoCosignatures(cosigned: readonly unknown[]): void {
  if (cosigned.length > 0) throw new VerificationFailed("the answer holds cosignatures that were not asked for");
}

/**
 * The answer of a read over a whole witness: `verifyWitness` for messages.
 * @throws VerificationFailed, IncompleteProof - see core/map
 */
export function verifyNodes<T>(reader: Reader<T>, nodes: readonly NodeReveal[]): T {
  const witness = new WitnessReader(reader);
  for (const reveals of revealBatches(nodes)) witness.push(reveals);
  return witness.finish();
}

/**
 * Runs a check of core over received bytes. What they are is said by a function where the words cost something: most
 * bytes are right.
 * @throws VerificationFailed - for what is Malformed there; anything else is passed on
 */
export function verifying<T>(what: string | (() => string), check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    const { facts } = error;
    const name = typeof what === "string" ? what : what();
    throw new VerificationFailed(`${name}: ${error.message}`, { facts }, { cause: error });
  }
}

/** The error for received bytes that do not hash to the name they were asked for by. */
export function wrongHash(
  what: string,
  hashes: { readonly expected: Digest; readonly actual: Digest; readonly bytes: Uint8Array },
): VerificationFailed {
  const expected = toHex(hashes.expected);
  const actual = toHex(hashes.actual);
  return new VerificationFailed(`${what} ${expected}: what came hashes to ${actual}`, {
    facts: { expected, actual },
    evidence: new Uint8Array(hashes.bytes),
  });
}
