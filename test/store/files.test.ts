// Large blobs in files: what the conformance suite cannot see.
//
// Goal: a published file holds exactly what its writer appended, whatever other writers of the same upload do, and what
// crashes leave behind is recognised. Method: two `FileBlobs` on one directory stand for two processes, since all that
// they share is the directory; crashes are imitated by abandoning a writer, or by putting the leftovers there.
import assert from "node:assert/strict";
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, renameSync, rmSync } from "node:fs";
import { truncateSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { TestContext } from "node:test";
import { toHex, utf8 } from "#src/core/bytes.js";
import { Conflict, Corrupt } from "#src/core/errors.js";
import { UPLOAD_EXPIRY_MS } from "#src/core/limits.js";
import { FileBlobs } from "#src/store/files/file-blobs.js";
import type { LargeBlobs } from "#src/store/index.js";
import { temporaryDirectory } from "./temporary-directory.js";

const METADATA = { metadata: utf8("owner") };
const HASH = new Uint8Array(32).fill(0xab);
const NAME = toHex(HASH);

interface Place {
  readonly directory: string;
  readonly upload: string;
  readonly content: string;
  readonly outboard: string;
  /** As another process would open it. */
  readonly open: () => FileBlobs;
}

function place(context: TestContext): Place {
  const directory = temporaryDirectory(context);
  const blobs = join(directory, "blobs");
  const uploads = join(directory, "wal");
  mkdirSync(blobs);
  mkdirSync(uploads);
  const content = join(blobs, "ab", "ab", NAME);
  const upload = join(uploads, "u1.wal");
  const open = (): FileBlobs => {
    const opened = new FileBlobs({ blobs, uploads });
    closeWritersAfter(context, opened);
    return opened;
  };
  return { directory, upload, content, outboard: `${content}.outboard`, open };
}

/** So that writers which a test abandons, as a crash would, leave no files open. */
function closeWritersAfter(context: TestContext, blobs: FileBlobs): void {
  const stage = blobs.stage.bind(blobs);
  blobs.stage = async (uploadId, begin) => {
    const staged = await stage(uploadId, begin);
    context.after(() => staged.close());
    return staged;
  };
}

async function contentOf(blobs: LargeBlobs, hash = HASH): Promise<string | undefined> {
  const blob = await blobs.open(hash);
  if (blob === undefined) return undefined;
  const bytes = await blob.read(0, blob.sizeBytes);
  await blob.close();
  return Buffer.from(bytes).toString();
}

describe("uploads of several processes", () => {
  it("resume after a crash from the last sync, in a file of the new writer's own", async (context) => {
    const here = place(context);
    const crashed = await here.open().stage("u1", METADATA);
    await crashed.append(0, utf8("durable "));
    await crashed.appendOutboard(utf8("chaining"));
    await crashed.sync();
    await crashed.append(8, utf8("lost"));

    const blobs = here.open();
    const resumed = await blobs.stage("u1", METADATA);
    assert.equal(resumed.sizeBytes, 8);
    await resumed.append(8, utf8("and more"));
    // The writer that was thought dead goes on: into a file that is no longer the upload's.
    await crashed.append(12, utf8(" and damaging"));
    await assert.rejects(crashed.sync(), Conflict);
    await assert.rejects(crashed.publish(HASH), Conflict);
    await crashed.close();
    await resumed.publish(HASH);
    assert.equal(await contentOf(blobs), "durable and more");
    assert.equal(existsSync(here.upload), false);
  });

  it("let a writer that was taken over publish nothing, also where it comes first", async (context) => {
    const here = place(context);
    const first = await here.open().stage("u1", METADATA);
    await first.append(0, utf8("abc"));
    await first.sync();
    const second = await here.open().stage("u1", METADATA);
    await assert.rejects(first.publish(HASH), Conflict);
    assert.equal(existsSync(here.content), false);
    await second.append(3, utf8("def"));
    await second.publish(HASH);
    assert.equal(await contentOf(here.open()), "abcdef");
  });

  it("never share a file that was let go of, even if both take it at once", async (context) => {
    const here = place(context);
    const first = await here.open().stage("u1", METADATA);
    await first.append(0, utf8("abc"));
    await first.close();
    const takers = await Promise.allSettled([here.open().stage("u1", METADATA), here.open().stage("u1", METADATA)]);
    const writers = takers.flatMap((taker) => (taker.status === "fulfilled" ? [taker.value] : []));
    assert.equal(writers.length, 2);
    const [one, two] = writers;
    assert.ok(one !== undefined && two !== undefined);
    // In one file, neither would find at both places what it wrote.
    await one.append(3, utf8("1"));
    await two.append(3, utf8("2"));
    await two.append(4, utf8("2"));
    await one.append(4, utf8("1"));
    const outcomes = await Promise.allSettled([one.publish(HASH), two.publish(HASH)]);
    const winners = outcomes.flatMap(({ status }, number) => (status === "fulfilled" ? [number + 1] : []));
    assert.equal(winners.length, 1);
    assert.equal(await contentOf(here.open()), `abc${String(winners[0]).repeat(2)}`);
  });

  it("resume where a claim was left by a crash", async (context) => {
    const here = place(context);
    const first = await here.open().stage("u1", METADATA);
    await first.append(0, utf8("abc"));
    await first.close();
    // Whoever made the claim may be alive after all, and have the file open.
    writeFileSync(join(here.upload, "claim-1"), "");
    const content = readdirSync(here.upload).find((name) => name.startsWith("content-"));
    const claimed = openSync(join(here.upload, content ?? ""), "r+");
    const second = await here.open().stage("u1", METADATA);
    assert.deepEqual(await second.read(0, 3), utf8("abc"));
    writeSync(claimed, "xyz", 0);
    closeSync(claimed);
    await second.publish(HASH);
    assert.equal(await contentOf(here.open()), "abc");
  });

  it("are discarded from elsewhere", async (context) => {
    const here = place(context);
    const writer = await here.open().stage("u1", METADATA);
    await writer.append(0, utf8("abc"));
    assert.equal(await here.open().discardUpload("u1"), true);
    await assert.rejects(writer.sync(), Conflict);
    await assert.rejects(writer.publish(HASH), Conflict);
    await writer.discard();
    assert.deepEqual(readdirSync(join(here.directory, "wal")), []);
    assert.deepEqual(readdirSync(join(here.directory, "blobs")), []);
  });

  it("leave another's upload alone when they are discarded late", async (context) => {
    const here = place(context);
    const first = await here.open().stage("u1", METADATA);
    await first.sync();
    const second = await here.open().stage("u1", METADATA);
    await first.discard();
    await second.append(0, utf8("abc"));
    await second.publish(HASH);
    assert.equal(await contentOf(here.open()), "abc");
  });

  it("begin anew where the record was lost with the power", async (context) => {
    const here = place(context);
    const first = await here.open().stage("u1", METADATA);
    await first.append(0, utf8("abc"));
    writeFileSync(join(here.upload, "record.json"), "");
    const second = await here.open().stage("u1", METADATA);
    assert.equal(second.sizeBytes, 0);
    await second.append(0, utf8("anew"));
    await second.publish(HASH);
    assert.equal(await contentOf(here.open()), "anew");
  });
});

describe("damaged files", () => {
  it("are named: a record", async (context) => {
    const here = place(context);
    await (await here.open().stage("u1", METADATA)).close();
    const record = join(here.upload, "record.json");
    const good = { version: 1, generation: 1, content: "content-1-0011223344556677", size_bytes: 0, released: false };
    const rest = { metadata: "", started_ms: 0, touched_ms: 0 };
    const spoilt = [
      "{",
      "[]",
      "null",
      { ...good, ...rest, version: 2 },
      { ...good, ...rest, content: "../../meta/config.json" },
      { ...good, ...rest, size_bytes: -1 },
      { ...good, ...rest, generation: 0.5 },
      { ...good, ...rest, released: 1 },
      { ...good },
      JSON.stringify({ ...good, ...rest }) + " ".repeat(300_000),
    ];
    for (const text of spoilt) {
      writeFileSync(record, typeof text === "string" ? text : JSON.stringify(text));
      const blobs = here.open();
      await assert.rejects(
        blobs.stage("u1", METADATA),
        (error) => error instanceof Corrupt && /record\.json/.test(error.message),
      );
      await assert.rejects(blobs.findUpload("u1"), Corrupt);
      assert.deepEqual(await blobs.listUploads(), []);
    }
    const blobs = here.open();
    assert.equal(await blobs.discardUpload("u1"), true);
    await (await blobs.stage("u1", METADATA)).discard();
  });

  it("are named: content shorter than was durable", async (context) => {
    const here = place(context);
    const first = await here.open().stage("u1", METADATA);
    await first.append(0, utf8("abcdef"));
    await first.close();
    const content = readdirSync(here.upload).find((name) => name.startsWith("content-"));
    truncateSync(join(here.upload, content ?? ""), 3);
    await assert.rejects(
      here.open().stage("u1", METADATA),
      (error) => error instanceof Corrupt && /3 bytes, and 6/.test(error.message),
    );
  });

  it("are named: an outboard that is gone, a file that was cut while open", async (context) => {
    const here = place(context);
    const blobs = here.open();
    const staged = await blobs.stage("u1", METADATA);
    await staged.append(0, utf8("abcdef"));
    await staged.appendOutboard(utf8("xyz"));
    await staged.publish(HASH);
    const blob = await blobs.open(HASH);
    assert.ok(blob !== undefined);
    truncateSync(here.content, 4);
    assert.deepEqual(await blob.read(0, 4), utf8("abcd"));
    await assert.rejects(blob.read(2, 4), (error) => error instanceof Corrupt && error.message.includes(here.content));
    await blob.close();
    rmSync(here.outboard);
    await assert.rejects(
      blobs.open(HASH),
      (error) => error instanceof Corrupt && error.message.includes(here.outboard),
    );
    assert.equal(await blobs.delete(HASH), true);
    assert.equal(await blobs.open(HASH), undefined);
  });
});

describe("a deletion in progress", () => {
  it("is absence, not damage, to whoever opens the blob just then", async (context) => {
    const here = place(context);
    const blobs = here.open();
    const staged = await blobs.stage("u1", METADATA);
    await staged.append(0, utf8("abc"));
    await staged.publish(HASH);
    // The content is opened by another thread while this one waits; the outboard is looked for after that.
    const opening = blobs.open(HASH);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
    rmSync(here.content);
    rmSync(here.outboard);
    assert.equal(await opening, undefined);
  });
});

describe("leftovers", () => {
  it("go with cleanUp once they are old: uploads, outboards, half-removed folders", async (context) => {
    const here = place(context);
    const clock = { nowMs: Date.now() };
    context.mock.method(Date, "now", () => clock.nowMs);
    const blobs = here.open();
    const kept = await blobs.stage("kept", METADATA);
    await kept.append(0, utf8("abc"));
    await kept.publish(HASH);
    // A crash between the two renames of a publish.
    const orphan = join(here.directory, "blobs", "ab", "ab", `${"ab".repeat(31)}cd.outboard`);
    writeFileSync(orphan, "outboard");
    const discarded = join(here.directory, "wal", ".discarded-0011223344556677");
    mkdirSync(discarded);
    writeFileSync(join(discarded, "content"), "");
    const damaged = join(here.directory, "wal", "damaged.wal");
    mkdirSync(damaged);
    writeFileSync(join(damaged, "record.json"), "{");
    await (await blobs.stage("u1", METADATA)).close();

    assert.deepEqual(await blobs.cleanUp(), { uploads: 0, outboards: 0 });
    assert.equal(existsSync(discarded), false);
    assert.equal(existsSync(orphan), true);
    clock.nowMs += UPLOAD_EXPIRY_MS + 1000;
    assert.deepEqual(await blobs.cleanUp(), { uploads: 2, outboards: 1 });
    assert.equal(existsSync(orphan), false);
    assert.deepEqual(readdirSync(join(here.directory, "wal")), []);
    assert.equal(await contentOf(blobs), "abc");
  });

  it("are written over: an orphaned outboard by the blob's next upload", async (context) => {
    const here = place(context);
    const blobs = here.open();
    const staged = await blobs.stage("u1", METADATA);
    await staged.append(0, utf8("abc"));
    await staged.appendOutboard(utf8("right"));
    mkdirSync(join(here.directory, "blobs", "ab", "ab"), { recursive: true });
    writeFileSync(here.outboard, "left behind by a crash");
    await staged.publish(HASH);
    const blob = await blobs.open(HASH);
    assert.deepEqual(await blob?.readOutboard(0, 5), utf8("right"));
    assert.equal(blob?.outboardSizeBytes, 5);
    await blob.close();
  });

  it("are not taken for blobs: files of other names or in other folders", async (context) => {
    const here = place(context);
    const blobs = here.open();
    const staged = await blobs.stage("u1", METADATA);
    await staged.append(0, utf8("abc"));
    await staged.publish(HASH);
    const folder = join(here.directory, "blobs", "ab", "ab");
    for (const name of ["notes", NAME.toUpperCase(), "cd".repeat(32)]) writeFileSync(join(folder, name), "");
    writeFileSync(join(here.directory, "blobs", "stray"), "");
    const found: string[] = [];
    for await (const hash of blobs.iterate()) found.push(toHex(hash));
    assert.deepEqual(found, [NAME]);
  });

  it("heal where the content came and the outboard had gone", async (context) => {
    const here = place(context);
    const blobs = here.open();
    for (const id of ["u1", "u2"]) {
      const staged = await blobs.stage(id, METADATA);
      await staged.append(0, utf8("abc"));
      await staged.appendOutboard(utf8("right"));
      await staged.publish(HASH);
      if (id === "u1") renameSync(here.outboard, join(here.directory, "gone"));
    }
    const blob = await blobs.open(HASH);
    assert.deepEqual(await blob?.readOutboard(0, 5), utf8("right"));
    await blob?.close();
  });
});
