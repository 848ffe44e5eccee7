// A garbage collection as messages. It gives way to other calls by itself, and ends with its caller.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { AdminServiceCollectGarbageResponseSchema } from "../../gen/neleus/v1/admin_pb.js";
import type { CollectEvent, CollectOptions, Database } from "../database/index.js";
import { endedError } from "./pace.js";

type ResponseInit = MessageInitShape<typeof AdminServiceCollectGarbageResponseSchema>;

export async function* collectStream(
  database: Database,
  options: CollectOptions & { readonly signal: AbortSignal },
): AsyncGenerator<ResponseInit, void, undefined> {
  const { signal } = options;
  try {
    for await (const event of database.collectGarbage(options)) yield { event: eventMessage(event) };
  } catch (error) {
    throw signal.aborted && error === signal.reason ? endedError(signal) : error;
  }
}

function eventMessage(event: CollectEvent): NonNullable<ResponseInit["event"]> {
  if (event.kind === "progress") {
    return { case: "progress", value: { phase: event.phase, done: BigInt(event.done) } };
  }
  const { isDryRun, nodesKept, nodes, commits } = event.summary;
  const value = {
    dryRun: isDryRun,
    nodesKept: BigInt(nodesKept),
    nodesFreed: BigInt(nodes.rows),
    nodeBytesFreed: BigInt(nodes.bytes),
    commitsFreed: BigInt(commits.rows),
    commitBytesFreed: BigInt(commits.bytes),
  };
  return { case: "summary", value };
}
