// The BLAKE3 tree over 16 KiB groups, built as bytes arrive (BLAKE3 paper §5.1.2, with groups for chunks).
//
//              p2               A left subtree holds the largest power of two of groups below its parent's. Complete
//            /    \             subtrees wait on a stack, one for each set bit of the number of groups so far; two
//          p0      p1           of equal size are joined as soon as more input is known to follow, since only the
//         /  \    /  \          last join of all is the root. So pairs are made in post-order: p0, p1, p2.
//        g0  g1  g2  g3
//
// Memory: one group, and 32 bytes for each level. Cost: one copy of the bytes that do not fill a group in one update.
import { assert } from "../errors.js";
import type { Digest } from "../hashes.js";
import { BLOB_GROUP_BYTES } from "../limits.js";
import type { HashEngine } from "./engine.js";

export interface TreeHasherOptions {
  readonly engine: HashEngine;
  /** Hashed before the first byte, and part of the first group. */
  readonly prefix: Uint8Array;
  /** Called with the 64 bytes left ‖ right of each interior node, in post-order. The array is only lent. */
  readonly onPair?: (pair: Uint8Array) => void;
}

export class TreeHasher {
  readonly #engine: HashEngine;
  readonly #onPair: ((pair: Uint8Array) => void) | undefined;
  readonly #pending = new Uint8Array(BLOB_GROUP_BYTES);
  readonly #pair = new Uint8Array(64);
  readonly #complete: Digest[] = [];
  #pendingBytes: number;
  #groups = 0;
  #finished = false;

  constructor(options: TreeHasherOptions) {
    this.#engine = options.engine;
    this.#onPair = options.onPair;
    this.#pending.set(options.prefix);
    this.#pendingBytes = options.prefix.length;
  }

  /** Adds bytes. They are read before it returns, and not kept. */
  update(bytes: Uint8Array): void {
    assert(!this.#finished, "update after finish");
    let offset = 0;
    while (offset < bytes.length) {
      if (this.#pendingBytes === BLOB_GROUP_BYTES) this.#flushPending();
      const left = bytes.length - offset;
      if (this.#pendingBytes === 0 && left > BLOB_GROUP_BYTES) {
        // Whole groups, short of the last byte: the group that ends the input waits in `pending`, as it may be the root.
        const end = offset + Math.floor((left - 1) / BLOB_GROUP_BYTES) * BLOB_GROUP_BYTES;
        this.#addGroups(this.#engine.groupChainingValues(bytes.subarray(offset, end), this.#groups));
        offset = end;
      } else {
        const end = offset + Math.min(left, BLOB_GROUP_BYTES - this.#pendingBytes);
        this.#pending.set(bytes.subarray(offset, end), this.#pendingBytes);
        this.#pendingBytes += end - offset;
        offset = end;
      }
    }
  }

  /** The hash. The hasher takes nothing after this. */
  finish(): Digest {
    assert(!this.#finished, "finish called twice");
    this.#finished = true;
    const input = this.#pending.subarray(0, this.#pendingBytes);
    const position = { groupIndex: this.#groups, isRoot: this.#groups === 0 };
    let node = this.#engine.groupChainingValue(input, position);
    for (let left = this.#complete.pop(); left !== undefined; left = this.#complete.pop()) {
      node = this.#join({ left, right: node, isRoot: this.#complete.length === 0 });
    }
    return node;
  }

  #flushPending(): void {
    this.#addGroups(this.#engine.groupChainingValues(this.#pending, this.#groups));
    this.#pendingBytes = 0;
  }

  /** Takes the chaining values of groups that are known not to be the last. */
  #addGroups(values: Uint8Array): void {
    for (let offset = 0; offset < values.length; offset += 32) {
      let node: Digest = values.subarray(offset, offset + 32);
      this.#groups += 1;
      for (let joined = this.#groups; joined % 2 === 0; joined /= 2) {
        const left = this.#complete.pop();
        assert(left !== undefined, "one complete subtree for each set bit of the group count");
        node = this.#join({ left, right: node, isRoot: false });
      }
      this.#complete.push(node);
    }
  }

  #join(node: { left: Digest; right: Digest; isRoot: boolean }): Digest {
    this.#pair.set(node.left);
    this.#pair.set(node.right, 32);
    this.#onPair?.(this.#pair);
    return this.#engine.parentChainingValue(this.#pair, node);
  }
}
