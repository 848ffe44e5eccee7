// Topic objects: commits, manifests and cells (FORMATS §6, formats.cddl), the signatures in them and their keys in the ledger.
// Oracle: the shared vectors, and the CDDL: every member that it requires is left out in turn, every one replaced by null and by
// a value of another type, each closed list and bound passed. Hashes are those of @noble/hashes.
import { createHash } from "node:crypto";
import * as dagCbor from "@ipld/dag-cbor";
import { blake3 } from "@noble/hashes/blake3.js";
import { concatBytes, fromHex, toHex, u64be, utf8 } from "#src/core/bytes.js";
import type { Value, ValueMap } from "#src/core/codec/index.js";
import { fromNotation } from "../../support/notation.js";
import { readVectors } from "../../support/vectors.js";
import { CaseList, type Json, type Topic } from "../case.js";

interface ObjectVectors {
  readonly objects: readonly {
    readonly name: string;
    readonly tag: string;
    readonly value: Json;
    readonly cbor: string;
    readonly hash: string;
  }[];
}

/** Members that the CDDL marks with a question mark. */
const OPTIONAL: Readonly<Record<string, readonly string[]>> = {
  commit: ["database", "meta", "signatures"],
  document: ["title", "media", "meta", "signatures"],
  run: ["system_prompt", "tools", "error", "usage", "intent", "parent", "previous", "meta", "signatures"],
  intent: ["meta", "signatures"],
  provenance: ["meta", "signatures"],
  embedding: ["meta", "signatures"],
  attestation: ["meta"],
  erasure: ["meta", "signatures"],
};

/** One thing too much, by kind: what passes a bound, is no member of a closed list, or breaks a rule between members. */
const BROKEN: Readonly<Record<string, Readonly<Record<string, ValueMap>>>> = {
  commit: {
    "17 parents": { parents: Array.from({ length: 17 }, (_, index) => new Uint8Array(32).fill(index)) },
    "a parent twice": { parents: [new Uint8Array(32), new Uint8Array(32)] },
    "a parent of 31 bytes": { parents: [new Uint8Array(31)] },
    "a time below 0": { time: -1 },
    "a database of 15 bytes": { database: new Uint8Array(15) },
    "meta that is no text": { meta: { a: 1 } },
  },
  document: {
    "a blob of one element": { blob: [new Uint8Array(32)] },
    "a blob of three elements": { blob: [new Uint8Array(32), 1, 1] },
    "a negative size": { blob: [new Uint8Array(32), -1] },
  },
  run: {
    "an unknown status": { status: "unknown" },
    "an end before the start": { started: 2, ended: 1 },
    "an empty agent": { agent: "" },
    "an agent of 257 bytes": { agent: "a".repeat(257) },
    "an agent with U+0000": { agent: "a\0b" },
    "no list of signatures": { signatures: [] },
  },
  provenance: {
    "a confidence over 1": { confidence: 1.5 },
    "a confidence below 0": { confidence: -0.5 },
    "evidence of an unknown kind": { evidence: [{ kind: "hearsay" }] },
  },
  embedding: {
    "no dimensions": { dimensions: 0 },
    "65,537 dimensions": { dimensions: 65_537 },
    "an unknown metric": { metric: "manhattan" },
  },
  attestation: {
    "a subject of an unknown domain": { subject_tag: "blob:" },
    "no signatures": { signatures: [] },
  },
  erasure: { "no subjects": { subjects: [] } },
};

const MALFORMED = "MALFORMED";

function kindOf(tag: string, value: ValueMap): string {
  return tag === "commit:" ? "commit" : (value["kind"] as string);
}

function ask(tag: string, bytes: Uint8Array | string): { operation: string; input: Record<string, Json> } {
  return { operation: "object.decode", input: { tag, bytes: typeof bytes === "string" ? bytes : toHex(bytes) } };
}

function hashOf(tag: string, bytes: Uint8Array): string {
  return toHex(blake3(concatBytes(utf8(tag), bytes)));
}

export function objectCases(): Topic {
  const cases = new CaseList("objects");
  const { objects } = readVectors("object") as ObjectVectors;
  for (const { name, tag, cbor, hash, value } of objects) {
    const wire = fromNotation(value) as ValueMap;
    const kind = kindOf(tag, wire);
    cases.accept(name, ask(tag, cbor), { hash, kind });
    if (name !== "commit with a parent") changedCases(cases, { name, tag, wire, kind });
    signatureCases(cases, { name, tag, cbor, wire });
    if (tag === "manifest:") {
      const keys = ledgerKeys(kind, wire, hash).map(toHex);
      cases.accept(`ledger keys, ${name}`, { operation: "object.ledger-keys", input: { bytes: cbor } }, { keys });
    }
  }
  for (const [name, bytes] of Object.entries({
    nothing: "",
    list: "80",
    text: "6161",
    null: "f6",
    "two maps": "a0a0",
  })) {
    for (const tag of ["commit:", "manifest:"]) cases.refuse(`${name}, as ${tag}`, ask(tag, bytes), MALFORMED);
  }
  cellCases(cases);
  return cases.topic(
    "Commits, manifests of every kind, cells, signatures in objects and keys in the ledger (FORMATS §6).",
  );
}

interface Sample {
  readonly name: string;
  readonly tag: string;
  readonly wire: ValueMap;
  readonly kind: string;
}

function changedCases(cases: CaseList, { name, tag, wire, kind }: Sample): void {
  const changed = (members: Record<string, Value>): Uint8Array => dagCbor.encode({ ...wire, ...members });
  const accept = (what: string, bytes: Uint8Array): void =>
    cases.accept(`${name}, ${what}`, ask(tag, bytes), { hash: hashOf(tag, bytes), kind });
  const refuse = (what: string, bytes: Uint8Array, error = MALFORMED): void =>
    cases.refuse(`${name}, ${what}`, ask(tag, bytes), error);
  accept("with a member that is not known", changed({ zukunft: [1, { a: new Uint8Array(3) }] }));
  for (const v of [0, 2, 1000]) refuse(`version ${v}`, changed({ v }), "UNSUPPORTED");
  refuse("a version that is text", changed({ v: "1" }));
  refuse("a byte behind it", concatBytes(dagCbor.encode(wire), Uint8Array.of(0)));
  refuse("a byte short", Uint8Array.from(dagCbor.encode(wire)).subarray(0, -1));
  if (tag === "manifest:") {
    refuse("an unknown kind", changed({ kind: "diary" }), "UNSUPPORTED");
    refuse("a kind that is no text", changed({ kind: 1 }));
  }
  for (const member of Object.keys(wire)) {
    const { [member]: value, ...others } = wire;
    const without = dagCbor.encode(others);
    if (OPTIONAL[kind]?.includes(member) === true) accept(`without ${member}`, without);
    else refuse(`without ${member}`, without);
    refuse(`${member} null`, changed({ [member]: null }));
    if (member !== "v" && member !== "kind")
      refuse(`${member} of another type`, changed({ [member]: typeof value === "string" ? 7 : "seven" }));
  }
  for (const [what, members] of Object.entries(BROKEN[kind] ?? {})) refuse(what, changed(members));
}

function signatureCases(
  cases: CaseList,
  { name, tag, cbor, wire }: Pick<Sample, "name" | "tag" | "wire"> & { readonly cbor: string },
): void {
  const signatures = (wire["signatures"] ?? []) as ValueMap[];
  const input = (bytes: Uint8Array | string): { operation: string; input: Record<string, Json> } => ({
    operation: "object.signatures",
    input: ask(tag, bytes).input,
  });
  const keys = signatures.map(({ key }) => toHex(key as Uint8Array));
  const verdicts = (valid: (index: number) => boolean): Json => ({
    signatures: keys.map((key, index) => ({ key, valid: valid(index) })),
  });
  cases.accept(
    `signatures, ${name}`,
    input(cbor),
    verdicts(() => true),
  );
  if (signatures.length === 0) return;
  const changed = (members: Record<string, Value>): Uint8Array => dagCbor.encode({ ...wire, ...members });
  const [first, ...others] = signatures as [ValueMap, ...ValueMap[]];
  cases.accept(
    `signatures, ${name}, another object`,
    input(changed({ zukunft: 1 })),
    verdicts(() => false),
  );
  const zero = { ...first, value: new Uint8Array(64) };
  cases.accept(
    `signatures, ${name}, the first zero`,
    input(changed({ signatures: [zero, ...others] })),
    verdicts((index) => index > 0),
  );
  const refuse = (what: string, list: Value): void =>
    cases.refuse(`signatures, ${name}, ${what}`, input(changed({ signatures: list })), MALFORMED);
  refuse("one twice", [first, first, ...others]);
  refuse("another algorithm", [{ ...first, alg: "rsa" }, ...others]);
  refuse("a short key", [{ ...first, key: new Uint8Array(31) }, ...others]);
  refuse("a short value", [{ ...first, value: new Uint8Array(63) }, ...others]);
  refuse(
    "17 of them",
    Array.from({ length: 17 }, (_, index) => ({ ...first, key: new Uint8Array(32).fill(index) })),
  );
  if (others.length > 0) refuse("in another order", [...signatures].reverse());
}

/** FORMATS §6: `kind ‖ 0x00 ‖ u64be(time) ‖ hash`, and of runs one more by agent. */
function ledgerKeys(kind: string, wire: ValueMap, hash: string): Uint8Array[] {
  const time = u64be(Number(kind === "run" ? wire["started"] : wire["time"]));
  const zero = Uint8Array.of(0);
  const key = concatBytes(utf8(kind), zero, time, fromHex(hash));
  if (kind !== "run") return [key];
  return [key, concatBytes(utf8("run-by-agent"), zero, utf8(wire["agent"] as string), zero, time, fromHex(hash))];
}

function cellCases(cases: CaseList): void {
  const hash = createHash("sha256").update("a cell").digest();
  const good: readonly (readonly [cell: string, name: string, value: unknown])[] = [
    ["state", "plain", [hash, 5]],
    ["state", "of 2^53 − 1 bytes", [hash, 2 ** 53 - 1]],
    ["state", "with an extension", [hash, 5, { media: "text/plain", expires: 7, salted: true, later: 1 }]],
    ["state", "with more elements", [hash, 5, {}, 1, [2]]],
    ["chunk", "plain", [hash, 5, 9]],
    ["chunk", "with more elements", [hash, 5, 9, null]],
    ["ledger", "plain", [1000]],
    ["commit", "plain", [hash]],
    ["commit", "with more elements", [hash, hash]],
    ["staged", "plain", [hash, hash]],
    ["log-keys", "one", ["a+00000000+AQ=="]],
    ["log-keys", "two", ["a", "b"]],
  ];
  const bad: readonly (readonly [cell: string, name: string, value: unknown])[] = [
    ["state", "short", [hash]],
    ["state", "a hash of 31 bytes", [hash.subarray(1), 5]],
    ["state", "a negative size", [hash, -1]],
    ["state", "a size that is no integer", [hash, 1.5]],
    ["state", "an extension that is none", [hash, 5, 1]],
    ["state", "null for an extension", [hash, 5, null]],
    ["state", "salted false", [hash, 5, { salted: false }]],
    ["state", "an expiry below 0", [hash, 5, { expires: -1 }]],
    ["state", "media null", [hash, 5, { media: null }]],
    ["state", "a map", { hash }],
    ["state", "over 256 bytes", [hash, 5, { later: "x".repeat(240) }]],
    ["chunk", "short", [hash, 5]],
    ["chunk", "text for an offset", [hash, 5, "9"]],
    ["ledger", "short", []],
    ["ledger", "a negative size", [-1]],
    ["commit", "short", []],
    ["commit", "text", ["a"]],
    ["staged", "one root", [hash]],
    ["log-keys", "none", []],
    ["log-keys", "bytes", [hash]],
  ];
  const question = (cell: string, value: unknown): { operation: string; input: Record<string, Json> } => ({
    operation: "cell.decode",
    input: { cell, bytes: toHex(dagCbor.encode(value)) },
  });
  for (const [cell, name, value] of good) cases.accept(`cell ${cell}, ${name}`, question(cell, value), {});
  for (const [cell, name, value] of bad) cases.refuse(`cell ${cell}, ${name}`, question(cell, value), MALFORMED);
  cases.refuse(
    "cell state, a long integer",
    { operation: "cell.decode", input: { cell: "state", bytes: `825820${toHex(hash)}1805` } },
    MALFORMED,
  );
}
