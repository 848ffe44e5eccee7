// Goal: the name proposed for a head that is not there is the nearest one, and the work of finding it is bounded.
// Method: the whole table of edits as the slow twin, over names that differ a little; then many long names at once.
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { nearestName } from "#src/database/missing.js";

/** Insertions, deletions, replacements, swaps of neighbours: every cell. */
function distance(a: string, b: string): number {
  const table: number[][] = [];
  for (let row = 0; row <= a.length; row += 1) {
    table.push([]);
    for (let column = 0; column <= b.length; column += 1) {
      if (row === 0 || column === 0) {
        table[row]!.push(row + column);
        continue;
      }
      const changed = a[row - 1] === b[column - 1] ? 0 : 1;
      const ways = [table[row - 1]![column]! + 1, table[row]![column - 1]! + 1, table[row - 1]![column - 1]! + changed];
      const isSwap = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      if (isSwap) ways.push(table[row - 2]![column - 2]! + 1);
      table[row]!.push(Math.min(...ways));
    }
  }
  return table[a.length]![b.length]!;
}

test("the nearest name, where it is at most a third of it and three edits away", () => {
  const name = fc.string({ unit: fc.constantFrom("a", "b", "c"), minLength: 1, maxLength: 14 });
  fc.assert(
    fc.property(name, fc.array(name, { maxLength: 6 }), (wanted, names) => {
      const most = Math.min(3, Math.max(1, Math.floor(wanted.length / 3)));
      const near = names.filter((other) => distance(wanted, other) <= most);
      near.sort((a, b) => distance(wanted, a) - distance(wanted, b));
      assert.equal(nearestName(wanted, names), near[0]);
    }),
  );
});

test("thousands of long names that all but match take no time", () => {
  const names = Array.from({ length: 4096 }, (_, index) => `x${"ab".repeat(61)}${String(index).padStart(4, "0")}y`);
  const start = process.cpuUsage();
  assert.equal(nearestName(`z${"ab".repeat(61)}....z`, names), undefined);
  // Of this process alone: the machine may be busy with others. Whole tables take seconds.
  const tookMs = process.cpuUsage(start).user / 1000;
  assert.ok(tookMs < 500, `${tookMs} ms`);
});
