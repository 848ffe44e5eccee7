// Cuts a part of a segment (FORMATS §3) of which some old nodes are not open, and opens as few of them as it must.
//
// What may be left closed: an old node is what cutting left of an old segment, so its entries have higher places than the
// cuts at its two ends. While a cut at one of its ends may be made again in the part at hand, no entry inside can be the
// lowest. Only its first and its last two entries are an exception: they were too near an end to be cut after. They stay
// so while they lie at the end of the part, and are above the cut next to them while that may be made. Hence the rule: a
// closed node is opened where an end of it is neither an end of the part nor an entry that may be cut after.
//
// How large a part is: closed nodes count with the least that they can hold. Two neighbours that were the two halves of a
// cut are too large together, since they were cut. Where neither decides, the nodes are opened.
import { assert } from "../../errors.js";
import { LowestPlace, isOversize } from "../cut.js";
import { comparePlaces } from "../place.js";
import type { Reader } from "../view.js";
import type { OldNode, OldTree } from "./old-tree.js";
import { EditEntry } from "./old-tree.js";
import type { Atom } from "./region.js";
import { entryAtom } from "./region.js";

/** Atoms first … end − 1 of a job. */
interface Part {
  readonly job: Job;
  readonly first: number;
  readonly end: number;
}

/** The nodes of one part of a segment, each as its atoms, in order. */
export function* cutAtoms(tree: OldTree, atoms: readonly Atom[]): Reader<Atom[][]> {
  const nodes: Atom[][] = [];
  const parts: Part[] = [{ job: new Job(tree, atoms), first: 0, end: atoms.length }];
  for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
    const { job, first, end } = part;
    if (end - first === 1) {
      nodes.push(job.slice(first, end));
      continue;
    }
    const unclear = job.unclearNodes(first, end);
    if (unclear.length > 0) {
      // The part is looked at again as a job of its own, with these nodes open.
      const opened = yield* openNodes(tree, job.slice(first, end), unclear);
      parts.push({ job: new Job(tree, opened), first: 0, end: opened.length });
    } else if (job.isOversize(first, end)) {
      const cut = job.lowest(first, end) + 1;
      parts.push({ job, first: cut, end }, { job, first, end: cut });
    } else {
      nodes.push(job.slice(first, end));
    }
  }
  return nodes;
}

function* openNodes(tree: OldTree, atoms: readonly Atom[], nodes: readonly OldNode[]): Reader<Atom[]> {
  const result: Atom[] = [];
  const unclear = new Set(nodes);
  for (const atom of atoms) {
    if (atom.isEntry || !unclear.has(atom.origin)) {
      result.push(atom);
      continue;
    }
    const entries = yield* tree.open(atom.origin);
    EditEntry.place(entries);
    for (const entry of entries) result.push(entryAtom(atom.origin, entry, false));
  }
  return result;
}

/** A list of atoms with what is needed to cut any part of it quickly. */
class Job {
  readonly #tree: OldTree;
  readonly #atoms: readonly Atom[];
  readonly #lowest: LowestPlace;
  // Sums over the atoms before each position.
  readonly #counts: number[] = [0];
  readonly #keyBytes: number[] = [0];
  readonly #closed: number[] = [0];

  constructor(tree: OldTree, atoms: readonly Atom[]) {
    this.#tree = tree;
    this.#atoms = atoms;
    this.#lowest = new LowestPlace(atoms);
    for (const [index, atom] of atoms.entries()) {
      this.#counts.push((this.#counts[index] ?? 0) + atom.leastCount);
      this.#keyBytes.push((this.#keyBytes[index] ?? 0) + atom.leastKeyBytes);
      this.#closed.push((this.#closed[index] ?? 0) + (atom.isEntry ? 0 : 1));
    }
  }

  slice(first: number, end: number): Atom[] {
    return this.#atoms.slice(first, end);
  }

  /** Nodes that must be opened before this part, of two atoms at least, can be cut. */
  unclearNodes(first: number, end: number): OldNode[] {
    const closed = sumBetween(this.#closed, first, end);
    if (closed === 0) return [];
    const { low, high } = this.#cuttable(first, end);
    const unclear: OldNode[] = [];
    // Only next to a single entry at an end of the part can a closed node have an end that may not be cut after.
    for (const [index, isUnclear] of [
      [first + 1, low === first + 1],
      [end - 2, high === end - 2],
    ] as const) {
      const atom = this.#atoms[index];
      if (isUnclear && atom !== undefined && !atom.isEntry && index >= first && index < end) unclear.push(atom.origin);
    }
    if (unclear.length > 0 || this.isOversize(first, end) || this.#holdsOldParts(first, end)) return unclear;
    return this.slice(first, end).flatMap((atom) => (atom.isEntry ? [] : [atom.origin]));
  }

  /** True where the part is too large for one node, closed nodes taken at their least. */
  isOversize(first: number, end: number): boolean {
    const entries = sumBetween(this.#counts, first, end);
    return isOversize({ entries, keyBytes: sumBetween(this.#keyBytes, first, end) }) || this.#holdsOldParts(first, end);
  }

  /** The atom to cut after: of the lowest place among those behind entries 2 … n − 2, counted from 1. */
  lowest(first: number, end: number): number {
    const { low, high } = this.#cuttable(first, end);
    assert(low < high, "a part that is too large has a place to cut");
    return this.#lowest.find(low, high);
  }

  /** Atoms that may be cut after: not the first or last but one entry, nor the last. Closed nodes have two or more. */
  #cuttable(first: number, end: number): { readonly low: number; readonly high: number } {
    const low = first + (this.#atoms[first]?.isEntry === true ? 1 : 0);
    const high = end - 1 - (this.#atoms[end - 1]?.isEntry === true ? 1 : 0);
    return { low, high };
  }

  /** True where two closed neighbours are the halves of an old cut: it is above the cuts at their other ends. */
  #holdsOldParts(first: number, end: number): boolean {
    if (sumBetween(this.#closed, first, end) < 2) return false;
    for (let index = first; index + 1 < end; index += 1) {
      const left = this.#atoms[index];
      const right = this.#atoms[index + 1];
      if (left === undefined || right === undefined || left.isEntry || right.isEntry) continue;
      const before = this.#tree.lastBefore(left.origin);
      const isLeftLower = before === undefined || comparePlaces(before, left) < 0;
      const isRightLower = !this.#tree.hasNext(right.origin) || comparePlaces(right, left) < 0;
      if (isLeftLower && isRightLower) return true;
    }
    return false;
  }
}

function sumBetween(sums: readonly number[], first: number, end: number): number {
  return (sums[end] ?? 0) - (sums[first] ?? 0);
}
