// Runs one call to its end, whatever its kind: opens it, answers it once, and turns what fails into a status.
import { Metadata } from "@grpc/grpc-js";
import { NeleusError } from "../core/errors.js";
import { GrpcStatus, toStatus } from "../service/errors.js";
import type { ServerLimits } from "./limits.js";
import { errorFields, type Logger } from "./logger.js";
import type { OpenCall, OpenCalls, SurfaceCall } from "./open-calls.js";
import type { RequestWatch } from "./request-watch.js";
import type { SendBudget } from "./send-budget.js";
import { wireStatus, type WireStatus } from "./status.js";

/** What every call needs. */
export interface CallEnvironment {
  readonly calls: OpenCalls;
  /** Of those that are no calls yet. */
  readonly requests: RequestWatch;
  /** What all answers may hold back together. */
  readonly sendBudget: SendBudget;
  readonly limits: ServerLimits;
  readonly logger: Logger;
}

export interface CallParts {
  readonly call: SurfaceCall;
  /** `/package.Service/Method`. */
  readonly path: string;
  /** Calls the handler and sends its answer. */
  readonly body: (open: OpenCall) => Promise<void>;
  /** Sends a status in place of an answer, or after part of one. */
  readonly fail: (status: WireStatus) => void;
}

/** Never rejects: a call without a status would leave its caller waiting for ever. */
export async function runCall(environment: CallEnvironment, parts: CallParts): Promise<void> {
  const { logger } = environment;
  const open = environment.calls.open(parts.call, parts.path);
  let code = 0;
  try {
    open.throwIfEnded();
    await parts.body(open);
  } catch (error) {
    const status = statusOf(environment, open, error);
    code = status.code;
    if (!open.isOver) parts.fail(status);
  } finally {
    open.answered();
    if (logger.isEnabled("debug")) {
      const duration_ms = Math.round(performance.now() - open.startedMs);
      logger.log("debug", "call ended", { request_id: open.requestId, path: open.path, code, duration_ms });
    }
  }
}

/** The status of a failed call: once it was ended, why it was ended, whatever the handler made of that. */
function statusOf(environment: CallEnvironment, open: OpenCall, error: unknown): WireStatus {
  const { logger } = environment;
  const { requestId, path } = open;
  const log = (message: string, thrown: unknown): void =>
    logger.log("error", message, { request_id: requestId, path, ...errorFields(thrown) });
  const logFailure = (failure: { readonly error: unknown }): void => log("internal error", failure.error);
  if (error instanceof NeleusError && error.code === "CORRUPT") log("stored bytes do not match their hash", error);
  // The caller is told what became of the write; why it could not be signed is the operator's to know.
  if (error instanceof NeleusError && error.facts["outcome"] === "applied")
    log("a durable write was not signed", error);
  try {
    const status = toStatus(error, { requestId, logFailure });
    return wireStatus(open.endedBy === undefined ? status : toStatus(open.endedBy, { requestId, logFailure }));
  } catch (bug) {
    // Also an error that cannot be put into bytes must end its call.
    log("no status for an error", bug);
    return { code: GrpcStatus.INTERNAL, details: `internal error ${requestId}`, metadata: new Metadata() };
  }
}
