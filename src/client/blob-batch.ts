// Many small blobs in one call: stored, fetched, or asked after (BlobService BatchPut, BatchGet, FindMissing).
import { toBinary } from "@bufbuild/protobuf";
import { hashBlob } from "../core/blob/index.js";
import { equalBytes, toHex } from "../core/bytes.js";
import { IncompleteProof, InvalidArgument, VerificationFailed } from "../core/errors.js";
import { hashBatch } from "../core/hash/index.js";
import { blobHash, type BlobHash } from "../core/hashes.js";
import { MAX_BATCH_BLOBS, MAX_BATCH_BYTES, MAX_INLINE_VALUE_BYTES } from "../core/limits.js";
import { StatusSchema } from "../../gen/google/rpc/status_pb.js";
import { BatchPutOutcome, BlobService, type BatchGetItem, type BatchPutItem } from "../../gen/neleus/v1/blob_pb.js";
import { hashBytes, textOrBytes } from "./argument.js";
import type { Connection } from "./connection.js";
import type { BatchedBlob, FetchedBlob } from "./contract.js";
import { receivedInteger, receivedPart, wrongHash } from "./received.js";
import type { HashArgument } from "./records.js";
import type { CallOptions } from "./transport.js";
import { errorFromWire } from "./wire-error.js";

const HASH_BYTES = 32;

/** What an item takes in a message beside its bytes, at most: a tag and a length. */
const ITEM_OVERHEAD_BYTES = 8;

/** Stores many small blobs. See `Database.putBlobs`. */
export async function putBlobs(
  connection: Connection,
  contents: readonly (string | Uint8Array)[],
  options: CallOptions = {},
): Promise<BatchedBlob[]> {
  const blobs = contents.map((content, index) => textOrBytes(content, `contents[${index}]`));
  const results: BatchedBlob[] = [];
  for (const { first, end } of messagesOf(blobs)) {
    const part = blobs.slice(first, end);
    const small = part.filter((bytes) => bytes.length <= MAX_INLINE_VALUE_BYTES);
    const put = small.length === 0 ? [] : await putBatch(connection, small, options);
    let next = 0;
    for (const [index, bytes] of part.entries()) {
      if (bytes.length > MAX_INLINE_VALUE_BYTES) results.push(tooLarge(bytes, first + index));
      else results.push(receivedPart(put[next++], "item"));
    }
  }
  return results;
}

/** Runs of blobs that fit into one message each; what is too large for a batch is not sent, and takes no room. */
function* messagesOf(blobs: readonly Uint8Array[]): Generator<{ first: number; end: number }, void, undefined> {
  let first = 0;
  let sizeBytes = 0;
  for (const [index, { length }] of blobs.entries()) {
    const taken = length > MAX_INLINE_VALUE_BYTES ? 0 : length + ITEM_OVERHEAD_BYTES;
    if (index - first === MAX_BATCH_BLOBS || sizeBytes + taken > MAX_BATCH_BYTES) {
      yield { first, end: index };
      first = index;
      sizeBytes = 0;
    }
    sizeBytes += taken;
  }
  if (first < blobs.length) yield { first, end: blobs.length };
}

async function putBatch(
  connection: Connection,
  blobs: readonly Uint8Array[],
  options: CallOptions,
): Promise<BatchedBlob[]> {
  const { database } = connection;
  const call = connection.unary(BlobService.method.batchPut, { database, blobs: [...blobs] }, options);
  // Hashed while the server works.
  const hashes = hashBatch("blob:", blobs);
  const answer = await call;
  if (answer.blobs.length !== blobs.length || answer.items.length !== blobs.length) {
    const counts = `${answer.blobs.length} and ${answer.items.length}`;
    throw new VerificationFailed(`the server confirms ${counts} blobs of ${blobs.length}`);
  }
  return blobs.map((bytes, index) => {
    const stored = receivedPart(answer.blobs[index], "blob");
    const hash = blobHash(hashes.slice(index * HASH_BYTES, (index + 1) * HASH_BYTES));
    if (!equalBytes(stored.hash, hash)) throw wrongHash("blob", { expected: hash, actual: stored.hash, bytes });
    if (stored.size !== BigInt(bytes.length)) {
      throw new VerificationFailed(`blob ${toHex(hash)} has ${bytes.length} bytes; the server confirms ${stored.size}`);
    }
    const blob = { hash, sizeBytes: bytes.length };
    return { ...blob, ...outcomeOf(receivedPart(answer.items[index], "item"), connection.transport.address) };
  });
}

function outcomeOf({ outcome, refusal }: BatchPutItem, address: string): Pick<BatchedBlob, "outcome" | "refusal"> {
  if (refusal !== undefined && outcome !== BatchPutOutcome.REFUSED) {
    throw new VerificationFailed("the server gives a reason for a refusal, and says that it did not refuse");
  }
  switch (outcome) {
    case BatchPutOutcome.STORED:
      return { outcome: "stored", refusal: undefined };
    case BatchPutOutcome.ALREADY_HELD:
      return { outcome: "held", refusal: undefined };
    case BatchPutOutcome.REFUSED: {
      const { code, message } = receivedPart(refusal, "reason for a refusal");
      const details = toBinary(StatusSchema, receivedPart(refusal, "reason for a refusal"));
      return { outcome: "refused", refusal: errorFromWire({ code, message, details, address }) };
    }
    default:
      throw new VerificationFailed(`the server does not say what became of a blob (${String(outcome)})`);
  }
}

function tooLarge(bytes: Uint8Array, index: number): BatchedBlob {
  const field = `contents[${index}]`;
  const message = `${field}: ${bytes.length} bytes, and ${MAX_INLINE_VALUE_BYTES} is the most in a batch`;
  const refusal = new InvalidArgument(message, { field, hint: "store it with putBlob" });
  return { hash: hashBlob(bytes), sizeBytes: bytes.length, outcome: "refused", refusal };
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
