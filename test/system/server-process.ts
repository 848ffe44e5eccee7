// A real server in a process of its own, over a database of its own, and what /proc says of it.
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

const program = join(process.cwd(), "bin", "neleus.js");

export interface ServerProcess {
  readonly address: string;
  readonly directory: string;
  readonly pid: number;
  /** Open files of the server that are not sockets, pipes or the event loop's own. */
  openFiles(): string[];
  /** Connections that the server holds. */
  openSockets(): number;
  /** Uploads in progress on disk. */
  walEntries(): string[];
  /** Greatest resident size so far, in bytes, mapped files included. */
  peakBytes(): number;
  /** Resident memory that is the process's own, in bytes: without mapped files, whose pages the kernel takes back at will. */
  ownBytes(): number;
  stop(): Promise<void>;
}

/** Makes a database, which is gone after the test. Returns its directory. */
export async function makeDatabase(context: TestContext): Promise<string> {
  const place = mkdtempSync(join(tmpdir(), "neleus-system-"));
  context.after(() => rmSync(place, { recursive: true, force: true }));
  const directory = join(place, "db");
  await finished(spawn(process.execPath, [program, "db", "init", directory], { stdio: "ignore" }));
  return directory;
}

/** Serves a database, a new one where none is given, until the test ends. */
export async function startServerProcess(context: TestContext, given?: string): Promise<ServerProcess> {
  const directory = given ?? (await makeDatabase(context));
  const child = spawn(process.execPath, [program, "serve", "--db", directory, "--listen", "127.0.0.1:0"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const address = await firstLine(child);
  const pid = child.pid ?? 0;
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const end = finished(child);
    child.kill("SIGTERM");
    await end;
  };
  context.after(stop);
  return {
    address,
    directory,
    pid,
    stop,
    openFiles: () => descriptors(pid).filter((target) => target.startsWith("/") && !target.startsWith("/dev/")),
    openSockets: () => descriptors(pid).filter((target) => target.startsWith("socket:")).length,
    walEntries: () => readdirSync(join(directory, "wal"), { recursive: true }).map(String).sort(),
    peakBytes: () => peakBytes(pid),
    ownBytes: () => statusBytes(pid, "RssAnon"),
  };
}

/** `VmHWM` of a process, in bytes. Linux only. */
export function peakBytes(pid: number | "self"): number {
  return statusBytes(pid, "VmHWM");
}

function statusBytes(pid: number | "self", name: "VmHWM" | "RssAnon"): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const [, kibibytes = "0"] = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status) ?? [];
  return Number(kibibytes) * 1024;
}

function descriptors(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).flatMap((name) => {
    try {
      return [readlinkSync(join(folder, name))];
    } catch {
      // Closed between the two looks.
      return [];
    }
  });
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    child.once("exit", (code) => reject(new Error(`the server ended with ${String(code)}`)));
    child.stdout?.on("data", (data: Buffer) => {
      text += data.toString();
      if (text.includes("\n")) resolve((JSON.parse(text) as { address: string }).address);
    });
  });
}

export function finished(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", resolve);
  });
}
