// A blob by its hash: fetched with the parents that prove each group (FORMATS §5).
import type { MessageInitShape } from "@bufbuild/protobuf";
import { BlobHasher, SliceDecoder, type ByteRange } from "../core/blob/index.js";
import { concatBytes, equalBytes, fromUtf8, toHex } from "../core/bytes.js";
import { IncompleteProof, InvalidArgument, LimitExceeded, VerificationFailed } from "../core/errors.js";
import { blobHash, type BlobHash } from "../core/hashes.js";
import { MAX_BLOB_BYTES } from "../core/limits.js";
import {
  BlobService,
  type BlobServiceDownloadRequestSchema,
  type BlobServiceDownloadResponse,
  type DownloadHeader,
} from "../../gen/neleus/v1/blob_pb.js";
import { countArgument, hashBytes } from "./argument.js";
import { callOptions, type Connection } from "./connection.js";
import type { BlobHandle, BlobPiece, BlobRange, RangeOptions } from "./contract.js";
import { receivedInteger } from "./received.js";
import type { BlobReference, HashArgument } from "./records.js";
import type { CallOptions } from "./transport.js";

/** What `bytes` and `text` load at most, where the caller does not say. */
const DEFAULT_MAX_BYTES = 256 * 1024 * 1024;

/** A blob by its hash. */
export class VerifiedBlob implements BlobHandle {
  readonly hash: BlobHash;
  readonly #connection: Connection;

  /** @throws InvalidArgument - no hash */
  constructor(connection: Connection, hash: HashArgument) {
    this.hash = blobHash(hashBytes(hash, "hash"));
    this.#connection = connection;
  }

  async *stream(range: RangeOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    const download = this.#download(range, { omitParents: false });
    try {
      const header = await nextHeader(download);
      const answered = answeredRange(header, range);
      yield* this.#verified(download, answered);
    } finally {
      await download.return?.();
    }
  }

  async bytes(range: RangeOptions & { readonly maxBytes?: number | undefined } = {}): Promise<Uint8Array> {
    const maxBytes = range.maxBytes ?? DEFAULT_MAX_BYTES;
    return this.#gather(range, (answered) => {
      if (answered.range.end - answered.range.start > maxBytes) throw this.#tooLarge(answered.range, maxBytes);
    });
  }

  /**
   * The bytes of a blob whose size is known from elsewhere: a proved cell, a manifest.
   * @throws VerificationFailed - also where it has another size
   */
  async bytesOfSize(sizeBytes: number, range: RangeOptions = {}): Promise<Uint8Array> {
    const { start, end } = range;
    return this.#gather({ ...callOptions(range), start, end }, (answered) => {
      if (answered.sizeBytes !== sizeBytes) throw this.#otherSize(answered.sizeBytes, sizeBytes);
    });
  }

  async #gather(range: RangeOptions, check: (answered: AnsweredRange) => void): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    const download = this.#download(range, { omitParents: false });
    try {
      const answered = answeredRange(await nextHeader(download), range);
      check(answered);
      for await (const piece of this.#verified(download, answered)) pieces.push(piece);
    } finally {
      await download.return?.();
    }
    const [only] = pieces;
    return only !== undefined && pieces.length === 1 ? only : concatBytes(...pieces);
  }

  async *ranges(
    ranges: readonly BlobRange[],
    options: CallOptions & { readonly sizeBytes?: number | undefined } = {},
  ): AsyncGenerator<BlobPiece, void, undefined> {
    // None at all would be read as all of it.
    if (ranges.length === 0) throw new InvalidArgument("ranges: at least one is wanted", { field: "ranges" });
    const asked = ranges.map((range, index) => ({
      start: range.start === undefined ? 0 : countArgument(range.start, `ranges[${index}].start`),
      end: range.end === undefined ? undefined : countArgument(range.end, `ranges[${index}].end`),
    }));
    const download = this.#open({ ranges: asked.map(rangeMessage) }, options);
    try {
      const { sizeBytes } = answeredRange(await nextHeader(download), {
        start: asked[0]?.start,
        end: asked.at(-1)?.end,
      });
      if (options.sizeBytes !== undefined && options.sizeBytes !== sizeBytes)
        throw this.#otherSize(sizeBytes, options.sizeBytes);
      yield* this.#placed(
        download,
        sizeBytes,
        asked.map(({ start, end = sizeBytes }) => ({ start, end })),
      );
    } finally {
      await download.return?.();
    }
  }

  async text(range: RangeOptions & { readonly maxBytes?: number | undefined } = {}): Promise<string> {
    return fromUtf8(await this.bytes(range));
  }

  async stat(options: CallOptions = {}): Promise<BlobReference> {
    const { database } = this.#connection;
    const answer = await this.#connection.unary(BlobService.method.stat, { database, hash: this.hash }, options);
    const sizeBytes = blobSize(answer.size);
    const decoder = new SliceDecoder({
      hash: this.hash,
      sizeBytes,
      range: { start: Math.max(0, sizeBytes - 1), end: sizeBytes },
    });
    decoder.push(answer);
    decoder.finish();
    if (!decoder.sizeProved) throw new IncompleteProof(`blob ${toHex(this.hash)}: its size is not shown`);
    return { hash: this.hash, sizeBytes };
  }

  async *streamUnverifiedUntilEnd(options: CallOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    const download = this.#download(callOptions(options), { omitParents: true });
    try {
      const { sizeBytes } = answeredRange(await nextHeader(download), {});
      const hasher = new BlobHasher();
      for (;;) {
        const next = await download.next();
        if (next.done === true) break;
        const { data, parents } = receivedSlice(next.value);
        if (parents.length > 0) throw new VerificationFailed("the answer holds interior nodes that were not asked for");
        hasher.update(data);
        hasher.drainOutboard();
        if (hasher.sizeBytes > sizeBytes) throw new VerificationFailed("the answer is longer than its header says");
        if (data.length > 0) yield new Uint8Array(data);
      }
      const actual = hasher.finish();
      if (actual.sizeBytes < sizeBytes) {
        throw new IncompleteProof(`blob ${toHex(this.hash)} ends after ${actual.sizeBytes} of ${sizeBytes} bytes`);
      }
      if (!equalBytes(actual.hash, this.hash)) {
        throw new VerificationFailed(`blob ${toHex(this.hash)}: the content hashes to ${toHex(actual.hash)}`, {
          facts: { expected: toHex(this.hash), actual: toHex(actual.hash) },
        });
      }
    } finally {
      await download.return?.();
    }
  }

  /** The rest of a download, each group checked before it is handed on. */
  async *#verified(download: Download, answered: AnsweredRange): AsyncGenerator<Uint8Array, void, undefined> {
    const { sizeBytes, range } = answered;
    const decoder = new SliceDecoder({ hash: this.hash, sizeBytes, range });
    for (;;) {
      const next = await download.next();
      if (next.done === true) break;
      const pieces = decoder.push(receivedSlice(next.value));
      // Copied, since pieces are views of the message: of a cache, where the server is in this process.
      if (pieces.length > 0) yield concatBytes(...pieces);
    }
    decoder.finish();
  }

  /** The same of several ranges, each piece with its place. */
  async *#placed(
    download: Download,
    sizeBytes: number,
    ranges: readonly ByteRange[],
  ): AsyncGenerator<BlobPiece, void, undefined> {
    const decoder = new SliceDecoder({ hash: this.hash, sizeBytes, range: ranges });
    const places = new Places(ranges);
    for (;;) {
      const next = await download.next();
      if (next.done === true) break;
      for (const piece of decoder.push(receivedSlice(next.value))) {
        // A copy, as above.
        yield { start: places.next(piece.length), bytes: new Uint8Array(piece) };
      }
    }
    decoder.finish();
  }

  #download(range: RangeOptions, how: { readonly omitParents: boolean }): Download {
    const start = range.start === undefined ? 0 : countArgument(range.start, "start");
    const end = range.end === undefined ? undefined : countArgument(range.end, "end");
    if (end !== undefined && end <= start && end !== 0) {
      throw new InvalidArgument(`end: ${end} is not above start, ${start}`, { field: "end" });
    }
    return this.#open({ ...rangeMessage({ start, end }), omitParents: how.omitParents }, range);
  }

  #open(wanted: MessageInitShape<typeof BlobServiceDownloadRequestSchema>, options: CallOptions): Download {
    const request = { ...wanted, database: this.#connection.database, hash: this.hash };
    return this.#connection.serverStream(BlobService.method.download, request, options)[Symbol.asyncIterator]();
  }

  #otherSize(claimed: number, known: number): VerificationFailed {
    const claim = `has ${claimed} bytes, the server says; it has ${known}`;
    return new VerificationFailed(`blob ${toHex(this.hash)} ${claim}`);
  }

  #tooLarge(range: ByteRange, maxBytes: number): LimitExceeded {
    return new LimitExceeded(
      `blob ${toHex(this.hash)}: ${range.end - range.start} bytes are more than the ${maxBytes} to be loaded at once`,
      { hint: "stream it, or raise maxBytes", facts: { limit: "max_bytes", value: String(maxBytes) } },
    );
  }
}

/** Where the pieces of several ranges lie, which come in order and cover each range. */
class Places {
  readonly #ranges: readonly ByteRange[];
  #index = 0;
  #offset: number;

  constructor(ranges: readonly ByteRange[]) {
    this.#ranges = ranges;
    this.#offset = ranges[0]?.start ?? 0;
  }

  /** The start of the next piece, which has this length. */
  next(length: number): number {
    const start = this.#offset;
    this.#offset += length;
    if (this.#offset === this.#ranges[this.#index]?.end) {
      this.#index += 1;
      this.#offset = this.#ranges[this.#index]?.start ?? this.#offset;
    }
    return start;
  }
}

function rangeMessage(range: { start: number; end: number | undefined }): { start: bigint; end?: bigint } {
  return { start: BigInt(range.start), ...(range.end === undefined ? {} : { end: BigInt(range.end) }) };
}

type Download = AsyncIterator<BlobServiceDownloadResponse>;

interface AnsweredRange {
  /** As the server claims. */
  readonly sizeBytes: number;
  readonly range: ByteRange;
}

async function nextHeader(download: Download): Promise<DownloadHeader> {
  const first = await download.next();
  if (first.done === true) throw new IncompleteProof("the download ended before its header");
  if (first.value.part.case === "header") return first.value.part.value;
  throw new VerificationFailed("the download does not begin with its header");
}

function receivedSlice(message: BlobServiceDownloadResponse): { parents: Uint8Array; data: Uint8Array } {
  if (message.part.case === "slice") return message.part.value;
  throw new VerificationFailed("the download has a second header, or a part that is empty");
}

function blobSize(size: bigint): number {
  const sizeBytes = receivedInteger(size, "the size of the blob");
  if (sizeBytes <= MAX_BLOB_BYTES) return sizeBytes;
  throw new VerificationFailed(`a blob of ${sizeBytes} bytes is larger than any may be`);
}

/** The range that the header answers: exactly what was asked for. */
function answeredRange(header: DownloadHeader, asked: RangeOptions): AnsweredRange {
  const sizeBytes = blobSize(header.size);
  const range = {
    start: receivedInteger(header.start, "the start of the range"),
    end: receivedInteger(header.end, "the end of the range"),
  };
  const right = range.start === (asked.start ?? 0) && range.end === (asked.end ?? sizeBytes) && range.end <= sizeBytes;
  if (right && (range.start < range.end || sizeBytes === 0)) return { sizeBytes, range };
  throw new VerificationFailed(
    `the answer is for bytes ${range.start} to ${range.end} of ${sizeBytes}, which is not the range asked for`,
  );
}
