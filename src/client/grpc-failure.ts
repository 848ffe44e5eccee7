// What grpc-js reports of a failed call, as the error to throw.
import type { ServiceError } from "@grpc/grpc-js";
import { NeleusError, Unavailable } from "../core/errors.js";
import { errorFromWire } from "./wire-error.js";

/** The error that the server sent, or that stands for what happened on the way to it. */
export function errorFromGrpc(error: unknown, address: string): NeleusError {
  if (error instanceof NeleusError) return error;
  if (!isServiceError(error)) {
    const message = error instanceof Error ? error.message : "unknown failure";
    return new Unavailable(`the call to ${address} failed: ${message}`, {}, { cause: error });
  }
  const [details] = error.metadata.get("grpc-status-details-bin");
  return errorFromWire({
    code: error.code,
    message: error.details,
    details: typeof details === "object" ? details : undefined,
    address,
  });
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && typeof error.code === "number" && "metadata" in error;
}
