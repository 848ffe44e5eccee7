// The services of neleus.v1 over the engine, ready for a transport: gRPC (server/) or in process (client/embedded).
import { AdminService } from "../../gen/neleus/v1/admin_pb.js";
import { BlobService } from "../../gen/neleus/v1/blob_pb.js";
import { CommitService } from "../../gen/neleus/v1/commit_pb.js";
import { ManifestService } from "../../gen/neleus/v1/manifest_pb.js";
import { ProofService } from "../../gen/neleus/v1/proof_pb.js";
import { StateService } from "../../gen/neleus/v1/state_pb.js";
import { adminService } from "./admin-service.js";
import { blobService } from "./blob-service.js";
import { commitService } from "./commit-service.js";
import type { ServiceEnvironment } from "./environment.js";
import { bindService, type ServiceBinding } from "./implementation.js";
import { manifestService } from "./manifest-service.js";
import { proofService } from "./proof-service.js";
import { stateService } from "./state-service.js";

export {
  ERROR_DOMAIN,
  GrpcStatus,
  HINT_KEY,
  STATUS_OF,
  toStatus,
  type CallStatus,
  type FailureLogger,
  type GrpcStatusCode,
} from "./errors.js";
export type { ServiceEnvironment } from "./environment.js";
export {
  bindService,
  type CallContext,
  type Handler,
  type ServiceBinding,
  type ServiceImplementation,
} from "./implementation.js";

/** Every service of neleus.v1, bound to its descriptor. */
export function createServices(environment: ServiceEnvironment): ServiceBinding[] {
  return [
    bindService(StateService, stateService(environment)),
    bindService(BlobService, blobService(environment)),
    bindService(CommitService, commitService(environment)),
    bindService(ManifestService, manifestService(environment)),
    bindService(ProofService, proofService(environment)),
    bindService(AdminService, adminService(environment)),
  ];
}
