// Reads at one instant: everything here hangs on one tail, and what hangs on a tail never changes.
import { toHex } from "../core/bytes.js";
import { InvalidArgument } from "../core/errors.js";
import { mapRoot } from "../core/hashes.js";
import type { Digest, MapRoot } from "../core/hashes.js";
import { FREE_AFTER_LEAVES } from "../core/limits.js";
import { requireTile, type LeafRange, type SizePair, type TilePosition } from "../core/log/index.js";
import { MapKind } from "../core/map/index.js";
import type { MapAt, NodeSource } from "../core/map/index.js";
import { requireHashBytes } from "./boundary.js";
import type { Cosignatures } from "./cosignatures.js";
import type {
  CosignedCheckpoint,
  Head,
  Lease,
  LogEntries,
  LoggedLeaf,
  LogProof,
  ReadPoint,
  ReadSelector,
  StoredCommit,
  Tag,
  View,
} from "./view-contract.js";
import type { Freeing } from "./freeing.js";
import type { Leases } from "./leases.js";
import type { LogStore, Tail } from "./log-store.js";
import { missingHeadCommit } from "./missing.js";
import type { StoreNodes } from "./nodes.js";
import type { NodesOfRoot, RootNodes } from "./root-nodes.js";
import type { StoredObjects } from "./objects.js";
import { StoredRefs, allHeads, requireHead, requireTag } from "./refs.js";

export interface ViewOptions {
  readonly nodes: StoreNodes;
  readonly rootNodes: RootNodes;
  readonly objects: StoredObjects;
  readonly log: LogStore;
  readonly cosignatures: Cosignatures;
  readonly leases: Leases;
  readonly freeing: Freeing;
}

export class DatabaseView implements View {
  readonly origin: string;
  readonly logSize: number;
  readonly refs: MapAt;
  readonly nodes: NodeSource;
  readonly #options: ViewOptions;
  readonly #tail: Tail;
  readonly #lookup: StoredRefs;

  constructor(tail: Tail, options: ViewOptions) {
    this.#options = options;
    this.#tail = tail;
    this.origin = tail.epoch.origin;
    this.logSize = tail.size;
    this.refs = { kind: MapKind.refs, root: tail.refsRoot };
    this.nodes = options.rootNodes.below([this.refs]).nodes;
    this.#lookup = new StoredRefs(this.nodes, this.refs);
  }

  hold(): Lease {
    return this.#options.leases.take(this.#tail.end);
  }

  async heads(): Promise<readonly Head[]> {
    return allHeads(this.#lookup);
  }

  async head(name: string): Promise<Head> {
    return requireHead(this.#lookup, name);
  }

  async tag(name: string): Promise<Tag> {
    return requireTag(this.#lookup, name);
  }

  async resolve(at: ReadSelector): Promise<ReadPoint> {
    const { objects, rootNodes } = this.#options;
    if ("staged" in at) {
      const head = requireHead(this.#lookup, at.staged);
      const state = { kind: MapKind.state, root: head.stagedState };
      const ledger = { kind: MapKind.ledger, root: head.stagedLedger };
      return this.#point({ ...NOTHING, state, ledger, head }, rootNodes.below([state, ledger]));
    }
    if ("head" in at) {
      const head = requireHead(this.#lookup, at.head);
      if (head.commit === undefined) throw missingHeadCommit(at.head);
      const commit = objects.commitReferred(head.commit, `head "${head.name}"`);
      return this.#point({ ...NOTHING, ...rootsOf(commit), commit, head }, rootNodes.ofCommit(commit.hash));
    }
    if ("tag" in at) {
      const tag = requireTag(this.#lookup, at.tag);
      const commit = objects.commitReferred(tag.commit, `tag "${tag.name}"`);
      return this.#point({ ...NOTHING, ...rootsOf(commit), commit, tag }, rootNodes.ofCommit(commit.hash));
    }
    if ("commit" in at) {
      const commit = await objects.commit(at.commit, "at.commit");
      return this.#point({ ...NOTHING, ...rootsOf(commit), commit }, rootNodes.ofCommit(commit.hash));
    }
    const state = this.#requireStateRoot(at.root);
    return this.#point({ ...NOTHING, state }, rootNodes.below([state]), this.#lastSeenAt(state.root));
  }

  /** `heldFrom`: end of the log in the newest view which is known to have had the root. */
  #point(
    what: Pick<ReadPoint, "state" | keyof typeof NOTHING>,
    sources: NodesOfRoot,
    heldFrom = this.#tail.end,
  ): ReadPoint {
    const { leases } = this.#options;
    // Field by field: every read makes one of these, and an object spread costs as much as reading a node.
    return {
      state: what.state,
      ledger: what.ledger,
      commit: what.commit,
      head: what.head,
      tag: what.tag,
      nodes: sources.nodes,
      nodesInPassing: sources.nodesInPassing,
      logSize: this.logSize,
      hold: () => leases.take(heldFrom),
    };
  }

  /**
   * A root that somebody names may have been replaced long ago. This process knows when, if it was the one that did it;
   * another would by now have freed what it replaced earlier than that.
   */
  #lastSeenAt(root: MapRoot): number {
    return this.#options.freeing.replacedAt(root) ?? Math.max(0, this.#tail.end - FREE_AFTER_LEAVES);
  }

  async logProof(known: { readonly knownSize?: number | undefined } = {}): Promise<LogProof> {
    const size = known.knownSize ?? 0;
    if (!Number.isSafeInteger(size) || size < 0) {
      throw new InvalidArgument(`known_checkpoint: no size of a log: ${size}`, { field: "known_checkpoint" });
    }
    return this.#options.log.proof(this.#tail, { size });
  }

  async logLeaf(index: number): Promise<LoggedLeaf> {
    if (!isIndexIn(index, this.logSize)) throw notInLog("leaf_index", index, this.logSize);
    return this.#options.log.leaf(this.#tail, index);
  }

  async logConsistency(sizes: SizePair): Promise<readonly Digest[]> {
    const { from, to } = sizes;
    if (!isIndexIn(to, this.logSize + 1)) throw notInLog("to_size", to, this.logSize);
    if (!isIndexIn(from, to + 1)) throw notInLog("from_size", from, to);
    return this.#options.log.consistency(this.#tail, sizes);
  }

  async cosigned(): Promise<readonly CosignedCheckpoint[]> {
    const { log, cosignatures } = this.#options;
    return log.cosigned(this.#tail, cosignatures.list());
  }

  async logEntries(range: LeafRange, limit: { readonly maxBytes: number }): Promise<LogEntries> {
    const { start, end } = range;
    if (!isIndexIn(end, this.logSize + 1)) throw notInLog("end", end, this.logSize);
    if (!isIndexIn(start, end)) throw notInLog("start", start, end);
    return this.#options.log.entries(this.#tail, range, limit.maxBytes);
  }

  async logTile(tile: TilePosition): Promise<Uint8Array> {
    requireTile(tile, this.logSize);
    return this.#options.log.tile(this.#tail, tile);
  }

  #requireStateRoot(bytes: Uint8Array): MapAt & { readonly root: MapRoot } {
    const root = mapRoot(requireHashBytes("at.root", bytes));
    const node = this.#options.nodes.find(root);
    if (node === undefined) throw this.#options.rootNodes.missing(root);
    if (node.kind !== MapKind.state) {
      throw new InvalidArgument(`at.root: ${toHex(root)} is the root of another kind of map, not of a state`, {
        field: "at.root",
        facts: { kind: "root", hash: toHex(root) },
      });
    }
    return { kind: MapKind.state, root };
  }
}

function isIndexIn(index: number, size: number): boolean {
  return Number.isSafeInteger(index) && index >= 0 && index < size;
}

function notInLog(field: string, asked: number, size: number): InvalidArgument {
  return new InvalidArgument(`${field}: ${asked} is not within the ${size} leaves of the log`, {
    field,
    facts: { kind: "log", log_size: String(size) },
  });
}

/** What a place that names something else does not have. */
const NOTHING = { ledger: undefined, commit: undefined, head: undefined, tag: undefined };

function rootsOf(commit: StoredCommit): { readonly state: MapAt; readonly ledger: MapAt } {
  return {
    state: { kind: MapKind.state, root: commit.object.stateRoot },
    ledger: { kind: MapKind.ledger, root: commit.object.manifests },
  };
}
