// Goal: what a client streams in is stored whole once it has said so with the right size and hash, and not at all
// before; an upload with an id goes on where it stood, also in another process.
// Method: blobs on both sides of the row limit in pieces of all sizes, broken off, resumed, finished wrongly; over both
// stores, with the store looked at afterwards for what should not be there.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hashBlob } from "#src/core/blob/index.js";
import { LARGE_BLOB_BYTES, MAX_UPLOADS } from "#src/core/limits.js";
import { Database } from "#src/database/index.js";
import type { Upload } from "#src/database/index.js";
import { collect, patternBytes } from "./support/bytes.js";
import { inDirectory, inMemory, onEachStore } from "./support/database.js";
import { expectError } from "./support/expect.js";

async function send(upload: Upload, bytes: Uint8Array, pieceBytes: number): Promise<void> {
  for (let offset = upload.sizeBytes; offset < bytes.length; offset += pieceBytes) {
    const piece = bytes.slice(offset, offset + pieceBytes);
    await upload.append(offset, piece);
    // The engine must have taken or written them: the caller's buffer is used again.
    piece.fill(0xee);
  }
}

const claimOf = (bytes: Uint8Array) => ({ sizeBytes: bytes.length, hash: hashBlob(bytes) });

async function contentOf(db: Database, hash: Uint8Array): Promise<Uint8Array> {
  const reader = await db.blobs.open(hash);
  try {
    return await collect(reader.bytes());
  } finally {
    await reader.close();
  }
}

describe("uploads", () => {
  onEachStore("store what came, in pieces of any size", async (place) => {
    const db = await place.create();
    const cases = [
      [0, 1],
      [1, 1],
      [300, 7],
      [500, 1],
      [LARGE_BLOB_BYTES - 1, 1000],
      [LARGE_BLOB_BYTES, 1000],
      [LARGE_BLOB_BYTES + 1, 65_535],
      [700_000, 16_384],
      [700_001, 700_001],
      [3_000_000, 262_144],
    ] as const;
    for (const [size, pieceBytes] of cases) {
      for (const uploadId of [undefined, `id.${size}_X-${pieceBytes}`]) {
        const bytes = patternBytes(size, size + pieceBytes);
        const upload = await db.uploads.begin({ uploadId });
        await send(upload, bytes, pieceBytes);
        assert.deepEqual(await upload.finish(claimOf(bytes)), claimOf(bytes));
        await upload.close();
        assert.deepEqual(await contentOf(db, hashBlob(bytes)), bytes);
        assert.equal(uploadId === undefined ? 0 : await db.uploads.query(uploadId), 0);
      }
    }
    const { uploads, rows, largeBlobs } = await db.usage();
    assert.deepEqual({ uploads, rows: rows.blobs, largeBlobs }, { uploads: 0, rows: 5, largeBlobs: 5 });
    await db.close();
  });

  onEachStore("that are broken off leave nothing without an id", async (place) => {
    const db = await place.create();
    for (const size of [100, 500_000]) {
      const bytes = patternBytes(size);
      const upload = await db.uploads.begin();
      await send(upload, bytes, 100_000);
      await upload.close();
      await upload.close();
      await expectError(upload.append(size, bytes), { code: "CONFLICT" });
      await expectError(upload.finish(claimOf(bytes)), { code: "CONFLICT" });
    }
    const { uploads, rows, largeBlobs } = await db.usage();
    assert.deepEqual({ uploads, rows: rows.blobs, largeBlobs }, { uploads: 0, rows: 0, largeBlobs: 0 });
    await db.close();
  });

  onEachStore("with an id go on where they stood", async (place) => {
    const db = await place.create();
    for (const [size, firstPart] of [
      [300, 100],
      [100_000, 30_000],
      [2_000_000, 1_100_001],
    ] as const) {
      const bytes = patternBytes(size);
      const uploadId = `resumed-${size}`;
      const first = await db.uploads.begin({ uploadId });
      await send(first, bytes.slice(0, firstPart), 40_000);
      await expectError(db.uploads.begin({ uploadId }), { code: "CONFLICT" });
      await first.close();
      assert.equal(await db.uploads.query(uploadId), firstPart);
      const second = await db.uploads.begin({ uploadId });
      assert.equal(second.sizeBytes, firstPart);
      await send(second, bytes, 123_457);
      await second.finish(claimOf(bytes));
      await second.close();
      assert.deepEqual(await contentOf(db, hashBlob(bytes)), bytes);
      assert.equal(await db.uploads.query(uploadId), 0);
    }
    assert.equal((await db.usage()).uploads, 0);
    await db.close();
  });

  it("go on in another process, from what was made durable", () =>
    inDirectory(async ({ location, create }) => {
      const bytes = patternBytes(20 * 1024 * 1024);
      const uploadId = "across";
      const db = await create();
      const abandoned = await db.uploads.begin({ uploadId });
      await send(abandoned, bytes.slice(0, 18 * 1024 * 1024), 1024 * 1024);
      // Not closed: as if the process had been killed.
      const other = await Database.open(location);
      const resumed = await other.uploads.begin({ uploadId });
      assert.ok(resumed.sizeBytes >= 16 * 1024 * 1024 && resumed.sizeBytes <= 18 * 1024 * 1024, `${resumed.sizeBytes}`);
      await send(resumed, bytes, 1024 * 1024);
      await resumed.finish(claimOf(bytes));
      await resumed.close();
      assert.deepEqual(hashBlob(await contentOf(other, hashBlob(bytes))), hashBlob(bytes));
      await abandoned.close().catch(() => undefined);
      await other.close();
      await db.close();
    }));

  onEachStore("refuse wrong offsets, and say which is right", async (place) => {
    const db = await place.create();
    const upload = await db.uploads.begin();
    await upload.append(0, patternBytes(10));
    for (const offset of [0, 9, 11, -1, Number.NaN, 2 ** 60]) {
      await expectError(upload.append(offset, patternBytes(5)), {
        code: "CONFLICT",
        field: "data.offset",
        facts: { offset: "10" },
      });
    }
    await upload.append(10, patternBytes(5));
    await upload.close();
    await db.close();
  });

  onEachStore("refuse a wrong size and go on, and drop what has a wrong hash", async (place) => {
    const db = await place.create();
    for (const size of [50, 200_000]) {
      const bytes = patternBytes(size);
      const uploadId = `wrong-${size}`;
      const upload = await db.uploads.begin({ uploadId });
      await send(upload, bytes.slice(0, size - 10), 60_000);
      await expectError(upload.finish(claimOf(bytes)), { code: "INVALID_ARGUMENT", field: "finish.size" });
      await send(upload, bytes, 60_000);
      await expectError(upload.finish({ sizeBytes: size, hash: new Uint8Array(31) }), {
        code: "INVALID_ARGUMENT",
        field: "finish.hash",
      });
      const wrong = { sizeBytes: size, hash: hashBlob(patternBytes(1)) };
      await expectError(upload.finish(wrong), { code: "INVALID_ARGUMENT", field: "finish.hash" });
      await upload.close();
      assert.equal(await db.uploads.query(uploadId), 0);
    }
    const { uploads, rows, largeBlobs } = await db.usage();
    assert.deepEqual({ uploads, rows: rows.blobs, largeBlobs }, { uploads: 0, rows: 0, largeBlobs: 0 });
    await db.close();
  });

  it("have ids of a certain form, and are limited in number", async () => {
    const { db } = await inMemory();
    for (const uploadId of ["", "a b", "ä", "a/b", "x".repeat(65)]) {
      await expectError(() => db.uploads.begin({ uploadId }), { code: "INVALID_ARGUMENT", field: "upload_id" });
      await expectError(() => db.uploads.query(uploadId), { code: "INVALID_ARGUMENT", field: "upload_id" });
    }
    const open: Upload[] = [];
    for (let index = 0; index < MAX_UPLOADS; index += 1) open.push(await db.uploads.begin());
    await expectError(() => db.uploads.begin(), { code: "LIMIT_EXCEEDED", facts: { limit: "uploads" } });
    for (const upload of open) await upload.close();
    // Staged ones count too, whoever began them.
    for (let index = 0; index < MAX_UPLOADS; index += 1)
      await (await db.uploads.begin({ uploadId: `kept-${index}` })).close();
    await expectError(() => db.uploads.begin({ uploadId: "one-more" }), { code: "LIMIT_EXCEEDED" });
    await (await db.uploads.begin({ uploadId: "kept-3" })).close();
    assert.equal(await db.uploads.dropExpired(), 0);
  });
});
