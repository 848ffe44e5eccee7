// Leaves of the log in messages, each of which proves its own to be those of the checkpoint that the first one brings.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  ProofServiceListLogEntriesRequest,
  ProofServiceListLogEntriesResponseSchema,
} from "../../gen/neleus/v1/proof_pb.js";
import { openDatabase, type ServiceEnvironment } from "./environment.js";
import type { CallContext } from "./implementation.js";
import { messageBytes } from "./message-size.js";
import { Pace } from "./pace.js";
import { epochField, logViewOf, minLogSizeField } from "./read-selector.js";
import { integerField } from "./request.js";
import { knownCheckpointField, logProofMessage } from "./snapshot.js";

export async function* listLogEntries(
  environment: ServiceEnvironment,
  request: ProofServiceListLogEntriesRequest,
  { signal, memory }: CallContext,
): AsyncGenerator<MessageInitShape<typeof ProofServiceListLogEntriesResponseSchema>, void, undefined> {
  const first = integerField(request.start, "start");
  const asked = request.end === undefined ? undefined : integerField(request.end, "end");
  const known = knownCheckpointField(request);
  const minLogSize = minLogSizeField(request);
  const epoch = epochField(request);
  const database = await openDatabase(environment, request);
  const view = await logViewOf(database, { epoch, minLogSize, known, signal });
  const end = asked ?? view.logSize;
  const pace = new Pace(signal);
  for (let start = first; start === first || start < end;) {
    const part = await view.logEntries({ start, end }, { maxBytes: messageBytes(memory) });
    const log = start === first ? { log: await logProofMessage(database, view, known) } : {};
    const { leaves, left, right } = part;
    yield { ...log, first: BigInt(start), leaves: [...leaves], left: [...left], right: [...right] };
    start += leaves.length;
    if (pace.isDue) await pace.rest();
  }
}
