// Hashing a blob, at once or as it arrives (FORMATS §5).
//
// The outboard is the interior nodes of the tree, 64 bytes each (left ‖ right chaining value), in post-order: each is
// known once the groups below it are, so it can be appended to a file while the blob is still arriving, in memory
// that does not grow. `slicePlan` says which pair of it belongs where in a slice.
import { LimitExceeded } from "../errors.js";
import { hashTagged, treeHasher, type TreeHasher } from "../hash/index.js";
import { blobHash, type BlobHash } from "../hashes.js";
import { MAX_BLOB_BYTES } from "../limits.js";
import { PAIR_BYTES } from "./shape.js";

/** What a finished hasher knows. */
export interface HashedBlob {
  readonly hash: BlobHash;
  readonly sizeBytes: number;
  /** The pairs that `drainOutboard` has not already handed over: all of them, where it was never called. */
  readonly outboard: Uint8Array;
}

/** `H_blob(bytes)`. */
export function hashBlob(bytes: Uint8Array): BlobHash {
  return blobHash(hashTagged("blob:", bytes));
}

/** The outboard of a blob in memory: 0.4 % of its size, nothing for one group. */
export function computeOutboard(bytes: Uint8Array): Uint8Array {
  const hasher = new BlobHasher();
  hasher.update(bytes);
  return hasher.finish().outboard;
}

/**
 * Hashes a blob that arrives in pieces of any size. Fastest when a piece is 64 KiB or more. Memory is one group, and
 * the outboard until it is drained.
 */
export class BlobHasher {
  readonly #tree: TreeHasher = treeHasher("blob:", (pair) => this.#append(pair));
  #outboard = new Uint8Array(16 * PAIR_BYTES);
  #outboardBytes = 0;
  #sizeBytes = 0;

  /** Bytes hashed so far. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /**
   * Adds the next bytes. They are not kept.
   * @throws LimitExceeded - the blob would have more than MAX_BLOB_BYTES; the hasher is as it was before
   */
  update(bytes: Uint8Array): void {
    if (this.#sizeBytes + bytes.length > MAX_BLOB_BYTES) {
      throw new LimitExceeded(`a blob has at most ${MAX_BLOB_BYTES} bytes`, {
        facts: { limit: "blob_bytes", value: String(MAX_BLOB_BYTES) },
      });
    }
    this.#sizeBytes += bytes.length;
    this.#tree.update(bytes);
  }

  /** The pairs completed since the last call, to append to what the calls before returned. The caller's to keep. */
  drainOutboard(): Uint8Array {
    const pairs = this.#outboard.slice(0, this.#outboardBytes);
    this.#outboardBytes = 0;
    return pairs;
  }

  /** Ends the blob. The hasher takes nothing after this. */
  finish(): HashedBlob {
    const hash = blobHash(this.#tree.finish());
    return { hash, sizeBytes: this.#sizeBytes, outboard: this.drainOutboard() };
  }

  #append(pair: Uint8Array): void {
    if (this.#outboardBytes === this.#outboard.length) {
      const larger = new Uint8Array(this.#outboard.length * 2);
      larger.set(this.#outboard);
      this.#outboard = larger;
    }
    this.#outboard.set(pair, this.#outboardBytes);
    this.#outboardBytes += PAIR_BYTES;
  }
}
