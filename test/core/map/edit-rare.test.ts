// Goal: the corners of settling and cutting (src/core/map/edit/) that random edits meet once in a million. Method: keys
// ground one by one, by rank and place, so that exactly the corner is there; the twin is a rebuild, as in edit.test.ts.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { compareBytes, utf8 } from "#src/core/bytes.js";
import type { Edit } from "#src/core/map/index.js";
import type { Placed } from "#src/core/map/place.js";
import { comparePlaces, rankOf } from "#src/core/map/place.js";
import { EditedMap } from "./edited-map.js";
import { placedKeys } from "./keys.js";
import { cellOf } from "./support.js";

const CELL = cellOf("cell");
const OTHER = cellOf("other");

/** The first key that starts with these characters and is as asked for. */
function grind(start: string, isRight: (placed: Placed) => boolean): Placed {
  for (let attempt = 0; ; attempt += 1024) {
    const keys = Array.from({ length: 1024 }, (_, index) => utf8(`${start}~${(attempt + index).toString(36)}`));
    const found = placedKeys(keys).find(isRight);
    if (found !== undefined) return found;
  }
}

function ofRank(rank: number): (placed: Placed) => boolean {
  return (placed) => rankOf(placed) === rank;
}

/** Rank 0, and lower than most: an eighth of all places are. */
function isLow(placed: Placed): boolean {
  return rankOf(placed) === 0 && placed.placeHead < 0.1875 * 2 ** 48;
}

/** Keys `<start>000~…` on, in order, of one rank and with places above another's. */
function run(start: string, options: { count: number; rank: number; above?: Placed }): Placed[] {
  const { count, rank, above } = options;
  return Array.from({ length: count }, (_, index) =>
    grind(`${start}${String(index).padStart(3, "0")}`, (placed) => {
      return rankOf(placed) === rank && (above === undefined || comparePlaces(placed, above) > 0);
    }),
  );
}

function mapOf(...parts: readonly (readonly Placed[])[]): EditedMap {
  return new EditedMap(parts.flat().map(({ key }) => ({ key, cell: CELL })));
}

function puts(...keys: readonly Placed[]): Edit[] {
  return keys.map(({ key }) => ({ key, cell: OTHER })).sort((a, b) => compareBytes(a.key, b.key));
}

function deletes(...keys: readonly Placed[]): Edit[] {
  return keys.map(({ key }) => ({ key, cell: undefined })).sort((a, b) => compareBytes(a.key, b.key));
}

describe("two neighbours that shrink at once", () => {
  // One cut, in the middle, of a segment one or two entries too large for a node. Neither half alone says so, but
  // without one entry of each the segment is one node.
  for (const count of [65, 66]) {
    for (const isLast of [true, false]) {
      it(`${count} entries, ${isLast ? "the last segment of the level" : "then a boundary"}`, () => {
        const cut = grind("b", isLow);
        const before = run("a", { count: 31, rank: 0, above: cut });
        const after = run("c", { count: count - 32, rank: 0, above: cut });
        const end = isLast ? [] : [grind("d", ofRank(1)), grind("e", ofRank(0))];
        for (const [left, right] of [
          [before.slice(3, 4), after.slice(5, 6)],
          [before.slice(3, 5), after.slice(5, 6)],
          [before.slice(3, 4), []],
          [[], after.slice(5, 6)],
          [before.slice(3, 6), []],
          [[], after.slice(5, 8)],
        ] as const) {
          const map = mapOf(before, [cut], after, end);
          map.apply(deletes(...left, ...right));
          map.apply(puts(...left, ...right));
        }
      });
    }
  }
});

describe("one entry less, and more bytes", () => {
  it("in either half of a cut", () => {
    const cut = grind("b", isLow);
    const before = run("a", { count: 32, rank: 0, above: cut });
    const after = run("c", { count: 32, rank: 0, above: cut });
    for (const half of [before, after]) {
      const long = grind(`${Buffer.from(half[4]!.key).toString()}${"x".repeat(200)}`, (placed) => {
        return rankOf(placed) === 0 && comparePlaces(placed, cut) > 0;
      });
      const map = mapOf(before, [cut], after);
      map.apply([...deletes(half[7]!, half[9]!), ...puts(long)].sort((a, b) => compareBytes(a.key, b.key)));
    }
  });
});

describe("a boundary that comes beside a cut", () => {
  // It leaves a single entry between itself and a node that could stay closed; the entry behind that, or before it, may be
  // cut after for the first time, and is the lowest.
  const cut = grind("m", isLow);
  const lower = (placed: Placed): boolean => isLow(placed) && comparePlaces(placed, cut) > 0;
  const highest = grind("z", (placed) => rankOf(placed) === 0 && placed.placeHead > 0.19 * 2 ** 48);
  const parts = ["a", "k", "o", "q"].map((start) => run(start, { count: 45, rank: 0, above: highest }));
  const otherCuts = ["h", "p"].map((start) => grind(start, isLow));
  const behind = grind("n", lower);
  const before = grind("l", lower);

  it("just before it", () => {
    const map = mapOf(...parts, otherCuts, [cut, behind]);
    const boundary = grind("l~", ofRank(1));
    map.apply(puts(boundary));
    map.apply(deletes(boundary));
  });

  it("just behind it", () => {
    const map = mapOf(...parts, otherCuts, [before, cut]);
    const boundary = grind("m~~", ofRank(1));
    map.apply(puts(boundary));
    map.apply(deletes(boundary));
  });
});

describe("a run of high keys at level 1", () => {
  // Of keys of rank 2 in a row only the first ends a segment, and not where the level begins. Two more before the row
  // make it the beginning of a segment in which the second of the row may be cut after, and has the lowest place.
  it("joined by new keys before it", () => {
    const second = grind("c1", (placed) => rankOf(placed) >= 2);
    const first = grind("c0", (placed) => rankOf(placed) >= 2 && comparePlaces(placed, second) > 0);
    const others = run("d", { count: 150, rank: 1 });
    const before = run("a", { count: 20, rank: 1 });
    const more = ["b0", "b1", "b2"].map((start) => grind(start, (placed) => rankOf(placed) >= 2));
    for (const added of [more.slice(0, 1), more.slice(0, 2), more]) {
      for (const start of [before, []]) {
        const map = mapOf(start, [first, second], others);
        map.apply(puts(...added));
        map.apply(deletes(...added.slice(0, 1)));
        map.apply(deletes(...added.slice(1)));
      }
    }
  });

  it("parted by keys that go and come", () => {
    const high = ["c0", "c1", "c2", "c3", "c4"].map((start) => grind(start, (placed) => rankOf(placed) >= 2));
    const low = run("c2~", { count: 2, rank: 1 });
    const before = run("a", { count: 70, rank: 1 });
    const after = run("d", { count: 70, rank: 1 });
    for (const start of [before, []]) {
      for (const end of [after, []]) {
        const map = mapOf(start, high, end);
        map.apply(puts(...low));
        for (const key of high) {
          map.apply(deletes(key));
          map.apply(puts(key));
        }
        map.apply(deletes(...low));
        map.apply(deletes(...high.slice(0, 2)));
        map.apply(puts(high[1]!));
      }
    }
  });
});

describe("a cut that goes, and a boundary that comes, in one edit", () => {
  // The new boundary makes the region grow over nodes that it leaves closed; behind a cut that goes, the next node's
  // first entry may be cut after for the first time, and has the lowest place.
  it("far apart in one segment", () => {
    const cuts = ["b", "d", "f", "h"].map((start) => grind(start, isLow));
    const highest = [...cuts].sort(comparePlaces).at(-1)!;
    const parts = ["a", "c", "e", "g", "i"].map((start) => run(start, { count: 40, rank: 0, above: highest }));
    const end = grind("a010", (placed) => rankOf(placed) >= 1);
    for (const gone of cuts) {
      // The first entry behind the cut, as low as the cuts are.
      const first = grind(`${String.fromCharCode(gone.key[0]! + 1)}!`, isLow);
      const map = mapOf(...parts, cuts, [first]);
      map.apply([...puts(end), ...deletes(gone)]);
      map.apply([...deletes(end), ...puts(gone)]);
      map.apply(deletes(gone));
    }
  });
});

describe("a map that shrinks to one old node", () => {
  // Everything but one leaf goes: the map's root is then a node that no edit wrote, at whatever level.
  it("of level 0, from each position", () => {
    const ends = run("k", { count: 40, rank: 1 });
    for (const keep of [0, 1, 20, 39]) {
      const map = mapOf(ends);
      const { created } = map.apply(deletes(...ends.filter((_, index) => index !== keep)));
      assert.equal(created.length, 0);
    }
  });

  it("of a higher level, and through levels of one entry", () => {
    const map = mapOf(
      run("a", { count: 60, rank: 1 }),
      run("b", { count: 4, rank: 2 }),
      run("c", { count: 70, rank: 1 }),
    );
    const entries = map.entries();
    for (const [first, end] of [
      [0, 64],
      [0, 100],
      [60, 134],
      [64, 134],
    ] as const) {
      const gone = entries.slice(first, end).map(({ key }) => ({ key, cell: undefined }));
      map.apply(gone);
      map.apply(entries.slice(first, end));
    }
  });

  it("a level of one entry beside which all goes", () => {
    // The last segment of level 1 holds one entry: a node of one entry above level 0.
    const high = grind("b", (placed) => rankOf(placed) >= 2);
    const before = run("a", { count: 20, rank: 1 });
    const last = run("c", { count: 1, rank: 1 });
    const map = mapOf(before, [high], last);
    const { created } = map.apply(deletes(...before, high));
    assert.equal(created.length, 0);
    assert.equal(map.source.size, 1);
  });
});

describe("keys that grow shorter", () => {
  // As many entries, fewer bytes: a segment cut by bytes alone becomes one node.
  it("in either half of a cut", () => {
    const long = (placed: Placed): Uint8Array => {
      const key = new Uint8Array(1000).fill(0x7e);
      key.set(placed.key);
      return key;
    };
    const keys = placedKeys(run("k", { count: 60, rank: 0 }).map(long)).filter((placed) => rankOf(placed) === 0);
    assert.ok(keys.length > 40);
    for (const size of [17, 18, 20, 34]) {
      for (const position of [1, 5, 9, 13, 16]) {
        const some = keys.slice(0, size);
        const map = mapOf(some);
        for (const shift of [0, 1, 2, 3]) {
          const gone = some[(position + shift) % size]!;
          const short = grind(Buffer.from(gone.key.subarray(0, 4)).toString() + "/", ofRank(0));
          map.apply([...deletes(gone), ...puts(short)].sort((a, b) => compareBytes(a.key, b.key)));
        }
      }
    }
  });
});
