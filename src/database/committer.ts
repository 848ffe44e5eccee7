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
// While a round is being written the next can be put together on top of it (round.ts): then the processor works on one
// while the device works on the other. Rounds become durable, and are answered, in their order.
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
import { Unavailable } from "../core/errors.js";
import { indexOfPlace } from "./log-store.js";
import type { RollbackAlarm } from "./rollback-alarm.js";
import { Round } from "./round.js";
import type { Mutation, Outcome, RoundOptions, Ticket } from "./round.js";
import type { Recorded } from "./requests.js";

const MAX_ROUND_MUTATIONS = 256;
/** Races lost in a row before giving up; with the waits between them, some seconds against a busy neighbour. */
const MAX_ATTEMPTS = 100;
const MAX_BACKOFF_MS = 50;
/** Nobody has written for so long: nodes are freed in rounds of their own, and leases that hold them looked at again. */
const IDLE_MS = 100;

export interface CommitterOptions extends RoundOptions {
  readonly alarm: RollbackAlarm;
}

export class Committer {
  readonly #options: CommitterOptions;
  readonly #waiting: Ticket[] = [];
  #loop: Promise<void> | undefined;
  /** Set while nodes wait to be freed: wakes the committer when nobody else does. */
  #timer: NodeJS.Timeout | undefined;
  #isFreeingDue = false;
  /** Set while somebody works alone; settles when that is over. */
  #held: Promise<void> | undefined;
  /** Set while a round is being written: looks whether enough wait for another. */
  #wake: (() => void) | undefined;
  /** Races lost in a row. */
  #attempts = 0;
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
      this.#wake?.();
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
    const { outcome, place } = earlier;
    const tail = log.tail();
    const logIndex = indexOfPlace(tail, place);
    return { value: recorded.decode(outcome), receipt: { logIndex, checkpoint: log.checkpoint(tail) }, tail };
  }

  /**
   * Runs what is no mutation of a round, and moves the tail by itself: no round begins meanwhile, so that it need not lose
   * every race. It guards its batch by the tail all the same: a round may still be on its way, and other processes write.
   * @throws Unavailable - closed
   */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    while (this.#held !== undefined) await this.#held;
    if (this.#closed) throw new Unavailable("the database is closed");
    const result = work();
    this.#held = result.then(isOver, isOver).then(() => (this.#held = undefined));
    return result;
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
    let flight: Flight | undefined;
    for (;;) {
      if (flight === undefined) {
        if (this.#waiting.length === 0 && !this.#isFreeingDue) break;
        if (this.#held !== undefined) await this.#held;
        flight = await this.#start();
        continue;
      }
      const next: Flight | undefined = (await this.#isWorthAnother(flight))
        ? await this.#start(flight.round)
        : undefined;
      flight = await this.#land(flight, next);
    }
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

  /** Puts a round together, on top of one that is being written if there is one, and begins to write it. */
  async #start(ahead?: Round): Promise<Flight | undefined> {
    const { freeing, requests, alarm } = this.#options;
    this.#isFreeingDue = false;
    let tickets: Ticket[] | undefined;
    try {
      await freeing.prepare();
      tickets = this.#waiting.splice(0, MAX_ROUND_MUTATIONS);
      if (tickets.length > 0) alarm.requireSilent();
      await requests.prepare(tickets.filter(({ recorded }) => recorded !== undefined).length);
      const round = new Round(this.#options, tickets, ahead);
      // What does not fit into one batch goes first in the next.
      this.#waiting.unshift(...tickets.splice(round.size));
      round.begin();
      return { round, tickets };
    } catch (error) {
      // Those who wait learn of it also where it failed before it took any.
      for (const ticket of tickets ?? this.#waiting.splice(0, MAX_ROUND_MUTATIONS)) ticket.reject(error);
      return undefined;
    }
  }

  /**
   * Waits until so many write that another round is worth its flush, and true, or until this one is written. Half as many:
   * then a steady number of writers falls into two rounds that take turns at the processor and the device.
   */
  async #isWorthAnother({ round, tickets }: Flight): Promise<boolean> {
    if (!round.canCarry || this.#held !== undefined) return false;
    const enough = new Promise<true>((resolve) => {
      this.#wake = () => this.#waiting.length >= Math.max(1, tickets.length / 2) && resolve(true);
    });
    this.#wake?.();
    const isEnough = await Promise.race([enough, round.outcome.then(isOver, isOver)]);
    this.#wake = undefined;
    return isEnough;
  }

  /** Waits for a round and answers its writers. Returns the one behind it, where that goes on. */
  async #land(flight: Flight, next: Flight | undefined): Promise<Flight | undefined> {
    const { round, tickets } = flight;
    try {
      if (await round.outcome) {
        this.#attempts = 0;
        round.settle();
        // Goes on at once while nobody writes. A writer who was just answered may well write again.
        this.#isFreeingDue ||= round.size === 0 && round.hasFreed && this.#waiting.length === 0;
        return next;
      }
    } catch (error) {
      for (const ticket of tickets) ticket.reject(error);
      return next;
    }
    // What is behind a round that lost the race lost it too: all of them again, in their order.
    if (next !== undefined) await this.#land(next, undefined);
    this.#attempts += 1;
    if (this.#attempts >= MAX_ATTEMPTS) {
      this.#attempts = 0;
      for (const ticket of tickets) ticket.reject(lostEveryRace());
      return undefined;
    }
    this.#waiting.unshift(...tickets);
    await backOff(this.#attempts);
    return undefined;
  }
}

/** A round that is being written, and those whose it is. */
interface Flight {
  readonly round: Round;
  readonly tickets: readonly Ticket[];
}

const isOver = (): false => false;

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
