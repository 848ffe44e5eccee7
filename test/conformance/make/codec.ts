// Topic codec: strict DAG-CBOR (FORMATS §2). Oracle: the shared vectors; @ipld/dag-cbor for what an encoder gives; for bytes with
// bits turned the naive decoder of test/core/codec, which parses laxly and asks whether the value encodes to the same bytes.
import * as dagCbor from "@ipld/dag-cbor";
import { toHex } from "#src/core/bytes.js";
import type { Value } from "#src/core/codec/index.js";
import { slowDecode } from "../../core/codec/slow-codec.js";
import { fromNotation } from "../../support/notation.js";
import { readVectors } from "../../support/vectors.js";
import { CaseList, Seeded, toNotation, type Json, type Topic } from "../case.js";

interface CodecVectors {
  readonly accept: readonly { readonly cbor: string; readonly value: Json }[];
  readonly refuse: Readonly<Record<string, string>>;
}

const FLIPS = 160;

export function codecCases(): Topic {
  const cases = new CaseList("codec");
  const { accept, refuse } = readVectors("codec") as CodecVectors;
  const decode = (bytes: string): { operation: string; input: Record<string, Json> } => ({
    operation: "codec.decode",
    input: { bytes },
  });
  const both = (name: string, bytes: string, value: Json): void => {
    cases.accept(`decode-${name}`, decode(bytes), { value });
    cases.accept(`encode-${name}`, { operation: "codec.encode", input: { value } }, { bytes });
  };
  for (const [index, { cbor, value }] of accept.entries())
    both(`vector-${index}`, cbor, toNotation(fromNotation(value)));
  for (const [why, bytes] of Object.entries(refuse)) cases.refuse(`vector ${why}`, decode(bytes), "MALFORMED");
  const random = new Seeded(2);
  const values = Array.from({ length: 30 }, () => randomValue(random, 3));
  for (const [index, value] of values.entries()) {
    both(`random-${index}`, toHex(dagCbor.encode(value)), toNotation(value));
  }
  for (let index = 0; index < FLIPS; index += 1) {
    const bytes = Uint8Array.from(dagCbor.encode(values[random.below(values.length)]));
    const at = random.below(bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
    const read = slowDecode(bytes);
    if (read === undefined) cases.refuse(`flip-${index}`, decode(toHex(bytes)), "MALFORMED");
    else cases.accept(`flip-${index}`, decode(toHex(bytes)), { value: toNotation(read.value) });
  }
  for (const depth of [32, 33]) {
    const bytes = "81".repeat(depth - 1) + "80";
    if (depth > 32) cases.refuse(`depth-${depth}`, decode(bytes), "MALFORMED");
    else cases.accept(`depth-${depth}`, decode(bytes), { value: nested(depth) });
  }
  for (const [name, bytes] of Object.entries(HUGE)) cases.refuse(`huge-${name}`, decode(bytes), "MALFORMED");
  // 1 MiB of text and its head.
  const tooLong = { operation: "codec.decode", input: { bytes: ["7a00100000", { repeat: ["78", 1_048_576] }] } };
  cases.refuse("over 1,048,576 bytes", tooLong, "MALFORMED");
  return cases.topic("Which bytes are canonical DAG-CBOR, what they mean, and what an encoder writes (FORMATS §2).");
}

/** Lengths and counts that nothing follows: no reader may set memory aside for them. */
const HUGE = {
  list: "9bffffffffffffffff",
  "list-of-2^32": "9b0000000100000000",
  map: "bb001fffffffffffff",
  bytes: "5b001fffffffffffff",
  text: "7affffffff",
};

function nested(depth: number): Json {
  return depth === 1 ? [] : [nested(depth - 1)];
}

function randomValue(random: Seeded, depth: number): Value {
  const kind = random.below(depth > 0 ? 9 : 7);
  if (kind === 0) return random.below(1000) * 2 ** random.below(43);
  if (kind === 1) return -1 - random.below(2 ** 31);
  if (kind === 2) return (random.below(1_000_000) + 0.5) / 2 ** random.below(60);
  if (kind === 3) return random.bytes(random.below(40));
  if (kind === 4)
    return String.fromCodePoint(0x61 + random.below(20), 0xfc, 0x1f600 + random.below(40)).repeat(random.below(5));
  if (kind === 5) return [true, false, null][random.below(3)] ?? null;
  if (kind === 6) return random.below(30);
  const length = random.below(6);
  const members = Array.from({ length }, () => randomValue(random, depth - 1));
  if (kind === 7) return members;
  // "bytes" alone in a map would read as a byte string in the kit's notation.
  return Object.fromEntries(members.map((member, index) => [`k${"x".repeat(random.below(4))}${index}`, member]));
}
