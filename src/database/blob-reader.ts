// Reading a blob, whole or in part, with what proves it (FORMATS §5).
//
// A blob comes from a row, whose bytes are in memory and were hashed when it was opened, or from a file, of which only
// the wanted groups are read. What is read from a file is checked group by group with the decoder that clients use,
// before it is handed on, unless `verify_on_read` is off.
//
// Cost: one read of content a part of 256 KiB, one of outboard every 4 MiB. Memory: one part, and 8 pages of outboard.
import { PAIR_BYTES, SliceDecoder, computeOutboard, outboardBytes, slicePlan } from "../core/blob/index.js";
import type { ByteRange, ByteRanges, SlicePart } from "../core/blob/index.js";
import { concatBytes, toHex } from "../core/bytes.js";
import { Corrupt, VerificationFailed } from "../core/errors.js";
import type { BlobHash } from "../core/hashes.js";
import { BLOB_GROUP_BYTES, DATA_MESSAGE_BYTES } from "../core/limits.js";
import type { LargeBlob, LargeBlobs } from "../store/contract.js";
import type { BlobReader } from "./blob-contract.js";

const GROUPS_IN_PART = DATA_MESSAGE_BYTES / BLOB_GROUP_BYTES;
const OUTBOARD_PAGE_BYTES = 16 * 1024;
const PAIRS_IN_PAGE = OUTBOARD_PAGE_BYTES / PAIR_BYTES;
const MAX_PAGES = 8;

/** Whether what is read from disk is hashed again. */
export type ReadChecking = "verified" | "unverified";

/** Where the bytes of a slice come from. */
interface SliceSource {
  readonly sizeBytes: number;
  read(offset: number, length: number): Promise<Uint8Array>;
  /** Pair number `index` of the outboard. */
  pair(index: number): Promise<Uint8Array>;
}

/** A part of a slice, and where its groups lie in the blob. */
interface PlacedPart extends SlicePart {
  readonly start: number;
}

/** A blob whose verified content is in memory. */
export class RowBlobReader implements BlobReader {
  readonly hash: BlobHash;
  readonly sizeBytes: number;
  readonly #content: Uint8Array;

  constructor(hash: BlobHash, content: Uint8Array) {
    this.hash = hash;
    this.sizeBytes = content.length;
    this.#content = content;
  }

  async *slices(range?: ByteRanges): AsyncGenerator<SlicePart, void, undefined> {
    const content = this.#content;
    const outboard = computeOutboard(content);
    const source: SliceSource = {
      sizeBytes: content.length,
      read: async (offset, length) => content.subarray(offset, offset + length),
      pair: async (index) => outboard.subarray(index * PAIR_BYTES, (index + 1) * PAIR_BYTES),
    };
    for await (const { parents, data } of sliceParts(source, range ?? wholeOf(this))) yield { parents, data };
  }

  async *bytes(range: ByteRange = wholeOf(this)): AsyncGenerator<Uint8Array, void, undefined> {
    slicePlan(this.sizeBytes, range);
    if (range.end > range.start) yield this.#content.subarray(range.start, range.end);
  }

  async close(): Promise<void> {
    // Nothing is held but memory.
  }
}

/** A blob in a file. */
export class FileBlobReader implements BlobReader {
  readonly hash: BlobHash;
  readonly sizeBytes: number;
  readonly #file: LargeBlob;
  readonly #checking: ReadChecking;
  readonly #pages = new Map<number, Promise<Uint8Array>>();

  /** Takes over `file`. @throws Corrupt - the outboard does not fit the content; `file` is then still open */
  constructor(options: { readonly hash: BlobHash; readonly file: LargeBlob; readonly checking: ReadChecking }) {
    const { hash, file, checking } = options;
    if (file.outboardSizeBytes !== outboardBytes(file.sizeBytes)) {
      throw corruptFile(hash, `${file.sizeBytes} bytes of content with an outboard of ${file.outboardSizeBytes}`);
    }
    this.hash = hash;
    this.sizeBytes = file.sizeBytes;
    this.#file = file;
    this.#checking = checking;
  }

  async *slices(range: ByteRanges = wholeOf(this)): AsyncGenerator<SlicePart, void, undefined> {
    for await (const { parents, data } of this.#parts(range)) yield { parents, data };
  }

  async *bytes(range: ByteRange = wholeOf(this)): AsyncGenerator<Uint8Array, void, undefined> {
    if (this.#checking === "unverified") {
      yield* this.#bytesUnverified(range);
      return;
    }
    for await (const { start, data } of this.#parts(range)) {
      const wanted = data.subarray(Math.max(0, range.start - start), Math.max(0, range.end - start));
      if (wanted.length > 0) yield wanted;
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  /** The slice in parts, each checked before it is handed on. */
  async *#parts(range: ByteRanges): AsyncGenerator<PlacedPart, void, undefined> {
    const source: SliceSource = {
      sizeBytes: this.sizeBytes,
      read: (offset, length) => this.#file.read(offset, length),
      pair: (index) => this.#pair(index),
    };
    if (this.#checking === "unverified") {
      yield* sliceParts(source, range);
      return;
    }
    const decoder = new SliceDecoder({ hash: this.hash, sizeBytes: this.sizeBytes, range });
    for await (const part of sliceParts(source, range)) {
      try {
        decoder.push(part);
      } catch (cause) {
        if (!(cause instanceof VerificationFailed)) throw cause;
        throw corruptFile(this.hash, "the stored bytes do not match the hash", cause);
      }
      yield part;
    }
    decoder.finish();
  }

  async *#bytesUnverified(range: ByteRange): AsyncGenerator<Uint8Array, void, undefined> {
    slicePlan(this.sizeBytes, range);
    for (let offset = range.start; offset < range.end; offset += DATA_MESSAGE_BYTES) {
      yield await this.#file.read(offset, Math.min(DATA_MESSAGE_BYTES, range.end - offset));
    }
  }

  async #pair(index: number): Promise<Uint8Array> {
    const page = await this.#page(Math.floor(index / PAIRS_IN_PAGE));
    const offset = (index % PAIRS_IN_PAGE) * PAIR_BYTES;
    return page.subarray(offset, offset + PAIR_BYTES);
  }

  /** A page of the outboard. The walk reads a page's pairs close together, so a few pages serve all of them. */
  #page(number: number): Promise<Uint8Array> {
    const kept = this.#pages.get(number);
    if (kept !== undefined) return kept;
    for (const oldest of this.#pages.keys()) {
      if (this.#pages.size < MAX_PAGES) break;
      this.#pages.delete(oldest);
    }
    const offset = number * OUTBOARD_PAGE_BYTES;
    const length = Math.min(OUTBOARD_PAGE_BYTES, this.#file.outboardSizeBytes - offset);
    const page = this.#file.readOutboard(offset, length);
    this.#pages.set(number, page);
    return page;
  }
}

/**
 * Removes a stored blob that is damaged, so that the same content can be stored in its place. To be called by whoever
 * has that content. Costs reading and hashing the blob, which is what storing it costs too.
 */
export async function removeIfDamaged(files: LargeBlobs, hash: BlobHash): Promise<void> {
  try {
    const file = await files.open(hash);
    if (file === undefined) return;
    try {
      const parts = new FileBlobReader({ hash, file, checking: "verified" }).bytes();
      while ((await parts.next()).done !== true);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (!(error instanceof Corrupt)) throw error;
    await files.delete(hash);
  }
}

/** Stored content of a blob that is not what its name says. */
export function corruptFile(hash: BlobHash, what: string, cause?: unknown): Corrupt {
  const hex = toHex(hash);
  return new Corrupt(
    `blob ${hex}: ${what}`,
    {
      hint: "the file was changed or damaged; whoever has the content can mend it by storing it again",
      facts: { hash: hex, kind: "blob" },
    },
    { cause },
  );
}

function wholeOf(blob: { readonly sizeBytes: number }): ByteRange {
  return { start: 0, end: blob.sizeBytes };
}

/**
 * The walk over a slice, cut into parts of at most GROUPS_IN_PART groups. Groups that lie one behind the other are one
 * read; the reads of a part go on side by side.
 */
async function* sliceParts(source: SliceSource, range: ByteRanges): AsyncGenerator<PlacedPart, void, undefined> {
  let parents: Uint8Array[] = [];
  let runs: { readonly start: number; end: number }[] = [];
  let groups = 0;
  const take = async (): Promise<PlacedPart> => {
    const read = await Promise.all(runs.map(({ start, end }) => source.read(start, end - start)));
    const [only] = read;
    const data = only !== undefined && read.length === 1 ? only : concatBytes(...read);
    const part = { start: runs[0]?.start ?? 0, parents: concatBytes(...parents), data };
    parents = [];
    runs = [];
    groups = 0;
    return part;
  };
  for (const item of slicePlan(source.sizeBytes, range)) {
    if (item.kind === "parent") {
      parents.push(await source.pair(item.pairIndex));
      continue;
    }
    const run = runs.at(-1);
    if (run?.end === item.start) run.end = item.end;
    else runs.push({ start: item.start, end: item.end });
    groups += 1;
    if (groups === GROUPS_IN_PART) yield await take();
  }
  if (groups > 0) yield await take();
}
