// ProofService: proofs that stand on their own, and the chain from a signed checkpoint down to a head.
//
// Each answer comes from one View: checkpoint, refs, commit and root fit together, whatever is written meanwhile. The
// witnesses are what the recorder of core/map noted while the read ran.
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  ProofService,
  type BlobSliceSchema,
  type ChunkProofSchema,
  type CommitProofSchema,
  type ManifestProofSchema,
  type ProofServiceProveChunkRequest,
  type ProofServiceProveCommitRequest,
  type ProofServiceProveManifestRequest,
  type ProofServiceProveRangeRequest,
  type ProofServiceProveRangeResponseSchema,
  type ProofServiceProveStateRequest,
  type ReadSelector,
  type SnapshotSchema,
  type StateProofSchema,
} from "../../gen/neleus/v1/proof_pb.js";
import { toHex } from "../core/bytes.js";
import { assert, Corrupt, NotFound } from "../core/errors.js";
import { MAX_INLINE_VALUE_BYTES } from "../core/limits.js";
import { parseCheckpointUnverified, tileWidth } from "../core/log/index.js";
import { get } from "../core/map/index.js";
import { chunkCell, chunkKey, ledgerKeysOf } from "../core/object/index.js";
import type { Database, OpenDocument, ReadPoint, StoredManifest, View } from "../database/index.js";
import { wholeSlice } from "./blob-service.js";
import { openDatabase, type ServiceEnvironment } from "./environment.js";
import type { CallContext, ServiceImplementation } from "./implementation.js";
import { inlineValue, storedCell } from "./inline-value.js";
import { listLogEntries } from "./log-entries.js";
import { proveEpoch } from "./epoch-step.js";
import { endedBy, Pace } from "./pace.js";
import { rangeField, rangeStream } from "./range-stream.js";
import {
  epochField,
  logViewOf,
  minLogSizeField,
  resolveAt,
  selectorField,
  viewOf,
  type CheckedSelector,
} from "./read-selector.js";
import {
  commitHashField,
  headField,
  integerField,
  invalid,
  keyField,
  manifestHashField,
  forField,
  tagField,
  textField,
} from "./request.js";
import { readWithWitness } from "./reveal-message.js";
import {
  cosignedMessages,
  headKeysWitness,
  knownCheckpointField,
  logProofMessage,
  snapshotMessage,
  type KnownCheckpoint,
  type SnapshotOptions,
} from "./snapshot.js";

export const STATE_PROOF_TYPE = "neleus.state-proof.v1";
export const RANGE_PROOF_TYPE = "neleus.range-proof.v1";
export const CHUNK_PROOF_TYPE = "neleus.chunk-proof.v1";
export const MANIFEST_PROOF_TYPE = "neleus.manifest-proof.v1";
export const REF_PROOF_TYPE = "neleus.ref-proof.v1";
export const COMMIT_PROOF_TYPE = "neleus.commit-proof.v1";

export function proofService(environment: ServiceEnvironment): ServiceImplementation<typeof ProofService> {
  return {
    async getSnapshot(request, { signal }) {
      const named = namedField(request);
      const known = knownCheckpointField(request);
      const maxAgeMs = request.maxAgeMs === undefined ? undefined : integerField(request.maxAgeMs, "max_age_ms");
      const minLogSize = minLogSizeField(request);
      if (request.withHeadKeys && "tag" in named) throw invalid("with_head_keys", "a tag has no keys");
      const database = await openDatabase(environment, request);
      // Asked first, so that an unknown name appends nothing to the log.
      let view = await viewOf(database, { minLogSize, known, signal });
      let of = await findNamed(view, named);
      if (maxAgeMs !== undefined) {
        await endedBy(signal, database.log.freshen({ maxAgeMs, signal }));
        view = await database.view();
        of = await findNamed(view, named);
      }
      const headKeys = request.withHeadKeys && "head" in named ? headKeysWitness(view, named.head) : [];
      return { snapshot: await snapshotMessage({ database, view, of, known }), headKeys };
    },

    async getCheckpoint(request, { signal }) {
      const known = knownCheckpointField(request);
      const minLogSize = minLogSizeField(request);
      const database = await openDatabase(environment, request);
      const view = await viewOf(database, { minLogSize, known, signal });
      const cosigned = request.withCosignatures ? await cosignedMessages(view) : [];
      return { log: await logProofMessage(database, view, known), cosigned };
    },

    async submitCosignature(request) {
      const checkpoint = textField(request.checkpoint, "checkpoint");
      const keys = request.witnessKeys.map((key, index) => textField(key, `witness_keys[${index}]`));
      const database = await openDatabase(environment, request);
      await database.log.cosign(checkpoint, keys);
      return { size: BigInt(parseCheckpointUnverified(checkpoint).size) };
    },

    async proveInclusion(request, { signal }) {
      const index = integerField(request.leafIndex, "leaf_index");
      const known = knownCheckpointField(request);
      const minLogSize = minLogSizeField(request);
      const epoch = epochField(request);
      const database = await openDatabase(environment, request);
      const view = await logViewOf(database, { epoch, minLogSize, known, signal });
      const { leaf, inclusion } = await view.logLeaf(index);
      return { log: await logProofMessage(database, view, known), leaf, inclusion: [...inclusion] };
    },

    async proveConsistency(request, { signal }) {
      const from = integerField(request.fromSize, "from_size");
      const asked = request.toSize === undefined ? undefined : integerField(request.toSize, "to_size");
      const minLogSize = minLogSizeField(request);
      const epoch = epochField(request);
      const database = await openDatabase(environment, request);
      const view = await logViewOf(database, { epoch, minLogSize, signal });
      const to = asked ?? view.logSize;
      const hashes = [...(await view.logConsistency({ from, to }))];
      return { checkpoint: (await view.logProof()).checkpoint, toSize: BigInt(to), hashes };
    },

    proveEpoch: (request) => proveEpoch(environment, request),

    async getTile(request, { signal }) {
      const { level } = request;
      const index = integerField(request.index, "index");
      const epoch = epochField(request);
      const database = await openDatabase(environment, request);
      const view = await logViewOf(database, { epoch, minLogSize: undefined, signal });
      const width = request.width ?? Math.max(1, tileWidth({ level, index }, view.logSize));
      return { hashes: await view.logTile({ level, index, width }) };
    },

    listLogEntries: (request, context) => listLogEntries(environment, request, context),

    async proveState(request, context) {
      return { proof: await proveState(environment, request, context) };
    },

    proveRange: (request, context) => proveRange(environment, request, context),

    async proveManifest(request, context) {
      return { proof: await proveManifest(environment, request, context) };
    },

    async proveRef(request, { signal }) {
      const named = namedField(request);
      const known = knownCheckpointField(request);
      const minLogSize = minLogSizeField(request);
      const database = await openDatabase(environment, request);
      const view = await viewOf(database, { minLogSize, known, signal });
      const of = await findNamedOrUnused(view, named);
      const { withCosignatures } = request;
      const chain = await snapshotMessage({ database, view, of, known, withCosignatures });
      return { proof: { type: REF_PROOF_TYPE, present: !("unused" in of), chain } };
    },

    async proveCommit(request, context) {
      return { proof: await proveCommit(environment, request, context) };
    },

    async proveChunk(request, context) {
      return { proof: await proveChunk(environment, request, context) };
    },
  };
}

async function findNamedOrUnused(
  view: View,
  named: { head: string } | { tag: string },
): Promise<SnapshotOptions["of"]> {
  try {
    return await findNamed(view, named);
  } catch (error) {
    if (error instanceof NotFound) return { unused: named };
    throw error;
  }
}

/** What a snapshot is asked of. @throws InvalidArgument - neither head nor tag, or both, or no name */
function namedField({ head, tag }: { head: string; tag: string }): { head: string } | { tag: string } {
  if (tag === "") return { head: headField(head, "head") };
  if (head !== "") throw invalid("tag", "a head is named as well", "name one of them");
  return { tag: tagField(tag, "tag") };
}

/** @throws NotFound - kind `head` or `tag` */
async function findNamed(view: View, named: { head: string } | { tag: string }): Promise<SnapshotOptions["of"]> {
  return "tag" in named ? { tag: await view.tag(named.tag) } : { head: await view.head(named.head) };
}

/** What lies above a root: the chain of the head or tag that was named, if one was. */
interface Above {
  readonly chain?: MessageInitShape<typeof SnapshotSchema>;
  readonly staged: boolean;
}

interface ChainOptions {
  readonly database: Database;
  readonly view: View;
  readonly point: ReadPoint;
  readonly at: CheckedSelector;
  readonly known: KnownCheckpoint | undefined;
  readonly withCosignatures: boolean;
}

/**
 * What the request asks of cosignatures, which are of a log.
 * @throws InvalidArgument - its proof ends below the log
 */
function withCosignaturesField(
  { withCosignatures }: { readonly withCosignatures: boolean },
  at: CheckedSelector | undefined,
): boolean {
  const isBelow = at === undefined || "commit" in at.selector || "root" in at.selector;
  if (!withCosignatures || !isBelow) return withCosignatures;
  throw invalid(
    "with_cosignatures",
    "the proof ends below the log, which is what witnesses sign",
    "name a head or tag",
  );
}

async function chainAbove(options: ChainOptions): Promise<Above> {
  const { database, view, point, at, known, withCosignatures } = options;
  const { head, tag } = point;
  const of = head === undefined ? tag && { tag } : { head };
  if (of === undefined) return { staged: false };
  const chain = await snapshotMessage({ database, view, of, known, withCosignatures });
  return { chain, staged: "staged" in at.selector };
}

async function proveState(
  environment: ServiceEnvironment,
  request: ProofServiceProveStateRequest,
  { signal }: CallContext,
): Promise<MessageInitShape<typeof StateProofSchema>> {
  const at = selectorField(request.at, "at");
  const withCosignatures = withCosignaturesField(request, at);
  const key = keyField(request.key, "key");
  const known = knownCheckpointField(request);
  const database = await openDatabase(environment, request);
  const view = await viewOf(database, { ...at, known, signal });
  const point = await resolveAt(view, at);
  const { answer: cell, nodes } = readWithWitness(point, get(point.state, key));
  const value = cell === undefined ? undefined : await inlineValue(database, cell);
  return {
    type: STATE_PROOF_TYPE,
    root: point.state.root,
    key,
    present: cell !== undefined,
    ...(value === undefined ? {} : { value }),
    nodes,
    ...(await chainAbove({ database, view, point, at, known, withCosignatures })),
  };
}

async function* proveRange(
  environment: ServiceEnvironment,
  request: ProofServiceProveRangeRequest,
  context: CallContext,
): AsyncGenerator<MessageInitShape<typeof ProofServiceProveRangeResponseSchema>, void, undefined> {
  const at = selectorField(request.at, "at");
  const withCosignatures = withCosignaturesField(request, at);
  const range = rangeField(request);
  const known = knownCheckpointField(request);
  const database = await openDatabase(environment, request);
  const view = await viewOf(database, { ...at, known, signal: context.signal });
  const point = await resolveAt(view, at);
  const lease = point.hold();
  try {
    const above = await chainAbove({ database, view, point, at, known, withCosignatures });
    const { from, to } = range;
    const bounds = to === undefined ? { from } : { from, to };
    yield { proof: { type: RANGE_PROOF_TYPE, root: point.state.root, ...bounds, ...above } };
    const pace = new Pace(context.signal);
    const { memory } = context;
    const stream = rangeStream({ nodes: point.nodesInPassing, map: point.state, range, pace, memory });
    for await (const { nodes } of stream) yield { proof: { nodes } };
  } finally {
    lease.release();
  }
}

async function proveManifest(
  environment: ServiceEnvironment,
  request: ProofServiceProveManifestRequest,
  { signal }: CallContext,
): Promise<MessageInitShape<typeof ManifestProofSchema>> {
  const hash = manifestHashField(request.manifest, "manifest");
  const at = ledgerSelectorField(request.at);
  const withCosignatures = withCosignaturesField(request, at);
  const known = knownCheckpointField(request);
  const database = await openDatabase(environment, request);
  const view = await viewOf(database, { ...at, known, signal });
  const manifest = await forField("manifest", database.manifests.get(hash));
  const placed = await placedInLedger({ database, view, at, known, withCosignatures }, manifest);
  return { type: MANIFEST_PROOF_TYPE, manifest: manifest.bytes, ...placed };
}

/** A place that has a ledger. @throws InvalidArgument - none is named, or a bare root */
function ledgerSelectorField(at: ReadSelector | undefined): CheckedSelector {
  const checked = selectorField(at, "at");
  if (!("root" in checked.selector)) return checked;
  throw invalid("at.root", "a bare state root has no ledger to look in", "name staged, head, tag or commit");
}

/** That a manifest is in the ledger of a place, and what lies above that. */
async function placedInLedger(
  options: Omit<ChainOptions, "point">,
  manifest: StoredManifest,
): Promise<
  Pick<MessageInitShape<typeof ManifestProofSchema>, "ledgerRoot" | "ledgerNodes" | "commit" | "chain" | "staged">
> {
  const { view, at } = options;
  const point = await resolveAt(view, at);
  const above = await chainAbove({ ...options, point });
  const commit = above.chain === undefined && point.commit !== undefined ? { commit: point.commit.bytes } : {};
  return { ...ledgerWitness(manifest, point), ...commit, ...above };
}

/** That a commit is in the history of what is named. */
async function proveCommit(
  environment: ServiceEnvironment,
  request: ProofServiceProveCommitRequest,
  { signal }: CallContext,
): Promise<MessageInitShape<typeof CommitProofSchema>> {
  const named = namedField(request);
  const wanted = commitHashField(request.commit, "commit");
  const known = knownCheckpointField(request);
  const minLogSize = minLogSizeField(request);
  const database = await openDatabase(environment, request);
  const view = await viewOf(database, { minLogSize, known, signal });
  const { head, tag, commit } = await view.resolve(named);
  const of = head === undefined ? tag && { tag } : { head };
  assert(of !== undefined && commit !== undefined, "a head or tag was named, and resolved to its commit");
  const name = "tag" in named ? `tag "${named.tag}"` : `head "${named.head}"`;
  const path = await endedBy(signal, database.commits.path({ from: commit.hash, to: wanted, name, signal }));
  const { withCosignatures } = request;
  const chain = await snapshotMessage({ database, view, of, known, withCosignatures });
  return { type: COMMIT_PROOF_TYPE, path: path.map(({ bytes }) => bytes), chain };
}

async function proveChunk(
  environment: ServiceEnvironment,
  request: ProofServiceProveChunkRequest,
  { signal }: CallContext,
): Promise<MessageInitShape<typeof ChunkProofSchema>> {
  const hash = manifestHashField(request.manifest, "manifest");
  const index = integerField(request.index, "index");
  const at = request.at === undefined ? undefined : ledgerSelectorField(request.at);
  const withCosignatures = withCosignaturesField(request, at);
  const known = knownCheckpointField(request);
  const database = await openDatabase(environment, request);
  const view = await viewOf(database, { minLogSize: at?.minLogSize, known, signal });
  const document = await forField("manifest", database.documents.open(hash));
  const chunk = await chunkWitness(database, document, index);
  const proof = { type: CHUNK_PROOF_TYPE, manifest: document.manifest.bytes, index: BigInt(index), ...chunk };
  if (at === undefined) return proof;
  return { ...proof, ...(await placedInLedger({ database, view, at, known, withCosignatures }, document.manifest)) };
}

/** That the chunk stands in the list, and its bytes as a slice of the document's blob. */
async function chunkWitness(
  database: Database,
  document: OpenDocument,
  index: number,
): Promise<Pick<MessageInitShape<typeof ChunkProofSchema>, "nodes" | "slice">> {
  if (index >= document.chunkCount) {
    throw new NotFound(`the document has ${document.chunkCount} chunks, and none of index ${index}`, {
      field: "index",
      facts: { kind: "chunk", manifest: toHex(document.manifest.hash), chunks: String(document.chunkCount) },
    });
  }
  const { answer: cell, nodes } = readWithWitness(database, get(document.chunks, chunkKey(index)));
  if (cell === undefined) {
    throw new Corrupt(`the chunk list ${toHex(document.chunks.root)} has no chunk ${index}`, {
      facts: { kind: "chunk", manifest: toHex(document.manifest.hash) },
    });
  }
  const { size, offset } = storedCell(chunkCell, cell);
  if (size === 0 || size > MAX_INLINE_VALUE_BYTES) return { nodes };
  return { nodes, slice: await sliceMessage(database, document, { start: offset, end: offset + size }) };
}

async function sliceMessage(
  database: Database,
  document: OpenDocument,
  range: { readonly start: number; readonly end: number },
): Promise<MessageInitShape<typeof BlobSliceSchema>> {
  const blob = await database.blobs.open(document.blob.hash);
  try {
    const { parents, data } = await wholeSlice(blob, range);
    return { size: BigInt(blob.sizeBytes), start: BigInt(range.start), end: BigInt(range.end), parents, data };
  } finally {
    await blob.close();
  }
}

/** That the manifest is in the ledger of the point. @throws NotFound - it is not */
function ledgerWitness(
  { hash, object }: StoredManifest,
  point: ReadPoint,
): Pick<MessageInitShape<typeof ManifestProofSchema>, "ledgerRoot" | "ledgerNodes"> {
  const { ledger } = point;
  const [key] = ledgerKeysOf(object, hash);
  if (ledger === undefined || key === undefined) throw invalid("at", "has no ledger to look in");
  const { answer: cell, nodes } = readWithWitness(point, get(ledger, key));
  if (cell === undefined) {
    throw new NotFound(`the manifest ${toHex(hash)} is not in that ledger`, {
      field: "manifest",
      facts: { kind: "manifest", hash: toHex(hash), ledger_root: toHex(ledger.root) },
    });
  }
  return { ledgerRoot: ledger.root, ledgerNodes: nodes };
}
