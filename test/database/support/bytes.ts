// Bytes for tests: the same for the same arguments, without repeating within any practical length.

/** A pattern; `seed` gives another one. */
export function patternBytes(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = (seed * 2654435761) >>> 0 || 1;
  for (let index = 0; index < length; index += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[index] = state & 0xff;
  }
  return bytes;
}

/** All parts of a stream as one array. */
export async function collect(parts: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  // Copied at once: a part is lent until the next is asked for.
  for await (const part of parts) all.push(new Uint8Array(part));
  return new Uint8Array(Buffer.concat(all));
}
