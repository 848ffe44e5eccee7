// Changing a map (FORMATS §3, §4): puts and deletes, many at once, in one pass from the leaves up.
//
// The result is, to the byte, what building the edited content from nothing gives. Level by level, the nodes that the
// changes fall into are opened and edited; around those whose keys changed a region is settled (see settle.ts) and cut
// anew (lazy-cut.ts); what is new becomes changes to the level above. A changed value only rewrites its path.
//
// Cost of one key among a million: the path is read and rewritten, a node a level; a key that comes or goes may add a
// neighbour or two. In a run of keys ground to avoid boundaries the same holds on average; the worst, a key ground to the
// lowest place of its run, reads the entries above the run and rewrites a path of the treap.
//
// An edit is a reader like any other: over whole nodes on a server, over a witness in a client that computes the new root
// itself. It needs nodes whole, so that witness shows all of each (a transition witness).
import { compareBytes, toHex } from "../../bytes.js";
import { Malformed, assert } from "../../errors.js";
import type { Digest, MapRoot } from "../../hashes.js";
import { mapRoot } from "../../hashes.js";
import { SegmentEnds, cutSegment } from "../cut.js";
import { digestName } from "../digest-name.js";
import { encodeChildEntry, encodeLeafEntry, requireKey } from "../entry.js";
import type { MapNode } from "../node.js";
import { emptyMap } from "../node.js";
import type { MapAt, Reader } from "../view.js";
import type { LevelOutcome } from "./level-edit.js";
import { editLevel, makeNodes } from "./level-edit.js";
import type { LevelChange, OldNode } from "./old-tree.js";
import { EditEntry, OldTree } from "./old-tree.js";

/** One change: a cell to put under a key, new or not, or (`cell` undefined) a key to delete, there or not. */
export interface Edit {
  readonly key: Uint8Array;
  readonly cell: Uint8Array | undefined;
}

/** What an edit leads to. */
export interface EditResult {
  readonly root: MapRoot;
  /** Keys in the edited map. */
  readonly total: number;
  /** Nodes of the new map that the old one did not have, children before parents; the root last. */
  readonly created: readonly MapNode[];
  /** Digests of nodes of the old map that the new one does not have, children before parents. */
  readonly superseded: readonly Digest[];
}

/**
 * Applies changes, in strictly ascending order of key. Changes without effect leave no trace: if all are, the root stays
 * and nothing is created.
 * @throws Malformed - keys do not ascend strictly, or a key or cell is not valid
 */
export function* edit(map: MapAt, edits: readonly Edit[]): Reader<EditResult> {
  const tree = new OldTree(map);
  let changes = changesOf(edits);
  yield* tree.visit(tree.root);
  const top = tree.root.level;
  const created: MapNode[] = [];
  const superseded: Digest[] = [];
  let entries: readonly EditEntry[] = [];
  for (let level = 0; level <= top && changes.length > 0; level += 1) {
    const outcome = yield* editLevel({ tree, kind: map.kind, level }, changes);
    created.push(...outcome.created);
    superseded.push(...outcome.superseded);
    changes = outcome.changes;
    if (level === top) entries = entriesAbove(tree.root, outcome);
  }
  if (created.length === 0 && superseded.length === 0) {
    return { root: mapRoot(map.root), total: totalOf(tree.root), created, superseded };
  }
  return yield* finish({ map, tree, created, superseded }, { level: top, entries });
}

/** Entries of the level above the old root: of the new nodes of its level, and of itself if it is still one of them. */
function entriesAbove(root: OldNode, outcome: LevelOutcome): EditEntry[] {
  const entries = outcome.changes.flatMap(({ entry }) => (entry === undefined ? [] : [entry]));
  if (!outcome.keepsRoot || root.last === undefined) return entries;
  const { key } = root.last;
  const total = totalOf(root);
  const bytes = encodeChildEntry({ lastKey: key, digest: root.want.digest, total });
  return [...entries, new EditEntry({ key, bytes, total })].sort((a, b) => compareBytes(a.key, b.key));
}

/** An edit whose old levels are done. */
interface Progress {
  readonly map: MapAt;
  readonly tree: OldTree;
  readonly created: MapNode[];
  readonly superseded: Digest[];
}

/** Builds levels until one has a single node, or goes down to the first that has. */
function* finish(
  progress: Progress,
  reached: { readonly level: number; readonly entries: readonly EditEntry[] },
): Reader<EditResult> {
  const { map, created, superseded } = progress;
  let { level, entries } = reached;
  if (entries.length === 0) {
    const node = emptyMap(map.kind);
    return { root: mapRoot(node.digest), total: 0, created: [...created, node], superseded };
  }
  while (entries.length > 1) {
    level += 1;
    const nodes = makeNodes({ kind: map.kind, level }, cutLevel(level, entries));
    created.push(...nodes.created);
    entries = nodes.parents;
  }
  const root = created.at(-1);
  assert(root !== undefined && root.level === level, "the root of an edited map is new");
  return level > reached.level ? resultOf(root, progress) : yield* goDown(progress, root);
}

/** The nodes of a level of which all entries are here. */
function cutLevel(level: number, entries: readonly EditEntry[]): EditEntry[][] {
  EditEntry.place(entries);
  const ends = new SegmentEnds(level);
  const nodes: EditEntry[][] = [];
  let segment: EditEntry[] = [];
  const close = (): void => {
    for (const { first, end } of cutSegment(segment)) nodes.push(segment.slice(first, end));
    segment = [];
  };
  for (const entry of entries) {
    segment.push(entry);
    if (ends.next(entry)) close();
  }
  if (segment.length > 0) close();
  return nodes;
}

/** A root above level 0 has two entries at least: with one, its child is the root, or what is below that. */
function* goDown(progress: Progress, top: MapNode): Reader<EditResult> {
  const { tree, created, superseded } = progress;
  if (top.level === 0 || top.count > 1) return resultOf(top, progress);
  const createdNodes = new Map(created.map((node) => [digestName(node.digest), node]));
  let root = top;
  while (root.level > 0 && root.count === 1) {
    created.splice(created.indexOf(root), 1);
    const child = createdNodes.get(digestName(root.childDigest(0)));
    if (child === undefined) {
      // The only node left of the level below is an old one.
      return yield* goDownOld(progress, yield* tree.find(root.level - 1, root.key(0)));
    }
    root = child;
  }
  return { root: mapRoot(root.digest), total: root.total, created, superseded };
}

function* goDownOld(progress: Progress, node: OldNode): Reader<EditResult> {
  const { tree, created, superseded } = progress;
  const entries = yield* tree.open(node);
  if (node.level > 0 && entries.length === 1) {
    // First, since it is nobody's parent here: what lies below it stays, or goes with it and is put before it in turn.
    superseded.unshift(node.want.digest);
    return yield* goDownOld(progress, node.child(0));
  }
  return { root: mapRoot(node.want.digest), total: totalOf(node), created, superseded };
}

function resultOf(root: MapNode, progress: Progress): EditResult {
  const { created, superseded } = progress;
  return { root: mapRoot(root.digest), total: root.total, created, superseded };
}

function totalOf({ view }: OldNode): number {
  if (view.level === 0) return view.count;
  let total = 0;
  for (let index = 0; index < view.count; index += 1) total += view.childTotal(index);
  return total;
}

function changesOf(edits: readonly Edit[]): readonly LevelChange[] {
  let previous: Uint8Array | undefined;
  return edits.map(({ key, cell }) => {
    if (previous !== undefined && compareBytes(previous, key) >= 0) {
      throw new Malformed(`keys do not ascend strictly: ${toHex(key)} after ${toHex(previous)}`);
    }
    previous = key;
    if (cell !== undefined) return leafChange(key, cell);
    requireKey(key);
    return { key, entry: undefined };
  });
}

/** The key is copied along with the cell: an edit keeps nothing of its arguments. */
function leafChange(key: Uint8Array, cell: Uint8Array): LevelChange {
  const bytes = encodeLeafEntry(key, cell);
  const keyEnd = bytes.length - cell.length;
  const own = bytes.subarray(keyEnd - key.length, keyEnd);
  return { key: own, entry: new EditEntry({ key: own, bytes, total: 1 }) };
}
