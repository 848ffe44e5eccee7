// A process that writes until it is killed, and prints a line for each write once that has been acknowledged.
//
//   node kill-writer.js DIRECTORY NAME
import { writeSync } from "node:fs";
import { hashBlob } from "#src/core/blob/index.js";
import { Database } from "#src/database/index.js";
import { patternBytes } from "./bytes.js";
import { put } from "./database.js";

const [directory = "", name = ""] = process.argv.slice(2);
// Nodes go as soon as they may, so that what frees them is killed too.
const freeing = { afterMs: 0, afterLeaves: 2, nodesPerBatch: 4 };
const db = await Database.open(directory, { freeing });
writeSync(1, "ready\n");

async function writeStates(lane: number): Promise<void> {
  for (let number = 0; ; number += 1) {
    const key = `${name}/${lane}/${number}`;
    // Now and then a value that lies in a file.
    const value = number % 10 === 9 ? patternBytes(70_000 + number, number) : `value of ${key}`;
    const { receipt } = await db.states.apply("main", { operations: [put(key, value)] });
    writeSync(1, `state ${key} ${receipt.logIndex}\n`);
  }
}

async function writeCommits(): Promise<void> {
  for (let number = 0; ; number += 1) {
    const { commit } = await db.commits.create({ head: "main", author: name, message: `${number}` });
    writeSync(1, `commit ${Buffer.from(commit.hash).toString("hex")}\n`);
  }
}

async function writeDocuments(): Promise<void> {
  for (let number = 0; ; number += 1) {
    const bytes = patternBytes(number % 2 === 0 ? 5000 : 150_000, number);
    const document = await db.documents.begin({
      source: `${name}/${number}`,
      head: "main",
      chunking: { method: "fixed", sizeBytes: 999, overlapBytes: 9 },
    });
    await document.append(0, bytes);
    const { manifest } = await document.finish({ sizeBytes: bytes.length, hash: hashBlob(bytes) });
    await document.close();
    writeSync(1, `document ${Buffer.from(manifest.hash).toString("hex")}\n`);
  }
}

await Promise.all([...[0, 1, 2, 3, 4, 5].map(writeStates), writeCommits(), writeDocuments()]);
