// Goal: whatever a caller sends, it gets an answer or an error that it can act on: never INTERNAL, never one that is not
// ours, and InvalidArgument always names a field of the request. Method: requests made from every descriptor
// (hostile-request.ts), sent through a wire to a database with some of everything in it.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type {
  DescMethod,
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  Message,
} from "@bufbuild/protobuf";
import fc from "fast-check";
import { cosign, formatNote, parseNote } from "#src/core/log/index.js";
import { hashBlob } from "#src/core/blob/index.js";
import { NeleusError } from "#src/core/errors.js";
import { signerFromSeed, signObject } from "#src/core/signature/index.js";
import { createServices, GrpcStatus, STATUS_OF } from "#src/service/index.js";
import { collect, openHarness, utf8Of, type Harness } from "./harness.js";
import { leadsToField, requestsOf, type KnownValues, WITNESS } from "./hostile-request.js";

const RUNS = 80;

async function fill({ database }: Harness): Promise<KnownValues> {
  await database.epochs.announceKey();
  await database.epochs.begin({ reason: "rekeyed" });
  const keys = Array.from({ length: 300 }, (_, index) => utf8Of(`key/${index}`));
  const operations = keys.map((key) => ({ key, change: { put: key } }));
  const { root, receipt } = await database.states.apply("main", { operations });
  const { commit } = await database.commits.create({ head: "main", author: "a", message: "m" });
  await database.tags.create("v1", commit.hash);
  const document = await database.documents.begin({
    head: "main",
    source: "s",
    chunking: { method: "fixed", sizeBytes: 5, overlapBytes: 1 },
  });
  const text = utf8Of("some text in chunks");
  await document.append(0, text);
  const { manifest } = await document.finish({ sizeBytes: text.length, hash: hashBlob(text) });
  await document.close();
  const large = await database.blobs.put(new Uint8Array(300_000));
  const view = await database.view();
  const { stagedLedger } = await view.head("main");
  const unknown = new Uint8Array(32).fill(1);
  const signers = [1, 2].map((seed) => signerFromSeed(new Uint8Array(32).fill(seed)));
  const { bytes } = await database.commits.prepare({ head: "main", author: "a", message: "signed" });
  const signed = signObject("commit:", bytes, signers[0]!);
  return {
    publicKeys: [...signers.map(({ publicKey }) => publicKey), unknown],
    signedCommits: [signed, signed, bytes],
    signedManifests: [signObject("manifest:", manifest.bytes, signers[0]!), manifest.bytes],
    blobs: [hashBlob(text), hashBlob(utf8Of("key/12")), hashBlob(utf8Of("key/13")), large.hash, unknown],
    commits: [commit.hash, commit.hash, unknown],
    manifests: [manifest.hash, manifest.hash, unknown],
    roots: [root, root, view.refs.root, stagedLedger, unknown],
    checkpoint: receipt.checkpoint,
    cosigned: formatNote(cosign(parseNote(receipt.checkpoint), { ...WITNESS, seconds: 1 })),
    keys: [...keys.slice(0, 8), utf8Of("key/")],
    content: { bytes: text, hash: hashBlob(text) },
  };
}

async function call({ caller }: Harness, method: DescMethod, requests: readonly Message[]): Promise<void> {
  const [first] = requests;
  switch (method.methodKind) {
    case "client_streaming":
      await caller.clientStream(method as DescMethodClientStreaming, requests);
      return;
    case "unary":
      assert.ok(first);
      await caller.unary(method as DescMethodUnary, first);
      return;
    case "server_streaming":
      assert.ok(first);
      await collect(caller.serverStream(method as DescMethodServerStreaming, first));
      return;
    default:
      throw new Error(`cannot call ${method.name}`);
  }
}

describe("hostile requests", () => {
  const methods = createServices({ version: "", database: () => Promise.reject(new Error()) }).flatMap(
    ({ descriptor }) => descriptor.methods,
  );
  /** How the requests of all methods ended, by error code. */
  const all = new Map<string, number>();
  for (const method of methods) {
    test(`${method.parent.name}.${method.name}`, async () => {
      const harness = await openHarness();
      const known = await fill(harness);
      const outcomes = new Map<string, number>();
      await fc.assert(
        fc.asyncProperty(requestsOf(method, known), async (requests) => {
          let outcome = "OK";
          try {
            await call(harness, method, requests);
          } catch (error) {
            assert.ok(error instanceof NeleusError, error instanceof Error ? error.stack : String(error));
            assert.notEqual(STATUS_OF[error.code], GrpcStatus.INTERNAL, error.stack);
            assert.notEqual(error.code, "CORRUPT", error.stack);
            outcome = error.code;
            if (error.code !== "INVALID_ARGUMENT") return;
            assert.ok(error.field !== undefined, `names no field: ${error.message}`);
            assert.ok(leadsToField(method.input, error.field), `no field of the request: ${error.field}`);
            assert.ok(error.message.length < 600, "the message is short, whatever was sent");
          } finally {
            outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
          }
          assert.deepEqual(harness.open, { blobs: 0, uploads: 0 });
        }),
        { numRuns: RUNS },
      );
      assert.ok(outcomes.has("OK"), `all end in ${[...outcomes.keys()].join()}: that tests little`);
      for (const [outcome, count] of outcomes) all.set(outcome, (all.get(outcome) ?? 0) + count);
    });
  }

  // Of one method a run may happen to meet no refusal; of all of them it meets most kinds.
  test("are refused often, and for many reasons", () => {
    const requests = [...all.values()].reduce((sum, count) => sum + count, 0);
    const accepted = all.get("OK") ?? 0;
    assert.ok(all.size >= 5 && accepted < 0.8 * requests, JSON.stringify([...all]));
  });
});
