// Random values of the data model, biased to the edges: heads of every size, odd names, non-ASCII text, tiny floats.
import fc from "fast-check";
import type { Value } from "#src/core/codec/index.js";

const integers = fc.oneof(
  fc.integer({ min: -30, max: 300 }),
  fc.maxSafeInteger(),
  fc.constantFrom(65_535, 65_536, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1, -(2 ** 53 - 1), -24, -25, -256, -257),
);
const floats = fc
  .double({ noNaN: true, noDefaultInfinity: true })
  .filter((value) => !Number.isInteger(value) || Number.isSafeInteger(value))
  // −0 is written as 0.
  .map((value) => (value === 0 ? 0 : value));
export const names = fc.oneof(
  fc.string({ maxLength: 6 }),
  fc.string({ unit: "binary", maxLength: 6 }),
  fc.constantFrom("__proto__", "constructor", "toString", "", "/", "bytes", "asCID", "0", "10", "\ufeffv", "v", "kind"),
);
const texts = fc.oneof(fc.string(), fc.string({ unit: "binary", maxLength: 40 }), names);

/** Any value: lists and maps to a depth of about five. */
export const values: fc.Arbitrary<Value> = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5, depthSize: "small" },
    fc.constantFrom<Value>(null, true, false),
    integers,
    floats,
    texts,
    fc.uint8Array({ maxLength: 40 }),
    fc.array(tie("value"), { maxLength: 5 }),
    fc.dictionary(names, tie("value"), { maxKeys: 5, noNullPrototype: true }),
  ),
})).value;
