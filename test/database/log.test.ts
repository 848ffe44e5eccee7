// Goal: every durable change of a ref is one leaf of a log that other tools could check: each leaf is included, each size
// is consistent with each later one, times never decrease, and every checkpoint is signed by the one key.
// Method: core/log's verifier against what the engine hands out, after every write of a small history, with a clock that
// goes back; the signer held against core's own; damage to each kind of row.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Corrupt } from "#src/core/errors.js";
import { concatBytes, equalBytes, u64be, utf8 } from "#src/core/bytes.js";
import { FRESH_LEAF_INTERVAL_MS } from "#src/core/limits.js";
import {
  logLeafHash,
  decodeLogLeaf,
  parseCheckpointUnverified,
  parseOrigin,
  parseVerifierKey,
  signCheckpoint,
  verifyCheckpoint,
  verifyConsistency,
  verifyInclusion,
} from "#src/core/log/index.js";
import type { Checkpoint } from "#src/core/log/index.js";
import { get, readSync } from "#src/core/map/index.js";
import { LOG_KEYS_KEY, logKeysCell } from "#src/core/object/index.js";
import { signerFromSeed } from "#src/core/signature/index.js";
import { CheckpointSigner } from "#src/database/checkpoint-signer.js";
import { Database } from "#src/database/index.js";
import { signingKeyFromSeed } from "#src/database/signing-key.js";
import { SPACES } from "#src/store/index.js";
import type { MemoryStore, Row } from "#src/store/index.js";
import { patternBytes } from "./support/bytes.js";
import { START_MS, inMemory, onEachStore, put } from "./support/database.js";
import { expectError } from "./support/expect.js";

async function snapshotOf(db: Database, knownSize?: number) {
  const view = await db.view();
  const proof = await view.logProof({ knownSize });
  const checkpoint = verifyCheckpoint(proof.checkpoint, parseVerifierKey(db.log.verifierKey));
  assert.equal(checkpoint.size, proof.logSize);
  assert.equal(view.logSize, proof.logSize);
  const index = proof.logSize - 1;
  verifyInclusion({
    index,
    size: checkpoint.size,
    leafHash: logLeafHash(proof.leaf),
    proof: proof.inclusion,
    root: checkpoint.root,
  });
  const leaf = decodeLogLeaf(proof.leaf, index);
  assert.deepEqual(leaf.refsRoot, view.refs.root);
  return { proof, checkpoint, leaf };
}

/** Everything that a store holds. */
async function rowsOf(store: MemoryStore): Promise<Row[]> {
  const rows: Row[] = [];
  for (const space of SPACES) {
    for await (const key of store.iterate(space)) {
      const value = store.sync.get(space, key);
      if (value !== undefined) rows.push({ space, key, value });
    }
  }
  return rows;
}

describe("the log", () => {
  onEachStore("proves each leaf and each size against each later one", async (place) => {
    const db = await place.create();
    const seen: Checkpoint[] = [];
    let lastTime = 0;
    for (let index = 0; index < 25; index += 1) {
      // The clock jumps about; the log's times do not.
      place.clock.nowMs = START_MS + [0, 50, 20, 90, 10][index % 5]! * 1000;
      if (index > 0) {
        const { receipt } = await db.states.apply("main", { operations: [put(`${index % 7}`, `${index}`)] });
        assert.equal(receipt.logIndex, index);
        const signed = verifyCheckpoint(receipt.checkpoint, parseVerifierKey(db.log.verifierKey));
        assert.ok(signed.size > receipt.logIndex);
      }
      const { checkpoint, leaf } = await snapshotOf(db);
      assert.ok(leaf.time >= lastTime);
      assert.deepEqual(leaf.first, index === 0 ? { reason: "created" } : undefined);
      lastTime = leaf.time;
      seen.push(checkpoint);
    }
    const newest = seen.at(-1)!;
    for (const { size, root } of seen) {
      const { proof } = await snapshotOf(db, size);
      verifyConsistency({ from: size, to: newest.size, fromRoot: root, toRoot: newest.root, proof: proof.consistency });
    }
    assert.deepEqual((await snapshotOf(db, 0)).proof.consistency, []);
    assert.deepEqual((await snapshotOf(db, 4000)).proof.consistency, []);
    await expectError((await db.view()).logProof({ knownSize: -1 }), { code: "INVALID_ARGUMENT" });
    assert.equal(parseCheckpointUnverified(await db.log.checkpoint()).size, 25);
    await db.close();
  });

  it("does not go on where leaves that were durable are gone", async () => {
    const write = (db: Database, key: string) => db.states.apply("main", { operations: [put(key, "x")] });
    for (const others of [0, 1, 3]) {
      const { db, store } = await inMemory();
      await write(db, "kept");
      const before = await rowsOf(store);
      await write(db, "lost");
      await write(db, "lost too");
      // A copy of earlier is put in its place, and somebody goes on with that.
      for (const { space, key } of await rowsOf(store)) await store.write({ deletes: [{ space, key }] });
      await store.write({ puts: before });
      const other = await Database.open(store);
      for (let count = 0; count < others; count += 1) await write(other, `other/${count}`);
      for (const attempt of [write(db, "next"), db.view(), db.log.checkpoint()]) {
        const error = await expectError(attempt, { code: "CORRUPT" });
        assert.match(error.message, /lost leaves that were durable: it had 4/);
      }
      await write(other, "by who has not seen them");
      await Promise.all([db.close(), other.close()]);
    }
  });

  it("is signed by the key that the refs list, under the origin", async () => {
    const { db } = await inMemory();
    const key = parseVerifierKey(db.log.verifierKey);
    const { databaseId, epoch, host } = parseOrigin(db.log.origin);
    assert.deepEqual(
      [Buffer.from(databaseId).toString("hex"), epoch, host, key.name],
      [db.id, 1, "neleus", db.log.origin],
    );
    const cell = readSync(get((await db.view()).refs, LOG_KEYS_KEY), db.nodes);
    assert.deepEqual(logKeysCell.decode(cell!), [db.log.verifierKey]);
  });

  it("is signed to the byte as core signs", () => {
    const origin = "neleus/00112233445566778899aabbccddeeff/1";
    for (const seed of [patternBytes(32, 1), patternBytes(32, 2)]) {
      const signer = new CheckpointSigner({ origin, signingKey: signingKeyFromSeed(seed) });
      for (const [size, root] of [
        [1, patternBytes(32, 3)],
        [12_345, patternBytes(32, 4)],
      ] as const) {
        assert.equal(signer.checkpoint({ size, root }), signCheckpoint({ origin, size, root }, signerFromSeed(seed)));
      }
    }
  });

  it("signed ahead is shown for that very tree alone", (t) => {
    const origin = "neleus/00112233445566778899aabbccddeeff/1";
    const seed = patternBytes(32, 1);
    const key = signingKeyFromSeed(seed);
    const sign = t.mock.fn(key.sign);
    const signer = new CheckpointSigner({ origin, signingKey: { ...key, sign } });
    const expected = (tree: { size: number; root: Uint8Array }): string =>
      signCheckpoint({ origin, ...tree }, signerFromSeed(seed));
    // Prepared, and then another process was first with a leaf of its own.
    const lost = { size: 7, root: patternBytes(32, 2) };
    const won = { size: 7, root: patternBytes(32, 3) };
    signer.prepare(lost);
    assert.equal(signer.checkpoint(won), expected(won));
    const next = { size: 8, root: patternBytes(32, 4) };
    signer.prepare(next);
    assert.equal(sign.mock.callCount(), 3);
    assert.equal(signer.checkpoint(next), expected(next));
    signer.prepare(next);
    assert.equal(sign.mock.callCount(), 3, "the signature made ahead is the one that is shown");
    sign.mock.mockImplementationOnce(() => {
      throw new Error("the key is gone");
    });
    const last = { size: 9, root: patternBytes(32, 5) };
    signer.prepare(last);
    assert.equal(signer.checkpoint(last), expected(last));
  });

  it("grows when asked for something fresher, and only then", async () => {
    const { db, clock } = await inMemory();
    const before = await snapshotOf(db);
    await db.log.freshen({ maxAgeMs: 60_000 });
    assert.equal((await db.view()).logSize, 1);
    clock.nowMs += 60_001;
    await Promise.all([db.log.freshen({ maxAgeMs: 60_000 }), db.log.freshen({ maxAgeMs: 60_000 })]);
    const after = await snapshotOf(db, 1);
    assert.equal(after.checkpoint.size, 2);
    assert.deepEqual(after.leaf.refsRoot, before.leaf.refsRoot);
    assert.ok(after.leaf.time >= before.leaf.time + 60_000);
    await db.log.freshen({ maxAgeMs: 60_000 });
    assert.equal((await db.view()).logSize, 2);
    for (const maxAgeMs of [-1, 0.5, Number.NaN]) {
      await expectError(db.log.freshen({ maxAgeMs }), { code: "INVALID_ARGUMENT", field: "max_age_ms" });
    }
  });

  it("grows by at most a leaf an interval, however many readers want it fresh, and serves each what it asked for", async () => {
    const { db } = await inMemory({ clock: Date.now });
    const leaves = new Map<number, number>();
    const startMs = Date.now();
    // Callers that come all the time, each wanting a leaf from after its call, until the third of them is there.
    const callers: Promise<void>[] = [];
    const ask = async (): Promise<void> => {
      const askedMs = Date.now();
      await db.log.freshen({ maxAgeMs: 0 });
      const { leaf, logSize } = await (await db.view()).logProof();
      const { time } = decodeLogLeaf(leaf, logSize - 1);
      assert.ok(time >= askedMs, "the leaf is from after the call");
      leaves.set(logSize, time);
    };
    while (Date.now() - startMs < 2 * FRESH_LEAF_INTERVAL_MS + 100) {
      for (let count = 0; count < 20; count += 1) callers.push(ask());
      await delay(50);
    }
    await Promise.all(callers);
    const elapsedMs = Date.now() - startMs;
    assert.ok(callers.length >= 100);
    const times = [...leaves.entries()].sort(([a], [b]) => a - b);
    // The first log leaf is the database's own. On a busy machine the callers come for longer, and get more leaves.
    const most = 2 + Math.ceil(elapsedMs / FRESH_LEAF_INTERVAL_MS);
    assert.ok(times.length >= 2 && (times.at(-1)?.[0] ?? 0) <= most, JSON.stringify(times));
    for (const [position, [, timeMs]] of times.slice(1).entries()) {
      // A timer may fire a millisecond early by the other clock.
      assert.ok(timeMs - times[position]![1] >= FRESH_LEAF_INTERVAL_MS - 2);
    }
  });

  it("gives up waiting for an interval when the caller does, and is not grown by a write's leaf in it", async () => {
    const { db } = await inMemory({ clock: Date.now });
    await delay(2);
    const controller = new AbortController();
    const asked = db.log.freshen({ maxAgeMs: 0, signal: controller.signal });
    const patient = db.log.freshen({ maxAgeMs: 0 });
    controller.abort();
    await assert.rejects(asked, { name: "AbortError" });
    assert.equal((await db.view()).logSize, 1);
    await delay(2);
    await db.states.apply("main", { operations: [put("k", "v")] });
    await patient;
    assert.equal((await db.view()).logSize, 2);
  });
});

describe("a log whose rows were changed", () => {
  const LEAVES = 6;
  const rows: [string, "log" | "tiles" | "meta", Uint8Array][] = [
    ["the newest leaf", "log", u64be(LEAVES - 1)],
    ["the hashes of the newest leaf", "tiles", u64be(LEAVES - 1)],
    ["the tail", "meta", utf8("tail")],
    ["the identity", "meta", utf8("identity")],
    ["the signing key", "meta", utf8("signing-key")],
  ];
  for (const [what, space, key] of rows) {
    it(`is not opened, extended or signed: ${what}`, async () => {
      const { db, store } = await inMemory();
      for (let index = 1; index < LEAVES; index += 1)
        await db.states.apply("main", { operations: [put("k", `${index}`)] });
      const row = store.sync.get(space, key);
      assert.ok(row !== undefined);
      // Every byte of the row, and the row's absence.
      const variants = [...row.keys()].map((position) => {
        const changed = row.slice();
        changed[position] = (changed[position] ?? 0) ^ 0x10;
        return changed;
      });
      for (const changed of [...variants, row.subarray(0, row.length - 1), undefined]) {
        if (changed === undefined) await store.write({ deletes: [{ space, key }] });
        else await store.write({ puts: [{ space, key, value: changed }] });
        const isAbsentTail = changed === undefined && equalBytes(key, utf8("tail"));
        await expectError(() => Database.open(store), { code: isAbsentTail ? "NOT_FOUND" : "CORRUPT" });
      }
      await store.write({ puts: [{ space, key, value: row }] });
      await Database.open(store);
    });
  }

  it("serves no proof that does not hold, whichever stored hash is damaged", async () => {
    const { db, store } = await inMemory();
    const roots: Uint8Array[] = [];
    for (let index = 0; index < LEAVES; index += 1) {
      if (index > 0) await db.states.apply("main", { operations: [put("k", `${index}`)] });
      roots.push(parseCheckpointUnverified(await db.log.checkpoint()).root);
    }
    const toRoot = roots.at(-1)!;
    let refused = 0;
    for (const { space, key, value } of rowsOf(store)) {
      for (let offset = 5; offset < value.length; offset += 32) {
        const changed = value.slice();
        changed[offset] = (changed[offset] ?? 0) ^ 1;
        await store.write({ puts: [{ space, key, value: changed }] });
        for (let from = 0; from < LEAVES; from += 1) {
          try {
            const { consistency } = await (await db.view()).logProof({ knownSize: from });
            const fromRoot = roots[from - 1];
            if (fromRoot !== undefined) verifyConsistency({ from, to: LEAVES, fromRoot, toRoot, proof: consistency });
          } catch (error) {
            assert.ok(error instanceof Corrupt, String(error));
            refused += 1;
          }
        }
      }
      await store.write({ puts: [{ space, key, value }] });
    }
    assert.ok(refused > 10);
  });

  it("is read as well where earlier versions wrote it, the hash of each leaf beside those of subtrees", async () => {
    const { db, store } = await inMemory();
    for (let index = 1; index < LEAVES; index += 1)
      await db.states.apply("main", { operations: [put("k", `${index}`)] });
    for (let leaf = 0; leaf < LEAVES; leaf += 1) {
      const key = u64be(leaf);
      const ofLeaf = logLeafHash(store.sync.get("log", key)!);
      const value = concatBytes(ofLeaf, store.sync.get("tiles", key) ?? new Uint8Array(0));
      await store.write({ puts: [{ space: "tiles", key, value }] });
    }
    const reopened = await Database.open(store);
    await reopened.states.apply("main", { operations: [put("k", "new")] });
    for (let from = 0; from <= LEAVES; from += 1) await (await reopened.view()).logProof({ knownSize: from });
    await Database.open(store);
  });

  /** Leaves and stored hashes. */
  function rowsOf(store: MemoryStore): { space: "log" | "tiles"; key: Uint8Array; value: Uint8Array }[] {
    const found: ReturnType<typeof rowsOf> = [];
    for (let leaf = 0; leaf < LEAVES; leaf += 1) {
      const key = u64be(leaf);
      for (const space of ["log", "tiles"] as const) {
        const value = store.sync.get(space, key);
        assert.equal(value === undefined, space === "tiles" && leaf % 2 === 0, "a row for what a leaf completes");
        if (value !== undefined) found.push({ space, key, value });
      }
    }
    return found;
  }
});
