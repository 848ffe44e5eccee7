// Proofs that a commit is in the history of a head or tag, of the history in small-history.ts: part of the topic of proofs. What is
// true is known from the drawing there.
import * as dagCbor from "@ipld/dag-cbor";
import { create } from "@bufbuild/protobuf";
import { CommitProofSchema, type CommitProof } from "#gen/neleus/v1/proof_pb.js";
import { toHex, utf8 } from "#src/core/bytes.js";
import { ModelLog } from "../../client/support/model-log.js";
import type { CaseList, Json } from "../case.js";
import { SmallHistory } from "./small-history.js";
import { Written } from "./written-proof.js";

const [FAILED, INCOMPLETE, UNSUPPORTED] = ["VERIFICATION_FAILED", "INCOMPLETE_PROOF", "UNSUPPORTED"] as const;

type Step = Parameters<SmallHistory["commit"]>[0];

export function commitProofs(cases: CaseList): void {
  const history = new SmallHistory();
  const { verifierKey } = history;
  const proofOf = (of: { head: string } | { tag: string }, steps: readonly Step[]): CommitProof =>
    create(CommitProofSchema, {
      type: "neleus.commit-proof.v1",
      path: steps.map((step) => history.commit(step)),
      chain: history.chain(of),
    });
  const claimOf = (of: { head: string } | { tag: string }, steps: readonly Step[]): Json => {
    const newest = "tag" in of ? "merge" : "newest";
    const last = steps.at(-1) ?? newest;
    return {
      kind: "commit",
      ref: "tag" in of ? "tag" : "head",
      name: "tag" in of ? of.tag : of.head,
      commit: toHex(history.hash(last)),
      newest: toHex(history.hash(newest)),
      steps: steps.length,
      signatures: last === "right" ? history.signatures : [],
    };
  };
  const ways: Readonly<Record<string, readonly [{ head: string } | { tag: string }, readonly Step[]]>> = {
    "that a head is at": [{ head: "main" }, []],
    "that a tag is at": [{ tag: "v1" }, []],
    "one step below a head": [{ head: "main" }, ["merge"]],
    "by a second parent, signed": [{ head: "main" }, ["merge", "right"]],
    "by a second parent, below a tag": [{ tag: "v1" }, ["right"]],
    "without parents": [{ head: "main" }, ["merge", "left", "early", "root"]],
    "without parents, by another way": [{ head: "main" }, ["merge", "right", "early", "root"]],
  };
  for (const [name, [of, steps]] of Object.entries(ways)) {
    const written = new Written(cases, `commit ${name}`, { schema: CommitProofSchema, message: proofOf(of, steps) });
    written.accept("under the key", { verifierKey }, { verdict: "shown", claim: claimOf(of, steps) });
  }
  const steps: readonly Step[] = ["merge", "right", "early"];
  const message = proofOf({ head: "main" }, steps);
  const claim = claimOf({ head: "main" }, steps);
  const proof = new Written(cases, "commit", { schema: CommitProofSchema, message });
  proof.accept("under nothing", {}, { verdict: "not anchored", claim });
  proof.acceptBinary("as bytes", { verifierKey }, { verdict: "shown", claim });
  for (const name of ["newest", "merge", "right", "early"] as const) {
    proof.accept(`under the hash of "${name}"`, { root: toHex(history.hash(name)) }, { verdict: "shown", claim });
  }
  proof.accept("under the same checkpoint", { checkpoint: history.note }, { verdict: "shown", claim });
  proof.refuse("under the hash of a commit beside the way", FAILED, {}, { root: toHex(history.hash("left")) });
  proof.refuse("under another key", FAILED, {}, { verifierKey: new ModelLog({ seed: 2 }).verifierKey });
  const refuse = (name: string, error: string, changed: Partial<CommitProof>): void =>
    proof.refuse(name, error, changed, { verifierKey });
  const path = (...named: readonly Step[]): Partial<CommitProof> => ({
    path: named.map((step) => history.commit(step)),
  });
  refuse("with a gap", FAILED, path("merge", "early"));
  refuse("with a gap at its beginning", FAILED, path("right", "early"));
  refuse("by a commit that is no parent", FAILED, path("merge", "foreign"));
  refuse("with a commit of another database at its end", FAILED, path("merge", "right", "early", "foreign"));
  refuse("with a commit behind one without parents", FAILED, path("merge", "right", "early", "root", "foreign"));
  refuse("with a commit twice", FAILED, path("merge", "merge", "right"));
  refuse("that goes up again", FAILED, path("merge", "right", "merge", "left"));
  refuse("upside down", FAILED, path("early", "right", "merge"));
  refuse("that begins with the newest", FAILED, path("newest", "merge"));
  const other = { ...dagCbor.decode<Record<string, unknown>>(history.commit("early")), message: "another" };
  const untilEarly = message.path.slice(0, -1);
  refuse("with another commit in the place of a parent", FAILED, { path: [...untilEarly, dagCbor.encode(other)] });
  refuse("with bytes that are no commit", FAILED, { path: [...untilEarly, utf8("none")] });
  refuse("with no bytes for a commit", FAILED, { path: [...message.path, new Uint8Array(0)] });
  refuse("with a commit and a byte more", FAILED, {
    path: [...untilEarly, Uint8Array.of(...history.commit("early"), 0)],
  });
  refuse("by a commit of another version", UNSUPPORTED, {
    ...path("later"),
    chain: history.chain({ head: "future" }),
  });
  const { chain } = message;
  if (chain === undefined) throw new Error("the proof has a chain");
  refuse("without a chain", FAILED, { chain: undefined });
  refuse("with a chain without its commit", FAILED, { chain: { ...chain, commit: new Uint8Array(0) } });
  refuse("with a chain that has another commit", FAILED, {
    ...path("right", "early"),
    chain: { ...chain, commit: history.commit("merge") },
  });
  refuse("of a head without a commit", FAILED, { ...path(), chain: history.chain({ head: "empty" }) });
  refuse("of a head that there is not", FAILED, { ...path(), chain: history.chain({ head: "nobody" }) });
  refuse("of a head whose refs are not shown", INCOMPLETE, { chain: { ...chain, refs: [] } });
  refuse("of another version", UNSUPPORTED, { type: "neleus.commit-proof.v2" });
}
