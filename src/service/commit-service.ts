// CommitService: commits, heads and tags.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  CommitServiceCreateRequest,
  CommitServiceListTagsRequest,
  CommitServiceListTagsResponseSchema,
  CommitServiceLogRequest,
  CommitServiceLogResponseSchema,
  CommitServicePrepareRequest,
} from "../../gen/neleus/v1/commit_pb.js";
import { CommitService } from "../../gen/neleus/v1/commit_pb.js";
import { utf8 } from "../core/bytes.js";
import type { ManifestHash } from "../core/hashes.js";
import { MAX_BATCH_KEYS, MAX_OBJECT_BYTES } from "../core/limits.js";
import { scan, type KeyRange } from "../core/map/index.js";
import { tagRange } from "../core/object/index.js";
import type { CommitOptions, Committed, Database, SubmitCommitOptions } from "../database/index.js";
import { openDatabase, type ServiceEnvironment } from "./environment.js";
import type { CallContext, ServiceImplementation } from "./implementation.js";
import { messageBytes } from "./message-size.js";
import { endedBy, Pace } from "./pace.js";
import { rangeStream } from "./range-stream.js";
import { minLogSizeField, viewOf } from "./read-selector.js";
import { receiptMessage } from "./receipt.js";
import {
  commitHashField,
  copyOf,
  countWithin,
  expectedCommitField,
  forField,
  headField,
  idempotencyField,
  integerField,
  invalid,
  limitField,
  manifestHashField,
  mapRootField,
  metaField,
  namePrefixField,
  nonEmptyTextField,
  publicKeysField,
  tagField,
  textField,
} from "./request.js";
import { nodeReveal, readWithWitness } from "./reveal-message.js";
import { headKeysWitness, knownCheckpointField, logProofMessage, snapshotMessage } from "./snapshot.js";

/** Every head that has a commit, and every head: what ListHeads proves complete. */
const HEADS: KeyRange = { from: utf8("heads/"), to: utf8("heads0") };
const STATES: KeyRange = { from: utf8("states/"), to: utf8("states0") };

export function commitService(environment: ServiceEnvironment): ServiceImplementation<typeof CommitService> {
  return {
    async create(request, context) {
      const isSigned = request.signedCommit.length > 0;
      const ask = isSigned ? submitFields(request) : { ...commitFields(request), ...idempotencyField(request) };
      const database = await openDatabase(environment, request);
      const { commit, receipt } = await ("signedCommit" in ask
        ? endedBy(context.signal, database.commits.submit({ ...ask, signal: context.signal }))
        : createCommit(database, ask, context));
      return { commit: commit.bytes, receipt: receiptMessage(receipt) };
    },

    async prepare(request, { signal }) {
      const options = commitFields(request);
      const known = knownCheckpointField(request);
      const minLogSize = minLogSizeField(request);
      const database = await openDatabase(environment, request);
      await viewOf(database, { minLogSize, signal });
      const prepared = await endedBy(signal, database.commits.prepare({ ...options, signal }));
      const { view, head, bytes, transition } = prepared;
      return {
        snapshot: await snapshotMessage({ database, view, of: { head }, known }),
        commit: bytes,
        ledger: Array.from(transition.reveals(), nodeReveal),
      };
    },

    async get(request) {
      const hash = commitHashField(request.commit, "commit");
      const database = await openDatabase(environment, request);
      return { commit: (await forField("commit", database.commits.get(hash))).bytes };
    },

    log: (request, context) => log(environment, request, context),

    async listHeads(request, { signal }) {
      const known = knownCheckpointField(request);
      const minLogSize = minLogSizeField(request);
      const database = await openDatabase(environment, request);
      const view = await viewOf(database, { minLogSize, known, signal });
      const [heads, states] = [HEADS, STATES].map((range) =>
        readWithWitness(
          view,
          scan(view.refs, range, () => undefined),
        ),
      );
      return {
        log: await logProofMessage(database, view, known),
        heads: heads?.nodes ?? [],
        states: states?.nodes ?? [],
      };
    },

    async createHead(request) {
      const head = headField(request.head, "head");
      const commit = request.commit === undefined ? undefined : commitHashField(request.commit, "commit");
      const idempotency = idempotencyField(request);
      const database = await openDatabase(environment, request);
      return { receipt: receiptMessage(await database.heads.create(head, { commit, ...idempotency })) };
    },

    async deleteHead(request) {
      const head = headField(request.head, "head");
      const expectedCommit = expectedCommitField(request.expectedCommit, "expected_commit");
      const idempotency = idempotencyField(request);
      const database = await openDatabase(environment, request);
      return { receipt: receiptMessage(await database.heads.delete(head, { expectedCommit, ...idempotency })) };
    },

    async resetHead(request) {
      const head = headField(request.head, "head");
      const options = {
        commit: request.commit === undefined ? undefined : commitHashField(request.commit, "commit"),
        expectedCommit: expectedCommitField(request.expectedCommit, "expected_commit"),
        expectedRoot:
          request.expectedRoot === undefined ? undefined : mapRootField(request.expectedRoot, "expected_root"),
        ...idempotencyField(request),
      };
      const database = await openDatabase(environment, request);
      return { receipt: receiptMessage(await database.heads.reset(head, options)) };
    },

    async setHeadKeys(request) {
      const head = headField(request.head, "head");
      const { expectedKeys } = request;
      const options = {
        keys: publicKeysField(request.keys, "keys"),
        expectedKeys: expectedKeys === undefined ? undefined : publicKeysField(expectedKeys.keys, "expected_keys.keys"),
        ...idempotencyField(request),
      };
      const database = await openDatabase(environment, request);
      return { receipt: receiptMessage(await database.heads.setKeys(head, options)) };
    },

    async listHeadKeys(request, { signal }) {
      const head = headField(request.head, "head");
      const known = knownCheckpointField(request);
      const minLogSize = minLogSizeField(request);
      const database = await openDatabase(environment, request);
      const view = await viewOf(database, { minLogSize, signal });
      return { log: await logProofMessage(database, view, known), headKeys: headKeysWitness(view, head) };
    },

    async createTag(request) {
      const tag = tagField(request.tag, "tag");
      const commit = commitHashField(request.commit, "commit");
      const idempotency = idempotencyField(request);
      const database = await openDatabase(environment, request);
      return { receipt: receiptMessage(await database.tags.create(tag, commit, idempotency)) };
    },

    async deleteTag(request) {
      const tag = tagField(request.tag, "tag");
      const expectedCommit =
        request.expectedCommit === undefined ? undefined : commitHashField(request.expectedCommit, "expected_commit");
      const idempotency = idempotencyField(request);
      const database = await openDatabase(environment, request);
      return { receipt: receiptMessage(await database.tags.delete(tag, { expectedCommit, ...idempotency })) };
    },

    listTags: (request, context) => listTags(environment, request, context),
  };
}

/** What a commit is to say, and of what. Create and Prepare ask for it alike. */
function commitFields(
  request: Pick<
    CommitServicePrepareRequest,
    "head" | "author" | "message" | "time" | "meta" | "manifests" | "expectedCommit" | "expectedRoot"
  >,
): Omit<CommitOptions, "signal" | "idempotency"> {
  return {
    manifests: manifestsField(request.manifests),
    head: headField(request.head, "head"),
    author: nonEmptyTextField(request.author, "author"),
    message: textField(request.message, "message"),
    timeMs: request.time === undefined ? undefined : integerField(request.time, "time"),
    meta: metaField(request.meta, "meta"),
    expectedCommit: expectedCommitField(request.expectedCommit, "expected_commit"),
    expectedRoot: request.expectedRoot === undefined ? undefined : mapRootField(request.expectedRoot, "expected_root"),
  };
}

/** A finished commit says everything else itself. @throws InvalidArgument - something is said beside it */
function submitFields(request: CommitServiceCreateRequest): Omit<SubmitCommitOptions, "signal"> {
  const { signedCommit, author, message, time, meta, expectedCommit, expectedRoot } = request;
  const beside = [
    ["author", author !== ""],
    ["message", message !== ""],
    ["time", time !== undefined],
    ["meta", Object.keys(meta).length > 0],
    ["expected_commit", expectedCommit !== undefined],
    ["expected_root", expectedRoot !== undefined],
  ] as const;
  for (const [field, isSet] of beside) {
    if (isSet) throw invalid(field, "is said by the signed commit, and by nothing beside it", "leave it out");
  }
  if (signedCommit.length > MAX_OBJECT_BYTES) {
    throw invalid("signed_commit", `${signedCommit.length} bytes, and ${MAX_OBJECT_BYTES} is the most`);
  }
  return {
    manifests: manifestsField(request.manifests),
    head: headField(request.head, "head"),
    signedCommit: copyOf(signedCommit),
    ...idempotencyField(request),
  };
}

function manifestsField(manifests: readonly Uint8Array[]): ManifestHash[] {
  countWithin(manifests.length, { field: "manifests", name: "batch_keys", value: MAX_BATCH_KEYS });
  return manifests.map((hash, index) => manifestHashField(hash, `manifests[${index}]`));
}

/** Only where there are manifests to read is it long enough to be ended, and a small call is spared the making of a signal. */
function createCommit(database: Database, options: CommitOptions, context: CallContext): Promise<Committed> {
  const { manifests = [] } = options;
  if (manifests.length === 0) return database.commits.create(options);
  const { signal } = context;
  return endedBy(signal, database.commits.create({ ...options, signal }));
}

async function* log(
  environment: ServiceEnvironment,
  request: CommitServiceLogRequest,
  context: CallContext,
): AsyncGenerator<MessageInitShape<typeof CommitServiceLogResponseSchema>, void, undefined> {
  const start = startField(request);
  const limit = limitField(request.limit, "limit") ?? Infinity;
  const maxBytes = limitField(request.maxBytes, "max_bytes") ?? Infinity;
  const minLogSize = minLogSizeField(request);
  const database = await openDatabase(environment, request);
  await viewOf(database, { minLogSize, signal: context.signal });
  const pace = new Pace(context.signal);
  let commits: Uint8Array[] = [];
  let sizeBytes = 0;
  let sent = 0;
  let sentBytes = 0;
  for await (const commit of database.commits.log(start.at)) {
    if (pace.isDue) await pace.rest();
    if (commits.length > 0 && sizeBytes + commit.bytes.length > messageBytes(context.memory)) {
      yield { commits };
      commits = [];
      sizeBytes = 0;
    }
    commits.push(commit.bytes);
    sizeBytes += commit.bytes.length;
    sent += 1;
    sentBytes += commit.bytes.length;
    if (sent >= limit || sentBytes >= maxBytes) break;
  }
  if (commits.length > 0) yield { commits };
}

async function* listTags(
  environment: ServiceEnvironment,
  request: CommitServiceListTagsRequest,
  context: CallContext,
): AsyncGenerator<MessageInitShape<typeof CommitServiceListTagsResponseSchema>, void, undefined> {
  const range = tagRange(namePrefixField(request.prefix, "prefix"));
  const known = knownCheckpointField(request);
  const minLogSize = minLogSizeField(request);
  const { signal, memory } = context;
  const database = await openDatabase(environment, request);
  const view = await viewOf(database, { minLogSize, known, signal });
  const lease = view.hold();
  try {
    let log: Pick<MessageInitShape<typeof CommitServiceListTagsResponseSchema>, "log"> = {
      log: await logProofMessage(database, view, known),
    };
    const parts = rangeStream({ nodes: view.nodes, map: view.refs, range, pace: new Pace(signal), memory });
    for await (const { nodes } of parts) {
      yield { ...log, nodes };
      log = {};
    }
  } finally {
    lease.release();
  }
}

function startField({ start }: CommitServiceLogRequest): { at: { head: string } | { commit: Uint8Array } } {
  switch (start.case) {
    case "head":
      return { at: { head: headField(start.value, "head") } };
    case "commit":
      return { at: { commit: commitHashField(start.value, "commit") } };
    case undefined:
      throw invalid("start", "says nothing of where to start", "set head or commit");
  }
}
