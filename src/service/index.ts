// The services of neleus.v1 over the engine, ready for a transport: gRPC (server/) or in process (client/embedded).
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
