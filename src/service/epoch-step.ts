// From one epoch of the log to the next, in a message: what a client needs to follow by itself (FORMATS §7).
import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  ProofServiceProveEpochRequest,
  ProofServiceProveEpochResponseSchema,
} from "../../gen/neleus/v1/proof_pb.js";
import { toHex } from "../core/bytes.js";
import { parseOrigin } from "../core/log/index.js";
import { get } from "../core/map/index.js";
import { LOG_KEYS_KEY } from "../core/object/index.js";
import { openDatabase, type ServiceEnvironment } from "./environment.js";
import { checkField, integerField } from "./request.js";
import { readWithWitness } from "./reveal-message.js";
import { knownCheckpointField } from "./snapshot.js";

export async function proveEpoch(
  environment: ServiceEnvironment,
  request: ProofServiceProveEpochRequest,
): Promise<MessageInitShape<typeof ProofServiceProveEpochResponseSchema>> {
  const epoch = integerField(request.epoch, "epoch");
  const known = knownCheckpointField(request);
  const database = await openDatabase(environment, request);
  const origin = known && checkField("known_checkpoint", () => parseOrigin(known.origin));
  // Of another log than the epoch's: no size of it.
  const isOfEpoch = origin?.epoch === epoch && toHex(origin.databaseId) === database.id;
  const { end, beginning } = await database.epochs.step({ epoch, knownSize: isOfEpoch ? known?.size : undefined });
  const { checkpoint, consistency, leaf, inclusion } = end.log;
  return {
    end: {
      log: { checkpoint, consistency: [...consistency], leaf, inclusion: [...inclusion] },
      refs: readWithWitness(end, get(end.refs, LOG_KEYS_KEY)).nodes,
    },
    beginning: { ...beginning, inclusion: [...beginning.inclusion] },
  };
}
