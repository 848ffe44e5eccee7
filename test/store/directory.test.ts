// A database's directory: what `createDirectory` accepts, what `openDirectory` says of everything that is not one.
import assert from "node:assert/strict";
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { symlinkSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { utf8 } from "#src/core/bytes.js";
import {
  AlreadyExists,
  Corrupt,
  InvalidArgument,
  NeleusError,
  NotFound,
  PermissionDenied,
  Unsupported,
} from "#src/core/errors.js";
import { DEFAULT_CONFIG, changeConfig, createDirectory, openDirectory } from "#src/store/index.js";
import { run } from "./children/run.js";
import { temporaryDirectory } from "./temporary-directory.js";

const HAND_WRITTEN = {
  schema_version: 3,
  hashing: "blake3",
  verify_on_read: false,
  encryption: { enabled: false, algorithm: "aes-256-gcm", kdf_iterations: 600_000 },
  note: { mine: [1, 2] },
};

type ErrorClass = abstract new (...parameters: never[]) => NeleusError;

/** That the error is of this class, mentions the text, and names the field or hint. */
function refuses(
  kind: ErrorClass,
  expected: { text: RegExp; field?: string; hint?: RegExp },
): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof kind && error instanceof NeleusError, String(error));
    assert.match(error.message, expected.text);
    if (expected.field !== undefined) assert.equal(error.field, expected.field);
    if (expected.hint !== undefined) assert.match(error.hint ?? "", expected.hint);
    return true;
  };
}

async function make(path: string): Promise<void> {
  await (await createDirectory(path)).store.close();
}

/** A folder with a config.json written by hand. */
function writeConfig(path: string, text: string): string {
  mkdirSync(join(path, "meta"), { recursive: true });
  writeFileSync(join(path, "meta", "config.json"), text);
  return path;
}

function mode(...path: string[]): number {
  return statSync(join(...path)).mode & 0o777;
}

describe("making a database", () => {
  it("makes one in an absent path, with its parents, for its owner alone", async (context) => {
    const path = join(temporaryDirectory(context), "a", "b", "db");
    const { store, config, path: opened } = await createDirectory(path);
    assert.equal(opened, path);
    assert.deepEqual(config, DEFAULT_CONFIG);
    await store.close();
    assert.deepEqual(readdirSync(path).sort(), ["blobs", "meta", "objects", "wal"]);
    assert.deepEqual(readdirSync(join(path, "objects")).sort(), ["1", "CURRENT"]);
    assert.equal(readFileSync(join(path, "objects", "CURRENT"), "utf8"), "1\n");
    assert.deepEqual(JSON.parse(readFileSync(join(path, "meta", "config.json"), "utf8")), {
      schema_version: 3,
      hashing: "blake3",
      verify_on_read: true,
      encryption: { enabled: false },
    });
    for (const directory of [".", "blobs", "meta", "objects", "objects/1", "wal"])
      assert.equal(mode(path, directory), 0o700);
    for (const file of ["meta/config.json", "objects/CURRENT", "objects/1/data.mdb", "objects/1/lock.mdb"]) {
      assert.equal(mode(path, file), 0o600);
    }
  });

  it("gives blobs and uploads to their owner alone", async (context) => {
    const path = join(temporaryDirectory(context), "db");
    const { store } = await createDirectory(path);
    const staged = await store.files.stage("u1", { metadata: utf8("x") });
    await staged.append(0, utf8("abc"));
    await staged.sync();
    const upload = join(path, "wal", "u1.wal");
    assert.equal(mode(upload), 0o700);
    for (const name of readdirSync(upload)) assert.equal(mode(upload, name), 0o600);
    await staged.publish(new Uint8Array(32).fill(0xab));
    const folder = join(path, "blobs", "ab", "ab");
    assert.equal(mode(folder), 0o700);
    assert.deepEqual(readdirSync(folder).sort(), ["ab".repeat(32), `${"ab".repeat(32)}.outboard`]);
    for (const name of readdirSync(folder)) assert.equal(mode(folder, name), 0o600);
    await store.close();
  });

  it("makes one in an empty folder", async (context) => {
    const path = temporaryDirectory(context);
    await make(path);
    await (await openDirectory(path)).store.close();
  });

  it("completes a config written by hand, keeping what it does not know", async (context) => {
    const path = writeConfig(join(temporaryDirectory(context), "db"), JSON.stringify(HAND_WRITTEN));
    const { store, config } = await createDirectory(path, { config: DEFAULT_CONFIG });
    await store.close();
    assert.equal(config.verifyOnRead, false);
    assert.deepEqual(config.extra, { note: { mine: [1, 2] } });
    assert.deepEqual(JSON.parse(readFileSync(join(path, "meta", "config.json"), "utf8")), HAND_WRITTEN);
    assert.equal(mode(path, "meta", "config.json"), 0o600);
    assert.equal(mode(path, "meta"), 0o700);
  });

  it("takes a config of nothing but the schema version", async (context) => {
    const path = writeConfig(join(temporaryDirectory(context), "db"), `{"schema_version": 3}`);
    const { store, config } = await createDirectory(path);
    await store.close();
    assert.deepEqual(config, DEFAULT_CONFIG);
  });

  it("refuses a config that it cannot follow, and writes nothing", async (context) => {
    const cases: [string, ErrorClass, { text: RegExp; field?: string; hint?: RegExp }][] = [
      ["", InvalidArgument, { text: /not JSON/, field: "meta/config.json" }],
      ["{", InvalidArgument, { text: /not JSON/, field: "meta/config.json" }],
      ["[3]", InvalidArgument, { text: /not a JSON object/, field: "meta/config.json" }],
      ["{}", InvalidArgument, { text: /schema_version is absent/, field: "schema_version" }],
      [`{"schema_version": "3"}`, InvalidArgument, { text: /schema_version is "3"/, field: "schema_version" }],
      [`{"schema_version": 4}`, Unsupported, { text: /schema version 4/, field: "schema_version" }],
      [`{"schema_version": 2}`, Unsupported, { text: /schema version 2/, field: "schema_version" }],
      [`{"schema_version": 3, "hashing": "sha256"}`, Unsupported, { text: /sha256/, field: "hashing" }],
      [`{"schema_version": 3, "hashing": 3}`, InvalidArgument, { text: /hashing is 3/, field: "hashing" }],
      [`{"schema_version": 3, "verify_on_read": 1}`, InvalidArgument, { text: /is 1/, field: "verify_on_read" }],
      [`{"schema_version": 3, "encryption": true}`, InvalidArgument, { text: /is true/, field: "encryption" }],
      [`{"schema_version": 3, "origin_host": 7}`, InvalidArgument, { text: /is 7/, field: "origin_host" }],
      [`{"schema_version": 3, "origin_host": "A.b"}`, InvalidArgument, { text: /"A.b"/, field: "origin_host" }],
      [
        `{"schema_version": 3, "origin_host": "${"a".repeat(34)}"}`,
        InvalidArgument,
        { text: /not too long/, field: "origin_host" },
      ],
      [
        `{"schema_version": 3, "encryption": {"enabled": "yes"}}`,
        InvalidArgument,
        { text: /"yes"/, field: "encryption.enabled" },
      ],
      [
        `{"schema_version": 3, "encryption": {"enabled": true, "algorithm": "aes-128-gcm"}}`,
        Unsupported,
        { text: /aes-128-gcm.* knows "aes-256-gcm" or "chacha20-poly1305"/, field: "encryption.algorithm" },
      ],
      [
        `{"schema_version": 3, "encryption": {"enabled": true, "kdf_iterations": 99999}}`,
        InvalidArgument,
        { text: /from 100000 on/, field: "encryption.kdf_iterations" },
      ],
      [
        `{"schema_version": 3, "encryption": {"enabled": true}}`,
        PermissionDenied,
        { text: /there is no password/, field: "password", hint: /NELEUS_DB_ENCRYPTION_PASSWORD/ },
      ],
      [" ".repeat(70_000), InvalidArgument, { text: /at most 65536 bytes/, field: "meta/config.json" }],
    ];
    for (const [number, [text, kind, expected]] of cases.entries()) {
      const path = writeConfig(join(temporaryDirectory(context), String(number)), text);
      await assert.rejects(createDirectory(path), refuses(kind, expected));
      assert.deepEqual(readdirSync(path), ["meta"]);
      assert.equal(readFileSync(join(path, "meta", "config.json"), "utf8"), text);
    }
  });

  it("refuses a database, and leaves it alone", async (context) => {
    const path = join(temporaryDirectory(context), "db");
    const { store } = await createDirectory(path);
    await store.write({ puts: [{ space: "meta", key: utf8("row"), value: utf8("kept") }] });
    await assert.rejects(createDirectory(path), refuses(AlreadyExists, { text: /already/, hint: /db info/ }));
    assert.deepEqual(await store.snapshot([{ space: "meta", key: utf8("row") }]), [utf8("kept")]);
    await store.close();
  });

  it("refuses a file, and folders with anything else in them", async (context) => {
    const directory = temporaryDirectory(context);
    const file = join(directory, "file");
    writeFileSync(file, "text");
    await assert.rejects(createDirectory(file), refuses(InvalidArgument, { text: /is a file/ }));
    await assert.rejects(createDirectory(join(file, "db")), NeleusError);
    const foreign: [string, (path: string) => void, RegExp][] = [
      ["notes", (path) => writeFileSync(join(path, "notes.txt"), ""), /notes\.txt/],
      ["meta-file", (path) => writeFileSync(join(path, "meta"), ""), /meta/],
      ["meta-more", (path) => writeFileSync(join(writeConfig(path, "{}"), "meta", "other"), ""), /meta\/other/],
      ["config-more", (path) => writeFileSync(join(writeConfig(path, "{}"), "x"), ""), /\(x\)/],
      ["link", (path) => symlinkSync(directory, join(path, "blobs")), /blobs/],
    ];
    for (const [name, spoil, text] of foreign) {
      const path = join(directory, name);
      mkdirSync(path);
      spoil(path);
      const before = readdirSync(path, { recursive: true }).sort();
      await assert.rejects(createDirectory(path), refuses(InvalidArgument, { text, field: "path" }));
      assert.deepEqual(readdirSync(path, { recursive: true }).sort(), before);
    }
  });

  it("has no database, and can be made again, where writing its first rows failed", async (context) => {
    const path = join(temporaryDirectory(context), "db");
    const failing = { initialise: () => Promise.reject(new Error("no key")) };
    await assert.rejects(createDirectory(path, failing), /no key/);
    await assert.rejects(openDirectory(path), refuses(NotFound, { text: /interrupted/, hint: /^neleus db init / }));
    await make(path);
  });

  it("lets one of several processes at once make it, and none of them half", async (context) => {
    const path = join(temporaryDirectory(context), "db");
    const outcomes = await Promise.all([1, 2, 3].map(() => run({ program: "init", path })));
    const made = outcomes.filter(({ code }) => code === 0);
    assert.ok(made.length >= 1);
    for (const { code, stderr } of outcomes) if (code !== 0) assert.match(stderr, /AlreadyExists/);
    const { store } = await openDirectory(path);
    assert.deepEqual(await store.snapshot([{ space: "meta", key: utf8("counter") }]), [utf8("first")]);
    await store.close();
    assert.deepEqual(
      readdirSync(join(path, "objects"))
        .filter((name) => !name.endsWith(".tmp"))
        .sort(),
      ["1", "CURRENT"],
    );
  });
});

describe("opening a database", () => {
  it("says how to make one where there is none", async (context) => {
    const directory = temporaryDirectory(context);
    const hint = /^neleus db init \//;
    await assert.rejects(openDirectory(join(directory, "absent")), refuses(NotFound, { text: /no database/, hint }));
    mkdirSync(join(directory, "empty"));
    await assert.rejects(openDirectory(join(directory, "empty")), refuses(NotFound, { text: /is empty/, hint }));
    const configured = writeConfig(join(directory, "configured"), JSON.stringify(HAND_WRITTEN));
    await assert.rejects(openDirectory(configured), refuses(NotFound, { text: /a configuration only/, hint }));
    assert.deepEqual(readdirSync(join(directory, "empty")), []);
    assert.equal(existsSync(join(directory, "absent")), false);
  });

  it("refuses a file, and a folder of other things, naming what it found", async (context) => {
    const directory = temporaryDirectory(context);
    writeFileSync(join(directory, "file"), "");
    await assert.rejects(
      openDirectory(join(directory, "file")),
      refuses(InvalidArgument, { text: /is a file/, field: "db" }),
    );
    await assert.rejects(openDirectory(directory), refuses(InvalidArgument, { text: /holds file/, field: "db" }));
  });

  it("refuses a config that was spoilt later", async (context) => {
    const path = join(temporaryDirectory(context), "db");
    await make(path);
    const cases: [string, ErrorClass, { text: RegExp; field?: string; hint?: RegExp }][] = [
      ["{", Corrupt, { text: /config\.json is not JSON/ }],
      [`{"schema_version": 4}`, Unsupported, { text: /schema version 4/, hint: /update/ }],
      [`{"schema_version": 1}`, Unsupported, { text: /schema version 1/, hint: /older/ }],
      [`{"schema_version": 3.5}`, InvalidArgument, { text: /3\.5/, field: "schema_version" }],
      [`{"schema_version": 3, "encryption": {"enabled": true}}`, PermissionDenied, { text: /no password/ }],
    ];
    for (const [text, kind, expected] of cases) {
      writeFileSync(join(path, "meta", "config.json"), text);
      await assert.rejects(openDirectory(path), refuses(kind, expected));
    }
    rmSync(join(path, "meta", "config.json"));
    await assert.rejects(openDirectory(path), refuses(Corrupt, { text: /config\.json .* is missing/ }));
    await assert.rejects(createDirectory(path), refuses(Corrupt, { text: /config\.json .* is missing/ }));
  });

  it("names what is damaged", async (context) => {
    const directory = temporaryDirectory(context);
    const original = join(directory, "db");
    const { store } = await createDirectory(original);
    await store.write({ puts: [{ space: "blobs", key: new Uint8Array(32), value: new Uint8Array(500_000) }] });
    await store.close();
    const damages: [string, (path: string) => void, RegExp][] = [
      ["current-text", (path) => writeFileSync(join(path, "objects", "CURRENT"), "../1\n"), /CURRENT does not name/],
      [
        "current-other",
        (path) => writeFileSync(join(path, "objects", "CURRENT"), "2\n"),
        /objects\/2, where there is no/,
      ],
      ["no-data", (path) => rmSync(join(path, "objects", "1", "data.mdb")), /objects\/1, where there is no/],
      [
        "no-lmdb",
        (path) => writeFileSync(join(path, "objects", "1", "data.mdb"), Buffer.alloc(16_384, 7)),
        /not a data file of LMDB/,
      ],
      ["emptied", (path) => writeFileSync(join(path, "objects", "1", "data.mdb"), ""), /not a data file of LMDB/],
      ["short", (path) => truncateSync(join(path, "objects", "1", "data.mdb"), 16_384), /data\.mdb is cut short/],
    ];
    for (const [name, damage, text] of damages) {
      const path = join(directory, name);
      cpSync(original, path, { recursive: true });
      damage(path);
      await assert.rejects(openDirectory(path), refuses(Corrupt, { text, hint: /restore/ }));
    }
    await (await openDirectory(original)).store.close();
  });

  it("finishes an initialisation that lacks only CURRENT, and does not guess between two stores", async (context) => {
    const path = join(temporaryDirectory(context), "db");
    const initialised = await createDirectory(path, {
      initialise: (store) => store.write({ puts: [{ space: "meta", key: utf8("row"), value: utf8("first") }] }),
    });
    await initialised.store.close();
    rmSync(join(path, "objects", "CURRENT"));
    await assert.rejects(openDirectory(path), refuses(NotFound, { text: /interrupted/, hint: /db init/ }));
    const { store } = await createDirectory(path, { initialise: () => assert.fail("there are rows already") });
    assert.deepEqual(await store.snapshot([{ space: "meta", key: utf8("row") }]), [utf8("first")]);
    await store.close();
    rmSync(join(path, "objects", "CURRENT"));
    cpSync(join(path, "objects", "1"), join(path, "objects", "2"), { recursive: true });
    await assert.rejects(createDirectory(path), refuses(Corrupt, { text: /2 stores and no CURRENT/ }));
  });

  it("clears away what crashes left behind, once it is old", async (context) => {
    const path = join(temporaryDirectory(context), "db");
    await make(path);
    const unfinished = join(path, "objects", ".initialising-0011223344556677");
    mkdirSync(unfinished);
    const old = join(path, "meta", ".config.json.0011223344556677.tmp");
    const young = join(path, "meta", ".config.json.8899aabbccddeeff.tmp");
    for (const file of [old, young]) writeFileSync(file, "{");
    utimesSync(old, new Date(0), new Date(0));
    await (await openDirectory(path)).store.close();
    assert.equal(existsSync(unfinished), false);
    assert.equal(existsSync(old), false);
    assert.equal(existsSync(young), true);
  });

  it("works in a copy that lacks the folders which were empty", async (context) => {
    const path = join(temporaryDirectory(context), "db");
    await make(path);
    for (const folder of ["blobs", "wal"]) rmSync(join(path, folder), { recursive: true });
    const { store } = await openDirectory(path);
    const staged = await store.files.stage("u1", { metadata: utf8("x") });
    await staged.append(0, utf8("abc"));
    await staged.publish(new Uint8Array(32));
    await store.close();
  });

  it("replaces the config, and not by one that it could not read", async (context) => {
    const path = join(temporaryDirectory(context), "db");
    await make(path);
    await changeConfig(path, (present) => ({ ...present, verifyOnRead: false, extra: { database: "x" } }));
    const { store, config } = await openDirectory(path);
    await store.close();
    assert.equal(config.verifyOnRead, false);
    assert.deepEqual(config.extra, { database: "x" });
    await assert.rejects(
      changeConfig(path, (present) => ({ ...present, extra: { schema_version: 9 } })),
      Unsupported,
    );
    await changeConfig(path, (present) => ({ ...present, originHost: "db.example" }));
    const changed = await openDirectory(path);
    await changed.store.close();
    assert.deepEqual(changed.config, { ...config, originHost: "db.example" });
    await assert.rejects(
      changeConfig(path, (present) => ({ ...present, originHost: "A.b" })),
      InvalidArgument,
    );
    await (await openDirectory(path)).store.close();
  });

  it("says so where it may not read", async (context) => {
    const path = join(temporaryDirectory(context), "db");
    await make(path);
    chmodSync(join(path, "objects"), 0);
    // Root may read everything, so there the test is nobody for a moment.
    const isRoot = process.getuid?.() === 0;
    if (isRoot) process.seteuid?.(65_534);
    try {
      await assert.rejects(openDirectory(path), (error) => {
        assert.ok(error instanceof NeleusError && error.code === "PERMISSION_DENIED", String(error));
        assert.match(error.message, /permission denied/);
        return true;
      });
    } finally {
      if (isRoot) process.seteuid?.(0);
      chmodSync(join(path, "objects"), 0o700);
    }
  });
});
