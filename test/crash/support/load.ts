// A database under load from several processes that are killed: a server whose clients are in this process, and writers that
// have the directory open themselves. Each process ends by SIGKILL, at a random instant or at a random flush or rename.
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { hashBlob } from "#src/core/blob/index.js";
import { toHex, utf8 } from "#src/core/bytes.js";
import { NeleusError } from "#src/core/errors.js";
import { connect } from "#src/client/remote.js";
import { bundled } from "./bundle.js";
import { parseReport, strace, type Injection } from "./injection.js";
import type { Acknowledged } from "./report.js";

const NELEUS = join(process.cwd(), "bin", "neleus.js");
/** Calls that strace kills at, and the latest of each: some are made more often than others. */
const CALLS = [
  ["fsync", 6],
  ["fdatasync", 10],
  ["rename", 4],
  ["fdatasync", 3],
  ["pwrite64", 20],
] as const;
/** One that strace does not get to is killed after all. */
const LONGEST_MS = 1_200;

/** How a process is going to end. */
export type Ending =
  | { readonly kind: "delay"; readonly delayMs: number }
  | { readonly kind: "call"; readonly call: string; readonly step: number };

export function randomEnding(random: () => number, kind: Ending["kind"]): Ending {
  if (kind === "delay") return { kind, delayMs: Math.floor(5 + random() * 150) };
  const [call, latest] = CALLS[Math.floor(random() * CALLS.length)] ?? CALLS[0];
  return { kind, call, step: 1 + Math.floor(random() * latest) };
}

/** What one process did, and how it ended. */
export interface Ended {
  readonly did: readonly Acknowledged[];
  /** The call that it died in, where strace saw to it. */
  readonly inCall: string | undefined;
}

let writer: string | undefined;

/** Runs a writer on the directory until its end. */
export async function runWriter(directory: string, name: string, ending: Ending): Promise<Ended> {
  writer ??= bundled("writer");
  const killed = startKilled([process.execPath, writer, directory, name], `${directory}.${name}`, ending);
  const did: Acknowledged[] = [];
  for await (const line of createInterface({ input: killed.stdout })) {
    const report = parseReport(line);
    if ("did" in report) did.push(report.did);
    killed.arm();
  }
  return { did, inCall: await killed.end() };
}

/** Serves the directory until the server's end, with clients here that write as long as they can. */
export async function runServer(directory: string, name: string, ending: Ending): Promise<Ended> {
  const words = [process.execPath, NELEUS, "serve", "--db", directory, "--listen", "127.0.0.1:0"];
  const killed = startKilled(words, `${directory}.${name}`, ending);
  const did: Acknowledged[] = [];
  let clients: Clients | undefined;
  for await (const line of createInterface({ input: killed.stdout })) {
    const { address, key } = JSON.parse(line) as { address: string; key: string };
    clients = await startClients({ address, verifierKey: key, name }, (step) => {
      did.push(step);
      killed.arm();
    });
  }
  const inCall = await killed.end();
  await clients?.end();
  return { did, inCall };
}

interface Killed {
  readonly stdout: NodeJS.ReadableStream;
  /** The process is at work: from now on it may be killed. */
  arm(): void;
  end(): Promise<string | undefined>;
}

function startKilled(words: readonly string[], log: string, ending: Ending): Killed {
  const [program = "", ...parameters] = words;
  const child = spawn(program, parameters, {
    stdio: ["ignore", "pipe", "pipe"],
    // strace counts by thread.
    env: ending.kind === "call" ? { ...process.env, UV_THREADPOOL_SIZE: "1" } : process.env,
  });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const ended = once(child, "close") as Promise<[number | null, NodeJS.Signals | null]>;
  const kill = (): void => void child.kill("SIGKILL");
  let timer = setTimeout(kill, 30_000);
  let tracer: Promise<unknown> | undefined;
  let isArmed = false;
  return {
    stdout: child.stdout,
    arm() {
      if (isArmed) return;
      isArmed = true;
      clearTimeout(timer);
      timer = setTimeout(kill, ending.kind === "call" ? LONGEST_MS : ending.delayMs);
      if (ending.kind === "call") tracer = attach(child, { ...ending, effect: "SIGKILL" }, log);
    },
    async end() {
      const [code, signal] = await ended;
      clearTimeout(timer);
      assert.equal(signal, "SIGKILL", `ended by itself, with ${String(code)}: ${stderr}`);
      await tracer;
      if (ending.kind === "delay" || !existsSync(log)) return undefined;
      const trace = readFileSync(log, "utf8");
      rmSync(log);
      // The call that it died in has no result.
      return new RegExp(`${ending.call}\\(.*(= \\?|unfinished)`).test(trace) ? ending.call : undefined;
    },
  };
}

/** Lets strace kill a process that runs: it starts at full speed, and is slow only while it writes. */
async function attach(child: ChildProcess, injection: Injection, log: string): Promise<void> {
  const [program = "", ...parameters] = strace(injection, log);
  const tracer = spawn(program, [...parameters, "-p", String(child.pid)], { stdio: ["ignore", "ignore", "pipe"] });
  let stderr = "";
  tracer.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  await once(tracer, "close");
  assert.doesNotMatch(stderr, /Operation not permitted/, "strace may not attach: run this as root");
}

interface Served {
  readonly address: string;
  readonly verifierKey: string;
  readonly name: string;
}

interface Clients {
  end(): Promise<void>;
}

/** Three writers over one connection, until it is closed. */
async function startClients(
  { address, verifierKey, name }: Served,
  say: (did: Acknowledged) => void,
): Promise<Clients> {
  const db = await connect(address, { verifierKey, trustStore: undefined });
  const lane = async (number: number): Promise<void> => {
    for (let count = 0; ; count += 1) {
      const key = `${name}/${number}/${count}`;
      const { receipt } = await db.state("main").put(key, `of ${key}`);
      const keys = [[key, toHex(hashBlob(utf8(`of ${key}`)))]] as const;
      say({ kind: "set", keys, logIndex: receipt.logIndex, checkpoint: receipt.checkpoint.note });
    }
  };
  const lanes = Promise.allSettled([0, 1, 2].map(lane));
  return {
    async end() {
      // They would wait for the server to come back.
      await db.close();
      for (const outcome of await lanes) {
        const reason: unknown = outcome.status === "rejected" ? outcome.reason : undefined;
        assert.ok(reason instanceof NeleusError && reason.code === "UNAVAILABLE", String(reason));
      }
    },
  };
}
