// What documents, embeddings, attestations and erasures say (FORMATS §6, formats.cddl): records about stored content.
import type { BlobHash, ManifestHash, MapRoot } from "../hashes.js";
import {
  blobHashSchema,
  blobRef,
  digestSchema,
  manifestHashSchema,
  mapRootSchema,
  signatures,
  signed,
  time,
} from "./common.js";
import type { BlobRef, Signature, Signed } from "./common.js";
import { integer, listOf, oneOf, optional, struct, text, uint53 } from "../codec/schema.js";
import type { Extensible, Schema } from "../codec/schema.js";

/** How a document was cut. Methods known today: fixed, text, markdown, content-defined; others may follow. */
export interface ChunkingDescription extends Extensible {
  readonly method: string;
  readonly size: number;
  readonly overlap: number;
}

/** A document: a blob, and the list of its chunks. */
export interface DocumentManifest extends Signed {
  readonly v: 1;
  readonly kind: "document";
  /** Where it comes from: a path or an address. */
  readonly source: string;
  readonly title?: string;
  /** Media type. */
  readonly media?: string;
  readonly blob: BlobRef;
  readonly chunking: ChunkingDescription;
  /** Root of a map of kind 2: chunk index → chunk cell. */
  readonly chunks: MapRoot;
  readonly time: number;
}

/** Vectors for the chunks of a document: float32, little-endian, row i for chunk i. */
export interface EmbeddingManifest extends Signed {
  readonly v: 1;
  readonly kind: "embedding";
  readonly document: ManifestHash;
  readonly model: string;
  /** 1 … 65,536. */
  readonly dimensions: number;
  readonly metric: "cosine" | "dot" | "l2";
  readonly vectors: BlobRef;
  readonly time: number;
}

/** A signed statement about another object. Its signatures cover the attestation, which names its subject. */
export interface AttestationManifest extends Signed {
  readonly v: 1;
  readonly kind: "attestation";
  /** Hash of a commit or a manifest, as `subjectTag` says. */
  readonly subject: Uint8Array;
  readonly subjectTag: "commit:" | "manifest:";
  readonly statement: string;
  readonly time: number;
  readonly signatures: readonly Signature[];
}

/** An attestation that still wants its signatures. */
export type AttestationDraft = Omit<AttestationManifest, "signatures"> & Signed;

/** Says that blobs were erased, and why. */
export interface ErasureManifest extends Signed {
  readonly v: 1;
  readonly kind: "erasure";
  /** At least one. */
  readonly subjects: readonly BlobHash[];
  readonly reason: string;
  readonly time: number;
}

const chunking = struct<ChunkingDescription>({ method: text, size: uint53, overlap: uint53 });

export const documentSchema: Schema<DocumentManifest> = struct<DocumentManifest>({
  v: oneOf(1),
  kind: oneOf("document"),
  source: text,
  title: optional(text),
  media: optional(text),
  blob: blobRef,
  chunking,
  chunks: mapRootSchema,
  time,
  ...signed,
});

export const embeddingSchema: Schema<EmbeddingManifest> = struct<EmbeddingManifest>({
  v: oneOf(1),
  kind: oneOf("embedding"),
  document: manifestHashSchema,
  model: text,
  dimensions: integer({ least: 1, greatest: 65_536 }),
  metric: oneOf("cosine", "dot", "l2"),
  vectors: blobRef,
  time,
  ...signed,
});

const attestationMembers = {
  v: oneOf(1),
  kind: oneOf("attestation"),
  subject: digestSchema,
  subjectTag: oneOf("commit:", "manifest:"),
  statement: text,
  time,
  ...signed,
};

export const attestationSchema: Schema<AttestationManifest> = struct<AttestationManifest>({
  ...attestationMembers,
  signatures,
});

/** What is to be signed has no signatures yet. */
export const attestationDraftSchema: Schema<AttestationDraft> = struct<AttestationDraft>(attestationMembers);

export const erasureSchema: Schema<ErasureManifest> = struct<ErasureManifest>({
  v: oneOf(1),
  kind: oneOf("erasure"),
  subjects: listOf(blobHashSchema, { least: 1 }),
  reason: text,
  time,
  ...signed,
});
