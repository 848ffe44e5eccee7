// What several objects share (formats.cddl): references, agents, times, metadata, signatures.
import { compareBytes, isWellFormed, utf8 } from "../bytes.js";
import type { ValueMap } from "../codec/index.js";
import { blobHash, commitHash, manifestHash, mapRoot } from "../hashes.js";
import type { BlobHash, CommitHash, ManifestHash, MapRoot } from "../hashes.js";
import { MAX_AGENT_BYTES, MAX_SIGNATURES } from "../limits.js";
import {
  anything,
  bytes,
  hash,
  listOf,
  mapOf,
  oneOf,
  optional,
  positions,
  refine,
  struct,
  text,
  uint53,
} from "../codec/schema.js";
import type { Extensible, Schema } from "../codec/schema.js";

/** A blob and its claimed size in bytes: `[blob hash, size]` on the wire. */
export interface BlobRef {
  readonly hash: BlobHash;
  readonly size: number;
}

/** Ed25519 over the object without signatures (core/signature). Well-formed does not mean valid. */
export interface Signature extends Extensible {
  readonly alg: "ed25519";
  /** Public key, 32 bytes. */
  readonly key: Uint8Array;
  /** 64 bytes: R ‖ S. */
  readonly value: Uint8Array;
}

/** Free text by name. */
export type Meta = Readonly<Record<string, string>>;

/** What every signed object may have. */
export interface Signed extends Extensible {
  readonly meta?: Meta;
  /** 1–16, strictly ascending by key. */
  readonly signatures?: readonly Signature[];
}

export const blobHashSchema: Schema<BlobHash> = hash(blobHash);
export const commitHashSchema: Schema<CommitHash> = hash(commitHash);
export const manifestHashSchema: Schema<ManifestHash> = hash(manifestHash);
export const mapRootSchema: Schema<MapRoot> = hash(mapRoot);
/** A hash whose kind another field tells. */
export const digestSchema: Schema<Uint8Array> = bytes(32);

/** Milliseconds since 1970. */
export const time: Schema<number> = uint53;

export const blobRef: Schema<BlobRef> = positions<BlobRef>({ hash: blobHashSchema, size: uint53 }, "refused");

export const meta: Schema<Meta> = mapOf(text);

/** Settings of a provider's shape: any members with any values. */
export const data: Schema<Readonly<ValueMap>> = mapOf(anything);

/** What is wrong with an agent, as a sentence; undefined where nothing is. U+0000 ends an agent in a ledger key. */
export function agentProblem(value: string): string | undefined {
  // UTF-8 has no fewer bytes than UTF-16 has units: only short text is encoded.
  const isLong = value.length > MAX_AGENT_BYTES;
  if (!isLong && !isWellFormed(value)) return "an agent has no lone surrogate";
  if (value === "" || isLong || utf8(value).length > MAX_AGENT_BYTES)
    return `an agent is 1 to ${MAX_AGENT_BYTES} bytes`;
  return value.includes("\0") ? "an agent has no U+0000" : undefined;
}

export const agent: Schema<string> = refine(text, (value, place) => {
  const problem = agentProblem(value);
  if (problem !== undefined) throw place.refusal(problem);
});

const signature = struct<Signature>({ alg: oneOf("ed25519"), key: bytes(32), value: bytes(64) });

export const signatures: Schema<readonly Signature[]> = refine(
  listOf(signature, { least: 1, greatest: MAX_SIGNATURES }),
  (list, place) => {
    for (const [index, { key }] of list.entries()) {
      const previous = list[index - 1];
      if (previous === undefined || compareBytes(previous.key, key) < 0) continue;
      place.enter(index);
      throw place.refusal("signatures ascend strictly by key");
    }
  },
);

/** The members of `Signed`. */
export const signed = { meta: optional(meta), signatures: optional(signatures) };
