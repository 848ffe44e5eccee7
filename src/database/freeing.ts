// Frees replaced map nodes with the rounds of the committer: follows what each round does, and says which rows may go with
// its batch. Which those are is the business of followed-nodes.ts; this is where it meets the log, the leases and the clock.
//
// What is followed is right only as long as nobody else writes: it begins where this process first wrote, and ends when the
// log has moved without it.
import { equalBytes } from "../core/bytes.js";
import type { Digest } from "../core/hashes.js";
import type { MapNode } from "../core/map/index.js";
import type { RowName, SyncReader } from "../store/contract.js";
import { FollowedNodes } from "./followed-nodes.js";
import type { FreeingLimits, Replacement, Step } from "./followed-nodes.js";
import type { Leases } from "./leases.js";
import type { Tail } from "./log-store.js";
import type { StoreNodes } from "./nodes.js";

export interface FreeingOptions {
  readonly rows: SyncReader;
  readonly nodes: StoreNodes;
  readonly leases: Leases;
  readonly limits: FreeingLimits;
}

/** A round that is about to be written. */
export interface RoundToWrite {
  /** Before it, and behind it. */
  readonly tail: Tail;
  readonly endsAt: Tail;
  readonly steps: readonly Step[];
  /** Nodes that it makes. */
  readonly created: readonly MapNode[];
  /** True for a node of the round before, which the store has not shown yet. */
  readonly isComing: (digest: Digest) => boolean;
  /** True for a node that the round before frees, which the store may still show. */
  readonly isGoing: (digest: Digest) => boolean;
}

/** What becomes of nodes with a round. */
export interface RoundNodes {
  /** Of those that it makes, the ones that its batch must put. */
  readonly stored: readonly MapNode[];
  /** Rows that may go with it. */
  readonly freed: readonly RowName[];
  readonly replacement: Replacement;
}

export class Freeing {
  readonly #options: FreeingOptions;
  readonly #followed: FollowedNodes;
  /** The tail as this process left it, or is about to; undefined where it is not known. */
  #tail: Tail | undefined;
  /** True where the leases of others were looked at for the round that comes. */
  #isPrepared = false;

  constructor(options: FreeingOptions) {
    this.#options = options;
    this.#followed = new FollowedNodes(options.limits);
    options.nodes.alsoFind((digest) => this.#followed.unstored(digest));
  }

  /** To be awaited before a round: learns who reads what, if something could go. */
  async prepare(): Promise<void> {
    const { leases } = this.#options;
    this.#isPrepared = this.#hasDue();
    if (this.#isPrepared && leases.isStale) await leases.refresh();
  }

  /** From now on nodes wait no longer than they must: nobody will be here to free them later. */
  close(): void {
    this.#followed.hurry();
  }

  /**
   * Follows a round and says what is stored and what may go with its batch. Rounds are followed in the order in which they
   * are written, the next perhaps before `written` or `failed` was called for the one before. What a round creates anew is
   * never among what it frees.
   */
  next(round: RoundToWrite): RoundNodes {
    const { rows, leases, limits } = this.#options;
    const { tail, steps, created, isComing, isGoing } = round;
    if (this.#tail === undefined || !equalBytes(this.#tail.row, tail.row)) this.#followed.forget();
    this.#tail = round.endsAt;
    const exists = (digest: Digest): boolean => isComing(digest) || (!isGoing(digest) && rows.has("nodes", digest));
    const replacement = this.#followed.follow(steps, { logEnd: tail.end, exists });
    const stored = created.filter((node) => this.#followed.isStored(node));
    if (!this.#isPrepared) return { stored, freed: [], replacement };
    const isIdle = steps.every(({ edits }) => edits.length === 0);
    const { nodesPerBatch, nodesWhenIdle } = limits;
    const due = this.#followed.takeDue({
      nowMs: performance.now(),
      logEnd: tail.end,
      oldestView: leases.oldestView,
      atLeast: isIdle ? 1 : nodesPerBatch,
      atMost: isIdle ? nodesWhenIdle : nodesPerBatch + 2 * stored.length,
    });
    const freed: RowName[] = due.map((key) => ({ space: "nodes", key }));
    if (freed.length > 0) freed.push(...leases.takeExpired());
    return { stored, freed, replacement };
  }

  /** The round is durable. */
  written({ freed, replacement }: RoundNodes): void {
    this.#options.nodes.drop(freed.flatMap(({ space, key }) => (space === "nodes" ? [key] : [])));
    this.#followed.isDurable(replacement, performance.now());
  }

  /** Nothing of the round, or of those behind it, is known to be in the store. */
  failed(): void {
    this.#tail = undefined;
    this.#followed.forget();
  }

  /** How long until nodes may go though nobody writes, in milliseconds; undefined where none wait. 0 too while leases hold them. */
  get nextInMs(): number | undefined {
    const dueMs = this.#followed.nextDueMs(this.#tail?.end ?? 0);
    if (dueMs === undefined) return undefined;
    return Math.max(0, dueMs - performance.now());
  }

  /** End of the log in the newest view that has this root, where it was replaced and waits. */
  replacedAt(root: Digest): number | undefined {
    return this.#followed.replacedAt(root);
  }

  /** True where something could go, for all that is known before the leases are looked at. */
  #hasDue(): boolean {
    if (this.#tail === undefined) return false;
    return this.#followed.hasDue({ nowMs: performance.now(), logEnd: this.#tail.end, oldestView: Infinity });
  }
}
