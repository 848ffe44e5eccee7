// Topic signatures: Ed25519 by the one rule of FORMATS §6, on inputs at which libraries disagree. Oracle: the rule itself on bigints
// (test/core/signature/slow-ed25519.ts).
import { concatBytes, fromHex, toHex, utf8 } from "#src/core/bytes.js";
import {
  BASE,
  bytesOf,
  crafted,
  encodingOf,
  L,
  little,
  MIXED_PARTS,
  PARTS,
  SMALL,
  times,
  verdict,
  type Part,
  type Signed,
} from "../../core/signature/slow-ed25519.js";
import { CaseList, type Topic } from "../case.js";

export function signatureCases(): Topic {
  const cases = new CaseList("signatures");
  const add = (name: string, { publicKey, message, signature }: Signed): void => {
    const input = { key: toHex(publicKey), message: toHex(message), signature: toHex(signature) };
    const isOfSize = publicKey.length === 32 && signature.length === 64;
    const valid = isOfSize && verdict({ publicKey, message, signature });
    cases.accept(name, { operation: "signature.verify", input }, { valid });
  };
  const message = utf8("message");
  const honestR: Part = { what: "honest", bytes: encodingOf(times(BASE, 77n)), scalar: 77n };
  const honestKey = MIXED_PARTS[0]!;
  const honest = crafted(honestKey, honestR, message);
  add("honest", honest);
  add("RFC 8032, test 3", {
    publicKey: fromHex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"),
    message: fromHex("af82"),
    signature: fromHex(
      "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
  });
  add("another message", { ...honest, message: utf8("massage") });
  for (const [index, part] of PARTS.entries()) {
    add(`key ${index}, ${part.what}`, crafted(part, honestR, message));
    add(`R ${index}, ${part.what}`, crafted(honestKey, part, message));
    // Where R is small, only a key of mixed order can satisfy the equation.
    add(`key of mixed order, R ${index}`, crafted(MIXED_PARTS[1]!, part, message));
  }
  for (let index = 0; index < 24; index += 1) {
    const text = utf8(`message ${index}`);
    add(`mixed order, message ${index}`, crafted(MIXED_PARTS[1]!, honestR, text));
    const small = SMALL[index % SMALL.length]!;
    add(`small R, message ${index}`, crafted(MIXED_PARTS[1]!, { what: "", bytes: small.bytes, scalar: 0n }, text));
  }
  const S = little(honest.signature.subarray(32));
  for (const [name, scalar] of Object.entries({
    "S + L": S + L,
    "S + 8L": S + 8n * L,
    L,
    "L − 1": L - 1n,
    zero: 0n,
    "2^255 − 1": 2n ** 255n - 1n,
  })) {
    add(`S is ${name}`, { ...honest, signature: concatBytes(honestR.bytes, bytesOf(scalar)) });
  }
  add("a signature of 63 bytes", { ...honest, signature: honest.signature.subarray(0, 63) });
  add("a signature of 65 bytes", { ...honest, signature: concatBytes(honest.signature, Uint8Array.of(0)) });
  add("a key of 31 bytes", { ...honest, publicKey: honest.publicKey.subarray(1) });
  return cases.topic("Ed25519 signatures, valid or not by the one strict rule (FORMATS §6).");
}
