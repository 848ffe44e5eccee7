// Goal: a new epoch is a new key and a log of its own over the same refs, begun whole or not at all, and whoever trusted an
// old checkpoint is led to it; leaves that were lost are noticed, remembered, and signed over by nobody.
// Method: histories over both stores, followed with core's verifiers (support/follow.ts); two processes on one store; writers
// that do not pause; a process killed in between; a database as it was written before there were other epochs than the first.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, it } from "node:test";
import { fromHex, toHex, utf8 } from "#src/core/bytes.js";
import { NeleusError } from "#src/core/errors.js";
import {
  cosign,
  decodeLogLeaf,
  formatNote,
  formatWitnessKey,
  parseCheckpointUnverified,
  parseNote,
  parseVerifierKey,
  verifyCheckpoint,
  witnessKey,
} from "#src/core/log/index.js";
import { get, readSync } from "#src/core/map/index.js";
import { LOG_KEYS_KEY, logKeysCell } from "#src/core/object/index.js";
import { signerFromSeed } from "#src/core/signature/index.js";
import { Database } from "#src/database/index.js";
import { MemoryStore } from "#src/store/index.js";
import type { Space } from "#src/store/index.js";
import { TestClock, inDirectory, inMemory, onEachStore, put, readText } from "./support/database.js";
import { expectError } from "./support/expect.js";
import { followAll, followStep } from "./support/follow.js";
import { checkNodes } from "./support/node-rows.js";

const write = (db: Database, key: string, value = key) => db.states.apply("main", { operations: [put(key, value)] });

async function keysOf(db: Database): Promise<readonly string[]> {
  const cell = readSync(get((await db.view()).refs, LOG_KEYS_KEY), db.nodes);
  return logKeysCell.decode(cell!);
}

const inLine = (note: string): string => Buffer.from(note).toString("base64");

/** Does something when the next batch is about to be written: what that was put together from is then no longer true. */
function meanwhile(store: MemoryStore, act: () => Promise<unknown>): void {
  const write = store.write.bind(store);
  store.write = async (batch) => {
    store.write = write;
    await act();
    await write(batch);
  };
}

/** What a client remembers. */
async function seenBy(db: Database) {
  return { verifierKey: db.log.verifierKey, known: parseCheckpointUnverified(await db.log.checkpoint()) };
}

/** The rows of a store, to be put into another: a copy of a directory. */
async function copyOf(store: MemoryStore): Promise<MemoryStore> {
  const copy = new MemoryStore();
  const spaces: Space[] = ["nodes", "objects", "blobs", "log", "tiles", "meta", "leases", "requests"];
  for (const space of spaces) {
    for await (const key of store.iterate(space)) {
      const value = store.sync.get(space, key);
      if (value !== undefined) await copy.write({ puts: [{ space, key, value }] });
    }
  }
  return copy;
}

describe("a key that is announced", () => {
  onEachStore("signs beside the one in force, and is the one of the next epoch", async ({ create, location }) => {
    const db = await create();
    await write(db, "a");
    const seen = await seenBy(db);
    assert.equal(db.log.nextVerifierKey, undefined);
    const { nextVerifierKey, receipt } = await db.epochs.announceKey();
    assert.equal(db.log.nextVerifierKey, nextVerifierKey);
    assert.deepEqual(await keysOf(db), [seen.verifierKey, nextVerifierKey]);
    assert.equal(receipt.logIndex, 2);
    // Both sign, from the very checkpoint that lists them on, and again where it is asked for once more.
    const { signatures } = parseNote(receipt.checkpoint);
    const current = parseVerifierKey(seen.verifierKey);
    const next = parseVerifierKey(nextVerifierKey);
    assert.deepEqual(
      signatures.map(({ name }) => name),
      [current.name, next.name],
    );
    assert.equal(next.name, current.name.replace(/1$/, "2"));
    verifyCheckpoint(receipt.checkpoint, current);
    const again = await db.epochs.announceKey();
    assert.deepEqual(again, { nextVerifierKey, receipt });
    assert.equal(parseNote((await write(db, "b")).receipt.checkpoint).signatures.length, 2);
    await db.close();
    if (location instanceof MemoryStore) return;

    const reopened = await Database.open(location);
    assert.equal(reopened.log.nextVerifierKey, nextVerifierKey);
    const begun = await reopened.epochs.begin({ reason: "rekeyed" });
    assert.deepEqual([begun.epoch, begun.verifierKey], [2, nextVerifierKey]);
    assert.deepEqual(await keysOf(reopened), [nextVerifierKey]);
    assert.equal(parseNote(await reopened.log.checkpoint()).signatures.length, 1);
    const [step, ...others] = await followAll(reopened, seen);
    assert.deepEqual(others, []);
    assert.deepEqual(step?.isListed, true);
    assert.deepEqual(step.first, { reason: "rekeyed", previous: begun.previous });
    await reopened.close();
  });

  it("is asked for before a database is re-keyed, unless that is waived", async () => {
    const { db } = await inMemory();
    const refused = await expectError(db.epochs.begin({ reason: "rekeyed" }), {
      code: "INVALID_ARGUMENT",
      field: "reason",
    });
    assert.match(refused.hint ?? "", /rotate-log-key/);
    const seen = await seenBy(db);
    await db.epochs.begin({ reason: "rekeyed", announcement: "waived" });
    const step = await followStep(db, seen);
    assert.equal(step.isListed, false);
    const previous = await db.log.checkpoint();
    await expectError(db.epochs.begin({ reason: "rekeyed", announcement: "waived", previous }), {
      code: "INVALID_ARGUMENT",
      field: "previous",
    });
  });
});

describe("a new epoch", () => {
  onEachStore("has the refs of the one before, and a log of its own", async (place) => {
    const db = await place.create();
    const seen = [];
    for (let epoch = 1; epoch <= 4; epoch += 1) {
      const [, , written] = await Promise.all([
        write(db, `${epoch}/a`),
        write(db, `${epoch}/b`),
        write(db, `${epoch}/c`),
      ]);
      const { commit } = await db.commits.create({ head: "main", author: "a", message: `${epoch}` });
      assert.equal(parseCheckpointUnverified(written.receipt.checkpoint).origin, `neleus/${db.id}/${epoch}`);
      seen.push({ ...(await seenBy(db)), commit });
      if (epoch === 2) await db.epochs.announceKey();
      const reason = epoch === 2 ? "rekeyed" : epoch === 3 ? "cloned" : "restored";
      const begun = await db.epochs.begin({ reason });
      assert.equal(begun.epoch, epoch + 1);
      assert.equal(begun.origin, db.log.origin);
      assert.deepEqual(begun.receipt.logIndex, 0);
      const view = await db.view();
      assert.equal(view.logSize, 1);
      const { first } = decodeLogLeaf((await view.logLeaf(0)).leaf, 0);
      assert.deepEqual(first, { reason, previous: begun.previous });
      assert.equal(await readText(db, "1/a"), "1/a");
      assert.equal((await view.head("main")).commit && toHex((await view.head("main")).commit!), toHex(commit.hash));
    }
    await write(db, "5/a");
    for (const [index, from] of seen.entries()) {
      const steps = await followAll(db, from);
      assert.deepEqual(
        steps.map(({ first, isListed }) => [first.reason, isListed]),
        [
          ["restored", false],
          ["rekeyed", true],
          ["cloned", false],
          ["restored", false],
        ].slice(index),
      );
    }
    await expectError(db.epochs.step({ epoch: 5 }), { code: "NOT_FOUND", facts: { kind: "epoch" } });
    await expectError(db.epochs.step({ epoch: 99 }), { code: "NOT_FOUND", facts: { kind: "epoch" } });
    // The rows of the log are all there: each epoch's leaves, and the proofs between any of its sizes.
    for (const { known } of seen) {
      const epoch = Number(known.origin.split("/").at(-1));
      for (let size = 1; size <= known.size; size += 1) await db.epochs.step({ epoch, knownSize: size });
    }
    if (place.kind === "directory") {
      await db.close();
      const again = await Database.open(place.location);
      assert.equal(again.log.origin, `neleus/${db.id}/5`);
      await write(again, "after");
      assert.equal((await followAll(again, seen[0]!)).length, 4);
      await again.close();
      return;
    }
    await checkNodes(db, place.location as MemoryStore);
  });

  it("is seen by another process on the same store, whose views go on with what they have", async () => {
    const { db: one, store, clock } = await inMemory();
    const other = await Database.open(store, { clock: clock.read });
    await write(one, "a");
    const view = await other.view();
    const before = await view.logProof();
    const { origin } = await one.epochs.begin({ reason: "restored" });
    assert.equal(other.log.origin, origin);
    const { receipt } = await write(other, "b");
    assert.deepEqual(receipt.logIndex, 1);
    assert.equal(parseCheckpointUnverified(receipt.checkpoint).origin, origin);
    assert.equal((await view.logProof()).checkpoint, before.checkpoint);
    assert.equal((await view.logLeaf(0)).leaf.length > 0, true);
    assert.equal(await readText(one, "b"), "b");
  });

  it("begins while writers do not pause, who lose nothing", async () => {
    const { db } = await inMemory();
    const seen = await seenBy(db);
    let isDone = false;
    const written: string[] = [];
    const lanes = Array.from({ length: 8 }, async (_, lane) => {
      for (let number = 0; !isDone; number += 1) {
        await write(db, `${lane}/${number}`);
        written.push(`${lane}/${number}`);
      }
    });
    for (let epoch = 2; epoch <= 6; epoch += 1) {
      await db.epochs.announceKey();
      await db.epochs.begin({ reason: "rekeyed" });
    }
    isDone = true;
    await Promise.all(lanes);
    for (const key of written) assert.equal(await readText(db, key), key);
    const steps = await followAll(db, seen);
    assert.deepEqual(
      steps.map(({ isListed }) => isListed),
      [true, true, true, true, true],
    );
  });

  it("is not led to by a record that is damaged", async () => {
    const { db, store } = await inMemory();
    await write(db, "a");
    await db.epochs.announceKey();
    await db.epochs.begin({ reason: "rekeyed" });
    const key = utf8("epoch/1");
    const row = store.sync.get("meta", key)!;
    let refused = 0;
    for (const position of row.keys()) {
      const value = row.slice();
      value[position] = (value[position] ?? 0) ^ 0x10;
      await store.write({ puts: [{ space: "meta", key, value }] });
      const again = await Database.open(store);
      try {
        const { end } = await again.epochs.step({ epoch: 1, knownSize: 1 });
        readSync(get(end.refs, LOG_KEYS_KEY), end.nodes);
      } catch (error) {
        assert.ok(error instanceof NeleusError && error.code === "CORRUPT", `byte ${position}: ${String(error)}`);
        refused += 1;
      }
    }
    // The second signature of the note is the next key's, which nothing rests on.
    assert.ok(row.length - refused < 200, `${refused} of ${row.length}`);
  });

  it("is begun in a database that is open alone", async () => {
    const { db } = await inMemory();
    const begun = db.epochs.begin({ reason: "cloned" });
    const writing = write(db, "a");
    await Promise.all([begun, writing]);
    await db.close();
    await expectError(db.epochs.begin({ reason: "cloned" }), { code: "UNAVAILABLE" });
    await expectError(db.epochs.announceKey(), { code: "UNAVAILABLE" });
  });

  it("answers a request of an earlier one that is repeated", async () => {
    const { db } = await inMemory();
    const idempotency = { caller: "", key: "once" };
    for (let index = 0; index < 3; index += 1) await write(db, `${index}`);
    const first = await db.states.apply("main", { operations: [put("k", "v")], idempotency });
    await db.epochs.begin({ reason: "cloned" });
    const again = await db.states.apply("main", { operations: [put("k", "v")], idempotency });
    assert.deepEqual([again.isRepeated, toHex(again.root)], [true, toHex(first.root)]);
    assert.equal(again.receipt.logIndex, 0);
    assert.ok(parseCheckpointUnverified(again.receipt.checkpoint).size > again.receipt.logIndex);
    again.logged();
  });

  it("takes a later checkpoint of the one before from its operator, and no other", async () => {
    const { db, store } = await inMemory();
    await write(db, "a");
    const copy = await Database.open(await copyOf(store));
    const early = await db.log.checkpoint();
    await write(db, "b");
    const late = await db.log.checkpoint();
    const { db: stranger } = await inMemory({ randomBytes: (count) => new Uint8Array(count).fill(9) });
    for (const previous of ["", "no note", await stranger.log.checkpoint(), late.replace("\n3\n", "\n4\n")]) {
      await expectError(copy.epochs.begin({ reason: "restored", previous }), {
        code: "INVALID_ARGUMENT",
        field: "previous",
      });
    }
    assert.equal((await copy.epochs.begin({ reason: "restored", previous: late })).previous, late);
    await expectError(db.epochs.begin({ reason: "restored", previous: early }), {
      code: "INVALID_ARGUMENT",
      field: "previous",
    });
  });

  it("leaves out the number of one that was lost, where the announced key had begun it", async () => {
    const { db, store } = await inMemory();
    await db.epochs.announceKey();
    const seen = await seenBy(db);
    const copy = await Database.open(await copyOf(store));
    await db.epochs.begin({ reason: "rekeyed" });
    await write(db, "lost");
    const previous = await db.log.checkpoint();
    const begun = await copy.epochs.begin({ reason: "restored", previous });
    assert.deepEqual([begun.epoch, begun.previous], [3, previous]);
    const step = await followStep(copy, seen);
    assert.deepEqual([step.isListed, step.first], [false, { reason: "restored", previous }]);
  });
});

describe("a cosignature", () => {
  it("of an epoch that ends meanwhile is not kept", async () => {
    const { db, store } = await inMemory();
    const signer = signerFromSeed(new Uint8Array(32).fill(7));
    const note = cosign(parseNote(await db.log.checkpoint()), { name: "witness.example", signer, seconds: 1 });
    const key = formatWitnessKey(witnessKey("witness.example", signer.publicKey));
    meanwhile(store, () => db.epochs.begin({ reason: "restored" }));
    await expectError(db.log.cosign(formatNote(note), [key]), { code: "INVALID_ARGUMENT", field: "checkpoint" });
    assert.equal(store.sync.has("meta", utf8("cosignatures")), false);
  });
});

describe("a log that lost leaves", () => {
  it("is noticed by its own checkpoint, remembered, and signed over by nobody", async () => {
    const { db, store, clock } = await inMemory();
    await write(db, "a");
    const copied = await copyOf(store);
    await write(db, "lost");
    const lost = await db.log.checkpoint();
    const told: unknown[] = [];
    const copy = await Database.open(copied, { clock: clock.read, onRolledBack: (what) => told.push(what) });
    const own = await copy.log.checkpoint();
    const other = await Database.open(copied);
    // With a signature of somebody else's, which is not kept.
    const noted = `${lost}— example.org/witness dGhpcyBpcyBub25l\n`;
    const error = await expectError(copy.log.shown(noted), {
      code: "ROLLED_BACK",
      facts: { kind: "rolled-back", shown: inLine(lost), own: inLine(own) },
    });
    assert.match(error.hint ?? "", /db new-epoch --reason restored/);
    assert.deepEqual(copy.log.lost, told[0]);
    assert.equal(told.length, 1);
    const again = await Database.open(copied);
    for (const one of [copy, other, again]) {
      await expectError(write(one, "more"), { code: "ROLLED_BACK", facts: { shown: inLine(lost), own: inLine(own) } });
      await expectError(one.log.checkpoint(), { code: "ROLLED_BACK" });
      await expectError((await one.view()).logProof(), { code: "ROLLED_BACK" });
      await expectError(one.epochs.announceKey(), { code: "ROLLED_BACK" });
      await expectError(one.epochs.begin({ reason: "rekeyed", announcement: "waived" }), { code: "ROLLED_BACK" });
      assert.equal(await readText(one, "a"), "a");
      assert.equal((await one.view()).logSize, 2);
    }
    const begun = await other.epochs.begin({ reason: "restored" });
    assert.equal(begun.previous, lost);
    assert.equal(again.log.lost, undefined);
    await write(again, "more");
    // What was lost is of the epoch before, which is over.
    await again.log.shown(lost);
  });

  it("is noticed also where it has grown past what was lost", async () => {
    const { db, store } = await inMemory();
    const copy = await Database.open(await copyOf(store));
    await write(db, "lost");
    const lost = await db.log.checkpoint();
    for (let index = 0; index < 4; index += 1) await write(copy, `${index}`);
    await expectError(copy.log.shown(lost), { code: "ROLLED_BACK" });
    // The note is not later than our own: it is one branch of two.
    assert.equal(parseCheckpointUnverified((await copy.epochs.begin({ reason: "restored" })).previous).size, 5);
  });

  it("is added to by no round that was under way when it was noticed", async () => {
    const { db, store } = await inMemory();
    const copied = await copyOf(store);
    await write(db, "lost");
    const lost = await db.log.checkpoint();
    const copy = await Database.open(copied);
    const other = await Database.open(copied);
    meanwhile(copied, () => expectError(other.log.shown(lost), { code: "ROLLED_BACK" }));
    await expectError(write(copy, "more"), { code: "ROLLED_BACK" });
    assert.equal((await copy.view()).logSize, 1);
  });

  it("is not what others say: checkpoints that are unsigned, of others, older, or of what is here", async () => {
    const { db } = await inMemory();
    const notes = [await db.log.checkpoint()];
    for (let index = 0; index < 5; index += 1) {
      await write(db, `${index}`);
      notes.push(await db.log.checkpoint());
    }
    const newest = notes.at(-1)!;
    const { db: stranger } = await inMemory({ randomBytes: (count) => new Uint8Array(count).fill(9) });
    const forged = [
      newest.replace("\n6\n", "\n7\n"),
      newest.replace("\n6\n", "\n5\n"),
      `${newest.replace("\n6\n", "\n7\n")}${newest.split("\n\n")[1]!}`,
      await stranger.log.checkpoint(),
    ];
    for (const note of [...notes, ...forged]) await db.log.shown(note);
    await expectError(db.log.shown("nonsense"), { code: "MALFORMED" });
    assert.equal(db.log.lost, undefined);
    await write(db, "after");
  });
});

describe("a process that is killed in the midst of rotating", () => {
  const ROTATOR = join(process.cwd(), "build/test/database/support/kill-rotator.js");
  it("leaves the epoch before or the one after, whole", { timeout: 60_000 }, () =>
    inDirectory(async ({ create, location }) => {
      const made = await create();
      const seen = await seenBy(made);
      await made.close();
      for (let round = 0; round < 4; round += 1) {
        const child = spawn(process.execPath, [ROTATOR, location], { stdio: ["ignore", "pipe", "inherit"] });
        const lines: string[] = [];
        const ended = once(child, "exit");
        for await (const line of createInterface({ input: child.stdout })) {
          lines.push(line);
          if (lines.length === 6 + round) setTimeout(() => child.kill("SIGKILL"), Math.random() * 15);
        }
        assert.deepEqual(await ended, [null, "SIGKILL"], "it failed by itself");
        const db = await Database.open(location);
        const [acknowledged = "1"] = lines.filter((line) => !line.startsWith("write")).slice(-1);
        assert.ok(Number(db.log.origin.split("/").at(-1)) >= Number(acknowledged));
        for (const line of lines.filter((text) => text.startsWith("write"))) {
          const key = line.slice("write ".length);
          assert.equal(await readText(db, key), key);
        }
        const steps = await followAll(db, seen);
        assert.ok(steps.every(({ isListed }) => isListed));
        await write(db, `after ${round}`);
        await db.close();
      }
    }),
  );
});

describe("a database of before", () => {
  interface Fixture {
    readonly databaseId: string;
    readonly verifierKey: string;
    readonly checkpoint: string;
    readonly commit: string;
    readonly rows: readonly (readonly [Space, string, string])[];
  }

  it("opens unchanged, goes on, and begins a second epoch", async () => {
    const path = join(process.cwd(), "test/database/fixtures/first-epoch.json");
    const fixture = JSON.parse(readFileSync(path, "utf8")) as Fixture;
    const store = new MemoryStore();
    const puts = fixture.rows.map(([space, key, value]) => ({ space, key: fromHex(key), value: fromHex(value) }));
    await store.write({ puts });
    const db = await Database.open(store, { clock: new TestClock().read });
    assert.deepEqual([db.id, db.log.verifierKey], [fixture.databaseId, fixture.verifierKey]);
    assert.equal(await db.log.checkpoint(), fixture.checkpoint);
    for (const { space, key, value } of puts) assert.deepEqual(store.sync.get(space, key), value);
    assert.equal(await readText(db, "key/9"), "staged");
    await db.commits.get(fromHex(fixture.commit));
    const known = parseCheckpointUnverified(fixture.checkpoint);
    const idempotency = { caller: "", key: "once" };
    const repeated = await db.states.apply("main", { operations: [put("key/9", "staged")], idempotency });
    assert.deepEqual([repeated.isRepeated, repeated.receipt.logIndex], [true, known.size - 1]);
    assert.equal((await write(db, "more")).receipt.logIndex, known.size);
    await db.epochs.announceKey();
    await db.epochs.begin({ reason: "rekeyed" });
    const [step] = await followAll(db, { verifierKey: fixture.verifierKey, known });
    assert.equal(step?.isListed, true);
    assert.equal(await readText(db, "key/9"), "staged");
  });
});
