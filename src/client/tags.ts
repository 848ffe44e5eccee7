// Tags: listed with the proof that there are no others, made and removed.
import { equalBytes, toHex } from "../core/bytes.js";
import { InvalidArgument, VerificationFailed } from "../core/errors.js";
import { commitHash } from "../core/hashes.js";
import { MapKind, ScanVerifier, type Entry } from "../core/map/index.js";
import { commitCell, namePrefixProblem, parseRefKey, requireName, tagRange } from "../core/object/index.js";
import { CommitService } from "../../gen/neleus/v1/commit_pb.js";
import { checkArgument, hashBytes } from "./argument.js";
import { callOptions, type Connection } from "./connection.js";
import type { TagSnapshot } from "./contract.js";
import type { FollowedLog, KnownLog } from "./log.js";
import { OpenedStream } from "./opened-stream.js";
import { revealBatches, verifying } from "./received.js";
import type { HashArgument, Receipt, TagRecord } from "./records.js";
import type { Tags } from "./sections.js";
import type { CallOptions, FreshOptions, WriteOptions } from "./transport.js";

/** What tags are listed and made with. */
export interface TagsContext {
  readonly connection: Connection;
  readonly log: FollowedLog;
  readonly snapshot: (tag: string, options: CallOptions) => Promise<TagSnapshot>;
}

export class VerifiedTags implements Tags {
  readonly #context: TagsContext;

  constructor(context: TagsContext) {
    this.#context = context;
  }

  async *list(
    options: FreshOptions & { readonly prefix?: string | undefined } = {},
  ): AsyncGenerator<TagRecord, void, undefined> {
    const { connection, log } = this.#context;
    const { prefix = "" } = options;
    const problem = namePrefixProblem(prefix);
    if (problem !== undefined) throw new InvalidArgument(`prefix: ${problem}`, { field: "prefix" });
    const stream = new OpenedStream((known: KnownLog) =>
      connection.serverStream(
        CommitService.method.listTags,
        { database: connection.database, prefix, ...known },
        callOptions(options),
      ),
    );
    try {
      const { answer, seen } = await log.read(
        (known) => stream.begin(known),
        (first) => first.log,
        options,
      );
      const verifier = new ScanVerifier({ kind: MapKind.refs, root: seen.refsRoot }, tagRange(prefix));
      for await (const { nodes } of stream.from(answer)) {
        for (const reveals of revealBatches(nodes)) {
          for (const entry of verifier.push(reveals)) yield tagRecord(entry);
        }
      }
      verifier.finish();
    } finally {
      await stream.end();
    }
  }

  async create(tag: string, commit: HashArgument, options: WriteOptions = {}): Promise<Receipt> {
    checkArgument("tag", () => requireName(tag));
    const { connection, log, snapshot } = this.#context;
    const hash = commitHash(hashBytes(commit, "commit"));
    const write = log.beginWrite(options);
    const { idempotencyKey } = write;
    const request = { database: connection.database, tag, commit: hash, idempotencyKey };
    const answer = await connection.unary(CommitService.method.createTag, request, options);
    const receipt = await write.receipt(answer.receipt, options);
    if (write.mayBeEarlier(receipt)) return receipt;
    const { commitHash: named } = await snapshot(tag, callOptions(options));
    if (equalBytes(named, hash)) return receipt;
    throw new VerificationFailed(`tag "${tag}" is not at the commit ${toHex(hash)} that it was made at`, {
      facts: { tag, commit: toHex(hash), actual: toHex(named) },
    });
  }

  async delete(
    tag: string,
    options: WriteOptions & { readonly expectedCommit?: HashArgument | undefined } = {},
  ): Promise<Receipt> {
    checkArgument("tag", () => requireName(tag));
    const { connection, log } = this.#context;
    const { expectedCommit } = options;
    const expected =
      expectedCommit === undefined ? {} : { expectedCommit: commitHash(hashBytes(expectedCommit, "expectedCommit")) };
    const write = log.beginWrite(options);
    const { idempotencyKey } = write;
    const request = { database: connection.database, tag, ...expected, idempotencyKey };
    const answer = await connection.unary(CommitService.method.deleteTag, request, options);
    return write.receipt(answer.receipt, options);
  }
}

function tagRecord({ key, cell }: Entry): TagRecord {
  const ref = verifying("a key of the refs", () => parseRefKey(key));
  if (ref.kind !== "tag") throw new VerificationFailed("a key of the refs is not where it belongs");
  return { tag: ref.name, commitHash: verifying("a tag", () => commitCell.decode(cell)).commit };
}
