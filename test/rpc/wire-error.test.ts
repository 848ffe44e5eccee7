// Goal: an error crosses the wire unchanged where it may, and nothing that a server sends throws, lies about proofs or
// reaches a terminal raw. Method: the server's own table round trip; then details made by hand, and random bytes.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { anyPack, AnySchema, type Any } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { BadRequestSchema, ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "#gen/google/rpc/status_pb.js";
import { BlobService } from "#gen/neleus/v1/blob_pb.js";
import { errorFromWire } from "#src/client/wire-error.js";
import { NeleusError, type ErrorCode } from "#src/core/errors.js";
import { GrpcStatus, STATUS_OF, toStatus } from "#src/service/errors.js";
import { connectTo } from "./support/running.js";

const address = "127.0.0.1:7117";

function crossed(error: NeleusError): NeleusError {
  const { code, message, details } = toStatus(error, { requestId: "r", logFailure: () => undefined });
  return errorFromWire({ code, message, details, address });
}

function info(reason: string, metadata: Record<string, string> = {}, domain = "neleus"): Any {
  return anyPack(ErrorInfoSchema, create(ErrorInfoSchema, { reason, domain, metadata }));
}

function details(code: number, ...anys: Any[]): Uint8Array {
  return toBinary(StatusSchema, create(StatusSchema, { code, message: "m", details: anys }));
}

describe("the table, there and back", () => {
  for (const code of Object.keys(STATUS_OF) as ErrorCode[]) {
    test(code, () => {
      const error = crossed(new NeleusError(code, "what", { field: "f", hint: "h", facts: { a: "1" } }));
      if (STATUS_OF[code] === GrpcStatus.INTERNAL) {
        assert.equal(error.code, "INTERNAL");
        return;
      }
      assert.equal(error.code, code);
      assert.equal(error.message, "what");
      assert.equal(error.field, "f");
      assert.equal(error.hint, "h");
      assert.deepEqual({ ...error.facts }, { a: "1" });
    });
  }

  test("any text, but for control characters and its length", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 50 }), fc.string({ maxLength: 20 }), (message, fact) => {
        const error = crossed(new NeleusError("CONFLICT", message, { facts: { fact } }));
        if (!/[\p{Cc}\p{Cs}\u2028\u2029\u202A-\u202E\u2066-\u2069]/u.test(message + fact)) {
          assert.equal(error.message, message);
          assert.equal(error.facts["fact"], fact);
        }
      }),
    );
  });
});

describe("details that are not to be believed", () => {
  test("no server can claim what only a verifier may say", () => {
    for (const reason of ["VERIFICATION_FAILED", "INCOMPLETE_PROOF", "NOT_ANCHORED", "MALFORMED"]) {
      const error = errorFromWire({ code: 13, message: "m", details: details(13, info(reason)), address });
      assert.equal(error.code, "INTERNAL");
    }
  });

  test("unknown reasons, other domains, and details of another status leave it to the status", () => {
    const cases = [
      details(5, info("NEW_REASON")),
      details(5, info("CONFLICT", {}, "example.com")),
      details(9, info("CONFLICT")),
      details(5, info("constructor")),
      details(5, info("__proto__")),
      details(5),
      new Uint8Array(0),
      new Uint8Array(100_000),
      undefined,
    ];
    for (const bytes of cases) {
      const error = errorFromWire({ code: 5, message: "gone", details: bytes, address });
      assert.equal(error.code, "NOT_FOUND");
      assert.match(error.message, /gone/);
    }
  });

  test("a detail that is broken does not hide one that is whole", () => {
    const broken = create(AnySchema, {
      typeUrl: "type.googleapis.com/google.rpc.ErrorInfo",
      value: new Uint8Array([0x0a, 9]),
    });
    const foreign = create(AnySchema, { typeUrl: "nonsense", value: new Uint8Array(5) });
    const bytes = details(10, broken, foreign, info("CONFLICT", { current_root: "ab" }));
    const error = errorFromWire({ code: 10, message: "m", details: bytes, address });
    assert.equal(error.code, "CONFLICT");
    assert.deepEqual({ ...error.facts }, { current_root: "ab" });
  });

  test("control characters and changes of direction do not reach a terminal", () => {
    const evil = "\u001b[2Jgone\u0007\r\n\u202etxt\u2028";
    const violation = { field: evil, description: evil };
    const bytes = details(
      3,
      info("INVALID_ARGUMENT", { [evil]: evil, hint: evil }),
      anyPack(BadRequestSchema, create(BadRequestSchema, { fieldViolations: [violation] })),
    );
    const error = errorFromWire({ code: 3, message: evil, details: bytes, address });
    const shown = [error.message, error.field, error.hint, ...Object.entries(error.facts).flat()].join("");
    assert.doesNotMatch(shown, /[\p{Cc}\u2028\u202e]/u);
  });

  test("names of facts cannot reach a prototype, and their number is bounded", () => {
    const many = Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`k${index}`, "v".repeat(20)]));
    const facts = errorFromWire({
      code: 10,
      message: "m",
      details: details(10, info("CONFLICT", { ...many })),
      address,
    }).facts;
    assert.ok(Object.keys(facts).length <= 64);
    // {"__proto__": "x"} as the wire has it: a map entry of ErrorInfo.
    const entry = Buffer.from("\n\u0009__proto__\u0012\u0001x", "latin1");
    const raw = Buffer.concat([
      Buffer.from("\n\u0008CONFLICT\u0012\u0006neleus\u001a", "latin1"),
      Buffer.from([entry.length]),
      entry,
    ]);
    const any = create(AnySchema, { typeUrl: "type.googleapis.com/google.rpc.ErrorInfo", value: raw });
    const error = errorFromWire({ code: 10, message: "m", details: details(10, any), address });
    assert.equal(error.code, "CONFLICT");
    assert.equal(Object.getPrototypeOf(error.facts), Object.prototype);
    assert.equal(({} as Record<string, unknown>)["x"], undefined);
  });

  test("any bytes and any code give an error, and never throw", () => {
    fc.assert(
      fc.property(fc.integer(), fc.string(), fc.uint8Array({ maxLength: 300 }), (code, message, bytes) => {
        assert.ok(errorFromWire({ code, message, details: bytes, address }) instanceof NeleusError);
      }),
    );
  });

  test("any damage to real details gives an error, and never throws", () => {
    const whole = details(5, info("NOT_FOUND", { hash: "00ff", hint: "h" }));
    for (let at = 0; at < whole.length; at += 1) {
      for (const flip of [1, 0x80, 0xff]) {
        const bytes = whole.slice();
        bytes[at] = (bytes[at] ?? 0) ^ flip;
        const error = errorFromWire({ code: 5, message: "m", details: bytes, address });
        assert.notEqual(error.code, "VERIFICATION_FAILED");
      }
      errorFromWire({ code: 5, message: "m", details: whole.subarray(0, at), address });
    }
  });
});

describe("statuses without details", () => {
  const expected: Record<number, ErrorCode> = {
    1: "UNAVAILABLE",
    2: "INTERNAL",
    3: "INVALID_ARGUMENT",
    4: "DEADLINE_EXCEEDED",
    5: "NOT_FOUND",
    6: "ALREADY_EXISTS",
    7: "PERMISSION_DENIED",
    8: "LIMIT_EXCEEDED",
    9: "CONFLICT",
    10: "CONFLICT",
    11: "INVALID_ARGUMENT",
    12: "UNSUPPORTED",
    13: "INTERNAL",
    14: "UNAVAILABLE",
    15: "CORRUPT",
    16: "UNAUTHENTICATED",
    17: "INTERNAL",
    99: "INTERNAL",
  };
  test("each has its error, which names the server", () => {
    for (const [code, want] of Object.entries(expected)) {
      const error = errorFromWire({ code: Number(code), message: "said so", address });
      assert.equal(error.code, want, code);
      assert.ok(error.message.includes(address), error.message);
    }
  });
});

describe("no server", () => {
  test("refused connections say where, why and what to do", async (t) => {
    for (const place of ["127.0.0.1:1", "unix:/nonexistent/neleus.sock"]) {
      await assert.rejects(connectTo(t, place).unary(BlobService.method.stat, {}), (error) => {
        assert.ok(error instanceof NeleusError);
        assert.equal(error.code, "UNAVAILABLE");
        assert.ok(error.message.startsWith(`cannot reach ${place}: connect E`), error.message);
        assert.doesNotMatch(error.message, /Resolution note|Last error|\d{4}-\d\d-/);
        assert.match(error.hint ?? "", /neleus serve --listen/);
        return true;
      });
    }
  });

  test("a name that does not exist", async (t) => {
    const transport = connectTo(t, "no-such-host.invalid:7117");
    await assert.rejects(transport.unary(BlobService.method.stat, {}, { timeoutMs: 10_000 }), (error) => {
      assert.ok(error instanceof NeleusError);
      assert.equal(error.code, "UNAVAILABLE");
      assert.match(error.message, /no-such-host\.invalid/);
      return true;
    });
  });
});
