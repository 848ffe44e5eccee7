// Goal: content that the server holds is not sent, what the caller chose is done about it, and nothing is believed that
// was not declared. Method: each transport with its messages counted; files that change between their two readings; and
// servers that say "held" where they must not.
import assert from "node:assert/strict";
import { mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { hashBlob } from "#src/core/blob/index.js";
import { InvalidArgument, NeleusError, VerificationFailed } from "#src/core/errors.js";
import { Connection } from "#src/client/connection.js";
import { fileContent } from "#src/client/file-content.js";
import { putBlob } from "#src/client/put-blob.js";
import type { Transport } from "#src/client/transport.js";
import { patternBytes } from "../database/support/bytes.js";
import { onEachTransport } from "./support/fixture.js";

const SIZE_BYTES = 3_000_000;

/** The calls of a transport by name, and the messages that its streams have taken. */
interface Traffic {
  readonly calls: string[];
  messages: number;
}

function counted(inner: Transport, traffic: Traffic): Transport {
  const note = (method: { name: string }): void => void traffic.calls.push(method.name);
  return {
    address: inner.address,
    unary: (method, request, options) => (note(method), inner.unary(method, request, options)),
    serverStream: (method, request, options) => (note(method), inner.serverStream(method, request, options)),
    clientStream: (method, requests, options) => {
      note(method);
      const passed = async function* (): AsyncGenerator<never> {
        for await (const request of requests) {
          traffic.messages += 1;
          yield request as never;
        }
      };
      return inner.clientStream(method, passed(), options);
    },
    close: () => inner.close(),
  };
}

onEachTransport("what is held is not sent", async ({ client, engine }) => {
  const traffic: Traffic = { calls: [], messages: 0 };
  const db = await client({}, (inner) => counted(inner, traffic));
  const callsOf = async (action: () => Promise<unknown>): Promise<string[]> => {
    traffic.calls.length = 0;
    await action();
    return traffic.calls;
  };
  const bytes = patternBytes(SIZE_BYTES, 3);
  const hash = hashBlob(bytes);
  const first = await db.putBlob(bytes);
  assert.deepEqual(first, { hash, sizeBytes: SIZE_BYTES, wasHeld: false });
  const again = { ...first, wasHeld: true };
  traffic.messages = 0;
  const folder = await mkdtemp(join(tmpdir(), "neleus-put-"));
  const path = join(folder, "content");
  await writeFile(path, bytes);
  const handle = await open(path, "r");
  try {
    for (const content of [bytes, new Blob([bytes]), await fileContent(path), await fileContent(handle)]) {
      assert.deepEqual(await callsOf(async () => assert.deepEqual(await db.putBlob(content), again)), ["QueryUpload"]);
    }
    // The open file is still open, and read from its start each time.
    assert.deepEqual(await db.putBlob(await fileContent(handle)), again);
  } finally {
    await handle.close();
    await rm(folder, { recursive: true });
  }
  assert.equal(traffic.messages, 0);
  assert.deepEqual(await callsOf(() => db.putBlob(bytes, { uploadId: "id" })), ["QueryUpload"]);
  assert.deepEqual(await callsOf(() => db.putBlob(bytes, { whenHeld: "send" })), ["Upload"]);
  const sample = async (): Promise<void> => assert.deepEqual(await db.putBlob(bytes, { whenHeld: "sample" }), again);
  assert.deepEqual(await callsOf(sample), ["QueryUpload", "Download"]);
  // A stream of unknown content, and what is small, are sent without a question.
  assert.deepEqual(await callsOf(() => db.putBlob([bytes])), ["Upload"]);
  assert.deepEqual(await callsOf(() => db.putBlob(bytes.subarray(0, 1_000_000))), ["Upload"]);
  const text = "é".repeat(1_100_000);
  assert.deepEqual(await callsOf(() => db.putBlob(text)), ["QueryUpload", "Upload"]);
  assert.equal((await db.putBlob(text)).wasHeld, true);
  assert.deepEqual(await db.blob(hash).bytes(), bytes);
  assert.equal((await engine.blobs.stat(hash)).sizeBytes, SIZE_BYTES);
  await db.close();
});

onEachTransport("stored by somebody else between the question and the header", async ({ client, engine }) => {
  const bytes = patternBytes(SIZE_BYTES, 4);
  const traffic: Traffic = { calls: [], messages: 0 };
  const db = await client({}, (inner) => {
    const outer = counted(inner, traffic);
    const unary = async (...args: Parameters<Transport["unary"]>): Promise<never> => {
      const answer = await outer.unary(...args);
      if (args[0].name === "QueryUpload") await engine.blobs.put(bytes);
      return answer as never;
    };
    return { ...outer, unary: unary };
  });
  assert.deepEqual(await db.putBlob(bytes), { hash: hashBlob(bytes), sizeBytes: SIZE_BYTES, wasHeld: true });
  assert.deepEqual(traffic.calls.slice(-2), ["QueryUpload", "Upload"]);
  // The connection is whole: the stream that was broken off took nothing else with it.
  assert.equal((await db.blob(hashBlob(bytes)).stat()).sizeBytes, SIZE_BYTES);
  await db.close();
});

onEachTransport("content that is not the same when it is read again", async ({ client }) => {
  const db = await client();
  const before = patternBytes(SIZE_BYTES, 5);
  const readings = (...contents: Uint8Array[]): { size: number; stream: () => AsyncIterable<Uint8Array> } => {
    const left = [...contents];
    return {
      size: SIZE_BYTES,
      stream: async function* () {
        yield left.shift() ?? new Uint8Array(0);
      },
    };
  };
  const isOfContent = (error: unknown): boolean => error instanceof InvalidArgument && error.field === "content";
  for (const second of [
    patternBytes(SIZE_BYTES, 6),
    before.subarray(1),
    patternBytes(SIZE_BYTES + 1, 5),
    new Uint8Array(0),
  ]) {
    await assert.rejects(db.putBlob(readings(before, second)), isOfContent);
  }
  assert.deepEqual(await db.missingBlobs([hashBlob(before)]), [hashBlob(before)]);
  const broken = new RangeError("the disk is gone");
  const failing = async function* (): AsyncGenerator<Uint8Array> {
    throw broken;
  };
  await assert.rejects(db.putBlob({ size: SIZE_BYTES, stream: failing }), (error) => error === broken);
  await assert.rejects(
    db.putBlob(before, { signal: AbortSignal.abort() }),
    (error) => error instanceof NeleusError && error.code === "CANCELLED",
  );
  await db.close();
});

onEachTransport("a sample that cannot be read back is sent again", async ({ client, engine }) => {
  const bytes = patternBytes(SIZE_BYTES, 7);
  const hash = hashBlob(bytes);
  let isGone = true;
  const db = await client({}, (inner) => ({
    address: inner.address,
    // The server says that it holds what it does not.
    unary: async (method, request, options) => {
      const answer = await inner.unary(method, request, options);
      return method.name === "QueryUpload" && isGone ? ({ ...answer, held: true } as never) : answer;
    },
    serverStream: (method, request, options) => inner.serverStream(method, request, options),
    clientStream: (method, requests, options) => inner.clientStream(method, requests, options),
    close: () => inner.close(),
  }));
  // Believed by default: whoever reads it finds out.
  assert.equal((await db.putBlob(bytes)).wasHeld, true);
  await assert.rejects(db.blob(hash).bytes());
  assert.equal((await db.putBlob(bytes, { whenHeld: "sample" })).wasHeld, false);
  isGone = false;
  assert.deepEqual(await db.blob(hash).bytes(), bytes);
  assert.equal((await engine.blobs.stat(hash)).sizeBytes, SIZE_BYTES);
  await db.close();
});

test("an answer before the end is believed only where the content was declared, and names it", async () => {
  const bytes = patternBytes(SIZE_BYTES, 8);
  const hash = hashBlob(bytes);
  const answering = (answer: object): Connection => {
    const transport = {
      address: "model",
      unary: async () => ({ offset: 0n, held: false }),
      clientStream: async () => answer,
    };
    return new Connection(transport as unknown as Transport, "default");
  };
  const right = { hash, size: BigInt(SIZE_BYTES), alreadyHeld: true };
  assert.deepEqual(await putBlob(answering(right), bytes), { hash, sizeBytes: SIZE_BYTES, wasHeld: true });
  await assert.rejects(putBlob(answering(right), bytes, { whenHeld: "send" }), VerificationFailed);
  await assert.rejects(putBlob(answering(right), [bytes]), VerificationFailed);
  await assert.rejects(putBlob(answering({ ...right, alreadyHeld: false }), bytes), VerificationFailed);
  await assert.rejects(putBlob(answering({ ...right, hash: hashBlob(bytes.subarray(1)) }), bytes), VerificationFailed);
  await assert.rejects(putBlob(answering({ ...right, size: 1n }), bytes), VerificationFailed);
});
