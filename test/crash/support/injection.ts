// Runs a workload under strace, which makes system calls fail or kills the process at one of them: LMDB's native writes as
// well as Node's own.
//
//   strace -f -e trace=CALL -e inject=CALL:error=EIO:when=N node workload.js …
//
// strace counts by thread and by call, and threads have calls of their own, so the pool has one thread: then a `when` of N is
// the nth such call of that thread, and the nth of the main one. `write` is never injected: it is what Node's threads wake each other with, and no
// file of a database is written by it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmSync } from "node:fs";
import { createInterface } from "node:readline";
import { bundled } from "./bundle.js";
import type { Acknowledged, Refusal, Report, WorkloadName } from "./report.js";

let workload: string | undefined;

/** System calls by what they do to files; a call that no workload makes costs nothing. */
export const CALLS = {
  write: ["pwrite64", "pwritev", "pwritev2", "writev"],
  flush: ["fsync", "fdatasync", "msync"],
  name: ["rename", "renameat", "renameat2", "link", "linkat", "mkdir"],
  cut: ["ftruncate", "unlink", "unlinkat", "rmdir", "copy_file_range"],
} as const;
export type CallKind = keyof typeof CALLS;

/** What happens to the nth call of this name: strace counts each by itself. */
export interface Injection {
  readonly call: string;
  readonly step: number;
  readonly effect: "SIGKILL" | "EIO" | "ENOSPC" | "EROFS" | "EACCES";
}

export interface Outcome {
  readonly did: readonly Acknowledged[];
  readonly failed: readonly Refusal[];
  /** Calls that strace made fail, or whose process it killed. */
  readonly injected: number;
  /** Undefined where a signal ended the process. */
  readonly code: number | undefined;
  readonly signal: string | undefined;
  readonly stderr: string;
}

export interface Run {
  readonly workload: WorkloadName;
  readonly directory: string;
  readonly name: string;
  readonly injection?: Injection | undefined;
  /** The longest a run may take: one that hangs has failed. */
  readonly timeoutMs?: number;
}

let runs = 0;

/** Runs a workload to its end, whatever that is. */
export async function runWorkload(run: Run): Promise<Outcome> {
  const { injection } = run;
  if (injection === undefined) return { ...(await runUnder([], run)), injected: 0 };
  const log = `${run.directory}.${process.pid}.${(runs += 1)}.trace`;
  const ended = await runUnder(strace(injection, log), run);
  const injected = countInjected(log, injection);
  rmSync(log, { force: true });
  return { ...ended, injected };
}

async function runUnder(under: readonly string[], run: Omit<Run, "injection">): Promise<Omit<Outcome, "injected">> {
  workload ??= bundled("workload");
  const words = [...under, process.execPath, workload, run.directory, run.workload, run.name];
  const env = { ...process.env, UV_THREADPOOL_SIZE: "1" };
  const child = spawn(words[0] ?? "", words.slice(1), { stdio: ["ignore", "pipe", "pipe"], env, detached: true });
  const ended = once(child, "close") as Promise<[number | null, NodeJS.Signals | null]>;
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  // Its own group, so that strace and what it runs end together.
  const timer = setTimeout(() => process.kill(-(child.pid ?? 0), "SIGKILL"), run.timeoutMs ?? 60_000);
  const reports: Report[] = [];
  for await (const line of createInterface({ input: child.stdout })) reports.push(parseReport(line));
  const [code, signal] = await ended;
  clearTimeout(timer);
  return {
    did: reports.flatMap((report) => ("did" in report ? [report.did] : [])),
    failed: reports.flatMap((report) => ("failed" in report ? [report.failed] : [])),
    code: code ?? undefined,
    signal: signal ?? undefined,
    stderr,
  };
}

export function parseReport(line: string): Report {
  return JSON.parse(line) as Report;
}

/** The words that spoil a call of whatever follows them. */
export function strace({ call, step, effect }: Injection, log: string): string[] {
  const what = effect === "SIGKILL" ? "signal=SIGKILL" : `error=${effect}`;
  // Its fast filter loses signals.
  const fast = effect === "SIGKILL" ? [] : ["--seccomp-bpf"];
  return ["strace", "-f", ...fast, "-q", "-o", log, "-e", `trace=${call}`, "-e", `inject=${call}:${what}:when=${step}`];
}

/** How often the busiest thread of a workload makes each call, for those that it makes. */
export async function countCalls(run: Omit<Run, "injection">): Promise<Map<string, number>> {
  const log = `${run.directory}.count.trace`;
  const names = Object.values(CALLS).flat();
  const under = ["strace", "-f", "--seccomp-bpf", "-q", "-o", log, "-e", `trace=${names.join(",")}`];
  const { code, stderr } = await runUnder(under, run);
  if (code !== 0) throw new Error(`the workload failed by itself: ${stderr}`);
  const byThread = new Map<string, number>();
  for (const line of readFileSync(log, "utf8").split("\n")) {
    const [, thread, call] = /^(\d+) +(\w+)\(/.exec(line) ?? [];
    if (call !== undefined) byThread.set(`${thread} ${call}`, (byThread.get(`${thread} ${call}`) ?? 0) + 1);
  }
  rmSync(log);
  const counts = new Map<string, number>();
  for (const [key, count] of byThread) {
    const call = key.split(" ")[1] ?? "";
    counts.set(call, Math.max(count, counts.get(call) ?? 0));
  }
  return counts;
}

/** By the trace: a call that was made to fail is marked, one that was killed is the last of its process. */
function countInjected(log: string, { effect }: Injection): number {
  const trace = readFileSync(log, "utf8");
  if (effect === "SIGKILL") return /killed by SIGKILL/.test(trace) ? 1 : 0;
  return trace.split("(INJECTED)").length - 1;
}
