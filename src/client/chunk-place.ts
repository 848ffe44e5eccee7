// Where the chunks of a document lie (proto ManifestService, Chunking; FORMATS §6): what follows from its manifest alone.
import { toHex } from "../core/bytes.js";
import { chunkCountOf } from "../core/document/index.js";
import { VerificationFailed } from "../core/errors.js";
import type { Chunk, DocumentRecord } from "./records.js";

/** How many chunks a document has; undefined where only its list says so. */
export function chunkCount({ blob, chunking }: DocumentRecord): number | undefined {
  return chunking.method === "fixed" ? chunkCountOf(blob.sizeBytes, chunking) : undefined;
}

/**
 * A chunk lies within its document; one of a document that is cut by the fixed method lies where that method puts it.
 * @throws VerificationFailed
 */
export function requireChunkPlace(
  chunk: Pick<Chunk, "index" | "sizeBytes" | "offset">,
  document: DocumentRecord,
): void {
  const { index, sizeBytes, offset } = chunk;
  const { blob, chunking } = document;
  let isRight = offset <= blob.sizeBytes && sizeBytes <= blob.sizeBytes - offset;
  if (isRight && chunking.method === "fixed") {
    const start = index * (chunking.sizeBytes - chunking.overlapBytes);
    isRight = offset === start && sizeBytes === Math.min(chunking.sizeBytes, blob.sizeBytes - start);
  }
  if (isRight) return;
  throw new VerificationFailed(
    `chunk ${index} is ${sizeBytes} bytes at ${offset}, which is not where a document of ${blob.sizeBytes} bytes has it`,
    { facts: { manifest: toHex(document.hash), index: String(index) } },
  );
}
