// Goal: staged state is what a plain map would be after the same writes, conditions hold exactly or nothing happens, and
// every wrong request is refused with a reason.
// Method: a model (a JavaScript Map beside each head, every committed version kept) through random writes, commits, heads
// and reopenings; then each condition and error by itself.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { hashBlob } from "#src/core/blob/index.js";
import { equalBytes, toHex, utf8 } from "#src/core/bytes.js";
import { MAX_BATCH_BYTES, MAX_BATCH_KEYS, MAX_INLINE_VALUE_BYTES, MAX_KEY_BYTES } from "#src/core/limits.js";
import { MapKind, buildMap } from "#src/core/map/index.js";
import { stateCell } from "#src/core/object/index.js";
import { Database } from "#src/database/index.js";
import type { StateOperation } from "#src/database/index.js";
import { patternBytes } from "./support/bytes.js";
import { inMemory, onEachStore, put, readAll, readText, remove } from "./support/database.js";
import type { TestPlace } from "./support/database.js";
import { expectError } from "./support/expect.js";

type Contents = Map<string, string>;

/** The root that a content has, by building its map from nothing. */
function rootOf(contents: Contents): string {
  const entries = [...contents].map(([key, value]) => {
    const bytes = utf8(value);
    return { key: utf8(key), cell: stateCell.encode({ hash: hashBlob(bytes), size: bytes.length }) };
  });
  entries.sort((a, b) => Buffer.compare(a.key, b.key));
  return toHex(buildMap(MapKind.state, entries, () => undefined).root);
}

/** A head of the model. */
interface ModelHead {
  contents: Contents;
  commits: { hash: Uint8Array; contents: Contents }[];
}

const heads = ["main", "feature/a", "b"] as const;
const keyArbitrary = fc.integer({ min: 0, max: 400 }).map((number) => `key/${number}`);
const valueArbitrary = fc.nat(50).map((number) => `value ${number}`);
const stepArbitrary = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("apply" as const),
      head: fc.constantFrom(...heads),
      puts: fc.array(fc.tuple(keyArbitrary, valueArbitrary), { maxLength: 40 }),
      deletes: fc.array(keyArbitrary, { maxLength: 12 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("commit" as const), head: fc.constantFrom(...heads) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("create" as const),
      head: fc.constantFrom(...heads),
      from: fc.constantFrom(...heads),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("delete" as const), head: fc.constantFrom(...heads) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("reopen" as const) }) },
);
type Step = typeof stepArbitrary extends fc.Arbitrary<infer T> ? T : never;

/** A database and what it should hold. */
class Modelled {
  readonly model = new Map<string, ModelHead>([["main", { contents: new Map(), commits: [] }]]);
  readonly place: TestPlace;
  db: Database;
  leaves = 1;

  constructor(place: TestPlace, db: Database) {
    this.place = place;
    this.db = db;
  }

  async run(step: Step): Promise<void> {
    if (step.kind === "reopen") return this.#reopen();
    const head = this.model.get(step.head);
    if (step.kind === "create") return this.#create(step.head, step.from);
    if (head === undefined) {
      const action =
        step.kind === "apply"
          ? this.db.states.apply(step.head, { operations: [put("k", "v")] })
          : step.kind === "commit"
            ? this.db.commits.create({ head: step.head, author: "a", message: "" })
            : this.db.heads.delete(step.head);
      await expectError(action, { code: "NOT_FOUND", field: "head", facts: { kind: "head", head: step.head } });
    } else if (step.kind === "apply") {
      await this.#apply(step, head);
    } else if (step.kind === "commit") {
      const { commit } = await this.db.commits.create({ head: step.head, author: "a", message: "m" });
      assert.equal(toHex(commit.object.stateRoot), rootOf(head.contents));
      assert.deepEqual(
        commit.object.parents,
        head.commits.slice(-1).map(({ hash }) => hash),
      );
      head.commits.push({ hash: commit.hash, contents: new Map(head.contents) });
      this.leaves += 1;
    } else {
      await this.db.heads.delete(step.head);
      this.model.delete(step.head);
      this.leaves += 1;
    }
  }

  async #apply(step: { head: string; puts: [string, string][]; deletes: string[] }, head: ModelHead): Promise<void> {
    const changes = new Map<string, string | undefined>();
    for (const key of step.deletes) changes.set(key, undefined);
    for (const [key, value] of step.puts) changes.set(key, value);
    if (changes.size === 0) return;
    const before = rootOf(head.contents);
    for (const [key, value] of changes) {
      if (value === undefined) head.contents.delete(key);
      else head.contents.set(key, value);
    }
    const operations = [...changes].map(([key, value]) => (value === undefined ? remove(key) : put(key, value)));
    const { root, receipt } = await this.db.states.apply(step.head, { operations });
    assert.equal(toHex(root), rootOf(head.contents));
    if (toHex(root) !== before) this.leaves += 1;
    assert.equal(receipt.logIndex, this.leaves - 1);
  }

  async #create(name: string, from: string): Promise<void> {
    const origin = this.model.get(from)?.commits.at(-1);
    const options = origin === undefined ? {} : { commit: origin.hash };
    if (this.model.has(name)) {
      await expectError(this.db.heads.create(name, options), { code: "ALREADY_EXISTS", facts: { head: name } });
      return;
    }
    await this.db.heads.create(name, options);
    this.model.set(name, { contents: new Map(origin?.contents), commits: origin === undefined ? [] : [origin] });
    this.leaves += 1;
  }

  async #reopen(): Promise<void> {
    if (this.place.kind === "memory") return;
    await this.db.close();
    this.db = await Database.open(this.place.location, this.place.options);
  }

  async check(): Promise<void> {
    const view = await this.db.view();
    assert.equal(view.logSize, this.leaves);
    const names = [...this.model.keys()].sort();
    assert.deepEqual(
      (await view.heads()).map(({ name }) => name),
      names,
    );
    for (const [name, head] of this.model) {
      assert.deepEqual(await readAll(this.db, { staged: name }), Object.fromEntries([...head.contents].sort()));
      for (const { hash, contents } of head.commits) {
        const { state } = await view.resolve({ commit: hash });
        assert.equal(toHex(state.root), rootOf(contents));
      }
      const newest = head.commits.at(-1);
      if (newest === undefined)
        await expectError(view.resolve({ head: name }), { code: "NOT_FOUND", facts: { kind: "commit" } });
      else assert.deepEqual(await readAll(this.db, { head: name }), Object.fromEntries([...newest.contents].sort()));
      const log: string[] = [];
      for await (const { hash } of this.db.commits.log({ head: name })) log.push(toHex(hash));
      assert.deepEqual(log.slice(0, 1), newest === undefined ? [] : [toHex(newest.hash)]);
    }
  }
}

describe("staged and committed state", () => {
  onEachStore("is what a plain map would be", async (place) => {
    const runs = place.kind === "memory" ? 30 : 1;
    const length = place.kind === "memory" ? { maxLength: 25 } : { minLength: 60, maxLength: 60 };
    let used = false;
    await fc.assert(
      fc.asyncProperty(fc.array(stepArbitrary, length), async (steps) => {
        const here = place.kind === "memory" ? await freshMemory(place) : place;
        if (place.kind === "directory" && used) return;
        used = true;
        const modelled = new Modelled(here, await here.create());
        for (const step of steps) await modelled.run(step);
        await modelled.check();
        await modelled.db.close();
      }),
      { numRuns: runs, endOnFailure: place.kind === "directory" },
    );
  });
});

async function freshMemory(place: TestPlace): Promise<TestPlace> {
  const { db } = await inMemory();
  return { ...place, create: async () => db };
}

describe("apply", () => {
  const refused: [string, StateOperation[], string][] = [
    ["no operations", [], "operations"],
    ["an empty key", [put("a", "1"), { key: new Uint8Array(0), change: "delete" }], "operations[1].key"],
    ["an oversize key", [{ key: new Uint8Array(MAX_KEY_BYTES + 1), change: "delete" }], "operations[0].key"],
    ["a key twice", [put("b", "1"), put("a", "2"), remove("b")], "operations[2].key"],
    ["an oversize value", [put("a", new Uint8Array(MAX_INLINE_VALUE_BYTES + 1))], "operations[0].value"],
    [
      "an expected hash that is none",
      [{ ...put("a", "1"), condition: { expectedHash: new Uint8Array(5) } }],
      "operations[0].expected_hash",
    ],
    [
      "a blob's hash that is none",
      [{ key: utf8("a"), change: { putBlob: { hash: new Uint8Array(5), sizeBytes: 5 } } }],
      "operations[0].blob.hash",
    ],
  ];
  for (const [what, operations, field] of refused) {
    it(`refuses ${what}`, async () => {
      const { db } = await inMemory();
      await expectError(db.states.apply("main", { operations }), { code: "INVALID_ARGUMENT", field });
      assert.equal((await db.view()).logSize, 1);
    });
  }

  it("refuses too many operations, and too many bytes", async () => {
    const { db } = await inMemory();
    const many = Array.from({ length: MAX_BATCH_KEYS + 1 }, (_, index) => remove(`${index}`));
    await expectError(db.states.apply("main", { operations: many }), {
      code: "LIMIT_EXCEEDED",
      facts: { limit: "batch_keys" },
    });
    const large = Array.from({ length: MAX_BATCH_BYTES / MAX_INLINE_VALUE_BYTES + 1 }, (_, index) =>
      put(`${index}`, new Uint8Array(MAX_INLINE_VALUE_BYTES)),
    );
    await expectError(db.states.apply("main", { operations: large }), {
      code: "LIMIT_EXCEEDED",
      facts: { limit: "batch_bytes" },
    });
    await db.states.apply("main", { operations: many.slice(1) });
    assert.equal((await db.view()).logSize, 1);
  });

  it("refuses names that are none, and names the nearest of those there are", async () => {
    const { db } = await inMemory();
    for (const head of ["", "a//b", "a/../b", ".", "ä", "x".repeat(129)]) {
      await expectError(db.states.apply(head, { operations: [put("a", "1")] }), {
        code: "INVALID_ARGUMENT",
        field: "head",
      });
    }
    const error = await expectError(db.states.apply("mian", { operations: [put("a", "1")] }), {
      code: "NOT_FOUND",
      facts: { kind: "head", head: "mian", nearest: "main" },
    });
    assert.equal(
      `${error.message}; ${error.hint ?? ""}`,
      'head "mian" does not exist (did you mean "main"?); see: neleus head list; or make it: neleus head create mian',
    );
    const far = await expectError(db.states.apply("production", { operations: [put("a", "1")] }), {
      code: "NOT_FOUND",
    });
    assert.equal(far.message, 'head "production" does not exist');
  });

  onEachStore("puts blobs that are held, small and large, and no others", async (place) => {
    const db = await place.create();
    const small = await db.blobs.put(patternBytes(100));
    const large = await db.blobs.put(patternBytes(100_000));
    const blobOperation = (key: string, blob: { hash: Uint8Array; sizeBytes: number }): StateOperation => ({
      key: utf8(key),
      change: { putBlob: blob },
    });
    await db.states.apply("main", { operations: [blobOperation("s", small), blobOperation("l", large)] });
    assert.equal(await readText(db, "s"), Buffer.from(patternBytes(100)).toString());
    assert.equal(await readText(db, "l"), Buffer.from(patternBytes(100_000)).toString());
    const wrongSize = db.states.apply("main", { operations: [blobOperation("s", { ...small, sizeBytes: 99 })] });
    await expectError(wrongSize, { code: "INVALID_ARGUMENT", field: "operations[0].blob.size" });
    const absent = { hash: hashBlob(utf8("absent")), sizeBytes: 6 };
    await expectError(db.states.apply("main", { operations: [blobOperation("a", absent)] }), {
      code: "NOT_FOUND",
      facts: { kind: "blob", hash: toHex(absent.hash) },
    });
    // Inline values of any size end where blobs of that size do.
    await db.states.apply("main", { operations: [put("x", patternBytes(200_000)), put("y", "")] });
    assert.equal(await readText(db, "x"), Buffer.from(patternBytes(200_000)).toString());
    assert.equal(await readText(db, "y"), "");
    assert.equal((await db.usage()).largeBlobs, 2);
    await db.close();
  });

  onEachStore("holds to conditions, all or none", async (place) => {
    const db = await place.create();
    const { root } = await db.states.apply("main", { operations: [put("a", "1"), put("b", "2")] });
    const one = hashBlob(utf8("1"));
    const two = hashBlob(utf8("2"));
    const current = toHex(root);
    const failing: [StateOperation, Record<string, string>][] = [
      [
        { ...put("a", "x"), condition: "absent" },
        { key: toHex(utf8("a")), current_hash: toHex(one), current_root: current },
      ],
      [
        { ...put("a", "x"), condition: { expectedHash: two } },
        { key: toHex(utf8("a")), current_hash: toHex(one) },
      ],
      [
        { ...put("z", "x"), condition: { expectedHash: two } },
        { key: toHex(utf8("z")), current_root: current },
      ],
      [
        { ...remove("b"), condition: { expectedHash: one } },
        { key: toHex(utf8("b")), current_hash: toHex(two) },
      ],
    ];
    for (const [operation, facts] of failing) {
      const action = db.states.apply("main", { operations: [put("other", "9"), operation] });
      const error = await expectError(action, {
        code: "CONFLICT",
        field: "operations[1]",
        facts: { head: "main", ...facts },
      });
      assert.equal(error.facts["current_hash"], facts["current_hash"]);
    }
    const expectedRoot = hashBlob(utf8("no root"));
    await expectError(db.states.apply("main", { operations: [put("other", "9")], expectedRoot }), {
      code: "CONFLICT",
      field: "expected_root",
      facts: { current_root: current },
    });
    assert.deepEqual(await readAll(db), { a: "1", b: "2" });
    const { root: next } = await db.states.apply("main", {
      expectedRoot: root,
      operations: [
        { ...put("a", "3"), condition: { expectedHash: one } },
        { ...put("c", "4"), condition: "absent" },
        { ...remove("b"), condition: { expectedHash: two } },
      ],
    });
    assert.deepEqual(await readAll(db), { a: "3", c: "4" });
    assert.deepEqual(await readAll(db, { root: next }), { a: "3", c: "4" });
    assert.deepEqual(await readAll(db, { root }), { a: "1", b: "2" });
    await db.close();
  });

  it("that changes nothing adds no leaf, and is answered with the log as it is", async () => {
    const { db } = await inMemory();
    const { root, receipt } = await db.states.apply("main", { operations: [put("a", "1")] });
    for (const operations of [[put("a", "1")], [remove("b")], [put("a", "1"), remove("zz")]]) {
      const again = await db.states.apply("main", { operations });
      assert.ok(equalBytes(again.root, root));
      assert.deepEqual(again.receipt, receipt);
    }
  });

  it("leaves the caller's arrays alone, and does not keep them", async () => {
    const { db } = await inMemory();
    const key = utf8("key");
    const value = utf8("value");
    const applied = db.states.apply("main", { operations: [{ key, change: { put: value } }] });
    await applied;
    key.fill(0);
    value.fill(0);
    assert.deepEqual(await readAll(db), { key: "value" });
  });
});
