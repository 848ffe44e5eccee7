// Many small blobs in one call: stored, fetched, or asked after (BlobService BatchPut, BatchGet, FindMissing).
import { hashBlob } from "../core/blob/index.js";
import { equalBytes, toHex } from "../core/bytes.js";
import { IncompleteProof, LimitExceeded, VerificationFailed } from "../core/errors.js";
import { blobHash, type BlobHash } from "../core/hashes.js";
import { MAX_BATCH_BLOBS, MAX_BATCH_BYTES, MAX_INLINE_VALUE_BYTES } from "../core/limits.js";
import { BlobService, type BatchGetItem } from "../../gen/neleus/v1/blob_pb.js";
import { hashBytes, textOrBytes } from "./argument.js";
import type { Connection } from "./connection.js";
import type { FetchedBlob } from "./contract.js";
import { receivedInteger, receivedPart, wrongHash } from "./received.js";
import type { BlobReference, HashArgument } from "./records.js";
import type { CallOptions } from "./transport.js";

/** Stores many small blobs in one batch. See `Database.putBlobs`. */
export async function putBlobs(
  connection: Connection,
  contents: readonly (string | Uint8Array)[],
  options: CallOptions = {},
): Promise<BlobReference[]> {
  const blobs = contents.map((content, index) => textOrBytes(content, `contents[${index}]`));
  if (blobs.length === 0) return [];
  requireBatch(blobs);
  const { database } = connection;
  const answer = await connection.unary(BlobService.method.batchPut, { database, blobs }, options);
  if (answer.blobs.length !== blobs.length) {
    throw new VerificationFailed(`the server confirms ${answer.blobs.length} blobs of ${blobs.length}`);
  }
  return blobs.map((bytes, index) => {
    const stored = receivedPart(answer.blobs[index], "blob");
    const hash = hashBlob(bytes);
    if (!equalBytes(stored.hash, hash)) throw wrongHash("blob", { expected: hash, actual: stored.hash, bytes });
    if (stored.size !== BigInt(bytes.length)) {
      throw new VerificationFailed(`blob ${toHex(hash)} has ${bytes.length} bytes; the server confirms ${stored.size}`);
    }
    return { hash, sizeBytes: bytes.length };
  });
}

function requireBatch(blobs: readonly Uint8Array[]): void {
  const limit = (name: string, value: number): { facts: Record<string, string> } => ({
    facts: { limit: name, value: String(value) },
  });
  if (blobs.length > MAX_BATCH_BLOBS) {
    throw new LimitExceeded(`at most ${MAX_BATCH_BLOBS} blobs in one batch`, limit("batch_blobs", MAX_BATCH_BLOBS));
  }
  let total = 0;
  for (const [index, { length }] of blobs.entries()) {
    total += length;
    if (length <= MAX_INLINE_VALUE_BYTES) continue;
    const message = `contents[${index}]: at most ${MAX_INLINE_VALUE_BYTES} bytes in a batch, not ${length}`;
    throw new LimitExceeded(message, limit("inline_value_bytes", MAX_INLINE_VALUE_BYTES));
  }
  if (total > MAX_BATCH_BYTES) {
    throw new LimitExceeded(`at most ${MAX_BATCH_BYTES} bytes in one batch`, limit("batch_bytes", MAX_BATCH_BYTES));
  }
}

/** Those that the server does not hold. See `Database.missingBlobs`. */
export async function missingBlobs(
  connection: Connection,
  hashes: readonly HashArgument[],
  options: CallOptions = {},
): Promise<BlobHash[]> {
  const asked = hashes.map((hash, index) => blobHash(hashBytes(hash, `hashes[${index}]`)));
  const { database } = connection;
  const missing: BlobHash[] = [];
  for (let first = 0; first < asked.length; first += MAX_BATCH_BLOBS) {
    const part = asked.slice(first, first + MAX_BATCH_BLOBS);
    const answer = await connection.unary(BlobService.method.findMissing, { database, hashes: part }, options);
    missing.push(...subsequence(part, answer.missing));
  }
  return missing;
}

/** The answer must name what was asked for, in its order. */
function subsequence(asked: readonly BlobHash[], answered: readonly Uint8Array[]): BlobHash[] {
  const found: BlobHash[] = [];
  let next = 0;
  for (const hash of answered) {
    while (next < asked.length && !equalBytes(asked[next] ?? hash.subarray(0, 0), hash)) next += 1;
    const match = asked[next];
    if (match === undefined) throw new VerificationFailed("the server misses a blob that was not asked after");
    found.push(match);
    next += 1;
  }
  return found;
}

/** Many small blobs. See `Database.getBlobs`. */
export async function* getBlobs(
  connection: Connection,
  hashes: readonly HashArgument[],
  options: CallOptions = {},
): AsyncGenerator<FetchedBlob, void, undefined> {
  const asked = hashes.map((hash, index) => blobHash(hashBytes(hash, `hashes[${index}]`)));
  const { database } = connection;
  for (let first = 0; first < asked.length; first += MAX_BATCH_BLOBS) {
    const part = asked.slice(first, first + MAX_BATCH_BLOBS);
    let next = 0;
    for await (const { items } of connection.serverStream(
      BlobService.method.batchGet,
      { database, hashes: part },
      options,
    )) {
      for (const item of items) {
        const hash = part[next];
        if (hash === undefined) throw new VerificationFailed("the answer holds more blobs than were asked for");
        next += 1;
        yield fetchedBlob(hash, item);
      }
    }
    if (next < part.length) throw new IncompleteProof(`the answer ends after ${next} of ${part.length} blobs`);
  }
}

function fetchedBlob(hash: BlobHash, { result }: BatchGetItem): FetchedBlob {
  switch (result.case) {
    case "data": {
      const bytes = new Uint8Array(result.value);
      const actual = hashBlob(bytes);
      if (!equalBytes(actual, hash)) throw wrongHash("blob", { expected: hash, actual, bytes });
      return { hash, bytes, isHeld: true };
    }
    case "tooLarge":
      receivedInteger(result.value, "the size of a blob");
      return { hash, bytes: undefined, isHeld: true };
    case "missing":
      return { hash, bytes: undefined, isHeld: false };
    case undefined:
      throw new VerificationFailed("the answer has an item without a result");
  }
}
