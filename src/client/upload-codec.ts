// The data message of an upload, of a blob or a document, encoded by hand: field 2 holds offset (1) and data (2).
// test/rpc/upload-codec.test.ts holds it against the general encoder.
import type { DescMessage } from "@bufbuild/protobuf";
import { BlobServiceUploadRequestSchema, type UploadData } from "../../gen/neleus/v1/blob_pb.js";
import { ManifestServicePutDocumentRequestSchema } from "../../gen/neleus/v1/manifest_pb.js";
import { encodeNested, hasUnknownFields, type Allocate } from "../wire/nested-message.js";

const SCHEMAS: ReadonlySet<DescMessage> = new Set<DescMessage>([
  BlobServiceUploadRequestSchema,
  ManifestServicePutDocumentRequestSchema,
]);

const EMPTY = new Uint8Array(0);

/** The encoded message where it is the data of an upload; undefined: leave it to the general encoder. */
export function encodeUpload(schema: DescMessage, message: object, allocate?: Allocate): Buffer | undefined {
  if (!SCHEMAS.has(schema) || hasUnknownFields(message)) return undefined;
  const { part } = message as { part?: { case?: string; value?: Partial<UploadData> } };
  if (part?.case !== "data" || part.value === undefined || hasUnknownFields(part.value)) return undefined;
  const { offset = 0n, data = EMPTY } = part.value;
  // What is no such message is the general encoder's to refuse.
  if (typeof offset !== "bigint" || offset < 0n || offset > Number.MAX_SAFE_INTEGER) return undefined;
  if (!(data instanceof Uint8Array)) return undefined;
  const fields = [
    { number: 1, value: Number(offset) },
    { number: 2, value: data },
  ];
  return encodeNested(2, fields, allocate);
}
