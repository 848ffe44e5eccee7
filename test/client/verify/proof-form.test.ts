// Goal: the proofs that a file is read by are those of the contract, and the two readers, of JSON and of bytes, read what the
// protobuf runtime reads, and refuse what is not of the form, with no other error than Malformed.
// Method: every form held against the generated descriptors; messages of every form made at random from the descriptors, written
// by the runtime; bytes and texts mutated, where whatever is read must be what the runtime reads.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  create,
  equals,
  fromBinary,
  fromJsonString,
  ScalarType,
  toBinary,
  toJson,
  toJsonString,
  type DescField,
  type DescMessage,
  type Message,
} from "@bufbuild/protobuf";
import fc from "fast-check";
import {
  ChunkProofSchema,
  CommitProofSchema,
  ManifestProofSchema,
  RangeProofSchema,
  RefProofSchema,
  StateProofSchema,
} from "#gen/neleus/v1/proof_pb.js";
import { parseProof } from "#src/client/verify/index.js";
import { readBinaryMessage } from "#src/client/verify/proof-binary.js";
import {
  CHUNK_PROOF,
  COMMIT_PROOF,
  MANIFEST_PROOF,
  RANGE_PROOF,
  REF_PROOF,
  STATE_PROOF,
  type FieldForm,
  type MessageForm,
} from "#src/client/verify/proof-form.js";
import { readJsonMessage } from "#src/client/verify/proof-json.js";
import { Malformed, Unsupported, VerificationFailed } from "#src/core/errors.js";

const FORMS: readonly (readonly [MessageForm, DescMessage])[] = [
  [STATE_PROOF, StateProofSchema],
  [RANGE_PROOF, RangeProofSchema],
  [CHUNK_PROOF, ChunkProofSchema],
  [MANIFEST_PROOF, ManifestProofSchema],
  [REF_PROOF, RefProofSchema],
  [COMMIT_PROOF, CommitProofSchema],
];
const SCALARS: Readonly<Record<string, ScalarType>> = {
  uint32: ScalarType.UINT32,
  uint64: ScalarType.UINT64,
  bool: ScalarType.BOOL,
  bytes: ScalarType.BYTES,
  string: ScalarType.STRING,
};

describe("the forms", () => {
  for (const [form, schema] of FORMS) it(`${schema.name} is the contract's`, () => requireSameForm(form, schema));
});

function requireSameForm(form: MessageForm, schema: DescMessage): void {
  assert.equal(form.typeName, schema.typeName);
  assert.ok(
    form.fields.every(({ number }) => number < 31),
    "the reader of bytes notes fields as bits",
  );
  const numbers = schema.fields.map(({ number }) => number);
  assert.deepEqual(
    form.fields.map(({ number }) => number),
    numbers,
    `${schema.name} has other fields: add them to proof-form.ts, and say in the verifier what they mean`,
  );
  for (const field of schema.fields) requireSameField(form.byNumber.get(field.number)!, field);
}

function requireSameField(form: FieldForm, field: DescField): void {
  assert.deepEqual([form.name, form.protoName], [field.localName, field.name]);
  assert.equal(form.name, field.jsonName);
  const isList = field.fieldKind === "list";
  const isOptional = field.fieldKind === "message" || field.proto.proto3Optional;
  assert.equal(form.presence, isList ? "repeated" : isOptional ? "optional" : "implicit", form.name);
  if (typeof form.kind === "object") {
    requireSameForm(form.kind, field.message!);
    return;
  }
  assert.equal(
    field.fieldKind === "list" ? field.listKind === "scalar" && field.scalar : field.scalar,
    SCALARS[form.kind],
  );
}

/** Any message of a schema, as what `create` takes. */
function anyMessage(schema: DescMessage): fc.Arbitrary<Record<string, unknown>> {
  const fields = schema.fields.map((field) => {
    const one = field.message === undefined ? anyScalar(field) : anyMessage(field.message);
    const value = field.fieldKind === "list" ? fc.array(one, { maxLength: 3 }) : fc.option(one, { nil: undefined });
    return [field.localName, value] as const;
  });
  return fc
    .record(Object.fromEntries(fields))
    .map((message) => Object.fromEntries(Object.entries(message).filter(([, value]) => value !== undefined)));
}

function anyScalar(field: DescField): fc.Arbitrary<unknown> {
  switch (field.scalar) {
    case ScalarType.UINT32:
      return fc.nat({ max: 0xffff_ffff });
    case ScalarType.UINT64:
      return fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.STRING:
      return fc.string({ unit: "binary", maxLength: 12 });
    default:
      return fc.uint8Array({ maxLength: 12 });
  }
}

/** What a reader reads, or undefined where it refuses. Any other error fails the test. */
function readOrRefuse(read: () => object): Message | undefined {
  try {
    return read() as Message;
  } catch (error) {
    assert.ok(error instanceof Malformed, `another error: ${String(error)}`);
    return undefined;
  }
}

describe("the readers", () => {
  for (const [form, schema] of FORMS) {
    it(`read a ${schema.name} as the runtime does`, () => {
      fc.assert(
        fc.property(anyMessage(schema), (init) => {
          const message = create(schema, init as never) as Message;
          for (const alwaysEmitImplicit of [false, true]) {
            const json = toJson(schema, message, { alwaysEmitImplicit });
            assert.ok(equals(schema, readJsonMessage(form, json) as never, message));
          }
          const withProtoNames = toJson(schema, message, { useProtoFieldName: true });
          assert.ok(equals(schema, readJsonMessage(form, withProtoNames) as never, message));
          assert.ok(equals(schema, readBinaryMessage(form, toBinary(schema, message)) as never, message));
        }),
        { numRuns: 60 },
      );
    });

    it(`read of a changed ${schema.name} nothing else than the runtime`, () => {
      let read = 0;
      const change = fc.record({ at: fc.nat(), byte: fc.nat({ max: 255 }), cut: fc.boolean() });
      fc.assert(
        fc.property(anyMessage(schema), fc.array(change, { minLength: 1, maxLength: 3 }), (init, changes) => {
          const message = create(schema, init as never) as Message;
          for (const isJson of [false, true]) {
            let bytes = isJson ? Buffer.from(toJsonString(schema, message)) : toBinary(schema, message);
            for (const { at, byte, cut } of changes) {
              if (bytes.length === 0) continue;
              bytes = Uint8Array.from(bytes);
              bytes[at % bytes.length] = isJson ? 32 + (byte % 95) : byte;
              if (cut && !isJson) bytes = bytes.subarray(0, at % bytes.length);
            }
            const text = Buffer.from(bytes).toString("utf8");
            const found = isJson ? jsonOrRefuse(form, text) : readOrRefuse(() => readBinaryMessage(form, bytes));
            if (found === undefined) continue;
            read += 1;
            const expected = isJson ? fromJsonString(schema, text) : fromBinary(schema, bytes);
            assert.ok(equals(schema, found as never, expected as never));
          }
        }),
        { numRuns: 400 },
      );
      assert.ok(read > 10, `only ${read} were read: the test shows nothing`);
    });
  }
});

function jsonOrRefuse(form: MessageForm, text: string): Message | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return readOrRefuse(() => readJsonMessage(form, value));
}

describe("what is no proof", () => {
  const refProof = (...rest: number[]): Uint8Array =>
    Uint8Array.from([0x0a, 19, ...Buffer.from("neleus.ref-proof.v1"), ...rest]);

  it("is refused as JSON", () => {
    const json = (rest: string): string => `{"type":"neleus.state-proof.v1",${rest}}`;
    const wrong = [
      json('"x":1'),
      json('"__proto__":{}'),
      json('"root":"AB=="'),
      json('"root":"A"'),
      json('"root":"A==="'),
      json('"root":"===="'),
      json('"root":"AA A"'),
      json('"root":7'),
      json('"root":[]'),
      json('"present":"true"'),
      json('"present":1'),
      json('"nodes":{}'),
      json('"nodes":[null]'),
      json('"nodes":[[]]'),
      json('"chain":[]'),
      json('"chain":7'),
      json('"chain":{"head":"\\ud800"}'),
      json('"chain":{"head":7}'),
      ...["-1", "4294967296", "1.5", '"1.0"', '"01"', '""', '" 1"', '"1e3"', "true", "[1]"].map((level) =>
        json(`"nodes":[{"level":${level}}]`),
      ),
      ...["-1", "9007199254740992", '"18446744073709551616"', '"-1"', '"0x10"', `"${"9".repeat(2_000_000)}"`].map(
        (total) => json(`"nodes":[{"total":${total}}]`),
      ),
      json('"nodes":[{"indices":[null]}]'),
      '{"type":"neleus.chunk-proof.v1","ledgerRoot":"AA==","ledger_root":"AA=="}',
    ];
    for (const text of wrong) {
      assert.throws(() => parseProof(text), VerificationFailed, text.slice(0, 80));
      assert.throws(() => parseProof(Buffer.from(text)), VerificationFailed, text.slice(0, 80));
    }
    const read = parseProof(json('"root":"-_8","value":null,"nodes":null,"staged":null'));
    assert.ok(read.$typeName === "neleus.v1.StateProof" && read.value === undefined && read.nodes.length === 0);
    assert.deepEqual(read.root, Uint8Array.of(0xfb, 0xff));
  });

  it("is refused as bytes", () => {
    const wrong = [
      Uint8Array.of(),
      Uint8Array.of(0),
      Uint8Array.of(0x0a),
      Uint8Array.of(0x0a, 0x00),
      Uint8Array.of(0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f),
      Uint8Array.of(0x0a, 0x01, 0xff),
      new Uint8Array(64).fill(0xff),
      // The type is not first; a field that is none; a wire type that is not the field's; a flag that is neither.
      Uint8Array.of(0x10, 0x01),
      refProof(0x20, 0x01),
      refProof(0x13),
      refProof(0x12, 0x01, 0x01),
      refProof(0x10, 0x02),
      refProof(0x10, 0x80),
      refProof(0x10, ...new Array<number>(10).fill(0x80), 0x01),
      // Twice; longer than what is left; a level over 32 bits.
      refProof(0x10, 0x01, 0x10, 0x01),
      refProof(0x1a, 0x02, 0x0a),
      refProof(0x1a, 0x09, 0x1a, 0x07, 0x10, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01),
    ];
    for (const bytes of wrong)
      assert.throws(() => parseProof(bytes), VerificationFailed, Buffer.from(bytes).toString("hex"));
    const unknown = Uint8Array.from([0x0a, 19, ...Buffer.from("neleus.xyz-proof.v1")]);
    assert.throws(() => parseProof(unknown), Unsupported);
    assert.equal(parseProof(refProof(0x10, 0x01)).$typeName, "neleus.v1.RefProof");
  });

  it("is told from a proof by its first bytes, whatever white space or mark is before", () => {
    const json = '{"type":"neleus.ref-proof.v1","present":true}';
    for (const before of ["", "\ufeff", "\n", " \r\n\t"]) {
      assert.equal(parseProof(Buffer.from(before + json)).$typeName, "neleus.v1.RefProof");
    }
    assert.throws(() => parseProof(Uint8Array.of(0x7b, 0xff, 0x7d)), VerificationFailed);
  });

  it("is read into arrays of its own", () => {
    const bytes = refProof(0x1a, 0x03, 0x22, 0x01, 0x07);
    const read = parseProof(bytes);
    bytes.fill(0);
    assert.ok(read.$typeName === "neleus.v1.RefProof");
    assert.deepEqual(read.chain?.commit, Uint8Array.of(7));
  });
});
