// Goal: a client whose connection is lost at the worst moment tries again by itself, and whatever it asked for happens
// exactly once; scans, downloads, logs and lists of chunks go on where they stood; nothing is tried again that could do
// harm, nor past the deadline, nor after a signal.
// Method: a real server behind a link of TCP; handlers are wrapped so that the link is cut before a call, or between its
// flush and its answer; effects are counted in the log and in the chain of commits.
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { randomUUID } from "node:crypto";
import type { DescMethod } from "@bufbuild/protobuf";
import { openOver } from "#src/client/database.js";
import type { Database, RangeOptions } from "#src/client/contract.js";
import { grpcTransport } from "#src/client/grpc-transport.js";
import type { DatabaseOptions } from "#src/client/options.js";
import { hashBlob } from "#src/core/blob/index.js";
import { toHex } from "#src/core/bytes.js";
import { AlreadyExists, NeleusError, Unavailable, VerificationFailed } from "#src/core/errors.js";
import type { Database as Engine } from "#src/database/index.js";
import { startServer } from "#src/server/index.js";
import { createServices, type Handler, type ServiceBinding } from "#src/service/index.js";
import { all, NATIVE } from "../client/support/fixture.js";
import { remoteSigner, signerOf } from "../client/support/signers.js";
import { patternBytes } from "../database/support/bytes.js";
import { inMemory, put, readAll } from "../database/support/database.js";
import { eventually } from "./support/running.js";
import { LossyLink } from "./support/lossy-link.js";

/** When the link is cut during a call of a method, and how often. */
interface Cut {
  readonly method: string;
  readonly when: "before" | "after";
  times: number;
}

interface Place {
  readonly engine: Engine;
  readonly link: LossyLink;
  readonly cuts: Cut[];
  /** Calls that reached a handler, by method. */
  readonly calls: Map<string, number>;
  readonly client: (options?: DatabaseOptions) => Promise<Database>;
}

type AnyHandler = (request: unknown, context: unknown) => unknown;

/** Cuts the link around unary and client-streaming calls, as the test says. */
function wrapped(
  binding: ServiceBinding,
  place: Pick<Place, "cuts" | "calls"> & { link: () => LossyLink },
): ServiceBinding {
  const entries = binding.descriptor.methods.map((method): [string, Handler<DescMethod>] => {
    const handler = binding.handlers[method.localName] as unknown as AnyHandler;
    const cutIf = (when: Cut["when"]): void => {
      const cut = place.cuts.find((candidate) => candidate.method === method.name && candidate.when === when);
      if (cut === undefined || cut.times === 0) return;
      cut.times -= 1;
      place.link().cut();
    };
    const counted = (): void => void place.calls.set(method.name, (place.calls.get(method.name) ?? 0) + 1);
    const cutting: AnyHandler =
      method.methodKind === "server_streaming"
        ? (request, context) => {
            counted();
            cutIf("before");
            return handler(request, context);
          }
        : async (request, context) => {
            counted();
            cutIf("before");
            const answer = await handler(request, context);
            cutIf("after");
            return answer;
          };
    return [method.localName, cutting as unknown as Handler<DescMethod>];
  });
  return { descriptor: binding.descriptor, handlers: Object.fromEntries(entries) };
}

async function openPlace(t: TestContext): Promise<Place> {
  const { db: engine, clock } = await inMemory();
  const cuts: Cut[] = [];
  const calls = new Map<string, number>();
  const services = createServices({ database: async () => engine, version: "0.0.0" }).map((binding) =>
    wrapped(binding, { cuts, calls, link: () => link }),
  );
  const server = await startServer({ services, listen: "127.0.0.1:0" });
  const link = await LossyLink.to(() => server.address);
  const opened: Database[] = [];
  t.after(async () => {
    for (const db of opened) await db.close();
    await link.close();
    await server.close({ graceMs: 0 });
    await engine.close();
  });
  const client: Place["client"] = async (options) => {
    const db = await openOver(grpcTransport({ address: link.address }), { clock: clock.read, ...options }, NATIVE);
    opened.push(db);
    return db;
  };
  return { engine, link, cuts, calls, client };
}

const WORDS = { author: "a", message: "m" };
const DOCUMENT = { source: "s", head: "main", chunking: { sizeBytes: 100 } };

/** The commit that each test makes. */
const TAGGED: { hash: Uint8Array } = { hash: new Uint8Array(32) };

const WRITES: Readonly<Record<string, (db: Database) => Promise<unknown>>> = {
  Apply: (db) => db.state("main").apply([{ key: "k", value: "1" }], { idempotencyKey: undefined }),
  Create: (db) => db.commit("main", WORDS),
  CreateHead: (db) => db.heads.create("made"),
  DeleteHead: (db) => db.heads.delete("spare"),
  Load: (db) => db.state("main").load([{ key: "k", value: "1" }]),
  ResetHead: async (db) => db.heads.reset("spare", { commit: TAGGED.hash }),
  CreateTag: (db) => db.tags.create("made", TAGGED.hash),
  DeleteTag: (db) => db.tags.delete("old"),
  SetHeadKeys: (db) => db.heads.setKeys("spare", [signerOf(1).publicKey]),
  PutSigned: (db) => db.putAttestation({ commit: TAGGED.hash }, "seen", { head: "main", signer: signerOf(1) }),
  PutDocument: (db) => db.putDocument("text ".repeat(100), DOCUMENT),
};

const logSize = async (engine: Engine): Promise<number> => (await engine.view()).logSize;

async function commitCount(engine: Engine): Promise<number> {
  return (await all(engine.commits.log({ head: "main" }))).length;
}

describe("a write whose connection is lost", () => {
  for (const [method, write] of Object.entries(WRITES)) {
    for (const when of ["before", "after"] as const) {
      it(`${method}, ${when} the flush, happens once`, async (t) => {
        const { engine, cuts, calls, client } = await openPlace(t);
        await engine.heads.create("spare");
        await engine.heads.create("tagged");
        TAGGED.hash = (await engine.commits.create({ head: "tagged", author: "a", message: "m" })).commit.hash;
        await engine.tags.create("old", TAGGED.hash);
        const db = await client();
        const before = await logSize(engine);
        cuts.push({ method, when, times: 1 });
        await write(db);
        assert.equal(calls.get(method), 2);
        assert.equal(await logSize(engine), before + 1);
        await db.checkpoint();
      });
    }
  }

  for (const when of ["before", "after"] as const) {
    it(`Create of a signed commit, ${when} the flush, happens once, and is signed once`, async (t) => {
      const { engine, cuts, calls, client } = await openPlace(t);
      const db = await client();
      const signer = remoteSigner(1);
      cuts.push({ method: "Create", when, times: 2 });
      cuts.push({ method: "Prepare", when, times: 1 });
      const { hash } = await db.commit("main", WORDS, { signer });
      assert.deepEqual([await commitCount(engine), calls.get("Create"), calls.get("Prepare")], [1, 3, 2]);
      assert.equal(signer.signed.length, 1);
      assert.deepEqual((await db.snapshot("main")).commitHash, hash);
    });
  }

  it("again and again happens once, and is given up in the end", async (t) => {
    const { engine, cuts, calls, client } = await openPlace(t);
    const db = await client();
    cuts.push({ method: "Create", when: "after", times: 3 });
    await db.commit("main", WORDS);
    assert.deepEqual([await commitCount(engine), calls.get("Create")], [1, 4]);
    cuts.push({ method: "Apply", when: "after", times: 100 });
    const before = await logSize(engine);
    await assert.rejects(db.state("main").put("k", "1"), Unavailable);
    assert.deepEqual([calls.get("Apply"), await logSize(engine)], [5, before + 1]);
    assert.deepEqual(await readAll(engine), { k: "1" });
  });

  it("is not tried again where the client is told so, and can be by its caller with the same key", async (t) => {
    const { engine, cuts, calls, client } = await openPlace(t);
    const db = await client({ maxAttempts: 1 });
    const idempotencyKey = randomUUID();
    cuts.push({ method: "Create", when: "after", times: 1 });
    await assert.rejects(db.commit("main", WORDS, { idempotencyKey }), Unavailable);
    assert.deepEqual([await commitCount(engine), calls.get("Create")], [1, 1]);
    await engine.states.apply("main", { operations: [put("later", "1")] });
    await engine.commits.create({ head: "main", ...WORDS });
    // Another client, as after a crash of the first. Its head is above the commit by now.
    const { hash, receipt } = await (await client()).commit("main", WORDS, { idempotencyKey });
    const log = await all(engine.commits.log({ head: "main" }));
    assert.deepEqual(
      log.map((commit) => toHex(commit.hash)).indexOf(toHex(hash)),
      1,
      "the commit that was made the first time",
    );
    assert.equal(log.length, 2);
    assert.ok(receipt.logIndex < receipt.checkpoint.size - 1);
    assert.equal(receipt.checkpoint.size, await logSize(engine));
    await assert.rejects(db.commit("main", { ...WORDS, message: "n" }, { idempotencyKey }), (error) => {
      assert.ok(error instanceof AlreadyExists);
      assert.deepEqual([error.field, error.facts["kind"]], ["idempotency_key", "idempotency-key"]);
      return true;
    });
    // Nobody without a key of his own takes the receipt of an earlier write.
    await assert.rejects(db.commit("main", WORDS, { idempotencyKey: "no key" }), { code: "INVALID_ARGUMENT" });
  });

  it("is a load that its caller makes again, by the same key", async (t) => {
    const { engine, cuts, calls, client } = await openPlace(t);
    const db = await client();
    const entries = Array.from({ length: 6_000 }, (_, index) => ({ key: `k${index}`, value: "v".repeat(100) }));
    const options = { idempotencyKey: randomUUID(), expectedRoot: { empty: true } } as const;
    cuts.push({ method: "Load", when: "after", times: 1 });
    // What an iterator makes is there once.
    await assert.rejects(db.state("main").load(entries.values(), options), Unavailable);
    assert.deepEqual([calls.get("Load"), await logSize(engine)], [1, 2]);
    await engine.states.apply("main", { operations: [put("later", "1")] });
    const again = await (await client()).state("main").load(entries.values(), options);
    assert.deepEqual([again.keys, again.receipt.logIndex, await logSize(engine)], [6_000, 1, 3]);
    const other = db.state("main").load(entries.slice(1), options);
    await assert.rejects(other, (error) => error instanceof AlreadyExists && error.field === "idempotency_key");
    assert.equal(await logSize(engine), 3);
    // Over a link that is cut in the middle of the stream an array is sent again.
    cuts.push({ method: "Load", when: "before", times: 2 });
    calls.clear();
    const progress: number[] = [];
    const onProgress = (count: number): void => void progress.push(count);
    const others = entries.map(({ key }) => ({ key, value: "w" }));
    const { keys } = await db.state("main").load(others, { onProgress });
    assert.deepEqual([keys, calls.get("Load"), await logSize(engine)], [6_000, 3, 4]);
    assert.equal(progress.at(-1), 6_000);
  });

  it("stays within its deadline, and ends with its signal", async (t) => {
    const { cuts, calls, client } = await openPlace(t);
    const db = await client();
    cuts.push({ method: "Apply", when: "after", times: 100 });
    const startedMs = performance.now();
    await assert.rejects(db.state("main").put("k", "1", { timeoutMs: 120 }), (error) => {
      assert.ok(error instanceof NeleusError);
      return error.code === "UNAVAILABLE" || error.code === "DEADLINE_EXCEEDED";
    });
    assert.ok(performance.now() - startedMs < 1_000);
    const tries = calls.get("Apply") ?? 0;
    const abort = new AbortController();
    const write = db.state("main").put("k", "1", { signal: abort.signal });
    const ended = assert.rejects(write, { code: "CANCELLED" });
    await eventually(() => (calls.get("Apply") ?? 0) > tries, "the call arrives");
    abort.abort();
    await ended;
    assert.equal(calls.get("Apply"), tries + 1);
  });

  it("is not tried again once the client was closed", async (t) => {
    const { cuts, calls, client } = await openPlace(t);
    const db = await client();
    cuts.push({ method: "Apply", when: "after", times: 100 });
    const write = db.state("main").put("k", "1");
    setTimeout(() => void db.close(), 20);
    await assert.rejects(write, Unavailable);
    assert.ok((calls.get("Apply") ?? 0) <= 2);
    await assert.rejects(db.state("main").put("k", "1"), Unavailable);
  });
});

describe("a read whose connection is lost", () => {
  it("is made again", async (t) => {
    const { engine, cuts, calls, client } = await openPlace(t);
    await engine.states.apply("main", { operations: [put("k", "1")] });
    const db = await client();
    const snapshot = await db.snapshot("main");
    for (const method of ["GetSnapshot", "Get", "Scan", "BatchGet", "GetCheckpoint"]) {
      cuts.push({ method, when: "before", times: 1 });
      calls.clear();
      await db.snapshot("main");
      await snapshot.staged.get("k");
      await all(snapshot.staged.scan());
      await all(snapshot.staged.getMany(["k"]));
      await db.checkpoint();
      assert.equal(calls.get(method), 2, method);
    }
  });

  for (const values of [false, true]) {
    it(`goes on where a scan ${values ? "with values " : ""}stood, at the same root`, async (t) => {
      const { engine, link, calls, client } = await openPlace(t);
      const keys = Array.from({ length: 4_000 }, (_, index) => `key/${String(index).padStart(200, "0")}`);
      await engine.states.apply("main", { operations: keys.map((key) => put(key, `value of ${key}`)) });
      const db = await client();
      const { staged } = await db.snapshot("main");
      // What is written meanwhile is not seen.
      await engine.states.apply("main", { operations: [put(`${keys[3_000] ?? ""}/more`, "1")] });
      for (const [range, expected] of [
        [{}, keys],
        [{ limit: 3_500 }, keys.slice(0, 3_500)],
        // Each counts 204 bytes of key, 37 of cell, and 213 of its value.
        [{ maxBytes: 3_000 * 241 }, keys.slice(0, values ? Math.ceil((3_000 * 241) / 454) : 3_000)],
        [{ from: keys[10] ?? "", to: keys[3_800] ?? "" }, keys.slice(10, 3_800)],
      ] as const) {
        calls.clear();
        let passedBytes = 0;
        link.losesAnswer = (bytes) => {
          passedBytes += bytes.length;
          const isDue = passedBytes > 350_000;
          if (isDue) passedBytes = 0;
          return isDue;
        };
        const found: string[] = [];
        const entries = values ? staged.scan({ ...range, values: true }) : staged.scan(range);
        for await (const entry of entries) found.push(entry.keyText());
        link.losesAnswer = () => false;
        assert.deepEqual(found, expected);
        assert.ok((calls.get("Scan") ?? 0) >= 2, `${calls.get("Scan") ?? 0} parts`);
      }
    });
  }

  /** Cuts the link whenever so many bytes of answers have passed. */
  const cutEvery = (link: LossyLink, sizeBytes: number): void => {
    let passedBytes = 0;
    link.losesAnswer = (bytes) => {
      passedBytes += bytes.length;
      const isDue = passedBytes > sizeBytes;
      if (isDue) passedBytes = 0;
      return isDue;
    };
  };

  it("goes on where a download stood, at what was checked", async (t) => {
    const { engine, link, calls, client } = await openPlace(t);
    const content = patternBytes(5_000_003, 1);
    const upload = await engine.uploads.begin();
    for (let start = 0; start < content.length; start += 1e6)
      await upload.append(start, content.slice(start, start + 1e6));
    const { hash } = await upload.finish({ sizeBytes: content.length, hash: hashBlob(content) });
    await upload.close();
    const db = await client();
    const blob = db.blob(hash);
    for (const { start, end } of [{}, { start: 1_234_567 }, { start: 16_379, end: 4_500_001 }] as RangeOptions[]) {
      calls.clear();
      cutEvery(link, 1_500_000);
      const range = { ...(start === undefined ? {} : { start }), ...(end === undefined ? {} : { end }) };
      const pieces = await all(blob.stream(range));
      assert.ok(Buffer.concat(pieces).equals(content.subarray(start ?? 0, end)));
      assert.ok((calls.get("Download") ?? 0) >= 2, `${calls.get("Download") ?? 0} parts`);
      assert.ok(Buffer.from(await blob.bytes(range)).equals(content.subarray(start ?? 0, end)));
    }
    const ranges = [
      { start: 5, end: 900_000 },
      { start: 900_000, end: 900_001 },
      { start: 2_000_000, end: 3_100_000 },
      { start: 3_200_000 },
    ];
    calls.clear();
    cutEvery(link, 1_000_000);
    for await (const { start, bytes } of blob.ranges(ranges)) {
      assert.ok(Buffer.from(bytes).equals(content.subarray(start, start + bytes.length)), `at ${start}`);
    }
    cutEvery(link, 1_000_000);
    const placed = await all(blob.ranges(ranges));
    const whole = ranges.map(({ start, end }) => content.subarray(start, end));
    assert.ok(Buffer.concat(placed.map(({ bytes }) => bytes)).equals(Buffer.concat(whole)));
    assert.ok((calls.get("Download") ?? 0) >= 4, `${calls.get("Download") ?? 0} parts`);
    // Whoever takes the server's word until the end has nothing to go on from.
    cutEvery(link, 1_500_000);
    await assert.rejects(all(blob.streamUnverifiedUntilEnd()), Unavailable);
  });

  it("goes on where a log stood, at the parent of its last commit", async (t) => {
    const { engine, link, calls, client } = await openPlace(t);
    const made: string[] = [];
    for (let index = 0; index < 40; index += 1) {
      const { commit } = await engine.commits.create({ head: "main", author: "a", message: "m".repeat(30_000) });
      made.unshift(toHex(commit.hash));
    }
    const db = await client();
    for (const [options, count] of [
      [{}, 40],
      [{ limit: 37 }, 37],
      [{ maxBytes: 30_000 * 35 }, 35],
    ] as const) {
      calls.clear();
      cutEvery(link, 350_000);
      const log = await all(db.commits.log({ head: "main" }, options));
      assert.deepEqual(
        log.map(({ hash }) => toHex(hash)),
        made.slice(0, count),
      );
      assert.ok((calls.get("Log") ?? 0) >= 3, `${calls.get("Log") ?? 0} parts`);
    }
  });

  it("goes on where a list of chunks stood, at the last one", async (t) => {
    const { engine, link, calls, client } = await openPlace(t);
    const content = patternBytes(30_000, 2);
    const document = await engine.documents.begin({
      source: "s",
      chunking: { method: "fixed", sizeBytes: 3, overlapBytes: 1 },
    });
    await document.append(0, content);
    const { manifest } = await document.finish({ sizeBytes: content.length, hash: hashBlob(content) });
    await document.close();
    const db = await client();
    for (const [options, first, end] of [
      [{}, 0, 15_000],
      [{ first: 77 }, 77, 15_000],
      [{ first: 500, limit: 14_000 }, 500, 14_500],
    ] as const) {
      calls.clear();
      cutEvery(link, 350_000);
      const chunks = await all(db.chunks(manifest.hash, options));
      assert.deepEqual(
        chunks.map(({ index }) => index),
        Array.from({ length: end - first }, (_, index) => first + index),
      );
      assert.ok((calls.get("ListChunks") ?? 0) >= 2, `${calls.get("ListChunks") ?? 0} parts`);
    }
  });

  it("is given up where it gets nowhere", async (t) => {
    const { engine, link, calls, client } = await openPlace(t);
    const { hash } = await engine.blobs.put(patternBytes(200_000, 3));
    const blob = (await client()).blob(hash);
    link.losesAnswer = () => true;
    await assert.rejects(all(blob.stream()), Unavailable);
    link.losesAnswer = () => false;
    assert.equal((await blob.bytes()).length, 200_000);
    const once = (await client({ maxAttempts: 1 })).blob(hash);
    calls.clear();
    cutEvery(link, 150_000);
    await assert.rejects(all(once.stream()), Unavailable);
    assert.equal(calls.get("Download"), 1);
  });

  it("goes on behind the longest key and the last of a range", async (t) => {
    const { engine, link, client } = await openPlace(t);
    const keys = Array.from({ length: 400 }, (_, index) => `${String(index).padStart(4, "0")}${"x".repeat(1_020)}`);
    await engine.states.apply("main", { operations: keys.map((key) => put(key, "1")) });
    const { staged } = await (await client()).snapshot("main");
    let passedBytes = 0;
    link.losesAnswer = (bytes) => {
      passedBytes += bytes.length;
      const isDue = passedBytes > 150_000;
      if (isDue) passedBytes = 0;
      return isDue;
    };
    assert.deepEqual(
      (await all(staged.scan())).map((entry) => entry.keyText()),
      keys,
    );
  });

  it("fails where what was handed out cannot be joined to the rest", async (t) => {
    const { engine, link, client } = await openPlace(t);
    const keys = Array.from({ length: 3_000 }, (_, index) => `key/${String(index).padStart(200, "0")}`);
    await engine.states.apply("main", { operations: keys.map((key) => put(key, "1")) });
    const db = await client();
    const { staged } = await db.snapshot("main");
    let passedBytes = 0;
    link.losesAnswer = (bytes) => (passedBytes += bytes.length) > 200_000;
    await assert.rejects(all(staged.getMany(keys)), Unavailable);
  });
});

describe("a receipt of before", () => {
  it("is refused where nobody has asked with that key before", async (t) => {
    const { engine, client } = await openPlace(t);
    const db = await client();
    await engine.states.apply("main", { operations: [put("k", "0")] });
    await db.checkpoint();
    // A server that takes the client's fresh key for one that it knows.
    t.mock.method(engine.states, "apply", async () => {
      const { root } = await engine
        .view()
        .then((view) => view.resolve({ staged: "main" }))
        .then(({ state }) => state);
      const receipt = { logIndex: 0, checkpoint: await engine.log.checkpoint() };
      return { root, beforeRoot: root, transition: undefined, isRepeated: true, receipt, logged: () => assert.fail() };
    });
    await assert.rejects(db.state("main").put("k", "1", { unverified: true }), VerificationFailed);
    // With a key of the caller's own it may be right: the caller may have used it before.
    await db.state("main").put("k", "1", { unverified: true, idempotencyKey: "used" });
  });
});
