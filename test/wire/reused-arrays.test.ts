// Goal: arrays are used again, and those of large messages are let go of once a stream is given less room: what is free is
// counted nowhere. Method: arrays taken and given back, looked at by their identity.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ReusedArrays } from "#src/wire/reused-arrays.js";

const KIB = 1024;

/** Takes several at once, and gives all of them back. */
function pass(arrays: ReusedArrays, sizes: readonly number[]): ArrayBufferLike[] {
  const taken = sizes.map((sizeBytes) => arrays.take(sizeBytes * KIB));
  for (const array of taken) arrays.giveBack(array);
  return taken.map(({ buffer }) => buffer);
}

test("what has gone is used again, also for a somewhat smaller message", () => {
  const arrays = new ReusedArrays();
  const made = new Set(pass(arrays, [256, 256, 256]));
  for (const buffer of pass(arrays, [200, 256, 260])) assert.ok(made.has(buffer));
});

test("the arrays of large messages are let go of where messages have become small", () => {
  for (const smallKib of [4, 20]) {
    const arrays = new ReusedArrays();
    const large = Array.from({ length: 4 }, () => arrays.take(256 * KIB));
    for (const array of large) arrays.giveBack(array);
    const small = arrays.take(smallKib * KIB);
    assert.ok(small.buffer.byteLength <= 2 * smallKib * KIB, `${small.buffer.byteLength} bytes`);
    for (const array of large) assert.equal(arrays.isOwn(array), false);
  }
});
