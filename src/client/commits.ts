// Commits: made, fetched by hash, and walked along first parents.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { equalBytes, toHex } from "../core/bytes.js";
import { IncompleteProof, VerificationFailed } from "../core/errors.js";
import { commitHash, type CommitHash } from "../core/hashes.js";
import { requireName } from "../core/object/index.js";
import { CommitService, type CommitServiceCreateRequestSchema } from "../../gen/neleus/v1/commit_pb.js";
import { checkArgument, countArgument, hashBytes, textArgument, textsByName } from "./argument.js";
import { callOptions, type Connection } from "./connection.js";
import type { Committed, CommitRequest, Snapshot } from "./contract.js";
import type { FollowedLog } from "./log.js";
import { receivedCommit } from "./object.js";
import type { CommitRecord, HashArgument } from "./records.js";
import type { Commits } from "./sections.js";
import type { CallOptions } from "./transport.js";

/** The bytes of an expected commit: none is the empty string. */
export function expectedCommitBytes(expected: HashArgument | null): Uint8Array {
  return expected === null ? new Uint8Array(0) : hashBytes(expected, "expectedCommit");
}

/** What making a commit takes. */
export interface CommitContext {
  readonly connection: Connection;
  readonly log: FollowedLog;
  readonly commits: Commits;
  readonly snapshot: (head: string, options: CallOptions) => Promise<Snapshot>;
}

/** Makes a commit, checks that it says what was asked, and that the head has it. See `Database.commit`. */
export async function createCommit(
  context: CommitContext,
  head: string,
  asked: CommitRequest & CallOptions,
): Promise<Committed> {
  checkArgument("head", () => requireName(head));
  for (const field of ["author", "message"] as const) textArgument(asked[field], field);
  const { connection, log } = context;
  const request: MessageInitShape<typeof CommitServiceCreateRequestSchema> = {
    database: connection.database,
    head,
    author: asked.author,
    message: asked.message,
    ...(asked.timeMs === undefined ? {} : { time: BigInt(countArgument(asked.timeMs, "timeMs")) }),
    meta: textsByName(asked.meta ?? {}, "meta"),
    manifests: (asked.manifests ?? []).map((hash, index) => hashBytes(hash, `manifests[${index}]`)),
    ...(asked.expectedCommit === undefined ? {} : { expectedCommit: expectedCommitBytes(asked.expectedCommit) }),
  };
  const write = log.beginWrite();
  const answer = await connection.unary(CommitService.method.create, request, asked);
  const commit = receivedCommit(answer.commit);
  requireAsAsked(commit, asked);
  const receipt = await write.receipt(answer.receipt, asked);
  await requireOnHead(context, { head, commit }, asked);
  return { commit, hash: commit.hash, receipt };
}

/** Commits of others that may have been made on a head while one of ours was confirmed. */
const MAX_LATER_COMMITS = 1_000;

/** The refs under a verified checkpoint must have the commit: as the newest of its head, or below what others added. */
async function requireOnHead(
  context: CommitContext,
  made: { readonly head: string; readonly commit: CommitRecord },
  options: CallOptions,
): Promise<void> {
  const { hash } = made.commit;
  const call = callOptions(options);
  const { commitHash: newest } = await context.snapshot(made.head, call);
  if (newest !== undefined && equalBytes(newest, hash)) return;
  if (newest !== undefined) {
    for await (const commit of context.commits.log({ commit: newest }, { ...call, limit: MAX_LATER_COMMITS })) {
      if (equalBytes(commit.hash, hash)) return;
    }
  }
  throw new VerificationFailed(`head "${made.head}" does not have the commit ${toHex(hash)} that was made on it`, {
    facts: { head: made.head, commit: toHex(hash) },
    evidence: made.commit.bytes,
  });
}

function requireAsAsked(commit: CommitRecord, asked: CommitRequest): void {
  const wrong = wrongMember(commit, asked);
  if (wrong === undefined) return;
  throw new VerificationFailed(`the commit ${toHex(commit.hash)} does not have the ${wrong} that was asked for`, {
    facts: { commit: toHex(commit.hash), member: wrong },
    evidence: commit.bytes,
  });
}

function wrongMember(commit: CommitRecord, asked: CommitRequest): string | undefined {
  if (commit.author !== asked.author) return "author";
  if (commit.message !== asked.message) return "message";
  if (asked.timeMs !== undefined && commit.timeMs !== asked.timeMs) return "time";
  if (!sameMeta(commit.meta, asked.meta ?? {})) return "meta";
  const { expectedCommit } = asked;
  const [parent, ...others] = commit.parents;
  // This makes no merges.
  if (others.length > 0) return "parents";
  if (expectedCommit === null && parent !== undefined) return "parents";
  if (expectedCommit === undefined || expectedCommit === null) return undefined;
  const isExpected = parent !== undefined && equalBytes(parent, hashBytes(expectedCommit, "expectedCommit"));
  return isExpected ? undefined : "parents";
}

/** True for the same names with the same texts. */
export function sameMeta(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && a[name] === b[name]);
}

export class VerifiedCommits implements Commits {
  readonly #connection: Connection;
  readonly #snapshot: (head: string, options: CallOptions) => Promise<Snapshot>;

  constructor(connection: Connection, snapshot: (head: string, options: CallOptions) => Promise<Snapshot>) {
    this.#connection = connection;
    this.#snapshot = snapshot;
  }

  async get(hash: HashArgument, options: CallOptions = {}): Promise<CommitRecord> {
    const commit = commitHash(hashBytes(hash, "hash"));
    const { database } = this.#connection;
    const answer = await this.#connection.unary(CommitService.method.get, { database, commit }, options);
    return receivedCommit(answer.commit, commit);
  }

  async *log(
    start: { readonly head: string } | { readonly commit: HashArgument },
    options: CallOptions & { readonly limit?: number | undefined } = {},
  ): AsyncGenerator<CommitRecord, void, undefined> {
    const limit = options.limit === undefined ? Infinity : countArgument(options.limit, "limit", 1);
    const first =
      "head" in start
        ? (await this.#snapshot(start.head, options)).commitHash
        : commitHash(hashBytes(start.commit, "commit"));
    if (first !== undefined) yield* this.#chain(first, limit, options);
  }

  /** Every commit is named by the one before it, so nothing can be left out, added or altered. */
  async *#chain(first: CommitHash, limit: number, options: CallOptions): AsyncGenerator<CommitRecord, void, undefined> {
    const request = {
      database: this.#connection.database,
      start: { case: "commit" as const, value: first },
      ...(limit === Infinity ? {} : { limit: BigInt(limit) }),
    };
    let next: CommitHash | undefined = first;
    let count = 0;
    for await (const { commits } of this.#connection.serverStream(CommitService.method.log, request, options)) {
      for (const bytes of commits) {
        if (next === undefined || count === limit) {
          throw new VerificationFailed("the log goes on after its end", { evidence: new Uint8Array(bytes) });
        }
        const commit: CommitRecord = receivedCommit(bytes, next);
        [next] = commit.parents;
        count += 1;
        yield commit;
      }
    }
    if (next === undefined || count === limit) return;
    throw new IncompleteProof(`the log ends before the commit ${toHex(next)}`, { facts: { commit: toHex(next) } });
  }
}
