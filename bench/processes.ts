// The processes that a benchmark talks to: servers in processes of their own, and the load client in Go.
import { execFile, fork, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const program = join(process.cwd(), "bin", "neleus.js");

export interface RunningServer {
  readonly address: string;
  /** Greatest resident size so far, in bytes; 0 where the system does not say. */
  peakBytes(): number;
  stop(): Promise<void>;
}

/** `neleus serve` over a database. */
export async function serveDatabase(directory: string): Promise<RunningServer> {
  const child = spawn(process.execPath, [program, "serve", "--db", directory, "--listen", "127.0.0.1:0"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const line = await firstLine(child);
  return runningServer(child, (JSON.parse(line) as { address: string }).address);
}

/** A bare grpc-js server: see echo-server.ts. */
export async function serveEcho(): Promise<RunningServer> {
  const child = fork(new URL("echo-server.js", import.meta.url));
  const [address] = (await once(child, "message")) as [string];
  return runningServer(child, address);
}

function runningServer(child: ChildProcess, address: string): RunningServer {
  return {
    address,
    peakBytes: () => peakBytes(child.pid ?? 0),
    async stop() {
      const end = once(child, "exit");
      child.kill("SIGTERM");
      await end;
    },
  };
}

/** `VmHWM` of a process, in bytes. */
export function peakBytes(pid: number | "self"): number {
  const path = `/proc/${pid}/status`;
  if (!existsSync(path)) return 0;
  const [, kibibytes = "0"] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(path, "utf8")) ?? [];
  return Number(kibibytes) * 1024;
}

async function firstLine(child: ChildProcess): Promise<string> {
  let text = "";
  for await (const data of child.stdout ?? []) {
    text += String(data);
    const end = text.indexOf("\n");
    if (end >= 0) return text.slice(0, end);
  }
  throw new Error("the server ended before it said where it listens");
}

/** What the load client prints. */
export interface Load {
  readonly perSecond: number;
  readonly medianUs: number;
  readonly p99Us: number;
  readonly calls: number;
  readonly answerBytes: number;
}

export interface LoadOptions {
  readonly address: string;
  readonly mode: "echo" | "get" | "set";
  readonly inFlight: number;
  readonly seconds: number;
  readonly keys?: number;
  readonly bytes?: number;
  readonly root?: string;
}

let built: Promise<string> | undefined;

/** Runs the load client of bench/client, which is built on first use. @throws Error - no Go toolchain */
export async function load(options: LoadOptions): Promise<Load> {
  const path = await (built ??= buildClient());
  const { address, mode, inFlight, seconds, keys, bytes, root } = options;
  const { stdout } = await run(path, [
    ...["-address", address, "-mode", mode, "-in-flight", String(inFlight), "-seconds", String(seconds)],
    ...(keys === undefined ? [] : ["-keys", String(keys)]),
    ...(bytes === undefined ? [] : ["-bytes", String(bytes)]),
    ...(root === undefined ? [] : ["-root", root]),
  ]);
  return JSON.parse(stdout) as Load;
}

async function buildClient(): Promise<string> {
  const source = join(process.cwd(), "bench", "client");
  const target = join(process.cwd(), "build", "bench-client");
  mkdirSync(target, { recursive: true });
  const path = join(target, "client");
  try {
    await run("go", ["build", "-o", path, "."], { cwd: source });
  } catch (cause) {
    throw new Error("cannot build bench/client: it takes a Go toolchain, 1.26 or newer", { cause });
  }
  return path;
}
