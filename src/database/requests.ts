// Outcomes of idempotent requests: a write asked for again, with the same key, happens once.
//
//   requests  id (16)  dag_cbor([1, time, digest (16), place of the leaf, outcome])
//
// The id is of method, caller and key; the digest of what was asked for (request-meaning.ts); the outcome is what the
// answer cannot be made without: a root, a hash, or nothing. A row is written in the very batch of the write that it
// records, so that there is never one without the other. Only writes that succeeded have one: whatever was refused may be
// asked for again, and the verdict may be another.
//
// A row counts for REQUEST_EXPIRY_MS. Afterwards it is removed by whichever batch comes across it: each batch that
// records something looks at a few rows more, going round through the space, so it holds a few hours' worth of expired
// rows at most, and a process that writes nothing removes nothing. Puts and deletes are conditional on the row as it was
// read, since a batch that changes nothing but these rows does not move the tail that guards everything else.
//
// Cost: a row of about 100 bytes for each write that has a key, kept a day.
import { createHash } from "node:crypto";
import { equalBytes, toHex } from "../core/bytes.js";
import { decode, encode } from "../core/codec/index.js";
import { AlreadyExists, Corrupt, InvalidArgument, Malformed } from "../core/errors.js";
import { MAX_IDEMPOTENCY_KEY_CHARACTERS, REQUEST_EXPIRY_MS } from "../core/limits.js";
import { PASSING_OVER } from "../store/contract.js";
import type { Condition, Row, RowName, Store, SyncReader } from "../store/contract.js";
import { fromStore } from "./boundary.js";
import type { IdempotencyKey } from "./view-contract.js";
import { MEANING_BYTES, type RequestMeaning } from "./request-meaning.js";

const SPACE = "requests";
const ROW_VERSION = 1;
/** 2^64 keys of one caller before two of them are taken for one. */
const ID_BYTES = 16;

/** Rows looked at for each row written, so that a pass through all of them ends long before as many have come again. */
const LOOKS_A_ROW = 2;
/** Rows looked at with the first write of a process: those that live for one write remove something, too. */
const FIRST_LOOKS = 64;
/** Not sooner than this after the beginning of a pass begins the next one. */
const MIN_PASS_INTERVAL_MS = REQUEST_EXPIRY_MS / 24;

/** A request with a key, ready to be looked up. */
export interface IdentifiedRequest {
  readonly id: Uint8Array;
  readonly digest: Uint8Array;
  readonly key: string;
}

/** How the outcome of one kind of request is kept. */
export interface Recorded<T> {
  readonly request: IdentifiedRequest;
  readonly encode: (value: T) => Uint8Array;
  /** @throws Malformed, Corrupt - what was kept is gone or is no outcome of this kind */
  readonly decode: (outcome: Uint8Array) => T;
}

/** What a durable record says. */
export interface RequestOutcome {
  readonly outcome: Uint8Array;
  /** Place of the newest leaf when it was durable. */
  readonly place: number;
}

/** What became of a request that was made before: in the batch that is being put together, or in one that is durable. */
export type EarlierRequest = { readonly value: unknown } | RequestOutcome;

/**
 * Binds a key to what is asked for; undefined without a key.
 * @throws InvalidArgument - not 1 to 128 printable characters of ASCII
 */
export function identifyRequest(
  idempotency: IdempotencyKey | undefined,
  asked: { readonly method: string; readonly meaning: () => RequestMeaning },
): IdentifiedRequest | undefined {
  if (idempotency === undefined) return undefined;
  const { key } = idempotency;
  requireIdempotencyKey(key);
  const id = requestId(asked.method, idempotency);
  return { id, digest: asked.meaning().digest(), key };
}

/** True where something is recorded under a key, whatever it is and however old: to be looked at with `recall`. */
export function isRecorded(
  rows: SyncReader,
  { method, idempotency }: { readonly method: string; readonly idempotency: IdempotencyKey },
): boolean {
  return rows.has(SPACE, requestId(method, idempotency));
}

function requestId(method: string, { caller, key }: IdempotencyKey): Uint8Array {
  const scope = encode([method, caller, key]);
  return new Uint8Array(createHash("sha256").update(scope).digest().subarray(0, ID_BYTES));
}

/** @throws InvalidArgument */
export function requireIdempotencyKey(key: string, field = "idempotency_key"): void {
  if (key.length <= MAX_IDEMPOTENCY_KEY_CHARACTERS && /^[\x21-\x7e]+$/.test(key)) return;
  const wanted = `1 to ${MAX_IDEMPOTENCY_KEY_CHARACTERS} printable characters of ASCII, no spaces`;
  throw new InvalidArgument(`${field}: a key is ${wanted}`, { field });
}

/** How a request is recorded, if it has a key; `codec` is of its outcome. */
export function recordedAs<T>(
  request: IdentifiedRequest | undefined,
  codec: Pick<Recorded<T>, "encode" | "decode">,
): Recorded<T> | undefined {
  return request === undefined ? undefined : { request, ...codec };
}

/** Of a write that answers nothing but its receipt. */
export const NOTHING_KEPT: Pick<Recorded<void>, "encode" | "decode"> = {
  encode: () => new Uint8Array(0),
  decode: () => undefined,
};

/** The records, as one process reads and expires them. */
export class StoredRequests {
  readonly #store: Store;
  readonly #rows: SyncReader;
  readonly #clock: () => number;
  #pass: AsyncIterator<Uint8Array> | undefined;
  #passBeganMs = -Infinity;
  #oldestSeenMs = Infinity;
  #nextPassMs = -Infinity;
  #isFirst = true;
  /** Ids that the next batch is to look at. */
  #candidates: Uint8Array[] = [];

  constructor(options: { readonly store: Store; readonly rows: SyncReader; readonly clock: () => number }) {
    this.#store = options.store;
    this.#rows = options.rows;
    this.#clock = options.clock;
  }

  /** Begins a batch. */
  round(): RoundRequests {
    return new RoundRequests({
      rows: this.#rows,
      clock: this.#clock,
      candidates: this.#candidates,
      onSeen: (timeMs) => (this.#oldestSeenMs = Math.min(this.#oldestSeenMs, timeMs)),
    });
  }

  /** Before a batch with so many requests: picks rows that it is to look at. */
  async prepare(requests: number): Promise<void> {
    this.#candidates = [];
    if (requests === 0) return;
    const nowMs = this.#clock();
    if (this.#pass === undefined) {
      if (nowMs < this.#nextPassMs) return;
      // Of what cannot be read a check tells: it must not stop who writes.
      this.#pass = this.#store.iterate(SPACE, PASSING_OVER)[Symbol.asyncIterator]();
      this.#passBeganMs = nowMs;
      this.#oldestSeenMs = nowMs;
    }
    const looks = this.#isFirst ? FIRST_LOOKS : LOOKS_A_ROW * requests;
    this.#isFirst = false;
    while (this.#candidates.length < looks) {
      const next = await this.#pass.next();
      if (next.done === true) {
        this.#pass = undefined;
        // Nothing that is left expires before the oldest of what was seen does.
        this.#nextPassMs = Math.max(this.#oldestSeenMs + REQUEST_EXPIRY_MS, this.#passBeganMs + MIN_PASS_INTERVAL_MS);
        return;
      }
      this.#candidates.push(next.value);
    }
  }
}

/** A request that succeeded in this batch. */
interface NotedRequest {
  readonly request: IdentifiedRequest;
  readonly value: unknown;
  readonly outcome: Uint8Array;
}

/** Requests of one batch. */
export class RoundRequests {
  readonly #rows: SyncReader;
  readonly #clock: () => number;
  readonly #candidates: readonly Uint8Array[];
  readonly #onSeen: (timeMs: number) => void;
  readonly #noted = new Map<string, NotedRequest>();
  #beganMs: number | undefined;

  constructor(options: {
    readonly rows: SyncReader;
    readonly clock: () => number;
    readonly candidates: readonly Uint8Array[];
    readonly onSeen: (timeMs: number) => void;
  }) {
    this.#rows = options.rows;
    this.#clock = options.clock;
    this.#candidates = options.candidates;
    this.#onSeen = options.onSeen;
  }

  /** Undefined: it is new. @throws AlreadyExists - its key was used for something else @throws Corrupt */
  find(request: IdentifiedRequest): EarlierRequest | undefined {
    const noted = this.#noted.get(toHex(request.id));
    if (noted === undefined) return this.findDurable(request);
    requireSame(request, noted.request.digest);
    return { value: noted.value };
  }

  /** The same without this batch. */
  findDurable(request: IdentifiedRequest): RequestOutcome | undefined {
    const row = this.#rows.get(SPACE, request.id);
    if (row === undefined) return undefined;
    const record = readRecord(request.id, row);
    if (this.#isExpired(record)) return undefined;
    requireSame(request, record.digest);
    return record;
  }

  /** A new request succeeded. */
  note<T>({ request, encode: encodeOutcome }: Recorded<T>, value: T): void {
    this.#noted.set(toHex(request.id), { request, value, outcome: encodeOutcome(value) });
  }

  /** One instant for the whole batch; not looked at where no request has a key. */
  get #nowMs(): number {
    return (this.#beganMs ??= this.#clock());
  }

  /** True where the batch records something. */
  get hasNew(): boolean {
    return this.#noted.size > 0;
  }

  /** What goes into the batch, whose newest leaf this will be. */
  changes(place: number): { conditions: Condition[]; puts: Row[]; deletes: RowName[] } {
    const conditions: Condition[] = [];
    const puts: Row[] = [];
    const deletes: RowName[] = [];
    for (const { request, outcome } of this.#noted.values()) {
      const key = request.id;
      conditions.push({ space: SPACE, key, expected: this.#rows.get(SPACE, key) ?? "absent" });
      const value = encode([ROW_VERSION, this.#nowMs, request.digest, place, outcome]);
      puts.push({ space: SPACE, key, value });
    }
    for (const key of this.#candidates) {
      const row = this.#rows.get(SPACE, key);
      if (row === undefined || this.#noted.has(toHex(key))) continue;
      const record = readRecord(key, row);
      if (this.#isExpired(record)) {
        conditions.push({ space: SPACE, key, expected: row });
        deletes.push({ space: SPACE, key });
      } else {
        this.#onSeen(record.timeMs);
      }
    }
    return { conditions, puts, deletes };
  }

  #isExpired({ timeMs }: { readonly timeMs: number }): boolean {
    return this.#nowMs - timeMs >= REQUEST_EXPIRY_MS;
  }
}

/** @throws AlreadyExists - it was another request that had the key */
function requireSame(request: IdentifiedRequest, digest: Uint8Array): void {
  if (equalBytes(request.digest, digest)) return;
  throw new AlreadyExists(`the idempotency key ${JSON.stringify(request.key)} was used for another request`, {
    field: "idempotency_key",
    hint: "a key belongs to one request, and to its repetitions: take a new one",
    facts: { kind: "idempotency-key", key: request.key },
  });
}

interface StoredRecord extends RequestOutcome {
  readonly timeMs: number;
  readonly digest: Uint8Array;
}

/** The hashes that the outcome in a row is made of: roots, a commit, a manifest. None where it is no such row. */
export function outcomesOf(row: Uint8Array | undefined): Uint8Array[] {
  if (row === undefined) return [];
  try {
    const { outcome } = readRecord(new Uint8Array(0), row);
    const hashes = outcome.length % 32 === 0 ? outcome.length / 32 : 0;
    return Array.from({ length: hashes }, (_, index) => outcome.slice(32 * index, 32 * index + 32));
  } catch (error) {
    if (error instanceof Corrupt) return [];
    throw error;
  }
}

/** A row of the space, held against its form. @throws Corrupt */
export function checkRequestRow(id: Uint8Array, row: Uint8Array): void {
  readRecord(id, row);
}

/** @throws Corrupt */
function readRecord(id: Uint8Array, row: Uint8Array): StoredRecord {
  return fromStore(`the record of request ${toHex(id)}`, () => {
    const parts = decode(row);
    if (!Array.isArray(parts) || parts.length !== 5) throw new Malformed("not a list of five");
    const [version, timeMs, digest, place, outcome] = parts as unknown[];
    if (version !== ROW_VERSION) throw new Malformed("unknown version");
    if (typeof timeMs !== "number" || typeof place !== "number" || place < 0) {
      throw new Malformed("a time or place that is none");
    }
    if (!(digest instanceof Uint8Array) || digest.length !== MEANING_BYTES || !(outcome instanceof Uint8Array)) {
      throw new Malformed("a digest or outcome that is none");
    }
    return { timeMs, digest, place, outcome };
  });
}
