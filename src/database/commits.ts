// Commits: what is staged on a head becomes a version, chained to the one before (FORMATS §6).
import { compareBytes, toHex } from "../core/bytes.js";
import { LimitExceeded } from "../core/errors.js";
import type { CommitHash } from "../core/hashes.js";
import { MAX_BATCH_KEYS } from "../core/limits.js";
import { MapKind } from "../core/map/index.js";
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
import type { CommitOptions, Commits, Committed, ExpectedCommit, StoredCommit, View } from "./contract.js";
import type { Draft } from "./draft.js";
import { ledgerEditsOf } from "./manifests.js";
import { objectRow } from "./objects.js";
import type { StoredObjects } from "./objects.js";
import { checkExpectedCommit, requireCommit, requireHead, requireRefName, requireStagedRoot } from "./refs.js";
import { RequestMeaning, addExpectedCommit } from "./request-meaning.js";
import { identifyRequest, recordedAs } from "./requests.js";
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
interface PreparedCommit {
  readonly head: string;
  readonly fields: Pick<Commit, "author" | "message" | "time" | "database" | "meta">;
  readonly ledgerEdits: readonly Edit[];
  readonly expected: ExpectedCommit | undefined;
  readonly expectedRoot: Uint8Array | undefined;
}

export class DatabaseCommits implements Commits {
  readonly #options: CommitsOptions;

  constructor(options: CommitsOptions) {
    this.#options = options;
  }

  async create(options: CommitOptions): Promise<Committed> {
    const { head, author, message, meta } = options;
    const { committer, clock, databaseId } = this.#options;
    requireRefName(head);
    requireSomeText("author", author);
    requireText("message", message);
    if (meta !== undefined) requireMeta(meta);
    const time = options.timeMs ?? clock();
    requireTime("time", time);
    const hashes = options.manifests ?? [];
    if (hashes.length > MAX_BATCH_KEYS) throw tooManyManifests(hashes.length);
    const expected = checkExpectedCommit(options.expectedCommit);
    const expectedRoot = options.expectedRoot && requireHashBytes("expected_root", options.expectedRoot);
    const meaning = (): RequestMeaning => commitMeaning(options, expected);
    const recorded = recordedAs(identifyRequest(options.idempotency, { method: "commit.create", meaning }), {
      encode: ({ hash }: StoredCommit) => hash,
      decode: (hash) => this.#options.objects.commitReferred(hash, "a request"),
    });
    const earlier = committer.recall(recorded);
    if (earlier !== undefined) return { commit: earlier.value, receipt: earlier.receipt };
    const ledgerEdits = await this.#ledgerEdits(hashes, options.signal);
    const hasMeta = meta !== undefined && Object.keys(meta).length > 0;
    const fields = { author, message, time, database: databaseId, ...(hasMeta ? { meta } : {}) };
    const prepared = { head, fields, ledgerEdits, expected, expectedRoot };
    const { value, receipt } = await committer.commit(({ draft }) => {
      options.signal?.throwIfAborted();
      return commitTo(draft, prepared);
    }, recorded);
    return { commit: value, receipt };
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
      const parent: CommitHash | undefined = commit.object.parents[0];
      if (parent === undefined) return;
      commit = objects.commitReferred(parent, `commit ${toHex(commit.hash)}`);
    }
  }
}

/** Everything that was asked for; a manifest named twice is named once, in whatever place. */
function commitMeaning(options: CommitOptions, expected: ExpectedCommit | undefined): RequestMeaning {
  const { head, author, message, timeMs, meta, expectedRoot } = options;
  const manifests = [...new Map((options.manifests ?? []).map((hash) => [toHex(hash), hash])).values()];
  manifests.sort(compareBytes);
  const meaning = new RequestMeaning().text(head).text(author).text(message).number(timeMs).texts(meta);
  meaning.list(manifests.length);
  for (const hash of manifests) meaning.bytes(hash);
  return addExpectedCommit(meaning, expected).bytes(expectedRoot);
}

/** Runs in a round. @throws NotFound - kind `head` @throws Conflict - the head's commit or staged root is not the expected one */
function commitTo(draft: Draft, prepared: PreparedCommit): StoredCommit {
  const { head: name, fields, expected } = prepared;
  const head = requireHead(draft, name);
  requireCommit(head, expected);
  requireStagedRoot(head, prepared.expectedRoot);
  const stateRoot = head.stagedState;
  const manifests = draft.edit({ kind: MapKind.ledger, root: head.stagedLedger }, prepared.ledgerEdits);
  const parents = head.commit === undefined ? [] : [head.commit];
  const bytes = encodeCommit({ v: 1, parents, stateRoot, manifests, ...fields });
  const hash = commitHashOf(bytes);
  draft.put([objectRow(hash, bytes)]);
  draft.keep([stateRoot, manifests]);
  draft.move(headKey(name), commitCell.encode({ commit: hash }));
  draft.move(stagedKey(name), stagedCell.encode({ stateRoot, ledgerRoot: manifests }));
  return { hash, bytes, object: decodeCommit(bytes).object };
}

function tooManyManifests(count: number): LimitExceeded {
  return new LimitExceeded(`at most ${MAX_BATCH_KEYS} manifests in one commit request, not ${count}`, {
    field: "manifests",
    facts: { limit: "batch_keys", value: String(MAX_BATCH_KEYS) },
  });
}
