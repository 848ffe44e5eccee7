// Goal: what StateService answers is what was put, shown by witnesses that core's verifiers accept against the root, and
// every error of its comments has its status and field and changes nothing. Method: a sorted list as model beside the
// service, called through a wire (harness.ts).
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { StateService, type StateServiceScanRequestSchema } from "#gen/neleus/v1/state_pb.js";
import { CommitService } from "#gen/neleus/v1/commit_pb.js";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { hashBlob } from "#src/core/blob/index.js";
import { fromUtf8, toHex } from "#src/core/bytes.js";
import { mapRoot, type MapRoot } from "#src/core/hashes.js";
import { MAX_BATCH_KEYS, MAX_INLINE_VALUE_BYTES, MAX_KEY_BYTES } from "#src/core/limits.js";
import {
  emptyMap,
  get,
  GetManyVerifier,
  MapKind,
  scanSync,
  ScanVerifier,
  verifyWitness,
  type MapAt,
} from "#src/core/map/index.js";
import { commitHashOf, stateCell } from "#src/core/object/index.js";
import { GrpcStatus } from "#src/service/index.js";
import { collect, fails, openHarness, revealsOf, utf8Of, type Harness } from "./harness.js";

const { get: Get, batchGet: BatchGet, apply: Apply, scan: Scan } = StateService.method;
const MAIN = { at: { case: "staged", value: "main" } } as const;

function stateAt(root: Uint8Array): MapAt {
  return { kind: MapKind.state, root: mapRoot(root) };
}

/** Keys in order, with their values. */
type Model = readonly (readonly [key: string, value: string])[];

function modelOf(count: number): Model {
  return Array.from(
    { length: count },
    (_, index) => [`key/${String(index).padStart(6, "0")}`, `value ${index}`] as const,
  );
}

async function put(harness: Harness, entries: Model): Promise<MapRoot> {
  let root: Uint8Array = new Uint8Array(0);
  for (let first = 0; first < entries.length; first += MAX_BATCH_KEYS) {
    const operations = entries.slice(first, first + MAX_BATCH_KEYS).map(([key, value]) => ({
      key: utf8Of(key),
      change: { case: "value", value: utf8Of(value) } as const,
    }));
    ({ root } = await harness.caller.unary(Apply, { head: "main", operations }));
  }
  return mapRoot(root);
}

/** A scan, checked from the first reveal to the last. */
async function verifiedScan(
  harness: Harness,
  request: MessageInitShape<typeof StateServiceScanRequestSchema>,
): Promise<{ entries: [string, string | undefined][]; next: string | undefined; root: string; messages: number }> {
  const messages = await collect(harness.caller.serverStream(Scan, request));
  const header = messages[0]?.header;
  assert.ok(header?.position);
  assert.ok(messages.slice(1).every((message) => message.header === undefined));
  const to = header.next ?? request.to;
  const verifier = new ScanVerifier(stateAt(header.position.root), { from: request.from ?? new Uint8Array(0), to });
  const entries: [string, string | undefined][] = [];
  const hashes: string[] = [];
  for (const message of messages) {
    for (const { key, cell } of verifier.push(revealsOf(message.nodes))) {
      entries.push([fromUtf8(key), undefined]);
      hashes.push(toHex(stateCell.decode(cell).hash));
    }
    for (const { entry, data } of message.values) {
      const shown = entries[Number(entry)];
      assert.ok(shown, "a value comes after its entry");
      assert.equal(shown[1], undefined, "a value comes once");
      assert.equal(toHex(hashBlob(data)), hashes[Number(entry)]);
      shown[1] = fromUtf8(data);
    }
  }
  verifier.finish();
  const next = header.next === undefined ? undefined : fromUtf8(header.next);
  return { entries, next, root: toHex(header.position.root), messages: messages.length };
}

describe("StateService.Get", () => {
  test("presence and absence are shown against the root that Apply returned", async () => {
    const harness = await openHarness();
    const root = await put(harness, modelOf(500));
    for (const [key, value] of [
      ...modelOf(500).filter((_, index) => index % 97 === 0),
      ["key/", undefined],
      ["z", undefined],
    ] as const) {
      const answer = await harness.caller.unary(Get, { at: MAIN, key: utf8Of(key) });
      assert.deepEqual(answer.position?.root, new Uint8Array(root));
      const cell = verifyWitness(get(stateAt(root), utf8Of(key)), revealsOf(answer.nodes));
      assert.equal(cell === undefined, value === undefined);
      assert.equal(answer.value && fromUtf8(answer.value), value);
      if (cell !== undefined) assert.deepEqual(stateCell.decode(cell).hash, hashBlob(utf8Of(value ?? "")));
    }
  });

  test("the empty map proves every absence", async () => {
    const { caller } = await openHarness();
    const { position, nodes, value } = await caller.unary(Get, { at: MAIN, key: utf8Of("a") });
    assert.equal(value, undefined);
    assert.equal(
      verifyWitness(get(stateAt(position?.root ?? new Uint8Array(0)), utf8Of("a")), revealsOf(nodes)),
      undefined,
    );
  });

  test("a value is left out on request, and where it is over 256 KiB", async () => {
    const { caller, database } = await openHarness();
    const [small, large] = [utf8Of("x"), new Uint8Array(MAX_INLINE_VALUE_BYTES + 1).fill(7)];
    const { hash, sizeBytes } = await database.blobs.put(large);
    await caller.unary(Apply, {
      head: "main",
      operations: [
        { key: utf8Of("small"), change: { case: "value", value: small } },
        { key: utf8Of("large"), change: { case: "blob", value: { hash, size: BigInt(sizeBytes) } } },
      ],
    });
    assert.deepEqual((await caller.unary(Get, { at: MAIN, key: utf8Of("small") })).value, small);
    assert.equal((await caller.unary(Get, { at: MAIN, key: utf8Of("small"), omitValue: true })).value, undefined);
    assert.equal((await caller.unary(Get, { at: MAIN, key: utf8Of("large") })).value, undefined);
  });

  test("reads staged state, a head's commit, a commit and a root", async () => {
    const harness = await openHarness();
    const { caller } = harness;
    const first = await put(harness, [["a", "1"]]);
    const { commit } = await caller.unary(CommitService.method.create, { head: "main", author: "t", message: "" });
    const second = await put(harness, [["a", "2"]]);
    const hash = commitHashOf(commit);
    const cases = [
      [{ at: { case: "staged", value: "main" } }, second, "2", new Uint8Array(0)],
      [{ at: { case: "head", value: "main" } }, first, "1", hash],
      [{ at: { case: "commit", value: hash } }, first, "1", hash],
      [{ at: { case: "root", value: first } }, first, "1", new Uint8Array(0)],
    ] as const;
    for (const [at, root, value, commitRead] of cases) {
      const answer = await caller.unary(Get, { at, key: utf8Of("a") });
      assert.deepEqual(answer.position?.root, new Uint8Array(root), at.at.case);
      assert.deepEqual(answer.position.commit, new Uint8Array(commitRead), at.at.case);
      assert.equal(fromUtf8(answer.value ?? new Uint8Array(0)), value);
      assert.ok(verifyWitness(get(stateAt(root), utf8Of("a")), revealsOf(answer.nodes)));
    }
  });

  test("errors", async () => {
    const harness = await openHarness();
    const { caller } = harness;
    await put(harness, [["a", "1"]]);
    const key = utf8Of("a");
    const notFound = { code: "NOT_FOUND", status: GrpcStatus.NOT_FOUND } as const;
    const invalid = { code: "INVALID_ARGUMENT", status: GrpcStatus.INVALID_ARGUMENT } as const;
    const unknown = new Uint8Array(32).fill(9);
    await fails(caller.unary(Get, { database: "other", at: MAIN, key }), notFound);
    await fails(caller.unary(Get, { at: { at: { case: "staged", value: "mian" } }, key }), {
      ...notFound,
      kind: "head",
    });
    await fails(caller.unary(Get, { at: { at: { case: "head", value: "main" } }, key }), {
      ...notFound,
      kind: "commit",
    });
    await fails(caller.unary(Get, { at: { at: { case: "commit", value: unknown } }, key }), {
      ...notFound,
      kind: "commit",
    });
    await fails(caller.unary(Get, { at: { at: { case: "root", value: unknown } }, key }), {
      ...notFound,
      code: "PRUNED",
      kind: "root",
    });
    await fails(caller.unary(Get, { key }), { ...invalid, field: "at" });
    await fails(caller.unary(Get, { at: {}, key }), { ...invalid, field: "at" });
    await fails(caller.unary(Get, { at: { at: { case: "head", value: "a//b" } }, key }), {
      ...invalid,
      field: "at.head",
    });
    await fails(caller.unary(Get, { at: { at: { case: "root", value: key } }, key }), { ...invalid, field: "at.root" });
    await fails(caller.unary(Get, { at: MAIN, key: new Uint8Array(0) }), { ...invalid, field: "key" });
    await fails(caller.unary(Get, { at: MAIN, key: new Uint8Array(MAX_KEY_BYTES + 1) }), { ...invalid, field: "key" });
    await fails(caller.unary(Get, { database: "../x", at: MAIN, key }), { ...invalid, field: "database" });
  });
});

describe("StateService.BatchGet", () => {
  test("one witness answers for all keys, with the values of those present", async () => {
    const harness = await openHarness();
    const model = modelOf(2000);
    const root = await put(harness, model);
    const wanted = [
      ...model.filter((_, index) => index % 3 === 0).map(([key]) => key),
      "key/000001x",
      "a",
      "zz",
    ].sort();
    const keys = wanted.map(utf8Of);
    const messages = await collect(harness.caller.serverStream(BatchGet, { at: MAIN, keys }));
    assert.deepEqual(messages[0]?.position?.root, new Uint8Array(root));
    assert.ok(messages.slice(1).every(({ position }) => position === undefined));
    const verifier = new GetManyVerifier(stateAt(root), keys);
    const present: { key: string; hash: string }[] = [];
    const values = new Map<string, string>();
    let answers = 0;
    for (const message of messages) {
      for (const { key, cell } of verifier.push(revealsOf(message.nodes))) {
        answers += 1;
        if (cell !== undefined) present.push({ key: fromUtf8(key), hash: toHex(stateCell.decode(cell).hash) });
      }
      for (const { entry, data } of message.values) {
        const shown = present[Number(entry)];
        assert.equal(toHex(hashBlob(data)), shown?.hash);
        values.set(shown?.key ?? "", fromUtf8(data));
      }
    }
    verifier.finish();
    assert.equal(answers, keys.length);
    assert.deepEqual(values, new Map(model.filter(([key]) => wanted.includes(key))));
  });

  test("values are left out on request", async () => {
    const harness = await openHarness();
    await put(harness, modelOf(10));
    const keys = modelOf(10).map(([key]) => utf8Of(key));
    const messages = await collect(harness.caller.serverStream(BatchGet, { at: MAIN, keys, omitValues: true }));
    assert.ok(messages.every(({ values }) => values.length === 0));
  });

  test("errors", async () => {
    const { caller } = await openHarness();
    const invalid = { code: "INVALID_ARGUMENT", status: GrpcStatus.INVALID_ARGUMENT } as const;
    const ask = (keys: Uint8Array[]) => collect(caller.serverStream(BatchGet, { at: MAIN, keys }));
    await fails(ask([]), { ...invalid, field: "keys" });
    await fails(ask([utf8Of("b"), utf8Of("a")]), { ...invalid, field: "keys[1]" });
    await fails(ask([utf8Of("a"), utf8Of("b"), utf8Of("b")]), { ...invalid, field: "keys[2]" });
    await fails(ask([utf8Of("a"), new Uint8Array(1025)]), { ...invalid, field: "keys[1]" });
    const many = Array.from({ length: MAX_BATCH_KEYS + 1 }, (_, index) => utf8Of(String(index).padStart(6, "0")));
    await fails(ask(many), { code: "LIMIT_EXCEEDED", status: GrpcStatus.RESOURCE_EXHAUSTED, field: "keys" });
  });
});

describe("StateService.Scan", () => {
  test("every range is exactly what the model holds", async () => {
    const harness = await openHarness();
    const model = modelOf(600);
    await put(harness, model);
    const bounds = [undefined, "", "key/", "key/000000", "key/000007x", "key/000599", "key/9", "a"];
    for (const from of bounds) {
      for (const to of bounds) {
        if (to === "" || (to !== undefined && (from ?? "") >= to)) continue;
        const range = { from: utf8Of(from ?? ""), ...(to === undefined ? {} : { to: utf8Of(to) }) };
        const { entries } = await verifiedScan(harness, { at: MAIN, ...range, withValues: true });
        const expected = model.filter(([key]) => key >= (from ?? "") && (to === undefined || key < to));
        assert.deepEqual(
          entries,
          expected.map((pair) => [...pair]),
          `${from} to ${to}`,
        );
      }
    }
  });

  test("pages join up, whatever their length", async () => {
    const harness = await openHarness();
    const model = modelOf(700);
    await put(harness, model);
    for (const limit of [1n, 64n, 350n, 699n, 700n, 701n, 2n ** 53n - 1n]) {
      const seen: string[] = [];
      let from: string | undefined = limit === 1n ? "key/000680" : "";
      const start = from;
      let pages = 0;
      while (from !== undefined) {
        const page: Awaited<ReturnType<typeof verifiedScan>> = await verifiedScan(harness, {
          at: MAIN,
          from: utf8Of(from),
          limit,
        });
        assert.ok(BigInt(page.entries.length) <= limit);
        if (page.next !== undefined) assert.equal(BigInt(page.entries.length), limit, "a page that is cut is full");
        seen.push(...page.entries.map(([key]) => key));
        from = page.next;
        pages += 1;
      }
      assert.deepEqual(
        seen,
        model.map(([key]) => key).filter((key) => key >= start),
      );
      if (limit >= 700n) assert.equal(pages, 1);
    }
  });

  test("pages of bytes end behind the entry that reaches the limit", async () => {
    const harness = await openHarness();
    // Values of many sizes, one that does not travel along, and a long key.
    const model = modelOf(300).map(([key], index): [string, string] => [key, "v".repeat((index * 37) % 500)]);
    await put(harness, model);
    const large = await harness.database.blobs.put(new Uint8Array(MAX_INLINE_VALUE_BYTES + 1));
    const named = { key: utf8Of("key/000100/large"), change: { putBlob: large } };
    const long = { key: utf8Of(`key/000200/${"x".repeat(900)}`), change: { put: utf8Of("") } };
    await harness.database.states.apply("main", { operations: [named, long] });
    const { state } = await (await harness.database.view()).resolve({ staged: "main" });
    const counted: { key: string; bytes: number; inline: number }[] = [];
    for (const entries of scanSync(harness.database.nodes, state, { from: new Uint8Array(0) })) {
      for (const { key, cell } of entries) {
        const { size } = stateCell.decode(cell);
        const inline = size <= MAX_INLINE_VALUE_BYTES ? size : 0;
        counted.push({ key: fromUtf8(key), bytes: key.length + cell.length, inline });
      }
    }
    for (const withValues of [false, true]) {
      for (const maxBytes of [1, 60, 400, 5_000, 20_000, 1_000_000]) {
        for (const limit of [undefined, 7n]) {
          const seen: string[] = [];
          let from: string | undefined = "";
          while (from !== undefined && seen.length < 400) {
            const request = { at: MAIN, from: utf8Of(from), withValues, maxBytes: BigInt(maxBytes) };
            const asked = limit === undefined ? request : { ...request, limit };
            const page: Awaited<ReturnType<typeof verifiedScan>> = await verifiedScan(harness, asked);
            const sizes = page.entries.map((_, index) => {
              const { bytes, inline } = counted[seen.length + index] ?? { bytes: 0, inline: 0 };
              return bytes + (withValues ? inline : 0);
            });
            const sum = (list: readonly number[]): number => list.reduce((all, size) => all + size, 0);
            assert.ok(sum(sizes.slice(0, -1)) < maxBytes, "no entry behind the one that reaches it");
            const isFull = sum(sizes) >= maxBytes || BigInt(sizes.length) === limit;
            if (page.next !== undefined) assert.ok(isFull, "a page that is cut is full");
            seen.push(...page.entries.map(([key]) => key));
            from = page.next;
          }
          assert.deepEqual(
            seen,
            counted.map(({ key }) => key),
          );
        }
      }
    }
    // The last entry of a range that reaches the limit leaves nothing to go on with.
    const [first] = counted;
    const one = { at: MAIN, to: utf8Of("key/000000x"), maxBytes: BigInt(first?.bytes ?? 0) };
    assert.deepEqual([(await verifiedScan(harness, one)).next, first?.key], [undefined, "key/000000"]);
  });

  test("a limit that the range's end comes before cuts nothing", async () => {
    const harness = await openHarness();
    await put(harness, modelOf(100));
    const page = await verifiedScan(harness, { at: MAIN, to: utf8Of("key/000010"), limit: 10n });
    assert.equal(page.next, undefined);
    assert.equal(page.entries.length, 10);
  });

  test("the empty map answers with its one node", async () => {
    const harness = await openHarness();
    assert.deepEqual((await verifiedScan(harness, { at: MAIN, limit: 5n })).entries, []);
  });

  test("messages are cut at about 256 KiB, and one value may fill one", async () => {
    const harness = await openHarness();
    const large = "v".repeat(MAX_INLINE_VALUE_BYTES);
    await put(
      harness,
      modelOf(200).map(([key]) => [key, "w".repeat(8000)] as const),
    );
    await put(harness, [["key/000100", large]]);
    const messages = await collect(harness.caller.serverStream(Scan, { at: MAIN, withValues: true }));
    const sizes = messages.map(
      ({ nodes, values }) =>
        nodes.reduce(
          (sum, node) => sum + node.siblings.length + node.entries.reduce((all, entry) => all + entry.length, 0),
          0,
        ) + values.reduce((sum, { data }) => sum + data.length, 0),
    );
    assert.ok(sizes.length >= 7);
    assert.ok(Math.max(...sizes) <= MAX_INLINE_VALUE_BYTES + 16_384, `${Math.max(...sizes)} bytes in a message`);
    const { entries } = await verifiedScan(harness, { at: MAIN, withValues: true });
    assert.equal(entries[100]?.[1], large);
  });

  test("answers at one root, whatever is written meanwhile", async () => {
    const harness = await openHarness();
    const root = await put(
      harness,
      modelOf(6000).map(([key, value]) => [key + "x".repeat(100), value] as const),
    );
    const stream = harness.caller.serverStream(Scan, { at: MAIN });
    const verifier = new ScanVerifier(stateAt(root), { from: new Uint8Array(0) });
    let entries = 0;
    for await (const { nodes } of stream) {
      entries += verifier.push(revealsOf(nodes)).length;
      await put(harness, [
        [`key/0000${entries}`, "changed"],
        [`zzz/${entries}`, "new"],
      ]);
    }
    verifier.finish();
    assert.equal(entries, 6000);
  });

  test("errors", async () => {
    const { caller } = await openHarness();
    const invalid = { code: "INVALID_ARGUMENT", status: GrpcStatus.INVALID_ARGUMENT } as const;
    const ask = (request: object) => collect(caller.serverStream(Scan, { at: MAIN, ...request }));
    await fails(ask({ from: utf8Of("b"), to: utf8Of("a") }), { ...invalid, field: "to" });
    await fails(ask({ from: utf8Of("a"), to: utf8Of("a") }), { ...invalid, field: "to" });
    await fails(ask({ to: new Uint8Array(0) }), { ...invalid, field: "to" });
    await fails(ask({ from: new Uint8Array(1025) }), { ...invalid, field: "from" });
    await fails(ask({ limit: 0n }), { ...invalid, field: "limit" });
    await fails(ask({ limit: 2n ** 53n }), { ...invalid, field: "limit" });
    await fails(ask({ maxBytes: 0n }), { ...invalid, field: "max_bytes" });
    await fails(ask({ maxBytes: 2n ** 53n }), { ...invalid, field: "max_bytes" });
    await fails(ask({ at: { at: { case: "head", value: "main" } } }), {
      code: "NOT_FOUND",
      status: GrpcStatus.NOT_FOUND,
      kind: "commit",
    });
  });
});

describe("StateService.Apply", () => {
  test("shows what it did where asked to, and else only names the roots", async () => {
    const { caller } = await openHarness();
    const ask = (value: string, wantTransition: boolean) =>
      caller.unary(Apply, {
        head: "main",
        operations: [{ key: utf8Of("k"), change: { case: "value", value: utf8Of(value) } }],
        wantTransition,
      });
    const first = await ask("1", false);
    assert.deepEqual([first.transition, first.leaf.length, first.inclusion, first.refs], [[], 0, [], []]);
    assert.deepEqual(first.beforeRoot, new Uint8Array(emptyMap(MapKind.state).digest));
    const second = await ask("2", true);
    assert.deepEqual(second.beforeRoot, first.root);
    assert.deepEqual([second.transition.length, second.transition[0]?.siblings.length], [1, 0]);
    assert.ok(second.leaf.length > 0 && second.inclusion.length > 0 && second.refs.length > 0);
  });

  test("puts, deletes and conditions hold together, and the receipt is in the log", async () => {
    const harness = await openHarness();
    const { caller, database } = harness;
    const before = await put(harness, [
      ["a", "1"],
      ["b", "2"],
    ]);
    const { hash } = await database.blobs.put(utf8Of("stored"));
    const { root, receipt } = await caller.unary(Apply, {
      head: "main",
      expectedRoot: before,
      operations: [
        {
          key: utf8Of("c"),
          change: { case: "blob", value: { hash, size: 6n } },
          condition: { case: "expectedAbsent", value: true },
        },
        {
          key: utf8Of("a"),
          change: { case: "delete", value: true },
          condition: { case: "expectedHash", value: hashBlob(utf8Of("1")) },
        },
        { key: utf8Of("absent"), change: { case: "delete", value: true } },
      ],
    });
    const { entries, root: scanned } = await verifiedScan(harness, { at: MAIN, withValues: true });
    assert.deepEqual(entries, [
      ["b", "2"],
      ["c", "stored"],
    ]);
    assert.equal(scanned, toHex(root));
    const { logSize } = await database.view();
    assert.equal(receipt?.logIndex, BigInt(logSize - 1));
    assert.equal(receipt.checkpoint, await database.log.checkpoint());
  });

  test("every error has its status and field, and changes nothing", async () => {
    const harness = await openHarness();
    const { caller } = harness;
    const root = await put(harness, [["a", "1"]]);
    const before = await harness.fingerprint();
    const a = utf8Of("a");
    const value = { case: "value", value: utf8Of("2") } as const;
    const invalid = { code: "INVALID_ARGUMENT", status: GrpcStatus.INVALID_ARGUMENT } as const;
    const notFound = { code: "NOT_FOUND", status: GrpcStatus.NOT_FOUND } as const;
    const conflict = { code: "CONFLICT", status: GrpcStatus.ABORTED } as const;
    const limit = { code: "LIMIT_EXCEEDED", status: GrpcStatus.RESOURCE_EXHAUSTED } as const;
    const unknown = new Uint8Array(32).fill(9);
    type Operations = NonNullable<
      Parameters<typeof caller.unary<typeof Apply.input, typeof Apply.output>>[1]["operations"]
    >;
    const apply = (operations: Operations, more: { head?: string; expectedRoot?: Uint8Array } = {}) =>
      caller.unary(Apply, { head: "main", operations, ...more });

    await fails(apply([{ key: a, change: value }], { head: "mian" }), { ...notFound, kind: "head" });
    await fails(apply([{ key: a, change: value }], { head: "" }), { ...invalid, field: "head" });
    await fails(apply([]), { ...invalid, field: "operations" });
    await fails(apply([{ key: a }]), { ...invalid, field: "operations[0].change" });
    await fails(
      apply([
        { key: a, change: value },
        { key: new Uint8Array(0), change: value },
      ]),
      { ...invalid, field: "operations[1].key" },
    );
    await fails(apply([{ key: new Uint8Array(1025), change: value }]), { ...invalid, field: "operations[0].key" });
    await fails(
      apply([
        { key: utf8Of("b"), change: value },
        { key: a, change: value },
        { key: a, change: value },
      ]),
      {
        ...invalid,
        field: "operations[2].key",
      },
    );
    await fails(apply([{ key: a, change: { case: "value", value: new Uint8Array(MAX_INLINE_VALUE_BYTES + 1) } }]), {
      ...invalid,
      field: "operations[0].value",
    });
    await fails(apply([{ key: a, change: { case: "delete", value: false } }]), {
      ...invalid,
      field: "operations[0].delete",
    });
    await fails(apply([{ key: a, change: { case: "blob", value: { hash: a, size: 1n } } }]), {
      ...invalid,
      field: "operations[0].blob.hash",
    });
    await fails(apply([{ key: a, change: { case: "blob", value: { hash: unknown, size: 2n ** 60n } } }]), {
      ...invalid,
      field: "operations[0].blob.size",
    });
    await fails(apply([{ key: a, change: { case: "blob", value: { hash: hashBlob(utf8Of("1")), size: 2n } } }]), {
      ...invalid,
      field: "operations[0].blob.size",
    });
    await fails(apply([{ key: a, change: { case: "blob", value: { hash: unknown, size: 1n } } }]), {
      ...notFound,
      kind: "blob",
    });
    await fails(apply([{ key: a, change: value, condition: { case: "expectedAbsent", value: false } }]), {
      ...invalid,
      field: "operations[0].expected_absent",
    });
    await fails(apply([{ key: a, change: value, condition: { case: "expectedHash", value: a } }]), {
      ...invalid,
      field: "operations[0].expected_hash",
    });
    await fails(apply([{ key: a, change: value }], { expectedRoot: a }), { ...invalid, field: "expected_root" });
    for (const call of [
      apply([{ key: a, change: value }], { expectedRoot: unknown }),
      apply([{ key: a, change: value, condition: { case: "expectedAbsent", value: true } }]),
      apply([{ key: a, change: value, condition: { case: "expectedHash", value: unknown } }]),
      apply([{ key: utf8Of("b"), change: value, condition: { case: "expectedHash", value: unknown } }]),
    ]) {
      assert.equal((await fails(call, conflict)).facts["current_root"], toHex(root));
    }
    const many = Array.from({ length: MAX_BATCH_KEYS + 1 }, (_, index) => ({
      key: utf8Of(`k${index}`),
      change: value,
    }));
    await fails(apply(many), limit);
    const heavy = Array.from({ length: 13 }, (_, index) => ({
      key: utf8Of(`k${index}`),
      change: { case: "value", value: new Uint8Array(MAX_INLINE_VALUE_BYTES) } as const,
    }));
    await fails(apply(heavy), limit);
    assert.equal(await harness.fingerprint(), before);
  });
});
