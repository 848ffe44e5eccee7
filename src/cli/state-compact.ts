// neleus state compact: the room of what a head has replaced, back. Nodes belong to whoever leads to them and not to a head, so
// this is `db gc`, told by the head that it was asked for; the head's root stays what it is.
import type { Command } from "commander";
import type { CollectSummary } from "../client/collect.js";
import { toHex } from "../core/bytes.js";
import { counted } from "./output.js";
import { leaf } from "./command.js";
import type { Session } from "./session.js";

export function registerStateCompact(state: Command): void {
  leaf(state, "compact <head>", "free what nothing leads to any more; the root stays the same", compact);
}

async function compact(session: Session, args: readonly string[]): Promise<void> {
  const [head = ""] = args;
  const { output, signal } = session;
  const client = await session.client();
  // A head that is not there is told before anything is freed.
  const { staged } = await client.snapshot(head, { signal });
  const root = staged.stateRoot;
  let summary: CollectSummary | undefined;
  for await (const event of client.collectGarbage({ signal })) {
    if (event.kind === "summary") ({ summary } = event);
    else output.progress(`${event.phase} ${event.done}`);
  }
  output.progressDone();
  const { nodesFreed = 0, nodeBytesFreed = 0 } = summary ?? {};
  await output.result(
    { head, root, nodes_freed: nodesFreed, bytes_freed: nodeBytesFreed },
    () => `${head} at ${toHex(root)}: freed ${counted(nodesFreed, "node")}, ${counted(nodeBytesFreed, "byte")}`,
  );
}
