// Goal: a client follows an announced key by itself, however long it was away and whatever it was doing, and stops at every
// other epoch with all that is known of it; a server that is shown what it lost says so and signs nothing.
// Method: engines in memory with their services, a transport whose server can be exchanged or made to lie field by field; the
// records of a trust store between runs.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import type { DescMessage, DescMethodUnary, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { ProofService } from "#gen/neleus/v1/proof_pb.js";
import type { ProofServiceProveEpochResponse, ProofServiceProveInclusionResponse } from "#gen/neleus/v1/proof_pb.js";
import { acceptEpochOver } from "#src/client/accept-epoch.js";
import type { Database } from "#src/client/contract.js";
import { Connection } from "#src/client/connection.js";
import { openOver } from "#src/client/database.js";
import { inProcessTransport } from "#src/client/embedded/index.js";
import { followEpochs } from "#src/client/epochs.js";
import { fileTrustStore } from "#src/client/file-trust-store.js";
import type { NewEpochEvidence } from "#src/client/records.js";
import type { Transport } from "#src/client/transport.js";
import { LogKey, LogTrust } from "#src/client/trust/index.js";
import {
  Forked,
  IncompleteProof,
  InvalidArgument,
  LimitExceeded,
  NeleusError,
  NewEpoch,
  NotFound,
  RolledBack,
  Unavailable,
  VerificationFailed,
} from "#src/core/errors.js";
import { decodeLogLeaf, encodeLogLeaf, parseCheckpointUnverified } from "#src/core/log/index.js";
import { Database as Engine } from "#src/database/index.js";
import { createServices } from "#src/service/index.js";
import { MemoryStore } from "#src/store/index.js";
import { inMemory, put, testRandom } from "../database/support/database.js";
import { NATIVE } from "./support/fixture.js";
import { unaware } from "./support/unaware.js";

/** Leads to a server that can be exchanged, and may change answers on the way. */
class Link implements Transport {
  readonly address = "db.example:7117";
  #to!: Transport;
  readonly lies = new Map<string, (answer: never) => unknown>();

  constructor(engine: Engine) {
    this.to = engine;
  }

  set to(engine: Engine) {
    const services = createServices({ database: async () => engine, version: "0.0.0" });
    this.#to = inProcessTransport({ address: this.address, services });
  }

  async unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
  ): Promise<MessageShape<O>> {
    const answer = await this.#to.unary(method, request);
    return (this.lies.get(method.name)?.(answer as never) ?? answer) as MessageShape<O>;
  }

  readonly serverStream: Transport["serverStream"] = (method, request) => this.#to.serverStream(method, request);
  readonly clientStream: Transport["clientStream"] = (method, requests) => this.#to.clientStream(method, requests);
  readonly close = async (): Promise<void> => undefined;
}

const client = (link: Transport, options = {}): Promise<Database> =>
  openOver(link, { maxAttempts: 1, ...options }, NATIVE);

const set = (engine: Engine, value: string) => engine.states.apply("main", { operations: [put("k", value)] });

async function rotate(engine: Engine): Promise<void> {
  await engine.epochs.announceKey();
  await engine.epochs.begin({ reason: "rekeyed" });
}

async function copyOf(store: MemoryStore): Promise<MemoryStore> {
  const copy = new MemoryStore();
  for (const space of ["nodes", "objects", "blobs", "log", "tiles", "meta", "requests"] as const) {
    for await (const key of store.iterate(space)) {
      const value = store.sync.get(space, key);
      if (value !== undefined) await copy.write({ puts: [{ space, key, value }] });
    }
  }
  return copy;
}

async function temporaryStore(context: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), "neleus-epochs-"));
  context.after(() => rm(folder, { recursive: true, force: true }));
  return fileTrustStore(join(folder, "trust.json"));
}

const PLACE = { address: "db.example:7117", database: "default" };

describe("an announced key", () => {
  test("is followed in the midst of work, by reads and writes at once", async () => {
    const { db: engine } = await inMemory();
    const states: string[] = [];
    const db = await client(new Link(engine), { onTrustChanged: ({ verifierKey }: never) => states.push(verifierKey) });
    await db.state("main").put("k", "1");
    const { state } = db.trust;
    await rotate(engine);
    const put2 = db.state("main").put("k", "2");
    const [head, , seen] = await Promise.all([db.snapshot("main"), put2, db.checkpoint(), db.heads.list()]);
    assert.ok(["1", "2"].includes((await head.staged.get("k"))?.text() ?? ""));
    assert.equal(seen.checkpoint.origin, engine.log.origin);
    assert.notEqual(db.trust.state.verifierKey, state.verifierKey);
    assert.equal(db.trust.origin, engine.log.origin);
    // A write may be the first to meet it, with a key of its own or without.
    await rotate(engine);
    await db.state("main").put("k", "3", { idempotencyKey: "three" });
    await rotate(engine);
    await db.state("main").put("k", "3", { idempotencyKey: "three" });
    await rotate(engine);
    await db.commit("main", { author: "a", message: "m" });
    assert.equal(await (await db.snapshot("main")).get("k").then((value) => value?.text()), "3");
    assert.equal(states.at(-1), engine.log.verifierKey);
  });

  test("is followed at once where the new log is shorter than what was seen: it is not waited for", async () => {
    const { db: engine } = await inMemory({ logWaitMs: 10_000 });
    const db = await client(new Link(engine));
    for (let count = 0; count < 20; count += 1) await db.state("main").put("k", String(count));
    await rotate(engine);
    const startedMs = performance.now();
    await db.snapshot("main");
    await db.logEntries.get(0);
    await db.heads.list();
    assert.ok(performance.now() - startedMs < 2_000);
  });

  test("is followed by each for itself where another that was at it gave up", async () => {
    const { db: engine } = await inMemory();
    const link = new Link(engine);
    const db = await client(link);
    await rotate(engine);
    let asked = 0;
    link.lies.set("ProveEpoch", async (answer) => {
      asked += 1;
      if (asked > 1) return answer;
      await new Promise((resolve) => setTimeout(resolve, 20));
      throw new Unavailable("its caller had no more time");
    });
    const results = await Promise.allSettled([db.snapshot("main"), db.snapshot("main"), db.heads.list()]);
    assert.deepEqual(results.map(({ status }) => status).sort(), ["fulfilled", "fulfilled", "rejected"]);
    assert.equal(db.trust.origin, engine.log.origin);
  });

  test("is followed by who was away for several epochs, and remembered", async (context) => {
    const store = await temporaryStore(context);
    const { db: engine } = await inMemory();
    const first = engine.log.verifierKey;
    const before = await client(new Link(engine), { trustStore: store });
    for (const value of ["1", "2", "3"]) await before.state("main").put("k", value);
    await before.close();
    for (let epoch = 2; epoch <= 4; epoch += 1) {
      await rotate(engine);
      await set(engine, `${epoch}`);
    }
    const after = await client(new Link(engine), { trustStore: store });
    assert.equal((await after.state("main").get("k"))?.text(), "4");
    await after.close();
    const record = await store.load(PLACE);
    assert.equal(record?.verifierKey, engine.log.verifierKey);
    assert.deepEqual([record.followed?.length, record.followed?.[0], record.checkpoints.length], [3, first, 1]);
    // Who still has the key of the first epoch in a script goes on from what is remembered.
    const { sinceMs } = record;
    const pinned = await client(new Link(engine), { trustStore: store, verifierKey: first });
    assert.equal(pinned.trust.state.verifierKey, engine.log.verifierKey);
    await pinned.close();
    const again = await store.load(PLACE);
    assert.deepEqual([again?.isPinned, again?.sinceMs, again?.followed], [true, sinceMs, record.followed]);
    // And who has nothing else.
    const alone = await client(new Link(engine), { verifierKey: first });
    assert.equal(alone.trust.state.verifierKey, engine.log.verifierKey);
  });

  test("ends a list of leaves that goes on after the connection was lost: what follows is another log", async () => {
    const { db: engine } = await inMemory();
    for (let count = 0; count < 300; count += 1) await set(engine, `${count}`);
    const link = new Link(engine);
    const { serverStream } = link;
    let calls = 0;
    const broken = {
      address: link.address,
      unary: link.unary.bind(link),
      clientStream: link.clientStream,
      close: link.close,
      serverStream: async function* (...call: Parameters<Transport["serverStream"]>) {
        calls += 1;
        for await (const message of serverStream(...call)) {
          yield message;
          if (calls > 1) continue;
          await rotate(engine);
          for (let count = 0; count < 400; count += 1) await set(engine, `${count}`);
          throw new Unavailable("the connection was lost");
        }
      } as Transport["serverStream"],
    };
    const db = await openOver(broken, {}, NATIVE);
    const indices: number[] = [];
    await assert.rejects(async () => {
      for await (const { index } of db.logEntries.list()) indices.push(index);
    }, NewEpoch);
    assert.deepEqual(
      indices,
      Array.from({ length: 256 }, (_, index) => index),
    );
  });

  test("is followed through so many epochs and no more", async () => {
    const { db: engine } = await inMemory();
    const first = engine.log.verifierKey;
    for (let epoch = 1; epoch <= 3; epoch += 1) await rotate(engine);
    const connection = new Connection(new Link(engine), "default");
    const follow = async (mostEpochs: number): Promise<LogTrust> => {
      const trust = new LogTrust(LogKey.parse(first));
      await followEpochs({ connection, trust, mostEpochs });
      return trust;
    };
    assert.equal((await follow(3)).key.text, engine.log.verifierKey);
    await assert.rejects(follow(2), LimitExceeded);
  });

  test("is not followed back by a client that lags behind another", async (context) => {
    const store = await temporaryStore(context);
    const { db: engine } = await inMemory();
    const slow = await client(new Link(engine), { trustStore: store });
    await slow.checkpoint();
    await slow.close();
    const lagging = await client(new Link(engine), { trustStore: store });
    await set(engine, "1");
    await lagging.checkpoint();
    await rotate(engine);
    const quick = await client(new Link(engine), { trustStore: store });
    await quick.checkpoint();
    await quick.close();
    const record = await store.load(PLACE);
    assert.equal(record?.verifierKey, engine.log.verifierKey);
    await lagging.close();
    assert.deepEqual((await store.load(PLACE))?.verifierKey, record.verifierKey);
  });
});

/** Fails with NewEpoch; its evidence. */
async function stopped(action: Promise<unknown>, message: RegExp): Promise<NewEpochEvidence> {
  let found: NewEpoch | undefined;
  await assert.rejects(action, (error) => {
    assert.ok(error instanceof NewEpoch, String(error));
    assert.match(error.message, message);
    assert.match(error.hint ?? "", /neleus trust accept-epoch/);
    found = error;
    return true;
  });
  return found?.evidence as NewEpochEvidence;
}

describe("any other epoch", () => {
  test("stops a client, with what the epoch says of itself", async () => {
    const { db: engine } = await inMemory();
    const link = new Link(engine);
    const db = await client(link);
    await db.state("main").put("k", "1");
    const { state } = db.trust;
    const begun = await engine.epochs.begin({ reason: "restored" });
    for (const action of [db.snapshot("main"), db.checkpoint(), client(link, state), db.state("main").put("k", "2")]) {
      const evidence = await stopped(action, /\(restored\).*not announced/);
      assert.deepEqual([evidence.reason, evidence.previous], ["restored", begun.previous]);
      assert.deepEqual([evidence.trustedKey, evidence.verifierKey], [state.verifierKey, begun.verifierKey]);
      assert.equal(parseCheckpointUnverified(evidence.checkpoint ?? "").origin, begun.origin);
      assert.equal(evidence.seen, state.checkpoint);
    }
    assert.equal(db.trust.state.verifierKey, state.verifierKey);
  });

  test("of a backup says what it lacks, and a key announced in it changes nothing of that", async () => {
    const { db: engine, store } = await inMemory();
    await engine.epochs.announceKey();
    const db = await client(new Link(engine));
    const copied = await copyOf(store);
    for (const value of ["1", "2"]) await db.state("main").put("k", value);
    await db.checkpoint();
    const state = db.trust.state;
    const copy = await Engine.open(copied);
    const begun = await copy.epochs.begin({ reason: "restored" });
    const evidence = await stopped(client(new Link(copy), state), /ended with 2 leaves, and 4 had been seen/);
    assert.deepEqual([evidence.reason, evidence.previous], ["restored", begun.previous]);
    // Re-keyed as announced, without a word of what was lost.
    const silent = await Engine.open(await copyOf(await storeOfBackup(store, copied)));
    await silent.epochs.begin({ reason: "rekeyed" });
    await stopped(client(new Link(silent), state), /ended with 2 leaves, and 4 had been seen/);
  });

  test("of a copy is told apart from that of another by its key", async () => {
    const { db: engine, store } = await inMemory();
    await set(engine, "1");
    const [left, right] = [await Engine.open(await copyOf(store)), await Engine.open(await copyOf(store))];
    await left.epochs.begin({ reason: "cloned" });
    await right.epochs.begin({ reason: "cloned" });
    assert.equal(left.log.origin, right.log.origin);
    const link = new Link(left);
    const db = await client(link);
    await db.checkpoint();
    const evidence = await stopped(client(new Link(right), db.trust.state), /two logs of one name/);
    assert.deepEqual([evidence.reason, evidence.verifierKey], ["cloned", right.log.verifierKey]);
    // In the midst of work it cannot be told from a signature that is forged, until it is asked who it is.
    link.to = right;
    await assert.rejects(db.checkpoint(), VerificationFailed);
    // An epoch of before is none to go to.
    await stopped(client(new Link(engine), db.trust.state), /it is of before/);
  });

  test("of another database is no epoch", async () => {
    const { db: engine } = await inMemory();
    const { db: stranger } = await inMemory({ randomBytes: testRandom(8) });
    const state = { verifierKey: engine.log.verifierKey };
    await assert.rejects(client(new Link(stranger), state), VerificationFailed);
  });
});

/** The backup once more, as it was before anybody began an epoch in it: its first leaves are those of the original. */
async function storeOfBackup(original: MemoryStore, backup: MemoryStore): Promise<MemoryStore> {
  const store = await copyOf(original);
  // The backup ended with two leaves: its tail is found in the record of the epoch that was begun from it.
  const { decode } = await import("#src/core/codec/index.js");
  const record = backup.sync.get("meta", new TextEncoder().encode("epoch/1"));
  assert.ok(record !== undefined);
  const [, tail] = decode(record) as [number, Uint8Array];
  await store.write({ puts: [{ space: "meta", key: new TextEncoder().encode("tail"), value: tail }] });
  return store;
}

describe("a server that lies about the way to its epoch", () => {
  type Step = ProofServiceProveEpochResponse;
  const flip = (bytes: Uint8Array): Uint8Array => bytes.map((byte, at) => (at === bytes.length - 1 ? byte ^ 1 : byte));

  const larger = (note: string): string => note.replace(/\n(\d+)\n/, (_, size) => `\n${Number(size) + 1}\n`);

  async function refused(lie: (step: Step) => unknown, kinds: readonly (new (...args: never[]) => NeleusError)[]) {
    const { db: engine } = await inMemory();
    const link = new Link(engine);
    const db = await client(link);
    await db.state("main").put("k", "1");
    const { state } = db.trust;
    await set(engine, "2");
    await rotate(engine);
    await set(engine, "3");
    link.lies.set("ProveEpoch", (step: Step) => {
      const changed = lie(step);
      return changed ?? step;
    });
    const isRefused = (error: unknown): boolean => {
      assert.ok(
        kinds.some((kind) => error instanceof kind),
        String(error),
      );
      return true;
    };
    await assert.rejects(db.checkpoint(), isRefused);
    await assert.rejects(client(link, state), isRefused);
    assert.equal(db.trust.state.verifierKey, state.verifierKey);
    // Nothing of it has stuck.
    link.lies.clear();
    await db.checkpoint();
    assert.equal(db.trust.origin, engine.log.origin);
  }

  const lies: Record<string, [(step: Step) => unknown, readonly (new (...args: never[]) => NeleusError)[]]> = {
    "no end": [(step) => void (step.end = undefined), [VerificationFailed]],
    "no beginning": [(step) => void (step.beginning = undefined), [VerificationFailed]],
    "no log proof": [(step) => void (step.end!.log = undefined), [VerificationFailed]],
    "no witness": [(step) => void (step.end!.refs = []), [NeleusError]],
    "a forged witness": [
      (step) => void (step.end!.refs[0]!.entries[0] = flip(step.end!.refs[0]!.entries[0]!)),
      [VerificationFailed],
    ],
    "an end that is not signed": [
      (step) => void (step.end!.log!.checkpoint = larger(step.end!.log!.checkpoint)),
      [VerificationFailed],
    ],
    "an end of the next epoch": [
      (step) => void (step.end!.log!.checkpoint = step.beginning!.checkpoint),
      [NewEpoch, VerificationFailed],
    ],
    "no consistency with what was seen": [(step) => void (step.end!.log!.consistency = []), [Forked]],
    "an inclusion of another leaf": [(step) => void step.end!.log!.inclusion.reverse(), [VerificationFailed]],
    "a leaf that is forged": [(step) => void (step.end!.log!.leaf = flip(step.end!.log!.leaf)), [VerificationFailed]],
    "no key": [(step) => void (step.beginning!.verifierKey = ""), [VerificationFailed]],
    "a key with the id of another": [
      (step) => void (step.beginning!.verifierKey = step.beginning!.verifierKey.replace(/\+\w{8}\+/, "+00000000+")),
      [VerificationFailed],
    ],
    "a beginning that is not signed": [
      (step) => void (step.beginning!.checkpoint = larger(step.beginning!.checkpoint)),
      [VerificationFailed],
    ],
    "another reason": [
      (step) => {
        const leaf = decodeLogLeaf(step.beginning!.leaf, 0);
        step.beginning!.leaf = encodeLogLeaf({ ...leaf, first: { ...leaf.first!, reason: "restored" } }, 0);
      },
      [VerificationFailed],
    ],
    "no inclusion of the first leaf": [(step) => void (step.beginning!.inclusion = []), [VerificationFailed]],
  };
  for (const [what, [lie, kinds]] of Object.entries(lies)) test(`is refused: ${what}`, () => refused(lie, kinds));

  test("is refused where the next epoch goes on from elsewhere", async () => {
    // Whoever has a copy of the directory has the announced key, too.
    const { db: engine, store } = await inMemory();
    await engine.epochs.announceKey();
    const copy = await Engine.open(await copyOf(store));
    const db = await client(new Link(engine));
    await set(engine, "1");
    await db.checkpoint();
    const { state } = db.trust;
    await engine.epochs.begin({ reason: "rekeyed" });
    await copy.epochs.begin({ reason: "rekeyed" });
    assert.equal(engine.log.verifierKey, copy.log.verifierKey);
    // The end that is true, shown with the beginning of the other.
    const honest: Step[] = [];
    const way = new Link(engine);
    way.lies.set("ProveEpoch", (step: Step) => void honest.push(step));
    await client(way, state);
    const link = new Link(copy);
    link.lies.set("ProveEpoch", (step: Step) => ({ ...step, end: honest[0]!.end }));
    await stopped(client(link, state), /does not go on from where that one ended/);
  });

  test("is refused where the beginning is of another database", async () => {
    const { db: stranger } = await inMemory({ randomBytes: testRandom(8) });
    await rotate(stranger);
    const { beginning } = await stranger.epochs.step({ epoch: 1 });
    await refused((step) => ({ ...step, beginning: { ...step.beginning!, ...beginning } }), [VerificationFailed]);
  });

  test("is refused where it leads through the epochs of another server", async () => {
    // Two copies with one announced key: each begins the next epoch with it, and has a log of its own.
    const { db: engine, store } = await inMemory();
    await engine.epochs.announceKey();
    const copy = unaware(await Engine.open(await copyOf(store)));
    const db = await client(new Link(engine));
    await set(engine, "1");
    await db.checkpoint();
    const { state } = db.trust;
    for (const value of ["a", "b", "c"]) await set(copy, value);
    await copy.epochs.begin({ reason: "rekeyed" });
    // The end is larger than what was seen, and no extension of it.
    await assert.rejects(client(new Link(copy), state), Forked);
  });

  test("is refused where an epoch is left out, or ends as another did", async () => {
    const { db: engine } = await inMemory();
    const link = new Link(engine);
    const db = await client(link);
    await db.checkpoint();
    const { state } = db.trust;
    await rotate(engine);
    await rotate(engine);
    const steps: Step[] = [];
    link.lies.set("ProveEpoch", (step: Step) => void steps.push(step));
    await client(link, state);
    const [one, two] = steps;
    assert.ok(one !== undefined && two !== undefined && steps.length === 2);
    link.lies.set("ProveEpoch", () => ({ ...one, beginning: two.beginning }));
    await stopped(client(link, state), /it is not the next one/);
    link.lies.set("ProveEpoch", () => ({ ...one, end: two.end }));
    await assert.rejects(client(link, state), NewEpoch);
  });

  /** One key, one beginning, two histories, of 4 and of 5 leaves; each may be asked how it ended. */
  async function fork() {
    const { db: engine, store } = await inMemory();
    const other = await Engine.open(await copyOf(store));
    for (const [of, times] of [
      [engine, 3],
      [other, 4],
    ] as const) {
      for (let count = 0; count < times; count += 1) await set(of, `${times} ${count}`);
    }
    const [key, note, otherNote] = [
      engine.log.verifierKey,
      await engine.log.checkpoint(),
      await other.log.checkpoint(),
    ];
    await rotate(engine);
    await rotate(other);
    return { engine, other, key: LogKey.parse(key), note, otherNote };
  }

  test("is refused where what was seen of two histories is shown to end in each of them", async () => {
    const { engine, other, key, note, otherNote } = await fork();
    class Forking extends Link {
      override unary<I extends DescMessage, O extends DescMessage>(
        method: DescMethodUnary<I, O>,
        request: MessageInitShape<I>,
      ): Promise<MessageShape<O>> {
        const { knownCheckpoint } = request as { readonly knownCheckpoint?: string };
        return knownCheckpoint === otherNote ? otherLink.unary(method, request) : super.unary(method, request);
      }
    }
    const otherLink = new Link(unaware(other));
    const link = new Forking(unaware(engine));
    const trust = new LogTrust(key, { checkpoints: [note, otherNote] });
    await assert.rejects(followEpochs({ connection: new Connection(link, "default"), trust }), Forked);
    assert.equal(trust.key.text, key.text);
  });

  test("is refused where a receipt of another history arrives while the way is walked", async () => {
    const { engine, key, note, otherNote } = await fork();
    const link = new Link(unaware(engine));
    const trust = new LogTrust(key, { checkpoints: [note] });
    link.lies.set("ProveEpoch", () => void trust.remember(otherNote));
    await assert.rejects(followEpochs({ connection: new Connection(link, "default"), trust }), Forked);
    assert.equal(trust.key.text, key.text);
  });

  test("and one that says that it has no way, or names an old key again, is a new epoch", async () => {
    const { db: engine } = await inMemory();
    const link = new Link(engine);
    const db = await client(link);
    await db.checkpoint();
    const { state } = db.trust;
    await rotate(engine);
    link.lies.set("ProveEpoch", () => {
      throw new NeleusError("UNSUPPORTED", "unknown method");
    });
    const evidence = await stopped(client(link, state), /does not show how that one ended/);
    assert.equal(evidence.reason, "rekeyed");
  });
});

describe("a server that lost leaves", () => {
  test("learns of it from a client, says so, and signs nothing until a new epoch begins", async () => {
    const { db: engine, store } = await inMemory();
    const link = new Link(engine);
    const db = await client(link);
    await db.state("main").put("k", "1");
    const copied = await copyOf(store);
    await db.state("main").put("k", "lost");
    await db.checkpoint();
    const lost = db.trust.state.checkpoint;
    const copy = await Engine.open(copied, { logWaitMs: 2_000 });
    const own = await copy.log.checkpoint();
    link.to = copy;
    const startedMs = performance.now();
    const isKnown = (error: unknown): boolean => {
      assert.ok(error instanceof RolledBack, String(error));
      assert.match(error.hint ?? "", /new-epoch/);
      assert.deepEqual(error.evidence, { older: lost, newer: own });
      return true;
    };
    await assert.rejects(db.snapshot("main"), isKnown);
    assert.ok(performance.now() - startedMs < 1_000, "it does not wait for leaves that it knows to be lost");
    assert.equal(copy.log.lost?.shown, lost);
    await assert.rejects(db.checkpoint(), isKnown);
    await assert.rejects(db.state("main").put("k", "2"), RolledBack);
    // Also one who has seen nothing.
    const stranger = await client(link);
    await assert.rejects(stranger.snapshot("main"), RolledBack);
    await copy.epochs.begin({ reason: "restored" });
    await (await client(link)).snapshot("main");
    const evidence = await stopped(db.snapshot("main"), /ended with 2 leaves, and 3 had been seen/);
    assert.equal(evidence.previous, lost);
  });

  test("learns of it from the receipt that it gives to a writer who has seen more", async () => {
    const { db: engine, store } = await inMemory();
    const link = new Link(engine);
    const db = await client(link);
    const copied = await copyOf(store);
    for (const value of ["1", "2", "3"]) await db.state("main").put("k", value);
    const copy = await Engine.open(copied);
    link.to = copy;
    await assert.rejects(db.state("main").put("k", "4"), Forked);
    assert.ok(copy.log.lost !== undefined);
  });
});

describe("the log of an epoch that has ended", () => {
  test("is listed up to its end, by who trusts one after it alone", async () => {
    const { db: engine } = await inMemory();
    const kept: { readonly note: string; readonly leaves: readonly Uint8Array[] }[] = [];
    for (let epoch = 1; epoch <= 4; epoch += 1) {
      for (let count = 0; count < 3 * epoch; count += 1) await set(engine, `${epoch} ${count}`);
      if (epoch === 2) await engine.epochs.announceKey();
      const view = await engine.view();
      const leaves = await Promise.all(
        Array.from({ length: view.logSize }, async (_, index) => (await view.logLeaf(index)).leaf),
      );
      kept.push({ note: await engine.log.checkpoint(), leaves });
      if (epoch === 4) break;
      if (epoch === 2) await engine.epochs.begin({ reason: "rekeyed" });
      else await engine.epochs.begin({ reason: "cloned" });
    }
    // It has never had any of the earlier keys.
    const link = new Link(engine);
    const db = await client(link);
    for (const [index, { note, leaves }] of kept.entries()) {
      const epoch = index + 1;
      assert.equal((await db.logEntries.end(epoch)).note, note);
      const listed: Uint8Array[] = [];
      for await (const { bytes } of db.logEntries.list({ epoch })) listed.push(bytes);
      assert.deepEqual(listed, leaves);
      assert.deepEqual((await db.logEntries.get(2, { epoch })).bytes, leaves[2]);
    }
    const some: number[] = [];
    for await (const { index } of db.logEntries.list({ epoch: 3, start: 2, end: 5 })) some.push(index);
    assert.deepEqual(some, [2, 3, 4]);
    for (const epoch of [5, 99]) {
      await assert.rejects(
        db.logEntries.end(epoch),
        (error) => error instanceof NotFound && error.facts["kind"] === "epoch",
      );
    }
    await assert.rejects(db.logEntries.end(0), InvalidArgument);
    // By hand, as monitors do.
    const { getTile, proveConsistency } = ProofService.method;
    const { hashes } = await link.unary(getTile, { epoch: 1n, level: 0, index: 0n });
    assert.equal(hashes.length, 32 * kept[0]!.leaves.length);
    const { checkpoint } = await link.unary(proveConsistency, { epoch: 2n, fromSize: 2n });
    assert.equal(checkpoint, kept[1]!.note);
    await assert.rejects(link.unary(getTile, { epoch: 9n, level: 0, index: 0n }), NotFound);
    // A server that shows something else in its place.
    const lies: [string, (answer: ProofServiceProveInclusionResponse) => void][] = [
      ["another epoch", (answer) => void (answer.log!.checkpoint = kept[1]!.note)],
      ["another leaf", (answer) => void (answer.leaf = new Uint8Array(kept[2]!.leaves[1]!))],
      ["no proof", (answer) => void (answer.log = undefined)],
      ["no inclusion", (answer) => void (answer.inclusion = [])],
    ];
    for (const [what, lie] of lies) {
      let calls = 0;
      link.lies.set("ProveInclusion", (answer: ProofServiceProveInclusionResponse) => {
        calls += 1;
        // The first is of the epoch that is trusted, and the second that of the one before.
        if (calls === 2) lie(answer);
      });
      await assert.rejects(db.logEntries.end(1), VerificationFailed, what);
    }
    link.lies.clear();
    await db.logEntries.end(1);
  });

  test("says so where its end was lost", async () => {
    const { db: engine, store } = await inMemory();
    const copied = await copyOf(store);
    await set(engine, "lost");
    const previous = await engine.log.checkpoint();
    const copy = await Engine.open(copied);
    await copy.epochs.begin({ reason: "restored", previous });
    const db = await client(new Link(copy));
    assert.equal((await db.logEntries.end(1)).note, previous);
    await assert.rejects(async () => {
      for await (const entry of db.logEntries.list({ epoch: 1 })) assert.ok(entry);
    }, IncompleteProof);
    await assert.rejects(db.logEntries.get(0, { epoch: 1 }), IncompleteProof);
  });
});

describe("an epoch that is accepted", () => {
  test("takes the place of the one before in the record, once it has been shown, and nothing else does", async (context) => {
    const trustStore = await temporaryStore(context);
    const { db: engine } = await inMemory();
    const { db: stranger } = await inMemory({ randomBytes: testRandom(8) });
    const accept = (on: Engine, verifierKey: string, lie?: (link: Link) => void) => {
      const link = new Link(on);
      lie?.(link);
      return acceptEpochOver(link, { trustStore, verifierKey });
    };
    const { verifierKey: first } = engine.log;
    await assert.rejects(
      accept(engine, first),
      (error) => error instanceof NotFound && error.facts["kind"] === "trust",
    );
    await (await client(new Link(engine), { trustStore })).close();
    const begun = await engine.epochs.begin({ reason: "restored" });
    const before = await trustStore.load(PLACE);
    await assert.rejects(accept(engine, first), VerificationFailed);
    await assert.rejects(accept(engine, "no key"), InvalidArgument);
    await assert.rejects(accept(stranger, stranger.log.verifierKey), VerificationFailed);
    await assert.rejects(
      accept(engine, begun.verifierKey, ({ lies }) => {
        lies.set(
          "ProveInclusion",
          (answer: ProofServiceProveInclusionResponse) => void (answer.inclusion = [new Uint8Array(32)]),
        );
      }),
      VerificationFailed,
    );
    assert.deepEqual(await trustStore.load(PLACE), before);
    const accepted = await accept(engine, begun.verifierKey);
    assert.deepEqual([accepted.reason, accepted.previous], ["restored", begun.previous]);
    const record = await trustStore.load(PLACE);
    assert.deepEqual([record?.verifierKey, record?.isPinned], [begun.verifierKey, true]);
    assert.deepEqual(record?.checkpoints, [accepted.checkpoint.note]);
    await (await client(new Link(engine), { trustStore })).close();
    // Again changes nothing.
    await accept(engine, begun.verifierKey);
    assert.equal((await trustStore.load(PLACE))?.sinceMs, record.sinceMs);
  });
});
