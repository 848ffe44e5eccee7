// Goal: evidence says what a third person can see in it, no more and no less. Method: model logs with several histories under one
// key, every pair of sizes against what RFC 6962 can show; errors of every kind turned into files; files that are wrong in each part.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { create } from "@bufbuild/protobuf";
import { NodeRevealSchema } from "#gen/neleus/v1/proof_pb.js";
import { evidenceOf, type Evidence } from "#src/client/evidence.js";
import { LogKey, requireExtension } from "#src/client/trust/index.js";
import { isEvidence, verifyEvidence } from "#src/client/verify/index.js";
import {
  Forked,
  InvalidArgument,
  NeleusError,
  NewEpoch,
  NotFound,
  RolledBack,
  Unsupported,
  VerificationFailed,
} from "#src/core/errors.js";
import { showsOtherBeginning } from "#src/core/log/index.js";
import { ModelLog } from "../support/model-log.js";

const context = { timeMs: 1_763_800_000_000, place: "db.example:7117, database default" };

function evidence(error: unknown, verifierKey?: string): Evidence {
  const found = evidenceOf(error, { ...context, verifierKey });
  assert.ok(found !== undefined);
  return found;
}

/** What comes of holding a later checkpoint against an earlier one. */
function refusalOf(older: ModelLog, newer: ModelLog, sizes = { from: older.leaves.length, to: newer.leaves.length }) {
  const key = LogKey.parse(older.verifierKey);
  try {
    const { consistency } = newer.proof({ size: sizes.to, knownSize: sizes.from });
    requireExtension(key.open(older.note(sizes.from)), key.open(newer.note(sizes.to)), consistency);
    return undefined;
  } catch (error) {
    return error;
  }
}

test("two histories: of one size always, of two sizes where RFC 6962 has the older root in the proof", () => {
  for (let from = 2; from <= 17; from += 1) {
    const left = new ModelLog().append(from);
    for (let to = from; to <= 20; to += 1) {
      const right = left.fork(from - 1).append(to - from + 1, 9);
      const error = refusalOf(left, right);
      assert.ok(error instanceof Forked, `${from} ${to}`);
      const file = JSON.stringify(evidence(error, left.verifierKey));
      const isPowerOfTwo = (from & (from - 1)) === 0;
      const isShown = from === to || !isPowerOfTwo;
      const { verdict, shown } = verifyEvidence(file, { verifierKey: left.verifierKey });
      assert.equal(verdict, isShown ? "fraud-shown" : "not shown", `${from} ${to}`);
      assert.equal(shown.filter((line) => line.includes("two histories")).length, isShown ? 1 : 0);
      assert.equal(verifyEvidence(file).verdict, isShown ? "not anchored" : "not shown");
    }
  }
});

test("an honest log is never shown to have two histories, whatever proof is put beside it", () => {
  const log = new ModelLog().append(24);
  const hash = fc.uint8Array({ minLength: 32, maxLength: 32 });
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 23 }),
      fc.integer({ min: 1, max: 24 }),
      fc.array(hash),
      (from, more, noise) => {
        const to = Math.min(24, from + more);
        fc.pre(from < to);
        const roots = { fromRoot: rootOf(log, from), toRoot: rootOf(log, to) };
        const { consistency } = log.proof({ size: to, knownSize: from });
        assert.equal(showsOtherBeginning({ from, to, ...roots, proof: consistency }), false);
        const mixed = consistency.map((own, index) => noise[index] ?? own);
        assert.equal(showsOtherBeginning({ from, to, ...roots, proof: mixed }), false);
        const file = {
          type: "neleus.evidence.v1",
          refused: { code: "FORKED", message: "", facts: {}, time: 0 },
          exhibits: [
            { kind: "checkpoint", role: "seen", note: log.note(from) },
            { kind: "checkpoint", role: "answered", note: log.note(to) },
            { kind: "consistency", hashes: consistency.map((part) => Buffer.from(part).toString("base64")) },
          ],
        };
        const { verdict } = verifyEvidence(JSON.stringify(file), { verifierKey: log.verifierKey });
        assert.equal(verdict, "not shown");
      },
    ),
    { numRuns: 100 },
  );
});

function rootOf(log: ModelLog, size: number): Uint8Array {
  return LogKey.parse(log.verifierKey).open(log.note(size)).root;
}

test("a rollback is told as what it is to others: two genuine checkpoints", () => {
  const log = new ModelLog().append(9);
  const error = refusalOf(log, log, { from: 9, to: 6 });
  assert.ok(error instanceof RolledBack);
  const report = verifyEvidence(JSON.stringify(evidence(error)), { verifierKey: log.verifierKey });
  assert.equal(report.verdict, "not shown");
  assert.equal(report.shown.length, 2);
  assert.match(report.notShown.join(" "), /which was shown last/);
  // One of the reader's own, of the other history, shows more.
  const other = log.fork(3).append(3, 9);
  const own = verifyEvidence(JSON.stringify(evidence(error)), {
    verifierKey: log.verifierKey,
    checkpoint: other.note(),
  });
  assert.equal(own.verdict, "fraud-shown");
});

test("what nobody signed, and what another key signed, shows nothing", () => {
  const [log, forger] = [new ModelLog().append(5), new ModelLog({ seed: 2 }).append(4).append(1, 9)];
  const error = new Forked("two", { evidence: { older: log.note(), newer: forger.note() } });
  const report = verifyEvidence(JSON.stringify(evidence(error, log.verifierKey)), { verifierKey: log.verifierKey });
  assert.equal(report.verdict, "not shown");
  assert.match(report.notShown.join(" "), /key did not sign it, so anybody could have written it/);
  const reveal = create(NodeRevealSchema, { kind: 1, total: 7n, entries: [new Uint8Array(3)] });
  const forged = evidence(new VerificationFailed("no", { evidence: reveal }));
  assert.deepEqual((forged.exhibits[0] as { value: { entries: unknown } }).value.entries, [{ base64: "AAAA" }]);
  const told = verifyEvidence(JSON.stringify(forged), { verifierKey: log.verifierKey });
  assert.match(told.notShown.join(" "), /1 exhibit that nobody signed/);
  assert.equal(verifyEvidence(JSON.stringify(forged)).verdict, "not shown");
});

test("every refusal leaves evidence, no other error does, and it is bounded", () => {
  const log = new ModelLog().append(3);
  const epoch = { trustedKey: log.verifierKey, verifierKey: "next", seen: log.note(2), previous: log.note(3) };
  const found = evidence(new NewEpoch("another", { evidence: epoch }), "unused");
  assert.equal(found.verifier_key, log.verifierKey);
  assert.deepEqual(
    found.exhibits.map(({ kind }) => kind),
    ["checkpoint", "checkpoint", "key"],
  );
  assert.equal(evidenceOf(new NotFound("no"), context), undefined);
  assert.equal(evidenceOf(new Error("no"), context), undefined);
  const large = { bytes: new Uint8Array(5_000_000), deep: nested(100), many: new Array(1_000_000).fill(1) };
  assert.ok(JSON.stringify(evidence(new VerificationFailed("no", { evidence: large }))).length < 100_000);
  assert.deepEqual(evidence(new RolledBack("no")).exhibits, []);
});

function nested(depth: number): unknown {
  return depth === 0 ? 1 : { inner: nested(depth - 1) };
}

test("files that are wrong are refused with an error of ours", () => {
  const log = new ModelLog().append(3);
  const good = evidence(refusalOf(log, log, { from: 3, to: 2 }), log.verifierKey);
  const file = JSON.stringify(good);
  assert.ok(isEvidence(file) && isEvidence(new TextEncoder().encode(`\u{feff} ${file}`)));
  assert.ok(isEvidence(JSON.stringify({ exhibits: [], type: "neleus.evidence.v1" })), "in any order");
  assert.ok(!isEvidence('{"type": "neleus.state-proof.v1"}') && !isEvidence('"neleus.evidence.v1"'));
  assert.ok(!isEvidence(new Uint8Array([0xff, 0xfe])));
  for (const wrong of [
    "{",
    "[]",
    "null",
    JSON.stringify({ ...good, refused: 1 }),
    JSON.stringify({ ...good, refused: { code: 1, message: "" } }),
    JSON.stringify({ ...good, exhibits: {} }),
    JSON.stringify({ ...good, exhibits: [1] }),
    JSON.stringify({ ...good, exhibits: new Array(65).fill({ kind: "bytes" }) }),
    JSON.stringify({ ...good, exhibits: [{ kind: "checkpoint", role: "seen" }] }),
    JSON.stringify({ ...good, exhibits: [{ kind: "consistency", hashes: ["!"] }] }),
    JSON.stringify({ ...good, exhibits: [{ kind: "consistency", hashes: new Array(65).fill("") }] }),
    JSON.stringify({ ...good, verifier_key: "none" }),
    JSON.stringify({ ...good, verifier_key: 5 }),
  ]) {
    assert.throws(() => verifyEvidence(wrong), VerificationFailed, wrong.slice(0, 80));
  }
  assert.throws(() => verifyEvidence(JSON.stringify({ ...good, type: "neleus.evidence.v2" })), Unsupported);
  assert.throws(() => verifyEvidence(file, { verifierKey: "none" }), InvalidArgument);
  const unknown = { ...good, exhibits: [{ kind: "hologram" }], more: true };
  assert.equal(verifyEvidence(JSON.stringify(unknown)).verdict, "not shown");
  fc.assert(
    fc.property(fc.anything(), (value) => {
      const text = JSON.stringify({ ...good, exhibits: value });
      try {
        verifyEvidence(text);
      } catch (error) {
        assert.ok(error instanceof NeleusError);
      }
    }),
    { numRuns: 200 },
  );
});
