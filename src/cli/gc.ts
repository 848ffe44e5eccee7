// neleus db gc: frees what nothing leads to any more.
import type { Command } from "commander";
import type { CollectSummary } from "../client/collect.js";
import { counted } from "./output.js";
import { leaf } from "./command.js";
import type { Session } from "./session.js";

type Options = Readonly<Record<string, unknown>>;

export function registerGc(db: Command): void {
  leaf(db, "gc", "free map nodes and commits that nothing leads to any more", collect).option(
    "--dry-run",
    "count what would be freed, and free nothing",
  );
}

async function collect(session: Session, _args: readonly string[], options: Options): Promise<void> {
  const { output, signal } = session;
  const client = await session.client();
  let summary: CollectSummary | undefined;
  for await (const event of client.collectGarbage({ dryRun: options["dryRun"] === true, signal })) {
    if (event.kind === "summary") ({ summary } = event);
    else output.progress(`${event.phase} ${event.done}`);
  }
  output.progressDone();
  if (summary === undefined) return;
  const { dryRun, nodesKept, nodesFreed, nodeBytesFreed, commitsFreed, commitBytesFreed } = summary;
  await output.result(
    {
      dry_run: dryRun,
      nodes_kept: nodesKept,
      nodes_freed: nodesFreed,
      node_bytes_freed: nodeBytesFreed,
      commits_freed: commitsFreed,
      commit_bytes_freed: commitBytesFreed,
    },
    () =>
      `${dryRun ? "would free" : "freed"} ${counted(nodesFreed, "node")} (${counted(nodeBytesFreed, "byte")}) and ${counted(commitsFreed, "commit")} ` +
      `(${counted(commitBytesFreed, "byte")}); kept: ${counted(nodesKept, "node")}`,
  );
}
