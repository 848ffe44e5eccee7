// Group commit: batches that wait while another group is being flushed go out together, in one transaction and one
// flush. One transaction of this process is in progress at a time, so batches apply in the order of the calls.
//
// The flush dominates the cost of a batch, so callers who share one go several times as fast (bench/store.ts).
import { Unavailable } from "../../core/errors.js";
import type { WriteBatch } from "../contract.js";

/** Most rows in one group, and most bytes of values: the event loop stands still while they are copied. */
const MAX_GROUP_ROWS = 8_192;
const MAX_GROUP_BYTES = 8 * 1024 * 1024;

/** One waiting batch. */
interface Ticket {
  /** Let go of once it is in the transaction: what a flush keeps waiting grows old, and is collected late. */
  batch: WriteBatch;
  readonly rows: number;
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Runs `takeAndApply` inside one write transaction and resolves when it is durable. `takeAndApply` is called exactly
 * once, synchronously within the transaction, unless the promise rejects; if it throws, nothing of it is written.
 */
export type RunTransaction = (takeAndApply: () => void) => Promise<void>;

/** Called within the transaction, before any of these batches is applied; if it throws, none is. */
export type PrepareGroup = (batches: readonly WriteBatch[]) => void;

/** Applies one batch within the transaction. Returns why it was refused, having written nothing; throws on failure. */
export type ApplyBatch = (batch: WriteBatch) => Error | undefined;

export class GroupCommit {
  readonly #run: RunTransaction;
  readonly #prepare: PrepareGroup;
  readonly #apply: ApplyBatch;
  readonly #waiting: Ticket[] = [];
  #running = false;
  #loop: Promise<void> = Promise.resolve();
  #refusal: Error | undefined;

  constructor(functions: { run: RunTransaction; prepare?: PrepareGroup; apply: ApplyBatch }) {
    this.#run = functions.run;
    this.#prepare = functions.prepare ?? (() => undefined);
    this.#apply = functions.apply;
  }

  /** Queues a batch. Resolves when it is durable; rejects if it was refused or failed, and then nothing was written. */
  write(batch: WriteBatch): Promise<void> {
    if (this.#refusal !== undefined) return Promise.reject(this.#refusal);
    return new Promise((resolve, reject) => {
      const puts = batch.puts ?? [];
      const rows = puts.length + (batch.deletes?.length ?? 0) + (batch.conditions?.length ?? 0);
      const bytes = puts.reduce((sum, row) => sum + row.value.length, 0);
      this.#waiting.push({ batch, rows, bytes, resolve, reject });
      if (!this.#running) this.#loop = this.#writeGroups();
    });
  }

  /** Takes no more batches and waits for those that wait. */
  async close(): Promise<void> {
    this.#refusal ??= new Unavailable("the database is closed");
    await this.#loop;
  }

  /** Refuses everything from now on, with this error. */
  fail(error: Error): void {
    this.#refusal = error;
    for (const ticket of this.#waiting.splice(0)) ticket.reject(error);
  }

  async #writeGroups(): Promise<void> {
    this.#running = true;
    while (this.#waiting.length > 0) {
      let group: Ticket[] = [];
      let refusals: (Error | undefined)[] = [];
      try {
        await this.#run(() => {
          // Taken only here, where the write lock is held: batches that came while waiting for it ride along.
          group = this.#takeGroup();
          this.#prepare(group.map((ticket) => ticket.batch));
          refusals = group.map((ticket) => this.#apply(ticket.batch));
          const meanwhile = group.map(({ batch }, index) =>
            refusals[index] === undefined ? batch.meanwhile : undefined,
          );
          for (const ticket of group) ticket.batch = {};
          // Once this callback has returned, and another thread begins to write the pages.
          setImmediate(() => {
            for (const run of meanwhile) run?.();
          });
        });
      } catch (error) {
        // The transaction may have failed before it took any: then the first in line learns why.
        if (group.length === 0) group = this.#takeGroup();
        for (const ticket of group) ticket.reject(error);
        continue;
      }
      for (const [index, ticket] of group.entries()) {
        const refusal = refusals[index];
        if (refusal === undefined) ticket.resolve();
        else ticket.reject(refusal);
      }
    }
    // In the same step as the look at the queue, so that no batch can come between and be forgotten.
    this.#running = false;
  }

  #takeGroup(): Ticket[] {
    let rows = 0;
    let bytes = 0;
    let count = 0;
    for (const ticket of this.#waiting) {
      rows += ticket.rows;
      bytes += ticket.bytes;
      if (count > 0 && (rows > MAX_GROUP_ROWS || bytes > MAX_GROUP_BYTES)) break;
      count += 1;
    }
    return this.#waiting.splice(0, count);
  }
}
