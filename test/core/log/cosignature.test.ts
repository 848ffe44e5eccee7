// Goal: a cosignature counts where the witness's key made it over this text and this time, and nowhere else (C2SP
// tlog-cosignature). Method: every byte of the line and of the text changed; keys of other types and names; the form by hand.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { sha256 } from "@noble/hashes/sha2.js";
import { concatBytes, toHex, utf8 } from "#src/core/bytes.js";
import { InvalidArgument, Malformed, Unsupported } from "#src/core/errors.js";
import {
  cosign,
  findCosignature,
  formatNote,
  formatVerifierKey,
  formatWitnessKey,
  parseNote,
  parseVerifierKey,
  parseWitnessKey,
  signCheckpoint,
  verifierKey,
  verifyCheckpoint,
  witnessKey,
  type Note,
} from "#src/core/log/index.js";
import { signerFromSeed } from "#src/core/signature/index.js";

const SECONDS = 1_763_800_000;
const log = signerFromSeed(new Uint8Array(32).fill(1));
const witness = signerFromSeed(new Uint8Array(32).fill(2));
const origin = "neleus/00112233445566778899aabbccddeeff/1";
const name = "witness.example/w1";
const key = witnessKey(name, witness.publicKey);
const checkpoint = signCheckpoint({ origin, size: 4, root: new Uint8Array(32).fill(9) }, log);
const cosigned = cosign(parseNote(checkpoint), { name, signer: witness, seconds: SECONDS });

const verdict = (note: Note): string => {
  const found = findCosignature(note, key);
  return typeof found === "string" ? found : `at ${found.timeMs}`;
};

describe("a cosignature", () => {
  test("has the form of the specification", () => {
    const line = formatNote(cosigned).trimEnd().split("\n").at(-1) ?? "";
    const [, , encoded = ""] = line.split(" ");
    const bytes = Buffer.from(encoded, "base64");
    const id = sha256(concatBytes(utf8(`${name}\n`), Uint8Array.of(4), witness.publicKey)).subarray(0, 4);
    assert.equal(bytes.subarray(0, 4).toString("hex"), toHex(id));
    assert.equal(bytes.readBigUInt64BE(4), BigInt(SECONDS));
    const signed = `cosignature/v1\ntime ${SECONDS}\n${origin}\n4\n${Buffer.alloc(32, 9).toString("base64")}\n`;
    assert.equal(bytes.subarray(12).toString("hex"), toHex(witness.sign(utf8(signed))));
  });

  test("is found, and leaves the log's signature as it was", () => {
    assert.equal(verdict(parseNote(formatNote(cosigned))), `at ${SECONDS * 1000}`);
    assert.equal(verifyCheckpoint(formatNote(cosigned), verifierKey(origin, log.publicKey)).size, 4);
    assert.equal(verdict(parseNote(checkpoint)), "absent");
  });

  test("is of one text, one time and one key", () => {
    const line = cosigned.signatures.at(-1);
    assert.ok(line);
    for (let index = 0; index < line.value.length; index += 1) {
      const value: Uint8Array = new Uint8Array(line.value);
      value[index] = (value[index] ?? 0) ^ 1;
      assert.equal(verdict({ ...cosigned, signatures: [{ ...line, value }] }), "invalid", `byte ${index}`);
    }
    for (const value of [
      line.value.subarray(1),
      concatBytes(line.value, Uint8Array.of(0)),
      new Uint8Array(72).fill(255),
    ]) {
      assert.equal(verdict({ ...cosigned, signatures: [{ ...line, value }] }), "invalid");
    }
    assert.equal(verdict({ ...cosigned, text: cosigned.text.replace("4", "5") }), "invalid");
    assert.equal(verdict({ ...cosigned, signatures: [{ ...line, name: "witness.example/w2" }] }), "absent");
    // The log's own key under the witness's name has another id, by its type.
    const other = witnessKey(name, log.publicKey);
    assert.equal(findCosignature(cosigned, other), "absent");
  });

  test("counts with the newest time, among few lines", () => {
    const twice = cosign(cosigned, { name, signer: witness, seconds: SECONDS + 60 });
    assert.equal(verdict(twice), `at ${(SECONDS + 60) * 1000}`);
    const [line] = twice.signatures.slice(-1);
    assert.ok(line);
    const junk = { ...line, value: new Uint8Array(72) };
    assert.equal(verdict({ ...twice, signatures: [junk, junk, junk, line] }), `at ${(SECONDS + 60) * 1000}`);
    assert.equal(
      verdict({ ...twice, signatures: [junk, junk, junk, junk, line] }),
      "invalid",
      "a fifth is not looked at",
    );
  });

  test("is made of whole seconds", () => {
    for (const seconds of [-1, 1.5, Number.NaN, 2 ** 43]) {
      assert.throws(() => cosign(cosigned, { name, signer: witness, seconds }), InvalidArgument);
    }
  });
});

describe("the key of a witness", () => {
  test("goes to text and back, and is no key of a log", () => {
    const text = formatWitnessKey(key);
    assert.deepEqual(parseWitnessKey(text), key);
    assert.throws(() => parseVerifierKey(text), Unsupported);
    assert.throws(() => parseWitnessKey(formatVerifierKey(verifierKey(name, witness.publicKey))), Unsupported);
    assert.throws(() => parseWitnessKey(text.replace(key.keyId, "00000000")), Malformed);
    assert.throws(() => parseWitnessKey("w"), Malformed);
  });
});
