// A map that is edited in place and compared with a rebuild after every step: the oracle of the editor's tests.
import assert from "node:assert/strict";
import { compareBytes, toHex } from "#src/core/bytes.js";
import type { Digest } from "#src/core/hashes.js";
import type { Edit, EditResult, Entry, MapNode } from "#src/core/map/index.js";
import { MapKind, NodeTable, Recorder, buildMap, edit, readSync, verifyWitness } from "#src/core/map/index.js";

/** A map that is edited in place and compared with a rebuild after every step. */
export class EditedMap {
  readonly source = new NodeTable();
  readonly #cells = new Map<string, Entry>();
  root: Digest;
  /** Nodes read by the last edit. */
  reads = 0;

  constructor(entries: readonly Entry[]) {
    for (const entry of entries) this.#cells.set(toHex(entry.key), entry);
    this.root = buildMap(MapKind.state, this.entries(), this.source.add).root;
  }

  entries(): Entry[] {
    return [...this.#cells.values()].sort((a, b) => compareBytes(a.key, b.key));
  }

  apply(edits: readonly Edit[]): EditResult {
    this.reads = 0;
    const recorder = new Recorder();
    const at = { kind: MapKind.state, root: this.root };
    const result = readSync(edit(at, edits), { load: (digest) => this.#load(digest) }, recorder);
    for (const { key, cell } of edits) {
      if (cell === undefined) this.#cells.delete(toHex(key));
      else this.#cells.set(toHex(key), { key, cell });
    }
    this.#checkAgainstRebuild(result);
    const transition = verifyWitness(edit(at, edits), [...recorder.reveals()]);
    assert.deepEqual(transition.root, result.root, "a client that edits the witness gets the same root");
    this.root = result.root;
    return result;
  }

  #load(digest: Digest): MapNode {
    this.reads += 1;
    return this.source.load(digest);
  }

  #checkAgainstRebuild(result: EditResult): void {
    const rebuilt = new NodeTable();
    const { root, total } = buildMap(MapKind.state, this.entries(), rebuilt.add);
    assert.equal(toHex(result.root), toHex(root), "the root of a rebuild");
    assert.equal(result.total, total);
    for (const node of result.created) {
      assert.equal(this.source.find(node.digest), undefined, "what was there is not created again");
      assert.deepEqual(rebuilt.find(node.digest)?.stored, node.stored, "what is created is in the new map");
      this.source.add(node);
    }
    this.#checkOrder(result.superseded);
    for (const digest of result.superseded) {
      assert.notEqual(this.source.find(digest), undefined, "what is superseded was there, and is named once");
      this.source.delete(digest);
    }
    assert.equal(this.source.size, rebuilt.size, "and nothing else came or went");
  }

  /** Children before parents: a node that has come is no child of a later one. Looked at before anything is dropped. */
  #checkOrder(superseded: readonly Digest[]): void {
    const seenParents = new Set<string>();
    for (const digest of superseded) {
      const node = this.source.load(digest);
      for (let index = 0; node.level > 0 && index < node.count; index += 1) {
        seenParents.add(toHex(node.childDigest(index)));
      }
      assert.ok(!seenParents.has(toHex(digest)), "a superseded node comes before its parent");
    }
  }
}
