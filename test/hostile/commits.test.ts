// Goal: a server cannot make a writer believe that a commit was made which is not the one asked for.
// Method: an honest engine behind a transport that lies: it changes the commit that it answers, sends the engine another
// request than it was given, or answers with a commit that was there before. Other writers in between are no lie.
import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import {
  CommitService,
  CommitServiceCreateResponseSchema,
  type CommitServiceCreateResponse,
} from "#gen/neleus/v1/commit_pb.js";
import { ProofService } from "#gen/neleus/v1/proof_pb.js";
import type { CommitRecord } from "#src/client/records.js";
import { toHex } from "#src/core/bytes.js";
import { NotFound, VerificationFailed } from "#src/core/errors.js";
import { commitHash, mapRoot } from "#src/core/hashes.js";
import { decodeCommit, encodeCommit, type Commit } from "#src/core/object/index.js";
import { scene } from "./support/liar.js";

const CREATE = CommitService.method.create.name;
const WORDS = { author: "a", message: "m" };

function wrongMember(member: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof VerificationFailed, String(error));
    assert.equal(error.facts["member"], member);
    return true;
  };
}

scene("a commit with anything changed or added names the member", async ({ liar, db }) => {
  await db.state("main").put("k", "1");
  const { hash: first } = await db.commit("main", WORDS);
  await db.commit("main", WORDS);
  const signature = { alg: "ed25519" as const, key: new Uint8Array(32).fill(1), value: new Uint8Array(64) };
  const none = commitHash(new Uint8Array(32).fill(7));
  const cases: [string, (honest: Commit) => Partial<Commit>][] = [
    ["author", () => ({ author: "b" })],
    ["message", () => ({ message: "m " })],
    ["time", () => ({ time: 6 })],
    ["meta", () => ({ meta: { a: "b", c: "d" } })],
    ["meta", () => ({ meta: { a: "c" } })],
    ["signatures", () => ({ signatures: [signature] })],
    ["database", () => ({ database: new Uint8Array(16) })],
    ["state root", () => ({ stateRoot: mapRoot(new Uint8Array(32)) })],
    ["parents", ({ parents }) => ({ parents: [...parents, first] })],
    ["parents", ({ parents }) => ({ parents: [...parents, none] })],
    ["parents", ({ parents }) => ({ parents: [first, ...parents] })],
    ["parents", () => ({ parents: [first] })],
    ["parents", () => ({ parents: [] })],
  ];
  for (const [member, change] of cases) {
    liar.lies.set(CREATE, async (_, pass) => {
      const answer = (await pass()) as CommitServiceCreateResponse;
      const { object } = decodeCommit(answer.commit);
      return create(CommitServiceCreateResponseSchema, {
        ...answer,
        commit: encodeCommit({ ...object, ...change(object) }),
      });
    });
    const { commitHash: expectedCommit, staged } = await db.snapshot("main");
    const asked = {
      ...WORDS,
      timeMs: 5,
      meta: { a: "b" },
      expectedCommit: expectedCommit!,
      expectedRoot: staged.stateRoot,
    };
    await assert.rejects(db.commit("main", asked), wrongMember(member), member);
  }
  // A merge is not asked for either where no parent is expected.
  liar.lies.set(CREATE, async (_, pass) => {
    const answer = (await pass()) as CommitServiceCreateResponse;
    const { object } = decodeCommit(answer.commit);
    const commit = encodeCommit({ ...object, parents: [...object.parents, none] });
    return create(CommitServiceCreateResponseSchema, { ...answer, commit });
  });
  await assert.rejects(db.commit("main", WORDS), wrongMember("parents"));
});

scene("a commit that the head had before is not the one just made", async ({ liar, db, other }) => {
  const made: CommitRecord[] = [];
  for (let count = 0; count < 3; count += 1) {
    await db.state("main").put("k", String(count));
    made.push((await db.commit("main", WORDS)).commit);
  }
  await db.state("main").put("k", "never committed");
  for (const { bytes } of made) {
    liar.lies.set(CREATE, async () => {
      // Signed, new and true; but no commit was made.
      const { receipt } = await other.state("main").put("beside", toHex(bytes.slice(0, 4)));
      const { note: checkpoint } = receipt.checkpoint;
      return create(CommitServiceCreateResponseSchema, {
        commit: bytes,
        receipt: { logIndex: BigInt(receipt.logIndex), checkpoint },
      });
    });
    await assert.rejects(db.commit("main", WORDS), VerificationFailed);
  }
});

scene("a commit that was made on another head", async ({ liar, db }) => {
  await db.heads.create("side");
  await db.commit("side", WORDS);
  liar.lies.set(CREATE, (request, pass) => pass({ ...request, head: "main" }));
  await assert.rejects(db.commit("side", WORDS), VerificationFailed);
});

scene("a commit of another state than the one that was staged", async ({ liar, db, other }) => {
  const { root } = await db.state("main").put("k", "mine");
  liar.lies.set(CREATE, async (request, pass) => {
    await other.state("main").put("k", "theirs");
    return pass({ ...request, expectedRoot: undefined });
  });
  await assert.rejects(db.commit("main", { ...WORDS, expectedRoot: root }), wrongMember("state root"));
});

scene("manifests that the server leaves out of the ledger", async ({ liar, db, other }) => {
  const documents = await Promise.all(
    ["one", "two", ""].map((text) => db.putDocument(text, { source: `of ${text}`, chunking: { sizeBytes: 2 } })),
  );
  const [one, two, empty] = documents.map(({ hash }) => hash);
  const manifests = [one!, two!, one!, empty!];
  // All of them, with the empty one, which has no chunk.
  await db.commit("main", { ...WORDS, manifests });
  await db.heads.create("bare");
  for (const kept of [[], [one!], [two!, empty!], [one!, two!]]) {
    liar.lies.set(CREATE, (request, pass) => pass({ ...request, manifests: kept }));
    await assert.rejects(db.commit("bare", { ...WORDS, manifests }), (error) => {
      assert.ok(error instanceof VerificationFailed, String(error));
      assert.match(error.message, /is not shown to hold/);
      return true;
    });
    await other.heads.delete("bare");
    await other.heads.create("bare");
  }
  // A proof for another commit's ledger, which does hold it.
  const { commit: full } = await other.commit("main", WORDS);
  liar.lies.set(ProofService.method.proveManifest.name, (request, pass) =>
    pass({ ...request, at: { at: { case: "commit", value: full.hash } } }),
  );
  await assert.rejects(db.commit("bare", { ...WORDS, manifests: [one!] }), VerificationFailed);
  liar.lies.set(ProofService.method.proveManifest.name, () => Promise.reject(new NotFound("no such manifest")));
  await assert.rejects(db.commit("bare", { ...WORDS, manifests: [two!] }), VerificationFailed);
});

scene("a head that is not made, or at another commit", async ({ liar, db, other }) => {
  const { hash: first } = await other.commit("main", WORDS);
  const { hash: second } = await other.commit("main", WORDS);
  const create = CommitService.method.createHead.name;
  liar.lies.set(create, (request, pass) => pass({ ...request, head: "elsewhere" }));
  await assert.rejects(db.heads.create("head"), NotFound);
  for (const [index, commit] of [first, undefined].entries()) {
    liar.lies.set(create, (request, pass) => pass({ ...request, commit }));
    await assert.rejects(db.heads.create(`head-${index}`, { commit: second }), VerificationFailed);
  }
  // Others may have gone on from there meanwhile.
  liar.lies.set(create, async (_, pass) => {
    const answer = await pass();
    await other.commit("shared", WORDS);
    return answer;
  });
  await db.heads.create("shared", { commit: second });
});

scene("other writers before and after are no lie", async ({ liar, db, other }) => {
  for (const [before, after] of [
    [0, 1],
    [1, 0],
    [3, 2],
  ] as const) {
    liar.lies.set(CREATE, async (_, pass) => {
      for (let count = 0; count < before; count += 1) await other.commit("main", WORDS);
      const answer = await pass();
      for (let count = 0; count < after; count += 1) await other.commit("main", WORDS);
      return answer;
    });
    const { commit } = await db.commit("main", { author: "mine", message: `${before} ${after}` });
    assert.equal((await db.commits.get(commit.hash)).author, "mine");
  }
});
