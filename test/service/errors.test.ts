// Goal: every error becomes the status of the one table, with details that a client can read back, and nothing that a
// caller must not see gets out. Method: each code once, then hostile texts and the sizes at which details are cut.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { BadRequestSchema, ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "#gen/google/rpc/status_pb.js";
import { AssertionFailed, Conflict, InvalidArgument, NeleusError, type ErrorCode } from "#src/core/errors.js";
import { MAX_ERROR_DETAILS_BYTES } from "#src/core/limits.js";
import { GrpcStatus, HINT_KEY, STATUS_OF, toStatus, type CallStatus } from "#src/service/errors.js";

function statusOf(error: unknown): { status: CallStatus; logged: unknown[] } {
  const logged: unknown[] = [];
  const status = toStatus(error, { requestId: "r-17", logFailure: (failure) => logged.push(failure) });
  return { status, logged };
}

function readDetails(status: CallStatus) {
  const message = fromBinary(StatusSchema, status.details);
  assert.equal(message.code, status.code);
  assert.equal(message.message, status.message);
  const [first, second, ...rest] = message.details;
  assert.deepEqual(rest, []);
  assert.ok(first);
  const info = anyUnpack(first, ErrorInfoSchema);
  const badRequest = second === undefined ? undefined : anyUnpack(second, BadRequestSchema);
  assert.ok(info);
  assert.equal(info.domain, "neleus");
  return { info, violations: badRequest?.fieldViolations ?? [] };
}

function everythingIn(status: CallStatus): string {
  return Buffer.from(status.details).toString("latin1") + status.message;
}

describe("the table of statuses", () => {
  const internal: ErrorCode[] = ["VERIFICATION_FAILED", "INCOMPLETE_PROOF", "NOT_ANCHORED", "MALFORMED", "INTERNAL"];

  test("every code that a caller can cause keeps its message, code and facts", () => {
    for (const [code, expected] of Object.entries(STATUS_OF)) {
      if (internal.includes(code as ErrorCode)) continue;
      const { status, logged } = statusOf(new NeleusError(code as ErrorCode, "what happened", { facts: { a: "1" } }));
      assert.equal(status.code, expected);
      assert.equal(status.message, "what happened");
      assert.equal(readDetails(status).info.reason, code);
      assert.deepEqual(readDetails(status).info.metadata, { a: "1" });
      assert.deepEqual(logged, []);
    }
  });

  test("codes that only verifiers and bugs cause are INTERNAL, and their text stays here", () => {
    for (const code of internal) {
      const error = new NeleusError(code, "secret path /x", { facts: { secret: "y" }, hint: "secret" });
      const { status, logged } = statusOf(error);
      assert.equal(status.code, GrpcStatus.INTERNAL);
      assert.deepEqual(logged, [{ requestId: "r-17", error }]);
      assert.doesNotMatch(everythingIn(status), /secret/);
      assert.match(status.message, /r-17/);
      assert.deepEqual(readDetails(status).info.metadata, { request_id: "r-17" });
    }
  });

  test("whatever else is thrown is INTERNAL, logged once and not shown", () => {
    const thrown = [
      new TypeError("secret"),
      new AssertionFailed("secret"),
      "secret",
      null,
      undefined,
      { message: "secret" },
    ];
    for (const error of thrown) {
      const { status, logged } = statusOf(error);
      assert.equal(status.code, GrpcStatus.INTERNAL);
      assert.equal(logged.length, 1);
      assert.doesNotMatch(everythingIn(status), /secret/);
    }
  });

  test("a signal's own errors are the caller's doing", () => {
    assert.equal(statusOf(new DOMException("x", "AbortError")).status.code, GrpcStatus.CANCELLED);
    assert.equal(statusOf(new DOMException("x", "TimeoutError")).status.code, GrpcStatus.DEADLINE_EXCEEDED);
  });
});

describe("details", () => {
  test("field, hint and facts come back", () => {
    const error = new InvalidArgument("key: too long", {
      field: "operations[3].key",
      hint: "use a shorter key",
      facts: { limit: "key_bytes", value: "1024" },
    });
    const { info, violations } = readDetails(statusOf(error).status);
    assert.equal(info.reason, "INVALID_ARGUMENT");
    assert.deepEqual(info.metadata, { limit: "key_bytes", value: "1024", [HINT_KEY]: "use a shorter key" });
    assert.deepEqual(
      violations.map(({ field, description }) => ({ field, description })),
      [{ field: "operations[3].key", description: "key: too long" }],
    );
  });

  test("they never pass the limit, keep code and field, and their text stays well-formed", () => {
    // Strings of every script, with lone surrogates, up to well over the limit.
    const text = fc.oneof(
      fc.string(),
      fc.string({ unit: fc.constantFrom("a", "é", "€", "😀", "\ud800", "\0"), minLength: 1000, maxLength: 2000 }),
    );
    const facts = fc.dictionary(fc.string({ minLength: 1, maxLength: 20 }), text, { maxKeys: 20 });
    fc.assert(
      fc.property(text, text, text, facts, (message, field, hint, map) => {
        const { status } = statusOf(new Conflict(message, { field, hint, facts: map }));
        assert.ok(status.details.length <= MAX_ERROR_DETAILS_BYTES, `${status.details.length} bytes`);
        assert.ok(Buffer.byteLength(status.message) <= 1024);
        const { info, violations } = readDetails(status);
        assert.equal(info.reason, "CONFLICT");
        assert.equal(violations.length, 1);
        assert.equal(Buffer.from(status.message).toString(), status.message, "well-formed");
      }),
      { numRuns: 40 },
    );
  });
});
