// Goal: stored bytes that are not what their name says are DATA_LOSS and never data, whichever rpc meets them. Method:
// each kind of row is overwritten or deleted behind the engine's back, and the database opened anew, without its caches.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BlobService } from "#gen/neleus/v1/blob_pb.js";
import { CommitService } from "#gen/neleus/v1/commit_pb.js";
import { ManifestService } from "#gen/neleus/v1/manifest_pb.js";
import { ProofService } from "#gen/neleus/v1/proof_pb.js";
import { StateService } from "#gen/neleus/v1/state_pb.js";
import { hashBlob } from "#src/core/blob/index.js";
import { Database } from "#src/database/index.js";
import { createServices, GrpcStatus } from "#src/service/index.js";
import type { Space, Store } from "#src/store/contract.js";
import { patternBytes } from "../support/vectors.js";
import { Caller, collect, fails, openHarness, utf8Of } from "./harness.js";

const CORRUPT = { code: "CORRUPT", status: GrpcStatus.DATA_LOSS } as const;
const MAIN = { at: { case: "staged", value: "main" } } as const;
const KEY = utf8Of("key");

async function reopened(store: Store): Promise<Caller> {
  const database = await Database.open(store);
  return new Caller(createServices({ version: "", database: async () => database }));
}

/** Changes one bit of every row of a space, or of one row. */
async function damage(store: Store, space: Space, key?: Uint8Array): Promise<void> {
  const keys = key === undefined ? await collect(store.iterate(space)) : [key];
  for (const name of keys) {
    const [value] = await store.getMany(space, [name]);
    assert.ok(value, `a row of ${space}`);
    const changed = new Uint8Array(value);
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
    await store.write({ puts: [{ space, key: name, value: changed }] });
  }
}

describe("damaged rows", () => {
  test("of blobs", async () => {
    const { database, store } = await openHarness();
    const { hash } = await database.blobs.put(utf8Of("value"));
    await database.states.apply("main", { operations: [{ key: KEY, change: { put: utf8Of("value") } }] });
    await damage(store, "blobs", hash);
    const caller = await reopened(store);
    await fails(caller.unary(BlobService.method.stat, { hash }), CORRUPT);
    await fails(collect(caller.serverStream(BlobService.method.download, { hash })), CORRUPT);
    await fails(collect(caller.serverStream(BlobService.method.batchGet, { hashes: [hash] })), CORRUPT);
    await fails(caller.unary(StateService.method.get, { at: MAIN, key: KEY }), CORRUPT);
    await fails(caller.unary(ProofService.method.proveState, { at: MAIN, key: KEY }), CORRUPT);
    const keys = [KEY];
    await fails(collect(caller.serverStream(StateService.method.batchGet, { at: MAIN, keys })), CORRUPT);
    const scan = StateService.method.scan;
    await fails(collect(caller.serverStream(scan, { at: MAIN, withValues: true })), CORRUPT);
    assert.ok(await caller.unary(StateService.method.get, { at: MAIN, key: KEY, omitValue: true }), "the map is whole");
  });

  test("of a blob that a state names and that is gone", async () => {
    const { database, store } = await openHarness();
    await database.states.apply("main", { operations: [{ key: KEY, change: { put: utf8Of("value") } }] });
    await store.write({ deletes: [{ space: "blobs", key: hashBlob(utf8Of("value")) }] });
    const error = await fails((await reopened(store)).unary(StateService.method.get, { at: MAIN, key: KEY }), CORRUPT);
    assert.equal(error.facts["kind"], "blob");
  });

  test("of large blobs, in the middle of a stream", async () => {
    const { database, store, open } = await openHarness();
    const bytes = patternBytes(1_000_000);
    const { hash } = await database.blobs.put(bytes);
    // Other content of the same size, published under the same name.
    await store.files.delete(hash);
    const staged = await store.files.stage("damaged", { metadata: new Uint8Array(0) });
    const changed = bytes.slice();
    changed[900_000] = 255;
    await staged.append(0, changed);
    await staged.appendOutboard(new Uint8Array(64));
    await staged.publish(hash);
    const caller = await reopened(store);
    await fails(collect(caller.serverStream(BlobService.method.download, { hash })), CORRUPT);
    await fails(collect(caller.serverStream(BlobService.method.download, { hash, omitParents: true })), CORRUPT);
    assert.deepEqual(open, { blobs: 0, uploads: 0 });
  });

  test("of commits and manifests", async () => {
    const { database, store } = await openHarness();
    const { commit } = await database.commits.create({ head: "main", author: "a", message: "" });
    const document = await database.documents.begin({
      source: "s",
      chunking: { method: "fixed", sizeBytes: 2, overlapBytes: 0 },
    });
    const text = utf8Of("text");
    await document.append(0, text);
    const { manifest } = await document.finish({ sizeBytes: text.length, hash: hashBlob(text) });
    await document.close();
    await damage(store, "objects");
    const caller = await reopened(store);
    await fails(caller.unary(CommitService.method.get, { commit: commit.hash }), CORRUPT);
    const start = { case: "head", value: "main" } as const;
    await fails(collect(caller.serverStream(CommitService.method.log, { start })), CORRUPT);
    await fails(caller.unary(ManifestService.method.get, { manifest: manifest.hash }), CORRUPT);
    const listed = caller.serverStream(ManifestService.method.listChunks, { manifest: manifest.hash });
    await fails(collect(listed), CORRUPT);
    await fails(caller.unary(ProofService.method.proveChunk, { manifest: manifest.hash }), CORRUPT);
    await fails(caller.unary(ProofService.method.getSnapshot, { head: "main" }), CORRUPT);
  });

  test("of map nodes", async () => {
    const { database, store } = await openHarness();
    const operations = Array.from({ length: 200 }, (_, index) => ({ key: utf8Of(`k${index}`), change: { put: KEY } }));
    const { root } = await database.states.apply("main", { operations });
    await damage(store, "nodes", root);
    const caller = await reopened(store);
    await fails(caller.unary(StateService.method.get, { at: MAIN, key: KEY }), CORRUPT);
    await fails(collect(caller.serverStream(StateService.method.scan, { at: MAIN })), CORRUPT);
    await fails(collect(caller.serverStream(ProofService.method.proveRange, { at: MAIN })), CORRUPT);
    const change = { case: "value", value: KEY } as const;
    const apply = { head: "main", operations: [{ key: KEY, change }] };
    await fails(caller.unary(StateService.method.apply, apply), CORRUPT);
  });
});
