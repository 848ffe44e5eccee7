// Reads of a state map at one root (FORMATS §4): every answer is a witness, checked as it arrives and held against our
// own root, so it does not matter which root the server says that it answered at.
import { compareBytes, equalBytes, toHex } from "../core/bytes.js";
import { IncompleteProof, LimitExceeded, VerificationFailed } from "../core/errors.js";
import type { MapRoot } from "../core/hashes.js";
import { MAX_BATCH_KEYS } from "../core/limits.js";
import { count, emptyMap, get, GetManyVerifier, MapKind, ScanVerifier, type MapAt } from "../core/map/index.js";
import { countedBytes } from "../core/object/index.js";
import { StateService, type StateServiceScanResponse } from "../../gen/neleus/v1/state_pb.js";
import { countArgument, keyAfter, keyBounds, keyBytes, type KeyBounds } from "./argument.js";
import { VerifiedBlob } from "./blob.js";
import { callOptions, type Connection } from "./connection.js";
import type { Found, KeyRange, ScanRange, StateEntry, StateValue, StateView, ValueOptions } from "./contract.js";
import { receivedPart, requireNoValues, revealBatches, verifying, verifyNodes } from "./received.js";
import type { Key } from "./records.js";
import { checkedValue, stateEntry, valueOf } from "./state-entry.js";
import type { CallOptions } from "./transport.js";
import { travelsInline, ValueQueue, type Proved } from "./value-queue.js";

const DEFAULT_MAX_VALUE_BYTES = 64 * 1024 * 1024;
/** Bytes of keys in one BatchGet: well below the largest message. */
const MAX_BATCH_KEY_BYTES = 2 * 1024 * 1024;

/** Root of the map without keys: it proves every absence by itself, so nothing is asked. */
const EMPTY_ROOT = emptyMap(MapKind.state).digest;

/** A state map at a root that has been verified, or that the caller trusts. */
export class VerifiedStateView implements StateView {
  readonly #connection: Connection;
  readonly #map: MapAt;

  constructor(connection: Connection, root: MapRoot) {
    this.#connection = connection;
    this.#map = { kind: MapKind.state, root };
  }

  async get(key: Key, options: ValueOptions = {}): Promise<StateValue | undefined> {
    const { entry, value } = await this.#read(key, options, { omitValue: false });
    if (entry === undefined) return undefined;
    requireLoadable(entry, options);
    if (value !== undefined) return checkedValue(entry, value);
    if (travelsInline(entry)) {
      throw new IncompleteProof(`the answer leaves out the value of key ${toHex(entry.key)}`);
    }
    return this.#load(entry, options);
  }

  async entry(key: Key, options: CallOptions = {}): Promise<StateEntry | undefined> {
    return (await this.#read(key, options, { omitValue: true })).entry;
  }

  async *getMany(keys: Iterable<Key>, options: ValueOptions = {}): AsyncGenerator<Found, void, undefined> {
    for (const batch of keyBatches(keys)) {
      for await (const { key, entry, value } of this.#readMany(batch, options, { omitValues: false })) {
        yield { key, value: entry === undefined ? undefined : await this.#loaded(entry, value, options) };
      }
    }
  }

  /** Many keys without their values, in ascending order, each once. */
  async *entries(
    keys: Iterable<Key>,
    options: CallOptions = {},
  ): AsyncGenerator<{ readonly key: Uint8Array; readonly entry: StateEntry | undefined }, void, undefined> {
    for (const batch of keyBatches(keys)) yield* this.#readMany(batch, options, { omitValues: true });
  }

  scan(range?: ScanRange & { readonly values?: false | undefined }): AsyncGenerator<StateEntry, void, undefined>;
  scan(range: ScanRange & { readonly values: true }): AsyncGenerator<StateValue, void, undefined>;
  scan(range?: ScanRange): AsyncGenerator<StateEntry, void, undefined>;
  async *scan(range: ScanRange = {}): AsyncGenerator<StateEntry, void, undefined> {
    const bounds = keyBounds(range);
    const limit = range.limit === undefined ? undefined : countArgument(range.limit, "limit", 1);
    const maxBytes = range.maxBytes === undefined ? undefined : countArgument(range.maxBytes, "maxBytes", 1);
    const how = { limit, maxBytes, withValues: range.values === true, call: range };
    if (bounds === undefined || this.#isEmpty) return;
    if (range.values !== true) {
      for await (const entries of this.#pieces(bounds, how)) {
        // Not `yield*`, which makes a promise of every entry first.
        for (const entry of entries) yield entry;
      }
      return;
    }
    for await (const proved of this.#withValues(bounds, how)) {
      for (const { entry, value } of proved) if (entry !== undefined) yield await this.#loaded(entry, value, range);
    }
  }

  async count(range: KeyRange = {}): Promise<number> {
    const bounds = keyBounds(range);
    if (bounds === undefined || this.#isEmpty) return 0;
    const { database } = this.#connection;
    const { from, to } = bounds;
    const request = { database, at: this.#at, from, ...(to === undefined ? {} : { to }) };
    const answer = await this.#connection.unary(StateService.method.count, request, range);
    return verifyNodes(count(this.#map, bounds), answer.nodes);
  }

  get #isEmpty(): boolean {
    return equalBytes(this.#map.root, EMPTY_ROOT);
  }

  get #at(): { readonly at: { readonly case: "root"; readonly value: Uint8Array } } {
    return { at: { case: "root", value: this.#map.root } };
  }

  /** What the witness says of one key, and the bytes that came as its value, unchecked. */
  async #read(
    key: Key,
    options: CallOptions,
    how: { readonly omitValue: boolean },
  ): Promise<{ entry: StateEntry | undefined; value: Uint8Array | undefined }> {
    const bytes = keyBytes(key);
    if (this.#isEmpty) return { entry: undefined, value: undefined };
    const { database } = this.#connection;
    const request = { database, at: this.#at, key: bytes, ...how };
    const answer = await this.#connection.unary(StateService.method.get, request, options);
    const cell = verifyNodes(get(this.#map, bytes), answer.nodes);
    if (answer.value !== undefined && (cell === undefined || how.omitValue)) {
      throw new VerificationFailed(
        `the answer holds a value that ${how.omitValue ? "was not asked for" : "is absent"}`,
      );
    }
    return { entry: cell === undefined ? undefined : stateEntry(bytes, cell), value: answer.value };
  }

  async *#readMany(
    keys: readonly Uint8Array[],
    options: CallOptions,
    how: { readonly omitValues: boolean },
  ): AsyncGenerator<Proved, void, undefined> {
    if (this.#isEmpty) {
      for (const key of keys) yield { key, entry: undefined, value: undefined };
      return;
    }
    const { database } = this.#connection;
    const request = { database, at: this.#at, keys: [...keys], ...how };
    const verifier = new GetManyVerifier(this.#map, keys);
    const queue = new ValueQueue();
    for await (const message of this.#connection.serverStream(StateService.method.batchGet, request, options)) {
      for (const reveals of revealBatches(message.nodes)) {
        for (const { key, cell } of verifier.push(reveals)) {
          const entry = cell === undefined ? undefined : stateEntry(key, cell);
          if (how.omitValues) yield { key, entry, value: undefined };
          else queue.add({ key, entry });
        }
      }
      if (how.omitValues) requireNoValues(message.values);
      else for (const proved of queue.accept(message.values)) yield proved;
    }
    verifier.finish();
    queue.finish();
  }

  /** The entries without values, as many at a time as a message brings. */
  #pieces(bounds: KeyBounds, how: ScanOptions): AsyncGenerator<Iterable<StateEntry>, void, undefined> {
    return this.#resuming({ bounds, how }, (part, progress) => this.#piecesOf(part, progress));
  }

  async *#piecesOf(
    { bounds, how }: ScanPart,
    progress: ScanProgress,
  ): AsyncGenerator<Iterable<StateEntry>, void, undefined> {
    const page = new ScanPage(this.#map, bounds, how);
    for await (const message of this.#scanMessages(bounds, how)) {
      requireNoValues(message.values);
      yield page.push(message, progress);
    }
    page.finish();
  }

  /** The entries with their values, likewise. */
  #withValues(bounds: KeyBounds, how: ScanOptions): AsyncGenerator<Iterable<Proved>, void, undefined> {
    return this.#resuming({ bounds, how }, (part, progress) => this.#withValuesOf(part, progress));
  }

  async *#withValuesOf(
    { bounds, how }: ScanPart,
    progress: ScanProgress,
  ): AsyncGenerator<Iterable<Proved>, void, undefined> {
    const page = new ScanPage(this.#map, bounds, how);
    const queue = new ValueQueue();
    for await (const message of this.#scanMessages(bounds, how)) {
      for (const entry of page.push(message)) {
        queue.add({ key: entry.key, entry, countedBytes: page.countedBytes });
      }
      yield progress.passing(queue.accept(message.values));
    }
    page.finish();
    queue.finish();
  }

  /**
   * One scan in as many parts as it takes. What was handed out is proved to be all up to there, so where the connection is
   * lost the scan goes on behind the last key, at the same root.
   */
  async *#resuming<T>(
    scan: ScanPart,
    run: (part: ScanPart, progress: ScanProgress) => AsyncGenerator<T, void, undefined>,
  ): AsyncGenerator<T, void, undefined> {
    let left: ScanPart | undefined = scan;
    let count = 0;
    async function* attempt(call: CallOptions): AsyncGenerator<T, void, undefined> {
      if (left === undefined) return;
      const part: ScanPart = left;
      const progress = new ScanProgress();
      try {
        yield* run({ ...part, how: { ...part.how, call } }, progress);
      } finally {
        count += progress.count;
        left = progress.rest(part);
      }
    }
    yield* this.#connection.resumed({ attempt, position: () => count }, scan.how.call);
  }

  #scanMessages(bounds: KeyBounds, how: ScanOptions): AsyncIterable<StateServiceScanResponse> {
    const { limit, maxBytes, withValues } = how;
    const { from, to } = bounds;
    const request = {
      database: this.#connection.database,
      at: this.#at,
      from,
      ...(to === undefined ? {} : { to }),
      ...(limit === undefined ? {} : { limit: BigInt(limit) }),
      ...(maxBytes === undefined ? {} : { maxBytes: BigInt(maxBytes) }),
      withValues,
    };
    return this.#connection.transport.serverStream(StateService.method.scan, request, how.call);
  }

  /** The entry with its value, which came along or is fetched now. */
  async #loaded(entry: StateEntry, value: StateValue | undefined, options: ValueOptions): Promise<StateValue> {
    requireLoadable(entry, options);
    return value ?? this.#load(entry, options);
  }

  async #load(entry: StateEntry, options: ValueOptions): Promise<StateValue> {
    const blob = new VerifiedBlob(this.#connection, entry.hash);
    return valueOf(entry, await blob.bytesOfSize(entry.sizeBytes, callOptions(options)));
  }
}

interface ScanOptions {
  /** Most entries. */
  readonly limit: number | undefined;
  /** It ends behind the entry with which its bytes reach this. */
  readonly maxBytes: number | undefined;
  readonly withValues: boolean;
  readonly call: CallOptions;
}

/** A scan, or what is left of one. */
interface ScanPart {
  readonly bounds: KeyBounds;
  readonly how: ScanOptions;
}

/** How far a scan has come. */
class ScanProgress {
  count = 0;
  #countedBytes = 0;
  #last: Uint8Array | undefined;

  /** Notes a key that is handed out, and what its entry counts. */
  passed(key: Uint8Array, countedBytes: number): void {
    this.#last = key;
    this.#countedBytes += countedBytes;
    this.count += 1;
  }

  /** Notes what goes by. */
  *passing(items: Iterable<Proved>): Generator<Proved, void, undefined> {
    for (const item of items) {
      this.passed(item.key, item.countedBytes ?? 0);
      yield item;
    }
  }

  /** What is left; undefined where nothing is: then the scan is complete. */
  rest({ bounds, how }: ScanPart): ScanPart | undefined {
    const last = this.#last;
    if (last === undefined) return { bounds, how };
    const limit = how.limit === undefined ? undefined : how.limit - this.count;
    const maxBytes = how.maxBytes === undefined ? undefined : how.maxBytes - this.#countedBytes;
    if (limit === 0 || (maxBytes !== undefined && maxBytes <= 0)) return undefined;
    const from = keyAfter(last);
    const { to } = bounds;
    if (from === undefined || (to !== undefined && compareBytes(from, to) >= 0)) return undefined;
    return { bounds: { from, to }, how: { ...how, limit, maxBytes } };
  }
}

/** One page of a scan: the header says which range it proves, the witness that it does. */
class ScanPage {
  readonly #map: MapAt;
  readonly #bounds: KeyBounds;
  readonly #limit: number;
  readonly #maxBytes: number;
  readonly #withValues: boolean;
  #verifier: ScanVerifier | undefined;
  #isCut = false;
  #count = 0;
  #sumBytes = 0;
  /** What the entry that was shown last counts. */
  countedBytes = 0;

  constructor(map: MapAt, bounds: KeyBounds, how: ScanOptions) {
    this.#map = map;
    this.#bounds = bounds;
    this.#limit = how.limit ?? Infinity;
    this.#maxBytes = how.maxBytes ?? Infinity;
    this.#withValues = how.withValues;
  }

  *push(message: StateServiceScanResponse, progress?: ScanProgress): Generator<StateEntry, void, undefined> {
    const verifier = this.#open(message);
    for (const reveals of revealBatches(message.nodes)) {
      for (const { key, cell } of verifier.push(reveals)) {
        if (this.#isFull) throw new VerificationFailed(`the answer goes on behind its limit, ${this.#reached}`);
        const entry = stateEntry(key, cell);
        this.countedBytes = countedBytes({ key, cell }, this.#withValues ? entry.sizeBytes : 0);
        this.#count += 1;
        this.#sumBytes += this.countedBytes;
        progress?.passed(key, this.countedBytes);
        yield entry;
      }
    }
  }

  finish(): void {
    receivedPart(this.#verifier, "header").finish();
    if (!this.#isCut || this.#isFull) return;
    throw new IncompleteProof(`the answer was cut before its limit, ${this.#reached}`);
  }

  /** True where nothing may come any more. */
  get #isFull(): boolean {
    return this.#count >= this.#limit || this.#sumBytes >= this.#maxBytes;
  }

  get #reached(): string {
    return `after ${this.#count} entries of ${this.#sumBytes} bytes`;
  }

  /** The verifier, made from the header in the first message and no other. */
  #open(message: StateServiceScanResponse): ScanVerifier {
    if (this.#verifier !== undefined) {
      if (message.header === undefined) return this.#verifier;
      throw new VerificationFailed("the answer has a second header");
    }
    const { next } = receivedPart(message.header, "header");
    this.#isCut = next !== undefined;
    if (next !== undefined) this.#requireCut(next);
    const to = next === undefined ? this.#bounds.to : new Uint8Array(next);
    const range = { from: this.#bounds.from, to };
    this.#verifier = verifying("the page", () => new ScanVerifier(this.#map, range));
    return this.#verifier;
  }

  #requireCut(next: Uint8Array): void {
    const { from, to } = this.#bounds;
    const isWithin = compareBytes(from, next) < 0 && (to === undefined || compareBytes(next, to) < 0);
    if ((this.#limit < Infinity || this.#maxBytes < Infinity) && isWithin) return;
    throw new VerificationFailed("the answer was cut at a key that is not within the range, or without a limit");
  }
}

function requireLoadable(entry: StateEntry, options: ValueOptions): void {
  const limit = options.maxValueBytes ?? DEFAULT_MAX_VALUE_BYTES;
  if (entry.sizeBytes <= limit) return;
  throw new LimitExceeded(
    `the value of key ${toHex(entry.key)} has ${entry.sizeBytes} bytes, more than the ${limit} to be loaded at once`,
    {
      hint: `stream the blob ${toHex(entry.hash)}, or raise maxValueBytes`,
      facts: { limit: "max_value_bytes", value: String(limit), hash: toHex(entry.hash) },
    },
  );
}

/** The keys, ascending and each once, in batches that one request holds. */
function* keyBatches(keys: Iterable<Key>): Generator<Uint8Array[], void, undefined> {
  const sorted = Array.from(keys, (key, index) => keyBytes(key, `keys[${index}]`)).sort(compareBytes);
  let batch: Uint8Array[] = [];
  let batchBytes = 0;
  let previous: Uint8Array | undefined;
  for (const key of sorted) {
    if (previous !== undefined && equalBytes(previous, key)) continue;
    previous = key;
    if (batch.length === MAX_BATCH_KEYS || batchBytes + key.length > MAX_BATCH_KEY_BYTES) {
      yield batch;
      batch = [];
      batchBytes = 0;
    }
    batch.push(key);
    batchBytes += key.length;
  }
  if (batch.length > 0) yield batch;
}
