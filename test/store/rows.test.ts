// The rows in LMDB: what the conformance suite cannot reach.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { spawnSync } from "node:child_process";
import { cpSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { utf8 } from "#src/core/bytes.js";
import { Corrupt } from "#src/core/errors.js";
import { createDirectory, openDirectory } from "#src/store/index.js";
import type { Row } from "#src/store/index.js";
import { findDamage, lookAtPages } from "#src/store/lmdb/data-file.js";
import { commandLine } from "./children/run.js";
import { temporaryDirectory } from "./temporary-directory.js";

const COUNTER = { space: "meta", key: utf8("counter") } as const;

describe("rows in LMDB", () => {
  it("keeps nothing of a batch that fails half-way, nor of those in its transaction", async (context) => {
    const { store } = await createDirectory(join(temporaryDirectory(context), "db"));
    let looks = 0;
    // Fails when it is looked at for the third time: when it is written, after the row before it.
    const failing: Row = {
      space: "meta",
      key: utf8("failing"),
      get value(): Uint8Array {
        looks += 1;
        if (looks > 2) throw new Error("cannot be written");
        return utf8("x");
      },
    };
    const before: Row = { space: "meta", key: utf8("before"), value: utf8("x") };
    const outcomes = await Promise.allSettled([
      store.write({ puts: [{ ...COUNTER, value: utf8("beside") }] }),
      store.write({ puts: [before, failing] }),
    ]);
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ["rejected", "rejected"],
    );
    assert.deepEqual(await store.snapshot([COUNTER, before, failing]), [undefined, undefined, undefined]);
    await store.write({ puts: [before] });
    assert.deepEqual(await store.snapshot([before]), [utf8("x")]);
    await store.close();
  });

  it("takes a snapshot of now, not of the event turn's first read", async (context) => {
    const path = join(temporaryDirectory(context), "db");
    const { store } = await createDirectory(path);
    assert.equal(store.sync?.get(COUNTER.space, COUNTER.key), undefined);
    const [file, parameters] = commandLine({ program: "write", path, argument: "elsewhere" });
    assert.equal(spawnSync(file, parameters).status, 0);
    assert.deepEqual(await store.snapshot([COUNTER]), [utf8("elsewhere")]);
    await store.close();
  });

  it("survives a data file that was cut short, whatever the length, and leaves it alone", async (context) => {
    const original = join(temporaryDirectory(context), "db");
    await makeRows(original);
    const usedBytes = newestMeta(readFileSync(join(original, "objects", "1", "data.mdb"))).usedBytes;
    for (const kept of [0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97]) {
      const path = `${original}-${kept}`;
      cpSync(original, path, { recursive: true });
      const file = join(path, "objects", "1", "data.mdb");
      const length = Math.floor(usedBytes * kept);
      truncateSync(file, length);
      await assert.rejects(openDirectory(path), (error) => {
        assert.ok(error instanceof Corrupt, String(error));
        assert.match(error.message, /data\.mdb is (cut short|not a data file)/);
        return true;
      });
      assert.equal(statSync(file).size, length);
    }
  });

  it("opens a file whose missing last pages no tree uses, and makes it whole", async (context) => {
    const path = join(temporaryDirectory(context), "db");
    await makeRows(path);
    const file = join(path, "objects", "1", "data.mdb");
    // The newest meta page says that there are a hundred pages more, as after a batch that put and deleted much.
    const bytes = readFileSync(file);
    const { offset, usedBytes } = newestMeta(bytes);
    bytes.writeBigUInt64LE(bytes.readBigUInt64LE(offset + 144) + 100n, offset + 144);
    // Nor is the room there that was taken for batches to come.
    writeFileSync(file, bytes.subarray(0, usedBytes));
    const { store } = await openDirectory(path);
    assert.equal(statSync(file).size, usedBytes + 100 * 4096);
    let rows = 0;
    for await (const key of store.iterate("nodes")) rows += key.length === 32 ? 1 : 0;
    assert.equal(rows, 400);
    await store.close();
  });

  it("finds no damage in what LMDB wrote, and names damaged pages", async (context) => {
    const path = join(temporaryDirectory(context), "db");
    await makeRows(path);
    const file = join(path, "objects", "1", "data.mdb");
    assert.equal(findDamage(file), undefined);
    const whole = readFileSync(file);
    let found = 0;
    for (let page = 2; page < whole.length / 4096; page += 1) {
      const damaged = Buffer.from(whole);
      damaged.fill(0, page * 4096, (page + 1) * 4096);
      writeFileSync(file, damaged);
      if (findDamage(file) !== undefined) found += 1;
    }
    // The large value of the last round lies in overflow pages, whose first is filled with its number.
    const large = Array.from({ length: whole.length / 4096 }, (_, page) => page * 4096).filter(
      (at) => whole.readUInt16LE(at + 18) === 4 && whole.subarray(at + 24, at + 4096).every((byte) => byte === 19),
    );
    assert.ok(large.length > 0);
    for (const at of large) {
      const damaged = Buffer.from(whole);
      damaged.fill(0, at, at + 4096);
      writeFileSync(file, damaged);
      assert.match(findDamage(file) ?? "", /holds no large value/);
    }
    context.diagnostic(`${found} of ${whole.length / 4096 - 2} pages are of trees`);
    assert.ok(found > 80);
    // Whatever the bytes, an answer and no crash.
    for (let round = 0; round < 300; round += 1) {
      const damaged = Buffer.from(whole);
      for (let flip = 0; flip < 40; flip += 1)
        damaged[8192 + ((round * 7919 + flip * 104_729) % (whole.length - 8192))]! ^= 0xff;
      writeFileSync(file, damaged);
      assert.ok(["string", "undefined"].includes(typeof findDamage(file)));
    }
  });
});

describe("the look at pages", () => {
  it("finds nothing in a large file that has much to use again: lists of free pages in pages of their own", async (context) => {
    const path = join(temporaryDirectory(context), "db");
    const { store } = await createDirectory(path);
    for (let round = 0; round < 12; round += 1) {
      const puts = Array.from({ length: 3000 }, (_, index): Row => {
        const key = new Uint8Array(createHash("sha256").update(`${round}/${index}`).digest());
        return { space: "nodes", key, value: new Uint8Array(700).fill(index) };
      });
      await store.write({ puts });
      assert.equal(findDamage(join(path, "objects", "1", "data.mdb")), undefined);
    }
    const keys: Uint8Array[] = [];
    for await (const key of store.iterate("nodes")) keys.push(key);
    await store.write({ deletes: keys.slice(0, 20_000).map((key) => ({ space: "nodes", key })) });
    await store.close();
    const seen = lookAtPages(join(path, "objects", "1", "data.mdb"));
    assert.equal(seen.damage, undefined);
    await (await openDirectory(path)).store.close();
  });
});

/** Where the newer meta page is, and how much of the file it says to be in use. */
function newestMeta(file: Buffer): { offset: number; usedBytes: number } {
  const offset = file.readBigUInt64LE(152) > file.readBigUInt64LE(4096 + 152) ? 0 : 4096;
  return { offset, usedBytes: (Number(file.readBigUInt64LE(offset + 144)) + 1) * 4096 };
}

/** Four hundred nodes and a few large values. */
async function makeRows(path: string): Promise<void> {
  const { store } = await createDirectory(path);
  for (let round = 0; round < 20; round += 1) {
    const puts = Array.from({ length: 20 }, (_, index): Row => {
      const key = new Uint8Array(32).fill(index * 11).fill(round, 16);
      return { space: "nodes", key, value: new Uint8Array(700).fill(round) };
    });
    puts.push({ space: "blobs", key: new Uint8Array(32).fill(round), value: new Uint8Array(20_000).fill(round) });
    await store.write({ puts });
  }
  await store.close();
}
