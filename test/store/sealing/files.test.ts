// Goal: sealed files hold what was written, whoever goes on with them, seal no segment twice, and are no other blob's.
// Method: random histories of an upload (appends, syncs, releases, crashes, going on) against a plain array; the segments of every
// file that ever was, opened and compared; files changed, cut and exchanged on the disk.
import assert from "node:assert/strict";
import { cpSync, readFileSync, readdirSync, renameSync, truncateSync, writeFileSync } from "node:fs";
import { mkdirSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import fc from "fast-check";
import { fromHex, toHex } from "#src/core/bytes.js";
import { Corrupt } from "#src/core/errors.js";
import { FileBlobs } from "#src/store/files/file-blobs.js";
import { KeyRing } from "#src/store/sealing/key-ring.js";
import { sealedFormat } from "#src/store/sealing/sealed-format.js";
import type { LargeBlob, StagedBlob } from "#src/store/index.js";
import { temporaryDirectory } from "../temporary-directory.js";

interface FileVector {
  readonly id: number;
  readonly algorithm: "aes-256-gcm" | "chacha20-poly1305";
  readonly key: string;
  readonly name_key: string;
  readonly hash: string;
  readonly content: string;
  readonly name: string;
  readonly file: string;
}

const KEYS = new KeyRing({
  dataKeys: [{ id: 1, algorithm: "aes-256-gcm", key: new Uint8Array(32).fill(5) }],
  nameKey: new Uint8Array(32).fill(6),
});

interface Place {
  readonly blobs: string;
  readonly uploads: string;
  readonly open: () => FileBlobs;
}

function place(context: TestContext, keys = KEYS): Place {
  const root = temporaryDirectory(context);
  const [blobs, uploads] = [join(root, "blobs"), join(root, "wal")];
  mkdirSync(blobs);
  mkdirSync(uploads);
  return { blobs, uploads, open: () => new FileBlobs({ blobs, uploads }, sealedFormat(keys)) };
}

const METADATA = { metadata: new Uint8Array(0) };
const hashOf = (number: number): Uint8Array => new Uint8Array(32).fill(number);
const SEGMENT = 65_536;

async function contentOf(blob: LargeBlob | undefined): Promise<Uint8Array> {
  assert.ok(blob !== undefined);
  try {
    return await blob.read(0, blob.sizeBytes);
  } finally {
    await blob.close();
  }
}

async function putBlob(blobs: FileBlobs, hash: Uint8Array, content: Uint8Array, outboard = content): Promise<void> {
  const staged = await blobs.stage("u", METADATA);
  await staged.append(0, content);
  await staged.appendOutboard(outboard);
  await staged.publish(hash);
}

/** Every file below a folder. */
function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesBelow(path) : [path];
  });
}

/** The sealed segments of a staged file, by salt and position. */
function noteSegments(path: string, seen: Map<string, string>): void {
  const bytes = readFileSync(path);
  const salt = bytes.subarray(125 + 5, 125 + 37).toString("hex");
  for (let at = 125 + 37; at + SEGMENT + 16 <= bytes.length; at += SEGMENT + 16) {
    const name = `${salt}/${at}`;
    const sealed = bytes.subarray(at, at + SEGMENT + 16).toString("base64");
    assert.ok((seen.get(name) ?? sealed) === sealed, "a segment is sealed once, or as it was");
    seen.set(name, sealed);
  }
}

describe("sealed files", () => {
  it("are those of the vectors", async (context) => {
    const vectors = JSON.parse(readFileSync("test/vectors/record.json", "utf8")) as { files: FileVector[] };
    for (const vector of vectors.files) {
      const dataKeys = [{ id: vector.id, algorithm: vector.algorithm, key: fromHex(vector.key) }];
      const here = place(context, new KeyRing({ dataKeys, nameKey: fromHex(vector.name_key) }));
      const blobs = here.open();
      await putBlob(blobs, fromHex(vector.hash), fromHex(vector.content));
      const path = join(here.blobs, vector.name.slice(0, 2), vector.name.slice(2, 4), vector.name);
      assert.equal(readFileSync(path).length, vector.file.length / 2);
      writeFileSync(path, fromHex(vector.file));
      assert.equal(toHex(await contentOf(await blobs.open(fromHex(vector.hash)))), vector.content);
    }
  });

  it("hold what was appended, read at any place, through syncs, releases and crashes", async (context) => {
    const length = fc.oneof(
      fc.nat({ max: 300 }),
      fc.constantFrom(SEGMENT - 1, SEGMENT, SEGMENT + 1),
      fc.nat({ max: 250_000 }),
    );
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ do: fc.constant("append" as const), length }) },
      {
        weight: 1,
        arbitrary: fc.record({ do: fc.constantFrom("sync" as const, "release" as const, "crash" as const), length }),
      },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const here = place(context);
        const seen = new Map<string, string>();
        let [content, durable] = [new Uint8Array(0), new Uint8Array(0)];
        const crashed: StagedBlob[] = [];
        let staged: StagedBlob = await here.open().stage("u", METADATA);
        for (const [number, { do: what, length: bytes }] of steps.entries()) {
          if (what === "append") {
            const more = Uint8Array.from({ length: bytes }, (_, index) => (index * 7 + number) & 255);
            await staged.append(content.length, more);
            content = Uint8Array.from([...content, ...more]);
          } else if (what === "sync") {
            await staged.sync();
            durable = content;
          } else {
            if (what === "release") {
              await staged.close();
              durable = content;
            } else crashed.push(staged);
            // As another process would.
            staged = await here.open().stage("u", METADATA);
            content = durable;
          }
          for (const path of filesBelow(here.uploads)) if (path.includes("/content-")) noteSegments(path, seen);
          assert.equal(staged.sizeBytes, content.length);
          const from = Math.floor(content.length / 3);
          assert.deepEqual(await staged.read(from, content.length - from), content.slice(from));
        }
        await staged.publish(hashOf(1));
        // The upload is not theirs any more: this only closes their files.
        for (const one of crashed) await one.discard();
        const blob = await here.open().open(hashOf(1));
        assert.ok(blob !== undefined);
        const [from, to] = [Math.floor(content.length / 5), Math.floor(content.length / 2)];
        assert.deepEqual(await blob.read(from, to - from), content.slice(from, to));
        assert.deepEqual(await blob.read(0, content.length), content);
        await blob.close();
      }),
      { numRuns: 25 },
    );
  });

  it("share no segment with a copy of the directory in which the same upload goes on otherwise", async (context) => {
    const here = place(context);
    const staged = await here.open().stage("u", METADATA);
    await staged.append(0, new Uint8Array(SEGMENT + 10).fill(1));
    await staged.close();
    // A backup, a clone, a snapshot of the disk.
    const copy = join(temporaryDirectory(context), "wal");
    cpSync(here.uploads, copy, { recursive: true });
    const seen = new Map<string, string>();
    for (const [number, uploads] of [here.uploads, copy].entries()) {
      const again = await new FileBlobs({ blobs: here.blobs, uploads }, sealedFormat(KEYS)).stage("u", METADATA);
      assert.equal(again.sizeBytes, SEGMENT + 10);
      await again.append(SEGMENT + 10, new Uint8Array(2 * SEGMENT).fill(2 + number));
      for (const path of filesBelow(uploads)) if (path.includes("/content-")) noteSegments(path, seen);
      await again.close();
    }
  });

  it("of an upload are one content however often its writer lets go of it", async (context) => {
    const here = place(context);
    for (let round = 0; round < 4; round += 1) {
      const staged = await here.open().stage("u", METADATA);
      assert.equal(staged.sizeBytes, round * 1_000);
      await staged.append(staged.sizeBytes, new Uint8Array(1_000).fill(round));
      await staged.close();
      assert.equal(filesBelow(here.uploads).filter((path) => path.includes("/content-")).length, 1);
    }
  });

  it("begin anew where a crash came before anything of an upload was durable", async (context) => {
    const here = place(context);
    const crashed = await here.open().stage("u", METADATA);
    // What a machine that loses its power may leave of a file that was never flushed.
    for (const path of filesBelow(here.uploads)) if (path.includes("/content-")) truncateSync(path, 0);
    const staged = await here.open().stage("u", METADATA);
    await staged.append(0, new Uint8Array(10).fill(7));
    await staged.publish(hashOf(1));
    assert.deepEqual(await contentOf(await here.open().open(hashOf(1))), new Uint8Array(10).fill(7));
    await crashed.discard();
  });

  it("record the end of what was flushed, whatever is appended meanwhile", async (context) => {
    const path = join(temporaryDirectory(context), "content");
    const handle = await open(path, "w+");
    const writer = await sealedFormat(KEYS).begin({ path, handle }, "content");
    await writer.append(new Uint8Array(10).fill(1));
    const synced = writer.sync();
    await writer.append(new Uint8Array(10).fill(2));
    assert.deepEqual(await synced, new Uint8Array(10).fill(1));
    await handle.close();
  });

  it("read at once at different places", async (context) => {
    const blobs = place(context).open();
    const content = Uint8Array.from({ length: 500_000 }, (_, index) => (index * 13) & 255);
    await putBlob(blobs, hashOf(1), content);
    const blob = await blobs.open(hashOf(1));
    assert.ok(blob !== undefined);
    const reads = Array.from({ length: 60 }, async (_, number) => {
      const [offset, length] = [(number * 7_919) % 450_000, 1 + ((number * 611) % 50_000)];
      assert.deepEqual(await blob.read(offset, length), content.slice(offset, offset + length));
    });
    await Promise.all(reads);
    await blob.close();
  });

  it("are refused where a byte is changed, or they are cut, extended, exchanged or renamed", async (context) => {
    const here = place(context);
    const blobs = here.open();
    for (const number of [1, 2]) await putBlob(blobs, hashOf(number), new Uint8Array(70_000).fill(number));
    const pathOf = (number: number, suffix = ""): string => {
      const name = sealedFormat(KEYS).blobName(hashOf(number));
      return join(here.blobs, name.slice(0, 2), name.slice(2, 4), name + suffix);
    };
    const original = readFileSync(pathOf(1));
    const refused = async (): Promise<void> => {
      const error: unknown = await (async () => contentOf(await blobs.open(hashOf(1))))().catch(
        (thrown: unknown) => thrown,
      );
      assert.ok(error instanceof Corrupt, String(error));
      assert.match(error.message, new RegExp(pathOf(1)));
    };
    for (const at of [0, 3, 20, 60, 120, 126, 140, 170, 65_000, 66_000, original.length - 1]) {
      const changed = Buffer.from(original);
      changed[at]! ^= 4;
      writeFileSync(pathOf(1), changed);
      await refused();
    }
    for (const length of [0, 100, 125, 162, 65_714, original.length - 1]) {
      writeFileSync(pathOf(1), original);
      truncateSync(pathOf(1), length);
      await refused();
    }
    writeFileSync(pathOf(1), Buffer.concat([original, Buffer.from([0])]));
    await refused();
    // Another blob's file under this name; and its content under this label.
    const other = readFileSync(pathOf(2));
    writeFileSync(pathOf(1), other);
    await refused();
    writeFileSync(pathOf(1), Buffer.concat([original.subarray(0, 125), other.subarray(125)]));
    await refused();
    // The outboard is no content, though both are of this blob.
    cpSync(pathOf(1, ".outboard"), pathOf(1));
    await refused();
    writeFileSync(pathOf(1), original);
    assert.deepEqual(await contentOf(await blobs.open(hashOf(1))), new Uint8Array(70_000).fill(1));
  });

  it("are listed by the hashes that their labels tell, and by no name", async (context) => {
    const here = place(context);
    const blobs = here.open();
    for (const number of [1, 2, 3]) await putBlob(blobs, hashOf(number), new Uint8Array(10).fill(number));
    const unreadable: Corrupt[] = [];
    const listed = async (): Promise<string[]> => {
      const hashes: string[] = [];
      for await (const hash of blobs.iterate({ onUnreadable: (error) => unreadable.push(error) })) {
        hashes.push(toHex(hash));
      }
      return hashes.sort();
    };
    assert.deepEqual(
      await listed(),
      [1, 2, 3].map((number) => toHex(hashOf(number))),
    );
    const name = sealedFormat(KEYS).blobName(hashOf(2));
    const path = join(here.blobs, name.slice(0, 2), name.slice(2, 4), name);
    renameSync(
      path,
      path.replace(/..$/, (end) => (end === "00" ? "01" : "00")),
    );
    assert.deepEqual(
      await listed(),
      [1, 3].map((number) => toHex(hashOf(number))),
    );
    assert.equal(unreadable.length, 1);
    await assert.rejects(async () => {
      for await (const hash of blobs.iterate()) assert.ok(hash.length === 32);
    }, Corrupt);
    for (const file of filesBelow(here.blobs)) {
      for (const number of [1, 2, 3]) assert.ok(!file.includes(toHex(hashOf(number)).slice(0, 8)), file);
    }
  });

  it("tell nothing of an upload: neither its id nor what is recorded of it", async (context) => {
    const here = place(context);
    const staged = await here.open().stage("quarterly-report", { metadata: Buffer.from("whose it is") });
    await staged.append(0, Buffer.from("some very recognisable content"));
    await staged.sync();
    for (const path of filesBelow(here.uploads)) {
      assert.ok(!path.includes("quarterly"), path);
      const bytes = readFileSync(path).toString("latin1");
      for (const word of ["quarterly", "whose", "recognisable", Buffer.from("whose it is").toString("base64")]) {
        assert.ok(!bytes.includes(word), `${path} holds ${word}`);
      }
    }
    assert.equal((await here.open().listUploads())[0]?.uploadId, "quarterly-report");
    assert.equal((await here.open().findUpload("quarterly-report"))?.sizeBytes, 30);
    await staged.discard();
  });
});
