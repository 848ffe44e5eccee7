// Goal: bytes come back as they went in, with slices that a client can check; stored bytes that were changed never do.
// Method: sizes on both sides of every boundary (group, row and file, message), over both stores; then one stored byte
// flipped at a time.
import assert from "node:assert/strict";
import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { SliceDecoder, computeOutboard, hashBlob } from "#src/core/blob/index.js";
import { toHex } from "#src/core/bytes.js";
import {
  DATA_MESSAGE_BYTES,
  LARGE_BLOB_BYTES,
  MAX_BATCH_BLOBS,
  MAX_INLINE_VALUE_BYTES,
  MAX_MESSAGE_BYTES,
} from "#src/core/limits.js";
import type { BlobReader, StreamMemory } from "#src/database/index.js";
import type { MemoryStore } from "#src/store/index.js";
import { collect, patternBytes } from "./support/bytes.js";
import { inDirectory, inMemory, onEachStore } from "./support/database.js";
import { expectError } from "./support/expect.js";

const SIZES = [0, 1, 16_378, 16_379, 16_380, 40_000, LARGE_BLOB_BYTES - 1, LARGE_BLOB_BYTES, 262_144, 1_000_003];

/** Reads a range as a client does: checks the slice against the hash alone. */
async function readVerified(
  reader: BlobReader,
  range?: { start: number; end: number },
  memory?: StreamMemory,
): Promise<Uint8Array> {
  const { hash, sizeBytes } = reader;
  const decoder = new SliceDecoder({ hash, sizeBytes, range: range ?? { start: 0, end: sizeBytes } });
  const pieces: Uint8Array[] = [];
  for await (const part of reader.slices(range, memory)) {
    assert.ok(part.data.length <= DATA_MESSAGE_BYTES);
    // Copied: a part is lent.
    for (const piece of decoder.push(part)) pieces.push(new Uint8Array(piece));
  }
  decoder.finish();
  return new Uint8Array(Buffer.concat(pieces));
}

describe("blobs", () => {
  it("are read in as little memory as there is, which may change between two parts", () =>
    inDirectory(async ({ create }) => {
      const db = await create();
      const bytes = patternBytes(3_000_017);
      const { hash } = await db.blobs.put(bytes);
      for (const grants of [
        [0],
        [20_000],
        [100_000],
        [5_000_000, 0, 900_000],
        [0, 5_000_000],
        [0, 50_000, 0, 400_000],
      ]) {
        const kept: number[] = [];
        const memory: StreamMemory = {
          messageBytes: (mostBytes) => Math.min(mostBytes, 30_000),
          keep: (wantedBytes) => {
            kept.push(Math.min(wantedBytes, grants[kept.length % grants.length] ?? 0));
            return kept.at(-1) ?? 0;
          },
        };
        const reader = await db.blobs.open(hash);
        assert.deepEqual(await readVerified(reader, undefined, memory), bytes);
        assert.deepEqual(
          await readVerified(reader, { start: 700_001, end: 2_000_000 }, memory),
          bytes.slice(700_001, 2_000_000),
        );
        assert.deepEqual(await collect(reader.bytes(undefined, memory)), bytes);
        assert.ok(kept.length > 6, "asked again and again");
        let most = 0;
        const tight: StreamMemory = { messageBytes: (mostBytes) => mostBytes, keep: () => 0 };
        for await (const { data } of reader.slices(undefined, tight)) most = Math.max(most, data.length);
        assert.ok(most <= 16_384, `a part of ${most} bytes`);
        await reader.close();
      }
      await db.close();
    }));

  onEachStore("come back whole and in part, with their proofs", async (place) => {
    const db = await place.create();
    for (const size of SIZES) {
      const bytes = patternBytes(size, size + 1);
      const hash = hashBlob(bytes);
      assert.deepEqual(await db.blobs.put(bytes), { hash, sizeBytes: size });
      assert.deepEqual(await db.blobs.stat(hash), { hash, sizeBytes: size });
      const reader = await db.blobs.open(hash);
      assert.deepEqual(await readVerified(reader), bytes);
      assert.deepEqual(await collect(reader.bytes()), bytes);
      for (const [start, end] of [
        [0, 1],
        [size - 1, size],
        [16_000, 17_000],
        [16_379, 16_380],
        [100_000, 500_000],
      ] as const) {
        if (start < 0 || end > size || start >= end) continue;
        assert.deepEqual(await readVerified(reader, { start, end }), bytes.slice(start, end));
        assert.deepEqual(await collect(reader.bytes({ start, end })), bytes.slice(start, end));
      }
      for (const range of [
        { start: 0, end: size + 1 },
        { start: size + 1, end: size + 2 },
        { start: 5, end: 5 },
      ]) {
        await expectError(collect(reader.bytes(range)), { code: "INVALID_ARGUMENT" });
        await expectError(readVerified(reader, range), { code: "INVALID_ARGUMENT" });
      }
      await reader.close();
    }
    await db.close();
  });

  onEachStore("are found, or missing, and small ones come with their bytes", async (place) => {
    const db = await place.create();
    const small = await db.blobs.put(patternBytes(1000));
    const large = await db.blobs.put(patternBytes(100_000));
    const absent = hashBlob(patternBytes(12));
    assert.deepEqual(await db.blobs.findMissing([small.hash, absent, large.hash, absent]), [absent, absent]);
    assert.deepEqual(await db.blobs.find(small.hash, { atMostBytes: 1000 }), {
      sizeBytes: 1000,
      bytes: patternBytes(1000),
    });
    assert.deepEqual(await db.blobs.find(small.hash, { atMostBytes: 999 }), { sizeBytes: 1000, bytes: undefined });
    assert.deepEqual(await db.blobs.find(large.hash, { atMostBytes: 262_144 }), {
      sizeBytes: 100_000,
      bytes: patternBytes(100_000),
    });
    assert.deepEqual(await db.blobs.find(large.hash, { atMostBytes: 99_999 }), {
      sizeBytes: 100_000,
      bytes: undefined,
    });
    assert.equal(await db.blobs.find(absent, { atMostBytes: 10 }), undefined);
    for (const read of [() => db.blobs.stat(absent), () => db.blobs.open(absent)]) {
      await expectError(read, { code: "NOT_FOUND", facts: { kind: "blob", hash: toHex(absent) } });
    }
    await db.close();
  });

  onEachStore("are stored once, many in one batch", async (place) => {
    const db = await place.create();
    const blobs = [patternBytes(5), patternBytes(100_000), patternBytes(5), patternBytes(0), patternBytes(262_144)];
    const refs = await db.blobs.putMany(blobs);
    assert.deepEqual(
      refs,
      blobs.map((bytes, index) => ({
        hash: hashBlob(bytes),
        sizeBytes: bytes.length,
        outcome: index === 2 ? "held" : "stored",
        refusal: undefined,
      })),
    );
    assert.ok((await db.blobs.putMany(blobs)).every(({ outcome }) => outcome === "held"));
    await db.blobs.put(patternBytes(100_000));
    const { rows, largeBlobs, uploads } = await db.usage();
    assert.equal(rows.blobs, 2);
    assert.equal(largeBlobs, 2);
    assert.equal(uploads, 0);
    await db.close();
  });

  it("respect their limits", async () => {
    const { db } = await inMemory();
    const many = Array.from({ length: MAX_BATCH_BLOBS + 1 }, () => new Uint8Array(32));
    await expectError(db.blobs.putMany(many), { code: "LIMIT_EXCEEDED", facts: { limit: "batch_blobs" } });
    await expectError(db.blobs.findMissing(many), { code: "LIMIT_EXCEEDED" });
    const oversize = new Uint8Array(MAX_INLINE_VALUE_BYTES + 1);
    const [refused, stored] = await db.blobs.putMany([oversize, patternBytes(9)]);
    assert.deepEqual([refused?.outcome, refused?.refusal?.field, stored?.outcome], ["refused", "blobs[0]", "stored"]);
    assert.equal((await db.blobs.findMissing([hashBlob(oversize), hashBlob(patternBytes(9))])).length, 1);
    await expectError(db.blobs.put(new Uint8Array(MAX_MESSAGE_BYTES + 1)), { code: "LIMIT_EXCEEDED" });
    for (const hash of [new Uint8Array(31), new Uint8Array(0)]) {
      await expectError(db.blobs.stat(hash), { code: "INVALID_ARGUMENT", field: "hash" });
      await expectError(db.blobs.open(hash), { code: "INVALID_ARGUMENT", field: "hash" });
      await expectError(db.blobs.find(hash, { atMostBytes: 1 }), { code: "INVALID_ARGUMENT", field: "hash" });
      await expectError(db.blobs.findMissing([hash]), { code: "INVALID_ARGUMENT", field: "hashes[0]" });
    }
  });
});

describe("blobs that were changed where they lie", () => {
  it("in a row: are corrupt, and mended by storing them again", async () => {
    const { db, store } = await inMemory();
    const bytes = patternBytes(40_000);
    const { hash } = await db.blobs.put(bytes);
    const changed = bytes.slice();
    changed[20_000] = (changed[20_000] ?? 0) ^ 1;
    await store.write({ puts: [{ space: "blobs", key: hash, value: changed }] });
    const facts = { hash: toHex(hash) };
    await expectError(db.blobs.open(hash), { code: "CORRUPT", facts });
    await expectError(db.blobs.stat(hash), { code: "CORRUPT", facts });
    await expectError(db.blobs.find(hash, { atMostBytes: 1e6 }), { code: "CORRUPT", facts });
    await db.blobs.put(bytes);
    assert.deepEqual((await db.blobs.find(hash, { atMostBytes: 1e6 }))?.bytes, bytes);
  });

  it("in a file: what is handed out before the damage is right, and the damage never is", async () => {
    const bytes = patternBytes(1_000_003);
    const hash = hashBlob(bytes);
    const facts = { hash: toHex(hash) };
    for (const damage of ["content", "outboard", "shorter", "longer"] as const) {
      const { db, store } = await inMemory();
      await publish(store, { hash, ...damaged(bytes, damage) });
      let handedOut = 0;
      const readAll = async (): Promise<void> => {
        const reader = await db.blobs.open(hash);
        for await (const part of reader.bytes()) {
          assert.deepEqual(part, bytes.slice(handedOut, handedOut + part.length));
          handedOut += part.length;
        }
      };
      await expectError(readAll, { code: "CORRUPT", facts });
      assert.ok(handedOut < bytes.length);
      if (damage !== "outboard")
        await expectError(db.blobs.find(hash, { atMostBytes: 2e6 }), { code: "CORRUPT", facts });
      if (damage === "shorter" || damage === "longer")
        await expectError(db.blobs.stat(hash), { code: "CORRUPT", facts });
    }
  });

  it("in a file: are mended by storing them again, in one piece or uploaded", async () => {
    const bytes = patternBytes(200_000);
    const hash = hashBlob(bytes);
    for (const damage of ["content", "outboard", "shorter", "longer"] as const) {
      for (const way of ["put", "upload"] as const) {
        const { db, store } = await inMemory();
        await publish(store, { hash, ...damaged(bytes, damage) });
        if (way === "put") {
          await db.blobs.put(bytes);
        } else {
          const upload = await db.uploads.begin();
          await upload.append(0, bytes);
          await upload.finish({ sizeBytes: bytes.length, hash });
          await upload.close();
        }
        assert.deepEqual(await collect((await db.blobs.open(hash)).bytes()), bytes);
        assert.equal((await db.usage()).uploads, 0);
      }
    }
  });

  it("on disk: any flipped byte of content or outboard is found", () =>
    inDirectory(async ({ create, location }) => {
      const db = await create();
      const bytes = patternBytes(150_000);
      const { hash } = await db.blobs.put(bytes);
      const names = await readdir(join(location, "blobs"), { recursive: true, withFileTypes: true });
      const files = names.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
      assert.equal(files.length, 2);
      for (const path of files) {
        const intact = await readFile(path);
        for (const position of [0, Math.floor(intact.length / 2), intact.length - 1]) {
          const changed = Buffer.from(intact);
          changed[position] = (changed[position] ?? 0) ^ 0x20;
          await writeFile(path, changed);
          const readAll = async (): Promise<void> => {
            const reader = await db.blobs.open(hash);
            try {
              await collect(reader.bytes());
            } finally {
              await reader.close();
            }
          };
          await expectError(readAll, { code: "CORRUPT", facts: { hash: toHex(hash) } });
        }
        await writeFile(path, intact);
      }
      assert.deepEqual((await db.blobs.find(hash, { atMostBytes: 1e6 }))?.bytes, bytes);
      await db.close();
    }));

  it("come out as they are where checking is off", async () => {
    const bytes = patternBytes(1_000_003);
    const { db, store } = await inMemory({ verifyOnRead: false });
    const { content, outboard } = damaged(bytes, "content");
    await publish(store, { hash: hashBlob(bytes), content, outboard });
    await store.write({ puts: [{ space: "blobs", key: hashBlob(patternBytes(9)), value: patternBytes(8) }] });
    const reader = await db.blobs.open(hashBlob(bytes));
    assert.deepEqual(await collect(reader.bytes()), content);
    assert.deepEqual(await collect(reader.bytes({ start: 10, end: 600_000 })), content.slice(10, 600_000));
    // A client still notices.
    await assert.rejects(readVerified(reader));
    assert.deepEqual((await db.blobs.find(hashBlob(patternBytes(9)), { atMostBytes: 10 }))?.bytes, patternBytes(8));
  });
});

type Damage = "content" | "outboard" | "shorter" | "longer";

function damaged(bytes: Uint8Array, damage: Damage): { content: Uint8Array; outboard: Uint8Array } {
  let content = bytes.slice();
  const outboard = computeOutboard(bytes);
  if (damage === "content") content[700_000] = (content[700_000] ?? 0) ^ 4;
  if (damage === "outboard") outboard[40 * 64] = (outboard[40 * 64] ?? 0) ^ 4;
  if (damage === "shorter") content = content.subarray(0, content.length - 1);
  if (damage === "longer") content = new Uint8Array(Buffer.concat([content, Uint8Array.of(1)]));
  return { content, outboard };
}

async function publish(
  store: MemoryStore,
  blob: { hash: Uint8Array; content: Uint8Array; outboard: Uint8Array },
): Promise<void> {
  const staged = await store.files.stage("damaged", { metadata: new Uint8Array(0) });
  await staged.append(0, blob.content);
  await staged.appendOutboard(blob.outboard);
  await staged.publish(blob.hash);
}
