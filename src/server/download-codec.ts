// The one message that carries bulk data out, encoded by hand: BlobServiceDownloadResponse with a slice.
//
//   12 <n> 0a <p> parents 12 <d> data        field 2 (slice) of n bytes; in it field 1 (parents) and 2 (data), if not empty
//
// The general encoder copies the data twice, since it cannot know the length of the slice before it has written it; this
// one copies it once, and downloads gain by half. test/server/download-codec.test.ts holds it against the general one.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { BlobServiceDownloadResponseSchema } from "../../gen/neleus/v1/blob_pb.js";

const TAG_SLICE = 0x12;
const TAG_PARENTS = 0x0a;
const TAG_DATA = 0x12;

const EMPTY = new Uint8Array(0);

/** The encoded message where it is a slice and nothing else; undefined: leave it to the general encoder. */
export function encodeDownload(
  message: MessageInitShape<typeof BlobServiceDownloadResponseSchema>,
): Buffer | undefined {
  const { part } = message;
  if (part?.case !== "slice" || hasUnknownFields(message) || hasUnknownFields(part.value)) return undefined;
  const { parents = EMPTY, data = EMPTY } = part.value;
  const sliceBytes = fieldBytes(parents) + fieldBytes(data);
  const encoded = Buffer.allocUnsafe(1 + varintBytes(sliceBytes) + sliceBytes);
  encoded[0] = TAG_SLICE;
  let offset = writeVarint(encoded, sliceBytes, 1);
  offset = writeField(encoded, { tag: TAG_PARENTS, value: parents, offset });
  writeField(encoded, { tag: TAG_DATA, value: data, offset });
  return encoded;
}

function hasUnknownFields(message: object): boolean {
  return "$unknown" in message && Array.isArray(message.$unknown) && message.$unknown.length > 0;
}

function fieldBytes(value: Uint8Array): number {
  return value.length === 0 ? 0 : 1 + varintBytes(value.length) + value.length;
}

function varintBytes(value: number): number {
  let length = 1;
  for (let rest = value; rest > 0x7f; rest >>>= 7) length += 1;
  return length;
}

/** @returns the offset after it */
function writeVarint(target: Buffer, value: number, offset: number): number {
  let rest = value;
  let end = offset;
  for (; rest > 0x7f; rest >>>= 7) target[end++] = (rest & 0x7f) | 0x80;
  target[end++] = rest;
  return end;
}

/** @returns the offset after it */
function writeField(target: Buffer, field: { tag: number; value: Uint8Array; offset: number }): number {
  if (field.value.length === 0) return field.offset;
  target[field.offset] = field.tag;
  const start = writeVarint(target, field.value.length, field.offset + 1);
  target.set(field.value, start);
  return start + field.value.length;
}
