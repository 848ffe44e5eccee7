// A verified view of a head or tag: one answer, checked from the pinned key down to the roots of the head (FORMATS §7).
import type { Freshness } from "./freshness.js";
import { NotFound, VerificationFailed } from "../core/errors.js";
import type { CommitHash, MapRoot } from "../core/hashes.js";
import { mapRoot } from "../core/hashes.js";
import { emptyMap, MapKind } from "../core/map/index.js";
import {
  ProofService,
  type ProofServiceGetSnapshotResponse,
  type Snapshot as SnapshotMessage,
} from "../../gen/neleus/v1/proof_pb.js";
import { checkArgument, countArgument } from "./argument.js";
import type { CommitChecking } from "./commit-checking.js";
import type { Connection } from "./connection.js";
import type { SeenLog, Snapshot, SnapshotOptions, StagedView, TagSnapshot } from "./contract.js";
import { provedHeadKeys } from "./head-keys.js";
import type { FollowedLog } from "./log.js";
import { receivedPart, requireNoCosignatures } from "./received.js";
import type { CommitRecord, SignedCheckpoint } from "./records.js";
import { VerifiedStateView } from "./state-view.js";
import { headChain, tagChain, type HeadChain, type TagChain } from "./verify/chain.js";
import { requireName } from "../core/object/index.js";

class VerifiedStagedView extends VerifiedStateView implements StagedView {
  readonly stateRoot: MapRoot;
  readonly ledgerRoot: MapRoot;

  constructor(connection: Connection, roots: { readonly stateRoot: MapRoot; readonly ledgerRoot: MapRoot }) {
    super(connection, roots.stateRoot);
    this.stateRoot = roots.stateRoot;
    this.ledgerRoot = roots.ledgerRoot;
  }
}

const EMPTY_STATE = mapRoot(emptyMap(MapKind.state).digest);
const EMPTY_LEDGER = mapRoot(emptyMap(MapKind.ledger).digest);

export class VerifiedSnapshot extends VerifiedStateView implements Snapshot {
  readonly head: string;
  readonly commit: CommitRecord | undefined;
  readonly commitHash: CommitHash | undefined;
  readonly stateRoot: MapRoot;
  readonly ledgerRoot: MapRoot;
  readonly staged: StagedView;
  readonly checkpoint: SignedCheckpoint;
  readonly logTimeMs: number;
  readonly message: SnapshotMessage;

  constructor(connection: Connection, verified: { message: SnapshotMessage; seen: SeenLog; chain: HeadChain }) {
    const { message, seen, chain } = verified;
    const stateRoot = chain.commit?.stateRoot ?? EMPTY_STATE;
    super(connection, stateRoot);
    this.head = message.head;
    this.commit = chain.commit;
    this.commitHash = chain.commitHash;
    this.stateRoot = stateRoot;
    this.ledgerRoot = chain.commit?.ledgerRoot ?? EMPTY_LEDGER;
    this.staged = new VerifiedStagedView(connection, {
      stateRoot: chain.stagedStateRoot,
      ledgerRoot: chain.stagedLedgerRoot,
    });
    this.checkpoint = seen.checkpoint;
    this.logTimeMs = seen.logTimeMs;
    this.message = message;
  }
}

/** A verified view of a tag. */
class VerifiedTagSnapshot extends VerifiedStateView implements TagSnapshot {
  readonly tag: string;
  readonly commit: CommitRecord;
  readonly commitHash: CommitHash;
  readonly stateRoot: MapRoot;
  readonly ledgerRoot: MapRoot;
  readonly checkpoint: SignedCheckpoint;
  readonly logTimeMs: number;
  readonly message: SnapshotMessage;

  constructor(connection: Connection, verified: { message: SnapshotMessage; seen: SeenLog; chain: TagChain }) {
    const { message, seen, chain } = verified;
    super(connection, chain.commit.stateRoot);
    this.tag = message.tag;
    this.commit = chain.commit;
    this.commitHash = chain.commitHash;
    this.stateRoot = chain.commit.stateRoot;
    this.ledgerRoot = chain.commit.ledgerRoot;
    this.checkpoint = seen.checkpoint;
    this.logTimeMs = seen.logTimeMs;
    this.message = message;
  }
}

/** What a snapshot is taken with. */
export interface SnapshotContext {
  readonly checking: CommitChecking;
  readonly connection: Connection;
  readonly log: FollowedLog;
  readonly freshness: Freshness;
}

/** Fetches and verifies a snapshot. See `Database.snapshot`. */
export async function takeSnapshot(
  context: SnapshotContext,
  head: string,
  options: SnapshotOptions = {},
): Promise<VerifiedSnapshot> {
  checkArgument("head", () => requireName(head));
  const { checking } = context;
  const withHeadKeys = checking.of(options)?.wants === "head-keys";
  const { message, seen, answer } = await fetchSnapshot(context, { head, tag: "", withHeadKeys }, options);
  const chain = headChain(seen.refsRoot, message);
  const headKeys = withHeadKeys ? provedHeadKeys(seen.refsRoot, head, answer.headKeys) : undefined;
  if (chain?.commit !== undefined) await checking.check(chain.commit, options, { head, headKeys });
  if (chain !== undefined) return new VerifiedSnapshot(context.connection, { message, seen, chain });
  throw new NotFound(`head "${head}" does not exist, by proof`, {
    hint: `see: neleus head list; or make it: neleus head create ${head}`,
    facts: { kind: "head", head },
  });
}

/** The same of a tag. See `Tags.snapshot`. */
export async function takeTagSnapshot(
  context: SnapshotContext,
  tag: string,
  options: SnapshotOptions = {},
): Promise<TagSnapshot> {
  checkArgument("tag", () => requireName(tag));
  const { message, seen } = await fetchSnapshot(context, { head: "", tag, withHeadKeys: false }, options);
  const chain = tagChain(seen.refsRoot, message);
  if (chain !== undefined) await context.checking.check(chain.commit, options);
  if (chain !== undefined) return new VerifiedTagSnapshot(context.connection, { message, seen, chain });
  throw new NotFound(`tag "${tag}" does not exist, by proof`, {
    hint: "see: neleus tag list",
    facts: { kind: "tag", tag },
  });
}

/** Down to the refs root; what the refs say is the caller's to check. */
async function fetchSnapshot(
  { connection, log, freshness }: SnapshotContext,
  name: { readonly head: string; readonly tag: string; readonly withHeadKeys: boolean },
  options: SnapshotOptions,
): Promise<{
  readonly message: SnapshotMessage;
  readonly seen: SeenLog;
  readonly answer: ProofServiceGetSnapshotResponse;
}> {
  const { database } = connection;
  const maxAge = options.maxAgeMs === undefined ? undefined : countArgument(options.maxAgeMs, "maxAgeMs");
  const age = maxAge === undefined ? {} : { maxAgeMs: BigInt(maxAge) };
  const askedAtMs = freshness.clock();
  const { answer, seen } = await log.read(
    (known) => connection.unary(ProofService.method.getSnapshot, { database, ...name, ...known, ...age }, options),
    ({ snapshot }) => snapshot?.log,
    options,
  );
  const message = receivedPart(answer.snapshot, "snapshot");
  if (message.head !== name.head || message.tag !== name.tag) {
    const asked = name.tag === "" ? `head "${name.head}"` : `tag "${name.tag}"`;
    throw new VerificationFailed(`the answer is not about ${asked}, which was asked for`);
  }
  requireNoCosignatures(message.cosigned);
  if (!name.withHeadKeys && answer.headKeys.length > 0) {
    throw new VerificationFailed("the answer holds keys of a head that were not asked for");
  }
  if (maxAge !== undefined) requireFresh(seen.logTimeMs, { askedAtMs, maxAgeMs: maxAge, freshness });
  return { message, seen, answer };
}

/**
 * The newest leaf must be as young as was asked for, by our clock: a server that withholds newer ones shows an old one.
 * It must not be from the future either, since it would then stay young for ever.
 */
function requireFresh(
  logTimeMs: number,
  limits: { readonly askedAtMs: number; readonly maxAgeMs: number; readonly freshness: Freshness },
): void {
  const { askedAtMs, maxAgeMs, freshness } = limits;
  const oldest = askedAtMs - maxAgeMs - freshness.clockToleranceMs;
  const youngest = freshness.clock() + freshness.clockToleranceMs;
  if (logTimeMs >= oldest && logTimeMs <= youngest) return;
  const facts = { log_time_ms: String(logTimeMs), clock_ms: String(askedAtMs), max_age_ms: String(maxAgeMs) };
  const problem = logTimeMs < oldest ? "is older than was asked for" : "lies in the future";
  throw new VerificationFailed(`the newest leaf of the log, of ${new Date(logTimeMs).toISOString()}, ${problem}`, {
    hint: "compare both clocks; clockToleranceMs says how far apart they may be",
    facts,
  });
}
