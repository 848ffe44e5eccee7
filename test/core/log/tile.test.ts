// Goal: tiles are those of C2SP tlog-tiles: their paths, their hashes, their widths, and bundles of entries.
// Method: the specification's own examples; hashes against the twin that is RFC 6962 word for word.
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { toHex, utf8 } from "#src/core/bytes.js";
import { InvalidArgument } from "#src/core/errors.js";
import {
  encodeEntryBundle,
  logLeafHash,
  requireTile,
  TileBuilder,
  tilePath,
  tileWidth,
  type BuiltTile,
} from "#src/core/log/index.js";
import { slowRoot } from "./slow-tree.js";

test("paths are those of the specification", () => {
  assert.equal(tilePath({ level: 0, index: 0, width: 256 }), "tile/0/000");
  assert.equal(tilePath({ level: 0, index: 1_234_067, width: 256 }), "tile/0/x001/x234/067");
  assert.equal(tilePath({ level: 1, index: 1, width: 8 }), "tile/1/001.p/8");
  assert.equal(tilePath({ level: "entries", index: 1_000, width: 1 }), "tile/entries/x001/000.p/1");
});

test("widths follow from the size", () => {
  // The specification's example: a tree of 70,000 leaves.
  assert.deepEqual(
    [0, 273, 274].map((index) => tileWidth({ level: 0, index }, 70_000)),
    [256, 112, 0],
  );
  assert.deepEqual(
    [0, 1, 2].map((index) => tileWidth({ level: 1, index }, 70_000)),
    [256, 17, 0],
  );
  assert.equal(tileWidth({ level: 2, index: 0 }, 70_000), 1);
  assert.equal(tileWidth({ level: 6, index: 0 }, Number.MAX_SAFE_INTEGER), 31);
  const wrong: [number, number, number, string][] = [
    [7, 0, 1, "level"],
    [-1, 0, 1, "level"],
    [0.5, 0, 1, "level"],
    [0, 274, 1, "index"],
    [0, -1, 1, "index"],
    [0, 273, 113, "width"],
    [0, 0, 0, "width"],
    [0, 0, 257, "width"],
  ];
  for (const [level, index, width, field] of wrong) {
    assert.throws(
      () => requireTile({ level, index, width }, 70_000),
      (error) => error instanceof InvalidArgument && error.field === field,
    );
  }
  requireTile({ level: 0, index: 273, width: 112 }, 70_000);
});

test("hashes are those of the tree", () => {
  const leaves = Array.from({ length: 70_000 }, (_, index) => utf8(String(index)));
  const builder = new TileBuilder();
  const tiles: BuiltTile[] = leaves.flatMap((leaf) => builder.push(logLeafHash(leaf)));
  tiles.push(...builder.partial());
  const found = tiles.map(({ level, index, width }) => `${level}/${index}/${width}`);
  assert.equal(found.length, 274 + 2 + 1);
  assert.equal(new Set(found).size, found.length);
  for (const { level, index, width, hashes } of tiles) {
    assert.equal(width, tileWidth({ level, index }, leaves.length));
    assert.equal(hashes.length, width);
    if (level === 0 && index % 50 !== 0) continue;
    for (const [place, hash] of hashes.entries()) {
      if (level > 0 && place > 3) continue;
      const span = 256 ** level;
      const start = (index * 256 + place) * span;
      assert.equal(toHex(hash), toHex(slowRoot(leaves.slice(start, start + span))));
    }
  }
});

test("a bundle has each leaf behind its length", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 700 }), { maxLength: 20 }), (leaves) => {
      const expected = leaves.flatMap((leaf) => [leaf.length >> 8, leaf.length & 255, ...leaf]);
      assert.deepEqual([...encodeEntryBundle(leaves)], expected);
    }),
  );
});
