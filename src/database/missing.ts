// What to say when a thing named does not exist: which kind of thing, its name, and the next command (docs/API.md).
import { toHex } from "../core/bytes.js";
import { NotFound, Pruned } from "../core/errors.js";
import type { Digest } from "../core/hashes.js";

/** No head of this name; the nearest of those there are is proposed. */
export function missingHead(name: string, heads: readonly string[]): NotFound {
  const near = nearestName(name, heads);
  const guess = near === undefined ? "" : ` (did you mean "${near}"?)`;
  return new NotFound(`head "${name}" does not exist${guess}`, {
    field: "head",
    hint: `see: neleus head list; or make it: neleus head create ${name}`,
    facts: { kind: "head", head: name, ...(near === undefined ? {} : { nearest: near }) },
  });
}

/** No tag of this name; the nearest of those given is proposed. */
export function missingTag(name: string, tags: readonly string[]): NotFound {
  const near = nearestName(name, tags);
  const guess = near === undefined ? "" : ` (did you mean "${near}"?)`;
  return new NotFound(`tag "${name}" does not exist${guess}`, {
    field: "tag",
    hint: `see: neleus tag list; or make it: neleus tag create ${name} --head main`,
    facts: { kind: "tag", tag: name, ...(near === undefined ? {} : { nearest: near }) },
  });
}

/** The head is there, but nobody has committed on it. */
export function missingHeadCommit(name: string): NotFound {
  return new NotFound(`head "${name}" has no commit yet`, {
    field: "head",
    hint: `read its staged state, or make a commit: neleus commit new --head ${name}`,
    facts: { kind: "commit", head: name },
  });
}

/** No object, blob or map of this hash. */
export function missingHash(kind: "blob" | "commit" | "manifest" | "root", hash: Digest): NotFound {
  const hex = toHex(hash);
  const hints = {
    blob: "store it first: neleus blob put",
    commit: "see: neleus log",
    manifest: "see: neleus manifest put-doc",
    root: "a document is stored together with its chunks: neleus manifest put-doc",
  };
  return new NotFound(`no ${kind === "root" ? "map with the root" : kind} ${hex} in this database`, {
    hint: hints[kind],
    facts: { kind, hash: hex },
  });
}

/** No map of this root, or part of it is gone: a staged state that was replaced, or no root of this database ever. */
export function prunedRoot(root: Digest): Pruned {
  const hash = toHex(root);
  return new Pruned(`no map with the root ${hash} is kept in this database`, {
    hint: "a staged state is freed soon after it was replaced: take a new snapshot; commit what is to be read later",
    facts: { kind: "root", hash },
  });
}

/** More edits than this are no slip. It also bounds the work: a stranger may ask after any name, among many heads. */
const MAX_SLIPS = 3;

/** The name with the fewest edits from `name`, if that is few enough to be a slip. */
export function nearestName(name: string, candidates: readonly string[]): string | undefined {
  let nearest: string | undefined;
  let most = Math.min(MAX_SLIPS, Math.max(1, Math.floor(name.length / 3)));
  for (const candidate of candidates) {
    const edits = editDistance(name, candidate, most);
    if (edits > most) continue;
    nearest = candidate;
    // Only a nearer one counts from here on.
    most = edits - 1;
    if (most < 0) break;
  }
  return nearest;
}

/**
 * Insertions, deletions, replacements and swaps of neighbours that make one of the other; Infinity where it takes more
 * than `most`. Only cells within `most` of the diagonal are looked at: a few hundred for the longest names.
 */
function editDistance(a: string, b: string, most: number): number {
  if (Math.abs(a.length - b.length) > most) return Infinity;
  let before = new Float64Array(b.length + 2);
  let above = Float64Array.from(before, (_, column) => column);
  let current = new Float64Array(b.length + 2);
  for (let row = 1; row <= a.length; row += 1) {
    const first = Math.max(1, row - most);
    const last = Math.min(b.length, row + most);
    // Beside the cells that are looked at there is nothing to come from.
    current[first - 1] = first === 1 ? row : Infinity;
    above[last] = last === row + most ? Infinity : (above[last] ?? Infinity);
    let least = current[first - 1] ?? Infinity;
    for (let column = first; column <= last; column += 1) {
      const replaced = (above[column - 1] ?? Infinity) + (a[row - 1] === b[column - 1] ? 0 : 1);
      let best = Math.min(replaced, (above[column] ?? Infinity) + 1, (current[column - 1] ?? Infinity) + 1);
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      if (swapped) best = Math.min(best, (before[column - 2] ?? Infinity) + 1);
      current[column] = best;
      least = Math.min(least, best);
    }
    if (least > most) return Infinity;
    [before, above, current] = [above, current, before];
  }
  const edits = above[b.length] ?? Infinity;
  return edits > most ? Infinity : edits;
}
