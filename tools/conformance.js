// Drives a program through the conformance kit: each case as a line of JSON on its stdin, one line of answer from its stdout.
// test/conformance/README.md is the protocol. The program never sees what is expected.
//
//   node tools/conformance.js [--kit DIR] [--only PREFIX]… [--timeout SECONDS] -- COMMAND [ARGUMENT]…
//
// Prints every difference, the operations that the program does not support, and last `N passed, N failed, N skipped`. Exits 0
// where nothing failed and something passed.
import { createHash } from "node:crypto";
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual, parseArgs } from "node:util";

const USAGE =
  "usage: node tools/conformance.js [--kit DIR] [--only PREFIX]… [--timeout SECONDS] -- COMMAND [ARGUMENT]…";
const EXIT_USAGE = 64;
const KIT_FORMAT = 1;
const MAX_ANSWER_CHARACTERS = 16 * 2 ** 20;
/** A program that dies or hangs is started again for the next case, but not for ever. */
const MAX_STARTS = 20;
const SHOWN_CHARACTERS = 600;

function usage(message) {
  console.error(message === undefined ? USAGE : `${message}\n${USAGE}`);
  process.exit(EXIT_USAGE);
}

function readOptions() {
  const all = process.argv.slice(2);
  const end = all.indexOf("--");
  const command = end < 0 ? [] : all.slice(end + 1);
  if (command.length === 0) usage();
  const options = { kit: { type: "string" }, only: { type: "string", multiple: true }, timeout: { type: "string" } };
  let values;
  try {
    ({ values } = parseArgs({ args: all.slice(0, end), options }));
  } catch (error) {
    usage(error.message);
  }
  const timeoutMs = Number(values.timeout ?? 30) * 1000;
  if (!(timeoutMs > 0 && timeoutMs < 2 ** 31)) usage("--timeout is a number of seconds above 0");
  const place = values.kit ?? fileURLToPath(new URL("../test/conformance/", import.meta.url));
  return { command, place, only: values.only ?? [""], timeoutMs };
}

/** The cases, from files that are those of the manifest to the byte. */
function readKit(place) {
  if (!existsSync(join(place, "kit.json"))) usage(`there is no kit in ${place}`);
  const manifest = JSON.parse(readFileSync(join(place, "kit.json"), "utf8"));
  if (manifest.format !== KIT_FORMAT)
    usage(`the kit is of format ${manifest.format}; this program knows ${KIT_FORMAT}`);
  return manifest.files.flatMap(({ path, sha256 }) => {
    const bytes = readFileSync(join(place, path));
    if (createHash("sha256").update(bytes).digest("hex") !== sha256)
      usage(`${path} is not the file that kit.json names`);
    return JSON.parse(bytes.toString("utf8")).cases;
  });
}

/** The program under test: one question at a time. */
class Runner {
  #command;
  #timeoutMs;
  #child;
  #unread = "";
  #waiting;
  starts = 0;

  constructor({ command, timeoutMs }) {
    this.#command = command;
    this.#timeoutMs = timeoutMs;
  }

  /** The answer's line. @throws Error - none came: it died, hangs, or says more than it was asked */
  ask(line) {
    if (this.#child === undefined) this.#start();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => this.#fail(new Error(`no answer in ${this.#timeoutMs / 1000} s`)),
        this.#timeoutMs,
      );
      this.#waiting = {
        resolve: (text) => (clearTimeout(timer), resolve(text)),
        reject: (error) => (clearTimeout(timer), reject(error)),
      };
      this.#child.stdin.write(`${line}\n`);
      this.#take("");
    });
  }

  /** Ends the program's input, and waits a moment for it to go. */
  async close() {
    const child = this.#child;
    if (child === undefined) return;
    this.#child = undefined;
    const ended = new Promise((resolve) => child.once("close", resolve));
    const killed = setTimeout(() => child.kill("SIGKILL"), 2_000);
    child.stdin.end();
    await ended;
    clearTimeout(killed);
  }

  #start() {
    if (this.starts === MAX_STARTS) throw new Error(`not asked: it was started ${MAX_STARTS} times already`);
    this.starts += 1;
    const child = spawn(this.#command[0], this.#command.slice(1), { stdio: ["pipe", "pipe", "inherit"] });
    this.#child = child;
    this.#unread = "";
    // A write to a program that is gone: its end says more.
    child.stdin.on("error", () => undefined);
    child.stdout.setEncoding("utf8");
    child.stdout.on("data", (text) => child === this.#child && this.#take(text));
    child.once("error", (error) => child === this.#child && this.#fail(error));
    child.once(
      "close",
      (code, signal) => child === this.#child && this.#fail(new Error(`it ended with ${signal ?? code}`)),
    );
  }

  #take(text) {
    this.#unread += text;
    const end = this.#unread.indexOf("\n");
    if (end < 0) {
      if (this.#unread.length > MAX_ANSWER_CHARACTERS) this.#fail(new Error("its answer has no end"));
      return;
    }
    const waiting = this.#waiting;
    // Where nobody asked, the line stays, and is no answer to the next question: its id is another.
    if (waiting === undefined) return;
    this.#waiting = undefined;
    const line = this.#unread.slice(0, end);
    this.#unread = this.#unread.slice(end + 1);
    waiting.resolve(line);
  }

  #fail(error) {
    const child = this.#child;
    const waiting = this.#waiting;
    this.#child = undefined;
    this.#waiting = undefined;
    child?.kill("SIGKILL");
    waiting?.reject(error);
  }
}

/** What is wrong with an answer; undefined where it is right. */
function difference({ id, expect }, line) {
  let answer;
  try {
    answer = JSON.parse(line);
  } catch {
    return { why: "the answer is not JSON", got: line };
  }
  const { id: answered, ...verdict } = answer ?? {};
  if (answered !== id) return { why: "the answer is to another question", got: line };
  if (isDeepStrictEqual(verdict, { unsupported: true })) return { isSkipped: true };
  return isDeepStrictEqual(verdict, expect) ? undefined : { why: "differs", got: JSON.stringify(verdict) };
}

function shown(text) {
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}… (${text.length} characters)` : text;
}

async function main() {
  const { command, place, only, timeoutMs } = readOptions();
  const cases = readKit(place).filter(({ id }) => only.some((prefix) => id.startsWith(prefix)));
  if (cases.length === 0) usage(`no case starts with ${only.join(" or ")}`);
  const runner = new Runner({ command, timeoutMs });
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const unsupported = new Map();
  for (const one of cases) {
    const { id, operation, input, expect } = one;
    let found;
    try {
      found = difference(one, await runner.ask(JSON.stringify({ id, operation, input })));
    } catch (error) {
      found = { why: error.message, got: "nothing" };
    }
    if (found === undefined) {
      counts.passed += 1;
    } else if (found.isSkipped) {
      counts.skipped += 1;
      unsupported.set(operation, (unsupported.get(operation) ?? 0) + 1);
    } else {
      counts.failed += 1;
      console.log(`${id}: ${found.why}\n  expected ${shown(JSON.stringify(expect))}\n  got      ${shown(found.got)}`);
    }
  }
  await runner.close();
  for (const [operation, count] of unsupported) console.log(`not supported: ${operation} (${count} cases)`);
  console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
  process.exitCode = counts.failed > 0 || counts.passed === 0 ? 1 : 0;
}

await main();
