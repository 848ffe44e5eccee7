// Goal: a document that was streamed in is its blob, the map of its chunks and a manifest that binds them, filed in the
// head's ledger; one that was not finished is nothing.
// Method: chunk maps held against maps built from a slow list of chunks, for documents on both sides of the row limit.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hashBlob } from "#src/core/blob/index.js";
import { toHex, u64be } from "#src/core/bytes.js";
import { MAX_CHUNKS, MAX_TEXT_BYTES } from "#src/core/limits.js";
import { MapKind, buildMap } from "#src/core/map/index.js";
import { chunkCell, decodeManifestOf, ledgerKey, manifestHashOf } from "#src/core/object/index.js";
import type { Database, DocumentOptions } from "#src/database/index.js";
import { patternBytes } from "./support/bytes.js";
import { entriesOf, inMemory, onEachStore } from "./support/database.js";
import { expectError } from "./support/expect.js";

const fixed = (sizeBytes: number, overlapBytes = 0) => ({ method: "fixed", sizeBytes, overlapBytes });

async function putDocument(db: Database, bytes: Uint8Array, options: Partial<DocumentOptions> = {}) {
  const incoming = await db.documents.begin({ source: "notes/ada.txt", chunking: fixed(1000), ...options });
  try {
    for (let offset = 0; offset < bytes.length; offset += 100_000) {
      await incoming.append(offset, bytes.slice(offset, offset + 100_000));
    }
    return await incoming.finish({ sizeBytes: bytes.length, hash: hashBlob(bytes) });
  } finally {
    await incoming.close();
  }
}

function chunkRootOf(bytes: Uint8Array, sizeBytes: number, overlapBytes: number): { root: string; total: number } {
  const entries = [];
  for (let start = 0; bytes.length > 0; start += sizeBytes - overlapBytes) {
    const end = Math.min(start + sizeBytes, bytes.length);
    const cell = chunkCell.encode({ hash: hashBlob(bytes.subarray(start, end)), size: end - start, offset: start });
    entries.push({ key: u64be(entries.length), cell });
    if (end === bytes.length) break;
  }
  const { root, total } = buildMap(MapKind.chunks, entries, () => undefined);
  return { root: toHex(root), total };
}

describe("documents", () => {
  onEachStore("become a blob, chunks and a manifest, filed with the head", async (place) => {
    const db = await place.create();
    const filed: Uint8Array[] = [];
    const cases = [
      [0, 10, 0],
      [1, 10, 3],
      [10_000, 1000, 0],
      [65_535, 100, 50],
      [65_536, 70_000, 0],
      [700_000, 7000, 1],
      [1_000_001, 300_000, 1],
    ] as const;
    for (const [size, chunkBytes, overlap] of cases) {
      const bytes = patternBytes(size, size);
      const { manifest, receipt } = await putDocument(db, bytes, {
        head: "main",
        title: "T",
        media: "text/plain",
        timeMs: 5000 + size,
        meta: { a: "b" },
        chunking: fixed(chunkBytes, overlap),
      });
      assert.equal(receipt?.logIndex, filed.length + 1);
      assert.deepEqual(manifestHashOf(manifest.bytes), manifest.hash);
      const { object } = decodeManifestOf("document", manifest.bytes);
      const expected = chunkRootOf(bytes, chunkBytes, overlap);
      assert.deepEqual(
        { ...object, chunks: toHex(object.chunks) },
        {
          v: 1,
          kind: "document",
          source: "notes/ada.txt",
          title: "T",
          media: "text/plain",
          blob: { hash: hashBlob(bytes), size },
          chunking: { method: "fixed", size: chunkBytes, overlap },
          chunks: expected.root,
          time: 5000 + size,
          meta: { a: "b" },
        },
      );
      const open = await db.documents.open(manifest.hash);
      assert.deepEqual(
        { ...open.blob, count: open.chunkCount },
        { hash: hashBlob(bytes), sizeBytes: size, count: expected.total },
      );
      assert.equal(entriesOf(db, open.chunks).length, expected.total);
      assert.deepEqual(await db.blobs.stat(hashBlob(bytes)), { hash: hashBlob(bytes), sizeBytes: size });
      filed.push(ledgerKey({ kind: "document", time: 5000 + size, hash: manifest.hash }));
    }
    const { ledger } = await (await db.view()).resolve({ staged: "main" });
    assert.ok(ledger !== undefined);
    assert.deepEqual(
      entriesOf(db, ledger).map(({ key }) => toHex(key)),
      filed.map(toHex).sort(),
    );
    assert.equal((await db.usage()).uploads, 0);
    await db.close();
  });

  it("spill their nodes, and are whole afterwards", async () => {
    const { db } = await inMemory();
    const bytes = patternBytes(500_000);
    const { manifest } = await putDocument(db, bytes, { chunking: fixed(8) });
    const { chunks, chunkCount } = await db.documents.open(manifest.hash);
    assert.deepEqual({ root: toHex(chunks.root), total: chunkCount }, chunkRootOf(bytes, 8, 0));
    assert.equal(entriesOf(db, chunks).length, 62_500);
  });

  it("let others run while they are cut, however small or overlapping their chunks", async () => {
    for (const [size, sizeBytes, overlapBytes] of [
      [250_000, 1, 0],
      [60_000, 1000, 999],
    ] as const) {
      const { db } = await inMemory();
      const bytes = patternBytes(size);
      const incoming = await db.documents.begin({ source: "s", chunking: fixed(sizeBytes, overlapBytes) });
      await incoming.append(0, bytes);
      let turns = 0;
      let timer = setImmediate(function turn() {
        turns += 1;
        timer = setImmediate(turn);
      });
      const { manifest } = await incoming.finish({ sizeBytes: size, hash: hashBlob(bytes) });
      clearImmediate(timer);
      await incoming.close();
      assert.ok(turns > 10, `${turns} turns of the event loop`);
      const { chunks } = await db.documents.open(manifest.hash);
      assert.equal(toHex(chunks.root), chunkRootOf(bytes, sizeBytes, overlapBytes).root);
    }
  });

  onEachStore("without a head are stored unattached", async (place) => {
    const db = await place.create();
    const { manifest, receipt } = await putDocument(db, patternBytes(100), {});
    assert.equal(receipt, undefined);
    assert.equal((await db.view()).logSize, 1);
    assert.deepEqual((await db.manifests.get(manifest.hash)).bytes, manifest.bytes);
    const { object } = decodeManifestOf("document", manifest.bytes);
    assert.deepEqual(Object.keys(object).sort(), ["blob", "chunking", "chunks", "kind", "source", "time", "v"]);
    await db.close();
  });

  onEachStore("leave nothing when they are broken off or finished wrongly", async (place) => {
    const db = await place.create();
    const before = (await db.usage()).rows;
    for (const size of [1000, 300_000]) {
      const bytes = patternBytes(size);
      const broken = await db.documents.begin({ source: "s", head: "main", chunking: fixed(10) });
      await broken.append(0, bytes);
      await broken.close();
      for (const claim of [
        { sizeBytes: size + 1, hash: hashBlob(bytes) },
        { sizeBytes: size, hash: hashBlob(patternBytes(3)) },
      ]) {
        const incoming = await db.documents.begin({ source: "s", head: "main", chunking: fixed(10) });
        await incoming.append(0, bytes);
        await expectError(incoming.finish(claim), { code: "INVALID_ARGUMENT" });
        await incoming.close();
      }
    }
    const { rows, largeBlobs, uploads } = await db.usage();
    assert.deepEqual({ rows, largeBlobs, uploads }, { rows: before, largeBlobs: 0, uploads: 0 });
    await db.close();
  });

  it("refuse options that cannot be, before any byte is sent", async () => {
    const { db } = await inMemory();
    const valid: DocumentOptions = { source: "s", chunking: fixed(10) };
    const long = "x".repeat(MAX_TEXT_BYTES + 1);
    const cases: [object, string][] = [
      [{ source: "" }, "source"],
      [{ source: long }, "source"],
      [{ title: long }, "title"],
      [{ media: "\ud800" }, "media"],
      [{ chunking: fixed(0) }, "chunking.size"],
      [{ chunking: fixed(10, 10) }, "chunking.overlap"],
      [{ timeMs: -5 }, "time"],
      [{ chunking: { ...fixed(10), method: "text" } }, "chunking.method"],
      [{ meta: { a: "\ud800" } }, "meta"],
      [{ head: "a b" }, "head"],
    ];
    for (const [change, field] of cases) {
      await expectError(db.documents.begin({ ...valid, ...change }), { code: "INVALID_ARGUMENT", field });
    }
    await expectError(db.documents.begin({ ...valid, head: "mian" }), {
      code: "NOT_FOUND",
      facts: { nearest: "main" },
    });
    const many = await db.documents.begin({ ...valid, chunking: fixed(1) });
    const bytes = new Uint8Array(MAX_CHUNKS + 1);
    await many.append(0, bytes);
    await expectError(many.finish({ sizeBytes: bytes.length, hash: hashBlob(bytes) }), {
      code: "LIMIT_EXCEEDED",
      facts: { limit: "chunks" },
    });
    await many.close();
    // A head that goes while the document is on its way.
    await db.heads.create("short-lived");
    const orphan = await db.documents.begin({ ...valid, head: "short-lived" });
    await db.heads.delete("short-lived");
    await orphan.append(0, patternBytes(5));
    await expectError(orphan.finish({ sizeBytes: 5, hash: hashBlob(patternBytes(5)) }), {
      code: "NOT_FOUND",
      facts: { kind: "head" },
    });
    await orphan.close();
  });
});
