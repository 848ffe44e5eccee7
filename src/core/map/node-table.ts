// Nodes in memory, by digest.
import { toHex } from "../bytes.js";
import { Corrupt } from "../errors.js";
import type { Digest } from "../hashes.js";
import { digestName } from "./digest-name.js";
import type { MapNode } from "./node.js";
import type { NodeSource } from "./source.js";

/** Nodes in memory: what an edit created, or a map that never sees a disk. */
export class NodeTable implements NodeSource {
  readonly #nodes = new Map<string, MapNode>();

  /** Adds a node. To be passed to `buildMap` as it is. */
  readonly add = (node: MapNode): void => {
    this.#nodes.set(digestName(node.digest), node);
  };

  delete(digest: Digest): void {
    this.#nodes.delete(digestName(digest));
  }

  get size(): number {
    return this.#nodes.size;
  }

  /** Undefined where it is not here. */
  find(digest: Digest): MapNode | undefined {
    return this.#nodes.get(digestName(digest));
  }

  /** @throws Corrupt - no such node */
  load(digest: Digest): MapNode {
    const node = this.find(digest);
    if (node !== undefined) return node;
    const hash = toHex(digest);
    throw new Corrupt(`map node ${hash} is missing`, { facts: { hash } });
  }
}
