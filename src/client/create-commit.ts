// A commit made: what comes back is held against what was asked, and looked for where it must now stand.
//
// The head is looked at before and after, under verified checkpoints, so an earlier commit of the same words cannot pass
// for the new one; the manifests named are shown to be in its ledger. Cost: two round trips more, and one for each
// manifest. What is not shown: that the state is the one staged, where the caller does not say which root that is, as
// others may stage meanwhile; and what else the ledger holds.
//
// A signed commit is prepared, signed and submitted instead (prepare-commit.ts): then this client has made every byte of it.
import { equalBytes, toHex } from "../core/bytes.js";
import { Conflict, NotFound, VerificationFailed } from "../core/errors.js";
import type { CommitHash, ManifestHash } from "../core/hashes.js";
import { parseOrigin } from "../core/log/index.js";
import { decodeCommit, type Commit } from "../core/object/index.js";
import { CommitService } from "../../gen/neleus/v1/commit_pb.js";
import { hashBytes, sameTexts } from "./argument.js";
import { isInChain } from "./commit-chain.js";
import {
  commitFields,
  distinctHashes,
  inGroups,
  notMade,
  readingOptions,
  requireOnHead,
  type CommitContext,
  type ReadingOptions,
} from "./commit-making.js";
import { callOptions } from "./connection.js";
import { receivedCommit } from "./object.js";
import { prepareCommit } from "./prepare-commit.js";
import { verifying } from "./received.js";
import type { Committed, CommitRecord, CommitRequest } from "./records.js";
import type { CommitOptions } from "./sections.js";
import type { CommitSigner } from "./signing.js";
import { submitCommit } from "./submit-commit.js";
import type { CallOptions } from "./transport.js";

/** How often a commit is prepared and signed at most while others move its head. */
const MAX_SIGNED_ATTEMPTS = 8;

/** Makes a commit with somebody's signature. See `Database.commit`. */
export async function createSignedCommit(
  context: CommitContext,
  head: string,
  asked: { readonly request: CommitRequest; readonly options: CommitOptions; readonly signer: CommitSigner },
): Promise<Committed> {
  const { request, options, signer } = asked;
  const publicKey = new Uint8Array(signer.publicKey);
  // What was expected, and is not so, does not become so.
  const isFirm = request.expectedCommit !== undefined || request.expectedRoot !== undefined;
  for (let attempt = 1; ; attempt += 1) {
    try {
      const prepared = await prepareCommit(context, head, { request, options: readingOptions(options) });
      const signature = new Uint8Array(await signer.sign(prepared.message));
      return await submitCommit(context, prepared, { signatures: [{ publicKey, signature }], options });
    } catch (error) {
      if (!(error instanceof Conflict) || isFirm || attempt >= MAX_SIGNED_ATTEMPTS) throw error;
      options.signal?.throwIfAborted();
    }
  }
}

/** Makes a commit, checks that it says what was asked, and that the head has it now. See `Database.commit`. */
export async function createCommit(
  context: CommitContext,
  head: string,
  { request: asked, options }: { readonly request: CommitRequest; readonly options: CommitOptions },
): Promise<Committed> {
  const { connection, log } = context;
  const request = commitFields(connection, head, asked);
  const { manifests } = request;
  const call = readingOptions(options);
  const { commitHash: before } = await context.snapshot(head, call);
  const write = log.beginWrite({ ...callOptions(options), idempotencyKey: options.idempotencyKey });
  const { idempotencyKey } = write;
  const answer = await connection.unary(CommitService.method.create, { ...request, idempotencyKey }, call);
  const commit = receivedCommit(answer.commit);
  requireAsAsked(commit, asked, log.trust.origin);
  const receipt = await write.receipt(answer.receipt, call);
  if (!write.mayBeEarlier(receipt)) await requireNewOnHead(context, { head, commit, before }, call);
  await requireInLedger(context, { commit, manifests }, callOptions(options));
  return { commit, hash: commit.hash, receipt };
}

function requireAsAsked(commit: CommitRecord, asked: CommitRequest, origin: string): void {
  const { object } = verifying("the commit", () => decodeCommit(commit.bytes));
  const wrong = wrongMember(object, asked, origin);
  if (wrong === undefined) return;
  throw new VerificationFailed(`the commit ${toHex(commit.hash)} does not have the ${wrong} that was asked for`, {
    facts: { commit: toHex(commit.hash), member: wrong },
    evidence: commit.bytes,
  });
}

function wrongMember(commit: Commit, asked: CommitRequest, origin: string): string | undefined {
  if (commit.author !== asked.author) return "author";
  if (commit.message !== asked.message) return "message";
  if (asked.timeMs !== undefined && commit.time !== asked.timeMs) return "time";
  if (!sameTexts(commit.meta ?? {}, asked.meta ?? {})) return "meta";
  // Nobody was asked to sign it.
  if (commit.signatures !== undefined) return "signatures";
  const { database } = commit;
  if (database !== undefined && !equalBytes(database, parseOrigin(origin).databaseId)) return "database";
  const { expectedCommit, expectedRoot } = asked;
  if (expectedRoot !== undefined && !equalBytes(commit.stateRoot, hashBytes(expectedRoot, "expectedRoot"))) {
    return "state root";
  }
  const [parent, ...others] = commit.parents;
  // This makes no merges.
  if (others.length > 0) return "parents";
  if (expectedCommit === null && parent !== undefined) return "parents";
  if (expectedCommit === undefined || expectedCommit === null) return undefined;
  const isExpected = parent !== undefined && equalBytes(parent, hashBytes(expectedCommit, "expectedCommit"));
  return isExpected ? undefined : "parents";
}

/** The head has the commit, above what was the newest before it was asked for. @throws VerificationFailed */
async function requireNewOnHead(
  context: CommitContext,
  made: { readonly head: string; readonly commit: CommitRecord; readonly before: CommitHash | undefined },
  options: ReadingOptions,
): Promise<void> {
  const { head, commit, before } = made;
  await requireOnHead(context, made, options);
  if (before === undefined) return;
  const [parent] = commit.parents;
  const isAbove =
    parent !== undefined && (await isInChain(context.commits, { start: parent, sought: before }, options));
  if (isAbove) return;
  const message = `the commit ${toHex(commit.hash)} does not extend what head "${head}" had before it was made`;
  throw notMade(made, message, before);
}

/** The ledger of the commit must hold the manifests that were named. */
async function requireInLedger(
  context: CommitContext,
  made: { readonly commit: CommitRecord; readonly manifests: readonly ManifestHash[] },
  options: CallOptions,
): Promise<void> {
  const { commit } = made;
  await inGroups(distinctHashes(made.manifests), (manifest) => requireManifest(context, { commit, manifest }, options));
}

async function requireManifest(
  { proofs }: CommitContext,
  wanted: { readonly commit: CommitRecord; readonly manifest: ManifestHash },
  options: CallOptions,
): Promise<void> {
  const { commit, manifest } = wanted;
  try {
    await proofs.manifest(manifest, { commit: commit.hash }, options);
  } catch (cause) {
    if (!(cause instanceof NotFound)) throw cause;
    const message = `the ledger of the commit ${toHex(commit.hash)} is not shown to hold ${toHex(manifest)}`;
    throw new VerificationFailed(
      message,
      { facts: { commit: toHex(commit.hash), manifest: toHex(manifest) }, evidence: commit.bytes },
      { cause },
    );
  }
}
