// Goal: a stored node comes back as it was, or not at all. Method: round trips, then every byte of stored nodes flipped,
// cut and extended; damage in the form is Malformed, damage that leaves a possible node shows in the digest.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as dagCbor from "@ipld/dag-cbor";
import { concatBytes, toHex, utf8 } from "#src/core/bytes.js";
import { Corrupt, Malformed } from "#src/core/errors.js";
import { hashTagged } from "#src/core/hash/index.js";
import type { MapNode } from "#src/core/map/index.js";
import { MapKind, buildMap, decodeNode, emptyMap, verifyNode } from "#src/core/map/index.js";
import { treeOfEntries } from "#src/core/map/merkle.js";
import { numberedEntries, sampleMap } from "./support.js";

function allNodes(count: number): MapNode[] {
  const nodes: MapNode[] = [];
  buildMap(MapKind.state, numberedEntries({ count }), (node) => nodes.push(node));
  return nodes;
}

describe("stored nodes", () => {
  it("come back as they were", () => {
    for (const node of allNodes(400)) {
      for (const again of [verifyNode(node.stored, node.digest), decodeNode(node.stored)]) {
        assert.deepEqual(
          [again.kind, again.level, again.count, again.total, again.digest],
          [node.kind, node.level, node.count, node.total, node.digest],
        );
        for (let index = 0; index < node.count; index += 1) {
          assert.deepEqual(again.entryBytes(index), node.entryBytes(index));
          assert.equal(again.seek(node.key(index)), index);
        }
      }
    }
  });

  it("cost four bytes a node and two an entry beside the entries", () => {
    for (const node of allNodes(100)) {
      let entries = 0;
      for (let index = 0; index < node.count; index += 1) entries += node.entryBytes(index).length;
      assert.equal(node.stored.length, entries + 4 + 2 * node.count);
    }
  });

  it("are found damaged whatever byte is flipped", () => {
    for (const node of allNodes(60)) {
      for (let offset = 0; offset < node.stored.length; offset += 1) {
        for (const mask of [0x01, 0x80]) {
          const damaged = Uint8Array.from(node.stored);
          damaged[offset] = (damaged[offset] ?? 0) ^ mask;
          assert.throws(() => verifyNode(damaged, node.digest), Corrupt);
        }
      }
    }
  });

  it("are found damaged when cut short or extended", () => {
    const [node] = allNodes(40);
    assert.ok(node !== undefined);
    for (let length = 0; length < node.stored.length; length += 1) {
      assert.throws(() => decodeNode(node.stored.subarray(0, length)), Malformed);
    }
    assert.throws(() => decodeNode(concatBytes(node.stored, new Uint8Array(1))), Malformed);
  });

  it("name the digest that was wanted and the one found", () => {
    const [first, second] = allNodes(400);
    assert.ok(first !== undefined && second !== undefined);
    assert.throws(() => verifyNode(first.stored, second.digest), {
      code: "CORRUPT",
      facts: { hash: toHex(second.digest), actual: toHex(first.digest) },
    });
  });

  const one = dagCbor.encode([utf8("k"), [1]]);
  const stored = (head: readonly number[], ...entries: Uint8Array[]): Uint8Array =>
    concatBytes(Uint8Array.from(head), ...entries.map(({ length }) => Uint8Array.of(length >> 8, length)), ...entries);
  const broken: Readonly<Record<string, Uint8Array>> = {
    "no bytes": new Uint8Array(0),
    "another version": stored([2, 1, 0, 1], one),
    "version 0": stored([0, 1, 0, 1], one),
    "kind 0": stored([1, 0, 0, 1], one),
    "kind 5": stored([1, 5, 0, 1], one),
    "level 41": stored([1, 1, 41, 1], dagCbor.encode([utf8("k"), new Uint8Array(32), 1])),
    "65 entries": stored(
      [1, 1, 0, 65],
      ...Array.from({ length: 65 }, (_, index) => dagCbor.encode([Uint8Array.of(index), []])),
    ),
    "empty above level 0": stored([1, 1, 1, 0]),
    "more entries than bytes": stored([1, 1, 0, 9], one),
    "fewer entries than bytes": stored([1, 1, 0, 0], one),
    "keys that do not ascend": stored([1, 1, 0, 2], one, one),
    "an entry of another level": stored([1, 1, 1, 1], one),
    "totals beyond 2^53 − 1": stored(
      [1, 1, 1, 2],
      dagCbor.encode([utf8("k"), new Uint8Array(32), 2 ** 53 - 1]),
      dagCbor.encode([utf8("l"), new Uint8Array(32), 1]),
    ),
  };
  for (const [name, bytes] of Object.entries(broken)) {
    it(`${name}: refused`, () => {
      assert.throws(() => decodeNode(bytes), Malformed);
      assert.throws(() => verifyNode(bytes, new Uint8Array(32)), Corrupt);
    });
  }

  it("the same bytes without the fault are accepted", () => {
    assert.equal(decodeNode(stored([1, 1, 0, 1], one)).total, 1);
    assert.equal(decodeNode(stored([1, 1, 0, 0])).total, 0);
  });
});

describe("empty maps", () => {
  it("of each kind have a root of their own", () => {
    const roots = Object.values(MapKind).map((kind) => toHex(emptyMap(kind).digest));
    assert.equal(new Set(roots).size, 4);
    for (const kind of Object.values(MapKind)) {
      assert.deepEqual(
        buildMap(kind, [], () => undefined),
        { root: emptyMap(kind).digest, total: 0 },
      );
    }
  });
});

describe("the tree inside a node", () => {
  /** RFC 6962, §2.1, by its definition. */
  function rootOf(leaves: readonly Uint8Array[]): Uint8Array {
    const [only] = leaves;
    if (leaves.length === 1 && only !== undefined) return only;
    let split = 1;
    while (split * 2 < leaves.length) split *= 2;
    return hashTagged("merkle_node:", concatBytes(rootOf(leaves.slice(0, split)), rootOf(leaves.slice(split))));
  }

  const entries = Array.from({ length: 64 }, (_, index) => Uint8Array.of(0x82, 0x41, index, 0x80));
  const leaves = entries.map((entry) => hashTagged("state_leaf:", entry));

  it("has the root of its definition, for every count", () => {
    for (let count = 1; count <= entries.length; count += 1) {
      const starts = Array.from({ length: count + 1 }, (_, index) => index * 4);
      const tree = treeOfEntries(concatBytes(...entries.slice(0, count)), starts);
      assert.deepEqual(tree.root, rootOf(leaves.slice(0, count)));
    }
  });
});

describe("what a node hands out", () => {
  it("are views of its stored bytes", () => {
    const map = sampleMap(numberedEntries({ count: 5 }));
    const root = map.source.load(map.root);
    const leaf = root.level > 0 ? map.source.load(root.childDigest(0)) : root;
    assert.equal(leaf.key(0).buffer, leaf.stored.buffer);
    assert.equal(leaf.cell(0).buffer, leaf.stored.buffer);
  });
});
