// Goal: a wrong field is refused by name, and what is accepted shares no memory with the request. Method: the edges of
// every check, and properties where a check is a grammar.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { InvalidArgument, LimitExceeded, Malformed, NotFound } from "#src/core/errors.js";
import { MAX_KEY_BYTES, MAX_META_BYTES, MAX_TEXT_BYTES } from "#src/core/limits.js";
import {
  blobHashField,
  boundField,
  checkField,
  commitHashField,
  countWithin,
  databaseField,
  expectedCommitField,
  forField,
  forFieldsBelow,
  headField,
  integerField,
  keyField,
  limitField,
  manifestHashField,
  mapRootField,
  metaField,
  nonEmptyTextField,
  quoted,
  textField,
  uploadIdField,
} from "#src/service/request.js";

function refuses(check: () => unknown, field: string): void {
  assert.throws(check, (error) => error instanceof InvalidArgument && error.field === field);
}

describe("integers", () => {
  test("fit 53 bits, or are refused", () => {
    assert.equal(integerField(0n, "size"), 0);
    assert.equal(integerField(2n ** 53n - 1n, "size"), Number.MAX_SAFE_INTEGER);
    refuses(() => integerField(2n ** 53n, "size"), "size");
    refuses(() => integerField(2n ** 64n - 1n, "size"), "size");
  });

  test("a limit is absent or at least 1", () => {
    assert.equal(limitField(undefined, "limit"), undefined);
    assert.equal(limitField(1n, "limit"), 1);
    refuses(() => limitField(0n, "limit"), "limit");
  });
});

describe("names", () => {
  test("an empty database is the default one", () => {
    assert.equal(databaseField(""), "default");
    assert.equal(databaseField("tenant-1.eu_west"), "tenant-1.eu_west");
  });

  test("a database name never leaves its directory", () => {
    for (const name of [".", "..", ".hidden", "a/b", "a\\b", "a\0", "ä", "a".repeat(65), " a", "a\n"]) {
      refuses(() => databaseField(name, "header.database"), "header.database");
    }
  });

  test("head names follow FORMATS section 7", () => {
    for (const name of ["main", "a/b/c", "...", "v1.0", "-", "a".repeat(128)])
      assert.equal(headField(name, "head"), name);
    for (const name of ["", "/", "a/", "/a", "a//b", ".", "..", "a/../b", "a/.", "a b", "é", "a\n", "a".repeat(129)]) {
      refuses(() => headField(name, "head"), "head");
    }
  });

  test("upload ids", () => {
    assert.equal(uploadIdField("A.b_9-", "upload_id"), "A.b_9-");
    for (const id of ["", "a/b", "a".repeat(65), "a\n"]) refuses(() => uploadIdField(id, "upload_id"), "upload_id");
  });
});

describe("bytes", () => {
  test("hashes have 32 bytes", () => {
    for (const check of [blobHashField, commitHashField, manifestHashField, mapRootField]) {
      assert.deepEqual(check(new Uint8Array(32).fill(7), "hash"), new Uint8Array(32).fill(7));
      for (const length of [0, 31, 33]) refuses(() => check(new Uint8Array(length), "hashes[2]"), "hashes[2]");
    }
  });

  test("an expected commit may be none", () => {
    assert.equal(expectedCommitField(undefined, "expected_commit"), undefined);
    assert.equal(expectedCommitField(new Uint8Array(0), "expected_commit"), "none");
    refuses(() => expectedCommitField(new Uint8Array(5), "expected_commit"), "expected_commit");
  });

  test("keys have 1 to 1,024 bytes, bounds may be empty", () => {
    assert.equal(keyField(new Uint8Array(MAX_KEY_BYTES), "key").length, MAX_KEY_BYTES);
    refuses(() => keyField(new Uint8Array(0), "key"), "key");
    refuses(() => keyField(new Uint8Array(MAX_KEY_BYTES + 1), "key"), "key");
    assert.equal(boundField(new Uint8Array(0), "from").length, 0);
    refuses(() => boundField(new Uint8Array(MAX_KEY_BYTES + 1), "from"), "from");
  });

  test("what is kept is a copy, also of a Buffer, whose slice is a view", () => {
    for (const request of [new Uint8Array(64).fill(1), Buffer.alloc(64, 1)]) {
      const view = request.subarray(0, 32);
      const kept = [blobHashField(view, "hash"), keyField(view, "key"), boundField(view, "from")];
      request.fill(2);
      for (const bytes of kept) {
        assert.deepEqual(bytes, new Uint8Array(32).fill(1));
        assert.equal(bytes.buffer.byteLength, 32);
      }
    }
  });
});

describe("text", () => {
  test("is measured in UTF-8 and holds no lone surrogate", () => {
    assert.equal(textField("", "message"), "");
    assert.equal(textField("é".repeat(MAX_TEXT_BYTES / 2), "message").length, MAX_TEXT_BYTES / 2);
    refuses(() => textField("é".repeat(MAX_TEXT_BYTES / 2 + 1), "message"), "message");
    refuses(() => textField("a\ud800b", "message"), "message");
    refuses(() => nonEmptyTextField("", "author"), "author");
  });

  test("meta is bounded as a whole", () => {
    assert.equal(metaField({}, "meta"), undefined);
    assert.deepEqual(metaField({ a: "b" }, "meta"), { a: "b" });
    refuses(() => metaField({ a: "\udfff" }, "header.meta"), "header.meta");
    refuses(() => metaField({ "\udfff": "a" }, "header.meta"), "header.meta");
    refuses(() => metaField({ a: "b".repeat(MAX_META_BYTES) }, "meta"), "meta");
  });

  test("what a caller wrote is quoted in messages, short and without control characters", () => {
    const unit = fc.constantFrom(
      "a",
      '"',
      "\\",
      "\0",
      "\n",
      "\u001b",
      "\u007f",
      "\u0085",
      "\u202e",
      "\u2028",
      "\ud800",
      "😀",
    );
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 200 }), (text) => {
        const shown = quoted(text);
        assert.ok(shown.length <= 6 * 65 + 2);
        assert.doesNotMatch(shown, /[\p{Cc}\p{Cs}\p{Zl}\u202e]/u);
        if (text.length <= 64) assert.equal(JSON.parse(shown), text);
      }),
    );
  });
});

describe("errors of core and engine", () => {
  test("are renamed after the request's field, with their facts", async () => {
    const malformed = (): never => {
      throw new Malformed("odd", { facts: { at: "3" } });
    };
    assert.throws(
      () => checkField("known_checkpoint", malformed),
      (error) => error instanceof InvalidArgument && error.field === "known_checkpoint" && error.facts["at"] === "3",
    );
    await assert.rejects(
      forField("at.commit", Promise.reject(new InvalidArgument("not a commit", { field: "hash", hint: "look" }))),
      (error) => error instanceof InvalidArgument && error.field === "at.commit" && error.hint === "look",
    );
    await assert.rejects(
      forFieldsBelow("header", Promise.reject(new InvalidArgument("odd", { field: "chunking.size" }))),
      (error) => error instanceof InvalidArgument && error.field === "header.chunking.size",
    );
  });

  test("pass unchanged where they are no fault of the argument", async () => {
    const missing = new NotFound("no such head");
    await assert.rejects(forField("at.head", Promise.reject(missing)), (error) => error === missing);
    await assert.rejects(forFieldsBelow("header", Promise.reject(missing)), (error) => error === missing);
  });

  test("a count over the limit names the limit", () => {
    const limit = { field: "keys", name: "batch_keys", value: 10 };
    countWithin(10, limit);
    assert.throws(
      () => countWithin(11, limit),
      (error) =>
        error instanceof LimitExceeded && error.facts["limit"] === "batch_keys" && error.facts["value"] === "10",
    );
  });
});
