// Goal: a write that takes long stops soon after its caller has left or its deadline has passed, and leaves the head where
// it was and nothing open. Method: the work that the store is asked for is counted; once with a caller who waits, and once
// with one who leaves as the work begins, or whose deadline passes in its middle.
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { describe, it } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { CommitService } from "#gen/neleus/v1/commit_pb.js";
import { ManifestService } from "#gen/neleus/v1/manifest_pb.js";
import { StateService, type StateServiceLoadRequestSchema } from "#gen/neleus/v1/state_pb.js";
import { hashBlob } from "#src/core/blob/index.js";
import { encodeManifest } from "#src/core/object/index.js";
import { GrpcStatus } from "#src/service/index.js";
import { patternBytes } from "../support/vectors.js";
import { fails, openHarness, utf8Of, type Harness } from "./harness.js";

/** A call that takes a while; `begun` is to be called once everything that it needs is on its way. */
type LongCall = (call: { readonly signal: AbortSignal; readonly begun: () => void }) => Promise<unknown>;

interface Trial {
  readonly harness: Harness;
  readonly call: LongCall;
  /** What the call does to the store if nobody ends it, at least. */
  readonly leastReads: number;
}

async function commitOfManyManifests(): Promise<Trial> {
  const harness = await openHarness();
  const manifests: Uint8Array[] = [];
  for (let index = 0; index < 6_000; index += 1) {
    const agent = `agent ${index}`;
    const bytes = encodeManifest({ v: 1, kind: "intent", agent, provider: "p", model: "m", inputs: [], time: 5 });
    manifests.push((await harness.database.manifests.put(bytes)).manifest.hash);
  }
  const call: LongCall = ({ signal, begun }) => {
    begun();
    const request = { head: "main", author: "a", manifests };
    return harness.caller.unary(CommitService.method.create, request, { signal });
  };
  return { harness, call, leastReads: 6_000 };
}

async function documentOfManyChunks(): Promise<Trial> {
  const harness = await openHarness();
  const bytes = patternBytes(1_000_000);
  const chunking = { method: "fixed", size: 16n };
  const call: LongCall = ({ signal, begun }) => {
    const requests = function* () {
      yield { part: { case: "header", value: { head: "main", source: "s", chunking } } } as const;
      yield { part: { case: "data", value: { offset: 0n, data: bytes } } } as const;
      begun();
      const finish = { size: BigInt(bytes.length), hash: hashBlob(bytes) };
      yield { part: { case: "finish", value: finish } } as const;
    };
    return harness.caller.clientStream(ManifestService.method.putDocument, requests(), { signal });
  };
  return { harness, call, leastReads: 4 };
}

async function loadOverMuch(): Promise<Trial> {
  const harness = await openHarness();
  const keys = Array.from({ length: 60_000 }, (_, index) => utf8Of(`key/${String(index).padStart(20, "0")}`));
  const before = await harness.database.states.load("main");
  await before.add({ keys, values: keys });
  await before.finish();
  await before.close();
  const call: LongCall = ({ signal, begun }) => {
    const requests = function* (): Generator<MessageInitShape<typeof StateServiceLoadRequestSchema>> {
      yield { part: { case: "header", value: { head: "main" } } };
      yield { part: { case: "entries", value: { keys: [utf8Of("a")], values: [utf8Of("b")] } } };
      begun();
      yield { part: { case: "finish", value: { count: 1n } } };
    };
    return harness.caller.clientStream(StateService.method.load, requests(), { signal });
  };
  return { harness, call, leastReads: 60_000 / 20 };
}

/** What the store was asked for while the work ran. */
async function counted({ work }: Harness, run: () => Promise<unknown>): Promise<{ reads: number; writes: number }> {
  const { reads, writes } = { ...work };
  await run();
  return { reads: work.reads - reads, writes: work.writes - writes };
}

const positionOf = async ({ database }: Harness): Promise<unknown> => {
  const view = await database.view();
  return [view.logSize, (await database.usage()).uploads, await view.head("main")];
};

describe("a call that takes long", () => {
  for (const [name, open] of [
    ["a commit of many manifests", commitOfManyManifests],
    ["a document of many chunks", documentOfManyChunks],
    ["a load over much", loadOverMuch],
  ] as const) {
    it(`stops where its caller leaves: ${name}`, { timeout: 60_000 }, async () => {
      const { harness, call, leastReads } = await open();
      const position = await positionOf(harness);
      const left = await counted(harness, async () => {
        const controller = new AbortController();
        const leave = (): void => void setImmediate(() => controller.abort());
        const ended = call({ signal: controller.signal, begun: leave });
        await fails(ended, { code: "CANCELLED", status: GrpcStatus.CANCELLED });
      });
      const late = await counted(harness, async () => {
        const ended = call({ signal: AbortSignal.timeout(20), begun: () => undefined });
        await fails(ended, { code: "DEADLINE_EXCEEDED", status: GrpcStatus.DEADLINE_EXCEEDED });
      });
      const after = await counted(harness, () => delay(50));
      assert.deepEqual(after, { reads: 0, writes: 0 }, "nothing goes on behind the answer");
      assert.deepEqual(harness.open, { blobs: 0, uploads: 0 });
      assert.deepEqual(await positionOf(harness), position);
      const whole = await counted(harness, () =>
        call({ signal: new AbortController().signal, begun: () => undefined }),
      );
      assert.ok(whole.reads >= leastReads, `${whole.reads} reads`);
      for (const { reads, writes } of [left, late]) {
        assert.ok(reads <= whole.reads / 2, `${reads} of ${whole.reads} reads`);
        assert.ok(writes < whole.writes, `${writes} of ${whole.writes} writes`);
      }
    });
  }
});
