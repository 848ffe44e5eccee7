// Commits and manifests as received: hashed against the name that they were asked for by, then decoded (FORMATS §6).
import { equalBytes } from "../core/bytes.js";
import type { CommitHash, ManifestHash } from "../core/hashes.js";
import {
  commitHashOf,
  decodeCommit,
  decodeManifest,
  manifestHashOf,
  type DocumentManifest,
} from "../core/object/index.js";
import { verifying, wrongHash } from "./received.js";
import type { CommitRecord, DocumentRecord, ManifestRecord } from "./records.js";
import { lazySignaturesOf } from "./signatures.js";

/**
 * The commit in these bytes.
 * @throws VerificationFailed - they do not hash to `expected`, or are no commit
 * @throws Unsupported - a commit of another version
 */
export function receivedCommit(received: Uint8Array, expected?: CommitHash): CommitRecord {
  const bytes = new Uint8Array(received);
  const hash = commitHashOf(bytes);
  if (expected !== undefined && !equalBytes(hash, expected))
    throw wrongHash("commit", { expected, actual: hash, bytes });
  const { object } = verifying("the commit", () => decodeCommit(bytes));
  const signatures = lazySignaturesOf("commit:", bytes);
  return {
    hash,
    bytes,
    parents: object.parents,
    stateRoot: object.stateRoot,
    ledgerRoot: object.manifests,
    author: object.author,
    message: object.message,
    timeMs: object.time,
    meta: object.meta ?? {},
    get signatures() {
      return signatures();
    },
  };
}

/**
 * The manifest in these bytes.
 * @throws VerificationFailed - they do not hash to `expected`, or are no manifest
 * @throws Unsupported - a manifest of a kind or version that this program does not know
 */
export function receivedManifest(received: Uint8Array, expected?: ManifestHash): ManifestRecord | DocumentRecord {
  const bytes = new Uint8Array(received);
  const hash = manifestHashOf(bytes);
  if (expected !== undefined && !equalBytes(hash, expected))
    throw wrongHash("manifest", { expected, actual: hash, bytes });
  const { object } = verifying("the manifest", () => decodeManifest(bytes));
  if (object.kind === "document") return documentRecord(object, { hash, bytes });
  const signatures = lazySignaturesOf("manifest:", bytes);
  return {
    hash,
    bytes,
    kind: object.kind,
    object,
    get signatures() {
      return signatures();
    },
  };
}

/** True for the manifest of a document. */
export function isDocument(record: ManifestRecord | DocumentRecord): record is DocumentRecord {
  return record.kind === "document";
}

function documentRecord(
  object: DocumentManifest,
  received: { readonly hash: ManifestHash; readonly bytes: Uint8Array },
): DocumentRecord {
  const { method, size, overlap } = object.chunking;
  const signatures = lazySignaturesOf("manifest:", received.bytes);
  return {
    ...received,
    kind: "document",
    object,
    source: object.source,
    title: object.title,
    media: object.media,
    blob: { hash: object.blob.hash, sizeBytes: object.blob.size },
    chunking: { method, sizeBytes: size, overlapBytes: overlap },
    chunksRoot: object.chunks,
    timeMs: object.time,
    get signatures() {
      return signatures();
    },
  };
}
