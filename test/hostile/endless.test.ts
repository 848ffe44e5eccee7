// Goal: an answer that goes on for ever is refused where it goes wrong: nothing is gathered that has not been proved.
// Method: the honest answer, then messages without end that prove nothing; the messages that the client takes are counted.
import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { clone, create, type DescMethod, type Message } from "@bufbuild/protobuf";
import { BlobService, BatchGetItemSchema, DownloadSliceSchema } from "#gen/neleus/v1/blob_pb.js";
import { CommitService } from "#gen/neleus/v1/commit_pb.js";
import { ManifestService } from "#gen/neleus/v1/manifest_pb.js";
import { NodeRevealSchema, ProofService, RangeProofSchema, type RangeProof } from "#gen/neleus/v1/proof_pb.js";
import { StateService } from "#gen/neleus/v1/state_pb.js";
import type { Database } from "#src/client/contract.js";
import type { DatabaseOptions } from "#src/client/options.js";
import type { Transport } from "#src/client/transport.js";
import { NeleusError, VerificationFailed } from "#src/core/errors.js";
import { emptyMap, MapKind } from "#src/core/map/index.js";
import { patternBytes } from "../database/support/bytes.js";
import { all, openFixture, type Fixture } from "../client/support/fixture.js";

/** Messages after which no client should still be listening. */
const FAR_TOO_MANY = 10_000;

/** Passes streams on, changed, and behind their end sends the same message again and again. */
function endless(
  method: DescMethod,
  lie: { readonly change?: (answer: Message) => Message; readonly then: () => Message },
): { readonly wrap: (inner: Transport) => Transport; readonly sentBehind: () => number } {
  let behind = 0;
  const wrap = (inner: Transport): Transport => ({
    address: inner.address,
    unary: inner.unary.bind(inner),
    clientStream: inner.clientStream.bind(inner),
    close: () => inner.close(),
    async *serverStream(called, request, options) {
      for await (const answer of inner.serverStream(called, request, options)) {
        yield (
          called === (method as unknown) ? (lie.change?.(clone(called.output, answer)) ?? answer) : answer
        ) as never;
      }
      if (called !== (method as unknown)) return;
      while (behind < FAR_TOO_MANY) {
        behind += 1;
        yield lie.then() as never;
      }
    },
  });
  return { wrap, sentBehind: () => behind };
}

describe("answers without end", () => {
  let fixture: Fixture;
  let trusted: DatabaseOptions;
  let root: Uint8Array;
  let blob: Uint8Array;
  let document: Uint8Array;

  before(async () => {
    fixture = await openFixture("in process");
    const db = await fixture.client();
    const operations = Array.from({ length: 100 }, (_, index) => ({ key: `k/${index}`, value: `v${index}` }));
    root = (await db.state("main").apply(operations)).root;
    blob = (await db.putBlob(patternBytes(50_000, 1))).hash;
    const chunking = { sizeBytes: 1_000 };
    document = (await db.putDocument(patternBytes(9_000, 2), { source: "s", head: "main", chunking })).hash;
    for (let count = 0; count < 3; count += 1) await db.commit("main", { author: "a", message: "m" });
    trusted = db.trust.state;
  });
  after(() => fixture.close());

  const node = { kind: 1, level: 0, count: 1, total: 1n, indices: [0], entries: [new Uint8Array(40)] };
  const cases: [name: string, method: DescMethod, then: () => Message, run: (db: Database) => Promise<unknown>][] = [
    [
      "a scan",
      StateService.method.scan,
      () => create(StateService.method.scan.output, { nodes: [node] }),
      (db) => all(db.at({ root }).scan()),
    ],
    [
      "many keys",
      StateService.method.batchGet,
      () => create(StateService.method.batchGet.output, { nodes: [node] }),
      (db) => all(db.at({ root }).getMany(["k/1", "k/5"])),
    ],
    [
      "the values of many keys",
      StateService.method.batchGet,
      () => create(StateService.method.batchGet.output, { values: [{ entry: 0n, data: new Uint8Array(2) }] }),
      (db) => all(db.at({ root }).getMany(["k/1", "k/5"])),
    ],
    [
      "a difference",
      StateService.method.diff,
      () => create(StateService.method.diff.output, { after: [node] }),
      (db) => all(db.diff({ root: emptyMap(MapKind.state).digest }, { root })),
    ],
    [
      "the values of a difference",
      StateService.method.diff,
      () => create(StateService.method.diff.output, { values: [{ entry: 0n, data: new Uint8Array(2) }] }),
      (db) => all(db.diff({ root: emptyMap(MapKind.state).digest }, { root }, { values: true })),
    ],
    [
      "a proof of a range",
      ProofService.method.proveRange,
      () => create(ProofService.method.proveRange.output, { proof: { nodes: [node] } }),
      (db) => db.proofs.range({ root }, { prefix: "k/" }),
    ],
    [
      "a proof of a head's range",
      ProofService.method.proveRange,
      () => create(ProofService.method.proveRange.output, { proof: { nodes: [node] } }),
      (db) => db.proofs.range({ head: "main" }, { prefix: "k/" }),
    ],
    [
      "a blob",
      BlobService.method.download,
      () =>
        create(BlobService.method.download.output, {
          part: { case: "slice", value: create(DownloadSliceSchema, { data: new Uint8Array(9) }) },
        }),
      (db) => db.blob(blob).bytes(),
    ],
    [
      "a blob that is checked at its end",
      BlobService.method.download,
      () =>
        create(BlobService.method.download.output, {
          part: { case: "slice", value: create(DownloadSliceSchema, { data: new Uint8Array(9) }) },
        }),
      (db) => all(db.blob(blob).streamUnverifiedUntilEnd()),
    ],
    [
      "many blobs",
      BlobService.method.batchGet,
      () =>
        create(BlobService.method.batchGet.output, {
          items: [create(BatchGetItemSchema, { result: { case: "missing", value: true } })],
        }),
      (db) => all(db.getBlobs([blob])),
    ],
    [
      "a log of commits",
      CommitService.method.log,
      () => create(CommitService.method.log.output, { commits: [new Uint8Array(9)] }),
      (db) => all(db.commits.log({ head: "main" })),
    ],
    [
      "a list of chunks",
      ManifestService.method.listChunks,
      () => create(ManifestService.method.listChunks.output, { nodes: [{ ...node, kind: 2 }] }),
      (db) => all(db.chunks(document)),
    ],
  ];
  for (const [name, method, then, run] of cases) {
    it(name, async () => {
      const { wrap, sentBehind } = endless(method, { then });
      const db = await fixture.client(trusted, wrap);
      await assert.rejects(run(db), NeleusError);
      assert.equal(sentBehind(), 1, "the first message too many is the last one taken");
    });
  }

  it("a proof of a range under a root that nothing vouches for", async () => {
    const header = (change: (proof: RangeProof) => void) => (answer: Message) => {
      const { proof } = answer as { proof?: RangeProof };
      if (proof?.type !== "") change(proof ?? create(RangeProofSchema));
      return answer;
    };
    const lies: ((proof: RangeProof) => void)[] = [
      (proof) => proof.root.fill(7),
      (proof) => (proof.chain = undefined),
      (proof) => (proof.staged = true),
      (proof) => (proof.chain!.log!.checkpoint = proof.chain!.log!.checkpoint.replace(/.{8}\n$/, "AAAAAAA=\n")),
      (proof) => (proof.from = Uint8Array.of(1)),
      (proof) => (proof.type = "neleus.state-proof.v1"),
    ];
    for (const [index, lie] of lies.entries()) {
      const { wrap, sentBehind } = endless(ProofService.method.proveRange, {
        change: header(lie),
        then: () => create(ProofService.method.proveRange.output, { proof: { nodes: [create(NodeRevealSchema)] } }),
      });
      const db = await fixture.client(trusted, wrap);
      const proved = db.proofs.range({ head: "main" });
      await assert.rejects(proved, index === 5 ? NeleusError : VerificationFailed, `lie ${index}`);
      assert.equal(sentBehind(), 0, "the header was enough to refuse it");
    }
  });
});
