// Goal: a proof in a file is verified without any server: what it shows, what it is anchored to, and what it does not
// show; whatever is changed in it is refused, or what it claims is true all the same.
// Method: proofs of a small database, as messages and as JSON, held against every kind of anchor; each field and byte
// mutated. A model that knows only what was written decides what is true.
import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { toJson, toJsonString, type DescMessage, type JsonObject } from "@bufbuild/protobuf";
import {
  ChunkProofSchema,
  CommitProofSchema,
  ManifestProofSchema,
  RangeProofSchema,
  RefProofSchema,
  StateProofSchema,
  type ChunkProof,
  type CommitProof,
  type ManifestProof,
  type RangeProof,
  type RefProof,
  type StateProof,
} from "#gen/neleus/v1/proof_pb.js";
import type { Database } from "#src/client/contract.js";
import type { DocumentRecord } from "#src/client/records.js";
import {
  parseProof,
  verifyProof,
  type Anchors,
  type ChunkClaim,
  type Proof,
  type ProofReport,
} from "#src/client/verify/index.js";
import { toHex } from "#src/core/bytes.js";
import {
  Forked,
  IncompleteProof,
  InvalidArgument,
  NeleusError,
  NewEpoch,
  Unsupported,
  VerificationFailed,
} from "#src/core/errors.js";
import { patternBytes } from "../../database/support/bytes.js";
import { byteMutants, fieldMutants } from "../../hostile/support/mutations.js";
import { asText } from "../../hostile/support/trial.js";
import { ContentModel } from "../support/content-model.js";
import { openFixture, type Fixture } from "../support/fixture.js";
import { ModelLog } from "../support/model-log.js";

describe("proofs in files", () => {
  let fixture: Fixture;
  let db: Database;
  let verifierKey: string;
  let older: string;
  let state: StateProof;
  let absent: StateProof;
  let range: RangeProof;
  let chunk: ChunkProof;
  let bare: StateProof;
  let filed: ManifestProof;
  let ref: RefProof;
  let unused: RefProof;
  let below: CommitProof;
  const model = new ContentModel();
  const schemas: readonly DescMessage[] = [
    StateProofSchema,
    RangeProofSchema,
    ChunkProofSchema,
    ManifestProofSchema,
    RefProofSchema,
    CommitProofSchema,
  ];
  const schemaOf = (proof: Proof): DescMessage => schemas.find(({ typeName }) => typeName === proof.$typeName)!;

  before(async () => {
    fixture = await openFixture("in process");
    db = await fixture.client();
    verifierKey = db.trust.state.verifierKey;
    older = (await db.checkpoint()).checkpoint.note;
    const content = new Map(Array.from({ length: 50 }, (_, index) => [`k/${index}`, `v${index}`]));
    await db.state("main").apply([...content].map(([key, value]) => ({ key, value })));
    const document = patternBytes(30_000, 3);
    const { hash } = await db.putDocument(document, {
      source: "a document",
      head: "main",
      chunking: { sizeBytes: 9_000 },
    });
    const { commit } = await db.commit("main", { author: "a", message: "m" });
    // What is staged differs from what is committed, state and ledger both.
    await db.state("main").put("later", "1");
    const later = await db.putDocument("later", { source: "later", head: "main", chunking: { sizeBytes: 9 } });
    const { staged } = await db.snapshot("main");
    // All in ASCII, so the order of texts is that of bytes.
    const inOrder = [...content].sort(([a], [b]) => (a < b ? -1 : 1));
    model.addState(commit.stateRoot, inOrder);
    model.addState(staged.stateRoot, [...inOrder, ["later", "1"]]);
    model.addDocument(hash, { bytes: document, chunkBytes: 9_000 });
    model.addLedger(commit.ledgerRoot, [hash]);
    model.addLedger(staged.ledgerRoot, [hash, later.hash]);
    // Made for a client that had seen `older`, so that they extend it.
    const again = await fixture.client({ verifierKey, checkpoint: older });
    state = await again.proofs.state({ head: "main" }, "k/7");
    const more = await fixture.client({ verifierKey, checkpoint: older });
    range = await more.proofs.range({ staged: "main" }, { prefix: "k/1" });
    chunk = await db.proofs.chunk({ manifest: hash, index: 2, place: { head: "main" } });
    absent = await db.proofs.state({ staged: "main" }, "k/none");
    filed = await db.proofs.manifest(later.hash, { staged: "main" });
    ref = await db.proofs.ref({ head: "main" });
    unused = await db.proofs.ref({ head: "nobody" });
    model.addHead("main", commit.hash);
    await db.heads.create("long");
    const long: Uint8Array[] = [];
    for (const message of ["one", "two", "three", "four"]) {
      long.unshift((await db.commit("long", { author: "a", message })).hash);
    }
    model.addHistory("long", long);
    below = await db.proofs.commit({ head: "long" }, long[2]!);
    bare = await db.proofs.state({ root: commit.stateRoot }, "k/7");
  });
  after(() => fixture.close());

  it("are shown when anchored to the key, a root, or a checkpoint of the same tree", () => {
    const proofs: [Proof, Uint8Array][] = [
      [state, state.root],
      [absent, absent.root],
      [range, range.root],
      [chunk, chunk.ledgerRoot],
      [filed, filed.ledgerRoot],
    ];
    for (const [proof, root] of proofs) {
      const json = toJsonString(schemaOf(proof), proof);
      for (const form of [proof, parseProof(json)]) {
        const plain = verifyProof(form);
        assert.equal(plain.verdict, "not anchored");
        assert.deepEqual(plain.anchoredTo, []);
        assert.ok(plain.shown.length > 0 && plain.notShown.length > 0);
        const { checkpoint } = proof.chain!.log!;
        for (const anchors of [{ verifierKey }, { root }, { root: toHex(root) }, { checkpoint }]) {
          const report = verifyProof(form, anchors);
          assert.equal(report.verdict, "shown");
          assert.equal(report.anchoredTo.length, 1);
          assert.deepEqual(report.shown, plain.shown);
          assert.deepEqual(report.claim, plain.claim);
        }
      }
    }
    assert.equal(verifyProof(bare).verdict, "not anchored");
    assert.equal(verifyProof(bare, { verifierKey }).verdict, "not anchored");
    assert.equal(verifyProof(bare, { root: bare.root }).verdict, "shown");
  });

  it("say what they are about", () => {
    const { claim } = verifyProof(state);
    assert.ok(claim.kind === "state" && claim.value !== undefined);
    assert.equal(Buffer.from(claim.value).toString(), "v7");
    const none = verifyProof(absent);
    assert.ok(none.claim.kind === "state" && none.claim.entry === undefined);
    assert.match(none.shown[0]!, /^Key "k\/none" is absent from the state [0-9a-f]{64}\.$/);
    const listed = verifyProof(range).claim;
    assert.ok(listed.kind === "range");
    assert.equal(listed.entries.length, 11);
    const cut = verifyProof(chunk).claim;
    assert.ok(cut.kind === "chunk");
    assert.deepEqual([cut.index, cut.offset, cut.sizeBytes, cut.source], [2, 18_000, 9_000, "a document"]);
    assert.deepEqual(cut.bytes, patternBytes(30_000, 3).slice(18_000, 27_000));
    const withoutValue = verifyProof({ ...state, value: undefined });
    assert.match(withoutValue.notShown.join(), /The value itself/);
  });

  it("say what of a chunk's proof the root given does not vouch for", async () => {
    const { manifest: hash } = verifyProof(chunk).claim as ChunkClaim;
    const { chunksRoot } = (await db.manifest(hash)) as DocumentRecord;
    const alone = await db.proofs.chunk({ manifest: hash, index: 2 });
    const commit = (await db.snapshot("main")).commitHash!;
    const inCommit = await db.proofs.chunk({ manifest: hash, index: 2, place: { commit } });
    const [list, ledger, place, checkpoint] = [/^That the manifest/, /^That the ledger/, /^That the commit/, /genuine/];
    const cases: [ChunkProof, Anchors, open: RegExp[]][] = [
      [alone, { root: chunksRoot }, [list]],
      [alone, { root: hash }, []],
      [inCommit, { root: chunksRoot }, [list, ledger]],
      [inCommit, { root: hash }, [ledger]],
      [inCommit, { root: chunk.ledgerRoot }, [place]],
      [inCommit, { root: commit }, []],
      [chunk, { root: chunksRoot }, [list, ledger, checkpoint]],
      [chunk, { root: hash }, [ledger, checkpoint]],
      [chunk, { root: chunk.ledgerRoot }, [checkpoint]],
      [chunk, { root: commit }, [checkpoint]],
      // The key vouches for all of it.
      [chunk, { root: chunksRoot, verifierKey }, []],
      [chunk, { root: chunksRoot, checkpoint: chunk.chain!.log!.checkpoint }, []],
    ];
    for (const [index, [proof, anchors, open]] of cases.entries()) {
      const { verdict, notShown } = verifyProof(proof, anchors);
      assert.equal(verdict, "shown");
      for (const pattern of [list, ledger, place, checkpoint]) {
        const isSaid = notShown.some((sentence) => pattern.test(sentence));
        assert.equal(isSaid, open.includes(pattern), `case ${index}: ${pattern.source}`);
      }
    }
  });

  it("are held against the checkpoint that the caller has seen", () => {
    const both = verifyProof(state, { verifierKey, checkpoint: older });
    assert.equal(both.anchoredTo.length, 2);
    const alone = verifyProof(state, { checkpoint: older });
    assert.equal(alone.verdict, "not anchored");
    const newer = db.trust.state.checkpoint!;
    const behind = verifyProof(state, { verifierKey, checkpoint: newer });
    assert.equal(behind.verdict, "shown");
    // The proof of the chunk was made for one who had seen more: it does not show that it extends `older`.
    assert.throws(() => verifyProof(chunk, { verifierKey, checkpoint: older }), IncompleteProof);
    assert.throws(() => verifyProof(state, { checkpoint: new ModelLog().append(2).note() }), VerificationFailed);
    assert.throws(() => verifyProof(state, { verifierKey, checkpoint: "nonsense" }), InvalidArgument);
    assert.throws(() => verifyProof(state, { checkpoint: "nonsense" }), InvalidArgument);
  });

  it("are refused under another root, key, epoch or history", async () => {
    assert.throws(() => verifyProof(state, { root: new Uint8Array(32) }), VerificationFailed);
    assert.throws(() => verifyProof(state, { root: "abc" }), InvalidArgument);
    assert.throws(() => verifyProof(state, { verifierKey: "abc" }), InvalidArgument);
    const { origin } = db.trust;
    assert.throws(() => verifyProof(state, { verifierKey: new ModelLog({ origin }).verifierKey }), VerificationFailed);
    assert.throws(() => verifyProof(state, { verifierKey: new ModelLog().verifierKey }), VerificationFailed);
    const nextEpoch = new ModelLog({ origin: origin.replace(/1$/, "2") });
    assert.throws(() => verifyProof(state, { verifierKey: nextEpoch.verifierKey }), NewEpoch);
    const other = await openFixture("in process");
    const fork = await other.client();
    const size = Number(state.chain!.log!.checkpoint.split("\n")[1]);
    for (let count = 1; count < size; count += 1) await fork.state("main").put("k", String(count));
    const { checkpoint } = (await fork.checkpoint()).checkpoint.size === size ? await fork.checkpoint() : assert.fail();
    assert.throws(() => verifyProof(state, { verifierKey, checkpoint: checkpoint.note }), Forked);
    await other.close();
  });

  it("that are none are refused", () => {
    for (const text of ["", "{", "null", "[]", "7", "{}", '{"type": 7}', '{"type": "neleus.state-proof.v1", "x": 1}']) {
      assert.throws(() => parseProof(text), VerificationFailed, text);
    }
    assert.throws(() => parseProof("[".repeat(200_000)), VerificationFailed);
    assert.throws(() => parseProof('{"type": "neleus.state-proof.v2"}'), Unsupported);
    assert.throws(() => verifyProof({ ...state, type: "neleus.state-proof.v2" }), Unsupported);
    const json = toJson(StateProofSchema, state) as JsonObject;
    assert.throws(() => verifyProof(parseProof(JSON.stringify({ type: json["type"]! }))), NeleusError);
  });

  it("with one thing changed are refused, or claim the same, or claim something else that is true", (context) => {
    // What proofs need not hold, or hold for other readers: the value, the slice, and what a known checkpoint made of it.
    const harmless = /^(value|slice|chain\.log\.consistency(\[\d+\])?)$/;
    // What was asked: another key of the same gap, another bound that cuts off the same keys.
    const question = /^(key|from|to|chain\.head|path(\[\d+\])?)$/;
    let others = 0;
    for (const proof of [state, absent, range, chunk, filed, ref, unused, below]) {
      const schema = schemaOf(proof);
      const honest = verifyProof(proof, { verifierKey });
      const counts = { refused: 0, same: 0, other: 0 };
      const thoroughness = { items: 3, offsets: 2, flips: 300 };
      for (const mutate of [fieldMutants, byteMutants]) {
        for (const { path, what, message } of mutate(schema, proof, thoroughness)) {
          if (message === undefined) continue;
          const label = `${schema.name} ${path} ${what}`;
          const report = reportOrRefusal(() => verifyProof(message as Proof, { verifierKey }), label);
          // Without its chain a proof hangs in the air, and says so.
          if (report?.verdict !== "shown") {
            counts.refused += 1;
            continue;
          }
          model.requireTrue(message as Proof, report.claim, label);
          // Which root it is, and where that stands, is said by the last sentences.
          const isSame = asText(claimed(report)) === asText(claimed(honest));
          const sentences = isSame || !["ref", "commit"].includes(report.claim.kind) ? -3 : -1;
          assert.deepEqual(report.shown.slice(sentences), honest.shown.slice(sentences), label);
          if (mutate === fieldMutants) assert.match(path, isSame ? harmless : question, label);
          counts[isSame ? "same" : "other"] += 1;
        }
      }
      others += counts.other;
      const { refused, same, other } = counts;
      assert.ok(refused > 300 && same > 0);
      context.diagnostic(`${schema.name}: ${refused} refused, ${same} the same, ${other} others that are true`);
    }
    assert.ok(others > 0);
  });
});

/** What is claimed, without the bytes that a proof need not hold. */
function claimed({ claim }: ProofReport): unknown {
  return { ...claim, value: undefined, bytes: undefined };
}

/** The report, or undefined where the proof is refused as anything wrong must be. */
function reportOrRefusal(verify: () => ProofReport, label: string): ProofReport | undefined {
  try {
    return verify();
  } catch (error) {
    assert.ok(error instanceof NeleusError, `${label}: ${String(error)}`);
    return undefined;
  }
}
