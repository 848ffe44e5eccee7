// Goal: the hand-written encoder of a load's entries writes what the general one writes. Method: that one as oracle, over
// numbers of keys and sizes around those where lengths take another byte.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { WireType } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { StateServiceLoadRequestSchema, StateServiceScanRequestSchema } from "#gen/neleus/v1/state_pb.js";
import { encodeLoad } from "#src/client/load-codec.js";

type Request = MessageInitShape<typeof StateServiceLoadRequestSchema>;

const general = (message: Request): Buffer =>
  Buffer.from(toBinary(StateServiceLoadRequestSchema, create(StateServiceLoadRequestSchema, message)));

describe("encoding of a load", () => {
  test("any keys and values, as a message or as what makes one, with fields left out", () => {
    const length = fc.constantFrom(0, 1, 5, 127, 128, 300, 16_383, 16_384);
    const bytes = fc
      .tuple(length, fc.integer({ max: 255, min: 0 }))
      .map(([size, byte]) => new Uint8Array(size).fill(byte));
    const list = fc.option(fc.array(bytes, { maxLength: 6 }), { nil: undefined });
    fc.assert(
      fc.property(list, list, fc.boolean(), (keys, values, asMessage) => {
        const value = { ...(keys && { keys }), ...(values && { values }) };
        const init: Request = { part: { case: "entries", value } };
        const message = asMessage ? create(StateServiceLoadRequestSchema, init) : init;
        assert.deepEqual(encodeLoad(StateServiceLoadRequestSchema, message), general(init));
      }),
    );
  });

  test("everything else is left to the general encoder", () => {
    const header: Request = { part: { case: "header", value: { head: "main" } } };
    const finish: Request = { part: { case: "finish", value: { count: 1n } } };
    const text = { part: { case: "entries", value: { keys: ["text"] } } };
    const noList = { part: { case: "entries", value: { values: 7 } } };
    for (const message of [header, finish, text, noList, {}, { part: { case: undefined } }]) {
      assert.equal(encodeLoad(StateServiceLoadRequestSchema, message), undefined);
    }
    const entries: Request = { part: { case: "entries", value: {} } };
    assert.equal(encodeLoad(StateServiceScanRequestSchema, entries), undefined);
    const unknown = create(StateServiceLoadRequestSchema, entries);
    unknown.$unknown = [{ no: 9, wireType: WireType.Varint, data: Uint8Array.of(1) }];
    assert.equal(encodeLoad(StateServiceLoadRequestSchema, unknown), undefined);
  });
});
