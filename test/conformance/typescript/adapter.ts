// The operations of the kit on the library: what a program in any language has to write to be tested (README.md).
import { createHash } from "node:crypto";
import * as dagCbor from "@ipld/dag-cbor";
import { create } from "@bufbuild/protobuf";
import { EpochBeginningSchema, EpochEndSchema, LogProofSchema, type NodeReveal } from "#gen/neleus/v1/proof_pb.js";
import { openStep } from "#src/client/trust/epoch-step.js";
import { LogKey } from "#src/client/trust/index.js";
import type { CommitRecord } from "#src/client/records.js";
import { parseProof, verifyProof, type Anchors, type ProofClaim } from "#src/client/verify/index.js";
import { decodeSlice } from "#src/core/blob/index.js";
import { fromHex, toHex, u64be, utf8 } from "#src/core/bytes.js";
import { decode, encode } from "#src/core/codec/index.js";
import { NeleusError } from "#src/core/errors.js";
import { hashBatch, hashTagged, type Tag } from "#src/core/hash/index.js";
import { blobHash, mapRoot } from "#src/core/hashes.js";
import {
  decodeLogLeaf,
  Frontier,
  logLeafHash,
  parseCheckpointUnverified,
  parseVerifierKey,
  TileBuilder,
  tilePath,
  verifyCheckpoint,
  verifyConsistency,
  verifyInclusion,
  verifyNote,
} from "#src/core/log/index.js";
import {
  buildMap,
  count,
  DiffVerifier,
  get,
  GetManyVerifier,
  NodeTable,
  ScanVerifier,
  verifyTransition,
  verifyWitness,
  type Entry,
  type KeyRange,
  type MapAt,
  type MapKind,
  type Reveal,
} from "#src/core/map/index.js";
import {
  chunkCell,
  commitCell,
  commitHashOf,
  decodeCommit,
  decodeManifest,
  ledgerCell,
  ledgerKeysOf,
  logKeysCell,
  manifestHashOf,
  stagedCell,
  stateCell,
} from "#src/core/object/index.js";
import { isValidSignature, verifyObjectSignatures, type SignableTag } from "#src/core/signature/index.js";
import { fromNotation } from "../../support/notation.js";
import { bytesIn, toNotation, type Expectation, type Json, type Question } from "../case.js";

type Input = Readonly<Record<string, Json>>;

/** What is answered to a question: as a case expects it, or that the operation is not supported. */
export type Answer = Expectation | { readonly unsupported: true };

/** @throws Error - the input is not as the README has it, or the library has a bug: neither is an answer */
export function answer({ operation, input }: Pick<Question, "operation" | "input">): Answer {
  const run = OPERATIONS[operation];
  if (run === undefined) return { unsupported: true };
  try {
    return { ok: true, output: run(input) };
  } catch (error) {
    if (error instanceof NeleusError && error.code !== "INTERNAL") return { error: error.code };
    throw error;
  }
}

const text = (value: Json | undefined): string => value as string;
const integer = (value: Json | undefined): number => value as number;
const list = (value: Json | undefined): readonly Json[] => value as readonly Json[];
const hexOf = (bytes: Uint8Array | undefined): string | null => (bytes === undefined ? null : toHex(bytes));

function mapAt(input: Input, root = input["root"]): MapAt {
  return { kind: input["kind"] as MapKind, root: mapRoot(bytesIn(root)) };
}

function reveals(value: Json | undefined): Reveal[] {
  return list(value).map((one) => {
    const { entries, siblings, ...fields } = one as unknown as Reveal & { entries: string[]; siblings: string };
    return { ...fields, entries: entries.map(fromHex), siblings: fromHex(siblings) };
  });
}

function messages(list: readonly Reveal[]): NodeReveal[] {
  return list.map((reveal) => ({
    $typeName: "neleus.v1.NodeReveal",
    ...reveal,
    total: BigInt(reveal.total),
    indices: [...reveal.indices],
    entries: [...reveal.entries],
  }));
}

function rangeIn(input: Input): KeyRange {
  return { from: bytesIn(input["from"]), to: input["to"] === null ? undefined : bytesIn(input["to"]) };
}

function entriesIn(input: Input): Entry[] {
  if (input["entries"] !== undefined) {
    return list(input["entries"]).map((pair) => ({ key: bytesIn(list(pair)[0]), cell: bytesIn(list(pair)[1]) }));
  }
  const { count: length, prefix, digits } = input["numbered"] as { count: number; prefix: string; digits: number };
  return Array.from({ length }, (_, index) => {
    const number = String(index).padStart(digits, "0");
    const value = utf8(`value ${number}`);
    return { key: utf8(prefix + number), cell: dagCbor.encode([hashTagged("blob:", value), value.length]) };
  });
}

function leavesIn(input: Input): Uint8Array[] {
  if (input["leaves"] !== undefined) return list(input["leaves"]).map(bytesIn);
  return Array.from({ length: integer(input["numbered"]) }, (_, index) => u64be(index));
}

const CELLS: Readonly<Record<string, { readonly decode: (bytes: Uint8Array) => unknown }>> = {
  state: stateCell,
  chunk: chunkCell,
  ledger: ledgerCell,
  commit: commitCell,
  staged: stagedCell,
  "log-keys": logKeysCell,
};

const OPERATIONS: Readonly<Record<string, (input: Input) => Json>> = {
  hash(input) {
    const tag = input["tag"] as Tag;
    const bytes = bytesIn(input["bytes"]);
    const hash = toHex(hashTagged(tag, bytes));
    // The same by the way that many are hashed.
    if (toHex(hashBatch(tag, [bytes])) !== hash) throw new Error("a batch hashes otherwise");
    return { hash };
  },
  "codec.decode": (input) => ({ value: toNotation(decode(bytesIn(input["bytes"]))) }),
  "codec.encode": (input) => ({ bytes: toHex(encode(fromNotation(input["value"]))) }),
  "map.root"(input) {
    const source = new NodeTable();
    const { root } = buildMap(input["kind"] as MapKind, entriesIn(input), source.add);
    return { root: toHex(root), height: source.load(root).level + 1 };
  },
  "map.get"(input) {
    return { cell: hexOf(verifyWitness(get(mapAt(input), bytesIn(input["key"])), reveals(input["witness"]))) };
  },
  "map.get-many"(input) {
    const keys = list(input["keys"]).map(bytesIn);
    const verifier = new GetManyVerifier(mapAt(input), keys);
    const answers = verifier.push(reveals(input["witness"]));
    verifier.finish();
    return { cells: answers.map(({ cell }) => hexOf(cell)) };
  },
  "map.scan"(input) {
    const verifier = new ScanVerifier(mapAt(input), rangeIn(input));
    const entries = verifier.push(reveals(input["witness"]));
    verifier.finish();
    return { entries: entries.map(({ key, cell }) => [toHex(key), toHex(cell)]) };
  },
  "map.count": (input) => ({ count: verifyWitness(count(mapAt(input), rangeIn(input)), reveals(input["witness"])) }),
  "map.diff"(input) {
    const [before, after] = [input["before"] as Input, input["after"] as Input];
    const verifier = new DiffVerifier({ before: mapAt(input, before["root"]), after: mapAt(input, after["root"]) });
    const changes = verifier.push({ before: reveals(before["witness"]), after: reveals(after["witness"]) });
    verifier.finish();
    return { changes: changes.map((one) => [toHex(one.key), hexOf(one.before), hexOf(one.after)]) };
  },
  "map.edit"(input) {
    const edits = list(input["changes"]).map((change) => {
      const [key, cell] = list(change);
      return { key: bytesIn(key), cell: cell === null ? undefined : bytesIn(cell) };
    });
    return { root: toHex(verifyTransition(mapAt(input), edits, [reveals(input["witness"])]).root) };
  },
  "blob.slice"(input) {
    const slice = { parents: bytesIn(input["parents"]), data: bytesIn(input["data"]) };
    const range = { start: integer(input["start"]), end: integer(input["end"]) };
    const hash = blobHash(bytesIn(input["hash"]));
    const bytes = decodeSlice(slice, { hash, sizeBytes: integer(input["size"]), range });
    return { size: bytes.length, hash: toHex(hashTagged("blob:", bytes)) };
  },
  "blob.slices"(input) {
    const slice = { parents: bytesIn(input["parents"]), data: bytesIn(input["data"]) };
    const range = list(input["ranges"]).map((pair) => ({ start: integer(list(pair)[0]), end: integer(list(pair)[1]) }));
    const hash = blobHash(bytesIn(input["hash"]));
    const bytes = decodeSlice(slice, { hash, sizeBytes: integer(input["size"]), range });
    return { size: bytes.length, hash: toHex(hashTagged("blob:", bytes)) };
  },
  "object.decode"(input) {
    const bytes = bytesIn(input["bytes"]);
    if (input["tag"] === "commit:") {
      decodeCommit(bytes);
      return { hash: toHex(commitHashOf(bytes)), kind: "commit" };
    }
    const { kind } = decodeManifest(bytes).object;
    return { hash: toHex(manifestHashOf(bytes)), kind };
  },
  "object.signatures"(input) {
    const verdicts = verifyObjectSignatures(input["tag"] as SignableTag, bytesIn(input["bytes"]));
    return { signatures: verdicts.map(({ key, valid }) => ({ key: toHex(key), valid })) };
  },
  "object.ledger-keys"(input) {
    const bytes = bytesIn(input["bytes"]);
    return { keys: ledgerKeysOf(decodeManifest(bytes).object, manifestHashOf(bytes)).map(toHex) };
  },
  "cell.decode"(input) {
    const codec = CELLS[text(input["cell"])];
    if (codec === undefined) throw new Error(`no cell ${text(input["cell"])}`);
    codec.decode(bytesIn(input["bytes"]));
    return {};
  },
  "signature.verify"(input) {
    const [publicKey, message, signature] = ["key", "message", "signature"].map((name) => bytesIn(input[name]));
    if (publicKey === undefined || message === undefined || signature === undefined)
      throw new Error("three byte strings");
    return { valid: isValidSignature({ publicKey, message, signature }) };
  },
  "log.leaf"(input) {
    const { time, refsRoot, first } = decodeLogLeaf(bytesIn(input["bytes"]), integer(input["index"]));
    return { time, refs_root: toHex(refsRoot), reason: first?.reason ?? null };
  },
  "log.root"(input) {
    const frontier = Frontier.empty();
    for (const leaf of leavesIn(input)) frontier.append(logLeafHash(leaf));
    return { root: toHex(frontier.root()) };
  },
  "log.inclusion"(input) {
    const position = { index: integer(input["index"]), size: integer(input["size"]) };
    const leafHash = logLeafHash(bytesIn(input["leaf"]));
    verifyInclusion({ ...position, leafHash, root: bytesIn(input["root"]), proof: list(input["proof"]).map(bytesIn) });
    return {};
  },
  "log.consistency"(input) {
    const sizes = { from: integer(input["from"]), to: integer(input["to"]) };
    const roots = { fromRoot: bytesIn(input["from_root"]), toRoot: bytesIn(input["to_root"]) };
    verifyConsistency({ ...sizes, ...roots, proof: list(input["proof"]).map(bytesIn) });
    return {};
  },
  "log.tile"(input) {
    const tiles = new TileBuilder();
    const made = leavesIn(input).flatMap((leaf) => tiles.push(logLeafHash(leaf)));
    const wanted = { level: integer(input["level"]), index: integer(input["index"]), width: integer(input["width"]) };
    const tile = [...made, ...tiles.partial()].find(
      ({ level, index }) => level === wanted.level && index === wanted.index,
    );
    const hashes = tile?.hashes.slice(0, wanted.width) ?? [];
    return { path: tilePath(wanted), sha256: createHash("sha256").update(Buffer.concat(hashes)).digest("hex") };
  },
  "log.tile-path"(input) {
    return {
      path: tilePath({
        level: integer(input["level"]),
        index: integer(input["index"]),
        width: integer(input["width"]),
      }),
    };
  },
  "key.parse"(input) {
    const { name, keyId, publicKey } = parseVerifierKey(text(input["text"]));
    return { name, key_id: keyId, public_key: toHex(publicKey) };
  },
  "note.verify"(input) {
    const note = verifyNote(
      text(input["note"]),
      list(input["keys"]).map((key) => parseVerifierKey(text(key))),
    );
    return { text: note.text, signed_by: note.signedBy.map(({ name, keyId }) => `${name}+${keyId}`) };
  },
  "checkpoint.verify"(input) {
    const { origin, size, root } = verifyCheckpoint(text(input["note"]), parseVerifierKey(text(input["key"])));
    return { origin, size, root: toHex(root) };
  },
  "checkpoint.parse"(input) {
    const { origin, size, root } = parseCheckpointUnverified(text(input["note"]));
    return { origin, size, root: toHex(root) };
  },
  "epoch.follow"(input) {
    const key = LogKey.parse(text(input["key"]));
    const [end, beginning] = [input["end"] as Input, input["beginning"] as Input];
    const log = create(LogProofSchema, {
      checkpoint: text(end["checkpoint"]),
      consistency: list(end["consistency"]).map(bytesIn),
      leaf: bytesIn(end["leaf"]),
      inclusion: list(end["inclusion"]).map(bytesIn),
    });
    const answer = {
      end: create(EpochEndSchema, { log, refs: messages(reveals(end["witness"])) }),
      beginning: create(EpochBeginningSchema, {
        verifierKey: text(beginning["key"]),
        checkpoint: text(beginning["checkpoint"]),
        leaf: bytesIn(beginning["leaf"]),
        inclusion: list(beginning["inclusion"]).map(bytesIn),
      }),
    };
    const known = input["seen"] === null ? undefined : key.open(text(input["seen"]));
    const next = openStep({ key, known }, answer, undefined).key;
    return { key: next.text, origin: next.origin };
  },
  "proof.verify"(input) {
    const file = input["binary"] === undefined ? JSON.stringify(input["proof"]) : bytesIn(input["binary"]);
    const { verdict, claim } = verifyProof(parseProof(file), input["anchors"] as Anchors);
    return { verdict, claim: claimToJson(claim) };
  },
};

function claimToJson(claim: ProofClaim): Json {
  const { kind } = claim;
  switch (kind) {
    case "state": {
      const { key, entry, value } = claim;
      const found = { hash: hexOf(entry?.hash), size: entry?.sizeBytes ?? null, value: hexOf(value) };
      return { kind, key: toHex(key), present: entry !== undefined, ...found };
    }
    case "range":
      return { kind, keys: claim.entries.map(({ key }) => toHex(key)) };
    case "chunk": {
      const { manifest, index, hash, sizeBytes: size, offset, bytes } = claim;
      const sha256 = bytes === undefined ? null : createHash("sha256").update(bytes).digest("hex");
      return { kind, manifest: toHex(manifest), index, hash: toHex(hash), size, offset, sha256 };
    }
    case "manifest":
      return { kind, manifest: toHex(claim.manifest), manifest_kind: claim.manifestKind };
    case "ref": {
      const { ref, isPresent: present, commit } = claim;
      const signatures = signaturesToJson(commit);
      return { kind, ref: ref.kind, name: ref.name, present, commit: hexOf(commit?.hash), signatures };
    }
    case "commit": {
      const { ref, commit, newest, steps } = claim;
      const hashes = { commit: toHex(commit.hash), newest: toHex(newest) };
      return { kind, ref: ref.kind, name: ref.name, ...hashes, steps, signatures: signaturesToJson(commit) };
    }
  }
}

function signaturesToJson(commit: CommitRecord | undefined): Json {
  return (commit?.signatures ?? []).map(({ publicKey, isValid }) => ({ key: toHex(publicKey), valid: isValid }));
}
