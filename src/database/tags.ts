// Tags: names of commits that do not move (FORMATS §7).
import { equalBytes, toHex } from "../core/bytes.js";
import { AlreadyExists, Conflict, LimitExceeded } from "../core/errors.js";
import { MAX_TAGS } from "../core/limits.js";
import { commitCell, tagKey } from "../core/object/index.js";
import { requireHashBytes } from "./boundary.js";
import type { Committer } from "./committer.js";
import type { DeleteTagOptions, Tags } from "./commit-contract.js";
import type { Receipt, WriteOptions } from "./view-contract.js";
import type { StoredObjects } from "./objects.js";
import { countTags, findTag, requireRefName, requireTag } from "./refs.js";
import { RequestMeaning } from "./request-meaning.js";
import { NOTHING_KEPT, identifyRequest, recordedAs } from "./requests.js";

export class DatabaseTags implements Tags {
  readonly #objects: StoredObjects;
  readonly #committer: Committer;

  constructor(options: { readonly objects: StoredObjects; readonly committer: Committer }) {
    this.#objects = options.objects;
    this.#committer = options.committer;
  }

  async create(name: string, commit: Uint8Array, options: WriteOptions = {}): Promise<Receipt> {
    requireRefName(name, "tag");
    const hash = requireHashBytes("commit", commit);
    const meaning = (): RequestMeaning => new RequestMeaning().text(name).bytes(hash);
    const recorded = recordedAs(identifyRequest(options.idempotency, { method: "tag.create", meaning }), NOTHING_KEPT);
    const earlier = this.#committer.recall(recorded);
    if (earlier !== undefined) return earlier.receipt;
    const named = await this.#objects.commit(hash);
    const { receipt } = await this.#committer.commit(({ draft }) => {
      const tag = findTag(draft, name);
      if (tag !== undefined) {
        throw new AlreadyExists(`tag "${name}" exists already, at commit ${toHex(tag.commit)}`, {
          field: "tag",
          hint: `a tag does not move: delete it first, neleus tag delete ${name}`,
          facts: { kind: "tag", tag: name, current_commit: toHex(tag.commit) },
        });
      }
      if (countTags(draft) >= MAX_TAGS) {
        throw new LimitExceeded(`a database has at most ${MAX_TAGS} tags`, {
          hint: "delete one: neleus tag delete",
          facts: { limit: "tags", value: String(MAX_TAGS) },
        });
      }
      this.#objects.relyOn(draft, named.hash);
      draft.keep([named.object.stateRoot, named.object.manifests]);
      draft.move(tagKey(name), commitCell.encode({ commit: named.hash }));
    }, recorded);
    return receipt;
  }

  async delete(name: string, options: DeleteTagOptions = {}): Promise<Receipt> {
    requireRefName(name, "tag");
    const expected = options.expectedCommit && requireHashBytes("expected_commit", options.expectedCommit);
    const meaning = (): RequestMeaning => new RequestMeaning().text(name).bytes(expected);
    const recorded = recordedAs(identifyRequest(options.idempotency, { method: "tag.delete", meaning }), NOTHING_KEPT);
    const { receipt } = await this.#committer.commit(({ draft }) => {
      const { commit } = requireTag(draft, name);
      if (expected !== undefined && !equalBytes(expected, commit)) {
        throw new Conflict(`tag "${name}" is at commit ${toHex(commit)}, not at ${toHex(expected)}`, {
          field: "expected_commit",
          hint: "somebody made it anew: look at it again, and decide anew",
          facts: { kind: "commit", tag: name, current_commit: toHex(commit), expected: toHex(expected) },
        });
      }
      draft.move(tagKey(name), undefined);
    }, recorded);
    return receipt;
  }
}
