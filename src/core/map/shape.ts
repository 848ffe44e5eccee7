// Whether the nodes of a map lie as its content says (FORMATS §3): what a rebuild would show, in one pass over the nodes.
//
// Nodes come in the order of their last entries, children before parents, as the builder hands them out. What decides where
// a node ends is its segment, and a segment is decided by its own entries alone:
//
//   level 0    it ends with the first entry of rank > 0
//   level L    it ends with the first entry, but not its very first one, that has a rank > L while the one before has not
//
// (The entry before a segment ended one, so it is high, and the first entry ends none: neither at the beginning of a level
// nor elsewhere.) The nodes of a segment are what `cutSegment` cuts it into. So a level is right if it is one right segment
// behind another, and what lies between two ends of segments is right or wrong whatever is around it. That is what lets a
// walk pass over a subtree that it has seen in another map: one that begins where segments begin at all of its levels, and
// ends where they end (`isCleanTo`), is as right here as there.
//
// Memory is a segment of each level. The slow twin is the builder itself, over a scan (test/core/map/shape.test.ts).
import { cutSegment } from "./cut.js";
import type { MapNode } from "./node.js";
import type { Placed } from "./place.js";
import { placeHeads, rankOf } from "./place.js";

/** A segment that goes on. */
interface OpenSegment {
  entries: Placed[];
  /** Where its nodes end, as numbers of entries. */
  ends: number[];
}

export class MapShape {
  /** None where a level was not met, or was passed over. */
  readonly #levels: (OpenSegment | undefined)[] = [];

  /** True where what comes next begins a segment at this level and at all below it. */
  isCleanTo(level: number): boolean {
    for (let below = 0; below <= level; below += 1) {
      if ((this.#levels[below]?.entries.length ?? 0) > 0) return false;
    }
    return true;
  }

  /** Takes the node that comes next at its level. @returns what is wrong, as one clause, or undefined */
  take(node: MapNode): string | undefined {
    const { level, count } = node;
    const keys = Array.from({ length: count }, (_, index) => node.key(index));
    const heads = placeHeads(keys);
    const open = (this.#levels[level] ??= { entries: [], ends: [] });
    let fault: string | undefined;
    for (const [index, key] of keys.entries()) {
      open.entries.push({ key, placeHead: heads[index] ?? 0 });
      if (!endsSegment(open.entries, level)) continue;
      if (index < count - 1) fault ??= `a node ends with its entry ${index}, and this one goes on`;
      else open.ends.push(open.entries.length);
      fault ??= faultOfCut(open);
      this.#levels[level] = { entries: [], ends: [] };
      if (index < count - 1) return fault;
    }
    const last = this.#levels[level];
    if (last === open) open.ends.push(open.entries.length);
    return fault;
  }

  /** Forgets segments that go on at this level and below it: something is not there. */
  breakBelow(level: number): void {
    for (let below = 0; below <= level; below += 1) this.#levels[below] = { entries: [], ends: [] };
  }

  /** Behind the root. @returns what is wrong with the last segments, or undefined */
  finish(): string | undefined {
    for (const open of this.#levels) {
      const fault = open !== undefined && open.entries.length > 0 ? faultOfCut(open) : undefined;
      if (fault !== undefined) return fault;
    }
    return undefined;
  }
}

function endsSegment(entries: readonly Placed[], level: number): boolean {
  const last = entries.at(-1);
  if (last === undefined || rankOf(last) <= level) return false;
  if (level === 0) return true;
  const before = entries.at(-2);
  return before !== undefined && rankOf(before) <= level;
}

function faultOfCut({ entries, ends }: OpenSegment): string | undefined {
  const wanted = cutSegment(entries).map(({ end }) => end);
  const isSame = wanted.length === ends.length && wanted.every((end, index) => end === ends[index]);
  if (isSame) return undefined;
  return `a segment of ${entries.length} entries is cut behind ${ends.join(", ")}, and not behind ${wanted.join(", ")}`;
}
