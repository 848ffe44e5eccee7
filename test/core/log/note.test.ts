// Goal: notes, verifier keys, checkpoints and origins are the bytes of the C2SP specifications; what a note claims is
// believed only with a valid signature by a trusted key; no altered note claims anything else.
// Method: the shared vectors, the examples of the specifications and of Go's implementation; broken forms one by one;
// every bit of a note flipped.
import test from "node:test";
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { fromHex, fromUtf8, toHex, utf8 } from "#src/core/bytes.js";
import {
  InvalidArgument,
  Malformed,
  NeleusError,
  NotAnchored,
  Unsupported,
  VerificationFailed,
} from "#src/core/errors.js";
import {
  Frontier,
  decodeLogLeaf,
  formatNote,
  formatOrigin,
  formatVerifierKey,
  logLeafHash,
  parseCheckpointUnverified,
  parseNote,
  parseOrigin,
  parseVerifierKey,
  signCheckpoint,
  signNote,
  verifierKey,
  verifyCheckpoint,
  verifyNote,
} from "#src/core/log/index.js";
import { signerFromSeed } from "#src/core/signature/index.js";
import type { Signer } from "#src/core/signature/index.js";
import { readVectors } from "../../support/vectors.js";

const vectors = readVectors("log") as { checkpoint: { leaves: string[]; note: string; verifier_key: string } };
const { note, verifier_key: keyText } = vectors.checkpoint;
const origin = "neleus/00112233445566778899aabbccddeeff/1";
const signerOf = (name: string): Signer => signerFromSeed(createHash("sha256").update(name).digest());
const logSigner = signerOf("log");
const logKey = parseVerifierKey(keyText);
const other = signerOf("other");

test("vectors: the checkpoint over its leaves, both ways", () => {
  const frontier = Frontier.empty();
  for (const [index, hex] of vectors.checkpoint.leaves.entries()) {
    const leaf = fromHex(hex);
    assert.equal(decodeLogLeaf(leaf, index).first?.reason, index === 0 ? "created" : undefined);
    frontier.append(logLeafHash(leaf));
  }
  const root = frontier.root();
  assert.deepEqual(verifyCheckpoint(note, logKey), { origin, size: 4, root });
  assert.deepEqual(parseCheckpointUnverified(note), { origin, size: 4, root });
  assert.equal(signCheckpoint({ origin, size: 4, root }, logSigner), note);
});

test("vectors: the verifier key, both ways", () => {
  assert.deepEqual(logKey, verifierKey(origin, logSigner.publicKey));
  assert.equal(formatVerifierKey(logKey), keyText);
});

test("the example of Go's sumdb/note verifies", () => {
  const key = parseVerifierKey("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW");
  const text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
  const first =
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
  const second =
    "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";
  assert.equal(verifyNote(`${text}\n${first}`, [key]).text, text);
  const both = verifyNote(`${text}\n${first}${second}`, [key]);
  assert.deepEqual([both.signedBy, both.signatures.length], [[key], 2]);
  assert.equal(formatNote(both), `${text}\n${first}${second}`);
});

test("a text may hold empty lines: the last one separates", () => {
  for (const text of ["a\n\nb\n", "\n", "a\n\n", "\n\n\n", "— x\n\n— y\n"]) {
    const signed = signNote({ text, signatures: [] }, { name: "log.example", signer: logSigner });
    const verified = verifyNote(signed, [verifierKey("log.example", logSigner.publicKey)]);
    assert.equal(verified.text, text);
  }
});

test("unknown signatures are ignored, of any length and type; an invalid one by a known key spoils the note", () => {
  const { text, signatures } = parseNote(note);
  const [own] = signatures;
  assert.ok(own);
  const cosigned = signNote({ text, signatures }, { name: "witness.example/w", signer: other });
  assert.equal(verifyCheckpoint(cosigned, logKey).size, 4);
  const odd = { name: "witness.example/ü", keyId: "00000000", value: new Uint8Array(1) };
  const sameName = { name: own.name, keyId: "01020304", value: new Uint8Array(64) };
  const sameId = { name: "elsewhere", keyId: own.keyId, value: new Uint8Array(4000) };
  assert.equal(verifyCheckpoint(formatNote({ text, signatures: [odd, sameName, sameId, own] }), logKey).size, 4);
  // The same signature twice is one.
  assert.equal(verifyNote(formatNote({ text, signatures: [own, own] }), [logKey]).signedBy.length, 1);
  for (const value of [new Uint8Array(64), own.value.subarray(1), Uint8Array.of(...own.value, 0)]) {
    for (const list of [
      [own, { ...own, value }],
      [{ ...own, value }, own],
    ]) {
      assert.throws(() => verifyNote(formatNote({ text, signatures: list }), [logKey]), VerificationFailed);
    }
  }
});

test("a note without a signature by a trusted key is refused", () => {
  const stranger = verifierKey(origin, other.publicKey);
  assert.throws(() => verifyNote(note, [stranger]), VerificationFailed);
  assert.throws(() => verifyNote(note, [verifierKey("elsewhere", logSigner.publicKey)]), VerificationFailed);
  assert.throws(() => verifyNote(note, []), NotAnchored);
  assert.deepEqual(verifyNote(note, [stranger, logKey]).signedBy, [logKey]);
  // Another key under the same short id is found, and fails.
  assert.throws(() => verifyNote(note, [{ ...stranger, keyId: logKey.keyId }]), VerificationFailed);
  assert.deepEqual(verifyNote(note, [{ ...stranger, keyId: logKey.keyId }, logKey]).signedBy, [logKey]);
});

test("signing again by the same key replaces its signature, others stay", () => {
  const first = signNote(parseNote(note), { name: "w", signer: other });
  assert.equal(signNote(parseNote(first), { name: "w", signer: other }), first);
  assert.deepEqual(
    parseNote(signNote(parseNote(first), { name: origin, signer: logSigner })).signatures.map(({ name }) => name),
    ["w", origin],
  );
});

test("broken notes are malformed", () => {
  const line = `— a ${Buffer.from("1234x").toString("base64")}\n`;
  assert.equal(parseNote(`t\n\n${line}`).signatures.length, 1);
  const broken = [
    "",
    "\n",
    "\n\n",
    "t\n",
    "t\n\n",
    `t\n${line}`,
    `t\n\n${line.slice(0, -1)}`,
    `t\n\n${line}\n`,
    `t\n\n${line}x\n`,
    `t\r\n\n${line}`,
    `t\t\n\n${line}`,
    `t\0\n\n${line}`,
    `t\ud800\n\n${line}`,
    `t\n\n-${line.slice(1)}`,
    `t\n\n—${line.slice(2)}`,
    `t\n\n—  ${line.slice(2)}`,
    "t\n\n— a\n",
    "t\n\n— a \n",
    "t\n\n— a MTIzNA==\n",
    "t\n\n— a MTIzNHg\n",
    "t\n\n— a MTIzNHh=\n",
    "t\n\n— a MTIzNHg= \n",
    "t\n\n— a MTIzNHg= x\n",
    "t\n\n— a MTIzN-g=\n",
    "t\n\n— a+b MTIzNHg=\n",
    "t\n\n— a\u00a0b MTIzNHg=\n",
    "t\n\n— a\u2003 MTIzNHg=\n",
    "t\n\n—  MTIzNHg=\n",
    `t\n\n${line.repeat(101)}`,
    `${"t".repeat(70_000)}\n\n${line}`,
    `${"ü".repeat(33_000)}\n\n${line}`,
  ];
  for (const encoded of broken)
    assert.throws(() => parseNote(encoded), Malformed, JSON.stringify(encoded.slice(0, 60)));
  assert.equal(parseNote(`t\n\n${line.repeat(100)}`).signatures.length, 100);
  // A BOM is a character like any other.
  assert.equal(parseNote(`\ufefft\n\n${line}`).text, "\ufefft\n");
});

test("parts that make no note are refused", () => {
  const signature = { name: "a", keyId: "01020304", value: Uint8Array.of(1) };
  const parts: { text: string; signatures: (typeof signature)[] }[] = [
    { text: "t", signatures: [signature] },
    { text: "", signatures: [signature] },
    // Would read back as a shorter text with one signature more.
    { text: "t\n\n— b MTIzNHg=", signatures: [signature] },
    { text: "t\n", signatures: [] },
    { text: "t\n", signatures: [{ ...signature, name: "a b" }] },
    { text: "t\n", signatures: [{ ...signature, name: "a\n— b" }] },
    { text: "t\n", signatures: [{ ...signature, name: "" }] },
    { text: "t\n", signatures: [{ ...signature, keyId: "0102030" }] },
    { text: "t\n", signatures: [{ ...signature, keyId: "010203" }] },
    { text: "t\n", signatures: [{ ...signature, value: new Uint8Array(0) }] },
    { text: "t\u0007\n", signatures: [signature] },
  ];
  for (const made of parts) assert.throws(() => formatNote(made), InvalidArgument, JSON.stringify(made));
  const liar: Signer = { publicKey: logSigner.publicKey, sign: () => new Uint8Array(64) };
  assert.throws(() => signNote({ text: "t\n", signatures: [] }, { name: "a", signer: liar }), InvalidArgument);
  assert.throws(() => signNote({ text: "t\n", signatures: [] }, { name: "a b", signer: logSigner }), InvalidArgument);
});

test("checkpoints: extension lines are ignored; broken ones are malformed", () => {
  const root = "/kMzdjPys03FWCS2UjqDILF+KK0U2cl178WfALFnMwk=";
  const sign = (text: string): string => signNote({ text, signatures: [] }, { name: origin, signer: logSigner });
  assert.equal(verifyCheckpoint(sign(`${origin}\n4\n${root}\nextension one\ntwo\n`), logKey).size, 4);
  assert.equal(verifyCheckpoint(sign(`${origin}\n9007199254740991\n${root}\n`), logKey).size, 2 ** 53 - 1);
  const broken = [
    `${origin}\n4\n`,
    `${origin}\n`,
    `\n4\n${root}\n`,
    `${origin}\n\n${root}\n`,
    `${origin}\n4\n${root}\n\n`,
    `${origin}\n4\n${root}\nx\n\ny\n`,
    `${origin}\n04\n${root}\n`,
    `${origin}\n+4\n${root}\n`,
    `${origin}\n4 \n${root}\n`,
    `${origin}\n-1\n${root}\n`,
    `${origin}\n4.0\n${root}\n`,
    `${origin}\n4e1\n${root}\n`,
    `${origin}\n0x4\n${root}\n`,
    `${origin}\n9007199254740992\n${root}\n`,
    `${origin}\n99999999999999999999\n${root}\n`,
    `${origin}\n4\n${root.slice(4)}\n`,
    `${origin}\n4\n${root.slice(0, -1)}\n`,
    `${origin}\n4\n${root.replace("k=", "l=")}\n`,
    `${origin}\n4\nAAAA${root}\n`,
    `${origin}\n0\n${root}\n`,
  ];
  for (const text of broken) {
    assert.throws(() => verifyCheckpoint(sign(text), logKey), Malformed, JSON.stringify(text));
    assert.throws(() => parseCheckpointUnverified(sign(text)), Malformed);
  }
  // Signed by the right key, but the name of another log.
  const elsewhere = sign(`neleus/${"ab".repeat(16)}/1\n4\n${root}\n`);
  assert.throws(() => verifyCheckpoint(elsewhere, logKey), VerificationFailed);
  const hash = new Uint8Array(32);
  assert.throws(() => signCheckpoint({ origin, size: -1, root: hash }, logSigner), InvalidArgument);
  assert.throws(() => signCheckpoint({ origin, size: 1, root: new Uint8Array(31) }, logSigner), InvalidArgument);
  assert.throws(() => signCheckpoint({ origin: "a b", size: 1, root: hash }, logSigner), InvalidArgument);
  assert.throws(() => signCheckpoint({ origin: "a\n1", size: 1, root: hash }, logSigner), InvalidArgument);
});

test("a bit flipped in any byte of a cosigned checkpoint, and any bit of size and root: refused, or the identical claim", () => {
  const cosigned = utf8(signNote(parseNote(note), { name: "w", signer: other }));
  const expected = verifyCheckpoint(note, logKey);
  const textEnd = utf8(parseNote(note).text).length;
  const bits = Array.from({ length: cosigned.length }, (_, index) => index * 8 + (index % 8));
  for (let bit = utf8(origin).length * 8; bit < textEnd * 8; bit += 1) bits.push(bit);
  let same = 0;
  for (const bit of bits) {
    const flipped = cosigned.slice();
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    try {
      assert.deepEqual(verifyCheckpoint(fromUtf8(flipped), logKey), expected);
      assert.ok(bit >> 3 > utf8(note).length, "only the witness's line, which nobody asked about, may change");
      same += 1;
    } catch (error) {
      assert.ok(error instanceof NeleusError, String(error));
      assert.ok(["MALFORMED", "VERIFICATION_FAILED"].includes(error.code), error.message);
    }
  }
  assert.ok(same > 0);
});

test("verifier keys: broken ones are refused, other signature types are Unsupported", () => {
  const [, id = "", material = ""] = /^[^+]+\+([^+]+)\+(.*)$/.exec(keyText) ?? [];
  const keyId = (name: string, bytes: Buffer): string =>
    createHash("sha256").update(name).update("\n").update(bytes).digest("hex").slice(0, 8);
  const withType = (type: number): string => {
    const bytes = Buffer.from(material, "base64");
    bytes[0] = type;
    return `${origin}+${keyId(origin, bytes)}+${bytes.toString("base64")}`;
  };
  for (const type of [0, 2, 4, 6, 255]) assert.throws(() => parseVerifierKey(withType(type)), Unsupported);
  const short = Buffer.from(material, "base64").subarray(0, 32);
  const broken = [
    "",
    "+",
    "a+b+c",
    origin,
    `${origin}+${id}`,
    `${origin}+${id}+`,
    `${origin}+${id.toUpperCase()}+${material}`,
    `${origin}+00000000+${material}`,
    `${origin}x+${id}+${material}`,
    `+${id}+${material}`,
    `a b+${id}+${material}`,
    `a b+${keyId("a b", Buffer.from(material, "base64"))}+${material}`,
    `a\u0001b+${keyId("a\u0001b", Buffer.from(material, "base64"))}+${material}`,
    `${origin}+${id}+${material}=`,
    `${origin}+${id}+${material.slice(0, -1)}`,
    `${origin}+${id}+ ${material}`,
    `${origin}+${id}+${material}\n`,
    `${origin}+${keyId(origin, short)}+${short.toString("base64")}`,
    `${"x".repeat(2000)}+${id}+${material}`,
    `${origin}+${id}+${"A".repeat(100_000)}`,
  ];
  for (const text of broken) assert.throws(() => parseVerifierKey(text), Malformed, text.slice(0, 80));
  assert.throws(() => verifierKey("a+b", logSigner.publicKey), InvalidArgument);
  assert.throws(() => verifierKey("a", new Uint8Array(31)), InvalidArgument);
});

test("random keys, names and notes round-trip", () => {
  const names = fc
    .string({ unit: "grapheme", minLength: 1, maxLength: 12 })
    .filter((name) => /^[^\s+\p{White_Space}\p{Cs}\p{Cc}]+$/u.test(name));
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 70 });
  const lines = fc.array(
    fc.record(
      { name: names, keyId: fc.uint8Array({ minLength: 4, maxLength: 4 }).map(toHex), value: bytes },
      { noNullPrototype: true },
    ),
    { minLength: 1, maxLength: 5 },
  );
  const texts = fc.array(
    fc.string({ unit: "grapheme" }).filter((line) => !/[\p{Cc}\p{Cs}]/u.test(line)),
    { minLength: 1 },
  );
  fc.assert(
    fc.property(
      names,
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      texts,
      lines,
      (name, publicKey, text, signatures) => {
        const key = verifierKey(name, publicKey);
        assert.deepEqual(parseVerifierKey(formatVerifierKey(key)), key);
        const made = { text: `${text.join("\n")}\n`, signatures };
        assert.deepEqual(parseNote(formatNote(made)), made);
      },
    ),
    { numRuns: 300 },
  );
});

test("origins", () => {
  const databaseId = fromHex("00112233445566778899aabbccddeeff");
  assert.deepEqual(parseOrigin(origin), { host: "neleus", databaseId, epoch: 1 });
  for (const host of ["neleus", "db.example", "a", "localhost", "x-1.example.com", "10.0.0.1", `${"a".repeat(63)}.b`]) {
    for (const epoch of [1, 10, 2 ** 53 - 1]) {
      const made = { host, databaseId, epoch };
      assert.deepEqual(parseOrigin(formatOrigin(made)), made);
    }
  }
  const id = "00112233445566778899aabbccddeeff";
  const broken = [
    "",
    "neleus",
    `neleus/${id}`,
    `neleus/${id}/`,
    `neleus/${id}/0`,
    `neleus/${id}/01`,
    `neleus/${id}/-1`,
    `neleus/${id}/9007199254740992`,
    `neleus/${id}/1/`,
    `neleus/${id}/1\n`,
    `neleus/${id.toUpperCase()}/1`,
    `neleus/${id.slice(2)}/1`,
    `/${id}/1`,
    `Neleus/${id}/1`,
    `a_b/${id}/1`,
    `-a/${id}/1`,
    `a-/${id}/1`,
    `a..b/${id}/1`,
    `.a/${id}/1`,
    `a./${id}/1`,
    `a b/${id}/1`,
    `host:7117/${id}/1`,
    `${"a".repeat(64)}/${id}/1`,
    `${"a.".repeat(127)}a/${id}/1`,
    `ü/${id}/1`,
  ];
  for (const text of broken) assert.throws(() => parseOrigin(text), Malformed, text);
  assert.throws(() => formatOrigin({ host: "A", databaseId, epoch: 1 }), InvalidArgument);
  assert.throws(() => formatOrigin({ host: "a", databaseId: databaseId.subarray(1), epoch: 1 }), InvalidArgument);
  assert.throws(() => formatOrigin({ host: "a", databaseId, epoch: 0 }), InvalidArgument);
});
