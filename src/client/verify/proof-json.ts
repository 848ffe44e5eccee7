// A proof from its protobuf JSON, as `neleus proof` prints it. Names in either spelling, 64-bit integers as text or number, bytes
// in base 64 of either alphabet, padded or not; null is absent. Anything else is refused, fields that the form does not have too:
// what nobody checks must not pass as part of a proof.
import { isWellFormed } from "../../core/bytes.js";
import { Malformed } from "../../core/errors.js";
import { fromBase64 } from "../../core/log/base64.js";
import { emptyMessage, type FieldForm, type MessageForm, type ReadMessage, type ScalarKind } from "./proof-form.js";

type JsonObject = Readonly<Record<string, unknown>>;

const MAX_UINT32 = 0xffff_ffff;
const MAX_UINT64 = 2n ** 64n - 1n;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** @throws Malformed - the value is not of the form */
export function readJsonMessage(form: MessageForm, value: unknown): ReadMessage {
  if (!isJsonObject(value)) throw new Malformed(`${form.typeName} is not an object`);
  const message = emptyMessage(form);
  const seen = new Set<FieldForm>();
  for (const [name, part] of Object.entries(value)) {
    const field = form.byName.get(name);
    if (field === undefined) throw new Malformed(`${form.typeName} has no field ${JSON.stringify(name.slice(0, 64))}`);
    if (seen.has(field)) throw new Malformed(`${form.typeName} has the field ${field.name} in two spellings`);
    seen.add(field);
    if (part !== null) message[field.name] = readField(field, part);
  }
  return message;
}

function readField(field: FieldForm, value: unknown): unknown {
  if (field.presence !== "repeated") return readOne(field, value);
  if (!Array.isArray(value)) throw new Malformed(`${field.name} is not a list`);
  return value.map((element: unknown) => readOne(field, element));
}

function readOne({ kind, name }: FieldForm, value: unknown): unknown {
  const read = typeof kind === "object" ? readJsonMessage(kind, value) : readScalar(kind, value);
  if (read === undefined) throw new Malformed(`${name} is not of its type`);
  return read;
}

/** Undefined where the value is none of that kind. @throws Malformed - no base 64 */
function readScalar(kind: ScalarKind, value: unknown): unknown {
  switch (kind) {
    case "bool":
      return typeof value === "boolean" ? value : undefined;
    case "string":
      return typeof value === "string" && isWellFormed(value) ? value : undefined;
    case "bytes":
      return typeof value === "string" ? readBytes(value) : undefined;
    case "uint32": {
      const integer = readInteger(value);
      return integer !== undefined && integer <= MAX_UINT32 ? Number(integer) : undefined;
    }
    case "uint64": {
      const integer = readInteger(value);
      return integer !== undefined && integer <= MAX_UINT64 ? integer : undefined;
    }
  }
}

function readInteger(value: unknown): bigint | undefined {
  if (typeof value === "number") return Number.isSafeInteger(value) && value >= 0 ? BigInt(value) : undefined;
  // No more digits than 2^64 has: what is longer would cost time to read.
  return typeof value === "string" && /^(?:0|[1-9][0-9]{0,19})$/.test(value) ? BigInt(value) : undefined;
}

function readBytes(text: string): Uint8Array {
  const standard = text.replaceAll("-", "+").replaceAll("_", "/");
  return fromBase64(standard.endsWith("=") ? standard : standard.padEnd(Math.ceil(standard.length / 4) * 4, "="));
}
