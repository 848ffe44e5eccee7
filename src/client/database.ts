// The verifying client: one class over any transport. Everything it returns has been checked up to the pinned key; the
// contract says what each method promises.
import { InvalidArgument } from "../core/errors.js";
import { commitHash, mapRoot, type BlobHash, type MapRoot } from "../core/hashes.js";
import { hashBytes } from "./argument.js";
import { VerifiedBlob } from "./blob.js";
import { getBlobs, missingBlobs, putBlobs } from "./blob-batch.js";
import { getCapabilities } from "./capabilities.js";
import { CommitView } from "./commit-view.js";
import { VerifiedCommits } from "./commits.js";
import { callOptions, Connection } from "./connection.js";
import type {
  BatchedBlob,
  BlobHandle,
  Capabilities,
  Database,
  DiffOptions,
  FetchedBlob,
  HeadState,
  PutBlobOptions,
  SeenLog,
  Snapshot,
  SnapshotOptions,
  StateChange,
  StateView,
  TagSnapshot,
  Trust,
  WitnessedLog,
} from "./contract.js";

import { CommitChecking } from "./commit-checking.js";
import type { CommitContext, ReadingOptions } from "./commit-making.js";
import { createCommit, createSignedCommit } from "./create-commit.js";
import { getManifest, listChunks } from "./documents.js";
import { VerifiedHeadState } from "./head-state.js";
import { VerifiedHeads } from "./heads.js";
import { DEFAULT_CLOCK_TOLERANCE_MS, type Freshness } from "./freshness.js";
import { FollowedLog } from "./log.js";
import { VerifiedLogEntries } from "./log-entries.js";
import type { DatabaseOptions } from "./options.js";
import { ProofService } from "../../gen/neleus/v1/proof_pb.js";
import { receivedInteger } from "./received.js";
import { putBlob } from "./put-blob.js";
import { putDocument, putSignedDocument, type DocumentContext } from "./put-document.js";
import { putAttestation, putSignedManifest, type AttestationSubject } from "./put-manifest.js";
import { VerifiedProofs } from "./proofs.js";
import type {
  StoredBlob,
  Chunk,
  Committed,
  CommitRequest,
  ContentSource,
  DocumentRecord,
  HashArgument,
  ManifestRecord,
  RotatedKey,
  RotateKeyOptions,
  StoredDocument,
  StoredManifest,
} from "./records.js";
import type {
  AttestationOptions,
  CommitOptions,
  Commits,
  Heads,
  LogEntries,
  ProofPlace,
  Proofs,
  PutDocumentOptions,
  PutSignedOptions,
  Tags,
} from "./sections.js";
import { collectGarbage } from "./collect.js";
import type { CollectEvent, CollectOptions } from "./collect.js";
import { fsck } from "./fsck.js";
import type { FsckEvent, FsckOptions } from "./fsck.js";
import { rotateKey } from "./rotate-key.js";
import { DEFAULT_MAX_ATTEMPTS, requireMaxAttempts } from "./repetition.js";
import type { CommitSigner } from "./signing.js";
import { takeSnapshot, takeTagSnapshot, type SnapshotContext } from "./snapshot.js";
import { diffRoots, diffRootsWithValues } from "./state-diff.js";
import { VerifiedStateView } from "./state-view.js";
import { VerifiedTags } from "./tags.js";
import type { CallOptions, FreshOptions, Transport } from "./transport.js";
import { followTo } from "./epochs.js";
import { LogKey, LogTrust, presentedKey, RememberedTrust, Witnesses } from "./trust/index.js";
import type { SignatureCheckMaker, TrustPlace, TrustRecord, WitnessPolicy } from "./trust/index.js";

const DEFAULT_DATABASE = "default";

/** What a platform can do faster than portable code. */
export interface Platform {
  readonly makeSignatureCheck?: SignatureCheckMaker | undefined;
}

/**
 * A client of one database over a transport, which it closes. Asks the server once, for its key: that must be the pinned
 * one; where none is pinned it is trusted, and `onTrustOnFirstUse` is told.
 * @throws NotFound - no such database
 * @throws NewEpoch - the server has another key of the same database, and nothing that is trusted leads to it
 * @throws VerificationFailed - the server has the key of another database
 * @throws InvalidArgument - a malformed key, a checkpoint not signed by it, or one without a key
 * @throws Unavailable, … - the server cannot be reached
 */
export async function openOver(
  through: Transport,
  options: DatabaseOptions = {},
  platform: Platform = {},
): Promise<Database> {
  const transport = options.answers?.watch(through) ?? through;
  try {
    const name = options.database ?? DEFAULT_DATABASE;
    const maxAttempts = requireMaxAttempts(options.maxAttempts ?? DEFAULT_MAX_ATTEMPTS);
    // Made once: whether there is a server at all, the caller wants to know at once.
    const established = await establishTrust(new Connection(transport, name), options, platform);
    return new VerifyingDatabase(new Connection(transport, name, { maxAttempts }), established, options);
  } catch (error) {
    await transport.close();
    throw error;
  }
}

/** Whom a new client trusts, and where that is remembered. */
interface Established {
  readonly trust: LogTrust;
  readonly remembered: RememberedTrust | undefined;
  readonly makeSignatureCheck: SignatureCheckMaker | undefined;
}

async function establishTrust(
  connection: Connection,
  options: DatabaseOptions,
  platform: Platform,
): Promise<Established> {
  const { makeSignatureCheck } = platform;
  const { verifierKey: given, checkpoint, trustStore: store } = options;
  if (checkpoint !== undefined && (given === undefined || store !== undefined)) {
    const why = store === undefined ? "means nothing without the verifier key that signed it" : "is the trust store's";
    throw new InvalidArgument(`checkpoint: ${why}`, { field: "checkpoint" });
  }
  // Looked at before the server is asked, so that a malformed one is told whatever the server says.
  const asked = given === undefined ? undefined : LogKey.parse(given, makeSignatureCheck);
  const { verifierKey } = await getCapabilities(connection);
  const presented = verifierKey === given && asked ? asked : presentedKey(verifierKey, makeSignatureCheck);
  const place = placeOf(connection, presented);
  const record = await store?.load(place);
  const pinned = pinnedKey(asked, record, makeSignatureCheck);
  // What was seen under another key than the one that is pinned now says nothing of this log.
  const seen = record?.verifierKey === (pinned ?? presented).text ? record.checkpoints : [];
  const checkpoints = checkpoint === undefined ? seen : [checkpoint];
  let remembered: RememberedTrust | undefined;
  const trust = new LogTrust(pinned ?? presented, {
    checkpoints,
    onTrustChanged: (state) => {
      options.onTrustChanged?.(state);
      remembered?.changed();
    },
  });
  if (store !== undefined) {
    const clock = options.clock ?? Date.now;
    const isPinned = given !== undefined;
    const isKnown = record?.verifierKey === trust.key.text && (record.isPinned || !isPinned);
    remembered = new RememberedTrust({ store, place, clock, isPinned, isKnown, loaded: seen, trust });
  }
  if (pinned !== undefined) await followTo({ connection, trust, makeSignatureCheck }, presented);
  else {
    options.onTrustOnFirstUse?.({ ...firstUseOf(connection), origin: presented.origin, verifierKey: presented.text });
    options.onTrustChanged?.(trust.state);
  }
  await remembered?.save();
  return { trust, remembered, makeSignatureCheck };
}

function firstUseOf({ transport, database }: Connection): { readonly address: string; readonly database: string } {
  return { address: transport.address, database };
}

/** A server is known by its address: another database behind it is a surprise. A directory may well hold another one. */
function placeOf(connection: Connection, presented: LogKey): TrustPlace {
  return connection.transport.isInProcess === true ? { databaseId: presented.databaseId } : firstUseOf(connection);
}

/** The key that the caller gives, or that is remembered: also where the one was the first step on the way to the other. */
function pinnedKey(
  asked: LogKey | undefined,
  record: TrustRecord | undefined,
  makeCheck: SignatureCheckMaker | undefined,
): LogKey | undefined {
  const isWay = asked === undefined || record?.followed?.includes(asked.text) === true;
  return record !== undefined && isWay ? LogKey.parse(record.verifierKey, makeCheck) : asked;
}

class VerifyingDatabase implements Database {
  readonly trust: Trust;
  readonly commits: Commits;
  readonly heads: Heads;
  readonly tags: Tags;
  readonly logEntries: LogEntries;
  readonly proofs: Proofs;
  readonly #connection: Connection;
  readonly #log: FollowedLog;
  readonly #freshness: Freshness;
  readonly #checking: CommitChecking;
  readonly #signer: CommitSigner | undefined;
  readonly #remembered: RememberedTrust | undefined;

  constructor(
    connection: Connection,
    { trust, remembered, makeSignatureCheck }: Established,
    options: DatabaseOptions,
  ) {
    this.#connection = connection;
    this.#remembered = remembered;
    this.#freshness = {
      clock: options.clock ?? Date.now,
      clockToleranceMs: options.clockToleranceMs ?? DEFAULT_CLOCK_TOLERANCE_MS,
    };
    const { freshness, witnesses } = { freshness: this.#freshness, witnesses: options.witnesses };
    this.#log = new FollowedLog({
      connection,
      trust,
      makeSignatureCheck,
      freshness,
      witnesses: witnesses && new Witnesses(witnesses),
    });
    this.#checking = new CommitChecking(options.commitVerifier);
    this.#signer = options.signer;
    this.trust = trust;
    const tag = (name: string, call: CallOptions): Promise<TagSnapshot> => this.tag(name, call);
    this.tags = new VerifiedTags({ connection, log: this.#log, snapshot: tag });
    this.commits = new VerifiedCommits({
      connection,
      checking: this.#checking,
      making: () => this.#making,
      newest: async (of, { signal, timeoutMs, minLogSize, commitVerifier }) => {
        const call = { signal, timeoutMs, minLogSize, commitVerifier };
        const { commitHash: newest } = await ("tag" in of ? this.tag(of.tag, call) : this.snapshot(of.head, call));
        return newest;
      },
    });
    this.heads = new VerifiedHeads({
      connection,
      log: this.#log,
      commits: this.commits,
      snapshot: (head, call) => this.snapshot(head, call),
    });
    this.logEntries = new VerifiedLogEntries(connection, this.#log);
    this.proofs = new VerifiedProofs({ connection, log: this.#log, commits: this.commits });
  }

  get address(): string {
    return this.#connection.transport.address;
  }

  get name(): string {
    return this.#connection.database;
  }

  get #context(): SnapshotContext {
    return {
      connection: this.#connection,
      log: this.#log,
      freshness: this.#freshness,
      checking: this.#checking,
    };
  }

  get #filing(): DocumentContext {
    return { connection: this.#connection, log: this.#log, clock: this.#freshness.clock };
  }

  get #making(): CommitContext {
    const { commits, proofs } = this;
    return {
      connection: this.#connection,
      log: this.#log,
      commits,
      proofs,
      clock: this.#freshness.clock,
      snapshot: (head, call: ReadingOptions) => this.snapshot(head, call),
      verifierOf: (options) => this.#checking.of(options),
    };
  }

  state(head: string): HeadState {
    const snapshot = (name: string, call: CallOptions): Promise<Snapshot> => this.snapshot(name, call);
    return new VerifiedHeadState({ ...this.#context, snapshot }, head);
  }

  async snapshot(head: string, options: SnapshotOptions = {}): Promise<Snapshot> {
    return takeSnapshot(this.#context, head, options);
  }

  async tag(tag: string, options: SnapshotOptions = {}): Promise<TagSnapshot> {
    return takeTagSnapshot(this.#context, tag, options);
  }

  at(place: { readonly commit: HashArgument } | { readonly root: HashArgument }): StateView {
    if ("root" in place) return new VerifiedStateView(this.#connection, mapRoot(hashBytes(place.root, "root")));
    return new CommitView(this.#connection, this.commits, commitHash(hashBytes(place.commit, "commit")));
  }

  async *diff(
    before: ProofPlace,
    after: ProofPlace,
    options: DiffOptions = {},
  ): AsyncGenerator<StateChange, void, undefined> {
    const roots = { before: await this.#rootOf(before, options), after: await this.#rootOf(after, options) };
    yield* (options.values === true ? diffRootsWithValues : diffRoots)(this.#connection, roots, options);
  }

  async #rootOf(place: ProofPlace, options: CallOptions): Promise<MapRoot> {
    if ("root" in place) return mapRoot(hashBytes(place.root, "root"));
    if ("commit" in place) return (await this.commits.get(place.commit, callOptions(options))).stateRoot;
    if ("tag" in place) return (await this.tag(place.tag, callOptions(options))).stateRoot;
    if ("staged" in place) return (await this.snapshot(place.staged, callOptions(options))).staged.stateRoot;
    return (await this.snapshot(place.head, callOptions(options))).stateRoot;
  }

  async commit(head: string, request: CommitRequest, options: CommitOptions = {}): Promise<Committed> {
    const signer = options.signer === undefined ? this.#signer : (options.signer ?? undefined);
    if (signer === undefined) return createCommit(this.#making, head, { request, options });
    return createSignedCommit(this.#making, head, { request, options, signer });
  }

  blob(hash: HashArgument): BlobHandle {
    return new VerifiedBlob(this.#connection, hash);
  }

  async putBlob(content: ContentSource, options: PutBlobOptions = {}): Promise<StoredBlob> {
    return putBlob(this.#connection, content, options);
  }

  async putBlobs(contents: readonly (string | Uint8Array)[], options: CallOptions = {}): Promise<BatchedBlob[]> {
    return putBlobs(this.#connection, contents, options);
  }

  getBlobs(hashes: readonly HashArgument[], options: CallOptions = {}): AsyncIterable<FetchedBlob> {
    return getBlobs(this.#connection, hashes, options);
  }

  async missingBlobs(hashes: readonly HashArgument[], options: CallOptions = {}): Promise<BlobHash[]> {
    return missingBlobs(this.#connection, hashes, options);
  }

  async putDocument(content: ContentSource, options: PutDocumentOptions): Promise<StoredDocument> {
    const { signer, ...rest } = options;
    if (signer === undefined) return putDocument(this.#filing, content, rest);
    return putSignedDocument(this.#filing, content, { options: rest, signer });
  }

  async putAttestation(
    subject: AttestationSubject,
    statement: string,
    options: AttestationOptions = {},
  ): Promise<StoredManifest> {
    return putAttestation(this.#filing, subject, { statement, options, signer: options.signer ?? this.#signer });
  }

  async putSignedManifest(bytes: Uint8Array, options: PutSignedOptions = {}): Promise<StoredManifest> {
    return putSignedManifest(this.#filing, bytes, options);
  }

  async manifest(hash: HashArgument, options: CallOptions = {}): Promise<ManifestRecord | DocumentRecord> {
    return getManifest(this.#connection, hash, options);
  }

  chunks(
    manifest: HashArgument,
    options: CallOptions & { readonly first?: number | undefined; readonly limit?: number | undefined } = {},
  ): AsyncIterable<Chunk> {
    return listChunks(this.#connection, manifest, options);
  }

  async checkpoint(options: FreshOptions = {}): Promise<SeenLog> {
    return this.#log.checkpoint(options);
  }

  async witnessed(policy: WitnessPolicy, options: FreshOptions = {}): Promise<WitnessedLog> {
    return this.#log.witnessed(new Witnesses(policy), options);
  }

  async submitCosignatures(
    { checkpoint, witnessKeys }: { readonly checkpoint: string; readonly witnessKeys: readonly string[] },
    options: CallOptions = {},
  ): Promise<{ readonly size: number }> {
    const { database } = this.#connection;
    const request = { database, checkpoint, witnessKeys: [...witnessKeys] };
    const { size } = await this.#connection.unary(ProofService.method.submitCosignature, request, options);
    return { size: receivedInteger(size, "the size of the log that was cosigned") };
  }

  async rotateKey(options: RotateKeyOptions & CallOptions): Promise<RotatedKey> {
    return rotateKey(this.#context, options);
  }

  collectGarbage(options: CollectOptions = {}): AsyncIterable<CollectEvent> {
    return collectGarbage(this.#connection, options);
  }

  fsck(options: FsckOptions = {}): AsyncIterable<FsckEvent> {
    return fsck(this.#connection, options);
  }

  async capabilities(options: CallOptions = {}): Promise<Capabilities> {
    return getCapabilities(this.#connection, options);
  }

  async close(): Promise<void> {
    await this.#connection.transport.close();
    await this.#remembered?.close();
  }
}
