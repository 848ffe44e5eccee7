// What an entry of a state counts where an answer is limited in bytes: its key, its cell, and its value where that travels
// along. Server and client count alike, so that a page which the server cuts early is found out.
import { MAX_INLINE_VALUE_BYTES } from "../limits.js";

/** `valueBytes`: the size of the value by its cell, where values were asked for. */
export function countedBytes(entry: { readonly key: Uint8Array; readonly cell: Uint8Array }, valueBytes = 0): number {
  const { key, cell } = entry;
  return key.length + cell.length + (valueBytes <= MAX_INLINE_VALUE_BYTES ? valueBytes : 0);
}
