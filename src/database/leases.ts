// Leases: reads that take a while, and what they keep from being freed (docs/decisions/0003).
//
// A lease holds the log's end in the view that is read: its leaves, with those of the epochs before, so that it only grows.
// What a later round replaces was replaced at that end or above,
// and stays while the lease is held: so one number protects all of a view, whichever maps of it are read.
//
// Other processes on the same directory see one row for all leases of this one, and only where a read lasts: short ones are
// covered by the time that nodes wait anyway.
//
//   leases  a random id, 16 bytes    dag_cbor([1, log end, expires at, milliseconds since 1970])
//   meta    holds                    dag_cbor([1, id, a number]), changed by whoever begins to hold everything
//
// The row is written once a read has lasted half of the time that nodes wait at least, so that it is there before the
// first of them goes; renewed while it is needed; and counts no longer once it has expired, as after a crash.
import { utf8 } from "../core/bytes.js";
import { decode, encode } from "../core/codec/index.js";
import { NeleusError } from "../core/errors.js";
import { MAX_LEASE_MS, SHARED_LEASE_MS } from "../core/limits.js";
import { PASSING_OVER } from "../store/contract.js";
import type { Condition, Row, RowName, Store, SyncReader } from "../store/contract.js";
import type { Lease } from "./view-contract.js";

const LEASE_VERSION = 1;
/** Changes whenever somebody begins to hold everything. */
const HOLDS: RowName = { space: "meta", key: utf8("holds") };
/** A row that holds more than it must is renewed this seldom, if it does not expire before. */
const NARROW_AFTER_MS = SHARED_LEASE_MS / 6;

/** A lease on everything. */
export interface WholeLease extends Lease {
  /** False where this process stood still for so long that others may have gone on without it. */
  readonly isUnbroken: () => boolean;
}

/** The row that says who began to hold everything, as it is, and the condition that it stays so. */
export function holdsCondition(rows: SyncReader): {
  readonly current: Uint8Array | undefined;
  readonly condition: Condition;
} {
  const current = rows.get(HOLDS.space, HOLDS.key);
  return { current, condition: { ...HOLDS, expected: current ?? "absent" } };
}

export interface LeasesOptions {
  readonly store: Store;
  /** Milliseconds since 1970, which all processes of a machine share. */
  readonly clock: () => number;
  /** Time that replaced nodes wait at least. */
  readonly graceMs: number;
  /** 16 random bytes. */
  readonly id: Uint8Array;
}

interface OpenLease {
  readonly logEnd: number;
  readonly sinceMs: number;
  /** True where it counts from the first moment, and as long as it is open. */
  readonly isEndless: boolean;
}

/** The row as it was last written. */
interface SharedRow {
  readonly logEnd: number;
  readonly writtenMs: number;
}

export class Leases {
  readonly #options: LeasesOptions;
  readonly #open = new Set<OpenLease>();
  readonly #name: RowName;
  #shared: SharedRow | undefined;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #others: readonly number[] = [];
  #expired: readonly RowName[] = [];
  #othersAtMs = -Infinity;
  #isClosed = false;
  /** How often the row had expired before it was renewed. */
  #broken = 0;
  #barriers = 0;

  constructor(options: LeasesOptions) {
    this.#options = options;
    this.#name = { space: "leases", key: options.id };
  }

  /** Keeps what a view of this end of the log reads, until released, for MAX_LEASE_MS at most. */
  take(logEnd: number): Lease {
    return this.#opened({ logEnd, sinceMs: performance.now(), isEndless: false });
  }

  /**
   * Keeps everything, in all processes, until released: for a writer of nodes that no ref names yet, who has no other way to
   * learn that another writer made the same node and frees it. Resolves when the lease is durable.
   * @throws Unavailable - it cannot be written
   */
  async takeAll(): Promise<WholeLease> {
    const lease = this.#opened({ logEnd: 0, sinceMs: performance.now(), isEndless: true });
    const shared = this.#writing.then(() => this.#share());
    this.#writing = shared.catch(() => undefined);
    try {
      await shared;
      const broken = this.#broken;
      const isUnbroken = (): boolean => broken === this.#broken && !this.#hasExpired();
      return { ...lease, isUnbroken };
    } catch (error) {
      lease.release();
      throw error;
    }
  }

  #opened(lease: OpenLease): Lease {
    this.#open.add(lease);
    this.#schedule();
    return {
      release: () => {
        this.#open.delete(lease);
      },
    };
  }

  /** The oldest view that is read, here or, as of the last `refresh`, elsewhere; Infinity where none is. */
  get oldestView(): number {
    return Math.min(oldestOf(this.#live()), ...this.#others);
  }

  /** True where it is time to look at the leases of others again: before anything is freed. */
  get isStale(): boolean {
    return performance.now() - this.#othersAtMs >= this.#options.graceMs / 4;
  }

  /** The oldest view that others read, as of the last `refresh`; 0 where somebody holds everything. */
  get oldestOfOthers(): number {
    return Math.min(Infinity, ...this.#others);
  }

  /** A row that stops garbage collection for a look, where nodes get a new use that no ref shows. */
  barrierRow(): Row {
    this.#barriers += 1;
    return { ...HOLDS, value: encode([LEASE_VERSION, this.#options.id, this.#barriers]) };
  }

  /** True where others may take the row for that of a process that died. */
  #hasExpired(): boolean {
    return this.#shared !== undefined && performance.now() - this.#shared.writtenMs >= SHARED_LEASE_MS;
  }

  /** Reads the leases of other processes. */
  async refresh(): Promise<void> {
    const { store, clock } = this.#options;
    const readAtMs = performance.now();
    const keys: Uint8Array[] = [];
    const own = Buffer.from(this.#options.id);
    for await (const key of store.iterate("leases", PASSING_OVER)) if (!own.equals(key)) keys.push(key);
    const values = keys.length === 0 ? [] : await store.getMany("leases", keys);
    const nowMs = clock();
    const others: number[] = [];
    const expired: RowName[] = [];
    for (const [index, key] of keys.entries()) {
      const value = values[index];
      const lease = value && decodeLease(value);
      // No lease is longer than that: one that seems to be was written under another time.
      const isLive = lease !== undefined && lease.expiresMs > nowMs && lease.expiresMs <= nowMs + 2 * SHARED_LEASE_MS;
      if (isLive) others.push(lease.logEnd);
      else expired.push({ space: "leases", key });
    }
    this.#others = others;
    this.#expired = expired;
    this.#othersAtMs = readAtMs;
  }

  /** Rows of leases that count no longer, once: to be deleted with whatever is written next. */
  takeExpired(): readonly RowName[] {
    const expired = this.#expired;
    this.#expired = [];
    return expired;
  }

  /** Ends all leases. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    this.#open.clear();
    await this.#writing;
    await this.#tryToShare();
  }

  /** Open leases that still count. */
  #live(options: { readonly atLeastMs?: number } = {}): OpenLease[] {
    const nowMs = performance.now();
    return [...this.#open].filter(({ sinceMs, isEndless }) => {
      const ageMs = nowMs - sinceMs;
      return isEndless || (ageMs < MAX_LEASE_MS && ageMs >= (options.atLeastMs ?? 0));
    });
  }

  /** Looks after the shared row while there is a lease, or a row. */
  #schedule(): void {
    if (this.#timer !== undefined || this.#isClosed) return;
    const everyMs = Math.max(1, this.#options.graceMs / 4);
    this.#timer = setInterval(() => {
      this.#writing = this.#writing.then(() => this.#tryToShare());
      if (this.#open.size > 0 || this.#shared !== undefined) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    }, everyMs);
    this.#timer.unref();
  }

  async #tryToShare(): Promise<void> {
    try {
      await this.#share();
    } catch (error) {
      // The read goes on: if it is overtaken it says so. A row that stays behind expires.
      if (!(error instanceof NeleusError)) throw error;
    }
  }

  async #share(): Promise<void> {
    const lasting = this.#live({ atLeastMs: this.#options.graceMs / 4 });
    if (lasting.length > 0) {
      await this.#renew(oldestOf(lasting));
    } else if (this.#shared !== undefined && this.#open.size === 0) {
      this.#shared = undefined;
      await this.#options.store.write({ deletes: [this.#name] });
    }
  }

  async #renew(logEnd: number): Promise<void> {
    const { store, clock } = this.#options;
    const nowMs = performance.now();
    const shared = this.#shared;
    const ageMs = nowMs - (shared?.writtenMs ?? -Infinity);
    const isEnough = shared !== undefined && shared.logEnd <= logEnd && ageMs < SHARED_LEASE_MS / 2;
    if (isEnough && (shared.logEnd === logEnd || ageMs < NARROW_AFTER_MS)) return;
    const row: Row = { ...this.#name, value: encode([LEASE_VERSION, logEnd, clock() + SHARED_LEASE_MS]) };
    if (this.#hasExpired()) this.#broken += 1;
    // Whoever begins to hold everything is noticed by the next batch of a collection, whatever it has seen before.
    const isBeginning = logEnd === 0 && (shared?.logEnd !== 0 || this.#hasExpired());
    await store.write({ puts: isBeginning ? [row, this.barrierRow()] : [row] });
    this.#shared = { logEnd, writtenMs: nowMs };
  }
}

function oldestOf(leases: readonly OpenLease[]): number {
  return leases.reduce((oldest, { logEnd }) => Math.min(oldest, logEnd), Infinity);
}

/** Undefined for a row that is no lease of this version. */
export function decodeLease(row: Uint8Array): { readonly logEnd: number; readonly expiresMs: number } | undefined {
  let parts: unknown;
  try {
    parts = decode(row);
  } catch (error) {
    if (error instanceof NeleusError) return undefined;
    throw error;
  }
  if (!Array.isArray(parts) || parts.length !== 3) return undefined;
  const [version, logEnd, expiresMs] = parts as unknown[];
  if (version !== LEASE_VERSION || typeof logEnd !== "number" || typeof expiresMs !== "number") return undefined;
  return { logEnd, expiresMs };
}
