// Commits that were finished elsewhere: their bytes come in signed, and say what the head must be like for them to fit.
//
// Everything that a commit made here would be held to is checked here too, before the round: texts, time, the database it
// names, at most one parent. Whether head, state and ledger are still those that it was prepared on is for the round to see.
import { toHex } from "../core/bytes.js";
import { InvalidArgument, Malformed } from "../core/errors.js";
import { MAX_OBJECT_BYTES } from "../core/limits.js";
import { commitHashOf, decodeCommit } from "../core/object/index.js";
import type { Commit } from "../core/object/index.js";
import type { StoredCommit } from "./view-contract.js";
import { requireMeta, requireSomeText, requireText } from "./text.js";
import type { Turns } from "./turns.js";
import { requireValidSignatures } from "./valid-signatures.js";

/** A finished commit, checked by itself. */
export interface SignedCommit extends StoredCommit {
  /** The keys whose valid signatures it bears: those of all its signatures. */
  readonly signers: readonly Uint8Array[];
}

const FIELD = "signed_commit";

function wrong(what: string, cause?: unknown): InvalidArgument {
  return new InvalidArgument(`${FIELD}: ${what}`, { field: FIELD }, { cause });
}

/**
 * The commit in bytes that a request brought.
 * @throws InvalidArgument - not a canonical commit; without signatures, or with one that is not valid; of another database, a
 *   merge, or with texts that no commit made here could have
 * @throws Unsupported - a commit of a version not known
 */
export async function checkSignedCommit(
  received: Uint8Array,
  of: { readonly databaseId: string; readonly turns: Turns },
): Promise<SignedCommit> {
  if (received.length > MAX_OBJECT_BYTES) throw wrong(`at most ${MAX_OBJECT_BYTES} bytes, not ${received.length}`);
  const bytes = new Uint8Array(received);
  const object = decoded(bytes);
  requireOrdinary(object, of.databaseId);
  const signed = { tag: "commit:", bytes, signatures: object.signatures } as const;
  const signers = await requireValidSignatures(signed, { field: FIELD, turns: of.turns });
  return { hash: commitHashOf(bytes), bytes, object, signers };
}

function decoded(bytes: Uint8Array): Commit {
  try {
    return decodeCommit(bytes).object;
  } catch (cause) {
    throw cause instanceof Malformed ? wrong(cause.message, cause) : cause;
  }
}

/** @throws InvalidArgument */
function requireOrdinary(commit: Commit, databaseId: string): void {
  const { parents, database } = commit;
  if (parents.length > 1) throw wrong(`a commit of a head has one parent, not ${parents.length}`);
  if (database === undefined || toHex(database) !== databaseId) {
    const named = database === undefined ? "none" : toHex(database);
    throw wrong(`it names the database ${named}, and this is ${databaseId}`);
  }
  try {
    requireSomeText("author", commit.author);
    requireText("message", commit.message);
    if (commit.meta !== undefined) requireMeta(commit.meta);
  } catch (cause) {
    throw cause instanceof InvalidArgument ? wrong(cause.message, cause) : cause;
  }
}
