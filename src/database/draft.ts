// Changes that are not yet durable: refs moved, nodes and rows made, on top of the newest tail.
//
// A round of the committer has one draft, and each mutation in it a draft on top of that, which is merged in if the
// mutation succeeds and dropped if it throws. So a mutation sees those before it, and one that fails leaves nothing.
//
// What each mutation did to the maps is noted as a step, in order: from the steps it follows which nodes fell out of use
// (followed-nodes.ts).
import { compareBytes, equalBytes } from "../core/bytes.js";
import { mapRoot } from "../core/hashes.js";
import type { Digest, MapRoot } from "../core/hashes.js";
import { edit, readSync } from "../core/map/index.js";
import type { Edit, Entry, MapAt, MapKind, MapNode, NodeSource, Recorder } from "../core/map/index.js";
import type { Condition, Row, RowName } from "../store/contract.js";
import { cacheName } from "./cache-name.js";
import type { MapEdit, Step } from "./followed-nodes.js";
import type { RefLookup, RefRange } from "./refs.js";
import { movesOf } from "./ref-moves.js";

/** What a draft is on top of. */
export interface DraftBase {
  readonly refs: RefLookup;
  readonly nodes: NodeSource;
}

/** A ref that moved. */
interface MovedRef extends Edit {
  /** The cell that what the draft is on top of has. */
  readonly before: Uint8Array | undefined;
}

export class Draft implements RefLookup, NodeSource {
  #base: DraftBase;
  readonly #moved = new Map<string, MovedRef>();
  readonly #created = new Map<string, MapNode>();
  readonly #rows: Row[] = [];
  readonly #required: RowName[] = [];
  readonly #steps: Step[] = [];
  readonly #edits: MapEdit[] = [];
  readonly #kept: Digest[] = [];
  #needsLeaf = false;
  #sizeBytes = 0;

  constructor(base: DraftBase) {
    this.#base = base;
  }

  /** A draft on top of this one. */
  fork(): Draft {
    return new Draft({ refs: this, nodes: this });
  }

  /** What this is on top of has become durable, and is there under another name. */
  rebase(base: DraftBase): void {
    this.#base = base;
  }

  /** Takes over what a draft on top of this one holds, as one step. */
  merge(fork: Draft): void {
    this.#steps.push(fork.#step());
    for (const [name, moved] of fork.#moved) {
      const mine = this.#moved.get(name);
      this.#moved.set(name, mine === undefined ? moved : { ...moved, before: mine.before });
    }
    for (const [name, node] of fork.#created) this.#created.set(name, node);
    for (const row of fork.#rows) this.#rows.push(row);
    for (const name of fork.#required) this.#required.push(name);
    this.#needsLeaf ||= fork.#needsLeaf;
    this.#sizeBytes += fork.#sizeBytes;
  }

  ref(key: Uint8Array): Uint8Array | undefined {
    const moved = this.#moved.get(cacheName(key));
    return moved === undefined ? this.#base.refs.ref(key) : moved.cell;
  }

  *refsBetween(range: RefRange): Generator<Entry> {
    const entries = new Map<string, Edit>();
    for (const entry of this.#base.refs.refsBetween(range)) entries.set(cacheName(entry.key), entry);
    for (const [name, moved] of this.#moved) if (isWithin(moved.key, range)) entries.set(name, moved);
    for (const { key, cell } of [...entries.values()].sort(byKey)) if (cell !== undefined) yield { key, cell };
  }

  countBetween(range: RefRange): number {
    let count = this.#base.refs.countBetween(range);
    for (const { key, cell, before } of this.#moved.values()) {
      if (!isWithin(key, range)) continue;
      if (before !== undefined && cell === undefined) count -= 1;
      if (before === undefined && cell !== undefined) count += 1;
    }
    return count;
  }

  /** Moves a ref, or without a cell removes it. */
  move(key: Uint8Array, cell: Uint8Array | undefined): void {
    const now = this.ref(key);
    if (now === cell || (now !== undefined && cell !== undefined && equalBytes(now, cell))) return;
    const name = cacheName(key);
    const moved = this.#moved.get(name);
    this.#moved.set(name, { key, cell, before: moved === undefined ? now : moved.before });
    this.#needsLeaf = true;
  }

  /**
   * States that a commit names these roots, so that nothing below them is ever freed. Each must be the root of another
   * commit, or what a head has staged after this mutation.
   */
  keep(roots: readonly MapRoot[]): void {
    this.#kept.push(...roots);
  }

  /** Has the log grow although no ref moves. */
  touch(): void {
    this.#needsLeaf = true;
  }

  load(digest: Digest, kind: MapKind): MapNode {
    return this.#created.get(cacheName(digest)) ?? this.#base.nodes.load(digest, kind);
  }

  /** Changes keys of a map and returns its new root. Keys strictly ascending. A recorder, if given, notes what was read. */
  edit(map: MapAt, edits: readonly Edit[], recorder?: Recorder): MapRoot {
    if (edits.length === 0) return mapRoot(map.root);
    const { root, created, superseded } = readSync(edit(map, edits), this, recorder);
    for (const node of created) {
      this.#created.set(cacheName(node.digest), node);
      this.#sizeBytes += node.stored.length;
    }
    if (!equalBytes(root, map.root)) this.#edits.push({ from: map.root, to: root, created, superseded });
    return root;
  }

  /** Changes the refs map by what moved, and returns its new root. The last thing that happens to a draft. */
  editRefs(map: MapAt): MapRoot {
    const root = this.edit(map, [...this.#moved.values()].sort(byKey));
    const isMoved = !equalBytes(root, map.root);
    const moves = isMoved ? [{ map: "refs", from: map.root, to: root }] : [];
    this.#steps.push({ edits: this.#edits.splice(0), moves, kept: [], movesOthers: false });
    return root;
  }

  /** Counts what is held for an answer until the batch is durable, so that a round has an end. */
  hold(sizeBytes: number): void {
    this.#sizeBytes += sizeBytes;
  }

  /** Writes a row with this batch. */
  put(rows: readonly Row[]): void {
    for (const row of rows) {
      this.#rows.push(row);
      this.#sizeBytes += row.value.length;
    }
  }

  /**
   * States that the batch relies on rows which it does not write: where one is gone by then, the round runs again. Rows that
   * are nodes may be freed until a ref names them.
   */
  require(names: readonly RowName[]): void {
    for (const name of names) this.#required.push(name);
  }

  /** True where a leaf of the log is due: a ref moved, or `touch` was called. */
  get needsLeaf(): boolean {
    return this.#needsLeaf;
  }

  get createdNodes(): Iterable<MapNode> {
    return this.#created.values();
  }

  /** What happened to the maps, in order. */
  get steps(): readonly Step[] {
    return this.#steps;
  }

  /** What must be there for the batch to happen. */
  get conditions(): readonly Condition[] {
    return this.#required.map((name) => ({ ...name, expected: "present" }));
  }

  /** Rows put, nodes aside. */
  get rows(): readonly Row[] {
    return this.#rows;
  }

  /** Bytes that the batch will hold, and what is held for its answers, roughly. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  #step(): Step {
    const refs = [...this.#moved.values()].map(({ key, before, cell }) => ({ key, before, after: cell }));
    return { edits: this.#edits, kept: this.#kept, ...movesOf(refs) };
  }
}

function isWithin(key: Uint8Array, range: RefRange): boolean {
  return compareBytes(key, range.from) >= 0 && compareBytes(key, range.to) < 0;
}

function byKey(a: { readonly key: Uint8Array }, b: { readonly key: Uint8Array }): number {
  return compareBytes(a.key, b.key);
}
