// The parts of the client's contract that are about records: commits, heads, documents and their chunks, proofs.
import type {
  ChunkProof,
  CommitProof,
  ManifestProof,
  RangeProof,
  RefProof,
  StateProof,
} from "../../gen/neleus/v1/proof_pb.js";
import type {
  Chunk,
  Chunking,
  CommitRecord,
  Committed,
  CommitRequest,
  ContentSource,
  DocumentRecord,
  HashArgument,
  HeadRecord,
  Key,
  LogEntry,
  ManifestRecord,
  Receipt,
  SignedCheckpoint,
  StoredDocument,
  StoredManifest,
  TagRecord,
} from "./records.js";
import type { ManifestHash } from "../core/hashes.js";
import type { MadeSignature } from "../core/signature/index.js";
import type { VerifierOptions } from "./commit-checking.js";
import type { CommitSigner } from "./signing.js";
import type { CallOptions, FreshOptions, WriteOptions } from "./transport.js";

/** How much of a log. */
export interface LogOptions extends FreshOptions, VerifierOptions {
  /** Most commits. */
  readonly limit?: number | undefined;
  /** The iteration ends behind the commit with which the bytes of all of them reach this. */
  readonly maxBytes?: number | undefined;
}

/** Settings of making a commit. */
export interface CommitOptions extends WriteOptions, VerifierOptions {
  /**
   * Who signs it, in the place of the client's signer; null: nobody. An idempotency key of one's own is bound to the bytes that
   * were signed: to ask for a signed commit again, keep what `prepare` gave and `submit` that.
   */
  readonly signer?: CommitSigner | null | undefined;
}

/** Settings of preparing one. */
export interface PrepareOptions extends FreshOptions, VerifierOptions {}

/** A commit that does not exist yet. */
export interface PreparedCommit {
  readonly head: string;
  /** Without signatures. This client made them from what was asked for and a verified checkpoint. */
  readonly bytes: Uint8Array;
  /** What a signer signs (FORMATS §6). */
  readonly message: Uint8Array;
  /** What it says; its hash is not that of the signed commit. */
  readonly commit: CommitRecord;
  /** To be named again when it is submitted. */
  readonly manifests: readonly ManifestHash[];
}

/** What is needed of a prepared commit to submit it, perhaps by another program. */
export interface CommitToSubmit {
  readonly head: string;
  readonly bytes: Uint8Array;
  readonly manifests?: readonly HashArgument[] | undefined;
}

/** Commits by hash, and the chain below one. */
export interface Commits {
  /**
   * The commit that is to be signed elsewhere: the bytes that this client makes of what is asked for and what the head has
   * under a verified checkpoint, which the server's must equal. Nothing is written. Each manifest is fetched, since its place
   * in the ledger is computed here.
   * @throws NotFound - no such head or manifest @throws Conflict - what is expected of the head is not so
   * @throws VerificationFailed - the server prepared something else
   * @throws LimitExceeded - more manifests than an answer can show: put them with their head
   */
  prepare(head: string, request: CommitRequest, options?: PrepareOptions): Promise<PreparedCommit>;
  /**
   * Moves the head to a prepared commit with its signatures, and checks that it is there.
   * @throws InvalidArgument - no signature, or one that is not valid over the commit's message
   * @throws Conflict - the head has moved since, or what is staged on it: prepare it anew
   * @throws PermissionDenied - none of the head's keys has signed it
   */
  submit(
    prepared: CommitToSubmit,
    signatures: readonly MadeSignature[],
    options?: WriteOptions & VerifierOptions,
  ): Promise<Committed>;
  /** @throws NotFound - no such commit */
  get(hash: HashArgument, options?: CallOptions & VerifierOptions): Promise<CommitRecord>;
  /**
   * Commits along first parents, newest first: each is named by the one before it, the first by the caller or by a
   * fresh snapshot of the head or tag. Ends at the first commit, or where a limit is reached; a stream that ends earlier is
   * `IncompleteProof`. A head without a commit has an empty log.
   */
  log(
    start: { readonly head: string } | { readonly tag: string } | { readonly commit: HashArgument },
    options?: LogOptions,
  ): AsyncIterable<CommitRecord>;
}

export interface Heads {
  /** All heads, in order of name, with the proof that there are no others checked. */
  list(options?: FreshOptions): Promise<HeadRecord[]>;
  /**
   * Makes a head, empty or at a commit, and checks under a verified checkpoint that it is there, at that commit.
   * @throws AlreadyExists - there is one of that name
   */
  create(head: string, options?: WriteOptions & { readonly commit?: HashArgument | undefined }): Promise<Receipt>;
  /**
   * Removes a head. That it is gone is the server's word: `list` proves it.
   * @throws Conflict - its commit is not the expected one @throws PermissionDenied - it has keys
   */
  delete(
    head: string,
    options?: WriteOptions & { readonly expectedCommit?: HashArgument | null | undefined },
  ): Promise<Receipt>;
  /**
   * Moves a head to any commit, and drops what is staged on it: the move is in the log like every other. That the head is
   * there now, or above it, is checked under a verified checkpoint; that nothing is staged is the server's word.
   * @throws Conflict - its commit or staged root is not the expected one @throws PermissionDenied - it has keys
   */
  reset(head: string, options: ResetHeadOptions): Promise<Receipt>;
  /**
   * The public keys that may move a head, ascending, provably all of them; none: whoever may write, or no such head.
   * @throws InvalidArgument - no name
   */
  keys(head: string, options?: FreshOptions): Promise<Uint8Array[]>;
  /**
   * Says which keys may move a head, in the place of those that did. While it has any, only commits that one of them has
   * signed move it, and it is neither reset nor deleted; what is staged on it stays free. None lifts that. The change is in
   * the log; that the head has these keys is checked under a verified checkpoint.
   * @throws Conflict - its keys are not the expected ones @throws NotFound - no such head
   * @throws LimitExceeded - more than 64 keys
   */
  setKeys(
    head: string,
    keys: readonly HashArgument[],
    options?: WriteOptions & { readonly expectedKeys?: readonly HashArgument[] | undefined },
  ): Promise<Receipt>;
}

export interface ResetHeadOptions extends WriteOptions {
  /** Where the head is to be; null: without a commit, state and ledger empty. */
  readonly commit: HashArgument | null;
  /** Its commit must be this (null: there must be none), or nothing happens: `Conflict`. */
  readonly expectedCommit?: HashArgument | null | undefined;
  /** Its staged root must be this, so that nothing is dropped that the caller has not seen: `Conflict`. */
  readonly expectedRoot?: HashArgument | undefined;
}

/** Names of commits that do not move. */
export interface Tags {
  /** All tags, or those whose names start alike, in order: provably complete once the iteration ends. */
  list(options?: FreshOptions & { readonly prefix?: string | undefined }): AsyncIterable<TagRecord>;
  /**
   * Names a commit, and checks under a verified checkpoint that it is so.
   * @throws AlreadyExists - there is one of that name @throws NotFound - no such commit
   */
  create(tag: string, commit: HashArgument, options?: WriteOptions): Promise<Receipt>;
  /**
   * Removes a tag. That it is gone is the server's word: `list` proves it.
   * @throws Conflict - its commit is not the expected one
   */
  delete(
    tag: string,
    options?: WriteOptions & { readonly expectedCommit?: HashArgument | undefined },
  ): Promise<Receipt>;
}

/** Some leaves of the log. */
export interface LogEntryRange extends FreshOptions {
  /**
   * Epoch of the log, from 1; default: the one that goes on. One that has ended is held against its last checkpoint, for
   * which the first leaf of the one after it vouches; `minLogSize` then means nothing.
   */
  readonly epoch?: number | undefined;
  /** Index of the first; default 0. */
  readonly start?: number | undefined;
  /** Index behind the last; default: as many as the log has when it is asked. */
  readonly end?: number | undefined;
}

/** Leaves of the log, for monitors and mirrors: each is held against a verified checkpoint before it is handed on. */
export interface LogEntries {
  /** @throws InvalidArgument - the log has no such leaf, as the server says */
  get(index: number, options?: FreshOptions & Pick<LogEntryRange, "epoch">): Promise<LogEntry>;
  /**
   * The last checkpoint of an epoch, and of the one that goes on the newest.
   * @throws NotFound - kind `epoch`: there is none @throws IncompleteProof - its end was lost, with a copy that was restored
   */
  end(epoch: number, options?: CallOptions): Promise<SignedCheckpoint>;
  /** Leaves in order, none left out: a stream that ends earlier is `IncompleteProof`. */
  list(range?: LogEntryRange): AsyncIterable<LogEntry>;
}

/** An idempotency key needs a head: without one nothing moves. A stream is sent once; bytes, text and files again. */
export interface PutDocumentOptions extends WriteOptions {
  /** Where the document comes from: a path or an address. */
  readonly source: string;
  readonly chunking: Chunking;
  /** Head whose ledger takes the manifest; absent: it is stored unattached. */
  readonly head?: string | undefined;
  readonly title?: string | undefined;
  readonly media?: string | undefined;
  /** Milliseconds since 1970; absent: the server's clock. */
  readonly timeMs?: number | undefined;
  readonly meta?: Readonly<Record<string, string>> | undefined;
  /**
   * Who signs its manifest, which this client makes itself; absent: nobody. An idempotency key is then bound to the signed
   * bytes: give a time with it.
   */
  readonly signer?: CommitSigner | undefined;
}

/** An idempotency key needs a head: without one nothing moves. */
export interface PutSignedOptions extends WriteOptions {
  /** Head whose ledger takes the manifest; absent: it is stored unattached. */
  readonly head?: string | undefined;
}

export interface AttestationOptions extends PutSignedOptions {
  /** In the place of the client's signer. */
  readonly signer?: CommitSigner | undefined;
  /** Milliseconds since 1970; absent: this client's clock. */
  readonly timeMs?: number | undefined;
  readonly meta?: Readonly<Record<string, string>> | undefined;
}

/** Documents and manifests. */
export interface Documents {
  /**
   * Streams a document in, and checks that the manifest that comes back says what was sent: blob and chunk list are held
   * against hashes of the client's own.
   * @throws InvalidArgument - a chunking method that this client cannot check, …
   */
  putDocument(content: ContentSource, options: PutDocumentOptions): Promise<StoredDocument>;
  /**
   * Signs a statement about a commit or manifest, of whoever made it, and stores it as a manifest of its own.
   * @throws InvalidArgument - nobody to sign it, or a signature that is not valid @throws NotFound - no such subject or head
   */
  putAttestation(
    subject: { readonly commit: HashArgument } | { readonly manifest: HashArgument },
    statement: string,
    options?: AttestationOptions,
  ): Promise<StoredManifest>;
  /**
   * Stores a manifest that was signed elsewhere: an attestation, or a document's whose content `putDocument` has stored
   * (`neleus/core` has `encodeManifestDraft`, `signaturePayload` and `attachSignature`).
   * @throws InvalidArgument - no manifest of these kinds, not signed, or a signature that is not valid
   * @throws NotFound - what it is about is not held, or no such head
   */
  putSignedManifest(bytes: Uint8Array, options?: PutSignedOptions): Promise<StoredManifest>;
  /** @throws NotFound - no such manifest */
  manifest(hash: HashArgument, options?: CallOptions): Promise<ManifestRecord | DocumentRecord>;
  /**
   * The chunks of a document in order: provably complete once the iteration ends.
   * @throws InvalidArgument - the manifest is no document, or `first` is past its last chunk
   */
  chunks(
    manifest: HashArgument,
    options?: CallOptions & { readonly first?: number | undefined; readonly limit?: number | undefined },
  ): AsyncIterable<Chunk>;
}

/** What a proof or a difference is of: a head's staged or committed state, that of a tag or commit, or of a root. */
export type ProofPlace =
  | { readonly head: string }
  | { readonly staged: string }
  | { readonly tag: string }
  | { readonly commit: HashArgument }
  | { readonly root: HashArgument };

/** Settings of one proof. */
export interface ProofOptions extends FreshOptions {
  /**
   * True for a proof that holds what witnesses have cosigned of the log, for readers who require some: at most 16 checkpoints, about
   * 2 KB each. Of a head or tag only: what is proved of a commit or root ends below the log.
   */
  readonly withCosignatures?: boolean | undefined;
}

/** Self-contained proofs, to be handed to others. Each is verified before it is returned. */
export interface Proofs {
  state(place: ProofPlace, key: Key, options?: ProofOptions): Promise<StateProof>;
  range(
    place: ProofPlace,
    range?: { readonly prefix?: Key | undefined; readonly from?: Key | undefined; readonly to?: Key | undefined },
    options?: ProofOptions,
  ): Promise<RangeProof>;
  /** That a manifest is in the ledger of a place, which is not a bare root. */
  manifest(manifest: HashArgument, place: ProofPlace, options?: ProofOptions): Promise<ManifestProof>;
  /** Where a head or tag is, or that there is none of that name. */
  ref(of: { readonly head: string } | { readonly tag: string }, options?: ProofOptions): Promise<RefProof>;
  /**
   * That a commit is in the history of a head or tag: the one that this is at, or one that it descends from by any parents.
   * @throws NotFound - no such commit, head or tag, or it is not in that history
   * @throws LimitExceeded - it is more than 1,000 commits down, 1 MiB of them, or hard to find
   */
  commit(
    of: { readonly head: string } | { readonly tag: string },
    commit: HashArgument,
    options?: ProofOptions,
  ): Promise<CommitProof>;
  /** Without a place the proof ends at the document's manifest. */
  chunk(
    chunk: { readonly manifest: HashArgument; readonly index: number; readonly place?: ProofPlace | undefined },
    options?: ProofOptions,
  ): Promise<ChunkProof>;
}
