// Goal: bytes come back as they went in, each slice checked by core's decoder, and nothing but the finish of an upload
// stores anything. Method: sizes around every boundary of the tree, broken streams of every kind, and a store that
// counts what is open.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import {
  BatchPutOutcome,
  BlobService,
  DownloadHeaderSchema,
  UploadDataSchema,
  type BlobServiceUploadRequestSchema,
} from "#gen/neleus/v1/blob_pb.js";
import { decodeSlice, hashBlob, SliceDecoder } from "#src/core/blob/index.js";
import { concatBytes, toHex } from "#src/core/bytes.js";
import { blobHash } from "#src/core/hashes.js";
import {
  LARGE_BLOB_BYTES,
  MAX_BATCH_BLOBS,
  MAX_DOWNLOAD_RANGES,
  MAX_INLINE_VALUE_BYTES,
  MAX_UPLOAD_DATA_BYTES,
} from "#src/core/limits.js";
import { GrpcStatus } from "#src/service/index.js";
import { patternBytes } from "../support/vectors.js";
import { collect, fails, openHarness, utf8Of, type Harness } from "./harness.js";

const {
  upload: Upload,
  queryUpload: QueryUpload,
  download: Download,
  findMissing: FindMissing,
  batchPut: BatchPut,
  batchGet: BatchGet,
  stat: Stat,
} = BlobService.method;
type UploadPart = MessageInitShape<typeof BlobServiceUploadRequestSchema>;

const INVALID = { code: "INVALID_ARGUMENT", status: GrpcStatus.INVALID_ARGUMENT } as const;
const NOT_FOUND = { code: "NOT_FOUND", status: GrpcStatus.NOT_FOUND } as const;
const CONFLICT = { code: "CONFLICT", status: GrpcStatus.ABORTED } as const;
const LIMIT = { code: "LIMIT_EXCEEDED", status: GrpcStatus.RESOURCE_EXHAUSTED } as const;
const CANCELLED = { code: "CANCELLED", status: GrpcStatus.CANCELLED } as const;

const header = (uploadId = ""): UploadPart => ({ part: { case: "header", value: { uploadId } } });
const declaring = (content: { hash: Uint8Array; size: bigint }): UploadPart => ({
  part: { case: "header", value: { content } },
});
const data = (offset: number, bytes: Uint8Array): UploadPart => ({
  part: { case: "data", value: create(UploadDataSchema, { offset: BigInt(offset), data: bytes }) },
});
const finish = (bytes: Uint8Array): UploadPart => ({
  part: { case: "finish", value: { size: BigInt(bytes.length), hash: hashBlob(bytes) } },
});

function partsOf(bytes: Uint8Array, pieceBytes = 100_000): UploadPart[] {
  const parts = [header()];
  for (let offset = 0; offset < bytes.length; offset += pieceBytes) {
    parts.push(data(offset, bytes.subarray(offset, offset + pieceBytes)));
  }
  return [...parts, finish(bytes)];
}

/** Downloads a range and checks it as it arrives. */
async function verifiedDownload(harness: Harness, bytes: Uint8Array, range: { start?: number; end?: number } = {}) {
  const hash = hashBlob(bytes);
  const end = range.end === undefined ? {} : { end: BigInt(range.end) };
  const stream = harness.caller.serverStream(Download, { hash, start: BigInt(range.start ?? 0), ...end });
  const first = (await stream.next()).value?.part;
  assert.equal(first?.case, "header");
  assert.equal(Number(first.value.size), bytes.length);
  const answered = { start: Number(first.value.start), end: Number(first.value.end) };
  assert.deepEqual(answered, { start: range.start ?? 0, end: range.end ?? bytes.length });
  const decoder = new SliceDecoder({ hash: blobHash(hash), sizeBytes: bytes.length, range: answered });
  const pieces: Uint8Array[] = [];
  for await (const { part } of stream) {
    assert.equal(part.case, "slice");
    assert.ok(part.value.data.length <= 262_144 && part.value.parents.length <= 262_144);
    pieces.push(...decoder.push(part.value).map((piece) => new Uint8Array(piece)));
  }
  decoder.finish();
  return { content: concatBytes(...pieces), sizeProved: decoder.sizeProved };
}

describe("BlobService.Upload", () => {
  test("bytes of every size come back, checked group by group", async () => {
    const harness = await openHarness();
    for (const size of [0, 1, 16_378, 16_379, 16_380, 65_535, 65_536, 300_000, 1_000_003]) {
      const bytes = patternBytes(size);
      const stored = await harness.caller.clientStream(Upload, partsOf(bytes));
      assert.deepEqual(stored.hash, new Uint8Array(hashBlob(bytes)));
      assert.equal(Number(stored.size), size);
      const { content, sizeProved } = await verifiedDownload(harness, bytes);
      assert.deepEqual(content, bytes);
      assert.equal(sizeProved, true);
    }
    assert.deepEqual(harness.open, { blobs: 0, uploads: 0 });
  });

  test("broken streams store nothing, and say which part is wrong", async () => {
    const harness = await openHarness();
    const { caller } = harness;
    const bytes = patternBytes(200_000);
    const before = await harness.fingerprint();
    const other = { part: { case: "finish", value: { size: 200_000n, hash: hashBlob(utf8Of("x")) } } } as const;
    const long = { part: { case: "finish", value: { size: 200_001n, hash: hashBlob(bytes) } } } as const;
    const wrong: [UploadPart[], object][] = [
      [[], { ...INVALID, field: "part" }],
      [[{}], { ...INVALID, field: "part" }],
      [[data(0, bytes)], { ...INVALID, field: "part" }],
      [[finish(bytes)], { ...INVALID, field: "part" }],
      [[header()], { ...INVALID, field: "part" }],
      [[header(), data(0, bytes)], { ...INVALID, field: "part" }],
      [[header(), header()], { ...INVALID, field: "part" }],
      [[header(), {}], { ...INVALID, field: "part" }],
      [[header(), data(0, bytes), data(199_999, bytes)], { ...INVALID, field: "data.offset" }],
      [[header(), data(0, bytes), data(200_001, bytes)], { ...INVALID, field: "data.offset" }],
      [[header(), data(1, bytes)], CONFLICT],
      [[header(), data(2 ** 53 - 1, bytes)], CONFLICT],
      [[header(), { part: { case: "data", value: { offset: 2n ** 53n } } }], { ...INVALID, field: "data.offset" }],
      [[header(), data(0, new Uint8Array(MAX_UPLOAD_DATA_BYTES + 1))], { ...INVALID, field: "data.data" }],
      [[header(), data(0, bytes), other], { ...INVALID, field: "finish.hash" }],
      [[header(), data(0, bytes), long], { ...INVALID, field: "finish.size" }],
      [[header(), data(0, bytes), { part: { case: "finish", value: {} } }], { ...INVALID, field: "finish.hash" }],
      [[header("a/b")], { ...INVALID, field: "header.upload_id" }],
      [[{ part: { case: "header", value: { database: "a b" } } }], { ...INVALID, field: "header.database" }],
      [[{ part: { case: "header", value: { database: "other" } } }], NOT_FOUND],
    ];
    for (const [parts, expected] of wrong) await fails(caller.clientStream(Upload, parts), expected as typeof INVALID);
    assert.equal(await harness.fingerprint(), before);
    assert.deepEqual(harness.open, { blobs: 0, uploads: 0 });
  });

  test("content that the header declares and the database holds is answered at once", async () => {
    const harness = await openHarness();
    const { caller } = harness;
    for (const size of [0, 1000, LARGE_BLOB_BYTES, 300_000]) {
      const bytes = patternBytes(size);
      const content = { hash: hashBlob(bytes), size: BigInt(size) };
      assert.equal((await caller.unary(QueryUpload, { content })).held, false);
      const missing = await caller.clientStream(Upload, [declaring(content), ...partsOf(bytes).slice(1)]);
      assert.equal(missing.alreadyHeld, false);
      assert.deepEqual(await caller.unary(QueryUpload, { content, uploadId: "x" }), {
        ...(await caller.unary(QueryUpload, { uploadId: "x" })),
        held: true,
      });
      // The stream goes on for ever, as far as the server knows.
      let taken = 0;
      const endless = (async function* (): AsyncGenerator<UploadPart> {
        yield declaring(content);
        taken += 1;
        await new Promise(() => undefined);
      })();
      const held = await caller.clientStream(Upload, endless);
      assert.deepEqual([held.alreadyHeld, Number(held.size), toHex(held.hash)], [true, size, toHex(content.hash)]);
      assert.ok(taken <= 1);
      // Half-closed right behind the header, as by a client that only asks.
      assert.equal((await caller.clientStream(Upload, [declaring(content)])).alreadyHeld, true);
    }
    assert.deepEqual(harness.open, { blobs: 0, uploads: 0 });
  });

  test("a declaration that does not fit is refused as soon as that shows", async () => {
    const harness = await openHarness();
    const { caller } = harness;
    const bytes = patternBytes(200_000);
    const before = await harness.fingerprint();
    const hash = hashBlob(bytes);
    const other = hashBlob(utf8Of("other"));
    const sent = partsOf(bytes).slice(1);
    const wrong: [UploadPart[], object][] = [
      [[declaring({ hash: other, size: 200_000n }), ...sent], { ...INVALID, field: "finish.hash" }],
      [[declaring({ hash, size: 200_001n }), ...sent], { ...INVALID, field: "finish.size" }],
      [[declaring({ hash, size: 150_000n }), ...sent], { ...INVALID, field: "data.data" }],
      [[declaring({ hash, size: 2n ** 60n })], { ...INVALID, field: "header.content.size" }],
      [[declaring({ hash, size: BigInt(Number.MAX_SAFE_INTEGER) })], { ...INVALID, field: "header.content.size" }],
      [[declaring({ hash: new Uint8Array(31), size: 1n })], { ...INVALID, field: "header.content.hash" }],
      [[declaring({ hash, size: 200_000n })], { ...INVALID, field: "part" }],
      // The declared hash is that of what arrives, but the finish says another.
      [
        [
          declaring({ hash, size: 200_000n }),
          data(0, bytes),
          { part: { case: "finish", value: { size: 200_000n, hash: other } } },
        ],
        { ...INVALID, field: "finish.hash" },
      ],
    ];
    for (const [parts, expected] of wrong) await fails(caller.clientStream(Upload, parts), expected as typeof INVALID);
    await fails(caller.unary(QueryUpload, { content: { hash: new Uint8Array(3) } }), {
      ...INVALID,
      field: "content.hash",
    });
    assert.equal(await harness.fingerprint(), before);
    assert.deepEqual(harness.open, { blobs: 0, uploads: 0 });
  });

  test("what is held under another size, or damaged so that it cannot be opened, is not said to be held", async () => {
    const { caller, database, store } = await openHarness();
    const bytes = patternBytes(300_000);
    const { hash } = await database.blobs.put(bytes);
    const held = async (size: bigint): Promise<boolean> =>
      (await caller.unary(QueryUpload, { content: { hash, size } })).held;
    assert.deepEqual([await held(300_000n), await held(299_999n), await held(0n)], [true, false, false]);
    await store.files.delete(hash);
    const staged = await store.files.stage("half", { metadata: new Uint8Array(0) });
    await staged.append(0, bytes);
    await staged.publish(hash);
    assert.equal(await held(300_000n), false, "its outboard is missing");
    const mended = await caller.clientStream(Upload, [declaring({ hash, size: 300_000n }), ...partsOf(bytes).slice(1)]);
    assert.deepEqual([mended.alreadyHeld, await held(300_000n)], [false, true]);
  });

  test("of two uploads of the same content at once, the second to begin after the first's end is told so", async () => {
    const { caller } = await openHarness();
    const bytes = patternBytes(300_000);
    const content = { hash: hashBlob(bytes), size: 300_000n };
    const parts = [declaring(content), ...partsOf(bytes).slice(1)];
    const both = await Promise.all([caller.clientStream(Upload, parts), caller.clientStream(Upload, parts)]);
    assert.ok(both.every(({ size }) => size === 300_000n));
    assert.equal((await caller.clientStream(Upload, parts)).alreadyHeld, true);
  });

  test("what follows the finish is not read", async () => {
    const harness = await openHarness();
    const bytes = patternBytes(10);
    const stored = await harness.caller.clientStream(Upload, [...partsOf(bytes), data(10, bytes)]);
    assert.equal(stored.size, 10n);
  });

  test("a cancelled upload is let go of at once, however its stream ends", async () => {
    for (const manner of ["ends cleanly", "stays silent", "fails"] as const) {
      const harness = await openHarness();
      const before = await harness.fingerprint();
      const controller = new AbortController();
      const bytes = patternBytes(LARGE_BLOB_BYTES * 3);
      const stream = (async function* (): AsyncGenerator<UploadPart> {
        yield header();
        yield data(0, bytes);
        controller.abort();
        if (manner === "stays silent") await new Promise(() => undefined);
        if (manner === "fails") throw new Error("connection lost");
      })();
      const call = harness.caller.clientStream(Upload, stream, { signal: controller.signal });
      await fails(call, CANCELLED);
      assert.deepEqual(harness.open, { blobs: 0, uploads: 0 }, manner);
      assert.equal(await harness.fingerprint(), before, manner);
    }
  });

  test("an upload with an id goes on where it stood", async () => {
    const harness = await openHarness();
    const { caller } = harness;
    const bytes = patternBytes(500_000);
    assert.equal((await caller.unary(QueryUpload, { uploadId: "u.1" })).offset, 0n);
    const controller = new AbortController();
    const broken = (async function* (): AsyncGenerator<UploadPart> {
      yield header("u.1");
      yield data(0, bytes.subarray(0, 300_000));
      controller.abort();
    })();
    await fails(caller.clientStream(Upload, broken, { signal: controller.signal }), CANCELLED);
    assert.deepEqual(harness.open, { blobs: 0, uploads: 0 });
    const { offset } = await caller.unary(QueryUpload, { uploadId: "u.1" });
    assert.equal(offset, 300_000n);

    const tooEarly = [header("u.1"), data(0, bytes)];
    assert.equal((await fails(caller.clientStream(Upload, tooEarly), CONFLICT)).facts["offset"], "300000");
    const rest = [header("u.1"), data(300_000, bytes.subarray(300_000)), finish(bytes)];
    assert.equal((await caller.clientStream(Upload, rest)).size, 500_000n);
    assert.equal((await caller.unary(QueryUpload, { uploadId: "u.1" })).offset, 0n);
    assert.deepEqual((await verifiedDownload(harness, bytes)).content, bytes);
  });

  test("an id that is in use is refused", async () => {
    const harness = await openHarness();
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    let announce = (): void => undefined;
    const opened = new Promise<void>((resolve) => (announce = resolve));
    const slow = (async function* (): AsyncGenerator<UploadPart> {
      yield header("busy");
      announce();
      await gate;
      yield data(0, utf8Of("x"));
      yield finish(utf8Of("x"));
    })();
    const first = harness.caller.clientStream(Upload, slow);
    await opened;
    await fails(harness.caller.clientStream(Upload, [header("busy")]), CONFLICT);
    release();
    assert.equal((await first).size, 1n);
  });

  test("QueryUpload refuses what is no id", async () => {
    const { caller } = await openHarness();
    for (const uploadId of ["", "a b", "x".repeat(65)]) {
      await fails(caller.unary(QueryUpload, { uploadId }), { ...INVALID, field: "upload_id" });
    }
  });
});

describe("BlobService.Download", () => {
  test("any range, checked", async () => {
    const harness = await openHarness();
    const bytes = patternBytes(700_000);
    await harness.caller.clientStream(Upload, partsOf(bytes));
    for (const [start, end] of [
      [0, 1],
      [16_378, 16_380],
      [0, 700_000],
      [699_999, 700_000],
      [123_456, 654_321],
    ] as const) {
      const { content, sizeProved } = await verifiedDownload(harness, bytes, { start, end });
      assert.deepEqual(content, bytes.subarray(start, end));
      assert.equal(sizeProved, end === 700_000);
    }
  });

  test("without parents it is exactly the bytes of the range", async () => {
    const harness = await openHarness();
    const bytes = patternBytes(700_000);
    await harness.caller.clientStream(Upload, partsOf(bytes));
    for (const [start, end] of [
      [0, 700_000],
      [16_378, 16_381],
    ] as const) {
      const request = { hash: hashBlob(bytes), start: BigInt(start), end: BigInt(end), omitParents: true };
      const [, ...slices] = await collect(harness.caller.serverStream(Download, request));
      const pieces = slices.map(({ part }) => {
        assert.equal(part.case, "slice");
        assert.equal(part.value.parents.length, 0);
        return part.value.data;
      });
      assert.deepEqual(concatBytes(...pieces), bytes.subarray(start, end));
    }
  });

  test("several ranges in one walk, checked, whether small or large", async () => {
    const harness = await openHarness();
    for (const size of [40_000, 2_000_000]) {
      const bytes = patternBytes(size);
      const { hash } = await harness.database.blobs.put(bytes);
      const wanted = [0, 1, 2, 3, 4, 5].map((index) => ({
        start: Math.floor((index * size) / 6),
        end: Math.floor((index * size) / 6) + index * index + 1,
      }));
      const open = { start: size - 10, end: size };
      const ranges = [
        ...wanted.map(({ start, end }) => ({ start: BigInt(start), end: BigInt(end) })),
        { start: BigInt(open.start) },
      ];
      const [first, ...slices] = await collect(harness.caller.serverStream(Download, { hash, ranges }));
      assert.deepEqual(first?.part, {
        case: "header",
        value: create(DownloadHeaderSchema, { size: BigInt(size), start: 0n, end: BigInt(size) }),
      });
      const decoder = new SliceDecoder({ hash: blobHash(hash), sizeBytes: size, range: [...wanted, open] });
      const pieces: Uint8Array[] = [];
      for (const { part } of slices) {
        assert.equal(part.case, "slice");
        pieces.push(...decoder.push(part.value).map((piece) => new Uint8Array(piece)));
      }
      decoder.finish();
      const expected = concatBytes(...[...wanted, open].map(({ start, end }) => bytes.subarray(start, end)));
      assert.deepEqual(concatBytes(...pieces), expected);
      const bare = await collect(harness.caller.serverStream(Download, { hash, ranges, omitParents: true }));
      const sent = bare.map(({ part }) => (part.case === "slice" ? part.value.data : new Uint8Array(0)));
      assert.deepEqual(concatBytes(...sent), expected);
    }
    assert.deepEqual(harness.open, { blobs: 0, uploads: 0 });
  });

  test("errors come before the header", async () => {
    const harness = await openHarness();
    const bytes = patternBytes(100_000);
    const { hash } = await harness.database.blobs.put(bytes);
    const ask = (more: object) => collect(harness.caller.serverStream(Download, { hash, ...more }));
    await fails(ask({ hash: new Uint8Array(32) }), { ...NOT_FOUND, kind: "blob" });
    await fails(ask({ hash: new Uint8Array(31) }), { ...INVALID, field: "hash" });
    await fails(ask({ start: 100_000n }), { ...INVALID, field: "start" });
    await fails(ask({ start: 100_001n }), { ...INVALID, field: "start" });
    await fails(ask({ start: 5n, end: 5n }), { ...INVALID, field: "end" });
    await fails(ask({ start: 5n, end: 4n }), { ...INVALID, field: "end" });
    await fails(ask({ end: 100_001n }), { ...INVALID, field: "end" });
    await fails(ask({ end: 2n ** 60n }), { ...INVALID, field: "end" });
    await fails(ask({ database: "other" }), NOT_FOUND);
    const range = (start: number, end: number): object => ({ start: BigInt(start), end: BigInt(end) });
    await fails(ask({ ranges: [range(0, 5), range(4, 9)] }), { ...INVALID, field: "ranges[1].start" });
    await fails(ask({ ranges: [{ start: 0n }, range(4, 9)] }), { ...INVALID, field: "ranges[1].start" });
    await fails(ask({ ranges: [range(0, 5), range(6, 100_001)] }), { ...INVALID, field: "ranges[1].end" });
    await fails(ask({ ranges: [{ start: 2n ** 60n }] }), { ...INVALID, field: "ranges[0].start" });
    await fails(ask({ ranges: [range(0, 5)], start: 1n }), { ...INVALID, field: "ranges" });
    await fails(ask({ ranges: [range(0, 5)], end: 5n }), { ...INVALID, field: "ranges" });
    const many = Array.from({ length: MAX_DOWNLOAD_RANGES + 1 }, (_, index) => range(index, index + 1));
    await fails(ask({ ranges: many }), { ...LIMIT, field: "ranges" });
    assert.equal((await ask({ ranges: many.slice(1) })).length, 2);
    assert.deepEqual(harness.open, { blobs: 0, uploads: 0 });
  });

  test("a reader that stops, or is cancelled, leaves no file open", async () => {
    const harness = await openHarness();
    const bytes = patternBytes(2_000_000);
    await harness.caller.clientStream(Upload, partsOf(bytes));
    for (const omitParents of [true, false]) {
      const stopped = harness.caller.serverStream(Download, { hash: hashBlob(bytes), omitParents });
      let messages = 0;
      while (messages < 3 && (await stopped.next()).done !== true) messages += 1;
      await stopped.return();
      assert.deepEqual(harness.open, { blobs: 0, uploads: 0 });

      const controller = new AbortController();
      const { signal } = controller;
      const cancelled = harness.caller.serverStream(Download, { hash: hashBlob(bytes), omitParents }, { signal });
      await cancelled.next();
      await cancelled.next();
      controller.abort();
      await fails(cancelled.next(), CANCELLED);
      assert.deepEqual(harness.open, { blobs: 0, uploads: 0 });
    }
  });
});

describe("BlobService.Stat", () => {
  test("the last group proves the size", async () => {
    const harness = await openHarness();
    for (const size of [0, 1, 16_379, 16_380, 400_000]) {
      const bytes = patternBytes(size);
      const hash = blobHash((await harness.database.blobs.put(bytes)).hash);
      const { size: claimed, parents, data: group } = await harness.caller.unary(Stat, { hash });
      assert.equal(Number(claimed), size);
      const range = { start: Math.max(0, size - 1), end: size };
      assert.deepEqual(
        decodeSlice({ parents, data: group }, { hash, sizeBytes: size, range }),
        bytes.subarray(range.start),
      );
      assert.ok(group.length <= 16_384);
    }
    assert.deepEqual(harness.open, { blobs: 0, uploads: 0 });
  });

  test("errors", async () => {
    const { caller } = await openHarness();
    await fails(caller.unary(Stat, { hash: new Uint8Array(32) }), { ...NOT_FOUND, kind: "blob" });
    await fails(caller.unary(Stat, { hash: new Uint8Array(0) }), { ...INVALID, field: "hash" });
  });
});

describe("batches of blobs", () => {
  test("put, find missing, get in order", async () => {
    const { caller, database } = await openHarness();
    const contents = [utf8Of(""), utf8Of("a"), patternBytes(MAX_INLINE_VALUE_BYTES), utf8Of("a")];
    const stored = await caller.unary(BatchPut, { blobs: contents });
    assert.deepEqual(
      stored.blobs.map(({ hash, size }) => [toHex(hash), Number(size)]),
      contents.map((bytes) => [toHex(hashBlob(bytes)), bytes.length]),
    );
    const { STORED, ALREADY_HELD } = BatchPutOutcome;
    const outcomes = (answer: typeof stored): BatchPutOutcome[] => answer.items.map(({ outcome }) => outcome);
    assert.deepEqual(outcomes(stored), [STORED, STORED, STORED, ALREADY_HELD], "the last repeats the second");
    const second = await caller.unary(BatchPut, { blobs: [utf8Of("b"), ...contents] });
    assert.deepEqual(outcomes(second), [STORED, ALREADY_HELD, ALREADY_HELD, ALREADY_HELD, ALREADY_HELD]);
    assert.ok(second.items.every(({ refusal }) => refusal === undefined));
    const large = await database.blobs.put(patternBytes(MAX_INLINE_VALUE_BYTES + 1));
    const unknown = new Uint8Array(32).fill(3);
    const hashes = [unknown, ...contents.map((bytes) => hashBlob(bytes)), large.hash, unknown];
    const { missing } = await caller.unary(FindMissing, { hashes });
    assert.ok(missing.length >= 1 && missing.every((hash) => toHex(hash) === toHex(unknown)));
    const messages = await collect(caller.serverStream(BatchGet, { hashes }));
    const items = messages.flatMap((message) => message.items.map(({ result }) => result));
    assert.ok(messages.length > 1, "a full message is sent before the next item");
    assert.equal(items.length, hashes.length);
    assert.deepEqual(items[0], { case: "missing", value: true });
    for (const [index, bytes] of contents.entries()) assert.deepEqual(items[index + 1], { case: "data", value: bytes });
    assert.deepEqual(items[5], { case: "tooLarge", value: BigInt(MAX_INLINE_VALUE_BYTES + 1) });
    assert.deepEqual(items[6], { case: "missing", value: true });
  });

  test("one that is refused stops no other, and says why as a call for it alone would", async () => {
    const { caller, database } = await openHarness();
    const blobs = [
      utf8Of("a"),
      patternBytes(MAX_INLINE_VALUE_BYTES + 1),
      patternBytes(70_000),
      new Uint8Array(3_000_000),
    ];
    const answer = await caller.unary(BatchPut, { blobs });
    const { STORED, REFUSED } = BatchPutOutcome;
    assert.deepEqual(
      answer.items.map(({ outcome }) => outcome),
      [STORED, REFUSED, STORED, REFUSED],
    );
    for (const [index, bytes] of blobs.entries()) {
      const { hash, size } = answer.blobs[index] ?? assert.fail("one for each");
      assert.deepEqual([toHex(hash), Number(size)], [toHex(hashBlob(bytes)), bytes.length]);
      const isStored = answer.items[index]?.refusal === undefined;
      assert.equal((await database.blobs.findMissing([hash])).length, isStored ? 0 : 1);
    }
    const { code, message, details } = answer.items[1]?.refusal ?? assert.fail("a reason");
    assert.equal(code, GrpcStatus.INVALID_ARGUMENT);
    assert.match(message, /blobs\[1\]: 262145 bytes/);
    const info = details.map((detail) => anyUnpack(detail, ErrorInfoSchema)).find((found) => found !== undefined);
    assert.deepEqual([info?.reason, info?.metadata["hint"]], ["INVALID_ARGUMENT", "send it with Upload"]);
  });

  test("a damaged row is mended, and counts as stored", async () => {
    const { caller, store } = await openHarness();
    const hash = hashBlob(utf8Of("a"));
    await store.write({ puts: [{ space: "blobs", key: hash, value: utf8Of("x") }] });
    const put = await caller.unary(BatchPut, { blobs: [utf8Of("a")] });
    assert.equal(put.items[0]?.outcome, BatchPutOutcome.STORED);
    const [message] = await collect(caller.serverStream(BatchGet, { hashes: [hash] }));
    assert.deepEqual(message?.items[0]?.result, { case: "data", value: utf8Of("a") });
  });

  test("errors change nothing", async () => {
    const harness = await openHarness();
    const { caller } = harness;
    const before = await harness.fingerprint();
    const empty = Array.from({ length: MAX_BATCH_BLOBS + 1 }, () => new Uint8Array(0));
    const many = Array.from({ length: MAX_BATCH_BLOBS + 1 }, () => new Uint8Array(32));
    await fails(caller.unary(BatchPut, { blobs: empty }), { ...LIMIT, field: "blobs" });
    await fails(caller.unary(FindMissing, { hashes: many }), { ...LIMIT, field: "hashes" });
    await fails(collect(caller.serverStream(BatchGet, { hashes: many })), { ...LIMIT, field: "hashes" });
    await fails(caller.unary(FindMissing, { hashes: [new Uint8Array(32), new Uint8Array(3)] }), {
      ...INVALID,
      field: "hashes[1]",
    });
    assert.equal(await harness.fingerprint(), before);
    assert.deepEqual((await caller.unary(BatchPut, {})).blobs, []);
    assert.deepEqual(await collect(caller.serverStream(BatchGet, {})), []);
  });
});
