// Goal: a document comes back as the manifest says it was cut, its chunk list is complete by proof, and only the finish
// of its stream stores anything. Method: a naive cutter as twin, broken streams, and core's verifiers.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  ManifestService,
  DocumentHeaderSchema,
  type ManifestServicePutDocumentRequestSchema,
} from "#gen/neleus/v1/manifest_pb.js";
import { CommitService } from "#gen/neleus/v1/commit_pb.js";
import { hashBlob } from "#src/core/blob/index.js";
import { toHex } from "#src/core/bytes.js";
import { MAX_CHUNK_BYTES } from "#src/core/limits.js";
import { MapKind, ScanVerifier } from "#src/core/map/index.js";
import {
  chunkCell,
  chunkKey,
  commitHashOf,
  decodeManifestOf,
  manifestHashOf,
  parseChunkKey,
} from "#src/core/object/index.js";
import { GrpcStatus } from "#src/service/index.js";
import { patternBytes } from "../support/vectors.js";
import { collect, fails, openHarness, revealsOf, utf8Of, type Harness } from "./harness.js";

const { putDocument: PutDocument, listChunks: ListChunks, get: Get } = ManifestService.method;
const INVALID = { code: "INVALID_ARGUMENT", status: GrpcStatus.INVALID_ARGUMENT } as const;
const NOT_FOUND = { code: "NOT_FOUND", status: GrpcStatus.NOT_FOUND } as const;
const CANCELLED = { code: "CANCELLED", status: GrpcStatus.CANCELLED } as const;
const UNKNOWN = new Uint8Array(32).fill(9);
type Part = MessageInitShape<typeof ManifestServicePutDocumentRequestSchema>;
type Header = MessageInitShape<typeof DocumentHeaderSchema>;

const header = (more: Header = {}): Part => {
  const value = { source: "test.txt", chunking: { method: "fixed", size: 100n }, ...more };
  return { part: { case: "header", value: create(DocumentHeaderSchema, value as Header) } };
};

function partsOf(bytes: Uint8Array, more: Header = {}): Part[] {
  const parts = [header(more)];
  for (let offset = 0; offset < bytes.length; offset += 50_000) {
    parts.push({
      part: { case: "data", value: { offset: BigInt(offset), data: bytes.subarray(offset, offset + 50_000) } },
    });
  }
  return [...parts, { part: { case: "finish", value: { size: BigInt(bytes.length), hash: hashBlob(bytes) } } }];
}

async function put(harness: Harness, bytes: Uint8Array, more: Header = {}) {
  return harness.caller.clientStream(PutDocument, partsOf(bytes, more));
}

/** The slow twin: how the comment of `Chunking.method` cuts. */
function cut(length: number, size: number, overlap: number): { offset: number; size: number }[] {
  const chunks: { offset: number; size: number }[] = [];
  for (let start = 0; length > 0;) {
    const end = Math.min(start + size, length);
    chunks.push({ offset: start, size: end - start });
    if (end === length) break;
    start = end - overlap;
  }
  return chunks;
}

/** Lists chunks and checks the list from the first reveal to the last. */
async function verifiedChunks(harness: Harness, manifest: Uint8Array, page: { first?: bigint; limit?: bigint } = {}) {
  const hash = manifestHashOf(manifest);
  const messages = await collect(harness.caller.serverStream(ListChunks, { manifest: hash, ...page }));
  const first = messages[0]?.header;
  assert.ok(first);
  assert.equal(toHex(manifestHashOf(first.manifest)), toHex(hash));
  const document = decodeManifestOf("document", first.manifest).object;
  const to = first.next === undefined ? undefined : chunkKey(Number(first.next));
  const map = { kind: MapKind.chunks, root: document.chunks };
  const verifier = new ScanVerifier(map, { from: chunkKey(Number(page.first ?? 0n)), to });
  const chunks = messages.flatMap(({ nodes }) =>
    verifier.push(revealsOf(nodes)).map(({ key, cell }) => ({ index: parseChunkKey(key), ...chunkCell.decode(cell) })),
  );
  verifier.finish();
  return { chunks, next: first.next };
}

describe("ManifestService.PutDocument", () => {
  test("the manifest says what was sent, and the chunks are where it says", async () => {
    const harness = await openHarness();
    for (const [length, size, overlap] of [
      [0, 10, 0],
      [1, 10, 9],
      [10, 10, 0],
      [1000, 7, 3],
      [200_000, 1000, 10],
    ] as const) {
      const bytes = patternBytes(length);
      const chunking = { method: "fixed", size: BigInt(size), overlap: BigInt(overlap) };
      const answer = await put(harness, bytes, {
        head: "main",
        title: "T",
        media: "text/plain",
        time: 5n,
        meta: { a: "b" },
        chunking,
      });
      const { object } = decodeManifestOf("document", answer.manifest);
      assert.deepEqual(
        { source: object.source, title: object.title, media: object.media, time: object.time, meta: object.meta },
        { source: "test.txt", title: "T", media: "text/plain", time: 5, meta: { a: "b" } },
      );
      assert.deepEqual({ ...object.chunking }, { method: "fixed", size, overlap });
      assert.equal(toHex(object.blob.hash), toHex(hashBlob(bytes)));
      assert.equal(object.blob.size, length);
      assert.equal(answer.receipt?.checkpoint, await harness.database.log.checkpoint());
      const { chunks, next } = await verifiedChunks(harness, answer.manifest);
      assert.equal(next, undefined);
      const expected = cut(length, size, overlap).map((chunk, index) => ({
        index,
        hash: toHex(hashBlob(bytes.subarray(chunk.offset, chunk.offset + chunk.size))),
        ...chunk,
      }));
      assert.deepEqual(
        chunks.map(({ index, hash, offset, size: bytesInIt }) => ({
          index,
          hash: toHex(hash),
          offset,
          size: bytesInIt,
        })),
        expected,
      );
    }
    assert.deepEqual(harness.open, { blobs: 0, uploads: 0 });
  });

  test("without a head nothing is staged, and there is no receipt", async () => {
    const harness = await openHarness();
    const { logSize } = await harness.database.view();
    const { manifest, receipt } = await put(harness, utf8Of("hello"));
    assert.equal(receipt, undefined);
    assert.equal((await harness.database.view()).logSize, logSize);
    assert.deepEqual((await harness.caller.unary(Get, { manifest: manifestHashOf(manifest) })).manifest, manifest);
    assert.equal(decodeManifestOf("document", manifest).object.time, harness.clock.nowMs);
  });

  test("broken streams store nothing, and say which part is wrong", async () => {
    const harness = await openHarness();
    const bytes = patternBytes(1000);
    const before = await harness.fingerprint();
    const with_ = (more: Header) => partsOf(bytes, more);
    const cutBy = (chunking: object) => with_({ chunking: { method: "fixed", size: 10n, overlap: 0n, ...chunking } });
    const whole = with_({});
    const wrong: [Part[], object][] = [
      [[], { ...INVALID, field: "part" }],
      [whole.slice(1), { ...INVALID, field: "part" }],
      [whole.slice(0, -1), { ...INVALID, field: "part" }],
      [
        [header(), { part: { case: "data", value: { offset: 1n, data: bytes } } }],
        { code: "CONFLICT", status: GrpcStatus.ABORTED },
      ],
      [
        [header(), { part: { case: "finish", value: { size: 5n, hash: hashBlob(bytes) } } }],
        { ...INVALID, field: "finish.size" },
      ],
      [
        [...whole.slice(0, -1), { part: { case: "finish", value: { size: 1000n, hash: UNKNOWN } } }],
        { ...INVALID, field: "finish.hash" },
      ],
      [with_({ head: "mian" }), { ...NOT_FOUND, kind: "head" }],
      [with_({ head: "a//b" }), { ...INVALID, field: "header.head" }],
      [with_({ database: "a/b" }), { ...INVALID, field: "header.database" }],
      [with_({ database: "other" }), NOT_FOUND],
      [with_({ source: "" }), { ...INVALID, field: "header.source" }],
      [with_({ source: "s".repeat(65_537) }), { ...INVALID, field: "header.source" }],
      [with_({ title: "s".repeat(65_537) }), { ...INVALID, field: "header.title" }],
      [with_({ media: "s".repeat(65_537) }), { ...INVALID, field: "header.media" }],
      [with_({ time: 2n ** 53n }), { ...INVALID, field: "header.time" }],
      [with_({ meta: { a: "s".repeat(300_000) } }), { ...INVALID, field: "header.meta" }],
      [[{ part: { case: "header", value: { source: "s" } } }], { ...INVALID, field: "header.chunking" }],
      [cutBy({ method: "" }), { ...INVALID, field: "header.chunking.method" }],
      [cutBy({ method: "markdown" }), { ...INVALID, field: "header.chunking.method" }],
      [cutBy({ size: 0n }), { ...INVALID, field: "header.chunking.size" }],
      [cutBy({ size: BigInt(MAX_CHUNK_BYTES) + 1n }), { ...INVALID, field: "header.chunking.size" }],
      [cutBy({ overlap: 10n }), { ...INVALID, field: "header.chunking.overlap" }],
      [cutBy({ overlap: 2n ** 60n }), { ...INVALID, field: "header.chunking.overlap" }],
    ];
    for (const [parts, expected] of wrong)
      await fails(harness.caller.clientStream(PutDocument, parts), expected as typeof INVALID);
    assert.equal(await harness.fingerprint(), before);
    assert.deepEqual(harness.open, { blobs: 0, uploads: 0 });
  });

  test("a cancelled document leaves nothing", async () => {
    const harness = await openHarness();
    const before = await harness.fingerprint();
    const controller = new AbortController();
    const stream = (async function* (): AsyncGenerator<Part> {
      yield* partsOf(patternBytes(200_000), { head: "main" }).slice(0, -1);
      controller.abort();
    })();
    await fails(harness.caller.clientStream(PutDocument, stream, { signal: controller.signal }), CANCELLED);
    assert.equal(await harness.fingerprint(), before);
    assert.deepEqual(harness.open, { blobs: 0, uploads: 0 });
  });
});

describe("ManifestService.ListChunks", () => {
  test("pages join up", async () => {
    const harness = await openHarness();
    const { manifest } = await put(harness, patternBytes(30_050));
    for (const limit of [1n, 100n, 300n, 301n, 302n]) {
      const seen: number[] = [];
      let first: bigint | undefined = limit === 1n ? 290n : 0n;
      while (first !== undefined) {
        const page: Awaited<ReturnType<typeof verifiedChunks>> = await verifiedChunks(harness, manifest, {
          first,
          limit,
        });
        assert.ok(BigInt(page.chunks.length) <= limit);
        seen.push(...page.chunks.map(({ index }) => index));
        first = page.next;
      }
      const start = limit === 1n ? 290 : 0;
      assert.deepEqual(
        seen,
        Array.from({ length: 301 - start }, (_, index) => start + index),
      );
    }
  });

  test("a document without chunks has a list without chunks", async () => {
    const harness = await openHarness();
    const { manifest } = await put(harness, new Uint8Array(0));
    assert.deepEqual((await verifiedChunks(harness, manifest)).chunks, []);
  });

  test("long lists come in several messages, and a reader may stop", async () => {
    const harness = await openHarness();
    const { manifest } = await put(harness, patternBytes(20_000), {
      chunking: { method: "fixed", size: 2n, overlap: 1n },
    });
    const request = { manifest: manifestHashOf(manifest) };
    assert.ok((await collect(harness.caller.serverStream(ListChunks, request))).length > 1);
    const controller = new AbortController();
    const stream = harness.caller.serverStream(ListChunks, request, { signal: controller.signal });
    await stream.next();
    controller.abort();
    await fails(stream.next(), CANCELLED);
  });

  test("errors", async () => {
    const harness = await openHarness();
    const { manifest } = await put(harness, patternBytes(1000));
    const { commit } = await harness.caller.unary(CommitService.method.create, { head: "main", author: "a" });
    const hash = manifestHashOf(manifest);
    const ask = (request: object) => collect(harness.caller.serverStream(ListChunks, { manifest: hash, ...request }));
    await fails(ask({ manifest: UNKNOWN }), { ...NOT_FOUND, kind: "manifest" });
    await fails(ask({ manifest: utf8Of("x") }), { ...INVALID, field: "manifest" });
    await fails(ask({ manifest: commitHashOf(commit) }), { ...INVALID, field: "manifest" });
    await fails(ask({ first: 10n }), { ...INVALID, field: "first" });
    await fails(ask({ first: 2n ** 64n - 1n }), { ...INVALID, field: "first" });
    await fails(ask({ limit: 0n }), { ...INVALID, field: "limit" });
    await fails(ask({ first: 9n, limit: 2n ** 53n }), { ...INVALID, field: "limit" });
  });
});

describe("ManifestService.Get", () => {
  test("errors", async () => {
    const harness = await openHarness();
    const { commit } = await harness.caller.unary(CommitService.method.create, { head: "main", author: "a" });
    await fails(harness.caller.unary(Get, { manifest: UNKNOWN }), { ...NOT_FOUND, kind: "manifest" });
    await fails(harness.caller.unary(Get, { manifest: utf8Of("x") }), { ...INVALID, field: "manifest" });
    await fails(harness.caller.unary(Get, { manifest: commitHashOf(commit) }), { ...INVALID, field: "manifest" });
  });
});
