// Goal: tags and reset heads through the client, the same over every transport: what is listed, read and proved under a tag
// is what its commit has, and a read never answers of before what its caller has seen.
// Method: write, then read back by every way there is; a proof is checked with no database at hand.
import assert from "node:assert/strict";
import { equals, fromJsonString, toJsonString } from "@bufbuild/protobuf";
import { ManifestProofSchema, RefProofSchema, StateProofSchema } from "#gen/neleus/v1/proof_pb.js";
import { toHex } from "#src/core/bytes.js";
import { AlreadyExists, Conflict, InvalidArgument, NotFound, RolledBack } from "#src/core/errors.js";
import { parseProof, verifyProof } from "#src/client/verify/index.js";
import { patternBytes } from "../database/support/bytes.js";
import { all, onEachTransport } from "./support/fixture.js";

onEachTransport("tags are listed completely, read and proved", async ({ client }) => {
  const db = await client();
  assert.deepEqual(await all(db.tags.list()), []);
  await db.state("main").put("k", "one");
  const document = await db.putDocument(patternBytes(10_000, 1), {
    source: "s",
    head: "main",
    chunking: { sizeBytes: 1_000 },
  });
  const { hash: first } = await db.commit("main", { author: "a", message: "first" });
  await db.state("main").put("k", "two");
  const { hash: second } = await db.commit("main", { author: "a", message: "second" });
  const names = ["rel/1", "rel/2", "rel-3", "zz"];
  for (const name of names) await db.tags.create(name, name === "zz" ? toHex(second) : first);
  const listed = async (prefix?: string): Promise<string[]> =>
    (await all(db.tags.list({ prefix }))).map(({ tag, commitHash }) => `${tag} ${toHex(commitHash)}`);
  const expected = [...names].sort().map((name) => `${name} ${toHex(name === "zz" ? second : first)}`);
  assert.deepEqual(await listed(), expected);
  assert.deepEqual(
    await listed("rel/"),
    expected.filter((line) => line.startsWith("rel/")),
  );
  assert.deepEqual(await listed("nothing"), []);
  await assert.rejects(listed("no name"), InvalidArgument);
  for await (const { tag } of db.tags.list()) {
    assert.equal(tag, "rel-3");
    break;
  }

  const view = await db.tag("rel/1");
  assert.deepEqual([view.commit.message, (await view.get("k"))?.text()], ["first", "one"]);
  assert.deepEqual(view.stateRoot, (await db.commits.get(first)).stateRoot);
  assert.deepEqual(
    (await all(db.commits.log({ tag: "zz" }))).map(({ message }) => message),
    ["second", "first"],
  );
  const changes = await all(db.diff({ tag: "rel/1" }, { tag: "zz" }, { values: true }));
  assert.deepEqual(
    changes.map((change) => [change.key.length, change.before?.sizeBytes]),
    [[1, 3]],
  );

  const { verifierKey } = db.trust.state;
  const proof = await db.proofs.state({ tag: "rel/1" }, "k");
  const report = verifyProof(parseProof(toJsonString(StateProofSchema, proof)), { verifierKey });
  assert.equal(report.verdict, "shown");
  assert.ok(report.shown.some((line) => line.includes(`commit ${toHex(first)}, that tag "rel/1" names`)));
  assert.ok(equals(StateProofSchema, proof, fromJsonString(StateProofSchema, toJsonString(StateProofSchema, proof))));
  const range = await db.proofs.range({ tag: "zz" });
  assert.equal(verifyProof(range, { root: second }).verdict, "shown");
  const chunk = await db.proofs.chunk({ manifest: document.hash, index: 3, place: { tag: "rel/1" } });
  assert.equal(verifyProof(chunk, { verifierKey }).verdict, "shown");

  const filed = await db.proofs.manifest(document.hash, { tag: "rel/1" });
  const filedReport = verifyProof(parseProof(toJsonString(ManifestProofSchema, filed)), { verifierKey });
  assert.equal(filedReport.verdict, "shown");
  assert.equal(filedReport.claim.kind === "manifest" && filedReport.claim.manifestKind, "document");
  for (const place of [{ staged: "main" }, { head: "main" }, { commit: second }]) {
    await db.proofs.manifest(document.hash, place);
  }
  await assert.rejects(db.proofs.manifest(document.hash, { root: view.stateRoot }), InvalidArgument);
  await assert.rejects(db.proofs.manifest(new Uint8Array(32), { head: "main" }), NotFound);

  const refs = [
    await db.proofs.ref({ head: "main" }),
    await db.proofs.ref({ tag: "rel/1" }),
    await db.proofs.ref({ head: "nobody" }),
    await db.proofs.ref({ tag: "nothing" }),
  ].map((proof) => verifyProof(parseProof(toJsonString(RefProofSchema, proof)), { verifierKey }));
  assert.deepEqual(
    refs.map(({ verdict, claim }) => {
      assert.ok(claim.kind === "ref");
      return [verdict, claim.isPresent, claim.commit?.message];
    }),
    [
      ["shown", true, "second"],
      ["shown", true, "first"],
      ["shown", false, undefined],
      ["shown", false, undefined],
    ],
  );
  await assert.rejects(db.proofs.ref({ head: "../x" }), InvalidArgument);

  await assert.rejects(db.tags.create("zz", first), AlreadyExists);
  await assert.rejects(db.tags.create("x", new Uint8Array(32)), NotFound);
  await assert.rejects(db.tags.create("../x", first), InvalidArgument);
  await assert.rejects(db.tags.delete("zz", { expectedCommit: first }), Conflict);
  await db.tags.delete("zz", { expectedCommit: second });
  await assert.rejects(db.tag("zz"), NotFound);
  await assert.rejects(db.tags.delete("zz"), NotFound);
  assert.equal((await listed()).length, 3);
  await db.close();
});

onEachTransport("more tags than one message holds are listed", async ({ client, engine }) => {
  const db = await client();
  const { hash } = await db.commit("main", { author: "a", message: "m" });
  const names = Array.from({ length: 2_000 }, (_, index) => `run/${String(index).padStart(100, "0")}`);
  await Promise.all(names.map((name) => engine.tags.create(name, hash)));
  assert.deepEqual(
    (await all(db.tags.list())).map(({ tag }) => tag),
    names,
  );
  await db.close();
});

onEachTransport("a head is reset", async ({ client }) => {
  const db = await client();
  await db.state("main").put("k", "one");
  const { hash: first, commit } = await db.commit("main", { author: "a", message: "first" });
  await db.state("main").put("k", "two");
  const { root } = await db.state("main").put("l", "staged");
  await assert.rejects(db.heads.reset("main", { commit: first, expectedRoot: commit.stateRoot }), Conflict);
  await assert.rejects(db.heads.reset("main", { commit: first, expectedCommit: null }), Conflict);
  await db.heads.reset("main", { commit: toHex(first), expectedCommit: first, expectedRoot: root });
  const { staged, stateRoot } = await db.snapshot("main");
  assert.deepEqual([staged.stateRoot, stateRoot], [commit.stateRoot, commit.stateRoot]);
  assert.equal((await db.state("main").get("k"))?.text(), "one");
  await db.heads.reset("main", { commit: null });
  assert.equal((await db.snapshot("main")).commit, undefined);
  assert.equal(await db.state("main").get("k"), undefined);
  await assert.rejects(db.heads.reset("mian", { commit: first }), NotFound);
  await db.close();
});

onEachTransport("a read is no older than the write that it is to see", async ({ client }) => {
  const [writer, reader] = [await client(), await client()];
  const { receipt } = await writer.state("main").put("k", "1");
  const minLogSize = receipt.logIndex + 1;
  assert.equal((await (await reader.snapshot("main", { minLogSize })).staged.get("k"))?.text(), "1");
  assert.ok((await reader.checkpoint({ minLogSize })).checkpoint.size >= minLogSize);
  await reader.heads.list({ minLogSize });
  await all(reader.tags.list({ minLogSize }));
  await reader.proofs.state({ staged: "main" }, "k", { minLogSize });
  const later = { minLogSize: minLogSize + 1 };
  const reads: readonly (() => Promise<unknown>)[] = [
    () => reader.snapshot("main", later),
    () => reader.checkpoint(later),
    () => reader.heads.list(later),
    () => all(reader.tags.list(later)),
    () => all(reader.commits.log({ head: "main" }, later)),
    () => reader.proofs.state({ staged: "main" }, "k", later),
  ];
  for (const read of reads) {
    await assert.rejects(read(), (error) => {
      assert.ok(error instanceof RolledBack, String(error));
      assert.equal(error.facts["min_log_size"], String(later.minLogSize));
      // What it has instead, it has signed.
      assert.match((error.evidence as { newer: string }).newer, /^neleus\/[0-9a-f]{32}\/1\n/);
      return true;
    });
  }
  await assert.rejects(reader.snapshot("main", { minLogSize: -1 }), InvalidArgument);
  await writer.close();
  await reader.close();
});
