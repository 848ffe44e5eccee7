// The map before an edit, opened only where the edit looks.
//
// A node that is not open is still known by its parent's entry: its last key, its digest, its total. That is enough to
// walk along a level and to see where it was cut, which is most of what an edit needs of a neighbour.
import { compareBytes } from "../../bytes.js";
import { assert } from "../../errors.js";
import type { Placed } from "../place.js";
import { placeHeads } from "../place.js";
import type { MapAt, NodeView, Reader, Want } from "../view.js";
import { childWant, rootWant } from "../want.js";

const UNPLACED = -1;

/** An entry of a node, old or new. Compared by identity: one that is kept is the same object. */
export class EditEntry implements Placed {
  readonly key: Uint8Array;
  readonly bytes: Uint8Array;
  /** Keys that it stands for. */
  readonly total: number;
  #placeHead: number;

  constructor(parts: { key: Uint8Array; bytes: Uint8Array; total: number; placeHead?: number | undefined }) {
    this.key = parts.key;
    this.bytes = parts.bytes;
    this.total = parts.total;
    this.#placeHead = parts.placeHead ?? UNPLACED;
  }

  /** Hashes the key on first use. */
  get placeHead(): number {
    if (this.#placeHead === UNPLACED) EditEntry.place([this]);
    return this.#placeHead;
  }

  /** The place, if it is known already. */
  get knownPlaceHead(): number | undefined {
    return this.#placeHead === UNPLACED ? undefined : this.#placeHead;
  }

  /** Hashes the keys of all these entries that have no place yet, in one call. */
  static place(entries: readonly EditEntry[]): void {
    const unplaced = entries.filter((entry) => entry.#placeHead === UNPLACED);
    const heads = placeHeads(unplaced.map(({ key }) => key));
    for (const [index, entry] of unplaced.entries()) entry.#placeHead = heads[index] ?? 0;
  }
}

/** A node of the map before the edit, open or not. */
export class OldNode {
  readonly want: Want;
  readonly parent: OldNode | undefined;
  /** Position in the parent. */
  readonly index: number;
  #view: NodeView | undefined;
  #entries: readonly EditEntry[] | undefined;
  #edited: readonly EditEntry[] | undefined;
  readonly #children: (OldNode | undefined)[] = [];

  constructor(want: Want, parent: OldNode | undefined, index: number) {
    this.want = want;
    this.parent = parent;
    this.index = index;
  }

  get isOpen(): boolean {
    return this.#view !== undefined;
  }

  /** Entries before the edit, once open. Made when first asked for: most nodes are only passed, or have one replaced. */
  get entries(): readonly EditEntry[] | undefined {
    if (this.#view === undefined) return undefined;
    return (this.#entries ??= entriesOf(this.#view));
  }

  /** Entries after the edit, once open; the same array while nothing changed. */
  get edited(): readonly EditEntry[] | undefined {
    return this.#edited ?? this.entries;
  }

  get isChanged(): boolean {
    return this.#edited !== undefined && this.#edited !== this.#entries;
  }

  /** Once open. */
  get level(): number {
    return this.#opened().level;
  }

  /** Every entry counts as read: an edit needs nodes whole. */
  open(view: NodeView): void {
    view.touch(0, view.count);
    this.#view = view;
  }

  /** Has the edit make these of its entries. */
  change(edited: readonly EditEntry[]): void {
    this.#edited = edited;
  }

  /** The node itself, once open. */
  get view(): NodeView {
    return this.#opened();
  }

  /** The first position at or above a key, or the count. */
  seek(key: Uint8Array): number {
    return this.#opened().seek(key);
  }

  child(index: number): OldNode {
    const node = this.#opened();
    return (this.#children[index] ??= new OldNode(childWant({ node, want: this.want }, index), this, index));
  }

  /** Key of the last entry, once open. Undefined only for the root of an empty map. */
  get lastKey(): Uint8Array | undefined {
    if (this.want.last !== undefined) return this.want.last;
    const { view } = this;
    return view.count === 0 ? undefined : view.key(view.count - 1);
  }

  /** The last entry as the parent has it; of the root, its own. Undefined only for the root of an empty map. */
  get last(): EditEntry | undefined {
    return this.parent === undefined ? this.entries?.at(-1) : this.parent.entries?.[this.index];
  }

  /** Entries of the node, or the least that it can have while it is not open and not the only one of its segment. */
  get leastCount(): number {
    if (this.#view !== undefined) return this.#view.count;
    return this.want.level === 0 ? (this.want.total ?? 2) : 2;
  }

  #opened(): NodeView {
    assert(this.#view !== undefined, "an old node is opened before it is looked into");
    return this.#view;
  }
}

function entriesOf(view: NodeView): EditEntry[] {
  const entries: EditEntry[] = [];
  for (let index = 0; index < view.count; index += 1) {
    const total = view.level === 0 ? 1 : view.childTotal(index);
    entries.push(new EditEntry({ key: view.key(index), bytes: view.entryBytes(index), total }));
  }
  return entries;
}

/** Walks along the levels of the map before the edit. */
export class OldTree {
  readonly root: OldNode;

  constructor(map: MapAt) {
    this.root = new OldNode(rootWant(map), undefined, 0);
  }

  /** Opens a node, once, and returns its entries. */
  *open(node: OldNode): Reader<readonly EditEntry[]> {
    yield* this.visit(node);
    return node.entries ?? [];
  }

  /** Opens a node, once, without making objects of its entries. */
  *visit(node: OldNode): Reader<void> {
    if (!node.isOpen) node.open(yield node.want);
  }

  /** The node of a level whose range holds a key: the first that ends at or above it, or the last. */
  *find(level: number, key: Uint8Array): Reader<OldNode> {
    let node = this.root;
    for (;;) {
      yield* this.visit(node);
      if (node.level === level) return node;
      node = node.child(Math.min(node.seek(key), node.view.count - 1));
    }
  }

  /** The entry immediately before a node, in its whole level; known without opening anything. */
  lastBefore(node: OldNode): EditEntry | undefined {
    if (node.parent === undefined) return undefined;
    return node.index > 0 ? node.parent.entries?.[node.index - 1] : this.lastBefore(node.parent);
  }

  hasNext(node: OldNode): boolean {
    if (node.parent === undefined) return false;
    return node.index + 1 < (node.parent.entries?.length ?? 0) || this.hasNext(node.parent);
  }

  /** The node before, on its level. Opens what leads to it, not itself. */
  *previous(node: OldNode): Reader<OldNode | undefined> {
    const { parent } = node;
    if (parent === undefined) return undefined;
    if (node.index > 0) return parent.child(node.index - 1);
    const uncle = yield* this.previous(parent);
    if (uncle === undefined) return undefined;
    const entries = yield* this.open(uncle);
    return uncle.child(entries.length - 1);
  }

  /** The node after, on its level. Opens what leads to it, not itself. */
  *next(node: OldNode): Reader<OldNode | undefined> {
    const { parent } = node;
    if (parent === undefined) return undefined;
    if (node.index + 1 < (parent.entries?.length ?? 0)) return parent.child(node.index + 1);
    const uncle = yield* this.next(parent);
    if (uncle === undefined) return undefined;
    yield* this.open(uncle);
    return uncle.child(0);
  }
}

/** One change to a level: a new or replaced entry, or (`entry` absent) one that goes. */
export interface LevelChange {
  readonly key: Uint8Array;
  readonly entry: EditEntry | undefined;
}

/** What changes make of a node's entries. */
export interface AppliedChanges {
  readonly entries: readonly EditEntry[];
  /** True where an entry came or went; false where at most values changed. */
  readonly keysChanged: boolean;
}

/** Entries with changes applied, both in ascending order of key. The same array where nothing changes. */
export function applyChanges(entries: readonly EditEntry[], changes: readonly LevelChange[]): AppliedChanges {
  const result: EditEntry[] = [];
  let keysChanged = false;
  let valuesChanged = false;
  let position = 0;
  for (const { key, entry } of changes) {
    let old = entries[position];
    while (old !== undefined && compareBytes(old.key, key) < 0) {
      result.push(old);
      position += 1;
      old = entries[position];
    }
    if (old !== undefined && compareBytes(old.key, key) === 0) {
      position += 1;
      if (entry === undefined) keysChanged = true;
      else if (compareBytes(old.bytes, entry.bytes) === 0) result.push(old);
      else {
        result.push(entry);
        valuesChanged = true;
      }
    } else if (entry !== undefined) {
      result.push(entry);
      keysChanged = true;
    }
  }
  if (!keysChanged && !valuesChanged) return { entries, keysChanged };
  result.push(...entries.slice(position));
  return { entries: result, keysChanged };
}
