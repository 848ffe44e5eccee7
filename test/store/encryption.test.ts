// Goal: a directory that is to be encrypted never holds a byte in clear that matters, opens with its password and no other, and cannot
// be talked out of it by an edited configuration. Method: directories made, edited, copied and raced on the disk.
import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { inspect } from "node:util";
import { toHex, utf8 } from "#src/core/bytes.js";
import {
  AlreadyExists,
  Corrupt,
  InvalidArgument,
  NeleusError,
  PermissionDenied,
  Unavailable,
} from "#src/core/errors.js";
import { DEFAULT_CONFIG, encryptedConfig, formatConfig, parseConfig } from "#src/store/directory/config.js";
import { complete, unlock } from "#src/store/directory/encryption.js";
import { layoutOf } from "#src/store/directory/layout.js";
import { createDirectory, openDirectory, rotateEncryptionKey, type RowName, type Store } from "#src/store/index.js";
import { temporaryDirectory } from "./temporary-directory.js";

/** FORMATS §8, as it stands there, but for the iterations, of which so many only take time. */
const HAND_WRITTEN =
  '{"schema_version": 3, "hashing": "blake3", "verify_on_read": true, "encryption": {"enabled": true, "algorithm": "aes-256-gcm", "kdf_iterations": 600000}}';
const QUICK = HAND_WRITTEN.replace("600000", "100000");

const ROW: RowName = { space: "nodes", key: new Uint8Array(32).fill(0xab) };
const VALUE = utf8("a very recognisable value");
const PASSWORD = "correct horse battery staple";
const VARIABLES = ["", "_FILE", "_COMMAND"].map((end) => `NELEUS_DB_ENCRYPTION_PASSWORD${end}`);

afterEach(() => {
  for (const name of VARIABLES) Reflect.deleteProperty(process.env, name);
});

function configured(path: string, text = QUICK): string {
  mkdirSync(join(path, "meta"), { recursive: true });
  writeFileSync(configOf(path), text);
  return path;
}

const configOf = (path: string): string => join(path, "meta", "config.json");

interface Config {
  readonly encryption: Record<string, unknown>;
}

function readConfig(path: string): Config {
  return JSON.parse(readFileSync(configOf(path), "utf8")) as Config;
}

async function fill(store: Store): Promise<void> {
  await store.write({ puts: [{ ...ROW, value: VALUE }] });
  const staged = await store.files.stage("invoice", { metadata: utf8("recognisable metadata") });
  await staged.append(0, utf8("recognisable content of a large blob"));
  await staged.publish(new Uint8Array(32).fill(0xcd));
}

async function make(path: string): Promise<void> {
  const { store } = await createDirectory(configured(path), { password: PASSWORD });
  await fill(store);
  await store.close();
}

/** Every byte below a folder, with the names. */
function everything(folder: string): string {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true });
  return names
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return entry.isFile() ? path + readFileSync(path).toString("latin1") : path;
    })
    .join("\n");
}

describe("an encrypted directory", () => {
  it("is made of the configuration of FORMATS §8 as it stands, which is completed", async (context) => {
    const path = configured(join(temporaryDirectory(context), "db"), HAND_WRITTEN);
    const { store } = await createDirectory(path, { password: PASSWORD });
    await store.close();
    const { encryption } = readConfig(path);
    const { master_salt, name_key, data_keys, ...settings } = encryption;
    assert.deepEqual(settings, {
      enabled: true,
      algorithm: "aes-256-gcm",
      kdf: "pbkdf2-hmac-sha256",
      kdf_iterations: 600_000,
    });
    assert.match(String(master_salt), /^[0-9a-f]{64}$/);
    assert.equal(typeof name_key, "string");
    assert.deepEqual(
      (data_keys as { id: number }[]).map(({ id }) => id),
      [1],
    );
    assert.deepEqual(readdirSync(join(path, "meta")), ["config.json"]);
    const { store: again } = await openDirectory(path, { password: PASSWORD });
    await again.close();
  });

  it("holds nothing in clear", async (context) => {
    const path = join(temporaryDirectory(context), "db");
    await make(path);
    const bytes = everything(path);
    const secrets = ["recognisable", "invoice", PASSWORD, toHex(new Uint8Array(32).fill(0xcd)).slice(0, 16)];
    for (const secret of secrets) assert.ok(!bytes.includes(secret), secret);
    for (const byte of [0xab, 0xcd]) assert.ok(!bytes.includes(Buffer.alloc(32, byte).toString("latin1")));
    const { store } = await openDirectory(path, { password: PASSWORD });
    assert.deepEqual(await store.snapshot([ROW]), [VALUE]);
    await store.close();
  });

  it("takes its password from the caller, the environment, a file or a command, and none from two of them", async (context) => {
    const directory = temporaryDirectory(context);
    const path = join(directory, "db");
    await make(path);
    const opens = async (): Promise<void> => (await openDirectory(path)).store.close();
    const [variable = "", file = "", command = ""] = VARIABLES;
    await assert.rejects(opens(), PermissionDenied);
    process.env[variable] = PASSWORD;
    await opens();
    process.env[file] = join(directory, "password");
    writeFileSync(join(directory, "password"), `${PASSWORD}\r\n`);
    await assert.rejects(opens(), { code: "INVALID_ARGUMENT", field: "password" });
    Reflect.deleteProperty(process.env, variable);
    await opens();
    Reflect.deleteProperty(process.env, file);
    process.env[command] = `cat '${join(directory, "password")}'`;
    await opens();
    process.env[command] = `echo ${PASSWORD} >&2; exit 3`;
    const failed = await opens().catch((error: unknown) => error);
    assert.ok(
      failed instanceof Unavailable && !JSON.stringify(failed).includes(PASSWORD) && !failed.message.includes(PASSWORD),
    );
    await (await openDirectory(path, { password: async () => utf8(PASSWORD) })).store.close();
    await assert.rejects(openDirectory(path, { password: "" }), InvalidArgument);
  });

  it("refuses another password before anything is read or written", async (context) => {
    const path = join(temporaryDirectory(context), "db");
    await make(path);
    const before = everything(path);
    for (const password of ["wrong", `${PASSWORD}\n`, PASSWORD.slice(1)]) {
      const refused = await openDirectory(path, { password }).catch((error: unknown) => error);
      assert.ok(refused instanceof PermissionDenied, String(refused));
      assert.ok(!refused.message.includes(password));
    }
    assert.equal(everything(path), before);
    const other = configured(join(temporaryDirectory(context), "db"));
    await assert.rejects(createDirectory(other), PermissionDenied);
    assert.deepEqual(readdirSync(other), ["meta"]);
    assert.equal(readFileSync(configOf(other), "utf8"), QUICK);
  });

  it("is not taken for another by an edited configuration", async (context) => {
    const path = join(temporaryDirectory(context), "db");
    await make(path);
    const text = readFileSync(configOf(path), "utf8");
    const { encryption, ...rest } = JSON.parse(text) as Config;
    const edited = async (change: Record<string, unknown>): Promise<unknown> => {
      writeFileSync(configOf(path), JSON.stringify({ ...rest, encryption: { ...encryption, ...change } }));
      return openDirectory(path, { password: PASSWORD }).catch((error: unknown) => error);
    };
    const off = await edited({ enabled: false });
    assert.ok(off instanceof Corrupt && /is encrypted, and the configuration says that it is not/.test(off.message));
    writeFileSync(configOf(path), JSON.stringify(rest));
    await assert.rejects(openDirectory(path), Corrupt);
    for (const change of [
      { algorithm: "chacha20-poly1305" },
      { kdf_iterations: 100_001 },
      { master_salt: "00".repeat(32) },
    ]) {
      assert.ok((await edited(change)) instanceof PermissionDenied, JSON.stringify(change));
    }
    for (const change of [{ master_salt: undefined }, { name_key: "x" }, { data_keys: [] }, { data_keys: {} }]) {
      assert.ok((await edited(change)) instanceof Corrupt, JSON.stringify(change));
    }
    const [key] = encryption["data_keys"] as Record<string, unknown>[];
    for (const change of [
      { ...key, id: 2 },
      { ...key, algorithm: "chacha20-poly1305" },
      { ...key, key: encryption["name_key"] },
    ]) {
      assert.ok((await edited({ data_keys: [change] })) instanceof PermissionDenied, JSON.stringify(change));
    }
    // The keys of another database, which this very password opens.
    const other = join(temporaryDirectory(context), "db");
    await make(other);
    cpSync(configOf(other), configOf(path));
    await assert.rejects(openDirectory(path, { password: PASSWORD }), {
      code: "CORRUPT",
      message: /encrypted with other keys/,
    });
    writeFileSync(configOf(path), text);
    await (await openDirectory(path, { password: PASSWORD })).store.close();
  });

  it("is not what a directory in clear becomes by an edited configuration", async (context) => {
    const path = join(temporaryDirectory(context), "db");
    const { store } = await createDirectory(path);
    await fill(store);
    await store.close();
    writeFileSync(configOf(path), QUICK);
    await assert.rejects(openDirectory(path, { password: PASSWORD }), PermissionDenied);
    // With keys, even.
    const other = join(temporaryDirectory(context), "db");
    await make(other);
    cpSync(configOf(other), configOf(path));
    await assert.rejects(openDirectory(path, { password: PASSWORD }), {
      code: "INVALID_ARGUMENT",
      message: /holds data in clear/,
    });
  });

  it("has one set of keys, whoever of several makes it", async (context) => {
    for (let round = 0; round < 5; round += 1) {
      const path = configured(join(temporaryDirectory(context), "db"));
      const initialise = (store: Store): Promise<void> => store.write({ puts: [{ ...ROW, value: VALUE }] });
      const made = await Promise.allSettled(
        Array.from({ length: 4 }, () => createDirectory(path, { password: PASSWORD, initialise })),
      );
      const stores = made.filter((result) => result.status === "fulfilled").map(({ value }) => value.store);
      assert.ok(stores.length >= 1);
      for (const store of stores) {
        assert.deepEqual(await store.snapshot([ROW]), [VALUE]);
        await store.close();
      }
      for (const result of made)
        if (result.status === "rejected") assert.ok(result.reason instanceof AlreadyExists, String(result.reason));
      const { store } = await openDirectory(path, { password: PASSWORD });
      assert.deepEqual(await store.snapshot([ROW]), [VALUE]);
      await store.close();
      assert.ok(!existsSync(join(path, "meta", "config.completed.json")));
    }
  });

  it("is finished where making it was interrupted, with the same password and no other", async (context) => {
    const path = configured(join(temporaryDirectory(context), "db"));
    const initialise = async (): Promise<void> => {
      throw new Unavailable("the power went");
    };
    await assert.rejects(createDirectory(path, { password: PASSWORD, initialise }), Unavailable);
    const { encryption } = readConfig(path);
    const other = await createDirectory(path, { password: "another" }).catch((error: unknown) => error);
    assert.ok(other instanceof NeleusError && other.code === "PERMISSION_DENIED", String(other));
    const { store } = await createDirectory(path, { password: PASSWORD });
    await store.close();
    assert.deepEqual(readConfig(path).encryption, encryption);
    // Before the completed text had taken the place of what was written by hand.
    const early = configured(join(temporaryDirectory(context), "db"));
    cpSync(configOf(path), join(early, "meta", "config.completed.json"));
    await (await createDirectory(early, { password: PASSWORD })).store.close();
    assert.deepEqual(readConfig(early).encryption, encryption);
    rmSync(early, { recursive: true });
  });

  it("keeps its keys beside somebody who makes one in clear at the same time", async (context) => {
    const config = encryptedConfig({ kdfIterations: 100_000 });
    // Finished by the one while the other is on the way to write a configuration.
    const path = join(temporaryDirectory(context), "db");
    const makeOther = async (): Promise<void> => {
      await (await createDirectory(path, { config, password: PASSWORD })).store.close();
    };
    const late = complete(layoutOf(path), DEFAULT_CONFIG, { password: undefined, makeDirectories: makeOther });
    await assert.rejects(late, AlreadyExists);
    await (await openDirectory(path, { password: PASSWORD })).store.close();
    // Begun by the one: then it is that one's, and whoever goes on needs the password.
    const begun = join(temporaryDirectory(context), "db");
    const initialise = async (): Promise<void> => {
      throw new Unavailable("the power went");
    };
    const beginOther = async (): Promise<void> => {
      await assert.rejects(createDirectory(begun, { config, password: PASSWORD, initialise }), Unavailable);
    };
    const second = complete(layoutOf(begun), DEFAULT_CONFIG, { password: undefined, makeDirectories: beginOther });
    await assert.rejects(second, PermissionDenied);
    await (await createDirectory(begun, { password: PASSWORD })).store.close();
    assert.equal(readConfig(begun).encryption["enabled"], true);
    // And the other way round.
    const clear = join(temporaryDirectory(context), "db");
    const beginClear = async (): Promise<void> => {
      await assert.rejects(createDirectory(clear, { initialise }), Unavailable);
    };
    const third = complete(layoutOf(clear), config, { password: PASSWORD, makeDirectories: beginClear });
    await assert.rejects(third, { code: "INVALID_ARGUMENT", message: /not encrypted/ });
    await (await createDirectory(clear)).store.close();
    assert.deepEqual(readdirSync(join(clear, "meta")), ["config.json"]);
  });

  it("does not get its old password back from somebody who was late in making it", async (context) => {
    const parent = temporaryDirectory(context);
    const path = join(parent, "db");
    await make(path);
    // Keys that take a second to open: what the late one is at while all else happens.
    const { encryption } = parseConfig(readFileSync(configOf(path), "utf8"), "");
    const keys = await unlock(layoutOf(path), parseConfig(readFileSync(configOf(path), "utf8"), ""), PASSWORD);
    assert.ok(encryption.enabled && keys !== undefined);
    const slow = await keys.wrap(utf8(PASSWORD), { ...encryption.settings, kdfIterations: 2_500_000 });
    const late = layoutOf(configured(join(parent, "late")));
    writeFileSync(late.completed, formatConfig({ ...DEFAULT_CONFIG, encryption: { ...encryption, keys: slow } }));
    const wanted = encryptedConfig({ kdfIterations: 100_000 });
    const completing = complete(late, wanted, { password: PASSWORD, makeDirectories: async () => {} });
    const refused = assert.rejects(completing, AlreadyExists);
    await delay(300);
    cpSync(path, late.root, { recursive: true });
    await refused;
    assert.deepEqual(readConfig(late.root), readConfig(path));
  });

  it("leaves nothing that opens with the old password", async (context) => {
    const path = join(temporaryDirectory(context), "db");
    await make(path);
    // As a crash at the end of making it leaves it.
    cpSync(configOf(path), layoutOf(path).completed);
    await rotateEncryptionKey(path, { password: PASSWORD, newPassword: "new" });
    assert.deepEqual(readdirSync(join(path, "meta")), ["config.json"]);
    await assert.rejects(openDirectory(path, { password: PASSWORD }), PermissionDenied);
  });

  it("shows no keys to who prints them", async (context) => {
    const path = join(temporaryDirectory(context), "db");
    await make(path);
    const keys = await unlock(layoutOf(path), parseConfig(readFileSync(configOf(path), "utf8"), ""), PASSWORD);
    assert.ok(keys !== undefined);
    assert.ok(!JSON.stringify(keys).includes("key"), JSON.stringify(keys));
    assert.ok(!inspect(keys, { depth: 9, showHidden: true }).includes("Uint8Array"));
  });
});
