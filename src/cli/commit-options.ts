// What a commit is to say, as options: of commit new and of commit prepare.
import type { Command } from "commander";
import type { CommitRequest } from "../client/records.js";
import { collect, expectedOptions, listOption, requiredOption } from "./command.js";
import { parseHash } from "./encoding.js";

export function withCommitOptions(command: Command): Command {
  return command
    .requiredOption("--head <head>", "the head")
    .requiredOption("--author <text>", "who makes it")
    .requiredOption("--message <text>", "why")
    .option("--manifest <hash>", "add this manifest to the ledger (repeatable)", collect, [])
    .option("--expected-commit <hash>", "only while this is the head's newest commit")
    .option("--expected-root <hash>", "only while this is staged: it is the state of the commit");
}

/** What those options say, for the client. @throws InvalidArgument */
export function commitRequest(options: Readonly<Record<string, unknown>>): {
  readonly head: string;
  readonly request: CommitRequest;
} {
  return {
    head: requiredOption(options, "head"),
    request: {
      author: requiredOption(options, "author"),
      message: requiredOption(options, "message"),
      manifests: listOption(options, "manifest").map((hash) => parseHash(hash, "manifest")),
      ...expectedOptions(options),
    },
  };
}
