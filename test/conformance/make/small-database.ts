// The database that the topic of proofs is of, put together from its parts: maps, objects, a log and its signed checkpoint. Hashes of
// objects are those of @noble/hashes, their bytes those of @ipld/dag-cbor.
import * as dagCbor from "@ipld/dag-cbor";
import { create } from "@bufbuild/protobuf";
import { blake3 } from "@noble/hashes/blake3.js";
import { SnapshotSchema, type LogProof, type NodeReveal, type Snapshot } from "#gen/neleus/v1/proof_pb.js";
import { compareBytes, concatBytes, toHex, u64be, utf8 } from "#src/core/bytes.js";
import { getMany, MapKind, type Entry, type Reader, type Reveal } from "#src/core/map/index.js";
import { ModelLog } from "../../client/support/model-log.js";
import { prove, sampleMap, type SampleMap } from "../../core/map/support.js";
import { pattern } from "../case.js";
import { namedKey } from "./log.js";

export const TIME = 1_763_800_000_000;
export const CHUNK_BYTES = 9_000;

/** What the proofs are of. */
export class SmallDatabase {
  readonly #log = new ModelLog();
  readonly document = pattern(0, 30_000);
  readonly chunkList: SampleMap;
  readonly manifest: Uint8Array;
  readonly state: SampleMap;
  readonly staged: SampleMap;
  readonly ledger: SampleMap;
  readonly commit: Uint8Array;
  /** A commit with two signatures, of which the first is not valid. */
  readonly signedCommit: Uint8Array;
  readonly signatures: readonly { readonly key: string; readonly valid: boolean }[];
  readonly #refs: SampleMap;
  /** A log of two leaves, which the one with the refs extends. */
  readonly olderNote: string;

  constructor() {
    const chunks = [0, 1, 2, 3].map((index) => {
      const offset = index * CHUNK_BYTES;
      const bytes = this.document.subarray(offset, offset + CHUNK_BYTES);
      return { key: u64be(index), cell: dagCbor.encode([hashOf("blob:", bytes), bytes.length, offset]) };
    });
    this.chunkList = sampleMap(chunks, MapKind.chunks);
    this.manifest = dagCbor.encode({
      v: 1,
      kind: "document",
      source: "notes/filler.bin",
      blob: [hashOf("blob:", this.document), this.document.length],
      chunking: { method: "fixed", size: CHUNK_BYTES, overlap: 0 },
      chunks: this.chunkList.root,
      time: TIME,
    });
    this.state = sampleMap(stateEntries(60));
    this.staged = sampleMap(stateEntries(61));
    const place = concatBytes(utf8("document"), Uint8Array.of(0), u64be(TIME), hashOf("manifest:", this.manifest));
    this.ledger = sampleMap([{ key: place, cell: dagCbor.encode([this.manifest.length]) }], MapKind.ledger);
    const commit = {
      v: 1,
      parents: [],
      state_root: this.state.root,
      manifests: this.ledger.root,
      author: "agent-1",
      message: "learned a name",
      time: TIME,
    };
    this.commit = dagCbor.encode(commit);
    const signers = [namedKey("a", 21), namedKey("b", 22)].sort((a, b) => compareBytes(a.publicKey, b.publicKey));
    const payload = concatBytes(utf8("neleus signature v1\ncommit:"), hashOf("commit:", this.commit));
    const signatures = signers.map(({ publicKey, sign }, index) => ({
      alg: "ed25519",
      key: publicKey,
      value: sign(index === 0 ? utf8("something else") : payload),
    }));
    this.signedCommit = dagCbor.encode({ ...commit, signatures });
    this.signatures = signers.map(({ publicKey }, index) => ({ key: toHex(publicKey), valid: index > 0 }));
    const commitHash = hashOf("commit:", this.commit);
    const refs: [string, unknown][] = [
      ["heads/main", [commitHash]],
      // What no server may make: a head without what is staged on it.
      ["heads/odd", [commitHash]],
      ["states/empty", [sampleMap([]).root, sampleMap([], MapKind.ledger).root]],
      ["states/main", [this.staged.root, this.ledger.root]],
      ["tags/signed", [hashOf("commit:", this.signedCommit)]],
      ["tags/v1", [commitHash]],
    ];
    this.#refs = sampleMap(
      refs.map(([key, cell]) => ({ key: utf8(key), cell: dagCbor.encode(cell) })),
      MapKind.refs,
    );
    this.#log.append(2);
    this.olderNote = this.#log.note();
    this.#log.leaves.push(dagCbor.encode([1, TIME, this.#refs.root]));
  }

  get verifierKey(): string {
    return this.#log.verifierKey;
  }

  get note(): string {
    return this.#log.note();
  }

  /** The checkpoint of the log when it had no leaves. */
  get emptyNote(): string {
    return this.#log.note(0);
  }

  /** A note of the same size over other leaves, and one that is newer. */
  otherNotes(): { readonly forked: string; readonly newer: string } {
    const fork = this.#log.fork(2).append(1, 9);
    const longer = this.#log.fork(3).append(1);
    return { forked: fork.note(), newer: longer.note() };
  }

  chain(of: { readonly head?: string; readonly tag?: string }, knownSize = 0): Snapshot {
    const { head = "", tag = "" } = of;
    const keys = tag === "" ? [utf8(`heads/${head}`), utf8(`states/${head}`)] : [utf8(`tags/${tag}`)];
    const log: LogProof = this.#log.proof({ knownSize });
    const isMain = head === "main" || head === "odd" || tag === "v1";
    const commit = isMain ? this.commit : tag === "signed" ? this.signedCommit : new Uint8Array(0);
    const refs = nodes(
      this.#refs,
      getMany(this.#refs, keys, () => undefined),
    );
    return create(SnapshotSchema, { head, tag, log, refs, commit });
  }
}

function stateEntries(count: number): Entry[] {
  return Array.from({ length: count }, (_, index) => {
    const value = utf8(`value ${index}`);
    return {
      key: utf8(`user/${String(index).padStart(3, "0")}`),
      cell: dagCbor.encode([hashOf("blob:", value), value.length]),
    };
  });
}

export function hashOf(tag: string, bytes: Uint8Array): Uint8Array {
  return blake3(concatBytes(utf8(tag), bytes));
}

function messages(reveals: readonly Reveal[]): NodeReveal[] {
  return reveals.map((reveal) => ({
    $typeName: "neleus.v1.NodeReveal",
    ...reveal,
    total: BigInt(reveal.total),
    indices: [...reveal.indices],
    entries: [...reveal.entries],
  }));
}

export function nodes<T>(map: SampleMap, reader: Reader<T>): NodeReveal[] {
  return messages(prove(map, reader).reveals);
}
