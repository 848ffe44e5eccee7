// What goes in and comes out of a client: arguments, and records whose bytes have been checked against their names.
import type { BlobHash, CommitHash, Digest, ManifestHash, MapRoot } from "../core/hashes.js";
import type { LogBeginning } from "../core/log/index.js";
import type { DocumentManifest, Manifest, ManifestKind } from "../core/object/index.js";
import type { SignatureFault } from "../core/signature/index.js";
import type { CallOptions } from "./transport.js";

/** A key of the state: text stands for its UTF-8. 1 to 1,024 bytes. */
export type Key = string | Uint8Array;

/** A hash as an argument: 32 bytes, or 64 digits of hex. */
export type HashArgument = Digest | string;

/**
 * Content on its way in: bytes, text (as UTF-8), anything that yields byte arrays, or anything with a `stream()` that
 * does (a Blob, a File, `fileContent`).
 */
export type ContentSource = string | Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array> | RepeatableContent;

/** Content behind a `stream()`. */
export interface RepeatableContent {
  stream(): AsyncIterable<Uint8Array>;
  /** Bytes. With it `stream` can be called more than once, and gives the same bytes each time. */
  readonly size?: number | undefined;
}

/** Names a blob and its size. */
export interface BlobReference {
  readonly hash: BlobHash;
  readonly sizeBytes: number;
}

/** Content that has been stored. */
export interface StoredBlob extends BlobReference {
  /** The server said that it held it already. Nothing proves that: see `PutBlobOptions.whenHeld`. */
  readonly wasHeld: boolean;
}

/** A checkpoint whose signature by the pinned key has been verified. */
export interface SignedCheckpoint {
  /** The signed note, as text. */
  readonly note: string;
  /** `neleus/<database id>/<epoch>`, or with a host before it. */
  readonly origin: string;
  /** Leaves of the log. */
  readonly size: number;
  /** RFC 6962 root of those leaves, SHA-256. */
  readonly root: Digest;
}

/** Confirms a durable write. The checkpoint is signed, and shown consistent at the next opportunity. */
export interface Receipt {
  /** The leaf that contains the write, as the server says; below the checkpoint's size. */
  readonly logIndex: number;
  readonly checkpoint: SignedCheckpoint;
}

/** A signature of a commit or manifest. Valid means something only with whose key it is: the caller's keyring, or the refs. */
export interface ObjectSignature {
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** By the rule of FORMATS §6; worked out when first looked at. */
  readonly isValid: boolean;
  /** Why it is not valid. */
  readonly fault: SignatureFault | undefined;
}

/** A commit whose bytes hash to its name. */
export interface CommitRecord {
  readonly hash: CommitHash;
  /** As stored: what is hashed. */
  readonly bytes: Uint8Array;
  /** The first is the commit that it extends. */
  readonly parents: readonly CommitHash[];
  readonly stateRoot: MapRoot;
  readonly ledgerRoot: MapRoot;
  readonly author: string;
  readonly message: string;
  /** Milliseconds since 1970, as the committer says. */
  readonly timeMs: number;
  readonly meta: Readonly<Record<string, string>>;
  /** Ascending by key; empty where nobody has signed it. Each is verified when first looked at, in a few milliseconds. */
  readonly signatures: readonly ObjectSignature[];
}

/** What a commit is to say. */
export interface CommitRequest {
  readonly author: string;
  readonly message: string;
  /** Milliseconds since 1970; absent: the server's clock, and this client's of a commit that is signed. */
  readonly timeMs?: number | undefined;
  readonly meta?: Readonly<Record<string, string>> | undefined;
  /** Manifests to add to the ledger of this commit. Each is shown to be in it. */
  readonly manifests?: readonly HashArgument[] | undefined;
  /** The head's commit must be this (null: there must be none), or nothing happens: `Conflict`. */
  readonly expectedCommit?: HashArgument | null | undefined;
  /**
   * The staged root must be this, and so the state root of the commit, or nothing happens: `Conflict`. As `Applied.root`
   * or a snapshot's `staged.stateRoot` has it.
   */
  readonly expectedRoot?: HashArgument | undefined;
}

/** A commit that was made. */
export interface Committed {
  readonly commit: CommitRecord;
  /** Same as `commit.hash`. */
  readonly hash: CommitHash;
  readonly receipt: Receipt;
}

/** One head, as the refs under a verified checkpoint say. */
export interface HeadRecord {
  readonly head: string;
  /** Undefined while it has no commit. */
  readonly commitHash: CommitHash | undefined;
  readonly stagedStateRoot: MapRoot;
  readonly stagedLedgerRoot: MapRoot;
}

/** One leaf of the log (FORMATS §7). */
export interface LogEntry {
  readonly index: number;
  /** Its exact bytes. */
  readonly bytes: Uint8Array;
  /** Milliseconds since 1970, by the server's clock; never below that of the leaf before. */
  readonly timeMs: number;
  /** Root of the refs map as it was then. Its nodes may be kept no longer. */
  readonly refsRoot: MapRoot;
  /** How the log began; of leaf 0 alone. */
  readonly beginning: LogBeginning | undefined;
}

/** A tag, and the commit that it names. */
export interface TagRecord {
  readonly tag: string;
  readonly commitHash: CommitHash;
}

/** How a document is cut: chunks of `sizeBytes`, each sharing `overlapBytes` with the one before it. */
export interface Chunking {
  /** Default `fixed`. */
  readonly method?: string | undefined;
  readonly sizeBytes: number;
  /** Default 0. */
  readonly overlapBytes?: number | undefined;
}

/** A manifest whose bytes hash to its name. */
export interface ManifestRecord {
  readonly hash: ManifestHash;
  /** As stored: what is hashed. */
  readonly bytes: Uint8Array;
  readonly kind: ManifestKind;
  readonly object: Manifest;
  /** As a commit's. */
  readonly signatures: readonly ObjectSignature[];
}

/** A document's manifest. */
export interface DocumentRecord extends ManifestRecord {
  readonly kind: "document";
  readonly object: DocumentManifest;
  readonly source: string;
  readonly title: string | undefined;
  readonly media: string | undefined;
  readonly blob: BlobReference;
  readonly chunking: {
    readonly method: string;
    readonly sizeBytes: number;
    readonly overlapBytes: number;
  };
  /** Root of the chunk list. */
  readonly chunksRoot: MapRoot;
  readonly timeMs: number;
}

export interface StoredManifest {
  readonly manifest: ManifestRecord | DocumentRecord;
  /** Same as `manifest.hash`. */
  readonly hash: ManifestHash;
  /** Absent where no head was named. */
  readonly receipt: Receipt | undefined;
}

export interface StoredDocument extends StoredManifest {
  readonly manifest: DocumentRecord;
}

/** One chunk of a document, as its proved list says. */
export interface Chunk {
  readonly index: number;
  /** H_blob of the chunk's bytes. */
  readonly hash: BlobHash;
  readonly sizeBytes: number;
  /** Where it starts in the document. */
  readonly offset: number;
  /**
   * The chunk's bytes: a verified slice of the document that also hashes to the chunk's hash. One round trip.
   * @throws LimitExceeded - over 16 MiB, which no server here cuts: stream that part of the document's blob
   */
  bytes(options?: CallOptions): Promise<Uint8Array>;
}

/** What a `NewEpoch` carries: what the epoch says of itself, and what was trusted before. Notes are signed checkpoints. */
export interface NewEpochEvidence {
  /** The key that the server presents. */
  readonly verifierKey: string;
  readonly trustedKey: string;
  /** Why it began, by its first leaf: `restored`, `cloned`, `rekeyed`. Absent where the server does not show it. */
  readonly reason: string | undefined;
  /** The last checkpoint of the epoch before, by its first leaf. */
  readonly previous: string | undefined;
  /** A checkpoint by the new key. */
  readonly checkpoint: string | undefined;
  /** The newest checkpoint of the trusted epoch that this client has seen. */
  readonly seen: string | undefined;
}

/** An epoch that a person has accepted. */
export interface AcceptedEpoch {
  readonly verifierKey: string;
  /** By its first leaf: `restored`, `cloned`, `rekeyed`; `created` in the first. */
  readonly reason: string;
  /** The last checkpoint of the epoch before, by its first leaf: a signed note. */
  readonly previous: string | undefined;
  /** A checkpoint by the key. */
  readonly checkpoint: SignedCheckpoint;
}

/** A step of changing the key of the log. */
export interface RotateKeyOptions {
  /**
   * `announce`: the key of the next epoch is listed and signs too; again, it is the same one. `finish`: that epoch begins.
   * `finish-unannounced`: one begins with a key that nobody was told of, and every client has to be told to trust it.
   */
  readonly step: "announce" | "finish" | "finish-unannounced";
}

/** What a step of changing the key has led to. */
export interface RotatedKey {
  /** In force from now on. */
  readonly verifierKey: string;
  /** Announced for the next epoch. */
  readonly nextVerifierKey: string | undefined;
  /** By the key in force; after an announcement the announced key has signed it, too. */
  readonly checkpoint: SignedCheckpoint;
}
