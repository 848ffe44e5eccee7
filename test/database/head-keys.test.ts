// Goal: a head with keys is moved by commits that one of them has signed and by nothing else; a commit finished elsewhere
// moves a head only while it is what `create` would make there, but for its signatures.
// Method: one expectation a rule, over both stores where the store matters; a model of random moves and key changes.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { toHex } from "#src/core/bytes.js";
import { decodeMap, encode } from "#src/core/codec/index.js";
import { MAX_HEAD_KEYS, MAX_KEYS_OF_HEAD, MAX_OBJECT_BYTES } from "#src/core/limits.js";
import { verifyTransition } from "#src/core/map/index.js";
import {
  decodeCommit,
  encodeCommit,
  encodeManifest,
  headKeysIn,
  headKeysRange,
  ledgerCell,
  ledgerKeysOf,
  parseRefKey,
} from "#src/core/object/index.js";
import { signObject, signerFromSeed } from "#src/core/signature/index.js";
import type { Signer } from "#src/core/signature/index.js";
import type { Database } from "#src/database/index.js";
import { entriesOf, inMemory, onEachStore, put } from "./support/database.js";
import { expectError } from "./support/expect.js";

const signer = (seed: number): Signer => signerFromSeed(new Uint8Array(32).fill(seed));
const [ada, bob, eve] = [signer(1), signer(2), signer(3)];
const WORDS = { head: "main", author: "ada", message: "m" };

async function keysOf(db: Database, head = "main"): Promise<string[]> {
  return headKeysIn(
    head,
    entriesOf(db, (await db.view()).refs).filter(({ key }) => {
      const ref = parseRefKey(key);
      return ref.kind === "head-permission";
    }),
  ).map(toHex);
}

/** Prepares, signs and submits. */
async function signed(db: Database, by: readonly Signer[], options: { head?: string; manifests?: Uint8Array[] } = {}) {
  const { head = "main", manifests = [] } = options;
  const { bytes } = await db.commits.prepare({ ...WORDS, head, manifests });
  const signedCommit = by.reduce((object, one) => signObject("commit:", object, one), bytes);
  return db.commits.submit({ head, signedCommit, manifests });
}

function intent(agent: string): Uint8Array {
  return encodeManifest({ v: 1, kind: "intent", agent, provider: "local", model: "stub", inputs: [], time: 5 });
}

describe("commits finished elsewhere", () => {
  onEachStore("are what create would make, and signed", async (place) => {
    const db = await place.create();
    await db.states.apply("main", { operations: [put("a", "1")] });
    const { manifest } = await db.manifests.put(intent("a"));
    const manifests = [manifest.hash];
    const timeMs = 77;
    const prepared = await db.commits.prepare({ ...WORDS, timeMs, meta: { a: "b" }, manifests });
    assert.equal((await db.view()).logSize, prepared.view.logSize, "nothing is written");
    const signedCommit = signObject("commit:", prepared.bytes, ada);
    const { commit, receipt } = await db.commits.submit({ head: "main", signedCommit, manifests });
    assert.deepEqual(commit.bytes, signedCommit);
    assert.equal(receipt.logIndex, prepared.view.logSize);
    assert.deepEqual((await db.commits.get(commit.hash)).bytes, signedCommit);
    assert.deepEqual((await (await db.view()).head("main")).commit, commit.hash);
    // The same but for its signature as one that the engine makes.
    await db.heads.reset("main");
    await db.states.apply("main", { operations: [put("a", "1")] });
    const made = await db.commits.create({ ...WORDS, timeMs, meta: { a: "b" }, manifests });
    assert.deepEqual(made.commit.bytes, prepared.bytes);
    await db.close();
  });

  it("come with what shows their ledger", async () => {
    const { db } = await inMemory();
    for (let index = 0; index < 200; index += 1) await db.manifests.put(intent(`staged ${index}`), { head: "main" });
    const { manifest } = await db.manifests.put(intent("named"));
    const { bytes, head, transition } = await db.commits.prepare({ ...WORDS, manifests: [manifest.hash] });
    const cell = ledgerCell.encode({ size: manifest.bytes.length });
    const edits = ledgerKeysOf(manifest.object, manifest.hash).map((key) => ({ key, cell }));
    const { root } = verifyTransition({ kind: 3, root: head.stagedLedger }, edits, [[...transition.reveals()]]);
    assert.deepEqual(root, decodeCommit(bytes).object.manifests);
    const none = await db.commits.prepare(WORDS);
    assert.deepEqual([...none.transition.reveals()], []);
    assert.deepEqual(decodeCommit(none.bytes).object.manifests, head.stagedLedger);
    await db.close();
  });

  it("are refused where their bytes or signatures are wrong", async () => {
    const { db } = await inMemory();
    await db.commits.create(WORDS);
    const { bytes } = await db.commits.prepare(WORDS);
    const whole = signObject("commit:", bytes, ada);
    const { object } = decodeCommit(bytes);
    const sign = (change: object): Uint8Array => signObject("commit:", encodeCommit({ ...object, ...change }), ada);
    const wire = decodeMap(whole);
    const [signature] = wire["signatures"] as [Record<string, unknown>];
    const wrong: [string, Uint8Array][] = [
      ["not signed", bytes],
      ["not canonical", new Uint8Array([...whole, 0])],
      ["no map", encode([1])],
      ["a manifest", intent("a")],
      ["too large", new Uint8Array(MAX_OBJECT_BYTES + 1)],
      ["an invalid signature", encode({ ...wire, signatures: [{ ...signature, value: new Uint8Array(64) }] })],
      ["a valid one, of something else", encode({ ...wire, message: "other" })],
      ["one of two invalid", signObject("commit:", encode({ ...wire, author: "other" }), bob)],
      ["another database", sign({ database: new Uint8Array(16) })],
      ["no database", sign({ database: undefined })],
      ["a merge", sign({ parents: [...object.parents, new Uint8Array(32)] })],
      ["no author", sign({ author: "" })],
      ["a long message", sign({ message: "m".repeat(70_000) })],
      ["a long meta", sign({ meta: { a: "m".repeat(300_000) } })],
    ];
    for (const [, signedCommit] of wrong) {
      await expectError(db.commits.submit({ head: "main", signedCommit }), {
        code: "INVALID_ARGUMENT",
        field: "signed_commit",
      });
    }
    await expectError(
      db.commits.submit({
        head: "main",
        signedCommit: signObject("commit:", encode({ ...decodeMap(bytes), v: 2 }), ada),
      }),
      { code: "UNSUPPORTED" },
    );
    await expectError(db.commits.submit({ head: "nain", signedCommit: whole }), { code: "NOT_FOUND" });
    await db.commits.submit({ head: "main", signedCommit: whole });
    await db.close();
  });

  it("are refused where the head has moved on, in any of its parts", async () => {
    const { db } = await inMemory();
    const { manifest } = await db.manifests.put(intent("a"));
    const moves: (() => Promise<unknown>)[] = [
      () => db.commits.create(WORDS),
      () => db.states.apply("main", { operations: [put("k", "v")] }),
      () => db.manifests.put(intent("b"), { head: "main" }),
    ];
    for (const move of moves) {
      const { bytes } = await db.commits.prepare({ ...WORDS, manifests: [manifest.hash] });
      const signedCommit = signObject("commit:", bytes, ada);
      await move();
      const submit = db.commits.submit({ head: "main", signedCommit, manifests: [manifest.hash] });
      await expectError(submit, { code: "CONFLICT", field: "signed_commit" });
    }
    const { bytes } = await db.commits.prepare({ ...WORDS, manifests: [manifest.hash] });
    const signedCommit = signObject("commit:", bytes, ada);
    await expectError(db.commits.submit({ head: "main", signedCommit }), { code: "CONFLICT", field: "signed_commit" });
    const stale = { ...WORDS, expectedRoot: new Uint8Array(32) };
    await expectError(db.commits.prepare(stale), { code: "CONFLICT", field: "expected_root" });
    await expectError(db.commits.prepare({ ...WORDS, expectedCommit: "none" }), {
      code: "CONFLICT",
      field: "expected_commit",
    });
    await expectError(db.commits.prepare({ ...WORDS, head: "nain" }), { code: "NOT_FOUND" });
    await db.close();
  });

  it("are made once under one idempotency key", async () => {
    const { db } = await inMemory();
    const { bytes } = await db.commits.prepare(WORDS);
    const signedCommit = signObject("commit:", bytes, ada);
    const idempotency = { caller: "", key: "once" };
    const first = await db.commits.submit({ head: "main", signedCommit, idempotency });
    await db.commits.create(WORDS);
    const again = await db.commits.submit({ head: "main", signedCommit, idempotency });
    assert.deepEqual(again.commit, first.commit);
    assert.equal(again.receipt.logIndex, first.receipt.logIndex);
    await expectError(db.commits.create({ ...WORDS, idempotency }), {
      code: "ALREADY_EXISTS",
      field: "idempotency_key",
    });
    const other = signObject("commit:", signedCommit, bob);
    await expectError(db.commits.submit({ head: "main", signedCommit: other, idempotency }), {
      code: "ALREADY_EXISTS",
      field: "idempotency_key",
    });
    await db.close();
  });
});

describe("heads with keys", () => {
  onEachStore("move by signed commits only", async (place) => {
    const db = await place.create();
    await db.commits.create(WORDS);
    const { logIndex } = await db.heads.setKeys("main", { keys: [bob.publicKey, ada.publicKey] });
    assert.equal((await db.view()).logSize, logIndex + 1);
    assert.deepEqual(await keysOf(db), [ada, bob].map(({ publicKey }) => toHex(publicKey)).sort());
    // Staging is free.
    await db.states.apply("main", { operations: [put("a", "1")] });
    await db.manifests.put(intent("a"), { head: "main" });
    const denied: (() => Promise<unknown>)[] = [
      () => db.commits.create(WORDS),
      () => signed(db, [eve]),
      () => db.heads.reset("main"),
      () => db.heads.delete("main"),
    ];
    for (const act of denied) await expectError(act(), { code: "PERMISSION_DENIED", field: "head" });
    for (const by of [[ada], [bob], [eve, bob]]) await signed(db, by);
    // Other heads are free, one that begins with its name too.
    await db.heads.create("main/next");
    await db.commits.create({ ...WORDS, head: "main/next" });
    await db.heads.setKeys("main/next", { keys: [eve.publicKey] });
    await expectError(signed(db, [ada], { head: "main/next" }), { code: "PERMISSION_DENIED", field: "head" });
    await signed(db, [eve], { head: "main/next" });
    await expectError(signed(db, [eve]), { code: "PERMISSION_DENIED", field: "head" });
    await db.heads.setKeys("main", { keys: [] });
    assert.deepEqual(await keysOf(db), []);
    await db.commits.create(WORDS);
    await db.heads.reset("main");
    await db.heads.delete("main");
    await db.close();
  });

  it("take keys that are such, each once, of the expected ones", async () => {
    const { db } = await inMemory();
    const set = (keys: Uint8Array[], expectedKeys?: Uint8Array[]): Promise<unknown> =>
      db.heads.setKeys("main", { keys, expectedKeys });
    await expectError(set([new Uint8Array(31)]), { code: "INVALID_ARGUMENT", field: "keys[0]" });
    await expectError(set([ada.publicKey, new Uint8Array(32)]), { code: "INVALID_ARGUMENT", field: "keys[1]" });
    await expectError(set([ada.publicKey, new Uint8Array(32).fill(255)]), {
      code: "INVALID_ARGUMENT",
      field: "keys[1]",
    });
    await expectError(set([ada.publicKey, ada.publicKey]), { code: "INVALID_ARGUMENT", field: "keys[1]" });
    await expectError(set([ada.publicKey], [bob.publicKey]), { code: "CONFLICT", field: "expected_keys" });
    await set([ada.publicKey], []);
    await expectError(set([bob.publicKey], []), { code: "CONFLICT", field: "expected_keys" });
    await expectError(set([bob.publicKey], [ada.publicKey, bob.publicKey]), {
      code: "CONFLICT",
      field: "expected_keys",
    });
    await set([ada.publicKey, bob.publicKey], [ada.publicKey]);
    await set([bob.publicKey], [bob.publicKey, ada.publicKey]);
    await expectError(signed(db, [ada]), { code: "PERMISSION_DENIED" });
    await signed(db, [bob]);
    await expectError(db.heads.setKeys("nain", { keys: [] }), { code: "NOT_FOUND" });
    const many = Array.from({ length: MAX_KEYS_OF_HEAD + 1 }, () => ada.publicKey);
    await expectError(set(many), { code: "LIMIT_EXCEEDED", field: "keys" });
    await db.close();
  });

  it("are limited in number, of all heads together", async () => {
    const { db } = await inMemory();
    const keys = Array.from({ length: MAX_KEYS_OF_HEAD }, (_, index) => signer(index + 1).publicKey);
    const heads = Array.from({ length: MAX_HEAD_KEYS / MAX_KEYS_OF_HEAD }, (_, index) => `head-${index}`);
    await Promise.all(heads.map((head) => db.heads.create(head)));
    await Promise.all(heads.map((head) => db.heads.setKeys(head, { keys })));
    await expectError(db.heads.setKeys("main", { keys: [ada.publicKey] }), { code: "LIMIT_EXCEEDED", field: "keys" });
    await db.heads.setKeys("head-0", { keys: keys.slice(1) });
    await db.heads.setKeys("main", { keys: [ada.publicKey] });
    await db.close();
  });

  it("have them set once under one idempotency key", async () => {
    const { db } = await inMemory();
    const idempotency = { caller: "", key: "once" };
    const first = await db.heads.setKeys("main", { keys: [ada.publicKey, bob.publicKey], idempotency });
    await db.heads.setKeys("main", { keys: [eve.publicKey] });
    const again = await db.heads.setKeys("main", { keys: [bob.publicKey, ada.publicKey], idempotency });
    assert.equal(again.logIndex, first.logIndex);
    assert.deepEqual(await keysOf(db), [toHex(eve.publicKey)]);
    const other = { keys: [ada.publicKey, bob.publicKey], expectedKeys: [], idempotency };
    await expectError(db.heads.setKeys("main", other), { code: "ALREADY_EXISTS", field: "idempotency_key" });
    await db.close();
  });

  it("are moved exactly by whom the model says, whatever happens in what order", async () => {
    const signers = [ada, bob, eve];
    const step = fc.oneof(
      fc.record({ set: fc.subarray(signers) }),
      fc.record({ by: fc.subarray(signers) }),
      fc.record({ act: fc.constantFrom("reset" as const, "create" as const) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const { db } = await inMemory();
        let keys: Signer[] = [];
        for (const one of steps) {
          if ("set" in one) {
            await db.heads.setKeys("main", { keys: one.set.map(({ publicKey }) => publicKey) });
            keys = one.set;
            continue;
          }
          const signers = "by" in one ? one.by : [];
          const isAllowed = keys.length === 0 || signers.some((by) => keys.includes(by));
          const act =
            signers.length > 0
              ? signed(db, signers)
              : "act" in one && one.act === "reset"
                ? db.heads.reset("main")
                : db.commits.create(WORDS);
          if (isAllowed) await act;
          else await expectError(act, { code: "PERMISSION_DENIED", field: "head" });
        }
        await db.close();
      }),
      { numRuns: 25 },
    );
  });
});

it("the range of a head's keys is where the engine writes them", async () => {
  const { db } = await inMemory();
  await db.heads.setKeys("main", { keys: [ada.publicKey] });
  const { from, to } = headKeysRange("main");
  const entries = entriesOf(db, (await db.view()).refs).filter(
    ({ key }) => Buffer.compare(key, from) >= 0 && Buffer.compare(key, to) < 0,
  );
  assert.equal(entries.length, 1);
  await db.close();
});
