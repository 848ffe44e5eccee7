// ManifestService: documents in, their chunk lists and manifests out.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  Chunking as ChunkingMessage,
  DocumentHeader,
  ListChunksHeaderSchema,
  ManifestServiceListChunksRequest,
  ManifestServiceListChunksResponseSchema,
} from "../../gen/neleus/v1/manifest_pb.js";
import { ManifestService } from "../../gen/neleus/v1/manifest_pb.js";
import { MAX_CHUNK_BYTES, MAX_OBJECT_BYTES, MIN_CHUNK_BYTES } from "../core/limits.js";
import { chunkKey } from "../core/object/index.js";
import type { Chunking, DocumentOptions, Incoming, OpenDocument, PutResult } from "../database/index.js";
import { openDatabase, type ServiceEnvironment } from "./environment.js";
import type { CallContext, ServiceImplementation } from "./implementation.js";
import { endedBy, Pace } from "./pace.js";
import { rangeStream } from "./range-stream.js";
import { receiptMessage } from "./receipt.js";
import { receive } from "./receive.js";
import {
  copyOf,
  forField,
  forFieldsBelow,
  headField,
  idempotencyField,
  integerField,
  invalid,
  limitField,
  manifestHashField,
  metaField,
  nonEmptyTextField,
  quoted,
  textField,
} from "./request.js";

export function manifestService(environment: ServiceEnvironment): ServiceImplementation<typeof ManifestService> {
  return {
    async putDocument(requests, context) {
      const { manifest, receipt } = await receive({
        requests,
        signal: context.signal,
        begin: async (header: DocumentHeader) => ({ sink: await beginDocument(environment, header) }),
      });
      return { manifest: manifest.bytes, ...(receipt === undefined ? {} : { receipt: receiptMessage(receipt) }) };
    },

    async putSigned(request, { signal }) {
      const { manifest } = request;
      const head = request.head === "" ? undefined : headField(request.head, "head");
      const { idempotency } = idempotencyField(request);
      if (head === undefined && idempotency !== undefined) {
        throw invalid("idempotency_key", "a manifest without a head moves nothing, and may be put again without a key");
      }
      if (manifest.length > MAX_OBJECT_BYTES) {
        throw invalid("manifest", `${manifest.length} bytes, and ${MAX_OBJECT_BYTES} is the most`);
      }
      const database = await openDatabase(environment, request);
      const options = { head, idempotency, signal };
      const stored = endedBy(signal, database.manifests.putSigned(copyOf(manifest), options));
      const { receipt } = await forField("manifest", stored);
      return receipt === undefined ? {} : { receipt: receiptMessage(receipt) };
    },

    listChunks: (request, context) => listChunks(environment, request, context),

    async get(request) {
      const hash = manifestHashField(request.manifest, "manifest");
      const database = await openDatabase(environment, request);
      return { manifest: (await forField("manifest", database.manifests.get(hash))).bytes };
    },
  };
}

async function beginDocument(environment: ServiceEnvironment, header: DocumentHeader): Promise<Incoming<PutResult>> {
  const options: DocumentOptions = {
    head: header.head === "" ? undefined : headField(header.head, "header.head"),
    source: nonEmptyTextField(header.source, "header.source"),
    title: header.title === undefined ? undefined : textField(header.title, "header.title"),
    media: header.media === undefined ? undefined : textField(header.media, "header.media"),
    chunking: chunkingField(header.chunking, "header.chunking"),
    timeMs: header.time === undefined ? undefined : integerField(header.time, "header.time"),
    meta: metaField(header.meta, "header.meta"),
    ...idempotencyField(header, "header.idempotency_key"),
  };
  const database = await openDatabase(environment, header, "header.database");
  return forFieldsBelow("header", database.documents.begin(options));
}

function chunkingField(chunking: ChunkingMessage | undefined, field: string): Chunking {
  if (chunking === undefined) throw invalid(field, "says nothing of how to cut the document");
  const method = textField(chunking.method, `${field}.method`);
  if (method !== "fixed")
    throw invalid(`${field}.method`, `${quoted(method)} is not known`, 'this server knows "fixed"');
  const sizeBytes = integerField(chunking.size, `${field}.size`);
  if (sizeBytes < MIN_CHUNK_BYTES || sizeBytes > MAX_CHUNK_BYTES) {
    throw invalid(`${field}.size`, `${sizeBytes} bytes; a chunk has ${MIN_CHUNK_BYTES} to ${MAX_CHUNK_BYTES}`);
  }
  const overlapBytes = integerField(chunking.overlap, `${field}.overlap`);
  if (overlapBytes >= sizeBytes)
    throw invalid(`${field}.overlap`, `${overlapBytes} is not below the size, ${sizeBytes}`);
  return { method, sizeBytes, overlapBytes };
}

async function* listChunks(
  environment: ServiceEnvironment,
  request: ManifestServiceListChunksRequest,
  context: CallContext,
): AsyncGenerator<MessageInitShape<typeof ManifestServiceListChunksResponseSchema>, void, undefined> {
  const hash = manifestHashField(request.manifest, "manifest");
  const first = integerField(request.first, "first");
  const limit = limitField(request.limit, "limit");
  const database = await openDatabase(environment, request);
  const document = await forField("manifest", database.documents.open(hash));
  const next = nextChunk(document, { first, limit });
  const manifest = document.manifest.bytes;
  let header: { header?: MessageInitShape<typeof ListChunksHeaderSchema> } = {
    header: next === undefined ? { manifest } : { manifest, next: BigInt(next) },
  };
  for await (const { nodes } of rangeStream({
    nodes: database.nodesInPassing,
    map: document.chunks,
    range: { from: chunkKey(first), to: next === undefined ? undefined : chunkKey(next) },
    pace: new Pace(context.signal),
    memory: context.memory,
  })) {
    yield { ...header, nodes };
    header = {};
  }
}

/** Where a page of chunks ends: indices are consecutive, so nothing needs to be read. Undefined: at the last chunk. */
function nextChunk(
  document: OpenDocument,
  page: { readonly first: number; readonly limit: number | undefined },
): number | undefined {
  const { chunkCount } = document;
  if (page.first > 0 && page.first >= chunkCount) {
    throw invalid("first", `${page.first} is past the last chunk; the document has ${chunkCount}`);
  }
  const end = page.limit === undefined ? chunkCount : page.first + page.limit;
  return end < chunkCount ? end : undefined;
}
