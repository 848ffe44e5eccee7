// Goal: a client that requires k of n witnesses is not content with fewer, with old ones, with those of another log, or with
// what a server puts in their place. Method: a server with cosignatures made here, its answers changed on the way.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  create as createMessage,
  type DescMessage,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { ProofService, type ProofServiceGetCheckpointResponse } from "#gen/neleus/v1/proof_pb.js";
import { CosignedCheckpointSchema } from "#gen/neleus/v1/proof_pb.js";
import type { Database } from "#src/client/contract.js";
import { openOver } from "#src/client/database.js";
import { inProcessTransport } from "#src/client/embedded/index.js";
import type { DatabaseOptions } from "#src/client/options.js";
import type { Transport } from "#src/client/transport.js";
import { IncompleteProof, InvalidArgument, LimitExceeded, VerificationFailed } from "#src/core/errors.js";
import { cosign, formatNote, formatWitnessKey, parseNote, witnessKey } from "#src/core/log/index.js";
import { signerFromSeed } from "#src/core/signature/index.js";
import type { Database as Engine } from "#src/database/index.js";
import { createServices } from "#src/service/index.js";
import { inMemory, put, testRandom } from "../database/support/database.js";
import { NATIVE } from "../client/support/fixture.js";

const NOW_MS = 1_763_800_000_000;

const witnesses = [1, 2, 3].map((number) => {
  const signer = signerFromSeed(new Uint8Array(32).fill(number));
  const name = `witness.example/w${number}`;
  return { name, signer, key: formatWitnessKey(witnessKey(name, signer.publicKey)) };
});
const KEYS = witnesses.map(({ key }) => key);
const RENAMED = formatWitnessKey(
  witnessKey("witness.example/again", signerFromSeed(new Uint8Array(32).fill(1)).publicKey),
);

type Lie = (answer: ProofServiceGetCheckpointResponse) => void;

interface Place {
  readonly engine: Engine;
  /** Changes the answer about the checkpoint, where cosignatures are asked for. */
  lie: Lie | undefined;
  /** How often it was asked for cosignatures. */
  asked: number;
  connect(options: DatabaseOptions): Promise<Database>;
}

async function place(seed = 7): Promise<Place> {
  const { db: engine } = await inMemory({ randomBytes: testRandom(seed) });
  const services = createServices({ database: async () => engine, version: "0.0.0" });
  const direct = inProcessTransport({ address: "server", services });
  const made: Place = {
    engine,
    lie: undefined,
    asked: 0,
    connect: (options) => openOver(transport, { clock: () => NOW_MS, ...options }, NATIVE),
  };
  const transport: Transport = {
    address: "server",
    serverStream: (method, request, options) => direct.serverStream(method, request, options),
    clientStream: (method, requests, options) => direct.clientStream(method, requests, options),
    close: () => direct.close(),
    async unary<I extends DescMessage, O extends DescMessage>(
      method: DescMethodUnary<I, O>,
      request: MessageInitShape<I>,
    ): Promise<MessageShape<O>> {
      const answer = await direct.unary(method, request);
      const isAsked = (request as { withCosignatures?: boolean }).withCosignatures === true;
      if (method.name === ProofService.method.getCheckpoint.name && isAsked) {
        made.asked += 1;
        made.lie?.(answer as unknown as ProofServiceGetCheckpointResponse);
      }
      return answer;
    },
  };
  return made;
}

/** The newest checkpoint as these witnesses cosign it. */
async function cosignedBy(engine: Engine, numbers: readonly number[], ageMs = 0): Promise<string> {
  let note = parseNote(await engine.log.checkpoint());
  for (const number of numbers) {
    const { name, signer } = witnesses[number - 1] ?? assert.fail();
    note = cosign(note, { name, signer, seconds: Math.floor((NOW_MS - ageMs) / 1000) });
  }
  return formatNote(note);
}

const submit = async (engine: Engine, numbers: readonly number[], ageMs = 0): Promise<void> => {
  await engine.log.cosign(
    await cosignedBy(engine, numbers, ageMs),
    numbers.map((number) => KEYS[number - 1] ?? ""),
  );
};

const grow = (engine: Engine, key: string): Promise<unknown> =>
  engine.states.apply("main", { operations: [put(key, key)] });

describe("witnesses that are required", () => {
  test("k of n are enough, also of different sizes, and are asked for once", async () => {
    const { engine, ...at } = await place();
    await submit(engine, [1]);
    await grow(engine, "a");
    await submit(engine, [3]);
    await grow(engine, "b");
    const db = await at.connect({ witnesses: { keys: KEYS, required: 2, maxAgeMs: 60_000 } });
    assert.equal((await db.snapshot("main")).head, "main");
    const found = (await db.witnessed({ keys: KEYS, required: 2 })).witnesses;
    assert.deepEqual(
      found.map(({ witness, size, timeMs }) => [KEYS.indexOf(witness) + 1, size, timeMs]),
      [
        [3, 2, NOW_MS],
        [1, 1, NOW_MS],
      ],
    );
  });

  test("fewer are not, nor old ones, nor those to come", async () => {
    const at = await place();
    const policy = { keys: KEYS, required: 2, maxAgeMs: 60_000 };
    const db = await at.connect({ witnesses: policy });
    await assert.rejects(db.snapshot("main"), IncompleteProof);
    await submit(at.engine, [1]);
    await assert.rejects(db.snapshot("main"), IncompleteProof);
    await submit(at.engine, [2], 120_000);
    await assert.rejects(db.checkpoint(), IncompleteProof);
    await submit(at.engine, [3], -3_600_000);
    await assert.rejects(db.checkpoint(), IncompleteProof);
    await submit(at.engine, [2], 30_000);
    assert.equal((await db.snapshot("main")).head, "main");
    const asked = at.asked;
    await db.snapshot("main");
    assert.equal(at.asked, asked, "what is recent is not asked for again");
  });

  test("are asked again once they are too old", async () => {
    const at = await place();
    let nowMs = NOW_MS;
    await submit(at.engine, [1]);
    const db = await at.connect({ witnesses: { keys: KEYS, required: 1, maxAgeMs: 60_000 }, clock: () => nowMs });
    await db.checkpoint();
    nowMs += 61_000;
    await assert.rejects(db.checkpoint(), IncompleteProof);
    await submit(at.engine, [2], -60_000);
    await db.checkpoint();
  });

  for (const [name, lie, error] of [
    ["another log's", async () => submitElsewhere(), VerificationFailed],
    ["left out", async () => (answer) => void answer.cosigned.splice(0), IncompleteProof],
    ["without their proof", async () => (answer) => void answer.cosigned[0]?.consistency.splice(0), VerificationFailed],
    ["of too many", async () => (answer) => repeatFirst(answer), VerificationFailed],
    ["with a line changed", async () => (answer) => changeLine(answer), VerificationFailed],
    ["unsigned by the log", async () => (answer) => dropLogSignature(answer), VerificationFailed],
  ] as [string, () => Promise<Lie>, typeof VerificationFailed | typeof IncompleteProof][]) {
    test(`cosignatures ${name} are refused`, async () => {
      const at = await place();
      await submit(at.engine, [1]);
      await grow(at.engine, "a");
      const db = await at.connect({});
      await db.witnessed({ keys: [KEYS[0] ?? ""] });
      at.lie = await lie();
      await assert.rejects(db.witnessed({ keys: [KEYS[0] ?? ""] }), error);
    });
  }

  test("a policy that cannot be met is told at once", async () => {
    for (const policy of [
      { keys: [] },
      { keys: ["no key"] },
      { keys: KEYS, required: 4 },
      { keys: KEYS, required: 0 },
      { keys: [KEYS[0] ?? "", KEYS[0] ?? ""] },
      { keys: KEYS, maxAgeMs: 0 },
      // A cosignature does not name its witness: with another name over it one would count for two.
      { keys: [KEYS[0] ?? "", RENAMED] },
    ]) {
      await assert.rejects((await place()).connect({ witnesses: policy }), InvalidArgument);
    }
  });
});

describe("cosignatures that are handed in", () => {
  test("must be valid, and under a checkpoint of this log", async () => {
    const { engine } = await place();
    const { engine: other } = await place(8);
    const note = await cosignedBy(engine, [1]);
    await refused(engine, note, []);
    await refused(engine, note, ["no key"]);
    await refused(engine, note, [KEYS[1] ?? ""]);
    await refused(engine, note.replace("\n1\n", "\n2\n"), [KEYS[0] ?? ""]);
    await refused(engine, await cosignedBy(other, [1]), [KEYS[0] ?? ""]);
    await refused(engine, "no note", [KEYS[0] ?? ""]);
    const { text, signatures } = parseNote(note);
    await refused(engine, formatNote({ text, signatures: signatures.slice(1) }), [KEYS[0] ?? ""]);
    assert.deepEqual(await (await engine.view()).cosigned(), []);
  });

  test("must not be in the name of the log: an id of four bytes can be made to be its own", async () => {
    const { engine } = await place();
    const { origin } = engine.log;
    const { signer } = witnesses[0] ?? assert.fail();
    const note = cosign(parseNote(await engine.log.checkpoint()), { name: origin, signer, seconds: 5 });
    const key = formatWitnessKey(witnessKey(origin, signer.publicKey));
    await assert.rejects(engine.log.cosign(formatNote(note), [key]), InvalidArgument);
  });

  test("the largest log of a witness stays, and sixteen witnesses", async () => {
    const { engine } = await place();
    const early = await cosignedBy(engine, [1]);
    await grow(engine, "a");
    await submit(engine, [1]);
    await engine.log.cosign(early, [KEYS[0] ?? ""]);
    const [only, ...more] = await (await engine.view()).cosigned();
    assert.equal(more.length, 0);
    assert.equal(parseNote(only?.note ?? "").text.split("\n")[1], "2");
    let note = parseNote(await engine.log.checkpoint());
    const keys: string[] = [];
    for (let number = 10; number < 27; number += 1) {
      const signer = signerFromSeed(new Uint8Array(32).fill(number));
      note = cosign(note, { name: `w${number}`, signer, seconds: 5 });
      keys.push(formatWitnessKey(witnessKey(`w${number}`, signer.publicKey)));
    }
    await engine.log.cosign(formatNote(note), keys.slice(0, 15));
    await assert.rejects(engine.log.cosign(formatNote(note), keys.slice(15)), LimitExceeded);
    const [all] = await (await engine.view()).cosigned();
    assert.equal(parseNote(all?.note ?? "").signatures.length, 17);
    // Under a later checkpoint there is room: nobody keeps others out for good.
    await grow(engine, "b");
    await submit(engine, [2]);
    const sizes = (await (await engine.view()).cosigned()).map(
      ({ note: kept }) => parseNote(kept).signatures.length - 1,
    );
    assert.deepEqual(sizes, [1, 15]);
    await refused(engine, await cosignedBy(engine, [2]), [KEYS[1] ?? "", KEYS[1] ?? ""]);
  });
});

const refused = (engine: Engine, note: string, keys: readonly string[]): Promise<void> =>
  assert.rejects(engine.log.cosign(note, keys), InvalidArgument);

async function submitElsewhere(): Promise<Lie> {
  const { engine } = await place(8);
  await submit(engine, [1]);
  const [theirs] = await (await engine.view()).cosigned();
  assert.ok(theirs);
  const claim = createMessage(CosignedCheckpointSchema, { note: theirs.note, consistency: [...theirs.consistency] });
  return (answer) => void answer.cosigned.splice(0, 1, claim);
}

function repeatFirst(answer: ProofServiceGetCheckpointResponse): void {
  const { cosigned } = answer;
  const [first] = cosigned;
  assert.ok(first);
  while (cosigned.length <= 16) cosigned.push(first);
}

function changeLine(answer: ProofServiceGetCheckpointResponse): void {
  const [first] = answer.cosigned;
  assert.ok(first);
  const { text, signatures } = parseNote(first.note);
  const [log, line] = signatures;
  assert.ok(log && line);
  const value = new Uint8Array(line.value);
  value[20] = (value[20] ?? 0) ^ 1;
  first.note = formatNote({ text, signatures: [log, { ...line, value }] });
}

function dropLogSignature(answer: ProofServiceGetCheckpointResponse): void {
  const [first] = answer.cosigned;
  assert.ok(first);
  const { text, signatures } = parseNote(first.note);
  first.note = formatNote({ text, signatures: signatures.slice(1) });
}
