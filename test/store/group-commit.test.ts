// Group commit by itself, over transactions that the test controls: who waits for whom, and who learns of a failure.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { utf8 } from "#src/core/bytes.js";
import { Unavailable } from "#src/core/errors.js";
import type { WriteBatch } from "#src/store/index.js";
import { GroupCommit } from "#src/store/lmdb/group-commit.js";

function batch(name: string, sizeBytes = 1): WriteBatch {
  return { puts: [{ space: "meta", key: utf8(name), value: new Uint8Array(sizeBytes) }] };
}

function nameOf(of: WriteBatch): string {
  return Buffer.from(of.puts?.[0]?.key ?? []).toString();
}

/** A commit whose transactions end when the test says so, and the groups that it ran. */
function controlled(): { commit: GroupCommit; groups: string[][]; flush: (error?: Error) => Promise<void> } {
  const groups: string[][] = [];
  const ends: ((error?: Error) => void)[] = [];
  const commit = new GroupCommit({
    run: (takeAndApply) =>
      new Promise((resolve, reject) => {
        ends.push((error) => {
          groups.push([]);
          takeAndApply();
          if (error === undefined) resolve();
          else reject(error);
        });
      }),
    apply: (of) => {
      groups.at(-1)?.push(nameOf(of));
      return nameOf(of).startsWith("refused") ? new Error(nameOf(of)) : undefined;
    },
  });
  const flush = async (error?: Error): Promise<void> => {
    const end = ends.shift();
    assert.ok(end !== undefined, "a transaction is in progress");
    end(error);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { commit, groups, flush };
}

describe("group commit", () => {
  it("takes into a group what has come by the time that the lock is held, in order", async () => {
    const { commit, groups, flush } = controlled();
    const first = [commit.write(batch("a")), commit.write(batch("b"))];
    await flush();
    await Promise.all(first);
    const second = ["c", "d", "e"].map((name) => commit.write(batch(name)));
    await flush();
    await Promise.all(second);
    assert.deepEqual(groups, [
      ["a", "b"],
      ["c", "d", "e"],
    ]);
  });

  it("starts again when a writer writes as soon as it is answered", async () => {
    const { commit, groups, flush } = controlled();
    const chain = commit.write(batch("a")).then(() => commit.write(batch("b")));
    await flush();
    await flush();
    await chain;
    assert.deepEqual(groups, [["a"], ["b"]]);
  });

  it("refuses one batch of a group and writes the others", async () => {
    const { commit, flush } = controlled();
    const outcomes = Promise.allSettled(["a", "refused", "b"].map((name) => commit.write(batch(name))));
    await flush();
    assert.deepEqual(
      (await outcomes).map(({ status }) => status),
      ["fulfilled", "rejected", "fulfilled"],
    );
  });

  it("tells all of a group that failed, and goes on with the next", async () => {
    const { commit, groups, flush } = controlled();
    const failing = Promise.allSettled([commit.write(batch("a")), commit.write(batch("b"))]);
    await flush(new Unavailable("disk full"));
    for (const outcome of await failing) {
      assert.ok(outcome.status === "rejected" && outcome.reason instanceof Unavailable);
    }
    const next = commit.write(batch("c"));
    await flush();
    await next;
    assert.deepEqual(groups, [["a", "b"], ["c"]]);
  });

  it("bounds a group by rows and by bytes, and takes a larger batch alone", async () => {
    const { commit, groups, flush } = controlled();
    const sizes: [string, number][] = [
      ["a", 5e6],
      ["b", 3e6],
      ["c", 5e6],
      ["d", 20e6],
      ["e", 1],
    ];
    const writes = sizes.map(([name, size]) => commit.write(batch(name, size)));
    for (let group = 0; group < 4; group += 1) await flush();
    await Promise.all(writes);
    assert.deepEqual(groups, [["a", "b"], ["c"], ["d"], ["e"]]);
  });

  it("finishes what waits when it closes, and then takes nothing", async () => {
    const { commit, flush } = controlled();
    const write = commit.write(batch("a"));
    const closing = commit.close();
    await assert.rejects(commit.write(batch("b")), Unavailable);
    await flush();
    await write;
    await closing;
  });

  it("refuses all that waits, and all that comes, after a fatal failure", async () => {
    const { commit, flush } = controlled();
    const fatal = new Unavailable("open it again");
    const writes = Promise.allSettled([commit.write(batch("a"))]);
    commit.fail(fatal);
    await flush();
    assert.deepEqual(
      (await writes).map((outcome) => outcome.status === "rejected" && outcome.reason === fatal),
      [true],
    );
    await assert.rejects(commit.write(batch("b")), fatal);
  });
});
