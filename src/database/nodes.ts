// Map nodes of the store, held against their digests once and then kept in memory for a while.
//
// The cache has two generations: what is used moves to the young one, and when that is full the old one is dropped. A
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

export interface StoreNodesOptions {
  readonly rows: SyncReader;
  readonly checking: ReadChecking;
  readonly cacheBytes?: number;
}

export class StoreNodes implements NodeSource {
  readonly #rows: SyncReader;
  readonly #checking: ReadChecking;
  readonly #generationBytes: number;
  #young = new Map<string, MapNode>();
  #old = new Map<string, MapNode>();
  #youngBytes = 0;
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
    this.#generationBytes = (options.cacheBytes ?? NODE_CACHE_BYTES) / 2;
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
    const kept = this.#young.get(name) ?? this.#old.get(name);
    if (kept !== undefined) {
      if (this.#old.delete(name)) this.#keep(name, kept);
      return kept;
    }
    const stored = this.#rows.get("nodes", digest) ?? this.#unstored(digest);
    if (stored === undefined) return undefined;
    const node =
      this.#checking === "verified"
        ? verifyNode(stored, digest)
        : fromStore(`map node ${toHex(digest)}`, () => decodeNode(stored, { digest }));
    if (isKept(node)) this.#keep(name, node);
    return node;
  }

  /** Nodes that have no row, as `follow` (followed-nodes.ts) has them wait. */
  alsoFind(unstored: (digest: Digest) => Uint8Array | undefined): void {
    this.#unstored = unstored;
  }

  /** Keeps nodes that were just written. */
  add(nodes: Iterable<MapNode>): void {
    for (const node of nodes) {
      const name = cacheName(node.digest);
      if (!this.#young.has(name)) this.#keep(name, node);
    }
  }

  /** Forgets nodes whose rows are gone. Those that it keeps nevertheless are still right, but the store lacks them. */
  drop(digests: Iterable<Digest>): void {
    for (const digest of digests) {
      const name = cacheName(digest);
      this.#old.delete(name);
      const kept = this.#young.get(name);
      if (kept === undefined) continue;
      this.#young.delete(name);
      this.#youngBytes -= kept.stored.length + NODE_OVERHEAD_BYTES;
    }
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
