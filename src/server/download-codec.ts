// BlobServiceDownloadResponse with a slice, encoded by hand: field 2 holds parents (1) and data (2).
// test/server/message-codec.test.ts holds it against the general encoder.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { BlobServiceDownloadResponseSchema } from "../../gen/neleus/v1/blob_pb.js";
import { encodeNested, hasUnknownFields, type Allocate } from "../wire/nested-message.js";

const EMPTY = new Uint8Array(0);

/** The encoded message where it is a slice and nothing else; undefined: leave it to the general encoder. */
export function encodeDownload(
  message: MessageInitShape<typeof BlobServiceDownloadResponseSchema>,
  allocate?: Allocate,
): Buffer | undefined {
  const { part } = message;
  if (part?.case !== "slice" || hasUnknownFields(message) || hasUnknownFields(part.value)) return undefined;
  const { parents = EMPTY, data = EMPTY } = part.value;
  const fields = [
    { number: 1, value: parents },
    { number: 2, value: data },
  ];
  return encodeNested(2, fields, allocate);
}
