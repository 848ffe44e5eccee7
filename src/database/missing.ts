// What to say when a thing named does not exist: which kind of thing, its name, and the next command (docs/API.md).
import { toHex } from "../core/bytes.js";
import { NotFound } from "../core/errors.js";
import type { Digest } from "../core/hashes.js";

/** No head of this name; the nearest of those there are is proposed. */
export function missingHead(name: string, heads: readonly string[]): NotFound {
  const near = nearestName(name, heads);
  const guess = near === undefined ? "" : ` (did you mean "${near}"?)`;
  return new NotFound(`head "${name}" does not exist${guess}`, {
    field: "head",
    hint: "see: neleus head list",
    facts: { kind: "head", head: name, ...(near === undefined ? {} : { nearest: near }) },
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
    root: "it was never a root here, or is no longer kept",
  };
  return new NotFound(`no ${kind === "root" ? "map with the root" : kind} ${hex} in this database`, {
    hint: hints[kind],
    facts: { kind, hash: hex },
  });
}

/** The name with the fewest edits from `name`, if that is few enough to be a slip. */
export function nearestName(name: string, candidates: readonly string[]): string | undefined {
  let nearest: string | undefined;
  let fewest = Math.max(1, Math.floor(name.length / 3)) + 1;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - name.length) >= fewest) continue;
    const edits = editDistance(name, candidate);
    if (edits >= fewest) continue;
    fewest = edits;
    nearest = candidate;
  }
  return nearest;
}

/** Insertions, deletions, replacements and swaps of neighbours that make one of the other. Names are at most 128 long. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const replaced = (above[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1);
      let best = Math.min(replaced, (above[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1);
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      if (swapped) best = Math.min(best, (before[column - 2] ?? 0) + 1);
      current.push(best);
    }
    before = above;
    above = current;
  }
  return above[b.length] ?? 0;
}
