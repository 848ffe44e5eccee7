// Content of large blobs, in pieces of a message.
import { DATA_MESSAGE_BYTES } from "#src/core/limits.js";

/** Pieces that are no two alike. */
export function* contentOf(sizeBytes: number, seed: number): Generator<Uint8Array> {
  for (let offset = 0; offset < sizeBytes; offset += DATA_MESSAGE_BYTES) {
    const piece = new Uint8Array(DATA_MESSAGE_BYTES).fill(offset >> 18);
    new DataView(piece.buffer).setFloat64(0, offset + seed / 2);
    yield piece;
  }
}
