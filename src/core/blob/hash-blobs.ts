// Hashes of many blobs that lie in memory: short ones go to the kernel many at a time.
import { hashBatch } from "../hash/index.js";
import { blobHash, type BlobHash } from "../hashes.js";
import { hashBlob } from "./hasher.js";

/** Blobs up to this long are hashed many at a time. */
const BATCHED_BLOB_BYTES = 1024;

/** `H_blob` of each, in order. */
export function hashBlobs(blobs: readonly Uint8Array[]): readonly BlobHash[] {
  const hashes: BlobHash[] = [];
  const short: Uint8Array[] = [];
  const places: number[] = [];
  for (const [index, blob] of blobs.entries()) {
    if (blob.length <= BATCHED_BLOB_BYTES) {
      short.push(blob);
      places.push(index);
    } else {
      hashes[index] = hashBlob(blob);
    }
  }
  const digests = hashBatch("blob:", short);
  for (const [position, index] of places.entries()) {
    hashes[index] = blobHash(digests.subarray(position * 32, position * 32 + 32));
  }
  return hashes;
}
