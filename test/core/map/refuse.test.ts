// Goal: each rule of FORMATS §4 is kept by the verifier, shown where nothing but that rule can refuse.
//
// Method: forged nodes (forge.ts) whose hashes all hold, so that only the rule at hand is broken. Each stands beside an
// honest twin that is accepted. A rule that could be deleted without one of these failing would have no test.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as dagCbor from "@ipld/dag-cbor";
import { utf8 } from "#src/core/bytes.js";
import { IncompleteProof, VerificationFailed } from "#src/core/errors.js";
import type { MapAt, Reader, Reveal } from "#src/core/map/index.js";
import { MapKind, ScanVerifier, WitnessReader, count, get, getMany, scan, verifyWitness } from "#src/core/map/index.js";
import type { Forged, ForgedNode } from "./forge.js";
import { branch, forge, leaf } from "./forge.js";

function at(root: ForgedNode): MapAt {
  return { kind: MapKind.state, root: root.digest };
}

function getFrom(nodes: readonly ForgedNode[], key: string): Uint8Array | undefined {
  return verifyWitness(
    get(at(nodes[0]!), utf8(key)),
    nodes.map(({ reveal }) => reveal),
  );
}

function scanFrom(nodes: readonly ForgedNode[], range: { from: string; to?: string }): string[] {
  const to = range.to === undefined ? undefined : utf8(range.to);
  const verifier = new ScanVerifier(at(nodes[0]!), { from: utf8(range.from), to });
  const found = verifier.push(nodes.map(({ reveal }) => reveal));
  verifier.finish();
  return found.map(({ key }) => Buffer.from(key).toString());
}

function refuses(action: () => unknown): void {
  assert.throws(action, VerificationFailed);
}

/** A map of two leaves, c and e g, under a root; parts may be replaced by what is not honest. */
function twoLeaves(
  forged: { left?: Forged; right?: Forged; root?: (left: ForgedNode, right: ForgedNode) => Forged } = {},
): {
  root: ForgedNode;
  left: ForgedNode;
  right: ForgedNode;
} {
  const left = forge(forged.left ?? { entries: [leaf("a"), leaf("c")] });
  const right = forge(forged.right ?? { entries: [leaf("e"), leaf("g")] });
  const honest: Forged = {
    level: 1,
    total: left.total + right.total,
    entries: [branch("c", left), branch("g", right)],
  };
  return { root: forge(forged.root?.(left, right) ?? honest), left, right };
}

describe("honest twins are accepted", () => {
  it("two leaves", () => {
    const { root, left, right } = twoLeaves();
    assert.notEqual(getFrom([root, right], "e"), undefined);
    assert.equal(getFrom([root, right], "d"), undefined);
    assert.equal(getFrom([root], "h"), undefined);
    assert.deepEqual(scanFrom([root, left, right], { from: "b" }), ["c", "e", "g"]);
  });

  it("cells with further elements, of 256 bytes, of every type", () => {
    const long = [new Uint8Array(253)]; // 81 58 fd … is 256 bytes
    const cells = [[], [1, 2, 3, 4], long, [{ a: 1, bb: "text" }, null, true, -5, 1.5, 2 ** 40, "ü"]];
    for (const cell of cells) {
      const node = forge({ entries: [leaf("k", cell)] });
      assert.deepEqual(getFrom([node], "k"), Uint8Array.from(dagCbor.encode(cell)));
    }
    assert.equal(dagCbor.encode(long).length, 256);
  });

  it("keys of 1 and 1,024 bytes", () => {
    for (const length of [1, 23, 24, 255, 256, 1024]) {
      const key = "k".repeat(length);
      assert.notEqual(getFrom([forge({ entries: [leaf(key)] })], key), undefined);
    }
  });

  it("64 entries, and level 40", () => {
    const entries = Array.from({ length: 64 }, (_, index) => leaf(`k${String(index).padStart(2, "0")}`));
    assert.notEqual(getFrom([forge({ entries })], "k33"), undefined);
    const top = forge({
      level: 40,
      total: 2,
      entries: [branch("c", forge({ entries: [leaf("c")] })), branch("g", forge({ entries: [leaf("g")] }))],
    });
    assert.equal(getFrom([top], "z"), undefined);
  });

  it("the empty map proves every absence and every range of it", () => {
    const empty = forge({ entries: [] });
    assert.equal(getFrom([empty], "k"), undefined);
    assert.deepEqual(scanFrom([empty], { from: "" }), []);
    assert.deepEqual(scanFrom([empty], { from: "a", to: "b" }), []);
    assert.equal(verifyWitness(count(at(empty), { from: utf8("a") }), [empty.reveal]), 0);
  });

  it("more entries than needed, and a reveal that shows none", () => {
    const { root, right } = twoLeaves();
    assert.notEqual(getFrom([root, right], "g"), undefined);
    const hidden = forge({ entries: [leaf("a"), leaf("c")], shows: [] });
    assert.equal(verifyWitness(count(at(hidden), { from: utf8("") }), [hidden.reveal]), 2);
  });
});

describe("the form of a reveal", () => {
  const single = forge({ entries: [leaf("a"), leaf("c"), leaf("e")], shows: [1] });

  it("honest", () => {
    verifyWitness(get(at(single), utf8("c")), [single.reveal]);
  });

  // Refused for the reason given, which is before anything is hashed.
  const siblings = /siblings are not as many/;
  const ascend = /indices do not ascend/;
  const forms: readonly (readonly [name: string, reason: RegExp, change: (reveal: Reveal) => Partial<Reveal>])[] = [
    ["kind 0", /kind is 0/, () => ({ kind: 0 })],
    ["kind 5", /kind is 5/, () => ({ kind: 5 })],
    ["kind 257", /kind is 257/, () => ({ kind: 257 })],
    ["level 41", /level is 41/, () => ({ level: 41 })],
    ["level −1", /level is -1/, () => ({ level: -1 })],
    ["level ½", /level is 0.5/, () => ({ level: 0.5 })],
    ["level NaN", /level is NaN/, () => ({ level: Number.NaN })],
    ["count 65", /has 65 entries/, () => ({ count: 65 })],
    ["count −1", /has -1 entries/, () => ({ count: -1 })],
    ["count 2½", /has 2.5 entries/, () => ({ count: 2.5 })],
    ["count 0 above level 0", /empty at level 2/, () => ({ count: 0, level: 2 })],
    ["count 0 with siblings", /empty, yet has siblings/, () => ({ count: 0, total: 0 })],
    ["total 2^53", /total is 9007199254740992$/, () => ({ total: 2 ** 53 })],
    ["total −1", /total is -1$/, () => ({ total: -1 })],
    ["total NaN", /total is NaN$/, () => ({ total: Number.NaN })],
    ["total 3½", /total is 3.5$/, () => ({ total: 3.5 })],
    ["an index at count", ascend, () => ({ indices: [3] })],
    ["an index below 0", ascend, () => ({ indices: [-1] })],
    ["half an index", ascend, () => ({ indices: [1.5] })],
    ["an index without entry", /2 indices for 1 entries/, () => ({ indices: [1, 2] })],
    ["an entry without index", /1 indices for 2 entries/, () => ({ entries: [leaf("c"), leaf("e")] })],
    [
      "more entries than count",
      ascend,
      () => ({ indices: [0, 1, 2, 3], entries: ["a", "c", "e", "g"].map((key) => leaf(key)) }),
    ],
    ["an entry of 1,401 bytes", /entry of 1401 bytes/, () => ({ entries: [new Uint8Array(1401)] })],
    ["an empty entry", /an entry of level 0 is/, () => ({ entries: [new Uint8Array(0)] })],
    ["a sibling too few", siblings, (reveal) => ({ siblings: reveal.siblings.subarray(32) })],
    ["a sibling too many", siblings, (reveal) => ({ siblings: Buffer.concat([reveal.siblings, new Uint8Array(32)]) })],
    ["a sibling of 31 bytes", siblings, (reveal) => ({ siblings: reveal.siblings.subarray(1) })],
    [
      "a sibling of 33 bytes",
      siblings,
      (reveal) => ({ siblings: Buffer.concat([reveal.siblings, new Uint8Array(1)]) }),
    ],
    ["no siblings", siblings, () => ({ siblings: new Uint8Array(0) })],
    ["a changed entry", /digest is/, () => ({ entries: [leaf("c", [2])] })],
  ];
  for (const [name, reason, change] of forms) {
    it(name, () => {
      const reveal = { ...single.reveal, ...change(single.reveal) };
      assert.throws(
        () => verifyWitness(get(at(single), utf8("c")), [reveal]),
        (error) => error instanceof VerificationFailed && reason.test(error.facts["reason"] ?? ""),
      );
    });
  }
});

describe("mislabelled entries, of which every hash holds", () => {
  // Where an entry is hashed follows from the order of indices: these are hashed in one place, or in none, and would be
  // read as lying in another.
  const keys = ["a", "c", "e"];
  const whole = forge({ entries: keys.map((key) => leaf(key)) });
  const lastTwo = forge({ entries: keys.map((key) => leaf(key)), shows: [1, 2] }).reveal;
  const middle = forge({ entries: keys.map((key) => leaf(key)), shows: [1] }).reveal;

  it("honest", () => {
    assert.equal(verifyWitness(get(at(whole), utf8("d")), [lastTwo]), undefined);
  });
  it("indices that go down", () => {
    refuses(() => verifyWitness(get(at(whole), utf8("e")), [{ ...lastTwo, indices: [1, 0] }]));
  });
  it("an index twice", () => {
    refuses(() => verifyWitness(get(at(whole), utf8("e")), [{ ...lastTwo, indices: [1, 1] }]));
  });
  it("an index at count, whose entry no hash covers", () => {
    const reveal = { ...middle, indices: [1, 3], entries: [leaf("c"), leaf("x", ["forged"])] };
    refuses(() => verifyWitness(get(at(whole), utf8("x")), [reveal]));
  });
  it("an index beyond 64, whose entry no hash covers", () => {
    const reveal = { ...middle, indices: [1, 2 ** 32], entries: [leaf("c"), leaf("x", ["forged"])] };
    refuses(() => verifyWitness(get(at(whole), utf8("x")), [reveal]));
  });
});

describe("one node", () => {
  const nodes: Readonly<Record<string, Forged>> = {
    "65 entries": { entries: Array.from({ length: 65 }, (_, index) => leaf(`k${String(index).padStart(2, "0")}`)) },
    "an empty node with a total": { total: 1, entries: [] },
    "an empty node above level 0": { level: 1, total: 0, entries: [] },
    "level 41": {
      level: 41,
      total: 2,
      entries: [branch("c", forge({ entries: [leaf("c")] })), branch("g", forge({ entries: [leaf("g")] }))],
    },
    "a total above count at level 0": { total: 3, entries: [leaf("k"), leaf("m")] },
    "a total below count at level 0": { total: 1, entries: [leaf("k"), leaf("m")] },
    "keys that do not ascend": { entries: [leaf("m"), leaf("k")] },
    "a key twice": { entries: [leaf("k"), leaf("k", [2])] },
    "a key that its neighbour extends, after it": { entries: [leaf("kk"), leaf("k")] },
    "an empty key": { entries: [dagCbor.encode([new Uint8Array(0), [1]]), leaf("k")] },
    "a key of 1,025 bytes": { entries: [leaf("k"), leaf("k".repeat(1025))] },
    "a key that is text": { entries: [leaf("k"), dagCbor.encode(["l", [1]])] },
    "an entry of three elements": { entries: [leaf("k"), dagCbor.encode([utf8("l"), [1], 0])] },
    "an entry of one element": { entries: [leaf("k"), dagCbor.encode([utf8("l")])] },
    "an entry that is a map": { entries: [leaf("k"), dagCbor.encode({ l: [1] })] },
    "a cell of 257 bytes": { entries: [leaf("k", [new Uint8Array(254)])] },
    "a cell that is a map": { entries: [leaf("k", { a: 1 })] },
    "a cell that is a number": { entries: [leaf("k", 1)] },
    "a cell with 33 lists open": { entries: [leaf("k", nested(32))] },
    "a cell with an integer of two bytes for one": { entries: [bytes(0x82, 0x41, 0x6b, 0x81, 0x19, 0x00, 0xff)] },
    "a cell with an integer of four bytes for two": {
      entries: [bytes(0x82, 0x41, 0x6b, 0x81, 0x1a, 0, 0, 0xff, 0xff)],
    },
    "a cell with a length of one byte for none": { entries: [bytes(0x82, 0x41, 0x6b, 0x81, 0x58, 0x01, 0x00)] },
    "a cell not canonical": { entries: [bytes(0x82, 0x41, 0x6b, 0x81, 0x18, 0x01)] },
    "a cell of indefinite length": { entries: [bytes(0x82, 0x41, 0x6b, 0x9f, 0xff)] },
    "a cell whose map keys are not in order": {
      entries: [bytes(0x82, 0x41, 0x6b, 0x81, 0xa2, 0x61, 0x62, 0, 0x61, 0x61, 0)],
    },
    "a cell with a float that is an integer": {
      entries: [bytes(0x82, 0x41, 0x6b, 0x81, 0xfb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0)],
    },
    "a cell with bad UTF-8": { entries: [bytes(0x82, 0x41, 0x6b, 0x81, 0x61, 0xff)] },
    "a cell with a tag": { entries: [bytes(0x82, 0x41, 0x6b, 0x81, 0xc1, 0x01)] },
    "a cell that ends early": { entries: [bytes(0x82, 0x41, 0x6b, 0x82, 0x01)] },
    "trailing bytes": { entries: [Buffer.concat([leaf("k"), bytes(0)])] },
    "a key length not in its shortest form": { entries: [bytes(0x82, 0x58, 0x01, 0x6b, 0x80)] },
    "a key length of two bytes not in its shortest form": { entries: [bytes(0x82, 0x59, 0x00, 0x01, 0x6b, 0x80)] },
    "a key of unknown length": { entries: [bytes(0x82, 0x5f, 0x41, 0x6b, 0xff, 0x80)] },
    "an entry that ends within its key": { entries: [bytes(0x82, 0x45, 0x6b, 0x80)] },
  };
  for (const [name, forged] of Object.entries(nodes)) {
    it(name, () => {
      refuses(() => getFrom([forge(forged)], "k"));
      refuses(() => getFrom([forge(forged)], "z"));
    });
  }

  it("a cell with 32 lists open is accepted", () => {
    assert.notEqual(getFrom([forge({ entries: [leaf("k", nested(31))] })], "k"), undefined);
  });

  it("a key list longer than an entry may be", () => {
    const entry = Buffer.concat([leaf("k"), new Uint8Array(1400)]);
    refuses(() => getFrom([forge({ entries: [entry] })], "k"));
  });
});

describe("one node above level 0", () => {
  const digest = new Uint8Array(32).fill(7);
  const other = dagCbor.encode([utf8("m"), digest, 1]);
  const entries: Readonly<Record<string, Uint8Array>> = {
    "a total of 0": dagCbor.encode([utf8("k"), digest, 0]),
    "four elements": dagCbor.encode([utf8("k"), digest, 1, 0]),
    "two elements": dagCbor.encode([utf8("k"), digest]),
    "a digest of 31 bytes": dagCbor.encode([utf8("k"), digest.subarray(1), 1]),
    "a digest of 33 bytes": dagCbor.encode([utf8("k"), new Uint8Array(33), 1]),
    "a digest that is text": dagCbor.encode([utf8("k"), "d".repeat(32), 1]),
    "a negative total": dagCbor.encode([utf8("k"), digest, -1]),
    "a total that is text": dagCbor.encode([utf8("k"), digest, "1"]),
    "a total not in its shortest form": Buffer.concat([
      dagCbor.encode([utf8("k"), digest, 1]).subarray(0, -1),
      bytes(0x18, 1),
    ]),
    "a total of nine bytes not in its shortest form": Buffer.concat([
      dagCbor.encode([utf8("k"), digest, 1]).subarray(0, -1),
      bytes(0x1b, 0, 0, 0, 0, 0, 0, 0, 1),
    ]),
    "a total of 2^53": Buffer.concat([
      dagCbor.encode([utf8("k"), digest, 1]).subarray(0, -1),
      bytes(0x1b, 0, 0x20, 0, 0, 0, 0, 0, 0),
    ]),
    "an empty key": dagCbor.encode([new Uint8Array(0), digest, 1]),
    "trailing bytes": Buffer.concat([dagCbor.encode([utf8("k"), digest, 1]), bytes(0)]),
  };
  for (const [name, entry] of Object.entries(entries)) {
    it(name, () => refuses(() => getFrom([forge({ level: 1, total: 2, entries: [entry, other] })], "z")));
  }

  it("honest", () => {
    const entry = dagCbor.encode([utf8("k"), digest, 1]);
    assert.equal(getFrom([forge({ level: 1, total: 2, entries: [entry, other] })], "z"), undefined);
  });

  it("a total that its entries, all shown, do not add up to", () => {
    const entry = dagCbor.encode([utf8("k"), digest, 1]);
    for (const total of [1, 3]) refuses(() => getFrom([forge({ level: 1, total, entries: [entry, other] })], "z"));
  });

  it("a total below the shown ones and one for each hidden", () => {
    const hidden = dagCbor.encode([utf8("k"), digest, 1]);
    const shown = dagCbor.encode([utf8("m"), digest, 5]);
    const node = (total: number): ForgedNode =>
      forge({ level: 1, total, entries: [hidden, hidden, shown], shows: [2] });
    refuses(() => getFrom([node(6)], "z"));
    assert.equal(getFrom([node(7)], "z"), undefined);
    assert.equal(getFrom([node(700)], "z"), undefined);
  });

  it("totals that add up beyond 2^53 − 1", () => {
    const most = dagCbor.encode([utf8("k"), digest, 2 ** 53 - 1]);
    const node = forge({ level: 1, total: 2 ** 53 - 1, entries: [most, other] });
    refuses(() => getFrom([node], "z"));
  });

  it("a root with one entry", () => {
    const left = forge({ entries: [leaf("a"), leaf("c")] });
    const root = forge({ level: 1, total: 2, entries: [branch("c", left)] });
    refuses(() => getFrom([root, left], "c"));
    refuses(() => getFrom([root], "z"));
  });
});

describe("a child and its parent", () => {
  it("a root of another kind than asked for", () => {
    const root = forge({ kind: 3, entries: [leaf("k")] });
    refuses(() => getFrom([root], "k"));
    assert.notEqual(
      verifyWitness(get({ kind: MapKind.ledger, root: root.digest }, utf8("k")), [root.reveal]),
      undefined,
    );
  });

  it("a child of another kind", () => {
    const { root, right } = twoLeaves({ right: { kind: 2, entries: [leaf("e"), leaf("g")] } });
    refuses(() => getFrom([root, right], "e"));
  });

  it("a child two levels below, or on its parent's level", () => {
    const two = twoLeaves({
      root: (left, right) => ({ level: 2, total: 4, entries: [branch("c", left), branch("g", right)] }),
    });
    refuses(() => getFrom([two.root, two.right], "e"));
    const inner = twoLeaves();
    const same = forge({ level: 1, total: 8, entries: [branch("B", inner.root), branch("g", inner.root)] });
    refuses(() => getFrom([same, inner.root, inner.right], "e"));
  });

  it("an empty child", () => {
    const empty = forge({ entries: [] });
    const { root } = twoLeaves({
      root: (left) => ({ level: 1, total: 3, entries: [branch("c", left), branch("g", empty, 1)] }),
    });
    refuses(() => getFrom([root, empty], "e"));
  });

  it("a total that is not the parent's", () => {
    for (const total of [1, 3]) {
      const { root, right } = twoLeaves({
        root: (left, child) => ({
          level: 1,
          total: 2 + total,
          entries: [branch("c", left), branch("g", child, total)],
        }),
      });
      refuses(() => getFrom([root, right], "e"));
    }
  });

  it("a key not above the entry left of the parent's", () => {
    for (const low of ["b", "c"]) {
      const { root, left, right } = twoLeaves({ right: { entries: [leaf(low), leaf("g")] } });
      refuses(() => getFrom([root, right], "g"));
      refuses(() => scanFrom([root, left, right], { from: "" }));
    }
  });

  it("a key not above the nearest shown entry on the left, one level up", () => {
    // The child is the first of its own parent, which lies right of "c" at the level above.
    const deep = forge({ entries: [leaf("b"), leaf("e")] });
    const last = forge({ entries: [leaf("g")] });
    const middle = forge({ level: 1, total: 3, entries: [branch("e", deep), branch("g", last)] });
    const left = forge({
      level: 1,
      total: 2,
      entries: [branch("a", forge({ entries: [leaf("a")] })), branch("c", forge({ entries: [leaf("c")] }))],
    });
    const root = forge({ level: 2, total: 5, entries: [branch("c", left), branch("g", middle)] });
    refuses(() => getFrom([root, middle, deep], "e"));
  });

  it("a last key that is not the parent's", () => {
    for (const last of ["f", "h"]) {
      const { root, right } = twoLeaves({ right: { entries: [leaf("e"), leaf(last)] } });
      refuses(() => getFrom([root, right], "e"));
    }
  });

  it("an entry before the last that carries the parent's last key, or a higher one", () => {
    for (const key of ["g", "h"]) {
      const { root, right } = twoLeaves({ right: { entries: [leaf(key), leaf("z")], shows: [0] } });
      refuses(() => getFrom([root, right], "g"));
    }
  });

  it("another child than the entry followed names", () => {
    const { root, left, right } = twoLeaves();
    refuses(() => getFrom([root, left], "e"));
    refuses(() => getFrom([right, right], "e"));
    refuses(() => scanFrom([root, right, left], { from: "" }));
  });
});

describe("the order of reveals", () => {
  const { root, left, right } = twoLeaves();

  it("one left over, or one twice", () => {
    refuses(() => getFrom([root, right, left], "e"));
    refuses(() => getFrom([root, right, right], "e"));
    refuses(() => getFrom([root, root, right], "e"));
    refuses(() => getFrom([root, right], "z"));
    refuses(() => scanFrom([root, left, right, right], { from: "" }));
    refuses(() =>
      verifyWitness(
        getMany(at(root), [], () => undefined),
        [root.reveal],
      ),
    );
  });

  it("one missing", () => {
    assert.throws(() => getFrom([root], "e"), IncompleteProof);
    assert.throws(() => scanFrom([root, left], { from: "" }), IncompleteProof);
    assert.throws(() => verifyWitness(get(at(root), utf8("e")), []), IncompleteProof);
  });

  it("one left over, sent later", () => {
    const witness = new WitnessReader(get(at(root), utf8("e")));
    witness.push([root.reveal]);
    assert.equal(witness.isComplete, false);
    witness.push([right.reveal]);
    assert.equal(witness.isComplete, true);
    witness.push([]);
    refuses(() => witness.push([right.reveal]));
    refuses(() => witness.finish());
  });

  it("after a failure nothing is handed out any more", () => {
    const verifier = new ScanVerifier(at(root), { from: new Uint8Array(0) });
    verifier.push([root.reveal]);
    refuses(() => verifier.push([right.reveal]));
    refuses(() => verifier.push([left.reveal]));
    refuses(() => verifier.finish());
  });

  it("a failure carries its evidence", () => {
    try {
      getFrom([root, left], "e");
      assert.fail("accepted");
    } catch (error) {
      assert.ok(error instanceof VerificationFailed);
      assert.equal(error.evidence, left.reveal);
    }
  });
});

describe("what is not shown proves nothing", () => {
  const keys = ["a", "c", "e", "g", "i"];
  const entries = keys.map((key) => leaf(key));
  const whole = forge({ entries });
  const shows = (...positions: number[]): ForgedNode => forge({ entries, shows: positions });
  const incomplete = (action: () => unknown): void => {
    assert.throws(action, IncompleteProof);
  };

  it("absence without the predecessor", () => incomplete(() => getFrom([shows(2)], "d")));
  it("absence without the successor", () => incomplete(() => getFrom([shows(1)], "d")));
  it("absence between entries that are not neighbours", () => incomplete(() => getFrom([shows(0, 3)], "e")));
  it("absence past an entry that is not the last", () => incomplete(() => getFrom([shows(3)], "h")));
  it("absence before an entry that is not the first", () => incomplete(() => getFrom([shows(1)], "a")));
  it("presence by a reveal that shows nothing", () => incomplete(() => getFrom([shows()], "c")));

  it("absence with the predecessor of a level above that the path has passed", () => {
    // d is in no leaf; its predecessor is c, in the leaf, so the root's first entry does not do.
    const left = forge({ entries: [leaf("a")] });
    const rightEntries = [leaf("c"), leaf("e")];
    const right = forge({ entries: rightEntries });
    const root = forge({ level: 1, total: 3, entries: [branch("a", left), branch("e", right)] });
    assert.equal(getFrom([root, right], "d"), undefined);
    incomplete(() => getFrom([root, forge({ entries: rightEntries, shows: [1] })], "d"));
  });

  it("absence at the left edge of a leaf without the entry left of its parent's", () => {
    const left = forge({ entries: [leaf("a"), leaf("c")] });
    const right = forge({ entries: [leaf("e"), leaf("g")] });
    const rootEntries = [branch("c", left), branch("g", right)];
    const root = forge({ level: 1, total: 4, entries: rootEntries });
    assert.equal(getFrom([root, right], "d"), undefined);
    incomplete(() => getFrom([forge({ level: 1, total: 4, entries: rootEntries, shows: [1] }), right], "d"));
  });

  const scans: readonly (readonly [string, number[], { from: string; to?: string }])[] = [
    ["a range with a gap", [1, 3], { from: "c", to: "f" }],
    ["a range without its first entry", [2, 3], { from: "c", to: "f" }],
    ["a range without its successor", [1, 2], { from: "c", to: "f" }],
    ["a range without its predecessor", [2, 3], { from: "d", to: "f" }],
    ["a range to the end without the last entry", [2, 3], { from: "e" }],
    ["a range from the start without the first entry", [1, 2, 3], { from: "", to: "f" }],
    ["a range past the end without the last entry", [3], { from: "k" }],
  ];
  for (const [name, positions, range] of scans) {
    it(name, () => {
      incomplete(() => scanFrom([shows(...positions)], range));
      incomplete(() => {
        const bounds = { from: utf8(range.from), to: range.to === undefined ? undefined : utf8(range.to) };
        if (range.from === "" && range.to === undefined) throw new IncompleteProof("counts of all rest on totals");
        return verifyWitness(count(at(whole), bounds), [shows(...positions).reveal]);
      });
    });
  }

  it("the same ranges, shown as they must be", () => {
    assert.deepEqual(scanFrom([shows(1, 2, 3)], { from: "c", to: "f" }), ["c", "e"]);
    assert.deepEqual(scanFrom([shows(1, 2, 3)], { from: "d", to: "f" }), ["e"]);
    assert.deepEqual(scanFrom([shows(2, 3, 4)], { from: "e" }), ["e", "g", "i"]);
    assert.deepEqual(scanFrom([shows(4)], { from: "k" }), []);
    assert.deepEqual(scanFrom([shows(0, 1, 2, 3)], { from: "", to: "f" }), ["a", "c", "e"]);
  });

  it("several keys, one without its predecessor", () => {
    const read = (): Reader<void> => getMany(at(whole), [utf8("c"), utf8("f")], () => undefined);
    verifyWitness(read(), [shows(1, 2, 3).reveal]);
    incomplete(() => verifyWitness(read(), [shows(1, 3).reveal]));
  });

  it("a scan that hides a whole child", () => {
    const { root, left, right } = twoLeaves();
    const hiding = forge({ level: 1, total: 4, entries: [branch("c", left), branch("g", right)], shows: [0] });
    assert.throws(
      () =>
        verifyWitness(
          scan(at(root), { from: utf8("a") }, () => undefined),
          [hiding.reveal, left.reveal],
        ),
      IncompleteProof,
    );
  });
});

function bytes(...values: number[]): Uint8Array {
  return Uint8Array.from(values);
}

/** A list in a list, so many deep. */
function nested(depth: number): unknown {
  return depth === 0 ? 1 : [nested(depth - 1)];
}
