// Goal: text crosses the wire unchanged, a leading U+FEFF too, and invalid UTF-8 is refused. Method: encode and decode.
import assert from "node:assert/strict";
import test from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { CommitServiceCreateRequestSchema } from "#gen/neleus/v1/commit_pb.js";
import "#src/wire/text-encoding.js";

test("a leading U+FEFF is kept", () => {
  const request = create(CommitServiceCreateRequestSchema, { author: "\ufeffA\u{1f600}", message: "\ufeff" });
  const decoded = fromBinary(CommitServiceCreateRequestSchema, toBinary(CommitServiceCreateRequestSchema, request));
  assert.deepEqual([decoded.author, decoded.message], ["\ufeffA\u{1f600}", "\ufeff"]);
});

test("invalid UTF-8 and lone surrogates are refused", () => {
  // Field 3 (author), two bytes that are no UTF-8.
  assert.throws(() => fromBinary(CommitServiceCreateRequestSchema, new Uint8Array([0x1a, 2, 0xff, 0xfe])));
  const request = create(CommitServiceCreateRequestSchema, { author: "\ud800" });
  assert.throws(() => toBinary(CommitServiceCreateRequestSchema, request));
});
