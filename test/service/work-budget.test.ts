// Goal: large reads together hold no more than the budget: more of them wait, in order, and are refused with advice when no
// room comes; whoever leaves, in whatever way, gives the room back. Method: the budget by itself, then BatchGet with a
// budget of few keys, streams left open at every point.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { StateService } from "#gen/neleus/v1/state_pb.js";
import { LimitExceeded, type NeleusError } from "#src/core/errors.js";
import { BATCH_KEY_WORK_BYTES } from "#src/core/limits.js";
import { createServices, GrpcStatus } from "#src/service/index.js";
import { WorkBudget } from "#src/service/work-budget.js";
import { Caller, collect, fails, openHarness, utf8Of } from "./harness.js";

const NEVER = new AbortController().signal;

describe("the budget", () => {
  test("admits in order as room comes, and one alone whatever its size", async () => {
    const budget = new WorkBudget({ bytes: 10, waitMs: 10_000, waitingCalls: 10 });
    const order: string[] = [];
    const releaseHuge = await budget.take(1_000, NEVER);
    const take = async (name: string, sizeBytes: number): Promise<() => void> => {
      const release = await budget.take(sizeBytes, NEVER);
      order.push(name);
      return release;
    };
    const [large, small, other] = [take("large", 10), take("small", 4), take("other", 6)];
    await delay(5);
    assert.deepEqual(order, []);
    releaseHuge();
    releaseHuge();
    const releaseLarge = await large;
    await delay(5);
    assert.deepEqual(order, ["large"]);
    releaseLarge();
    (await small)();
    (await other)();
    assert.deepEqual(order, ["large", "small", "other"]);
    (await budget.take(1_000, NEVER))();
  });

  test("refuses with advice: when nothing came in time, and at once when too many wait", async () => {
    const budget = new WorkBudget({ bytes: 10, waitMs: 30, waitingCalls: 1 });
    const release = await budget.take(10, NEVER);
    const refused = (error: unknown): boolean =>
      error instanceof LimitExceeded && error.facts["limit"] === "work_bytes" && /try again/.test(error.hint ?? "");
    const patient = assert.rejects(budget.take(1, NEVER), refused);
    await assert.rejects(budget.take(1, NEVER), refused);
    await patient;
    release();
    (await budget.take(10, NEVER))();
  });

  test("a caller that leaves while it waits makes room for those behind it", async () => {
    const budget = new WorkBudget({ bytes: 10, waitMs: 10_000, waitingCalls: 10 });
    const release = await budget.take(5, NEVER);
    const controller = new AbortController();
    const leaving = budget.take(10, controller.signal);
    const behind = budget.take(5, NEVER);
    controller.abort();
    await assert.rejects(leaving, (error) => (error as NeleusError).code === "CANCELLED");
    (await behind)();
    release();
    await assert.rejects(budget.take(1, AbortSignal.abort()), (error) => (error as NeleusError).code === "CANCELLED");
  });
});

test("BatchGet waits for room, is refused without, and gives it back however it ends", async () => {
  const { database } = await openHarness();
  const keys = Array.from({ length: 4_000 }, (_, index) => utf8Of(`key/${String(index).padStart(100, "0")}`));
  await database.states.apply("main", { operations: keys.map((key) => ({ key, change: { put: key } })) });
  const workBudget = { bytes: keys.length * BATCH_KEY_WORK_BYTES, waitMs: 200, waitingCalls: 10 };
  const caller = new Caller(createServices({ version: "1.2.3", database: async () => database, workBudget }));
  const request = { at: { at: { case: "staged", value: "main" } }, keys, omitValues: true } as const;
  const open = (signal = NEVER) => caller.serverStream(StateService.method.batchGet, request, { signal });
  const whole = (await collect(open())).length;
  assert.ok(whole > 1);
  const REFUSED = { code: "LIMIT_EXCEEDED", status: GrpcStatus.RESOURCE_EXHAUSTED } as const;

  const left = open();
  await left.next();
  await fails(open().next(), REFUSED);
  const waiting = collect(open());
  await left.return();
  assert.equal((await waiting).length, whole);

  const controller = new AbortController();
  const cancelled = open(controller.signal);
  await cancelled.next();
  controller.abort();
  await fails(cancelled.next(), { code: "CANCELLED", status: GrpcStatus.CANCELLED });
  assert.equal((await collect(open())).length, whole);

  const nowhere = { ...request, at: { at: { case: "staged", value: "mian" } } } as const;
  await fails(collect(caller.serverStream(StateService.method.batchGet, nowhere)), {
    code: "NOT_FOUND",
    status: GrpcStatus.NOT_FOUND,
  });
  assert.equal((await collect(open())).length, whole);
  // Many at once are served one after the other, however long each takes.
  const patientBudget = { ...workBudget, waitMs: 60_000 };
  const services = createServices({ version: "1.2.3", database: async () => database, workBudget: patientBudget });
  const patient = new Caller(services);
  const openPatiently = () => patient.serverStream(StateService.method.batchGet, request, { signal: NEVER });
  const many = await Promise.all([1, 2, 3].map(async () => (await collect(openPatiently())).length));
  assert.deepEqual(many, [whole, whole, whole]);
});
