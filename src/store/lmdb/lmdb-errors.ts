// What LMDB's return codes mean for the caller.
//
// Codes of the system are positive `errno` values; LMDB's own lie between −30799 and −30770. A failed commit is
// reported by the binding as a generic error whose `commitError` is a promise that rejects with the real one.
import { constants } from "node:os";
import { Corrupt, NeleusError, Unavailable } from "../../core/errors.js";
import { fileError } from "../files/file-system.js";

const MDB_PAGE_NOTFOUND = -30797;
const MDB_CORRUPTED = -30796;
const MDB_PANIC = -30795;
const MDB_VERSION_MISMATCH = -30794;
const MDB_INVALID = -30793;
const MDB_MAP_FULL = -30792;
const MDB_READERS_FULL = -30790;

/** What an error is said to have interrupted when a transaction failed. */
export const WRITING = "write to";

/** The error under a failed commit, which the binding hides behind a promise; any other error as it is. */
export async function causeOfCommit(error: unknown): Promise<unknown> {
  if (!(error instanceof Error) || !("commitError" in error)) return error;
  try {
    await error.commitError;
    return error;
  } catch (cause) {
    return cause;
  }
}

/** True where LMDB could not write or flush: what failed was a call of the system, or LMDB gave up because one had before. */
export function isOfSystem(error: unknown): boolean {
  if (error instanceof NeleusError) return false;
  const code = numericCode(error);
  return code !== undefined && (code > 0 || code === MDB_PANIC);
}

/** What every write is refused with after one has failed in LMDB. */
export function noMoreWrites(cause: unknown, path: string): Unavailable {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new Unavailable(
    `this process writes no more to ${path}: an earlier write failed (${why})`,
    { hint: "check the device, then start the process again", facts: { path, reason: "earlier-write-failed" } },
    { cause },
  );
}

/** The typed error for a failure of LMDB in the database at `path`. Errors of ours, and bugs, pass through unchanged. */
export function lmdbError(error: unknown, action: { readonly doing: string; readonly path: string }): unknown {
  if (error instanceof NeleusError) return error;
  const code = numericCode(error);
  if (code === undefined) return error;
  if (code > 0) return systemError(error, { code: systemCodeOf(code), ...action });
  const what = error instanceof Error ? error.message : String(code);
  const message = `could not ${action.doing} ${action.path}: ${what}`;
  const facts = { path: action.path, lmdb_code: String(code) };
  switch (code) {
    case MDB_PAGE_NOTFOUND:
    case MDB_CORRUPTED:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
      return new Corrupt(message, { hint: "restore the database from a backup", facts }, { cause: error });
    case MDB_PANIC:
      return new Unavailable(message, { hint: "close the database and open it again", facts }, { cause: error });
    case MDB_MAP_FULL:
      return new Unavailable(
        message,
        { hint: "the process may not map more memory (ulimit -v)", facts },
        { cause: error },
      );
    case MDB_READERS_FULL:
      return new Unavailable(
        message,
        { hint: "too many processes have the database open; close some", facts },
        { cause: error },
      );
    default:
      return new Unavailable(message, { facts }, { cause: error });
  }
}

function numericCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "number" ? error.code : undefined;
}

/** LMDB reports a write that the system cut short, as it does where a disk fills up, as EIO too. */
function systemError(
  error: unknown,
  failure: { readonly code: string; readonly doing: string; readonly path: string },
): unknown {
  const { code, doing, path } = failure;
  if (code !== "EIO" || doing !== WRITING) return fileError(withSystemCode(error, code), failure);
  return new Unavailable(
    `could not ${doing} ${path}: the device reports an input/output error, or is full (EIO)`,
    { hint: `free space where ${path} lies and check the device, then retry`, facts: { path, system_code: code } },
    { cause: error },
  );
}

function systemCodeOf(errno: number): string {
  return Object.entries(constants.errno).find(([, value]) => value === errno)?.[0] ?? `errno ${errno}`;
}

/** The same failure in the form that Node gives to its own system errors. */
function withSystemCode(error: unknown, code: string): Error {
  const message = error instanceof Error ? error.message : code;
  return Object.assign(new Error(message, { cause: error }), { code });
}
