// Cells of the maps (FORMATS §6, §7, formats.cddl): short lists, at most 256 bytes encoded. Readers accept, and do not
// show, elements behind those that they know; so whoever copies a cell copies its bytes.
//
//   state   [blob hash, size, ? ext]      chunks [blob hash, size, offset]     ledger [size of the manifest]
//   heads, tags [commit hash]   states [state root, ledger root]   keys/log [verifier key, …]   keys/head ["move"]
import { Cursor, MAJOR_UNSIGNED, decode, encode } from "../codec/index.js";
import { InvalidArgument, Malformed } from "../errors.js";
import { blobHash } from "../hashes.js";
import type { BlobHash, CommitHash, MapRoot } from "../hashes.js";
import { MAX_CELL_BYTES } from "../limits.js";
import { blobHashSchema, commitHashSchema, mapRootSchema, time } from "./common.js";
import { listOf, oneOf, optional, positions, read, struct, text, uint53, write } from "../codec/schema.js";
import type { Extensible, Schema } from "../codec/schema.js";

/** What a state cell may say about its value. */
export interface StateCellExtension extends Extensible {
  /** Milliseconds since 1970. Takes effect by a logged delete only, never by a reader's clock. */
  readonly expires?: number;
  /** Media type. */
  readonly media?: string;
  /** The blob starts with 32 random bytes, so that its hash hides its content. */
  readonly salted?: true;
}

/** A value in a state map. */
export interface StateCell {
  readonly hash: BlobHash;
  /** Bytes of the blob: a claim, which the value itself proves. */
  readonly size: number;
  readonly ext?: StateCellExtension;
}

/** A chunk: a slice of its document's blob. */
export interface ChunkCell {
  /** Hash of the chunk's bytes as a blob of their own. */
  readonly hash: BlobHash;
  readonly size: number;
  /** First byte in the document's blob. */
  readonly offset: number;
}

/** A manifest in a ledger. */
export interface LedgerCell {
  /** Size of the manifest's bytes as received. */
  readonly size: number;
}

/** Where a head or a tag points. */
export interface CommitCell {
  readonly commit: CommitHash;
}

/** What is staged on a head. */
export interface StagedCell {
  readonly stateRoot: MapRoot;
  readonly ledgerRoot: MapRoot;
}

/** Both directions of one kind of cell. */
export interface CellCodec<T> {
  /** @throws InvalidArgument - `field` is the path; also where the cell is over 256 bytes */
  readonly encode: (cell: T) => Uint8Array;
  /** @throws Malformed - `field` is the path; also where the cell is over 256 bytes */
  readonly decode: (bytes: Uint8Array) => T;
}

function cellCodec<T>(schema: Schema<T>): CellCodec<T> {
  return {
    encode(cell) {
      const bytes = encode(write(schema, cell));
      if (bytes.length > MAX_CELL_BYTES) {
        throw new InvalidArgument(`a cell has at most ${MAX_CELL_BYTES} bytes encoded, not ${bytes.length}`);
      }
      return bytes;
    },
    decode(bytes) {
      if (bytes.length > MAX_CELL_BYTES) {
        throw new Malformed(`a cell has at most ${MAX_CELL_BYTES} bytes encoded, not ${bytes.length}`);
      }
      return read(schema, decode(bytes));
    },
  };
}

const extension = struct<StateCellExtension>({
  expires: optional(time),
  media: optional(text),
  salted: optional(oneOf(true)),
});

const anyStateCell: CellCodec<StateCell> = cellCodec(
  positions<StateCell>({ hash: blobHashSchema, size: uint53, ext: optional(extension) }, "accepted"),
);

export const stateCell: CellCodec<StateCell> = {
  encode: (cell) => encodedPlainStateCell(cell) ?? anyStateCell.encode(cell),
  decode: (bytes) => plainStateCell(bytes) ?? anyStateCell.decode(bytes),
};

/** The same form written in place, where the cell is such a one with a size below 2^32. */
function encodedPlainStateCell({ hash, size, ext }: StateCell): Uint8Array | undefined {
  if (ext !== undefined || hash.length !== 32 || !Number.isInteger(size) || size < 0 || size >= 2 ** 32)
    return undefined;
  const sizeBytes = size < 24 ? 1 : size < 2 ** 8 ? 2 : size < 2 ** 16 ? 3 : 5;
  const bytes = new Uint8Array(35 + sizeBytes);
  bytes[0] = 0x82;
  bytes[1] = 0x58;
  bytes[2] = 0x20;
  bytes.set(hash, 3);
  bytes[35] = sizeBytes === 1 ? size : 0x17 + (sizeBytes === 2 ? 1 : sizeBytes === 3 ? 2 : 3);
  for (let index = sizeBytes - 1, rest = size; index > 0; index -= 1, rest = Math.floor(rest / 256)) {
    bytes[35 + index] = rest % 256;
  }
  return bytes;
}

/**
 * `[hash, size]` and nothing else, which nearly every state cell is: read in place, many times as fast, since scans and
 * proofs read one for each key. Undefined for any other cell, well-formed or not.
 *
 *   82 ‖ 58 20 ‖ 32 bytes of hash ‖ size, an unsigned integer
 */
function plainStateCell(bytes: Uint8Array): StateCell | undefined {
  if (bytes[0] !== 0x82 || bytes[1] !== 0x58 || bytes[2] !== 0x20 || bytes.length < 36) return undefined;
  const cursor = new Cursor(bytes, 35);
  cursor.readHead();
  if (cursor.major !== MAJOR_UNSIGNED || cursor.offset !== bytes.length) return undefined;
  return { hash: blobHash(new Uint8Array(bytes.subarray(3, 35))), size: cursor.argument };
}

export const chunkCell: CellCodec<ChunkCell> = cellCodec(
  positions<ChunkCell>({ hash: blobHashSchema, size: uint53, offset: uint53 }, "accepted"),
);

export const ledgerCell: CellCodec<LedgerCell> = cellCodec(positions<LedgerCell>({ size: uint53 }, "accepted"));

/** Cells of `heads/…` and `tags/…`. */
export const commitCell: CellCodec<CommitCell> = cellCodec(
  positions<CommitCell>({ commit: commitHashSchema }, "accepted"),
);

/** Cells of `states/…`. */
export const stagedCell: CellCodec<StagedCell> = cellCodec(
  positions<StagedCell>({ stateRoot: mapRootSchema, ledgerRoot: mapRootSchema }, "accepted"),
);

/** The cell of `keys/log`: texts of verifier keys, one, or while rotating the old and the new. */
export const logKeysCell: CellCodec<readonly string[]> = cellCodec(listOf(text, { least: 1 }));

/** Cells of `keys/head/…`: what the key may do; `move` is all that is known. */
export const permissionsCell: CellCodec<readonly string[]> = cellCodec(listOf(text, { least: 1 }));
