// Whether a commit lies below another one, along first parents.
import { equalBytes } from "../core/bytes.js";
import type { CommitHash } from "../core/hashes.js";
import type { VerifierOptions } from "./commit-checking.js";
import type { Commits } from "./sections.js";
import type { CallOptions } from "./transport.js";

/** Commits of others that may have been made on a head while a write to it was under way, before it and after it each. */
const MAX_OTHER_COMMITS = 1_000;

/** True where a commit is found on the way down along first parents, not too far below. */
export async function isInChain(
  commits: Commits,
  chain: { readonly start: CommitHash; readonly sought: CommitHash },
  options: CallOptions & VerifierOptions,
): Promise<boolean> {
  const { start, sought } = chain;
  if (equalBytes(start, sought)) return true;
  for await (const { parents } of commits.log({ commit: start }, { ...options, limit: MAX_OTHER_COMMITS })) {
    const [parent] = parents;
    if (parent !== undefined && equalBytes(parent, sought)) return true;
  }
  return false;
}
