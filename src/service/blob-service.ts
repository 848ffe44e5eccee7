// BlobService: content-addressed bytes, streamed in and out.
//
// Whoever reads gets slices (FORMATS §5) as the engine walks the tree; nothing is held beyond one message. Uploads are
// committed by their finish message alone: the end of the stream without it, or a signal, closes the engine's upload,
// which then keeps what is resumable and drops the rest.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { DownloadSliceSchema } from "../../gen/neleus/v1/blob_pb.js";
import {
  BatchPutOutcome,
  BlobService,
  type BatchGetItemSchema,
  type BlobRef,
  type BlobServiceBatchGetRequest,
  type BlobServiceBatchGetResponseSchema,
  type BlobServiceDownloadRequest,
  type BlobServiceDownloadResponseSchema,
  type BlobServiceFindMissingRequest,
  type UploadHeader,
} from "../../gen/neleus/v1/blob_pb.js";
import { checkedRanges, type ByteRange, type SlicePart } from "../core/blob/index.js";
import { concatBytes } from "../core/bytes.js";
import type { BlobHash } from "../core/hashes.js";
import { MAX_BATCH_BLOBS, MAX_BLOB_BYTES, MAX_DOWNLOAD_RANGES, MAX_INLINE_VALUE_BYTES } from "../core/limits.js";
import type { BlobReader, BlobRef as StoredBlob, StreamMemory } from "../database/index.js";
import { statusMessage } from "./errors.js";
import { openDatabase, type ServiceEnvironment } from "./environment.js";
import type { CallContext, ServiceImplementation } from "./implementation.js";
import { messageBytes } from "./message-size.js";
import { Pace } from "./pace.js";
import { receive, type Opened } from "./receive.js";
import { blobHashField, countWithin, forField, integerField, invalid, uploadIdField } from "./request.js";

/** Hashes that FindMissing looks up between two looks at the clock. */
const FIND_MISSING_STEP = 64;

/** What is counted for an item of BatchGet beside its bytes. */
const ITEM_OVERHEAD_BYTES = 8;

/** Outcomes of the engine as the wire has them. */
const OUTCOMES = {
  stored: BatchPutOutcome.STORED,
  held: BatchPutOutcome.ALREADY_HELD,
  refused: BatchPutOutcome.REFUSED,
} as const;

export function blobService(environment: ServiceEnvironment): ServiceImplementation<typeof BlobService> {
  return {
    async upload(requests, context) {
      const stored = await receive({
        requests,
        signal: context.signal,
        begin: (header: UploadHeader) => beginUpload(environment, header),
      });
      return { hash: stored.hash, size: BigInt(stored.sizeBytes), alreadyHeld: stored.alreadyHeld ?? false };
    },

    async queryUpload(request) {
      const database = await openDatabase(environment, request);
      const content = contentField(request.content, "content");
      const isNamed = request.uploadId !== "" || content === undefined;
      const uploadId = isNamed ? uploadIdField(request.uploadId, "upload_id") : undefined;
      const offset = uploadId === undefined ? 0 : await forField("upload_id", database.uploads.query(uploadId));
      const held = content !== undefined && (await database.blobs.isHeld(content));
      return { offset: BigInt(offset), held };
    },

    download: (request, context) => download(environment, request, context),

    findMissing: (request, context) => findMissing(environment, request, context),

    async batchPut(request) {
      countWithin(request.blobs.length, { field: "blobs", name: "batch_blobs", value: MAX_BATCH_BLOBS });
      const database = await openDatabase(environment, request);
      const outcomes = await database.blobs.putMany(request.blobs);
      return {
        blobs: outcomes.map(({ hash, sizeBytes }) => ({ hash, size: BigInt(sizeBytes) })),
        items: outcomes.map(({ outcome, refusal }) => ({
          outcome: OUTCOMES[outcome],
          ...(refusal === undefined ? {} : { refusal: statusMessage(refusal) }),
        })),
      };
    },

    batchGet: (request, context) => batchGet(environment, request, context),

    async stat(request) {
      const hash = blobHashField(request.hash, "hash");
      const database = await openDatabase(environment, request);
      const blob = await database.blobs.open(hash);
      try {
        const { sizeBytes } = blob;
        const slice = await wholeSlice(blob, { start: Math.max(0, sizeBytes - 1), end: sizeBytes });
        return { size: BigInt(sizeBytes), parents: slice.parents, data: slice.data };
      } finally {
        await blob.close();
      }
    },
  };
}

async function findMissing(
  environment: ServiceEnvironment,
  request: BlobServiceFindMissingRequest,
  context: CallContext,
): Promise<{ missing: BlobHash[] }> {
  const hashes = hashesField(request.hashes);
  const database = await openDatabase(environment, request);
  const pace = new Pace(context.signal);
  const missing: BlobHash[] = [];
  for (let start = 0; start < hashes.length; start += FIND_MISSING_STEP) {
    if (pace.isDue) await pace.rest();
    missing.push(...(await database.blobs.findMissing(hashes.slice(start, start + FIND_MISSING_STEP))));
  }
  return { missing };
}

/** A blob that was uploaded, or did not have to be. */
interface Uploaded extends StoredBlob {
  readonly alreadyHeld?: boolean;
}

async function beginUpload(environment: ServiceEnvironment, header: UploadHeader): Promise<Opened<Uploaded>> {
  const uploadId = header.uploadId === "" ? undefined : uploadIdField(header.uploadId, "header.upload_id");
  const declared = contentField(header.content, "header.content");
  const database = await openDatabase(environment, header, "header.database");
  if (declared !== undefined && (await database.blobs.isHeld(declared))) {
    return { answer: { ...declared, alreadyHeld: true } };
  }
  return { sink: await forField("header.upload_id", database.uploads.begin({ uploadId })), declared };
}

/** The content that a client says it has. @throws InvalidArgument - no hash, or a size that no blob has */
function contentField(content: BlobRef | undefined, field: string): StoredBlob | undefined {
  if (content === undefined) return undefined;
  const sizeBytes = integerField(content.size, `${field}.size`);
  if (sizeBytes > MAX_BLOB_BYTES)
    throw invalid(`${field}.size`, `${sizeBytes} bytes, and ${MAX_BLOB_BYTES} is the most`);
  return { hash: blobHashField(content.hash, `${field}.hash`), sizeBytes };
}

async function* download(
  environment: ServiceEnvironment,
  request: BlobServiceDownloadRequest,
  context: CallContext,
): AsyncGenerator<MessageInitShape<typeof BlobServiceDownloadResponseSchema>, void, undefined> {
  const hash = blobHashField(request.hash, "hash");
  const wanted = wantedRanges(request);
  const database = await openDatabase(environment, request);
  const pace = new Pace(context.signal);
  const blob = await database.blobs.open(hash);
  try {
    const placed = wanted.map(({ start, end = blob.sizeBytes }) => ({ start, end }));
    // Checked before the header goes out, so that a wrong range is an error and not a stream that breaks.
    const ranges = checkedRanges(blob.sizeBytes, request.ranges.length > 0 ? placed : (placed[0] ?? placed));
    const start = BigInt(ranges[0]?.start ?? 0);
    const end = BigInt(ranges.at(-1)?.end ?? 0);
    yield { part: { case: "header", value: { size: BigInt(blob.sizeBytes), start, end } } };
    const { memory } = context;
    const slices = request.omitParents ? withoutParents(blob, ranges, memory) : blob.slices(ranges, memory);
    for await (const slice of slices) {
      if (pace.isDue) await pace.rest();
      yield { part: { case: "slice", value: slice } };
    }
  } finally {
    await blob.close();
  }
}

/** The ranges that are asked for, the one of `start` and `end` among them; an end is absent where the blob's is meant. */
function wantedRanges(request: BlobServiceDownloadRequest): { start: number; end?: number }[] {
  const { start, end, ranges } = request;
  const range = (
    wanted: { start: bigint; end?: bigint | undefined },
    path: string,
  ): { start: number; end?: number } => ({
    start: integerField(wanted.start, `${path}start`),
    ...(wanted.end === undefined ? {} : { end: integerField(wanted.end, `${path}end`) }),
  });
  if (ranges.length === 0) return [range({ start, end }, "")];
  if (start !== 0n || end !== undefined) {
    throw invalid("ranges", "given beside start or end", "give one or the other");
  }
  countWithin(ranges.length, { field: "ranges", name: "download_ranges", value: MAX_DOWNLOAD_RANGES });
  return ranges.map((wanted, index) => range(wanted, `ranges[${index}].`));
}

async function* withoutParents(
  blob: BlobReader,
  ranges: readonly ByteRange[],
  memory: StreamMemory | undefined,
): AsyncGenerator<MessageInitShape<typeof DownloadSliceSchema>, void, undefined> {
  for (const range of ranges) for await (const data of blob.bytes(range, memory)) yield { data };
}

/** A slice of few groups in one piece. */
export async function wholeSlice(blob: BlobReader, range: ByteRange): Promise<SlicePart> {
  const parents: Uint8Array[] = [];
  const data: Uint8Array[] = [];
  for await (const part of blob.slices(range)) {
    // Copied: they are lent until the next is asked for.
    parents.push(new Uint8Array(part.parents));
    data.push(new Uint8Array(part.data));
  }
  return { parents: concatBytes(...parents), data: concatBytes(...data) };
}

async function* batchGet(
  environment: ServiceEnvironment,
  request: BlobServiceBatchGetRequest,
  context: CallContext,
): AsyncGenerator<MessageInitShape<typeof BlobServiceBatchGetResponseSchema>, void, undefined> {
  const hashes = hashesField(request.hashes);
  const database = await openDatabase(environment, request);
  const pace = new Pace(context.signal);
  let items: MessageInitShape<typeof BatchGetItemSchema>[] = [];
  let sizeBytes = 0;
  for (const hash of hashes) {
    if (pace.isDue) await pace.rest();
    const found = await database.blobs.find(hash, { atMostBytes: MAX_INLINE_VALUE_BYTES });
    const contentBytes = found?.bytes?.length ?? 0;
    if (items.length > 0 && sizeBytes + contentBytes + ITEM_OVERHEAD_BYTES > messageBytes(context.memory)) {
      yield { items };
      items = [];
      sizeBytes = 0;
    }
    if (found === undefined) items.push({ result: { case: "missing", value: true } });
    else if (found.bytes === undefined) items.push({ result: { case: "tooLarge", value: BigInt(found.sizeBytes) } });
    else items.push({ result: { case: "data", value: found.bytes } });
    sizeBytes += contentBytes + ITEM_OVERHEAD_BYTES;
  }
  if (items.length > 0) yield { items };
}

function hashesField(hashes: readonly Uint8Array[]): BlobHash[] {
  countWithin(hashes.length, { field: "hashes", name: "batch_blobs", value: MAX_BATCH_BLOBS });
  return hashes.map((hash, index) => blobHashField(hash, `hashes[${index}]`));
}
