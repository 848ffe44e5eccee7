// Goal: within 5 seconds after a peer cancelled, stalled or died, the server's open files, uploads on disk and connections are
// as before, nothing was committed, and a resumed upload goes on from the stored offset.
// Method: a real server process, looked at through /proc; clients in this process and one that is killed.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import test from "node:test";
import { connect } from "#src/client/remote.js";
import type { Database } from "#src/client/contract.js";
import { hashBlob } from "#src/core/blob/index.js";
import { NeleusError, NotFound } from "#src/core/errors.js";
import { finished, startServerProcess, type ServerProcess } from "./server-process.js";

const MiB = 1024 * 1024;
const quiet = { onTrustOnFirstUse: () => undefined };

interface Traces {
  readonly files: string[];
  readonly wal: string[];
  readonly sockets: number;
}

const tracesOf = (server: ServerProcess): Traces => ({
  files: server.openFiles().sort(),
  wal: server.walEntries(),
  sockets: server.openSockets(),
});

async function settlesTo(server: ServerProcess, before: Traces): Promise<void> {
  const deadline = performance.now() + 5_000;
  for (;;) {
    try {
      assert.deepEqual(tracesOf(server), before);
      return;
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await sleep(50);
    }
  }
}

/** Gives half of the content and then waits for ever. */
async function* halfThenStall(content: Uint8Array, reached: () => void): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < content.length / 2; offset += 65_536) yield content.subarray(offset, offset + 65_536);
  reached();
  await new Promise(() => undefined);
}

async function cancelledHalfway(db: Database, content: Uint8Array, uploadId?: string): Promise<void> {
  const abort = new AbortController();
  const half = new Promise<void>((resolve) => {
    const upload = db.putBlob(halfThenStall(content, resolve), { signal: abort.signal, uploadId });
    upload.catch(() => undefined);
  });
  await half;
  // Time for the last parts to arrive, so that there is something to leave behind.
  await sleep(200);
  abort.abort();
}

test("peers that cancel, stall or die leave nothing behind", async (context) => {
  const server = await startServerProcess(context);
  const warm = await connect(server.address, quiet);
  const content = new Uint8Array(randomBytes(16 * MiB));
  const { hash } = await warm.putBlob(content);
  await warm.state("main").put("k", "v");
  await warm.close();
  await sleep(500);
  const before = tracesOf(server);

  await context.test("an upload cancelled halfway commits nothing", async () => {
    const db = await connect(server.address, quiet);
    const other = new Uint8Array(randomBytes(8 * MiB));
    await cancelledHalfway(db, other);
    await assert.rejects(db.blob(hashBlob(other)).stat(), NotFound);
    await db.close();
    await settlesTo(server, before);
  });

  await context.test("a download that nobody reads on, then cancelled", async () => {
    const db = await connect(server.address, quiet);
    for await (const piece of db.blob(hash).stream()) {
      assert.ok(piece.length > 0);
      await sleep(300);
      break;
    }
    await db.close();
    await settlesTo(server, before);
  });

  await context.test("clients killed in the middle of an upload and of a download", async () => {
    const script = `
      import { connect } from ${JSON.stringify(new URL("../../../dist/src/client/remote.js", import.meta.url).href)};
      const db = await connect(${JSON.stringify(server.address)}, { onTrustOnFirstUse: () => undefined });
      async function* endless() { for (;;) yield new Uint8Array(65536); }
      db.putBlob(endless()).catch(() => undefined);
      for await (const piece of db.blob(${JSON.stringify(Buffer.from(hash).toString("hex"))}).stream()) {
        console.log(piece.length);
        await new Promise((resolve) => setTimeout(resolve, 100000));
      }`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await new Promise((resolve) => child.stdout.once("data", resolve));
    await sleep(300);
    assert.ok(server.walEntries().length > before.wal.length, "the upload had begun");
    const end = finished(child);
    child.kill("SIGKILL");
    await end;
    await settlesTo(server, before);
  });

  await context.test("a named upload is kept, resumed from the stored offset, and then gone", async () => {
    const db = await connect(server.address, quiet);
    const other = new Uint8Array(randomBytes(8 * MiB));
    await cancelledHalfway(db, other, "resume-me");
    await sleep(500);
    const sent: number[] = [];
    const stored = await db.putBlob(other, { uploadId: "resume-me", onProgress: (bytes) => sent.push(bytes) });
    assert.deepEqual(stored.hash, hashBlob(other));
    assert.ok((sent[0] ?? 0) > 2 * MiB, `the first progress is ${String(sent[0])}: it did not resume`);
    await db.close();
    await settlesTo(server, before);
  });

  await context.test("a server that is stopped under a client", async () => {
    const db = await connect(server.address, quiet);
    await server.stop();
    await assert.rejects(
      db.state("main").get("k"),
      (error) => error instanceof NeleusError && error.code === "UNAVAILABLE",
    );
    await db.close();
  });
});
