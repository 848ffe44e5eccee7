// Goal: a walk that passes over what it has seen whole says of each map what a rebuild says: its nodes are those of its
// content, or they are not. That holds for keys of any ranks, in any order of maps, malformed ones among them.
// Method: maps of random keys, each with many of the keys of the one before; some are built with one node merged, split or
// shifted, at any level, so that every hash still holds. All are walked with one set; the oracle builds each from a scan.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { compareBytes, equalBytes, toHex, utf8 } from "#src/core/bytes.js";
import { MapKind, buildMap, emptyMap } from "#src/core/map/index.js";
import type { Entry, MapNode } from "#src/core/map/index.js";
import { nodeContent, parentEntry } from "#src/core/map/builder.js";
import type { PlacedEntry } from "#src/core/map/builder.js";
import { SegmentEnds, cutSegment } from "#src/core/map/cut.js";
import { encodeLeafEntry } from "#src/core/map/entry.js";
import { createNodes } from "#src/core/map/node.js";
import { DigestSet } from "#src/database/digest-set.js";
import { CheckedNodes } from "#src/database/fsck/checked-nodes.js";
import { MapWalk } from "#src/database/fsck/map-walk.js";
import { FindingRegister } from "#src/database/fsck/register.js";
import type { SyncReader } from "#src/store/index.js";
import { MIXES, drawKey, placedKeys } from "../../core/map/keys.js";
import { cellOf } from "../../core/map/support.js";

/** How one map is built wrongly: at a level, after a node. */
interface Wrong {
  readonly how: "merge" | "split" | "shift";
  readonly level: number;
  readonly at: number;
}

/** Nodes of one level, as the rules have them. */
function nodesOf(entries: readonly PlacedEntry[], level: number): PlacedEntry[][] {
  const ends = new SegmentEnds(level);
  const nodes: PlacedEntry[][] = [];
  let segment: PlacedEntry[] = [];
  const close = (): void => {
    for (const { first, end } of cutSegment(segment)) nodes.push(segment.slice(first, end));
    segment = [];
  };
  for (const entry of entries) {
    segment.push(entry);
    if (ends.next(entry)) close();
  }
  if (segment.length > 0) close();
  return nodes;
}

function spoil(nodes: PlacedEntry[][], { how, at }: Wrong): PlacedEntry[][] {
  const index = at % nodes.length;
  const [node, next] = [nodes[index]!, nodes[index + 1]];
  if (how === "split") {
    if (node.length < 2) return nodes;
    const middle = 1 + (at % (node.length - 1));
    return [...nodes.slice(0, index), node.slice(0, middle), node.slice(middle), ...nodes.slice(index + 1)];
  }
  if (next === undefined) return nodes;
  const moved = how === "merge" ? next.length : 1;
  if (node.length + moved > 64) return nodes;
  const both = [[...node, ...next.slice(0, moved)], next.slice(moved)].filter(({ length }) => length > 0);
  return [...nodes.slice(0, index), ...both, ...nodes.slice(index + 2)];
}

/** @returns the root, where there is one: levels that do not end are given up */
function build(entries: readonly Entry[], wrong: Wrong | undefined, onNode: (node: MapNode) => void): Uint8Array {
  if (entries.length === 0) {
    onNode(emptyMap(MapKind.state));
    return emptyMap(MapKind.state).digest;
  }
  const placed = placedKeys(entries.map(({ key }) => key));
  let level = placed.map((at, index): PlacedEntry => {
    const { key, cell } = entries[index]!;
    return { ...at, bytes: encodeLeafEntry(key, cell), total: 1 };
  });
  for (let number = 0; ; number += 1) {
    const honest = nodesOf(level, number);
    const groups = wrong?.level === number ? spoil(honest, wrong) : honest;
    const nodes = createNodes(groups.map((group) => nodeContent({ kind: MapKind.state, level: number }, group)));
    nodes.forEach(onNode);
    if (nodes.length === 1) return nodes[0]!.digest;
    level = nodes.map((node, index) => parentEntry(node, groups[index]!.at(-1)!));
  }
}

function walk(root: Uint8Array, rows: SyncReader, whole: DigestSet): { isWhole: boolean; found: number; read: number } {
  const register = new FindingRegister();
  const reached = new DigestSet(new Uint8Array(16).fill(7));
  const nodes = new CheckedNodes({ rows, register, reached });
  const map = { kind: MapKind.state, root };
  const steps = new MapWalk({ map, nodes, register, whole, owner: { name: "x" }, onLeaf: () => true });
  while (steps.step());
  register.release({ isWhole: true });
  return { isWhole: steps.isWhole, found: register.findings, read: reached.size };
}

const draw = fc.record({
  rank: fc.double({ min: 0, max: 0.9999, noNaN: true }),
  index: fc.double({ min: 0, max: 0.9999, noNaN: true }),
});
const aWrong = fc.record({
  how: fc.constantFrom("merge", "split", "shift"),
  level: fc.constantFrom(0, 0, 0, 1, 1, 2),
  at: fc.nat(1000),
}) as fc.Arbitrary<Wrong>;

describe("a walk with a memory", () => {
  it("says of every map what a rebuild says", async (context) => {
    const seen = { right: 0, wrong: 0 };
    fc.assert(
      fc.property(
        fc.constantFrom(...Object.keys(MIXES)),
        fc.integer({ min: 1, max: 600 }),
        fc.array(fc.tuple(fc.array(draw, { maxLength: 40 }), fc.option(aWrong, { freq: 2 })), {
          minLength: 2,
          maxLength: 8,
        }),
        fc.array(draw, { minLength: 600, maxLength: 600 }),
        (name, size, steps, draws) => {
          const mix = MIXES[name]!;
          const stored = new Map<string, Uint8Array>();
          const onNode = ({ digest, stored: bytes }: MapNode): void => void stored.set(toHex(digest), bytes);
          const rows: SyncReader = {
            get: (_, key) => stored.get(toHex(key)),
            has: (_, key) => stored.has(toHex(key)),
          };
          const content = new Map<string, Entry>();
          const toggle = (key: Uint8Array, step: number): void => {
            const text = toHex(key);
            if (!content.delete(text)) content.set(text, { key, cell: cellOf(`${text} ${step}`) });
          };
          for (const one of draws.slice(0, size)) toggle(drawKey(mix, one, 2000), 0);
          const whole = new DigestSet(new Uint8Array(16).fill(9));
          for (const [step, [changes, wrong]] of steps.entries()) {
            for (const one of changes) toggle(drawKey(mix, one, 2000), step + 1);
            const entries = [...content.values()].sort((a, b) => compareBytes(a.key, b.key));
            const root = build(entries, wrong ?? undefined, onNode);
            const isRight = equalBytes(buildMap(MapKind.state, entries, () => undefined).root, root);
            const { isWhole, found } = walk(root, rows, whole);
            assert.equal(isWhole, isRight, `${name}, step ${step}: ${JSON.stringify(wrong)}`);
            assert.equal(found > 0, !isRight);
            seen[isRight ? "right" : "wrong"] += 1;
          }
        },
      ),
      { numRuns: 100 },
    );
    context.diagnostic(`${seen.right} right, ${seen.wrong} wrong`);
    assert.ok(seen.right > 150 && seen.wrong > 15);
  });

  it("reads of a map that differs in one key little more than a path", () => {
    const stored = new Map<string, Uint8Array>();
    const onNode = ({ digest, stored: bytes }: MapNode): void => void stored.set(toHex(digest), bytes);
    const rows: SyncReader = { get: (_, key) => stored.get(toHex(key)), has: (_, key) => stored.has(toHex(key)) };
    const entries = Array.from({ length: 20_000 }, (_, index) => {
      const key = utf8(`key/${String(index).padStart(6, "0")}`);
      return { key, cell: cellOf(String(index)) };
    });
    const whole = new DigestSet(new Uint8Array(16).fill(9));
    const first = walk(build(entries, undefined, onNode), rows, whole);
    const others = [5000, 12_345, 19_999].map((index) => {
      const changed = entries.with(index, { ...entries[index]!, cell: cellOf("another") });
      return walk(build(changed, undefined, onNode), rows, whole);
    });
    assert.ok(first.read > 1000);
    for (const { isWhole, read } of others) {
      assert.ok(isWhole);
      assert.ok(read <= 40, `${read} nodes`);
    }
  });
});
