// Messages to bytes and back, at the edge of the network.
//
// Requests are hostile. What the generated schema does not know is skipped, not kept: two bytes of an unknown field would
// otherwise cost some fifty of memory. A repeated field costs about seventy times its two bytes an element, so messages
// of very many fields are refused before they are decoded, and so are map entries that decoding would lose. What then
// decodes is checked by the services.
import "../wire/text-encoding.js";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { BlobServiceDownloadResponseSchema } from "../../gen/neleus/v1/blob_pb.js";
import { InvalidArgument, LimitExceeded, NeleusError } from "../core/errors.js";
import type { Allocate } from "../wire/nested-message.js";
import { encodeWithReveals } from "../wire/reveal-codec.js";
import { encodeDownload } from "./download-codec.js";

/** Most fields of one request, elements of repeated and nested ones counted each: well above what any service takes. */
export const MAX_REQUEST_FIELDS = 65_536;

/**
 * The message in the bytes; its byte fields are views of them.
 * @throws InvalidArgument - the bytes are no such message, or hold a map entry of a name that cannot be
 * @throws LimitExceeded - it has too many fields
 */
export function decodeRequest<M extends DescMessage>(schema: M, bytes: Uint8Array): MessageShape<M> {
  try {
    if (bytes.length > 2 * MAX_REQUEST_FIELDS) checkFieldCount(schema, bytes);
    if (hasMaps(schema) && holdsLostName(bytes)) checkMapNames(schema, bytes);
    return fromBinary(schema, bytes, { readUnknownFields: false });
  } catch (cause) {
    if (cause instanceof NeleusError) throw cause;
    const reason = cause instanceof Error ? cause.message : "not protobuf";
    throw new InvalidArgument(`malformed ${schema.name}: ${reason}`, {}, { cause });
  }
}

function checkFieldCount(schema: DescMessage, bytes: Uint8Array): void {
  let count = 0;
  const countFields = (message: DescMessage, reader: BinaryReader, end: number): void => {
    while (reader.pos < end) {
      count += 1;
      if (count > MAX_REQUEST_FIELDS) throw tooManyFields(schema);
      const [fieldNumber, wireType] = reader.tag();
      const nested = wireType === WireType.LengthDelimited ? nestedMessage(message, fieldNumber) : undefined;
      // What is nested may repeat as well, like the `meta` of a header.
      if (nested === undefined) reader.skip(wireType, fieldNumber);
      else countFields(nested, reader, reader.uint32() + reader.pos);
    }
  };
  const reader = new BinaryReader(bytes);
  countFields(schema, reader, reader.len);
}

/** The runtime keeps maps as members of an object, where an entry of this name is lost without a trace. */
const LOST_NAME = Buffer.from("__proto__");

const withMaps = new WeakMap<DescMessage, boolean>();

/** True where a message, or one inside it, has a map. */
function hasMaps(schema: DescMessage): boolean {
  let known = withMaps.get(schema);
  if (known === undefined) {
    known = holdsMap(schema, new Set());
    withMaps.set(schema, known);
  }
  return known;
}

function holdsMap(schema: DescMessage, seen: Set<DescMessage>): boolean {
  if (seen.has(schema)) return false;
  seen.add(schema);
  return schema.fields.some((field) => {
    const nested = nestedMessage(schema, field.number);
    return field.fieldKind === "map" || (nested !== undefined && holdsMap(nested, seen));
  });
}

/** A quick look: most messages hold no such bytes, and in most that do they are data. */
function holdsLostName(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).includes(LOST_NAME);
}

/** @throws InvalidArgument - an entry of a map has the name that would be lost */
function checkMapNames(schema: DescMessage, bytes: Uint8Array): void {
  const checkFields = (message: DescMessage, reader: BinaryReader, end: number): void => {
    while (reader.pos < end) {
      const [fieldNumber, wireType] = reader.tag();
      const field = message.fields.find(({ number }) => number === fieldNumber);
      const nested = nestedMessage(message, fieldNumber);
      if (wireType !== WireType.LengthDelimited || field === undefined) reader.skip(wireType, fieldNumber);
      else if (nested !== undefined) checkFields(nested, reader, reader.uint32() + reader.pos);
      else if (field.fieldKind === "map") checkMapEntry(field.name, new BinaryReader(reader.bytes()));
      else reader.skip(wireType, fieldNumber);
    }
  };
  const reader = new BinaryReader(bytes);
  checkFields(schema, reader, reader.len);
}

const MAP_KEY_FIELD = 1;

function checkMapEntry(field: string, entry: BinaryReader): void {
  while (entry.pos < entry.len) {
    const [fieldNumber, wireType] = entry.tag();
    if (fieldNumber !== MAP_KEY_FIELD || wireType !== WireType.LengthDelimited) entry.skip(wireType, fieldNumber);
    else if (LOST_NAME.equals(entry.bytes())) {
      throw new InvalidArgument(`${field}: "__proto__" cannot be a name here`, { field });
    }
  }
}

/** The type of a field that holds one message, or many. */
function nestedMessage(message: DescMessage, fieldNumber: number): DescMessage | undefined {
  const field = message.fields.find(({ number }) => number === fieldNumber);
  return field?.fieldKind === "message" || field?.fieldKind === "list" ? field.message : undefined;
}

function tooManyFields(schema: DescMessage): LimitExceeded {
  return new LimitExceeded(`${schema.name} holds more than ${MAX_REQUEST_FIELDS} elements`, {
    facts: { limit: "request_fields", value: String(MAX_REQUEST_FIELDS) },
  });
}

/**
 * The bytes of a message that a handler returned, as grpc-js wants them, large ones in room from `allocate`. A message that
 * cannot be encoded is our bug.
 */
export function encodeResponse<M extends DescMessage>(
  schema: M,
  message: MessageInitShape<M>,
  allocate?: Allocate,
): Buffer {
  if ((schema as DescMessage) === BlobServiceDownloadResponseSchema) {
    const encoded = encodeDownload(message as MessageInitShape<typeof BlobServiceDownloadResponseSchema>, allocate);
    if (encoded !== undefined) return encoded;
  }
  const withReveals = encodeWithReveals(schema, message, allocate);
  if (withReveals !== undefined) return withReveals;
  const bytes = toBinary(schema, create(schema, message));
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
