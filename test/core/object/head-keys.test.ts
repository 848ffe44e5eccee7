// Goal: the keys of a head are those of its range that name it and let it move, whatever else lies in that range.
// Method: refs of heads whose names begin alike, sorted as a map has them; the range is compared with a filter by name.
import test from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { compareBytes, toHex, utf8 } from "#src/core/bytes.js";
import { InvalidArgument, Malformed } from "#src/core/errors.js";
import {
  MOVE_PERMISSION,
  headKey,
  headKeysIn,
  headKeysRange,
  headPermissionKey,
  permissionsCell,
} from "#src/core/object/index.js";

const move = permissionsCell.encode([MOVE_PERMISSION]);
const hex = "ab".repeat(32);

test("heads whose names begin alike share a range and no keys", () => {
  const names = ["main", "main/next", `main/${hex}`, "main0", "mai", "main-2", "m", "main/next/on", hex];
  const key = fc.uint8Array({ minLength: 32, maxLength: 32 });
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom(...names), key), { maxLength: 30 }), (owned) => {
      const entries = owned
        .map(([name, publicKey]) => ({ key: headPermissionKey(name, publicKey), cell: move }))
        .sort((a, b) => compareBytes(a.key, b.key));
      for (const name of names) {
        const { from, to } = headKeysRange(name);
        const within = entries.filter(({ key }) => compareBytes(key, from) >= 0 && compareBytes(key, to) < 0);
        const expected = owned.filter(([owner]) => owner === name).map(([, publicKey]) => toHex(publicKey));
        assert.deepEqual(headKeysIn(name, within).map(toHex), expected.sort());
      }
    }),
  );
});

test("other permissions do not let a head move", () => {
  const key = headPermissionKey("main", new Uint8Array(32));
  assert.deepEqual(headKeysIn("main", [{ key, cell: permissionsCell.encode(["read"]) }]), []);
  assert.equal(headKeysIn("main", [{ key, cell: permissionsCell.encode(["read", "move"]) }]).length, 1);
});

test("what is no name, no key and no cell", () => {
  assert.throws(() => headKeysRange("a//b"), InvalidArgument);
  const key = headPermissionKey("main", new Uint8Array(32));
  for (const entry of [
    { key: utf8("keys/head/main/abc"), cell: move },
    { key: utf8(`keys/head/main/${hex.toUpperCase()}`), cell: move },
    { key, cell: new Uint8Array(0) },
    { key, cell: Uint8Array.of(0x80) },
  ]) {
    assert.throws(() => headKeysIn("main", [entry]), Malformed);
  }
  assert.deepEqual(headKeysIn("main", [{ key: headKey("main"), cell: move }]), []);
});
