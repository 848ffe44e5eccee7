// Goal: the log of a database is named by the host that it was made with, or by the one that an epoch began with, and by `neleus`
// where nobody chose; whoever trusted it before follows or stops as at every epoch. Method: databases with and without a host,
// over both stores; a client that is there before and after.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { openOver } from "#src/client/database.js";
import { fileTrustStore } from "#src/client/file-trust-store.js";
import { inProcessTransport } from "#src/client/embedded/index.js";
import { acceptEpochOver } from "#src/client/accept-epoch.js";
import { NewEpoch } from "#src/core/errors.js";
import { MAX_ORIGIN_HOST_CHARACTERS } from "#src/core/limits.js";
import { DEFAULT_ORIGIN_HOST, parseOrigin, parseVerifierKey, verifyCheckpoint } from "#src/core/log/index.js";
import { Database } from "#src/database/index.js";
import { createServices } from "#src/service/index.js";
import { MemoryStore } from "#src/store/index.js";
import { NATIVE } from "../client/support/fixture.js";
import { inDirectory, inMemory, onEachStore, put, readAll } from "./support/database.js";
import { expectError } from "./support/expect.js";

const LONGEST = `${"a".repeat(MAX_ORIGIN_HOST_CHARACTERS - 8)}.example`;
const NO_HOSTS = [
  "",
  "DB.example",
  "db_1.example",
  ".example",
  "db.",
  "-a.example",
  "a b",
  "a/b",
  "é.example",
  `a${LONGEST}`,
];

const hostOf = (db: Database): string => parseOrigin(db.log.origin).host;
const writeOn = (db: Database, value: string) => db.states.apply("main", { operations: [put("k", value)] });

describe("the host of a log's origin", () => {
  onEachStore("names the log, its key and its checkpoints, also when opened again", async (place) => {
    const db = await place.create({ originHost: "db.example" });
    assert.match(db.log.origin, /^db\.example\/[0-9a-f]{32}\/1$/);
    assert.equal(db.log.origin, `db.example/${db.id}/1`);
    await writeOn(db, "1");
    const { name } = parseVerifierKey(db.log.verifierKey);
    const checkpoint = verifyCheckpoint(await db.log.checkpoint(), parseVerifierKey(db.log.verifierKey));
    assert.deepEqual([name, checkpoint.origin, checkpoint.size], [db.log.origin, db.log.origin, 2]);
    if (place.kind === "memory") return;
    await db.close();
    const again = await Database.open(place.location, place.options);
    assert.equal(again.log.origin, `db.example/${again.id}/1`);
    assert.equal(again.directory?.config.originHost, "db.example");
    await again.close();
  });

  it("is neleus where nobody chose one, and the config then says nothing", async () => {
    await inDirectory(async ({ create, location }) => {
      const db = await create();
      assert.equal(hostOf(db), DEFAULT_ORIGIN_HOST);
      assert.ok(!readFileSync(join(location, "meta/config.json"), "utf8").includes("origin_host"));
      await db.close();
    });
  });

  it("is a DNS name in lower case, which leaves room for two keys", async () => {
    for (const originHost of NO_HOSTS) {
      const refused = { code: "INVALID_ARGUMENT", field: "originHost" } as const;
      await expectError(Database.create(new MemoryStore(), { originHost }), refused);
      const { db } = await inMemory();
      await expectError(db.epochs.begin({ reason: "restored", originHost }), refused);
      assert.equal(hostOf(db), DEFAULT_ORIGIN_HOST);
    }
    const db = await Database.create(new MemoryStore(), { originHost: LONGEST });
    for (let epoch = 1; epoch < 12; epoch += 1) {
      await db.epochs.announceKey();
      await db.epochs.begin({ reason: "rekeyed" });
    }
    assert.equal(db.log.origin, `${LONGEST}/${db.id}/12`);
  });

  it("comes from a config that was written by hand, and contradicts none", async () => {
    await inDirectory(async ({ location, options }) => {
      const path = join(location, "meta/config.json");
      mkdirSync(join(location, "meta"), { recursive: true });
      writeFileSync(path, '{"schema_version": 3, "origin_host": "hand.example"}');
      const other = Database.create(location, { ...options, originHost: "db.example" });
      await expectError(other, { code: "INVALID_ARGUMENT", field: "originHost", message: /hand\.example/ });
      const db = await Database.create(location, { ...options, originHost: "hand.example" });
      assert.equal(hostOf(db), "hand.example");
      await db.close();
      assert.equal((JSON.parse(readFileSync(path, "utf8")) as { origin_host: string }).origin_host, "hand.example");
    });
  });

  it("is the one of whoever began to make the database, and got far enough", async () => {
    await inDirectory(async ({ location, create, options }) => {
      const { id } = await create({ originHost: "first.example" }).then(async (db) => {
        await db.close();
        return db;
      });
      rmSync(join(location, "objects/CURRENT"));
      const again = Database.create(location, { ...options, originHost: "first.example" });
      const made = await again;
      assert.equal(made.log.origin, `first.example/${id}/1`);
      await made.close();
      rmSync(join(location, "objects/CURRENT"));
      const path = join(location, "meta/config.json");
      writeFileSync(path, '{"schema_version": 3}');
      const other = Database.create(location, { ...options, originHost: "db.example" });
      await expectError(other, { code: "ALREADY_EXISTS", facts: { origin: `first.example/${id}/1` } });
      const opened = await Database.open(location, options);
      assert.equal(hostOf(opened), "first.example");
      await opened.close();
    });
  });

  it("changes with an epoch alone; the logs before keep their names", async () => {
    const { db } = await inMemory();
    await writeOn(db, "1");
    const before = db.log.origin;
    const restored = await db.epochs.begin({ reason: "restored", originHost: "db.example" });
    assert.equal(restored.origin, `db.example/${db.id}/2`);
    assert.deepEqual([(await db.epochs.view(1)).origin, (await db.epochs.view(2)).origin], [before, restored.origin]);
    assert.deepEqual(await readAll(db), { k: "1" });
    // What nobody says stays as it is.
    await db.epochs.announceKey();
    const followed = await db.epochs.begin({ reason: "rekeyed" });
    assert.equal(followed.origin, `db.example/${db.id}/3`);
    const unannounced = { reason: "rekeyed", announcement: "waived", originHost: "neleus" } as const;
    assert.equal((await db.epochs.begin(unannounced)).origin, `neleus/${db.id}/4`);
  });

  it("is part of the name of a key that is announced", async () => {
    const { db } = await inMemory();
    await db.epochs.announceKey();
    for (const announcement of ["required", "waived"] as const) {
      const begin = db.epochs.begin({ reason: "rekeyed", announcement, originHost: "db.example" });
      await expectError(begin, { code: "INVALID_ARGUMENT", field: "originHost", message: /announced/ });
    }
    // Nobody follows a restored copy by its key.
    assert.equal((await db.epochs.begin({ reason: "cloned", originHost: "db.example" })).epoch, 2);
    const begun = await db.epochs.begin({ reason: "restored", originHost: "db.example" });
    assert.equal(begun.origin, `db.example/${db.id}/3`);
  });

  it("of another epoch stops a client until somebody says that it is right", async (context) => {
    const folder = mkdtempSync(join(tmpdir(), "neleus-host-"));
    context.after(() => rmSync(folder, { recursive: true }));
    const trustStore = fileTrustStore(join(folder, "trust.json"));
    const { db: engine } = await inMemory();
    const services = createServices({ database: async () => engine, version: "0.0.0" });
    const transport = () => inProcessTransport({ address: "db.example:7117", services });
    const before = await openOver(transport(), { trustStore }, NATIVE);
    await before.state("main").put("k", "1");
    const begun = await engine.epochs.begin({ reason: "rekeyed", announcement: "waived", originHost: "db.example" });
    await assert.rejects(before.state("main").get("k"), NewEpoch);
    await assert.rejects(openOver(transport(), { trustStore }, NATIVE), NewEpoch);
    const accepted = await acceptEpochOver(transport(), { verifierKey: begun.verifierKey, trustStore });
    assert.equal(accepted.verifierKey, begun.verifierKey);
    const after = await openOver(transport(), { trustStore }, NATIVE);
    assert.equal((await after.state("main").get("k"))?.text(), "1");
    assert.equal(after.trust.origin, `db.example/${engine.id}/2`);
    // From there on keys are followed as ever.
    await engine.epochs.announceKey();
    await after.state("main").put("k", "2");
    await engine.epochs.begin({ reason: "rekeyed" });
    assert.equal((await after.state("main").get("k"))?.text(), "2");
    assert.equal(after.trust.origin, `db.example/${engine.id}/3`);
  });
});
