// One level of an edit: changes to its entries go in, changes to the entries of the level above come out.
import { compareBytes } from "../../bytes.js";
import type { Digest } from "../../hashes.js";
import { encodeChildEntry } from "../entry.js";
import type { MapKind } from "../kind.js";
import type { MapNode } from "../node.js";
import { createNodes } from "../node.js";
import type { Reader } from "../view.js";
import { cutAtoms } from "./lazy-cut.js";
import type { LevelChange, OldNode, OldTree } from "./old-tree.js";
import { EditEntry, applyChanges } from "./old-tree.js";
import type { Atom } from "./region.js";
import { atomsOf, lastOf } from "./region.js";
import { Settler } from "./settle.js";

/** Where an edit is, and in what. */
export interface LevelAt {
  readonly tree: OldTree;
  readonly kind: MapKind;
  readonly level: number;
}

/** What an edit does to one level. */
export interface LevelOutcome {
  readonly created: readonly MapNode[];
  /** Nodes of the old level that are not in the new one. */
  readonly superseded: readonly Digest[];
  /** Changes to the entries of the level above, in ascending order of key. */
  readonly changes: readonly LevelChange[];
  /** True where the old root, cut apart, is still one of the nodes. */
  readonly keepsRoot: boolean;
}

/** Edits one level. `changes` are in strictly ascending order of key. */
export function* editLevel(at: LevelAt, changes: readonly LevelChange[]): Reader<LevelOutcome> {
  const { tree, level } = at;
  const changed: OldNode[] = [];
  const settler = new Settler(tree, level);
  const seeds: OldNode[] = [];
  for (const { node, own } of yield* assign(at, changes)) {
    const applied = applyChanges(yield* tree.open(node), own);
    if (applied.entries === node.entries) continue;
    node.edited = applied.entries;
    changed.push(node);
    if (applied.keysChanged) seeds.push(node);
  }
  for (const seed of seeds) yield* settler.settle(seed);

  let keepsRoot = false;
  const replaced: OldNode[] = [];
  const contents: (readonly EditEntry[])[] = [];
  for (const { pieces, nodes } of yield* recut(at, settler)) {
    const kept = new Set<OldNode>();
    for (const node of nodes) {
      const origin = unchangedOrigin(node);
      if (origin === undefined) contents.push(node.map((atom) => atom.last));
      else kept.add(origin);
    }
    replaced.push(...pieces.filter((piece) => !kept.has(piece)));
    keepsRoot ||= kept.has(tree.root);
  }
  // Where no key came or went the node keeps its shape.
  for (const node of changed) {
    if (settler.has(node)) continue;
    replaced.push(node);
    contents.push(node.edited ?? []);
  }
  return { ...outcomeOf(at, replaced, contents), keepsRoot };
}

/** Old nodes that changes fall into, with their changes. */
function* assign(
  at: LevelAt,
  changes: readonly LevelChange[],
): Reader<{ readonly node: OldNode; readonly own: LevelChange[] }[]> {
  const groups: { readonly node: OldNode; readonly own: LevelChange[] }[] = [];
  for (const change of changes) {
    const group = groups.at(-1);
    if (group?.node.last !== undefined && compareBytes(change.key, group.node.last.key) <= 0) {
      group.own.push(change);
      continue;
    }
    const node = yield* at.tree.find(at.level, change.key);
    if (node === group?.node) group.own.push(change);
    else groups.push({ node, own: [change] });
  }
  return groups;
}

/** Cuts every region: its old nodes, and its new ones as atoms. */
function* recut(
  at: LevelAt,
  settler: Settler,
): Reader<{ readonly pieces: readonly OldNode[]; readonly nodes: Atom[][] }[]> {
  const result: { readonly pieces: readonly OldNode[]; readonly nodes: Atom[][] }[] = [];
  for (const region of settler.regions) {
    const nodes: Atom[][] = [];
    let part: Atom[] = [];
    for (const atom of yield* atomsOf(at.tree, region)) {
      part.push(atom);
      if (!atom.endsSegment) continue;
      nodes.push(...(yield* cutAtoms(at.tree, part)));
      part = [];
    }
    if (part.length > 0) nodes.push(...(yield* cutAtoms(at.tree, part)));
    result.push({ pieces: region.pieces, nodes });
  }
  return result;
}

/** The old node that a new one is, entry for entry, or undefined. */
function unchangedOrigin(node: readonly Atom[]): OldNode | undefined {
  const origin = node[0]?.origin;
  if (origin === undefined || (node.length === 1 && node[0]?.isEntry === false)) return origin;
  const entries = origin.entries ?? [];
  const isSame = node.length === entries.length && node.every((atom, index) => atom.last === entries[index]);
  return isSame ? origin : undefined;
}

function outcomeOf(
  at: LevelAt,
  replaced: readonly OldNode[],
  contents: readonly (readonly EditEntry[])[],
): Omit<LevelOutcome, "keepsRoot"> {
  const { created, parents } = makeNodes(at, contents);
  const changes: LevelChange[] = parents.map((entry) => ({ key: entry.key, entry }));
  const isNew = new KeySet(parents);
  for (const node of replaced) {
    // The root of an empty map has no entry anywhere.
    if (node.last !== undefined && !isNew.has(node.last.key)) changes.push({ key: lastOf(node).key, entry: undefined });
  }
  changes.sort((a, b) => compareBytes(a.key, b.key));
  return { created, superseded: replaced.map(({ want }) => want.digest), changes };
}

/** New nodes of these entries, and their entries in the level above. */
export function makeNodes(
  at: { readonly kind: MapKind; readonly level: number },
  contents: readonly (readonly EditEntry[])[],
): { readonly created: readonly MapNode[]; readonly parents: readonly EditEntry[] } {
  const { kind, level } = at;
  const created = createNodes(
    contents.map((entries) => ({
      kind,
      level,
      total: entries.reduce((sum, entry) => sum + entry.total, 0),
      entries: entries.map(({ bytes }) => bytes),
    })),
  );
  const parents = created.map((node, index) => {
    const last = contents[index]?.at(-1);
    const key = last?.key ?? new Uint8Array(0);
    const bytes = encodeChildEntry({ lastKey: key, digest: node.digest, total: node.total });
    return new EditEntry({ key, bytes, total: node.total, placeHead: last?.knownPlaceHead });
  });
  return { created, parents };
}

/** Keys of entries, for looking up. */
class KeySet {
  readonly #sorted: readonly Uint8Array[];

  constructor(entries: readonly EditEntry[]) {
    this.#sorted = entries.map(({ key }) => key).sort(compareBytes);
  }

  has(key: Uint8Array): boolean {
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareBytes(this.#sorted[middle] ?? key, key) < 0) low = middle + 1;
      else high = middle;
    }
    const found = this.#sorted[low];
    return found !== undefined && compareBytes(found, key) === 0;
  }
}
