// Goal: exactly the canonical encodings are accepted, each value has one encoding, and nothing but a NeleusError comes
// out of bad input.
// Method: the shared vectors; random values against `@ipld/dag-cbor`; random and mutated bytes against a slow twin; the
// edges by hand.
import test from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import * as dagCbor from "@ipld/dag-cbor";
import { decode, decodeMap, encode, requireCanonical } from "#src/core/codec/index.js";
import type { Value } from "#src/core/codec/index.js";
import { concatBytes, fromHex, toHex } from "#src/core/bytes.js";
import { InvalidArgument, Malformed } from "#src/core/errors.js";
import { fromNotation } from "../../support/notation.js";
import { readVectors } from "../../support/vectors.js";
import { values } from "./arbitrary.js";
import { slowDecode, slowEncode } from "./slow-codec.js";

interface CodecVectors {
  accept: { cbor: string; value: unknown }[];
  refuse: Record<string, string>;
}

const vectors = readVectors("codec") as CodecVectors;

test("vectors: accepted encodings, both ways", () => {
  assert.equal(vectors.accept.length, 25);
  for (const { cbor, value } of vectors.accept) {
    const expected = fromNotation(value);
    assert.deepEqual(decode(fromHex(cbor)), expected, cbor);
    assert.equal(toHex(encode(expected)), cbor);
    assert.deepEqual(slowDecode(fromHex(cbor)), { value: expected });
  }
});

test("vectors: refused encodings", () => {
  assert.equal(Object.keys(vectors.refuse).length, 26);
  for (const [what, cbor] of Object.entries(vectors.refuse)) {
    assert.throws(() => decode(fromHex(cbor)), Malformed, what);
    assert.equal(slowDecode(fromHex(cbor)), undefined, what);
  }
});

/** What the library takes for a CID, wrongly: a map whose `/` and `bytes` are one value. */
function holdsCidLookalike(value: Value): boolean {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return false;
  if (Array.isArray(value)) return value.some(holdsCidLookalike);
  return (Object.hasOwn(value, "/") && value["/"] === value["bytes"]) || Object.values(value).some(holdsCidLookalike);
}

test("random values round-trip, as the twin and the library have them", () => {
  fc.assert(
    fc.property(values, (value) => {
      const bytes = encode(value);
      assert.deepEqual(decode(bytes), value);
      assert.equal(toHex(bytes), slowEncode(value));
      if (holdsCidLookalike(value)) return;
      assert.deepEqual(new Uint8Array(dagCbor.encode(value)), bytes);
      // The library drops a leading U+FEFF.
      if (!toHex(bytes).includes("efbbbf")) assert.deepEqual(dagCbor.decode(bytes), value);
    }),
    { numRuns: 2000 },
  );
});

function agreesWithTwin(bytes: Uint8Array): void {
  const expected = slowDecode(bytes);
  if (expected === undefined) {
    assert.throws(() => requireCanonical(bytes), Malformed);
    assert.throws(() => decode(bytes), Malformed);
    return;
  }
  const value = decode(bytes);
  assert.deepEqual(value, expected.value);
  assert.deepEqual(encode(value), bytes);
}

test("mutated encodings are refused, or re-encode to themselves", () => {
  const mutation = fc.record({
    at: fc.nat(),
    byte: fc.nat(255),
    how: fc.constantFrom("set", "insert", "delete", "cut", "flip"),
  });
  fc.assert(
    fc.property(values, fc.array(mutation, { minLength: 1, maxLength: 3 }), (value, mutations) => {
      let bytes = [...encode(value)];
      for (const { at, byte, how } of mutations) {
        const index = bytes.length === 0 ? 0 : at % bytes.length;
        if (how === "set") bytes[index] = byte;
        else if (how === "insert") bytes.splice(index, 0, byte);
        else if (how === "delete") bytes.splice(index, 1);
        else if (how === "cut") bytes = bytes.slice(0, index);
        else bytes[index] = (bytes[index] ?? 0) ^ (1 << (byte % 8));
      }
      agreesWithTwin(Uint8Array.from(bytes));
    }),
    { numRuns: 5000 },
  );
});

test("every single-bit flip of an encoding is refused, or re-encodes to itself", () => {
  const bytes = encode({ a: [1, 500, 1.5, "ü", Uint8Array.of(1, 2)], bb: { c: null, d: true }, b: -70_000 });
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const flipped = bytes.slice();
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    agreesWithTwin(flipped);
  }
});

test("random bytes, and all inputs of up to two bytes", () => {
  const structural = fc.constantFrom(
    0x80,
    0x81,
    0x82,
    0xa0,
    0xa1,
    0xa2,
    0x60,
    0x61,
    0x40,
    0x18,
    0x58,
    0xf6,
    0xfb,
    0x9f,
  );
  const bytes = fc.array(fc.oneof(fc.nat(255), structural), { maxLength: 24 }).map((list) => Uint8Array.from(list));
  fc.assert(fc.property(bytes, agreesWithTwin), { numRuns: 5000 });
  for (let first = 0; first < 256; first += 1) {
    agreesWithTwin(Uint8Array.of(first));
    for (let second = 0; second < 256; second += 1) agreesWithTwin(Uint8Array.of(first, second));
  }
});

test("every two-byte and three-byte text is taken as the twin takes it: overlong forms and surrogates are refused", () => {
  for (let pair = 0x8000; pair < 0x1_0000; pair += 1) {
    const [high, low] = [pair >> 8, pair & 255];
    if (high < 0xe0 || high > 0xef) agreesWithTwin(Uint8Array.of(0x62, high, low));
    else if ((low & 0xc0) === 0x80 && high >= 0xe0) agreesWithTwin(Uint8Array.of(0x63, high, low, 0x80));
  }
});

test("announced lengths and counts are held against the input before anything is made of them", () => {
  for (const head of [
    "5b001fffffffffffff",
    "7b001fffffffffffff",
    "9b001fffffffffffff",
    "bb001fffffffffffff",
    "9affffffff",
  ]) {
    assert.throws(() => decode(fromHex(head)), /announced/);
    assert.throws(() => decode(fromHex(head + "00")), /announced/);
  }
  // Two members announced, bytes for one and a half.
  assert.throws(() => decode(fromHex("a2616101")), /announced/);
});

test("depth 32 is accepted and 33 refused, both ways, for lists and maps", () => {
  let list: Value = [];
  let map: Value = {};
  for (let depth = 1; depth < 32; depth += 1) {
    list = [list];
    map = { a: map };
  }
  for (const value of [list, map]) {
    assert.deepEqual(decode(encode(value)), value);
    assert.throws(() => encode([value]), InvalidArgument);
    assert.throws(() => decode(concatBytes(Uint8Array.of(0x81), encode(value))), /32 lists and maps/);
  }
  assert.throws(() => decode(new Uint8Array(1_000_000).fill(0x81)), Malformed);
});

test("1 MiB is accepted and one byte more refused, both ways", () => {
  const largest = new Uint8Array(1_048_576 - 5).fill(7);
  const bytes = encode(largest);
  assert.equal(bytes.length, 1_048_576);
  assert.deepEqual(decode(bytes), largest);
  const over = new Uint8Array(largest.length + 1);
  assert.throws(() => encode(over), InvalidArgument);
  assert.throws(() => decode(concatBytes(Uint8Array.of(0x5a, 0, 0x0f, 0xff, 0xfc), over)), Malformed);
  assert.throws(() => encode("x".repeat(2_000_000)), InvalidArgument);
  assert.throws(() => encode(new Array<Value>(600_000).fill("aa")), InvalidArgument);
});

test("what the encoder refuses, with the path to it", () => {
  const cyclic: Value[] = [];
  cyclic.push(cyclic);
  const sparse: unknown[] = [1];
  sparse[2] = 3;
  const refused: [unknown, RegExp][] = [
    [undefined, /^undefined/],
    [{ a: [0, { "b c": undefined }] }, /^a\[1\]\["b c"\]: undefined/],
    [sparse, /^\[1\]: undefined/],
    [NaN, /NaN/],
    [[Infinity], /^\[0\]: Infinity/],
    [2 ** 53, /beyond/],
    [-(2 ** 53), /beyond/],
    [1e300, /beyond/],
    [10n, /bigint/],
    [Symbol("s"), /symbol/],
    [() => 1, /function/],
    ["\ud800", /surrogate/],
    ["\udc00\ud800", /surrogate/],
    [{ "\ud800": 1 }, /surrogate/],
    [new Date(0), /class/],
    [new Map(), /class/],
    [new Uint16Array(2), /class/],
    [new ArrayBuffer(2), /class/],
    [cyclic, /32 lists and maps/],
  ];
  for (const [value, message] of refused) {
    assert.throws(
      () => encode(value as Value),
      (error: unknown) => error instanceof InvalidArgument && message.test(error.message),
      String(message),
    );
  }
});

test("the encoder turns integral floats and −0 into integers", () => {
  assert.equal(toHex(encode(-0)), "00");
  assert.equal(toHex(encode(1e15)), toHex(encode(1_000_000_000_000_000)));
  assert.equal(
    toHex(encode([5e-324, 2 ** 52 + 0.5])),
    "82fb0000000000000001fb4330000000000000".slice(0, 20) + "1b0010000000000000",
  );
});

test("views are encoded as what they show, and decoded bytes own their memory", () => {
  const buffer = Uint8Array.of(9, 1, 2, 3, 9);
  assert.equal(toHex(encode(buffer.subarray(1, 4))), "43010203");
  assert.equal(toHex(encode(Buffer.from([1, 2, 3]))), "43010203");
  const bytes = Uint8Array.of(0, 0x43, 1, 2, 3).subarray(1);
  const value = decode(bytes);
  bytes.fill(0);
  assert.deepEqual(value, Uint8Array.of(1, 2, 3));
  assert.equal((value as Uint8Array).buffer.byteLength, 3);
  assert.equal(Object.getPrototypeOf(decode(Buffer.from("4101", "hex"))), Uint8Array.prototype);
});

test("names that mean something to JavaScript are members like any other", () => {
  for (const text of [
    '{"__proto__":{"polluted":1}}',
    '{"toString":2,"constructor":1}',
    '{"/":"x","bytes":"x"}',
    '{"1":1,"":0}',
  ]) {
    const value = JSON.parse(text) as Value;
    const decoded = decode(encode(value));
    assert.equal(JSON.stringify(decoded), text);
    assert.equal(Object.getPrototypeOf(decoded), Object.prototype);
  }
  assert.equal(({} as Record<string, unknown>)["polluted"], undefined);
});

test("keys are sorted by length, then bytes of UTF-8, not by UTF-16 units", () => {
  // U+10000 is smaller than U+FFFF in UTF-16 and larger in UTF-8.
  const value = { "\u{10000}": 1, "\uffffa": 2, "\uffff": 3, zz: 4, b: 5 };
  assert.deepEqual(Object.keys(decodeMap(encode(value))), ["b", "zz", "\uffff", "\uffffa", "\u{10000}"]);
});

test("decodeMap refuses what is not a map, and byte strings in their own class", () => {
  for (const value of [null, 1, "a", [], Uint8Array.of(1)]) assert.throws(() => decodeMap(encode(value)), Malformed);
  assert.deepEqual(decodeMap(encode({})), {});
});
