// Builds a map from sorted entries, in one pass from the leaves up, handing out each node once, children before parents.
//
// Memory is what a segment of each level holds, plus a batch for the hash kernel; keys ground to avoid boundaries make
// one segment of them all, and only then does memory grow with the input. About 3 µs a key, hashing included.
import { compareBytes, toHex } from "../bytes.js";
import { Malformed, assert } from "../errors.js";
import type { MapRoot } from "../hashes.js";
import { mapRoot } from "../hashes.js";
import { SegmentEnds, cutSegment } from "./cut.js";
import { encodeChildEntry, encodeLeafEntry } from "./entry.js";
import type { MapKind } from "./kind.js";
import type { MapNode, NodeContent } from "./node.js";
import { createNodes, emptyMap } from "./node.js";
import type { Placed } from "./place.js";
import { placeHeads } from "./place.js";
import type { Entry } from "./view.js";

/** Entries of level 0 that are hashed together. */
const BATCH_ENTRIES = 1024;
/** Of each level above: they come a sixteenth as often, and what waits long grows old and is collected late. */
const UPPER_BATCH_ENTRIES = 128;
const NO_KEY: Uint8Array = new Uint8Array(0);

/** A map that was built. */
export interface BuiltMap {
  readonly root: MapRoot;
  /** Keys in the map. */
  readonly total: number;
}

/** An entry on its way into a node. */
export interface PlacedEntry extends Placed {
  readonly bytes: Uint8Array;
  /** Keys that it stands for: 1 at level 0. */
  readonly total: number;
}

/** Takes entries one at a time; for input that arrives asynchronously. */
export class MapBuilder {
  readonly #kind: MapKind;
  readonly #onNode: (node: MapNode) => void;
  readonly #levels: LevelBuilder[] = [];
  #batch: Uint8Array[] = [];
  #keys: Uint8Array[] = [];
  #lastKey: Uint8Array = NO_KEY;
  #total = 0;

  /** `onNode` is given every node of the map, children before parents. */
  constructor(kind: MapKind, onNode: (node: MapNode) => void) {
    this.#kind = kind;
    this.#onNode = onNode;
  }

  /**
   * Adds the next entry. Both arrays are copied.
   * @throws Malformed - the key is not above the one before, or key or cell is not valid
   */
  add(key: Uint8Array, cell: Uint8Array): void {
    if (compareBytes(key, this.#lastKey) <= 0 && this.#total > 0) {
      throw new Malformed(`keys do not ascend: ${toHex(key)} after ${toHex(this.#lastKey)}`);
    }
    const entry = encodeLeafEntry(key, cell);
    const keyEnd = entry.length - cell.length;
    this.#lastKey = entry.subarray(keyEnd - key.length, keyEnd);
    this.#keys.push(this.#lastKey);
    this.#batch.push(entry);
    this.#total += 1;
    if (this.#batch.length === BATCH_ENTRIES) this.#flush();
  }

  /** Entries of level 0 that wait for the end of their segment, those of a batch not yet looked at aside. */
  get openEntries(): number {
    return this.#levels[0]?.openEntries ?? 0;
  }

  /** Hands out the remaining nodes, the root last. The builder is then spent. */
  finish(): BuiltMap {
    this.#flush();
    const total = this.#total;
    if (total === 0) {
      const node = emptyMap(this.#kind);
      this.#onNode(node);
      return { root: mapRoot(node.digest), total };
    }
    for (let level = 0; ; level += 1) {
      const only = this.#level(level).finish();
      // A level of one node is the top; the level above it has been handed that one entry and closed nothing.
      if (only !== undefined) return { root: mapRoot(only.digest), total };
    }
  }

  #flush(): void {
    const heads = placeHeads(this.#keys);
    const bottom = this.#level(0);
    for (const [index, bytes] of this.#batch.entries()) {
      bottom.push({ key: this.#keys[index] ?? NO_KEY, placeHead: heads[index] ?? 0, bytes, total: 1 });
    }
    this.#batch = [];
    this.#keys = [];
  }

  #level(level: number): LevelBuilder {
    return (this.#levels[level] ??= new LevelBuilder({
      kind: this.#kind,
      level,
      onNode: this.#onNode,
      onParent: (entry) => this.#level(level + 1).push(entry),
    }));
  }
}

/** One level of a map under construction. */
class LevelBuilder {
  readonly #to: {
    readonly kind: MapKind;
    readonly level: number;
    readonly onNode: (node: MapNode) => void;
    readonly onParent: (entry: PlacedEntry) => void;
  };
  readonly #ends: SegmentEnds;
  #segment: PlacedEntry[] = [];
  /** Nodes that are cut and wait for the others of their batch, each with its last entry. */
  #waiting: { readonly content: NodeContent; readonly last: PlacedEntry }[] = [];
  #waitingEntries = 0;
  #nodes = 0;
  #lastNode: MapNode | undefined;

  constructor(to: {
    readonly kind: MapKind;
    readonly level: number;
    readonly onNode: (node: MapNode) => void;
    readonly onParent: (entry: PlacedEntry) => void;
  }) {
    this.#to = to;
    this.#ends = new SegmentEnds(to.level);
  }

  get openEntries(): number {
    return this.#segment.length;
  }

  push(entry: PlacedEntry): void {
    this.#segment.push(entry);
    if (this.#ends.next(entry)) this.#closeSegment();
  }

  /** Closes the last segment. Returns the level's node if it is the only one. */
  finish(): MapNode | undefined {
    if (this.#segment.length > 0) this.#closeSegment();
    this.#createWaiting();
    return this.#nodes === 1 ? this.#lastNode : undefined;
  }

  #closeSegment(): void {
    const segment = this.#segment;
    this.#segment = [];
    for (const { first, end } of cutSegment(segment)) {
      const entries = segment.slice(first, end);
      const last = entries.at(-1);
      assert(last !== undefined, "a node has an entry");
      this.#waiting.push({ content: nodeContent(this.#to, entries), last });
    }
    this.#waitingEntries += segment.length;
    const most = this.#to.level === 0 ? BATCH_ENTRIES : UPPER_BATCH_ENTRIES;
    if (this.#waitingEntries >= most) this.#createWaiting();
  }

  #createWaiting(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waitingEntries = 0;
    const nodes = createNodes(waiting.map(({ content }) => content));
    for (const [index, node] of nodes.entries()) {
      this.#to.onNode(node);
      const last = waiting[index]?.last;
      assert(last !== undefined, "one node for each content");
      this.#to.onParent(parentEntry(node, last));
      this.#lastNode = node;
    }
    this.#nodes += nodes.length;
  }
}

/** What goes into a node of these entries. */
export function nodeContent(
  at: { readonly kind: MapKind; readonly level: number },
  entries: readonly PlacedEntry[],
): NodeContent {
  let total = 0;
  for (const entry of entries) total += entry.total;
  return { kind: at.kind, level: at.level, total, entries: entries.map(({ bytes }) => bytes) };
}

/** The entry of a node in the level above. */
export function parentEntry(node: MapNode, last: Placed): PlacedEntry {
  const bytes = encodeChildEntry({ lastKey: last.key, digest: node.digest, total: node.total });
  return { key: last.key, placeHead: last.placeHead, bytes, total: node.total };
}

/**
 * Builds a map from entries in strictly ascending order of key.
 * @throws Malformed - keys do not ascend, or a key or cell is not valid; nodes may have been handed out by then
 */
export function buildMap(kind: MapKind, entries: Iterable<Entry>, onNode: (node: MapNode) => void): BuiltMap {
  const builder = new MapBuilder(kind, onNode);
  for (const { key, cell } of entries) builder.add(key, cell);
  return builder.finish();
}
