// Commits: what is staged on a head becomes a version, chained to the one before (FORMATS §6).
import { compareBytes, equalBytes, toHex } from "../core/bytes.js";
import { Conflict, LimitExceeded, assert } from "../core/errors.js";
import { mapRoot, type MapRoot } from "../core/hashes.js";
import { MAX_BATCH_KEYS, MAX_TRANSITION_BYTES } from "../core/limits.js";
import { MapKind, Recorder, edit, readSync } from "../core/map/index.js";
import type { Edit } from "../core/map/index.js";
import {
  commitCell,
  commitHashOf,
  decodeCommit,
  encodeCommit,
  headKey,
  stagedCell,
  stagedKey,
} from "../core/object/index.js";
import type { Commit } from "../core/object/index.js";
import { requireHashBytes } from "./boundary.js";
import type { Committer } from "./committer.js";
import type {
  CommitOptions,
  CommitPathOptions,
  Commits,
  Committed,
  ExpectedCommit,
  PreparedCommit,
  SubmitCommitOptions,
} from "./commit-contract.js";
import { findCommitPath } from "./commit-path.js";
import type { Head, StoredCommit, View } from "./view-contract.js";
import type { Draft } from "./draft.js";
import { requireMayCommit } from "./head-keys.js";
import { ledgerEditsOf } from "./manifests.js";
import { objectRow } from "./objects.js";
import type { StoredObjects } from "./objects.js";
import { checkExpectedCommit, requireCommit, requireHead, requireRefName, requireStagedRoot } from "./refs.js";
import { RequestMeaning, addExpectedCommit } from "./request-meaning.js";
import { identifyRequest, recordedAs, type IdentifiedRequest, type Recorded } from "./requests.js";
import { checkSignedCommit, type SignedCommit } from "./signed-commit.js";
import { requireMeta, requireSomeText, requireText, requireTime } from "./text.js";
import { Turns } from "./turns.js";

export interface CommitsOptions {
  readonly databaseId: Uint8Array;
  readonly objects: StoredObjects;
  readonly committer: Committer;
  readonly clock: () => number;
  readonly view: () => Promise<View>;
}

/** A commit to be made, checked: everything but what the head says when its turn comes. */
interface CheckedRequest {
  readonly head: string;
  readonly fields: Pick<Commit, "author" | "message" | "time" | "database" | "meta">;
  readonly manifests: readonly Uint8Array[];
  readonly expected: ExpectedCommit | undefined;
  readonly expectedRoot: Uint8Array | undefined;
}

export class DatabaseCommits implements Commits {
  readonly #options: CommitsOptions;

  constructor(options: CommitsOptions) {
    this.#options = options;
  }

  async create(options: CommitOptions): Promise<Committed> {
    const { committer } = this.#options;
    const checked = this.#checked(options);
    const meaning = (): RequestMeaning => commitMeaning(options, checked.expected);
    const recorded = this.#recorded(identifyRequest(options.idempotency, { method: METHOD, meaning }));
    const earlier = committer.recall(recorded);
    if (earlier !== undefined) return { commit: earlier.value, receipt: earlier.receipt };
    const edits = await this.#ledgerEdits(checked.manifests, options.signal);
    const { value, receipt } = await committer.commit(({ draft }) => {
      options.signal?.throwIfAborted();
      return commitTo(draft, checked, edits);
    }, recorded);
    return { commit: value, receipt };
  }

  async prepare(options: Omit<CommitOptions, "idempotency">): Promise<PreparedCommit> {
    const checked = this.#checked(options);
    const edits = await this.#ledgerEdits(checked.manifests, options.signal);
    const view = await this.#options.view();
    const { head, ledger, nodes } = await view.resolve({ staged: checked.head });
    assert(head !== undefined && ledger !== undefined, "a staged state has a head and a ledger");
    requireExpected(head, checked);
    const transition = new Recorder();
    const root = edits.length === 0 ? ledger.root : readSync(edit(ledger, edits), nodes, transition).root;
    if (transition.nodeBytes > MAX_TRANSITION_BYTES) throw tooMuchLedger(transition.nodeBytes);
    return { bytes: encodeCommit(commitOf(head, mapRoot(root), checked.fields)), head, view, transition };
  }

  async submit(options: SubmitCommitOptions): Promise<Committed> {
    const { committer, databaseId } = this.#options;
    const { head: name, signal } = options;
    requireRefName(name);
    const hashes = requireManifestHashes(options.manifests);
    const meaning = (): RequestMeaning =>
      addManifests(new RequestMeaning().bytes(options.signedCommit).text(name), hashes);
    const recorded = this.#recorded(identifyRequest(options.idempotency, { method: METHOD, meaning }));
    const earlier = committer.recall(recorded);
    if (earlier !== undefined) return { commit: earlier.value, receipt: earlier.receipt };
    const turns = new Turns(signal);
    const commit = await checkSignedCommit(options.signedCommit, { databaseId: toHex(databaseId), turns });
    const edits = await this.#ledgerEdits(hashes, signal);
    const { value, receipt } = await committer.commit(({ draft }) => {
      signal?.throwIfAborted();
      return moveTo(draft, name, { commit, edits });
    }, recorded);
    return { commit: value, receipt };
  }

  /** @throws InvalidArgument @throws LimitExceeded */
  #checked(options: Omit<CommitOptions, "idempotency">): CheckedRequest {
    const { head, author, message, meta } = options;
    const { clock, databaseId } = this.#options;
    requireRefName(head);
    requireSomeText("author", author);
    requireText("message", message);
    if (meta !== undefined) requireMeta(meta);
    const time = options.timeMs ?? clock();
    requireTime("time", time);
    const hasMeta = meta !== undefined && Object.keys(meta).length > 0;
    return {
      head,
      fields: { author, message, time, database: databaseId, ...(hasMeta ? { meta } : {}) },
      manifests: requireManifestHashes(options.manifests),
      expected: checkExpectedCommit(options.expectedCommit),
      expectedRoot: options.expectedRoot && requireHashBytes("expected_root", options.expectedRoot),
    };
  }

  #recorded(request: IdentifiedRequest | undefined): Recorded<StoredCommit> | undefined {
    return recordedAs(request, {
      encode: ({ hash }: StoredCommit) => hash,
      decode: (hash) => this.#options.objects.commitReferred(hash, "a request"),
    });
  }

  /**
   * What files these manifests. A manifest is let go as soon as its keys are known, and one that is named again is not
   * read again: a short request can name gigabytes of them.
   */
  async #ledgerEdits(hashes: readonly Uint8Array[], signal: AbortSignal | undefined): Promise<Edit[]> {
    const { objects } = this.#options;
    const seen = new Set<string>();
    const edits: Edit[] = [];
    const turns = new Turns(signal);
    for (const [index, hash] of hashes.entries()) {
      await turns.giveWay();
      const name = toHex(hash);
      if (seen.has(name)) continue;
      seen.add(name);
      const manifest = await objects.manifest(hash, `manifests[${index}]`);
      edits.push(...ledgerEditsOf(manifest));
    }
    return edits.sort((a, b) => compareBytes(a.key, b.key));
  }

  get(hash: Uint8Array): Promise<StoredCommit> {
    return this.#options.objects.commit(hash);
  }

  path(options: CommitPathOptions): Promise<readonly StoredCommit[]> {
    return findCommitPath(this.#options.objects, options);
  }

  async *log(
    start: { readonly head: string } | { readonly commit: Uint8Array },
  ): AsyncGenerator<StoredCommit, void, undefined> {
    const { objects } = this.#options;
    let commit: StoredCommit;
    if ("commit" in start) {
      commit = await objects.commit(start.commit);
    } else {
      const head = await (await this.#options.view()).head(start.head);
      if (head.commit === undefined) return;
      commit = objects.commitReferred(head.commit, `head "${head.name}"`);
    }
    for (;;) {
      yield commit;
      const parent = objects.parentOf(commit);
      if (parent === undefined) return;
      commit = parent;
    }
  }
}

/** One name for both ways to ask for a commit: a key that was used for one of them is not free for the other. */
const METHOD = "commit.create";

/** Everything that was asked for; a manifest named twice is named once, in whatever place. */
function commitMeaning(options: CommitOptions, expected: ExpectedCommit | undefined): RequestMeaning {
  const { head, author, message, timeMs, meta, expectedRoot } = options;
  const meaning = new RequestMeaning().text(head).text(author).text(message).number(timeMs).texts(meta);
  addManifests(meaning, options.manifests ?? []);
  return addExpectedCommit(meaning, expected).bytes(expectedRoot);
}

function addManifests(meaning: RequestMeaning, hashes: readonly Uint8Array[]): RequestMeaning {
  const manifests = [...new Map(hashes.map((hash) => [toHex(hash), hash])).values()];
  manifests.sort(compareBytes);
  meaning.list(manifests.length);
  for (const hash of manifests) meaning.bytes(hash);
  return meaning;
}

/** Runs in a round. @throws NotFound - kind `head` @throws Conflict @throws PermissionDenied - it takes a signature */
function commitTo(draft: Draft, checked: CheckedRequest, edits: readonly Edit[]): StoredCommit {
  const head = requireHead(draft, checked.head);
  requireExpected(head, checked);
  requireMayCommit(draft, head.name, []);
  const manifests = draft.edit({ kind: MapKind.ledger, root: head.stagedLedger }, edits);
  const bytes = encodeCommit(commitOf(head, manifests, checked.fields));
  return place(draft, head, { hash: commitHashOf(bytes), bytes, object: decodeCommit(bytes).object });
}

/** Runs in a round. Errors as of `commitTo`; Conflict where the head is not what the commit was prepared on. */
function moveTo(
  draft: Draft,
  name: string,
  finished: { readonly commit: SignedCommit; readonly edits: readonly Edit[] },
): StoredCommit {
  const { hash, bytes, object, signers } = finished.commit;
  const head = requireHead(draft, name);
  requireMayCommit(draft, name, signers);
  requireCommit(head, object.parents[0] ?? "none", "signed_commit");
  requireStagedRoot(head, object.stateRoot, "signed_commit");
  const ledger = draft.edit({ kind: MapKind.ledger, root: head.stagedLedger }, finished.edits);
  if (!equalBytes(ledger, object.manifests)) throw otherLedger(name, { is: ledger, expected: object.manifests });
  return place(draft, head, { hash, bytes, object });
}

/** @throws Conflict */
function requireExpected(head: Head, { expected, expectedRoot }: CheckedRequest): void {
  requireCommit(head, expected);
  requireStagedRoot(head, expectedRoot);
}

/** The commit of what a head has staged. */
function commitOf(head: Head, manifests: MapRoot, fields: CheckedRequest["fields"]): Commit {
  const parents = head.commit === undefined ? [] : [head.commit];
  return { v: 1, parents, stateRoot: head.stagedState, manifests, ...fields };
}

/** Has the head be at a commit of what is staged on it. */
function place(draft: Draft, { name }: Head, commit: StoredCommit): StoredCommit {
  const { stateRoot, manifests } = commit.object;
  draft.put([objectRow(commit.hash, commit.bytes)]);
  draft.keep([stateRoot, manifests]);
  draft.move(headKey(name), commitCell.encode({ commit: commit.hash }));
  draft.move(stagedKey(name), stagedCell.encode({ stateRoot, ledgerRoot: manifests }));
  return commit;
}

/** @throws LimitExceeded */
function requireManifestHashes(hashes: readonly Uint8Array[] = []): readonly Uint8Array[] {
  if (hashes.length > MAX_BATCH_KEYS) throw tooManyManifests(hashes.length);
  return hashes;
}

function otherLedger(head: string, root: { readonly is: MapRoot; readonly expected: MapRoot }): Conflict {
  const [is, expected] = [toHex(root.is), toHex(root.expected)];
  return new Conflict(`the ledger of head "${head}" with these manifests is ${is}, and the commit has ${expected}`, {
    field: "signed_commit",
    hint: "somebody was first, or other manifests were named: prepare it anew",
    facts: { kind: "ledger", head, current_root: is, expected },
  });
}

function tooMuchLedger(sizeBytes: number): LimitExceeded {
  const size = `${sizeBytes} bytes, and ${MAX_TRANSITION_BYTES} is the most`;
  return new LimitExceeded(`what these manifests touch of the ledger is too much to be shown: ${size}`, {
    field: "manifests",
    hint: "put them with their head, or name fewer in one commit",
    facts: { limit: "transition_bytes", value: String(MAX_TRANSITION_BYTES) },
  });
}

function tooManyManifests(count: number): LimitExceeded {
  return new LimitExceeded(`at most ${MAX_BATCH_KEYS} manifests in one commit request, not ${count}`, {
    field: "manifests",
    facts: { limit: "batch_keys", value: String(MAX_BATCH_KEYS) },
  });
}
