// The history that proofs of commits are of, put together from its parts as small-database.ts is:
//
//   root ── early ──┬── left ───┬── merge ── newest      heads/main is at newest, tags/v1 at merge
//                   └── right ──┘
//   later ── future     heads/future is at future, whose parent is of a version that nobody knows
//   foreign             of another database, and no part of this history
import * as dagCbor from "@ipld/dag-cbor";
import { create } from "@bufbuild/protobuf";
import { SnapshotSchema, type Snapshot } from "#gen/neleus/v1/proof_pb.js";
import { compareBytes, concatBytes, fromHex, toHex, utf8 } from "#src/core/bytes.js";
import { getMany, MapKind } from "#src/core/map/index.js";
import { ModelLog } from "../../client/support/model-log.js";
import { sampleMap, type SampleMap } from "../../core/map/support.js";
import { namedKey } from "./log.js";
import { hashOf, nodes, TIME } from "./small-database.js";

type Name = "root" | "early" | "left" | "right" | "merge" | "newest" | "later" | "future" | "foreign";

const DATABASE = fromHex("00112233445566778899aabbccddeeff");

export class SmallHistory {
  readonly #log = new ModelLog();
  readonly #bytes = new Map<Name, Uint8Array>();
  readonly #refs: SampleMap;
  /** Of the commit `right`: two, of which the first is not valid. */
  readonly signatures: readonly { readonly key: string; readonly valid: boolean }[];

  constructor() {
    this.#add("root", []);
    this.#add("early", ["root"]);
    this.#add("left", ["early"]);
    this.signatures = this.#addSigned("right", ["early"]);
    this.#add("merge", ["left", "right"]);
    this.#add("newest", ["merge"]);
    this.#add("later", ["root"], { v: 2 });
    this.#add("future", ["later"]);
    this.#add("foreign", [], { database: DATABASE.toReversed() });
    const empty = [sampleMap([]).root, sampleMap([], MapKind.ledger).root];
    const refs: [string, unknown][] = [
      ["heads/future", [this.hash("future")]],
      ["heads/main", [this.hash("newest")]],
      ["states/empty", empty],
      ["states/future", empty],
      ["states/main", empty],
      ["tags/v1", [this.hash("merge")]],
    ];
    this.#refs = sampleMap(
      refs.map(([key, cell]) => ({ key: utf8(key), cell: dagCbor.encode(cell) })),
      MapKind.refs,
    );
    this.#log.append(2);
    this.#log.leaves.push(dagCbor.encode([1, TIME, this.#refs.root]));
  }

  get verifierKey(): string {
    return this.#log.verifierKey;
  }

  get note(): string {
    return this.#log.note();
  }

  commit(name: Name): Uint8Array {
    const bytes = this.#bytes.get(name);
    if (bytes === undefined) throw new Error(`no commit ${name}`);
    return bytes;
  }

  hash(name: Name): Uint8Array {
    return hashOf("commit:", this.commit(name));
  }

  chain(of: { readonly head?: string; readonly tag?: string }): Snapshot {
    const { head = "", tag = "" } = of;
    const keys = tag === "" ? [utf8(`heads/${head}`), utf8(`states/${head}`)] : [utf8(`tags/${tag}`)];
    const at = tag === "v1" ? "merge" : head === "main" ? "newest" : head === "future" ? "future" : undefined;
    const refs = nodes(
      this.#refs,
      getMany(this.#refs, keys, () => undefined),
    );
    const commit = at === undefined ? new Uint8Array(0) : this.commit(at);
    return create(SnapshotSchema, { head, tag, log: this.#log.proof(), refs, commit });
  }

  #fields(name: Name, parents: readonly Name[]): Record<string, unknown> {
    return {
      v: 1,
      parents: parents.map((parent) => this.hash(parent)),
      state_root: sampleMap([]).root,
      manifests: sampleMap([], MapKind.ledger).root,
      author: "agent-1",
      message: name,
      time: TIME + this.#bytes.size,
      database: DATABASE,
    };
  }

  #add(name: Name, parents: readonly Name[], changed: Readonly<Record<string, unknown>> = {}): void {
    this.#bytes.set(name, dagCbor.encode({ ...this.#fields(name, parents), ...changed }));
  }

  #addSigned(name: Name, parents: readonly Name[]): SmallHistory["signatures"] {
    const commit = this.#fields(name, parents);
    const signers = [namedKey("a", 21), namedKey("b", 22)].sort((a, b) => compareBytes(a.publicKey, b.publicKey));
    const payload = concatBytes(utf8("neleus signature v1\ncommit:"), hashOf("commit:", dagCbor.encode(commit)));
    const signatures = signers.map(({ publicKey, sign }, index) => ({
      alg: "ed25519",
      key: publicKey,
      value: sign(index === 0 ? utf8("something else") : payload),
    }));
    this.#bytes.set(name, dagCbor.encode({ ...commit, signatures }));
    return signers.map(({ publicKey }, index) => ({ key: toHex(publicKey), valid: index > 0 }));
  }
}
