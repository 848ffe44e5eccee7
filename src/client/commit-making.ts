// What making a commit takes, signed or not: the request, and that the head has it afterwards.
import { toHex } from "../core/bytes.js";
import { VerificationFailed } from "../core/errors.js";
import { manifestHash, type CommitHash, type ManifestHash } from "../core/hashes.js";
import { requireName } from "../core/object/index.js";
import { checkArgument, countArgument, expectedCommitBytes, hashBytes, textArgument, textsByName } from "./argument.js";
import { isInChain } from "./commit-chain.js";
import type { VerifierOptions } from "./commit-checking.js";
import { callOptions, type Connection } from "./connection.js";
import type { Snapshot } from "./contract.js";
import type { FollowedLog } from "./log.js";
import type { CommitRecord, CommitRequest, HashArgument } from "./records.js";
import type { Commits, Proofs } from "./sections.js";
import type { CommitVerifier } from "./signing.js";
import type { CallOptions } from "./transport.js";

/** Settings of the calls that look at commits. */
export type ReadingOptions = CallOptions & VerifierOptions;

/** What making a commit takes. */
export interface CommitContext {
  readonly connection: Connection;
  readonly log: FollowedLog;
  readonly commits: Commits;
  readonly proofs: Proofs;
  readonly clock: () => number;
  readonly snapshot: (head: string, options: ReadingOptions) => Promise<Snapshot>;
  /** The verifier of a call. */
  readonly verifierOf: (options: VerifierOptions) => CommitVerifier | undefined;
}

/** The settings of a call among those of one that has more. */
export function readingOptions(options: ReadingOptions): ReadingOptions {
  return { ...callOptions(options), commitVerifier: options.commitVerifier };
}

/** What a request to make a commit, or to prepare one, holds. */
export interface CommitFields {
  readonly database: string;
  readonly head: string;
  readonly author: string;
  readonly message: string;
  readonly time?: bigint;
  readonly meta: Record<string, string>;
  readonly manifests: ManifestHash[];
  readonly expectedCommit?: Uint8Array;
  readonly expectedRoot?: Uint8Array;
}

/** @throws InvalidArgument */
export function commitFields(connection: Connection, head: string, asked: CommitRequest): CommitFields {
  checkArgument("head", () => requireName(head));
  return {
    database: connection.database,
    head,
    author: textArgument(asked.author, "author"),
    message: textArgument(asked.message, "message"),
    ...(asked.timeMs === undefined ? {} : { time: BigInt(countArgument(asked.timeMs, "timeMs")) }),
    meta: textsByName(asked.meta ?? {}, "meta"),
    manifests: manifestHashes(asked.manifests),
    ...(asked.expectedCommit === undefined ? {} : { expectedCommit: expectedCommitBytes(asked.expectedCommit) }),
    ...(asked.expectedRoot === undefined ? {} : { expectedRoot: hashBytes(asked.expectedRoot, "expectedRoot") }),
  };
}

/** @throws InvalidArgument */
export function manifestHashes(manifests: readonly HashArgument[] = []): ManifestHash[] {
  return manifests.map((hash, index) => manifestHash(hashBytes(hash, `manifests[${index}]`)));
}

/** The same, each once. */
export function distinctHashes<H extends Uint8Array>(hashes: readonly H[]): H[] {
  return [...new Map(hashes.map((hash) => [toHex(hash), hash])).values()];
}

/** Manifests that are asked for at once. */
const MAX_CONCURRENT = 16;

/** Does something with each, a few at a time; results in their order. */
export async function inGroups<T, R>(items: readonly T[], action: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let first = 0; first < items.length; first += MAX_CONCURRENT) {
    results.push(...(await Promise.all(items.slice(first, first + MAX_CONCURRENT).map(action))));
  }
  return results;
}

/** A commit that was made on a head. */
export interface MadeCommit {
  readonly head: string;
  readonly commit: CommitRecord;
}

/**
 * The refs under a verified checkpoint must have the commit: as the newest of its head, or below what others added.
 * @throws VerificationFailed
 */
export async function requireOnHead(context: CommitContext, made: MadeCommit, options: ReadingOptions): Promise<void> {
  const { head, commit } = made;
  const { commitHash: newest } = await context.snapshot(head, options);
  const chain = newest && { start: newest, sought: commit.hash };
  if (chain !== undefined && (await isInChain(context.commits, chain, options))) return;
  throw notMade(made, `head "${head}" does not have the commit ${toHex(commit.hash)} that was made on it`);
}

/** The error for a commit that is not where it was made; `before` is what the head had before. */
export function notMade({ head, commit }: MadeCommit, message: string, before?: CommitHash): VerificationFailed {
  return new VerificationFailed(message, {
    facts: { head, commit: toHex(commit.hash), ...(before === undefined ? {} : { before: toHex(before) }) },
    evidence: commit.bytes,
  });
}
