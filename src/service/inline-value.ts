// Values that travel beside the entries that name them.
import { toHex } from "../core/bytes.js";
import { Corrupt, Malformed } from "../core/errors.js";
import { MAX_INLINE_VALUE_BYTES } from "../core/limits.js";
import { stateCell, type CellCodec } from "../core/object/index.js";
import type { Database } from "../database/index.js";

/** What a cell of a stored map says. @throws Corrupt - it is none of its kind, though its node matches its hash */
export function storedCell<T>(codec: CellCodec<T>, cell: Uint8Array): T {
  try {
    return codec.decode(cell);
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    throw new Corrupt(`a stored map holds the malformed cell ${toHex(cell)}: ${error.message}`, {}, { cause: error });
  }
}

/**
 * The value of a state cell; undefined where it is over 256 KiB, by the cell or in fact.
 * @throws Corrupt - the database does not hold the blob that the cell names, or holds other bytes
 */
export async function inlineValue(database: Database, cell: Uint8Array): Promise<Uint8Array | undefined> {
  const { hash, size } = storedCell(stateCell, cell);
  if (size > MAX_INLINE_VALUE_BYTES) return undefined;
  const found = await database.blobs.find(hash, { atMostBytes: MAX_INLINE_VALUE_BYTES });
  if (found !== undefined) return found.bytes;
  throw new Corrupt(`the blob ${toHex(hash)} is missing, though a state names it`, {
    facts: { kind: "blob", hash: toHex(hash) },
    hint: "neleus db fsck",
  });
}
