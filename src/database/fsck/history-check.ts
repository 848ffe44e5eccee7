// Everything that the refs lead to: heads, tags, all commits behind them, states and ledgers, manifests, documents.
//
// Refs, states and ledgers share most of their nodes, so that a history costs what it holds (map-walk.ts). A commit, a
// manifest and a document are looked at once each, whoever names them; what is wrong below one is told with its name.
import { equalBytes, toHex } from "../../core/bytes.js";
import { Malformed } from "../../core/errors.js";
import type { Digest } from "../../core/hashes.js";
import { MapKind } from "../../core/map/index.js";
import type { MapNode } from "../../core/map/index.js";
import {
  chunkCell,
  commitCell,
  ledgerCell,
  ledgerKeysOf,
  logKeysCell,
  parseChunkKey,
  parseLedgerKey,
  parseRefKey,
  permissionsCell,
  stagedCell,
  stateCell,
} from "../../core/object/index.js";
import type { DocumentManifest, StagedCell } from "../../core/object/index.js";
import type { DigestSet } from "../digest-set.js";
import type { Turns } from "../turns.js";
import type { CheckedNodes } from "./checked-nodes.js";
import type { ContentCheck } from "./content-check.js";
import type { Affected, FsckEvent } from "./finding.js";
import { ManifestCheck } from "./manifest-check.js";
import { MapWalk } from "./map-walk.js";
import type { LeafVisitor } from "./map-walk.js";
import type { CheckedObjects } from "./object-check.js";
import type { FindingRegister } from "./register.js";

export interface HistoryCheckOptions {
  readonly register: FindingRegister;
  readonly turns: Turns;
  readonly nodes: CheckedNodes;
  readonly objects: CheckedObjects;
  readonly content: ContentCheck;
  readonly newSet: () => DigestSet;
  /** Keys that the refs must list. */
  readonly verifierKeys: readonly string[];
}

const MAP_NAMES: Readonly<Record<MapKind, string>> = {
  [MapKind.state]: "state",
  [MapKind.chunks]: "chunks",
  [MapKind.ledger]: "ledger",
  [MapKind.refs]: "refs",
};

interface Named {
  readonly name: string;
  readonly hash: Uint8Array;
}

export class HistoryCheck {
  readonly #options: HistoryCheckOptions;
  readonly #manifests: ManifestCheck;
  /** Subtrees that were found whole, and whole maps. */
  readonly #whole: DigestSet;
  readonly #commits: DigestSet;
  readonly #toVisit: Named[] = [];
  readonly #staged: ({ readonly name: string } & StagedCell)[] = [];
  readonly #heads: string[] = [];
  #maps = 0;

  constructor(options: HistoryCheckOptions) {
    this.#options = options;
    this.#manifests = new ManifestCheck(options);
    this.#whole = options.newSet();
    this.#commits = options.newSet();
  }

  /** The refs, and nothing below them. */
  async *refs(refsRoot: Digest): AsyncGenerator<FsckEvent, void, undefined> {
    const owner = { name: "refs", map: "refs" };
    const names = new Set<string>();
    const isWhole = yield* this.#walk({ kind: MapKind.refs, root: refsRoot }, owner, (node) => {
      for (let index = 0; index < node.count; index += 1) {
        names.add(this.#ref(refsRoot, node.key(index), node.cell(index)));
      }
      return true;
    });
    if (!isWhole) return;
    if (!names.has("keys/log") && this.#options.verifierKeys.length > 0)
      this.#badRef(refsRoot, "keys/log", "it is not there");
    const staged = new Set(this.#staged.map(({ name }) => name));
    for (const head of this.#heads) {
      if (!staged.has(head)) this.#badRef(refsRoot, `heads/${head}`, "nothing is staged on the head");
    }
  }

  /** What the refs name: all of it. */
  async *below(): AsyncGenerator<FsckEvent, void, undefined> {
    for (const { name, stateRoot, ledgerRoot } of this.#staged) {
      yield* this.#roots(`states/${name}`, { stateRoot, ledgerRoot });
    }
    for (let next = this.#toVisit.pop(); next !== undefined; next = this.#toVisit.pop()) yield* this.#commit(next);
    const { register } = this.#options;
    for (const hash of this.#manifests.erased) register.forgive({ space: "blobs", key: hash });
    register.count({ name: "maps", checked: this.#maps, total: this.#maps, unreachable: undefined });
    const commits = this.#commits.size;
    register.count({ name: "commits", checked: commits, total: commits, unreachable: undefined });
  }

  /** Only that what the refs name is there: commits, and the first node of each map. */
  async *tops(): AsyncGenerator<FsckEvent, void, undefined> {
    const { nodes, objects, register, turns } = this.#options;
    for (const { name, stateRoot, ledgerRoot } of this.#staged) {
      nodes.read(stateRoot, { name: `states/${name}`, map: "state" });
      nodes.read(ledgerRoot, { name: `states/${name}`, map: "ledger" });
      await turns.giveWay();
      yield* register.take();
    }
    for (const { name, hash } of this.#toVisit) {
      const commit = objects.commit(hash, { name })?.object;
      if (commit === undefined) continue;
      nodes.read(commit.stateRoot, { name, map: "state" });
      nodes.read(commit.manifests, { name, map: "ledger" });
      await turns.giveWay();
      yield* register.take();
    }
  }

  /** @returns its name */
  #ref(refsRoot: Digest, key: Uint8Array, cell: Uint8Array): string {
    const name = Buffer.from(key).toString();
    try {
      const ref = parseRefKey(key);
      switch (ref.kind) {
        case "staged":
          this.#staged.push({ name: ref.name, ...stagedCell.decode(cell) });
          break;
        case "head":
          this.#heads.push(ref.name);
          this.#toVisit.push({ name, hash: commitCell.decode(cell).commit });
          break;
        case "tag":
          this.#toVisit.push({ name, hash: commitCell.decode(cell).commit });
          break;
        case "log-keys":
          this.#logKeys(logKeysCell.decode(cell));
          break;
        case "head-permission":
          permissionsCell.decode(cell);
      }
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      this.#badRef(refsRoot, name, error.message);
    }
    return name;
  }

  #logKeys(listed: readonly string[]): void {
    const { verifierKeys, register } = this.#options;
    const missing = verifierKeys.find((key) => !listed.includes(key));
    if (missing === undefined) return;
    const [own] = verifierKeys;
    const name = missing === own ? "signing-key" : "next-signing-key";
    register.report(
      {
        kind: "damaged",
        subject: "signing-key",
        place: { space: "meta", key: new TextEncoder().encode(name) },
        message: `the key of the row "${name}" is not among those that the refs list`,
        repair: "restore the database from a backup, or begin a new epoch: neleus db new-epoch",
      },
      [{ name: "keys/log" }],
    );
  }

  #badRef(refsRoot: Digest, name: string, message: string): void {
    const place = { space: "nodes", key: refsRoot } as const;
    const repair = "whoever wrote the ref wrote it so: move it anew";
    const finding = { kind: "malformed", subject: "ref", place, message: `${name}: ${message}`, repair } as const;
    this.#options.register.report(finding, [{ name }]);
  }

  async *#commit({ name, hash }: Named): AsyncGenerator<FsckEvent, void, undefined> {
    if (!this.#commits.add(hash)) {
      // A damaged one is told for each ref and commit that names it.
      this.#options.objects.require(hash, "commit", { name });
      return;
    }
    const commit = this.#options.objects.commit(hash, { name })?.object;
    if (commit === undefined) return;
    const own = `commit ${toHex(hash)}`;
    for (const parent of commit.parents) this.#toVisit.push({ name: own, hash: parent });
    yield* this.#roots(own, { stateRoot: commit.stateRoot, ledgerRoot: commit.manifests });
  }

  async *#roots(name: string, { stateRoot, ledgerRoot }: StagedCell): AsyncGenerator<FsckEvent, void, undefined> {
    const ledger = { name, map: "ledger" };
    const state = { name, map: "state" };
    yield* this.#shared({ kind: MapKind.ledger, root: ledgerRoot }, ledger, (node) => this.#ledgerLeaf(node, ledger));
    for (const document of this.#manifests.takeDocuments()) yield* this.#document(document);
    yield* this.#shared({ kind: MapKind.state, root: stateRoot }, state, (node) => this.#stateLeaf(node, state));
  }

  #stateLeaf(node: MapNode, owner: Pick<Affected, "name" | "map">): boolean {
    let isWhole = true;
    for (let index = 0; index < node.count; index += 1) {
      const affected = { ...owner, key: node.key(index) };
      const blob = this.#decoded(node, affected, () => stateCell.decode(node.cell(index)));
      isWhole = blob !== undefined && this.#options.content.require(blob, affected) && isWhole;
    }
    return isWhole;
  }

  #ledgerLeaf(node: MapNode, owner: Pick<Affected, "name" | "map">): boolean {
    let isWhole = true;
    for (let index = 0; index < node.count; index += 1) {
      const key = node.key(index);
      const affected = { ...owner, key };
      const entry = this.#decoded(node, affected, () => {
        return { ...ledgerCell.decode(node.cell(index)), hash: parseLedgerKey(key).hash };
      });
      const manifest = entry && this.#manifests.require(entry.hash, affected);
      if (entry === undefined || manifest === undefined) {
        isWhole = false;
        continue;
      }
      if (manifest.sizeBytes !== entry.size) {
        this.#malformed(node, affected, `says ${entry.size} bytes of a manifest of ${manifest.sizeBytes}`);
        isWhole = false;
      }
      const { object } = manifest;
      if (object !== undefined && !ledgerKeysOf(object, entry.hash).some((own) => equalBytes(own, key))) {
        this.#malformed(node, affected, "files a manifest where it does not belong");
        isWhole = false;
      }
    }
    return isWhole;
  }

  /** Each chunk lies within the blob, and there is one for each index. */
  async *#document(document: { name: string; object: DocumentManifest }): AsyncGenerator<FsckEvent, void, undefined> {
    const { name, object } = document;
    const owner = { name, map: "chunks" };
    let next = 0;
    yield* this.#walk({ kind: MapKind.chunks, root: object.chunks }, owner, (node, { isWhole }) => {
      for (let index = 0; index < node.count; index += 1) {
        const key = node.key(index);
        const affected = { ...owner, key };
        const chunk = this.#decoded(node, affected, () => {
          return { ...chunkCell.decode(node.cell(index)), index: parseChunkKey(key) };
        });
        if (chunk === undefined) return false;
        if (isWhole && chunk.index !== next) {
          this.#malformed(node, affected, `is chunk ${chunk.index}, and ${next} comes next`);
        }
        if (chunk.offset + chunk.size > object.blob.size) {
          const message = `ends at byte ${chunk.offset + chunk.size} of a document of ${object.blob.size}`;
          this.#malformed(node, affected, message);
        }
        next = chunk.index + 1;
      }
      return true;
    });
  }

  #decoded<T>(node: MapNode, affected: Affected, decode: () => T): T | undefined {
    try {
      return decode();
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      this.#malformed(node, affected, error.message);
      return undefined;
    }
  }

  #malformed(node: MapNode, affected: Affected, what: string): void {
    const place = { space: "nodes", key: node.digest } as const;
    const message = `an entry ${what}`;
    const repair = "whoever wrote the entry wrote it so: write it anew";
    this.#options.register.hold({ kind: "malformed", subject: "document", place, message, repair }, affected);
  }

  /** A map that others may share: one that was found whole is passed over. */
  async *#shared(
    map: { readonly kind: MapKind; readonly root: Digest },
    owner: Pick<Affected, "name" | "map">,
    onLeaf: LeafVisitor,
  ): AsyncGenerator<FsckEvent, void, undefined> {
    const about = [map.kind, -1];
    if (this.#whole.has(map.root, about)) return;
    if (yield* this.#walk(map, owner, onLeaf, this.#whole)) this.#whole.add(map.root, about);
  }

  async *#walk(
    map: { readonly kind: MapKind; readonly root: Digest },
    owner: Pick<Affected, "name" | "map">,
    onLeaf: LeafVisitor,
    whole?: DigestSet,
  ): AsyncGenerator<FsckEvent, boolean, undefined> {
    const { nodes, register, turns } = this.#options;
    const walk = new MapWalk({ map, nodes, register, whole, owner: { ...owner, map: MAP_NAMES[map.kind] }, onLeaf });
    this.#maps += 1;
    while (walk.step()) {
      await turns.giveWay();
      yield* register.take();
    }
    return walk.isWhole;
  }
}
