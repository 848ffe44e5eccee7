// What the refs map says (FORMATS §7), read from a node source or from a draft that is on top of one.
//
//   heads/<name>   [commit hash]               absent while the head has no commit
//   states/<name>  [state root, ledger root]   staged; a head exists while it has this
import { equalBytes, toHex, utf8 } from "../core/bytes.js";
import { Conflict, InvalidArgument } from "../core/errors.js";
import type { CommitHash } from "../core/hashes.js";
import { count, get, readSync, scanSync } from "../core/map/index.js";
import type { Entry, MapAt, NodeSource } from "../core/map/index.js";
import { commitCell, headKey, nameProblem, parseRefKey, stagedCell, stagedKey } from "../core/object/index.js";
import { fromStore, requireHashBytes } from "./boundary.js";
import type { ExpectedCommit, Head } from "./contract.js";
import { missingHead } from "./missing.js";

const STATES = { from: utf8("states/"), to: utf8("states0") };

/** Entries of the refs map, wherever they come from. */
export interface RefLookup {
  /** The cell of a key. */
  ref(key: Uint8Array): Uint8Array | undefined;
  /** Entries from `from` (included) to `to` (excluded), ascending by key. */
  refsBetween(range: RefRange): Iterable<Entry>;
  /** How many those are; costs a few nodes, however many. */
  countBetween(range: RefRange): number;
}

/** Keys from `from` (included) to `to` (excluded). */
export interface RefRange {
  readonly from: Uint8Array;
  readonly to: Uint8Array;
}

/** The refs at a root. */
export class StoredRefs implements RefLookup {
  readonly map: MapAt;
  readonly #nodes: NodeSource;

  constructor(nodes: NodeSource, map: MapAt) {
    this.#nodes = nodes;
    this.map = map;
  }

  ref(key: Uint8Array): Uint8Array | undefined {
    return readSync(get(this.map, key), this.#nodes);
  }

  *refsBetween(range: RefRange): Generator<Entry> {
    for (const entries of scanSync(this.#nodes, this.map, range)) yield* entries;
  }

  countBetween(range: RefRange): number {
    return readSync(count(this.map, range), this.#nodes);
  }
}

/** @throws InvalidArgument - not a name; `field` says whose */
export function requireHeadName(name: string, field = "head"): void {
  const problem = nameProblem(name);
  if (problem === undefined) return;
  throw new InvalidArgument(`${field}: the name ${JSON.stringify(name.slice(0, 64))} ${problem}`, { field });
}

/** Names of all heads, ascending. */
export function headNames(refs: RefLookup): string[] {
  const names: string[] = [];
  for (const { key } of refs.refsBetween(STATES)) {
    const ref = fromStore("refs map", () => parseRefKey(key));
    if (ref.kind === "staged") names.push(ref.name);
  }
  return names;
}

/** How many heads there are. */
export function countHeads(refs: RefLookup): number {
  return refs.countBetween(STATES);
}

/** All heads, ascending by name. */
export function allHeads(refs: RefLookup): Head[] {
  return headNames(refs).flatMap((name) => findHead(refs, name) ?? []);
}

/** A head, or undefined. `name` is a proper one. */
export function findHead(refs: RefLookup, name: string): Head | undefined {
  const staged = refs.ref(stagedKey(name));
  if (staged === undefined) return undefined;
  const { stateRoot, ledgerRoot } = fromStore(`staged roots of head "${name}"`, () => stagedCell.decode(staged));
  const moved = refs.ref(headKey(name));
  const commit = moved && fromStore(`commit of head "${name}"`, () => commitCell.decode(moved)).commit;
  return { name, commit, stagedState: stateRoot, stagedLedger: ledgerRoot };
}

/** @throws NotFound - kind `head` @throws InvalidArgument - not a name */
export function requireHead(refs: RefLookup, name: string): Head {
  requireHeadName(name);
  const head = findHead(refs, name);
  if (head === undefined) throw missingHead(name, headNames(refs));
  return head;
}

/** Checks what a request brought, before anything is done. @throws InvalidArgument */
export function checkExpectedCommit(expected: ExpectedCommit | undefined): ExpectedCommit | undefined {
  return expected === undefined || expected === "none" ? expected : requireHashBytes("expected_commit", expected);
}

/** @throws Conflict - the head's commit is another one */
export function requireCommit(head: Head, expected: ExpectedCommit | undefined): void {
  if (expected === undefined) return;
  const wanted = expected === "none" ? "none" : toHex(expected);
  const current = hexOrNone(head.commit);
  if (wanted === current) return;
  const is = current === "none" ? "has no commit" : `is at commit ${current}`;
  throw new Conflict(`head "${head.name}" ${is}, not ${wanted === "none" ? "without one" : `at ${wanted}`}`, {
    field: "expected_commit",
    hint: "somebody was first: read the head again, and decide anew",
    facts: { kind: "commit", head: head.name, current_commit: current, expected: wanted },
  });
}

/** @throws Conflict - the head's staged root is another one (`facts.current_root`) */
export function requireStagedRoot(head: Head, expected: Uint8Array | undefined): void {
  const { name, stagedState } = head;
  if (expected === undefined || equalBytes(expected, stagedState)) return;
  throw new Conflict(`the staged root of head "${name}" is ${toHex(stagedState)}, not the expected one`, {
    field: "expected_root",
    hint: "somebody was first: read again at the current root, and decide anew",
    facts: { kind: "root", head: name, current_root: toHex(stagedState), expected: toHex(expected) },
  });
}

function hexOrNone(commit: CommitHash | undefined): string {
  return commit === undefined ? "none" : toHex(commit);
}
