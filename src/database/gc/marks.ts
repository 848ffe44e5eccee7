// What garbage collection keeps: map nodes and commits that something leads to.
//
// Marking goes from roots down, each node once. Leaves are marked by what their parents say and are not read, but for those
// of refs. A digest is kept as two keyed fingerprints of 8 bytes: taking an unmarked inner node for a marked one would lose
// all below it, so the chance of that must not be worth a thought (10^-25 for ten million nodes). Memory: 25 to 45 bytes a node.
import { equalBytes } from "../../core/bytes.js";
import { Corrupt, NeleusError } from "../../core/errors.js";
import type { Digest } from "../../core/hashes.js";
import { verifyNode } from "../../core/map/index.js";
import type { MapNode } from "../../core/map/index.js";
import { commitCell, commitHashOf, decodeCommit, parseRefKey, stagedCell } from "../../core/object/index.js";
import type { SyncReader } from "../../store/contract.js";
import { fromStore } from "../boundary.js";
import { DigestSet } from "../digest-set.js";
import { missingNode } from "../nodes.js";
import type { Turns } from "../turns.js";

/**
 * `kept`: the newest refs lead there, so that all of it must be there. `recent`: somebody may still read it, and it may have
 * been freed since.
 */
export type MarkReason = "kept" | "recent";

/** A node to be marked, with its level where the parent says it. */
interface ToMark {
  readonly digest: Digest;
  readonly level: number | undefined;
}

/** Digests that are never mistaken for one another. */
class SafeDigestSet {
  readonly #first: DigestSet;
  readonly #second: DigestSet;

  constructor(randomBytes: (count: number) => Uint8Array) {
    this.#first = new DigestSet(randomBytes(16));
    this.#second = new DigestSet(randomBytes(16));
  }

  /** @returns false where it was there */
  add(digest: Uint8Array): boolean {
    const isNew = this.#first.add(digest);
    return this.#second.add(digest) || isNew;
  }

  has(digest: Uint8Array): boolean {
    return this.#first.has(digest) && this.#second.has(digest);
  }
}

export class Marks {
  readonly #rows: SyncReader;
  readonly #turns: Turns;
  readonly #nodes: SafeDigestSet;
  readonly #commits: SafeDigestSet;
  /** Nodes of refs, of which what they name is marked. */
  readonly #keptRefs: SafeDigestSet;
  readonly #recentRefs: SafeDigestSet;
  marked = 0;

  constructor(options: {
    readonly rows: SyncReader;
    readonly turns: Turns;
    readonly randomBytes: (count: number) => Uint8Array;
  }) {
    this.#rows = options.rows;
    this.#turns = options.turns;
    this.#nodes = new SafeDigestSet(options.randomBytes);
    this.#commits = new SafeDigestSet(options.randomBytes);
    this.#keptRefs = new SafeDigestSet(options.randomBytes);
    this.#recentRefs = new SafeDigestSet(options.randomBytes);
  }

  hasNode(digest: Uint8Array): boolean {
    return this.#nodes.has(digest);
  }

  hasCommit(hash: Uint8Array): boolean {
    return this.#commits.has(hash);
  }

  /** Refs, and all that they lead to. @throws Corrupt - what is kept is missing or damaged: nothing is to be swept then */
  async refs(root: Digest, reason: MarkReason): Promise<void> {
    for (const leaf of await this.#refsLeaves(root, reason)) {
      for (let index = 0; index < leaf.count; index += 1) await this.#ref(leaf.key(index), leaf.cell(index), reason);
    }
  }

  async #ref(key: Uint8Array, cell: Uint8Array, reason: MarkReason): Promise<void> {
    const ref = fromStore("a key of the refs", () => parseRefKey(key));
    if (ref.kind === "staged") {
      const { stateRoot, ledgerRoot } = fromStore("a cell of the refs", () => stagedCell.decode(cell));
      await this.map(stateRoot, reason);
      await this.map(ledgerRoot, reason);
    } else if (ref.kind === "head" || ref.kind === "tag") {
      await this.commit(fromStore("a cell of the refs", () => commitCell.decode(cell)).commit, reason);
    }
  }

  /** A commit, its maps, and all before it. */
  async commit(hash: Digest, reason: MarkReason): Promise<void> {
    const waiting = [hash];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      await this.#turns.giveWay();
      if (this.#commits.has(next)) continue;
      const bytes = this.#rows.get("objects", next);
      if (bytes === undefined) {
        if (reason === "recent") continue;
        throw new Corrupt("a commit that something names is missing: nothing was freed", { hint: "neleus db fsck" });
      }
      if (!equalBytes(commitHashOf(bytes), next)) {
        throw new Corrupt("a commit is damaged: nothing was freed", { hint: "neleus db fsck" });
      }
      this.#commits.add(next);
      const { object } = fromStore("a commit", () => decodeCommit(bytes));
      await this.map(object.stateRoot, "kept");
      await this.map(object.manifests, "kept");
      waiting.push(...object.parents);
    }
  }

  async map(root: Digest, reason: MarkReason): Promise<void> {
    const waiting: ToMark[] = [{ digest: root, level: undefined }];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      await this.#turns.giveWay();
      const { digest, level } = next;
      if (this.#nodes.has(digest)) continue;
      // Only a root may be gone: where it is, the whole map is.
      const node = level === 0 ? undefined : this.#read(digest, level === undefined ? reason : "kept");
      if (level !== 0 && node === undefined) continue;
      this.#add(digest);
      for (const child of childrenOf(node)) waiting.push(child);
    }
  }

  /** Leaves of refs that were not looked at before for this reason. */
  async #refsLeaves(root: Digest, reason: MarkReason): Promise<MapNode[]> {
    const leaves: MapNode[] = [];
    const waiting: ToMark[] = [{ digest: root, level: undefined }];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      await this.#turns.giveWay();
      const { digest, level } = next;
      // What was named for recent reads may have been gone then, and be made again: it is looked at once more.
      if (this.#keptRefs.has(digest) || (reason === "recent" && this.#recentRefs.has(digest))) continue;
      const node = this.#read(digest, level === undefined ? reason : "kept");
      if (node === undefined) continue;
      this.#add(digest);
      (reason === "kept" ? this.#keptRefs : this.#recentRefs).add(digest);
      if (node.level === 0) leaves.push(node);
      for (const child of childrenOf(node)) waiting.push(child);
    }
    return leaves;
  }

  #add(digest: Digest): void {
    if (this.#nodes.add(digest)) this.marked += 1;
  }

  /** A damaged node names other children than the right one: whoever swept by it would lose what could be repaired. */
  #read(digest: Digest, reason: MarkReason): MapNode | undefined {
    try {
      const stored = this.#rows.get("nodes", digest);
      if (stored !== undefined) return verifyNode(stored, digest);
      if (reason === "kept") throw missingNode(digest);
      return undefined;
    } catch (error) {
      if (!(error instanceof NeleusError)) throw error;
      throw new Corrupt(`nothing was freed, since something that is kept is damaged: ${error.message}`, {
        hint: "see what it is, and repair it: neleus db fsck",
        facts: error.facts,
      });
    }
  }
}

function childrenOf(node: MapNode | undefined): ToMark[] {
  if (node === undefined || node.level === 0) return [];
  const level = node.level - 1;
  return Array.from({ length: node.count }, (_, index) => ({ digest: new Uint8Array(node.childDigest(index)), level }));
}
