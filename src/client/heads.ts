// Heads: listed with the proof that there are no others, made and removed.
import { toHex, utf8 } from "../core/bytes.js";
import { VerificationFailed } from "../core/errors.js";
import { commitHash, type CommitHash, type Digest } from "../core/hashes.js";
import { MapKind, ScanVerifier, type Entry } from "../core/map/index.js";
import { commitCell, parseRefKey, requireName, stagedCell } from "../core/object/index.js";
import { CommitService } from "../../gen/neleus/v1/commit_pb.js";
import type { NodeReveal } from "../../gen/neleus/v1/proof_pb.js";
import { checkArgument, expectedCommitBytes, hashBytes } from "./argument.js";
import { isInChain } from "./commit-chain.js";
import { callOptions, type Connection } from "./connection.js";
import type { Snapshot } from "./contract.js";
import { listHeadKeys, setHeadKeys } from "./head-keys.js";
import type { FollowedLog } from "./log.js";
import { revealBatches, verifying } from "./received.js";
import type { HashArgument, HeadRecord, Receipt } from "./records.js";
import type { Commits, Heads, ResetHeadOptions } from "./sections.js";
import type { CallOptions, FreshOptions, WriteOptions } from "./transport.js";

/** The ranges of refs that ListHeads proves: from the prefix to the first key after all that begin with it. */
const HEADS = { from: utf8("heads/"), to: utf8("heads0") };
const STATES = { from: utf8("states/"), to: utf8("states0") };

/** What heads are listed and made with. */
export interface HeadsContext {
  readonly connection: Connection;
  readonly log: FollowedLog;
  readonly commits: Commits;
  readonly snapshot: (head: string, options: CallOptions) => Promise<Snapshot>;
}

export class VerifiedHeads implements Heads {
  readonly #context: HeadsContext;
  readonly #connection: Connection;
  readonly #log: FollowedLog;

  constructor(context: HeadsContext) {
    this.#context = context;
    this.#connection = context.connection;
    this.#log = context.log;
  }

  async list(options: FreshOptions = {}): Promise<HeadRecord[]> {
    const { database } = this.#connection;
    const { answer, seen } = await this.#log.read(
      (known) => this.#connection.unary(CommitService.method.listHeads, { database, ...known }, options),
      ({ log }) => log,
      options,
    );
    const commits = commitsByHead(provedRange(seen.refsRoot, HEADS, answer.heads));
    const heads = provedRange(seen.refsRoot, STATES, answer.states).map((entry) => headRecord(entry, commits));
    if (commits.size === 0) return heads;
    throw new VerificationFailed(
      `the refs have commits for heads without staged roots: ${[...commits.keys()].join(", ")}`,
    );
  }

  async create(
    head: string,
    options: WriteOptions & { readonly commit?: HashArgument | undefined } = {},
  ): Promise<Receipt> {
    checkArgument("head", () => requireName(head));
    const commit = options.commit === undefined ? undefined : commitHash(hashBytes(options.commit, "commit"));
    const { database } = this.#connection;
    const write = this.#log.beginWrite(options);
    const { idempotencyKey } = write;
    const answer = await this.#connection.unary(
      CommitService.method.createHead,
      { database, head, ...(commit === undefined ? {} : { commit }), idempotencyKey },
      options,
    );
    const receipt = await write.receipt(answer.receipt, options);
    if (!write.mayBeEarlier(receipt)) await this.#requirePut(head, commit, callOptions(options));
    return receipt;
  }

  async reset(head: string, options: ResetHeadOptions): Promise<Receipt> {
    checkArgument("head", () => requireName(head));
    const { expectedCommit, expectedRoot } = options;
    const commit = options.commit === null ? undefined : commitHash(hashBytes(options.commit, "commit"));
    const { database } = this.#connection;
    const write = this.#log.beginWrite(options);
    const { idempotencyKey } = write;
    const answer = await this.#connection.unary(
      CommitService.method.resetHead,
      {
        database,
        head,
        ...(commit === undefined ? {} : { commit }),
        ...(expectedCommit === undefined ? {} : { expectedCommit: expectedCommitBytes(expectedCommit) }),
        ...(expectedRoot === undefined ? {} : { expectedRoot: hashBytes(expectedRoot, "expectedRoot") }),
        idempotencyKey,
      },
      options,
    );
    const receipt = await write.receipt(answer.receipt, options);
    if (!write.mayBeEarlier(receipt)) await this.#requirePut(head, commit, callOptions(options));
    return receipt;
  }

  /** The refs under a verified checkpoint must have the head, at the commit it was put at or above what others added. */
  async #requirePut(head: string, commit: CommitHash | undefined, options: CallOptions): Promise<void> {
    const { commits, snapshot } = this.#context;
    const { commitHash: newest } = await snapshot(head, options);
    if (commit === undefined) return;
    if (newest !== undefined && (await isInChain(commits, { start: newest, sought: commit }, options))) return;
    throw new VerificationFailed(`head "${head}" is not at the commit ${toHex(commit)} that it was put at`, {
      facts: { head, commit: toHex(commit) },
    });
  }

  async delete(
    head: string,
    options: WriteOptions & { readonly expectedCommit?: HashArgument | null | undefined } = {},
  ): Promise<Receipt> {
    checkArgument("head", () => requireName(head));
    const { expectedCommit } = options;
    const expected = expectedCommit === undefined ? {} : { expectedCommit: expectedCommitBytes(expectedCommit) };
    const { database } = this.#connection;
    const write = this.#log.beginWrite(options);
    const { idempotencyKey } = write;
    const answer = await this.#connection.unary(
      CommitService.method.deleteHead,
      { database, head, ...expected, idempotencyKey },
      options,
    );
    return write.receipt(answer.receipt, options);
  }

  async keys(head: string, options: FreshOptions = {}): Promise<Uint8Array[]> {
    return listHeadKeys(this.#context, head, options);
  }

  async setKeys(
    head: string,
    keys: readonly HashArgument[],
    options: WriteOptions & { readonly expectedKeys?: readonly HashArgument[] | undefined } = {},
  ): Promise<Receipt> {
    return setHeadKeys(this.#context, head, { keys, options });
  }
}

function provedRange(
  refsRoot: Digest,
  range: { readonly from: Uint8Array; readonly to: Uint8Array },
  nodes: readonly NodeReveal[],
): Entry[] {
  const verifier = new ScanVerifier({ kind: MapKind.refs, root: refsRoot }, range);
  const entries: Entry[] = [];
  for (const reveals of revealBatches(nodes)) entries.push(...verifier.push(reveals));
  verifier.finish();
  return entries;
}

function commitsByHead(entries: readonly Entry[]): Map<string, CommitHash> {
  return new Map(
    entries.map(({ key, cell }) => [nameOf(key), verifying("a head", () => commitCell.decode(cell)).commit]),
  );
}

/** The head of a staged entry, with its commit, which is taken out of the map. */
function headRecord({ key, cell }: Entry, commits: Map<string, CommitHash>): HeadRecord {
  const head = nameOf(key);
  const { stateRoot, ledgerRoot } = verifying("staged roots", () => stagedCell.decode(cell));
  const hash = commits.get(head);
  commits.delete(head);
  return { head, commitHash: hash, stagedStateRoot: stateRoot, stagedLedgerRoot: ledgerRoot };
}

function nameOf(key: Uint8Array): string {
  const ref = verifying("a key of the refs", () => parseRefKey(key));
  if (ref.kind === "head" || ref.kind === "staged") return ref.name;
  throw new VerificationFailed("a key of the refs is not where it belongs");
}
