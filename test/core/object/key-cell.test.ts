// Goal: keys and cells of chunk lists, ledgers and refs are built as the vectors have them, parse back, order as the
// formats say, and are refused where they break a rule.
// Method: the vectors' maps; random round-trips; order against the fields; hostile bytes.
import test from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { compareBytes, fromHex, isWellFormed, toHex, utf8 } from "#src/core/bytes.js";
import { decode, encode } from "#src/core/codec/index.js";
import type { Value } from "#src/core/codec/index.js";
import { InvalidArgument, Malformed, NeleusError } from "#src/core/errors.js";
import { blobHash, commitHash, manifestHash, mapRoot } from "#src/core/hashes.js";
import {
  LOG_KEYS_KEY,
  MANIFEST_KINDS,
  chunkCell,
  chunkKey,
  commitCell,
  decodeManifest,
  headKey,
  headPermissionKey,
  ledgerCell,
  ledgerKey,
  ledgerKeysOf,
  ledgerRange,
  logKeysCell,
  manifestHashOf,
  nameProblem,
  parseChunkKey,
  parseLedgerKey,
  parseRefKey,
  permissionsCell,
  requireName,
  runByAgentKey,
  stagedCell,
  stagedKey,
  stateCell,
  tagKey,
} from "#src/core/object/index.js";
import type { CellCodec, ManifestKind } from "#src/core/object/index.js";
import { fromNotation } from "../../support/notation.js";
import { vectors } from "./examples.js";

const filled = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);

function entriesOf(name: string): [string, string][] {
  const map = vectors.maps.find((candidate) => candidate.name === name);
  assert.ok(map);
  return map.entries.map(([key, cell]) => [key, toHex(encode(fromNotation(cell)))]);
}

test("vectors: the ledger of all manifests", () => {
  const built = vectors.objects
    .filter(({ tag }) => tag === "manifest:")
    .filter(({ name }) => !["attestation", "erasure"].includes(name))
    .flatMap(({ cbor }) => {
      const { object, bytes } = decodeManifest(fromHex(cbor));
      const cell = toHex(ledgerCell.encode({ size: bytes.length }));
      return ledgerKeysOf(object, manifestHashOf(bytes)).map((key): [string, string] => [toHex(key), cell]);
    });
  built.sort(([a], [b]) => (a < b ? -1 : 1));
  assert.deepEqual(built, entriesOf("ledger"));
  for (const [key, cell] of built) {
    const parsed = parseLedgerKey(fromHex(key));
    const rebuilt =
      parsed.agent === undefined
        ? ledgerKey({ ...parsed, kind: parsed.kind as ManifestKind })
        : runByAgentKey({ ...parsed, agent: parsed.agent });
    assert.equal(toHex(rebuilt), key);
    assert.ok(ledgerCell.decode(fromHex(cell)).size > 100);
  }
});

test("vectors: chunks and refs", () => {
  for (const [index, [key, cell]] of entriesOf("chunks of the document").entries()) {
    assert.equal(toHex(chunkKey(index)), key);
    assert.equal(parseChunkKey(fromHex(key)), index);
    assert.equal(toHex(chunkCell.encode(chunkCell.decode(fromHex(cell)))), cell);
  }
  const [head, staged] = entriesOf("refs");
  assert.ok(head && staged);
  assert.deepEqual([toHex(headKey("main")), toHex(stagedKey("main"))], [head[0], staged[0]]);
  assert.equal(toHex(commitCell.encode(commitCell.decode(fromHex(head[1])))), head[1]);
  assert.equal(toHex(stagedCell.encode(stagedCell.decode(fromHex(staged[1])))), staged[1]);
});

const agents = fc
  .string({ unit: "grapheme", minLength: 1, maxLength: 20 })
  .filter((agent) => isWellFormed(agent) && !agent.includes("\0"));
const times = fc.oneof(fc.nat(300), fc.maxSafeNat());
const hashes = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(manifestHash);

test("ledger keys round-trip, and a range holds exactly the keys of its selection", () => {
  const places = fc.record({ kind: fc.constantFrom(...MANIFEST_KINDS), time: times, hash: hashes, agent: agents });
  fc.assert(
    fc.property(places, places, times, times, (place, other, since, before) => {
      for (const { kind, time, hash, agent } of [place, other]) {
        assert.deepEqual(parseLedgerKey(ledgerKey({ kind, time, hash })), { kind, time, hash });
        assert.deepEqual(parseLedgerKey(runByAgentKey({ agent, time, hash })), { kind: "run", agent, time, hash });
      }
      const selections = [{ kind: place.kind }, { agent: place.agent }].flatMap((selection) => [
        selection,
        ...(since < before ? [{ ...selection, since, before }] : []),
      ]);
      for (const selection of selections) {
        const range = ledgerRange(selection);
        assert.ok(compareBytes(range.from, range.to) < 0);
        for (const { kind, time, hash, agent } of [place, other]) {
          const inTime = !("since" in selection) || (time >= selection.since && time < selection.before);
          const isIn = (key: Uint8Array): boolean =>
            compareBytes(range.from, key) <= 0 && compareBytes(key, range.to) < 0;
          assert.equal(isIn(ledgerKey({ kind, time, hash })), "kind" in selection && selection.kind === kind && inTime);
          const byAgent = "agent" in selection && selection.agent === agent && inTime;
          assert.equal(isIn(runByAgentKey({ agent, time, hash })), byAgent);
        }
      }
    }),
    { numRuns: 1000 },
  );
});

test("ledger ranges that select nothing are refused", () => {
  for (const selection of [
    {},
    { kind: "document", agent: "a" },
    { kind: "run", since: 5, before: 5 },
    { agent: "" },
    { kind: "song" },
  ] as const) {
    assert.throws(() => ledgerRange(selection as never), InvalidArgument);
  }
  assert.deepEqual(ledgerRange({ kind: "run", agent: "a" }), ledgerRange({ agent: "a" }));
  assert.throws(() => ledgerRange({ kind: "run", since: -1 }), InvalidArgument);
});

test("ledger keys of later kinds are shown; broken ones are refused", () => {
  const tail = "00" + "0000000000000001" + "07".repeat(32);
  const hexOf = (text: string): string => toHex(utf8(text));
  assert.equal(parseLedgerKey(fromHex(hexOf("song") + tail)).kind, "song");
  const broken = [
    "",
    tail,
    hexOf("run") + tail.slice(2),
    hexOf("run") + "01" + tail.slice(2),
    hexOf("run\0a") + tail,
    hexOf("run-by-agent") + tail,
    hexOf("run-by-agent\0") + tail,
    hexOf("run-by-agent\0a\0b") + tail,
    hexOf("run-by-agent\0" + "x".repeat(257)) + tail,
    hexOf("run") + "00" + "0020000000000000" + "07".repeat(32),
    "ff" + tail,
  ];
  for (const hex of broken) assert.throws(() => parseLedgerKey(fromHex(hex)), Malformed, hex);
});

test("builders refuse what breaks a rule", () => {
  const hash = manifestHash(filled(1));
  assert.throws(() => ledgerKey({ kind: "song" as ManifestKind, time: 1, hash }), InvalidArgument);
  assert.throws(() => ledgerKey({ kind: "run", time: -1, hash }), InvalidArgument);
  assert.throws(() => ledgerKey({ kind: "run", time: 2 ** 53, hash }), InvalidArgument);
  assert.throws(() => ledgerKey({ kind: "run", time: 1, hash: new Uint8Array(3) as typeof hash }), InvalidArgument);
  assert.throws(() => runByAgentKey({ agent: "a\0", time: 1, hash }), InvalidArgument);
  assert.throws(() => runByAgentKey({ agent: "\ud800", time: 1, hash }), InvalidArgument);
  assert.throws(() => chunkKey(1.5), InvalidArgument);
  assert.throws(() => headKey("a//b"), InvalidArgument);
  assert.throws(() => headPermissionKey("main", new Uint8Array(31)), InvalidArgument);
  assert.throws(() => parseChunkKey(new Uint8Array(7)), Malformed);
  assert.throws(() => parseChunkKey(new Uint8Array(9)), Malformed);
  assert.throws(() => parseChunkKey(new Uint8Array(8).fill(255)), Malformed);
});

test("names", () => {
  const good = ["a", "main", "feature/x", "A.b_c-9", "a/b/c", "...", ".a", "a..b", "-", "x".repeat(128), "heads/main"];
  const bad = [
    "",
    "/",
    "a/",
    "/a",
    "a//b",
    ".",
    "..",
    "a/.",
    "../a",
    "a/../b",
    "a b",
    "ü",
    "a\0",
    "a\n",
    "x".repeat(129),
    "a:b",
  ];
  for (const name of good) {
    assert.equal(nameProblem(name), undefined, name);
    requireName(name);
  }
  for (const name of bad) {
    assert.equal(typeof nameProblem(name), "string", name);
    assert.throws(() => requireName(name), InvalidArgument);
  }
  // Long hostile names cost no more than linear time.
  assert.equal(typeof nameProblem("a/".repeat(100_000)), "string");
});

test("refs keys round-trip, also where a head's name looks like a key", () => {
  const parts = fc.string({ unit: fc.constantFrom(...Array.from("abXYZ019._-")), minLength: 1, maxLength: 8 });
  const names = fc
    .array(fc.oneof(parts, fc.constantFrom("keys", "log", "head", "ab".repeat(32))), { minLength: 1, maxLength: 3 })
    .map((list) => list.join("/"))
    .filter((name) => nameProblem(name) === undefined);
  fc.assert(
    fc.property(names, hashes, (name, publicKey) => {
      assert.deepEqual(parseRefKey(headKey(name)), { kind: "head", name });
      assert.deepEqual(parseRefKey(stagedKey(name)), { kind: "staged", name });
      assert.deepEqual(parseRefKey(tagKey(name)), { kind: "tag", name });
      assert.deepEqual(parseRefKey(headPermissionKey(name, publicKey)), { kind: "head-permission", name, publicKey });
    }),
  );
  assert.deepEqual(parseRefKey(LOG_KEYS_KEY), { kind: "log-keys" });
  const upper = "AB".repeat(32);
  for (const text of [
    "",
    "heads/",
    "heads",
    "heads/a/",
    "keys/log/",
    "keys/head/main",
    `keys/head/main/${upper}`,
    `keys/head//${"ab".repeat(32)}`,
    "other/x",
    `keys/head/a\n/${"ab".repeat(32)}`,
  ]) {
    assert.throws(() => parseRefKey(utf8(text)), Malformed, text);
  }
  assert.throws(() => parseRefKey(Uint8Array.of(0xff)), Malformed);
});

test("cells round-trip, accept further elements, and refuse broken ones", () => {
  const hash = blobHash(filled(1));
  const [root, other] = [mapRoot(filled(2)), mapRoot(filled(3))];
  const check = <T>(codec: CellCodec<T>, cell: T, wire: Value[]): void => {
    assert.deepEqual(codec.encode(cell), encode(wire));
    assert.deepEqual(codec.decode(encode(wire)), cell);
  };
  check(stateCell, { hash, size: 3 }, [hash, 3]);
  check(stateCell, { hash, size: 3, ext: { expires: 9, media: "a/b", salted: true } }, [
    hash,
    3,
    { expires: 9, media: "a/b", salted: true },
  ]);
  check(stateCell, { hash, size: 0, ext: { extra: { later: null } } }, [hash, 0, { later: null }]);
  check(chunkCell, { hash, size: 3, offset: 2 ** 53 - 1 }, [hash, 3, 2 ** 53 - 1]);
  check(ledgerCell, { size: 3 }, [3]);
  check(commitCell, { commit: commitHash(filled(4)) }, [filled(4)]);
  check(stagedCell, { stateRoot: root, ledgerRoot: other }, [root, other]);
  check(logKeysCell, ["a+1+b", "c+2+d"], ["a+1+b", "c+2+d"]);
  check(permissionsCell, ["move"], ["move"]);

  assert.deepEqual(stateCell.decode(encode([hash, 3, {}, null, "x"])), { hash, size: 3, ext: {} });
  assert.deepEqual(chunkCell.decode(encode([hash, 3, 0, [1]])), { hash, size: 3, offset: 0 });
  assert.deepEqual(ledgerCell.decode(encode([3, null])), { size: 3 });
  assert.deepEqual(commitCell.decode(encode([hash, 1])), { commit: hash });
  assert.deepEqual(stagedCell.decode(encode([root, other, 1])), { stateRoot: root, ledgerRoot: other });

  const broken: [{ decode: (bytes: Uint8Array) => unknown }, Value][] = [
    [stateCell, {}],
    [stateCell, [hash]],
    [stateCell, [filled(1).slice(1), 3]],
    [stateCell, [hash, -1]],
    [stateCell, [hash, 1, null]],
    [stateCell, [hash, 1, "media"]],
    [stateCell, [hash, 1, { expires: null }]],
    [stateCell, [hash, 1, { expires: -1 }]],
    [stateCell, [hash, 1, { media: 1 }]],
    [stateCell, [hash, 1, { salted: false }]],
    [stateCell, [hash, 1, { x: "y".repeat(256) }]],
    [chunkCell, [hash, 3]],
    [chunkCell, [hash, 3, 1.5]],
    [ledgerCell, []],
    [ledgerCell, ["3"]],
    [commitCell, []],
    [commitCell, ["main"]],
    [stagedCell, [root]],
    [stagedCell, [root, 1]],
    [logKeysCell, []],
    [logKeysCell, [1]],
    [permissionsCell, ["move", 1]],
  ];
  for (const [codec, wire] of broken) assert.throws(() => codec.decode(encode(wire)), Malformed, JSON.stringify(wire));
  assert.throws(() => stateCell.encode({ hash, size: 1, ext: { media: "x".repeat(256) } }), InvalidArgument);
  assert.throws(
    () => stateCell.encode({ hash, size: -1 }),
    (error) => error instanceof NeleusError && error.field === "[1]",
  );
  assert.throws(() => stateCell.decode(Uint8Array.of(0x82)), Malformed);
});

test("every single-bit flip of a cell is refused or read as another proper cell", () => {
  const bytes = stateCell.encode({
    hash: blobHash(filled(1)),
    size: 300,
    ext: { expires: 9, media: "a/b", salted: true },
  });
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const flipped = bytes.slice();
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    try {
      assert.deepEqual(stateCell.encode(stateCell.decode(flipped)), flipped);
    } catch (error) {
      assert.ok(error instanceof Malformed, String(error));
    }
  }
});

test("plain state cells, which are read in place, are what the general codec says they are", () => {
  const hash = blobHash(filled(7));
  const sizes = [0, 23, 24, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1];
  for (const size of sizes) {
    const bytes = encode([hash, size]);
    assert.deepEqual(stateCell.decode(bytes), { hash, size });
    for (let length = 0; length < bytes.length; length += 1) {
      assert.throws(() => stateCell.decode(bytes.slice(0, length)), Malformed);
    }
    assert.throws(() => stateCell.decode(Uint8Array.of(...bytes, 0)), Malformed);
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const flipped = bytes.slice();
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      let general: Value | undefined;
      try {
        general = decode(flipped);
      } catch (error) {
        assert.ok(error instanceof Malformed);
      }
      const [first, second] = Array.isArray(general) && general.length === 2 ? general : [];
      if (first instanceof Uint8Array && first.length === 32 && Number.isSafeInteger(second) && Number(second) >= 0) {
        assert.deepEqual(stateCell.decode(flipped), { hash: first, size: second });
      } else {
        assert.throws(() => stateCell.decode(flipped), Malformed);
      }
    }
  }
});
