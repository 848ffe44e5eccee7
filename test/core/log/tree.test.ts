// Goal: roots, frontiers, stored hashes and both kinds of proof are those of RFC 6962, and no altered proof passes.
// Method: the shared vectors; a twin that is the RFC's definitions word for word, for all sizes to 66 and random larger
// ones; every bit of proofs flipped, every wrong size and index tried; positions far beyond 32 bits by arithmetic.
import test from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { fromHex, toHex, utf8 } from "#src/core/bytes.js";
import { InvalidArgument, VerificationFailed } from "#src/core/errors.js";
import {
  EMPTY_LOG_ROOT,
  Frontier,
  logLeafHash,
  logNodeHash,
  logRoot,
  proveConsistency,
  proveInclusion,
  storedHashIndex,
  subtreesOf,
  verifyConsistency,
  verifyInclusion,
} from "#src/core/log/index.js";
import type { ConsistencyClaim, InclusionClaim, ReadSubtree, SubtreePosition } from "#src/core/log/index.js";
import { readVectors } from "../../support/vectors.js";
import { slowConsistency, slowInclusion, slowRoot } from "./slow-tree.js";

const vectors = readVectors("log") as { leaves: string[]; roots: string[] };
const MOST = 66;
const leaves = Array.from({ length: 300 }, (_, index) => utf8(`leaf ${index}`));
const slowRoots = leaves.map((_, size) => slowRoot(leaves.slice(0, size)));

/** A log grown leaf by leaf; what it stores, by position. */
function grow(content: readonly Uint8Array[]): {
  frontier: Frontier;
  stored: Map<string, Uint8Array>;
  read: ReadSubtree;
} {
  const stored = new Map<string, Uint8Array>();
  const frontier = Frontier.empty();
  for (const leaf of content) {
    for (const { level, index, hash } of frontier.append(logLeafHash(leaf))) stored.set(`${level}/${index}`, hash);
  }
  const read = ({ level, index }: SubtreePosition): Uint8Array => {
    const hash = stored.get(`${level}/${index}`);
    assert.ok(hash, `not stored: ${level}/${index}`);
    return hash;
  };
  return { frontier, stored, read };
}

const whole = grow(leaves);

test("vectors: the roots of every size", () => {
  const frontier = Frontier.empty();
  const stored = new Map<string, Uint8Array>();
  for (const [size, root] of vectors.roots.entries()) {
    assert.equal(frontier.size, size);
    assert.equal(toHex(frontier.root()), root);
    assert.equal(toHex(logRoot(size, ({ level, index }) => stored.get(`${level}/${index}`) ?? new Uint8Array())), root);
    const leaf = vectors.leaves[size];
    if (leaf === undefined) continue;
    for (const { level, index, hash } of frontier.append(logLeafHash(fromHex(leaf))))
      stored.set(`${level}/${index}`, hash);
  }
  assert.equal(vectors.roots.length, vectors.leaves.length + 1);
});

test("RFC 6962 vectors of the certificate transparency implementations", () => {
  const inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
  const { frontier, read } = grow(inputs.map(fromHex));
  assert.equal(toHex(EMPTY_LOG_ROOT), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  assert.equal(toHex(logRoot(1, read)), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
  assert.equal(toHex(frontier.root()), "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
  assert.deepEqual(proveConsistency({ from: 6, to: 8 }, read).map(toHex), [
    "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
  ]);
});

test("every size: frontier, stored root and definition agree; exactly the complete subtrees are stored", () => {
  const frontier = Frontier.empty();
  for (let size = 0; size < leaves.length; size += 1) {
    assert.deepEqual(frontier.root(), slowRoots[size]);
    assert.deepEqual(logRoot(size, whole.read), slowRoots[size]);
    assert.deepEqual(Frontier.read(size, whole.read).root(), slowRoots[size]);
    const finished = frontier.append(logLeafHash(leaves[size]!));
    assert.deepEqual(finished[0], { level: 0, index: size, hash: logLeafHash(leaves[size]!) });
    for (const { level, index, hash } of finished) {
      assert.equal((index + 1) * 2 ** level, size + 1);
      assert.deepEqual(hash, slowRoot(leaves.slice(index * 2 ** level, size + 1)));
    }
  }
  let expected = 0;
  for (let span = 1; span <= leaves.length; span *= 2) expected += Math.floor(leaves.length / span);
  assert.equal(whole.stored.size, expected);
});

test("a frontier read in the middle goes on like the one that was there; a clone is its own", () => {
  for (const middle of [0, 1, 5, 64, 100, 255, 256]) {
    const frontier = Frontier.read(middle, whole.read);
    const clone = frontier.clone();
    for (const leaf of leaves.slice(middle)) frontier.append(logLeafHash(leaf));
    assert.deepEqual(frontier.root(), whole.frontier.root());
    assert.deepEqual([clone.size, clone.root()], [middle, slowRoots[middle]]);
  }
});

test("stored hashes lie densely, in the order in which they are finished", () => {
  const frontier = Frontier.empty();
  let next = 0;
  for (const leaf of leaves) {
    for (const position of frontier.append(logLeafHash(leaf))) {
      assert.equal(storedHashIndex(position), next);
      next += 1;
    }
  }
});

test("a tile of tlog-tiles is cut from stored hashes", () => {
  // Tile level 1 holds the roots of full tiles of level 0: level 8 here.
  assert.deepEqual(whole.read({ level: 8, index: 0 }), slowRoot(leaves.slice(0, 256)));
});

test("all inclusion proofs to size 66 are those of the RFC, and verify", () => {
  for (let size = 1; size <= MOST; size += 1) {
    const content = leaves.slice(0, size);
    const root = slowRoots[size]!;
    for (let index = 0; index < size; index += 1) {
      const proof = proveInclusion({ index, size }, whole.read);
      if (size % 7 === 0 || size <= 17) assert.deepEqual(proof, slowInclusion(index, content));
      verifyInclusion({ index, size, leafHash: logLeafHash(content[index]!), proof, root });
    }
  }
});

test("all consistency proofs to size 66 are those of the RFC, and verify", () => {
  for (let to = 0; to <= MOST; to += 1) {
    for (let from = 0; from <= to; from += 1) {
      const proof = proveConsistency({ from, to }, whole.read);
      const expected = from === 0 || from === to ? [] : undefined;
      if (expected !== undefined) assert.deepEqual(proof, expected);
      else if (to % 7 === 0 || to <= 17) assert.deepEqual(proof, slowConsistency(from, leaves.slice(0, to)));
      verifyConsistency({ from, to, fromRoot: slowRoots[from]!, toRoot: slowRoots[to]!, proof });
    }
  }
});

test("random larger sizes", () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 299 }), fc.nat(), (size, seed) => {
      const index = seed % size;
      const root = slowRoots[size]!;
      const proof = proveInclusion({ index, size }, whole.read);
      assert.deepEqual(proof, slowInclusion(index, leaves.slice(0, size)));
      verifyInclusion({ index, size, leafHash: logLeafHash(leaves[index]!), proof, root });
      if (index === 0) return;
      const growth = proveConsistency({ from: index, to: size }, whole.read);
      assert.deepEqual(growth, slowConsistency(index, leaves.slice(0, size)));
      verifyConsistency({ from: index, to: size, fromRoot: slowRoots[index]!, toRoot: root, proof: growth });
    }),
    { numRuns: 60 },
  );
});

function refusesInclusion(claim: InclusionClaim): void {
  assert.throws(
    () => verifyInclusion(claim),
    (error: unknown) => error instanceof VerificationFailed && error.evidence === claim,
    JSON.stringify([claim.index, claim.size, claim.proof.length]),
  );
}

function refusesConsistency(claim: ConsistencyClaim): void {
  assert.throws(
    () => verifyConsistency(claim),
    (error: unknown) => error instanceof VerificationFailed && error.evidence === claim,
    JSON.stringify([claim.from, claim.to, claim.proof.length]),
  );
}

function flips(bytes: Uint8Array): Uint8Array[] {
  return Array.from({ length: bytes.length * 8 }, (_, bit) => {
    const flipped = bytes.slice();
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    return flipped;
  });
}

test("inclusion: every flipped bit, and every other index, size, length and order is refused", () => {
  const [index, size] = [5, 13];
  const root = slowRoots[size]!;
  const leafHash = logLeafHash(leaves[index]!);
  const proof = proveInclusion({ index, size }, whole.read);
  const claim = { index, size, leafHash, proof, root };
  verifyInclusion(claim);
  for (const [step, hash] of proof.entries()) {
    for (const flipped of flips(hash)) refusesInclusion({ ...claim, proof: proof.with(step, flipped) });
    refusesInclusion({ ...claim, proof: proof.toSpliced(step, 1) });
    refusesInclusion({ ...claim, proof: proof.toSpliced(step, 0, hash) });
    refusesInclusion({ ...claim, proof: proof.with(step, hash.subarray(1)) });
    refusesInclusion({ ...claim, proof: proof.with(step, new Uint8Array(33)) });
  }
  for (const flipped of flips(root)) refusesInclusion({ ...claim, root: flipped });
  for (const flipped of flips(leafHash)) refusesInclusion({ ...claim, leafHash: flipped });
  refusesInclusion({ ...claim, proof: proof.toReversed() });
  for (let otherSize = 0; otherSize <= 40; otherSize += 1) {
    for (let otherIndex = -1; otherIndex <= otherSize; otherIndex += 1) {
      if (otherIndex === index && otherSize === size) continue;
      // A root does not say its size: checkpoints sign both. So each size is tried with its own root.
      const other = { ...claim, index: otherIndex, size: otherSize, root: slowRoots[otherSize]! };
      refusesInclusion(other);
    }
  }
  // Without siblings a leaf hash is its own root: there must be such a leaf at all.
  for (const none of [
    { index: 0, size: 0 },
    { index: 1, size: 1 },
    { index: -1, size: 0 },
    { index: 0.5, size: 1 },
  ]) {
    refusesInclusion({ ...none, leafHash, proof: [], root: leafHash });
  }
  for (const odd of [1.5, NaN, -1, 2 ** 53, Infinity]) {
    refusesInclusion({ ...claim, index: odd });
    refusesInclusion({ ...claim, size: odd });
  }
});

test("consistency: every flipped bit, and every other size, length and order is refused", () => {
  for (const [from, to] of [
    [6, 13],
    [8, 13],
    [4, 8],
    [1, 2],
  ] as const) {
    const proof = proveConsistency({ from, to }, whole.read);
    const claim = { from, to, fromRoot: slowRoots[from]!, toRoot: slowRoots[to]!, proof };
    verifyConsistency(claim);
    for (const [step, hash] of proof.entries()) {
      for (const flipped of flips(hash)) refusesConsistency({ ...claim, proof: proof.with(step, flipped) });
      refusesConsistency({ ...claim, proof: proof.toSpliced(step, 1) });
      refusesConsistency({ ...claim, proof: proof.toSpliced(step, 0, hash) });
      refusesConsistency({ ...claim, proof: proof.with(step, hash.subarray(1)) });
    }
    for (const flipped of flips(claim.fromRoot)) refusesConsistency({ ...claim, fromRoot: flipped });
    for (const flipped of flips(claim.toRoot)) refusesConsistency({ ...claim, toRoot: flipped });
    // A root does not say its size, so another size with the same root can have the same proof: checkpoints sign both.
    for (let other = 0; other <= 20; other += 1) {
      if (other !== from) refusesConsistency({ ...claim, from: other, fromRoot: slowRoots[other]! });
      if (other !== to) refusesConsistency({ ...claim, to: other, toRoot: slowRoots[other]! });
    }
    for (const odd of [1.5, NaN, -1, 2 ** 53]) refusesConsistency({ ...claim, to: odd });
  }
});

test("consistency at the ends: the empty log, the same size, and a rollback", () => {
  const [root, other] = [slowRoots[5]!, slowRoots[6]!];
  verifyConsistency({ from: 0, to: 5, fromRoot: EMPTY_LOG_ROOT, toRoot: root, proof: [] });
  verifyConsistency({ from: 0, to: 0, fromRoot: EMPTY_LOG_ROOT, toRoot: EMPTY_LOG_ROOT, proof: [] });
  refusesConsistency({ from: 0, to: 5, fromRoot: other, toRoot: root, proof: [] });
  refusesConsistency({ from: 0, to: 5, fromRoot: EMPTY_LOG_ROOT, toRoot: root, proof: [root] });
  refusesConsistency({ from: 0, to: 0, fromRoot: EMPTY_LOG_ROOT, toRoot: root, proof: [] });
  verifyConsistency({ from: 5, to: 5, fromRoot: root, toRoot: root, proof: [] });
  refusesConsistency({ from: 5, to: 5, fromRoot: root, toRoot: other, proof: [] });
  refusesConsistency({ from: 6, to: 5, fromRoot: other, toRoot: root, proof: [] });
  assert.throws(() => proveConsistency({ from: 6, to: 5 }, whole.read), InvalidArgument);
  assert.throws(() => proveInclusion({ index: 5, size: 5 }, whole.read), InvalidArgument);
  assert.throws(() => proveInclusion({ index: 0, size: 2 ** 53 }, whole.read), InvalidArgument);
  assert.throws(() => logRoot(-1, whole.read), InvalidArgument);
});

test("sizes far beyond 32 bits: proofs have the right shape and verify", () => {
  // A log of equal leaves: every complete subtree of a level has one hash, so any size can be read.
  const byLevel = [logLeafHash(utf8("same"))];
  for (let level = 1; level <= 53; level += 1) byLevel.push(logNodeHash(byLevel[level - 1]!, byLevel[level - 1]!));
  const read: ReadSubtree = ({ level, index }) => {
    assert.ok(Number.isSafeInteger(index) && (index + 1) * 2 ** level <= 2 ** 53);
    return byLevel[level]!;
  };
  const sizes = [2 ** 53 - 1, 2 ** 52, 2 ** 40 + 12_345, 2 ** 32 + 1, 2 ** 31];
  for (const size of sizes) {
    const root = logRoot(size, read);
    for (const index of [0, 1, size - 1, size - 2, Math.floor(size / 3)]) {
      const proof = proveInclusion({ index, size }, read);
      assert.ok(proof.length <= 53);
      verifyInclusion({ index, size, leafHash: byLevel[0]!, proof, root });
    }
    for (const from of [1, 3, 2 ** 30 + 7, size - 1, Math.floor(size / 3)]) {
      const proof = proveConsistency({ from, to: size }, read);
      assert.ok(proof.length <= 54);
      verifyConsistency({ from, to: size, fromRoot: logRoot(from, read), toRoot: root, proof });
    }
  }
  assert.equal(subtreesOf({ start: 0, end: 2 ** 53 - 1 }).length, 53);
});
