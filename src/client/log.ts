// The log as one client follows it: every checkpoint that arrives goes through here, and is held against all before it.
//
// Answers are held against what their own request carried; what is then still open between them is settled by asking
// for more proofs, before the answer is handed on. Receipts wait for that until the next such occasion, but never more
// than MAX_OPEN of them.
import {
  Forked,
  InvalidArgument,
  NeleusError,
  NewEpoch,
  RolledBack,
  Unavailable,
  VerificationFailed,
} from "../core/errors.js";
import { MAX_IDEMPOTENCY_KEY_CHARACTERS } from "../core/limits.js";
import { fromBase64 } from "../core/log/base64.js";
import {
  ProofService,
  type LogProof,
  type ProofServiceGetCheckpointResponse,
  type Receipt as ReceiptMessage,
} from "../../gen/neleus/v1/proof_pb.js";
import { countArgument } from "./argument.js";
import type { Connection } from "./connection.js";
import type { SeenLog, WitnessedLog } from "./contract.js";
import { followEpochs, type EpochsContext } from "./epochs.js";
import { receivedInteger, receivedPart } from "./received.js";
import type { Receipt, SignedCheckpoint } from "./records.js";
import type { Freshness } from "./freshness.js";
import type { CallOptions, FreshOptions, WriteOptions } from "./transport.js";
import {
  openNewestLeaf,
  requireNotBehind,
  sameTree,
  type LogKey,
  type LogTrust,
  type Witnesses,
} from "./trust/index.js";

/** Checkpoints of receipts that may wait for their proofs. One request each settles them. */
const MAX_OPEN = 64;
/** Requests of one round that are under way at once. */
const MAX_CONCURRENT = 16;
/** Rounds before giving up: only a log that grows between any two requests of the same instant needs more than three. */
const MAX_ROUNDS = 16;

/** What a request says of how far its caller has seen the log. */
export interface KnownLog {
  /** The newest checkpoint that all before it were held against; empty: none. */
  readonly knownCheckpoint: string;
  /** Leaves that the answer's log must have. */
  readonly minLogSize?: bigint;
}

/** A write under way. */
export interface PendingWrite {
  /** Leaves that the log of the receipt was known to have when the write was asked for; 0 of an epoch that began since. */
  leavesBefore(receipt: Receipt): number;
  /** What the request carries; empty: none. */
  readonly idempotencyKey: string;
  /**
   * Takes its receipt, once it is durable.
   * @throws VerificationFailed, NewEpoch, Forked - the checkpoint is not signed, does not contain the write, …
   * @throws RolledBack - the receipt is behind what had been seen before the write was asked for
   */
  receipt(message: ReceiptMessage | undefined, options: CallOptions): Promise<Receipt>;
  /**
   * True where the caller's own key may have been used before, and this is the receipt of then: what the write did may have
   * been undone since.
   */
  mayBeEarlier(receipt: Receipt): boolean;
}

export interface FollowedLogContext extends EpochsContext {
  /** Must have cosigned whatever is read. Absent: nobody. */
  readonly witnesses?: Witnesses | undefined;
  readonly freshness: Freshness;
}

interface ReadOptions extends FreshOptions {
  /** True where the witnesses are looked at behind it anyway. */
  readonly isWitnessed?: boolean;
}

export class FollowedLog {
  readonly trust: LogTrust;
  readonly #context: FollowedLogContext;
  /** Up to when enough witnesses have lately cosigned. */
  #witnessedUntil = { origin: "", untilMs: 0 };
  #settling: Promise<void> | undefined;
  #following: Promise<void> | undefined;
  #newest: { readonly origin: string; readonly size: number; readonly timeMs: number } | undefined;

  constructor(context: FollowedLogContext) {
    this.#context = context;
    this.trust = context.trust;
  }

  get #connection(): Connection {
    return this.#context.connection;
  }

  /**
   * Makes a request that carries how far the log is known, and verifies the log proof in its answer: signature, consistency
   * with everything seen, inclusion of the newest leaf.
   * @throws VerificationFailed, Forked, NewEpoch - see `LogTrust.extend`
   * @throws RolledBack - likewise, or the log is shorter than `minLogSize`
   * @throws Unavailable - the log grows too fast to be compared
   */
  read<R>(
    request: (known: KnownLog) => Promise<R>,
    proofIn: (answer: R) => LogProof | undefined,
    options: FreshOptions,
  ): Promise<{ readonly answer: R; readonly seen: SeenLog }> {
    return this.#inEpoch(() => this.#read(request, proofIn, options), options);
  }

  /** Does what meets a checkpoint; where that is of another epoch, follows there if that can be, and does it again. */
  async #inEpoch<T>(action: () => Promise<T>, options: CallOptions): Promise<T> {
    for (;;) {
      const { key } = this.trust;
      try {
        return await action();
      } catch (error) {
        if (!(error instanceof NewEpoch)) throw error;
        await this.#follow(options);
        if (this.trust.key === key) throw error;
      }
    }
  }

  async #follow(options: CallOptions): Promise<void> {
    // Another call may have met the same. What ends it, its own deadline perhaps, is no reason for this one to end.
    while (this.#following !== undefined) {
      try {
        await this.#following;
        return;
      } catch (error) {
        if (!isPassing(error)) throw error;
      }
      options.signal?.throwIfAborted();
    }
    this.#following = followEpochs(this.#context, options).finally(() => (this.#following = undefined));
    await this.#following;
  }

  async #read<R>(
    request: (known: KnownLog) => Promise<R>,
    proofIn: (answer: R) => LogProof | undefined,
    options: ReadOptions,
  ): Promise<{ readonly answer: R; readonly seen: SeenLog }> {
    const { known, newest } = this.trust;
    const minLogSize = options.minLogSize === undefined ? 0 : countArgument(options.minLogSize, "minLogSize");
    const size = Math.max(minLogSize, newest?.size ?? 0);
    const { answer, carried } = await notBehind(request, { known, newest, size, key: this.trust.key });
    const proof = receivedPart(proofIn(answer), "log proof");
    const seen = this.#open(carried, proof);
    // Without this an old answer would pass that extends `known` but lacks a write whose receipt is here.
    if (newest !== undefined) requireNotBehind(newest, seen.checkpoint);
    requireSize(seen.checkpoint, minLogSize);
    await this.settle(options);
    await this.#requireWitnessed(options);
    return { answer, seen };
  }

  /** What witnesses have cosigned, with the newest checkpoint. @throws IncompleteProof - fewer than required */
  async witnessed(witnesses: Witnesses, options: FreshOptions): Promise<WitnessedLog> {
    const { answer, seen } = await this.#inEpoch(
      () =>
        this.#read(
          (known) => this.#getCheckpoint({ ...known, withCosignatures: true }, options),
          ({ log }) => log,
          { ...options, isWitnessed: true },
        ),
      options,
    );
    const { clock, clockToleranceMs } = this.#context.freshness;
    const nowMs = clock();
    const { checkpoint } = seen;
    const found = witnesses.read(answer.cosigned, {
      key: this.trust.key,
      checkpoint,
      nowMs,
      clockToleranceMs,
    });
    this.#witnessedUntil = { origin: checkpoint.origin, untilMs: witnesses.requireEnough(found, nowMs) };
    return { ...seen, witnesses: found };
  }

  /** Where witnesses are required, they have cosigned what this log extends, and lately enough. */
  async #requireWitnessed(options: ReadOptions): Promise<void> {
    const { witnesses, freshness } = this.#context;
    if (witnesses === undefined || options.isWitnessed === true) return;
    const { origin, untilMs } = this.#witnessedUntil;
    if (origin === this.trust.origin && freshness.clock() <= untilMs) return;
    await this.witnessed(witnesses, { signal: options.signal, timeoutMs: options.timeoutMs });
  }

  /** The newest checkpoint, everything seen before it settled. */
  async checkpoint(options: FreshOptions = {}): Promise<SeenLog> {
    const reading = await this.read(
      (known) => this.#getCheckpoint(known, options),
      ({ log }) => log,
      options,
    );
    return reading.seen;
  }

  /**
   * To be called before a request that writes: its receipt is held against what had been seen by then. Where the caller has
   * no key for it, and it could get lost, it has one of its own, which nobody has used before.
   */
  beginWrite(options: WriteOptions = {}): PendingWrite {
    const { idempotencyKey: given } = options;
    if (given !== undefined) requireKey(given);
    const { newest } = this.trust;
    const own = this.#connection.repeatsWrites ? globalThis.crypto.randomUUID() : "";
    const leavesBefore = ({ checkpoint }: Receipt): number => (newest?.origin === checkpoint.origin ? newest.size : 0);
    const mayBeEarlier = (receipt: Receipt): boolean => {
      if (given === undefined) return false;
      // What an epoch before held is told to be in the first leaf, where nothing else is.
      return newest === undefined || receipt.logIndex < Math.max(1, leavesBefore(receipt));
    };
    return {
      leavesBefore,
      idempotencyKey: given ?? own,
      receipt: (message, call) => this.#receipt(message, { newest, call, mayBeEarlier: given !== undefined }),
      mayBeEarlier,
    };
  }

  async #receipt(
    message: ReceiptMessage | undefined,
    write: {
      readonly newest: SignedCheckpoint | undefined;
      readonly call: CallOptions;
      readonly mayBeEarlier: boolean;
    },
  ): Promise<Receipt> {
    const { newest, call } = write;
    const received = receivedPart(message, "receipt");
    const logIndex = receivedInteger(received.logIndex, "the log index");
    const checkpoint = await this.#remember(received.checkpoint, newest, call);
    // A write that changes nothing is confirmed by the leaf that was the newest.
    const isOfEpoch = newest?.origin === checkpoint.origin;
    if (isOfEpoch && logIndex < newest.size - 1 && !write.mayBeEarlier) {
      throw new VerificationFailed(
        `the write is said to be leaf ${logIndex}, of before it was asked for: the log had ${newest.size} leaves`,
        { evidence: received },
      );
    }
    if (checkpoint.size <= logIndex) {
      throw new VerificationFailed(
        `the write is leaf ${logIndex}, and the checkpoint covers ${checkpoint.size} leaves`,
        {
          evidence: received,
        },
      );
    }
    if (this.trust.open.length > MAX_OPEN) await this.#settleAfterWrite(call);
    return { logIndex, checkpoint };
  }

  /**
   * Takes the checkpoint of a receipt. A server whose receipt is not of the history that was seen is shown that, so that one
   * that only lost leaves learns of it.
   */
  async #remember(note: string, newest: SignedCheckpoint | undefined, call: CallOptions): Promise<SignedCheckpoint> {
    try {
      const checkpoint = await this.#inEpoch(async () => this.trust.remember(note), call);
      // The receipt of an earlier write is signed as well, and says nothing of this one.
      if (newest !== undefined) requireNotBehind(newest, checkpoint);
      return checkpoint;
    } catch (error) {
      const isOther = error instanceof Forked || error instanceof RolledBack;
      if (isOther && newest !== undefined) {
        await this.#getCheckpoint({ knownCheckpoint: newest.note }, call).catch(() => undefined);
      }
      throw error;
    }
  }

  /** Shows that all checkpoints seen so far belong to one history. */
  async settle(options: CallOptions = {}): Promise<void> {
    // Another call may be at it already, with some of the same ones.
    while (this.#settling !== undefined) await this.#settling.catch(() => undefined);
    if (this.trust.open.length <= 1) return;
    this.#settling = this.#settle(options);
    try {
      await this.#settling;
    } finally {
      this.#settling = undefined;
    }
  }

  /**
   * Asks, for each open checkpoint, for the proof that the newest one extends it, until all of them have met in one. New
   * ones may arrive meanwhile: they are the next call's.
   */
  async #settle(options: CallOptions): Promise<void> {
    let waiting = [...this.trust.open];
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      // At first the newest is not asked for: mostly the others are proved to be extended by that very one.
      const asked = round === 0 ? waiting.slice(0, -1) : waiting;
      const kept = round === 0 ? waiting.slice(-1) : [];
      const answers = await inGroups(asked, MAX_CONCURRENT, (known) => this.#extend(known, options));
      waiting = distinct([...kept, ...answers]);
      if (waiting.length <= 1) return;
    }
    throw new Unavailable("the log grows too fast to be compared with what was seen of it", { hint: "try again" });
  }

  /** The write is durable: that it cannot be compared right now is no failure of it. Proof of a lie is. */
  async #settleAfterWrite(options: CallOptions): Promise<void> {
    try {
      await this.settle(options);
    } catch (error) {
      if (!isPassing(error) || this.trust.open.length > 4 * MAX_OPEN) throw error;
    }
  }

  async #extend(known: SignedCheckpoint, options: CallOptions): Promise<SignedCheckpoint> {
    const { newest } = this.trust;
    const { log } = await this.#getCheckpoint({ knownCheckpoint: known.note }, options);
    const checkpoint = this.trust.extend(known, receivedPart(log, "log proof"));
    if (newest !== undefined) requireNotBehind(newest, checkpoint);
    return checkpoint;
  }

  #getCheckpoint(
    known: KnownLog & { readonly withCosignatures?: boolean },
    options: CallOptions,
  ): Promise<ProofServiceGetCheckpointResponse> {
    const { database } = this.#connection;
    return this.#connection.unary(ProofService.method.getCheckpoint, { database, ...known }, options);
  }

  #open(known: SignedCheckpoint | undefined, proof: LogProof): SeenLog {
    const checkpoint = this.trust.extend(known, proof);
    const { timeMs, refsRoot } = openNewestLeaf(checkpoint, proof);
    this.#requireAscending({ origin: checkpoint.origin, size: checkpoint.size, timeMs });
    return { checkpoint, logTimeMs: timeMs, refsRoot };
  }

  /** Times of leaves never decrease (FORMATS §7), so an older tree never has a newer leaf. */
  #requireAscending(leaf: { readonly origin: string; readonly size: number; readonly timeMs: number }): void {
    const seen = this.#newest?.origin === leaf.origin ? this.#newest : undefined;
    if (seen !== undefined && Math.sign(leaf.size - seen.size) * Math.sign(leaf.timeMs - seen.timeMs) < 0) {
      throw new VerificationFailed("the times of the log decrease", {
        facts: { size: String(leaf.size), time: String(leaf.timeMs), seen_size: String(seen.size) },
      });
    }
    if (seen === undefined || leaf.size >= seen.size) this.#newest = leaf;
  }
}

/** How far the log is known, where a request is made. */
interface KnownSoFar {
  readonly known: SignedCheckpoint | undefined;
  readonly newest: SignedCheckpoint | undefined;
  /** Leaves that it must have. */
  readonly size: number;
  readonly key: LogKey;
}

/**
 * Makes a request of a log that has so many leaves. A server that says that its log is shorter is asked once more, for what it
 * has: that it signs, and is evidence. It is shown the newest checkpoint with it, so that it learns of what it lost.
 * @returns the answer, and the checkpoint that its request carried
 * @throws RolledBack - the server knows it already, or by this
 */
async function notBehind<R>(
  request: (known: KnownLog) => Promise<R>,
  { known, newest, size, key }: KnownSoFar,
): Promise<{ readonly answer: R; readonly carried: SignedCheckpoint | undefined }> {
  const ask = async (carried: SignedCheckpoint | undefined, least: Pick<KnownLog, "minLogSize">) => {
    const answer = await request({ knownCheckpoint: carried?.note ?? "", ...least });
    return { answer, carried };
  };
  if (size === 0) return ask(known, {});
  try {
    return await ask(known, { minLogSize: BigInt(size) });
  } catch (error) {
    if (!(error instanceof RolledBack)) throw error;
    if (isAdmitted(error)) throw withEvidence(error, { newest, key });
  }
  try {
    return await ask(newest, {});
  } catch (error) {
    throw error instanceof RolledBack ? withEvidence(error, { newest, key }) : error;
  }
}

/** True where a server says itself that its log lost leaves. */
function isAdmitted({ facts }: RolledBack): boolean {
  return facts["kind"] === "rolled-back";
}

/** The error of a server that admits it, with the two checkpoints that show it: the one that was seen, and the one it has. */
function withEvidence(error: RolledBack, { newest, key }: Pick<KnownSoFar, "newest" | "key">): RolledBack {
  const { message, hint, facts } = error;
  const own = signedNote(facts["own"] ?? "", key);
  const shown = signedNote(facts["shown"] ?? "", key);
  const details = { ...(hint === undefined ? {} : { hint }), facts: { kind: facts["kind"] ?? "" } };
  return new RolledBack(
    message,
    { ...details, evidence: { older: newest?.note ?? shown, newer: own } },
    { cause: error },
  );
}

/** A note in base 64, if our key has signed it. */
function signedNote(text: string, key: LogKey): string | undefined {
  try {
    return key.open(new TextDecoder().decode(fromBase64(text))).note;
  } catch (error) {
    if (!(error instanceof NeleusError)) throw error;
    return undefined;
  }
}

/** @throws RolledBack - the log has fewer leaves than the caller knows it to have */
function requireSize(checkpoint: SignedCheckpoint, minLogSize: number): void {
  if (checkpoint.size >= minLogSize) return;
  throw new RolledBack(`the log has ${checkpoint.size} leaves, and must have ${minLogSize}`, {
    field: "minLogSize",
    hint: "the server lags behind the write that is to be read, or has lost it",
    facts: { log_size: String(checkpoint.size), min_log_size: String(minLogSize) },
    evidence: { newer: checkpoint.note },
  });
}

/** @throws InvalidArgument - not 1 to 128 printable characters of ASCII */
function requireKey(key: string): void {
  if (key.length <= MAX_IDEMPOTENCY_KEY_CHARACTERS && /^[\x21-\x7e]+$/.test(key)) return;
  const wanted = `1 to ${MAX_IDEMPOTENCY_KEY_CHARACTERS} printable characters of ASCII, no spaces`;
  throw new InvalidArgument(`idempotencyKey: a key is ${wanted}`, { field: "idempotencyKey" });
}

/** What passes, rather than proves a lie. */
function isPassing(error: unknown): boolean {
  if (!(error instanceof NeleusError)) return false;
  return error.code === "UNAVAILABLE" || error.code === "DEADLINE_EXCEEDED" || error.code === "CANCELLED";
}

function distinct(checkpoints: readonly SignedCheckpoint[]): SignedCheckpoint[] {
  const found: SignedCheckpoint[] = [];
  for (const checkpoint of [...checkpoints].sort((a, b) => a.size - b.size)) {
    const last = found.at(-1);
    if (last === undefined || !sameTree(last, checkpoint)) found.push(checkpoint);
  }
  return found;
}

async function inGroups<T, R>(items: readonly T[], groupSize: number, action: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let first = 0; first < items.length; first += groupSize) {
    results.push(...(await Promise.all(items.slice(first, first + groupSize).map(action))));
  }
  return results;
}
