// The messages that carry bulk data, encoded by hand: one field that holds a message of a few fields, the data last.
//
//   <outer tag> <length> { <tag> <varint>  |  <tag> <length> <bytes> } …        proto3: zero and empty fields are left out
//
// The general encoder copies the data twice, since it does not know the length of the inner message before it has written
// it. This one copies it once.

import { varintBytes, writeVarint } from "./varint.js";

/** A field of the inner message. */
export interface InnerField {
  /** 1 … 15. */
  readonly number: number;
  /** A safe integer ≥ 0, or bytes. */
  readonly value: number | Uint8Array;
}

const VARINT = 0;
const LENGTH_DELIMITED = 2;

/** Gives room for a message, with anything in it. */
export type Allocate = (sizeBytes: number) => Buffer;

/** Room for one message, small ones in an array that others share. */
export const allocateEach: Allocate = (sizeBytes) => Buffer.allocUnsafe(sizeBytes);

/** The bytes of a message whose one field, of number 1 … 15, is a message of these fields, in this order. */
export function encodeNested(outerNumber: number, fields: readonly InnerField[], allocate = allocateEach): Buffer {
  let innerBytes = 0;
  for (const field of fields) innerBytes += fieldBytes(field.value);
  const encoded = allocate(1 + varintBytes(innerBytes) + innerBytes);
  encoded[0] = (outerNumber << 3) | LENGTH_DELIMITED;
  let offset = writeVarint(encoded, innerBytes, 1);
  for (const field of fields) offset = writeField(encoded, field, offset);
  return encoded;
}

function isDefault(value: number | Uint8Array): boolean {
  return typeof value === "number" ? value === 0 : value.length === 0;
}

function fieldBytes(value: number | Uint8Array): number {
  if (isDefault(value)) return 0;
  return typeof value === "number" ? 1 + varintBytes(value) : 1 + varintBytes(value.length) + value.length;
}

/** @returns the offset after it */
function writeField(target: Buffer, { number, value }: InnerField, offset: number): number {
  if (isDefault(value)) return offset;
  if (typeof value === "number") {
    target[offset] = (number << 3) | VARINT;
    return writeVarint(target, value, offset + 1);
  }
  target[offset] = (number << 3) | LENGTH_DELIMITED;
  const start = writeVarint(target, value.length, offset + 1);
  target.set(value, start);
  return start + value.length;
}

/** True where a message holds fields that its schema does not know, which an encoder by hand would lose. */
export function hasUnknownFields(message: object): boolean {
  return "$unknown" in message && Array.isArray(message.$unknown) && message.$unknown.length > 0;
}
