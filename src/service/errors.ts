// The one table from the errors of neleus to gRPC statuses, and the status that a caller gets for an error.
//
// Beside code and message a status carries a serialized google.rpc.Status, which transports send as they are made to
// (gRPC: metadata `grpc-status-details-bin`). In it lie
//   google.rpc.ErrorInfo   {reason: the ErrorCode, domain: "neleus", metadata: the facts, and the hint under "hint"}
//   google.rpc.BadRequest  {field_violations: [{field, description}]} where the error names a field
// so that a client gets back the error that the service threw. The whole is at most MAX_ERROR_DETAILS_BYTES: larger
// ones have been seen to hang clients. Text is cut and facts are dropped to fit, the code and the field never.
//
// What is not a NeleusError, and every code that only a bug or a verifier can cause, becomes INTERNAL: the caller gets
// the id of the request, and the text goes to the log alone, since it may name paths, keys or values.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { anyPack, type Any } from "@bufbuild/protobuf/wkt";
import { BadRequestSchema, ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { StatusSchema, type Status } from "../../gen/google/rpc/status_pb.js";
import { assert, NeleusError, type ErrorCode } from "../core/errors.js";
import { MAX_ERROR_DETAILS_BYTES } from "../core/limits.js";

/** The status codes of gRPC that this program sends, by their numbers on the wire. */
export const GrpcStatus = {
  CANCELLED: 1,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

/** A status code of gRPC. */
export type GrpcStatusCode = (typeof GrpcStatus)[keyof typeof GrpcStatus];

/** The domain of every ErrorInfo. */
export const ERROR_DOMAIN = "neleus";

/** The key of ErrorInfo's metadata that holds the hint. */
export const HINT_KEY = "hint";

/**
 * The status of each error. Codes that only verifiers raise, and MALFORMED, which every boundary must have turned into
 * something else, are bugs when they get this far.
 */
export const STATUS_OF: Readonly<Record<ErrorCode, GrpcStatusCode>> = {
  VERIFICATION_FAILED: GrpcStatus.INTERNAL,
  INCOMPLETE_PROOF: GrpcStatus.INTERNAL,
  NOT_ANCHORED: GrpcStatus.INTERNAL,
  NOT_FOUND: GrpcStatus.NOT_FOUND,
  ERASED: GrpcStatus.NOT_FOUND,
  PRUNED: GrpcStatus.NOT_FOUND,
  CONFLICT: GrpcStatus.ABORTED,
  ALREADY_EXISTS: GrpcStatus.ALREADY_EXISTS,
  PERMISSION_DENIED: GrpcStatus.PERMISSION_DENIED,
  UNAUTHENTICATED: GrpcStatus.UNAUTHENTICATED,
  UNAVAILABLE: GrpcStatus.UNAVAILABLE,
  DEADLINE_EXCEEDED: GrpcStatus.DEADLINE_EXCEEDED,
  CANCELLED: GrpcStatus.CANCELLED,
  CORRUPT: GrpcStatus.DATA_LOSS,
  LIMIT_EXCEEDED: GrpcStatus.RESOURCE_EXHAUSTED,
  ROLLED_BACK: GrpcStatus.FAILED_PRECONDITION,
  NEW_EPOCH: GrpcStatus.FAILED_PRECONDITION,
  FORKED: GrpcStatus.FAILED_PRECONDITION,
  UNSUPPORTED: GrpcStatus.UNIMPLEMENTED,
  MALFORMED: GrpcStatus.INTERNAL,
  INVALID_ARGUMENT: GrpcStatus.INVALID_ARGUMENT,
  INTERNAL: GrpcStatus.INTERNAL,
};

/** How a call ended, as a transport sends it. */
export interface CallStatus {
  readonly code: GrpcStatusCode;
  /** Well-formed text of at most 1 KiB. */
  readonly message: string;
  /** A serialized google.rpc.Status of at most MAX_ERROR_DETAILS_BYTES, with the same code and message. */
  readonly details: Uint8Array;
}

/** Takes the text of failures that the caller must not see: for the log. Must not throw. */
export type FailureLogger = (failure: { readonly requestId: string; readonly error: unknown }) => void;

const MAX_STATUS_TEXT_BYTES = 1024;
const MAX_HINT_BYTES = 512;
/** A note of a checkpoint in base 64 fits. */
const MAX_FACT_BYTES = 1024;
const MAX_FIELD_BYTES = 256;

/** The status for whatever a handler threw. `logFailure` gets what becomes INTERNAL, once. Never throws. */
export function toStatus(error: unknown, call: { requestId: string; logFailure: FailureLogger }): CallStatus {
  if (error instanceof NeleusError && STATUS_OF[error.code] !== GrpcStatus.INTERNAL) return statusOf(error);
  const abort = abortCode(error);
  if (abort !== undefined) return statusOf(new NeleusError(abort, "the call was ended by its caller"));
  call.logFailure({ requestId: call.requestId, error });
  return statusOf(
    new NeleusError("INTERNAL", `internal error; the server's log has it under request ${call.requestId}`, {
      facts: { request_id: call.requestId },
    }),
  );
}

/** Node's own functions throw these two when a signal that was handed to them fires. */
function abortCode(error: unknown): "CANCELLED" | "DEADLINE_EXCEEDED" | undefined {
  if (!(error instanceof Error)) return undefined;
  if (error.name === "AbortError") return "CANCELLED";
  return error.name === "TimeoutError" ? "DEADLINE_EXCEEDED" : undefined;
}

/** The same for an error that is part of an answer: one item's, where the call succeeds. */
export function statusMessage(error: NeleusError): Status {
  assert(STATUS_OF[error.code] !== GrpcStatus.INTERNAL, "an item is refused for what its sender can mend");
  return fromBinary(StatusSchema, statusOf(error).details);
}

function statusOf(error: NeleusError): CallStatus {
  const code = STATUS_OF[error.code];
  const message = shorten(error.message, MAX_STATUS_TEXT_BYTES);
  const facts = Object.entries(error.facts).map(
    ([name, value]) => [shorten(name, MAX_FACT_BYTES), shorten(value, MAX_FACT_BYTES)] as const,
  );
  if (error.hint !== undefined) facts.unshift([HINT_KEY, shorten(error.hint, MAX_HINT_BYTES)]);
  let kept = facts.length;
  let details = serialize({ code, message, error, facts });
  while (details.length > MAX_ERROR_DETAILS_BYTES) {
    kept = Math.floor(kept / 2);
    details = serialize({ code, message, error, facts: facts.slice(0, kept) });
  }
  return { code, message, details };
}

function serialize(status: {
  code: GrpcStatusCode;
  message: string;
  error: NeleusError;
  facts: readonly (readonly [string, string])[];
}): Uint8Array {
  const { code, message, error } = status;
  const metadata = Object.fromEntries(status.facts);
  const details: Any[] = [
    anyPack(ErrorInfoSchema, create(ErrorInfoSchema, { reason: error.code, domain: ERROR_DOMAIN, metadata })),
  ];
  if (error.field !== undefined) {
    const field = shorten(error.field, MAX_FIELD_BYTES);
    const violation = { field, description: message };
    details.push(anyPack(BadRequestSchema, create(BadRequestSchema, { fieldViolations: [violation] })));
  }
  return toBinary(StatusSchema, create(StatusSchema, { code, message, details }));
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The text as well-formed Unicode of at most `maxBytes` bytes of UTF-8, with an ellipsis where it was cut. */
function shorten(text: string, maxBytes: number): string {
  // A character is at most three bytes of UTF-8 for each of its code units: what cannot be kept is not encoded.
  const bytes = encoder.encode(text.slice(0, maxBytes + 1));
  if (bytes.length <= maxBytes) return decoder.decode(bytes);
  let end = maxBytes - 3;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return `${decoder.decode(bytes.subarray(0, end))}…`;
}
