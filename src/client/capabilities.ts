// What a server says of itself. Nothing of it is proved: limits save round trips, and the key is trusted on first use only
// where the caller has pinned none.
import { VerificationFailed } from "../core/errors.js";
import { AdminService, type AdminServiceGetCapabilitiesResponse, type Limits } from "../../gen/neleus/v1/admin_pb.js";
import type { Connection } from "./connection.js";
import type { Capabilities, LimitName } from "./contract.js";
import { receivedInteger, receivedPart } from "./received.js";
import type { CallOptions } from "./transport.js";

const LIMIT_NAMES: readonly LimitName[] = [
  "messageBytes",
  "keyBytes",
  "inlineValueBytes",
  "batchKeys",
  "batchBlobs",
  "blobBytes",
  "heads",
  "minChunkBytes",
  "maxChunkBytes",
  "chunks",
  "uploadExpiryMs",
  "freshLeafIntervalMs",
  "idempotencyKeyCharacters",
  "requestExpiryMs",
  "tags",
  "logWaitMs",
  "keysOfHead",
  "headKeys",
  "pathCommits",
  "pathBytes",
];

/** @throws VerificationFailed - the answer has no limits, or one over 2^53 − 1 */
export async function getCapabilities(connection: Connection, options: CallOptions = {}): Promise<Capabilities> {
  const { database } = connection;
  const answer: AdminServiceGetCapabilitiesResponse = await connection.unary(
    AdminService.method.getCapabilities,
    { database },
    options,
  );
  if (answer.verifierKey === "") throw new VerificationFailed("the server names no verifier key");
  return {
    version: answer.version,
    features: [...answer.features],
    databaseId: answer.databaseId,
    origin: answer.origin,
    verifierKey: answer.verifierKey,
    nextVerifierKey: answer.nextVerifierKey === "" ? undefined : answer.nextVerifierKey,
    limits: receivedLimits(receivedPart(answer.limits, "limits")),
  };
}

function receivedLimits(limits: Limits): Record<LimitName, number> {
  const narrowed = LIMIT_NAMES.map((name) => [name, receivedInteger(limits[name], `the limit ${name}`)] as const);
  return Object.fromEntries(narrowed) as Record<LimitName, number>;
}
