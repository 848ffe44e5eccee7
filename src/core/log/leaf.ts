// Leaves of the log (FORMATS §7): `dag_cbor([1, time, refs root])`, and leaf 0, which says how the log began, with a fourth
// element: `{reason, ? previous}`.
import { decode, encode } from "../codec/index.js";
import { InvalidArgument, Malformed, NeleusError, Unsupported } from "../errors.js";
import { mapRoot } from "../hashes.js";
import type { MapRoot } from "../hashes.js";
import { MAX_LOG_LEAF_BYTES } from "../limits.js";
import { hash, oneOf, optional, positions, read, refine, struct, text, uint53, write } from "../codec/schema.js";
import type { Extensible, Schema } from "../codec/schema.js";
import { parseCheckpointUnverified } from "./checkpoint.js";

/** How a log began. */
export interface LogBeginning extends Extensible {
  readonly reason: "created" | "restored" | "cloned" | "rekeyed";
  /** The last checkpoint known of the epoch before, whole: a signed note. Required unless created. */
  readonly previous?: string;
}

/** One leaf: the refs at a time. */
export interface LogLeaf {
  readonly version: 1;
  /** Milliseconds since 1970; never before that of the leaf before. */
  readonly time: number;
  readonly refsRoot: MapRoot;
  /** In leaf 0, and in no other. */
  readonly first?: LogBeginning;
}

const TOO_LARGE = `a leaf of the log has at most ${MAX_LOG_LEAF_BYTES} bytes`;

const anyBeginning = struct<LogBeginning>({
  reason: oneOf("created", "restored", "cloned", "rekeyed"),
  previous: optional(text),
});

const beginning = refine(anyBeginning, ({ reason, previous }, place) => {
  if (reason !== "created" && previous === undefined) {
    place.enter("previous");
    throw place.refusal(`is required in a log that was ${reason}`);
  }
});

const schema: Schema<LogLeaf> = positions<LogLeaf>(
  { version: oneOf(1), time: uint53, refsRoot: hash(mapRoot), first: optional(beginning) },
  "refused",
);

/**
 * The bytes of the leaf at an index.
 * @throws InvalidArgument - a rule is broken, `first` where it must not be or missing where it must, a previous checkpoint
 *   that is none, or over 65,535 bytes
 */
export function encodeLogLeaf(leaf: LogLeaf, index: number): Uint8Array {
  const bytes = encode(write(schema, leaf));
  if (bytes.length > MAX_LOG_LEAF_BYTES) throw new InvalidArgument(TOO_LARGE);
  const problem = problemAt(leaf, index);
  if (problem !== undefined) throw new InvalidArgument(problem);
  if (leaf.first?.previous !== undefined) requireCheckpoint(leaf.first.previous);
  return bytes;
}

/**
 * The leaf at an index from its bytes.
 * @throws Malformed - not canonical, a rule is broken, or `first` where it must not be or missing where it must
 * @throws Unsupported - a version other than 1
 */
export function decodeLogLeaf(bytes: Uint8Array, index: number): LogLeaf {
  if (bytes.length > MAX_LOG_LEAF_BYTES) throw new Malformed(TOO_LARGE);
  const wire = decode(bytes);
  const version = Array.isArray(wire) ? wire[0] : undefined;
  if (typeof version === "number" && Number.isInteger(version) && version !== 1) {
    throw new Unsupported(`log leaf of version ${version}; this program knows version 1`, {
      facts: { version: String(version) },
    });
  }
  const leaf = read(schema, wire);
  const problem = problemAt(leaf, index);
  if (problem !== undefined) throw new Malformed(problem);
  return leaf;
}

function problemAt(leaf: LogLeaf, index: number): string | undefined {
  if (index === 0 && leaf.first === undefined) return "leaf 0 says how the log began";
  if (index !== 0 && leaf.first !== undefined) return `leaf ${index} says how the log began, which only leaf 0 does`;
  return undefined;
}

function requireCheckpoint(previous: string): void {
  try {
    parseCheckpointUnverified(previous);
  } catch (cause) {
    if (!(cause instanceof NeleusError)) throw cause;
    throw new InvalidArgument(`previous is no checkpoint: ${cause.message}`, { field: "previous" }, { cause });
  }
}
