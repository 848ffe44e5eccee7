// Cutting a document into chunks as its bytes pass by, and hashing each (FORMATS §6, manifest.proto `Chunking`).
//
// `fixed`: start 0, end = min(start + size, length), next start = end − overlap, stop at the end; an empty document has
// no chunks.
//
//   size 4, overlap 1, length 9:   [0, 4) [3, 7) [6, 9)
//
// Memory: one chunk, and the piece that was pushed. Every byte is hashed once for each chunk that holds it, which an
// overlap close to the size turns into any amount of work; `requireChunking` and `requireChunkWork` bound it.
import { InvalidArgument, LimitExceeded, assert } from "../errors.js";
import { hashBatch } from "../hash/index.js";
import { blobHash } from "../hashes.js";
import type { BlobHash } from "../hashes.js";
import { DATA_MESSAGE_BYTES, MAX_CHUNKS, MAX_CHUNK_BYTES, MAX_CHUNK_REPEATS, MIN_CHUNK_BYTES } from "../limits.js";

/** Work that needs no excuse, whatever the overlap. */
const FREE_WORK_BYTES = 64 * 1024 * 1024;

/** How a document is cut. */
export interface ChunkingSettings {
  /** `fixed`. */
  readonly method: string;
  readonly sizeBytes: number;
  /** Bytes that a chunk shares with the one before it. */
  readonly overlapBytes: number;
}

/** A chunk that was cut. */
export interface CutChunk {
  readonly index: number;
  /** Of the chunk's bytes as a blob of their own. */
  readonly hash: BlobHash;
  readonly sizeBytes: number;
  /** First byte in the document. */
  readonly offset: number;
}

/** @throws InvalidArgument - an unknown method, or a size or overlap out of range */
export function requireChunking(chunking: ChunkingSettings): void {
  const { method, sizeBytes, overlapBytes } = chunking;
  if (method !== "fixed") {
    throw new InvalidArgument(`chunking.method: ${JSON.stringify(method.slice(0, 64))} is not known`, {
      field: "chunking.method",
      hint: 'the one method is "fixed"',
    });
  }
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < MIN_CHUNK_BYTES || sizeBytes > MAX_CHUNK_BYTES) {
    throw new InvalidArgument(`chunking.size: ${MIN_CHUNK_BYTES} to ${MAX_CHUNK_BYTES} bytes, not ${sizeBytes}`, {
      field: "chunking.size",
    });
  }
  if (!Number.isSafeInteger(overlapBytes) || overlapBytes < 0 || overlapBytes >= sizeBytes) {
    throw new InvalidArgument(`chunking.overlap: 0 to ${sizeBytes - 1} bytes, below the size, not ${overlapBytes}`, {
      field: "chunking.overlap",
    });
  }
}

/** How many chunks a document of this length has. */
export function chunkCountOf(lengthBytes: number, chunking: ChunkingSettings): number {
  const { sizeBytes, overlapBytes } = chunking;
  if (lengthBytes === 0) return 0;
  return 1 + Math.ceil(Math.max(0, lengthBytes - sizeBytes) / (sizeBytes - overlapBytes));
}

/** @throws LimitExceeded - over MAX_CHUNKS chunks, or an overlap that has bytes hashed over MAX_CHUNK_REPEATS times */
export function requireChunkWork(lengthBytes: number, chunking: ChunkingSettings): void {
  const count = chunkCountOf(lengthBytes, chunking);
  if (count > MAX_CHUNKS) {
    throw new LimitExceeded(`a document has at most ${MAX_CHUNKS} chunks, not ${count}`, {
      field: "chunking.size",
      hint: "cut it into larger chunks",
      facts: { limit: "chunks", value: String(MAX_CHUNKS) },
    });
  }
  const workBytes = lengthBytes + Math.max(0, count - 1) * chunking.overlapBytes;
  if (workBytes <= Math.max(FREE_WORK_BYTES, MAX_CHUNK_REPEATS * lengthBytes)) return;
  throw new LimitExceeded(`with this overlap a byte is part of more than ${MAX_CHUNK_REPEATS} chunks`, {
    field: "chunking.overlap",
    hint: "let the chunks overlap less",
    facts: { limit: "chunk_repeats", value: String(MAX_CHUNK_REPEATS) },
  });
}

/** What one push may complete at most: chunks, and bytes of chunks unless one has more. */
const MAX_STEP_CHUNKS = 1024;
const MAX_STEP_BYTES = 1024 * 1024;

/** The bytes in pieces, each of which completes a bounded number of chunks, so that a caller can let others run. */
export function* chunkerPieces(bytes: Uint8Array, chunking: ChunkingSettings): Generator<Uint8Array, void, undefined> {
  const { sizeBytes, overlapBytes } = chunking;
  const chunks = Math.max(1, Math.min(MAX_STEP_CHUNKS, Math.floor(MAX_STEP_BYTES / sizeBytes)));
  // n strides complete n chunks at most, whatever part of a chunk is there already.
  const length = chunks * (sizeBytes - overlapBytes);
  for (let offset = 0; offset < bytes.length; offset += length) yield bytes.subarray(offset, offset + length);
}

export class FixedChunker {
  readonly #sizeBytes: number;
  readonly #overlapBytes: number;
  /** Bytes of the document from `#start` on, as far as they have arrived. */
  readonly #buffer: Uint8Array;
  #filled = 0;
  /** Offset of the next chunk in the document. */
  #start = 0;
  /** End of the last chunk handed out. */
  #end = 0;
  #index = 0;

  /** `chunking` has passed `requireChunking`. */
  constructor(chunking: ChunkingSettings) {
    this.#sizeBytes = chunking.sizeBytes;
    this.#overlapBytes = chunking.overlapBytes;
    this.#buffer = new Uint8Array(chunking.sizeBytes + DATA_MESSAGE_BYTES);
  }

  /** Takes the next bytes, and returns the chunks that they complete. */
  push(bytes: Uint8Array): CutChunk[] {
    const chunks: CutChunk[] = [];
    for (let offset = 0; offset < bytes.length; offset += DATA_MESSAGE_BYTES) {
      const piece = bytes.subarray(offset, offset + DATA_MESSAGE_BYTES);
      this.#buffer.set(piece, this.#filled);
      this.#filled += piece.length;
      for (const chunk of this.#cutWhole()) chunks.push(chunk);
    }
    return chunks;
  }

  /** Ends the document, and returns the last chunk where it is shorter than the others. */
  finish(): CutChunk[] {
    // What is left may be nothing but the overlap with the chunk before.
    if (this.#start + this.#filled === this.#end) return [];
    return this.#hash([this.#buffer.subarray(0, this.#filled)]);
  }

  #cutWhole(): CutChunk[] {
    const stride = this.#sizeBytes - this.#overlapBytes;
    const whole: Uint8Array[] = [];
    let used = 0;
    while (this.#filled - used >= this.#sizeBytes) {
      whole.push(this.#buffer.subarray(used, used + this.#sizeBytes));
      used += stride;
    }
    if (whole.length === 0) return [];
    const chunks = this.#hash(whole);
    this.#buffer.copyWithin(0, used, this.#filled);
    this.#filled -= used;
    assert(this.#filled < this.#sizeBytes, "no whole chunk is left");
    return chunks;
  }

  #hash(contents: readonly Uint8Array[]): CutChunk[] {
    const hashes = hashBatch("blob:", contents);
    return contents.map((content, position) => {
      const chunk = {
        index: this.#index,
        hash: blobHash(hashes.slice(position * 32, position * 32 + 32)),
        sizeBytes: content.length,
        offset: this.#start,
      };
      this.#index += 1;
      this.#end = chunk.offset + chunk.sizeBytes;
      this.#start += this.#sizeBytes - this.#overlapBytes;
      return chunk;
    });
  }
}
