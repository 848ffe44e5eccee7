// Goal: heads are read in their shortest form only, and written in it.
// Method: every boundary of the five sizes both ways; every longer spelling of each refused; each initial byte that the
// format does not know refused.
import test from "node:test";
import assert from "node:assert/strict";
import { Cursor, headSizeBytes, writeHead, MAJOR_BYTES, MAJOR_NEGATIVE } from "#src/core/codec/index.js";
import type { Head } from "#src/core/codec/index.js";
import { Malformed } from "#src/core/errors.js";

const BOUNDARIES = [0, 1, 23, 24, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 2, 2 ** 53 - 1];
const MAJORS: readonly Head["major"][] = [0, 1, 2, 3, 4, 5];

test("heads round-trip at every size", () => {
  for (const major of MAJORS) {
    for (const argument of BOUNDARIES) {
      if (major === MAJOR_NEGATIVE && argument === 2 ** 53 - 1) continue;
      const target = new Uint8Array(12);
      const end = writeHead(target, 2, { major, argument });
      assert.equal(end, 2 + headSizeBytes(argument));
      const cursor = new Cursor(target.subarray(0, end), 2);
      cursor.readHead();
      assert.deepEqual([cursor.major, cursor.argument, cursor.offset], [major, argument, end]);
    }
  }
});

test("a longer spelling of an argument is refused", () => {
  for (const argument of BOUNDARIES) {
    for (const [information, length] of [
      [24, 1],
      [25, 2],
      [26, 4],
      [27, 8],
    ] as const) {
      if (1 + length <= headSizeBytes(argument) || argument >= 2 ** (8 * length)) continue;
      const bytes = new Uint8Array(1 + length);
      bytes[0] = information;
      let rest = argument;
      for (let at = length; at > 0; at -= 1) {
        bytes[at] = rest % 256;
        rest = Math.floor(rest / 256);
      }
      assert.throws(() => new Cursor(bytes).readHead(), Malformed);
    }
  }
});

test("truncated heads, tags, reserved and indefinite forms are refused", () => {
  for (let initial = 0; initial < 256; initial += 1) {
    const major = initial >> 5;
    const information = initial & 31;
    const alone = new Cursor(Uint8Array.of(initial));
    const simple = major === 7 && [20, 21, 22, 27].includes(information);
    if (simple || (major < 6 && information < 24)) {
      alone.readHead();
      assert.equal(alone.argument, information);
    } else {
      assert.throws(() => alone.readHead(), Malformed, `initial byte ${initial}`);
    }
  }
  assert.throws(() => new Cursor(new Uint8Array(0)).readHead(), Malformed);
});

test("reserved and indefinite forms are refused however many bytes follow", () => {
  for (let initial = 0; initial < 256; initial += 1) {
    if ((initial & 31) < 28) continue;
    const bytes = new Uint8Array(300).fill(1);
    bytes[0] = initial;
    assert.throws(() => new Cursor(bytes).readHead(), Malformed, `initial byte ${initial}`);
  }
});

test("integers stay within ±(2^53 − 1)", () => {
  const over = Uint8Array.of(0x1b, 0, 0x20, 0, 0, 0, 0, 0, 0);
  assert.throws(() => new Cursor(over).readHead(), Malformed);
  const below = Uint8Array.of(0x3b, 0, 0x1f, 255, 255, 255, 255, 255, 255);
  assert.throws(() => new Cursor(below).readHead(), Malformed);
});

test("a cursor respects the offset of a view, and what is left of it", () => {
  const view = Uint8Array.of(9, 9, 0xfb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0, 9).subarray(2, 11);
  const cursor = new Cursor(view);
  cursor.readHead();
  assert.equal(cursor.readFloat64(), 1.5);
  assert.throws(() => cursor.readFloat64(), Malformed);
  const bytes = new Cursor(Uint8Array.of(0x42, 0).subarray(0, 1));
  bytes.readHead();
  assert.equal(bytes.major, MAJOR_BYTES);
  assert.throws(() => bytes.requireLeft(bytes.argument), Malformed);
});
