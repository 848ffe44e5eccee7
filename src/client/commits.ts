// Commits fetched by hash, and walked along first parents.
import { toHex } from "../core/bytes.js";
import { IncompleteProof, VerificationFailed } from "../core/errors.js";
import { commitHash, type CommitHash } from "../core/hashes.js";
import type { MadeSignature } from "../core/signature/index.js";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { CommitService, type CommitServiceLogRequestSchema } from "../../gen/neleus/v1/commit_pb.js";
import { countArgument, hashBytes } from "./argument.js";
import type { CommitChecking, VerifierOptions } from "./commit-checking.js";
import type { Connection } from "./connection.js";
import type { CommitContext } from "./commit-making.js";
import { prepareCommit } from "./prepare-commit.js";
import { submitCommit } from "./submit-commit.js";
import { receivedCommit } from "./object.js";
import type { Committed, CommitRecord, CommitRequest, HashArgument } from "./records.js";
import type { Commits, CommitToSubmit, LogOptions, PreparedCommit, PrepareOptions } from "./sections.js";
import type { CallOptions, FreshOptions, WriteOptions } from "./transport.js";

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
  options: FreshOptions & VerifierOptions,
) => Promise<CommitHash | undefined>;

/** What commits are read with. */
export interface CommitsContext {
  readonly connection: Connection;
  readonly newest: NewestCommit;
  readonly checking: CommitChecking;
  /** What making one takes. */
  readonly making: () => CommitContext;
}

export class VerifiedCommits implements Commits {
  readonly #context: CommitsContext;
  readonly #connection: Connection;

  constructor(context: CommitsContext) {
    this.#context = context;
    this.#connection = context.connection;
  }

  async prepare(head: string, request: CommitRequest, options: PrepareOptions = {}): Promise<PreparedCommit> {
    return prepareCommit(this.#context.making(), head, { request, options });
  }

  async submit(
    prepared: CommitToSubmit,
    signatures: readonly MadeSignature[],
    options: WriteOptions & VerifierOptions = {},
  ): Promise<Committed> {
    return submitCommit(this.#context.making(), prepared, { signatures, options });
  }

  async get(hash: HashArgument, options: CallOptions & VerifierOptions = {}): Promise<CommitRecord> {
    const commit = commitHash(hashBytes(hash, "hash"));
    const { database } = this.#connection;
    const answer = await this.#connection.unary(CommitService.method.get, { database, commit }, options);
    const record = receivedCommit(answer.commit, commit);
    await this.#context.checking.check(record, options);
    return record;
  }

  async *log(
    start: { readonly head: string } | { readonly tag: string } | { readonly commit: HashArgument },
    options: LogOptions = {},
  ): AsyncGenerator<CommitRecord, void, undefined> {
    const limit = options.limit === undefined ? Infinity : countArgument(options.limit, "limit", 1);
    const maxBytes = options.maxBytes === undefined ? Infinity : countArgument(options.maxBytes, "maxBytes", 1);
    const first =
      "commit" in start ? commitHash(hashBytes(start.commit, "commit")) : await this.#context.newest(start, options);
    if (first !== undefined) yield* this.#checked(this.#chain(first, { limit, maxBytes, call: options }), options);
  }

  /** Each is shown to the verifier before it is handed on. */
  async *#checked(
    chain: AsyncIterable<CommitRecord>,
    options: VerifierOptions,
  ): AsyncGenerator<CommitRecord, void, undefined> {
    for await (const commit of chain) {
      await this.#context.checking.check(commit, options);
      yield commit;
    }
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
