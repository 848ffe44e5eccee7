// Reads at one instant: everything here hangs on one tail, and what hangs on a tail never changes.
import { toHex } from "../core/bytes.js";
import { InvalidArgument } from "../core/errors.js";
import { mapRoot } from "../core/hashes.js";
import { MapKind } from "../core/map/index.js";
import type { MapAt } from "../core/map/index.js";
import { requireHashBytes } from "./boundary.js";
import type { Head, LogProof, ReadPoint, ReadSelector, StoredCommit, View } from "./contract.js";
import type { LogStore, Tail } from "./log-store.js";
import { missingHash, missingHeadCommit } from "./missing.js";
import type { StoreNodes } from "./nodes.js";
import type { StoredObjects } from "./objects.js";
import { StoredRefs, allHeads, requireHead } from "./refs.js";

export interface ViewOptions {
  readonly nodes: StoreNodes;
  readonly objects: StoredObjects;
  readonly log: LogStore;
}

export class DatabaseView implements View {
  readonly logSize: number;
  readonly refs: MapAt;
  readonly #options: ViewOptions;
  readonly #tail: Tail;
  readonly #lookup: StoredRefs;

  constructor(tail: Tail, options: ViewOptions) {
    this.#options = options;
    this.#tail = tail;
    this.logSize = tail.size;
    this.refs = { kind: MapKind.refs, root: tail.refsRoot };
    this.#lookup = new StoredRefs(options.nodes, this.refs);
  }

  async heads(): Promise<readonly Head[]> {
    return allHeads(this.#lookup);
  }

  async head(name: string): Promise<Head> {
    return requireHead(this.#lookup, name);
  }

  async resolve(at: ReadSelector): Promise<ReadPoint> {
    const { logSize } = this;
    if ("staged" in at) {
      const head = requireHead(this.#lookup, at.staged);
      return {
        state: { kind: MapKind.state, root: head.stagedState },
        ledger: { kind: MapKind.ledger, root: head.stagedLedger },
        commit: undefined,
        head,
        logSize,
      };
    }
    if ("head" in at) {
      const head = requireHead(this.#lookup, at.head);
      if (head.commit === undefined) throw missingHeadCommit(at.head);
      const commit = this.#options.objects.commitReferred(head.commit, `head "${head.name}"`);
      return { ...rootsOf(commit), commit, head, logSize };
    }
    if ("commit" in at) {
      const commit = await this.#options.objects.commit(at.commit, "at.commit");
      return { ...rootsOf(commit), commit, head: undefined, logSize };
    }
    const root = this.#requireStateRoot(at.root);
    return { state: root, ledger: undefined, commit: undefined, head: undefined, logSize };
  }

  async logProof(known: { readonly knownSize?: number | undefined } = {}): Promise<LogProof> {
    const size = known.knownSize ?? 0;
    if (!Number.isSafeInteger(size) || size < 0) {
      throw new InvalidArgument(`known_checkpoint: no size of a log: ${size}`, { field: "known_checkpoint" });
    }
    return this.#options.log.proof(this.#tail, { size });
  }

  #requireStateRoot(bytes: Uint8Array): MapAt {
    const root = mapRoot(requireHashBytes("at.root", bytes));
    const node = this.#options.nodes.find(root);
    if (node === undefined) throw missingHash("root", root);
    if (node.kind !== MapKind.state) {
      throw new InvalidArgument(`at.root: ${toHex(root)} is the root of another kind of map, not of a state`, {
        field: "at.root",
        facts: { kind: "root", hash: toHex(root) },
      });
    }
    return { kind: MapKind.state, root };
  }
}

function rootsOf(commit: StoredCommit): { readonly state: MapAt; readonly ledger: MapAt } {
  return {
    state: { kind: MapKind.state, root: commit.object.stateRoot },
    ledger: { kind: MapKind.ledger, root: commit.object.manifests },
  };
}
