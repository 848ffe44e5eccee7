// neleus head: named lines of commits.
import type { Command } from "commander";
import type { HeadRecord } from "../client/records.js";
import { toHex } from "../core/bytes.js";
import { InvalidArgument } from "../core/errors.js";
import {
  expectedOptions,
  freshOption,
  group,
  idempotencyOption,
  leaf,
  textOption,
  withFreshness,
  withIdempotencyKey,
} from "./command.js";
import { parseHash } from "./encoding.js";
import type { Printable } from "./output.js";
import type { Session } from "./session.js";

type Options = Readonly<Record<string, unknown>>;

export function registerHead(program: Command): void {
  const head = group(program, "head", "named lines of commits");
  withFreshness(leaf(head, "list", "all heads, provably complete", listHeads));
  withIdempotencyKey(
    leaf(head, "create <head>", "make a head, empty or at a commit", createHead).option(
      "--commit <hash>",
      "where it starts",
    ),
  );
  withIdempotencyKey(
    leaf(head, "delete <head>", "remove a head; its commits stay readable by hash", deleteHead).option(
      "--expected-commit <hash>",
      "only while this is its commit",
    ),
  );
  withIdempotencyKey(
    leaf(head, "reset <head>", "drop what is staged; with --commit, move the head there", resetHead)
      .option("--commit <hash>", "any commit; default: the head's newest")
      .option("--empty", "to no commit: empty state and ledger")
      .option("--expected-commit <hash>", "only while this is its commit")
      .option("--expected-root <hash>", "only while this is its staged root"),
  );
  withFreshness(leaf(head, "show <head>", "its commit and its staged and committed roots", showHead));
}

function headMembers(head: HeadRecord): Record<string, Printable> {
  return {
    head: head.head,
    commit: head.commitHash,
    staged_root: head.stagedStateRoot,
    staged_manifests: head.stagedLedgerRoot,
  };
}

async function listHeads(session: Session, _args: readonly string[], options: Options): Promise<void> {
  const { heads } = await session.client();
  for (const head of await heads.list({ signal: session.signal, ...freshOption(options) })) {
    await session.output.result(
      headMembers(head),
      () => `${head.head}  ${head.commitHash === undefined ? "(no commit)" : toHex(head.commitHash)}`,
    );
  }
}

async function createHead(session: Session, args: readonly string[], options: Options): Promise<void> {
  const [head = ""] = args;
  const commit = textOption(options, "commit");
  const receipt = await (
    await session.client()
  ).heads.create(head, {
    signal: session.signal,
    ...idempotencyOption(options),
    ...(commit === undefined ? {} : { commit: parseHash(commit, "commit") }),
  });
  await session.output.result({ head, commit, log_index: receipt.logIndex }, () => `created head ${head}`);
}

async function deleteHead(session: Session, args: readonly string[], options: Options): Promise<void> {
  const [head = ""] = args;
  const receipt = await (
    await session.client()
  ).heads.delete(head, { signal: session.signal, ...idempotencyOption(options), ...expectedOptions(options) });
  await session.output.result({ head, log_index: receipt.logIndex }, () => `deleted head ${head}`);
}

/** What is reset to is what was looked at: where others move the head meanwhile, nothing happens. */
async function resetHead(session: Session, args: readonly string[], options: Options): Promise<void> {
  const [head = ""] = args;
  const { signal } = session;
  const [hash, isEmpty] = [textOption(options, "commit"), options["empty"] === true];
  if (hash !== undefined && isEmpty)
    throw new InvalidArgument("give --commit or --empty, not both", { field: "empty" });
  const client = await session.client();
  const before = await client.snapshot(head, { signal });
  const newest = before.commitHash ?? null;
  const commit = isEmpty ? null : hash === undefined ? newest : parseHash(hash, "commit");
  const receipt = await client.heads.reset(head, {
    signal,
    ...idempotencyOption(options),
    commit,
    ...(hash === undefined && !isEmpty ? { expectedCommit: newest } : {}),
    ...expectedOptions(options),
  });
  await session.output.result(
    {
      head,
      commit: commit ?? undefined,
      log_index: receipt.logIndex,
      before: { commit: newest ?? undefined, staged_root: before.staged.stateRoot },
    },
    () => `head ${head} is at ${shown(commit)}, it was at ${shown(newest)}`,
  );
}

function shown(commit: Uint8Array | null): string {
  return commit === null ? "no commit" : toHex(commit);
}

async function showHead(session: Session, args: readonly string[], options: Options): Promise<void> {
  const [head = ""] = args;
  const snapshot = await (await session.client()).snapshot(head, { signal: session.signal, ...freshOption(options) });
  const { staged, commitHash } = snapshot;
  await session.output.result(
    {
      head,
      commit: commitHash,
      staged_root: staged.stateRoot,
      committed_root: commitHash === undefined ? undefined : snapshot.stateRoot,
      staged_manifests: staged.ledgerRoot,
    },
    () =>
      [
        `head       ${head}`,
        `commit     ${commitHash === undefined ? "(none)" : toHex(commitHash)}`,
        `committed  ${commitHash === undefined ? "(none)" : toHex(snapshot.stateRoot)}`,
        `staged     ${toHex(staged.stateRoot)}${commitHash !== undefined && toHex(staged.stateRoot) === toHex(snapshot.stateRoot) ? " (nothing to commit)" : ""}`,
        `ledger     ${toHex(staged.ledgerRoot)}`,
      ].join("\n"),
  );
}
