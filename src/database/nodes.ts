// Map nodes of the store, held against their digests once and then kept in memory for a while.
//
// The cache has two generations: what is used moves to the young one, and when that is full the old one is dropped. Leaves
// have a cache of their own: there are sixteen times as many of them, and reads all over a large map would drop the nodes
// above them, which every read needs, for leaves that none needs again. So a leaf is kept when it is read a second time. A
// node costs its stored bytes and its parsed table. Nodes are immutable, so what is kept never goes stale; a digest is
// checked when a node comes from the store, so damage on disk shows when it is first met.
import { toHex } from "../core/bytes.js";
import { Corrupt } from "../core/errors.js";
import type { Digest } from "../core/hashes.js";
import { NODE_CACHE_BYTES } from "../core/limits.js";
import { decodeNode, verifyNode } from "../core/map/index.js";
import type { MapNode, NodeSource } from "../core/map/index.js";
import type { SyncReader } from "../store/contract.js";
import type { ReadChecking } from "./blob-reader.js";
import { fromStore } from "./boundary.js";
import { cacheName } from "./cache-name.js";

/** What the parsed table of a node takes beside its stored bytes, roughly: offsets, hashes, and the objects around them. */
const NODE_OVERHEAD_BYTES = 3 * 1024;

/** Leaves that are remembered for having been read once. */
const MOST_MET_ONCE = 4096;

export interface StoreNodesOptions {
  readonly rows: SyncReader;
  readonly checking: ReadChecking;
  readonly cacheBytes?: number;
}

export class StoreNodes implements NodeSource {
  readonly #rows: SyncReader;
  readonly #checking: ReadChecking;
  readonly #inner: KeptNodes;
  readonly #leaves: KeptNodes;
  /** Leaves that were read and not kept. */
  readonly #metOnce = new Set<string>();
  #unstored: (digest: Digest) => Uint8Array | undefined = () => undefined;

  /**
   * The same nodes for reads that pass each leaf once: leaves are not kept. A long scan would drop everything else from
   * the cache, and every leaf of it would live long enough to become the old garbage of the heap.
   */
  readonly inPassing: NodeSource = {
    load: (digest) => present(this.findInPassing(digest), digest),
  };

  constructor(options: StoreNodesOptions) {
    this.#rows = options.rows;
    this.#checking = options.checking;
    const cacheBytes = options.cacheBytes ?? NODE_CACHE_BYTES;
    this.#leaves = new KeptNodes(cacheBytes / 4);
    this.#inner = new KeptNodes(cacheBytes - cacheBytes / 4);
  }

  load(digest: Digest): MapNode {
    return present(this.find(digest), digest);
  }

  /** The node, or undefined where there is none. @throws Corrupt - it is not what its digest says */
  find(digest: Digest): MapNode | undefined {
    return this.#find(digest, isAlwaysKept);
  }

  /** The same for reads that pass each leaf once. */
  findInPassing(digest: Digest): MapNode | undefined {
    return this.#find(digest, isInner);
  }

  #find(digest: Digest, isKept: (node: MapNode) => boolean): MapNode | undefined {
    const name = cacheName(digest);
    const kept = this.#inner.find(name) ?? this.#leaves.find(name);
    if (kept !== undefined) return kept;
    const stored = this.#rows.get("nodes", digest) ?? this.#unstored(digest);
    if (stored === undefined) return undefined;
    const node =
      this.#checking === "verified"
        ? verifyNode(stored, digest)
        : fromStore(`map node ${toHex(digest)}`, () => decodeNode(stored, { digest }));
    if (isKept(node) && (isInner(node) || this.#isMetAgain(name))) this.#keep(name, node);
    return node;
  }

  /** Nodes that have no row, as `follow` (followed-nodes.ts) has them wait. */
  alsoFind(unstored: (digest: Digest) => Uint8Array | undefined): void {
    this.#unstored = unstored;
  }

  /** Keeps nodes that were just written. */
  add(nodes: Iterable<MapNode>): void {
    for (const node of nodes) {
      this.#keep(cacheName(node.digest), node);
    }
  }

  /** Forgets nodes whose rows are gone. Those that it keeps nevertheless are still right, but the store lacks them. */
  drop(digests: Iterable<Digest>): void {
    for (const digest of digests) {
      const name = cacheName(digest);
      this.#inner.delete(name);
      this.#leaves.delete(name);
    }
  }

  /** True where a leaf was read not long ago. One that is read once would only live long enough to be old garbage. */
  #isMetAgain(name: string): boolean {
    if (this.#metOnce.delete(name)) return true;
    if (this.#metOnce.size >= MOST_MET_ONCE) this.#metOnce.clear();
    this.#metOnce.add(name);
    return false;
  }

  #keep(name: string, node: MapNode): void {
    (isInner(node) ? this.#inner : this.#leaves).add(name, node);
  }
}

/** Nodes by name, of which those not used for longest are dropped, many at a time. */
class KeptNodes {
  readonly #generationBytes: number;
  #young = new Map<string, MapNode>();
  #old = new Map<string, MapNode>();
  #youngBytes = 0;

  constructor(limitBytes: number) {
    this.#generationBytes = limitBytes / 2;
  }

  find(name: string): MapNode | undefined {
    const young = this.#young.get(name);
    if (young !== undefined) return young;
    const old = this.#old.get(name);
    if (old === undefined) return undefined;
    this.#old.delete(name);
    this.#keep(name, old);
    return old;
  }

  add(name: string, node: MapNode): void {
    if (!this.#young.has(name)) this.#keep(name, node);
  }

  delete(name: string): void {
    this.#old.delete(name);
    const kept = this.#young.get(name);
    if (kept === undefined) return;
    this.#young.delete(name);
    this.#youngBytes -= kept.stored.length + NODE_OVERHEAD_BYTES;
  }

  #keep(name: string, node: MapNode): void {
    if (this.#youngBytes >= this.#generationBytes) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#youngBytes = 0;
    }
    this.#young.set(name, node);
    this.#youngBytes += node.stored.length + NODE_OVERHEAD_BYTES;
  }
}

function isAlwaysKept(): boolean {
  return true;
}

function isInner(node: MapNode): boolean {
  return node.level > 0;
}

/** @throws Corrupt - the node is missing */
function present(node: MapNode | undefined, digest: Digest): MapNode {
  if (node !== undefined) return node;
  throw missingNode(digest);
}

/** The node is not there, and something that is kept refers to it. */
export function missingNode(digest: Digest): Corrupt {
  const hash = toHex(digest);
  return new Corrupt(`map node ${hash} is missing, and something refers to it`, {
    hint: "restore the database from a backup",
    facts: { hash, kind: "node" },
  });
}
