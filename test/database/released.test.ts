// Goal: what an earlier version wrote, this one reads, verifies under the key of then, and goes on with; and what is made now is no less.
// Method: the directories that released versions made (test/fixtures), in clear and sealed, through the verifying client; and one that is made here.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { toHex } from "#src/core/bytes.js";
import { hashBlob } from "#src/core/blob/index.js";
import { open } from "#src/client/embedded/index.js";
import { temporaryDirectory } from "../store/temporary-directory.js";
import {
  FORMS,
  KEYS,
  LARGE_BYTES,
  PASSWORD,
  UPLOADED,
  finishUpload,
  keyOf,
  makeHistory,
  packFixture,
  unpackFixture,
  valueOf,
  type Expected,
} from "../fixtures/history.js";

const FOLDER = join(process.cwd(), "test", "fixtures", "databases");

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

/** Everything that was expected is there, nothing is wrong, and the database goes on. */
async function examine(path: string, expected: Expected): Promise<void> {
  const engine = { password: PASSWORD };
  const db = await open(path, { verifierKey: expected.verifierKey, engine });
  assert.equal((await db.checkpoint()).checkpoint.note, expected.checkpoint);
  assert.equal((await db.capabilities()).nextVerifierKey, expected.nextVerifierKey);
  const snapshot = await db.snapshot("main");
  assert.equal(toHex(snapshot.staged.stateRoot), expected.stagedRoot);
  const entries = await all(snapshot.staged.scan({ prefix: "user/", values: true }));
  assert.deepEqual(
    entries.map((entry) => entry.text()),
    Array.from({ length: KEYS }, (_, number) => number)
      .filter((number) => number !== 7)
      .map(valueOf),
  );
  assert.equal((await snapshot.staged.get("large"))?.sizeBytes, LARGE_BYTES);
  const log = await all(db.commits.log({ head: "main" }));
  assert.deepEqual(
    log.map(({ hash }) => toHex(hash)),
    expected.commits,
  );
  assert.equal(toHex((await db.tag("v1")).commitHash), expected.commits[1]);
  assert.ok((await all(db.chunks(expected.document))).length > 1);
  assert.equal(
    (await all(db.blob(expected.large).stream())).reduce((sum, part) => sum + part.length, 0),
    LARGE_BYTES,
  );
  assert.equal((await db.witnessed({ keys: [expected.witness] })).witnesses.length, 1);
  // The same write, repeated.
  const again = await db.state("main").put("staged", "and not committed", { idempotencyKey: "once" });
  assert.equal(toHex(again.root), expected.stagedRoot);
  const found = await all(db.fsck());
  assert.deepEqual(
    found.filter(({ kind }) => kind === "finding"),
    [],
  );
  await db.state("main").put(keyOf(7), "again");
  await db.commit("main", { author: "later", message: "third" });
  await db.rotateKey({ step: "finish" });
  assert.equal((await db.snapshot("main").then((now) => now.get(keyOf(7))))?.text(), "again");
  await db.close();
  assert.equal(await finishUpload(path, "and the rest"), toHex(hashBlob(Buffer.from(`${UPLOADED}and the rest`))));
}

for (const name of readdirSync(FOLDER).sort()) {
  test(`the database of ${name.replace(".json.gz", "")} opens, is whole, and goes on`, async (context) => {
    const path = join(temporaryDirectory(context), "db");
    await examine(path, unpackFixture(readFileSync(join(FOLDER, name)), path));
  });
}

for (const form of FORMS) {
  test(`one that is made now is no less: ${form}`, async (context) => {
    const directory = temporaryDirectory(context);
    const packed = packFixture(join(directory, "made"), await makeHistory(join(directory, "made"), form));
    await examine(join(directory, "db"), unpackFixture(packed, join(directory, "db")));
  });
}
