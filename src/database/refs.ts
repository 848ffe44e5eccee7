// What the refs map says (FORMATS §7), read from a node source or from a draft that is on top of one.
//
//   heads/<name>   [commit hash]               absent while the head has no commit
//   states/<name>  [state root, ledger root]   staged; a head exists while it has this
//   tags/<name>    [commit hash]
import { equalBytes, toHex, utf8 } from "../core/bytes.js";
import { Conflict, InvalidArgument } from "../core/errors.js";
import type { CommitHash } from "../core/hashes.js";
import { MAX_NAMES_COMPARED } from "../core/limits.js";
import { count, get, readSync, scanSync } from "../core/map/index.js";
import type { Entry, MapAt, NodeSource } from "../core/map/index.js";
import { commitCell, headKey, nameProblem, parseRefKey, stagedCell, stagedKey, tagKey } from "../core/object/index.js";
import { fromStore, requireHashBytes } from "./boundary.js";
import type { ExpectedCommit } from "./commit-contract.js";
import type { Head, Tag } from "./view-contract.js";
import { missingHead, missingTag } from "./missing.js";

const STATES = { from: utf8("states/"), to: utf8("states0") };
const TAGS = { from: utf8("tags/"), to: utf8("tags0") };

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
export function requireRefName(name: string, field = "head"): void {
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
  requireRefName(name);
  const head = findHead(refs, name);
  if (head === undefined) throw missingHead(name, headNames(refs));
  return head;
}

/** How many tags there are. */
export function countTags(refs: RefLookup): number {
  return refs.countBetween(TAGS);
}

/** A tag, or undefined. `name` is a proper one. */
export function findTag(refs: RefLookup, name: string): Tag | undefined {
  const cell = refs.ref(tagKey(name));
  return cell && { name, commit: fromStore(`commit of tag "${name}"`, () => commitCell.decode(cell)).commit };
}

/** @throws NotFound - kind `tag` @throws InvalidArgument - not a name */
export function requireTag(refs: RefLookup, name: string): Tag {
  requireRefName(name, "tag");
  const tag = findTag(refs, name);
  if (tag === undefined) throw missingTag(name, countTags(refs) > MAX_NAMES_COMPARED ? [] : tagNames(refs));
  return tag;
}

function tagNames(refs: RefLookup): string[] {
  const names: string[] = [];
  for (const { key } of refs.refsBetween(TAGS)) names.push(fromStore("refs map", () => nameOfTag(key)));
  return names;
}

function nameOfTag(key: Uint8Array): string {
  const ref = parseRefKey(key);
  return ref.kind === "tag" ? ref.name : "";
}

/** Checks what a request brought, before anything is done. @throws InvalidArgument */
export function checkExpectedCommit(expected: ExpectedCommit | undefined): ExpectedCommit | undefined {
  return expected === undefined || expected === "none" ? expected : requireHashBytes("expected_commit", expected);
}

/** @throws Conflict - the head's commit is another one; `field` is where the request expects one */
export function requireCommit(head: Head, expected: ExpectedCommit | undefined, field = "expected_commit"): void {
  if (expected === undefined) return;
  const wanted = expected === "none" ? "none" : toHex(expected);
  const current = hexOrNone(head.commit);
  if (wanted === current) return;
  const is = current === "none" ? "has no commit" : `is at commit ${current}`;
  throw new Conflict(`head "${head.name}" ${is}, not ${wanted === "none" ? "without one" : `at ${wanted}`}`, {
    field,
    hint: "somebody was first: read the head again, and decide anew",
    facts: { kind: "commit", head: head.name, current_commit: current, expected: wanted },
  });
}

/** @throws Conflict - the head's staged root is another one (`facts.current_root`); `field` likewise */
export function requireStagedRoot(head: Head, expected: Uint8Array | undefined, field = "expected_root"): void {
  const { name, stagedState } = head;
  if (expected === undefined || equalBytes(expected, stagedState)) return;
  throw new Conflict(`the staged root of head "${name}" is ${toHex(stagedState)}, not the expected one`, {
    field,
    hint: "somebody was first: read again at the current root, and decide anew",
    facts: { kind: "root", head: name, current_root: toHex(stagedState), expected: toHex(expected) },
  });
}

function hexOrNone(commit: CommitHash | undefined): string {
  return commit === undefined ? "none" : toHex(commit);
}
