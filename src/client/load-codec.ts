// The entries of a load encoded by hand: field 2 holds all keys (1), then all values (2). The general encoder makes an array
// for each of them and joins these twice. test/rpc/load-codec.test.ts holds it against that encoder.
import type { DescMessage } from "@bufbuild/protobuf";
import { StateServiceLoadRequestSchema, type LoadEntries } from "../../gen/neleus/v1/state_pb.js";
import { allocateEach, hasUnknownFields, type Allocate } from "../wire/nested-message.js";
import { varintBytes, writeVarint } from "../wire/varint.js";

const ENTRIES_TAG = (2 << 3) | 2;
const KEYS_TAG = (1 << 3) | 2;
const VALUES_TAG = (2 << 3) | 2;

/** The encoded message where it is entries of a load; undefined: leave it to the general encoder. */
export function encodeLoad(
  schema: DescMessage,
  message: object,
  allocate: Allocate = allocateEach,
): Buffer | undefined {
  if (schema !== StateServiceLoadRequestSchema || hasUnknownFields(message)) return undefined;
  const { part } = message as { part?: { case?: string; value?: Partial<LoadEntries> } };
  if (part?.case !== "entries" || part.value === undefined || hasUnknownFields(part.value)) return undefined;
  const { keys = [], values = [] } = part.value;
  const keysBytes = fieldsBytes(keys);
  const valuesBytes = fieldsBytes(values);
  if (keysBytes === undefined || valuesBytes === undefined) return undefined;
  const innerBytes = keysBytes + valuesBytes;
  const encoded = allocate(1 + varintBytes(innerBytes) + innerBytes);
  encoded[0] = ENTRIES_TAG;
  const start = writeVarint(encoded, innerBytes, 1);
  writeFields(encoded, {
    tag: VALUES_TAG,
    elements: values,
    start: writeFields(encoded, { tag: KEYS_TAG, elements: keys, start }),
  });
  return encoded;
}

/** What is no list of byte strings is the general encoder's to refuse. */
function fieldsBytes(elements: unknown): number | undefined {
  if (!Array.isArray(elements)) return undefined;
  let total = 0;
  for (const element of elements as unknown[]) {
    if (!(element instanceof Uint8Array)) return undefined;
    total += 1 + varintBytes(element.length) + element.length;
  }
  return total;
}

/** @returns the offset after them */
function writeFields(
  target: Buffer,
  { tag, elements, start }: { readonly tag: number; readonly elements: readonly Uint8Array[]; readonly start: number },
): number {
  let offset = start;
  for (const element of elements) {
    target[offset] = tag;
    offset = writeVarint(target, element.length, offset + 1);
    target.set(element, offset);
    offset += element.length;
  }
  return offset;
}
