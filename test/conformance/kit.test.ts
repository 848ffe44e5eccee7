// Goal: the kit that lies here is the one that its sources make, this library answers every case of it rightly, and the driver
// counts what a program answers, and nothing else, as passed.
// Method: the kit made again and compared byte for byte; every case through the adapter, and through the runner's pipe; runners
// that answer wrongly, not, too late, out of turn, or die; some proofs through `neleus verify`, whose exit codes are the verdicts.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { Case, Json, Topic } from "./case.js";
import { makeKit, type KitManifest } from "./make/kit.js";
import { answer } from "./typescript/adapter.js";

const PLACE = join(process.cwd(), "test", "conformance");
const MAX_KIT_BYTES = 2_300_000;
const RUNNER = [process.execPath, join(process.cwd(), "build/test/conformance/typescript/main.js")];

function read(path: string): string {
  return readFileSync(join(PLACE, path), "utf8");
}

const manifest = JSON.parse(read("kit.json")) as KitManifest;
const topics = manifest.files.map(({ path }) => JSON.parse(read(path)) as Topic);

describe("the kit", () => {
  it("is what its sources make, to the byte (else: npm run conformance:make)", () => {
    const made = makeKit();
    const there = readdirSync(join(PLACE, "cases")).map((name) => `cases/${name}`);
    assert.deepEqual([...made.keys()].sort(), ["kit.json", ...there].sort());
    let sizeBytes = 0;
    for (const [path, text] of made) {
      assert.ok(read(path) === text, `${path} is not what is made`);
      sizeBytes += Buffer.byteLength(text);
    }
    assert.ok(sizeBytes < MAX_KIT_BYTES, `the kit has ${sizeBytes} bytes`);
  });

  it("is what its manifest says", () => {
    for (const [index, { path, topic, cases, sha256 }] of manifest.files.entries()) {
      assert.equal(createHash("sha256").update(read(path)).digest("hex"), sha256);
      assert.deepEqual([topics[index]?.topic, topics[index]?.cases.length], [topic, cases]);
    }
    const ids = topics.flatMap(({ cases }) => cases.map(({ id }) => id));
    assert.equal(new Set(ids).size, ids.length);
    assert.equal(ids.length, manifest.cases);
  });

  it("names every operation in its README", () => {
    const readme = read("README.md");
    const operations = new Set(topics.flatMap(({ cases }) => cases.map(({ operation }) => operation)));
    for (const operation of operations) assert.ok(readme.includes(`\`${operation}\``), `${operation} is not described`);
  });

  for (const { topic, cases } of topics) {
    it(`${topic}: this library answers all ${cases.length} cases as expected`, () => {
      for (const { id, operation, input, expect } of cases) {
        const answered = JSON.parse(JSON.stringify(answer({ operation, input }))) as Json;
        assert.deepEqual(answered, expect, id);
      }
    });
  }
});

interface Driven {
  readonly status: number | null;
  readonly output: string;
  readonly last: string;
}

function drive(options: readonly string[], runner: readonly string[]): Driven {
  const { status, stdout } = spawnSync(process.execPath, ["tools/conformance.js", ...options, "--", ...runner], {
    encoding: "utf8",
    maxBuffer: 2 ** 26,
  });
  return { status, output: stdout, last: stdout.trimEnd().split("\n").at(-1) ?? "" };
}

describe("the driver", () => {
  let place: string;
  const answers: Readonly<Record<string, Case["expect"]>> = {
    "t/1": { ok: true, output: { hash: "00" } },
    "t/2": { error: "MALFORMED" },
    "t/3": { ok: true, output: {} },
  };
  before(() => {
    place = mkdtempSync(join(tmpdir(), "neleus-kit-"));
    const cases = Object.entries(answers).map(([id, expect]) => ({ id, operation: "made.up", input: {}, expect }));
    const text = JSON.stringify({ topic: "t", about: "", cases });
    mkdirSync(join(place, "cases"));
    writeFileSync(join(place, "cases/t.json"), text);
    const sha256 = createHash("sha256").update(text).digest("hex");
    const files = [{ path: "cases/t.json", topic: "t", cases: 3, sha256 }];
    writeFileSync(join(place, "kit.json"), JSON.stringify({ format: 1, formats: 1, cases: 3, files }));
  });
  after(() => rmSync(place, { recursive: true, force: true }));

  /** A runner whose answer to a question is what the body returns: `ask` is the question, `right` the three answers. */
  function runnerOf(body: string): string[] {
    const script = `
      const right = ${JSON.stringify(answers)};
      const respond = (ask) => { ${body} };
      let text = "";
      process.stdin.on("data", (data) => {
        text += data;
        for (let end = text.indexOf("\\n"); end >= 0; end = text.indexOf("\\n")) {
          const line = respond(JSON.parse(text.slice(0, end)));
          text = text.slice(end + 1);
          if (line !== undefined) process.stdout.write(line + "\\n");
        }
      });`;
    return [process.execPath, "-e", script];
  }

  const rightly = "JSON.stringify({ id: ask.id, ...right[ask.id] })";

  it("counts right answers, and never shows the program what is right", () => {
    const driven = drive(["--kit", place], runnerOf(`if ("expect" in ask) process.exit(9); return ${rightly};`));
    assert.deepEqual([driven.status, driven.last], [0, "3 passed, 0 failed, 0 skipped"]);
  });

  it("shows what differs", () => {
    const wrong = runnerOf(`return ask.id === "t/2" ? '{"id":"t/2","ok":true,"output":{}}' : ${rightly};`);
    const driven = drive(["--kit", place], wrong);
    assert.deepEqual([driven.status, driven.last], [1, "2 passed, 1 failed, 0 skipped"]);
    assert.match(
      driven.output,
      /^t\/2: differs\n {2}expected \{"error":"MALFORMED"\}\n {2}got {6}\{"ok":true,"output":\{\}\}$/m,
    );
  });

  it("counts what is not supported as skipped, by name, and nothing at all as no success", () => {
    const some = drive(
      ["--kit", place],
      runnerOf(`return ask.id === "t/1" ? ${rightly} : JSON.stringify({ id: ask.id, unsupported: true });`),
    );
    assert.deepEqual([some.status, some.last], [0, "1 passed, 0 failed, 2 skipped"]);
    assert.match(some.output, /^not supported: made\.up \(2 cases\)$/m);
    const none = drive(["--kit", place], runnerOf(`return JSON.stringify({ id: ask.id, unsupported: true });`));
    assert.deepEqual([none.status, none.last], [1, "0 passed, 0 failed, 3 skipped"]);
  });

  it("fails a case whose answer is none, and goes on with the next", () => {
    const first = (what: string): string[] => runnerOf(`if (ask.id === "t/1") { ${what} } return ${rightly};`);
    const broken: Readonly<Record<string, readonly [string, RegExp]>> = {
      "no JSON": [`return "yes";`, /t\/1: the answer is not JSON/],
      null: [`return "null";`, /t\/1: the answer is to another question/],
      "another id": [
        `return JSON.stringify({ id: "t/2", ...right["t/1"] });`,
        /t\/1: the answer is to another question/,
      ],
      "more than the answer": [
        `return JSON.stringify({ id: ask.id, ...right[ask.id], unsupported: true });`,
        /t\/1: differs/,
      ],
      "an end": [`process.exit(3);`, /t\/1: it ended with 3/],
      silence: [`return undefined;`, /t\/1: no answer in 1 s/],
    };
    for (const [name, [what, pattern]] of Object.entries(broken)) {
      const driven = drive(["--kit", place, "--timeout", "1"], first(what));
      assert.deepEqual([driven.status, driven.last], [1, "2 passed, 1 failed, 0 skipped"], name);
      assert.match(driven.output, pattern);
    }
    const chatty = drive(["--kit", place], first(`return ${rightly} + "\\n" + ${rightly};`));
    assert.equal(chatty.status, 1);
    const absent = drive(["--kit", place], [join(place, "no such program")]);
    assert.deepEqual([absent.status, absent.last], [1, "0 passed, 3 failed, 0 skipped"]);
  });

  it("refuses a kit that is not the manifest's, another format, and wrong use", () => {
    const runner = runnerOf(`return ${rightly};`);
    assert.equal(drive(["--kit", place, "--only", "u/"], runner).status, 64);
    assert.equal(drive(["--kit", join(place, "cases")], runner).status, 64);
    assert.equal(drive(["--unknown"], runner).status, 64);
    assert.equal(drive(["--timeout", "0"], runner).status, 64);
    assert.equal(drive([], []).status, 64);
    const path = join(place, "kit.json");
    const kit = readFileSync(path, "utf8");
    for (const [from, to] of [
      ['"format":1', '"format":2'],
      [/"sha256":"./, '"sha256":"x'],
    ] as const) {
      writeFileSync(path, kit.replace(from, to));
      assert.equal(drive(["--kit", place], runner).status, 64);
    }
    writeFileSync(path, kit);
  });

  it("drives this library's runner through a topic of each kind", () => {
    const only = ["hash/", "log/", "proofs/"].flatMap((prefix) => ["--only", prefix]);
    const wanted = topics
      .filter(({ topic }) => ["hash", "log", "proofs"].includes(topic))
      .flatMap(({ cases }) => cases);
    const { status, last } = drive(only, RUNNER);
    assert.deepEqual([status, last], [0, `${wanted.length} passed, 0 failed, 0 skipped`]);
  });
});

describe("neleus verify", () => {
  const EXIT_CODES: Readonly<Record<string, number>> = {
    shown: 0,
    VERIFICATION_FAILED: 1,
    INCOMPLETE_PROOF: 2,
    "not anchored": 3,
    NEW_EPOCH: 10,
    FORKED: 10,
    UNSUPPORTED: 11,
    INVALID_ARGUMENT: 64,
  };

  it("ends with the exit code of the verdict", () => {
    const place = mkdtempSync(join(tmpdir(), "neleus-verify-"));
    const proofs = topics.find(({ topic }) => topic === "proofs")?.cases ?? [];
    const verdictOf = ({ expect }: Case): string =>
      "error" in expect ? expect.error : (expect.output as { verdict: string }).verdict;
    for (const [verdict, exitCode] of Object.entries(EXIT_CODES)) {
      const sample = proofs.find((one) => verdictOf(one) === verdict && one.input["binary"] === undefined);
      assert.ok(sample, `no proof of verdict ${verdict}`);
      const { verifierKey, root, checkpoint } = sample.input["anchors"] as Readonly<Record<string, string>>;
      const [file, note] = [join(place, "proof.json"), join(place, "note")];
      writeFileSync(file, JSON.stringify(sample.input["proof"]));
      writeFileSync(note, checkpoint ?? "");
      const options = [
        ...(verifierKey === undefined ? [] : ["--key", verifierKey]),
        ...(root === undefined ? [] : ["--root", root]),
        ...(checkpoint === undefined ? [] : ["--checkpoint", note]),
      ];
      const { status } = spawnSync(process.execPath, ["bin/neleus.js", "verify", file, ...options], {
        stdio: "ignore",
      });
      assert.equal(status, exitCode, sample.id);
    }
    rmSync(place, { recursive: true, force: true });
  });
});
