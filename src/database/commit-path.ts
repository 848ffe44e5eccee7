// The way down from one commit to another through history: breadth first, so that it is the shortest there is.
//
// Histories that were merged have many ways, and most commits of a large one may lie beside the way that is wanted. So what
// is read is bounded by itself, and the search gives way to others as it goes. It holds a few hundred bytes for each commit
// that it has met, and none of their bytes: those on the way are read again.
import { equalBytes, toHex } from "../core/bytes.js";
import { LimitExceeded, NotFound, assert } from "../core/errors.js";
import type { CommitHash } from "../core/hashes.js";
import { MAX_PATH_BYTES, MAX_PATH_COMMITS, MAX_PATH_SEARCH_BYTES, MAX_PATH_SEARCH_COMMITS } from "../core/limits.js";
import type { CommitPathOptions } from "./commit-contract.js";
import type { StoredObjects } from "./objects.js";
import { Turns } from "./turns.js";
import type { StoredCommit } from "./view-contract.js";

/** A commit that the search has met, by the way that it was met on first. */
interface Met {
  readonly hash: CommitHash;
  /** The one that names it as a parent; undefined for the first. */
  readonly child: Met | undefined;
  /** How many commits the way down to it has, itself included and the first not. */
  readonly steps: number;
  /** Bytes of those above it on that way. */
  readonly bytesAbove: number;
}

/** Why a part of the history was left out. */
type Cut = "path_commits" | "path_bytes";

/** Errors as of `Commits.path`. */
export async function findCommitPath(
  objects: StoredObjects,
  options: CommitPathOptions,
): Promise<readonly StoredCommit[]> {
  const { from, to, signal } = options;
  const wanted = await objects.commit(to);
  const turns = new Turns(signal);
  const queue: Met[] = [{ hash: from, child: undefined, steps: 0, bytesAbove: 0 }];
  const seen = new Set([toHex(from)]);
  let readBytes = 0;
  let cut: Cut | undefined;
  // The queue grows as it is walked.
  for (const [index, met] of queue.entries()) {
    await turns.giveWay();
    if (index >= MAX_PATH_SEARCH_COMMITS) throw tooMuchHistory("path_search_commits", MAX_PATH_SEARCH_COMMITS);
    const { bytes, object } = objects.commitReferred(met.hash, referrer(met, options));
    readBytes += bytes.length;
    if (readBytes > MAX_PATH_SEARCH_BYTES) throw tooMuchHistory("path_search_bytes", MAX_PATH_SEARCH_BYTES);
    // The first is not on the way: the proof holds it beside.
    const pathBytes = met.child === undefined ? 0 : met.bytesAbove + bytes.length;
    if (pathBytes > MAX_PATH_BYTES) {
      cut ??= "path_bytes";
      continue;
    }
    if (equalBytes(met.hash, wanted.hash)) return commitsOn(met, { objects, turns });
    if (met.steps === MAX_PATH_COMMITS) {
      if (object.parents.length > 0) cut ??= "path_commits";
      continue;
    }
    for (const hash of object.parents) {
      const name = toHex(hash);
      if (seen.has(name)) continue;
      seen.add(name);
      queue.push({ hash, child: met, steps: met.steps + 1, bytesAbove: pathBytes });
    }
  }
  throw cut === undefined ? notAnAncestor(wanted, options.name) : tooFarDown(wanted, cut);
}

function referrer({ child }: Met, { name }: CommitPathOptions): string {
  return child === undefined ? name : `commit ${toHex(child.hash)}`;
}

/** The commits of a way, from its top down, without the first one. */
async function commitsOn(
  last: Met,
  { objects, turns }: { readonly objects: StoredObjects; readonly turns: Turns },
): Promise<StoredCommit[]> {
  const commits: StoredCommit[] = [];
  for (let met = last; met.child !== undefined; met = met.child) {
    await turns.giveWay();
    commits.push(objects.commitReferred(met.hash, `commit ${toHex(met.child.hash)}`));
  }
  assert(commits.length === last.steps, "a way has as many commits as steps");
  return commits.reverse();
}

function notAnAncestor({ hash }: StoredCommit, name: string): NotFound {
  const hex = toHex(hash);
  return new NotFound(`commit ${hex} is not in the history of ${name}`, {
    field: "commit",
    hint: "it may be in that of another head or tag: see neleus head list, neleus tag list",
    facts: { kind: "commit", hash: hex },
  });
}

function tooFarDown({ hash }: StoredCommit, cut: Cut): LimitExceeded {
  const value = cut === "path_commits" ? MAX_PATH_COMMITS : MAX_PATH_BYTES;
  const unit = cut === "path_commits" ? "commits" : "bytes of commits";
  const hex = toHex(hash);
  return new LimitExceeded(`commit ${hex} is not found within ${value} ${unit}`, {
    field: "commit",
    hint: "prove it from a tag or head that is nearer to it: neleus tag create",
    facts: { limit: cut, value: String(value), hash: hex },
  });
}

function tooMuchHistory(limit: "path_search_commits" | "path_search_bytes", value: number): LimitExceeded {
  const unit = limit === "path_search_commits" ? "commits" : "bytes of commits";
  return new LimitExceeded(`the way to that commit is not found among ${value} ${unit}`, {
    field: "commit",
    hint: "prove it from a tag or head that is nearer to it: neleus tag create",
    facts: { limit, value: String(value) },
  });
}
