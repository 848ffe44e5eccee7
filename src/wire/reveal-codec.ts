// Messages that carry a witness, encoded and decoded by hand where they hold reveals: a scan is a thousand of these a
// second, each of two thousand small byte strings, and the general coder makes several objects of every one.
//
// A message with reveals is two things one behind the other, which protobuf allows in any order:
//
//   <all other fields, by the general coder> { <tag of the field> <length> <NodeReveal> } …
//
//   NodeReveal:  08 kind  10 level  18 count  20 total  2a <length> <indices as varints>  { 32 <length> <entry> } …
//                3a <length> <siblings>                             proto3: zero and empty fields are left out
//
// What is written in another way that protobuf allows as well is left to the general coder, both ways, so no peer is
// refused for its habits and there is one opinion on what is malformed. test/wire/reveal-codec.test.ts holds both against
// the general coder.
import { create, fromBinary, ScalarType, toBinary } from "@bufbuild/protobuf";
import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { allocateEach } from "./nested-message.js";
import { isSafeUint64, isUint32, NestedSizes, NOT_PLAIN, PlainFields } from "./plain-fields.js";
import { varintBytes, writeVarint } from "./varint.js";

const TYPE_NAME = "neleus.v1.NodeReveal";
const EMPTY = new Uint8Array(0);

const LENGTH_DELIMITED = 2;
/** Tags of NodeReveal. */
const KIND = 0x08;
const LEVEL = 0x10;
const COUNT = 0x18;
const TOTAL = 0x20;
const INDICES = 0x2a;
const ENTRY = 0x32;
const SIBLINGS = 0x3a;

interface RevealShape {
  readonly kind: number;
  readonly level: number;
  readonly count: number;
  readonly total: bigint;
  readonly indices: readonly number[];
  readonly entries: readonly Uint8Array[];
  readonly siblings: Uint8Array;
}

/** A field that repeats NodeReveal. */
interface RevealField {
  readonly localName: string;
  /** The tag of its elements, one byte. */
  readonly tag: number;
}

/** A message that has such fields, and what else it has. */
interface RevealSchema {
  readonly fields: readonly RevealField[];
  readonly form: MessageForm;
  /** Undefined where the other fields are for the general encoder. */
  readonly others: PlainFields | undefined;
}

const schemas = new WeakMap<DescMessage, RevealSchema>();

function revealSchema(schema: DescMessage): RevealSchema {
  let known = schemas.get(schema);
  if (known === undefined) {
    const fields = schema.fields
      .filter((field) => field.fieldKind === "list" && field.message?.typeName === TYPE_NAME && field.number < 16)
      .map(({ localName, number }) => ({ localName, tag: (number << 3) | LENGTH_DELIMITED }));
    const others =
      fields.length === 0 ? undefined : PlainFields.of(schema, new Set(fields.map((one) => one.localName)));
    known = { fields, form: formOf(schema), others };
    schemas.set(schema, known);
  }
  return known;
}

/** The encoded message where it holds reveals; undefined: leave it to the general encoder. */
export function encodeWithReveals<M extends DescMessage>(
  schema: M,
  message: MessageInitShape<M>,
  allocate = allocateEach,
): Buffer | undefined {
  const { fields, others } = revealSchema(schema);
  if (fields.length === 0) return undefined;
  const sizes: number[] = [];
  const plainBytes = others === undefined ? NOT_PLAIN : others.measure(message, sizes);
  const rest = plainBytes < 0 ? encodeRest(schema, message, fields) : undefined;
  const restSizes = new NestedSizes(sizes);
  const revealSizes: number[] = [];
  let totalBytes = rest === undefined ? plainBytes : rest.length;
  for (const { localName } of fields) {
    const listBytes = measureReveals((message as Record<string, unknown>)[localName] ?? [], revealSizes);
    if (listBytes < 0) return undefined;
    totalBytes += listBytes;
  }
  const encoded = allocate(totalBytes);
  let offset = 0;
  if (rest === undefined) offset = others?.write(message, encoded, 0, restSizes) ?? 0;
  else encoded.set(rest);
  offset = rest?.length ?? offset;
  let next = 0;
  for (const { localName, tag } of fields) {
    for (const reveal of ((message as Record<string, unknown>)[localName] ?? []) as readonly RevealShape[]) {
      encoded[offset] = tag;
      offset = writeVarint(encoded, revealSizes[next] ?? 0, offset + 1);
      offset = writeReveal(encoded, reveal, offset);
      next += 1;
    }
  }
  return encoded;
}

/** All fields but the reveals, by the general encoder. */
function encodeRest<M extends DescMessage>(
  schema: M,
  message: MessageInitShape<M>,
  fields: readonly RevealField[],
): Uint8Array {
  const withoutReveals = { ...message, ...Object.fromEntries(fields.map(({ localName }) => [localName, []])) };
  return toBinary(schema, create(schema, withoutReveals));
}

/** Bytes of a list of reveals, and of each; NOT_PLAIN where something is the general encoder's to complete or refuse. */
function measureReveals(list: unknown, sizes: number[]): number {
  if (!Array.isArray(list)) return NOT_PLAIN;
  let total = 0;
  for (const value of list as unknown[]) {
    const size = measureReveal(value as Partial<RevealShape>);
    if (size < 0) return NOT_PLAIN;
    sizes.push(size);
    total += 1 + varintBytes(size) + size;
  }
  return total;
}

function measureReveal(value: Partial<RevealShape>): number {
  const { kind, level, count, total, indices, entries, siblings } = value;
  if (!isUint32(kind) || !isUint32(level) || !isUint32(count) || !isSafeUint64(total)) return NOT_PLAIN;
  if (!Array.isArray(indices) || !Array.isArray(entries) || !(siblings instanceof Uint8Array)) return NOT_PLAIN;
  if ("$unknown" in value) return NOT_PLAIN;
  let size = numberBytes(kind) + numberBytes(level) + numberBytes(count) + numberBytes(Number(total));
  const shown = indicesBytes(indices);
  if (shown < 0) return NOT_PLAIN;
  if (shown > 0) size += 1 + varintBytes(shown) + shown;
  for (const entry of entries as readonly unknown[]) {
    if (!(entry instanceof Uint8Array)) return NOT_PLAIN;
    size += 1 + varintBytes(entry.length) + entry.length;
  }
  return siblings.length === 0 ? size : size + 1 + varintBytes(siblings.length) + siblings.length;
}

function numberBytes(value: number): number {
  return value === 0 ? 0 : 1 + varintBytes(value);
}

function indicesBytes(indices: readonly unknown[]): number {
  let size = 0;
  for (const index of indices) {
    if (!isUint32(index)) return NOT_PLAIN;
    size += varintBytes(index);
  }
  return size;
}

/** @returns the offset after it */
function writeReveal(target: Buffer, reveal: RevealShape, start: number): number {
  let offset = writeNumber(target, KIND, reveal.kind, start);
  offset = writeNumber(target, LEVEL, reveal.level, offset);
  offset = writeNumber(target, COUNT, reveal.count, offset);
  offset = writeNumber(target, TOTAL, Number(reveal.total), offset);
  if (reveal.indices.length > 0) {
    target[offset] = INDICES;
    offset = writeVarint(target, indicesBytes(reveal.indices), offset + 1);
    for (const index of reveal.indices) offset = writeVarint(target, index, offset);
  }
  for (const entry of reveal.entries) offset = writeBytes(target, ENTRY, entry, offset);
  return reveal.siblings.length === 0 ? offset : writeBytes(target, SIBLINGS, reveal.siblings, offset);
}

function writeNumber(target: Buffer, tag: number, value: number, offset: number): number {
  if (value === 0) return offset;
  target[offset] = tag;
  return writeVarint(target, value, offset + 1);
}

function writeBytes(target: Buffer, tag: number, bytes: Uint8Array, offset: number): number {
  target[offset] = tag;
  const start = writeVarint(target, bytes.length, offset + 1);
  target.set(bytes, start);
  return start + bytes.length;
}

/**
 * The message in the bytes, as `fromBinary` without unknown fields reads it; byte fields are views.
 * @throws Error - of the general decoder: the bytes are no such message
 */
export function decodeWithReveals<M extends DescMessage>(schema: M, bytes: Uint8Array): MessageShape<M> {
  const { fields, form } = revealSchema(schema);
  const parts = fields.length === 0 ? undefined : splitReveals(bytes, fields, form);
  if (parts === undefined) return fromBinary(schema, bytes, { readUnknownFields: false });
  const message = fromBinary(schema, parts.rest, { readUnknownFields: false });
  for (const [position, { localName }] of fields.entries()) {
    (message as Record<string, unknown>)[localName] = parts.reveals[position];
  }
  return message;
}

interface SplitMessage {
  /** The bytes of all other fields. */
  readonly rest: Uint8Array;
  /** The reveals of each field. */
  readonly reveals: readonly RevealShape[][];
}

/** Undefined where anything is written in a way that this does not read. */
function splitReveals(bytes: Uint8Array, fields: readonly RevealField[], form: MessageForm): SplitMessage | undefined {
  const reveals: RevealShape[][] = fields.map(() => []);
  const rest: Uint8Array[] = [];
  const reader = new FieldReader(bytes);
  while (!reader.isAtEnd(bytes.length)) {
    const start = reader.offset;
    const tag = reader.byte();
    const position = fields.findIndex((field) => field.tag === tag);
    if (position < 0) {
      if (!reader.pass(tag, form)) return undefined;
      rest.push(bytes.subarray(start, reader.offset));
      continue;
    }
    const reveal = reader.reveal(reader.length());
    if (reveal === undefined) return undefined;
    reveals[position]?.push(reveal);
  }
  return { rest: rest.length === 1 ? (rest[0] ?? EMPTY) : Buffer.concat(rest), reveals };
}

/** How each field of a message is written, by its number: what is written otherwise is for the general decoder. */
type MessageForm = ReadonlyMap<number, { readonly tag: number; readonly nested: MessageForm | undefined }>;

const forms = new WeakMap<DescMessage, MessageForm>();

function formOf(schema: DescMessage): MessageForm {
  const known = forms.get(schema);
  if (known !== undefined) return known;
  const form = new Map<number, { readonly tag: number; readonly nested: MessageForm | undefined }>();
  forms.set(schema, form);
  for (const field of schema.fields) {
    const isVarint = field.fieldKind === "enum" || (field.fieldKind === "scalar" && VARINTS.has(field.scalar));
    const holdsMessages = field.fieldKind === "message" || (field.fieldKind === "list" && field.listKind === "message");
    // A map is read by the general decoder: no tag of one byte is this.
    const tag = field.fieldKind === "map" ? NaN : (field.number << 3) | (isVarint ? 0 : LENGTH_DELIMITED);
    form.set(field.number, { tag, nested: holdsMessages ? formOf(field.message) : undefined });
  }
  return form;
}

const VARINTS: ReadonlySet<ScalarType> = new Set([
  ScalarType.INT32,
  ScalarType.INT64,
  ScalarType.UINT32,
  ScalarType.UINT64,
  ScalarType.SINT32,
  ScalarType.SINT64,
  ScalarType.BOOL,
]);

// Decoded reveals live until their message has been verified: see core/map/recorder, which says why not literals.
const scratch: { readonly indices: number[]; readonly entries: Uint8Array[] } = { indices: [], entries: [] };
const NO_INDICES: number[] = [];
const NO_ENTRIES: Uint8Array[] = [];

class DecodedReveal implements RevealShape {
  readonly $typeName = TYPE_NAME;
  kind = 0;
  level = 0;
  count = 0;
  total = 0n;
  indices = NO_INDICES;
  entries = NO_ENTRIES;
  siblings: Uint8Array = EMPTY;
}

/** Reads fields as the encoder above writes them. Anything else makes it stop: see `isBroken`. */
class FieldReader {
  readonly #bytes: Uint8Array;
  offset = 0;
  /** True once something was met that is for the general decoder. */
  isBroken = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  isAtEnd(end: number): boolean {
    return this.isBroken || this.offset >= end;
  }

  byte(): number {
    const byte = this.#bytes[this.offset];
    this.offset += 1;
    return byte ?? this.#stop();
  }

  /** An unsigned integer below 2^53, of at most eight bytes. */
  varint(): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 8; count += 1) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value <= Number.MAX_SAFE_INTEGER ? value : this.#stop();
      scale *= 0x80;
    }
    return this.#stop();
  }

  uint32(): number {
    const value = this.varint();
    return value <= 0xffff_ffff ? value : this.#stop();
  }

  /** A length that fits what is left. */
  length(): number {
    const length = this.varint();
    return length <= this.#bytes.length - this.offset ? length : this.#stop();
  }

  view(length: number): Uint8Array {
    const start = this.offset;
    this.offset += length;
    return this.#bytes.subarray(start, this.offset);
  }

  /** Goes past the value of a field with a tag of one byte. False where the general decoder might read it otherwise. */
  pass(tag: number, form: MessageForm): boolean {
    const wireType = tag & 7;
    const known = form.get(tag >>> 3);
    if (tag >= 0x80 || (known !== undefined && known.tag !== tag)) return false;
    if (wireType === 0) this.varint();
    else if (wireType !== LENGTH_DELIMITED) return false;
    else if (known?.nested === undefined) this.view(this.length());
    else if (!this.#passMessage(this.length(), known.nested)) return false;
    return !this.isBroken;
  }

  /** The fields of a nested message have to end where it ends: the general decoder reads on behind it. */
  #passMessage(length: number, form: MessageForm): boolean {
    const end = this.offset + length;
    while (!this.isAtEnd(end)) if (!this.pass(this.byte(), form)) return false;
    return this.offset === end;
  }

  reveal(length: number): RevealShape | undefined {
    const end = this.offset + length;
    const reveal = new DecodedReveal();
    scratch.indices.length = 0;
    scratch.entries.length = 0;
    while (!this.isAtEnd(end)) {
      const tag = this.byte();
      if (tag === ENTRY) scratch.entries.push(this.view(this.length()));
      else if (tag === INDICES) this.#readIndices(scratch.indices);
      else if (tag === SIBLINGS) reveal.siblings = this.view(this.length());
      else if (tag === KIND) reveal.kind = this.uint32();
      else if (tag === LEVEL) reveal.level = this.uint32();
      else if (tag === COUNT) reveal.count = this.uint32();
      else if (tag === TOTAL) reveal.total = BigInt(this.varint());
      else this.#stop();
    }
    if (this.isBroken || this.offset !== end) return undefined;
    reveal.indices = scratch.indices.slice();
    reveal.entries = scratch.entries.slice();
    return reveal;
  }

  #readIndices(indices: number[]): void {
    const end = this.length() + this.offset;
    while (!this.isAtEnd(end)) indices.push(this.uint32());
    if (this.offset !== end) this.#stop();
  }

  #stop(): 0 {
    this.isBroken = true;
    return 0;
  }
}
