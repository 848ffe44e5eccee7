// What the processes of these tests do, and how they say what was acknowledged.
//
//   node workload.js DIRECTORY WORKLOAD NAME
//
// One line of JSON on stdout for each step that has ended: `{"did": …}` once it was acknowledged, `{"failed": …}` where it
// was refused. After a refusal the process goes on with the next step, as a server would. Lines are written with write,
// which no file of a database is written with, so that system calls can be made to fail by name without touching the report.
import { writeSync } from "node:fs";
import { cosign, formatNote, formatWitnessKey, parseNote, witnessKey } from "#src/core/log/index.js";
import { hashBlob } from "#src/core/blob/index.js";
import { toHex, utf8 } from "#src/core/bytes.js";
import { NeleusError } from "#src/core/errors.js";
import { signerFromSeed } from "#src/core/signature/index.js";
import { Database } from "#src/database/index.js";
import { patternBytes } from "../../database/support/bytes.js";
import { put } from "../../database/support/database.js";
import { MIB, UPLOAD, type Acknowledged, type Report, type WorkloadName } from "./report.js";

const [directory = "", workload = "", name = ""] = process.argv.slice(2);

function say(report: Report): void {
  writeSync(1, `${JSON.stringify(report)}\n`);
}

/** Does one step and says how it ended. What is not a typed error is said as well: it is what the tests look for. */
async function step<T>(what: string, run: () => Promise<{ did: Acknowledged; value?: T }>): Promise<T | undefined> {
  try {
    const { did, value } = await run();
    say({ did });
    return value;
  } catch (error) {
    const code = error instanceof NeleusError ? error.code : "UNTYPED";
    const system = error instanceof NeleusError ? error.facts["system_code"] : undefined;
    const applied = error instanceof NeleusError && error.facts["outcome"] === "applied";
    say({ failed: { what, code, system, applied, message: String(error instanceof Error ? error.stack : error) } });
    return undefined;
  }
}

async function set(db: Database, key: string, value: string | Uint8Array): Promise<void> {
  await step(`set ${key}`, async () => {
    const { receipt } = await db.states.apply("main", { operations: [put(key, value)] });
    const bytes = typeof value === "string" ? utf8(value) : value;
    return { did: { kind: "set", keys: [[key, toHex(hashBlob(bytes))]], ...receipt } };
  });
}

async function apply(db: Database, keys: readonly string[]): Promise<void> {
  await step(`apply ${keys.length}`, async () => {
    const { receipt } = await db.states.apply("main", { operations: keys.map((key) => put(key, `of ${key}`)) });
    return { did: { kind: "set", keys: keys.map((key) => [key, toHex(hashBlob(utf8(`of ${key}`)))]), ...receipt } };
  });
}

async function writes(db: Database): Promise<void> {
  await set(db, `${name}/one`, "one");
  await set(db, `${name}/large`, patternBytes(150_000, 3));
  await apply(db, [`${name}/two`, `${name}/three`, `${name}/four`]);
  const commit = await step("commit", async () => {
    const { commit, receipt } = await db.commits.create({ head: "main", author: name, message: "m" });
    return { did: { kind: "commit", hash: toHex(commit.hash), ...receipt }, value: commit.hash };
  });
  if (commit !== undefined) {
    await step("tag", async () => {
      const receipt = await db.tags.create(`tags-of-${name}`, commit);
      return { did: { kind: "tag", name: `tags-of-${name}`, hash: toHex(commit), ...receipt } };
    });
  }
  await set(db, `${name}/one`, "one, again");
}

async function upload(db: Database): Promise<void> {
  const content = patternBytes(UPLOAD.sizeBytes, UPLOAD.seed);
  const half = 2 * MIB;
  await step("first half", async () => {
    const first = await db.uploads.begin({ uploadId: name });
    try {
      for (let at = first.sizeBytes; at < half; at += MIB) await first.append(at, content.subarray(at, at + MIB));
    } finally {
      await first.close();
    }
    return { did: { kind: "staged", id: name, sizeBytes: half } };
  });
  await step("second half", async () => {
    const second = await db.uploads.begin({ uploadId: name });
    try {
      for (let at = second.sizeBytes; at < content.length; at += MIB) {
        await second.append(at, content.subarray(at, Math.min(content.length, at + MIB)));
      }
      const { hash } = await second.finish({ sizeBytes: content.length, hash: hashBlob(content) });
      return { did: { kind: "blob", hash: toHex(hash), sizeBytes: content.length } };
    } finally {
      await second.close();
    }
  });
  await step("refer", async () => {
    const hash = hashBlob(content);
    const change = { putBlob: { hash, sizeBytes: content.length } };
    const { receipt } = await db.states.apply("main", { operations: [{ key: utf8(`${name}/blob`), change }] });
    return { did: { kind: "set", keys: [[`${name}/blob`, toHex(hash)]], ...receipt } };
  });
}

async function load(db: Database): Promise<void> {
  const keys = Array.from({ length: 600 }, (_, index) => `${name}/load/${(index * 7_919) % 600}`);
  await step("load", async () => {
    const into = await db.states.load("main");
    try {
      const encoded = keys.map((key) => utf8(key));
      await into.add({ keys: encoded.slice(0, 300), values: encoded.slice(0, 300) });
      await into.add({ keys: encoded.slice(300), values: encoded.slice(300) });
      const { receipt } = await into.finish();
      return { did: { kind: "set", keys: keys.map((key) => [key, toHex(hashBlob(utf8(key)))]), ...receipt } };
    } finally {
      await into.close();
    }
  });
  await set(db, `${name}/after`, "load");
}

async function epochs(db: Database): Promise<void> {
  await step("cosign", async () => {
    const signer = signerFromSeed(new Uint8Array(32).fill(5));
    const note = await db.log.checkpoint();
    const cosigned = cosign(parseNote(note), { name: "witness.example/w", signer, seconds: 1_700_000_000 });
    const key = formatWitnessKey(witnessKey("witness.example/w", signer.publicKey));
    await db.log.cosign(formatNote(cosigned), [key]);
    return { did: { kind: "cosigned", note } };
  });
  await step("announce", async () => {
    const { nextVerifierKey, receipt } = await db.epochs.announceKey();
    return { did: { kind: "announced", key: nextVerifierKey, ...receipt } };
  });
  await set(db, `${name}/between`, "keys");
  await step("begin", async () => {
    const { epoch, verifierKey, receipt } = await db.epochs.begin({ reason: "rekeyed", announcement: "waived" });
    return { did: { kind: "epoch", epoch, key: verifierKey, ...receipt } };
  });
  await set(db, `${name}/after`, "epoch");
}

async function init(): Promise<void> {
  const db = await step("init", async () => {
    const made = await Database.create(directory);
    return { did: { kind: "made", id: made.id }, value: made };
  });
  await db?.close();
}

const workloads: Readonly<Record<Exclude<WorkloadName, "init">, (db: Database) => Promise<void>>> = {
  writes,
  upload,
  load,
  epochs,
};

if (workload === "init") {
  await init();
} else {
  const db = await step("open", async () => {
    const opened = await Database.open(directory);
    return { did: { kind: "opened" }, value: opened };
  });
  if (db !== undefined) {
    await workloads[workload as keyof typeof workloads](db);
    await step("close", async () => {
      await db.close();
      return { did: { kind: "closed" } };
    });
  }
}
say({ did: { kind: "ended" } });
