// Manifests, and the chunks of documents: listed with the proof that none is left out.
import { hashBlob } from "../core/blob/index.js";
import { equalBytes, toHex } from "../core/bytes.js";
import { IncompleteProof, InvalidArgument, LimitExceeded, VerificationFailed } from "../core/errors.js";
import { manifestHash, type BlobHash, type ManifestHash } from "../core/hashes.js";
import { MAX_CHUNK_BYTES } from "../core/limits.js";
import { MapKind, ScanVerifier, type Entry } from "../core/map/index.js";
import { chunkCell, chunkKey, parseChunkKey } from "../core/object/index.js";
import {
  ManifestService,
  type ListChunksHeader,
  type ManifestServiceListChunksResponse,
} from "../../gen/neleus/v1/manifest_pb.js";
import { countArgument, hashBytes } from "./argument.js";
import { VerifiedBlob } from "./blob.js";
import { chunkCount, requireChunkPlace } from "./chunk-place.js";
import { callOptions, type Connection } from "./connection.js";
import { isDocument, receivedManifest } from "./object.js";
import { receivedInteger, receivedPart, revealBatches, verifying, wrongHash } from "./received.js";
import type { Chunk, DocumentRecord, HashArgument, ManifestRecord } from "./records.js";
import type { CallOptions } from "./transport.js";

/** One manifest by its hash. See `Documents.manifest`. */
export async function getManifest(
  connection: Connection,
  hash: HashArgument,
  options: CallOptions = {},
): Promise<ManifestRecord | DocumentRecord> {
  const manifest = manifestHash(hashBytes(hash, "hash"));
  const { database } = connection;
  const answer = await connection.unary(ManifestService.method.get, { database, manifest }, options);
  return receivedManifest(answer.manifest, manifest);
}

/** The chunks of a document. See `Documents.chunks`. */
export async function* listChunks(
  connection: Connection,
  document: HashArgument,
  options: CallOptions & { readonly first?: number | undefined; readonly limit?: number | undefined } = {},
): AsyncGenerator<Chunk, void, undefined> {
  const manifest = manifestHash(hashBytes(document, "manifest"));
  const first = options.first === undefined ? 0 : countArgument(options.first, "first");
  const limit = options.limit === undefined ? undefined : countArgument(options.limit, "limit", 1);
  let count = 0;
  async function* attempt(call: CallOptions): AsyncGenerator<Chunk, void, undefined> {
    if (count === limit) return;
    // From the last one on again, since behind it there may be none to ask for.
    const again = Math.min(count, 1);
    const done = count - again;
    const page = { manifest, first: first + done, limit: limit === undefined ? undefined : limit - done };
    for await (const chunk of pageOfChunks(connection, page, call)) {
      if (chunk.index < first + count) continue;
      count += 1;
      yield chunk;
    }
  }
  yield* connection.resumed({ attempt, position: () => count }, options);
}

async function* pageOfChunks(
  connection: Connection,
  asked: PageRequest,
  call: CallOptions,
): AsyncGenerator<Chunk, void, undefined> {
  const { manifest, first, limit } = asked;
  const page = new ChunkPage(connection, asked);
  const request = {
    database: connection.database,
    manifest,
    first: BigInt(first),
    ...(limit === undefined ? {} : { limit: BigInt(limit) }),
  };
  for await (const message of connection.transport.serverStream(ManifestService.method.listChunks, request, call)) {
    yield* page.push(message);
  }
  page.finish();
}

/** What was asked for. */
interface PageRequest {
  readonly manifest: ManifestHash;
  readonly first: number;
  readonly limit: number | undefined;
}

/** What the header of a page says. */
interface OpenPage {
  readonly document: DocumentRecord;
  readonly verifier: ScanVerifier;
  /** Behind the last chunk; undefined where the page goes to the end of the list. */
  readonly end: number | undefined;
}

/** One page of a chunk list, checked as it arrives. Indices are consecutive from 0, so the page's end is known. */
class ChunkPage {
  readonly #connection: Connection;
  readonly #asked: PageRequest;
  #opened: OpenPage | undefined;
  #index: number;

  constructor(connection: Connection, asked: PageRequest) {
    this.#connection = connection;
    this.#asked = asked;
    this.#index = asked.first;
  }

  *push(message: ManifestServiceListChunksResponse): Generator<Chunk, void, undefined> {
    const { document, verifier } = this.#open(message.header);
    for (const reveals of revealBatches(message.nodes)) {
      for (const entry of verifier.push(reveals))
        yield this.#next(new VerifiedChunk(this.#connection, document, entry));
    }
  }

  #next(chunk: Chunk): Chunk {
    if (chunk.index !== this.#index) {
      throw new VerificationFailed(`the chunk list goes from ${this.#index - 1} to ${chunk.index}`);
    }
    const { first, limit } = this.#asked;
    if (limit !== undefined && chunk.index - first >= limit) {
      throw new VerificationFailed(`the answer holds more than the ${limit} chunks asked for`);
    }
    this.#index += 1;
    return chunk;
  }

  finish(): void {
    const { document, verifier, end } = receivedPart(this.#opened, "header");
    verifier.finish();
    const expected = end ?? chunkCount(document);
    if (expected === undefined || this.#index === expected) return;
    throw new VerificationFailed(`the chunk list ends at chunk ${this.#index}, and the document has more`);
  }

  #open(header: ListChunksHeader | undefined): OpenPage {
    if (this.#opened !== undefined) {
      if (header === undefined) return this.#opened;
      throw new VerificationFailed("the answer has a second header");
    }
    const { manifest, next } = receivedPart(header, "header");
    const document = receivedManifest(manifest, this.#asked.manifest);
    if (!isDocument(document)) {
      throw new InvalidArgument(`manifest: is of kind ${document.kind}, and only documents have chunks`, {
        field: "manifest",
      });
    }
    this.#requireWithin(document);
    const end = this.#end(next);
    const map = { kind: MapKind.chunks, root: document.chunksRoot };
    const range = { from: chunkKey(this.#asked.first), to: end === undefined ? undefined : chunkKey(end) };
    this.#opened = { document, verifier: new ScanVerifier(map, range), end };
    return this.#opened;
  }

  /** Past the last chunk there is no page, whatever the server makes of it. */
  #requireWithin(document: DocumentRecord): void {
    const { first } = this.#asked;
    const count = chunkCount(document);
    if (count === undefined || first === 0 || first < count) return;
    throw new InvalidArgument(`first: ${first} is past the last chunk; the document has ${count}`, { field: "first" });
  }

  #end(next: bigint | undefined): number | undefined {
    if (next === undefined) return undefined;
    const { first, limit } = this.#asked;
    const end = receivedInteger(next, "the end of the page");
    if (limit !== undefined && end === first + limit) return end;
    throw new IncompleteProof(`the answer was cut at chunk ${end}, where no limit cuts it`);
  }
}

class VerifiedChunk implements Chunk {
  readonly index: number;
  readonly hash: BlobHash;
  readonly sizeBytes: number;
  readonly offset: number;
  readonly #connection: Connection;
  readonly #document: DocumentRecord;

  /** @throws VerificationFailed - no chunk entry, or a chunk that is not within its document or not where it must be */
  constructor(connection: Connection, document: DocumentRecord, entry: Entry) {
    const index = verifying("a chunk key", () => parseChunkKey(entry.key));
    const { hash, size, offset } = verifying(`the cell of chunk ${index}`, () => chunkCell.decode(entry.cell));
    this.index = index;
    this.hash = hash;
    this.sizeBytes = size;
    this.offset = offset;
    this.#connection = connection;
    this.#document = document;
    requireChunkPlace(this, document);
  }

  async bytes(options: CallOptions = {}): Promise<Uint8Array> {
    const { offset, sizeBytes } = this;
    const { blob } = this.#document;
    if (sizeBytes > MAX_CHUNK_BYTES) throw this.#tooLarge();
    const range = { ...callOptions(options), start: offset, end: offset + sizeBytes };
    const document = new VerifiedBlob(this.#connection, blob.hash);
    const bytes = sizeBytes === 0 ? new Uint8Array(0) : await document.bytesOfSize(blob.sizeBytes, range);
    const actual = hashBlob(bytes);
    if (!equalBytes(actual, this.hash)) throw wrongHash(`chunk ${this.index},`, { expected: this.hash, actual, bytes });
    return bytes;
  }

  /** No server here cuts such a chunk, but a manifest from elsewhere may list one. */
  #tooLarge(): LimitExceeded {
    const { blob } = this.#document;
    return new LimitExceeded(
      `chunk ${this.index}: ${this.sizeBytes} bytes are more than the ${MAX_CHUNK_BYTES} to be loaded at once`,
      {
        hint: `stream that part of the blob ${toHex(blob.hash)}`,
        facts: { limit: "chunk_bytes", value: String(MAX_CHUNK_BYTES) },
      },
    );
  }
}
