// The demo's client, a process of its own: streams real files in, keeps state, commits, reads everything back with
// verification, and is then lied to.
//
//   node build/examples/demo/client.js '{"address": "…", "documentation": "…", "largeFile": "…", "liars": {…}}'
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { toBinary } from "@bufbuild/protobuf";
import { connect, NeleusError, type Database } from "neleus";
import { SnapshotSchema, StateProofSchema } from "#gen/neleus/v1/proof_pb.js";
import { readDocumentation, type DocumentationFile } from "./corpus.js";
import type { LieName } from "./lying-proxy.js";

interface Settings {
  readonly address: string;
  readonly documentation: string;
  readonly largeFile: string;
  readonly liars: Readonly<Record<LieName, { readonly address: string; readonly description: string }>>;
}

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);
const say = (text: string): void => console.log(text);

/** Runs one part of the demo and prints what it did and how long it took. */
async function part<T>(
  title: string,
  run: () => Promise<{ readonly text: (seconds: number) => string; readonly result: T }>,
): Promise<T> {
  const started = performance.now();
  const { text, result } = await run();
  say(`  ${title.padEnd(26)} ${text((performance.now() - started) / 1000)}`);
  return result;
}

function check(condition: boolean, what: string): void {
  if (!condition) throw new Error(`the demo expected: ${what}`);
}

async function ingest(db: Database, files: readonly DocumentationFile[], settings: Settings) {
  const bytes = files.reduce((sum, file) => sum + file.content.length, 0);
  const documents = await part("documents", async () => {
    const hashes = new Map<string, Uint8Array>();
    const queue = [...files];
    // Eight at a time: concurrent writers share a flush, a log leaf and a signature.
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
          const stored = await db.putDocument(file.content, {
            source: file.path,
            head: "main",
            chunking: { sizeBytes: 1024, overlapBytes: 128 },
          });
          hashes.set(file.path, stored.hash);
        }
      }),
    );
    return {
      text: (seconds) =>
        `${files.length} files, ${megabytes(bytes)} MB, cut into chunks of 1 KiB: ${Math.round(files.length / seconds)} durable documents/s`,
      result: hashes,
    };
  });
  await part("state", async () => {
    for (let start = 0; start < files.length; start += 100) {
      const batch = files.slice(start, start + 100);
      // A batch stays within one message.
      for (let from = 0; from < batch.length;) {
        let to = from;
        let size = 0;
        while (to < batch.length && (to === from || size + (batch[to]?.content.length ?? 0) < 1_000_000))
          size += batch[to++]?.content.length ?? 0;
        await db
          .state("main")
          .apply(batch.slice(from, to).map((file) => ({ key: `docs/${file.path}`, value: file.content })));
        from = to;
      }
    }
    return {
      text: (seconds) => `path → content for ${files.length} keys in ${seconds.toFixed(2)} s`,
      result: undefined,
    };
  });
  const large = await part("large file", async () => {
    const { size } = await stat(settings.largeFile);
    const blob = await db.putBlob(createReadStream(settings.largeFile, { highWaterMark: 256 * 1024 }));
    check(blob.sizeBytes === size, "the size of the large file");
    return {
      text: (seconds) =>
        `node executable, ${megabytes(size)} MB up, hashed at both ends: ${Math.round(size / 1e6 / seconds)} MB/s`,
      result: blob,
    };
  });
  return { documents, large };
}

async function commitTwice(db: Database, files: readonly DocumentationFile[]) {
  const first = await db.commit("main", { author: "demo", message: "documentation as installed" });
  const changed = files.slice(0, 10);
  await db
    .state("main")
    .apply([
      ...changed.map((file) => ({ key: `docs/${file.path}`, value: `${file.path}: changed by the demo` })),
      { key: "notes/today", value: "ten files changed" },
    ]);
  const second = await db.commit("main", { author: "demo", message: "ten files changed" });
  const log = [];
  for await (const commit of db.commits.log({ head: "main" })) log.push(commit.message);
  check(log.length === 2 && log[0] === "ten files changed", "two commits, newest first");
  say(
    `  ${"commits".padEnd(26)} ${Buffer.from(first.hash).toString("hex").slice(0, 12)}… then ${Buffer.from(second.hash).toString("hex").slice(0, 12)}…, log checked by hash`,
  );
  return new Set(changed.map((file) => file.path));
}

async function readBack(
  db: Database,
  stored: {
    readonly files: readonly DocumentationFile[];
    readonly changed: ReadonlySet<string>;
    readonly documents: ReadonlyMap<string, Uint8Array>;
    readonly large: { readonly hash: Uint8Array; readonly sizeBytes: number };
  },
) {
  const { files, changed, documents, large } = stored;
  const snapshot = await part("snapshot", async () => {
    const result = await db.snapshot("main");
    const bytes = toBinary(SnapshotSchema, result.message).length;
    return {
      text: (seconds) =>
        `key → checkpoint → log → refs → commit: ${bytes} bytes, ${(seconds * 1000).toFixed(1)} ms, once`,
      result,
    };
  });
  await part("reads", async () => {
    for (const file of files) {
      const value = await snapshot.get(`docs/${file.path}`);
      const wanted = changed.has(file.path)
        ? Buffer.from(`${file.path}: changed by the demo`)
        : Buffer.from(file.content);
      check(value !== undefined && wanted.equals(value.bytes), `${file.path} reads back as written`);
    }
    return {
      text: (seconds) =>
        `${files.length} values read back and verified: ${Math.round(files.length / seconds)} /s, one after the other`,
      result: undefined,
    };
  });
  await part("proof sizes", async () => {
    const sizes: number[] = [];
    for (const file of files.slice(10, 60)) {
      const proof = await db.proofs.state({ root: snapshot.stateRoot }, `docs/${file.path}`);
      sizes.push(toBinary(StateProofSchema, { ...proof, value: undefined }).length);
    }
    sizes.sort((a, b) => a - b);
    return {
      text: () =>
        `a key's proof: ${sizes[sizes.length >> 1]} bytes in the middle, ${sizes.at(-1)} at most, of ${sizes.length}`,
      result: undefined,
    };
  });
  await part("scan", async () => {
    const [prefix] = /^[^/]*\//.exec(files[0]?.path ?? "") ?? [""];
    const keys: string[] = [];
    for await (const entry of snapshot.scan({ prefix: `docs/${prefix}` })) keys.push(entry.keyText());
    const wanted = files.filter((file) => file.path.startsWith(prefix)).length;
    check(keys.length === wanted, `${wanted} keys below docs/${prefix}`);
    return { text: () => `docs/${prefix}: ${keys.length} keys, proved that there are no others`, result: undefined };
  });
  await part("chunk list", async () => {
    const [path, manifest] = [...documents].sort(([a], [b]) => fileSize(files, b) - fileSize(files, a))[0] ?? [];
    if (path === undefined || manifest === undefined) throw new Error("no document");
    const count = await readAll(db.chunks(manifest));
    return { text: () => `${path}: ${count} chunks, proved complete and in order`, result: undefined };
  });
  check((await snapshot.get("docs/no/such/file.md")) === undefined, "an absent key");
  say(`  ${"absence".padEnd(26)} docs/no/such/file.md: proved absent by its neighbours`);
  await part("byte range", async () => {
    const range = { start: large.sizeBytes - 3_000_000, end: large.sizeBytes - 1_000_000 };
    const bytes = await db.blob(large.hash).bytes(range);
    check(bytes.length === 2_000_000, "two million bytes");
    return {
      text: (seconds) =>
        `2 MB out of the middle of the large file, each 16 KiB checked: ${(seconds * 1000).toFixed(0)} ms`,
      result: undefined,
    };
  });
  await part("large file back", async () => {
    let bytes = 0;
    for await (const piece of db.blob(large.hash).stream()) bytes += piece.length;
    check(bytes === large.sizeBytes, "all of the large file");
    return {
      text: (seconds) =>
        `${megabytes(bytes)} MB down, verified as it streams: ${Math.round(bytes / 1e6 / seconds)} MB/s`,
      result: undefined,
    };
  });
}

/** Reads a stream to its end: only then is it known to be complete. */
async function readAll(stream: AsyncIterable<unknown>): Promise<number> {
  let count = 0;
  for await (const item of stream) count += item === undefined ? 0 : 1;
  return count;
}

const fileSize = (files: readonly DocumentationFile[], path: string): number =>
  files.find((file) => file.path === path)?.content.length ?? 0;

/** What the client does through each liar; each must be refused. */
function attempts(file: string, manifest: Uint8Array): Record<LieName, (db: Database) => Promise<void>> {
  return {
    flip: async (db) => {
      await (await db.snapshot("main")).get(`docs/${file}`);
    },
    drop: async (db) => {
      await readAll((await db.snapshot("main")).scan({ prefix: "docs/" }));
    },
    swap: async (db) => {
      await readAll(db.chunks(manifest));
    },
    replay: async (db) => {
      await db.snapshot("main");
      await db.state("main").put("notes/replay", "the log is longer now");
      await db.snapshot("main");
    },
  };
}

async function facesLiars(
  settings: Settings,
  verifierKey: string,
  lie: { readonly file: string; readonly manifest: Uint8Array },
) {
  let accepted = 0;
  for (const [name, attempt] of Object.entries(attempts(lie.file, lie.manifest)) as [
    LieName,
    (db: Database) => Promise<void>,
  ][]) {
    const { address, description } = settings.liars[name];
    const db = await connect(address, { verifierKey });
    try {
      await attempt(db);
      accepted += 1;
      say(`  ACCEPTED  a proxy that ${description}`);
    } catch (error) {
      if (!(error instanceof NeleusError)) throw error;
      say(`  refused   a proxy that ${description}\n            ${error.code}: ${error.message}`);
    } finally {
      await db.close();
    }
  }
  return accepted;
}

async function main(settings: Settings): Promise<void> {
  const files = await readDocumentation(settings.documentation);
  const db = await connect(settings.address, {
    onTrustOnFirstUse: ({ verifierKey }) => say(`  ${"trusted on first use".padEnd(26)} ${verifierKey}`),
  });
  say("Writing");
  const { documents, large } = await ingest(db, files, settings);
  const changed = await commitTwice(db, files);
  say("\nReading, every answer checked here");
  await readBack(db, { files, changed, documents, large });
  say("\nLying");
  const file = files.find((candidate) => candidate.content.length > 8192 && !changed.has(candidate.path));
  const manifest = file === undefined ? undefined : documents.get(file.path);
  if (file === undefined || manifest === undefined) throw new Error("no document of 8 KiB");
  const accepted = await facesLiars(settings, db.trust.state.verifierKey, { file: file.path, manifest });
  await db.close();
  if (accepted > 0) throw new Error(`${accepted} lies were accepted`);
}

main(JSON.parse(process.argv[2] ?? "{}") as Settings).catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
