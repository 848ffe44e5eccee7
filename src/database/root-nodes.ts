// The nodes below one root, for reads that may be overtaken: a missing one is damage, or was freed with its map.
//
// Which of the two is certain, because parents are freed before their children (followed-nodes.ts): where the root's row is,
// the whole map must be. Where it is gone, the map was pruned, unless something that is kept still names that root. Node and
// root are looked up in one turn of the event loop, so in one state of the store.
import type { Corrupt, Pruned } from "../core/errors.js";
import type { Digest } from "../core/hashes.js";
import { MapKind } from "../core/map/index.js";
import type { MapAt, NodeSource } from "../core/map/index.js";
import type { SyncReader } from "../store/contract.js";
import { cacheName } from "./cache-name.js";
import type { LogStore } from "./log-store.js";
import { prunedRoot } from "./missing.js";
import { missingNode } from "./nodes.js";
import type { StoreNodes } from "./nodes.js";
import type { StoredObjects } from "./objects.js";
import { StoredRefs, allHeads } from "./refs.js";

/** Where the nodes of a map are read; the second for scans, as of `StoreNodes.inPassing`. */
export interface NodesOfRoot {
  readonly nodes: NodeSource;
  readonly nodesInPassing: NodeSource;
}

export interface RootNodesOptions {
  readonly rows: SyncReader;
  readonly nodes: StoreNodes;
  readonly objects: StoredObjects;
  readonly log: LogStore;
}

export class RootNodes {
  readonly #options: RootNodesOptions;
  /** Roots that the newest refs name, as they were last looked at. */
  #live: { readonly refsRoot: Digest; readonly roots: ReadonlySet<string> } | undefined;

  constructor(options: RootNodesOptions) {
    this.#options = options;
  }

  /** Below roots that may be pruned, one of a kind. Loading throws Pruned, or Corrupt where they were not. */
  below(maps: readonly MapAt[]): NodesOfRoot {
    const { nodes } = this.#options;
    const raise = (digest: Digest, kind: MapKind): never => {
      throw this.#missingBelow(maps.find((map) => map.kind === kind)?.root ?? digest, digest);
    };
    return {
      nodes: { load: (digest, kind) => nodes.find(digest) ?? raise(digest, kind) },
      nodesInPassing: { load: (digest, kind) => nodes.findInPassing(digest) ?? raise(digest, kind) },
    };
  }

  /** Below a commit: what is missing was freed with it, or is damage. Commits go before their maps. */
  ofCommit(hash: Digest): NodesOfRoot {
    const { nodes, rows } = this.#options;
    const raise = (digest: Digest): never => {
      throw rows.has("objects", hash) ? missingNode(digest) : prunedRoot(digest);
    };
    return {
      nodes: { load: (digest) => nodes.find(digest) ?? raise(digest) },
      nodesInPassing: { load: (digest) => nodes.findInPassing(digest) ?? raise(digest) },
    };
  }

  /** What to say of a root that is not there. */
  missing(root: Digest): Corrupt | Pruned {
    return this.#isLive(root) ? missingNode(root) : prunedRoot(root);
  }

  #missingBelow(root: Digest, digest: Digest): Corrupt | Pruned {
    return this.#options.rows.has("nodes", root) ? missingNode(digest) : this.missing(root);
  }

  /** True for the newest refs, and for what the heads in them have staged or committed. */
  #isLive(root: Digest): boolean {
    const { refsRoot } = this.#options.log.tail();
    if (this.#live === undefined || cacheName(this.#live.refsRoot) !== cacheName(refsRoot)) {
      this.#live = { refsRoot, roots: this.#liveRoots(refsRoot) };
    }
    return this.#live.roots.has(cacheName(root));
  }

  #liveRoots(refsRoot: Digest): ReadonlySet<string> {
    const { nodes, objects } = this.#options;
    const roots = new Set([cacheName(refsRoot)]);
    for (const head of allHeads(new StoredRefs(nodes, { kind: MapKind.refs, root: refsRoot }))) {
      roots.add(cacheName(head.stagedState)).add(cacheName(head.stagedLedger));
      if (head.commit === undefined) continue;
      const { object } = objects.commitReferred(head.commit, `head "${head.name}"`);
      roots.add(cacheName(object.stateRoot)).add(cacheName(object.manifests));
    }
    return roots;
  }
}
