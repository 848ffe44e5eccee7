// The trees of partly shown nodes (FORMATS §4): what is joined with what to work out their roots. Planning costs no hash.
//
// Trees are joined in step, a layer of all of them at a time, so that the hash kernel finds four joins in a row that do not
// need each other: that is what makes short paths cheap.
import { splitPoint } from "./merkle.js";

const DIGEST_BYTES = 32;

/** One tree, of which some entries are shown. */
export interface PartialTree {
  /** Its leaves, at least one. */
  readonly count: number;
  /** Which of them are shown, ascending. */
  readonly indices: readonly number[];
  readonly siblings: Uint8Array;
}

/**
 * Plans the joins of several trees. Hashes are numbered: those of the shown entries of all trees, in order; their
 * siblings, in order; what the joins give.
 */
export class PartialTreePlan {
  readonly #roots: number[] = [];
  /** Shown entries and siblings of all trees. */
  readonly #given: number;
  #nextEntry = 0;
  #nextSibling: number;
  /** Pairs of hashes, each behind those that it needs, and the layer of what each gives. */
  readonly #joins: number[] = [];
  readonly #layers: number[] = [];

  // The walk over one tree.
  #indices: readonly number[] = [];
  #nextIndex = 0;

  /** Of all the trees together. */
  constructor(counts: { readonly entries: number; readonly siblings: number }) {
    this.#nextSibling = counts.entries;
    this.#given = counts.entries + counts.siblings;
  }

  /** Plans the next tree. False if its siblings are not exactly as many as its indices imply. */
  add({ count, indices, siblings }: PartialTree): boolean {
    const first = this.#nextSibling;
    this.#indices = indices;
    this.#nextIndex = 0;
    this.#roots.push(this.#walk(0, count));
    this.#nextEntry += indices.length;
    return (this.#nextSibling - first) * DIGEST_BYTES === siblings.length;
  }

  /** What is to be joined, a layer after another, and which hash is the root of each tree. */
  inLayers(): { readonly joins: readonly number[]; readonly roots: readonly number[] } {
    const layers = this.#layers;
    const nextOfLayer: number[] = [];
    for (const layer of layers) {
      while (nextOfLayer.length <= layer) nextOfLayer.push(0);
      nextOfLayer[layer] = (nextOfLayer[layer] ?? 0) + 1;
    }
    let first = 0;
    for (let layer = 0; layer < nextOfLayer.length; layer += 1) {
      const count = nextOfLayer[layer] ?? 0;
      nextOfLayer[layer] = first;
      first += count;
    }
    const places = layers.map((layer) => {
      const place = nextOfLayer[layer] ?? 0;
      nextOfLayer[layer] = place + 1;
      return place;
    });
    const joins = new Array<number>(this.#joins.length);
    for (let join = 0; join < places.length; join += 1) {
      const to = 2 * (places[join] ?? 0);
      joins[to] = this.#placed(this.#joins[2 * join] ?? 0, places);
      joins[to + 1] = this.#placed(this.#joins[2 * join + 1] ?? 0, places);
    }
    return { joins, roots: this.#roots.map((root) => this.#placed(root, places)) };
  }

  #placed(hash: number, places: readonly number[]): number {
    return hash < this.#given ? hash : this.#given + (places[hash - this.#given] ?? 0);
  }

  /** The hash of the subtree over leaves first … end − 1. */
  #walk(first: number, end: number): number {
    const shown = this.#indices[this.#nextIndex];
    if (shown === undefined || shown >= end) {
      // One that is not there shows when the walk is over: then nothing is hashed.
      this.#nextSibling += 1;
      return this.#nextSibling - 1;
    }
    if (end - first === 1) {
      this.#nextIndex += 1;
      return this.#nextEntry + this.#nextIndex - 1;
    }
    const middle = first + splitPoint(end - first);
    const left = this.#walk(first, middle);
    const right = this.#walk(middle, end);
    this.#joins.push(left, right);
    this.#layers.push(1 + Math.max(this.#layerOf(left), this.#layerOf(right)));
    return this.#given + this.#layers.length - 1;
  }

  #layerOf(hash: number): number {
    return hash < this.#given ? 0 : (this.#layers[hash - this.#given] ?? 0);
  }
}
