// A proof from its protobuf bytes: the message as a server answers it. Fields in any order, lists of integers packed or not.
// Fields that the form does not have are refused as in JSON, and so is a field given twice that is no list.
//
// Costs time and memory in proportion to the bytes: nothing is allocated by a length before that many bytes are there.
import { fromUtf8 } from "../../core/bytes.js";
import { Malformed } from "../../core/errors.js";
import { emptyMessage, type FieldForm, type MessageForm, type ReadMessage } from "./proof-form.js";

const VARINT = 0;
const LENGTH_DELIMITED = 2;
const MAX_UINT32 = 0xffff_ffffn;
const MAX_UINT64 = 2n ** 64n - 1n;
const MAX_VARINT_BYTES = 10;

/** @throws Malformed - the bytes are not of the form */
export function readBinaryMessage(form: MessageForm, bytes: Uint8Array): ReadMessage {
  const message = emptyMessage(form);
  // Bit n for field n: the forms have no more than ten.
  let seen = 0;
  const input = new Input(bytes);
  while (!input.isAtEnd) {
    const tag = Number(input.varint());
    const field = form.byNumber.get(Math.floor(tag / 8));
    if (field === undefined) throw new Malformed(`${form.typeName} has no field number ${Math.floor(tag / 8)}`);
    const wireType = tag % 8;
    if (field.presence === "repeated") {
      readElements(field, wireType, { input, into: message[field.name] as unknown[] });
      continue;
    }
    const bit = 1 << field.number;
    if ((seen & bit) !== 0) throw new Malformed(`${form.typeName} has the field ${field.name} twice`);
    seen |= bit;
    message[field.name] = readOne(field, wireType, input);
  }
  return message;
}

/** The text of field 1 where that comes first, as every encoder writes it: the type of a proof. Undefined: it does not. */
export function leadingText(bytes: Uint8Array): string | undefined {
  const input = new Input(bytes);
  if (input.varint() !== BigInt((1 << 3) | LENGTH_DELIMITED)) return undefined;
  return fromUtf8(input.delimited());
}

function readElements(
  field: FieldForm,
  wireType: number,
  { input, into }: { readonly input: Input; readonly into: unknown[] },
): void {
  const isPacked = field.kind === "uint32" && wireType === LENGTH_DELIMITED;
  if (!isPacked) {
    into.push(readOne(field, wireType, input));
    return;
  }
  const packed = new Input(input.delimited());
  while (!packed.isAtEnd) into.push(readOne(field, VARINT, packed));
}

function readOne({ kind, name }: FieldForm, wireType: number, input: Input): unknown {
  const isInteger = kind === "uint32" || kind === "uint64" || kind === "bool";
  if (wireType !== (isInteger ? VARINT : LENGTH_DELIMITED)) throw new Malformed(`${name} is not of its type`);
  if (isInteger) {
    const value = input.varint();
    if (value > (kind === "bool" ? 1n : kind === "uint32" ? MAX_UINT32 : MAX_UINT64)) {
      throw new Malformed(`${name} is out of range`);
    }
    return kind === "uint64" ? value : kind === "uint32" ? Number(value) : value === 1n;
  }
  const bytes = input.delimited();
  if (typeof kind === "object") return readBinaryMessage(kind, bytes);
  // Copied: what was read must not change with the array that it came in.
  return kind === "string" ? fromUtf8(bytes) : bytes.slice();
}

class Input {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#offset === this.#bytes.length;
  }

  /** @throws Malformed - it ends early, or takes more than ten bytes */
  varint(): bigint {
    const first = this.#bytes[this.#offset];
    if (first !== undefined && first < 0x80) {
      this.#offset += 1;
      return BigInt(first);
    }
    let value = 0n;
    for (let index = 0; index < MAX_VARINT_BYTES; index += 1) {
      const byte = this.#bytes[this.#offset];
      if (byte === undefined) break;
      this.#offset += 1;
      value |= BigInt(byte & 0x7f) << BigInt(7 * index);
      if (byte < 0x80) return value;
    }
    throw new Malformed("an integer does not end");
  }

  /** Bytes behind their length: a view. @throws Malformed - there are fewer */
  delimited(): Uint8Array {
    const length = this.varint();
    const left = this.#bytes.length - this.#offset;
    if (length > BigInt(left)) throw new Malformed(`${length} bytes announced, ${left} left`);
    const start = this.#offset;
    this.#offset += Number(length);
    return this.#bytes.subarray(start, this.#offset);
  }
}
