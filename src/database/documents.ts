// Documents: a blob, the map of its chunks, and the manifest that binds them (FORMATS §6).
//
//   stream in ──► staged file, hashed ──► finish: size and hash agree ──► blob durable
//        blob read back, checked ──► chunker ──► chunk map, nodes written as they come
//                                    manifest ──► one batch with the ledger of the head
//
// The chunks are cut from what was stored, not from what streams by: until the finish nobody knows whether it will come,
// and a broken upload is to leave nothing. It costs one read of the blob. Memory is one chunk, and 4 MiB of nodes;
// nodes of a large document are durable before the batch that refers to them.
import { u64be } from "../core/bytes.js";
import { FixedChunker, chunkerPieces, requireChunkWork, requireChunking } from "../core/document/index.js";
import type { CutChunk } from "../core/document/index.js";
import { InvalidArgument } from "../core/errors.js";
import type { MapRoot } from "../core/hashes.js";
import { MapBuilder, MapKind } from "../core/map/index.js";
import type { NodeSource } from "../core/map/index.js";
import { chunkCell, encodeManifest, manifestHashOf } from "../core/object/index.js";
import type { DocumentManifest } from "../core/object/index.js";
import type { Row, Store } from "../store/contract.js";
import { RowBlobReader } from "./blob-reader.js";
import type { DatabaseBlobs } from "./blobs.js";
import type { BlobReader, BlobRef, FinishOptions, Incoming, UploadFinish } from "./blob-contract.js";
import type { DocumentOptions, Documents, OpenDocument, PutResult } from "./contract.js";
import type { View } from "./view-contract.js";
import type { ClosedIntake } from "./intake.js";
import type { Leases, WholeLease } from "./leases.js";
import type { DatabaseManifests } from "./manifests.js";
import { RequestMeaning } from "./request-meaning.js";
import { identifyRequest, requireIdempotencyKey } from "./requests.js";
import { requireMeta, requireSomeText, requireText, requireTime } from "./text.js";
import { Turns } from "./turns.js";
import type { CountedIntake, DatabaseUploads } from "./uploads.js";

/** Nodes that wait in memory, for the batch that refers to them or for one of their own. */
const MAX_PENDING_BYTES = 4 * 1024 * 1024;

export interface DocumentsOptions {
  readonly store: Store;
  readonly nodes: NodeSource;
  readonly blobs: DatabaseBlobs;
  readonly uploads: DatabaseUploads;
  readonly manifests: DatabaseManifests;
  readonly clock: () => number;
  readonly view: () => Promise<View>;
  readonly leases: Leases;
}

/** Options that were checked, copied, with the time filled in. */
type CheckedOptions = DocumentOptions & { readonly timeMs: number; readonly askedTimeMs: number | undefined };

export class DatabaseDocuments implements Documents {
  readonly #options: DocumentsOptions;

  constructor(options: DocumentsOptions) {
    this.#options = options;
  }

  async begin(document: DocumentOptions): Promise<Incoming<PutResult>> {
    const { timeMs } = document;
    const checked = checkOptions({ ...document, timeMs: timeMs ?? this.#options.clock(), askedTimeMs: timeMs });
    // Known to be missing before the bytes are sent; looked up again when the manifest is filed.
    if (document.head !== undefined) await (await this.#options.view()).head(document.head);
    return new DocumentUpload(checked, this.#options, await this.#options.uploads.beginOnce());
  }

  async open(hash: Uint8Array): Promise<OpenDocument> {
    const manifest = await this.#options.manifests.get(hash);
    const { object } = manifest;
    if (object.kind !== "document") {
      throw new InvalidArgument(`manifest: a manifest of kind ${object.kind}, not of a document`, {
        field: "manifest",
        facts: { kind: object.kind },
      });
    }
    const chunks = { kind: MapKind.chunks, root: object.chunks };
    const chunkCount = this.#options.nodes.load(object.chunks, MapKind.chunks).total;
    return { manifest, blob: { hash: object.blob.hash, sizeBytes: object.blob.size }, chunks, chunkCount };
  }
}

class DocumentUpload implements Incoming<PutResult> {
  readonly #document: CheckedOptions;
  readonly #options: DocumentsOptions;
  readonly #counted: CountedIntake;

  constructor(document: CheckedOptions, options: DocumentsOptions, counted: CountedIntake) {
    this.#document = document;
    this.#options = options;
    this.#counted = counted;
  }

  get sizeBytes(): number {
    return this.#counted.intake.sizeBytes;
  }

  append(offset: number, bytes: Uint8Array): Promise<void> {
    return this.#counted.intake.append(offset, bytes);
  }

  async finish(claim: UploadFinish, options: FinishOptions = {}): Promise<PutResult> {
    const { intake } = this.#counted;
    const { manifests } = this.#options;
    const { signal } = options;
    requireChunkWork(intake.sizeBytes, this.#document.chunking);
    const blob = await intake.check(claim);
    const request = identifyRequest(this.#document.idempotency, {
      method: "document.put",
      meaning: () => documentMeaning(this.#document, blob),
    });
    const earlier = manifests.recall(request);
    if (earlier !== undefined) return earlier;
    signal?.throwIfAborted();
    await intake.publish(blob);
    const rows = new PendingRows(this.#options);
    try {
      if (blob.small !== undefined) rows.add({ space: "blobs", key: blob.hash, value: blob.small });
      const chunks = await this.#cut(blob, { rows, signal });
      const object = documentManifest(this.#document, { blob, chunks });
      const bytes = encodeManifest(object);
      const manifest = { hash: manifestHashOf(bytes), bytes, object };
      const { lease } = rows;
      return await manifests.store({ manifest, head: this.#document.head, rows: rows.take(), request, lease, signal });
    } finally {
      rows.lease?.release();
    }
  }

  close(): Promise<void> {
    return this.#counted.close();
  }

  /**
   * Cuts the stored blob and builds the map of its chunks: CPU of this thread, of which small or much overlapping chunks
   * make a lot.
   */
  async #cut(
    blob: ClosedIntake,
    { rows, signal }: { readonly rows: PendingRows; readonly signal: AbortSignal | undefined },
  ): Promise<MapRoot> {
    const builder = new MapBuilder(MapKind.chunks, (node) => {
      rows.add({ space: "nodes", key: node.digest, value: node.stored });
    });
    const chunker = new FixedChunker(this.#document.chunking);
    const turns = new Turns(signal);
    const reader: BlobReader =
      blob.small === undefined ? await this.#options.blobs.open(blob.hash) : new RowBlobReader(blob.hash, blob.small);
    try {
      for await (const bytes of reader.bytes()) {
        for (const piece of chunkerPieces(bytes, this.#document.chunking)) {
          addChunks(builder, chunker.push(piece));
          await turns.giveWay();
        }
        await rows.spill();
      }
    } finally {
      await reader.close();
    }
    addChunks(builder, chunker.finish());
    return builder.finish().root;
  }
}

/** Rows that wait for a batch; too many of them go ahead in one of their own, under a lease: nothing names them yet. */
class PendingRows {
  readonly #options: Pick<DocumentsOptions, "store" | "leases">;
  #rows: Row[] = [];
  #bytes = 0;
  lease: WholeLease | undefined;

  constructor(options: Pick<DocumentsOptions, "store" | "leases">) {
    this.#options = options;
  }

  add(row: Row): void {
    this.#rows.push(row);
    this.#bytes += row.value.length;
  }

  async spill(): Promise<void> {
    if (this.#bytes < MAX_PENDING_BYTES) return;
    const { store, leases } = this.#options;
    this.lease ??= await leases.takeAll();
    await store.write({ puts: this.take() });
  }

  take(): Row[] {
    const rows = this.#rows;
    this.#rows = [];
    this.#bytes = 0;
    return rows;
  }
}

function addChunks(builder: MapBuilder, chunks: readonly CutChunk[]): void {
  for (const { index, hash, sizeBytes, offset } of chunks) {
    builder.add(u64be(index), chunkCell.encode({ hash, size: sizeBytes, offset }));
  }
}

/** Everything that was asked for, and what was sent. */
function documentMeaning(document: CheckedOptions, blob: BlobRef): RequestMeaning {
  const { head, source, title, media, chunking, askedTimeMs, meta } = document;
  const meaning = new RequestMeaning().text(head).text(source).text(title).text(media).number(askedTimeMs).texts(meta);
  meaning.text(chunking.method).number(chunking.sizeBytes).number(chunking.overlapBytes);
  return meaning.bytes(blob.hash).number(blob.sizeBytes);
}

function documentManifest(
  document: CheckedOptions,
  stored: { readonly blob: ClosedIntake; readonly chunks: MapRoot },
): DocumentManifest {
  const { source, title, media, chunking, timeMs, meta } = document;
  const { blob, chunks } = stored;
  return {
    v: 1,
    kind: "document",
    source,
    ...(title === undefined ? {} : { title }),
    ...(media === undefined ? {} : { media }),
    blob: { hash: blob.hash, size: blob.sizeBytes },
    chunking: { method: chunking.method, size: chunking.sizeBytes, overlap: chunking.overlapBytes },
    chunks,
    time: timeMs,
    ...(meta === undefined || Object.keys(meta).length === 0 ? {} : { meta }),
  };
}

/** @throws InvalidArgument */
function checkOptions(document: CheckedOptions): CheckedOptions {
  const { source, title, media, chunking, timeMs, meta, idempotency } = document;
  if (idempotency !== undefined) {
    requireIdempotencyKey(idempotency.key);
    if (document.head === undefined) {
      const message = "idempotency_key: a document without a head moves nothing, and may be put again without a key";
      throw new InvalidArgument(message, { field: "idempotency_key" });
    }
  }
  requireSomeText("source", source);
  if (title !== undefined) requireText("title", title);
  if (media !== undefined) requireText("media", media);
  requireChunking(chunking);
  requireTime("time", timeMs);
  if (meta !== undefined) requireMeta(meta);
  return document;
}
