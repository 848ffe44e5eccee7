// Goal: an encrypted database has the roots of one in clear, and nothing of what was put into it lies readable on its disk. Method: the same history
// in both, with everything that a database keeps; every file of the sealed one searched for every text, name, key and hash of it; and a password
// changed by several at once.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { fromHex, toHex, utf8 } from "#src/core/bytes.js";
import { create, open } from "#src/client/embedded/index.js";
import { Database as Engine } from "#src/database/index.js";
import { openDirectory, rotateEncryptionKey } from "#src/store/index.js";
import { temporaryDirectory } from "../store/temporary-directory.js";
import { TestClock, put, testRandom } from "./support/database.js";

const PASSWORD = "the password";
const ENCRYPTION = { kdfIterations: 100_000 };

const TEXTS = [
  "customer/4711/name",
  "Ada Lovelace",
  "quarterly report",
  "a very secret sentence",
  "policy-reviewer",
  "release-candidate",
  "learned a name",
  // These two are hashed in either.
  "resumable-upload",
  "idempotent-request",
];

/** A history that leaves something in every space and folder. Returns hashes of what it made. */
async function use(path: string, encryption: typeof ENCRYPTION | undefined): Promise<readonly string[]> {
  const engine = { clock: new TestClock().read, randomBytes: testRandom(), password: PASSWORD };
  const db = await create(path, { engine: { ...engine, encryption } });
  const { root: first } = await db.state("main").put(TEXTS[0]!, TEXTS[1]!, { idempotencyKey: TEXTS[8]! });
  const large = await db.putBlob(Buffer.alloc(2_000_000, `${TEXTS[3]!}. `));
  const document = await db.putDocument(`${TEXTS[3]!}, again`, {
    source: TEXTS[2]!,
    chunking: { sizeBytes: 8 },
    timeMs: 5,
    head: "main",
  });
  const commit = await db.commit("main", {
    author: TEXTS[4]!,
    message: TEXTS[6]!,
    timeMs: 7,
  });
  await db.tags.create(TEXTS[5]!, commit.hash);
  const { root } = await db.state("main").put("k", "v");
  await db.close();
  const again = await Engine.open(path, engine);
  const upload = await again.uploads.begin({ uploadId: TEXTS[7]! });
  await upload.append(0, utf8(TEXTS[3]!));
  await upload.close();
  const hashes = [first, large.hash, document.hash, commit.hash, root, again.id].map((value) =>
    typeof value === "string" ? value : toHex(value),
  );
  await again.close();
  return hashes;
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Where any of these bytes can be found, in the names or contents of files below a folder. */
function found(path: string, needles: readonly Buffer[]): string[] {
  return filesBelow(path).flatMap((file) => {
    const bytes = Buffer.concat([Buffer.from(file), readFileSync(file)]);
    return needles.filter((needle) => bytes.includes(needle)).map((needle) => `${file}: ${needle.toString("latin1")}`);
  });
}

test("nothing that was put into an encrypted database lies on its disk in clear, and its roots are the same", async (context) => {
  const directory = temporaryDirectory(context);
  const [clear, sealed] = [join(directory, "clear"), join(directory, "sealed")];
  const hashes = await use(clear, undefined);
  assert.deepEqual(await use(sealed, ENCRYPTION), hashes);
  const { store } = await openDirectory(clear);
  const seed = store.sync?.get("meta", utf8("signing-key"));
  await store.close();
  const names = ["heads/main", "states/main", "tags/", "keys/log", "signing-key", "identity", "cosignatures"];
  const needles = [
    ...[...TEXTS, ...names].map((text) => Buffer.from(text)),
    ...hashes.flatMap((hash) => [Buffer.from(hash), Buffer.from(fromHex(hash))]),
    Buffer.from(seed!.subarray(-32)),
    Buffer.from(PASSWORD),
  ];
  // The search finds what there is to be found.
  for (const needle of needles.slice(0, TEXTS.length - 2))
    assert.notDeepEqual(found(clear, [needle]), [], needle.toString());
  assert.deepEqual(found(sealed, needles), []);
  const db = await open(sealed, { engine: { password: PASSWORD } });
  assert.equal(await (await db.snapshot("main")).get(TEXTS[0]!).then((value) => value?.text()), TEXTS[1]);
  await db.close();
});

/** An encrypted database with one key in it. */
async function make(context: TestContext): Promise<string> {
  const path = join(temporaryDirectory(context), "db");
  const db = await Engine.create(path, { encryption: ENCRYPTION, password: "0" });
  await db.states.apply("main", { operations: [put("k", "v")] });
  await db.close();
  return path;
}

test("of several who change the password at once one does, and the others learn of it", async (context) => {
  const path = await make(context);
  const passwords = ["1", "2", "3", "4"];
  const results = await Promise.allSettled(
    passwords.map((newPassword) => rotateEncryptionKey(path, { password: "0", newPassword })),
  );
  const changed = passwords.filter((_, index) => results[index]?.status === "fulfilled");
  assert.equal(changed.length, 1);
  for (const result of results) {
    if (result.status === "rejected") assert.match(String(result.reason), /was changed meanwhile|does not open/);
  }
  for (const password of ["0", ...passwords]) {
    const opening = Engine.open(path, { password });
    if (password === changed[0]) await (await opening).close();
    else await assert.rejects(opening, { code: "PERMISSION_DENIED" });
  }
});
