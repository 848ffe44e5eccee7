// Commits (FORMATS §6, formats.cddl): a version of state and ledger, chained to its parents.
import { toHex } from "../bytes.js";
import { decodeMap, encode } from "../codec/index.js";
import { hashTagged } from "../hash/index.js";
import { commitHash } from "../hashes.js";
import type { CommitHash, MapRoot } from "../hashes.js";
import { MAX_PARENTS } from "../limits.js";
import { commitHashSchema, mapRootSchema, signed, time } from "./common.js";
import type { Signed } from "./common.js";
import type { Received } from "./received.js";
import { requireVersion } from "./received.js";
import { bytes, listOf, oneOf, optional, read, refine, struct, text, write } from "../codec/schema.js";
import type { Schema } from "../codec/schema.js";

/** A commit, version 1. */
export interface Commit extends Signed {
  readonly v: 1;
  /** At most 16, none twice; the first is the head that it extends. Empty for the first commit of a head. */
  readonly parents: readonly CommitHash[];
  readonly author: string;
  readonly message: string;
  readonly stateRoot: MapRoot;
  /** Root of the ledger: the map of all manifests that the commit holds. */
  readonly manifests: MapRoot;
  /** Milliseconds since 1970, as the author claims. */
  readonly time: number;
  /** Id of the database it was made for, 16 bytes. */
  readonly database?: Uint8Array;
}

const parents = refine(listOf(commitHashSchema, { greatest: MAX_PARENTS }), (list, place) => {
  const seen = new Set<string>();
  for (const [index, parent] of list.entries()) {
    const name = toHex(parent);
    if (!seen.has(name)) {
      seen.add(name);
      continue;
    }
    place.enter(index);
    throw place.refusal("names a parent twice");
  }
});

const schema: Schema<Commit> = struct<Commit>({
  v: oneOf(1),
  parents,
  author: text,
  message: text,
  stateRoot: mapRootSchema,
  manifests: mapRootSchema,
  time,
  database: optional(bytes(16)),
  ...signed,
});

/**
 * The bytes of a commit: what is hashed and stored.
 * @throws InvalidArgument - `field` is the path of what breaks a rule
 */
export function encodeCommit(commit: Commit): Uint8Array {
  return encode(write(schema, commit));
}

/**
 * A commit from its bytes, which are kept as they are and must not be changed afterwards. Signatures are not verified:
 * see `verifyObjectSignatures`.
 * @throws Malformed - not canonical, or a rule of the schema is broken: `field` is the path
 * @throws Unsupported - a version other than 1
 */
export function decodeCommit(received: Uint8Array): Received<Commit> {
  const wire = decodeMap(received);
  requireVersion(wire, "commit");
  return { object: read(schema, wire), bytes: received };
}

/** `H_commit` of a commit's bytes as received. Hashes whatever it is given: decode to know that it is a commit. */
export function commitHashOf(received: Uint8Array): CommitHash {
  return commitHash(hashTagged("commit:", received));
}
