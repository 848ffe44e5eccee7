// Has a server free what nothing leads to any more.
import { VerificationFailed } from "../core/errors.js";
import { AdminService, type AdminServiceCollectGarbageResponse } from "../../gen/neleus/v1/admin_pb.js";
import { callOptions, type Connection } from "./connection.js";
import { receivedInteger } from "./received.js";
import type { CallOptions } from "./transport.js";

export interface CollectOptions extends CallOptions {
  /** True: counts what would be freed, and frees nothing. */
  readonly dryRun?: boolean | undefined;
}

/** What was freed, or would be. */
export interface CollectSummary {
  readonly dryRun: boolean;
  /** That something leads to. */
  readonly nodesKept: number;
  readonly nodesFreed: number;
  /** Keys and pages aside. */
  readonly nodeBytesFreed: number;
  readonly commitsFreed: number;
  readonly commitBytesFreed: number;
}

export type CollectEvent =
  | { readonly kind: "progress"; readonly phase: string; readonly done: number }
  | { readonly kind: "summary"; readonly summary: CollectSummary };

/** See `Database.collectGarbage`. */
export async function* collectGarbage(
  connection: Connection,
  options: CollectOptions = {},
): AsyncGenerator<CollectEvent, void, undefined> {
  const { database } = connection;
  const request = { database, dryRun: options.dryRun === true };
  let hasEnded = false;
  for await (const message of connection.serverStream(
    AdminService.method.collectGarbage,
    request,
    callOptions(options),
  )) {
    if (hasEnded) throw new VerificationFailed("the collection goes on behind its summary");
    const event = receivedEvent(message);
    hasEnded = event.kind === "summary";
    yield event;
  }
  if (!hasEnded) throw new VerificationFailed("the collection ended without a summary");
}

function receivedEvent({ event }: AdminServiceCollectGarbageResponse): CollectEvent {
  switch (event.case) {
    case "progress":
      return { kind: "progress", phase: event.value.phase, done: receivedInteger(event.value.done, "the progress") };
    case "summary": {
      const { dryRun, nodesKept, nodesFreed, nodeBytesFreed, commitsFreed, commitBytesFreed } = event.value;
      const summary = {
        dryRun,
        nodesKept: receivedInteger(nodesKept, "what was kept"),
        nodesFreed: receivedInteger(nodesFreed, "what was freed"),
        nodeBytesFreed: receivedInteger(nodeBytesFreed, "what was freed"),
        commitsFreed: receivedInteger(commitsFreed, "what was freed"),
        commitBytesFreed: receivedInteger(commitBytesFreed, "what was freed"),
      };
      return { kind: "summary", summary };
    }
    case undefined:
      throw new VerificationFailed("a message of a collection says nothing");
  }
}
