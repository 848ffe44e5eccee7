// Topic log: leaves, the tree and its proofs, tiles, verifier keys, notes and checkpoints (FORMATS §7). Oracle: the shared vectors;
// RFC 6962 word for word with node's SHA-256 (test/core/log/slow-tree.ts); notes put together here and signed by node.
import { createHash, createPrivateKey, createPublicKey, sign } from "node:crypto";
import * as dagCbor from "@ipld/dag-cbor";
import { concatBytes, fromHex, toHex, u64be, utf8 } from "#src/core/bytes.js";
import { slowConsistency, slowInclusion, slowRoot } from "../../core/log/slow-tree.js";
import { readVectors } from "../../support/vectors.js";
import { CaseList, hexList, type Json, type Topic } from "../case.js";

interface LogVectors {
  readonly leaves: readonly string[];
  readonly roots: readonly string[];
  readonly checkpoint: { readonly leaves: readonly string[]; readonly note: string };
}

type Input = Record<string, Json>;
const [FAILED, MALFORMED, UNSUPPORTED] = ["VERIFICATION_FAILED", "MALFORMED", "UNSUPPORTED"];
const vectors = readVectors("log") as LogVectors;

export function logCases(): Topic {
  const cases = new CaseList("log");
  leafCases(cases);
  treeCases(cases);
  tileCases(cases);
  keyCases(cases);
  noteCases(cases);
  checkpointCases(cases);
  return cases.topic(
    "Leaves, tree, inclusion, consistency, tiles, verifier keys, notes and checkpoints of the log (FORMATS §7).",
  );
}

function leafCases(cases: CaseList): void {
  const root = new Uint8Array(32).fill(3);
  const ask = (wire: unknown, index: number): { operation: string; input: Input } => ({
    operation: "log.leaf",
    input: { bytes: toHex(dagCbor.encode(wire)), index },
  });
  const { note } = vectors.checkpoint;
  const accept = (name: string, time: number, index: number, first?: Input): void => {
    const wire = [1, time, root, ...(first === undefined ? [] : [first])];
    cases.accept(`leaf ${name}`, ask(wire, index), { time, refs_root: toHex(root), reason: first?.["reason"] ?? null });
  };
  accept("plain", 5, 1);
  accept("far in the log", 2 ** 53 - 1, 2 ** 53 - 2);
  accept("created", 5, 0, { reason: "created" });
  for (const reason of ["restored", "cloned", "rekeyed"]) accept(reason, 5, 0, { reason, previous: note });
  accept("created, with members not known", 5, 0, { reason: "created", later: [1] });
  const broken: Readonly<Record<string, readonly [wire: unknown, index: number]>> = {
    "a map": [{}, 1],
    empty: [[], 1],
    "without a root": [[1, 5], 1],
    "with a fourth element": [[1, 5, root, { reason: "created" }], 1],
    "with null for a fourth element": [[1, 5, root, null], 1],
    "at 0 without a beginning": [[1, 5, root], 0],
    "at 0 with null": [[1, 5, root, null], 0],
    "at 0 without a reason": [[1, 5, root, {}], 0],
    "at 0 with an unknown reason": [[1, 5, root, { reason: "born" }], 0],
    "at 0, restored from nothing": [[1, 5, root, { reason: "restored" }], 0],
    "at 0, rekeyed from no text": [[1, 5, root, { reason: "rekeyed", previous: 1 }], 0],
    "at 0 with a fifth element": [[1, 5, root, { reason: "created" }, 1], 0],
    "a time below 0": [[1, -5, root], 1],
    "a time that is no integer": [[1, 1.5, root], 1],
    "a root of 31 bytes": [[1, 5, root.subarray(1)], 1],
    "a root that is text": [[1, 5, "root"], 1],
    "a version that is text": [["1", 5, root], 1],
  };
  for (const [name, [wire, index]] of Object.entries(broken)) cases.refuse(`leaf ${name}`, ask(wire, index), MALFORMED);
  // A text of 65,500 bytes, named by the byte that it repeats.
  const long = dagCbor.encode([1, 5, root, { reason: "created", later: "x".repeat(65_500) }]);
  const at = Buffer.from(long).indexOf("x".repeat(65_500));
  const bytes = [toHex(long.subarray(0, at)), { repeat: ["78", 65_500] }, toHex(long.subarray(at + 65_500))];
  cases.refuse("leaf over 65,535 bytes", { operation: "log.leaf", input: { bytes, index: 0 } }, MALFORMED);
  cases.refuse("leaf of no bytes", { operation: "log.leaf", input: { bytes: "", index: 1 } }, MALFORMED);
  for (const version of [0, 2, -1])
    cases.refuse(`leaf of version ${version}`, ask([version, "whatever"], 0), UNSUPPORTED);
}

/** Leaf i of made logs: i in eight bytes, big-endian. */
function numbered(count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, index) => u64be(index));
}

function treeCases(cases: CaseList): void {
  for (const [size, root] of vectors.roots.entries()) {
    const leaves = vectors.leaves.slice(0, size);
    cases.accept(`root of ${size}, vector`, { operation: "log.root", input: { leaves } }, { root });
  }
  for (const count of [31, 100, 257]) {
    const input = { numbered: count };
    cases.accept(`root of ${count}`, { operation: "log.root", input }, { root: toHex(slowRoot(numbered(count))) });
  }
  for (const [index, size] of [
    [0, 1],
    [0, 2],
    [1, 2],
    [2, 3],
    [0, 7],
    [3, 7],
    [6, 7],
    [7, 8],
    [4, 13],
    [12, 13],
    [99, 100],
    [64, 100],
  ] as const) {
    const leaves = numbered(size);
    const proof = slowInclusion(index, leaves);
    const input = { index, size, leaf: toHex(leaves[index]!), root: toHex(slowRoot(leaves)), proof: hexList(proof) };
    cases.accept(`inclusion of ${index} in ${size}`, { operation: "log.inclusion", input }, {});
    const refuse = (name: string, changed: Input): void =>
      cases.refuse(
        `inclusion of ${index} in ${size}, ${name}`,
        { operation: "log.inclusion", input: { ...input, ...changed } },
        FAILED,
      );
    refuse("another leaf", { leaf: toHex(u64be(1000)) });
    refuse("another root", { root: "00".repeat(32) });
    refuse("a hash more", { proof: hexList([...proof, new Uint8Array(32)]) });
    refuse("beyond the size", { index: size });
    if (proof.length === 0) continue;
    refuse("a hash short", { proof: hexList(proof.slice(0, -1)) });
    refuse("a short hash", { proof: hexList([proof[0]!.subarray(1), ...proof.slice(1)]) });
    refuse("another index", { index: index === 0 ? 1 : index - 1 });
    if (proof.length > 1) refuse("in another order", { proof: hexList([...proof].reverse()) });
  }
  for (const [from, to] of [
    [1, 2],
    [1, 8],
    [2, 8],
    [3, 7],
    [4, 7],
    [6, 8],
    [7, 13],
    [8, 13],
    [12, 13],
    [64, 100],
    [99, 100],
    [5, 5],
    [0, 5],
  ] as const) {
    const leaves = numbered(to);
    const proof = from === 0 || from === to ? [] : slowConsistency(from, leaves);
    const input = {
      from,
      to,
      from_root: toHex(slowRoot(leaves.slice(0, from))),
      to_root: toHex(slowRoot(leaves)),
      proof: hexList(proof),
    };
    cases.accept(`consistency of ${from} with ${to}`, { operation: "log.consistency", input }, {});
    const refuse = (name: string, changed: Input): void =>
      cases.refuse(
        `consistency of ${from} with ${to}, ${name}`,
        { operation: "log.consistency", input: { ...input, ...changed } },
        FAILED,
      );
    refuse("another old root", { from_root: "11".repeat(32) });
    if (from > 0) refuse("another new root", { to_root: "11".repeat(32) });
    refuse("a hash more", { proof: hexList([...proof, new Uint8Array(32)]) });
    refuse("backwards", { from: to + 1 });
    if (proof.length > 0) refuse("a hash short", { proof: hexList(proof.slice(1)) });
  }
}

function tileCases(cases: CaseList): void {
  const paths: readonly (readonly [level: number, index: number, width: number, path: string])[] = [
    [0, 0, 256, "tile/0/000"],
    [0, 0, 1, "tile/0/000.p/1"],
    [0, 1, 44, "tile/0/001.p/44"],
    [1, 0, 1, "tile/1/000.p/1"],
  ];
  const leaves = numbered(300);
  for (const [level, index, width, path] of paths) {
    const step = 256 ** level;
    const hashes = Array.from({ length: width }, (_, at) =>
      slowRoot(leaves.slice((index * 256 + at) * step, (index * 256 + at + 1) * step)),
    );
    const tile = createHash("sha256")
      .update(concatBytes(...hashes))
      .digest("hex");
    const input = { numbered: 300, level, index, width };
    cases.accept(`tile ${path}`, { operation: "log.tile", input }, { path, sha256: tile });
  }
  const far: readonly (readonly [level: number, index: number, width: number, path: string])[] = [
    [0, 1_234_067, 256, "tile/0/x001/x234/067"],
    [3, 999, 7, "tile/3/999.p/7"],
    [6, 1000, 256, "tile/6/x001/000"],
  ];
  for (const [level, index, width, path] of far) {
    cases.accept(`path ${path}`, { operation: "log.tile-path", input: { level, index, width } }, { path });
  }
}

interface NamedKey {
  readonly name: string;
  readonly publicKey: Uint8Array;
  readonly keyId: string;
  readonly text: string;
  readonly sign: (message: string | Uint8Array) => Uint8Array;
}

/** A key from a seed of 32 equal bytes, with node's Ed25519. */
export function namedKey(name: string, seed: number): NamedKey {
  const der = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), Buffer.alloc(32, seed)]);
  const secret = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  const publicKey = createPublicKey(secret).export({ format: "der", type: "spki" }).subarray(-32);
  const material = concatBytes(Uint8Array.of(1), publicKey);
  const keyId = keyIdOf(name, material);
  const text = `${name}+${keyId}+${Buffer.from(material).toString("base64")}`;
  return { name, publicKey, keyId, text, sign: (message) => sign(null, Buffer.from(message), secret) };
}

/** A witness (C2SP tlog-cosignature): its key is of type 4, and it signs the time with the text. */
export interface NamedWitness {
  /** Text of its verifier key. */
  readonly text: string;
  /** The note with its line. */
  readonly cosign: (note: string, seconds: number) => string;
}

export function namedWitness(name: string, seed: number): NamedWitness {
  const { publicKey, sign: signBytes } = namedKey(name, seed);
  const material = concatBytes(Uint8Array.of(4), publicKey);
  const keyId = keyIdOf(name, material);
  return {
    text: `${name}+${keyId}+${Buffer.from(material).toString("base64")}`,
    cosign: (note, seconds) => {
      const text = note.slice(0, note.indexOf("\n\n") + 1);
      const signature = signBytes(utf8(`cosignature/v1\ntime ${seconds}\n${text}`));
      return note + signatureLine(name, keyId, concatBytes(u64be(seconds), signature));
    },
  };
}

function keyIdOf(name: string, material: Uint8Array): string {
  return createHash("sha256").update(name).update("\n").update(material).digest("hex").slice(0, 8);
}

function signatureLine(name: string, keyId: string, value: Uint8Array): string {
  return `— ${name} ${Buffer.concat([Buffer.from(keyId, "hex"), value]).toString("base64")}\n`;
}

/** C2SP signed-note: the text, an empty line, and a line a signature. */
function signedNote(text: string, ...keys: readonly NamedKey[]): string {
  return `${text}\n${keys.map((key) => signatureLine(key.name, key.keyId, key.sign(text))).join("")}`;
}

const KEY = namedKey("log.example/7", 9);
const OTHER = namedKey("witness.example/w", 8);

function keyCases(cases: CaseList): void {
  const ask = (text: string): { operation: string; input: Input } => ({ operation: "key.parse", input: { text } });
  for (const key of [KEY, OTHER, namedKey("ü", 1)]) {
    cases.accept(`key ${key.name}`, ask(key.text), {
      name: key.name,
      key_id: key.keyId,
      public_key: toHex(key.publicKey),
    });
  }
  const { name, keyId, publicKey } = KEY;
  const material = concatBytes(Uint8Array.of(1), publicKey);
  const base64 = Buffer.from(material).toString("base64");
  const textOf = (keyName: string, bytes: Uint8Array): string =>
    `${keyName}+${keyIdOf(keyName, bytes)}+${Buffer.from(bytes).toString("base64")}`;
  for (const type of [0, 2, 4, 255]) {
    cases.refuse(`key of type ${type}`, ask(textOf(name, concatBytes(Uint8Array.of(type), publicKey))), UNSUPPORTED);
  }
  const broken: Readonly<Record<string, string>> = {
    "that is nothing": "",
    "of three empty parts": "++",
    "that is a name alone": name,
    "without material": `${name}+${keyId}+`,
    "with an id in capitals": `${name}+${keyId.toUpperCase()}+${base64}`,
    "with another id": `${name}+00000000+${base64}`,
    "of another name": `${name}x+${keyId}+${base64}`,
    "without a name": `+${keyIdOf("", material)}+${base64}`,
    "with a space in its name": textOf("a b", material),
    "with a control character in its name": textOf("a\u0001b", material),
    "with a line end behind it": `${KEY.text}\n`,
    "with padding too much": `${KEY.text}=`,
    "of 31 bytes": textOf(name, material.subarray(0, 32)),
    "of 33 bytes": textOf(name, concatBytes(material, Uint8Array.of(0))),
  };
  for (const [what, text] of Object.entries(broken)) cases.refuse(`key ${what}`, ask(text), MALFORMED);
}

function noteCases(cases: CaseList): void {
  const ask = (note: string, keys: readonly string[] = [KEY.text]): { operation: string; input: Input } => ({
    operation: "note.verify",
    input: { note, keys },
  });
  const accept = (
    name: string,
    note: string,
    output: { text: string; signed_by: readonly string[] },
    keys?: readonly string[],
  ): void => cases.accept(`note ${name}`, ask(note, keys), output);
  const signedBy = [`${KEY.name}+${KEY.keyId}`];
  const go = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
  const goText =
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
  const goNote = `${goText}\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n`;
  accept("of Go's sumdb/note", goNote, { text: goText, signed_by: ["PeterNeumann+c74f20a3"] }, [go]);
  for (const [index, text] of ["a\n\nb\n", "\n", "a\n\n", "\n\n\n", "— x\n\n— y\n", "\ufeffü\n"].entries()) {
    accept(`with odd text ${index}`, signedNote(text, KEY), { text, signed_by: signedBy });
  }
  const text = "text\n";
  const own = signatureLine(KEY.name, KEY.keyId, KEY.sign(text));
  const zero = new Uint8Array(64);
  accept("cosigned by one not trusted", signedNote(text, KEY, OTHER), { text, signed_by: signedBy });
  const both = [...signedBy, `${OTHER.name}+${OTHER.keyId}`];
  accept("cosigned by one trusted", signedNote(text, KEY, OTHER), { text, signed_by: both }, [KEY.text, OTHER.text]);
  const unknown: Readonly<Record<string, string>> = {
    "of another type and length": signatureLine("w/ü", "00000000", Uint8Array.of(1)),
    "of the same name, another id": signatureLine(KEY.name, "01020304", zero),
    "of the same id, another name": signatureLine("elsewhere", KEY.keyId, new Uint8Array(400)),
    "that would be invalid": signatureLine(OTHER.name, OTHER.keyId, zero),
  };
  for (const [name, line] of Object.entries(unknown)) {
    accept(`with an unknown signature ${name}`, `${text}\n${line}${own}`, { text, signed_by: signedBy });
  }
  accept("of 100 signatures", `${text}\n${unknown["of another type and length"]!.repeat(99)}${own}`, {
    text,
    signed_by: signedBy,
  });
  const refuse = (name: string, note: string, error: string, keys?: readonly string[]): void =>
    cases.refuse(`note ${name}`, ask(note, keys), error);
  refuse("not signed by the key", signedNote(text, OTHER), FAILED);
  refuse("of other text", `other\n\n${own}`, FAILED);
  refuse("with an invalid signature by the key", `${text}\n${signatureLine(KEY.name, KEY.keyId, zero)}`, FAILED);
  refuse(
    "with a short signature by the key",
    `${text}\n${signatureLine(KEY.name, KEY.keyId, zero.subarray(1))}`,
    FAILED,
  );
  refuse(
    "with a valid and an invalid signature by the key",
    `${text}\n${own}${signatureLine(KEY.name, KEY.keyId, zero)}`,
    FAILED,
  );
  refuse("under no key", signedNote(text, KEY), "NOT_ANCHORED", []);
  const line = "— a MTIzNHg=\n";
  const broken: Readonly<Record<string, string>> = {
    "that is nothing": "",
    "of an empty line": "\n",
    "of two empty lines": "\n\n",
    "without signatures": "t\n\n",
    "without an empty line": `t\n${line}`,
    "without a last line end": `t\n\n${line.slice(0, -1)}`,
    "with an empty line behind": `t\n\n${line}\n`,
    "with another line behind": `t\n\n${line}x\n`,
    "with a carriage return": `t\r\n\n${line}`,
    "with a tab": `t\t\n\n${line}`,
    "with a zero": `t\0\n\n${line}`,
    "with a hyphen for the dash": `t\n\n-${line.slice(1)}`,
    "with two spaces": `t\n\n—  ${line.slice(2)}`,
    "with a name alone": "t\n\n— a\n",
    "with four bytes": "t\n\n— a MTIzNA==\n",
    "without padding": "t\n\n— a MTIzNHg\n",
    "with unused bits": "t\n\n— a MTIzNHh=\n",
    "with a space behind": "t\n\n— a MTIzNHg= \n",
    "with the other alphabet": "t\n\n— a MTIzN-g=\n",
    "with a plus in the name": "t\n\n— a+b MTIzNHg=\n",
    "with a space in the name": "t\n\n— a\u00a0b MTIzNHg=\n",
    "of 101 signatures": `t\n\n${line.repeat(101)}`,
    "over 64 KiB": `${"t".repeat(65_536)}\n\n${line}`,
  };
  for (const [name, note] of Object.entries(broken)) refuse(name, note, MALFORMED);
}

function checkpointCases(cases: CaseList): void {
  const ask = (note: string, key: string = KEY.text): { operation: string; input: Input } => ({
    operation: "checkpoint.verify",
    input: { note, key },
  });
  const leaves = numbered(5);
  const root = Buffer.from(slowRoot(leaves)).toString("base64");
  const output = { origin: KEY.name, size: 5, root: toHex(fromHex(Buffer.from(root, "base64").toString("hex"))) };
  const accept = (name: string, text: string, expected: Json = output): void =>
    cases.accept(`checkpoint ${name}`, ask(signedNote(text, KEY)), expected);
  accept("plain", `${KEY.name}\n5\n${root}\n`);
  accept("with extension lines", `${KEY.name}\n5\n${root}\nmore\nand more: ü\n`);
  const most = 2 ** 53 - 1;
  accept("of the largest size", `${KEY.name}\n${most}\n${root}\n`, { ...output, size: most });
  const empty = Buffer.from(slowRoot([]));
  accept("of the empty log", `${KEY.name}\n0\n${empty.toString("base64")}\n`, {
    ...output,
    size: 0,
    root: empty.toString("hex"),
  });
  const refuse = (name: string, text: string, error: string): void =>
    cases.refuse(`checkpoint ${name}`, ask(signedNote(text, KEY)), error);
  refuse("of another origin", `elsewhere\n5\n${root}\n`, FAILED);
  cases.refuse("checkpoint under another key", ask(signedNote(`${KEY.name}\n5\n${root}\n`, KEY), OTHER.text), FAILED);
  const broken: Readonly<Record<string, string>> = {
    "without a root": `${KEY.name}\n5\n`,
    "with a size of 05": `${KEY.name}\n05\n${root}\n`,
    "with a size of +5": `${KEY.name}\n+5\n${root}\n`,
    "with a size of -1": `${KEY.name}\n-1\n${root}\n`,
    "with a size of 2^53": `${KEY.name}\n9007199254740992\n${root}\n`,
    "with a size that is no number": `${KEY.name}\nfive\n${root}\n`,
    "with a root of 31 bytes": `${KEY.name}\n5\n${Buffer.alloc(31).toString("base64")}\n`,
    "with a root of the other alphabet": `${KEY.name}\n5\n${"-".repeat(42)}A=\n`,
    "with an empty origin": `\n5\n${root}\n`,
    "with an empty extension line": `${KEY.name}\n5\n${root}\n\nmore\n`,
    "of the empty log with another root": `${KEY.name}\n0\n${root}\n`,
  };
  for (const [name, text] of Object.entries(broken)) refuse(name, text, MALFORMED);
  const { note } = vectors.checkpoint;
  cases.accept("checkpoint vector, not verified", { operation: "checkpoint.parse", input: { note } }, parsed(note));
}

/** The first three lines. */
function parsed(note: string): Json {
  const [origin = "", size = "", root = ""] = note.split("\n");
  return { origin, size: Number(size), root: Buffer.from(root, "base64").toString("hex") };
}

/** So that other topics make notes alike. */
export function checkpointNote(key: NamedKey, leaves: readonly Uint8Array[]): string {
  return signedNote(`${key.name}\n${leaves.length}\n${Buffer.from(slowRoot(leaves)).toString("base64")}\n`, key);
}
