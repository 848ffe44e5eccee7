// Messages of plain fields, written without the general encoder, which makes objects for every field: byte strings,
// unsigned integers and flags, messages of these, and lists of such messages. The bytes are those of the general encoder.
//
// A schema is looked at once. A message is measured first, which also checks it: what is not of its field's type, or has
// fields that are not known here, is left to the general encoder.
import { ScalarType, type DescField, type DescMessage } from "@bufbuild/protobuf";
import { varintBytes, writeVarint } from "./varint.js";

/** FeatureSet_FieldPresence.IMPLICIT: proto3 fields without `optional`. The enumeration lies in a large module. */
const IMPLICIT_PRESENCE = 2;

const VARINT = 0;
const LENGTH_DELIMITED = 2;
/** What `measure` returns for a message that is not written here. */
export const NOT_PLAIN = -1;

interface PlainField {
  readonly localName: string;
  /** One byte. */
  readonly tag: number;
  readonly kind: "bytes" | "uint64" | "uint32" | "flag" | "message" | "list";
  /** True where the value is written even if it is zero or empty. */
  readonly isExplicit: boolean;
  /** Of a message or a list of them. */
  readonly nested: PlainFields | undefined;
}

const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER);

type Fields = Readonly<Record<string, unknown>>;

/** The fields of one type of message. */
export class PlainFields {
  readonly #fields: readonly PlainField[];

  private constructor(fields: readonly PlainField[]) {
    this.#fields = fields;
  }

  /** Of a schema, some fields left out; undefined where it has fields of another kind. */
  static of(schema: DescMessage, leftOut: ReadonlySet<string> = new Set()): PlainFields | undefined {
    const fields: PlainField[] = [];
    for (const field of schema.fields) {
      if (leftOut.has(field.localName)) continue;
      const plain = plainField(field);
      if (plain === undefined) return undefined;
      fields.push(plain);
    }
    return new PlainFields(fields.sort((a, b) => a.tag - b.tag));
  }

  /** Bytes of the encoded message, or NOT_PLAIN. Appends the sizes of nested messages, as `write` takes them. */
  measure(message: object, sizes: number[]): number {
    if ("$unknown" in message) return NOT_PLAIN;
    let total = 0;
    for (const field of this.#fields) {
      const value = (message as Fields)[field.localName];
      if (value === undefined) continue;
      const size = measureField(field, value, sizes);
      if (size < 0) return NOT_PLAIN;
      total += size;
    }
    return total;
  }

  /** Writes a message that has been measured. @returns the offset after it */
  write(message: object, target: Buffer, start: number, sizes: NestedSizes): number {
    let offset = start;
    for (const field of this.#fields) {
      const value = (message as Fields)[field.localName];
      if (value !== undefined) offset = writeField(field, value, target, offset, sizes);
    }
    return offset;
  }
}

/** Sizes that `measure` noted, in the order in which `write` wants them. */
export class NestedSizes {
  readonly #sizes: readonly number[];
  #next = 0;

  constructor(sizes: readonly number[]) {
    this.#sizes = sizes;
  }

  next(): number {
    this.#next += 1;
    return this.#sizes[this.#next - 1] ?? 0;
  }
}

const SCALARS = new Map<ScalarType, PlainField["kind"]>([
  [ScalarType.BYTES, "bytes"],
  [ScalarType.UINT64, "uint64"],
  [ScalarType.UINT32, "uint32"],
  [ScalarType.BOOL, "flag"],
]);

function plainField(field: DescField): PlainField | undefined {
  if (field.number >= 16 || field.oneof !== undefined) return undefined;
  const { localName, number } = field;
  if (field.fieldKind === "scalar") {
    const kind = SCALARS.get(field.scalar);
    if (kind === undefined) return undefined;
    const tag = (number << 3) | (kind === "bytes" ? LENGTH_DELIMITED : VARINT);
    const presence: number = field.presence;
    const isExplicit = presence !== IMPLICIT_PRESENCE;
    return { localName, tag, kind, isExplicit, nested: undefined };
  }
  const isList = field.fieldKind === "list" && field.listKind === "message";
  if (field.fieldKind !== "message" && !isList) return undefined;
  const nested = PlainFields.of(field.message);
  const tag = (number << 3) | LENGTH_DELIMITED;
  return nested && { localName, tag, kind: isList ? "list" : "message", isExplicit: true, nested };
}

function measureField(field: PlainField, value: unknown, sizes: number[]): number {
  switch (field.kind) {
    case "bytes":
      if (!(value instanceof Uint8Array)) return NOT_PLAIN;
      return value.length === 0 && !field.isExplicit ? 0 : 1 + varintBytes(value.length) + value.length;
    case "uint64":
    case "uint32": {
      const isRight = field.kind === "uint64" ? isSafeUint64(value) : isUint32(value);
      if (!isRight) return NOT_PLAIN;
      const integer = Number(value);
      return integer === 0 && !field.isExplicit ? 0 : 1 + varintBytes(integer);
    }
    case "flag":
      if (typeof value !== "boolean") return NOT_PLAIN;
      return value || field.isExplicit ? 2 : 0;
    case "message":
      return measureNested(field, value, sizes);
    case "list": {
      if (!Array.isArray(value)) return NOT_PLAIN;
      let total = 0;
      for (const element of value as unknown[]) {
        const size = measureNested(field, element, sizes);
        if (size < 0) return NOT_PLAIN;
        total += size;
      }
      return total;
    }
  }
}

function measureNested({ nested }: PlainField, value: unknown, sizes: number[]): number {
  if (nested === undefined || typeof value !== "object" || value === null) return NOT_PLAIN;
  const place = sizes.push(0) - 1;
  const size = nested.measure(value, sizes);
  sizes[place] = size;
  return size < 0 ? NOT_PLAIN : 1 + varintBytes(size) + size;
}

/** True for what a varint by hand can carry. */
export function isSafeUint64(value: unknown): value is bigint {
  return typeof value === "bigint" && value >= 0n && value <= MAX_SAFE;
}

export function isUint32(value: unknown): value is number {
  return typeof value === "number" && value >>> 0 === value;
}

function writeField(field: PlainField, value: unknown, target: Buffer, start: number, sizes: NestedSizes): number {
  const { tag, isExplicit } = field;
  if (field.kind === "list") {
    let offset = start;
    for (const element of value as object[]) offset = writeNested(field, element, target, offset, sizes);
    return offset;
  }
  if (field.kind === "message") return writeNested(field, value as object, target, start, sizes);
  if (field.kind === "bytes") {
    const bytes = value as Uint8Array;
    if (bytes.length === 0 && !isExplicit) return start;
    target[start] = tag;
    const at = writeVarint(target, bytes.length, start + 1);
    target.set(bytes, at);
    return at + bytes.length;
  }
  const integer = Number(value);
  if (integer === 0 && !isExplicit) return start;
  target[start] = tag;
  return writeVarint(target, integer, start + 1);
}

function writeNested(field: PlainField, value: object, target: Buffer, start: number, sizes: NestedSizes): number {
  target[start] = field.tag;
  const offset = writeVarint(target, sizes.next(), start + 1);
  return field.nested === undefined ? offset : field.nested.write(value, target, offset, sizes);
}
