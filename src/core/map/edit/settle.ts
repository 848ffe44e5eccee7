// How far an edit reaches along a level: the proof that everything outside a region stays as it was cut.
//
// A region grows until, at each of its ends, one of these holds:
//
//   (1) the level ends there, or a segment ends there before and after the edit;
//   (2) it was cut there, and the cut must come again:
//       a. the segment that crosses the end has its other end where it was (so no segment was split or joined),
//       b. what the region now holds of that segment has places above the cut's,
//       c. and is two entries at least, so that the cut may be made,
//       d. and the part of the segment that the cut divides is still too large for one node.
//
// Why (2) is enough. Cutting goes from a whole segment down, always at the lowest place of a part. Follow it after the
// edit, through the parts that reach beyond the region. Each is too large: the smallest by (d), the others because they
// hold it. Of the entries that may be cut after, those outside the region are the same as ever (c), and an end of the
// region, which is one of them, is lower than all inside (b). So the lowest is outside. It was a cut before the edit as
// well: some part held it together with that end of the region and was cut, since the end is a cut; and whatever was cut
// first, inside or outside, left the two together until one of them was the lowest. So all parts outside come out as they
// were, and the region is reached as one part, which is then cut on its own.
//
// A region is usually one node. Keys ground to have low places can make it larger: that is what (b) asks for.
import { compareBytes } from "../../bytes.js";
import { isOversize } from "../cut.js";
import type { Placed } from "../place.js";
import { comparePlaces, rankOf } from "../place.js";
import type { Reader } from "../view.js";
import type { OldNode, OldTree } from "./old-tree.js";
import type { Atom } from "./region.js";
import { Region, atomsOf, endedSegment, keyBytesOf, lastOf } from "./region.js";

/**
 * How far a region has to grow at one end: by one node; on to the end of the old segment; on while the cut there is
 * above this entry; or not, but it has to be looked at again.
 */
type Reach = "one" | "segment" | "again" | Placed;

/** What a region holds of the segment that crosses one of its ends. */
interface CrossingPart {
  /** The end of the region that is looked at: the key before it on the left, its own last key on the right. */
  readonly limit: Placed;
  readonly atoms: readonly Atom[];
  readonly pieces: readonly OldNode[];
  /** True where the other end of the segment is not where it was. */
  readonly isMoved: boolean;
  /** The cut at the other end of the region, where the segment crosses that too. */
  readonly otherCut: Placed | undefined;
}

/** The regions of one level. Seeds come from left to right. */
export class Settler {
  readonly #tree: OldTree;
  readonly #level: number;
  readonly #regionOf = new Map<OldNode, Region>();
  readonly #settled: Region[] = [];

  constructor(tree: OldTree, level: number) {
    this.#tree = tree;
    this.#level = level;
  }

  /** Settled regions, from left to right. They do not overlap. */
  get regions(): readonly Region[] {
    return this.#settled;
  }

  has(node: OldNode): boolean {
    return this.#regionOf.has(node);
  }

  /** Settles the region around a node whose keys changed, unless a settled one has taken it in. */
  *settle(seed: OldNode): Reader<void> {
    if (this.has(seed)) return;
    const region = new Region(this.#level, [seed]);
    this.#regionOf.set(seed, region);
    let isSettled = false;
    while (!isSettled) {
      if (yield* this.#openBehindChangedEnds(region)) continue;
      const atoms = yield* atomsOf(this.#tree, region);
      isSettled = !(yield* this.#growLeft(region, atoms)) && !(yield* this.#growRight(region, atoms));
    }
    this.#settled.push(region);
  }

  /**
   * A node whose last key changed joins what follows: the next one is taken in and opened, since a new neighbour can
   * change where segments end. True where that happened.
   */
  *#openBehindChangedEnds(region: Region): Reader<boolean> {
    for (const [index, piece] of region.pieces.entries()) {
      if (keepsLast(piece)) continue;
      const inside = region.pieces[index + 1];
      const next = inside ?? (yield* this.#takeNext(region));
      if (next === undefined || (inside !== undefined && next.isOpen)) continue;
      yield* this.#tree.open(next);
      return true;
    }
    return false;
  }

  // ---- The left end ----

  /** True where the region grew, or has to be looked at again. */
  *#growLeft(region: Region, atoms: readonly Atom[]): Reader<boolean> {
    const limit = this.#tree.lastBefore(region.first);
    if (limit === undefined || (this.#level === 0 && rankOf(limit) > 0)) return false;
    const part = yield* this.#leftPart(region, atoms, limit);
    let reach = reachOf(part);
    if (reach === undefined && !isShrunk(part)) return false;
    // Only now is it worth opening a node to see whether a segment starts here after all.
    if (yield* this.#startsSegment(region)) return false;
    reach ??= yield* this.#reachOfSize(part, yield* this.#tree.previous(region.first));
    if (reach === undefined) return false;
    if (reach === "again") return true;
    do yield* this.#takePrevious(region);
    while (yield* this.#goesOnLeft(region, reach));
    return true;
  }

  *#leftPart(region: Region, atoms: readonly Atom[], limit: Placed): Reader<CrossingPart> {
    const { pieces } = region;
    const newEnd = atoms.findIndex((atom) => atom.endsSegment);
    let oldEnd = -1;
    for (const [index, piece] of pieces.entries()) {
      if (!(yield* endedSegment(this.#tree, this.#level, piece))) continue;
      oldEnd = index;
      break;
    }
    const isMoved = !isSameEnd(atoms[newEnd], pieces[oldEnd]);
    const crossesRight = oldEnd < 0 && this.#tree.hasNext(region.last);
    return {
      limit,
      atoms: newEnd < 0 ? atoms : atoms.slice(0, newEnd + 1),
      pieces: oldEnd < 0 ? pieces : pieces.slice(0, oldEnd + 1),
      isMoved,
      otherCut: crossesRight ? lastOf(region.last) : undefined,
    };
  }

  *#goesOnLeft(region: Region, reach: Reach): Reader<boolean> {
    const limit = this.#tree.lastBefore(region.first);
    if (limit === undefined || reach === "one" || reach === "again") return false;
    if (reach !== "segment" && comparePlaces(limit, reach) < 0) return false;
    return !(yield* this.#startsSegment(region));
  }

  *#startsSegment(region: Region): Reader<boolean> {
    const limit = this.#tree.lastBefore(region.first);
    if (limit === undefined) return true;
    if (rankOf(limit) <= this.#level) return false;
    const previous = yield* this.#tree.previous(region.first);
    return previous === undefined || (yield* endedSegment(this.#tree, this.#level, previous));
  }

  /** Takes in the node before, with all of the settled region that it may belong to. */
  *#takePrevious(region: Region): Reader<void> {
    const previous = yield* this.#tree.previous(region.first);
    if (previous === undefined) return;
    const other = this.#regionOf.get(previous);
    if (other !== undefined) this.#settled.pop();
    const taken = other?.pieces ?? [previous];
    for (const piece of taken) this.#regionOf.set(piece, region);
    region.pieces = [...taken, ...region.pieces];
  }

  // ---- The right end ----

  /** True where the region grew, or has to be looked at again. */
  *#growRight(region: Region, atoms: readonly Atom[]): Reader<boolean> {
    if (!this.#tree.hasNext(region.last)) return false;
    if (yield* endedSegment(this.#tree, this.#level, region.last)) {
      if (atoms.at(-1)?.endsSegment === true) return false;
      // A segment ended here and does so no longer: it is joined with the next.
      const next = yield* this.#takeNext(region);
      if (next !== undefined) yield* this.#tree.open(next);
      return true;
    }
    const part = yield* this.#rightPart(region, atoms);
    let reach = reachOf(part);
    if (reach === undefined && isShrunk(part)) {
      reach = yield* this.#reachOfSize(part, yield* this.#tree.next(region.last));
    }
    if (reach === undefined) return false;
    if (reach === "again") return true;
    do yield* this.#takeNext(region);
    while (yield* this.#goesOnRight(region, reach));
    return true;
  }

  *#rightPart(region: Region, atoms: readonly Atom[]): Reader<CrossingPart> {
    const { pieces } = region;
    const newEnd = atoms.findLastIndex((atom) => atom.endsSegment);
    let oldEnd = pieces.length - 1;
    for (; oldEnd >= 0; oldEnd -= 1) {
      const piece = pieces[oldEnd];
      if (piece !== undefined && (yield* endedSegment(this.#tree, this.#level, piece))) break;
    }
    const isMoved = !isSameEnd(atoms[newEnd], pieces[oldEnd]);
    const before = this.#tree.lastBefore(region.first);
    const crossesLeft = oldEnd < 0 && before !== undefined && !(yield* this.#startsSegment(region));
    return {
      limit: lastOf(region.last),
      atoms: atoms.slice(newEnd + 1),
      pieces: pieces.slice(oldEnd + 1),
      isMoved,
      otherCut: crossesLeft ? before : undefined,
    };
  }

  *#goesOnRight(region: Region, reach: Reach): Reader<boolean> {
    if (reach === "one" || reach === "again" || !this.#tree.hasNext(region.last)) return false;
    if (reach !== "segment" && comparePlaces(lastOf(region.last), reach) < 0) return false;
    return !(yield* endedSegment(this.#tree, this.#level, region.last));
  }

  *#takeNext(region: Region): Reader<OldNode | undefined> {
    const next = yield* this.#tree.next(region.last);
    if (next === undefined) return undefined;
    this.#regionOf.set(next, region);
    region.pieces.push(next);
    return next;
  }

  /**
   * Condition (d), for a part that became smaller: what the cut divides, this part and what lies beyond the cut, must
   * still be too large for one node. Both ends of the region may be cuts; it is the higher place, made later, that
   * divides the smaller part.
   */
  *#reachOfSize(part: CrossingPart, beyond: OldNode | undefined): Reader<Reach | undefined> {
    const { limit, otherCut } = part;
    if (beyond === undefined || isOversize(leastSizeOf(part.atoms))) return undefined;
    if (otherCut !== undefined && comparePlaces(otherCut, limit) > 0) return undefined;
    const isRight = compareBytes(lastOf(beyond).key, limit.key) > 0;
    const farEnd = isRight ? lastOf(beyond) : this.#tree.lastBefore(beyond);
    const isFarEndCut =
      farEnd !== undefined && rankOf(farEnd) <= this.#level && (!isRight || this.#tree.hasNext(beyond));
    // Cut again beyond, and later: then there are two nodes at least, too large together.
    if (isFarEndCut && comparePlaces(farEnd, limit) > 0) return undefined;
    if (beyond.isChanged || this.has(beyond)) return "one";

    const entries = yield* this.#tree.open(beyond);
    const least = leastSizeOf(part.atoms);
    const together = { entries: least.entries + entries.length, keyBytes: least.keyBytes + keyBytesOf(entries) };
    if (isOversize(together)) return undefined;
    const unopened = part.pieces.filter((piece) => !piece.isOpen);
    for (const piece of unopened) yield* this.#tree.open(piece);
    return unopened.length > 0 ? "again" : "one";
  }
}

/** Conditions (a) to (c). */
function reachOf(part: CrossingPart): Reach | undefined {
  if (part.isMoved) return "segment";
  if (leastSizeOf(part.atoms).entries < 2) return "one";
  const lowest = lowestInside(part);
  return lowest !== undefined && comparePlaces(lowest, part.limit) < 0 ? lowest : undefined;
}

/**
 * The lowest place inside. The last entry does not count: it ends the segment, or is the end of the region itself. A node
 * that is not open has higher places inside than the cuts at its ends.
 */
function lowestInside(part: CrossingPart): Placed | undefined {
  let lowest: Placed | undefined;
  for (const atom of part.atoms.slice(0, -1)) {
    if (lowest === undefined || comparePlaces(atom, lowest) < 0) lowest = atom;
  }
  return lowest;
}

function isShrunk(part: CrossingPart): boolean {
  let entries = 0;
  let keyBytes = 0;
  for (const piece of part.pieces) {
    if (piece.entries === undefined || piece.edited === undefined || !piece.isChanged) continue;
    entries += piece.edited.length - piece.entries.length;
    keyBytes += keyBytesOf(piece.edited) - keyBytesOf(piece.entries);
  }
  return entries < 0 || keyBytes < 0;
}

function leastSizeOf(atoms: readonly Atom[]): { readonly entries: number; readonly keyBytes: number } {
  let entries = 0;
  let keyBytes = 0;
  for (const atom of atoms) {
    entries += atom.leastCount;
    keyBytes += atom.leastKeyBytes;
  }
  return { entries, keyBytes };
}

/** True where a segment ends, after and before the edit, at the same key, or at none. */
function isSameEnd(atom: Atom | undefined, piece: OldNode | undefined): boolean {
  if (atom === undefined || piece === undefined) return atom === undefined && piece === undefined;
  return compareBytes(atom.key, lastOf(piece).key) === 0;
}

/** True where the node ends with the same key after the edit. */
function keepsLast(piece: OldNode): boolean {
  if (!piece.isChanged) return true;
  const after = piece.edited?.at(-1);
  const before = piece.entries?.at(-1);
  return after !== undefined && before !== undefined && compareBytes(after.key, before.key) === 0;
}
