// Manifests: stored as received, and filed in the staged ledger of a head (FORMATS §6).
import { compareBytes, equalBytes } from "../core/bytes.js";
import { InvalidArgument, Unavailable } from "../core/errors.js";
import { MAX_OBJECT_BYTES } from "../core/limits.js";
import { MapKind } from "../core/map/index.js";
import type { Edit } from "../core/map/index.js";
import {
  decodeManifest,
  ledgerCell,
  ledgerKeysOf,
  manifestHashOf,
  stagedCell,
  stagedKey,
} from "../core/object/index.js";
import type { AttestationManifest, DocumentManifest } from "../core/object/index.js";
import type { Row, RowName, Store, SyncReader } from "../store/contract.js";
import type { DatabaseBlobs } from "./blobs.js";
import { fromRequest } from "./boundary.js";
import type { Committer } from "./committer.js";
import type { Manifests, PutResult, PutSignedOptions } from "./contract.js";
import type { StoredManifest } from "./view-contract.js";
import type { Draft } from "./draft.js";
import type { Leases, WholeLease } from "./leases.js";
import { missingHash } from "./missing.js";
import type { StoreNodes } from "./nodes.js";
import { objectRow } from "./objects.js";
import type { StoredObjects } from "./objects.js";
import { requireHead, requireRefName } from "./refs.js";
import { RequestMeaning } from "./request-meaning.js";
import { identifyRequest, recordedAs, type IdentifiedRequest, type Recorded } from "./requests.js";
import { Turns } from "./turns.js";
import { requireValidSignatures } from "./valid-signatures.js";

export interface ManifestsOptions {
  readonly store: Store;
  readonly nodes: StoreNodes;
  readonly blobs: DatabaseBlobs;
  readonly objects: StoredObjects;
  readonly committer: Committer;
  readonly rows: SyncReader;
  readonly leases: Leases;
}

export class DatabaseManifests implements Manifests {
  readonly #options: ManifestsOptions;

  constructor(options: ManifestsOptions) {
    this.#options = options;
  }

  get(hash: Uint8Array): Promise<StoredManifest> {
    return this.#options.objects.manifest(hash);
  }

  async put(bytes: Uint8Array, options: { readonly head?: string | undefined } = {}): Promise<PutResult> {
    if (options.head !== undefined) requireRefName(options.head);
    const manifest = received(bytes);
    if (manifest.object.kind === "document") await this.#requireContent(manifest.object);
    return this.store({ manifest, head: options.head, rows: [], request: undefined });
  }

  async putSigned(bytes: Uint8Array, options: PutSignedOptions = {}): Promise<PutResult> {
    const { head, idempotency, signal } = options;
    if (head !== undefined) requireRefName(head);
    if (head === undefined && idempotency !== undefined) {
      const message = "idempotency_key: a manifest without a head moves nothing, and may be put again without a key";
      throw new InvalidArgument(message, { field: "idempotency_key" });
    }
    const manifest = received(bytes);
    const { object } = manifest;
    const meaning = (): RequestMeaning => new RequestMeaning().text(head).bytes(manifest.bytes);
    const request = identifyRequest(idempotency, { method: "manifest.put-signed", meaning });
    const earlier = this.recall(request);
    if (earlier !== undefined) return earlier;
    const signed = { tag: "manifest:", bytes: manifest.bytes, signatures: object.signatures } as const;
    await requireValidSignatures(signed, { field: "manifest", turns: new Turns(signal) });
    if (object.kind === "document") await this.#requireContent(object);
    else if (object.kind === "attestation") await this.#requireSubject(object);
    else {
      throw new InvalidArgument(`manifest: one of kind ${object.kind}, not an attestation or a document`, {
        field: "manifest",
        facts: { kind: object.kind },
      });
    }
    return this.store({ manifest, head, rows: [], request, signal });
  }

  /** What is attested is here: a commit or manifest of that hash. @throws NotFound @throws InvalidArgument */
  async #requireSubject({ subject, subjectTag }: AttestationManifest): Promise<void> {
    const { objects } = this.#options;
    if (subjectTag === "commit:") await objects.commit(subject, "manifest.subject");
    else await objects.manifest(subject, "manifest.subject");
  }

  /** A document that somebody else put together: its blob and its chunks are here. */
  async #requireContent(document: DocumentManifest): Promise<void> {
    const { blobs, nodes } = this.#options;
    // In the store, and not only in memory: it may have been freed.
    const node = this.#options.rows.has("nodes", document.chunks) ? nodes.find(document.chunks) : undefined;
    if (node === undefined) throw missingHash("root", document.chunks);
    if (node.kind !== MapKind.chunks) {
      throw new InvalidArgument("manifest.chunks: the root of another kind of map, not of chunks", {
        field: "manifest.chunks",
      });
    }
    await blobs.requireHeld("manifest.blob", { hash: document.blob.hash, sizeBytes: document.blob.size });
  }

  /** Stores a manifest, together with rows that it refers to, and files it with a head. */
  async store(options: {
    readonly manifest: StoredManifest;
    readonly head: string | undefined;
    readonly rows: readonly Row[];
    readonly request: IdentifiedRequest | undefined;
    /** What holds nodes of the document that were written before. */
    readonly lease?: WholeLease | undefined;
    /** Ends it until it is written. */
    readonly signal?: AbortSignal | undefined;
  }): Promise<PutResult> {
    const { manifest, head, rows, request, lease, signal } = options;
    signal?.throwIfAborted();
    const { object } = manifest;
    const puts = [...rows, objectRow(manifest.hash, manifest.bytes)];
    // A document leads to nodes as refs do: a collection looks at it before it goes on.
    if (object.kind === "document") puts.push(this.#options.leases.barrierRow());
    const isPut = (key: Uint8Array): boolean => rows.some((row) => row.space === "nodes" && equalBytes(row.key, key));
    const required: RowName[] =
      object.kind === "document" && !isPut(object.chunks) ? [{ space: "nodes", key: object.chunks }] : [];
    const requireNodes = (): void => {
      if (lease?.isUnbroken() === false) throw stoodStill();
      for (const { space, key } of required) {
        if (!this.#options.rows.has(space, key)) throw missingHash("root", key);
      }
    };
    if (head === undefined) {
      requireNodes();
      const conditions = required.map((name) => ({ ...name, expected: "present" }) as const);
      await this.#options.store.write({ puts, conditions });
      return { manifest, receipt: undefined };
    }
    const { value, receipt } = await this.#options.committer.commit(({ draft }) => {
      signal?.throwIfAborted();
      requireNodes();
      draft.require(required);
      stageManifest(draft, head, manifest);
      draft.put(puts);
      return manifest;
    }, this.#recorded(request));
    return { manifest: value, receipt };
  }

  /** What became of a request that is recorded already. @throws AlreadyExists - its key was used for another one */
  recall(request: IdentifiedRequest | undefined): PutResult | undefined {
    const earlier = this.#options.committer.recall(this.#recorded(request));
    return earlier && { manifest: earlier.value, receipt: earlier.receipt };
  }

  #recorded(request: IdentifiedRequest | undefined): Recorded<StoredManifest> | undefined {
    return recordedAs(request, {
      encode: ({ hash }) => hash,
      decode: (hash) => this.#options.objects.manifestReferred(hash, "a request"),
    });
  }
}

function stoodStill(): Unavailable {
  return new Unavailable("this process stood still for so long that what it had stored of the document may be gone", {
    hint: "put the document again",
  });
}

/** @throws InvalidArgument - not a manifest, or over MAX_OBJECT_BYTES @throws Unsupported */
function received(bytes: Uint8Array): StoredManifest {
  if (bytes.length > MAX_OBJECT_BYTES) {
    throw new InvalidArgument(`manifest: at most ${MAX_OBJECT_BYTES} bytes, not ${bytes.length}`, {
      field: "manifest",
    });
  }
  const copy = new Uint8Array(bytes);
  const { object } = fromRequest("manifest", () => decodeManifest(copy));
  return { hash: manifestHashOf(copy), bytes: copy, object };
}

/** Runs in a round. @throws NotFound - kind `head` */
function stageManifest(draft: Draft, name: string, manifest: StoredManifest): void {
  const head = requireHead(draft, name);
  const ledgerRoot = draft.edit({ kind: MapKind.ledger, root: head.stagedLedger }, ledgerEditsOf(manifest));
  draft.move(stagedKey(name), stagedCell.encode({ stateRoot: head.stagedState, ledgerRoot }));
}

/** What files a manifest in a ledger, ascending by key. */
export function ledgerEditsOf({ hash, bytes, object }: StoredManifest): Edit[] {
  const cell = ledgerCell.encode({ size: bytes.length });
  const edits = ledgerKeysOf(object, hash).map((key) => ({ key, cell }));
  return edits.sort((a, b) => compareBytes(a.key, b.key));
}
