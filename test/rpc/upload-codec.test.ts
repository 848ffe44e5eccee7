// Goal: the hand-written encoder of uploads writes what the general one writes. Method: that one as oracle, for blobs and
// documents, over sizes and offsets around those where lengths take another byte.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create, toBinary, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { WireType } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { BlobServiceDownloadResponseSchema, BlobServiceUploadRequestSchema } from "#gen/neleus/v1/blob_pb.js";
import { ManifestServicePutDocumentRequestSchema } from "#gen/neleus/v1/manifest_pb.js";
import { encodeUpload } from "#src/client/upload-codec.js";

const SCHEMAS = [BlobServiceUploadRequestSchema, ManifestServicePutDocumentRequestSchema] as const;

type Upload = MessageInitShape<typeof BlobServiceUploadRequestSchema>;

function general(schema: DescMessage, message: Upload): Buffer {
  return Buffer.from(toBinary(schema, create(schema, message as MessageInitShape<DescMessage>)));
}

describe("encoding of uploads", () => {
  test("offsets and sizes around each length of a number", () => {
    const powers = Array.from({ length: 8 }, (_, index) => 128n ** BigInt(index));
    const offsets = [
      0n,
      ...powers.flatMap((power) => [power - 1n, power, power + 1n]),
      BigInt(Number.MAX_SAFE_INTEGER),
    ];
    for (const schema of SCHEMAS) {
      for (const offset of offsets.filter((value) => value <= BigInt(Number.MAX_SAFE_INTEGER))) {
        for (const dataBytes of [0, 1, 127, 128, 16_383, 16_384, 262_144]) {
          const message: Upload = {
            part: { case: "data", value: { offset, data: new Uint8Array(dataBytes).fill(3) } },
          };
          assert.ok(encodeUpload(schema, message)?.equals(general(schema, message)), `${offset}, ${dataBytes} bytes`);
        }
      }
    }
  });

  test("any part, as a message or as what makes one, with fields left out", () => {
    const offsets = fc.option(fc.bigInt({ min: 0n, max: BigInt(Number.MAX_SAFE_INTEGER) }), { nil: undefined });
    const bytes = fc.option(fc.uint8Array({ maxLength: 300 }), { nil: undefined });
    fc.assert(
      fc.property(offsets, bytes, fc.boolean(), (offset, data, asMessage) => {
        const value = { ...(offset !== undefined && { offset }), ...(data && { data }) };
        const init: Upload = { part: { case: "data", value } };
        const message = asMessage ? create(BlobServiceUploadRequestSchema, init) : init;
        assert.deepEqual(
          encodeUpload(BlobServiceUploadRequestSchema, message),
          general(BlobServiceUploadRequestSchema, init),
        );
      }),
    );
  });

  test("everything else is left to the general encoder", () => {
    const huge: Upload = { part: { case: "data", value: { offset: 2n ** 63n } } };
    const negative: Upload = { part: { case: "data", value: { offset: -1n } } };
    const text = { part: { case: "data", value: { data: "text" } } };
    const header: Upload = { part: { case: "header", value: {} } };
    for (const message of [huge, negative, text, header, {}]) {
      assert.equal(encodeUpload(BlobServiceUploadRequestSchema, message), undefined);
    }
    const unknown = create(BlobServiceUploadRequestSchema, { part: { case: "data", value: {} } });
    unknown.$unknown = [{ no: 9, wireType: WireType.Varint, data: new Uint8Array([1]) }];
    assert.equal(encodeUpload(BlobServiceUploadRequestSchema, unknown), undefined);
    assert.equal(encodeUpload(BlobServiceDownloadResponseSchema, { part: { case: "data", value: {} } }), undefined);
  });
});
