// The one table of errors: each code is one reaction that a caller can have.
//
// `docs/API.md` shows the same table with gRPC statuses and exit codes; the mapping itself lives in
// `service/errors.ts` (statuses) and `cli/exit.ts` (exit codes), so that core stays free of both.

/** Every failure that neleus reports on purpose carries one of these codes. */
export type ErrorCode =
  | "VERIFICATION_FAILED"
  | "INCOMPLETE_PROOF"
  | "NOT_ANCHORED"
  | "NOT_FOUND"
  | "ERASED"
  | "PRUNED"
  | "CONFLICT"
  | "ALREADY_EXISTS"
  | "PERMISSION_DENIED"
  | "UNAUTHENTICATED"
  | "UNAVAILABLE"
  | "DEADLINE_EXCEEDED"
  | "CANCELLED"
  | "CORRUPT"
  | "LIMIT_EXCEEDED"
  | "ROLLED_BACK"
  | "NEW_EPOCH"
  | "FORKED"
  | "UNSUPPORTED"
  | "MALFORMED"
  | "INVALID_ARGUMENT"
  | "INTERNAL";

/** What an error can say beside its message. Every value is a short string, so that it crosses the wire unchanged. */
export interface ErrorDetails {
  /** The request field or option that is wrong, in the request's own spelling, e.g. `operations[3].key`. */
  readonly field?: string;
  /** What to do next, as one sentence or a command. */
  readonly hint?: string;
  /** Machine-readable facts: `hash`, `head`, `current_root`, `limit`, `expected`, `actual`, … */
  readonly facts?: Readonly<Record<string, string>>;
}

/** The base of every error thrown on purpose. Anything else that escapes is a bug and is reported as `INTERNAL`. */
export class NeleusError extends Error {
  readonly code: ErrorCode;
  readonly field: string | undefined;
  readonly hint: string | undefined;
  readonly facts: Readonly<Record<string, string>>;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
    this.field = details.field;
    this.hint = details.hint;
    this.facts = details.facts ?? {};
  }
}

/** What the server or a file says is wrong: stop, and keep the evidence. Raised by verifiers only. */
export class VerificationFailed extends NeleusError {
  /** What was received, so that it can be shown to others. */
  readonly evidence: unknown;
  constructor(message: string, details: ErrorDetails & { readonly evidence?: unknown } = {}, options?: ErrorOptions) {
    super("VERIFICATION_FAILED", message, details, options);
    this.evidence = details.evidence;
  }
}

/** The proof is consistent as far as it goes, but does not show what was asked. Raised by verifiers only. */
export class IncompleteProof extends NeleusError {
  constructor(message: string, details: ErrorDetails = {}, options?: ErrorOptions) {
    super("INCOMPLETE_PROOF", message, details, options);
  }
}

/** Consistent, but there is no root or key to hold it against. Raised by verifiers only. */
export class NotAnchored extends NeleusError {
  constructor(message: string, details: ErrorDetails = {}, options?: ErrorOptions) {
    super("NOT_ANCHORED", message, details, options);
  }
}

/** The thing named does not exist. A missing head is not a missing key: `facts.kind` says which it is. */
export class NotFound extends NeleusError {
  constructor(message: string, details: ErrorDetails = {}, options?: ErrorOptions) {
    super("NOT_FOUND", message, details, options);
  }
}

/** It was here, or may have been, and is no longer kept: a staged state that was replaced. Take a new snapshot. */
export class Pruned extends NeleusError {
  constructor(message: string, details: ErrorDetails = {}, options?: ErrorOptions) {
    super("PRUNED", message, details, options);
  }
}

/** Somebody was first; `facts.current_root` is what is there now. */
export class Conflict extends NeleusError {
  constructor(message: string, details: ErrorDetails = {}, options?: ErrorOptions) {
    super("CONFLICT", message, details, options);
  }
}

export class AlreadyExists extends NeleusError {
  constructor(message: string, details: ErrorDetails = {}, options?: ErrorOptions) {
    super("ALREADY_EXISTS", message, details, options);
  }
}

/** The caller may not do this, or nobody may as things stand: the hint says what would have to change. */
export class PermissionDenied extends NeleusError {
  constructor(message: string, details: ErrorDetails = {}, options?: ErrorOptions) {
    super("PERMISSION_DENIED", message, details, options);
  }
}

/** The server cannot be reached or is going away: retry. */
export class Unavailable extends NeleusError {
  constructor(message: string, details: ErrorDetails = {}, options?: ErrorOptions) {
    super("UNAVAILABLE", message, details, options);
  }
}

/** Stored bytes do not match their hash; the message names them. Never returned as data. */
export class Corrupt extends NeleusError {
  constructor(message: string, details: ErrorDetails = {}, options?: ErrorOptions) {
    super("CORRUPT", message, details, options);
  }
}

/** A stated limit was passed; `facts.limit` names it and `facts.value` is the limit. */
export class LimitExceeded extends NeleusError {
  constructor(message: string, details: ErrorDetails = {}, options?: ErrorOptions) {
    super("LIMIT_EXCEEDED", message, details, options);
  }
}

/** The log that the server shows is behind one that this client has already seen. */
export class RolledBack extends NeleusError {
  readonly evidence: unknown;
  constructor(message: string, details: ErrorDetails & { readonly evidence?: unknown } = {}, options?: ErrorOptions) {
    super("ROLLED_BACK", message, details, options);
    this.evidence = details.evidence;
  }
}

/** Two checkpoints of one origin and size that differ, or that are not consistent. */
export class Forked extends NeleusError {
  readonly evidence: unknown;
  constructor(message: string, details: ErrorDetails & { readonly evidence?: unknown } = {}, options?: ErrorOptions) {
    super("FORKED", message, details, options);
    this.evidence = details.evidence;
  }
}

/** The database is in another epoch (other origin or key) than the one trusted, and nothing trusted leads there. */
export class NewEpoch extends NeleusError {
  readonly evidence: unknown;
  constructor(message: string, details: ErrorDetails & { readonly evidence?: unknown } = {}, options?: ErrorOptions) {
    super("NEW_EPOCH", message, details, options);
    this.evidence = details.evidence;
  }
}

/** A version or kind that this program does not know. Not corruption. */
export class Unsupported extends NeleusError {
  constructor(message: string, details: ErrorDetails = {}, options?: ErrorOptions) {
    super("UNSUPPORTED", message, details, options);
  }
}

/**
 * Bytes that break a format's rules, before it is known whose fault that is. Only core throws it. Each boundary
 * turns it into the caller's reaction: a request → `InvalidArgument`, a proof → `VerificationFailed`,
 * a stored object → `Corrupt`.
 */
export class Malformed extends NeleusError {
  constructor(message: string, details: ErrorDetails = {}, options?: ErrorOptions) {
    super("MALFORMED", message, details, options);
  }
}

/** The request is wrong; `field` names the part. */
export class InvalidArgument extends NeleusError {
  constructor(message: string, details: ErrorDetails = {}, options?: ErrorOptions) {
    super("INVALID_ARGUMENT", message, details, options);
  }
}

/** A bug of ours. Input never reaches this: outside bytes are refused with the errors above. */
export class AssertionFailed extends NeleusError {
  constructor(message: string, options?: ErrorOptions) {
    super("INTERNAL", message, {}, options);
  }
}

/** States what the code relies on. For our own bugs, never for input. */
export function assert(condition: unknown, message: string): asserts condition {
  if (condition !== true && !condition) throw new AssertionFailed(message);
}
