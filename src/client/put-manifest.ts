// Manifests that are finished here, or were elsewhere: attestations, and whatever else bears signatures.
//
// The bytes are the caller's: what is stored under their hash is what was sent, so there is nothing of the server's to check
// but its receipt.
import { InvalidArgument } from "../core/errors.js";
import { commitHash, manifestHash } from "../core/hashes.js";
import { decodeManifest, encodeManifestDraft, requireName, type ManifestDraft } from "../core/object/index.js";
import { attachSignature, signaturePayload } from "../core/signature/index.js";
import { ManifestService } from "../../gen/neleus/v1/manifest_pb.js";
import { checkArgument, countArgument, hashBytes, textArgument, textsByName } from "./argument.js";
import type { Connection } from "./connection.js";
import type { FollowedLog } from "./log.js";
import { receivedManifest } from "./object.js";
import type { HashArgument, StoredManifest } from "./records.js";
import type { AttestationOptions, PutSignedOptions } from "./sections.js";
import type { CommitSigner } from "./signing.js";

/** The bytes of an object that a manifest is, with one more signature. @throws InvalidArgument - it is not valid */
export async function withSignature(bytes: Uint8Array, signer: CommitSigner): Promise<Uint8Array> {
  const publicKey = new Uint8Array(signer.publicKey);
  const signature = new Uint8Array(await signer.sign(signaturePayload("manifest:", bytes)));
  return checkArgument("signer", () => attachSignature("manifest:", bytes, { publicKey, signature }));
}

/** See `Documents.putSignedManifest`. */
export async function putSignedManifest(
  { connection, log }: { readonly connection: Connection; readonly log: FollowedLog },
  bytes: Uint8Array,
  options: PutSignedOptions = {},
): Promise<StoredManifest> {
  const { head, idempotencyKey: given } = options;
  if (head !== undefined) checkArgument("head", () => requireName(head));
  if (head === undefined && given !== undefined) {
    const message = "idempotencyKey: a manifest without a head moves nothing, and may be put again without a key";
    throw new InvalidArgument(message, { field: "idempotencyKey" });
  }
  const sent = new Uint8Array(bytes);
  checkArgument("bytes", () => decodeManifest(sent));
  const manifest = receivedManifest(sent);
  const write = log.beginWrite(options);
  const idempotencyKey = head === undefined ? "" : write.idempotencyKey;
  const request = { database: connection.database, head: head ?? "", manifest: sent, idempotencyKey };
  const answer = await connection.unary(ManifestService.method.putSigned, request, options);
  const receipt = head === undefined ? undefined : await write.receipt(answer.receipt, options);
  return { manifest, hash: manifest.hash, receipt };
}

/** What is attested. */
export type AttestationSubject = { readonly commit: HashArgument } | { readonly manifest: HashArgument };

/** See `Documents.putAttestation`. */
export async function putAttestation(
  context: { readonly connection: Connection; readonly log: FollowedLog; readonly clock: () => number },
  subject: AttestationSubject,
  attested: {
    readonly statement: string;
    readonly options: AttestationOptions;
    readonly signer: CommitSigner | undefined;
  },
): Promise<StoredManifest> {
  const { options, signer } = attested;
  if (signer === undefined) throw new InvalidArgument("signer: an attestation is signed", { field: "signer" });
  const meta = textsByName(options.meta ?? {}, "meta");
  const draft: ManifestDraft = {
    v: 1,
    kind: "attestation",
    ...subjectOf(subject),
    statement: textArgument(attested.statement, "statement"),
    time: countArgument(options.timeMs ?? context.clock(), "timeMs"),
    ...(Object.keys(meta).length === 0 ? {} : { meta }),
  };
  return putSignedManifest(context, await withSignature(encodeManifestDraft(draft), signer), options);
}

function subjectOf(subject: AttestationSubject): {
  readonly subject: Uint8Array;
  readonly subjectTag: "commit:" | "manifest:";
} {
  if ("commit" in subject) return { subject: commitHash(hashBytes(subject.commit, "commit")), subjectTag: "commit:" };
  return { subject: manifestHash(hashBytes(subject.manifest, "manifest")), subjectTag: "manifest:" };
}
