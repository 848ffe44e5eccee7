// Goal: blobs in and out: every way of giving content, every range, resumed uploads; what a caller's own source throws
// reaches the caller as it is.
// Method: content of a pattern, sizes around every boundary, sources that fail half way.
import assert from "node:assert/strict";
import { hashBlob } from "#src/core/blob/index.js";
import { concatBytes, toHex, utf8 } from "#src/core/bytes.js";
import { InvalidArgument, LimitExceeded, Malformed, NeleusError, NotFound } from "#src/core/errors.js";
import { patternBytes } from "../database/support/bytes.js";
import { all, onEachTransport } from "./support/fixture.js";

async function* pieces(bytes: Uint8Array, pieceBytes: number): AsyncGenerator<Uint8Array> {
  // One array, filled again and again, as a careless source would.
  const buffer = new Uint8Array(pieceBytes);
  for (let start = 0; start < bytes.length; start += pieceBytes) {
    const piece = bytes.subarray(start, start + pieceBytes);
    buffer.set(piece);
    yield buffer.subarray(0, piece.length);
    buffer.fill(0xaa);
  }
}

onEachTransport("content of every size and form", async ({ client }) => {
  const db = await client();
  for (const size of [0, 1, 16_379, 16_380, 65_536, 262_144, 262_145, 1_000_000]) {
    const bytes = patternBytes(size, size);
    const hash = hashBlob(bytes);
    const forms = [bytes, pieces(bytes, 7_919), [bytes.subarray(0, 9), bytes.subarray(9)], new Blob([bytes])];
    for (const content of size < 1000 || size === 262_145 ? forms : forms.slice(0, 1)) {
      assert.deepEqual(await db.putBlob(content), { hash, sizeBytes: size, wasHeld: false });
    }
    const blob = db.blob(toHex(hash));
    assert.deepEqual(await blob.bytes(), bytes);
    assert.deepEqual(await blob.stat(), { hash, sizeBytes: size });
    assert.deepEqual(concatBytes(...(await all(blob.stream()))), bytes);
    assert.deepEqual(concatBytes(...(await all(blob.streamUnverifiedUntilEnd()))), bytes);
    for (const [start, end] of [
      [0, 1],
      [size - 1, size],
      [16_378, 16_380],
      [Math.floor(size / 3), Math.floor(size / 2)],
    ] as const) {
      if (start < 0 || end > size || start >= end) continue;
      assert.deepEqual(await blob.bytes({ start, end }), bytes.slice(start, end));
      assert.deepEqual(await blob.bytes({ start }), bytes.slice(start));
    }
  }
  assert.equal(await db.blob((await db.putBlob("grüße")).hash).text(), "grüße");
  await assert.rejects(db.blob((await db.putBlob(new Uint8Array([255]))).hash).text(), Malformed);
  await db.close();
});

onEachTransport("several ranges in one call", async ({ client }) => {
  const db = await client();
  const bytes = patternBytes(1_500_000, 11);
  const blob = db.blob((await db.putBlob(bytes)).hash);
  const ranges = [{ start: 3, end: 9 }, { start: 9, end: 10 }, { start: 16_000, end: 70_000 }, { start: 1_400_000 }];
  const found = new Uint8Array(bytes.length);
  let previousEnd = 0;
  let sizeBytes = 0;
  for await (const piece of blob.ranges(ranges)) {
    assert.ok(piece.start >= previousEnd);
    assert.ok(
      ranges.some(({ start, end = bytes.length }) => piece.start >= start && piece.start + piece.bytes.length <= end),
    );
    previousEnd = piece.start + piece.bytes.length;
    sizeBytes += piece.bytes.length;
    found.set(piece.bytes, piece.start);
    piece.bytes.fill(0);
  }
  assert.equal(sizeBytes, 7 + 54_000 + 100_000);
  for (const { start, end = bytes.length } of ranges)
    assert.deepEqual(found.slice(start, end), bytes.slice(start, end));
  assert.deepEqual(
    (await all(blob.ranges([{}]))).reduce((total, piece) => total + piece.bytes.length, 0),
    bytes.length,
  );
  const none = db.blob((await db.putBlob("")).hash);
  assert.deepEqual(await all(none.ranges([{ start: 0, end: 0 }])), []);
  const field = (wanted: string) => (error: unknown) => error instanceof InvalidArgument && error.field === wanted;
  await assert.rejects(all(blob.ranges([])), field("ranges"));
  await assert.rejects(
    all(
      blob.ranges([
        { start: 5, end: 9 },
        { start: 8, end: 9 },
      ]),
    ),
    field("ranges[1].start"),
  );
  await assert.rejects(all(blob.ranges([{ start: 5, end: 9 }, { start: -1 }])), field("ranges[1].start"));
  await assert.rejects(
    all(blob.ranges(Array.from({ length: 1_025 }, (_, at) => ({ start: at, end: at + 1 })))),
    LimitExceeded,
  );
  await assert.rejects(all(db.blob(new Uint8Array(32)).ranges([{}])), NotFound);
  for await (const piece of blob.ranges(ranges)) {
    assert.equal(piece.start, 3);
    break;
  }
  await db.close();
});

onEachTransport("what is not there, and what cannot be", async ({ client }) => {
  const db = await client();
  const { hash } = await db.putBlob(patternBytes(100_000, 1));
  await assert.rejects(db.blob(new Uint8Array(32)).bytes(), NotFound);
  await assert.rejects(db.blob(new Uint8Array(32)).stat(), NotFound);
  assert.throws(() => db.blob("abc"), InvalidArgument);
  await assert.rejects(db.blob(hash).bytes({ start: 5, end: 5 }), InvalidArgument);
  await assert.rejects(db.blob(hash).bytes({ start: -1 }), InvalidArgument);
  await assert.rejects(db.blob(hash).bytes({ start: 0, end: 100_001 }), InvalidArgument);
  await assert.rejects(db.blob(hash).bytes({ maxBytes: 99_999 }), LimitExceeded);
  await assert.rejects(db.putBlob(7 as never), InvalidArgument);
  await assert.rejects(db.putBlob(["no bytes"] as never), InvalidArgument);
  for await (const piece of db.blob(hash).stream()) {
    assert.ok(piece.length > 0);
    break;
  }
  assert.equal((await db.blob(hash).bytes()).length, 100_000);
  await db.close();
});

onEachTransport("uploads that break off go on where the server stands", async ({ client }) => {
  const db = await client();
  const bytes = patternBytes(3_000_000, 5);
  const broken = new RangeError("the disk is gone");
  async function* failing(): AsyncGenerator<Uint8Array> {
    yield* pieces(bytes.subarray(0, 2_000_000), 100_000);
    // Let the server take what was sent before the source fails.
    await new Promise((resolve) => setTimeout(resolve, 50));
    throw broken;
  }
  await assert.rejects(db.putBlob(failing(), { uploadId: "up-1" }), (error) => error === broken);
  const sent: number[] = [];
  const stored = await db.putBlob(pieces(bytes, 65_000), { uploadId: "up-1", onProgress: (count) => sent.push(count) });
  assert.deepEqual(stored, { hash: hashBlob(bytes), sizeBytes: bytes.length, wasHeld: false });
  assert.ok((sent[0] ?? 0) > 262_144, `went on at ${sent[0]}`);
  assert.equal(sent.at(-1), bytes.length);
  assert.deepEqual(await db.blob(stored.hash).bytes(), bytes);
  await assert.rejects(db.putBlob(failing(), { uploadId: "up-2" }), (error) => error === broken);
  await assert.rejects(db.putBlob("short", { uploadId: "up-2" }), InvalidArgument);
  await assert.rejects(db.putBlob(failing()), (error) => error === broken);
  await assert.rejects(db.putBlob(pieces(bytes, 65_000), { uploadId: "no/id" }), InvalidArgument);
  await db.close();
});

onEachTransport("many small blobs at once", async ({ client }) => {
  const db = await client();
  const contents = Array.from({ length: 500 }, (_, index) => patternBytes(index, index));
  const stored = await db.putBlobs(contents);
  assert.deepEqual(
    stored,
    contents.map((bytes) => ({
      hash: hashBlob(bytes),
      sizeBytes: bytes.length,
      outcome: "stored",
      refusal: undefined,
    })),
  );
  assert.deepEqual(await db.putBlobs([]), []);
  // More than one message takes, by their number or by their bytes, with some that no batch takes among them.
  const many = Array.from({ length: 10_500 }, (_, index) =>
    index % 2_000 === 1_999 ? new Uint8Array(262_145) : `blob ${index % 9_000}`,
  );
  const outcomes = await db.putBlobs(many);
  for (const [index, { hash, sizeBytes, outcome, refusal }] of outcomes.entries()) {
    const content = many[index] ?? assert.fail("one for each");
    const bytes = typeof content === "string" ? utf8(content) : content;
    assert.deepEqual([toHex(hash), sizeBytes], [toHex(hashBlob(bytes)), bytes.length]);
    assert.equal(outcome, typeof content !== "string" ? "refused" : index < 9_000 ? "stored" : "held");
    assert.equal(refusal instanceof InvalidArgument && refusal.field === `contents[${index}]`, outcome === "refused");
  }
  assert.equal(outcomes.length, many.length);
  const wide = await db.putBlobs(Array.from({ length: 40 }, (_, index) => patternBytes(200_000, index)));
  assert.ok(wide.length === 40 && wide.every(({ outcome }) => outcome === "stored"));
  assert.deepEqual(
    (await db.putBlobs([new Uint8Array(262_145), new Uint8Array(300_000)])).map(({ outcome }) => outcome),
    ["refused", "refused"],
  );
  await assert.rejects(db.putBlobs(["fine", 7 as never]), InvalidArgument);
  assert.deepEqual([(await db.putBlob("blob 8999")).wasHeld, (await db.putBlob("new")).wasHeld], [true, false]);
  assert.equal((await db.putBlob("new")).wasHeld, true);
  assert.deepEqual(await db.blob(stored[499]!.hash).bytes(), contents[499]);
  await db.close();
});

onEachTransport("calls can be cancelled and have deadlines", async ({ client }) => {
  const db = await client();
  const { hash } = await db.putBlob(patternBytes(2_000_000, 2));
  const controller = new AbortController();
  await assert.rejects(
    async () => {
      for await (const piece of db.blob(hash).stream({ signal: controller.signal })) {
        assert.ok(piece.length > 0);
        controller.abort();
      }
    },
    (error) => error instanceof NeleusError && error.code === "CANCELLED",
  );
  async function* slow(): AsyncGenerator<Uint8Array> {
    yield utf8("begun");
    await new Promise((resolve) => setTimeout(resolve, 300));
    yield new Uint8Array(400_000);
  }
  await assert.rejects(
    db.putBlob(slow(), { timeoutMs: 60 }),
    (error) => error instanceof NeleusError && error.code === "DEADLINE_EXCEEDED",
  );
  await db.close();
  await assert.rejects(db.snapshot("main"), NeleusError);
});
