// The proof of one chunk of a document (FORMATS §5, §6): manifest → chunk list → cell → slice of the document's blob, and
// upwards manifest → ledger → commit or staged roots → log.
import { decodeSlice, hashBlob } from "../../core/blob/index.js";
import { equalBytes, toHex } from "../../core/bytes.js";
import { VerificationFailed } from "../../core/errors.js";
import { MAX_BLOB_BYTES } from "../../core/limits.js";
import { get, MapKind } from "../../core/map/index.js";
import { chunkCell, chunkKey, type ChunkCell } from "../../core/object/index.js";
import type { BlobSlice, ChunkProof } from "../../../gen/neleus/v1/proof_pb.js";
import { requireChunkPlace } from "../chunk-place.js";
import { isDocument, receivedManifest } from "../object.js";
import { receivedInteger, verifying, verifyNodes, wrongHash } from "../received.js";
import type { DocumentRecord } from "../records.js";
import type { CheckedProof } from "./checked.js";
import { checkLedgerPart } from "./ledger-part.js";
import { NOTHING_ABOVE, requireType, type Above } from "./state-proof.js";

export const CHUNK_PROOF_TYPE = "neleus.chunk-proof.v1";

// A digest vouches for what hangs on it, and for nothing above: anybody can write a manifest, ledger or commit over it.
const OPEN_MANIFEST =
  "That the manifest in the proof, with its source and blob, is the right one: the root given is of the chunk list, which any manifest can name.";
const OPEN_LEDGER =
  "That the ledger in the proof is one to rely on: the root given is below it, so it says nothing of where the document was recorded.";

/**
 * @throws VerificationFailed, IncompleteProof - a part is wrong or missing
 * @throws Unsupported - a version, kind or type that this program does not know
 */
export function checkChunkProof(proof: ChunkProof): CheckedProof {
  requireType(proof.type, CHUNK_PROOF_TYPE);
  const document = receivedManifest(proof.manifest);
  if (!isDocument(document)) throw new VerificationFailed(`a manifest of kind ${document.kind} has no chunks`);
  const index = receivedInteger(proof.index, "the index of the chunk");
  const cell = provedCell(proof, document, index);
  const bytes = proof.slice === undefined ? undefined : chunkBytes(proof.slice, document, { index, cell });
  const above = ledgerPart(proof, document);
  const openLedger = above.holds.length > 0 ? [OPEN_LEDGER] : [];
  const where = `${cell.size} bytes at offset ${cell.offset} of the document's blob ${toHex(document.blob.hash)}`;
  return {
    claim: {
      kind: "chunk",
      manifest: document.hash,
      source: document.source,
      index,
      hash: cell.hash,
      sizeBytes: cell.size,
      offset: cell.offset,
      bytes,
    },
    shown: [
      `Chunk ${index} of document ${toHex(document.hash)}, from ${JSON.stringify(document.source)}, is ${where}, with hash ${toHex(cell.hash)}.`,
      ...(bytes === undefined ? [] : ["The bytes in the proof are that part of that blob, and have that hash."]),
      ...above.shown,
    ],
    notShown: [
      ...(bytes === undefined ? ["The chunk's bytes: fetch that part of the blob."] : []),
      ...(proof.ledgerRoot.length === 0 ? ["That the document is in any ledger."] : []),
      "That the document says the truth, or comes from where its manifest says.",
    ],
    holds: [
      {
        what: "root of the chunk list",
        digest: document.chunksRoot,
        leavesOpen: [OPEN_MANIFEST, ...openLedger],
      },
      { what: "manifest hash", digest: document.hash, leavesOpen: openLedger },
      ...above.holds,
    ],
    log: above.log,
  };
}

function provedCell(proof: ChunkProof, document: DocumentRecord, index: number): ChunkCell {
  const map = { kind: MapKind.chunks, root: document.chunksRoot };
  const bytes = verifyNodes(get(map, chunkKey(index)), proof.nodes);
  if (bytes === undefined) throw new VerificationFailed(`the document has no chunk ${index}`);
  const cell = verifying(`the cell of chunk ${index}`, () => chunkCell.decode(bytes));
  requireChunkPlace({ index, sizeBytes: cell.size, offset: cell.offset }, document);
  return cell;
}

function chunkBytes(
  slice: BlobSlice,
  document: DocumentRecord,
  chunk: { readonly index: number; readonly cell: ChunkCell },
): Uint8Array {
  const { hash, size, offset } = chunk.cell;
  const { blob } = document;
  const range = { start: offset, end: offset + size };
  const isRight =
    blob.sizeBytes <= MAX_BLOB_BYTES &&
    slice.size === BigInt(blob.sizeBytes) &&
    slice.start === BigInt(range.start) &&
    slice.end === BigInt(range.end) &&
    size > 0;
  if (!isRight) throw new VerificationFailed(`the slice in the proof is not of chunk ${chunk.index}`);
  const bytes = decodeSlice(slice, { hash: blob.hash, sizeBytes: blob.sizeBytes, range });
  const actual = hashBlob(bytes);
  if (!equalBytes(actual, hash)) throw wrongHash(`chunk ${chunk.index},`, { expected: hash, actual, bytes });
  return bytes;
}

/** From the manifest up, where a ledger is named. */
function ledgerPart(proof: ChunkProof, document: DocumentRecord): Above {
  if (proof.ledgerRoot.length > 0) return checkLedgerPart(proof, document);
  const hasMore = proof.ledgerNodes.length > 0 || proof.commit.length > 0 || proof.chain !== undefined || proof.staged;
  if (hasMore) throw new VerificationFailed("the proof names no ledger, and holds parts that belong to one");
  return NOTHING_ABOVE;
}
