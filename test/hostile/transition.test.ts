// Goal: a server that records anything but what it was asked for is refused by the writer, whatever it leaves out, adds or
// changes, and however well it proves it. Method: an honest server that is asked for something else on the way, so that its
// answer is consistent in itself; answers put together from other honest ones; both with and without the transition.
import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { StateOperationSchema, StateService } from "#gen/neleus/v1/state_pb.js";
import type { ApplyOptions, Database, Operation } from "#src/client/contract.js";
import type { Transport } from "#src/client/transport.js";
import { equalBytes, toHex, utf8 } from "#src/core/bytes.js";
import { hashBlob } from "#src/core/blob/index.js";
import { IncompleteProof, VerificationFailed } from "#src/core/errors.js";
import { openFixture, type Fixture } from "../client/support/fixture.js";
import { lyingApply, withoutTransitions, type ApplyRequest, type ApplyResponse } from "./support/lying-apply.js";

const OPERATIONS: readonly Operation[] = [
  { key: "key/100", value: "changed" },
  { key: "key/200x", value: "new" },
  { key: "key/250", delete: true },
  { key: "nothing", delete: true },
];

function isRefused(error: unknown): boolean {
  assert.ok(error instanceof VerificationFailed || error instanceof IncompleteProof, String(error));
  return true;
}

function operation(key: string, value: string | undefined): ReturnType<typeof create<typeof StateOperationSchema>> {
  const change =
    value === undefined ? ({ case: "delete", value: true } as const) : ({ case: "value", value: utf8(value) } as const);
  return create(StateOperationSchema, { key: utf8(key), change });
}

const find = (request: ApplyRequest, key: string): number =>
  request.operations.findIndex((candidate) => equalBytes(candidate.key, utf8(key)));

/** What a server could do instead of what it was asked for. */
const OTHER_CHANGES: Readonly<Record<string, (request: ApplyRequest) => void>> = {
  "drops a put": (request) => void request.operations.splice(find(request, "key/100"), 1),
  "drops a new key": (request) => void request.operations.splice(find(request, "key/200x"), 1),
  "drops a delete": (request) => void request.operations.splice(find(request, "key/250"), 1),
  "adds a put": (request) => void request.operations.push(operation("key/101", "smuggled")),
  "adds a key far away": (request) => void request.operations.push(operation("zzz", "smuggled")),
  "adds a delete": (request) => void request.operations.push(operation("key/102", undefined)),
  "changes a value": (request) => {
    request.operations[find(request, "key/100")] = operation("key/100", "other");
  },
  "changes a key": (request) => {
    request.operations[find(request, "key/200x")] = operation("key/200y", "new");
  },
  "deletes what was put": (request) => {
    request.operations[find(request, "key/100")] = operation("key/100", undefined);
  },
};

for (const [name, wrap] of [
  ["shown by its nodes", (inner: Transport): Transport => inner],
  ["compared with the state before", withoutTransitions],
] as const) {
  describe(`a change that is ${name}`, () => {
    let fixture: Fixture;
    let honest: Database;
    before(async () => {
      fixture = await openFixture("in process");
      honest = await fixture.client();
      const keys = Array.from({ length: 400 }, (_, index) => `key/${String(index).padStart(3, "0")}`);
      await honest.state("main").apply(keys.map((key) => ({ key, value: `value of ${key}` })));
      await honest.heads.create("other");
      await honest.state("other").apply(keys.slice(0, 300).map((key) => ({ key, value: `value of ${key}` })));
    });
    after(() => fixture.close());

    const lying = (lies: Parameters<typeof lyingApply>[1]): Promise<Database> =>
      fixture.client({}, (inner) => wrap(lyingApply(inner, lies)));
    const apply = async (db: Database, operations = OPERATIONS, options: ApplyOptions = {}): Promise<unknown> =>
      db.state("main").apply(operations, options);

    it("is accepted where it is what was asked for", async () => {
      const db = await lying({});
      const { staged } = await db.snapshot("main");
      const applied = await db.state("main").apply(OPERATIONS, { expectedRoot: staged.stateRoot });
      assert.deepEqual(applied.beforeRoot, staged.stateRoot);
      assert.deepEqual(applied.loggedRoot, applied.root);
      assert.deepEqual((await db.snapshot("main")).staged.stateRoot, applied.root);
      // A change that changes nothing needs no new leaf.
      const again = await db.state("main").apply(OPERATIONS);
      assert.deepEqual([again.beforeRoot, again.root, again.loggedRoot], [applied.root, applied.root, applied.root]);
      const blob = await db.putBlob(new Uint8Array(300_000));
      await db.state("main").apply([{ key: "blob", blob }]);
      await db.state("main").delete("blob", { condition: { hash: blob.hash } });
      await db.state("main").put("key/250", "value of key/250");
      await db.state("main").apply([
        { key: "key/100", value: "value of key/100" },
        { key: "key/200x", delete: true },
      ]);
      assert.deepEqual((await db.snapshot("main")).staged.stateRoot, staged.stateRoot);
    });

    for (const [lie, ask] of Object.entries(OTHER_CHANGES)) {
      it(`is refused where a server ${lie}`, async () => {
        const { staged } = await honest.snapshot("main");
        await assert.rejects(apply(await lying({ ask })), isRefused);
        // For the next: the state as it was.
        for await (const { key, before } of honest.diff({ root: staged.stateRoot }, { staged: "main" })) {
          const undone = before === undefined ? { key, delete: true as const } : { key, blob: before };
          await honest.state("main").apply([undone]);
        }
      });
    }

    it("is refused where a server does nothing, and shows what it would have done", async () => {
      // The answer to the same change of another history: of a head that is then put back.
      let kept: ApplyResponse | undefined;
      const keep = (answer: ApplyResponse): void => {
        kept = answer;
      };
      const recording = await lying({ answer: keep });
      await apply(recording);
      await honest.state("main").apply([
        { key: "key/100", value: "value of key/100" },
        { key: "key/200x", delete: true },
        { key: "key/250", value: "value of key/250" },
      ]);
      const nothing = await lying({
        ask: (request) => (request.operations = [operation("nothing", undefined)]),
        answer: (answer) => void Object.assign(answer, { ...kept, receipt: answer.receipt }),
      });
      await nothing.checkpoint();
      // The leaf is not that of the receipt.
      await assert.rejects(apply(nothing), isRefused);
      // With a leaf that is: it is older than the request.
      const stale = await lying({
        ask: (request) => (request.operations = [operation("nothing", undefined)]),
        answer: (answer) => {
          const { beforeRoot, root, transition } = kept!;
          Object.assign(answer, { beforeRoot, root, transition });
        },
      });
      await stale.checkpoint();
      await assert.rejects(
        apply(stale),
        (error) => isRefused(error) && /of before it was asked for/.test(String(error)),
      );
    });

    it("is refused where a server changes another state", async () => {
      const ask = (request: ApplyRequest): void => {
        request.head = "other";
        delete request.expectedRoot;
      };
      const { staged } = await honest.snapshot("main");
      const db = await lying({ ask });
      await assert.rejects(apply(db, OPERATIONS, { expectedRoot: staged.stateRoot }), isRefused);
      // Without an expected root the answer is what it says it is: a change of that root. The log does not have it under
      // this head, and the proof that it does is the other head's.
      await assert.rejects(apply(db), isRefused);
    });

    it("is refused where it is about another root than it says", async () => {
      let count = 0;
      for (const lie of [
        (answer: ApplyResponse) => answer.beforeRoot.set(answer.root),
        (answer: ApplyResponse) => (answer.beforeRoot = new Uint8Array(32)),
        (answer: ApplyResponse) => (answer.root = answer.beforeRoot),
        (answer: ApplyResponse) => (answer.root = new Uint8Array(31)),
      ]) {
        const db = await lying({
          answer: (answer) => {
            lie(answer);
          },
        });
        // Without an expected root a server may say that somebody else had made the same change before.
        const { stateRoot: expectedRoot } = (await honest.snapshot("main")).staged;
        const value = `value ${(count += 1)}`;
        await assert.rejects(apply(db, [{ key: "k", value }], { expectedRoot }), isRefused);
      }
    });

    it("is refused where a condition did not hold", async () => {
      const ask = (request: ApplyRequest): void => {
        for (const each of request.operations) each.condition = { case: undefined };
      };
      const db = await lying({ ask });
      const wrong = hashBlob(utf8("never there"));
      for (const condition of [{ absent: true }, { hash: wrong }] as const) {
        for (const value of ["value of key/007", "another"]) {
          await assert.rejects(
            db.state("main").put("key/007", value, { condition }),
            (error) => isRefused(error) && /its condition did not hold/.test(String(error)),
          );
        }
      }
      await assert.rejects(db.state("main").put("key/none", "x", { condition: { hash: wrong } }), isRefused);
      await honest.state("main").put("key/none", "x", { condition: { hash: hashBlob(utf8("x")) } });
      assert.match(toHex((await honest.state("main").entry("key/none"))!.hash), /^[0-9a-f]{64}$/);
    });

    it("names the root that the log has, where others wrote into the same leaf", async () => {
      const writes = await Promise.all(
        Array.from({ length: 20 }, (_, index) => honest.state("main").put(`many/${index}`, String(index))),
      );
      const leaves = new Map<number, Set<string>>();
      for (const { receipt, loggedRoot } of writes) {
        const roots = leaves.get(receipt.logIndex) ?? new Set();
        leaves.set(receipt.logIndex, roots.add(toHex(loggedRoot!)));
      }
      assert.ok(leaves.size < writes.length, "some shared a leaf");
      assert.ok(
        [...leaves.values()].every((roots) => roots.size === 1),
        "of which all saw the same root",
      );
      const last = writes.reduce((a, b) => (b.receipt.logIndex >= a.receipt.logIndex ? b : a));
      assert.deepEqual((await honest.snapshot("main")).staged.stateRoot, last.loggedRoot);
      // Each began where another ended.
      const ends = new Set(writes.map(({ root }) => toHex(root)));
      assert.equal(ends.size, writes.length);
      assert.equal(writes.filter(({ beforeRoot }) => ends.has(toHex(beforeRoot))).length, writes.length - 1);
    });
  });
}

describe("a change too large for its nodes to be sent", () => {
  it("is compared instead", async () => {
    const fixture = await openFixture("over gRPC");
    let answered = 0;
    let shown = 0;
    let diffs = 0;
    const db = await fixture.client({}, (inner) => {
      const lying = lyingApply(inner, {
        answer: ({ transition }) => {
          answered += 1;
          if (transition.length > 0) shown += 1;
        },
      });
      const counting: Transport = {
        ...lying,
        serverStream(method, request, options) {
          if (method === (StateService.method.diff as unknown)) diffs += 1;
          return lying.serverStream(method, request, options);
        },
      };
      return counting;
    });
    const long = (index: number): string => `${String(index).padStart(5, "0")}${"k".repeat(900)}`;
    for (let first = 0; first < 3_000; first += 1_000) {
      await db
        .state("main")
        .apply(Array.from({ length: 1_000 }, (_, index) => ({ key: long(first + index), value: "1" })));
    }
    assert.deepEqual([answered, shown, diffs], [3, 3, 0]);
    const all = Array.from({ length: 3_000 }, (_, index) => ({ key: long(index), value: String(index % 2) }));
    const applied = await db.state("main").apply(all);
    assert.deepEqual([answered, shown, diffs], [4, 3, 1]);
    assert.deepEqual(applied.loggedRoot, applied.root);
    await db.close();
    await fixture.close();
  });
});
