// Turns the status of a failed call back into the error that the service threw.
//
// The reason lies in a google.rpc.ErrorInfo of domain `neleus`, the field in a google.rpc.BadRequest, both inside the
// google.rpc.Status that comes beside the status (service/errors.ts writes them). Without them, as from a proxy or from
// grpc-js itself, the status code decides.
//
// A server is not trusted: details of any content are read within bounds and never throw, texts lose their control
// characters before a terminal can see them, and no server can make a client say that a proof failed or is missing:
// those errors are the verifier's own (test/rpc/wire-error.test.ts).
import { fromBinary, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { BadRequestSchema, ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { StatusSchema, type Status } from "../../gen/google/rpc/status_pb.js";
import {
  AlreadyExists,
  Conflict,
  Corrupt,
  Forked,
  InvalidArgument,
  LimitExceeded,
  NeleusError,
  NewEpoch,
  NotFound,
  PermissionDenied,
  Pruned,
  RolledBack,
  Unavailable,
  Unsupported,
  type ErrorCode,
  type ErrorDetails,
} from "../core/errors.js";

/** How a call failed, as the wire tells it. */
export interface WireFailure {
  /** Status code of gRPC. */
  readonly code: number;
  readonly message: string;
  /** A serialized google.rpc.Status, if one came along. */
  readonly details?: Uint8Array | undefined;
  /** Where the server is, for the message. */
  readonly address: string;
}

/** The error to throw. Never throws itself. */
export function errorFromWire(failure: WireFailure): NeleusError {
  const status = readStatus(failure);
  const info = status && readDetail(status, ErrorInfoSchema);
  if (status !== undefined && info?.domain === "neleus" && isWireCode(info.reason)) {
    return build(info.reason, cleanText(failure.message), detailsOf(status, info.metadata));
  }
  return errorFromCode(failure);
}

/** Longer details are not read: the server keeps them within 4 KiB. */
const MAX_DETAILS_BYTES = 65_536;
const MAX_TEXT_CHARACTERS = 2_048;
const MAX_FACTS = 64;
const MAX_ANYS = 16;

type WireCode = Exclude<ErrorCode, "VERIFICATION_FAILED" | "INCOMPLETE_PROOF" | "NOT_ANCHORED" | "MALFORMED">;

type Build = (message: string, details: ErrorDetails) => NeleusError;

const plain =
  (code: ErrorCode): Build =>
  (message, details) =>
    new NeleusError(code, message, details);

/** What each code that a server may send becomes. A Map, since the key comes from outside. */
const BUILDERS = new Map<string, Build>(
  Object.entries({
    NOT_FOUND: (message, details) => new NotFound(message, details),
    ERASED: plain("ERASED"),
    PRUNED: (message, details) => new Pruned(message, details),
    CONFLICT: (message, details) => new Conflict(message, details),
    ALREADY_EXISTS: (message, details) => new AlreadyExists(message, details),
    PERMISSION_DENIED: (message, details) => new PermissionDenied(message, details),
    UNAUTHENTICATED: plain("UNAUTHENTICATED"),
    UNAVAILABLE: (message, details) => new Unavailable(message, details),
    DEADLINE_EXCEEDED: plain("DEADLINE_EXCEEDED"),
    CANCELLED: plain("CANCELLED"),
    CORRUPT: (message, details) => new Corrupt(message, details),
    LIMIT_EXCEEDED: (message, details) => new LimitExceeded(message, details),
    ROLLED_BACK: (message, details) => new RolledBack(message, details),
    NEW_EPOCH: (message, details) => new NewEpoch(message, details),
    FORKED: (message, details) => new Forked(message, details),
    UNSUPPORTED: (message, details) => new Unsupported(message, details),
    INVALID_ARGUMENT: (message, details) => new InvalidArgument(message, details),
    INTERNAL: plain("INTERNAL"),
  } satisfies Record<WireCode, Build>),
);

function isWireCode(reason: string): reason is WireCode {
  return BUILDERS.has(reason);
}

function build(code: WireCode, message: string, details: ErrorDetails): NeleusError {
  return (BUILDERS.get(code) ?? plain("INTERNAL"))(message, details);
}

/** The details, where there are any that belong to this status. */
function readStatus({ code, details }: WireFailure): Status | undefined {
  if (details === undefined || details.length > MAX_DETAILS_BYTES) return undefined;
  try {
    const status = fromBinary(StatusSchema, details, { readUnknownFields: false });
    return status.code === code ? status : undefined;
  } catch {
    return undefined;
  }
}

function readDetail<M extends DescMessage>(status: Status, schema: M): MessageShape<M> | undefined {
  for (const any of status.details.slice(0, MAX_ANYS)) {
    try {
      const message = anyUnpack(any, schema);
      if (message !== undefined) return message;
    } catch {
      // Another detail may be whole.
    }
  }
  return undefined;
}

function detailsOf(status: Status, metadata: Readonly<Record<string, string>>): ErrorDetails {
  const facts: [string, string][] = [];
  let hint: string | undefined;
  for (const [name, value] of Object.entries(metadata).slice(0, MAX_FACTS)) {
    if (name === "hint") hint = cleanText(value);
    else facts.push([cleanText(name), cleanText(value)]);
  }
  const field = readDetail(status, BadRequestSchema)?.fieldViolations[0]?.field;
  return {
    facts: Object.fromEntries(facts),
    ...(hint === undefined ? {} : { hint }),
    ...(field === undefined ? {} : { field: cleanText(field) }),
  };
}

/** Text that a terminal may show: no control characters, no changes of direction, of bounded length. */
function cleanText(text: string): string {
  return text.slice(0, MAX_TEXT_CHARACTERS).replace(/[\p{Cc}\p{Cs}\u2028\u2029\u202A-\u202E\u2066-\u2069]/gu, " ");
}

/** What a status without details means, by its number. */
const CODE_OF_STATUS: ReadonlyMap<number, WireCode> = new Map([
  [1, "CANCELLED"],
  [3, "INVALID_ARGUMENT"],
  [4, "DEADLINE_EXCEEDED"],
  [5, "NOT_FOUND"],
  [6, "ALREADY_EXISTS"],
  [7, "PERMISSION_DENIED"],
  [8, "LIMIT_EXCEEDED"],
  // Something is not as the call supposed: whoever sent it, the caller has to look again.
  [9, "CONFLICT"],
  [10, "CONFLICT"],
  [11, "INVALID_ARGUMENT"],
  [12, "UNSUPPORTED"],
  [14, "UNAVAILABLE"],
  [15, "CORRUPT"],
  [16, "UNAUTHENTICATED"],
]);

function errorFromCode(failure: WireFailure): NeleusError {
  const { address } = failure;
  const message = cleanText(failure.message);
  const code = CODE_OF_STATUS.get(failure.code) ?? "INTERNAL";
  if (code === "UNAVAILABLE") return unavailable(address, message);
  // A reset that this side did not ask for: the caller cancelled nothing.
  if (code === "CANCELLED") return new Unavailable(`the server at ${address} broke the call off`);
  if (code === "DEADLINE_EXCEEDED") return build(code, `no answer from ${address} before the deadline`, {});
  return build(code, `${address}: ${message === "" ? `status ${failure.code}` : message}`, {});
}

/** grpc-js words a failed connection for its own developers; what helps a caller is the reason at its end. */
function unavailable(address: string, message: string): Unavailable {
  const failed =
    /^No connection established\. Last error: (?:Error: )?(?<reason>.*?)(?: \(\d{4}-[^)]*\))?(?:\. Resolution note: .*)?$/;
  const reason = failed.exec(message)?.groups?.["reason"];
  if (reason !== undefined || message.startsWith("Name resolution failed")) {
    return new Unavailable(`cannot reach ${address}: ${reason ?? message}`, {
      hint: `is a server running there? start one with: neleus serve --listen ${address}`,
      facts: { address },
    });
  }
  return new Unavailable(`the connection to ${address} was lost: ${message}`, { facts: { address } });
}
