// neleus manifest: documents and their chunks, and what is attested.
import type { Command } from "commander";
import { fileSigner } from "../client/file-signer.js";
import type { ManifestRecord } from "../client/records.js";
import { toHex } from "../core/bytes.js";
import { decode } from "../core/codec/index.js";
import { chunkCountOf } from "../core/document/index.js";
import { fileContent } from "./blob.js";
import {
  collect,
  group,
  idempotencyOption,
  leaf,
  listOption,
  requiredOption,
  textOption,
  withIdempotencyKey,
} from "./command.js";
import { signatureMembers } from "./commit-signing.js";
import { parseCount, parseHash } from "./encoding.js";
import { InvalidArgument } from "../core/errors.js";
import { printableText, toJsonText, type Printable } from "./output.js";
import type { Session } from "./session.js";

type Options = Readonly<Record<string, unknown>>;

export function registerManifest(program: Command): void {
  const manifest = group(program, "manifest", "documents: what was read, how it was cut, and what is stated about it");
  withIdempotencyKey(leaf(manifest, "put-doc", "store a file as a document, cut into chunks", putDocument))
    .requiredOption("--source <text>", "where the document comes from: a path or an address")
    .requiredOption("--file <file>", "its content (- for stdin)")
    .requiredOption("--chunk-size <n>", "bytes a chunk")
    .option("--overlap <n>", "bytes that a chunk shares with the one before it", "0")
    .option("--method <name>", "how it is cut: fixed", "fixed")
    .option("--head <head>", "stage it in this head's ledger; else it is stored unattached")
    .option("--title <text>", "its title")
    .option("--media <type>", "its media type")
    .option("--time <ms>", "milliseconds since 1970; default now")
    .option("--sign-key <file>", "sign its manifest: a file of neleus key new")
    .option("--meta <name=value>", "free text by name (repeatable)", collect, []);
  withIdempotencyKey(leaf(manifest, "put-attestation", "sign a statement about a commit or manifest", putAttestation))
    .requiredOption("--statement <text>", "what is stated")
    .requiredOption("--sign-key <file>", "who states it: a file of neleus key new")
    .option("--commit <hash>", "the commit that it is about")
    .option("--manifest <hash>", "or the manifest")
    .option("--head <head>", "stage it in this head's ledger; else it is stored unattached")
    .option("--time <ms>", "milliseconds since 1970; default now")
    .option("--meta <name=value>", "free text by name (repeatable)", collect, []);
  leaf(manifest, "get <hash>", "one manifest", getManifest);
  leaf(manifest, "chunks <hash>", "the chunks of a document, provably complete", listChunks)
    .option("--first <n>", "index of the first chunk", "0")
    .option("--limit <n>", "at most this many chunks");
}

function parseMeta(pairs: readonly string[]): Record<string, string> {
  const meta = new Map<string, string>();
  for (const pair of pairs) {
    const equals = pair.indexOf("=");
    if (equals < 1) throw new InvalidArgument(`--meta takes NAME=VALUE, not "${pair}"`, { field: "meta" });
    const name = pair.slice(0, equals);
    if (meta.has(name)) throw new InvalidArgument(`--meta names "${name}" twice`, { field: "meta" });
    meta.set(name, pair.slice(equals + 1));
  }
  return Object.fromEntries(meta);
}

async function putDocument(session: Session, _args: readonly string[], options: Options): Promise<void> {
  const [head, title, media, time] = ["head", "title", "media", "time"].map((name) => textOption(options, name));
  const meta = parseMeta(listOption(options, "meta"));
  const signKey = textOption(options, "signKey");
  const signer = signKey === undefined ? undefined : await fileSigner(signKey);
  const client = await session.client();
  const stored = await client.putDocument(fileContent(requiredOption(options, "file"), session), {
    source: requiredOption(options, "source"),
    chunking: {
      method: requiredOption(options, "method"),
      sizeBytes: parseCount(requiredOption(options, "chunkSize"), "chunk-size", 1),
      overlapBytes: parseCount(requiredOption(options, "overlap"), "overlap"),
    },
    ...(head === undefined ? {} : { head }),
    ...(title === undefined ? {} : { title }),
    ...(media === undefined ? {} : { media }),
    ...(time === undefined ? {} : { timeMs: parseCount(time, "time") }),
    ...(Object.keys(meta).length === 0 ? {} : { meta }),
    ...(signer === undefined ? {} : { signer }),
    ...idempotencyOption(options),
    signal: session.signal,
  });
  const { manifest } = stored;
  // The client has cut the content itself and compared the list, so the count follows from size and chunking.
  const chunks = chunkCountOf(manifest.blob.sizeBytes, manifest.chunking);
  await session.output.result(
    {
      manifest: stored.hash,
      kind: manifest.kind,
      blob: manifest.blob.hash,
      size: manifest.blob.sizeBytes,
      chunks,
      chunks_root: manifest.chunksRoot,
      head,
      log_index: stored.receipt?.logIndex,
    },
    () =>
      `${toHex(stored.hash)}  document, ${manifest.blob.sizeBytes} bytes, ${chunks} ${chunks === 1 ? "chunk" : "chunks"}`,
  );
}

async function putAttestation(session: Session, _args: readonly string[], options: Options): Promise<void> {
  const [commit, manifest] = ["commit", "manifest"].map((name) => textOption(options, name));
  if ((commit === undefined) === (manifest === undefined)) {
    throw new InvalidArgument("an attestation is about one thing: give --commit or --manifest", { field: "commit" });
  }
  const [head, time] = ["head", "time"].map((name) => textOption(options, name));
  const subject =
    commit === undefined
      ? { manifest: parseHash(manifest ?? "", "manifest") }
      : { commit: parseHash(commit, "commit") };
  const signer = await fileSigner(requiredOption(options, "signKey"));
  const stored = await (
    await session.client()
  ).putAttestation(subject, requiredOption(options, "statement"), {
    signer,
    ...(head === undefined ? {} : { head }),
    ...(time === undefined ? {} : { timeMs: parseCount(time, "time") }),
    meta: parseMeta(listOption(options, "meta")),
    ...idempotencyOption(options),
    signal: session.signal,
  });
  await session.output.result(
    {
      manifest: stored.hash,
      kind: stored.manifest.kind,
      signatures: signatureMembers(stored.manifest.signatures),
      head,
      log_index: stored.receipt?.logIndex,
    },
    () => `${toHex(stored.hash)}  attestation, signed by ${toHex(signer.publicKey)}`,
  );
}

/** A manifest as it is encoded, unknown fields included (formats.cddl); bytes in hex, as everywhere for hashes. */
function objectMembers(manifest: ManifestRecord): Record<string, Printable> {
  const encoded = decode(manifest.bytes) as Record<string, Printable>;
  const { signatures } = manifest;
  // Each signature as it is encoded, with its verdict beside it.
  const judged = (encoded["signatures"] as readonly Record<string, Printable>[] | undefined)?.map(
    (signature, index) => ({
      ...signature,
      valid: signatures[index]?.isValid,
      fault: signatures[index]?.fault,
    }),
  );
  return { manifest: manifest.hash, ...encoded, ...(judged && { signatures: judged }) };
}

async function getManifest(session: Session, args: readonly string[]): Promise<void> {
  const manifest = await (await session.client()).manifest(parseHash(args[0] ?? ""), { signal: session.signal });
  await session.output.result(objectMembers(manifest), () =>
    printableText(JSON.stringify(JSON.parse(toJsonText(objectMembers(manifest))), undefined, 2)),
  );
}

async function listChunks(session: Session, args: readonly string[], options: Options): Promise<void> {
  const hash = parseHash(args[0] ?? "");
  const limit = textOption(options, "limit");
  const chunks = (await session.client()).chunks(hash, {
    first: parseCount(requiredOption(options, "first"), "first"),
    ...(limit === undefined ? {} : { limit: parseCount(limit, "limit", 1) }),
    signal: session.signal,
  });
  for await (const chunk of chunks) {
    await session.output.result(
      { index: chunk.index, hash: chunk.hash, size: chunk.sizeBytes, offset: chunk.offset },
      () => `${chunk.index}  ${toHex(chunk.hash)}  ${chunk.sizeBytes} bytes at ${chunk.offset}`,
    );
  }
}
