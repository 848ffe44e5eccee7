// Topic proofs: portable proofs of every kind, held against what a caller may trust (FORMATS §4 to §7). They are
// of the database in small-database.ts. What each proof shows is known from its content;
// what is refused is an honest proof with one thing changed.
import { createHash } from "node:crypto";
import * as dagCbor from "@ipld/dag-cbor";
import { create } from "@bufbuild/protobuf";
import {
  ChunkProofSchema,
  ManifestProofSchema,
  RangeProofSchema,
  RefProofSchema,
  StateProofSchema,
  type LogProof,
  type Snapshot,
  type StateProof,
} from "#gen/neleus/v1/proof_pb.js";
import { compareBytes, toHex, u64be, utf8 } from "#src/core/bytes.js";
import { encodeSlice } from "#src/core/blob/index.js";
import { get, MapKind, scan } from "#src/core/map/index.js";
import { ModelLog } from "../../client/support/model-log.js";
import { sampleMap } from "../../core/map/support.js";
import { CaseList, type Topic } from "../case.js";
import { commitProofs } from "./commit-proof.js";
import { cosignedProofs } from "./cosigned-proof.js";
import { CHUNK_BYTES, hashOf, nodes, SmallDatabase, TIME } from "./small-database.js";
import { ask, without, Written, type Anchors } from "./written-proof.js";

const [FAILED, INCOMPLETE, UNSUPPORTED, INVALID] = [
  "VERIFICATION_FAILED",
  "INCOMPLETE_PROOF",
  "UNSUPPORTED",
  "INVALID_ARGUMENT",
] as const;

export function proofCases(): Topic {
  const cases = new CaseList("proofs");
  const db = new SmallDatabase();
  stateProofs(cases, db);
  rangeProofs(cases, db);
  chunkProofs(cases, db);
  manifestProofs(cases, db);
  refProofs(cases, db);
  commitProofs(cases);
  cosignedProofs(cases, db);
  for (const [name, proof] of Object.entries({
    "an empty object": {},
    "no object": [],
    "a type that is no text": { type: 7 },
    "a member that is not known": { type: "neleus.state-proof.v1", zukunft: 1 },
  })) {
    cases.refuse(`form, ${name}`, ask(proof, {}), FAILED);
  }
  cases.refuse("form, another version", ask({ type: "neleus.state-proof.v2" }, {}), UNSUPPORTED);
  for (const [name, binary] of Object.entries({ nothing: "", zeros: "0000000000", text: toHex(utf8("no proof")) })) {
    cases.refuse(`form, bytes, ${name}`, { operation: "proof.verify", input: { binary, anchors: {} } }, FAILED);
  }
  return cases.topic("Portable proofs of every kind, with what a caller trusts, and the verdict (FORMATS §4 to §7).");
}

function stateProofs(cases: CaseList, db: SmallDatabase): void {
  const key = utf8("user/042");
  const value = utf8("value 42");
  const cell = { present: true, hash: toHex(hashOf("blob:", value)), size: value.length, value: toHex(value) };
  const claim = { kind: "state", key: toHex(key), ...cell };
  const message = create(StateProofSchema, {
    type: "neleus.state-proof.v1",
    root: db.state.root,
    key,
    present: true,
    value,
    nodes: nodes(db.state, get(db.state, key)),
    chain: db.chain({ head: "main" }, 2),
    staged: false,
  });
  const proof = new Written(cases, "state", { schema: StateProofSchema, message });
  const { verifierKey, note, olderNote } = db;
  const { forked, newer } = db.otherNotes();
  const root = toHex(db.state.root);
  const shown = { verdict: "shown", claim };
  const notAnchored = { verdict: "not anchored", claim };
  proof.accept("under the key", { verifierKey }, shown);
  proof.acceptBinary("as bytes", { verifierKey }, shown);
  proof.accept("under nothing", {}, notAnchored);
  proof.accept("under its root", { root }, shown);
  proof.accept("under the commit's hash", { root: toHex(hashOf("commit:", db.commit)) }, shown);
  proof.accept("under the same checkpoint", { checkpoint: note }, shown);
  // Anybody can extend a log: only the key's signature says that it is the same.
  proof.accept("under an older checkpoint alone", { checkpoint: olderNote }, notAnchored);
  proof.accept("under the key and an older checkpoint", { verifierKey, checkpoint: olderNote }, shown);
  proof.accept("under the key and a newer checkpoint", { verifierKey, checkpoint: newer }, shown);
  proof.accept("under a newer checkpoint alone", { checkpoint: newer }, notAnchored);
  const refuse = (
    name: string,
    error: string,
    changed: Partial<typeof message>,
    anchors: Anchors = { verifierKey },
  ): void => proof.refuse(name, error, changed, anchors);
  refuse("under another root", FAILED, {}, { root: "00".repeat(32) });
  refuse("under another key of the same name", FAILED, {}, { verifierKey: new ModelLog({ seed: 2 }).verifierKey });
  refuse(
    "under the key of another log",
    FAILED,
    {},
    { verifierKey: new ModelLog({ origin: "neleus/ffeeddccbbaa99887766554433221100/1" }).verifierKey },
  );
  const nextEpoch = new ModelLog({ origin: "neleus/00112233445566778899aabbccddeeff/2", seed: 3 });
  refuse("under the key of another epoch", "NEW_EPOCH", {}, { verifierKey: nextEpoch.verifierKey });
  refuse("under a checkpoint of another history", "FORKED", {}, { checkpoint: forked });
  refuse("under the key and a checkpoint of another history", "FORKED", {}, { verifierKey, checkpoint: forked });
  refuse("under a key that is none", INVALID, {}, { verifierKey: "abc" });
  refuse("under a checkpoint that is none", INVALID, {}, { checkpoint: "abc" });
  refuse("under a root that is none", INVALID, {}, { root: "abc" });
  const strangeNote = new ModelLog({ origin: "neleus/ffeeddccbbaa99887766554433221100/1" }).append(2).note();
  refuse("under a checkpoint of another log", FAILED, {}, { checkpoint: strangeNote });
  refuse(
    "under a checkpoint that the key has not signed",
    INVALID,
    {},
    { verifierKey, checkpoint: new ModelLog({ seed: 2 }).append(2).note() },
  );
  refuse("with a total over 2^53 − 1", FAILED, {
    nodes: [{ ...message.nodes[0]!, total: 2n ** 53n }, ...message.nodes.slice(1)],
  });
  refuse("of a head that there is not", FAILED, { chain: db.chain({ head: "nobody" }) });
  const nothing = {
    root: sampleMap([]).root,
    nodes: nodes(sampleMap([]), get(sampleMap([]), key)),
    present: false,
    value: undefined as never,
  };
  refuse("of the commit of a head that has none", FAILED, { ...nothing, chain: db.chain({ head: "empty" }) });
  refuse("with another value", FAILED, { value: utf8("value 43") });
  refuse("with a shorter value", FAILED, { value: utf8("value") });
  refuse("of another key of the map", INCOMPLETE, { key: utf8("user/001") });
  refuse("said to be absent", FAILED, { present: false });
  refuse("said to be staged", FAILED, { staged: true });
  refuse("with a node short", INCOMPLETE, { nodes: message.nodes.slice(0, -1) });
  refuse("with a node twice", FAILED, { nodes: [...message.nodes, message.nodes.at(-1)!] });
  refuse("of the staged root", FAILED, { root: db.staged.root, nodes: nodes(db.staged, get(db.staged, key)) });
  refuse("with a root of 31 bytes", FAILED, { root: db.state.root.subarray(1) });
  refuse("of an empty key", FAILED, { key: new Uint8Array(0) });
  chainCases(proof, message.chain!, db);
  const bare = { ...message, chain: undefined as unknown as Snapshot };
  const alone = new Written(cases, "state without a chain", { schema: StateProofSchema, message: bare });
  alone.accept("under its root", { root }, shown);
  alone.accept("under the key", { verifierKey }, notAnchored);
  alone.refuse("said to be staged", FAILED, { staged: true }, { root });
  const absent = utf8("user/0425");
  const unvalued = create(StateProofSchema, {
    ...message,
    key: absent,
    present: false,
    nodes: nodes(db.state, get(db.state, absent)),
    chain: db.chain({ tag: "v1" }),
  });
  const noValue = without(unvalued, "value");
  const none = new Written(cases, "absent state", { schema: StateProofSchema, message: noValue });
  const absence = { kind: "state", key: toHex(absent), present: false, hash: null, size: null, value: null };
  none.accept("under the key", { verifierKey }, { verdict: "shown", claim: absence });
  none.acceptBinary("as bytes", {}, { verdict: "not anchored", claim: absence });
  none.refuse("with a value", FAILED, { value: utf8("value") }, { verifierKey });
  none.refuse("said to be present", FAILED, { present: true }, { verifierKey });
  none.refuse("with a node short", INCOMPLETE, { nodes: noValue.nodes.slice(0, -1) }, { verifierKey });
}

/** What can be wrong above the root: the log, the leaf, the refs, the commit. */
function chainCases(proof: Written<StateProof>, chain: Snapshot, db: SmallDatabase): void {
  const { verifierKey, olderNote } = db;
  const log = chain.log!;
  const refuse = (name: string, error: string, changed: Partial<Snapshot>, anchors: Anchors = { verifierKey }): void =>
    proof.refuse(`chain ${name}`, error, { chain: { ...chain, ...changed } }, anchors);
  const withLog = (changed: Partial<LogProof>): Partial<Snapshot> => ({ log: { ...log, ...changed } });
  const otherCommit = Uint8Array.from(chain.commit);
  otherCommit[otherCommit.length - 1]! ^= 1;
  refuse("with another leaf", FAILED, withLog({ leaf: dagCbor.encode([1, TIME, new Uint8Array(32)]) }));
  refuse("with another time", FAILED, withLog({ leaf: dagCbor.encode([1, TIME + 1, db.staged.root]) }));
  refuse("without an inclusion proof", FAILED, withLog({ inclusion: [] }));
  refuse("with an inclusion proof more", FAILED, withLog({ inclusion: [...log.inclusion, new Uint8Array(32)] }));
  refuse("with a checkpoint that is none", FAILED, withLog({ checkpoint: "nothing" }));
  refuse("with the checkpoint of a log without leaves", FAILED, withLog({ checkpoint: db.emptyNote, inclusion: [] }));
  refuse("with an older checkpoint", FAILED, withLog({ checkpoint: olderNote }));
  refuse("with a signature flipped", FAILED, withLog({ checkpoint: flippedSignature(log.checkpoint) }));
  refuse("not consistent with an older checkpoint", INCOMPLETE, withLog({ consistency: [] }), {
    verifierKey,
    checkpoint: olderNote,
  });
  refuse("without a log", FAILED, { log: undefined });
  refuse("with another commit", FAILED, { commit: otherCommit });
  refuse("without a commit", FAILED, { commit: new Uint8Array(0) });
  refuse("with a node of the refs short", INCOMPLETE, { refs: [] });
  refuse("of another head", INCOMPLETE, { head: "maim" });
  refuse("of a name that is none", FAILED, { head: "../main" });
  refuse("of a head and a tag", FAILED, { tag: "v1" });
}

/** Turns a bit in the middle of the signature. */
function flippedSignature(note: string): string {
  const at = note.length - 40;
  return note.slice(0, at) + (note[at] === "A" ? "B" : "A") + note.slice(at + 1);
}

function rangeProofs(cases: CaseList, db: SmallDatabase): void {
  const [from, to] = [utf8("user/020"), utf8("user/023")];
  const found = db.staged.entries.filter(({ key }) => compareBytes(key, from) >= 0 && compareBytes(key, to) < 0);
  const claim = { kind: "range", keys: found.map(({ key }) => toHex(key)) };
  const message = create(RangeProofSchema, {
    type: "neleus.range-proof.v1",
    root: db.staged.root,
    from,
    to,
    nodes: nodes(
      db.staged,
      scan(db.staged, { from, to }, () => undefined),
    ),
    chain: db.chain({ head: "main" }),
    staged: true,
  });
  const { verifierKey } = db;
  const proof = new Written(cases, "range", { schema: RangeProofSchema, message });
  proof.accept("under the key", { verifierKey }, { verdict: "shown", claim });
  proof.acceptBinary("as bytes", { verifierKey }, { verdict: "shown", claim });
  proof.accept("under nothing", {}, { verdict: "not anchored", claim });
  const refuse = (name: string, error: string, changed: Partial<typeof message>): void =>
    proof.refuse(name, error, changed, { verifierKey });
  refuse("of a wider range", INCOMPLETE, { to: utf8("user/050") });
  refuse("that starts earlier", INCOMPLETE, { from: utf8("user/001") });
  refuse("that ends before it starts", FAILED, { to: utf8("user/0") });
  refuse("with a node short", INCOMPLETE, { nodes: message.nodes.slice(0, -1) });
  refuse("said to be committed", FAILED, { staged: false });
  const everything = nodes(
    db.staged,
    scan(db.staged, { from: new Uint8Array(0) }, () => undefined),
  );
  const open = without({ ...message, from: new Uint8Array(0), nodes: everything }, "to");
  const all = new Written(cases, "range of everything", { schema: RangeProofSchema, message: open });
  const keys = db.staged.entries.map(({ key }) => toHex(key));
  all.accept("under the key", { verifierKey }, { verdict: "shown", claim: { kind: "range", keys } });
}

function chunkProofs(cases: CaseList, db: SmallDatabase): void {
  const index = 2;
  const range = { start: index * CHUNK_BYTES, end: (index + 1) * CHUNK_BYTES };
  const bytes = db.document.subarray(range.start, range.end);
  const { parents, data } = encodeSlice(db.document, { range });
  const key = db.ledger.entries[0]!.key;
  const message = create(ChunkProofSchema, {
    type: "neleus.chunk-proof.v1",
    manifest: db.manifest,
    index: BigInt(index),
    nodes: nodes(db.chunkList, get(db.chunkList, u64be(index))),
    slice: { size: BigInt(db.document.length), start: BigInt(range.start), end: BigInt(range.end), parents, data },
    ledgerRoot: db.ledger.root,
    ledgerNodes: nodes(db.ledger, get(db.ledger, key)),
    chain: db.chain({ head: "main" }),
    staged: false,
  });
  const manifest = toHex(hashOf("manifest:", db.manifest));
  const claim = {
    kind: "chunk",
    manifest,
    index,
    hash: toHex(hashOf("blob:", bytes)),
    size: CHUNK_BYTES,
    offset: range.start,
    sha256: createHash("sha256").update(bytes).digest("hex"),
  };
  const { verifierKey } = db;
  const proof = new Written(cases, "chunk", { schema: ChunkProofSchema, message });
  proof.accept("under the key", { verifierKey }, { verdict: "shown", claim });
  proof.accept("under nothing", {}, { verdict: "not anchored", claim });
  proof.accept("under the root of the chunk list", { root: toHex(db.chunkList.root) }, { verdict: "shown", claim });
  proof.accept("under the manifest's hash", { root: manifest }, { verdict: "shown", claim });
  const withoutSlice = without(message, "slice");
  const bare = new Written(cases, "chunk without bytes", { schema: ChunkProofSchema, message: withoutSlice });
  bare.accept("under the key", { verifierKey }, { verdict: "shown", claim: { ...claim, sha256: null } });
  const refuse = (name: string, error: string, changed: Partial<typeof message>): void =>
    proof.refuse(name, error, changed, { verifierKey });
  const flipped = Uint8Array.from(data);
  flipped[5_000]! ^= 1;
  refuse("with a byte flipped", FAILED, { slice: { ...message.slice!, data: flipped } });
  refuse("of another index", INCOMPLETE, { index: 1n });
  refuse("of an index beyond the list", FAILED, { index: 9n, nodes: nodes(db.chunkList, get(db.chunkList, u64be(9))) });
  refuse("with the slice of another range", FAILED, { slice: { ...message.slice!, start: 0n } });
  refuse("with a ledger that lacks a node", INCOMPLETE, { ledgerNodes: [] });
  refuse("with another ledger", FAILED, { ledgerRoot: new Uint8Array(32) });
  refuse("with a commit beside the chain", FAILED, { commit: db.commit });
  refuse("with a ledger of no root", FAILED, { ledgerRoot: new Uint8Array(0) });
  const erasure = dagCbor.encode({
    v: 1,
    kind: "erasure",
    subjects: [new Uint8Array(32)],
    reason: "asked for",
    time: TIME,
  });
  refuse("of what is no document", FAILED, { manifest: erasure });
  // A list that puts a chunk where its document does not: anybody can make one.
  const cell = dagCbor.encode([hashOf("blob:", bytes), CHUNK_BYTES, range.start + 1]);
  const moved = sampleMap([{ key: u64be(index), cell }], MapKind.chunks);
  const manifestOfMoved = dagCbor.encode({
    ...dagCbor.decode<Record<string, unknown>>(db.manifest),
    chunks: moved.root,
  });
  const misplaced = create(ChunkProofSchema, {
    type: message.type,
    manifest: manifestOfMoved,
    index: BigInt(index),
    nodes: nodes(moved, get(moved, u64be(index))),
  });
  const list = new Written(cases, "chunk of a list that misplaces it", {
    schema: ChunkProofSchema,
    message: misplaced,
  });
  list.refuse("under its root", FAILED, {}, { root: toHex(moved.root) });
}

function manifestProofs(cases: CaseList, db: SmallDatabase): void {
  const key = db.ledger.entries[0]!.key;
  const message = create(ManifestProofSchema, {
    type: "neleus.manifest-proof.v1",
    manifest: db.manifest,
    ledgerRoot: db.ledger.root,
    ledgerNodes: nodes(db.ledger, get(db.ledger, key)),
    chain: db.chain({ tag: "v1" }),
    staged: false,
  });
  const { verifierKey } = db;
  const manifest = toHex(hashOf("manifest:", db.manifest));
  const claim = { kind: "manifest", manifest, manifest_kind: "document" };
  const proof = new Written(cases, "manifest", { schema: ManifestProofSchema, message });
  proof.accept("under the key", { verifierKey }, { verdict: "shown", claim });
  proof.accept("under nothing", {}, { verdict: "not anchored", claim });
  proof.accept("under the ledger root", { root: toHex(db.ledger.root) }, { verdict: "shown", claim });
  const withoutChain = without({ ...message, commit: db.commit }, "chain");
  const inCommit = new Written(cases, "manifest in a commit", { schema: ManifestProofSchema, message: withoutChain });
  inCommit.accept(
    "under the commit's hash",
    { root: toHex(hashOf("commit:", db.commit)) },
    { verdict: "shown", claim },
  );
  inCommit.accept("under the key", { verifierKey }, { verdict: "not anchored", claim });
  const root = toHex(db.ledger.root);
  inCommit.refuse("said to be staged", FAILED, { staged: true }, { root });
  const otherCommit = dagCbor.encode({
    ...dagCbor.decode<Record<string, unknown>>(db.commit),
    manifests: db.state.root,
  });
  inCommit.refuse("with a commit of another ledger", FAILED, { commit: otherCommit }, { root });
  const wrongSize = sampleMap([{ key, cell: dagCbor.encode([db.manifest.length + 1]) }], MapKind.ledger);
  const sized = {
    ledgerRoot: wrongSize.root,
    ledgerNodes: nodes(wrongSize, get(wrongSize, key)),
    commit: new Uint8Array(0),
  };
  inCommit.refuse("of another size in the ledger", FAILED, sized, { root: toHex(wrongSize.root) });
  const refuse = (name: string, error: string, changed: Partial<typeof message>): void =>
    proof.refuse(name, error, changed, { verifierKey });
  const other = dagCbor.encode({ ...dagCbor.decode<Record<string, unknown>>(db.manifest), source: "elsewhere" });
  const unknown = dagCbor.encode({ ...dagCbor.decode<Record<string, unknown>>(db.manifest), kind: "diary" });
  refuse("with another manifest", FAILED, { manifest: other });
  refuse("with a manifest of an unknown kind", UNSUPPORTED, { manifest: unknown });
  refuse("with a manifest that is none", FAILED, { manifest: utf8("none") });
  refuse("said to be staged at a tag", FAILED, { staged: true });
}

function refProofs(cases: CaseList, db: SmallDatabase): void {
  const { verifierKey } = db;
  const commit = toHex(hashOf("commit:", db.commit));
  const add = (title: string, of: { head?: string; tag?: string }, present: boolean, at: string | null): void => {
    const message = create(RefProofSchema, { type: "neleus.ref-proof.v1", present, chain: db.chain(of) });
    const name = of.head ?? of.tag ?? "";
    const signatures = of.tag === "signed" ? db.signatures : [];
    const claim = { kind: "ref", ref: of.head === undefined ? "tag" : "head", name, present, commit: at, signatures };
    const proof = new Written(cases, title, { schema: RefProofSchema, message });
    proof.accept("under the key", { verifierKey }, { verdict: "shown", claim });
    proof.accept("under nothing", {}, { verdict: "not anchored", claim });
    proof.refuse("said to be otherwise", FAILED, { present: !present }, { verifierKey });
    const moved = { ...message.chain!, commit: present && at !== null ? new Uint8Array(0) : db.commit };
    proof.refuse("with another commit", FAILED, { chain: moved }, { verifierKey });
  };
  add("ref of a head", { head: "main" }, true, commit);
  add("ref of a tag", { tag: "v1" }, true, commit);
  add("ref of a tag of a signed commit", { tag: "signed" }, true, toHex(hashOf("commit:", db.signedCommit)));
  add("ref of a head without a commit", { head: "empty" }, true, null);
  const odd = create(RefProofSchema, { type: "neleus.ref-proof.v1", present: true, chain: db.chain({ head: "odd" }) });
  const halfHead = new Written(cases, "ref of a head without staged roots", { schema: RefProofSchema, message: odd });
  halfHead.refuse("under the key", FAILED, {}, { verifierKey });
  halfHead.refuse("said to be none", FAILED, { present: false }, { verifierKey });
  add("ref of no head", { head: "nobody" }, false, null);
  add("ref of no tag", { tag: "v2" }, false, null);
}
