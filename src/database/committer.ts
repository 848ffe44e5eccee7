// The one write path (DESIGN, idea 4): everything that moves a ref goes through here.
//
// Writers queue. Each round takes those that wait, runs their mutations one after the other on top of the newest tail,
// and writes one atomic batch of everything, guarded by the tail: one leaf, one flush, one signature for all of them.
//
//        tail n ──► draft ◄── mutation, mutation, …        a mutation that throws is dropped from the round alone
//                     │
//                     ▼
//        {rows, nodes, refs moved, leaf n, its hashes, tail n + 1}  if tail n is still the tail
//
// A lost race (another process was first) runs the whole round again on the new tail, verdicts included: a mutation may
// have failed because of one before it that never became durable. Nobody is answered before the flush. The checkpoint is
// signed while that runs, and shown to nobody before its end. A round that fails leaves nothing; one that is durable and
// cannot be signed is there all the same, and its writers are told so.
//
// Nodes that earlier rounds replaced, and that nobody needs any more, go with the same batch (freeing.ts); when nobody
// writes, in rounds of their own, which move nothing and append no leaf. Nodes that one mutation makes and the next
// replaces are not written at all.
//
// Cost: a mutation is CPU of this thread, so a round is bounded in mutations and bytes, and reads run in between.
import { Unavailable, assert } from "../core/errors.js";
import { ConditionFailed } from "../store/contract.js";
import type { Row, Store } from "../store/contract.js";
import type { Receipt } from "./contract.js";
import { Draft } from "./draft.js";
import type { Freeing } from "./freeing.js";
import type { LogStore, Tail } from "./log-store.js";
import type { StoreNodes } from "./nodes.js";
import type { Recorded, RoundRequests, StoredRequests } from "./requests.js";
import { StoredRefs } from "./refs.js";

const MAX_ROUND_MUTATIONS = 256;
const MAX_ROUND_BYTES = 8 * 1024 * 1024;
/** Races lost in a row before giving up; with the waits between them, some seconds against a busy neighbour. */
const MAX_ATTEMPTS = 100;
const MAX_BACKOFF_MS = 50;
/** Nobody has written for so long: nodes are freed in rounds of their own, and leases that hold them looked at again. */
const IDLE_MS = 100;

/** What a mutation works on. */
export interface MutationContext {
  /** Refs, nodes and rows, with the changes of the mutations before it in this round. */
  readonly draft: Draft;
  /** The log before this round. */
  readonly tail: Tail;
}

/**
 * Reads and changes the draft, without waiting, and says what it did. Runs again from the start when the round has to be
 * repeated, so it changes nothing but the draft. What it throws is the verdict on it alone.
 */
export type Mutation<T> = (context: MutationContext) => T;

/** A mutation's answer, and the log that contains it. */
export interface Outcome<T> {
  readonly value: T;
  readonly receipt: Receipt;
  /** The log that the checkpoint of the receipt signs. */
  readonly tail: Tail;
}

export interface CommitterOptions {
  readonly store: Store;
  readonly nodes: StoreNodes;
  readonly log: LogStore;
  readonly freeing: Freeing;
  readonly requests: StoredRequests;
  readonly clock: () => number;
}

interface Ticket {
  readonly mutate: Mutation<unknown>;
  readonly recorded: Recorded<unknown> | undefined;
  readonly resolve: (outcome: Outcome<unknown>) => void;
  readonly reject: (error: unknown) => void;
}

/** `logIndex`: of the leaf that held it, where an earlier batch did. */
type Verdict = { readonly value: unknown; readonly logIndex?: number | undefined } | { readonly error: unknown };

export class Committer {
  readonly #options: CommitterOptions;
  readonly #waiting: Ticket[] = [];
  #loop: Promise<void> | undefined;
  /** Set while nodes wait to be freed: wakes the committer when nobody else does. */
  #timer: NodeJS.Timeout | undefined;
  #isFreeingDue = false;
  #closed = false;

  constructor(options: CommitterOptions) {
    this.#options = options;
  }

  /**
   * Runs a mutation and resolves once it is durable and in the log. Mutations run in the order of the calls. One whose
   * request is recorded already does not run: its answer is the recorded one, with the newest checkpoint.
   * @throws AlreadyExists - the idempotency key was used for another request
   * @throws what the mutation throws; Unavailable - closed, disk full, or other processes won every race; with the fact
   *   `outcome: applied` the write is durable and only its receipt could not be signed
   */
  commit<T>(mutate: Mutation<T>, recorded?: Recorded<T>): Promise<Outcome<T>> {
    if (this.#closed) return Promise.reject(new Unavailable("the database is closed"));
    return new Promise<Outcome<unknown>>((resolve, reject) => {
      this.#waiting.push({ mutate, recorded: recorded as Recorded<unknown> | undefined, resolve, reject });
      this.#loop ??= this.#runRounds();
    }) as Promise<Outcome<T>>;
  }

  /**
   * The answer to a request that is recorded already: to be asked before anything is prepared that `commit` would not
   * need. Undefined: it is not, though it may be by the time of `commit`. Errors as of `commit`.
   */
  recall<T>(recorded: Recorded<T> | undefined): Outcome<T> | undefined {
    if (recorded === undefined) return undefined;
    const { log, requests } = this.#options;
    const earlier = requests.round().findDurable(recorded.request);
    if (earlier === undefined) return undefined;
    const { outcome, logIndex } = earlier;
    const tail = log.tail();
    return { value: recorded.decode(outcome), receipt: { logIndex, checkpoint: log.checkpoint(tail) }, tail };
  }

  /** Takes no more mutations, waits for those that wait, and frees what may go by now. */
  async close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      clearTimeout(this.#timer);
      this.#options.freeing.close();
      this.#isFreeingDue = true;
      this.#loop ??= this.#runRounds();
    }
    await this.#loop;
  }

  async #runRounds(): Promise<void> {
    // Calls made in this turn of the event loop share the first round.
    await Promise.resolve();
    while (this.#waiting.length > 0 || this.#isFreeingDue) await this.#runRound();
    this.#loop = undefined;
    this.#wakeForFreeing();
  }

  /** Has a round begin when the next nodes are to be freed, unless a write comes first. Keeps no process alive. */
  #wakeForFreeing(): void {
    clearTimeout(this.#timer);
    const { freeing } = this.#options;
    const waitMs = this.#closed ? undefined : freeing.nextInMs;
    if (waitMs === undefined) return;
    this.#timer = setTimeout(
      () => {
        this.#isFreeingDue = true;
        this.#loop ??= this.#runRounds();
      },
      Math.max(IDLE_MS, waitMs),
    ).unref();
  }

  async #runRound(): Promise<void> {
    this.#isFreeingDue = false;
    let tickets: Ticket[] | undefined;
    try {
      await this.#options.freeing.prepare();
      tickets = this.#waiting.splice(0, MAX_ROUND_MUTATIONS);
      await this.#options.requests.prepare(tickets.filter(({ recorded }) => recorded !== undefined).length);
      for (let attempt = 1; ; attempt += 1) {
        const round = new Round(this.#options, tickets);
        // What does not fit into one batch goes first in the next.
        this.#waiting.unshift(...tickets.splice(round.size));
        if (await round.write()) {
          round.settle();
          // Goes on at once while nobody writes. A writer who was just answered may well write again.
          this.#isFreeingDue = round.size === 0 && round.hasFreed && this.#waiting.length === 0;
          return;
        }
        if (attempt === MAX_ATTEMPTS) throw lostEveryRace();
        await backOff(attempt);
      }
    } catch (error) {
      // Those who wait learn of it also where it failed before it took any.
      tickets ??= this.#waiting.splice(0, MAX_ROUND_MUTATIONS);
      for (const ticket of tickets) ticket.reject(error);
    }
  }
}

/** One try at writing what some tickets want, on top of one tail. */
class Round {
  readonly #options: CommitterOptions;
  readonly #tickets: readonly Ticket[];
  /** One for each ticket that fitted in. */
  readonly #verdicts: Verdict[] = [];
  readonly #tail: Tail;
  readonly #draft: Draft;
  readonly #requests: RoundRequests;
  #written: Tail;
  #hasFreed = false;

  /** Runs the mutations of the first tickets, as many as fit. @throws Corrupt, Unavailable - reading the tail failed */
  constructor(options: CommitterOptions, tickets: readonly Ticket[]) {
    this.#options = options;
    this.#tickets = tickets;
    const { nodes, log } = options;
    this.#tail = log.tail();
    this.#written = this.#tail;
    const refs = new StoredRefs(nodes, { kind: 4, root: this.#tail.refsRoot });
    this.#draft = new Draft({ refs, nodes });
    this.#requests = options.requests.round();
    for (const ticket of tickets) {
      if (this.#draft.sizeBytes > MAX_ROUND_BYTES) break;
      this.#verdicts.push(this.#run(ticket));
    }
  }

  /** True where nodes were freed. */
  get hasFreed(): boolean {
    return this.#hasFreed;
  }

  /** Tickets that fitted in: at least the first. */
  get size(): number {
    return this.#verdicts.length;
  }

  #run(ticket: Ticket): Verdict {
    const { recorded } = ticket;
    try {
      const earlier = recorded && this.#requests.find(recorded.request);
      if (earlier !== undefined) {
        return "value" in earlier ? earlier : { ...earlier, value: recorded?.decode(earlier.outcome) };
      }
      const fork = this.#draft.fork();
      const value = ticket.mutate({ draft: fork, tail: this.#tail });
      this.#draft.merge(fork);
      if (recorded !== undefined) this.#requests.note(recorded, value);
      return { value };
    } catch (error) {
      return { error };
    }
  }

  /** True once everything is durable; false where another process moved the tail first. */
  async write(): Promise<boolean> {
    const { store, nodes, log, clock, freeing } = this.#options;
    const draft = this.#draft;
    const tail = this.#tail;
    const refsRoot = draft.editRefs({ kind: 4, root: tail.refsRoot });
    const { stored, freed } = freeing.next({ tail, steps: draft.steps, created: [...draft.createdNodes] });
    if (!draft.needsLeaf && draft.rows.length === 0 && freed.length === 0 && !this.#requests.hasNew) return true;
    const puts: Row[] = [...draft.rows];
    for (const node of stored) puts.push({ space: "nodes", key: node.digest, value: node.stored });
    const appended = draft.needsLeaf ? log.append(tail, { timeMs: clock(), refsRoot }) : undefined;
    puts.push(...(appended?.rows ?? []));
    try {
      const requests = this.#requests.changes((appended?.tail ?? tail).size - 1);
      puts.push(...requests.puts);
      const conditions = [log.unmoved(tail), ...draft.conditions, ...requests.conditions];
      const deletes = [...freed, ...requests.deletes];
      await store.write({ conditions, puts, deletes, meanwhile: () => this.#signAhead(appended?.tail) });
    } catch (error) {
      // Also where it may have been written after all: what is not known is not followed.
      freeing.failed();
      if (error instanceof ConditionFailed) return false;
      throw error;
    }
    nodes.add(stored);
    if (appended !== undefined) {
      log.moved(appended);
      this.#written = appended.tail;
    }
    freeing.written(this.#written, freed);
    this.#hasFreed = freed.length > 0;
    return true;
  }

  /** Answers everybody. Only once the round is durable. */
  settle(): void {
    if (this.#verdicts.length === 0) return;
    const receipt = this.#receipt();
    for (const [index, verdict] of this.#verdicts.entries()) {
      const ticket = this.#tickets[index];
      assert(ticket !== undefined, "one verdict for each ticket");
      if ("error" in verdict) ticket.reject(verdict.error);
      else if (receipt instanceof Unavailable) ticket.reject(receipt);
      else {
        const { logIndex = receipt.logIndex } = verdict;
        const { checkpoint } = receipt;
        ticket.resolve({ value: verdict.value, receipt: { logIndex, checkpoint }, tail: this.#written });
      }
    }
  }

  /** Where nobody waits for the checkpoint, it is left to who asks for it. */
  #signAhead(tail: Tail | undefined): void {
    if (tail !== undefined && this.#verdicts.length > 0) this.#options.log.prepareCheckpoint(tail);
  }

  /** What confirms the round, or what to say where it cannot be signed. */
  #receipt(): Receipt | Unavailable {
    const logIndex = this.#written.size - 1;
    try {
      return { logIndex, checkpoint: this.#options.log.checkpoint(this.#written) };
    } catch (cause) {
      return unsigned(logIndex, cause);
    }
  }
}

/** The flush cannot be taken back: whoever took this for a write that failed, and repeated it, would write twice. */
function unsigned(logIndex: number, cause: unknown): Unavailable {
  return new Unavailable(
    "the write was applied and is durable, but its receipt could not be signed",
    {
      hint: "read back what it changed before you try again",
      facts: { outcome: "applied", log_index: String(logIndex) },
    },
    { cause },
  );
}

/** Waits a random while, longer with each attempt, so that two processes do not meet again and again. */
async function backOff(attempt: number): Promise<void> {
  const longestMs = Math.min(MAX_BACKOFF_MS, 2 ** attempt);
  await new Promise((resolve) => setTimeout(resolve, Math.random() * longestMs));
}

function lostEveryRace(): Unavailable {
  return new Unavailable(`other processes moved the log ${MAX_ATTEMPTS} times while this write was prepared`, {
    hint: "try again",
    facts: { attempts: String(MAX_ATTEMPTS) },
  });
}
