// One level of an edit: changes to its entries go in, changes to the entries of the level above come out.
import { compareBytes } from "../../bytes.js";
import { assert } from "../../errors.js";
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
  const groups = yield* assign(at, changes);
  const replacements = replacementsOf(groups);
  if (replacements !== undefined) return replaceEntries(at, replacements);

  const changed: OldNode[] = [];
  const settler = new Settler(tree, level);
  const seeds: OldNode[] = [];
  for (const { node, own } of groups) {
    const applied = applyChanges(yield* tree.open(node), own);
    if (applied.entries === node.entries) continue;
    node.change(applied.entries);
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

/** An old node and the changes that fall into it. */
interface ChangedNode {
  readonly node: OldNode;
  readonly own: LevelChange[];
}

/** Old nodes that changes fall into, with their changes. */
function* assign(at: LevelAt, changes: readonly LevelChange[]): Reader<ChangedNode[]> {
  const groups: ChangedNode[] = [];
  for (const change of changes) {
    const group = groups.at(-1);
    const end = group?.node.lastKey;
    if (group !== undefined && end !== undefined && compareBytes(change.key, end) <= 0) {
      group.own.push(change);
      continue;
    }
    const node = yield* at.tree.find(at.level, change.key);
    if (node === group?.node) group.own.push(change);
    else groups.push({ node, own: [change] });
  }
  return groups;
}

/** An old node and what stands in it now: position and entry, ascending. */
interface NodeReplacements {
  readonly node: OldNode;
  readonly replaced: readonly { readonly index: number; readonly entry: EditEntry }[];
}

/** The nodes in which entries are replaced; undefined where a key comes or goes, so that nodes may be cut anew. */
function replacementsOf(groups: readonly ChangedNode[]): NodeReplacements[] | undefined {
  const result: NodeReplacements[] = [];
  for (const { node, own } of groups) {
    const { view } = node;
    const replaced: { index: number; entry: EditEntry }[] = [];
    for (const { key, entry } of own) {
      const index = view.seek(key);
      if (entry === undefined || index === view.count || compareBytes(view.key(index), key) !== 0) return undefined;
      if (compareBytes(view.entryBytes(index), entry.bytes) !== 0) replaced.push({ index, entry });
    }
    if (replaced.length > 0) result.push({ node, replaced });
  }
  return result;
}

/** Rewrites nodes that keep their keys, and so their shape: what most edits are, and all that they do higher up. */
function replaceEntries({ kind, level }: LevelAt, nodes: readonly NodeReplacements[]): LevelOutcome {
  const contents = nodes.map(({ node: { view }, replaced }) => {
    const entries: Uint8Array[] = [];
    let total = 0;
    let next = 0;
    for (let index = 0; index < view.count; index += 1) {
      const replacement = replaced[next];
      if (replacement?.index === index) {
        next += 1;
        entries.push(replacement.entry.bytes);
        total += replacement.entry.total;
      } else {
        entries.push(view.entryBytes(index));
        total += level === 0 ? 1 : view.childTotal(index);
      }
    }
    return { kind, level, total, entries };
  });
  const created = createNodes(contents);
  const changes = created.map((node, index): LevelChange => {
    const key = nodes[index]?.node.lastKey;
    assert(key !== undefined, "a node with an entry to replace has a last key");
    return { key, entry: childEntry(node, key) };
  });
  return { created, superseded: nodes.map(({ node }) => node.want.digest), changes, keepsRoot: false };
}

/** The entry of a new node in the level above. `placeHead`: of its last key, where it is known. */
function childEntry(node: MapNode, key: Uint8Array, placeHead?: number): EditEntry {
  const bytes = encodeChildEntry({ lastKey: key, digest: node.digest, total: node.total });
  return new EditEntry({ key, bytes, total: node.total, placeHead });
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
    return childEntry(node, last?.key ?? new Uint8Array(0), last?.knownPlaceHead);
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
