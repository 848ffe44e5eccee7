// Runs the program as a user would, in a process of its own.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

export interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly stdoutBytes: Buffer;
}

const program = join(process.cwd(), "bin", "neleus.js");

/** Where commands that run in a folder remember whom they trust: beside it, so that it holds only what they were told to make. */
export function trustFolder(cwd: string): string {
  return `${cwd}.trust`;
}

/** Runs one command in a folder. */
export function neleus(cwd: string, args: readonly string[], input: string | Uint8Array = ""): Promise<Run> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, NELEUS_TRUST_FILE: join(trustFolder(cwd), "trust.json") };
    const child = spawn(process.execPath, [program, ...args], { cwd, env, stdio: ["pipe", "pipe", "pipe"] });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on("data", (data: Buffer) => stdout.push(data));
    child.stderr.on("data", (data: Buffer) => stderr.push(data));
    child.once("error", reject);
    child.once("close", (code) => {
      const stdoutBytes = Buffer.concat(stdout);
      resolve({ code, stdout: stdoutBytes.toString(), stderr: Buffer.concat(stderr).toString(), stdoutBytes });
    });
    // A command that fails early closes its input; that is its right.
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
  });
}

/** A fresh folder, removed after the test. */
export function folder(context: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "neleus-cli-"));
  context.after(() => {
    for (const made of [path, trustFolder(path)]) rmSync(made, { recursive: true, force: true });
  });
  return path;
}

export function json(run: Run): Record<string, unknown> {
  return JSON.parse(run.stdout) as Record<string, unknown>;
}

/** The failure that a command with --json printed. */
export function errorOf(run: Run): { readonly code: string; readonly field?: string } {
  return (JSON.parse(run.stderr) as { error: { code: string; field?: string } }).error;
}

/** A server in a process of its own, stopped after the test. */
export async function serve(
  context: TestContext,
  cwd: string,
  args: readonly string[] = [],
): Promise<{ readonly address: string; readonly stop: () => Promise<void> }> {
  const child = spawn(process.execPath, [program, "serve", "--listen", "127.0.0.1:0", ...args], {
    cwd,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const stop = async (): Promise<void> => {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    if (child.exitCode === null && child.kill("SIGTERM")) await ended;
  };
  context.after(stop);
  return new Promise((resolve, reject) => {
    let text = "";
    child.once("exit", (code) => reject(new Error(`the server ended with ${String(code)}`)));
    child.stdout.on("data", (data: Buffer) => {
      text += data.toString();
      if (text.includes("\n")) resolve({ ...(JSON.parse(text) as { address: string }), stop });
    });
  });
}
