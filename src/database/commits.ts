// Commits: what is staged on a head becomes a version, chained to the one before (FORMATS §6).
import { toHex } from "../core/bytes.js";
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
import type { Committer } from "./committer.js";
import type { CommitOptions, Commits, Committed, ExpectedCommit, StoredCommit, View } from "./contract.js";
import type { Draft } from "./draft.js";
import { ledgerEdits } from "./manifests.js";
import { objectRow } from "./objects.js";
import type { StoredObjects } from "./objects.js";
import { checkExpectedCommit, requireCommit, requireHead, requireHeadName } from "./refs.js";
import { requireMeta, requireSomeText, requireText, requireTime } from "./text.js";

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
}

export class DatabaseCommits implements Commits {
  readonly #options: CommitsOptions;

  constructor(options: CommitsOptions) {
    this.#options = options;
  }

  async create(options: CommitOptions): Promise<Committed> {
    const { head, author, message, meta } = options;
    const { objects, committer, clock, databaseId } = this.#options;
    requireHeadName(head);
    requireSomeText("author", author);
    requireText("message", message);
    if (meta !== undefined) requireMeta(meta);
    const time = options.timeMs ?? clock();
    requireTime("time", time);
    const hashes = options.manifests ?? [];
    if (hashes.length > MAX_BATCH_KEYS) throw tooManyManifests(hashes.length);
    const expected = checkExpectedCommit(options.expectedCommit);
    const manifests = [];
    for (const [index, hash] of hashes.entries()) manifests.push(await objects.manifest(hash, `manifests[${index}]`));
    const hasMeta = meta !== undefined && Object.keys(meta).length > 0;
    const fields = { author, message, time, database: databaseId, ...(hasMeta ? { meta } : {}) };
    const prepared = { head, fields, ledgerEdits: ledgerEdits(manifests), expected };
    const { value, receipt } = await committer.commit(({ draft }) => commitTo(draft, prepared));
    return { commit: value, receipt };
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

/** Runs in a round. @throws NotFound - kind `head` @throws Conflict - the head's commit is not the expected one */
function commitTo(draft: Draft, prepared: PreparedCommit): StoredCommit {
  const { head: name, fields, expected } = prepared;
  const head = requireHead(draft, name);
  requireCommit(head, expected);
  const stateRoot = head.stagedState;
  const manifests = draft.edit({ kind: MapKind.ledger, root: head.stagedLedger }, prepared.ledgerEdits);
  const parents = head.commit === undefined ? [] : [head.commit];
  const bytes = encodeCommit({ v: 1, parents, stateRoot, manifests, ...fields });
  const hash = commitHashOf(bytes);
  draft.put([objectRow(hash, bytes)]);
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
