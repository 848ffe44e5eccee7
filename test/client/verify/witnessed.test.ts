// Goal: a proof in a file says by itself which witnesses have seen its log; a reader who requires k of n of them is not content with
// fewer, with old ones, with those of another log, or with what stands in their place.
// Method: a log that three witnesses have cosigned at two sizes, proofs of every kind of it, every part of what they hold changed.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { create, toBinary, toJsonString, type DescMessage } from "@bufbuild/protobuf";
import {
  ChunkProofSchema,
  CommitProofSchema,
  CosignedCheckpointSchema,
  ManifestProofSchema,
  ProofService,
  RangeProofSchema,
  RefProofSchema,
  StateProofSchema,
  type CosignedCheckpoint,
  type StateProof,
} from "#gen/neleus/v1/proof_pb.js";
import type { Database } from "#src/client/contract.js";
import { parseProof, verifyProof, type Anchors, type Proof } from "#src/client/verify/index.js";
import { IncompleteProof, InvalidArgument, NewEpoch, VerificationFailed } from "#src/core/errors.js";
import { MAX_WITNESSES } from "#src/core/limits.js";
import { cosign, formatNote, formatWitnessKey, parseNote, witnessKey } from "#src/core/log/index.js";
import { signerFromSeed } from "#src/core/signature/index.js";
import { Liar } from "../../hostile/support/liar.js";
import { openFixture, type Fixture } from "../support/fixture.js";
import { ModelLog } from "../support/model-log.js";

const EARLY_MS = 1_763_000_000_000;
const LATE_MS = 1_763_900_000_000;
const NOW = { nowMs: LATE_MS + 5_000 };

const witnesses = [1, 2, 3, 4].map((number) => {
  const signer = signerFromSeed(new Uint8Array(32).fill(number));
  const name = `witness.example/w${number}`;
  return { name, signer, key: formatWitnessKey(witnessKey(name, signer.publicKey)) };
});
const [W1, W2, W3, W4] = witnesses.map(({ key }) => key) as [string, string, string, string];

function cosigned(note: string, numbers: readonly number[], timeMs: number): string {
  let parsed = parseNote(note);
  for (const number of numbers) {
    const { name, signer } = witnesses[number - 1] ?? assert.fail();
    parsed = cosign(parsed, { name, signer, seconds: timeMs / 1000 });
  }
  return formatNote(parsed);
}

describe("what witnesses cosigned, in proofs in files", () => {
  let fixture: Fixture;
  let db: Database;
  let verifierKey: string;
  let proofs: readonly (readonly [DescMessage, Proof])[];
  let state: StateProof;
  let earlySize: number;
  let lateSize: number;
  before(async () => {
    fixture = await openFixture("in process");
    db = await fixture.client();
    ({ verifierKey } = db.trust.state);
    await db.state("main").put("k", "v");
    const early = (await db.checkpoint()).checkpoint;
    earlySize = early.size;
    await db.submitCosignatures({ checkpoint: cosigned(early.note, [1], EARLY_MS), witnessKeys: [W1] });
    const { hash: manifest } = await db.putDocument("text", { source: "s", head: "main", chunking: { sizeBytes: 2 } });
    const { commit } = await db.commit("main", { author: "a", message: "m" });
    const late = (await db.checkpoint()).checkpoint;
    lateSize = late.size;
    await db.submitCosignatures({ checkpoint: cosigned(late.note, [2, 3], LATE_MS), witnessKeys: [W2, W3] });
    const asked = { withCosignatures: true };
    state = await db.proofs.state({ head: "main" }, "k", asked);
    proofs = [
      [StateProofSchema, state],
      [RangeProofSchema, await db.proofs.range({ staged: "main" }, {}, asked)],
      [ManifestProofSchema, await db.proofs.manifest(manifest, { head: "main" }, asked)],
      [ChunkProofSchema, await db.proofs.chunk({ manifest, index: 0, place: { head: "main" } }, asked)],
      [RefProofSchema, await db.proofs.ref({ head: "main" }, asked)],
      [RefProofSchema, await db.proofs.ref({ tag: "nothing" }, asked)],
      [CommitProofSchema, await db.proofs.commit({ head: "main" }, commit.hash, asked)],
    ];
  });
  after(() => fixture.close());

  it("are there on request, in proofs of every kind, as message, JSON and bytes", async () => {
    for (const [schema, proof] of proofs) {
      for (const form of [proof, parseProof(toJsonString(schema, proof)), parseProof(toBinary(schema, proof))]) {
        const report = verifyProof(form, { verifierKey, witnesses: { keys: [W1, W2, W3] }, ...NOW });
        assert.deepEqual(
          [...report.witnesses!].sort((a, b) => (a.witness < b.witness ? -1 : 1)),
          [
            { witness: W1, size: earlySize, timeMs: EARLY_MS },
            { witness: W2, size: lateSize, timeMs: LATE_MS },
            { witness: W3, size: lateSize, timeMs: LATE_MS },
          ],
        );
        assert.equal(report.verdict, "shown");
        assert.equal(report.anchoredTo.length, 4);
        assert.ok(
          report.anchoredTo.includes(
            `The witness ${W1} has cosigned ${earlySize} leaves of that log, ${new Date(EARLY_MS).toISOString()}.`,
          ),
        );
      }
    }
    assert.deepEqual((await db.proofs.state({ head: "main" }, "k")).chain!.cosigned, []);
    const commit = (await db.snapshot("main")).commitHash!;
    const below = { withCosignatures: true };
    await assert.rejects(db.proofs.state({ commit }, "k", below), {
      name: "InvalidArgument",
      field: "withCosignatures",
    });
    const { root } = state;
    await assert.rejects(db.proofs.range({ root }, {}, below), { name: "InvalidArgument", field: "withCosignatures" });
    const chunk = { manifest: commit, index: 0 };
    await assert.rejects(db.proofs.chunk(chunk, below), { name: "InvalidArgument", field: "withCosignatures" });
  });

  const verify = (anchors: Anchors, proof: Proof = state) => verifyProof(proof, { verifierKey, ...NOW, ...anchors });

  it("count as k of n, and no older than asked for", () => {
    const keys = [W1, W2, W3, W4];
    const cases: readonly (readonly [NonNullable<Anchors["witnesses"]>, isEnough: boolean])[] = [
      [{ keys, required: 3 }, true],
      [{ keys }, false],
      [{ keys: [W4], required: 1 }, false],
      [{ keys, required: 3, maxAgeMs: 10_000 }, false],
      [{ keys, required: 2, maxAgeMs: 10_000 }, true],
      [{ keys, required: 2, maxAgeMs: 4_999 }, false],
      [{ keys: [W1], maxAgeMs: NOW.nowMs - EARLY_MS }, true],
      [{ keys: [W1], maxAgeMs: NOW.nowMs - EARLY_MS - 1 }, false],
    ];
    for (const [policy, isEnough] of cases) {
      if (isEnough) assert.equal(verify({ witnesses: policy }).verdict, "shown", JSON.stringify(policy));
      else assert.throws(() => verify({ witnesses: policy }), IncompleteProof, JSON.stringify(policy));
    }
    // A clock that is a little ahead is no lie; a time to come would be recent for as long as somebody likes.
    const witnessesAhead = { witnesses: { keys: [W2] } };
    assert.equal(verify({ ...witnessesAhead, nowMs: LATE_MS - 9_000 }).verdict, "shown");
    assert.throws(() => verify({ ...witnessesAhead, nowMs: LATE_MS - 11_000 }), IncompleteProof);
    // Measured by this machine's clock where nothing is said: these are days old.
    const now = { verifierKey, witnesses: { keys: [W2], maxAgeMs: Date.now() - LATE_MS - 1_000 } };
    assert.throws(() => verifyProof(state, now), IncompleteProof);
  });

  it("say what no witness has seen", () => {
    const unseen = (anchors: Anchors): string[] =>
      verify(anchors).notShown.filter((sentence) => /witness|anybody else/.test(sentence));
    const keys = [W1, W2, W3];
    assert.deepEqual(unseen({ witnesses: { keys, required: 2 } }), []);
    assert.deepEqual(unseen({ witnesses: { keys } }), [
      `That so many witnesses have seen more than the first ${earlySize} leaves: the proof hangs on the last of ${lateSize}.`,
    ]);
    const [sentence, ...more] = unseen({});
    assert.match(sentence ?? "", /^That anybody else has seen that log/);
    assert.deepEqual(more, []);
    assert.equal(verifyProof(state).witnesses, undefined);
    assert.ok(!verify({}, { ...state, chain: { ...state.chain!, cosigned: [] } }).notShown.includes(sentence ?? ""));
  });

  it("are worth nothing without the log's key, below the log, or under a policy that is none", () => {
    const witnesses = { keys: [W2] };
    assert.throws(() => verifyProof(state, { witnesses }), { name: "InvalidArgument", field: "witnesses" });
    assert.throws(() => verifyProof(state, { witnesses, root: state.root }), InvalidArgument);
    const bare = { ...state, chain: undefined, staged: false };
    assert.throws(() => verify({ witnesses }, bare), IncompleteProof);
    assert.throws(() => verify({ witnesses: { keys: [] } }), InvalidArgument);
    assert.throws(() => verify({ witnesses: { keys: ["abc"] } }), InvalidArgument);
    assert.throws(() => verify({ witnesses: { keys: [verifierKey] } }), InvalidArgument);
    assert.throws(() => verify({ witnesses: { keys: [W1, W2], required: 3 } }), InvalidArgument);
  });

  it("are refused where they are not of this log, whoever looks", async () => {
    const chain = state.chain!;
    const withCosigned = (...list: readonly Partial<CosignedCheckpoint>[]): StateProof => ({
      ...state,
      chain: { ...chain, cosigned: list.map((one) => create(CosignedCheckpointSchema, one as CosignedCheckpoint)) },
    });
    const [late, early] = chain.cosigned;
    assert.ok(late && early && early.consistency.length > 0);
    const own = late.note;
    const larger = (await db.state("main").put("k", "w")).receipt.checkpoint.note;
    const { origin } = db.trust;
    const stranger = new ModelLog({ origin }).append(2);
    const nextEpoch = new ModelLog({ origin: origin.replace(/1$/, "2") }).append(2);
    const otherRoot = own.split("\n").with(2, Buffer.alloc(32, 1).toString("base64")).join("\n");
    const cases: Readonly<Record<string, StateProof>> = {
      "a larger log": withCosigned({ note: larger }),
      "no checkpoint": withCosigned({ note: "nothing" }),
      "another log": withCosigned({ note: new ModelLog().append(2).note() }),
      "another epoch": withCosigned({ note: nextEpoch.note() }),
      "no leaves": withCosigned({ note: own.replace(/\n\d+\n/, "\n0\n") }),
      "another root of its size": withCosigned({ note: otherRoot }),
      "a smaller one without a proof": withCosigned({ note: early.note }),
      "a proof too long": withCosigned({ ...early, consistency: [...early.consistency, new Uint8Array(32)] }),
      "a proof where there is none": withCosigned({ ...late, consistency: [new Uint8Array(32)] }),
      "another history": withCosigned({ note: stranger.note(2), consistency: early.consistency }),
      "too many": withCosigned(...Array.from({ length: MAX_WITNESSES + 1 }, () => late)),
    };
    for (const [name, proof] of Object.entries(cases)) {
      for (const anchors of [
        {},
        { root: state.root },
        { verifierKey },
        { verifierKey, witnesses: { keys: [W2] }, ...NOW },
      ]) {
        assert.throws(() => verifyProof(proof, anchors), VerificationFailed, `${name} ${Object.keys(anchors).join()}`);
      }
    }
    // What the key has not signed, and everything else about it is right.
    const unsigned = withCosigned({
      ...early,
      note: `${early.note.split("\n").slice(0, 4).join("\n")}\n— x AAAAAAA=\n`,
    });
    assert.equal(verifyProof(unsigned, { root: state.root }).verdict, "shown");
    assert.throws(() => verifyProof(unsigned, { verifierKey }), VerificationFailed);
    assert.throws(() => verify({ witnesses: { keys: [W1] } }, unsigned), VerificationFailed);
    assert.throws(() => verifyProof(state, { verifierKey: nextEpoch.verifierKey }), NewEpoch);
    // A line of a witness that is no signature of it is a lie; one of somebody else is nobody's business.
    const forged = late.note.replace(
      /(w2 .{60})(.)/,
      (_, start: string, last: string) => start + (last === "A" ? "B" : "A"),
    );
    assert.throws(() => verify({ witnesses: { keys: [W2] } }, withCosigned({ note: forged })), VerificationFailed);
    assert.equal(verify({ witnesses: { keys: [W3] } }, withCosigned({ note: forged })).verdict, "shown");
  });

  it("are taken by a client only where it asked for them, and as the log's key has signed them", async () => {
    const liar = new Liar();
    const lied = await fixture.client({ verifierKey }, liar.wrap);
    const ask = {
      state: (options: object) => lied.proofs.state({ head: "main" }, "k", options),
      ref: (options: object) => lied.proofs.ref({ head: "main" }, options),
    };
    const lie = (change: (cosigned: CosignedCheckpoint[]) => CosignedCheckpoint[], withCosignatures: boolean): void => {
      for (const { name, output } of [ProofService.method.proveState, ProofService.method.proveRef]) {
        liar.lies.set(name, async (request, pass) => {
          const answer = (await pass({ ...request, withCosignatures })) as unknown as { proof: StateProof };
          const chain = { ...answer.proof.chain!, cosigned: change(answer.proof.chain!.cosigned) };
          return create(output as typeof ProofService.method.proveState.output, { proof: { ...answer.proof, chain } });
        });
      }
    };
    for (const call of Object.values(ask)) {
      lie((there) => there, true);
      await assert.rejects(call({}), /not asked for/);
      await call({ withCosignatures: true });
      lie(() => [], true);
      assert.deepEqual((await call({ withCosignatures: true })).chain!.cosigned, []);
      const unsigned = (note: string): string => `${note.split("\n").slice(0, 4).join("\n")}\n— x AAAAAAA=\n`;
      lie((there) => there.map((one) => ({ ...one, note: unsigned(one.note) })), true);
      await assert.rejects(call({ withCosignatures: true }), VerificationFailed);
      lie((there) => there.map((one) => ({ ...one, consistency: [] })), true);
      await assert.rejects(call({ withCosignatures: true }), VerificationFailed);
    }
  });
});
