// Goal: sealed records are what docs/FORMATS.md §8 says, to the byte, and nothing that was changed, cut, moved or exchanged opens.
// Method: vectors made by a model in Go (test/interop/go/record); a slow twin here with @noble's hashes and ciphers; properties.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { gcm } from "@noble/ciphers/aes.js";
import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import fc from "fast-check";
import { concatBytes, fromHex, toHex, u64be, utf8 } from "#src/core/bytes.js";
import { Malformed } from "#src/core/errors.js";
import { ALGORITHMS, nativeAead, portableAead, type Algorithm } from "#src/store/sealing/aead.js";
import { KeyRing, parseEncryption, unwrapKeys } from "#src/store/sealing/key-ring.js";
import {
  SEGMENT_BYTES,
  openRecord,
  placeOf,
  plaintextBytes,
  sealRecord,
  sealedBytes,
  type SealingKey,
} from "#src/store/sealing/record.js";
import { RowSeal } from "#src/store/sealing/row-seal.js";
import type { Space } from "#src/store/index.js";

interface Vectors {
  readonly records: readonly {
    id: number;
    algorithm: Algorithm;
    key: string;
    space: string;
    name: string;
    salt: string;
    plaintext_bytes: number;
    plaintext_first: number;
    record?: string;
    record_sha256?: string;
  }[];
  readonly rows: readonly {
    id: number;
    algorithm: Algorithm;
    key: string;
    name_key: string;
    space: Space;
    row_key: string;
    value: string;
    name: string;
    stored: string;
  }[];
  readonly wrapped_keys: readonly {
    password: string;
    data_key: string;
    name_key: string;
    encryption: Record<string, unknown>;
  }[];
}

const VECTORS = JSON.parse(readFileSync("test/vectors/record.json", "utf8")) as Vectors;

const filled = (first: number, count: number): Uint8Array =>
  Uint8Array.from({ length: count }, (_, index) => first + (index % 251));

/** The slow twin: a record opened by what the format says, with other code. */
function openSlowly({ algorithm, key }: SealingKey, place: Uint8Array, record: Uint8Array): Uint8Array {
  const subkey = hkdf(sha256, key, record.subarray(5, 37), utf8(`neleus record v1${algorithm}`), 32);
  const parts: Uint8Array[] = [];
  for (let at = 37, index = 0; at < record.length; at += SEGMENT_BYTES + 16, index += 1) {
    const sealed = record.subarray(at, at + SEGMENT_BYTES + 16);
    const isLast = at + sealed.length === record.length;
    const nonce = concatBytes(new Uint8Array(3), u64be(index), Uint8Array.of(isLast ? 1 : 0));
    const make = algorithm === "aes-256-gcm" ? gcm : chacha20poly1305;
    parts.push(make(subkey, nonce, place).decrypt(sealed));
  }
  return concatBytes(...parts);
}

const keyOf = (algorithm: Algorithm, id = 1): SealingKey => ({ id, algorithm, key: filled(7, 32) });
const finding = (key: SealingKey) => (id: number) => (id === key.id ? key : undefined);
const PLACE = placeOf("nodes", filled(1, 32));

describe("sealed records", () => {
  it("are those of the vectors", () => {
    for (const vector of VECTORS.records) {
      const key = { id: vector.id, algorithm: vector.algorithm, key: fromHex(vector.key) };
      const place = placeOf(vector.space, fromHex(vector.name));
      const plaintext = filled(vector.plaintext_first, vector.plaintext_bytes);
      const record = sealRecord(key, place, plaintext, fromHex(vector.salt));
      if (vector.record !== undefined) assert.equal(toHex(record), vector.record);
      else assert.equal(createHash("sha256").update(record).digest("hex"), vector.record_sha256);
      assert.deepEqual(openRecord(finding(key), place, record), plaintext);
    }
  });

  it("open to what was sealed, by this code and by another's, whatever the length", () => {
    const border = fc.constantFrom(0, 1, SEGMENT_BYTES - 1, SEGMENT_BYTES, SEGMENT_BYTES + 1, 3 * SEGMENT_BYTES);
    const length = fc.oneof(border, fc.nat({ max: 200_000 }));
    fc.assert(
      fc.property(fc.constantFrom(...ALGORITHMS), length, (algorithm, bytes) => {
        const key = keyOf(algorithm);
        const plaintext = filled(bytes, bytes);
        const record = sealRecord(key, PLACE, plaintext);
        assert.equal(record.length, sealedBytes(bytes));
        assert.equal(plaintextBytes(record.length), bytes);
        assert.deepEqual(openRecord(finding(key), PLACE, record), plaintext);
        assert.deepEqual(openSlowly(key, PLACE, record), plaintext);
      }),
      { numRuns: 40 },
    );
  });

  it("have one size for a length, and no other", () => {
    const sizes = new Set(Array.from({ length: 70_000 }, (_, bytes) => sealedBytes(bytes)));
    for (let size = 0; size <= sealedBytes(69_999); size += 1) {
      if (sizes.has(size)) assert.equal(sealedBytes(plaintextBytes(size)), size);
      else assert.throws(() => plaintextBytes(size), Malformed);
    }
  });

  it("do not open where a byte is changed, one is missing, or one more", () => {
    const key = keyOf("aes-256-gcm");
    const record = sealRecord(key, PLACE, filled(3, 50));
    const refused = (bytes: Uint8Array): void => {
      assert.throws(() => openRecord(finding(key), PLACE, bytes), Malformed);
    };
    for (let index = 0; index < record.length; index += 1) {
      const changed = record.slice();
      changed[index]! ^= 1 << (index % 8);
      refused(changed);
    }
    for (let length = 0; length < record.length; length += 1) refused(record.subarray(0, length));
    refused(concatBytes(record, Uint8Array.of(0)));
  });

  it("do not open where segments are dropped, exchanged, repeated or of another record", () => {
    for (const algorithm of ALGORITHMS) {
      const key = keyOf(algorithm);
      const plaintext = filled(3, 3 * SEGMENT_BYTES);
      const [one, other] = [sealRecord(key, PLACE, plaintext), sealRecord(key, PLACE, plaintext)];
      const start = (index: number): number => 37 + index * (SEGMENT_BYTES + 16);
      const [head, a, b, c] = [one.subarray(0, 37), ...[0, 1, 2].map((i) => one.subarray(start(i), start(i + 1)))];
      const strange = other.subarray(start(1), start(2));
      assert.deepEqual(openRecord(finding(key), PLACE, concatBytes(head, a!, b!, c!)), plaintext);
      for (const parts of [[a, b], [a, c], [b, a, c], [a, a, b, c], [c], [a, strange, c], [a, b, c, c]]) {
        const spliced = concatBytes(head, ...parts.map((part) => part!));
        assert.throws(() => openRecord(finding(key), PLACE, spliced), Malformed);
      }
    }
  });

  it("do not open elsewhere, under another key, or by another cipher", () => {
    const key = keyOf("aes-256-gcm");
    const record = sealRecord(key, PLACE, filled(3, 50));
    const refused = (find: SealingKey, place: Uint8Array): void => {
      assert.throws(() => openRecord((id) => (id === 1 ? find : undefined), place, record), Malformed);
    };
    refused(key, placeOf("objects", filled(1, 32)));
    refused(key, placeOf("nodes", filled(2, 32)));
    refused({ ...key, key: filled(8, 32) }, PLACE);
    refused({ ...key, algorithm: "chacha20-poly1305" }, PLACE);
    assert.throws(() => openRecord(() => undefined, PLACE, record), /sealed under the key 1, which is not here/);
  });

  it("never share a salt", () => {
    const key = keyOf("aes-256-gcm");
    const salts = Array.from({ length: 1_000 }, () => toHex(sealRecord(key, PLACE, filled(1, 1)).subarray(5, 37)));
    assert.equal(new Set(salts).size, salts.length);
  });
});

describe("ciphers", () => {
  it("give the same bytes by node:crypto and by @noble/ciphers", () => {
    const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
    const plain = fc.uint8Array({ maxLength: 300 });
    fc.assert(
      fc.property(fc.constantFrom(...ALGORITHMS), bytes(32), bytes(12), plain, plain, (name, key, nonce, ad, text) => {
        const message = { key, nonce, associatedData: ad };
        const [native, portable] = [nativeAead(name), portableAead(name)];
        const sealed = [native, portable].map((aead) => {
          const into = new Uint8Array(text.length + 16);
          aead.sealInto(message, text, into);
          return into;
        });
        assert.deepEqual(sealed[0], sealed[1]);
        for (const aead of [native, portable]) {
          const into = new Uint8Array(text.length);
          assert.equal(aead.openInto(message, sealed[0]!, into), true);
          assert.deepEqual(into, text);
          const changed = sealed[0]!.slice();
          changed[0]! ^= 1;
          const untouched = new Uint8Array(text.length).fill(9);
          assert.equal(aead.openInto(message, changed, untouched), false);
          assert.ok(
            untouched.every((byte) => byte === 9),
            "nothing is handed out that is not authentic",
          );
        }
      }),
    );
  });
});

describe("sealed rows", () => {
  it("are those of the vectors, and no other row's", () => {
    for (const vector of VECTORS.rows) {
      const key = { id: vector.id, algorithm: vector.algorithm, key: fromHex(vector.key) };
      const seal = new RowSeal(new KeyRing({ dataKeys: [key], nameKey: fromHex(vector.name_key) }));
      const row = { key: fromHex(vector.row_key), value: fromHex(vector.value) };
      const name = seal.nameOf(vector.space, row.key);
      assert.equal(toHex(name), vector.name);
      assert.deepEqual(seal.open(vector.space, name, fromHex(vector.stored)), row);
      assert.deepEqual(seal.open(vector.space, name, seal.seal(vector.space, name, row)), row);
      assert.throws(() => seal.open("nodes", name, fromHex(vector.stored)), /a row of nodes cannot be opened/);
      const other = seal.nameOf(vector.space, filled(1, 32));
      assert.throws(() => seal.open(vector.space, other, fromHex(vector.stored)), /cannot be opened/);
      // Sealed by who has the keys, and still not the row of this name.
      const strange = seal.seal(vector.space, other, row);
      assert.throws(() => seal.open(vector.space, other, strange), /under another's name/);
    }
  });
});

describe("wrapped keys", () => {
  it("are those of the vectors", async () => {
    for (const vector of VECTORS.wrapped_keys) {
      const { keys } = parseEncryption(vector.encryption, "config.json");
      assert.ok(keys !== undefined);
      const ring = await unwrapKeys(keys, utf8(vector.password), "config.json");
      assert.deepEqual(ring.current.key, fromHex(vector.data_key));
      const named = new KeyRing({ dataKeys: [ring.current], nameKey: fromHex(vector.name_key) });
      assert.deepEqual(ring.name("nodes", filled(1, 32)), named.name("nodes", filled(1, 32)));
      await assert.rejects(unwrapKeys(keys, utf8("Correct horse"), "config.json"), { code: "PERMISSION_DENIED" });
    }
  });
});
