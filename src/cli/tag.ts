// neleus tag: names of commits that do not move.
import type { Command } from "commander";
import { toHex } from "../core/bytes.js";
import { InvalidArgument, NotFound } from "../core/errors.js";
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
import type { Session } from "./session.js";

type Options = Readonly<Record<string, unknown>>;

export function registerTag(program: Command): void {
  const tag = group(program, "tag", "names of commits that do not move");
  withFreshness(leaf(tag, "list", "all tags, provably complete", listTags)).option(
    "--prefix <text>",
    "only those whose names start so",
  );
  withIdempotencyKey(leaf(tag, "create <tag>", "name a commit", createTag))
    .option("--commit <hash>", "the commit")
    .option("--head <head>", "the newest commit of this head");
  withIdempotencyKey(leaf(tag, "delete <tag>", "remove a tag; its commit stays readable by hash", deleteTag)).option(
    "--expected-commit <hash>",
    "only while this is its commit",
  );
  withFreshness(leaf(tag, "show <tag>", "its commit and the roots of that", showTag));
}

async function listTags(session: Session, _args: readonly string[], options: Options): Promise<void> {
  const prefix = textOption(options, "prefix");
  const tags = (await session.client()).tags.list({ prefix, signal: session.signal, ...freshOption(options) });
  for await (const { tag, commitHash } of tags) {
    await session.output.result({ tag, commit: commitHash }, () => `${tag}  ${toHex(commitHash)}`);
  }
}

async function createTag(session: Session, args: readonly string[], options: Options): Promise<void> {
  const [tag = ""] = args;
  const commit = await namedCommit(session, options);
  const call = { signal: session.signal, ...idempotencyOption(options) };
  const receipt = await (await session.client()).tags.create(tag, commit, call);
  await session.output.result(
    { tag, commit, log_index: receipt.logIndex },
    () => `created tag ${tag} at ${toHex(commit)}`,
  );
}

/** @throws InvalidArgument - none, or two @throws NotFound - the head has none */
async function namedCommit(session: Session, options: Options): Promise<Uint8Array> {
  const [hash, head] = [textOption(options, "commit"), textOption(options, "head")];
  if ((hash === undefined) === (head === undefined)) {
    throw new InvalidArgument("say what the tag names: --commit HASH or --head HEAD", { field: "commit" });
  }
  if (hash !== undefined) return parseHash(hash, "commit");
  const { commitHash } = await (await session.client()).snapshot(head ?? "", { signal: session.signal });
  if (commitHash !== undefined) return commitHash;
  throw new NotFound(`head "${head}" has no commit yet`, {
    field: "head",
    hint: `make one: neleus commit new --head ${head}`,
    facts: { kind: "commit", head: head ?? "" },
  });
}

async function deleteTag(session: Session, args: readonly string[], options: Options): Promise<void> {
  const [tag = ""] = args;
  const receipt = await (
    await session.client()
  ).tags.delete(tag, { signal: session.signal, ...idempotencyOption(options), ...expectedOptions(options) });
  await session.output.result({ tag, log_index: receipt.logIndex }, () => `deleted tag ${tag}`);
}

async function showTag(session: Session, args: readonly string[], options: Options): Promise<void> {
  const [tag = ""] = args;
  const client = await session.client();
  const { commit } = await client.tag(tag, { signal: session.signal, ...freshOption(options) });
  await session.output.result(
    { tag, commit: commit.hash, state_root: commit.stateRoot, manifests: commit.ledgerRoot },
    () =>
      [
        `tag     ${tag}`,
        `commit  ${toHex(commit.hash)}`,
        `state   ${toHex(commit.stateRoot)}`,
        `ledger  ${toHex(commit.ledgerRoot)}`,
      ].join("\n"),
  );
}
