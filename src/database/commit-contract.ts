// The part of the engine's surface that is about versions: commits, the heads that they move, and tags. See contract.ts for
// what holds throughout.
import type { CommitHash } from "../core/hashes.js";
import type { Recorder } from "../core/map/index.js";
import type { Head, Receipt, StoredCommit, View, WriteOptions } from "./view-contract.js";

/** Where a way down through history begins and ends. */
export interface CommitPathOptions {
  /** A commit of this database, which a ref names. */
  readonly from: CommitHash;
  readonly to: Uint8Array;
  /** What `from` is the commit of, for people: `head "main"`. */
  readonly name: string;
  readonly signal?: AbortSignal | undefined;
}

export interface CommitOptions extends WriteOptions {
  readonly head: string;
  readonly author: string;
  readonly message: string;
  /** Milliseconds since 1970; absent: the clock. */
  readonly timeMs?: number | undefined;
  readonly meta?: Readonly<Record<string, string>> | undefined;
  /** Hashes of manifests to add to the ledger of this commit; at most 10,000. */
  readonly manifests?: readonly Uint8Array[] | undefined;
  readonly expectedCommit?: ExpectedCommit | undefined;
  /** The staged root must be this: the state root of the commit. */
  readonly expectedRoot?: Uint8Array | undefined;
  /** Ends it, with its reason, before the head moves. */
  readonly signal?: AbortSignal | undefined;
}

/** The head's commit must be this one, or there must be none. */
export type ExpectedCommit = Uint8Array | "none";

export interface Committed {
  readonly commit: StoredCommit;
  readonly receipt: Receipt;
}

/** A commit that is to be signed elsewhere. */
export interface PreparedCommit {
  /** Of the commit, without signatures. Nothing is stored. */
  readonly bytes: Uint8Array;
  /** Where the head stood, in this view. */
  readonly head: Head;
  readonly view: View;
  /** What it takes of the staged ledger to compute the commit's: nothing where no manifests are named. */
  readonly transition: Recorder;
}

/** A commit that was finished elsewhere, its signatures in it. */
export interface SubmitCommitOptions extends WriteOptions {
  readonly head: string;
  readonly signedCommit: Uint8Array;
  /** The manifests that it was prepared with. */
  readonly manifests?: readonly Uint8Array[] | undefined;
  /** Ends it, with its reason, before the head moves. */
  readonly signal?: AbortSignal | undefined;
}

export interface Commits {
  /**
   * Makes a commit of what is staged, also where nothing changed.
   * @throws NotFound - kind `head` or `manifest` @throws Conflict - expected commit (`facts.current_commit`)
   * @throws InvalidArgument - a hash that is no manifest's, an empty author, a text too long @throws LimitExceeded
   * @throws PermissionDenied - the head is moved by signed commits only
   */
  create(options: CommitOptions): Promise<Committed>;
  /**
   * What `create` would make at this instant, and nothing is written. Errors as of `create`, those of the keys aside.
   * @throws LimitExceeded - MAX_TRANSITION_BYTES: what the manifests touch of the ledger is too much to be shown
   */
  prepare(options: Omit<CommitOptions, "idempotency">): Promise<PreparedCommit>;
  /**
   * Moves a head to a commit that was finished elsewhere.
   * @throws InvalidArgument - `signed_commit`: not canonical, not signed, a signature that is not valid, another database's
   * @throws Conflict - its parent, state root or ledger root is not what the head has with these manifests
   * @throws PermissionDenied - none of the head's keys has signed it @throws NotFound - kind `head` or `manifest`
   */
  submit(options: SubmitCommitOptions): Promise<Committed>;
  /** @throws NotFound - kind `commit` @throws InvalidArgument - a manifest's hash @throws Corrupt */
  get(hash: Uint8Array): Promise<StoredCommit>;
  /** Along first parents, newest first; a head without a commit has an empty log. Errors as of `View.resolve`. */
  log(
    start: { readonly head: string } | { readonly commit: Uint8Array },
  ): AsyncGenerator<StoredCommit, void, undefined>;
  /**
   * The commits from a parent of one down to another, each a parent of the one before, as few as there can be; none where both
   * are the same.
   * @throws NotFound - kind `commit`: no such commit, or it is not an ancestor @throws InvalidArgument - another object's hash
   * @throws LimitExceeded - MAX_PATH_COMMITS, MAX_PATH_BYTES, MAX_PATH_SEARCH_COMMITS, MAX_PATH_SEARCH_BYTES
   * @throws the signal's reason @throws Corrupt
   */
  path(options: CommitPathOptions): Promise<readonly StoredCommit[]>;
}

export interface CreateHeadOptions extends WriteOptions {
  readonly commit?: Uint8Array | undefined;
}

export interface DeleteHeadOptions extends WriteOptions {
  readonly expectedCommit?: ExpectedCommit | undefined;
}

export interface Heads {
  /**
   * Makes a head at a commit, or empty.
   * @throws AlreadyExists @throws NotFound - kind `commit` @throws InvalidArgument - no name @throws LimitExceeded - MAX_HEADS
   */
  create(name: string, options?: CreateHeadOptions): Promise<Receipt>;
  /** @throws NotFound - kind `head` @throws Conflict - expected commit @throws PermissionDenied - it has keys */
  delete(name: string, options?: DeleteHeadOptions): Promise<Receipt>;
  /**
   * Moves a head anywhere, and drops what is staged on it.
   * @throws NotFound - kind `head` or `commit` @throws Conflict - expected commit or root
   * @throws PermissionDenied - it has keys
   */
  reset(name: string, options?: ResetHeadOptions): Promise<Receipt>;
  /**
   * Says which keys may move a head, in the place of those that did: then only commits signed by one of them do, and the
   * head is neither reset nor deleted. None: whoever may write.
   * @throws NotFound - kind `head` @throws Conflict - the keys are not the expected ones
   * @throws InvalidArgument - no public key, or one twice @throws LimitExceeded - MAX_KEYS_OF_HEAD, MAX_HEAD_KEYS
   */
  setKeys(name: string, options: SetHeadKeysOptions): Promise<Receipt>;
}

export interface SetHeadKeysOptions extends WriteOptions {
  /** Ed25519 public keys, 32 bytes each, in any order. */
  readonly keys: readonly Uint8Array[];
  /** The head must have exactly these; absent: whatever it has. */
  readonly expectedKeys?: readonly Uint8Array[] | undefined;
}

export interface ResetHeadOptions extends WriteOptions {
  /** Where the head is to be, with nothing else staged; absent: without a commit, state and ledger empty. */
  readonly commit?: Uint8Array | undefined;
  readonly expectedCommit?: ExpectedCommit | undefined;
  /** The staged root must be this one. */
  readonly expectedRoot?: Uint8Array | undefined;
}

export interface DeleteTagOptions extends WriteOptions {
  /** The tag's commit must be this one. */
  readonly expectedCommit?: Uint8Array | undefined;
}

export interface Tags {
  /**
   * @throws AlreadyExists - a tag does not move @throws NotFound - kind `commit` @throws InvalidArgument - no name
   * @throws LimitExceeded - MAX_TAGS
   */
  create(name: string, commit: Uint8Array, options?: WriteOptions): Promise<Receipt>;
  /** @throws NotFound - kind `tag` @throws Conflict - expected commit */
  delete(name: string, options?: DeleteTagOptions): Promise<Receipt>;
}
