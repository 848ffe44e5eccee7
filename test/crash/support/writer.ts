// A process that writes until it is killed, several writes at a time.
//
//   node writer.js DIRECTORY NAME
//
// A line of JSON for each write that was acknowledged (report.ts). Keys begin with the name and come once; `counter` is shared
// by all processes, and counted up on condition of what it was.
import { writeSync } from "node:fs";
import { hashBlob } from "#src/core/blob/index.js";
import { toHex, utf8 } from "#src/core/bytes.js";
import { Conflict } from "#src/core/errors.js";
import { get, readSync } from "#src/core/map/index.js";
import { stateCell } from "#src/core/object/index.js";
import { Database } from "#src/database/index.js";
import type { StateOperation } from "#src/database/index.js";
import { patternBytes } from "../../database/support/bytes.js";
import { put } from "../../database/support/database.js";
import { COUNTER, type Acknowledged } from "./report.js";

const [directory = "", name = ""] = process.argv.slice(2);
const db = await Database.open(directory, { freeing: { afterMs: 0, afterLeaves: 2, nodesPerBatch: 4 } });

function say(did: Acknowledged): void {
  writeSync(1, `${JSON.stringify({ did })}\n`);
}

async function writeStates(lane: number): Promise<void> {
  for (let number = 0; ; number += 1) {
    const keys = Array.from({ length: number % 4 === 3 ? 5 : 1 }, (_, index) => `${name}/${lane}/${number}/${index}`);
    const isLarge = number % 6 === 5;
    const valueOf = (key: string): Uint8Array => (isLarge ? patternBytes(70_000, number + lane) : utf8(`of ${key}`));
    const { receipt } = await db.states.apply("main", { operations: keys.map((key) => put(key, valueOf(key))) });
    say({ kind: "set", keys: keys.map((key) => [key, toHex(hashBlob(valueOf(key)))]), ...receipt });
  }
}

async function writeCommits(): Promise<void> {
  for (let number = 0; ; number += 1) {
    const { commit, receipt } = await db.commits.create({ head: "main", author: name, message: `${number}` });
    say({ kind: "commit", hash: toHex(commit.hash), ...receipt });
  }
}

async function writeUploads(): Promise<void> {
  for (let number = 0; ; number += 1) {
    const content = patternBytes(200_000, number + 77);
    const uploadId = `${name}-${number}`;
    const upload = await db.uploads.begin({ uploadId });
    for (let at = upload.sizeBytes; at < content.length; at += 50_000)
      await upload.append(at, content.subarray(at, at + 50_000));
    const { hash, sizeBytes } = await upload.finish({ sizeBytes: content.length, hash: hashBlob(content) });
    await upload.close();
    say({ kind: "blob", hash: toHex(hash), sizeBytes });
    const key = `${name}/upload/${number}`;
    const operations = [{ key: utf8(key), change: { putBlob: { hash, sizeBytes } } }];
    const { receipt } = await db.states.apply("main", { operations });
    say({ kind: "set", keys: [[key, toHex(hash)]], ...receipt });
  }
}

async function count(): Promise<void> {
  for (;;) {
    const { state } = await (await db.view()).resolve({ staged: "main" });
    const cell = readSync(get(state, utf8(COUNTER)), db.nodes);
    const hash = cell === undefined ? undefined : stateCell.decode(cell).hash;
    const found = hash === undefined ? undefined : await db.blobs.find(hash, { atMostBytes: 100 });
    const next = Number(Buffer.from(found?.bytes ?? utf8("0")).toString()) + 1;
    const operation: StateOperation = {
      ...put(COUNTER, String(next)),
      condition: hash === undefined ? "absent" : { expectedHash: hash },
    };
    try {
      const { receipt } = await db.states.apply("main", { operations: [operation] });
      say({ kind: "counted", to: next, ...receipt });
    } catch (error) {
      if (!(error instanceof Conflict)) throw error;
    }
  }
}

await Promise.all([writeStates(0), writeStates(1), writeCommits(), writeUploads(), count()]);
