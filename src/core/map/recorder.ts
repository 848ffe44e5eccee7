// Notes what an algorithm touches in whole nodes: that is the witness (FORMATS §4).
import type { Digest } from "../hashes.js";
import type { MapNode } from "./node.js";
import { allIndices, type Reveal } from "./reveal.js";
import type { NodeView } from "./view.js";

/** Collects the nodes that are read, in the order of the first touch. Give it to a driver. */
export class Recorder {
  readonly #sides: [RecordedNode[], RecordedNode[]] = [[], []];
  #nodeBytes = 0;

  /** A view of the node that notes what is touched. */
  record(node: MapNode, side: 0 | 1): NodeView {
    const recorded = new RecordedNode(node);
    this.#nodeBytes += node.stored.length;
    this.#sides[side].push(recorded);
    return recorded;
  }

  /** Bytes of all nodes that were read, whole: about what a witness takes that shows every entry of them. */
  get nodeBytes(): number {
    return this.#nodeBytes;
  }

  /** The witness of what was read so far, of the second of two maps with `side` 1. Each reveal is made when asked for. */
  *reveals(side: 0 | 1 = 0): Generator<Reveal, void> {
    for (const node of this.#sides[side]) yield node.reveal();
  }

  /** The same, and forgets the nodes: for streams, once what was read will not be touched again. */
  takeReveals(side: 0 | 1 = 0): Reveal[] {
    const nodes = this.#sides[side];
    this.#sides[side] = [];
    return nodes.map((node) => node.reveal());
  }
}

class RecordedNode implements NodeView {
  readonly kind;
  readonly level;
  readonly count;
  readonly total;
  readonly #node: MapNode;
  /** One byte an entry, 1 where it was touched. */
  readonly #touched: Uint8Array;

  constructor(node: MapNode) {
    this.kind = node.kind;
    this.level = node.level;
    this.count = node.count;
    this.total = node.total;
    this.#node = node;
    this.#touched = new Uint8Array(node.count);
  }

  seek(key: Uint8Array): number {
    return this.#node.seek(key);
  }

  keyBelow(index: number): Uint8Array | undefined {
    return this.#node.keyBelow(index);
  }

  key(index: number): Uint8Array {
    this.#touched[index] = 1;
    return this.#node.key(index);
  }

  cell(index: number): Uint8Array {
    this.#touched[index] = 1;
    return this.#node.cell(index);
  }

  childDigest(index: number): Digest {
    this.#touched[index] = 1;
    return this.#node.childDigest(index);
  }

  childTotal(index: number): number {
    this.#touched[index] = 1;
    return this.#node.childTotal(index);
  }

  entryBytes(index: number): Uint8Array {
    this.#touched[index] = 1;
    return this.#node.entryBytes(index);
  }

  touch(first: number, end: number): void {
    this.#touched.fill(1, first, end);
  }

  reveal(): Reveal {
    const { count } = this.#node;
    const indices = this.#touchedIndices();
    scratch.entries.length = 0;
    for (const index of indices) scratch.entries.push(this.#node.entryBytes(index));
    const siblings = indices.length === count ? NO_SIBLINGS : this.#node.tree.siblings(indices, siblingRoom);
    return new RevealOfNode(this.#node, { indices, entries: scratch.entries.slice(), siblings });
  }

  #touchedIndices(): readonly number[] {
    scratch.indices.length = 0;
    for (let index = 0; index < this.count; index += 1) {
      if (this.#touched[index] === 1) scratch.indices.push(index);
    }
    const all = scratch.indices.length === this.count ? allIndices(this.count) : undefined;
    return all ?? scratch.indices.slice();
  }
}

const NO_SIBLINGS = new Uint8Array(0);

// Reveals live until their message is sent. Lists that grow in a literal, and objects from one, would be noticed by the
// engine (V8) as outliving its young generation and from then on be made in the old one, where they pile up: 20 MiB in a
// long scan. Hence copies of a list that is used again, which are also of the exact size, and a class.
const scratch: { readonly indices: number[]; readonly entries: Uint8Array[] } = { indices: [], entries: [] };

/** Siblings of many nodes lie in one array: making one costs ten times as much as making a view. */
const SHARED_ROOM_BYTES = 4096;
let sharedRoom = new Uint8Array(0);
let sharedUsed = 0;

function siblingRoom(sizeBytes: number): Uint8Array {
  if (sharedUsed + sizeBytes > sharedRoom.length) {
    sharedRoom = new Uint8Array(Math.max(SHARED_ROOM_BYTES, sizeBytes));
    sharedUsed = 0;
  }
  sharedUsed += sizeBytes;
  return sharedRoom.subarray(sharedUsed - sizeBytes, sharedUsed);
}

class RevealOfNode implements Reveal {
  readonly kind: number;
  readonly level: number;
  readonly count: number;
  readonly total: number;
  readonly indices: readonly number[];
  readonly entries: readonly Uint8Array[];
  readonly siblings: Uint8Array;

  constructor(node: MapNode, shown: Pick<Reveal, "indices" | "entries" | "siblings">) {
    this.kind = node.kind;
    this.level = node.level;
    this.count = node.count;
    this.total = node.total;
    this.indices = shown.indices;
    this.entries = shown.entries;
    this.siblings = shown.siblings;
  }
}
