// neleus commit and neleus log: versions of a head.
import type { Command } from "commander";
import type { CommitRecord } from "../client/records.js";
import { toHex } from "../core/bytes.js";
import { InvalidArgument } from "../core/errors.js";
import {
  collect,
  expectedOptions,
  freshOption,
  group,
  idempotencyOption,
  leaf,
  listOption,
  pageOptions,
  requiredOption,
  withFreshness,
  withIdempotencyKey,
} from "./command.js";
import { parseHash } from "./encoding.js";
import { printableText, type Printable } from "./output.js";
import { exportLog } from "./log-export.js";
import { headOrTag } from "./place.js";
import type { Session } from "./session.js";

type Options = Readonly<Record<string, unknown>>;

export function registerCommit(program: Command): void {
  const commit = group(program, "commit", "versions of state and ledger");
  withIdempotencyKey(leaf(commit, "new", "make a commit of what is staged on a head", newCommit))
    .requiredOption("--head <head>", "the head")
    .requiredOption("--author <text>", "who makes it")
    .requiredOption("--message <text>", "why")
    .option("--manifest <hash>", "add this manifest to the ledger (repeatable)", collect, [])
    .option("--expected-commit <hash>", "only while this is the head's newest commit")
    .option("--expected-root <hash>", "only while this is staged: it is the state of the commit");
  leaf(commit, "show <hash>", "one commit", showCommit);
  withFreshness(leaf(program, "log <head> [dir]", "commits of a head or tag:NAME, newest first", showLog))
    .addHelpText(
      "after",
      "\nneleus log export DIR writes the transparency log as static tiles (C2SP tlog-tiles), which other tools mirror.",
    )
    .option("--limit <n>", "at most this many")
    .option("--max-bytes <n>", "end behind the commit with which the bytes of all of them reach this");
}

function commitMembers(commit: CommitRecord): Record<string, Printable> {
  return {
    commit: commit.hash,
    parents: commit.parents,
    author: commit.author,
    message: commit.message,
    time: commit.timeMs,
    state_root: commit.stateRoot,
    manifests: commit.ledgerRoot,
    ...(Object.keys(commit.meta).length === 0 ? {} : { meta: commit.meta }),
  };
}

function commitText(commit: CommitRecord): string {
  const indented = commit.message.split("\n").map((line) => `    ${line}`);
  return printableText(
    [
      `commit ${toHex(commit.hash)}`,
      ...commit.parents.map((parent) => `parent ${toHex(parent)}`),
      `author ${commit.author}`,
      `time   ${formatTime(commit.timeMs)}`,
      `state  ${toHex(commit.stateRoot)}`,
      `ledger ${toHex(commit.ledgerRoot)}`,
      "",
      ...indented,
      "",
    ].join("\n"),
  );
}

/** A time that a calendar cannot hold is shown as the number that it is. */
export function formatTime(timeMs: number): string {
  return timeMs <= 8.64e15 ? new Date(timeMs).toISOString() : `${timeMs} ms`;
}

async function newCommit(session: Session, _args: readonly string[], options: Options): Promise<void> {
  const head = requiredOption(options, "head");
  const manifests = listOption(options, "manifest").map((hash) => parseHash(hash, "manifest"));
  const made = await (
    await session.client()
  ).commit(
    head,
    {
      author: requiredOption(options, "author"),
      message: requiredOption(options, "message"),
      manifests,
      ...expectedOptions(options),
    },
    { signal: session.signal, ...idempotencyOption(options) },
  );
  const { commit } = made;
  await session.output.result(
    {
      head,
      commit: commit.hash,
      state_root: commit.stateRoot,
      manifests: commit.ledgerRoot,
      log_index: made.receipt.logIndex,
    },
    () => `${toHex(commit.hash)}  ${head}, state ${toHex(commit.stateRoot)}, log index ${made.receipt.logIndex}`,
  );
}

async function showCommit(session: Session, args: readonly string[]): Promise<void> {
  const commit = await (
    await session.client()
  ).commits.get(parseHash(args[0] ?? "", "commit"), { signal: session.signal });
  await session.output.result(commitMembers(commit), () => commitText(commit));
}

async function showLog(session: Session, args: readonly string[], options: Options): Promise<void> {
  const [, directory] = args;
  if (directory !== undefined) {
    if (args[0] === "export") return exportLog(session, directory, options);
    throw new InvalidArgument("log takes one head, or export and a directory", { field: "arguments" });
  }
  const call = { signal: session.signal, ...freshOption(options), ...pageOptions(options) };
  const commits = (await session.client()).commits.log(headOrTag(args[0] ?? ""), call);
  for await (const commit of commits) await session.output.result(commitMembers(commit), () => commitText(commit));
}
