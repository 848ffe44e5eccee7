// Goal: a write asked for again with its idempotency key has one effect and one answer, whoever asks at the same time and
// whatever broke in between; a key is bound to what was asked for, is forgotten after a day, and records only what
// succeeded.
// Method: each kind of write is repeated, alone, in one round, in two databases on one store and on one directory; the
// store is made to lose races, to fail, and to fail to sign; the clock is moved over the expiry, and rows are counted.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hashBlob } from "#src/core/blob/index.js";
import { toHex, utf8 } from "#src/core/bytes.js";
import { MAX_IDEMPOTENCY_KEY_CHARACTERS, REQUEST_EXPIRY_MS } from "#src/core/limits.js";
import { parseCheckpointUnverified } from "#src/core/log/index.js";
import { encodeManifestDraft } from "#src/core/object/index.js";
import { signObject, signerFromSeed } from "#src/core/signature/index.js";
import { CheckpointSigner } from "#src/database/checkpoint-signer.js";
import { Database } from "#src/database/index.js";
import type {
  DocumentOptions,
  IdempotencyKey,
  Loaded,
  LoadOptions,
  PutResult,
  StateOperation,
} from "#src/database/index.js";
import { patternBytes } from "./support/bytes.js";
import { inDirectory, inMemory, onEachStore, put, readAll, remove, testRandom } from "./support/database.js";
import { expectError } from "./support/expect.js";
import { FaultyStore, diskFull } from "./support/faulty-store.js";

const count = (items: number) => Array.from({ length: items }, (_, index) => index);

const withKey = (key: string, caller = ""): { idempotency: IdempotencyKey } => ({ idempotency: { caller, key } });

async function rowsOfRequests(db: Database): Promise<number> {
  return (await db.usage()).rows.requests;
}

async function logSize(db: Database): Promise<number> {
  return (await db.view()).logSize;
}

const DOCUMENT = { source: "s", head: "main", chunking: { method: "fixed", sizeBytes: 100, overlapBytes: 0 } };

async function putDocument(db: Database, bytes: Uint8Array, options: DocumentOptions): Promise<PutResult> {
  const document = await db.documents.begin(options);
  try {
    await document.append(0, bytes);
    return await document.finish({ sizeBytes: bytes.length, hash: hashBlob(bytes) });
  } finally {
    await document.close();
  }
}

/** A write with a key, and what it answers beside its receipt. */
interface Write {
  readonly name: string;
  readonly run: (db: Database, key: string) => Promise<{ logIndex: number; checkpoint: string; answer: string }>;
  /** The same key with something else asked for, one for each field that it is bound to. */
  readonly others: readonly ((db: Database, key: string) => Promise<unknown>)[];
}

const apply = (db: Database, operations: readonly StateOperation[], key: string, head = "main") =>
  db.states.apply(head, { operations, ...withKey(key) });
const WORDS = { head: "main", author: "a", message: "m" };

/** Entries of a load, and how they are cut into messages. */
type Messages = readonly (readonly (readonly [key: string, value: string])[])[];

const ENTRIES = [
  ["k", "1"],
  ["l", "x".repeat(2_000)],
  ["m", "3"],
] as const;

async function load(db: Database, messages: Messages, options: LoadOptions & { head?: string } = {}): Promise<Loaded> {
  const opened = await db.states.load(options.head ?? "main", options);
  try {
    for (const entries of messages) {
      await opened.add({ keys: entries.map(([key]) => utf8(key)), values: entries.map(([, value]) => utf8(value)) });
    }
    return await opened.finish();
  } finally {
    await opened.close();
  }
}

const WRITES: readonly Write[] = [
  {
    name: "apply",
    run: async (db, key) => {
      const { root, beforeRoot, receipt } = await apply(db, [put("k", "1"), put("l", "2")], key);
      return { ...receipt, answer: toHex(beforeRoot) + toHex(root) };
    },
    others: [
      (db, key) => apply(db, [put("k", "1")], key),
      (db, key) => apply(db, [put("k", "1"), put("l", "3")], key),
      (db, key) => apply(db, [put("k", "1"), put("m", "2")], key),
      (db, key) => apply(db, [put("k", "1"), remove("l")], key),
      (db, key) => apply(db, [put("k", "1"), put("l", "2")], key, "other"),
      (db, key) => apply(db, [put("k", "1"), { ...put("l", "2"), condition: "absent" }], key),
      (db, key) =>
        apply(db, [{ ...put("k", "1"), condition: { expectedHash: hashBlob(utf8("1")) } }, put("l", "2")], key),
      (db, key) =>
        db.states.apply("main", {
          operations: [put("k", "1"), put("l", "2")],
          expectedRoot: new Uint8Array(32),
          ...withKey(key),
        }),
    ],
  },
  {
    name: "commit",
    run: async (db, key) => {
      const { commit, receipt } = await db.commits.create({ ...WORDS, meta: { x: "1", y: "2" }, ...withKey(key) });
      return { ...receipt, answer: toHex(commit.hash) + toHex(commit.bytes) };
    },
    others: [
      { author: "b" },
      { message: "n" },
      { head: "other" },
      { timeMs: 5 },
      { meta: { x: "1" } },
      { meta: { x: "1", y: "3" } },
      { manifests: [new Uint8Array(32)] },
      { expectedCommit: "none" as const },
      { expectedCommit: new Uint8Array(32) },
      { expectedRoot: new Uint8Array(32) },
    ].map(
      (other) => (db: Database, key: string) =>
        db.commits.create({ ...WORDS, meta: { x: "1", y: "2" }, ...other, ...withKey(key) }),
    ),
  },
  {
    name: "create head",
    run: async (db, key) => ({ ...(await db.heads.create("made", withKey(key))), answer: "" }),
    others: [
      (db, key) => db.heads.create("other", withKey(key)),
      (db, key) => db.heads.create("made", { commit: new Uint8Array(32), ...withKey(key) }),
    ],
  },
  {
    name: "delete head",
    run: async (db, key) => ({ ...(await db.heads.delete("spare", withKey(key))), answer: "" }),
    others: [
      (db, key) => db.heads.delete("main", withKey(key)),
      (db, key) => db.heads.delete("spare", { expectedCommit: "none", ...withKey(key) }),
    ],
  },
  {
    name: "load",
    run: async (db, key) => {
      const { root, beforeRoot, keys, receipt } = await load(db, [ENTRIES.slice(0, 1), ENTRIES.slice(1)], withKey(key));
      return { ...receipt, answer: `${toHex(beforeRoot)}${toHex(root)}${keys}` };
    },
    others: [
      (db, key) => load(db, [ENTRIES.slice(1)], withKey(key)),
      (db, key) => load(db, [ENTRIES, [["m", "3"]]], withKey(key)),
      (db, key) => load(db, [ENTRIES.toReversed()], withKey(key)),
      (db, key) => load(db, [[...ENTRIES.slice(0, 2), ["m", "4"]]], withKey(key)),
      (db, key) => load(db, [[...ENTRIES.slice(0, 2), ["n", "3"]]], withKey(key)),
      (db, key) => load(db, [[...ENTRIES, ["m", "3"]]], withKey(key)),
      (db, key) => load(db, [ENTRIES], { head: "other", ...withKey(key) }),
      (db, key) => load(db, [ENTRIES], { expectedRoot: "empty", ...withKey(key) }),
      (db, key) => load(db, [ENTRIES], { expectedRoot: new Uint8Array(32), ...withKey(key) }),
    ],
  },
  {
    name: "reset head",
    run: async (db, key) => ({ ...(await db.heads.reset("spare", withKey(key))), answer: "" }),
    others: [
      (db, key) => db.heads.reset("other", withKey(key)),
      (db, key) => db.heads.reset("spare", { commit: new Uint8Array(32), ...withKey(key) }),
      (db, key) => db.heads.reset("spare", { expectedCommit: "none", ...withKey(key) }),
      (db, key) => db.heads.reset("spare", { expectedRoot: new Uint8Array(32), ...withKey(key) }),
    ],
  },
  {
    name: "create tag",
    run: async (db, key) => ({
      ...(await db.tags.create("made", await newest(db, "tagged"), withKey(key))),
      answer: "",
    }),
    others: [
      async (db, key) => db.tags.create("other", await newest(db, "tagged"), withKey(key)),
      (db, key) => db.tags.create("made", new Uint8Array(32), withKey(key)),
    ],
  },
  {
    name: "delete tag",
    run: async (db, key) => ({ ...(await db.tags.delete("old", withKey(key))), answer: "" }),
    others: [
      (db, key) => db.tags.delete("older", withKey(key)),
      (db, key) => db.tags.delete("old", { expectedCommit: new Uint8Array(32), ...withKey(key) }),
    ],
  },
  {
    name: "set head keys",
    run: async (db, key) => ({ ...(await db.heads.setKeys("spare", { keys: KEYS, ...withKey(key) })), answer: "" }),
    others: [
      (db, key) => db.heads.setKeys("other", { keys: KEYS, ...withKey(key) }),
      (db, key) => db.heads.setKeys("spare", { keys: KEYS.slice(1), ...withKey(key) }),
      (db, key) => db.heads.setKeys("spare", { keys: [], ...withKey(key) }),
      (db, key) => db.heads.setKeys("spare", { keys: KEYS, expectedKeys: [], ...withKey(key) }),
      (db, key) => db.heads.setKeys("spare", { keys: [], expectedKeys: KEYS, ...withKey(key) }),
    ],
  },
  {
    name: "signed commit",
    run: async (db, key) => {
      const signedCommit = await signedOnce(db);
      const { commit, receipt } = await db.commits.submit({ head: "main", signedCommit, ...withKey(key) });
      return { ...receipt, answer: toHex(commit.hash) + toHex(commit.bytes) };
    },
    others: [
      async (db, key) => db.commits.submit({ head: "other", signedCommit: await signedOnce(db), ...withKey(key) }),
      async (db, key) => {
        const signedCommit = signObject("commit:", await signedOnce(db), SIGNERS[1]!);
        return db.commits.submit({ head: "main", signedCommit, ...withKey(key) });
      },
      async (db, key) => {
        const manifests = [new Uint8Array(32)];
        return db.commits.submit({ head: "main", signedCommit: await signedOnce(db), manifests, ...withKey(key) });
      },
      (db, key) => db.commits.create({ ...WORDS, ...withKey(key) }),
    ],
  },
  {
    name: "signed manifest",
    run: async (db, key) => {
      const { manifest, receipt } = await db.manifests.putSigned(await attested(db, "true"), {
        head: "main",
        ...withKey(key),
      });
      assert.ok(receipt);
      return { ...receipt, answer: toHex(manifest.hash) };
    },
    others: [
      async (db, key) => db.manifests.putSigned(await attested(db, "false"), { head: "main", ...withKey(key) }),
      async (db, key) => db.manifests.putSigned(await attested(db, "true"), { head: "other", ...withKey(key) }),
    ],
  },
  {
    name: "put document",
    run: async (db, key) => {
      const { manifest, receipt } = await putDocument(db, patternBytes(1000), { ...DOCUMENT, ...withKey(key) });
      assert.ok(receipt);
      return { ...receipt, answer: toHex(manifest.hash) };
    },
    others: [
      (db, key) => putDocument(db, patternBytes(1001), { ...DOCUMENT, ...withKey(key) }),
      ...[
        { source: "t" },
        { head: "other" },
        { title: "" },
        { media: "text/plain" },
        { timeMs: 5 },
        { meta: { a: "b" } },
        { chunking: { ...DOCUMENT.chunking, sizeBytes: 101 } },
        { chunking: { ...DOCUMENT.chunking, overlapBytes: 1 } },
      ].map(
        (other) => (db: Database, key: string) =>
          putDocument(db, patternBytes(1000), { ...DOCUMENT, ...other, ...withKey(key) }),
      ),
    ],
  },
];

const SIGNERS = [1, 2].map((seed) => signerFromSeed(new Uint8Array(32).fill(seed)));
const KEYS = SIGNERS.map(({ publicKey }) => publicKey);

/** One commit for each database: prepared again it would be another one. */
const signedCommits = new WeakMap<Database, Uint8Array>();
async function signedOnce(db: Database): Promise<Uint8Array> {
  const known = signedCommits.get(db);
  if (known !== undefined) return known;
  const { bytes } = await db.commits.prepare(WORDS);
  const signed = signObject("commit:", bytes, SIGNERS[0]!);
  signedCommits.set(db, signed);
  return signed;
}

async function attested(db: Database, statement: string): Promise<Uint8Array> {
  const subject = await newest(db, "tagged");
  const draft = { v: 1, kind: "attestation", subject, subjectTag: "commit:", statement, time: 5 } as const;
  return signObject("manifest:", encodeManifestDraft(draft), SIGNERS[0]!);
}

async function newest(db: Database, head: string): Promise<Uint8Array> {
  const { commit } = await (await db.view()).head(head);
  assert.ok(commit);
  return commit;
}

async function withHeads(db: Database): Promise<Database> {
  await db.heads.create("other");
  await db.heads.create("spare");
  await db.heads.create("tagged");
  const { commit } = await db.commits.create({ head: "tagged", author: "a", message: "m" });
  for (const tag of ["old", "older"]) await db.tags.create(tag, commit.hash);
  await db.states.apply("spare", { operations: [put("k", "spare")] });
  return db;
}

describe("a repeated request", () => {
  for (const { name, run, others } of WRITES) {
    onEachStore(`${name}: once, with the first answer and the newest checkpoint`, async (place) => {
      const db = await withHeads(await place.create());
      const first = await run(db, "key");
      await db.states.apply("other", { operations: [put("later", "1")] });
      const before = { size: await logSize(db), root: (await db.view()).refs.root, rows: await rowsOfRequests(db) };
      const again = await run(db, "key");
      assert.deepEqual([again.answer, again.logIndex], [first.answer, first.logIndex]);
      assert.equal(parseCheckpointUnverified(again.checkpoint).size, before.size);
      for (const other of others) {
        await expectError(other(db, "key"), {
          code: "ALREADY_EXISTS",
          field: "idempotency_key",
          facts: { kind: "idempotency-key", key: "key" },
        });
      }
      const after = { size: await logSize(db), root: (await db.view()).refs.root, rows: await rowsOfRequests(db) };
      assert.deepEqual(after, before);
      await db.close();
    });
  }

  it("of one caller or method is not one of another", async () => {
    const { db } = await inMemory();
    const both = { operations: [put("k", "1")] };
    await db.states.apply("main", { ...both, ...withKey("key", "a") });
    await db.states.apply("main", { operations: [put("k", "2")], ...withKey("key", "b") });
    await db.heads.create("key", withKey("key", "a"));
    assert.equal(await rowsOfRequests(db), 3);
    assert.deepEqual(await readAll(db), { k: "2" });
  });

  it("means the same in any order, and with a value put by its hash", async () => {
    const { db } = await inMemory();
    const { hash, sizeBytes } = await db.blobs.put(utf8("1"));
    const first = await apply(db, [put("k", "1"), put("l", "2")], "key");
    const byHash = { key: utf8("k"), change: { putBlob: { hash, sizeBytes } } };
    const again = await apply(db, [put("l", "2"), byHash], "key");
    assert.deepEqual([again.root, again.receipt.logIndex], [first.root, first.receipt.logIndex]);
    const commit = { ...WORDS, ...withKey("commit") };
    const made = await db.commits.create({ ...commit, meta: { x: "1", y: "2" } });
    const madeAgain = await db.commits.create({ ...commit, meta: { y: "2", x: "1" } });
    assert.deepEqual(madeAgain.commit.hash, made.commit.hash);
  });

  it("is answered although what it expected does not hold any more, or its head is gone: a load", async () => {
    const { db } = await inMemory();
    const options: LoadOptions = { expectedRoot: "empty", ...withKey("key") };
    const first = await load(db, [ENTRIES], options);
    const rows = (await db.usage()).rows;
    // Cut into other messages.
    const again = await load(db, [ENTRIES.slice(0, 2), [], ENTRIES.slice(2)], options);
    assert.deepEqual(
      [toHex(again.root), toHex(again.beforeRoot), again.keys, again.receipt.logIndex, again.isRepeated],
      [toHex(first.root), toHex(first.beforeRoot), first.keys, first.receipt.logIndex, true],
    );
    assert.deepEqual((await db.usage()).rows, rows);
    await expectError(load(db, [ENTRIES], { ...options, ...withKey("new") }), { code: "CONFLICT" });
    await db.heads.delete("main");
    assert.deepEqual((await load(db, [ENTRIES], options)).root, first.root);
    await expectError(load(db, [[]], options), { code: "ALREADY_EXISTS" });
    await expectError(load(db, [ENTRIES], withKey("new")), { code: "NOT_FOUND" });
    assert.deepEqual((await db.usage()).uploads, 0);
  });

  it("is answered although what it names is gone", async () => {
    const { db, store } = await inMemory();
    const { hash, sizeBytes } = await db.blobs.put(utf8("1"));
    const byHash = { key: utf8("k"), change: { putBlob: { hash, sizeBytes } } };
    const first = await apply(db, [byHash], "key");
    await store.write({ deletes: [{ space: "blobs", key: hash }] });
    assert.deepEqual((await apply(db, [byHash], "key")).root, first.root);
    await expectError(apply(db, [byHash], "new"), { code: "NOT_FOUND" });
  });

  it("that changed nothing is remembered all the same", async () => {
    const { db } = await inMemory();
    const first = await apply(db, [put("k", "1")], "first");
    const none = await apply(db, [put("k", "1")], "key");
    assert.deepEqual(none.receipt.logIndex, first.receipt.logIndex);
    await db.states.apply("main", { operations: [put("k", "2")] });
    const again = await apply(db, [put("k", "1")], "key");
    assert.deepEqual([again.root, again.receipt.logIndex], [none.root, none.receipt.logIndex]);
    assert.deepEqual(await readAll(db), { k: "2" });
  });

  it("that was refused is judged anew", async () => {
    const { db } = await inMemory();
    const absent: StateOperation = { ...put("k", "1"), condition: "absent" };
    await db.states.apply("main", { operations: [put("k", "0")] });
    await expectError(apply(db, [absent], "key"), { code: "CONFLICT" });
    assert.equal(await rowsOfRequests(db), 0);
    await db.states.apply("main", { operations: [remove("k")] });
    await apply(db, [absent], "key");
    // The condition does not hold any more, and is not asked again.
    await apply(db, [absent], "key");
    assert.deepEqual(await readAll(db), { k: "1" });
  });

  it("has a proper key", async () => {
    const { db } = await inMemory();
    for (const key of ["", " ", "a b", "ä", "a\n", "k".repeat(MAX_IDEMPOTENCY_KEY_CHARACTERS + 1)]) {
      const error = { code: "INVALID_ARGUMENT", field: "idempotency_key" } as const;
      await expectError(apply(db, [put("k", "1")], key), error);
      await expectError(db.documents.begin({ ...DOCUMENT, ...withKey(key) }), error);
      await expectError(db.states.load("main", withKey(key)), error);
    }
    const unattached = { source: "s", chunking: DOCUMENT.chunking, ...withKey("k") };
    await expectError(db.documents.begin(unattached), { code: "INVALID_ARGUMENT", field: "idempotency_key" });
    await apply(db, [put("k", "1")], "k".repeat(MAX_IDEMPOTENCY_KEY_CHARACTERS));
  });
});

describe("requests at once", () => {
  onEachStore("in one round have one effect", async (place) => {
    const db = await place.create();
    const writes = count(20).map((index) => db.commits.create({ ...WORDS, ...withKey(`key-${index % 2}`) }));
    const other = db.commits.create({ ...WORDS, message: "else", ...withKey("key-0") });
    const refused = expectError(other, { code: "ALREADY_EXISTS" });
    const hashes = new Set((await Promise.all(writes)).map(({ commit }) => toHex(commit.hash)));
    await refused;
    assert.equal(hashes.size, 2);
    const log: string[] = [];
    for await (const { hash } of db.commits.log({ head: "main" })) log.push(toHex(hash));
    assert.deepEqual(new Set(log), hashes);
    assert.equal(log.length, 2);
    await db.close();
  });

  onEachStore("have one effect where they are loads", async (place) => {
    const db = await place.create();
    const options: LoadOptions = { expectedRoot: "empty", ...withKey("key") };
    const answers = await Promise.all(count(5).map(() => load(db, [ENTRIES], options)));
    assert.equal(new Set(answers.map(({ root, receipt }) => `${toHex(root)} ${receipt.logIndex}`)).size, 1);
    assert.ok(answers.some(({ isRepeated }) => !isRepeated));
    assert.equal(await logSize(db), 2);
    await db.close();
  });

  it("of two databases on one directory have one effect", () =>
    inDirectory(async ({ create, location, options }) => {
      const db = await create();
      const other = await Database.open(location, options);
      const answers = await Promise.all(
        count(80).map((index) =>
          (index % 2 === 0 ? db : other).commits.create({ ...WORDS, ...withKey(`key-${index >> 2}`) }),
        ),
      );
      let commits = 0;
      for await (const { object } of db.commits.log({ head: "main" })) commits += object.parents.length <= 1 ? 1 : 100;
      assert.equal(commits, 20);
      assert.equal(new Set(answers.map(({ commit }) => toHex(commit.hash))).size, 20);
      assert.equal(await rowsOfRequests(db), 20);
      await other.close();
      await db.close();
    }));

  it("find out who was first when they lose the race, also where nothing moves", async () => {
    const store = new FaultyStore();
    const db = await Database.create(store, { randomBytes: testRandom() });
    const winner = await Database.open(store);
    await db.states.apply("main", { operations: [put("k", "1")] });
    for (const [key, value] of [
      ["moves", "2"],
      ["moves nothing", "2"],
    ] as const) {
      const name = key.replaceAll(" ", "-");
      let races = 0;
      store.beforeWrite = async () => {
        if ((races += 1) === 1) await apply(winner, [put("k", value)], name);
      };
      const size = await logSize(db);
      const { receipt } = await apply(db, [put("k", value)], name);
      store.beforeWrite = async () => undefined;
      assert.equal(await logSize(db), key === "moves" ? size + 1 : size);
      assert.equal(receipt.logIndex, (await logSize(db)) - 1);
    }
    assert.equal(await rowsOfRequests(db), 2);
  });
});

describe("a failure in between", () => {
  it("before the flush leaves no record, and the repetition writes", async () => {
    const store = new FaultyStore();
    const db = await Database.create(store, { randomBytes: testRandom() });
    store.beforeWrite = () => Promise.reject(diskFull());
    await expectError(apply(db, [put("k", "1")], "key"), { code: "UNAVAILABLE" });
    store.beforeWrite = async () => undefined;
    assert.equal(await rowsOfRequests(db), 0);
    await apply(db, [put("k", "1")], "key");
    assert.deepEqual(await readAll(db), { k: "1" });
  });

  it("after the flush leaves the record, and the repetition has the receipt", async (t) => {
    const { db } = await inMemory();
    const signing = t.mock.method(CheckpointSigner.prototype, "checkpoint", () => {
      throw new Error("the key is gone");
    });
    const lost = { code: "UNAVAILABLE", facts: { outcome: "applied" } } as const;
    await expectError(db.commits.create({ ...WORDS, ...withKey("key") }), lost);
    signing.mock.restore();
    const { commit, receipt } = await db.commits.create({ ...WORDS, ...withKey("key") });
    assert.deepEqual((await (await db.view()).head("main")).commit, commit.hash);
    assert.deepEqual(commit.object.parents, []);
    assert.equal(receipt.logIndex, 1);
  });

  it("in the record itself is told as damage", async () => {
    const { db, store } = await inMemory();
    await apply(db, [put("k", "1")], "key");
    for await (const key of store.iterate("requests")) {
      await store.write({ puts: [{ space: "requests", key, value: utf8("no record") }] });
    }
    await expectError(apply(db, [put("k", "1")], "key"), { code: "CORRUPT" });
  });
});

describe("the expiry", () => {
  it("lets a key be used for something else, not a moment sooner", async () => {
    const { db, clock } = await inMemory();
    await apply(db, [put("k", "1")], "key");
    const writtenMs = clock.nowMs;
    clock.nowMs = writtenMs + REQUEST_EXPIRY_MS - 10;
    await expectError(apply(db, [put("k", "2")], "key"), { code: "ALREADY_EXISTS" });
    clock.nowMs = writtenMs + REQUEST_EXPIRY_MS;
    await apply(db, [put("k", "2")], "key");
    assert.deepEqual(await readAll(db), { k: "2" });
    await expectError(apply(db, [put("k", "3")], "key"), { code: "ALREADY_EXISTS" });
    assert.equal(await rowsOfRequests(db), 1);
  });

  it("removes rows little by little, in later batches, and then all of them", async () => {
    const store = new FaultyStore();
    const clock = { nowMs: 1_763_800_000_000 };
    const db = await Database.create(store, { randomBytes: testRandom(), clock: () => clock.nowMs });
    await Promise.all(count(150).map((index) => apply(db, [put(`${index}`, "1")], `old-${index}`)));
    assert.equal(await rowsOfRequests(db), 150);
    clock.nowMs += REQUEST_EXPIRY_MS;
    // Writes without a key remove nothing; those with one a few rows each.
    await db.states.apply("main", { operations: [put("k", "plain")] });
    assert.equal(await rowsOfRequests(db), 150);
    store.written.length = 0;
    for (const index of count(80)) await apply(db, [put("k", `${index}`)], `new-${index}`);
    assert.ok(store.written.every(({ deletes = [] }) => deletes.length <= 64));
    assert.equal(await rowsOfRequests(db), 80);
    // Not one that counts.
    const size = await logSize(db);
    for (const index of count(80)) await apply(db, [put("k", `${index}`)], `new-${index}`);
    assert.equal(await logSize(db), size);
    await db.close();
  });

  it("leaves alone a row that was written anew by another process meanwhile", async () => {
    const store = new FaultyStore();
    const clock = { nowMs: 1_763_800_000_000 };
    const options = { randomBytes: testRandom(), clock: () => clock.nowMs };
    const db = await Database.create(store, options);
    const other = await Database.open(store, options);
    await apply(db, [put("k", "1")], "key");
    clock.nowMs += REQUEST_EXPIRY_MS;
    let races = 0;
    store.beforeWrite = async () => {
      // Changes nothing but the record: the tail stays where it is.
      if ((races += 1) === 1) await apply(other, [put("k", "1")], "key");
    };
    await apply(db, [put("l", "1")], "later");
    store.beforeWrite = async () => undefined;
    assert.ok(races >= 2);
    assert.equal(await rowsOfRequests(db), 2);
    await expectError(apply(db, [put("k", "2")], "key"), { code: "ALREADY_EXISTS" });
  });
});
