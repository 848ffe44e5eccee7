// Commits fetched by hash, and walked along first parents.
import { equalBytes, toHex } from "../core/bytes.js";
import { IncompleteProof, VerificationFailed } from "../core/errors.js";
import { commitHash, type CommitHash } from "../core/hashes.js";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { CommitService, type CommitServiceLogRequestSchema } from "../../gen/neleus/v1/commit_pb.js";
import { countArgument, hashBytes } from "./argument.js";
import type { Connection } from "./connection.js";
import { receivedCommit } from "./object.js";
import type { CommitRecord, HashArgument } from "./records.js";
import type { Commits, LogOptions } from "./sections.js";
import type { CallOptions, FreshOptions } from "./transport.js";

/** Commits of others that may have been made on a head while a write to it was under way, before it and after it each. */
const MAX_OTHER_COMMITS = 1_000;

/** True where a commit is found on the way down along first parents, not too far below. */
export async function isInChain(
  commits: Commits,
  chain: { readonly start: CommitHash; readonly sought: CommitHash },
  options: CallOptions,
): Promise<boolean> {
  const { start, sought } = chain;
  if (equalBytes(start, sought)) return true;
  for await (const { parents } of commits.log({ commit: start }, { ...options, limit: MAX_OTHER_COMMITS })) {
    const [parent] = parents;
    if (parent !== undefined && equalBytes(parent, sought)) return true;
  }
  return false;
}

/** How far down a chain is walked. */
interface ChainOptions {
  readonly limit: number;
  readonly maxBytes: number;
  readonly call: CallOptions;
}

/** A chain as far as it has come. */
class Chain {
  readonly #how: ChainOptions;
  #next: CommitHash | undefined;
  #sumBytes = 0;
  count = 0;

  constructor(first: CommitHash, how: ChainOptions) {
    this.#next = first;
    this.#how = how;
  }

  /** True at the first commit, or where a limit is reached. */
  get isComplete(): boolean {
    return this.#next === undefined || this.count >= this.#how.limit || this.#sumBytes >= this.#how.maxBytes;
  }

  /** What to ask for. */
  get rest(): MessageInitShape<typeof CommitServiceLogRequestSchema> {
    const { limit, maxBytes } = this.#how;
    return {
      start: { case: "commit", value: this.#next ?? new Uint8Array(0) },
      ...(limit === Infinity ? {} : { limit: BigInt(limit - this.count) }),
      ...(maxBytes === Infinity ? {} : { maxBytes: BigInt(maxBytes - this.#sumBytes) }),
    };
  }

  /** @throws VerificationFailed - another commit than the one before it names, or one too many */
  push(bytes: Uint8Array): CommitRecord {
    const next = this.#next;
    if (next === undefined || this.isComplete) {
      throw new VerificationFailed("the log goes on after its end", { evidence: new Uint8Array(bytes) });
    }
    const commit = receivedCommit(bytes, next);
    [this.#next] = commit.parents;
    this.count += 1;
    this.#sumBytes += bytes.length;
    return commit;
  }

  /** @throws IncompleteProof - it ends before its end */
  finish(): void {
    const next = this.#next;
    if (next === undefined || this.isComplete) return;
    throw new IncompleteProof(`the log ends before the commit ${toHex(next)}`, { facts: { commit: toHex(next) } });
  }
}

/** The commit that a head or tag is at, by a fresh snapshot. */
export type NewestCommit = (
  of: { readonly head: string } | { readonly tag: string },
  options: FreshOptions,
) => Promise<CommitHash | undefined>;

export class VerifiedCommits implements Commits {
  readonly #connection: Connection;
  readonly #newest: NewestCommit;

  constructor(connection: Connection, newest: NewestCommit) {
    this.#connection = connection;
    this.#newest = newest;
  }

  async get(hash: HashArgument, options: CallOptions = {}): Promise<CommitRecord> {
    const commit = commitHash(hashBytes(hash, "hash"));
    const { database } = this.#connection;
    const answer = await this.#connection.unary(CommitService.method.get, { database, commit }, options);
    return receivedCommit(answer.commit, commit);
  }

  async *log(
    start: { readonly head: string } | { readonly tag: string } | { readonly commit: HashArgument },
    options: LogOptions = {},
  ): AsyncGenerator<CommitRecord, void, undefined> {
    const limit = options.limit === undefined ? Infinity : countArgument(options.limit, "limit", 1);
    const maxBytes = options.maxBytes === undefined ? Infinity : countArgument(options.maxBytes, "maxBytes", 1);
    const first =
      "commit" in start ? commitHash(hashBytes(start.commit, "commit")) : await this.#newest(start, options);
    if (first !== undefined) yield* this.#chain(first, { limit, maxBytes, call: options });
  }

  /** Every commit is named by the one before it, so nothing can be left out, added or altered. */
  async *#chain(first: CommitHash, how: ChainOptions): AsyncGenerator<CommitRecord, void, undefined> {
    const chain = new Chain(first, how);
    const attempt = (call: CallOptions): AsyncGenerator<CommitRecord, void, undefined> => this.#rest(chain, call);
    yield* this.#connection.resumed({ attempt, position: () => chain.count }, how.call);
  }

  /** What is left of a chain: all of it, or where the connection was lost, from the parent of the last commit on. */
  async *#rest(chain: Chain, call: CallOptions): AsyncGenerator<CommitRecord, void, undefined> {
    const { transport, database } = this.#connection;
    if (chain.isComplete) return;
    const request = { database, ...chain.rest };
    for await (const { commits } of transport.serverStream(CommitService.method.log, request, call)) {
      for (const bytes of commits) yield chain.push(bytes);
    }
    chain.finish();
  }
}
