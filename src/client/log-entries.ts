// Leaves of the log, each message of them held against a verified checkpoint (FORMATS §7).
//
// A message brings the hashes of the complete subtrees before its leaves. With the leaves they lead to the root of the log
// as it ends there, and a consistency proof from that root to the checkpoint's shows that all of them are right: another
// leaf, or another hash, would lead to another root.
import { IncompleteProof, InvalidArgument, NewEpoch, VerificationFailed } from "../core/errors.js";
import type { Digest } from "../core/hashes.js";
import { MAX_LOG_LEAF_BYTES } from "../core/limits.js";
import {
  decodeLogLeaf,
  Frontier,
  logLeafHash,
  parseOrigin,
  subtreesOf,
  TILE_WIDTH,
  verifyConsistency,
  verifyInclusion,
} from "../core/log/index.js";
import {
  ProofService,
  type ProofServiceListLogEntriesRequest,
  type ProofServiceListLogEntriesResponse,
} from "../../gen/neleus/v1/proof_pb.js";
import { countArgument } from "./argument.js";
import { callOptions, type Connection } from "./connection.js";
import type { FollowedLog, KnownLog } from "./log.js";
import { OpenedStream } from "./opened-stream.js";
import { endOfEpoch, requireEnd } from "./past-epoch.js";
import { receivedHash, receivedInteger, verifying } from "./received.js";
import type { LogEntry, SignedCheckpoint } from "./records.js";
import type { LogEntries, LogEntryRange } from "./sections.js";
import type { CallOptions, FreshOptions } from "./transport.js";

export class VerifiedLogEntries implements LogEntries {
  readonly #connection: Connection;
  readonly #log: FollowedLog;

  constructor(connection: Connection, log: FollowedLog) {
    this.#connection = connection;
    this.#log = log;
  }

  async end(epoch: number, options: CallOptions = {}): Promise<SignedCheckpoint> {
    const end = await this.#endOf(epoch, options);
    return end ?? (await this.#log.checkpoint(options)).checkpoint;
  }

  async get(index: number, options: FreshOptions & Pick<LogEntryRange, "epoch"> = {}): Promise<LogEntry> {
    const leafIndex = BigInt(countArgument(index, "index"));
    const { database } = this.#connection;
    const end = await this.#endOf(options.epoch, options);
    if (end !== undefined) {
      const request = { database, leafIndex, epoch: BigInt(epochOf(end)) };
      const answer = await this.#connection.unary(ProofService.method.proveInclusion, request, options);
      requireEnd(end, answer.log);
      return openedEntry(index, end, answer);
    }
    const { answer, seen } = await this.#log.read(
      (known) => this.#connection.unary(ProofService.method.proveInclusion, { database, leafIndex, ...known }, options),
      ({ log }) => log,
      options,
    );
    return openedEntry(index, seen.checkpoint, answer);
  }

  /** Undefined for the epoch that goes on. */
  async #endOf(epoch: number | undefined, call: CallOptions): Promise<SignedCheckpoint | undefined> {
    if (epoch === undefined) return undefined;
    const context = { connection: this.#connection, log: this.#log };
    return endOfEpoch(context, countArgument(epoch, "epoch", 1), callOptions(call));
  }

  async *list(range: LogEntryRange = {}): AsyncGenerator<LogEntry, void, undefined> {
    const start = range.start === undefined ? 0 : countArgument(range.start, "start");
    const end = range.end === undefined ? undefined : countArgument(range.end, "end", 1);
    if (end !== undefined && end <= start) throw new InvalidArgument("end: is not above start", { field: "end" });
    const run = new EntryRun(start, end);
    const past = await this.#endOf(range.epoch, range);
    const attempt = (call: CallOptions): AsyncGenerator<LogEntry, void, undefined> =>
      past === undefined
        ? this.#rest(run, { ...call, minLogSize: range.minLogSize })
        : this.#restOfEpoch(run, past, call);
    yield* this.#connection.resumed({ attempt, position: () => run.next }, range);
  }

  /** What is left of a run: all of it, or where the connection was lost, from the leaf behind the last one on. */
  async *#rest(run: EntryRun, options: FreshOptions): AsyncGenerator<LogEntry, void, undefined> {
    if (run.isComplete) return;
    const { transport, database } = this.#connection;
    const stream = new OpenedStream((known: KnownLog) =>
      transport.serverStream(ProofService.method.listLogEntries, { database, ...run.rest, ...known }, options),
    );
    try {
      const { answer, seen } = await this.#log.read(
        (known) => stream.begin(known),
        ({ log }) => log,
        options,
      );
      run.hangOn(seen.checkpoint);
      for await (const message of stream.from(answer)) {
        for (const entry of run.push(message)) yield entry;
      }
    } finally {
      await stream.end();
    }
    run.finish();
  }

  /** The same of an epoch that has ended, held against its end. */
  async *#restOfEpoch(
    run: EntryRun,
    end: SignedCheckpoint,
    call: CallOptions,
  ): AsyncGenerator<LogEntry, void, undefined> {
    if (run.isComplete) return;
    const { transport, database } = this.#connection;
    const request = { database, ...run.rest, epoch: BigInt(epochOf(end)) };
    let isFirst = true;
    for await (const message of transport.serverStream(ProofService.method.listLogEntries, request, call)) {
      if (isFirst) {
        requireEnd(end, message.log);
        run.hangOn(end);
      }
      isFirst = false;
      for (const entry of run.push(message)) yield entry;
    }
    run.finish();
  }
}

function epochOf({ origin }: SignedCheckpoint): number {
  return parseOrigin(origin).epoch;
}

function openedEntry(
  index: number,
  { size, root }: SignedCheckpoint,
  answer: { readonly leaf: Uint8Array; readonly inclusion: readonly Uint8Array[] },
): LogEntry {
  if (index >= size) throw new VerificationFailed(`the log has ${size} leaves, and the answer is of leaf ${index}`);
  const leaf = receivedLeaf(answer.leaf);
  verifyInclusion({ index, size, root, leafHash: logLeafHash(leaf), proof: answer.inclusion });
  return logEntry(leaf, index);
}

/** Leaves that come in order, over one stream or several. */
class EntryRun {
  next: number;
  #end: number | undefined;
  #checkpoint: SignedCheckpoint | undefined;
  #timeMs = 0;

  constructor(start: number, end: number | undefined) {
    this.next = start;
    this.#end = end;
  }

  get isComplete(): boolean {
    return this.#end !== undefined && this.next >= this.#end;
  }

  /** What to ask for. */
  get rest(): Partial<Pick<ProofServiceListLogEntriesRequest, "start" | "end">> {
    return { start: BigInt(this.next), ...(this.#end === undefined ? {} : { end: BigInt(this.#end) }) };
  }

  /**
   * The checkpoint of a stream: without an end of the caller's the run ends where its first one does.
   * @throws NewEpoch - the stream goes on with the log of another epoch
   */
  hangOn(checkpoint: SignedCheckpoint): void {
    if (this.#checkpoint !== undefined && this.#checkpoint.origin !== checkpoint.origin) {
      throw new NewEpoch(`the log ${this.#checkpoint.origin} ended while it was read, and ${checkpoint.origin} began`, {
        hint: "what follows is of another log: read that from its first leaf",
        facts: { origin: checkpoint.origin, index: String(this.next) },
      });
    }
    this.#checkpoint = checkpoint;
    this.#end ??= checkpoint.size;
    if (this.#end <= checkpoint.size) return;
    throw new VerificationFailed(`the log has ${checkpoint.size} leaves, and the answer goes to ${this.#end}`);
  }

  /** @throws VerificationFailed - leaves that are not those of the checkpoint, or that were not asked for */
  *push(message: ProofServiceListLogEntriesResponse): Generator<LogEntry, void, undefined> {
    const first = receivedInteger(message.first, "the index of a leaf");
    const { length } = message.leaves;
    if (first !== this.next || length === 0 || length > TILE_WIDTH || first + length > (this.#end ?? 0)) {
      throw new VerificationFailed(`the answer holds ${length} leaves from ${first} on, where ${this.next} comes next`);
    }
    const leaves = message.leaves.map(receivedLeaf);
    this.#verify(leaves, message);
    for (const leaf of leaves) {
      const entry = logEntry(leaf, this.next);
      if (entry.timeMs < this.#timeMs)
        throw new VerificationFailed(`the time of leaf ${this.next} is before its elder's`);
      this.#timeMs = entry.timeMs;
      this.next += 1;
      yield entry;
    }
  }

  /** @throws IncompleteProof - leaves are missing */
  finish(): void {
    if (this.isComplete) return;
    throw new IncompleteProof(`the answer ends before leaf ${this.next}`, { facts: { leaf_index: String(this.next) } });
  }

  #verify(leaves: readonly Uint8Array[], { left, right }: ProofServiceListLogEntriesResponse): void {
    const checkpoint = this.#checkpoint;
    if (checkpoint === undefined) throw new VerificationFailed("the answer has no checkpoint");
    const frontier = frontierOf(this.next, left);
    for (const leaf of leaves) frontier.append(logLeafHash(leaf));
    verifyConsistency({
      from: frontier.size,
      to: checkpoint.size,
      fromRoot: frontier.root(),
      toRoot: checkpoint.root,
      proof: right,
    });
  }
}

/** The right edge of the log at a size, from its hashes, largest subtree first. */
function frontierOf(size: number, hashes: readonly Uint8Array[]): Frontier {
  const positions = subtreesOf({ start: 0, end: size });
  if (hashes.length !== positions.length) {
    throw new VerificationFailed(`${positions.length} hashes stand before leaf ${size}, not ${hashes.length}`);
  }
  const digests: Iterator<Digest> = hashes.map((hash) => receivedHash(hash, "a hash of the log")).values();
  return Frontier.read(size, () => digests.next().value as Digest);
}

/** SHA-256 of a megabyte takes a tenth of a second, so the length is looked at first. */
function receivedLeaf(bytes: Uint8Array): Uint8Array {
  if (bytes.length <= MAX_LOG_LEAF_BYTES) return new Uint8Array(bytes);
  throw new VerificationFailed(`a leaf of the log has at most ${MAX_LOG_LEAF_BYTES} bytes, not ${bytes.length}`);
}

function logEntry(bytes: Uint8Array, index: number): LogEntry {
  const { time, refsRoot, first } = verifying("a leaf of the log", () => decodeLogLeaf(bytes, index));
  return { index, bytes, timeMs: time, refsRoot, beginning: first };
}
