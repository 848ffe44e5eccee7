// The part of the client's contract that is about records: commits, heads, documents and their chunks, proofs.
import type { BlobHash, CommitHash, ManifestHash, MapRoot } from "../core/hashes.js";
import type { ChunkProof, RangeProof, StateProof } from "../../gen/neleus/v1/proof_pb.js";
import type { BlobReference, CommitRecord, ContentSource, HashArgument, Key, Receipt } from "./contract.js";
import type { CallOptions } from "./transport.js";

/** Commits by hash, and the chain below one. */
export interface Commits {
  /** @throws NotFound - no such commit */
  get(hash: HashArgument, options?: CallOptions): Promise<CommitRecord>;
  /**
   * Commits along first parents, newest first: each is named by the one before it, the first by the caller or by a
   * fresh snapshot of the head. Ends at the first commit, or after `limit` of them; a stream that ends earlier is
   * `IncompleteProof`. A head without a commit has an empty log.
   */
  log(
    start: { readonly head: string } | { readonly commit: HashArgument },
    options?: CallOptions & { readonly limit?: number },
  ): AsyncIterable<CommitRecord>;
}

/** One head, as the refs under a verified checkpoint say. */
export interface HeadRecord {
  readonly head: string;
  /** Undefined while it has no commit. */
  readonly commitHash: CommitHash | undefined;
  readonly stagedStateRoot: MapRoot;
  readonly stagedLedgerRoot: MapRoot;
}

export interface Heads {
  /** All heads, in order of name, with the proof that there are no others checked. */
  list(options?: CallOptions): Promise<HeadRecord[]>;
  /**
   * Makes a head, empty or at a commit.
   * @throws AlreadyExists - there is one of that name
   */
  create(head: string, options?: CallOptions & { readonly commit?: HashArgument }): Promise<Receipt>;
  /**
   * Removes a head.
   * @throws Conflict - its commit is not the expected one
   */
  delete(head: string, options?: CallOptions & { readonly expectedCommit?: HashArgument | null }): Promise<Receipt>;
}

/** How a document is cut: chunks of `sizeBytes`, each sharing `overlapBytes` with the one before it. */
export interface Chunking {
  /** Default `fixed`. */
  readonly method?: string;
  readonly sizeBytes: number;
  /** Default 0. */
  readonly overlapBytes?: number;
}

export interface PutDocumentOptions extends CallOptions {
  /** Where the document comes from: a path or an address. */
  readonly source: string;
  readonly chunking: Chunking;
  /** Head whose ledger takes the manifest; absent: it is stored unattached. */
  readonly head?: string;
  readonly title?: string;
  readonly media?: string;
  /** Milliseconds since 1970; absent: the server's clock. */
  readonly timeMs?: number;
  readonly meta?: Readonly<Record<string, string>>;
}

/** A manifest whose bytes hash to its name. */
export interface ManifestRecord {
  readonly hash: ManifestHash;
  /** As stored: what is hashed. */
  readonly bytes: Uint8Array;
  /** `document`, `run`, … */
  readonly kind: string;
  /** The object as it is encoded (formats.cddl): hashes are byte arrays, unknown members are kept. */
  readonly object: Readonly<Record<string, unknown>>;
}

/** A document's manifest. */
export interface DocumentRecord extends ManifestRecord {
  readonly kind: "document";
  readonly source: string;
  readonly title: string | undefined;
  readonly media: string | undefined;
  readonly blob: BlobReference;
  readonly chunking: Required<Chunking>;
  /** Root of the chunk list. */
  readonly chunksRoot: MapRoot;
  readonly timeMs: number;
}

export interface StoredDocument {
  readonly manifest: DocumentRecord;
  /** Same as `manifest.hash`. */
  readonly hash: ManifestHash;
  /** Absent where no head was named. */
  readonly receipt: Receipt | undefined;
}

/** One chunk of a document, as its proved list says. */
export interface Chunk {
  readonly index: number;
  /** H_blob of the chunk's bytes. */
  readonly hash: BlobHash;
  readonly sizeBytes: number;
  /** Where it starts in the document. */
  readonly offset: number;
  /** The chunk's bytes: a verified slice of the document that also hashes to the chunk's hash. One round trip. */
  bytes(options?: CallOptions): Promise<Uint8Array>;
}

/** Documents and manifests. */
export interface Documents {
  /**
   * Streams a document in, and checks that the manifest that comes back says what was sent: its blob hash is the
   * client's own.
   */
  putDocument(content: ContentSource, options: PutDocumentOptions): Promise<StoredDocument>;
  /** @throws NotFound - no such manifest */
  manifest(hash: HashArgument, options?: CallOptions): Promise<ManifestRecord | DocumentRecord>;
  /**
   * The chunks of a document in order: provably complete once the iteration ends.
   * @throws InvalidArgument - the manifest is no document, or `first` is past its last chunk
   */
  chunks(
    manifest: HashArgument,
    options?: CallOptions & { readonly first?: number; readonly limit?: number },
  ): AsyncIterable<Chunk>;
}

/** What a proof is of: a head's staged or committed state, a commit's, or that of a root. */
export type ProofPlace =
  | { readonly head: string }
  | { readonly staged: string }
  | { readonly commit: HashArgument }
  | { readonly root: HashArgument };

/** Self-contained proofs, to be handed to others. Each is verified before it is returned. */
export interface Proofs {
  state(place: ProofPlace, key: Key, options?: CallOptions): Promise<StateProof>;
  range(
    place: ProofPlace,
    range?: { readonly prefix?: Key; readonly from?: Key; readonly to?: Key },
    options?: CallOptions,
  ): Promise<RangeProof>;
  /** Without a place the proof ends at the document's manifest. */
  chunk(
    chunk: { readonly manifest: HashArgument; readonly index: number; readonly place?: ProofPlace },
    options?: CallOptions,
  ): Promise<ChunkProof>;
}
