// Heads: named lines of commits, each with a staged state and ledger on top (FORMATS §7).
import { compareBytes } from "../core/bytes.js";
import { AlreadyExists, LimitExceeded } from "../core/errors.js";
import type { MapRoot } from "../core/hashes.js";
import { MAX_HEADS } from "../core/limits.js";
import { commitCell, headKey, stagedCell, stagedKey } from "../core/object/index.js";
import { requireHashBytes } from "./boundary.js";
import type { Committer } from "./committer.js";
import type {
  CreateHeadOptions,
  DeleteHeadOptions,
  Heads,
  ResetHeadOptions,
  SetHeadKeysOptions,
} from "./commit-contract.js";
import type { Receipt, StoredCommit } from "./view-contract.js";
import type { Draft } from "./draft.js";
import { checkHeadKeys, requireNoKeys, setHeadKeys } from "./head-keys.js";
import type { StoredObjects } from "./objects.js";
import {
  checkExpectedCommit,
  countHeads,
  findHead,
  requireCommit,
  requireHead,
  requireRefName,
  requireStagedRoot,
} from "./refs.js";
import { RequestMeaning, addExpectedCommit } from "./request-meaning.js";
import { NOTHING_KEPT, identifyRequest, recordedAs } from "./requests.js";

export interface HeadsOptions {
  readonly objects: StoredObjects;
  readonly committer: Committer;
  /** Roots of the empty maps. */
  readonly empty: { readonly stateRoot: MapRoot; readonly ledgerRoot: MapRoot };
}

export class DatabaseHeads implements Heads {
  readonly #options: HeadsOptions;

  constructor(options: HeadsOptions) {
    this.#options = options;
  }

  async create(name: string, options: CreateHeadOptions = {}): Promise<Receipt> {
    const { objects, committer, empty } = this.#options;
    requireRefName(name);
    const meaning = (): RequestMeaning => new RequestMeaning().text(name).bytes(options.commit);
    const recorded = recordedAs(identifyRequest(options.idempotency, { method: "head.create", meaning }), NOTHING_KEPT);
    const earlier = committer.recall(recorded);
    if (earlier !== undefined) return earlier.receipt;
    const commit = options.commit === undefined ? undefined : await objects.commit(options.commit);
    const { receipt } = await committer.commit(({ draft }) => {
      if (findHead(draft, name) !== undefined) {
        throw new AlreadyExists(`head "${name}" exists already`, {
          field: "head",
          hint: "see: neleus head list",
          facts: { kind: "head", head: name },
        });
      }
      if (countHeads(draft) >= MAX_HEADS) {
        throw new LimitExceeded(`a database has at most ${MAX_HEADS} heads`, {
          hint: "delete one: neleus head delete",
          facts: { limit: "heads", value: String(MAX_HEADS) },
        });
      }
      if (commit !== undefined) objects.relyOn(draft, commit.hash);
      placeHead(draft, name, { commit, empty });
    }, recorded);
    return receipt;
  }

  async reset(name: string, options: ResetHeadOptions = {}): Promise<Receipt> {
    const { objects, committer, empty } = this.#options;
    requireRefName(name);
    const expected = checkExpectedCommit(options.expectedCommit);
    const expectedRoot = options.expectedRoot && requireHashBytes("expected_root", options.expectedRoot);
    const meaning = (): RequestMeaning =>
      addExpectedCommit(new RequestMeaning().text(name).bytes(options.commit), expected).bytes(expectedRoot);
    const recorded = recordedAs(identifyRequest(options.idempotency, { method: "head.reset", meaning }), NOTHING_KEPT);
    const earlier = committer.recall(recorded);
    if (earlier !== undefined) return earlier.receipt;
    const commit = options.commit === undefined ? undefined : await objects.commit(options.commit);
    const { receipt } = await committer.commit(({ draft }) => {
      const head = requireHead(draft, name);
      requireNoKeys(draft, name, "reset");
      requireCommit(head, expected);
      requireStagedRoot(head, expectedRoot);
      if (commit !== undefined) objects.relyOn(draft, commit.hash);
      placeHead(draft, name, { commit, empty });
    }, recorded);
    return receipt;
  }

  async delete(name: string, options: DeleteHeadOptions = {}): Promise<Receipt> {
    requireRefName(name);
    const expected = checkExpectedCommit(options.expectedCommit);
    const meaning = (): RequestMeaning => addExpectedCommit(new RequestMeaning().text(name), expected);
    const recorded = recordedAs(identifyRequest(options.idempotency, { method: "head.delete", meaning }), NOTHING_KEPT);
    const { receipt } = await this.#options.committer.commit(({ draft }) => {
      const head = requireHead(draft, name);
      requireNoKeys(draft, name, "deleted");
      requireCommit(head, expected);
      draft.move(headKey(name), undefined);
      draft.move(stagedKey(name), undefined);
    }, recorded);
    return receipt;
  }

  async setKeys(name: string, options: SetHeadKeysOptions): Promise<Receipt> {
    requireRefName(name);
    const keys = checkHeadKeys("keys", options.keys);
    const expected = options.expectedKeys?.map((key, index) => requireHashBytes(`expected_keys.keys[${index}]`, key));
    const meaning = (): RequestMeaning => addKeys(addKeys(new RequestMeaning().text(name), keys), expected);
    const method = "head.set-keys";
    const recorded = recordedAs(identifyRequest(options.idempotency, { method, meaning }), NOTHING_KEPT);
    const { receipt } = await this.#options.committer.commit(({ draft }) => {
      requireHead(draft, name);
      setHeadKeys(draft, name, { keys, expected });
    }, recorded);
    return receipt;
  }
}

/** A set of keys, in whatever order; absent is not the same as empty. */
function addKeys(meaning: RequestMeaning, keys: readonly Uint8Array[] | undefined): RequestMeaning {
  if (keys === undefined) return meaning.bytes(undefined);
  meaning.list(keys.length);
  for (const key of [...keys].sort(compareBytes)) meaning.bytes(key);
  return meaning;
}

/** Has a head be at a commit, or without one and empty, with nothing else staged. */
function placeHead(
  draft: Draft,
  name: string,
  place: { readonly commit: StoredCommit | undefined; readonly empty: HeadsOptions["empty"] },
): void {
  const { commit, empty } = place;
  const staged =
    commit === undefined ? empty : { stateRoot: commit.object.stateRoot, ledgerRoot: commit.object.manifests };
  draft.move(headKey(name), commit && commitCell.encode({ commit: commit.hash }));
  draft.keep([staged.stateRoot, staged.ledgerRoot]);
  draft.move(stagedKey(name), stagedCell.encode(staged));
}
