// Bulk puts into a head's staged state: spooled as they come, then sorted, built and written in bounded memory.
//
//   add, add, …   entries go to a staged file sorted by key, values sorted by hash (sorted-spool.ts); the store is not
//                 touched
//   finish        1. values become blobs, in batches: in the order of their rows, in no other would each batch rewrite
//                    most pages of the store
//                 2. entries, over what the head has, are built into a map from its leaves up; nodes in batches
//                 3. one round of the committer: is the head as it was? then it moves, with a leaf of the log
//
// Until step 3 nobody sees any of it. A load that is left before its finish drops its file and has written nothing; one
// that is left, or killed, within steps 1 and 2 leaves rows that nothing refers to, as blobs do that were stored and never
// put. A file that a crash left behind goes when it expires, as an upload does.
//
// Where the head has moved meanwhile, and nothing was expected of it, step 2 is done again on top of where it is now.
// Nodes that were there already may be on their way out, since what replaced them knows nothing of the new map: the last
// step makes sure that they still are there, and else begins again.
//
// Cost: sorting, hashing and writing of what is loaded; and reading all of what the head has, so this is for much.
import { hashBlobs } from "../core/blob/index.js";
import { compareBytes, concatBytes, equalBytes, readU64be, toHex, u64be } from "../core/bytes.js";
import { Conflict, InvalidArgument, LimitExceeded, Unavailable, assert } from "../core/errors.js";
import { blobHash, mapRoot } from "../core/hashes.js";
import type { Digest, MapRoot } from "../core/hashes.js";
import {
  LARGE_BLOB_BYTES,
  LOAD_RUN_BYTES,
  MAX_INLINE_VALUE_BYTES,
  MAX_KEY_BYTES,
  MAX_LOADS,
  MAX_OPEN_SEGMENT_ENTRIES,
} from "../core/limits.js";
import { MapBuilder, MapKind, emptyMap, scanSync } from "../core/map/index.js";
import type { Entry, MapNode } from "../core/map/index.js";
import { stagedCell, stagedKey, stateCell } from "../core/object/index.js";
import type { StagedBlob, Store, SyncReader } from "../store/contract.js";
import type { DatabaseBlobs } from "./blobs.js";
import { fromStore } from "./boundary.js";
import type { Committer } from "./committer.js";
import type { MutationContext, Outcome } from "./round.js";
import type { Load, LoadEntries, Loaded, LoadOptions } from "./contract.js";
import type { LoggedLeaf, ReadPoint, View } from "./view-contract.js";
import type { Leases, WholeLease } from "./leases.js";
import { LoadMeaning } from "./load-meaning.js";
import type { LogStore, Tail } from "./log-store.js";
import { requireHead } from "./refs.js";
import type { RequestMeaning } from "./request-meaning.js";
import { identifyRequest, isRecorded, recordedAs, requireIdempotencyKey, type Recorded } from "./requests.js";
import { BatchWriter } from "./row-batches.js";
import { SortedSpool } from "./sorted-spool.js";
import type { SpooledRecord } from "./sorted-spool.js";
import { Turns } from "./turns.js";

/** The name under which loads are recorded. */
const METHOD = "state.load";
/** How often a load begins again because its head has moved, before it gives up. */
const MAX_ATTEMPTS = 5;
const EMPTY_ROOT = emptyMap(MapKind.state).digest;

export interface LoadContext {
  readonly store: Store;
  readonly rows: SyncReader;
  readonly blobs: DatabaseBlobs;
  readonly committer: Committer;
  readonly leases: Leases;
  readonly log: LogStore;
  readonly newUploadId: () => string;
  readonly view: () => Promise<View>;
  readonly viewAt: (tail: Tail) => View;
}

/** Loads in progress of one database. */
export class DatabaseLoads {
  readonly #context: LoadContext;
  readonly #open = new Set<StateLoad>();
  #beginning = 0;
  #closed = false;

  constructor(context: LoadContext) {
    this.#context = context;
  }

  /** @throws NotFound, Conflict, LimitExceeded, Unavailable - see States.load */
  async begin(head: string, options: LoadOptions): Promise<Load> {
    const { store, view, newUploadId } = this.#context;
    if (this.#closed) throw new Unavailable("the database is closed");
    const { idempotency } = options;
    if (idempotency !== undefined) requireIdempotencyKey(idempotency.key);
    // One that may have been made before is judged when it is finished: only then it is known whether it is the same.
    if (idempotency === undefined || !isRecorded(this.#context.rows, { method: METHOD, idempotency })) {
      const { stagedState } = await (await view()).head(head);
      requireExpected({ head, stagedState }, options);
    }
    if (this.#open.size + this.#beginning >= MAX_LOADS) throw tooManyLoads();
    this.#beginning += 1;
    try {
      const file = await store.files.stage(newUploadId(), { metadata: new Uint8Array(0), lifetime: "process" });
      const load = new StateLoad(this.#context, { head, options, file }, () => {
        this.#open.delete(load);
      });
      this.#open.add(load);
      return load;
    } finally {
      this.#beginning -= 1;
    }
  }

  /** Drops the loads in progress. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const load of this.#open) await load.close();
  }
}

interface LoadParts {
  readonly head: string;
  readonly options: LoadOptions;
  readonly file: StagedBlob;
}

class StateLoad implements Load {
  readonly #context: LoadContext;
  readonly #head: string;
  readonly #options: LoadOptions;
  readonly #file: StagedBlob;
  /** Cells by key. */
  readonly #entries: SortedSpool;
  /** Values in the order in which the store puts their rows cheapest: mostly that of their hashes. */
  readonly #values: SortedSpool;
  /** Gathered where the load has an idempotency key. */
  readonly #meaning: LoadMeaning | undefined;
  readonly #leave: () => void;
  #count = 0;
  #isClosed = false;

  constructor(context: LoadContext, parts: LoadParts, leave: () => void) {
    this.#context = context;
    this.#head = parts.head;
    this.#options = parts.options;
    this.#file = parts.file;
    this.#entries = new SortedSpool(parts.file, { runBytes: LOAD_RUN_BYTES });
    this.#values = new SortedSpool(parts.file, { runBytes: LOAD_RUN_BYTES });
    if (parts.options.idempotency !== undefined) this.#meaning = new LoadMeaning();
    this.#leave = leave;
  }

  get count(): number {
    return this.#count;
  }

  async add({ keys, values }: LoadEntries): Promise<void> {
    this.#requireOpen();
    for (const [index, key] of keys.entries()) requireEntry(key, values[index], index);
    if (values.length > keys.length) throw unpaired(keys.length, values.length);
    const hashes = hashBlobs(values);
    this.#meaning?.add(keys, hashes);
    for (const [index, key] of keys.entries()) {
      const bytes = values[index] ?? new Uint8Array(0);
      const hash = hashes[index];
      assert(hash !== undefined, "a hash for each value");
      const blob = { key: this.#context.store.orderOf?.("blobs", hash) ?? hash, value: bytes };
      if (!this.#values.add(blob)) await addToNextRun(this.#values, blob);
      const entry = { key, value: stateCell.encode({ hash, size: bytes.length }) };
      if (!this.#entries.add(entry)) await addToNextRun(this.#entries, entry);
      this.#count += 1;
    }
  }

  async finish(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<Loaded> {
    this.#requireOpen();
    const { signal } = options;
    const recorded = this.#recorded();
    const earlier = this.#context.committer.recall(recorded);
    if (earlier !== undefined) return this.#loaded(earlier);
    await this.#values.end();
    signal?.throwIfAborted();
    await this.#entries.end();
    await this.#storeValues(signal);
    // Nodes of the new map are nobody's until the head moves: another writer who makes the same one, and replaces it, must
    // not free it before.
    const lease = await this.#context.leases.takeAll();
    try {
      return await this.#loadInto(recorded, { signal, lease });
    } finally {
      lease.release();
    }
  }

  async #loadInto(
    recorded: Recorded<LoadOutcome> | undefined,
    { signal, lease }: { readonly signal: AbortSignal | undefined; readonly lease: WholeLease },
  ): Promise<Loaded> {
    const { committer, view } = this.#context;
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
      const base = await (await view()).resolve({ staged: this.#head });
      const stagedState = mapRoot(base.state.root);
      // The same load may have been made meanwhile, and have moved the head away from what both of them expect.
      const earlier = committer.recall(recorded);
      if (earlier !== undefined) return this.#loaded(earlier);
      requireExpected({ head: this.#head, stagedState }, this.#options);
      const built = await this.#build(base, signal);
      try {
        const move = (context: MutationContext): LoadOutcome => {
          signal?.throwIfAborted();
          if (!lease.isUnbroken()) throw stoodStill();
          this.#move(context, stagedState, built);
          return { beforeRoot: stagedState, root: built.root, keys: built.keys, isRepeated: false };
        };
        return this.#loaded(await committer.commit(move, recorded));
      } catch (error) {
        if (!(error instanceof Overtaken)) throw error;
      }
    }
    throw new Conflict(
      `the staged state of head "${this.#head}" moved ${MAX_ATTEMPTS} times while it was loaded into`,
      {
        hint: "load while nobody else writes to the head, or into a head of its own",
        facts: { kind: "root", head: this.#head },
      },
    );
  }

  #loaded({ value, receipt, tail }: Outcome<LoadOutcome>): Loaded {
    const logged = (): LoggedLeaf => this.#context.log.leaf(tail, receipt.logIndex);
    return { ...value, receipt, view: this.#context.viewAt(tail), logged };
  }

  /** The load as it is recorded, once all of its entries are known. */
  #recorded(): Recorded<LoadOutcome> | undefined {
    const { idempotency, expectedRoot } = this.#options;
    const gathered = this.#meaning;
    if (idempotency === undefined || gathered === undefined) return undefined;
    const meaning = (): RequestMeaning => gathered.meaning(this.#head, expectedRoot);
    return recordedAs(identifyRequest(idempotency, { method: METHOD, meaning }), OUTCOME_KEPT);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    try {
      await this.#file.discard();
    } finally {
      this.#leave();
    }
  }

  #requireOpen(): void {
    if (this.#isClosed) throw new Unavailable("the load has ended");
  }

  async #storeValues(signal: AbortSignal | undefined): Promise<void> {
    const { store, blobs } = this.#context;
    const writer = new BatchWriter(store, "blobs");
    const turns = new Turns(signal);
    for await (const values of this.#values.records()) {
      await turns.giveWay();
      const hashes =
        store.orderOf === undefined ? values.map(({ key }) => key) : hashBlobs(values.map(({ value }) => value));
      for (const [index, { value }] of values.entries()) {
        const hash = hashes[index];
        assert(hash !== undefined, "a hash for each value");
        if (value.length < LARGE_BLOB_BYTES) {
          if (writer.add(hash, value)) await writer.write();
        } else await blobs.prepare([{ hash: blobHash(hash), bytes: value, sizeBytes: value.length }]);
      }
    }
    await writer.end();
  }

  /** Builds the map of what `base` holds and what was loaded, and writes all of its nodes. */
  async #build(base: ReadPoint, signal: AbortSignal | undefined): Promise<BuiltLoad> {
    const { store, rows } = this.#context;
    const writer = new BatchWriter(store, "nodes");
    const wasThere: Digest[] = [];
    let created: MapNode[] = [];
    const builder = new MapBuilder(MapKind.state, (node) => created.push(node));
    const write = async (): Promise<void> => {
      const nodes = created;
      created = [];
      for (const { digest, stored } of nodes) {
        if (rows.has("nodes", digest)) wasThere.push(digest);
        else if (writer.add(digest, stored)) await writer.write();
      }
    };
    let keys = 0;
    const loaded = entriesOf(this.#entries, (entries) => (keys += entries));
    const old = equalBytes(base.state.root, EMPTY_ROOT) ? [] : scanSync(base.nodesInPassing, base.state, ALL);
    const turns = new Turns(signal);
    for await (const entries of overlaid(old, loaded)) {
      await turns.giveWay();
      for (const { key, cell } of entries) builder.add(key, cell);
      if (builder.openEntries > MAX_OPEN_SEGMENT_ENTRIES) throw groundKeys();
      await write();
    }
    const { root } = builder.finish();
    await write();
    await writer.end();
    return { root, keys, wasThere };
  }

  /**
   * Runs in a round. @throws Overtaken - the head has moved, or a node is gone that was there (test/database/load.test.ts,
   * "keep the nodes that they found there") @throws NotFound, Conflict
   */
  #move({ draft }: MutationContext, base: MapRoot, built: BuiltLoad): void {
    const { stagedState, stagedLedger } = requireHead(draft, this.#head);
    requireExpected({ head: this.#head, stagedState }, this.#options);
    const isSound =
      equalBytes(stagedState, base) && built.wasThere.every((node) => this.#context.rows.has("nodes", node));
    if (!isSound) throw new Overtaken();
    // Looked at once more within the transaction: another process may be freeing them just now.
    draft.require(built.wasThere.map((key) => ({ space: "nodes", key })));
    draft.move(stagedKey(this.#head), stagedCell.encode({ stateRoot: built.root, ledgerRoot: stagedLedger }));
  }
}

const ALL = { from: new Uint8Array(0) };

/** What has been built is of no use any more: the load begins again on top of what is there now. */
class Overtaken extends Error {}

/** What a round says of a load. */
type LoadOutcome = Omit<Loaded, "receipt" | "view" | "logged">;

/** Two roots, and the number of keys in 8 bytes. */
const OUTCOME_KEPT: Pick<Recorded<LoadOutcome>, "encode" | "decode"> = {
  encode: ({ beforeRoot, root, keys }) => concatBytes(beforeRoot, root, u64be(keys)),
  decode: (outcome) =>
    fromStore("the outcome of a request", () => ({
      beforeRoot: mapRoot(outcome.subarray(0, 32)),
      root: mapRoot(outcome.subarray(32, 64)),
      keys: readU64be(outcome.subarray(64)),
      isRepeated: true,
    })),
};

interface BuiltLoad {
  readonly root: MapRoot;
  /** Different keys that were loaded. */
  readonly keys: number;
  /** Nodes that were not written, because the store had them. */
  readonly wasThere: readonly Digest[];
}

/** The entries of both, in order; where a key is in both, the second's. */
async function* overlaid(
  below: Iterable<readonly Entry[]>,
  above: AsyncIterable<readonly Entry[]>,
): AsyncGenerator<readonly Entry[], void, undefined> {
  const old = below[Symbol.iterator]();
  let waiting: readonly Entry[] = [];
  let next = 0;
  const peek = (): Entry | undefined => {
    while (next === waiting.length) {
      const step = old.next();
      if (step.done === true) return undefined;
      waiting = step.value;
      next = 0;
    }
    return waiting[next];
  };
  for await (const entries of above) {
    const merged: Entry[] = [];
    for (const entry of entries) {
      for (let before = peek(); before !== undefined; before = peek()) {
        const order = compareBytes(before.key, entry.key);
        if (order > 0) break;
        if (order < 0) merged.push(before);
        next += 1;
        if (merged.length >= MERGED_AT_ONCE) yield merged.splice(0);
      }
      merged.push(entry);
    }
    yield merged;
  }
  for (let before = peek(); before !== undefined; before = peek()) {
    yield waiting.slice(next);
    next = waiting.length;
  }
}

const MERGED_AT_ONCE = 512;

/** What was loaded, in order of key. */
async function* entriesOf(
  spool: SortedSpool,
  onCount: (entries: number) => void,
): AsyncGenerator<readonly Entry[], void, undefined> {
  for await (const records of spool.records()) {
    onCount(records.length);
    yield records.map(({ key, value }) => ({ key, cell: value }));
  }
}

async function addToNextRun(spool: SortedSpool, record: SpooledRecord): Promise<void> {
  await spool.endRun();
  assert(spool.add(record), "an empty run takes any record");
}

/** @throws InvalidArgument - a key or value that cannot be */
function requireEntry(key: Uint8Array, value: Uint8Array | undefined, index: number): void {
  if (key.length === 0 || key.length > MAX_KEY_BYTES) {
    const field = `entries.keys[${index}]`;
    throw new InvalidArgument(`${field}: a key is 1 to ${MAX_KEY_BYTES} bytes, not ${key.length}`, { field });
  }
  if (value === undefined) throw unpaired(index + 1, index);
  if (value.length <= MAX_INLINE_VALUE_BYTES) return;
  const field = `entries.values[${index}]`;
  throw new InvalidArgument(`${field}: at most ${MAX_INLINE_VALUE_BYTES} bytes, not ${value.length}`, {
    field,
    hint: "upload the value as a blob, and put that with Apply",
  });
}

function unpaired(keys: number, values: number): InvalidArgument {
  const field = "entries.values";
  return new InvalidArgument(`${field}: as many values as keys are wanted, not ${values} for ${keys}`, { field });
}

/** @throws Conflict - the staged root is not the expected one */
function requireExpected(
  { head, stagedState }: { readonly head: string; readonly stagedState: MapRoot },
  { expectedRoot }: LoadOptions,
): void {
  if (expectedRoot === undefined) return;
  const expected = expectedRoot === "empty" ? EMPTY_ROOT : expectedRoot;
  if (equalBytes(stagedState, expected)) return;
  const what = expectedRoot === "empty" ? "not that of the empty state" : "not the expected one";
  throw new Conflict(`the staged root of head "${head}" is ${toHex(stagedState)}, ${what}`, {
    field: expectedRoot === "empty" ? "header.expected_empty" : "header.expected_root",
    hint: "somebody was first: read again at the current root, and decide anew",
    facts: { kind: "root", head, current_root: toHex(mapRoot(stagedState)) },
  });
}

function groundKeys(): LimitExceeded {
  const value = String(MAX_OPEN_SEGMENT_ENTRIES);
  return new LimitExceeded(`over ${value} keys in a row at which no node may end: they were made so`, {
    hint: "put such keys with Apply",
    facts: { limit: "open_segment_entries", value },
  });
}

function tooManyLoads(): LimitExceeded {
  return new LimitExceeded(`${MAX_LOADS} loads are in progress`, {
    hint: "wait for one of them to end",
    facts: { limit: "loads", value: String(MAX_LOADS) },
  });
}

function stoodStill(): Unavailable {
  return new Unavailable("this process stood still for so long that what the load had stored may be gone", {
    hint: "load it again",
  });
}
