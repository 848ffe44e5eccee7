// Documents on their way in: streamed, and the manifest that comes back held against what was sent.
//
// The client cuts and hashes the chunks itself as the bytes pass, and builds their list, so the root in the manifest is
// checked too: a server cannot file a document with a chunk left out, altered or moved. Cost: every byte is hashed twice,
// more with an overlap; memory is one chunk and one message.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { equalBytes, toHex } from "../core/bytes.js";
import { FixedChunker, requireChunking, type ChunkingSettings, type CutChunk } from "../core/document/index.js";
import { InvalidArgument, VerificationFailed } from "../core/errors.js";
import type { MapRoot } from "../core/hashes.js";
import { MapBuilder, MapKind } from "../core/map/index.js";
import { chunkCell, chunkKey, encodeManifest, requireName, type Manifest } from "../core/object/index.js";
import {
  ManifestService,
  ManifestServicePutDocumentRequestSchema,
  type DocumentHeaderSchema,
  type ManifestServicePutDocumentRequest,
  type ManifestServicePutDocumentResponse,
} from "../../gen/neleus/v1/manifest_pb.js";
import { checkArgument, countArgument, sameTexts, textArgument, textsByName } from "./argument.js";
import { canReadAgain } from "./content.js";
import { dataMessage, finishMessage } from "./put-blob.js";
import { callOptions, type Connection } from "./connection.js";
import type { FollowedLog } from "./log.js";
import { isDocument, receivedManifest } from "./object.js";
import { receivedPart } from "./received.js";
import type { BlobReference, ContentSource, DocumentRecord, StoredDocument } from "./records.js";
import { putSignedManifest, withSignature } from "./put-manifest.js";
import type { PutDocumentOptions } from "./sections.js";
import type { CommitSigner } from "./signing.js";
import type { CallOptions } from "./transport.js";
import { Outgoing } from "./upload.js";

type HeaderInit = MessageInitShape<typeof DocumentHeaderSchema>;

/** What putting documents takes. */
export interface DocumentContext {
  readonly connection: Connection;
  readonly log: FollowedLog;
  readonly clock: () => number;
}

/**
 * Streams a document in, unattached, then files its manifest with a signature over what this client knows of it: the
 * manifest is made here, byte by byte, and the server's must be the same. One round trip more.
 */
export async function putSignedDocument(
  context: DocumentContext,
  content: ContentSource,
  { options, signer }: { readonly options: PutDocumentOptions; readonly signer: CommitSigner },
): Promise<StoredDocument> {
  const { head, idempotencyKey, ...rest } = options;
  const timeMs = options.timeMs ?? context.clock();
  checkedOptions(options);
  const { manifest } = await putDocument(context, content, { ...rest, timeMs });
  const bytes = encodeManifest(manifestOf(manifest, { ...rest, timeMs }));
  if (!equalBytes(bytes, manifest.bytes)) {
    throw new VerificationFailed(`the manifest ${toHex(manifest.hash)} says more than was sent, and is not signed`, {
      facts: { manifest: toHex(manifest.hash) },
      evidence: manifest.bytes,
    });
  }
  const signed = await withSignature(bytes, signer);
  const call = { ...callOptions(options), head, idempotencyKey };
  const stored = await putSignedManifest(context, signed, call);
  if (!isDocument(stored.manifest)) throw new VerificationFailed("a document's manifest is one of a document");
  return { ...stored, manifest: stored.manifest };
}

/** The manifest of a document that has been checked, made from what was asked for: nothing else is in it. */
function manifestOf(sent: DocumentRecord, asked: Omit<PutDocumentOptions, "head">): Manifest {
  const { blob, chunking, chunksRoot, timeMs } = sent;
  const { source, title, media, meta = {} } = asked;
  return {
    v: 1,
    kind: "document",
    source,
    ...(title === undefined ? {} : { title }),
    ...(media === undefined ? {} : { media }),
    blob: { hash: blob.hash, size: blob.sizeBytes },
    chunking: { method: chunking.method, size: chunking.sizeBytes, overlap: chunking.overlapBytes },
    chunks: chunksRoot,
    time: timeMs,
    ...(Object.keys(meta).length === 0 ? {} : { meta: textsByName(meta, "meta") }),
  };
}

/** Streams a document in. See `Documents.putDocument`. */
export async function putDocument(
  context: Pick<DocumentContext, "connection" | "log">,
  content: ContentSource,
  options: Omit<PutDocumentOptions, "signer">,
): Promise<StoredDocument> {
  const { connection, log } = context;
  const asked = checkedOptions(options);
  const write = log.beginWrite(options);
  // Without a head nothing moves: it may be put again without a key.
  const idempotencyKey = asked.head === undefined ? "" : write.idempotencyKey;
  const header = { ...documentHeader(connection.database, asked), idempotencyKey };
  const send = (call: CallOptions): Promise<SentDocument> => sendDocument(connection, { content, header, asked }, call);
  const isRepeatable = canReadAgain(content) && (asked.head === undefined || idempotencyKey !== "");
  const { answer, outgoing, list } = isRepeatable ? await connection.repeat(send, options) : await send(options);
  const blob = receivedPart(outgoing.finished, "end of the content: it was answered before it was sent");
  const manifest = receivedManifest(answer.manifest);
  if (!isDocument(manifest)) throw new VerificationFailed(`the manifest is of kind ${manifest.kind}, not a document`);
  requireAsSent(manifest, asked, { blob, chunksRoot: list.finish() });
  const receipt = asked.head === undefined ? undefined : await write.receipt(answer.receipt, options);
  return { manifest, hash: manifest.hash, receipt };
}

/** A document on its way, and what came back. */
interface SentDocument {
  readonly answer: ManifestServicePutDocumentResponse;
  readonly outgoing: Outgoing;
  readonly list: ChunkList;
}

async function sendDocument(
  connection: Connection,
  document: { readonly content: ContentSource; readonly header: HeaderInit; readonly asked: CheckedOptions },
  options: CallOptions,
): Promise<SentDocument> {
  const list = new ChunkList(document.asked.chunking);
  const outgoing = new Outgoing(document.content, { onBytes: (bytes) => list.push(bytes) });
  const messages = documentMessages(outgoing, document.header);
  const call = connection.clientStream(ManifestService.method.putDocument, messages, options);
  return { answer: await outgoing.settle(call), outgoing, list };
}

type CheckedOptions = Omit<PutDocumentOptions, "chunking"> & { readonly chunking: ChunkingSettings };

/** @throws InvalidArgument */
function checkedOptions(options: Omit<PutDocumentOptions, "signer">): CheckedOptions {
  const { head, timeMs, idempotencyKey } = options;
  if (head === undefined && idempotencyKey !== undefined) {
    const message = "idempotencyKey: a document without a head moves nothing, and may be put again without a key";
    throw new InvalidArgument(message, { field: "idempotencyKey" });
  }
  if (head !== undefined) checkArgument("head", () => requireName(head));
  for (const field of ["source", "title", "media"] as const) textArgument(options[field] ?? "", field);
  if (timeMs !== undefined) countArgument(timeMs, "timeMs");
  const { method = "fixed", sizeBytes, overlapBytes = 0 } = options.chunking;
  const chunking = { method, sizeBytes, overlapBytes };
  requireChunking(chunking);
  return { ...options, chunking };
}

function documentHeader(database: string, options: CheckedOptions): HeaderInit {
  const { chunking, head, source, title, media, timeMs } = options;
  return {
    database,
    head: head ?? "",
    source,
    ...(title === undefined ? {} : { title }),
    ...(media === undefined ? {} : { media }),
    chunking: {
      method: chunking.method,
      size: BigInt(chunking.sizeBytes),
      overlap: BigInt(chunking.overlapBytes),
    },
    ...(timeMs === undefined ? {} : { time: BigInt(timeMs) }),
    meta: textsByName(options.meta ?? {}, "meta"),
  };
}

async function* documentMessages(
  outgoing: Outgoing,
  header: HeaderInit,
): AsyncGenerator<ManifestServicePutDocumentRequest, void, undefined> {
  const schema = ManifestServicePutDocumentRequestSchema;
  yield create(schema, { part: { case: "header", value: header } });
  for await (const part of outgoing.parts()) yield create(schema, { part: { case: "data", value: dataMessage(part) } });
  yield create(schema, { part: { case: "finish", value: finishMessage(outgoing) } });
}

/** Cuts the content as it passes, and builds the list of its chunks, of which only the root is kept. */
class ChunkList {
  readonly #chunker: FixedChunker;
  readonly #builder = new MapBuilder(MapKind.chunks, () => undefined);

  constructor(chunking: ChunkingSettings) {
    this.#chunker = new FixedChunker(chunking);
  }

  push(bytes: Uint8Array): void {
    this.#add(this.#chunker.push(bytes));
  }

  finish(): MapRoot {
    this.#add(this.#chunker.finish());
    return this.#builder.finish().root;
  }

  #add(chunks: readonly CutChunk[]): void {
    for (const { index, hash, sizeBytes: size, offset } of chunks) {
      this.#builder.add(chunkKey(index), chunkCell.encode({ hash, size, offset }));
    }
  }
}

function requireAsSent(
  manifest: DocumentRecord,
  asked: CheckedOptions,
  sent: { readonly blob: BlobReference; readonly chunksRoot: MapRoot },
): void {
  const wrong = wrongMember(manifest, asked, sent);
  if (wrong === undefined) return;
  throw new VerificationFailed(`the manifest ${toHex(manifest.hash)} does not have the ${wrong} that was sent`, {
    facts: { manifest: toHex(manifest.hash), member: wrong },
    evidence: manifest.bytes,
  });
}

function wrongMember(
  manifest: DocumentRecord,
  asked: CheckedOptions,
  sent: { readonly blob: BlobReference; readonly chunksRoot: MapRoot },
): string | undefined {
  if (!equalBytes(manifest.blob.hash, sent.blob.hash) || manifest.blob.sizeBytes !== sent.blob.sizeBytes) return "blob";
  if (!equalBytes(manifest.chunksRoot, sent.chunksRoot)) return "chunk list";
  for (const name of ["source", "title", "media"] as const) if (manifest[name] !== asked[name]) return name;
  for (const name of ["method", "sizeBytes", "overlapBytes"] as const) {
    if (manifest.chunking[name] !== asked.chunking[name]) return "chunking";
  }
  // Nobody was asked to sign it.
  if (manifest.object.signatures !== undefined) return "signatures";
  if (asked.timeMs !== undefined && manifest.timeMs !== asked.timeMs) return "time";
  return sameTexts(manifest.object.meta ?? {}, asked.meta ?? {}) ? undefined : "meta";
}
