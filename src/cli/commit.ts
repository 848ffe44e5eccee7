// neleus commit and neleus log: versions of a head.
import type { Command } from "commander";
import { fileSigner } from "../client/file-signer.js";
import type { CommitRecord } from "../client/records.js";
import { toHex } from "../core/bytes.js";
import { InvalidArgument } from "../core/errors.js";
import {
  freshOption,
  group,
  idempotencyOption,
  leaf,
  pageOptions,
  textOption,
  withFreshness,
  withIdempotencyKey,
} from "./command.js";
import { commitRequest, withCommitOptions } from "./commit-options.js";
import { printCommitted, registerCommitSigning, signatureLines, signatureMembers } from "./commit-signing.js";
import { parseHash } from "./encoding.js";
import { printableText, type Printable } from "./output.js";
import { exportLog } from "./log-export.js";
import { headOrTag } from "./place.js";
import type { Session } from "./session.js";

type Options = Readonly<Record<string, unknown>>;

export function registerCommit(program: Command): void {
  const commit = group(program, "commit", "versions of state and ledger");
  const make = leaf(commit, "new", "make a commit of what is staged on a head", newCommit);
  withIdempotencyKey(withCommitOptions(make)).option("--sign-key <file>", "sign it: a file of neleus key new");
  registerCommitSigning(commit);
  leaf(commit, "show <hash>", "one commit", showCommit);
  withFreshness(leaf(program, "log <head> [dir]", "commits of a head or tag:NAME, newest first", showLog))
    .addHelpText(
      "after",
      "\nneleus log export DIR writes the transparency log as static tiles (C2SP tlog-tiles), which other tools mirror.",
    )
    .option("--show-signature", "who has signed each, and whether it is valid")
    .option("--epoch <n>", "with export: the log of an epoch that has ended")
    .option("--limit <n>", "at most this many")
    .option("--max-bytes <n>", "end behind the commit with which the bytes of all of them reach this");
}

/** Whether signatures are shown, and the keys of the head that is read, where one is. */
interface Shown {
  readonly listed?: readonly Uint8Array[] | undefined;
}

function commitMembers(commit: CommitRecord, shown?: Shown): Record<string, Printable> {
  return {
    commit: commit.hash,
    parents: commit.parents,
    author: commit.author,
    message: commit.message,
    time: commit.timeMs,
    state_root: commit.stateRoot,
    manifests: commit.ledgerRoot,
    ...(Object.keys(commit.meta).length === 0 ? {} : { meta: commit.meta }),
    ...(shown && { signatures: signatureMembers(commit.signatures, shown.listed) }),
  };
}

function commitText(commit: CommitRecord, shown?: Shown): string {
  const indented = commit.message.split("\n").map((line) => `    ${line}`);
  return printableText(
    [
      `commit ${toHex(commit.hash)}`,
      ...commit.parents.map((parent) => `parent ${toHex(parent)}`),
      `author ${commit.author}`,
      `time   ${formatTime(commit.timeMs)}`,
      `state  ${toHex(commit.stateRoot)}`,
      `ledger ${toHex(commit.ledgerRoot)}`,
      ...(shown === undefined ? [] : signatureLines(commit.signatures, shown.listed)),
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
  const { head, request } = commitRequest(options);
  const signKey = textOption(options, "signKey");
  const signer = signKey === undefined ? undefined : await fileSigner(signKey);
  const call = { signal: session.signal, ...idempotencyOption(options), signer };
  await printCommitted(session, head, await (await session.client()).commit(head, request, call));
}

async function showCommit(session: Session, args: readonly string[]): Promise<void> {
  const commit = await (
    await session.client()
  ).commits.get(parseHash(args[0] ?? "", "commit"), { signal: session.signal });
  await session.output.result(commitMembers(commit, {}), () => commitText(commit, {}));
}

async function showLog(session: Session, args: readonly string[], options: Options): Promise<void> {
  const [, directory] = args;
  if (directory !== undefined) {
    if (args[0] === "export") return exportLog(session, directory, options);
    throw new InvalidArgument("log takes one head, or export and a directory", { field: "arguments" });
  }
  if (textOption(options, "epoch") !== undefined) {
    throw new InvalidArgument("--epoch goes with export", { field: "epoch" });
  }
  const call = { signal: session.signal, ...freshOption(options), ...pageOptions(options) };
  const client = await session.client();
  const of = headOrTag(args[0] ?? "");
  let shown: Shown | undefined;
  if (options["showSignature"] === true) {
    shown = "head" in of ? { listed: await client.heads.keys(of.head, { signal: session.signal }) } : {};
  }
  for await (const commit of client.commits.log(of, call)) {
    await session.output.result(commitMembers(commit, shown), () => commitText(commit, shown));
  }
}
