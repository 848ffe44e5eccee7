// A commit made: what comes back is held against what was asked, and looked for where it must now stand.
//
// The head is looked at before and after, under verified checkpoints, so an earlier commit of the same words cannot pass
// for the new one; the manifests named are shown to be in its ledger. Cost: two round trips more, and one for each
// manifest. What is not shown: that the state is the one staged, where the caller does not say which root that is, as
// others may stage meanwhile; and what else the ledger holds.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { equalBytes, toHex } from "../core/bytes.js";
import { NotFound, VerificationFailed } from "../core/errors.js";
import { manifestHash, type CommitHash, type ManifestHash } from "../core/hashes.js";
import { parseOrigin } from "../core/log/index.js";
import { decodeCommit, requireName, type Commit } from "../core/object/index.js";
import { CommitService, type CommitServiceCreateRequestSchema } from "../../gen/neleus/v1/commit_pb.js";
import {
  checkArgument,
  countArgument,
  expectedCommitBytes,
  hashBytes,
  sameTexts,
  textArgument,
  textsByName,
} from "./argument.js";
import { isInChain } from "./commits.js";
import { callOptions, type Connection } from "./connection.js";
import type { Committed, CommitRequest, Snapshot } from "./contract.js";
import type { FollowedLog } from "./log.js";
import { receivedCommit } from "./object.js";
import { verifying } from "./received.js";
import type { CommitRecord } from "./records.js";
import type { Commits, Proofs } from "./sections.js";
import type { CallOptions, WriteOptions } from "./transport.js";

/** What making a commit takes. */
export interface CommitContext {
  readonly connection: Connection;
  readonly log: FollowedLog;
  readonly commits: Commits;
  readonly proofs: Proofs;
  readonly snapshot: (head: string, options: CallOptions) => Promise<Snapshot>;
}

/** Makes a commit, checks that it says what was asked, and that the head has it now. See `Database.commit`. */
export async function createCommit(
  context: CommitContext,
  head: string,
  asked: CommitRequest & WriteOptions,
): Promise<Committed> {
  checkArgument("head", () => requireName(head));
  const { connection, log } = context;
  const manifests = (asked.manifests ?? []).map((hash, index) => manifestHash(hashBytes(hash, `manifests[${index}]`)));
  const request: MessageInitShape<typeof CommitServiceCreateRequestSchema> = {
    database: connection.database,
    head,
    author: textArgument(asked.author, "author"),
    message: textArgument(asked.message, "message"),
    ...(asked.timeMs === undefined ? {} : { time: BigInt(countArgument(asked.timeMs, "timeMs")) }),
    meta: textsByName(asked.meta ?? {}, "meta"),
    manifests,
    ...(asked.expectedCommit === undefined ? {} : { expectedCommit: expectedCommitBytes(asked.expectedCommit) }),
    ...(asked.expectedRoot === undefined ? {} : { expectedRoot: hashBytes(asked.expectedRoot, "expectedRoot") }),
  };
  const call = callOptions(asked);
  const { commitHash: before } = await context.snapshot(head, call);
  const write = log.beginWrite({ ...call, idempotencyKey: asked.idempotencyKey });
  const { idempotencyKey } = write;
  const answer = await connection.unary(CommitService.method.create, { ...request, idempotencyKey }, call);
  const commit = receivedCommit(answer.commit);
  requireAsAsked(commit, asked, log.trust.origin);
  const receipt = await write.receipt(answer.receipt, call);
  if (!write.mayBeEarlier(receipt)) await requireNewOnHead(context, { head, commit, before }, call);
  await requireInLedger(context, { commit, manifests }, call);
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

/**
 * The refs under a verified checkpoint must have the commit: as the newest of its head or below what others added, and
 * above the one that was the newest before it was asked for.
 */
async function requireNewOnHead(
  context: CommitContext,
  made: { readonly head: string; readonly commit: CommitRecord; readonly before: CommitHash | undefined },
  options: CallOptions,
): Promise<void> {
  const { head, commit, before } = made;
  const { commitHash: newest } = await context.snapshot(head, options);
  const hasIt =
    newest !== undefined && (await isInChain(context.commits, { start: newest, sought: commit.hash }, options));
  if (!hasIt) throw notMade(made, `head "${head}" does not have the commit ${toHex(commit.hash)} that was made on it`);
  if (before === undefined) return;
  const [parent] = commit.parents;
  const isAbove =
    parent !== undefined && (await isInChain(context.commits, { start: parent, sought: before }, options));
  if (isAbove) return;
  throw notMade(made, `the commit ${toHex(commit.hash)} does not extend what head "${head}" had before it was made`);
}

function notMade(
  { head, commit, before }: { head: string; commit: CommitRecord; before: CommitHash | undefined },
  message: string,
): VerificationFailed {
  return new VerificationFailed(message, {
    facts: { head, commit: toHex(commit.hash), ...(before === undefined ? {} : { before: toHex(before) }) },
    evidence: commit.bytes,
  });
}

/** Manifests that are looked for at once. */
const MAX_CONCURRENT = 16;

/** The ledger of the commit must hold the manifests that were named. */
async function requireInLedger(
  context: CommitContext,
  made: { readonly commit: CommitRecord; readonly manifests: readonly ManifestHash[] },
  options: CallOptions,
): Promise<void> {
  const distinct = [...new Map(made.manifests.map((hash) => [toHex(hash), hash])).values()];
  for (let first = 0; first < distinct.length; first += MAX_CONCURRENT) {
    const group = distinct.slice(first, first + MAX_CONCURRENT);
    await Promise.all(group.map((manifest) => requireManifest(context, { commit: made.commit, manifest }, options)));
  }
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
