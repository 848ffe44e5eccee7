// Runs `child.ts` as a process: to its end, or until a line that it says.
import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const CHILD = fileURLToPath(new URL("./child.js", import.meta.url));

export interface Command {
  readonly program: "fill" | "init" | "increment" | "load" | "look" | "reopen" | "stage" | "upload" | "write";
  readonly path: string;
  readonly argument?: string;
  /** What to run node under, such as strace with its options. */
  readonly under?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

export interface Outcome {
  readonly lines: string[];
  readonly stderr: string;
  /** The exit code, or null where a signal ended it. */
  readonly code: number | null;
}

/** The file to execute and its parameters. */
export function commandLine(command: Command): [string, string[]] {
  const { program, path, argument = "", under = [] } = command;
  const words = [...under, process.execPath, CHILD, program, path, argument];
  return [words[0] ?? process.execPath, words.slice(1)];
}

/** Runs it to its end. */
export async function run(command: Command): Promise<Outcome> {
  const child = start(command);
  const lines: string[] = [];
  for await (const line of child.lines) lines.push(line);
  return { lines, stderr: child.stderr(), code: await child.ended };
}

export interface Running {
  readonly process: ChildProcess;
  readonly lines: AsyncIterable<string>;
  stderr(): string;
  readonly ended: Promise<number | null>;
}

export function start(command: Command): Running {
  const [file, parameters] = commandLine(command);
  const env = { ...process.env, ...command.environment };
  const child = spawn(file, parameters, { stdio: ["ignore", "pipe", "pipe"], env });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const ended = once(child, "close").then(([code]) => code as number | null);
  return { process: child, lines: createInterface({ input: child.stdout }), stderr: () => stderr, ended };
}

/** True where strace is installed and may trace. */
export function canTrace(): boolean {
  const probe = spawnSync("strace", ["-o", "/dev/null", process.execPath, "-e", ""], { stdio: "ignore" });
  return probe.status === 0;
}
