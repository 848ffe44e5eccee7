// Goal: many small blobs in one call are each checked, and an answer of another shape is refused.
// Method: the embedded client over a memory store; then the same client over a transport whose answers are changed.
import assert from "node:assert/strict";
import test from "node:test";
import { create } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "#gen/google/rpc/status_pb.js";
import { BatchPutOutcome } from "#gen/neleus/v1/blob_pb.js";
import { open } from "#src/client/embedded/index.js";
import { blobHash } from "#src/core/hashes.js";
import { hashBlob } from "#src/core/blob/index.js";
import { IncompleteProof, InvalidArgument, VerificationFailed } from "#src/core/errors.js";
import { Connection } from "#src/client/connection.js";
import { getBlobs, missingBlobs, putBlobs } from "#src/client/blob-batch.js";
import type { BatchedBlob } from "#src/client/contract.js";
import type { Transport } from "#src/client/transport.js";
import { Database as Engine } from "#src/database/index.js";
import { MemoryStore } from "#src/store/index.js";

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

test("fetched in the order asked for, and only what is missing is named", async () => {
  const store = new MemoryStore();
  await Engine.create(store);
  const db = await open(store);
  const stored = await db.putBlobs(["one", "two", ""]);
  const large = await db.putBlob(new Uint8Array(300_000));
  const absent = blobHash(hashBlob(new Uint8Array([9])));
  const hashes = [stored[1]!.hash, absent, stored[2]!.hash, large.hash, stored[1]!.hash];
  const found = await all(db.getBlobs(hashes));
  assert.deepEqual(
    found.map(({ bytes, isHeld }) => [bytes === undefined ? undefined : Buffer.from(bytes).toString(), isHeld]),
    [
      ["two", true],
      [undefined, false],
      ["", true],
      [undefined, true],
      ["two", true],
    ],
  );
  assert.deepEqual(await db.missingBlobs(hashes), [absent]);
  assert.deepEqual(await db.missingBlobs([]), []);
  await db.close();
});

/** A transport that gives one answer. */
function answering(answer: unknown): Connection {
  const transport = {
    address: "model",
    unary: async () => answer,
    serverStream: async function* () {
      yield answer;
    },
  };
  return new Connection(transport as unknown as Transport, "default");
}

test("answers that are too short, too long, of other bytes or of other hashes are refused", async () => {
  const hash = hashBlob(new Uint8Array([1]));
  const item = (result: unknown): unknown => ({ result });
  const right = item({ case: "data", value: new Uint8Array([1]) });
  const lies: [unknown[], typeof VerificationFailed | typeof IncompleteProof][] = [
    [[], IncompleteProof],
    [[right, right], VerificationFailed],
    [[item({ case: "data", value: new Uint8Array([2]) })], VerificationFailed],
    [[item({ case: undefined })], VerificationFailed],
    [[item({ case: "tooLarge", value: 2n ** 60n })], VerificationFailed],
  ];
  for (const [items, kind] of lies) await assert.rejects(all(getBlobs(answering({ items }), [hash])), kind);
  const other = hashBlob(new Uint8Array([2]));
  for (const missing of [[other], [hash, hash], [new Uint8Array(31)]]) {
    await assert.rejects(missingBlobs(answering({ missing }), [hash]), VerificationFailed);
  }
});

test("what became of each is checked against what was sent, and a refusal keeps its class", async () => {
  const bytes = new Uint8Array([1]);
  const blobs = [{ hash: hashBlob(bytes), size: 1n }];
  const info = { reason: "INVALID_ARGUMENT", domain: "neleus", metadata: {} };
  const refusal = create(StatusSchema, {
    code: 3,
    message: "no",
    details: [anyPack(ErrorInfoSchema, create(ErrorInfoSchema, info))],
  });
  const put = async (answer: object): Promise<BatchedBlob | undefined> =>
    (await putBlobs(answering(answer), [bytes]))[0];
  const refused = await put({ blobs, items: [{ outcome: BatchPutOutcome.REFUSED, refusal }] });
  assert.ok(refused?.outcome === "refused" && refused.refusal instanceof InvalidArgument);
  const lies: object[] = [
    { blobs, items: [] },
    { blobs: [], items: [{ outcome: BatchPutOutcome.STORED }] },
    { blobs, items: [{ outcome: BatchPutOutcome.UNSPECIFIED }] },
    { blobs, items: [{ outcome: 9 }] },
    { blobs, items: [{ outcome: BatchPutOutcome.REFUSED }] },
    { blobs, items: [{ outcome: BatchPutOutcome.STORED, refusal }] },
    { blobs: [{ hash: hashBlob(new Uint8Array(2)), size: 1n }], items: [{ outcome: BatchPutOutcome.STORED }] },
    { blobs: [{ hash: hashBlob(bytes), size: 2n }], items: [{ outcome: BatchPutOutcome.ALREADY_HELD }] },
  ];
  for (const lie of lies) await assert.rejects(put(lie), VerificationFailed);
});
