// Goal: a message of a load holds what was put into it, byte for byte, up to its last byte, also when its array is used again.
// Method: texts and bytes beside TextEncoder; texts whose length in bytes is not that in characters, at the end of the room.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { InvalidArgument } from "#src/core/errors.js";
import { LoadMessage } from "#src/client/load-message.js";

const MOST_VALUE_BYTES = 256 * 1024;
const MOST_KEY_BYTES = 1024;
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("a message of a load", () => {
  it("holds texts and bytes, again and again", () => {
    const text = fc.string({
      unit: fc.constantFrom("a", "é", "漢", "😀", "\u{feff}", "\0"),
      minLength: 1,
      maxLength: 40,
    });
    const content = fc.oneof(text, fc.uint8Array({ minLength: 1, maxLength: 40 }));
    const message = new LoadMessage();
    fc.assert(
      fc.property(fc.array(fc.tuple(content, content), { maxLength: 20 }), (entries) => {
        message.clear();
        assert.ok(message.isEmpty);
        for (const [index, [key, value]] of entries.entries()) assert.ok(message.add({ key, value }, index));
        const bytesOf = (of: string | Uint8Array): Uint8Array => (typeof of === "string" ? encode(of) : of);
        const shown = (arrays: readonly Uint8Array[]): string[] =>
          arrays.map((bytes) => Buffer.from(bytes).toString("hex"));
        assert.deepEqual(shown(message.keys), shown(entries.map(([key]) => bytesOf(key))));
        assert.deepEqual(shown(message.values), shown(entries.map(([, value]) => bytesOf(value))));
      }),
    );
  });

  it("is full where the next entry does not fit, to the byte", () => {
    const room = MOST_VALUE_BYTES + MOST_KEY_BYTES;
    for (const unit of ["a", "é", "漢", "😀"]) {
      const bytes = encode(unit).length;
      for (const more of [-1, 0, 1]) {
        const message = new LoadMessage();
        assert.ok(message.add({ key: "k", value: new Uint8Array(MOST_VALUE_BYTES) }, 0));
        const left = room - 1 - MOST_VALUE_BYTES;
        const value = unit.repeat(Math.floor((left - 10) / bytes) - 1);
        const key = "k".repeat(left - encode(value).length + more);
        assert.equal(message.add({ key, value }, 1), more <= 0, `${unit} ${more}`);
        assert.equal(message.keys.length, more <= 0 ? 2 : 1);
      }
    }
  });

  it("takes no lone surrogates, no empty keys, and nothing that is too large", () => {
    const message = new LoadMessage();
    for (const [entry, field] of [
      [{ key: "\ud800", value: "" }, "entries[3].key"],
      [{ key: "", value: "" }, "entries[3].key"],
      [{ key: "k".repeat(MOST_KEY_BYTES + 1), value: "" }, "entries[3].key"],
      [{ key: "k", value: "é".repeat(MOST_VALUE_BYTES / 2) + "x" }, "entries[3].value"],
      [{ key: "k", value: "\udc00" }, "entries[3].value"],
    ] as const) {
      assert.throws(
        () => message.add(entry, 3),
        (error) => error instanceof InvalidArgument && error.field === field,
      );
    }
    assert.ok(message.add({ key: "k".repeat(MOST_KEY_BYTES), value: new Uint8Array(MOST_VALUE_BYTES) }, 3));
  });
});
