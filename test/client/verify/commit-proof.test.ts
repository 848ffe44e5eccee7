// Goal: the proof of a commit says in plain words what it shows of which history, what of the caller's it was held against and what
// stays open; and a client takes none of another commit, head or history than it asked for.
// Method: a history of a real database, one of its commits signed; every kind of anchor; an honest engine behind a transport
// that asks it for something else. What is refused of a path is in the conformance kit, topic proofs.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { create, toBinary, toJsonString } from "@bufbuild/protobuf";
import { CommitProofSchema, ProofService, type CommitProof } from "#gen/neleus/v1/proof_pb.js";
import type { Database } from "#src/client/contract.js";
import { parseProof, verifyProof, type CommitClaim, type ProofReport } from "#src/client/verify/index.js";
import { toHex } from "#src/core/bytes.js";
import { InvalidArgument, NotFound, VerificationFailed } from "#src/core/errors.js";
import { scene } from "../../hostile/support/liar.js";
import { openFixture, type Fixture } from "../support/fixture.js";
import { signerOf } from "../support/signers.js";

const WORDS = { author: "a", message: "m" };

describe("the proof of a commit in a file", () => {
  let fixture: Fixture;
  let db: Database;
  let verifierKey: string;
  let commits: string[];
  let proof: CommitProof;
  const [ada] = [signerOf(1)];
  before(async () => {
    fixture = await openFixture("in process");
    db = await fixture.client();
    ({ verifierKey } = db.trust.state);
    commits = [];
    for (let count = 0; count < 5; count += 1) {
      const signed = count === 2 ? { signer: ada } : {};
      commits.unshift(toHex((await db.commit("main", WORDS, signed)).hash));
    }
    await db.tags.create("v1", commits[2]!);
    proof = await db.proofs.commit({ head: "main" }, commits[2]!);
  });
  after(() => fixture.close());

  const claimOf = ({ claim }: ProofReport): CommitClaim => (claim.kind === "commit" ? claim : assert.fail(claim.kind));

  it("says which commit it is, of what, at which log size, and by whom it is signed", () => {
    const report = verifyProof(proof, { verifierKey });
    const { commit, newest, ref, steps } = claimOf(report);
    assert.deepEqual([toHex(commit.hash), toHex(newest), steps], [commits[2], commits[0], 2]);
    assert.deepEqual(ref, { kind: "head", name: "main" });
    const [first, signature] = report.shown;
    const size = proof.chain!.log!.checkpoint.split("\n")[1];
    assert.equal(
      first,
      `Commit ${commits[2]} is an ancestor of the newest commit of head "main" at log size ${size}, ${commits[0]}: ` +
        "2 steps down, from each commit to one that it names as a parent.",
    );
    assert.equal(signature, `The commit bears a valid signature by the key ${toHex(ada.publicKey)}.`);
    assert.deepEqual(report.anchoredTo, [`The verifier key ${verifierKey} has signed the checkpoint.`]);
    assert.match(report.notShown.join("\n"), /whose keys those are/);
    assert.match(report.notShown.join("\n"), /That head "main" was ever at that commit itself/);
  });

  it("is no other as JSON, and as bytes", () => {
    for (const file of [toJsonString(CommitProofSchema, proof), toBinary(CommitProofSchema, proof)]) {
      assert.deepEqual(verifyProof(parseProof(file), { verifierKey }).shown, verifyProof(proof, { verifierKey }).shown);
    }
  });

  it("of the newest commit, and of a tag's, says so", async () => {
    const newest = verifyProof(await db.proofs.commit({ head: "main" }, commits[0]!), { verifierKey });
    assert.match(newest.shown[0]!, /^Commit [0-9a-f]{64} is the newest commit of head "main", at log size \d+\.$/);
    assert.doesNotMatch(newest.notShown.join("\n"), /was ever at/);
    const tag = verifyProof(await db.proofs.commit({ tag: "v1" }, commits[2]!), { verifierKey });
    assert.match(tag.shown[0]!, /^Commit [0-9a-f]{64} is the commit of tag "v1", at log size \d+\.$/);
    const below = verifyProof(await db.proofs.commit({ tag: "v1" }, commits[3]!), { verifierKey });
    assert.match(below.shown[0]!, / of the commit of tag "v1" at log size \d+, [0-9a-f]{64}: one step down/);
    assert.equal(claimOf(below).ref.kind, "tag");
  });

  it("hangs on any commit of its way, and says what that leaves open", () => {
    const open: readonly (readonly [string, RegExp | undefined])[] = [
      [commits[2]!, /^That it is in the history of head "main"/],
      [commits[1]!, /^That the commit given is the newest commit of head "main", or below it/],
      [commits[0]!, /^That the commit given is the newest commit of head "main", or below it/],
    ];
    for (const [root, left] of open) {
      const { verdict, anchoredTo, notShown } = verifyProof(proof, { root });
      assert.deepEqual([verdict, anchoredTo.length], ["shown", 1]);
      assert.ok(left === undefined || notShown.some((sentence) => left.test(sentence)), notShown.join("\n"));
      assert.ok(!verifyProof(proof, { root, verifierKey }).notShown.some((sentence) => left?.test(sentence)));
    }
    assert.throws(() => verifyProof(proof, { root: commits[3]! }), VerificationFailed);
  });

  it("of a long way is refused in few words under a commit that is not on it", async () => {
    await db.heads.create("long", { commit: commits[0]! });
    for (let count = 0; count < 40; count += 1) await db.commit("long", WORDS);
    const long = await db.proofs.commit({ head: "long" }, commits[4]!);
    assert.equal(long.path.length, 44);
    assert.throws(
      () => verifyProof(long, { root: "00".repeat(32) }),
      (error) => error instanceof VerificationFailed && error.message.length < 1_000 && /37 more/.test(error.message),
    );
  });

  it("is not made of what is no ancestor", async () => {
    await assert.rejects(db.proofs.commit({ tag: "v1" }, commits[0]!), NotFound);
    await assert.rejects(db.proofs.commit({ head: "nobody" }, commits[0]!), NotFound);
    await assert.rejects(db.proofs.commit({ head: "../x" }, commits[0]!), InvalidArgument);
    await assert.rejects(db.proofs.commit({ head: "main" }, "abc"), InvalidArgument);
  });
});

scene("a client takes the proof of no other commit, head or tag than it asked for", async ({ liar, db }) => {
  const made: Uint8Array[] = [];
  for (let count = 0; count < 4; count += 1) made.unshift((await db.commit("main", WORDS)).hash);
  await db.heads.create("other", { commit: made[0]! });
  await db.tags.create("main", made[0]!);
  const { proveCommit } = ProofService.method;
  const changes: readonly Record<string, unknown>[] = [
    { commit: made[3]! },
    { commit: made[1]! },
    { commit: made[0]! },
    { head: "other" },
    { head: "", tag: "main" },
  ];
  for (const change of changes) {
    liar.lies.set(proveCommit.name, (request, pass) => pass({ ...request, ...change }));
    await assert.rejects(db.proofs.commit({ head: "main" }, made[2]!), VerificationFailed, JSON.stringify(change));
  }
  // A gap, and an end too early.
  for (const cut of [0, 1]) {
    liar.lies.set(proveCommit.name, async (_, pass) => {
      const answer = (await pass()) as { proof?: CommitProof };
      const path = answer.proof!.path.filter((_commit, index) => index !== cut);
      return create(proveCommit.output, { proof: { ...answer.proof!, path } });
    });
    await assert.rejects(db.proofs.commit({ head: "main" }, made[2]!), VerificationFailed);
  }
  liar.lies.clear();
  await db.proofs.commit({ head: "main" }, made[2]!);
});
