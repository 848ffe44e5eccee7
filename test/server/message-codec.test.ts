// Goal: the hand-written encoder of downloads writes what the general one writes, and requests are decoded within bounds.
// Method: the general encoder as oracle, over slices of all sizes around those where lengths take another byte.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create, fromBinary, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { WireType } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import {
  BlobServiceDownloadResponseSchema,
  BlobServiceFindMissingRequestSchema,
  BlobServiceStatResponseSchema,
  DownloadSliceSchema,
} from "#gen/neleus/v1/blob_pb.js";
import { CommitServiceCreateRequestSchema } from "#gen/neleus/v1/commit_pb.js";
import { DocumentHeaderSchema, ManifestServicePutDocumentRequestSchema } from "#gen/neleus/v1/manifest_pb.js";
import { StateServiceApplyRequestSchema } from "#gen/neleus/v1/state_pb.js";
import { MAX_BATCH_KEYS } from "#src/core/limits.js";
import { InvalidArgument, LimitExceeded } from "#src/core/errors.js";
import { encodeDownload } from "#src/server/download-codec.js";
import { decodeRequest, encodeResponse, MAX_REQUEST_FIELDS } from "#src/server/message-codec.js";

type Download = MessageInitShape<typeof BlobServiceDownloadResponseSchema>;

function general(message: Download): Buffer {
  return Buffer.from(toBinary(BlobServiceDownloadResponseSchema, create(BlobServiceDownloadResponseSchema, message)));
}

describe("encoding of downloads", () => {
  test("sizes around each length of a length", () => {
    const sizes = [
      0, 1, 63, 64, 120, 121, 122, 123, 124, 125, 126, 127, 128, 129, 16_370, 16_377, 16_383, 16_384, 16_385, 262_144,
      2_097_151, 2_097_152,
    ];
    for (const dataBytes of sizes) {
      for (const parentBytes of [0, 64, 128, 16_384]) {
        const message: Download = {
          part: {
            case: "slice",
            value: { parents: new Uint8Array(parentBytes).fill(1), data: new Uint8Array(dataBytes).fill(2) },
          },
        };
        assert.ok(encodeDownload(message)?.equals(general(message)), `${parentBytes} and ${dataBytes} bytes`);
      }
    }
  });

  test("any slice, as a message or as what makes one, with fields left out", () => {
    const bytes = fc.option(fc.uint8Array({ maxLength: 300 }), { nil: undefined });
    fc.assert(
      fc.property(bytes, bytes, fc.boolean(), (parents, data, asMessage) => {
        const value = { ...(parents && { parents }), ...(data && { data }) };
        const init: Download = { part: { case: "slice", value } };
        const message = asMessage ? create(BlobServiceDownloadResponseSchema, init) : init;
        assert.deepEqual(encodeDownload(message), general(init));
      }),
    );
  });

  test("everything else is left to the general encoder", () => {
    const unknown = create(DownloadSliceSchema, { data: new Uint8Array(3) });
    unknown.$unknown = [{ no: 9, wireType: WireType.Varint, data: new Uint8Array([1]) }];
    const messages: Download[] = [
      {},
      { part: { case: "header", value: { size: 3n } } },
      { part: { case: undefined } },
      { part: { case: "slice", value: unknown } },
    ];
    for (const message of messages) {
      assert.equal(encodeDownload(message), undefined);
      assert.ok(encodeResponse(BlobServiceDownloadResponseSchema, message).equals(general(message)));
    }
  });

  test("the encoded bytes are their own: changing the source afterwards changes nothing", () => {
    const data = new Uint8Array(1_000).fill(5);
    const encoded = encodeResponse(BlobServiceDownloadResponseSchema, { part: { case: "slice", value: { data } } });
    data.fill(6);
    const { part } = fromBinary(BlobServiceDownloadResponseSchema, encoded);
    assert.ok(part.case === "slice" && part.value.data.every((byte) => byte === 5));
  });

  test("other messages go through the general encoder", () => {
    const encoded = encodeResponse(BlobServiceStatResponseSchema, { size: 300n });
    assert.deepEqual([...encoded], [0x08, 0xac, 0x02]);
  });
});

describe("decoding of requests", () => {
  test("byte fields are views: nothing is copied", () => {
    const bytes = toBinary(
      BlobServiceFindMissingRequestSchema,
      create(BlobServiceFindMissingRequestSchema, { hashes: [new Uint8Array(32).fill(1)] }),
    );
    const { hashes } = decodeRequest(BlobServiceFindMissingRequestSchema, bytes);
    assert.equal(hashes[0]?.buffer, bytes.buffer);
  });

  test("any bytes are a message or InvalidArgument", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          decodeRequest(BlobServiceFindMissingRequestSchema, bytes);
        } catch (error) {
          assert.ok(error instanceof InvalidArgument);
        }
      }),
    );
  });

  test("the most fields are decoded, one more is refused", () => {
    const elements = (count: number): Buffer => Buffer.alloc(count * 3, Buffer.from([0x12, 1, 7]));
    const most = decodeRequest(BlobServiceFindMissingRequestSchema, elements(MAX_REQUEST_FIELDS));
    assert.equal(most.hashes.length, MAX_REQUEST_FIELDS);
    assert.throws(
      () => decodeRequest(BlobServiceFindMissingRequestSchema, elements(MAX_REQUEST_FIELDS + 1)),
      (error) => error instanceof LimitExceeded && error.facts["value"] === String(MAX_REQUEST_FIELDS),
    );
  });

  test("nested elements count too, whatever holds them", () => {
    // A header (field 1) whose meta repeats: two bytes of an empty entry each.
    const { number } = DocumentHeaderSchema.field.meta;
    const request = (count: number): Buffer => {
      const header = Buffer.alloc(count * 2, Buffer.from([(number << 3) | 2, 0]));
      const length = Buffer.from([
        (header.length & 0x7f) | 0x80,
        ((header.length >> 7) & 0x7f) | 0x80,
        header.length >> 14,
      ]);
      return Buffer.concat([Buffer.from([(1 << 3) | 2]), length, header]);
    };
    const most = decodeRequest(ManifestServicePutDocumentRequestSchema, request(MAX_REQUEST_FIELDS - 1));
    assert.equal(most.part.case, "header");
    const over = (): unknown => decodeRequest(ManifestServicePutDocumentRequestSchema, request(MAX_REQUEST_FIELDS));
    assert.throws(over, LimitExceeded);
    const cut = request(MAX_REQUEST_FIELDS - 1).subarray(0, -1);
    assert.throws(() => decodeRequest(ManifestServicePutDocumentRequestSchema, cut), InvalidArgument);
  });

  test("a map entry that decoding would lose is refused, and only there", () => {
    const others = { a: "__proto__", "__proto__ ": "b" };
    const meta = Object.fromEntries([...Object.entries(others), ["__proto__", "c"]]);
    const commit = (names: Record<string, string>): Uint8Array =>
      toBinary(
        CommitServiceCreateRequestSchema,
        create(CommitServiceCreateRequestSchema, { message: "__proto__", meta: names }),
      );
    assert.deepEqual(decodeRequest(CommitServiceCreateRequestSchema, commit(others)).meta, others);
    const isNamed = (error: unknown): boolean => error instanceof InvalidArgument && error.field === "meta";
    assert.throws(() => decodeRequest(CommitServiceCreateRequestSchema, commit(meta)), isNamed);
    const document = (message: MessageInitShape<typeof ManifestServicePutDocumentRequestSchema>): Uint8Array =>
      toBinary(ManifestServicePutDocumentRequestSchema, create(ManifestServicePutDocumentRequestSchema, message));
    const decoded = (bytes: Uint8Array): unknown => decodeRequest(ManifestServicePutDocumentRequestSchema, bytes);
    // What looks like such a header, as data.
    const data = document({ part: { case: "header", value: { meta } } });
    decoded(document({ part: { case: "data", value: { data } } }));
    decoded(document({ part: { case: "header", value: { source: "__proto__", meta: others } } }));
    assert.throws(() => decoded(data), isNamed);
    for (let length = data.length - 8; length < data.length; length += 1) {
      assert.throws(() => decoded(data.subarray(0, length)), InvalidArgument);
    }
  });

  test("the largest Apply is decoded", () => {
    const blob = { hash: new Uint8Array(32), size: 1n };
    const operation = {
      key: new Uint8Array(8),
      change: { case: "blob", value: blob },
      condition: { case: "expectedHash", value: new Uint8Array(32) },
    } as const;
    const operations = Array.from({ length: MAX_BATCH_KEYS }, () => operation);
    const message = create(StateServiceApplyRequestSchema, {
      database: "d",
      head: "main",
      operations,
      expectedRoot: new Uint8Array(32),
    });
    const decoded = decodeRequest(StateServiceApplyRequestSchema, toBinary(StateServiceApplyRequestSchema, message));
    assert.equal(decoded.operations.length, MAX_BATCH_KEYS);
  });

  test("a large message of few fields is decoded", () => {
    const blob = Buffer.alloc(1_000_000);
    const bytes = toBinary(
      BlobServiceFindMissingRequestSchema,
      create(BlobServiceFindMissingRequestSchema, { hashes: [blob] }),
    );
    assert.equal(decodeRequest(BlobServiceFindMissingRequestSchema, bytes).hashes[0]?.length, blob.length);
  });

  test("unknown fields are not kept", () => {
    const message = decodeRequest(BlobServiceFindMissingRequestSchema, Buffer.from([0x78, 1, 0x78, 2]));
    assert.equal(message.$unknown, undefined);
  });
});
