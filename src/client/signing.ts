// The two hooks for signatures: who signs what is written, and who judges the commits that are read.
import { equalBytes, toHex } from "../core/bytes.js";
import { VerificationFailed } from "../core/errors.js";
import type { CommitHash } from "../core/hashes.js";
import { publicKeyFault } from "../core/signature/index.js";
import { InvalidArgument } from "../core/errors.js";
import { countArgument, hashBytes } from "./argument.js";
import type { CommitRecord, HashArgument, ObjectSignature } from "./records.js";

/**
 * Signs commits and manifests with one key: a file (`fileSigner`), an HSM, a service. It is given exactly the bytes that
 * FORMATS §6 has signed, about 60 of them, made by this client from what its caller asked for.
 */
export interface CommitSigner {
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** Ed25519 (RFC 8032, pure) over the message: 64 bytes. What it gives is verified before it is used. */
  sign(message: Uint8Array): Promise<Uint8Array> | Uint8Array;
}

/** A commit whose bytes hash to its name, on its way to the caller. */
export interface CommitToVerify {
  readonly hash: CommitHash;
  readonly commit: CommitRecord;
  /** Same as `commit.signatures`. */
  readonly signatures: readonly ObjectSignature[];
  /** The head whose newest commit it is, by the refs under a verified checkpoint; undefined of every other commit. */
  readonly head?: string | undefined;
  /**
   * The keys that may move that head, ascending, proved complete by the refs of the same instant; undefined where there is
   * no head, or `wants` does not ask for them.
   */
  readonly headKeys?: readonly Uint8Array[] | undefined;
}

/** Judges every commit that a client reads or walks: newest ones of heads, those of tags, `commits.get`, `commits.log`. */
export interface CommitVerifier {
  /** What it needs beside the commit: each snapshot of a head then brings its keys along. */
  readonly wants?: "head-keys" | undefined;
  /** Returns to accept. @throws VerificationFailed - to refuse: it reaches whoever asked for the commit */
  verify(commit: CommitToVerify): void | Promise<void>;
}

/**
 * Accepts commits with valid signatures by keys that the caller trusts. It asks it of every commit, also of those of
 * before anybody signed.
 * @param keys - public keys, 32 bytes or 64 digits of hex
 * @param options - `required`: by how many different keys, default 1
 * @throws InvalidArgument - no key, or fewer than are required; `required` below 1
 */
export function keyring(
  keys: readonly HashArgument[],
  options: { readonly required?: number | undefined } = {},
): CommitVerifier {
  const trusted = publicKeys(keys, "keys");
  const required = countArgument(options.required ?? 1, "required", 1);
  if (trusted.length < required) {
    throw new InvalidArgument(`keys: ${required} are required, and ${trusted.length} are given`, { field: "keys" });
  }
  return {
    verify({ hash, signatures }) {
      const found = validBy(signatures, trusted);
      if (found.length >= required) return;
      const wanted = required === 1 ? "none of the trusted keys" : `${found.length} of the ${required} keys required`;
      throw notSigned(hash, signatures, `is signed by ${wanted}`);
    },
  };
}

/**
 * Accepts the newest commit of a head where a key that may move it, by the refs, has signed it. What is below it is what its
 * signer built on, and is not looked at. A head without keys is accepted: `required` refuses it.
 *
 * A head that was just given keys is refused until the first commit that one of them signs.
 */
export function headKeys(options: { readonly required?: boolean | undefined } = {}): CommitVerifier {
  return {
    wants: "head-keys",
    verify({ hash, signatures, head, headKeys: keys }) {
      if (head === undefined || keys === undefined) return;
      if (keys.length === 0 && options.required !== true) return;
      if (validBy(signatures, keys).length > 0) return;
      const why = keys.length === 0 ? "the head has no keys" : `none of its ${keys.length} keys has signed it`;
      throw notSigned(hash, signatures, `is the newest of head "${head}", and ${why}`);
    },
  };
}

/** Public keys as a caller gives them, each once. @throws InvalidArgument - no canonical point, or one of small order */
export function publicKeys(keys: readonly HashArgument[], field: string): Uint8Array[] {
  const distinct = new Map<string, Uint8Array>();
  for (const [index, key] of keys.entries()) {
    const bytes = publicKeyBytes(key, `${field}[${index}]`);
    distinct.set(toHex(bytes), bytes);
  }
  return [...distinct.values()];
}

/** @throws InvalidArgument */
export function publicKeyBytes(key: HashArgument, field: string): Uint8Array {
  const bytes = hashBytes(key, field);
  const fault = publicKeyFault(bytes);
  if (fault === undefined) return bytes;
  throw new InvalidArgument(`${field}: ${toHex(bytes)} is no public key: ${fault}`, { field });
}

/** Those of the keys that have a valid signature. */
export function validBy(signatures: readonly ObjectSignature[], keys: readonly Uint8Array[]): readonly Uint8Array[] {
  return keys.filter((key) => signatures.some((made) => equalBytes(made.publicKey, key) && made.isValid));
}

function notSigned(hash: CommitHash, signatures: readonly ObjectSignature[], what: string): VerificationFailed {
  // Whether they are valid is not worked out for those that nobody asked about.
  const by = signatures.map(({ publicKey }) => toHex(publicKey));
  const signed = by.length === 0 ? "it bears no signature" : `it bears signatures in the name of ${by.join(", ")}`;
  return new VerificationFailed(`the commit ${toHex(hash)} ${what}: ${signed}`, {
    facts: { commit: toHex(hash), signatures: String(by.length) },
  });
}
