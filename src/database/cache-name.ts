// Digests, and keys, as keys of a JavaScript Map.
import type { Digest } from "../core/hashes.js";

/** A digest as the key of a JavaScript Map: one character a byte. */
export function cacheName(digest: Digest): string {
  return Buffer.from(digest.buffer, digest.byteOffset, digest.length).toString("latin1");
}

/** The digest that such a name stands for. */
export function digestOfName(name: string): Digest {
  return new Uint8Array(Buffer.from(name, "latin1"));
}
