// One round of the committer (committer.ts): the mutations of some writers, run one after the other, as one batch.
//
// A round can be put together on top of one that is still being written: its draft is on top of that one's draft, its leaf
// follows that one's leaf, and its batch is conditional on the tail that the other makes. So where the other fails, so does
// it, and it is durable only after the other is. A request that the other records is new to it: then its batch fails by the
// condition on that record, and it runs again.
import { Unavailable, assert } from "../core/errors.js";
import { MapKind } from "../core/map/index.js";
import { ConditionFailed } from "../store/contract.js";
import type { Condition, Row, Store, WriteBatch } from "../store/contract.js";
import { cacheName } from "./cache-name.js";
import type { Receipt } from "./view-contract.js";
import { Draft } from "./draft.js";
import type { DraftBase } from "./draft.js";
import type { Freeing, RoundNodes } from "./freeing.js";
import { indexOfPlace } from "./log-store.js";
import type { Appended, LogStore, Tail } from "./log-store.js";
import type { StoreNodes } from "./nodes.js";
import type { Recorded, RoundRequests, StoredRequests } from "./requests.js";
import { StoredRefs } from "./refs.js";
import { ALARM } from "./rollback-alarm.js";

const MAX_ROUND_BYTES = 8 * 1024 * 1024;

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

export interface RoundOptions {
  readonly store: Store;
  readonly nodes: StoreNodes;
  readonly log: LogStore;
  readonly freeing: Freeing;
  readonly requests: StoredRequests;
  readonly clock: () => number;
}

/** A writer who waits. */
export interface Ticket {
  readonly mutate: Mutation<unknown>;
  readonly recorded: Recorded<unknown> | undefined;
  readonly resolve: (outcome: Outcome<unknown>) => void;
  readonly reject: (error: unknown) => void;
}

/** `place`: of the leaf that held it, where an earlier batch did. */
type Verdict = { readonly value: unknown; readonly place?: number | undefined } | { readonly error: unknown };

/** What a round writes, and what becomes of nodes with it. */
interface RoundBatch {
  readonly nodes: RoundNodes;
  readonly rows: WriteBatch;
}

/** One try at writing what some tickets want, on top of one tail. */
export class Round {
  readonly #options: RoundOptions;
  readonly #tickets: readonly Ticket[];
  /** One for each ticket that fitted in. */
  readonly #verdicts: Verdict[] = [];
  /** The round before, until it is known to be durable or not. */
  #ahead: Round | undefined;
  readonly #tail: Tail;
  readonly #draft: Draft;
  readonly #requests: RoundRequests;
  /** Names of the nodes that are put with the batch. */
  readonly #stored = new Set<string>();
  /** ... and of those that it frees. */
  readonly #freed = new Set<string>();
  #appended: Appended | undefined;
  #outcome: Promise<boolean> | undefined;

  /**
   * Runs the mutations of the first tickets, as many as fit: on top of the newest durable tail, or of `ahead`, a round that
   * is being written and `canCarry` another.
   * @throws Corrupt, Unavailable - reading the tail failed
   */
  constructor(options: RoundOptions, tickets: readonly Ticket[], ahead?: Round) {
    this.#options = options;
    this.#tickets = tickets;
    this.#ahead = ahead;
    this.#tail = ahead?.endsAt ?? options.log.tail();
    this.#draft = new Draft(ahead === undefined ? this.#durableBase() : { refs: ahead.#draft, nodes: ahead.#draft });
    this.#requests = options.requests.round();
    for (const ticket of tickets) {
      if (this.#draft.sizeBytes > MAX_ROUND_BYTES) break;
      this.#verdicts.push(this.#run(ticket));
    }
  }

  /** What the draft is on top of, as far as that is durable. */
  #durableBase(): DraftBase {
    const { nodes } = this.#options;
    return { refs: new StoredRefs(nodes, { kind: MapKind.refs, root: this.#tail.refsRoot }), nodes };
  }

  /** The log with this round. */
  get endsAt(): Tail {
    return this.#appended?.tail ?? this.#tail;
  }

  /**
   * True where another round can be put together on top of this one while it is being written. Without a leaf nothing would
   * tell that other batch that this one failed.
   */
  get canCarry(): boolean {
    return this.#appended !== undefined;
  }

  /** True where nodes were freed. */
  get hasFreed(): boolean {
    return this.#freed.size > 0;
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

  /**
   * Writes the round, and the promise is kept for `outcome`: true once everything is durable, false where another process
   * moved the tail first, or the round ahead failed. What rejects may have been written all the same.
   */
  begin(): void {
    this.#outcome = this.#write();
    this.#ahead?.outcome.then(
      // Another round may be put together on top of this one, and is to find no chain of drafts.
      (isDurable) => isDurable && this.#draft.rebase(this.#durableBase()),
      () => undefined,
    );
    this.#ahead = undefined;
    // Whoever waits for the outcome learns of it: some time later, where a round is ahead.
    this.#outcome.catch(() => undefined);
  }

  /** As of `begin`, which was called. */
  get outcome(): Promise<boolean> {
    assert(this.#outcome !== undefined, "a round is begun before anybody waits for it");
    return this.#outcome;
  }

  async #write(): Promise<boolean> {
    const { store, nodes, log, freeing } = this.#options;
    const ahead = this.#ahead?.outcome;
    try {
      const batch = this.#batch();
      // Without a batch of its own it stands and falls with the round whose changes it saw.
      if (batch === undefined) return (await ahead?.catch(() => false)) ?? true;
      await store.write(batch.rows);
      nodes.add(batch.nodes.stored);
      if (this.#appended !== undefined) log.moved(this.#appended);
      freeing.written(batch.nodes);
      return true;
    } catch (error) {
      // Also where it may have been written after all: what is not known is not followed.
      freeing.failed();
      if (error instanceof ConditionFailed) return false;
      throw error;
    }
  }

  /** What is to be written, if anything is. */
  #batch(): RoundBatch | undefined {
    const { log, freeing, clock } = this.#options;
    const draft = this.#draft;
    const tail = this.#tail;
    const ahead = this.#ahead;
    const refsRoot = draft.editRefs({ kind: MapKind.refs, root: tail.refsRoot });
    if (draft.needsLeaf) this.#appended = log.append(tail, { timeMs: clock(), refsRoot }, ahead && ahead.#appended);
    const { endsAt } = this;
    const nodes = freeing.next({
      tail,
      endsAt,
      steps: draft.steps,
      created: [...draft.createdNodes],
      isComing: (digest) => ahead !== undefined && ahead.#stored.has(cacheName(digest)),
      isGoing: (digest) => ahead !== undefined && ahead.#freed.has(cacheName(digest)),
    });
    const { stored, freed } = nodes;
    for (const { space, key } of freed) if (space === "nodes") this.#freed.add(cacheName(key));
    if (!draft.needsLeaf && draft.rows.length === 0 && freed.length === 0 && !this.#requests.hasNew) return undefined;
    const puts: Row[] = [...draft.rows];
    for (const node of stored) {
      this.#stored.add(cacheName(node.digest));
      puts.push({ space: "nodes", key: node.digest, value: node.stored });
    }
    puts.push(...(this.#appended?.rows ?? []));
    const requests = this.#requests.changes(endsAt.end - 1);
    puts.push(...requests.puts);
    const conditions: Condition[] = [log.unmoved(tail), ...draft.conditions, ...requests.conditions];
    // Another process may learn just now that leaves were lost: from then on the log is not added to.
    if (draft.needsLeaf) conditions.push({ ...ALARM, expected: "absent" });
    const deletes = [...freed, ...requests.deletes];
    return { nodes, rows: { conditions, puts, deletes, meanwhile: () => this.#signAhead() } };
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
        const { value, place } = verdict;
        const earlier = place === undefined ? {} : { logIndex: indexOfPlace(this.endsAt, place) };
        ticket.resolve({ value, receipt: { ...receipt, ...earlier }, tail: this.endsAt });
      }
    }
  }

  /** Where nobody waits for the checkpoint, it is left to who asks for it. */
  #signAhead(): void {
    const appended = this.#appended;
    if (appended !== undefined && this.#verdicts.length > 0) this.#options.log.prepareCheckpoint(appended.tail);
  }

  /** What confirms the round, or what to say where it cannot be signed. */
  #receipt(): Receipt | Unavailable {
    const logIndex = this.endsAt.size - 1;
    try {
      return { logIndex, checkpoint: this.#options.log.checkpoint(this.endsAt) };
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
