// Goal: every object of formats.cddl decodes, hashes and encodes as the vectors say; whatever breaks a rule is refused
// with its path; what is unknown is kept, or is Unsupported where it changes the meaning.
// Method: the vectors; one broken example for each rule, both ways; properties over unknown members and mutated bytes.
import test from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { encode } from "#src/core/codec/index.js";
import type { Value, ValueMap } from "#src/core/codec/index.js";
import { fromHex, toHex } from "#src/core/bytes.js";
import { InvalidArgument, Malformed, NeleusError, Unsupported } from "#src/core/errors.js";
import {
  MANIFEST_KINDS,
  commitHashOf,
  decodeCommit,
  decodeManifest,
  decodeManifestOf,
  encodeCommit,
  encodeManifest,
  encodeManifestDraft,
  isManifestKind,
  manifestHashOf,
} from "#src/core/object/index.js";
import type { Commit, Manifest, ManifestKind } from "#src/core/object/index.js";
import { fromNotation } from "../../support/notation.js";
import { values } from "../codec/arbitrary.js";
import { change, decodeAny, example, exampleBytes, exampleWire, vectors } from "./examples.js";

const EVERY_KIND: readonly (ManifestKind | "commit")[] = [...MANIFEST_KINDS, "commit"];
const hash = new Uint8Array(32).fill(5);
const signature = (key: number): ValueMap => ({
  alg: "ed25519",
  key: new Uint8Array(32).fill(key),
  value: new Uint8Array(64),
});

test("vectors: each object decodes, hashes, and encodes to the same bytes", () => {
  assert.equal(vectors.objects.length, 9);
  for (const { name, tag, value, cbor, hash: expected } of vectors.objects) {
    const bytes = fromHex(cbor);
    assert.equal(toHex(encode(fromNotation(value))), cbor, name);
    if (tag === "commit:") {
      const received = decodeCommit(bytes);
      assert.equal(received.bytes, bytes);
      assert.equal(toHex(encodeCommit(received.object)), cbor, name);
      assert.equal(toHex(commitHashOf(bytes)), expected, name);
    } else {
      const received = decodeManifest(bytes);
      assert.equal(received.bytes, bytes);
      assert.equal(toHex(encodeManifest(received.object)), cbor, name);
      assert.equal(toHex(manifestHashOf(bytes)), expected, name);
    }
  }
});

test("vectors: what the fields say", () => {
  const run = example("run");
  assert.equal(run.agent, "reviewer");
  assert.deepEqual(run.parameters, { temperature: 1, top_p: 0.9, max_tokens: 1024 });
  assert.equal(run.systemPrompt?.size, 16);
  assert.equal(run.inputs[0]?.blob.size, 28);
  assert.equal(run.retrieved[0]?.score, 1.25);
  assert.equal(run.signatures?.length, 1);
  const attestation = example("attestation");
  assert.equal(attestation.subjectTag, "commit:");
  const commit = decodeCommit(exampleBytes("commit")).object;
  assert.equal(commit.message, "zweiter – ünïcode");
  assert.deepEqual(commit.meta, { ticket: "42" });
  assert.equal(commit.parents.length, 1);
  assert.equal(Object.hasOwn(commit, "signatures"), false);
});

/** kind, path as the error names it, what to put there (undefined: leave it out), and where the path is changed if not there. */
type Broken = [kind: ManifestKind | "commit", path: string, value: Value | undefined, changed?: string];

const BROKEN: Broken[] = [
  ["commit", "parents", undefined],
  ["commit", "parents", null],
  ["commit", "parents[1]", [hash, hash], "parents"],
  ["commit", "parents", Array.from({ length: 17 }, (_, index) => new Uint8Array(32).fill(index))],
  ["commit", "parents[0]", [new Uint8Array(31)], "parents"],
  ["commit", "author", 1],
  ["commit", "message", undefined],
  ["commit", "state_root", "root"],
  ["commit", "manifests", new Uint8Array(33)],
  ["commit", "time", -1],
  ["commit", "time", 1.5],
  ["commit", "database", new Uint8Array(15)],
  ["commit", "database", null],
  ["commit", "meta", ["a"]],
  ["commit", "meta.ticket", 42],
  ["commit", 'meta["odd name"]', { "odd name": null }, "meta"],
  ["commit", "signatures", []],
  ["commit", "signatures", Array.from({ length: 17 }, (_, index) => signature(index))],
  ["commit", "signatures[1]", [signature(2), signature(1)], "signatures"],
  ["commit", "signatures[1]", [signature(2), signature(2)], "signatures"],
  ["commit", "signatures[0].alg", [{ ...signature(1), alg: "rsa" }], "signatures"],
  ["commit", "signatures[0].key", [{ ...signature(1), key: new Uint8Array(31) }], "signatures"],
  ["commit", "signatures[0].value", [{ alg: "ed25519", key: hash }], "signatures"],
  ["document", "source", undefined],
  ["document", "title", null],
  ["document", "media", 7],
  ["document", "blob", [hash]],
  ["document", "blob", [hash, 1, 2]],
  ["document", "blob[0]", [1, 1], "blob"],
  ["document", "blob[1]", [hash, -1], "blob"],
  ["document", "chunking.method", undefined],
  ["document", "chunking.size", 1.5],
  ["document", "chunking.overlap", null],
  ["document", "chunks", undefined],
  ["run", "agent", ""],
  ["run", "agent", "a\0b"],
  ["run", "agent", "ü".repeat(129)],
  ["run", "agent", "x".repeat(257)],
  ["run", "parameters", undefined],
  ["run", "parameters", null],
  ["run", "system_prompt", null],
  ["run", "inputs[0].name", undefined],
  ["run", "inputs[0].blob[1]", "12"],
  ["run", "inputs[0].media", null],
  ["run", "outputs", null],
  ["run", "retrieved[0].chunk", undefined],
  ["run", "retrieved[0].document", new Uint8Array(3)],
  ["run", "retrieved[0].score", "high"],
  ["run", "tools[0].name", [{}], "tools"],
  ["run", "tools[0].arguments", [{ name: "t", arguments: hash }], "tools"],
  ["run", "tools[0].ended", [{ name: "t", ended: -1 }], "tools"],
  ["run", "ended", 1_763_800_000_999],
  ["run", "status", "fine"],
  ["run", "usage.input_tokens", null],
  ["run", "intent", new Uint8Array(31)],
  ["run", "parent", "hash"],
  ["run", "previous", null],
  ["intent", "agent", undefined],
  ["intent", "inputs", "none"],
  ["provenance", "claim", undefined],
  ["provenance", "confidence", 1.01],
  ["provenance", "confidence", -1],
  ["provenance", "confidence", null],
  ["provenance", "evidence[0].kind", "rumour"],
  ["provenance", "evidence[0].hash", new Uint8Array(1)],
  ["provenance", "runs[0]", [null], "runs"],
  ["embedding", "document", undefined],
  ["embedding", "dimensions", 0],
  ["embedding", "dimensions", 65_537],
  ["embedding", "metric", "hamming"],
  ["embedding", "vectors", null],
  ["attestation", "subject", new Uint8Array(20)],
  ["attestation", "subject_tag", "blob:"],
  ["attestation", "statement", undefined],
  ["attestation", "signatures", undefined],
  ["erasure", "subjects", []],
  ["erasure", "subjects[0]", [1], "subjects"],
  ["erasure", "reason", null],
];

test("each broken rule is refused as Malformed, with its path", () => {
  for (const [kind, path, value, changed] of BROKEN) {
    const bytes = encode(change(exampleWire(kind), changed ?? path, value));
    assert.throws(
      () => decodeAny(kind, bytes),
      (error: unknown) => {
        assert.ok(error instanceof Malformed, `${kind} ${path}: ${String(error)}`);
        assert.equal(error.field, path, `${kind}: ${error.message}`);
        assert.ok(error.message.startsWith(`${path}: `));
        return true;
      },
      `${kind} ${path}`,
    );
  }
});

// The names of usage are data.
const camel = (path: string): string =>
  path.startsWith("usage") ? path : path.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

test("writers are refused the same things as InvalidArgument, with the same path", () => {
  for (const [kind, path, value, changed] of BROKEN) {
    // A list of 1 or 3 for a blob, and lists for signatures, have another shape in TypeScript's form.
    if (/^(blob|inputs|signatures|parameters|meta)/.test(path)) continue;
    const made = structuredClone(decodeAny(kind, exampleBytes(kind)).object) as unknown as ValueMap;
    const broken = change(made, camel(changed ?? path), value);
    assert.throws(
      () =>
        kind === "commit" ? encodeCommit(broken as unknown as Commit) : encodeManifest(broken as unknown as Manifest),
      (error: unknown) => error instanceof InvalidArgument && error.field === path,
      `${kind} ${path}`,
    );
  }
});

test("writers are refused what only JavaScript can hold", () => {
  const run = example("run");
  const refused: [unknown, RegExp][] = [
    [undefined, /kind/],
    [null, /kind/],
    [{}, /kind/],
    [{ ...run, kind: "song" }, /kind/],
    [{ ...run, kind: "toString" }, /kind/],
    [{ ...run, systemPromt: run.systemPrompt }, /no member "systemPromt"/],
    [{ ...run, extra: { agent: "other" } }, /known member "agent"/],
    [{ ...run, extra: [] }, /extra/],
    [{ ...run, parameters: { a: undefined } }, /^parameters\.a: undefined/],
    [{ ...run, parameters: { a: { b: [new Date()] } } }, /^parameters\.a\.b\[0\]/],
    [{ ...run, agent: "\ud800" }, /^agent: .*surrogate/],
    [{ ...run, model: "\ud800" }, /^model: .*surrogate/],
    [{ ...run, started: NaN }, /^started/],
    [{ ...run, inputs: new Set() }, /^inputs/],
    [{ ...run, inputs: [undefined] }, /^inputs\[0\]/],
    [{ ...run, usage: { x: Infinity } }, /^usage\.x/],
    [{ ...run, v: 2 }, /^v/],
    [new (class Run {})(), /kind/],
  ];
  for (const [made, message] of refused) {
    assert.throws(
      () => encodeManifest(made as Manifest),
      (error: unknown) => error instanceof InvalidArgument && message.test(error.message),
      String(message),
    );
  }
});

test("an undefined optional member is left out", () => {
  const { media, ...rest } = example("document");
  const made = { ...rest, media: undefined } as unknown as Manifest;
  assert.deepEqual(encodeManifest(made), encodeManifest(rest));
  assert.equal(media, "text/plain");
});

test("another version or kind is Unsupported, before anything else is looked at; no version is malformed", () => {
  for (const kind of EVERY_KIND) {
    for (const v of [0, 2, -1, 2 ** 53 - 1]) {
      assert.throws(() => decodeAny(kind, encode({ v })), Unsupported);
      assert.throws(() => decodeAny(kind, encode({ ...exampleWire(kind), v })), Unsupported);
    }
    for (const v of ["1", null, 1.5, true, [1]]) {
      assert.throws(() => decodeAny(kind, encode({ ...exampleWire(kind), v })), Malformed);
    }
    assert.throws(() => decodeAny(kind, encode(change(exampleWire(kind), "v", undefined))), Malformed);
    assert.throws(() => decodeAny(kind, encode([exampleWire(kind)])), Malformed);
  }
  for (const kind of ["song", "commit", "toString", "__proto__", ""]) {
    assert.throws(() => decodeManifest(encode({ v: 1, kind })), Unsupported);
  }
  for (const kind of [null, 1, ["run"]]) assert.throws(() => decodeManifest(encode({ v: 1, kind })), Malformed);
  assert.throws(() => decodeManifest(encode({ v: 1 })), Malformed);
  assert.equal(isManifestKind("toString"), false);
});

test("a manifest of another kind than asked for is malformed", () => {
  assert.throws(() => decodeManifestOf("run", exampleBytes("intent")), Malformed);
  assert.throws(() => decodeManifestOf("run", encode({ v: 1, kind: "song" })), Unsupported);
});

test("unknown members are kept, at every level, and hashed with the rest", () => {
  const wire = exampleWire("run");
  wire["future"] = { nested: [null, 1] };
  (wire["inputs"] as ValueMap[])[0]!["codec"] = "x";
  (wire["signatures"] as ValueMap[])[0]!["hint"] = null;
  const bytes = encode(wire);
  const { object } = decodeManifestOf("run", bytes);
  assert.deepEqual(object.extra, { future: { nested: [null, 1] } });
  assert.deepEqual(object.inputs[0]?.extra, { codec: "x" });
  assert.deepEqual(object.signatures?.[0]?.extra, { hint: null });
  assert.deepEqual(encodeManifest(object), bytes);
});

test("random unknown members round-trip in every kind", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...EVERY_KIND),
      fc.string({ minLength: 1, maxLength: 8 }),
      values,
      (kind, name, value) => {
        const wire = exampleWire(kind);
        if (
          Object.hasOwn(wire, name) ||
          ["title", "tools", "error", "intent", "parent", "meta", "media", "usage"].includes(name)
        )
          return;
        const bytes = encode(Object.fromEntries([...Object.entries(wire), [name, value]]));
        const { object } = decodeAny(kind, bytes);
        assert.deepEqual(object.extra, Object.fromEntries([[name, value]]));
        const again = kind === "commit" ? encodeCommit(object as Commit) : encodeManifest(object as Manifest);
        assert.deepEqual(again, bytes);
      },
    ),
    { numRuns: 500 },
  );
});

test("known members with random values: refused by name, or read and written back unchanged", () => {
  const memberOf = (kind: ManifestKind | "commit"): fc.Arbitrary<string> =>
    fc.constantFrom(...Object.keys(exampleWire(kind)));
  const cases = fc.constantFrom(...EVERY_KIND).chain((kind) => fc.tuple(fc.constant(kind), memberOf(kind), values));
  fc.assert(
    fc.property(cases, ([kind, name, value]) => {
      const bytes = encode({ ...exampleWire(kind), [name]: value });
      try {
        const { object } = decodeAny(kind, bytes);
        const again = kind === "commit" ? encodeCommit(object as Commit) : encodeManifest(object as Manifest);
        assert.deepEqual(again, bytes);
      } catch (error) {
        if (error instanceof Unsupported && (name === "v" || name === "kind")) return;
        assert.ok(error instanceof Malformed, String(error));
        assert.match(error.field ?? "", new RegExp(`^(${name}|ended)`));
      }
    }),
    { numRuns: 2000 },
  );
});

test("every single-bit flip of every example: a NeleusError, or bytes that encode to themselves", () => {
  for (const kind of EVERY_KIND) {
    const bytes = exampleBytes(kind);
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const flipped = bytes.slice();
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      try {
        const { object } = decodeAny(kind, flipped);
        const again = kind === "commit" ? encodeCommit(object as Commit) : encodeManifest(object as Manifest);
        assert.deepEqual(again, flipped);
      } catch (error) {
        assert.ok(error instanceof NeleusError && ["MALFORMED", "UNSUPPORTED"].includes(error.code), String(error));
      }
    }
  }
});

test("edges that are allowed", () => {
  const run = example("run");
  const allowed: Manifest[] = [
    { ...run, ended: run.started },
    { ...run, agent: "x".repeat(256) },
    { ...run, agent: "ü".repeat(128), inputs: [], outputs: [], retrieved: [], parameters: { a: null } },
    { ...run, started: 0, ended: 2 ** 53 - 1 },
    { ...example("provenance"), confidence: 0, evidence: [], runs: [] },
    { ...example("provenance"), confidence: 1 },
    { ...example("embedding"), dimensions: 65_536, metric: "l2" },
    { ...example("document"), source: "", title: "" },
  ];
  for (const made of allowed) assert.deepEqual(decodeManifest(encodeManifest(made)).object, made);
  const commit = decodeCommit(exampleBytes("commit")).object;
  const parents = Array.from({ length: 16 }, (_, index) =>
    new Uint8Array(32).fill(index),
  ) as unknown as Commit["parents"];
  const made = { ...commit, parents, database: new Uint8Array(16) };
  assert.deepEqual(decodeCommit(encodeCommit(made)).object, made);
});

test("metadata with a member called __proto__ stays data", () => {
  const commit = decodeCommit(exampleBytes("commit")).object;
  const meta = JSON.parse('{"__proto__":"x"}') as Record<string, string>;
  const { object } = decodeCommit(encodeCommit({ ...commit, meta }));
  assert.deepEqual(Object.entries(object.meta ?? {}), [["__proto__", "x"]]);
});

test("a draft is what is signed: an attestation without signatures, other kinds as they are", () => {
  const { signatures, ...draft } = example("attestation");
  assert.equal(signatures.length, 1);
  const bytes = encodeManifestDraft(draft);
  assert.throws(() => decodeManifest(bytes), Malformed);
  assert.throws(() => encodeManifest(draft as Manifest), InvalidArgument);
  assert.deepEqual(encode(change(exampleWire("attestation"), "signatures", undefined)), bytes);
  assert.deepEqual(encodeManifestDraft(example("run")), exampleBytes("run"));
});
