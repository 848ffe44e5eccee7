// Manifests (FORMATS §6): seven kinds of one shape, told apart by `kind`.
import { decodeMap, encode, isValueMap } from "../codec/index.js";
import type { ValueMap } from "../codec/index.js";
import { InvalidArgument, Malformed, Unsupported } from "../errors.js";
import { hashTagged } from "../hash/index.js";
import { manifestHash } from "../hashes.js";
import type { ManifestHash } from "../hashes.js";
import {
  attestationDraftSchema,
  attestationSchema,
  documentSchema,
  embeddingSchema,
  erasureSchema,
} from "./document.js";
import type {
  AttestationDraft,
  AttestationManifest,
  DocumentManifest,
  EmbeddingManifest,
  ErasureManifest,
} from "./document.js";
import { intentSchema, provenanceSchema, runSchema } from "./run.js";
import type { IntentManifest, ProvenanceManifest, RunManifest } from "./run.js";
import { requireVersion } from "./received.js";
import type { Received } from "./received.js";
import { read, write } from "../codec/schema.js";
import type { Schema } from "../codec/schema.js";

/** The manifest type of each kind. */
export interface ManifestByKind {
  readonly document: DocumentManifest;
  readonly run: RunManifest;
  readonly intent: IntentManifest;
  readonly provenance: ProvenanceManifest;
  readonly embedding: EmbeddingManifest;
  readonly attestation: AttestationManifest;
  readonly erasure: ErasureManifest;
}

export type ManifestKind = keyof ManifestByKind;

/** Any manifest; `kind` tells which. */
export type Manifest = ManifestByKind[ManifestKind];

/** A manifest that may still want its signatures. */
export type ManifestDraft = Exclude<Manifest, AttestationManifest> | AttestationDraft;

const schemas: { readonly [K in ManifestKind]: Schema<ManifestByKind[K]> } = {
  document: documentSchema,
  run: runSchema,
  intent: intentSchema,
  provenance: provenanceSchema,
  embedding: embeddingSchema,
  attestation: attestationSchema,
  erasure: erasureSchema,
};

/** Every kind that this version knows. */
export const MANIFEST_KINDS: readonly ManifestKind[] = Object.keys(schemas) as ManifestKind[];

export function isManifestKind(text: string): text is ManifestKind {
  return Object.hasOwn(schemas, text);
}

/**
 * The bytes of a manifest: what is hashed and stored.
 * @throws InvalidArgument - `field` is the path of what breaks a rule
 */
export function encodeManifest(manifest: Manifest): Uint8Array {
  return encode(write(schemas[kindToWrite(manifest)] as Schema<Manifest>, manifest));
}

/**
 * The bytes of a manifest that is about to be signed: as `encodeManifest`, but an attestation needs no signatures yet.
 * @throws InvalidArgument
 */
export function encodeManifestDraft(manifest: ManifestDraft): Uint8Array {
  const kind = kindToWrite(manifest);
  if (kind !== "attestation") return encodeManifest(manifest as Manifest);
  return encode(write(attestationDraftSchema, manifest as AttestationDraft));
}

function kindToWrite(manifest: unknown): ManifestKind {
  const kind = isValueMap(manifest) && Object.hasOwn(manifest, "kind") ? manifest["kind"] : undefined;
  if (typeof kind === "string" && isManifestKind(kind)) return kind;
  throw new InvalidArgument(`kind: expected one of ${MANIFEST_KINDS.join(", ")}`, { field: "kind" });
}

/**
 * A manifest of any kind from its bytes, which are kept as they are and must not be changed afterwards. Signatures are
 * not verified: see `verifyObjectSignatures`.
 * @throws Malformed - not canonical, or a rule of the schema is broken: `field` is the path
 * @throws Unsupported - a version other than 1, or a kind that this program does not know
 */
export function decodeManifest(received: Uint8Array): Received<Manifest> {
  const wire = decodeMap(received);
  return { object: read(schemas[kindOf(wire)] as Schema<Manifest>, wire), bytes: received };
}

/**
 * Like `decodeManifest`, for one kind.
 * @throws Malformed - also where it is a manifest of another kind
 * @throws Unsupported
 */
export function decodeManifestOf<K extends ManifestKind>(kind: K, received: Uint8Array): Received<ManifestByKind[K]> {
  const wire = decodeMap(received);
  // A kind unknown to this program is Unsupported; a known one that is not this is for the schema to refuse.
  kindOf(wire);
  return { object: read(schemas[kind] as Schema<ManifestByKind[K]>, wire), bytes: received };
}

function kindOf(wire: ValueMap): ManifestKind {
  requireVersion(wire, "manifest");
  const kind = Object.hasOwn(wire, "kind") ? wire["kind"] : undefined;
  if (typeof kind !== "string") {
    throw new Malformed(`kind: ${kind === undefined ? "is missing" : "expected text"}`, { field: "kind" });
  }
  if (isManifestKind(kind)) return kind;
  const shown = JSON.stringify(kind.slice(0, 64));
  throw new Unsupported(`manifest kind ${shown} is not known to this program`, {
    field: "kind",
    facts: { kind: shown },
  });
}

/** `H_manifest` of a manifest's bytes as received. Hashes whatever it is given: decode to know that it is a manifest. */
export function manifestHashOf(received: Uint8Array): ManifestHash {
  return manifestHash(hashTagged("manifest:", received));
}
