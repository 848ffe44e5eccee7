// What runs, intents and provenance say (FORMATS §6, formats.cddl): records about what agents did and claim.
import type { ValueMap } from "../codec/index.js";
import type { BlobHash, ManifestHash } from "../hashes.js";
import { agent, blobHashSchema, blobRef, data, digestSchema, manifestHashSchema, signed, time } from "./common.js";
import type { BlobRef, Signed } from "./common.js";
import { listOf, mapOf, number, oneOf, optional, refine, struct, text } from "../codec/schema.js";
import type { Extensible, Schema } from "../codec/schema.js";

/** A named input or output. */
export interface RunPart extends Extensible {
  readonly name: string;
  readonly blob: BlobRef;
  /** Media type. */
  readonly media?: string;
}

/** A chunk that the run was given by a search. */
export interface Retrieval extends Extensible {
  /** Hash of the chunk's bytes. */
  readonly chunk: BlobHash;
  readonly document?: ManifestHash;
  readonly score?: number;
}

/** One call of a tool. */
export interface ToolCall extends Extensible {
  readonly name: string;
  readonly id?: string;
  readonly arguments?: BlobRef;
  readonly result?: BlobRef;
  readonly error?: string;
  readonly started?: number;
  readonly ended?: number;
}

/** One run of a model: what it read, what it wrote, how it ended. */
export interface RunManifest extends Signed {
  readonly v: 1;
  readonly kind: "run";
  /** 1–256 bytes of UTF-8 without U+0000. */
  readonly agent: string;
  readonly provider: string;
  readonly model: string;
  /** Of the provider's shape. */
  readonly parameters: Readonly<ValueMap>;
  readonly systemPrompt?: BlobRef;
  readonly inputs: readonly RunPart[];
  readonly outputs: readonly RunPart[];
  readonly retrieved: readonly Retrieval[];
  readonly tools?: readonly ToolCall[];
  /** Milliseconds since 1970; the time under which the ledger files the run. */
  readonly started: number;
  /** At or after `started`. */
  readonly ended: number;
  readonly status: "ok" | "error" | "cancelled";
  readonly error?: string;
  readonly usage?: Readonly<Record<string, number>>;
  /** The intent that announced it. */
  readonly intent?: ManifestHash;
  /** The run that started it. */
  readonly parent?: ManifestHash;
  /** The run that it continues. */
  readonly previous?: ManifestHash;
}

/** A run announced before it happens. */
export interface IntentManifest extends Signed {
  readonly v: 1;
  readonly kind: "intent";
  readonly agent: string;
  readonly provider: string;
  readonly model: string;
  readonly inputs: readonly RunPart[];
  readonly time: number;
}

/** What a claim rests on. `kind` says what `hash` names. */
export interface Evidence extends Extensible {
  readonly kind: "chunk" | "blob" | "document" | "run" | "commit" | "external";
  readonly hash?: Uint8Array;
  readonly uri?: string;
  readonly note?: string;
}

/** A claim, how sure its agent is, and why. */
export interface ProvenanceManifest extends Signed {
  readonly v: 1;
  readonly kind: "provenance";
  readonly agent: string;
  readonly claim: BlobRef;
  /** 0 … 1. */
  readonly confidence: number;
  readonly evidence: readonly Evidence[];
  readonly runs: readonly ManifestHash[];
  readonly time: number;
}

const part = struct<RunPart>({ name: text, blob: blobRef, media: optional(text) });

const retrieval = struct<Retrieval>({
  chunk: blobHashSchema,
  document: optional(manifestHashSchema),
  score: optional(number),
});

const tool = struct<ToolCall>({
  name: text,
  id: optional(text),
  arguments: optional(blobRef),
  result: optional(blobRef),
  error: optional(text),
  started: optional(time),
  ended: optional(time),
});

const anyRun = struct<RunManifest>({
  v: oneOf(1),
  kind: oneOf("run"),
  agent,
  provider: text,
  model: text,
  parameters: data,
  systemPrompt: optional(blobRef),
  inputs: listOf(part),
  outputs: listOf(part),
  retrieved: listOf(retrieval),
  tools: optional(listOf(tool)),
  started: time,
  ended: time,
  status: oneOf("ok", "error", "cancelled"),
  error: optional(text),
  usage: optional(mapOf(number)),
  intent: optional(manifestHashSchema),
  parent: optional(manifestHashSchema),
  previous: optional(manifestHashSchema),
  ...signed,
});

export const runSchema: Schema<RunManifest> = refine(anyRun, (run, place) => {
  if (run.ended >= run.started) return;
  place.enter("ended");
  throw place.refusal("a run ends at or after its start");
});

export const intentSchema: Schema<IntentManifest> = struct<IntentManifest>({
  v: oneOf(1),
  kind: oneOf("intent"),
  agent,
  provider: text,
  model: text,
  inputs: listOf(part),
  time,
  ...signed,
});

const evidence = struct<Evidence>({
  kind: oneOf("chunk", "blob", "document", "run", "commit", "external"),
  hash: optional(digestSchema),
  uri: optional(text),
  note: optional(text),
});

const confidence = refine(number, (value, place) => {
  if (value < 0 || value > 1) throw place.refusal("confidence is 0 to 1");
});

export const provenanceSchema: Schema<ProvenanceManifest> = struct<ProvenanceManifest>({
  v: oneOf(1),
  kind: oneOf("provenance"),
  agent,
  claim: blobRef,
  confidence,
  evidence: listOf(evidence),
  runs: listOf(manifestHashSchema),
  time,
  ...signed,
});
