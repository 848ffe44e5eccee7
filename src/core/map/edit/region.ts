// A stretch of neighbouring old nodes that an edit may cut anew, and what it looks like after the edit.
import { assert } from "../../errors.js";
import { SegmentEnds } from "../cut.js";
import type { Placed } from "../place.js";
import { rankOf } from "../place.js";
import type { Reader } from "../view.js";
import type { OldNode, OldTree } from "./old-tree.js";
import { EditEntry } from "./old-tree.js";

/** Part of a region that is never divided: one entry, or a whole unchanged node that is not open. */
export interface Atom extends Placed {
  /** Its last, or only, entry. */
  readonly last: EditEntry;
  readonly origin: OldNode;
  /** False where it is a whole node that is not open. */
  readonly isEntry: boolean;
  readonly leastCount: number;
  readonly leastKeyBytes: number;
  /** True where a segment ends behind it. */
  readonly endsSegment: boolean;
}

/** Neighbouring old nodes of one level, in order. */
export class Region {
  readonly level: number;
  pieces: OldNode[];

  constructor(level: number, pieces: OldNode[]) {
    this.level = level;
    this.pieces = pieces;
  }

  get first(): OldNode {
    const [first] = this.pieces;
    assert(first !== undefined, "a region has a node");
    return first;
  }

  get last(): OldNode {
    const last = this.pieces.at(-1);
    assert(last !== undefined, "a region has a node");
    return last;
  }
}

/** A region after the edit, as atoms. May open nodes to see whether segments end with them: see `endedSegment`. */
export function* atomsOf(tree: OldTree, region: Region): Reader<Atom[]> {
  const { level, pieces } = region;
  const ended: boolean[] = [];
  for (const piece of pieces) ended.push(yield* endedSegment(tree, level, piece));
  EditEntry.place(pieces.flatMap((piece) => piece.edited ?? []));
  let ends = new SegmentEnds(level, tree.lastBefore(region.first));
  const atoms: Atom[] = [];
  for (const [index, piece] of pieces.entries()) {
    if (piece.edited === undefined) {
      atoms.push(unopenedAtom(piece, ended[index] === true));
      ends = new SegmentEnds(level, lastOf(piece));
    } else {
      for (const entry of piece.edited) atoms.push(entryAtom(piece, entry, ends.next(entry)));
    }
  }
  return atoms;
}

export function entryAtom(origin: OldNode, entry: EditEntry, endsSegment: boolean): Atom {
  const { key, placeHead } = entry;
  return { key, placeHead, last: entry, origin, isEntry: true, leastCount: 1, leastKeyBytes: key.length, endsSegment };
}

function unopenedAtom(origin: OldNode, endsSegment: boolean): Atom {
  const last = lastOf(origin);
  const { key, placeHead } = last;
  const { leastCount } = origin;
  // No key of a node but one is known; the others have a byte at least.
  const leastKeyBytes = key.length + leastCount - 1;
  return { key, placeHead, last, origin, isEntry: false, leastCount, leastKeyBytes, endsSegment };
}

/** The last entry of an old node, before the edit. */
export function lastOf(piece: OldNode): EditEntry {
  const { last } = piece;
  assert(last !== undefined, "only the root of an empty map has no last entry");
  return last;
}

export function keyBytesOf(entries: readonly EditEntry[]): number {
  let bytes = 0;
  for (const { key } of entries) bytes += key.length;
  return bytes;
}

/**
 * True where a segment ended with this node before the edit. Above level 0 a last key of high rank does not end one if
 * the entry before it is high as well, so the node is opened to see.
 */
export function* endedSegment(tree: OldTree, level: number, piece: OldNode): Reader<boolean> {
  if (piece.last === undefined || rankOf(piece.last) <= level) return false;
  if (level === 0) return true;
  const entries = yield* tree.open(piece);
  const before = entries.at(-2) ?? tree.lastBefore(piece);
  return before !== undefined && rankOf(before) <= level;
}
