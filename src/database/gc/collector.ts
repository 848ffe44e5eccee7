// Garbage collection of map nodes and commits that nothing leads to (docs/decisions/0006). What replaced nodes need is freed
// as they fall out of use (0003); this is for the rest: heads that were deleted, nodes of a process that ended, loads that
// were broken off.
//
//   hold    a lease on everything, so that nobody else frees meanwhile
//   mark    from the newest refs, the refs of recent leaves and of views that are read, all manifests, remembered requests
//   sweep   commits in one batch; then nodes, those of higher levels first, some thousand in a batch
//
// Each batch holds only under the tail up to which everything was marked, and while nobody has begun to hold everything: so
// what a writer makes, or relies on, between two batches is marked before the next, and who writes nodes that no ref names yet
// is waited for. Parents go before their children, so that a root that is there is there to its last leaf. Killed anywhere,
// it has freed less.
import { Corrupt, NeleusError, Unavailable } from "../../core/errors.js";
import type { Digest } from "../../core/hashes.js";
import { decodeLogLeaf } from "../../core/log/index.js";
import { commitHashOf, decodeManifest, manifestHashOf } from "../../core/object/index.js";
import { equalBytes, u64be } from "../../core/bytes.js";
import { ConditionFailed } from "../../store/contract.js";
import type { RowName, Store, SyncReader } from "../../store/contract.js";
import { fromStore } from "../boundary.js";
import type { Committer } from "../committer.js";
import type { FreeingLimits } from "../followed-nodes.js";
import { Leases, holdsCondition } from "../leases.js";
import type { WholeLease } from "../leases.js";
import type { LogStore, Tail } from "../log-store.js";
import type { StoreNodes } from "../nodes.js";
import { outcomesOf } from "../requests.js";
import { Turns } from "../turns.js";
import { Marks } from "./marks.js";

/** Rows that one batch deletes. */
const BATCH_ROWS = 2_048;
/** How often a batch is put together anew because others wrote. */
const MAX_ATTEMPTS = 1_000;
/** How long it waits for others who hold everything. */
const MAX_WAIT_MS = 30_000;

export interface CollectorContext {
  readonly store: Store;
  readonly rows: SyncReader;
  readonly nodes: StoreNodes;
  readonly log: LogStore;
  readonly committer: Committer;
  readonly clock: () => number;
  readonly randomBytes: (count: number) => Uint8Array;
  /** How long others may still read what was replaced. */
  readonly limits: FreeingLimits;
}

export interface CollectOptions {
  /** True: counts what would be freed, and frees nothing. */
  readonly isDryRun?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** How much there is of something, or was freed. */
export interface CollectedCount {
  readonly rows: number;
  /** Of the values, keys and pages aside. */
  readonly bytes: number;
}

export interface CollectSummary {
  readonly isDryRun: boolean;
  /** That something leads to. */
  readonly nodesKept: number;
  readonly nodes: CollectedCount;
  readonly commits: CollectedCount;
}

export type CollectEvent =
  | { readonly kind: "progress"; readonly phase: "mark" | "sweep"; readonly done: number }
  | { readonly kind: "summary"; readonly summary: CollectSummary };

/** The last event is the summary. @throws Corrupt - what is kept is damaged @throws Unavailable - others held everything for long */
export async function* collectGarbage(
  context: CollectorContext,
  options: CollectOptions = {},
): AsyncGenerator<CollectEvent, void, undefined> {
  const { store, clock, randomBytes } = context;
  const leases = new Leases({ store, clock, graceMs: context.limits.afterMs, id: randomBytes(16) });
  const collector = new Collector(context, { leases, ...options });
  try {
    yield* collector.run();
  } finally {
    await leases.close();
  }
}

class Collector {
  readonly #context: CollectorContext;
  readonly #leases: Leases;
  readonly #isDryRun: boolean;
  readonly #signal: AbortSignal | undefined;
  readonly #turns: Turns;
  readonly #marks: Marks;
  /** Place up to which all leaves are marked. */
  #markedTo = 0;
  #lease: WholeLease | undefined;
  /** Manifests and requests that were looked at, by the row that says who holds everything. */
  #holds: Uint8Array | undefined;
  #nodes = { rows: 0, bytes: 0 };
  #commits = { rows: 0, bytes: 0 };

  constructor(context: CollectorContext, options: CollectOptions & { readonly leases: Leases }) {
    const { rows, randomBytes } = context;
    this.#context = context;
    this.#leases = options.leases;
    this.#isDryRun = options.isDryRun === true;
    this.#signal = options.signal;
    this.#turns = new Turns(options.signal);
    this.#marks = new Marks({ rows, turns: this.#turns, randomBytes });
  }

  async *run(): AsyncGenerator<CollectEvent, void, undefined> {
    const { log } = this.#context;
    yield { kind: "progress", phase: "mark", done: 0 };
    await this.#waitForOthers();
    const lease = await this.#leases.takeAll();
    this.#lease = lease;
    try {
      // Others look at leases this often before they free.
      await this.#sleep(this.#context.limits.afterMs / 2);
      await this.#markOthers();
      const tail = log.tail();
      this.#markedTo = this.#firstRecent(tail);
      await this.#markLeaves(tail);
      yield { kind: "progress", phase: "mark", done: this.#marks.marked };
      await this.#sweepCommits();
      for (const levels of [
        { least: 2, most: Infinity },
        { least: 1, most: 1 },
        { least: 0, most: 0 },
      ]) {
        yield* this.#sweepLevels(levels);
      }
    } finally {
      lease.release();
    }
    const summary = {
      isDryRun: this.#isDryRun,
      nodesKept: this.#marks.marked,
      nodes: this.#nodes,
      commits: this.#commits,
    };
    yield { kind: "summary", summary };
  }

  /** The first leaf whose refs somebody may still read: a recent one, or that of a view that is held. */
  #firstRecent(tail: Tail): number {
    const { rows, clock, limits } = this.#context;
    const sinceMs = clock() - limits.atLatestMs;
    let first = tail.end - 1;
    for (; first > 0; first -= 1) {
      if (tail.end - first > limits.afterLeaves && leafAt(rows, first, tail).time < sinceMs) break;
    }
    const oldestView = this.#leases.oldestOfOthers;
    return Math.max(0, Math.min(first, Number.isFinite(oldestView) ? oldestView - 1 : first));
  }

  /** Marks what the refs of every leaf up to the tail lead to; those of the newest must all be there. */
  async #markLeaves(tail: Tail): Promise<void> {
    const { rows } = this.#context;
    for (let place = this.#markedTo; place < tail.end - 1; place += 1) {
      await this.#marks.refs(leafAt(rows, place, tail).refsRoot, "recent");
    }
    await this.#marks.refs(tail.refsRoot, "kept");
    this.#markedTo = tail.end;
  }

  /** Manifests are kept, with what they name, and so is what the answers to repeated requests are made of. */
  async #markOthers(): Promise<void> {
    const { store, rows } = this.#context;
    this.#holds = holdsCondition(rows).current;
    for await (const hash of store.iterate("objects")) {
      await this.#turns.giveWay();
      const bytes = rows.get("objects", hash);
      if (bytes === undefined || equalBytes(commitHashOf(bytes), hash)) continue;
      if (!equalBytes(manifestHashOf(bytes), hash)) {
        throw new Corrupt("a commit or manifest is damaged: nothing was freed", { hint: "neleus db fsck" });
      }
      const object = manifestOf(bytes);
      if (object?.kind === "document") await this.#marks.map(object.chunks, "recent");
      if (object?.kind === "attestation" && object.subjectTag === "commit:") {
        await this.#marks.commit(object.subject, "recent");
      }
    }
    for await (const id of store.iterate("requests")) {
      await this.#turns.giveWay();
      for (const digest of outcomesOf(rows.get("requests", id))) {
        if (this.#isCommit(digest)) await this.#marks.commit(digest, "recent");
        else await this.#marks.map(digest, "recent");
      }
    }
  }

  #isCommit(hash: Digest): boolean {
    const bytes = this.#context.rows.get("objects", hash);
    return bytes !== undefined && equalBytes(commitHashOf(bytes), hash);
  }

  /** All in one batch: none is ever there without those before it. */
  async #sweepCommits(): Promise<void> {
    const { store } = this.#context;
    const garbage: Uint8Array[] = [];
    for await (const hash of store.iterate("objects")) {
      await this.#turns.giveWay();
      if (this.#marks.hasCommit(hash) || !this.#isCommit(hash)) continue;
      garbage.push(hash);
    }
    const names = garbage.map((key): RowName => ({ space: "objects", key }));
    const swept = await this.#sweep(names, (hash) => this.#marks.hasCommit(hash));
    this.#commits = { rows: swept.rows, bytes: swept.bytes };
  }

  async *#sweepLevels(levels: {
    readonly least: number;
    readonly most: number;
  }): AsyncGenerator<CollectEvent, void, undefined> {
    const { store } = this.#context;
    let batch: RowName[] = [];
    const upper: { readonly key: Uint8Array; readonly level: number }[] = [];
    for await (const key of store.iterate("nodes")) {
      await this.#turns.giveWay();
      if (this.#marks.hasNode(key)) continue;
      const level = this.#levelOf(key);
      if (level < levels.least || level > levels.most) continue;
      if (levels.most > levels.least) upper.push({ key, level });
      else batch.push({ space: "nodes", key });
      if (batch.length < BATCH_ROWS) continue;
      await this.#sweepNodes(batch);
      batch = [];
      yield { kind: "progress", phase: "sweep", done: this.#nodes.rows };
    }
    upper.sort((a, b) => b.level - a.level);
    for (let first = 0; first < upper.length; first += BATCH_ROWS) {
      await this.#sweepNodes(upper.slice(first, first + BATCH_ROWS).map(({ key }) => ({ space: "nodes", key })));
    }
    await this.#sweepNodes(batch);
    yield { kind: "progress", phase: "sweep", done: this.#nodes.rows };
  }

  async #sweepNodes(names: readonly RowName[]): Promise<void> {
    const { rows, bytes } = await this.#sweep(names, (digest) => this.#marks.hasNode(digest));
    this.#nodes = { rows: this.#nodes.rows + rows, bytes: this.#nodes.bytes + bytes };
  }

  /** Deletes what is still unmarked at the tail under which the batch holds. */
  async #sweep(names: readonly RowName[], isMarked: (key: Uint8Array) => boolean): Promise<CollectedCount> {
    if (names.length === 0) return { rows: 0, bytes: 0 };
    if (this.#isDryRun) return this.#measure(names);
    const { committer } = this.#context;
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      this.#signal?.throwIfAborted();
      await this.#waitForOthers();
      await this.#catchUp();
      const swept = await committer.alone(() => this.#trySweep(names, isMarked));
      if (swept !== undefined) return swept;
    }
    throw new Unavailable(`others wrote ${MAX_ATTEMPTS} times while some rows were to be freed`, {
      hint: "what was freed until then stays so: try again when less is written",
    });
  }

  /** Marks what others have written since, before anybody has to wait for it. */
  async #catchUp(): Promise<void> {
    // A document was put, or somebody held everything and is done.
    if (!isSame(holdsCondition(this.#context.rows).current, this.#holds)) await this.#markOthers();
    await this.#markLeaves(this.#context.log.tail());
  }

  /** Undefined where somebody wrote, or began to hold everything. */
  async #trySweep(
    names: readonly RowName[],
    isMarked: (key: Uint8Array) => boolean,
  ): Promise<CollectedCount | undefined> {
    const { store, rows, nodes, log } = this.#context;
    const holds = holdsCondition(rows);
    if (!isSame(holds.current, this.#holds)) return undefined;
    if (this.#lease?.isUnbroken() !== true) {
      throw new Unavailable("this process stood still for so long that its marks are out of date", {
        hint: "try again",
      });
    }
    const tail = log.tail();
    await this.#markLeaves(tail);
    const deletes = names.filter(({ key }) => !isMarked(key));
    const measured = this.#measure(deletes);
    if (deletes.length === 0) return measured;
    try {
      await store.write({ conditions: [log.unmoved(tail), holds.condition], deletes });
    } catch (error) {
      if (error instanceof ConditionFailed) return undefined;
      throw error;
    }
    nodes.drop(deletes.map(({ key }) => key));
    return measured;
  }

  #measure(names: readonly RowName[]): CollectedCount {
    let bytes = 0;
    let rows = 0;
    for (const { space, key } of names) {
      const sizeBytes = this.#sizeOf(space, key);
      if (sizeBytes === undefined) continue;
      rows += 1;
      bytes += sizeBytes;
    }
    return { rows, bytes };
  }

  /** The third byte of a stored node. One that is damaged is garbage as any other. */
  #levelOf(key: Uint8Array): number {
    try {
      return this.#context.rows.get("nodes", key)?.[2] ?? 0;
    } catch (error) {
      if (error instanceof NeleusError) return 0;
      throw error;
    }
  }

  /** 0 for a row that cannot be read, which is garbage all the same. */
  #sizeOf(space: RowName["space"], key: Uint8Array): number | undefined {
    try {
      return this.#context.rows.get(space, key)?.length;
    } catch (error) {
      if (error instanceof NeleusError) return 0;
      throw error;
    }
  }

  /** Waits until nobody else holds everything: a load, a document with very many chunks, a check. */
  async #waitForOthers(): Promise<void> {
    const endsMs = performance.now() + MAX_WAIT_MS;
    for (;;) {
      await this.#leases.refresh();
      if (this.#leases.oldestOfOthers > 0) return;
      if (performance.now() > endsMs) {
        throw new Unavailable("a load, a check or another collection goes on, and nothing is freed meanwhile", {
          hint: "try again when it has ended",
        });
      }
      await this.#sleep(this.#context.limits.afterMs / 4);
    }
  }

  async #sleep(ms: number): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, ms));
    this.#signal?.throwIfAborted();
  }
}

/** The leaf at a place, of whatever epoch it is. */
function leafAt(rows: SyncReader, place: number, tail: Tail): { readonly time: number; readonly refsRoot: Digest } {
  const bytes = rows.get("log", u64be(place));
  if (bytes === undefined) throw new Corrupt(`the leaf at place ${place} of the log is missing: nothing was freed`);
  return fromStore(`the leaf at place ${place} of the log`, () => decodeAnyLeaf(bytes, place - tail.epoch.place.start));
}

/** In an epoch that has ended it need not be known which leaf is the first. */
function decodeAnyLeaf(bytes: Uint8Array, index: number): { readonly time: number; readonly refsRoot: Digest } {
  if (index >= 0) return decodeLogLeaf(bytes, index);
  try {
    return decodeLogLeaf(bytes, 1);
  } catch (error) {
    if (error instanceof NeleusError) return decodeLogLeaf(bytes, 0);
    throw error;
  }
}

function manifestOf(bytes: Uint8Array): ReturnType<typeof decodeManifest>["object"] | undefined {
  try {
    return decodeManifest(bytes).object;
  } catch (error) {
    if (error instanceof NeleusError) return undefined;
    throw error;
  }
}

function isSame(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : equalBytes(a, b);
}
