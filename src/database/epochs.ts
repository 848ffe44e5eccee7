// Epochs of the log (FORMATS §7): announcing a key, beginning a new log with it, and the way from an old one to the next.
//
//   epoch 1                                                 epoch 2
//   created … leaf, leaf, leaf {keys/log: [1, 2]}, leaf  │  leaf 0 {rekeyed, previous: last note} {keys/log: [2]}, leaf …
//   signed by key 1            by both from here on      │  signed by key 2
//
// Each of the two is one batch, guarded by the tail like any round: before it, or after it, nothing in between. A batch of
// its own, since it changes who signs, which a round takes as given. Refs stay as they are but for `keys/log`, and with them
// everything below. The old log's rows stay too, and a record of how it ended (epoch-record.ts).
//
// The seed of an epoch that has ended is overwritten with the batch, and nothing here signs with it again. A store may keep the
// bytes of a freed page for a while.
import { InvalidArgument, LimitExceeded, Malformed, NotFound, VerificationFailed } from "../core/errors.js";
import { MAX_CELL_BYTES } from "../core/limits.js";
import {
  formatVerifierKey,
  parseCheckpointUnverified,
  parseOrigin,
  parseVerifierKey,
  verifierKey,
  verifyCheckpoint,
} from "../core/log/index.js";
import { MapKind } from "../core/map/index.js";
import { LOG_KEYS_KEY, logKeysCell } from "../core/object/index.js";
import { ConditionFailed } from "../store/contract.js";
import type { Row, RowName, Store, SyncReader } from "../store/contract.js";
import type { Committer } from "./committer.js";
import type { BeginEpochOptions, BegunEpoch, EpochStep, Epochs } from "./log-contract.js";
import type { LogProof, Receipt, View } from "./view-contract.js";
import { Draft } from "./draft.js";
import { endedEpochRow, findEndedEpoch } from "./epoch-record.js";
import type { EndedEpoch } from "./epoch-record.js";
import { announcingIdentity, identityInEpoch, readIdentity, readNextSeed, requireOriginHost } from "./identity.js";
import type { Identity, NamedKey } from "./identity.js";
import { firstLeaf, type LogStore, type Tail } from "./log-store.js";
import type { StoreNodes } from "./nodes.js";
import { StoredRefs } from "./refs.js";
import { ALARM, type RollbackAlarm } from "./rollback-alarm.js";
import { SEED_BYTES } from "./signing-key.js";

/** Records of epochs kept in memory, a few kilobytes each. */
const MAX_ENDED_KEPT = 64;

export interface EpochsOptions {
  readonly store: Store;
  readonly rows: SyncReader;
  readonly nodes: StoreNodes;
  readonly log: LogStore;
  readonly alarm: RollbackAlarm;
  readonly committer: Committer;
  readonly clock: () => number;
  readonly randomBytes: (count: number) => Uint8Array;
  readonly viewAt: (tail: Tail) => View;
}

/** Refs with other keys of the log. */
interface RekeyedRefs {
  readonly rows: readonly Row[];
  readonly refsRoot: Tail["refsRoot"];
}

/** The epoch before, as the next one's first leaf names it. */
interface Previous {
  readonly note: string;
  readonly epoch: number;
}

export class DatabaseEpochs implements Epochs {
  readonly #options: EpochsOptions;
  /** Records that were read: they never change. */
  readonly #ended = new Map<number, EndedEpoch>();

  constructor(options: EpochsOptions) {
    this.#options = options;
  }

  async announceKey(): Promise<{ readonly nextVerifierKey: string; readonly receipt: Receipt }> {
    const { log, clock, randomBytes } = this.#options;
    const seed = new Uint8Array(randomBytes(SEED_BYTES));
    const nextVerifierKey = await this.#unraced((tail) => {
      this.#options.alarm.requireSilent();
      const { verifierKey: own, nextVerifierKey: announced } = tail.epoch;
      if (announced !== undefined) return { result: announced };
      const { identity, rows } = announcingIdentity(readIdentity(this.#options.rows), seed);
      const next = verifierKeyText(identity.next ?? identity);
      const refs = this.#rekeyed(tail, [own, next]);
      const leaf = log.appendAnnouncement(tail, { timeMs: clock(), refsRoot: refs.refsRoot });
      return { result: next, puts: [...rows, ...refs.rows, ...leaf] };
    });
    const tail = log.tail();
    return { nextVerifierKey, receipt: { logIndex: tail.size - 1, checkpoint: log.checkpoint(tail) } };
  }

  async begin(options: BeginEpochOptions): Promise<BegunEpoch> {
    const { log, clock, randomBytes } = this.#options;
    const { reason, originHost } = options;
    requireOriginHost(originHost);
    const seed = new Uint8Array(randomBytes(SEED_BYTES));
    const begun = await this.#unraced((tail) => {
      const identity = readIdentity(this.#options.rows);
      if (reason === "rekeyed") this.#requireRekeying(options, identity);
      const own = log.live().signer.checkpoint({ size: tail.size, root: tail.logRoot });
      const previous = this.#previous(options, { identity, tail, own });
      const isAnnounced = reason === "rekeyed" && identity.next !== undefined;
      const nextSeed = isAnnounced ? readNextSeed(this.#options.rows) : seed;
      if (isAnnounced) requireAnnouncedHost(identity.next, originHost);
      const next = identityInEpoch(identity, { epoch: previous.epoch + 1, seed: nextSeed, originHost });
      const { epoch, origin } = next.identity;
      const key = verifierKeyText(next.identity);
      const refs = this.#rekeyed(tail, [key]);
      const timeMs = Math.max(clock(), tail.timeMs);
      const first = { reason, previous: previous.note };
      const leaf = firstLeaf(
        { timeMs, refsRoot: refs.refsRoot, first },
        { epoch, start: tail.end, isAnnouncing: false },
      );
      const ended = endedEpochRow(tail, own, this.#options.nodes);
      return {
        result: { epoch, reason, origin, verifierKey: key, previous: previous.note },
        puts: [ended, ...next.rows, ...refs.rows, ...leaf],
        deletes: [...next.deletes, ALARM],
      };
    });
    return { ...begun, receipt: { logIndex: 0, checkpoint: log.checkpoint(log.tail()) } };
  }

  async view(epoch: number): Promise<View> {
    const { log, viewAt } = this.#options;
    const live = log.tail();
    const tail = this.#tailOf(epoch, live);
    if (tail === undefined) throw notEnded(epoch, live);
    return viewAt(tail);
  }

  async step(from: { readonly epoch: number; readonly knownSize?: number | undefined }): Promise<EpochStep> {
    const { log } = this.#options;
    const live = log.tail();
    const ended = this.#findEnded(from.epoch);
    if (ended === undefined) throw notEnded(from.epoch, live);
    const { tail, refs, nodes } = ended;
    const proof: LogProof = log.proof(tail, { size: from.knownSize ?? 0 });
    // Where the announced key had begun to sign in a copy that was lost, an epoch is left out.
    const following = [1, 2].map((more) => this.#tailOf(from.epoch + more, live)).find((found) => found !== undefined);
    if (following === undefined) throw notEnded(from.epoch, live);
    const { leaf, inclusion } = log.leaf(following, 0);
    const { verifierKey: key } = following.epoch;
    const beginning = { verifierKey: key, checkpoint: log.checkpoint(following), leaf, inclusion };
    return { end: { log: proof, refs, nodes }, beginning };
  }

  #tailOf(epoch: number, live: Tail): Tail | undefined {
    return live.epoch.place.epoch === epoch ? live : this.#findEnded(epoch)?.tail;
  }

  #findEnded(epoch: number): EndedEpoch | undefined {
    const known = this.#ended.get(epoch);
    if (known !== undefined) return known;
    const found = findEndedEpoch(this.#options.rows, epoch);
    if (found === undefined) return undefined;
    if (this.#ended.size >= MAX_ENDED_KEPT) this.#ended.clear();
    this.#ended.set(epoch, found);
    return found;
  }

  /** Writes one batch on top of the newest tail, again where somebody else was first. */
  async #unraced<T>(
    prepare: (tail: Tail) => {
      readonly result: T;
      readonly puts?: readonly Row[];
      readonly deletes?: readonly RowName[];
    },
  ): Promise<T> {
    const { store, log, committer } = this.#options;
    return committer.alone(async () => {
      for (;;) {
        const tail = log.tail();
        const { result, puts, deletes = [] } = prepare(tail);
        if (puts === undefined) return result;
        try {
          await store.write({ conditions: [log.unmoved(tail)], puts, deletes });
          return result;
        } catch (error) {
          if (!(error instanceof ConditionFailed)) throw error;
        }
      }
    });
  }

  /** The refs of a tail with these keys of the log in them. @throws LimitExceeded */
  #rekeyed(tail: Tail, keys: readonly string[]): RekeyedRefs {
    const { nodes } = this.#options;
    const map = { kind: MapKind.refs, root: tail.refsRoot };
    const draft = new Draft({ refs: new StoredRefs(nodes, map), nodes });
    draft.move(LOG_KEYS_KEY, keysCell(keys));
    const refsRoot = draft.editRefs(map);
    const rows = Array.from(draft.createdNodes, (node): Row => {
      return { space: "nodes", key: node.digest, value: node.stored };
    });
    return { rows, refsRoot };
  }

  #requireRekeying({ previous, announcement }: BeginEpochOptions, identity: Identity): void {
    this.#options.alarm.requireSilent();
    if (previous !== undefined) {
      throw new InvalidArgument("previous: a database that is re-keyed goes on where its log ends", {
        field: "previous",
      });
    }
    if (identity.next !== undefined || announcement === "waived") return;
    throw new InvalidArgument("reason: no key is announced, so no client would follow on its own", {
      field: "reason",
      hint: "announce one first, and give clients time to see it: neleus db rotate-log-key",
    });
  }

  /** @throws InvalidArgument - `previous` */
  #previous(
    { previous }: BeginEpochOptions,
    at: { readonly identity: Identity; readonly tail: Tail; readonly own: string },
  ): Previous {
    const { identity, tail, own } = at;
    const { epoch } = identity;
    if (previous !== undefined) return requirePrevious(previous, at);
    const shown = this.#options.alarm.find()?.shown;
    const isLater = shown !== undefined && parseCheckpointUnverified(shown).size > tail.size;
    return { note: isLater ? shown : own, epoch };
  }
}

/** A key was announced under a name, which is part of it. @throws InvalidArgument - `originHost`: another one is wanted */
function requireAnnouncedHost(announced: NamedKey | undefined, originHost: string | undefined): void {
  if (announced === undefined || originHost === undefined || parseOrigin(announced.origin).host === originHost) return;
  throw new InvalidArgument(`originHost: a key is announced by the name ${announced.origin}, which clients follow`, {
    field: "originHost",
    hint: "begin that epoch first, without another host; then a further one",
  });
}

/** A note that an operator hands in. @throws InvalidArgument */
function requirePrevious(
  note: string,
  { identity, tail }: { readonly identity: Identity; readonly tail: Tail },
): Previous {
  const field = "previous";
  try {
    const { origin } = parseCheckpointUnverified(note);
    const next = identity.next?.origin === origin ? identity.next : undefined;
    const { size } = verifyCheckpoint(note, parseVerifierKey(verifierKeyText(next ?? identity)));
    if (next !== undefined) return { note, epoch: identity.epoch + 1 };
    if (size >= tail.size) return { note, epoch: identity.epoch };
    throw new InvalidArgument(`previous: is of ${size} leaves, and the log here has ${tail.size} already`, { field });
  } catch (cause) {
    if (!(cause instanceof Malformed || cause instanceof VerificationFailed)) throw cause;
    throw new InvalidArgument(`previous: is no checkpoint that this database has signed: ${cause.message}`, { field });
  }
}

function verifierKeyText({ origin, signingKey }: NamedKey): string {
  return formatVerifierKey(verifierKey(origin, signingKey.publicKey));
}

/** @throws LimitExceeded */
function keysCell(keys: readonly string[]): Uint8Array {
  try {
    return logKeysCell.encode(keys);
  } catch (cause) {
    if (!(cause instanceof InvalidArgument)) throw cause;
    throw new LimitExceeded(
      `the keys of the log do not fit into a cell of ${MAX_CELL_BYTES} bytes: the host of its origin is too long`,
      { facts: { limit: "MAX_CELL_BYTES", value: String(MAX_CELL_BYTES) } },
      { cause },
    );
  }
}

function notEnded(epoch: number, live: Tail): NotFound {
  const { place, origin } = live.epoch;
  const what = epoch === place.epoch ? "goes on" : "was never here";
  return new NotFound(`epoch ${epoch} ${what}: the log is ${origin}`, {
    facts: { kind: "epoch", epoch: String(epoch), origin },
  });
}
