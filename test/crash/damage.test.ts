// Goal: a file of a database that was damaged by its device never gives a wrong answer, never ends the process without a word,
// and where it is one row or one blob, takes nothing else with it.
// Method: copies of a small database that has everything in it; in each one bit is flipped, or a file cut short, overwritten
// with zeros or removed: at every field of LMDB's meta pages and page headers, at random places of all its pages in use, and in
// each other kind of file. A process of its own opens each copy and reads all there is. The seed is printed.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { hashBlob } from "#src/core/blob/index.js";
import { Database } from "#src/database/index.js";
import { patternBytes } from "../database/support/bytes.js";
import { put } from "../database/support/database.js";
import { bundled } from "./support/bundle.js";
import type { Damage, Finding } from "./support/damage.js";
import { randomFrom, seedOfRun } from "./support/place.js";

const PAGE_BYTES = 4096;
const DATA = "objects/1/data.mdb";

let parent = "";
let original = "";

before(async () => {
  parent = mkdtempSync(join(tmpdir(), "neleus-damage-"));
  original = join(parent, "db");
  const db = await Database.create(original);
  for (let round = 0; round < 3; round += 1) {
    const many = Array.from({ length: 40 }, (_, index) => put(`key-${index}/${round}`, `value ${index} of ${round}`));
    await db.states.apply("main", {
      operations: [...many, put("same", `${round}`), put("middle", patternBytes(6000, round))],
    });
  }
  await db.states.apply("main", { operations: [put("large", patternBytes(150_000, 9))] });
  const { commit } = await db.commits.create({ head: "main", author: "a", message: "first" });
  await db.tags.create("first", commit.hash);
  const document = await db.documents.begin({
    source: "s",
    head: "main",
    chunking: { method: "fixed", sizeBytes: 500, overlapBytes: 0 },
  });
  await document.append(0, patternBytes(4000));
  await document.finish({ sizeBytes: 4000, hash: hashBlob(patternBytes(4000)) });
  await document.close();
  const upload = await db.uploads.begin({ uploadId: "in-progress" });
  await upload.append(0, patternBytes(70_000));
  await upload.close();
  await db.close();
});
after(() => rmSync(parent, { recursive: true, force: true }));

/** What came of each damage, in order. Where the process ended, of the last one that it began: `ended` with the signal. */
async function examineAll(damages: readonly Damage[]): Promise<Finding[]> {
  const program = bundled("damage");
  const findings: Finding[] = [];
  for (let first = 0; first < damages.length;) {
    const scratch = join(parent, `copy-${first}`);
    const child = spawn(process.execPath, [program, original, scratch], { stdio: ["pipe", "pipe", "pipe"] });
    const ended = once(child, "close") as Promise<[number | null, NodeJS.Signals | null]>;
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.stdin
      .on("error", () => undefined)
      .end(
        damages
          .slice(first)
          .map((damage) => `${JSON.stringify(damage)}\n`)
          .join(""),
      );
    const before = findings.length;
    for await (const line of createInterface({ input: child.stdout })) findings.push(JSON.parse(line) as Finding);
    const [code, signal] = await ended;
    if (code !== 0)
      findings.push({ outcome: `ended ${String(signal ?? code)}`, message: stderr.slice(0, 2000), opened: false });
    first += findings.length - before;
  }
  return findings;
}

/** Findings by outcome; fails on any that is neither right nor an error that a caller can act on. */
function tally(damages: readonly Damage[], findings: readonly Finding[], allowed: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const [index, { outcome, message }] of findings.entries()) {
    assert.ok(["same", ...allowed].includes(outcome), `${JSON.stringify(damages[index])}: ${outcome} ${message ?? ""}`);
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  }
  return [...counts].map(([outcome, count]) => `${outcome} ${count}`).join(", ");
}

function filesOf(folder: string): string[] {
  return readdirSync(join(original, folder), { recursive: true })
    .map((name) => join(original, folder, String(name)))
    .filter((path) => statSync(path).isFile())
    .map((path) => relative(original, path));
}

const flip = (file: string, offset: number, bit: number): Damage => ({ file, flip: { offset, bit } });

describe("a damaged data file", () => {
  it("of which a bit of a meta page is flipped", { timeout: 120_000 }, async (context) => {
    const damages: Damage[] = [];
    for (const page of [0, 1]) {
      for (let offset = 0; offset < 168; offset += 3) damages.push(flip(DATA, page * PAGE_BYTES + offset, offset % 8));
      // The number of the transaction: of its lowest bits each.
      for (let bit = 0; bit < 8; bit += 1) damages.push(flip(DATA, page * PAGE_BYTES + 152, bit));
      for (const offset of [48, 50, 52, 100, 136, 144]) damages.push(flip(DATA, page * PAGE_BYTES + offset, 0));
    }
    const findings = await examineAll(damages);
    context.diagnostic(tally(damages, findings, ["CORRUPT", "ROLLED_BACK"]));
  });

  it("of which a bit of a page header, or of any page in use, is flipped", { timeout: 240_000 }, async (context) => {
    const seed = seedOfRun();
    context.diagnostic(`NELEUS_TEST_SEED=${seed}`);
    const random = randomFrom(seed);
    const bytes = readFileSync(join(original, DATA));
    const damages: Damage[] = [];
    for (let at = 2 * PAGE_BYTES; at < bytes.length; at += PAGE_BYTES) {
      if (bytes.readBigUInt64LE(at) !== BigInt(at / PAGE_BYTES)) continue;
      const header = [0, 8, 16, 18, 20, 21, 22, 23, 24, 25];
      damages.push(flip(DATA, at + (header[Math.floor(random() * header.length)] ?? 0), Math.floor(random() * 8)));
      for (let count = 0; count < 3; count += 1)
        damages.push(flip(DATA, at + Math.floor(random() * PAGE_BYTES), Math.floor(random() * 8)));
    }
    const findings = await examineAll(damages);
    context.diagnostic(tally(damages, findings, ["CORRUPT", "NOT_FOUND", "PRUNED"]));
    assert.ok(
      findings.some(({ outcome, opened }) => outcome === "CORRUPT" && opened),
      "a damaged row keeps nothing else away",
    );
    assert.ok(findings.some(({ outcome, opened }) => outcome === "CORRUPT" && !opened));
  });

  it("that was cut short, or lost a page to zeros", { timeout: 120_000 }, async (context) => {
    const { size } = statSync(join(original, DATA));
    const damages: Damage[] = [0, 1, 100, 4096, 8192, 20_000].map((keepBytes) => ({ file: DATA, keepBytes }));
    for (let at = 0; at < size; at += 9 * PAGE_BYTES) {
      damages.push({ file: DATA, zero: { from: at, to: at + PAGE_BYTES } });
      damages.push({ file: DATA, keepBytes: at + 2000 });
    }
    const findings = await examineAll(damages);
    context.diagnostic(tally(damages, findings, ["CORRUPT", "NOT_FOUND", "PRUNED"]));
  });
});

describe("another damaged file", () => {
  it("is told by what it is, and takes nothing else with it", { timeout: 120_000 }, async (context) => {
    const random = randomFrom(seedOfRun());
    for (const [folder, allowed, isOpened] of [
      ["blobs", ["CORRUPT", "NOT_FOUND"], true],
      ["wal", [], true],
      ["meta", ["CORRUPT", "INVALID_ARGUMENT", "UNSUPPORTED", "PERMISSION_DENIED"], undefined],
    ] as const) {
      const damages: Damage[] = [];
      for (const file of filesOf(folder)) {
        const { size } = statSync(join(original, file));
        for (const share of [0, 0.5, 0.99]) damages.push({ file, keepBytes: Math.floor(size * share) });
        for (let count = 0; count < 5 && size > 0; count += 1)
          damages.push(flip(file, Math.floor(random() * size), Math.floor(random() * 8)));
        damages.push({ file, remove: true });
        damages.push({ file, zero: { from: 0, to: size } });
      }
      const findings = await examineAll(damages);
      context.diagnostic(`${folder}: ${tally(damages, findings, allowed)}`);
      if (isOpened)
        assert.ok(
          findings.every(({ opened }) => opened),
          `${folder} keeps the database from being opened`,
        );
    }
  });

  it("is CURRENT: it names a store, or what to do", async (context) => {
    const file = "objects/CURRENT";
    const damages: Damage[] = [
      { file, keepBytes: 0 },
      flip(file, 0, 1),
      flip(file, 0, 7),
      flip(file, 1, 0),
      { file, remove: true },
    ];
    context.diagnostic(tally(damages, await examineAll(damages), ["CORRUPT", "NOT_FOUND"]));
  });

  it("is not the upload that was in progress: its bytes are hashed again when it goes on", async () => {
    const db = await Database.open(original);
    assert.equal(await db.uploads.query("in-progress"), 70_000);
    const content = filesOf("wal").find((name) => name.includes("content-"))!;
    const path = join(original, content);
    const bytes = readFileSync(path);
    writeFileSync(
      path,
      bytes.map((byte, index) => (index === 777 ? byte ^ 1 : byte)),
    );
    const upload = await db.uploads.begin({ uploadId: "in-progress" });
    await assert.rejects(upload.finish({ sizeBytes: 70_000, hash: hashBlob(patternBytes(70_000)) }), {
      code: "INVALID_ARGUMENT",
    });
    await upload.close();
    await db.close();
  });
});
