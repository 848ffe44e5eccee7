// Looks at all map nodes of a store: which are there, which are needed, and whether any names one that is not there.
import assert from "node:assert/strict";
import { toHex } from "#src/core/bytes.js";
import { InvalidArgument } from "#src/core/errors.js";
import type { Digest } from "#src/core/hashes.js";
import { verifyNode } from "#src/core/map/index.js";
import type { Commit } from "#src/core/object/index.js";
import type { Database } from "#src/database/index.js";
import type { Store } from "#src/store/index.js";

export interface NodeCount {
  /** Rows of map nodes. */
  readonly rows: number;
  /** Those below the refs, the heads and all commits. */
  readonly live: number;
}

/**
 * Reads every node of the store: none may name a child that is not there. So a root that is there is readable to its last
 * leaf; those of the refs, of all heads, of all commits ever made, and the `others`, must be there.
 */
export async function checkNodes(db: Database, store: Store, others: readonly Digest[] = []): Promise<NodeCount> {
  const children = new Map<string, string[]>();
  for await (const key of store.iterate("nodes")) {
    const [stored] = await store.getMany("nodes", [key]);
    const node = verifyNode(stored!, key);
    const below: string[] = [];
    for (let index = 0; node.level > 0 && index < node.count; index += 1) below.push(toHex(node.childDigest(index)));
    children.set(toHex(key), below);
  }
  for (const [name, below] of children) {
    for (const child of below) assert.ok(children.has(child), `node ${name} names ${child}, which is not there`);
  }
  const live = new Set<string>();
  const visit = (name: string): void => {
    assert.ok(children.has(name), `the root ${name} is not there`);
    const open = [name];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      if (live.has(next)) continue;
      live.add(next);
      open.push(...(children.get(next) ?? []));
    }
  };
  const view = await db.view();
  visit(toHex(view.refs.root));
  for (const head of await view.heads()) {
    visit(toHex(head.stagedState));
    visit(toHex(head.stagedLedger));
  }
  for (const { stateRoot, manifests } of await commitsOf(db, store)) {
    visit(toHex(stateRoot));
    visit(toHex(manifests));
  }
  const needed = live.size;
  for (const root of others) visit(toHex(root));
  return { rows: children.size, live: needed };
}

/** Every commit in the store, whether a head leads to it or not. */
async function commitsOf(db: Database, store: Store): Promise<Commit[]> {
  const commits: Commit[] = [];
  for await (const hash of store.iterate("objects")) {
    try {
      commits.push((await db.commits.get(hash)).object);
    } catch (error) {
      // A manifest.
      if (!(error instanceof InvalidArgument)) throw error;
    }
  }
  return commits;
}
