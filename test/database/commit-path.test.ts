// Goal: the way from a commit down to an ancestor is one of the shortest there are, through any parents; what is no ancestor is
// told so, and what is too far or too hard to find is a limit, never a wrong answer.
// Method: histories of random shape, merges among them, written straight into the store, with distances by plain relaxation as
// the oracle; lines and fans at each limit.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { equalBytes, toHex, u64be } from "#src/core/bytes.js";
import { mapRoot, type CommitHash } from "#src/core/hashes.js";
import {
  MAX_META_BYTES,
  MAX_PATH_BYTES,
  MAX_PATH_COMMITS,
  MAX_PATH_SEARCH_BYTES,
  MAX_PATH_SEARCH_COMMITS,
} from "#src/core/limits.js";
import { emptyMap, MapKind } from "#src/core/map/index.js";
import { commitHashOf, encodeCommit } from "#src/core/object/index.js";
import type { Database } from "#src/database/index.js";
import type { MemoryStore } from "#src/store/index.js";
import { inMemory } from "./support/database.js";
import { expectError } from "./support/expect.js";

/** Commits made beside the engine, which makes no merges yet. */
class History {
  readonly #store: MemoryStore;
  readonly db: Database;
  readonly commits: { readonly hash: CommitHash; readonly sizeBytes: number; readonly parents: readonly number[] }[] =
    [];

  constructor({ db, store }: { readonly db: Database; readonly store: MemoryStore }) {
    this.db = db;
    this.#store = store;
  }

  /** Adds a commit with these parents, by their numbers; returns its own. */
  async add(parents: readonly number[], padding = 0): Promise<number> {
    const number = this.commits.length;
    const bytes = encodeCommit({
      v: 1,
      parents: parents.map((parent) => this.commits[parent]!.hash),
      stateRoot: mapRoot(emptyMap(MapKind.state).digest),
      manifests: mapRoot(emptyMap(MapKind.ledger).digest),
      author: "ada",
      message: `${number}`,
      time: number,
      ...(padding === 0 ? {} : { meta: { padding: "x".repeat(padding) } }),
    });
    const hash = commitHashOf(bytes);
    await this.#store.write({ puts: [{ space: "objects", key: hash, value: bytes }] });
    this.commits.push({ hash, sizeBytes: bytes.length, parents });
    return number;
  }

  /** So many commits on top of each other, the first on `parent`. Returns the last. */
  async line(count: number, parent: number, padding = 0): Promise<number> {
    let last = parent;
    for (let made = 0; made < count; made += 1) last = await this.add([last], padding);
    return last;
  }

  /** So many commits below merges of merges, at the bottom of which lies `last`. Returns the merge at the top. */
  async fan(count: number, last: number, padding = 0): Promise<number> {
    let top = last;
    for (let made = 0; made < count; made += 16) {
      const leaves: number[] = [];
      for (let leaf = 0; leaf < 15; leaf += 1) leaves.push(await this.add([], padding));
      top = await this.add([...leaves, top]);
    }
    return top;
  }

  /** The numbers of the commits on the way. */
  async path(from: number, to: number, signal?: AbortSignal): Promise<number[]> {
    const path = await this.db.commits.path({
      from: this.commits[from]!.hash,
      to: this.commits[to]!.hash,
      name: `commit ${from}`,
      signal,
    });
    return path.map(({ hash }) => this.commits.findIndex((commit) => equalBytes(commit.hash, hash)));
  }

  /** Fewest steps from a commit to each other one. Parents have lower numbers. */
  distances(from: number): number[] {
    const steps = this.commits.map((_, number) => (number === from ? 0 : Infinity));
    for (let number = from; number >= 0; number -= 1) {
      for (const parent of this.commits[number]!.parents) {
        steps[parent] = Math.min(steps[parent]!, steps[number]! + 1);
      }
    }
    return steps;
  }
}

const newHistory = async (): Promise<History> => new History(await inMemory());

describe("the way from a commit down to an ancestor", () => {
  it("is one of the shortest, through any parents, in histories of any shape", async () => {
    const parents = fc.array(fc.nat(5), { maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(fc.array(parents, { minLength: 1, maxLength: 18 }), async (shape) => {
        const history = await newHistory();
        for (const [number, back] of shape.entries()) {
          const named = back.map((steps) => number - 1 - steps).filter((parent) => parent >= 0);
          await history.add([...new Set(named)]);
        }
        const from = history.commits.length - 1;
        for (const [to, steps] of history.distances(from).entries()) {
          if (steps === Infinity) {
            await expectError(history.path(from, to), {
              code: "NOT_FOUND",
              field: "commit",
              facts: { kind: "commit" },
            });
            continue;
          }
          const path = await history.path(from, to);
          assert.equal(path.length, steps);
          let child = from;
          for (const parent of path) {
            assert.ok(history.commits[child]!.parents.includes(parent), `${parent} is a parent of ${child}`);
            child = parent;
          }
          assert.equal(child, to);
        }
      }),
      { numRuns: 60 },
    );
  });

  it("ends at a limit of commits, which the message names", async () => {
    const history = await newHistory();
    const first = await history.add([]);
    const last = await history.line(MAX_PATH_COMMITS, first);
    assert.equal((await history.path(last, first)).length, MAX_PATH_COMMITS);
    const stranger = await history.add([]);
    // All of the history was looked through: that is an answer, and no limit.
    await expectError(history.path(last, stranger), { code: "NOT_FOUND", facts: { kind: "commit" } });
    const further = await history.add([last]);
    for (const to of [first, stranger]) {
      const limit = { limit: "path_commits", value: String(MAX_PATH_COMMITS) };
      await expectError(history.path(further, to), { code: "LIMIT_EXCEEDED", field: "commit", facts: limit });
    }
  });

  it("ends at a limit of bytes, to which the first commit does not count", async () => {
    const history = await newHistory();
    const first = await history.add([], MAX_META_BYTES - 10);
    const fourth = await history.line(3, first, MAX_META_BYTES - 10);
    const fifth = await history.add([fourth], MAX_META_BYTES - 10);
    // Four of 256 KiB and their other fields are more than 1 MiB; three are not.
    const limit = { limit: "path_bytes", value: String(MAX_PATH_BYTES) };
    await expectError(history.path(fifth, first), { code: "LIMIT_EXCEEDED", facts: limit });
    assert.equal((await history.path(fourth, first)).length, 3);
    // Beside that way there is another.
    const merged = await history.add([fifth, first]);
    assert.deepEqual(await history.path(merged, first), [first]);
  });

  it("is not searched for without end", async () => {
    const history = await newHistory();
    const first = await history.add([]);
    const many = await history.fan(MAX_PATH_SEARCH_COMMITS + 100, first);
    await expectError(history.path(many, first), {
      code: "LIMIT_EXCEEDED",
      facts: { limit: "path_search_commits", value: String(MAX_PATH_SEARCH_COMMITS) },
    });
    const large = await history.fan(MAX_PATH_SEARCH_BYTES / MAX_META_BYTES + 50, first, MAX_META_BYTES - 10);
    await expectError(history.path(large, first), {
      code: "LIMIT_EXCEEDED",
      facts: { limit: "path_search_bytes", value: String(MAX_PATH_SEARCH_BYTES) },
    });
  });

  it("is none to what is not there, or is no commit", async () => {
    const history = await newHistory();
    const from = history.commits[await history.add([])]!.hash;
    const { hash: blob } = await history.db.blobs.put(u64be(7));
    const ask = (to: Uint8Array): Promise<unknown> => history.db.commits.path({ from, to, name: "it" });
    await expectError(ask(new Uint8Array(32)), { code: "NOT_FOUND", facts: { kind: "commit" } });
    await expectError(ask(blob), { code: "INVALID_ARGUMENT", field: "commit" });
    await expectError(ask(new Uint8Array(31)), { code: "INVALID_ARGUMENT", field: "commit" });
    assert.deepEqual(await ask(from), []);
  });

  it("tells a missing or damaged commit, by who names it", async () => {
    const { db, store } = await inMemory();
    const history = new History({ db, store });
    const last = await history.line(3, await history.add([]));
    const { hash } = history.commits[1]!;
    await store.write({ deletes: [{ space: "objects", key: hash }] });
    const error = await expectError(history.path(last, 0), { code: "CORRUPT", facts: { hash: toHex(hash) } });
    assert.ok(error.message.includes(`commit ${toHex(history.commits[2]!.hash)} names`), error.message);
    // What lies above it is as it was.
    assert.deepEqual(await history.path(last, 2), [2]);
  });

  it("stops where nobody waits for it, and lets others run before", async () => {
    const history = await newHistory();
    const first = await history.add([]);
    const last = await history.fan(4_000, first);
    const stranger = await history.add([]);
    const reason = new Error("left");
    await assert.rejects(history.path(last, stranger, AbortSignal.abort(reason)), reason);
    const controller = new AbortController();
    const search = history.path(last, stranger, controller.signal);
    setImmediate(() => controller.abort(reason));
    await assert.rejects(search, reason);
    await expectError(history.path(last, stranger), { code: "NOT_FOUND" });
  });

  it("stops also while the commits on it are read again", async () => {
    const { db, store } = await inMemory();
    const history = new History({ db, store });
    const first = await history.add([]);
    const last = await history.line(20, first);
    const controller = new AbortController();
    const reason = new Error("left");
    const { sync } = store;
    const read = sync.get.bind(sync);
    let reads = 0;
    const counted: typeof sync.get = (space, key) => {
      reads += 1;
      // The commit that is wanted, the 21 of the search, and a few of the 20 on the way.
      if (reads === 25) controller.abort(reason);
      return read(space, key);
    };
    Object.defineProperty(sync, "get", { value: counted });
    await assert.rejects(history.path(last, first, controller.signal), reason);
    assert.equal(reads, 25);
  });
});
