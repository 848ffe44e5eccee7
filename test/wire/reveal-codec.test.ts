// Goal: messages with reveals, coded by hand, are what the general coder writes and reads.
// Method: random messages both ways, the general coder as oracle; then the same bytes damaged and written in other ways that
// protobuf allows, where both must read the same message or both refuse.
import assert from "node:assert/strict";
import test from "node:test";
import { create, equals, fromBinary, toBinary, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { CommitServiceListHeadsResponseSchema } from "#gen/neleus/v1/commit_pb.js";
import { NodeRevealSchema, StateProofSchema } from "#gen/neleus/v1/proof_pb.js";
import { StateServiceGetResponseSchema, StateServiceScanResponseSchema } from "#gen/neleus/v1/state_pb.js";
import { decodeWithReveals, encodeWithReveals } from "#src/wire/reveal-codec.js";

const uint32 = fc.oneof(fc.nat(80), fc.nat({ max: 0xffff_ffff }));
const bytes = fc.uint8Array({ maxLength: 90 });
const reveal = fc.record({
  kind: uint32,
  level: uint32,
  count: uint32,
  total: fc.oneof(fc.bigInt(0n, 200n), fc.bigInt(0n, 2n ** 53n - 1n)),
  indices: fc.array(uint32, { maxLength: 20 }),
  entries: fc.array(bytes, { maxLength: 20 }),
  siblings: fc.uint8Array({ maxLength: 300 }),
});
const scan = fc.record({
  header: fc.option(fc.record({ next: fc.option(bytes, { nil: undefined }) }), { nil: undefined }),
  nodes: fc.array(reveal, { maxLength: 6 }),
  values: fc.array(fc.record({ entry: fc.bigInt(0n, 2n ** 40n), data: bytes }), { maxLength: 4 }),
});

function general<M extends DescMessage>(schema: M, encoded: Uint8Array): MessageShape<M> | undefined {
  try {
    return fromBinary(schema, encoded, { readUnknownFields: false });
  } catch {
    return undefined;
  }
}

/** Both decoders agree: on the message, or in refusing. */
function requireSameReading(schema: DescMessage, encoded: Uint8Array): void {
  const expected = general(schema, encoded);
  if (expected === undefined) {
    assert.throws(() => decodeWithReveals(schema, encoded));
    return;
  }
  const actual = decodeWithReveals(schema, encoded);
  assert.ok(equals(schema, actual, expected), Buffer.from(encoded).toString("hex"));
}

test("random messages are written and read as the general coder does", () => {
  fc.assert(
    fc.property(scan, (message) => {
      const schema = StateServiceScanResponseSchema;
      const encoded = encodeWithReveals(schema, message);
      assert.ok(encoded !== undefined);
      const expected = create(schema, message);
      assert.equal(encoded.length, toBinary(schema, expected).length);
      assert.ok(equals(schema, fromBinary(schema, encoded), expected));
      assert.ok(equals(schema, decodeWithReveals(schema, encoded), expected));
      assert.ok(equals(schema, decodeWithReveals(schema, toBinary(schema, expected)), expected));
    }),
  );
});

const position = fc.record(
  { root: bytes, commit: bytes, logSize: fc.bigInt(0n, 2n ** 53n - 1n) },
  { requiredKeys: [] },
);
const answer = fc.record(
  { position, nodes: fc.array(reveal, { maxLength: 6 }), value: fc.option(bytes, { nil: undefined }) },
  { requiredKeys: [] },
);

test("an answer of one key has the very bytes of the general encoder", () => {
  const schema = StateServiceGetResponseSchema;
  fc.assert(
    fc.property(answer, (message) => {
      const encoded = encodeWithReveals(schema, message);
      assert.ok(encoded !== undefined);
      const { nodes = [], ...rest } = message;
      // The general encoder writes fields in order, so the reveals before the value.
      const expected = Buffer.concat([
        toBinary(schema, create(schema, rest)),
        toBinary(schema, create(schema, { nodes })),
      ]);
      assert.equal(encoded.toString("hex"), expected.toString("hex"));
    }),
  );
});

test("fields beside the reveals that are not plain are left to the general encoder", () => {
  const schema = StateServiceGetResponseSchema;
  const unknown = create(schema, { position: { logSize: 7n } });
  unknown.position!.$unknown = [{ no: 99, wireType: WireType.Varint, data: Uint8Array.of(5) }];
  const large = { position: { logSize: 2n ** 60n } };
  for (const message of [unknown, create(schema, large)]) {
    assert.equal(
      encodeWithReveals(schema, message)?.toString("hex"),
      Buffer.from(toBinary(schema, message)).toString("hex"),
    );
  }
  const outcome = (encode: () => Uint8Array): string => {
    try {
      return Buffer.from(encode()).toString("hex");
    } catch (error) {
      return (error as Error).message;
    }
  };
  for (const wrong of [
    { value: "text" },
    { position: { root: [1] } },
    { position: { logSize: -1n } },
    { position: 5 },
  ]) {
    const expected = outcome(() => toBinary(schema, create(schema, wrong as never)));
    assert.equal(
      outcome(() => encodeWithReveals(schema, wrong as never)!),
      expected,
    );
  }
});

test("fields beside the reveals are passed over whole, and the reveals read by hand", () => {
  const schema = StateServiceScanResponseSchema;
  fc.assert(
    fc.property(scan, fc.uint8Array({ minLength: 200, maxLength: 300 }), (message, next) => {
      const whole = create(schema, { ...message, header: { next } });
      for (const encoded of [toBinary(schema, whole), encodeWithReveals(schema, whole)!]) {
        const decoded = decodeWithReveals(schema, encoded);
        assert.ok(equals(schema, decoded, whole));
        for (const node of decoded.nodes) assert.equal(node.constructor.name, "DecodedReveal");
      }
    }),
  );
});

test("a reveal that would be other fields if it were read one byte too early is read as it is", () => {
  const schema = StateServiceScanResponseSchema;
  const entry = Uint8Array.of(1, 8, 0x80, 1, 8, 1, 8, 1);
  const message = create(schema, { header: {}, nodes: [{ kind: 8, level: 8, count: 8, entries: [entry] }] });
  const encoded = toBinary(schema, message);
  assert.equal(Buffer.from(encoded.subarray(0, 4)).toString("hex"), "0a001210");
  assert.ok(equals(schema, decodeWithReveals(schema, encoded), message));
});

test("several fields of reveals are kept apart", () => {
  const schema = CommitServiceListHeadsResponseSchema;
  fc.assert(
    fc.property(fc.array(reveal, { maxLength: 3 }), fc.array(reveal, { maxLength: 3 }), (heads, states) => {
      const message = create(schema, { heads, states });
      const encoded = encodeWithReveals(schema, message);
      assert.ok(encoded !== undefined);
      assert.ok(equals(schema, decodeWithReveals(schema, encoded), message));
    }),
  );
});

test("damaged messages are read as the general decoder reads them, or refused as it does", () => {
  fc.assert(
    fc.property(scan, fc.nat(), fc.nat(255), fc.nat(2), (message, place, byte, how) => {
      const encoded = Uint8Array.from(
        toBinary(StateServiceScanResponseSchema, create(StateServiceScanResponseSchema, message)),
      );
      const at = place % Math.max(encoded.length, 1);
      if (how === 0 && encoded.length > 0) encoded[at] = byte;
      const damaged = how === 1 ? encoded.slice(0, at) : how === 2 ? Uint8Array.from([...encoded, byte]) : encoded;
      requireSameReading(StateServiceScanResponseSchema, damaged);
    }),
    { numRuns: 2_000 },
  );
});

test("other ways to write the same are read: unpacked indices, fields out of order, unknown fields, long varints", () => {
  const inner = new BinaryWriter();
  inner.tag(6, WireType.LengthDelimited).bytes(Uint8Array.of(1, 2));
  for (const index of [0, 300]) inner.tag(5, WireType.Varint).uint32(index);
  inner.tag(99, WireType.Varint).uint32(7);
  inner.tag(2, WireType.Varint).raw(Uint8Array.of(0x85, 0x80, 0x00));
  inner.tag(1, WireType.Varint).uint32(1);
  const outer = new BinaryWriter();
  outer.tag(50, WireType.StartGroup).tag(50, WireType.EndGroup);
  outer.tag(2, WireType.LengthDelimited).bytes(inner.finish());
  const message = decodeWithReveals(StateServiceScanResponseSchema, outer.finish());
  const expected = create(NodeRevealSchema, { kind: 1, level: 5, indices: [0, 300], entries: [Uint8Array.of(1, 2)] });
  assert.equal(message.nodes.length, 1);
  assert.ok(equals(NodeRevealSchema, message.nodes[0]!, expected));
  requireSameReading(StateServiceScanResponseSchema, outer.finish());
});

test("reveals after some of another wire type are all left to the general decoder", () => {
  for (const hex of ["120208011001", "100112020801", "1202080114"]) {
    requireSameReading(StateServiceScanResponseSchema, Buffer.from(hex, "hex"));
  }
});

test("a field that does not end where its message ends is left to the general decoder, which reads on behind it", () => {
  const schema = StateServiceScanResponseSchema;
  const whole = Buffer.from(
    toBinary(
      schema,
      create(schema, { header: { next: Uint8Array.of(7) }, nodes: [{ kind: 1, entries: [Uint8Array.of(1, 2)] }] }),
    ),
  );
  const values = Buffer.from(toBinary(schema, create(schema, { values: [{ entry: 3n, data: Uint8Array.of(4, 5) }] })));
  for (const hex of ["08", "0801", "0d00000000", "0a0508", "0a030a0103", "1a0408031205"]) {
    requireSameReading(schema, Buffer.concat([Buffer.from(hex, "hex"), whole, values]));
    requireSameReading(schema, Buffer.concat([whole, Buffer.from(hex, "hex"), values]));
  }
  // The length of the header says more, and less, than its fields take.
  for (let length = 0; length <= whole.length + values.length; length += 1) {
    const damaged = Buffer.concat([whole, values]);
    damaged[1] = length;
    requireSameReading(schema, damaged);
  }
});

test("what an encoder by hand could get wrong is left to the general one", () => {
  const schema = StateServiceScanResponseSchema;
  const whole = { kind: 1, level: 0, count: 1, total: 1n, indices: [0], entries: [], siblings: new Uint8Array() };
  for (const odd of [
    { ...whole, kind: -1 },
    { ...whole, total: 2n ** 60n },
    { ...whole, indices: [0.5] },
    { kind: 1, level: 0, count: 1, total: 1n },
  ]) {
    assert.equal(encodeWithReveals(schema, { nodes: [odd] }), undefined);
  }
  assert.equal(encodeWithReveals(NodeRevealSchema, whole), undefined, "a message without a field of reveals");
  assert.ok(encodeWithReveals(StateProofSchema, { nodes: [whole] }) !== undefined);
});
