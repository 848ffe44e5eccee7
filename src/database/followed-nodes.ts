// Which map nodes nobody needs any more (docs/decisions/0003). Pure bookkeeping, in memory: it reads and writes no store.
//
// A node is *followed* from the batch that wrote its row for the first time, for as long as this process knows every use
// of it, and is in one of two places:
//
//   owned by one map     part of that map's newest root, and of nothing else
//   waiting              replaced: of no newest root; free to go once those who still read an old root are done
//
//        first written ──► owned ──── replaced, or its head deleted ────► waiting ──► freed
//                           │ ▲                                             │
//                           │ └──────────── made again ─────────────────────┘
//                           ▼
//             no longer followed: a commit names it, or another map has it as well
//
// A node that the very round that makes it replaces again (a write behind another on the same head) need not be stored: it
// waits like the others, but in memory. Its root was given to a writer, who may read at it, and to nobody else.
//
// What is not followed is never freed here: a mistake can leak a node, not lose one. So whatever is not understood ends the
// following of everything: a root that no edit led to, an edit that led nowhere, another process that wrote in between, a
// write that failed.
//
// Two things always hold, and FollowedNodes' tests walk whole stores to see it:
// - Below a node that is not followed there is none that is. (A node comes with its whole subtree, and when another map
//   has it too, it has all of that subtree.)
// - Of the waiting nodes parents go before their children. (A parent is replaced with its child, or earlier.)
// Hence no row ever names a child that was freed: **where a root's row is, the whole map is.** Who finds a node missing
// looks for the root's row: there, the store is damaged; gone, the root was pruned.
import type { Digest } from "../core/hashes.js";
import {
  FREE_AFTER_LEAVES,
  FREE_AFTER_MS,
  FREE_AT_LATEST_MS,
  FREE_BACKLOG_BYTES,
  FREE_NODES_PER_BATCH,
  FREE_NODES_WHEN_IDLE,
  MAX_FOLLOWED_NODES,
  MAX_UNSTORED_BYTES,
} from "../core/limits.js";
import type { MapNode } from "../core/map/index.js";
import { cacheName, digestOfName } from "./cache-name.js";

/** When nodes are freed; the defaults are those of core/limits.ts. */
export interface FreeingLimits {
  readonly afterMs: number;
  readonly afterLeaves: number;
  readonly atLatestMs: number;
  readonly backlogBytes: number;
  readonly nodesPerBatch: number;
  readonly nodesWhenIdle: number;
  readonly followedNodes: number;
  readonly unstoredBytes: number;
}

export const FREEING_LIMITS: FreeingLimits = {
  afterMs: FREE_AFTER_MS,
  afterLeaves: FREE_AFTER_LEAVES,
  atLatestMs: FREE_AT_LATEST_MS,
  backlogBytes: FREE_BACKLOG_BYTES,
  nodesPerBatch: FREE_NODES_PER_BATCH,
  nodesWhenIdle: FREE_NODES_WHEN_IDLE,
  followedNodes: MAX_FOLLOWED_NODES,
  unstoredBytes: MAX_UNSTORED_BYTES,
};

/** An edit of a map, as the editor reported it. */
export interface MapEdit {
  readonly from: Digest;
  readonly to: Digest;
  /** Children before parents. */
  readonly created: readonly MapNode[];
  /** Children before parents. */
  readonly superseded: readonly Digest[];
}

/** A map that has another root now. */
export interface MapMove {
  readonly map: string;
  /** Undefined: it is new. */
  readonly from: Digest | undefined;
  /** Undefined: it is gone. */
  readonly to: Digest | undefined;
}

/** What one mutation did. */
export interface Step {
  readonly edits: readonly MapEdit[];
  readonly moves: readonly MapMove[];
  /** Roots that a commit names. */
  readonly kept: readonly Digest[];
  /** True where a ref was set that is no staged map. It may name anything, so `kept` must then say what. */
  readonly movesOthers: boolean;
}

/** A round of writes, as the nodes that it replaced remember it. */
export interface FollowedRound {
  /** Leaves of all epochs before it: a view that ends there, or earlier, still reads what the round replaced. */
  readonly logEnd: number;
  /** True where the row was there before this round. */
  readonly exists: (digest: Digest) => boolean;
}

/** What is due, and what holds it back. */
export interface DueOptions {
  readonly nowMs: number;
  readonly logEnd: number;
  /** End of the log in the oldest view that somebody reads; Infinity where nobody does. */
  readonly oldestView: number;
  /** Fewer than these are not worth it yet. */
  readonly atLeast: number;
  readonly atMost: number;
}

/** Node bytes by name. */
type StoredForms = Map<string, Uint8Array>;

/** A map and the nodes that are its own. */
interface OwnedMap {
  root: string;
  /** Sizes by name; in the order of coming, so that backwards parents are met before their children. */
  readonly nodes: Map<string, number>;
}

interface WaitingNode {
  readonly sizeBytes: number;
  /** Its stored form, where that is here and nowhere else. */
  readonly unstored: Uint8Array | undefined;
  readonly since: Replacement;
}

/** When the nodes were replaced that one round replaced. */
export interface Replacement {
  readonly logEnd: number;
  /** When that became durable, by a clock that only moves on; undefined until then. */
  atMs: number | undefined;
}

export class FollowedNodes {
  readonly #limits: FreeingLimits;
  readonly #maps = new Map<string, OwnedMap>();
  readonly #owners = new Map<string, OwnedMap>();
  /** In the order in which they go. */
  readonly #waiting = new Map<string, WaitingNode>();
  #waitingBytes = 0;
  /** Of the waiting ones, those that are not stored. */
  #unstoredBytes = 0;
  #isInHurry = false;

  constructor(limits: FreeingLimits) {
    this.#limits = limits;
  }

  /** Nodes that wait. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Nodes that are owned by a map. */
  get owned(): number {
    return this.#owners.size;
  }

  /** Ends the following of everything: none of it is freed any more. */
  forget(): void {
    this.#maps.clear();
    this.#owners.clear();
    this.#waiting.clear();
    this.#waitingBytes = 0;
    this.#unstoredBytes = 0;
  }

  /** Takes in what a round did, in order. To be told when that is durable by `isDurable`, or undone by `forget`. */
  follow(steps: readonly Step[], round: FollowedRound): Replacement {
    const replacement: Replacement = { logEnd: round.logEnd, atMs: undefined };
    const made = new Set<string>();
    const fresh: StoredForms = new Map();
    const isThere = (name: string, digest: Digest): boolean => made.has(name) || round.exists(digest);
    for (const step of steps) {
      if (!this.#take(step, { replacement, isThere, fresh })) this.forget();
      for (const { created } of step.edits) for (const { digest } of created) made.add(cacheName(digest));
    }
    this.#stayWithin(this.#limits.followedNodes);
    return replacement;
  }

  /** Whether a node that the round followed last made is to be stored. */
  isStored({ digest }: MapNode): boolean {
    return this.#waiting.get(cacheName(digest))?.unstored === undefined;
  }

  /** The stored form of a node that waits and is in no store, once its round is durable. */
  unstored(digest: Digest): Uint8Array | undefined {
    const node = this.#waiting.get(cacheName(digest));
    return node?.since.atMs === undefined ? undefined : node.unstored;
  }

  /** From now on no node waits longer than the least time. */
  hurry(): void {
    this.#isInHurry = true;
  }

  /** A round that was followed is durable. */
  isDurable(round: Replacement, nowMs: number): void {
    round.atMs = nowMs;
  }

  /**
   * Takes out what may go now, parents before children. Its rows must go with the next batch, or `forget` be called. What
   * has no row just goes: nothing that is stored names it.
   */
  takeDue(options: DueOptions): Digest[] {
    const due: [string, WaitingNode][] = [];
    for (const entry of this.#waiting) {
      const [name, node] = entry;
      if (due.length >= options.atMost || !this.#isDue(node, options)) break;
      if (node.unstored === undefined) due.push(entry);
      else this.#stopWaiting(name, node);
    }
    if (due.length < options.atLeast) return [];
    for (const [name, node] of due) this.#stopWaiting(name, node);
    return due.map(([name]) => digestOfName(name));
  }

  /** True where the first in line may go. */
  hasDue(options: Omit<DueOptions, "atLeast" | "atMost">): boolean {
    const first = this.#firstWaiting();
    return first !== undefined && this.#isDue(first, options);
  }

  /** When the first in line may go at the latest if nobody writes; undefined where none waits. */
  nextDueMs(logEnd: number): number | undefined {
    const first = this.#firstWaiting();
    if (first?.since.atMs === undefined) return undefined;
    const { afterMs, atLatestMs } = this.#limits;
    return first.since.atMs + (this.#isCrowded(first, logEnd) ? afterMs : atLatestMs);
  }

  /** Leaves of the log before the round that replaced a node, where it waits. */
  replacedAt(digest: Digest): number | undefined {
    return this.#waiting.get(cacheName(digest))?.since.logEnd;
  }

  #firstWaiting(): WaitingNode | undefined {
    for (const node of this.#waiting.values()) return node;
    return undefined;
  }

  #isDue(node: WaitingNode, now: Omit<DueOptions, "atLeast" | "atMost">): boolean {
    const { atMs, logEnd } = node.since;
    if (atMs === undefined || logEnd >= now.oldestView) return false;
    const ageMs = now.nowMs - atMs;
    const { afterMs, atLatestMs } = this.#limits;
    return ageMs >= afterMs && (ageMs >= atLatestMs || this.#isCrowded(node, now.logEnd));
  }

  #isCrowded(node: WaitingNode, logEnd: number): boolean {
    const { afterLeaves, backlogBytes } = this.#limits;
    const isOld = logEnd - node.since.logEnd >= afterLeaves;
    return this.#isInHurry || isOld || this.#waitingBytes > backlogBytes;
  }

  // ---- What a step did ----

  /** False where the step is not understood. */
  #take(step: Step, round: RoundState): boolean {
    const edits = new Map(step.edits.map((edit) => [cacheName(edit.to), edit]));
    const kept = new Set(step.kept.map(cacheName));
    if (step.movesOthers && kept.size === 0) return false;
    let used = 0;
    for (const move of step.moves) {
      const path = pathOf(move, edits);
      if (path !== undefined) {
        for (const edit of path) this.#edit(move.map, edit, round);
        used += path.length;
        continue;
      }
      if (move.to !== undefined && !kept.has(cacheName(move.to))) return false;
      this.#release(move.map, round);
    }
    return used === step.edits.length && this.#keep(kept);
  }

  #edit(map: string, edit: MapEdit, round: RoundState): void {
    const owned = this.#ownedBy(map, cacheName(edit.from));
    owned.root = cacheName(edit.to);
    for (const node of edit.created) this.#create(owned, node, round);
    // Backwards: parents first.
    for (let index = edit.superseded.length - 1; index >= 0; index -= 1) {
      const digest = edit.superseded[index];
      if (digest !== undefined) this.#replace(owned, cacheName(digest), round);
    }
  }

  /** The map at this root. One that was somewhere else moved unseen, and what was its own is left alone. */
  #ownedBy(map: string, root: string): OwnedMap {
    const known = this.#maps.get(map);
    if (known?.root === root) return known;
    if (known !== undefined) this.#disown(known);
    const owned = { root, nodes: new Map<string, number>() };
    this.#maps.set(map, owned);
    return owned;
  }

  #create(owned: OwnedMap, node: MapNode, round: RoundState): void {
    const { digest } = node;
    const name = cacheName(digest);
    const owner = this.#owners.get(name);
    if (owner !== undefined) {
      // Two maps have it from now on.
      owner.nodes.delete(name);
      this.#owners.delete(name);
      return;
    }
    const waiting = this.#waiting.get(name);
    if (waiting !== undefined) this.#stopWaiting(name, waiting);
    else if (round.isThere(name, digest)) return;
    if (waiting === undefined || waiting.unstored !== undefined) round.fresh.set(name, node.stored);
    this.#owners.set(name, owned);
    owned.nodes.set(name, node.stored.length);
  }

  #replace(owned: OwnedMap, name: string, { replacement, fresh }: RoundState): void {
    const sizeBytes = owned.nodes.get(name);
    if (sizeBytes === undefined) return;
    owned.nodes.delete(name);
    this.#owners.delete(name);
    const hasRoom = this.#unstoredBytes + sizeBytes <= this.#limits.unstoredBytes;
    const unstored = hasRoom ? fresh.get(name) : undefined;
    this.#waiting.set(name, { sizeBytes, unstored, since: replacement });
    this.#waitingBytes += sizeBytes;
    if (unstored !== undefined) this.#unstoredBytes += sizeBytes;
  }

  /** A map is gone, or at a commit: what was its own is replaced. */
  #release(map: string, round: RoundState): void {
    const owned = this.#maps.get(map);
    if (owned === undefined) return;
    this.#maps.delete(map);
    for (const name of [...owned.nodes.keys()].reverse()) this.#replace(owned, name, round);
  }

  /** False where such a root is followed although no map is at it: then somebody else needs what was replaced. */
  #keep(roots: ReadonlySet<string>): boolean {
    if (roots.size === 0) return true;
    for (const owned of this.#maps.values()) if (roots.has(owned.root)) this.#disown(owned);
    for (const root of roots) if (this.#owners.has(root) || this.#waiting.has(root)) return false;
    return true;
  }

  /** No longer follows what is a map's own. */
  #disown(owned: OwnedMap): void {
    for (const name of owned.nodes.keys()) this.#owners.delete(name);
    owned.nodes.clear();
  }

  #stopWaiting(name: string, node: WaitingNode): void {
    this.#waiting.delete(name);
    this.#waitingBytes -= node.sizeBytes;
    if (node.unstored !== undefined) this.#unstoredBytes -= node.sizeBytes;
  }

  /**
   * Bounds what is followed. A map's nodes are dropped together, and the waiting ones only with all others, since none
   * that is followed may be below one that is not.
   */
  #stayWithin(most: number): void {
    while (this.#owners.size + this.#waiting.size > most) {
      let largest: OwnedMap | undefined;
      for (const owned of this.#maps.values()) if (owned.nodes.size > (largest?.nodes.size ?? 0)) largest = owned;
      if (largest === undefined || this.#waiting.size > most / 2) {
        this.forget();
        return;
      }
      this.#disown(largest);
    }
  }
}

interface RoundState {
  readonly replacement: Replacement;
  readonly isThere: (name: string, digest: Digest) => boolean;
  /** Nodes that the round makes and that have no row yet. */
  readonly fresh: StoredForms;
}

/** The edits that lead from the old root to the new, in order; undefined where they do not. */
function pathOf({ from, to }: MapMove, edits: ReadonlyMap<string, MapEdit>): MapEdit[] | undefined {
  if (from === undefined || to === undefined) return undefined;
  const start = cacheName(from);
  const path: MapEdit[] = [];
  for (let at = cacheName(to); at !== start;) {
    const edit = edits.get(at);
    if (edit === undefined || path.length >= edits.size) return undefined;
    path.push(edit);
    at = cacheName(edit.from);
  }
  return path.reverse();
}
