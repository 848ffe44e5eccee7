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

/** A region after the edit, as atoms. Opens nodes that end in a key of high rank above level 0: see `endedSegment`. */
export function* atomsOf(tree: OldTree, region: Region): Reader<Atom[]> {
  const { level, pieces } = region;
  for (const piece of pieces) {
    if (!piece.isOpen && level > 0 && rankOf(lastOf(piece)) > level) yield* tree.open(piece);
  }
  EditEntry.place(pieces.flatMap((piece) => piece.edited ?? []));
  let ends = new SegmentEnds(level, tree.lastBefore(region.first));
  const atoms: Atom[] = [];
  for (const piece of pieces) {
    if (piece.edited === undefined) {
      const atom = unopenedAtom(piece, level);
      atoms.push(atom);
      ends = new SegmentEnds(level, atom.last);
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

function unopenedAtom(piece: OldNode, level: number): Atom {
  const last = lastOf(piece);
  const { leastCount } = piece;
  // No key of a node but one is known; the others have a byte at least.
  const leastKeyBytes = last.key.length + leastCount - 1;
  const endsSegment = level === 0 && rankOf(last) > 0;
  return {
    key: last.key,
    placeHead: last.placeHead,
    last,
    origin: piece,
    isEntry: false,
    leastCount,
    leastKeyBytes,
    endsSegment,
  };
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
