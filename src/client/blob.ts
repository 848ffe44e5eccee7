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
    yield* this.#pieces(range, () => undefined);
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
    for await (const piece of this.#pieces(range, check)) pieces.push(piece);
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
    let places: Places | undefined;
    const attempt = (call: CallOptions): AsyncGenerator<BlobPiece, void, undefined> =>
      this.#restOfRanges(places?.rest ?? asked, call, (sizeBytes) => {
        const known = places?.sizeBytes ?? options.sizeBytes;
        if (known !== undefined && known !== sizeBytes) throw this.#otherSize(sizeBytes, known);
        const ranges = asked.map(({ start, end = sizeBytes }) => ({ start, end }));
        return (places ??= new Places(ranges, sizeBytes));
      });
    yield* this.#connection.resumed({ attempt, position: () => places?.passedBytes ?? 0 }, options);
  }

  /** What is left of several ranges. `open` is told the size that the blob is said to have. */
  async *#restOfRanges(
    wanted: readonly OpenRange[],
    call: CallOptions,
    open: (sizeBytes: number) => Places,
  ): AsyncGenerator<BlobPiece, void, undefined> {
    const [first] = wanted;
    if (first === undefined) return;
    const download = this.#open({ ranges: wanted.map(rangeMessage) }, call);
    try {
      const ends = { start: first.start, end: wanted.at(-1)?.end };
      const { sizeBytes } = answeredRange(await nextHeader(download), ends);
      yield* this.#placed(download, open(sizeBytes));
    } finally {
      await download.return?.();
    }
  }

  /** The bytes of a range, each group checked before it is handed on; where the connection is lost, the rest of it. */
  async *#pieces(
    asked: RangeOptions,
    check: (answered: AnsweredRange) => void,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const progress: Progress = { ...checkedRange(asked), passedBytes: 0, answered: undefined };
    const attempt = (call: CallOptions): AsyncGenerator<Uint8Array, void, undefined> =>
      this.#restOfRange(progress, call, check);
    yield* this.#connection.resumed({ attempt, position: () => progress.passedBytes }, asked);
  }

  /** What is left of a range. `check` is shown the first answer. */
  async *#restOfRange(
    progress: Progress,
    call: CallOptions,
    check: (answered: AnsweredRange) => void,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const { passedBytes, end, answered: known } = progress;
    const start = progress.start + passedBytes;
    // Everything had come, and only the end of the stream was lost.
    if (passedBytes > 0 && start === known?.range.end) return;
    const download = this.#open(rangeMessage({ start, end }), call);
    try {
      const answered = answeredRange(await nextHeader(download), { start, end });
      if (known === undefined) check(answered);
      else if (answered.sizeBytes !== known.sizeBytes) throw this.#otherSize(answered.sizeBytes, known.sizeBytes);
      progress.answered = answered;
      for await (const piece of this.#verified(download, answered)) {
        progress.passedBytes += piece.length;
        yield piece;
      }
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
    // Nothing of it is known to be right before its end, so there is nothing to go on from.
    const { database } = this.#connection;
    const request = { database, hash: this.hash, omitParents: true };
    const answer = this.#connection.serverStream(BlobService.method.download, request, options);
    const download: Download = answer[Symbol.asyncIterator]();
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
      if (pieces.length > 0) yield this.#handedOut(pieces);
    }
    decoder.finish();
  }

  /**
   * What a message brought, as bytes of the caller's. Pieces are views of the message: where the server is in this process
   * that is of a cache, and has to be copied; so is what would keep much more alive than itself.
   */
  #handedOut(pieces: readonly Uint8Array[]): Uint8Array {
    const [first] = pieces;
    const isInProcess = this.#connection.transport.isInProcess === true;
    const isOwn = first !== undefined && pieces.length === 1 && !isInProcess;
    return isOwn && first.length > first.buffer.byteLength / 2 ? first : concatBytes(...pieces);
  }

  /** The same of several ranges, each piece with its place. */
  async *#placed(download: Download, places: Places): AsyncGenerator<BlobPiece, void, undefined> {
    const decoder = new SliceDecoder({ hash: this.hash, sizeBytes: places.sizeBytes, range: places.rest });
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

  /** One call. */
  #open(wanted: MessageInitShape<typeof BlobServiceDownloadRequestSchema>, options: CallOptions): Download {
    const { transport, database } = this.#connection;
    const request = { ...wanted, database, hash: this.hash };
    return transport.serverStream(BlobService.method.download, request, callOptions(options))[Symbol.asyncIterator]();
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
  /** Of the blob, as the server claims. */
  readonly sizeBytes: number;
  passedBytes = 0;
  readonly #ranges: readonly ByteRange[];
  #index = 0;
  #offset: number;

  constructor(ranges: readonly ByteRange[], sizeBytes: number) {
    this.sizeBytes = sizeBytes;
    this.#ranges = ranges;
    this.#offset = ranges[0]?.start ?? 0;
  }

  /** What has not come yet. */
  get rest(): ByteRange[] {
    const [current, ...others] = this.#ranges.slice(this.#index);
    return current === undefined ? [] : [{ start: this.#offset, end: current.end }, ...others];
  }

  /** The start of the next piece, which has this length. */
  next(length: number): number {
    const start = this.#offset;
    this.#offset += length;
    this.passedBytes += length;
    if (this.#offset === this.#ranges[this.#index]?.end) {
      this.#index += 1;
      this.#offset = this.#ranges[this.#index]?.start ?? this.#offset;
    }
    return start;
  }
}

/** A range of which the end may be that of the blob. */
interface OpenRange {
  readonly start: number;
  readonly end: number | undefined;
}

/** A range that is being downloaded. */
interface Progress extends OpenRange {
  passedBytes: number;
  /** What the last answer was said to be. */
  answered: AnsweredRange | undefined;
}

/** @throws InvalidArgument */
function checkedRange(range: RangeOptions): OpenRange {
  const start = range.start === undefined ? 0 : countArgument(range.start, "start");
  const end = range.end === undefined ? undefined : countArgument(range.end, "end");
  if (end !== undefined && end <= start && end !== 0) {
    throw new InvalidArgument(`end: ${end} is not above start, ${start}`, { field: "end" });
  }
  return { start, end };
}

function rangeMessage(range: OpenRange): { start: bigint; end?: bigint } {
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
