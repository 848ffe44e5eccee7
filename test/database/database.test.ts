// Goal: a database is made once, opens again as it was, repeats to the byte where clock and randomness do, and lets go
// when it is closed.
import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { toHex } from "#src/core/bytes.js";
import { MapKind, emptyMap } from "#src/core/map/index.js";
import { Database } from "#src/database/index.js";
import { MemoryStore } from "#src/store/index.js";
import type { Store } from "#src/store/index.js";
import { patternBytes } from "./support/bytes.js";
import { START_MS, inDirectory, inMemory, onEachStore, put, readAll, testRandom } from "./support/database.js";
import { expectError } from "./support/expect.js";

describe("a database", () => {
  onEachStore("begins with an empty head main, no commit, and one leaf", async (place) => {
    const db = await place.create();
    assert.match(db.id, /^[0-9a-f]{32}$/);
    assert.equal(db.log.origin, `neleus/${db.id}/1`);
    assert.equal(db.verifyOnRead, true);
    const view = await db.view();
    assert.equal(view.logSize, 1);
    const [main, ...others] = await view.heads();
    assert.deepEqual(others, []);
    assert.deepEqual(main, {
      name: "main",
      commit: undefined,
      stagedState: emptyMap(MapKind.state).digest,
      stagedLedger: emptyMap(MapKind.ledger).digest,
    });
    assert.deepEqual(await readAll(db), {});
    const { ledger } = await view.resolve({ staged: "main" });
    assert.equal(db.nodes.load(ledger?.root ?? new Uint8Array(0), MapKind.ledger).total, 0);
    await db.close();
  });

  it("repeats to the byte with the same clock and random bytes", async () => {
    const notes = await Promise.all(
      [1, 2].map(async () => {
        const { db } = await inMemory();
        await db.states.apply("main", { operations: [put("a", "1")] });
        await db.commits.create({ head: "main", author: "a", message: "m" });
        return db.log.checkpoint();
      }),
    );
    assert.equal(notes[0], notes[1]);
  });

  it("differs from every other one by itself", async () => {
    const [one, two] = await Promise.all([Database.create(new MemoryStore()), Database.create(new MemoryStore())]);
    assert.notEqual(one.id, two.id);
    assert.notEqual(one.log.verifierKey, two.log.verifierKey);
  });

  it("opens again as it was", () =>
    inDirectory(async ({ create, location }) => {
      const db = await create();
      await db.states.apply("main", { operations: [put("a", "1"), put("b", patternBytes(100_000))] });
      const { commit } = await db.commits.create({ head: "main", author: "a", message: "m" });
      const before = {
        id: db.id,
        key: db.log.verifierKey,
        note: await db.log.checkpoint(),
        heads: await (await db.view()).heads(),
        all: await readAll(db),
      };
      await db.close();
      const again = await Database.open(location);
      const after = {
        id: again.id,
        key: again.log.verifierKey,
        note: await again.log.checkpoint(),
        heads: await (await again.view()).heads(),
        all: await readAll(again),
      };
      assert.deepEqual(after, before);
      assert.deepEqual((await again.commits.get(commit.hash)).bytes, commit.bytes);
      await again.close();
    }));

  it("is made once", () =>
    inDirectory(async ({ create, location, options }) => {
      await expectError(Database.open(location), { code: "NOT_FOUND", facts: { kind: "database" } });
      const db = await create();
      await expectError(Database.create(location, options), { code: "ALREADY_EXISTS" });
      await db.close();
      await expectError(Database.create(location, options), { code: "ALREADY_EXISTS" });
      const store = new MemoryStore();
      await expectError(Database.open(store), { code: "NOT_FOUND", facts: { kind: "database" } });
      const first = await Database.create(store);
      await expectError(Database.create(store), { code: "ALREADY_EXISTS" });
      assert.equal((await Database.open(store)).id, first.id);
    }));

  it("follows a config written by hand, unless told otherwise", () =>
    inDirectory(async ({ create, location }) => {
      await mkdir(join(location, "meta"), { recursive: true });
      await writeFile(join(location, "meta/config.json"), '{"schema_version": 3, "verify_on_read": false}');
      const db = await create();
      assert.equal(db.verifyOnRead, false);
      assert.equal(db.directory?.path, location);
      assert.equal(db.directory.config.schemaVersion, 3);
      await db.close();
      const strict = await Database.open(location, { verifyOnRead: true });
      assert.equal(strict.verifyOnRead, true);
      await strict.close();
      assert.match(await readFile(join(location, "meta/config.json"), "utf8"), /"hashing": "blake3"/);
    }));

  it("is not served from a store that has to be waited for", async () => {
    const waiting: Store = Object.assign(new MemoryStore(), { sync: undefined });
    await expectError(() => Database.open(waiting), { code: "UNSUPPORTED" });
    await expectError(() => Database.create(waiting), { code: "UNSUPPORTED" });
  });

  onEachStore("takes nothing more once it is closed, but finishes what it took", async (place) => {
    const db = await place.create();
    const upload = await db.uploads.begin({ uploadId: "open" });
    const last = db.states.apply("main", { operations: [put("a", "1")] });
    await new Promise((resolve) => setImmediate(resolve));
    await db.close();
    await last;
    await db.close();
    const actions = [
      () => db.states.apply("main", { operations: [put("a", "1")] }),
      () => db.commits.create({ head: "main", author: "a", message: "" }),
      () => db.heads.create("x"),
      () => db.blobs.put(patternBytes(5)),
      () => db.blobs.put(patternBytes(100_000)),
      () => db.blobs.find(new Uint8Array(32), { atMostBytes: 1 }),
      () => db.uploads.begin({ uploadId: "other" }),
      () => upload.append(0, patternBytes(5)),
      () =>
        db.documents.begin({ source: "s", head: "main", chunking: { method: "fixed", sizeBytes: 1, overlapBytes: 0 } }),
      () => db.manifests.get(new Uint8Array(32)),
      () => db.view(),
      () => db.usage(),
      () => db.log.checkpoint(),
      () => db.log.freshen({ maxAgeMs: 0 }),
    ];
    for (const [index, action] of actions.entries()) {
      await expectError(action, { code: "UNAVAILABLE" }).catch((error: unknown) => {
        throw new Error(`action ${index}`, { cause: error });
      });
    }
  });

  it("uses the clock and randomness of the system where none are given", async () => {
    const db = await Database.create(new MemoryStore(), { randomBytes: testRandom() });
    const { commit } = await db.commits.create({ head: "main", author: "a", message: "" });
    assert.ok(commit.object.time > START_MS && commit.object.time <= Date.now());
    assert.equal(toHex(commit.object.database ?? new Uint8Array(0)), db.id);
  });
});
