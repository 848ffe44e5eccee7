// Manifests, each once: it is there, and so is what it names. What lies below a document is left to the caller, who has the
// time.
import { toHex } from "../../core/bytes.js";
import type { BlobHash } from "../../core/hashes.js";
import type { BlobRef, DocumentManifest, Manifest } from "../../core/object/index.js";
import type { DigestSet } from "../digest-set.js";
import type { ContentCheck } from "./content-check.js";
import type { Affected } from "./finding.js";
import type { CheckedObjects, ObjectKind } from "./object-check.js";

export interface ManifestCheckOptions {
  readonly objects: CheckedObjects;
  readonly content: ContentCheck;
  readonly newSet: () => DigestSet;
}

/** A document whose chunks are still to be looked at. */
export interface DocumentToCheck {
  readonly name: string;
  readonly object: DocumentManifest;
}

/** What a manifest names. */
interface References {
  readonly blobs: readonly BlobRef[];
  readonly objects: readonly { readonly kind: ObjectKind; readonly hash: Uint8Array }[];
}

export class ManifestCheck {
  readonly #options: ManifestCheckOptions;
  readonly #seen: DigestSet;
  #documents: DocumentToCheck[] = [];
  /** Blobs that were erased on record. */
  readonly erased: BlobHash[] = [];

  constructor(options: ManifestCheckOptions) {
    this.#options = options;
    this.#seen = options.newSet();
  }

  /** Something names it. `object` is undefined for a kind that this version does not know. Undefined: not there or not right. */
  require(
    hash: Uint8Array,
    affected: Affected,
  ): { readonly sizeBytes: number; readonly object: Manifest | undefined } | undefined {
    const { objects } = this.#options;
    const bytes = objects.require(hash, "manifest", affected);
    if (bytes === undefined) return undefined;
    const object = objects.manifest(hash, affected)?.object;
    if (object !== undefined && this.#seen.add(hash)) this.#look(`manifest ${toHex(hash)}`, object);
    return { sizeBytes: bytes.length, object };
  }

  /** Documents that came since the last call. */
  takeDocuments(): readonly DocumentToCheck[] {
    const documents = this.#documents;
    this.#documents = [];
    return documents;
  }

  #look(name: string, object: Manifest): void {
    const { content, objects } = this.#options;
    const { blobs, objects: named } = referencesOf(object);
    for (const blob of blobs) content.require(blob, { name });
    for (const { kind, hash } of named) objects.require(hash, kind, { name });
    if (object.kind === "document") this.#documents.push({ name, object });
    if (object.kind === "erasure") this.erased.push(...object.subjects);
  }
}

function referencesOf(object: Manifest): References {
  switch (object.kind) {
    case "document":
      return { blobs: [object.blob], objects: [] };
    case "run": {
      const { systemPrompt, inputs, outputs, tools = [], intent, parent, previous } = object;
      const ofTools = tools.flatMap(({ arguments: given, result }) => [given, result]);
      const parts = [...inputs, ...outputs].map(({ blob }) => blob);
      const documents = object.retrieved.map(({ document }) => document);
      return {
        blobs: [systemPrompt, ...parts, ...ofTools].filter((blob) => blob !== undefined),
        objects: manifests([intent, parent, previous, ...documents]),
      };
    }
    case "intent":
      return { blobs: object.inputs.map(({ blob }) => blob), objects: [] };
    case "provenance":
      return { blobs: [object.claim], objects: manifests(object.runs) };
    case "embedding":
      return { blobs: [object.vectors], objects: manifests([object.document]) };
    case "attestation":
      return {
        blobs: [],
        objects: [{ kind: object.subjectTag === "commit:" ? "commit" : "manifest", hash: object.subject }],
      };
    case "erasure":
      return { blobs: [], objects: [] };
  }
}

function manifests(hashes: readonly (Uint8Array | undefined)[]): References["objects"] {
  return hashes.flatMap((hash) => (hash === undefined ? [] : [{ kind: "manifest", hash }]));
}
