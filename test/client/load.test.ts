// Goal: a load through the client makes the state of its entries over every transport, checks what it can, and leaves
// nothing where its source fails, it is cancelled, or its stream ends without a finish. Lies of a server are refused.
// Method: the same puts with apply as the model; streams that are broken off; a server whose answer is changed.
import assert from "node:assert/strict";
import test from "node:test";
import { clone, type Message, type MessageShape } from "@bufbuild/protobuf";
import { StateService } from "#gen/neleus/v1/state_pb.js";
import { compareBytes, utf8 } from "#src/core/bytes.js";
import { Conflict, InvalidArgument, NeleusError, NotFound } from "#src/core/errors.js";
import type { Database, LoadEntry } from "#src/client/contract.js";
import type { Transport } from "#src/client/transport.js";
import { patternBytes } from "../database/support/bytes.js";
import { all, onEachTransport, openFixture } from "./support/fixture.js";

const numbered = (count: number): LoadEntry[] =>
  Array.from({ length: count }, (_, index) => ({ key: `key/${String(index).padStart(5, "0")}`, value: `v${index}` }));

async function* slowly(entries: readonly LoadEntry[]): AsyncGenerator<LoadEntry> {
  for (const entry of entries) {
    if (Math.random() < 0.01) await new Promise((resolve) => setImmediate(resolve));
    yield entry;
  }
}

onEachTransport("a load is the same as puts", async ({ client, engine }) => {
  const db = await client();
  const entries = numbered(9_000);
  await db.heads.create("model");
  await db.state("model").apply(entries.map(({ key, value }) => ({ key, value })));
  const progress: number[] = [];
  const loaded = await db.state("main").load(entries, {
    expectedRoot: { empty: true },
    onProgress: (count) => progress.push(count),
  });
  assert.deepEqual(loaded.root, (await db.snapshot("model")).staged.stateRoot);
  assert.deepEqual([loaded.keys, loaded.isRootComputed], [9_000, true]);
  assert.deepEqual(loaded.loggedRoot, loaded.root);
  assert.deepEqual((await db.snapshot("main")).staged.stateRoot, loaded.root);
  assert.equal(progress.at(-1), 9_000);
  assert.ok(progress.length >= 3 && progress.every((count, index) => count >= (progress[index - 1] ?? 0)));
  // Unsorted, slowly, on top, with values of all sizes.
  const sizes = [0, 1, 70_000, 256 * 1024, 60_000];
  const more: LoadEntry[] = [
    ...sizes.map((size, index) => ({ key: `size/${index}`, value: patternBytes(size, index) })),
    ...numbered(300).reverse(),
    { key: new Uint8Array([255, 255]), value: "bytes" },
  ];
  await db.state("model").apply(more.slice(0, 2));
  await db.state("model").apply(more.slice(5));
  for (const { key, value } of more.slice(2, 5)) await db.state("model").put(key, value);
  const second = await db.state("main").load(slowly(more), { expectedRoot: loaded.root });
  assert.deepEqual([second.keys, second.isRootComputed], [more.length, false]);
  assert.deepEqual(second.beforeRoot, loaded.root);
  assert.deepEqual(second.root, (await db.snapshot("model")).staged.stateRoot);
  assert.equal((await all(db.diff({ root: loaded.root }, { root: second.root }))).length, sizes.length + 1);
  const nothing = await db.state("main").load([]);
  assert.deepEqual([nothing.keys, nothing.root], [0, second.root]);
  await db.heads.create("third");
  const unverified = await db.state("third").load(entries, { unverified: true });
  assert.deepEqual([unverified.isRootComputed, unverified.root], [false, loaded.root]);
  assert.equal((await engine.usage()).uploads, 0);
  await db.close();
});

onEachTransport("a load that fails changes nothing", async ({ client, engine, transport }) => {
  const db = await client();
  const { root } = await db.state("main").put("there", "1");
  const untouched = async (): Promise<void> => {
    assert.deepEqual((await db.snapshot("main")).staged.stateRoot, root);
    // The server's end of a broken stream closes a moment later than the client's.
    for (let tries = 0; (await engine.usage()).uploads > 0 && tries < 200; tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assert.equal((await engine.usage()).uploads, 0);
  };
  const main = db.state("main");
  const broken = new Error("the source broke");
  async function* failing(): AsyncGenerator<LoadEntry> {
    yield* numbered(5_000);
    throw broken;
  }
  await assert.rejects(main.load(failing()), (error) => error === broken);
  await untouched();
  const controller = new AbortController();
  let closed = false;
  async function* endless(): AsyncGenerator<LoadEntry> {
    try {
      for (;;) {
        yield* numbered(5_000);
        setImmediate(() => controller.abort());
      }
    } finally {
      closed = true;
    }
  }
  const cancelled = main.load(endless(), { signal: controller.signal });
  await assert.rejects(cancelled, (error: NeleusError) => error.code === "CANCELLED");
  await untouched();
  assert.equal(closed, true);
  for (const entry of [{ key: "", value: "x" }, { key: "k", value: patternBytes(256 * 1024 + 1, 1) }, { key: "k" }]) {
    await assert.rejects(main.load([...numbered(3), entry as LoadEntry]), InvalidArgument);
    await untouched();
  }
  await assert.rejects(main.load(numbered(3), { expectedRoot: { empty: true } }), Conflict);
  await assert.rejects(main.load(numbered(3), { expectedRoot: new Uint8Array(32) }), Conflict);
  await assert.rejects(main.load(numbered(3), { expectedRoot: "12" }), InvalidArgument);
  await assert.rejects(db.state("none").load(numbered(3)), NotFound);
  await untouched();

  // What no client of ours sends.
  type Request = MessageShape<typeof StateService.method.load.input>;
  const header = { part: { case: "header", value: { head: "main" } } };
  const entries = { part: { case: "entries", value: { keys: [utf8("k")], values: [utf8("v")] } } };
  const finish = (count: bigint): object => ({ part: { case: "finish", value: { count } } });
  const streams: [messages: object[], field: string][] = [
    [[], "part"],
    [[entries], "part"],
    [[finish(0n)], "part"],
    [[header], "part"],
    [[header, entries], "part"],
    [[header, header], "part"],
    [[header, {}], "part"],
    [[header, entries, finish(2n)], "finish.count"],
    [[header, entries, finish(2n ** 63n)], "finish.count"],
    [[header, { part: { case: "entries", value: { keys: [utf8("k")], values: [] } } }], "entries.values"],
    [[{ part: { case: "header", value: { head: "" } } }], "header.head"],
    [[{ part: { case: "header", value: { head: "main", database: "/" } } }], "header.database"],
    [
      [{ part: { case: "header", value: { head: "main", condition: { case: "expectedEmpty", value: false } } } }],
      "header.expected_empty",
    ],
  ];
  for (const [messages, field] of streams) {
    const over = transport();
    const requests = (async function* () {
      for (const message of messages) yield message as Request;
    })();
    await assert.rejects(over.clientStream(StateService.method.load, requests), (error: NeleusError) => {
      assert.deepEqual([error.code, error.field], ["INVALID_ARGUMENT", field], error.message);
      return true;
    });
    await over.close();
  }
  await untouched();
  await db.close();
});

type Answer = MessageShape<typeof StateService.method.load.output>;

function lying(inner: Transport, lie: (answer: Answer) => void): Transport {
  return {
    address: inner.address,
    unary: (method, request, options) => inner.unary(method, request, options),
    serverStream: (method, request, options) => inner.serverStream(method, request, options),
    async clientStream(method, requests, options) {
      const answer = await inner.clientStream(method, requests, options);
      if (method !== (StateService.method.load as unknown)) return answer;
      const changed = clone(StateService.method.load.output, answer as never);
      lie(changed);
      return changed as Message as never;
    },
    close: () => inner.close(),
  };
}

test("a server that loads something else, or says so, is refused", async () => {
  const fixture = await openFixture("in process");
  const honest = await fixture.client();
  await honest.heads.create("other");
  const other = await honest.state("other").load(numbered(99));
  const load = async (lie: (answer: Answer) => void, use: (db: Database) => Promise<unknown>): Promise<void> => {
    await honest.heads.delete("main");
    await honest.heads.create("main");
    const db = await fixture.client({}, (inner) => lying(inner, lie));
    await db.checkpoint();
    await assert.rejects(use(db), (error) => {
      assert.ok(error instanceof NeleusError && /VERIFICATION_FAILED|INCOMPLETE_PROOF/.test(error.code), String(error));
      return true;
    });
  };
  const sorted = numbered(100).sort((a, b) => compareBytes(utf8(a.key as string), utf8(b.key as string)));
  const plain = (db: Database): Promise<unknown> => db.state("main").load(sorted);
  const lies: ((answer: Answer) => void)[] = [
    (answer) => answer.root.set(other.root),
    (answer) => (answer.root = new Uint8Array(3)),
    (answer) => (answer.beforeRoot = new Uint8Array(0)),
    (answer) => (answer.keys += 1n),
    (answer) => (answer.keys = 0n),
    (answer) => (answer.leaf[5]! ^= 1),
    (answer) => (answer.inclusion = []),
    (answer) => (answer.refs = []),
    (answer) => (answer.receipt = undefined as never),
    (answer) => (answer.receipt!.logIndex -= 1n),
  ];
  for (const lie of lies) {
    const tell = (answer: Answer): void => {
      lie(answer);
    };
    await load(tell, plain);
  }
  await load(
    (answer) => answer.beforeRoot.set(other.root),
    (db) => db.state("main").load(sorted, { expectedRoot: { empty: true } }),
  );
  // Unsorted, the root is the server's word: a comparison of the two states tells.
  await honest.heads.delete("main");
  await honest.heads.create("main");
  const db = await fixture.client({}, (inner) => lying(inner, (answer) => answer.root.set(other.root)));
  const { beforeRoot, root, isRootComputed } = await db.state("main").load(sorted.toReversed());
  assert.equal(isRootComputed, false);
  assert.equal((await all(db.diff({ root: beforeRoot }, { root }))).length, 99);
  await fixture.close();
});
