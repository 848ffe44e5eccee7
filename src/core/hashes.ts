// The kinds of hash, told apart by the compiler. All are 32 bytes; a constructor checks that once, at the edge.
import { Malformed } from "./errors.js";

declare const brand: unique symbol;

/** A 32-byte digest of some kind. */
export type Digest = Uint8Array;
/** `H_blob` of raw content (FORMATS §5). */
export type BlobHash = Digest & { readonly [brand]: "blob" };
/** `H_manifest` of a manifest's bytes (FORMATS §6). */
export type ManifestHash = Digest & { readonly [brand]: "manifest" };
/** `H_commit` of a commit's bytes (FORMATS §6). */
export type CommitHash = Digest & { readonly [brand]: "commit" };
/** Digest of a map's root node (FORMATS §3). */
export type MapRoot = Digest & { readonly [brand]: "map root" };

function checked(bytes: Uint8Array, what: string): Uint8Array {
  if (bytes.length !== 32) throw new Malformed(`a ${what} is 32 bytes, not ${bytes.length}`);
  return bytes;
}

/** @throws Malformed - not 32 bytes */
export function blobHash(bytes: Uint8Array): BlobHash {
  return checked(bytes, "blob hash") as BlobHash;
}
/** @throws Malformed - not 32 bytes */
export function manifestHash(bytes: Uint8Array): ManifestHash {
  return checked(bytes, "manifest hash") as ManifestHash;
}
/** @throws Malformed - not 32 bytes */
export function commitHash(bytes: Uint8Array): CommitHash {
  return checked(bytes, "commit hash") as CommitHash;
}
/** @throws Malformed - not 32 bytes */
export function mapRoot(bytes: Uint8Array): MapRoot {
  return checked(bytes, "map root") as MapRoot;
}
