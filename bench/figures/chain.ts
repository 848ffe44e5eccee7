// What trust costs: the chain from a signed checkpoint down to a head, once a snapshot; a read after it; and the leaf of the log
// and its signature in a durable set.
import { randomBytes } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import { ProofService, ProofServiceGetSnapshotResponseSchema } from "#gen/neleus/v1/proof_pb.js";
import { StateService, StateServiceGetResponseSchema } from "#gen/neleus/v1/state_pb.js";
import { openOver } from "#src/client/database.js";
import { inProcessTransport } from "#src/client/embedded/index.js";
import { nativeSignatureCheck } from "#src/client/native-signature.js";
import type { Transport } from "#src/client/transport.js";
import { CheckpointSigner } from "#src/database/checkpoint-signer.js";
import { Database } from "#src/database/index.js";
import { signingKeyFromSeed } from "#src/database/signing-key.js";
import { createServices } from "#src/service/index.js";
import { createDirectory, MemoryStore } from "#src/store/index.js";
import type { Row, Store, WriteBatch } from "#src/store/index.js";
import { freshPlace, numberedKey, valueOf } from "../databases.js";
import { inTurns, median, shown, type Bench, type BenchContext, type Figure } from "../harness.js";

const HEADS = 10;
const KEYS = 10_000;

export const chain: Bench = {
  name: "chain",
  about: "the chain above a head's state, a read after it, and the log's part of a durable set",
  figures: ["chain", "read-after-chain", "log-in-set"],
  // Of flushes, which a busy disk decides.
  isInShortForm: false,
  async run(context) {
    return [...(await reading(context)), await logInSet(context)];
  },
};

async function reading(context: BenchContext): Promise<Figure[]> {
  const leaves = context.isShort ? 200 : 10_000;
  const engine = await Database.create(new MemoryStore());
  for (let head = 1; head < HEADS; head += 1) await engine.heads.create(`head-${head}`);
  const load = await engine.states.load("main");
  const numbers = Array.from({ length: KEYS }, (_, index) => index);
  await load.add({ keys: numbers.map(numberedKey), values: numbers.map((number) => valueOf(number)) });
  await load.finish();
  await load.close();
  await engine.commits.create({ head: "main", author: "bench", message: "" });
  context.progress(`${leaves} leaves of the log`);
  while ((await engine.view()).logSize < leaves) {
    await engine.states.apply("head-1", { operations: [{ key: numberedKey(1), change: { put: randomBytes(8) } }] });
  }
  const direct = inProcessTransport({
    address: "bench",
    services: createServices({ database: async () => engine, version: "0.0.0" }),
  });
  const answers = { chainBytes: 0, readBytes: 0 };
  const transport: Transport = {
    address: "bench",
    serverStream: (method, request, options) => direct.serverStream(method, request, options),
    clientStream: (method, requests, options) => direct.clientStream(method, requests, options),
    close: () => direct.close(),
    async unary(method, request, options) {
      const answer = await direct.unary(method, request, options);
      if (method.name === ProofService.method.getSnapshot.name) {
        const message = create(ProofServiceGetSnapshotResponseSchema, answer as never);
        answers.chainBytes = toBinary(ProofServiceGetSnapshotResponseSchema, message).length;
      } else if (method.name === StateService.method.get.name) {
        const message = create(StateServiceGetResponseSchema, answer as never);
        answers.readBytes = toBinary(StateServiceGetResponseSchema, message).length;
      }
      return answer;
    },
  };
  const platform = { makeSignatureCheck: nativeSignatureCheck };
  const db = await openOver(transport, { onTrustOnFirstUse: () => undefined }, platform);
  const chainMs: number[] = [];
  const readMs: number[] = [];
  const runs = context.isShort ? 50 : 500;
  for (let run = 0; run < runs; run += 1) {
    let startedMs = performance.now();
    const snapshot = await db.snapshot("main");
    chainMs.push(performance.now() - startedMs);
    startedMs = performance.now();
    await snapshot.get(numberedKey((run * 7919) % KEYS));
    readMs.push(performance.now() - startedMs);
  }
  await db.close();
  await engine.close();
  const { chainBytes, readBytes } = answers;
  return [
    {
      name: "chain",
      what: `snapshot of a head: chain of ${HEADS} heads, ${leaves.toLocaleString("en")} leaves, both sides`,
      measured: `${shown(median(chainMs) * 1000, "µs")}, ${chainBytes} bytes`,
      result: chainBytes,
      goal: { atMost: 4_096, unit: "bytes" },
      details: { chainMicroseconds: median(chainMs) * 1000, chainBytes },
    },
    {
      name: "read-after-chain",
      what: `verified get at it, ${KEYS.toLocaleString("en")} keys: value and witness, both sides`,
      measured: `${shown(median(readMs) * 1000, "µs")}, ${readBytes} bytes`,
      baseline: `${shown(median(chainMs) * 1000, "µs")}: the snapshot`,
      result: median(readMs) / median(chainMs),
      goal: { atMost: 1, unit: "×" },
      details: { readMicroseconds: median(readMs) * 1000, readBytes },
    },
  ];
}

/** Durable batches of sets as the engine wrote them, and the same without what the log adds: leaf, hashes and tail. */
async function logInSet(context: BenchContext): Promise<Figure> {
  const sets = context.isShort ? 100 : 500;
  const batches: WriteBatch[] = [];
  const memory = new MemoryStore();
  const watched: Store = new Proxy(memory, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (name === "write") {
        return (batch: WriteBatch) => {
          batches.push({ puts: (batch.puts ?? []).map(copied) });
          return target.write(batch);
        };
      }
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
  const engine = await Database.create(watched);
  const set = (number: number): Promise<unknown> =>
    engine.states.apply("main", { operations: [{ key: numberedKey(number), change: { put: valueOf(number) } }] });
  for (let number = 0; number < 1_000; number += 1) await set((number * 7919) % 100_003);
  batches.length = 0;
  const signMs = timeToSign(engine);
  for (let number = 1_000; number < 1_000 + sets; number += 1) await set((number * 7919) % 100_003);
  await engine.close();
  const whole = batches.filter(({ puts = [] }) => puts.some(({ space }) => space === "log"));
  const bare = whole.map(({ puts = [] }) => ({
    puts: puts.filter(({ space }) => space === "nodes" || space === "blobs"),
  }));
  const written = async (list: readonly WriteBatch[]): Promise<number> => {
    const { store } = await createDirectory(freshPlace(context, "log-in-set"), {});
    const startedMs = performance.now();
    for (const batch of list) await store.write(batch);
    const ms = (performance.now() - startedMs) / list.length;
    await store.close();
    return ms;
  };
  const { ours, baseline } = await inTurns(
    Math.max(context.rounds, 3),
    () => written(whole),
    () => written(bare),
  );
  const setMs = await durableSet(context, sets);
  // Signing goes on while the batch is flushed: what it takes is counted here as if it did not.
  const share = (ours - baseline + signMs) / setMs;
  return {
    name: "log-in-set",
    what: "what leaf, tail and signature take of a durable set in the engine",
    measured: `${shown(ours - baseline, "ms")} more to write, ${shown(signMs, "ms")} to sign`,
    baseline: `${shown(setMs, "ms")}: a set`,
    result: share * 100,
    goal: { atMost: 20, unit: "%" },
  };
}

/** Milliseconds of a set by one writer. */
async function durableSet(context: BenchContext, sets: number): Promise<number> {
  const engine = await Database.create(freshPlace(context, "sets"));
  const set = (number: number): Promise<unknown> =>
    engine.states.apply("main", {
      operations: [{ key: numberedKey((number * 7919) % 100_003), change: { put: valueOf(number) } }],
    });
  for (let number = 0; number < 1_000; number += 1) await set(number);
  const startedMs = performance.now();
  for (let number = 1_000; number < 1_000 + sets; number += 1) await set(number);
  const ms = (performance.now() - startedMs) / sets;
  await engine.close();
  return ms;
}

function copied({ space, key, value }: Row): Row {
  return { space, key: new Uint8Array(key), value: new Uint8Array(value) };
}

/** Signing a checkpoint, which the engine does while the batch is flushed, measured by itself. */
function timeToSign(engine: Database): number {
  const signer = new CheckpointSigner({ origin: engine.log.origin, signingKey: signingKeyFromSeed(randomBytes(32)) });
  const times: number[] = [];
  for (let size = 1; size <= 200; size += 1) {
    const root = randomBytes(32) as never;
    const startedMs = performance.now();
    signer.checkpoint({ size, root });
    times.push(performance.now() - startedMs);
  }
  return median(times);
}
