// Exit codes: the last column of the one table of errors (docs/API.md).
import type { ErrorCode } from "../core/errors.js";

/** What the program exits with for each code. 0 is done; for `verify`, shown and anchored. */
export const EXIT_CODES: Readonly<Record<ErrorCode, number>> = {
  VERIFICATION_FAILED: 1,
  INCOMPLETE_PROOF: 2,
  NOT_ANCHORED: 3,
  NOT_FOUND: 4,
  ERASED: 4,
  PRUNED: 4,
  CONFLICT: 5,
  ALREADY_EXISTS: 5,
  PERMISSION_DENIED: 6,
  UNAUTHENTICATED: 6,
  UNAVAILABLE: 7,
  DEADLINE_EXCEEDED: 7,
  CANCELLED: 7,
  CORRUPT: 8,
  LIMIT_EXCEEDED: 9,
  ROLLED_BACK: 10,
  NEW_EPOCH: 10,
  FORKED: 10,
  UNSUPPORTED: 11,
  MALFORMED: 64,
  INVALID_ARGUMENT: 64,
  INTERNAL: 70,
};

/** Wrong usage: an unknown command or option, a missing argument. */
export const EXIT_USAGE = 64;
