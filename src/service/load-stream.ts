// A load as it comes: a header, entries, an explicit finish. Nothing but the finish moves the head; whichever way the call
// ends, the engine's load is closed before the caller hears of it.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  LoadEntries,
  LoadHeader,
  StateServiceLoadRequest,
  StateServiceLoadResponseSchema,
} from "../../gen/neleus/v1/state_pb.js";
import type { Load, Loaded, LoadOptions } from "../database/index.js";
import { openDatabase, type ServiceEnvironment } from "./environment.js";
import type { CallContext } from "./implementation.js";
import { incoming } from "./incoming.js";
import { endedBy, Pace } from "./pace.js";
import { receiptMessage } from "./receipt.js";
import {
  forField,
  forFieldsBelow,
  headField,
  idempotencyField,
  integerField,
  invalid,
  mapRootField,
} from "./request.js";
import { repeatableLoggedRefs } from "./logged-refs.js";

type Part = StateServiceLoadRequest["part"];

/** @throws InvalidArgument, NotFound, Conflict, LimitExceeded - as the rpc says */
export async function loadStream(
  environment: ServiceEnvironment,
  messages: AsyncIterable<StateServiceLoadRequest>,
  context: CallContext,
): Promise<MessageInitShape<typeof StateServiceLoadResponseSchema>> {
  const requests = incoming(messages, context.signal);
  try {
    const first = await requests.next();
    const header = first.done === true ? undefined : first.value.part;
    if (header?.case !== "header") throw invalid("part", `the stream begins with ${nameOf(header)}, not with a header`);
    const head = headField(header.value.head, "header.head");
    const idempotency = idempotencyField(header.value, "header.idempotency_key");
    const options = { expectedRoot: expectedField(header.value), ...idempotency };
    const database = await openDatabase(environment, header.value, "header.database");
    const load = await forFieldsBelow("header", database.states.load(head, options));
    try {
      const loaded = await fill(load, requests, context);
      const { root, beforeRoot, keys, receipt } = loaded;
      const shown = repeatableLoggedRefs(head, loaded);
      return { root, beforeRoot, keys: BigInt(keys), receipt: receiptMessage(receipt), ...shown };
    } finally {
      await load.close();
    }
  } finally {
    await requests.return();
  }
}

async function fill(
  load: Load,
  requests: AsyncIterable<StateServiceLoadRequest>,
  context: CallContext,
): Promise<Loaded> {
  const pace = new Pace(context.signal);
  for await (const { part } of requests) {
    if (pace.isDue) await pace.rest();
    if (part.case === "finish") return finish(load, part.value, context.signal);
    if (part.case !== "entries") throw invalid("part", `${nameOf(part)} comes where entries or the finish belong`);
    await load.add(requirePaired(part.value));
  }
  throw invalid("part", `the stream ends after ${load.count} entries without a finish; nothing was changed`);
}

function requirePaired(entries: LoadEntries): LoadEntries {
  if (entries.keys.length === entries.values.length) return entries;
  throw invalid("entries.values", `${entries.values.length} values for ${entries.keys.length} keys`);
}

async function finish(load: Load, claim: { readonly count: bigint }, signal: AbortSignal): Promise<Loaded> {
  const count = integerField(claim.count, "finish.count");
  if (count !== load.count) throw invalid("finish.count", `${count}, where ${load.count} entries have arrived`);
  return forField("finish", endedBy(signal, load.finish({ signal })));
}

function expectedField({ condition }: LoadHeader): LoadOptions["expectedRoot"] {
  switch (condition.case) {
    case "expectedRoot":
      return mapRootField(condition.value, "header.expected_root");
    case "expectedEmpty":
      if (condition.value) return "empty";
      throw invalid("header.expected_empty", "is false, which states nothing");
    case undefined:
      return undefined;
  }
}

function nameOf(part: Part | undefined): string {
  if (part === undefined) return "its end";
  if (part.case === undefined) return "a message without a part";
  return part.case === "entries" ? "entries" : `a ${part.case} message`;
}
