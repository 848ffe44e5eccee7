// A prepared commit with its signatures, on its way to its head.
import { equalBytes, toHex } from "../core/bytes.js";
import { InvalidArgument, VerificationFailed } from "../core/errors.js";
import { decodeCommit, requireName } from "../core/object/index.js";
import { attachSignature, type MadeSignature } from "../core/signature/index.js";
import { CommitService } from "../../gen/neleus/v1/commit_pb.js";
import { checkArgument } from "./argument.js";
import type { VerifierOptions } from "./commit-checking.js";
import { manifestHashes, readingOptions, requireOnHead, type CommitContext } from "./commit-making.js";
import { receivedCommit } from "./object.js";
import type { Committed } from "./records.js";
import type { CommitToSubmit } from "./sections.js";
import type { WriteOptions } from "./transport.js";

/** Submits a commit. See `Commits.submit`. */
export async function submitCommit(
  context: CommitContext,
  prepared: CommitToSubmit,
  {
    signatures,
    options,
  }: { readonly signatures: readonly MadeSignature[]; readonly options: WriteOptions & VerifierOptions },
): Promise<Committed> {
  const { connection, log } = context;
  const { head } = prepared;
  checkArgument("head", () => requireName(head));
  const manifests = manifestHashes(prepared.manifests);
  const signedCommit = withSignatures(prepared.bytes, signatures);
  checkArgument("bytes", () => decodeCommit(signedCommit));
  const commit = receivedCommit(signedCommit);
  const write = log.beginWrite(options);
  const { idempotencyKey } = write;
  const request = { database: connection.database, head, manifests, signedCommit, idempotencyKey };
  const answer = await connection.unary(CommitService.method.create, request, options);
  if (!equalBytes(answer.commit, signedCommit)) {
    throw new VerificationFailed(`the server answers with another commit than the signed one, ${toHex(commit.hash)}`, {
      facts: { commit: toHex(commit.hash) },
      evidence: new Uint8Array(answer.commit),
    });
  }
  const receipt = await write.receipt(answer.receipt, options);
  if (!write.mayBeEarlier(receipt)) await requireOnHead(context, { head, commit }, readingOptions(options));
  return { commit, hash: commit.hash, receipt };
}

/** @throws InvalidArgument - none, or one that is not valid: no half-signed commit is sent */
function withSignatures(bytes: Uint8Array, signatures: readonly MadeSignature[]): Uint8Array {
  if (signatures.length === 0) throw new InvalidArgument("signatures: at least one is needed", { field: "signatures" });
  let signed = new Uint8Array(bytes);
  for (const [index, made] of signatures.entries()) {
    signed = checkArgument(`signatures[${index}]`, () => new Uint8Array(attachSignature("commit:", signed, made)));
  }
  return signed;
}
