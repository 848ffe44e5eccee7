// Commits and manifests: kept as received, under the hash of their bytes, and held against it whenever they are read
// (FORMATS §6). Which of the two an object is shows in the hash alone, so it is computed even without `verify_on_read`.
import { equalBytes, toHex } from "../core/bytes.js";
import { Corrupt, InvalidArgument } from "../core/errors.js";
import { blobHash, commitHash, manifestHash } from "../core/hashes.js";
import type { Digest } from "../core/hashes.js";
import { commitHashOf, decodeCommit, decodeManifest, manifestHashOf } from "../core/object/index.js";
import type { Row, Store, SyncReader } from "../store/contract.js";
import { fromStore, requireHashBytes } from "./boundary.js";
import type { StoredCommit, StoredManifest } from "./view-contract.js";
import type { Draft } from "./draft.js";
import { missingHash } from "./missing.js";

type ObjectKind = "commit" | "manifest";

export class StoredObjects {
  readonly #rows: SyncReader;
  readonly #files: Store["files"];

  constructor(options: { readonly rows: SyncReader; readonly store: Store }) {
    this.#rows = options.rows;
    this.#files = options.store.files;
  }

  /**
   * A commit that somebody names. `field` is the request's name for it.
   * @throws NotFound - kind `commit` @throws InvalidArgument - not 32 bytes, or the hash of something else
   * @throws Corrupt
   */
  async commit(hash: Uint8Array, field = "commit"): Promise<StoredCommit> {
    const name = commitHash(requireHashBytes(field, hash));
    const bytes = await this.#object("commit", name, field);
    return { hash: name, ...fromStore(`commit ${toHex(name)}`, () => decodeCommit(bytes)) };
  }

  /** A manifest, likewise. @throws NotFound @throws InvalidArgument @throws Corrupt @throws Unsupported - its kind */
  async manifest(hash: Uint8Array, field = "manifest"): Promise<StoredManifest> {
    const name = manifestHash(requireHashBytes(field, hash));
    const bytes = await this.#object("manifest", name, field);
    return { hash: name, ...fromStore(`manifest ${toHex(name)}`, () => decodeManifest(bytes)) };
  }

  /** A commit that a ref or another commit names: its absence is damage. @throws Corrupt */
  commitReferred(hash: Digest, by: string): StoredCommit {
    const bytes = this.#referred("commit", hash, by);
    return { hash: commitHash(hash), ...fromStore(`commit ${toHex(hash)}`, () => decodeCommit(bytes)) };
  }

  /** A manifest, likewise. @throws Corrupt */
  manifestReferred(hash: Digest, by: string): StoredManifest {
    const bytes = this.#referred("manifest", hash, by);
    return { hash: manifestHash(hash), ...fromStore(`manifest ${toHex(hash)}`, () => decodeManifest(bytes)) };
  }

  /**
   * The first parent of a commit, or undefined. Both are looked up in one turn: where the commit itself is gone, it was freed
   * with all before it. @throws NotFound @throws Corrupt
   */
  parentOf({ hash, object }: StoredCommit): StoredCommit | undefined {
    const [parent] = object.parents;
    if (parent === undefined) return undefined;
    if (!this.#rows.has("objects", hash)) throw missingHash("commit", hash);
    return this.commitReferred(parent, `commit ${toHex(hash)}`);
  }

  /**
   * To be called in the round that has a ref name a commit: until then it may be freed.
   * @throws NotFound - kind `commit`: it was
   */
  relyOn(draft: Pick<Draft, "require">, commit: Digest): void {
    if (!this.#rows.has("objects", commit)) throw missingHash("commit", commit);
    draft.require([{ space: "objects", key: commit }]);
  }

  #referred(kind: ObjectKind, hash: Digest, by: string): Uint8Array {
    const bytes = hash.length === 32 ? this.#rows.get("objects", hash) : undefined;
    if (bytes !== undefined && objectKind(bytes, hash) === kind) return bytes;
    const hex = toHex(hash);
    throw new Corrupt(`${kind} ${hex}, which ${by} names, is missing`, {
      hint: "restore the database from a backup",
      facts: { kind, hash: hex },
    });
  }

  async #object(kind: ObjectKind, hash: Digest, field: string): Promise<Uint8Array> {
    const bytes = this.#rows.get("objects", hash);
    if (bytes === undefined) {
      const other = await this.#otherKind(hash);
      throw other === undefined ? missingHash(kind, hash) : wrongKind({ field, wanted: kind, found: other, hash });
    }
    const found = objectKind(bytes, hash);
    if (found !== kind) throw wrongKind({ field, wanted: kind, found, hash });
    return bytes;
  }

  /** What else has this hash. */
  async #otherKind(hash: Digest): Promise<string | undefined> {
    if (this.#rows.has("nodes", hash)) return "map node";
    const isBlob = this.#rows.has("blobs", hash) || (await this.#files.has(blobHash(hash)));
    return isBlob ? "blob" : undefined;
  }
}

/** The row of an object. */
export function objectRow(hash: Digest, bytes: Uint8Array): Row {
  return { space: "objects", key: hash, value: bytes };
}

/** @throws Corrupt - the bytes are neither the commit nor the manifest of this hash */
function objectKind(bytes: Uint8Array, hash: Digest): ObjectKind {
  if (equalBytes(commitHashOf(bytes), hash)) return "commit";
  if (equalBytes(manifestHashOf(bytes), hash)) return "manifest";
  const hex = toHex(hash);
  throw new Corrupt(`object ${hex}: the stored bytes do not match the hash`, {
    hint: "the stored bytes were changed or damaged; restore the database from a backup",
    facts: { hash: hex, kind: "object" },
  });
}

function wrongKind(found: { field: string; wanted: ObjectKind; found: string; hash: Digest }): InvalidArgument {
  const hex = toHex(found.hash);
  return new InvalidArgument(`${found.field}: ${hex} is the hash of a ${found.found}, not of a ${found.wanted}`, {
    field: found.field,
    facts: { kind: found.found, hash: hex },
  });
}
