// Content on its way into a database, with a hash of the client's own (FORMATS §5).
//
// Small content travels in one message. Of large content that can be read twice the hash is known before anything is
// sent, so the server is asked first, and what it holds is not sent. That it holds it is its word, as "stored" is for
// what was sent: nothing but reading back shows either.
import { create } from "@bufbuild/protobuf";
import { equalBytes, toHex } from "../core/bytes.js";
import { assert, Corrupt, InvalidArgument, NotFound, VerificationFailed } from "../core/errors.js";
import {
  BlobService,
  BlobServiceUploadRequestSchema,
  type BlobServiceUploadRequest,
  type BlobServiceUploadResponse,
} from "../../gen/neleus/v1/blob_pb.js";
import { VerifiedBlob } from "./blob.js";
import { putBlobs } from "./blob-batch.js";
import { callOptions, type Connection } from "./connection.js";
import { canReadAgain, inlineContent } from "./content.js";
import type { PutBlobOptions } from "./contract.js";
import { knownContent } from "./known-content.js";
import { receivedInteger, receivedPart } from "./received.js";
import type { BlobReference, ContentSource, StoredBlob } from "./records.js";
import type { CallOptions } from "./transport.js";
import { Outgoing, type DataPart } from "./upload.js";

/** Groups of 16 KiB that are read back where held content is sampled, the last one besides. */
const SAMPLED_GROUPS = 4;

/** Stores content: inline where it is small, else by an upload. See `Database.putBlob`. */
export async function putBlob(
  connection: Connection,
  content: ContentSource,
  options: PutBlobOptions = {},
): Promise<StoredBlob> {
  const { uploadId = "" } = options;
  if (uploadId === "") {
    const bytes = inlineContent(content);
    if (bytes !== undefined) {
      const [stored] = await putBlobs(connection, [bytes], options);
      const { hash, sizeBytes, outcome, refusal } = receivedPart(stored, "blob");
      if (refusal !== undefined) throw refusal;
      return { hash, sizeBytes, wasHeld: outcome === "held" };
    }
  }
  // Content is named by its hash, so that to store it twice is to store it once.
  if (!canReadAgain(content)) return putLarge(connection, content, options);
  return connection.repeat((call) => putLarge(connection, content, { ...options, ...call }), options);
}

async function putLarge(connection: Connection, content: ContentSource, options: PutBlobOptions): Promise<StoredBlob> {
  const { uploadId = "", whenHeld = "skip" } = options;
  const known = whenHeld === "send" ? undefined : await knownContent(content, callOptions(options));
  const stands = await standing(connection, { uploadId, known }, options);
  if (known !== undefined && stands.held) {
    if (whenHeld === "skip" || (await isReadable(connection, known, options))) return { ...known, wasHeld: true };
    return upload(connection, content, { ...options, uploadId, skipBytes: stands.offset, known, declares: false });
  }
  return upload(connection, content, { ...options, uploadId, skipBytes: stands.offset, known, declares: true });
}

/** Where the server stands with an upload, and whether it holds the content. Asked only where either may help. */
async function standing(
  connection: Connection,
  upload: { readonly uploadId: string; readonly known: BlobReference | undefined },
  options: CallOptions,
): Promise<{ offset: number; held: boolean }> {
  const { uploadId, known } = upload;
  if (uploadId === "" && known === undefined) return { offset: 0, held: false };
  const { database } = connection;
  const request = { database, uploadId, ...(known === undefined ? {} : { content: blobRef(known) }) };
  const { offset, held } = await connection.unary(BlobService.method.queryUpload, request, options);
  return { offset: receivedInteger(offset, "the offset of the upload"), held };
}

interface UploadOptions extends PutBlobOptions {
  readonly uploadId: string;
  readonly skipBytes: number;
  readonly known: BlobReference | undefined;
  /** Whether the server is told what comes, and may say that it has it. */
  readonly declares: boolean;
}

async function upload(connection: Connection, content: ContentSource, options: UploadOptions): Promise<StoredBlob> {
  const { database } = connection;
  const { uploadId, skipBytes, known, onProgress } = options;
  const declared = options.declares ? known : undefined;
  const outgoing = new Outgoing(content, { skipBytes, onProgress, known });
  const header = { database, uploadId, ...(declared === undefined ? {} : { content: blobRef(declared) }) };
  const call = connection.clientStream(BlobService.method.upload, uploadMessages(outgoing, header), options);
  const stored = await outgoing.settle(call).catch((error: unknown) => {
    throw known === undefined ? error : asChanged(error);
  });
  // Stored by somebody else since it was asked for: the server has not waited for the bytes.
  if (stored.alreadyHeld) {
    if (declared === undefined) throw new VerificationFailed("the server says that it held content it was not told of");
    return { ...confirmed(stored, declared), wasHeld: true };
  }
  const sent = receivedPart(outgoing.finished, "end of the content: it was answered before it was sent");
  return { ...confirmed(stored, sent), wasHeld: false };
}

function confirmed(stored: BlobServiceUploadResponse, expected: BlobReference): BlobReference {
  if (equalBytes(stored.hash, expected.hash) && stored.size === BigInt(expected.sizeBytes)) return expected;
  throw new VerificationFailed(`the server confirms another blob than ${toHex(expected.hash)}, which was sent`);
}

/** What was sent is not what was hashed before: either the content changed, or the part of it that an earlier try sent. */
function asChanged(error: unknown): unknown {
  if (!(error instanceof InvalidArgument) || error.field !== "finish.hash") return error;
  const { facts } = error;
  const hint = "let nobody write to it meanwhile; after an earlier try with other content choose a new upload id";
  return new InvalidArgument(
    "content: it changed while it was stored",
    { field: "content", hint, facts },
    { cause: error },
  );
}

/**
 * Whether the last group of a blob, which proves its size, and some others can be read back.
 * @throws VerificationFailed, IncompleteProof - the server gives other bytes for them
 */
async function isReadable(
  connection: Connection,
  { hash, sizeBytes }: BlobReference,
  options: CallOptions,
): Promise<boolean> {
  const blob = new VerifiedBlob(connection, hash);
  try {
    const chosen = globalThis.crypto.getRandomValues(new Uint32Array(SAMPLED_GROUPS));
    const last = sizeBytes - 1;
    const starts = new Set([...chosen].map((number) => Math.floor((number / 2 ** 32) * last)).sort((a, b) => a - b));
    const ranges = [...starts, last].map((start) => ({ start, end: start + 1 }));
    // One byte shows the whole group that it lies in.
    const pieces = blob.ranges(ranges, { ...callOptions(options), sizeBytes });
    for await (const piece of pieces) assert(piece.bytes.length === 1, "each range is one byte");
    return true;
  } catch (error) {
    if (error instanceof NotFound || error instanceof Corrupt) return false;
    throw error;
  }
}

function blobRef({ hash, sizeBytes }: BlobReference): { hash: Uint8Array; size: bigint } {
  return { hash, size: BigInt(sizeBytes) };
}

async function* uploadMessages(
  outgoing: Outgoing,
  header: { readonly database: string; readonly uploadId: string; readonly content?: ReturnType<typeof blobRef> },
): AsyncGenerator<BlobServiceUploadRequest, void, undefined> {
  yield create(BlobServiceUploadRequestSchema, { part: { case: "header", value: header } });
  for await (const part of outgoing.parts()) {
    yield create(BlobServiceUploadRequestSchema, { part: { case: "data", value: dataMessage(part) } });
  }
  yield create(BlobServiceUploadRequestSchema, { part: { case: "finish", value: finishMessage(outgoing) } });
}

/** The data message of a part. */
export function dataMessage(part: DataPart): { offset: bigint; data: Uint8Array } {
  return { offset: BigInt(part.offset), data: part.data };
}

/** The finish of what has been sent. */
export function finishMessage(outgoing: Outgoing): { size: bigint; hash: Uint8Array } {
  const sent = receivedPart(outgoing.finished, "end of the content");
  return { size: BigInt(sent.sizeBytes), hash: sent.hash };
}
