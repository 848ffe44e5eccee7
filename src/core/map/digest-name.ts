// Digests as keys of a Map.
import type { Digest } from "../hashes.js";

/** A string that stands for a digest, two bytes a character: far cheaper than hex. Not for people. */
export function digestName(digest: Digest): string {
  const units: number[] = [];
  for (let index = 0; index < digest.length; index += 2) {
    units.push(((digest[index] ?? 0) << 8) | (digest[index + 1] ?? 0));
  }
  return String.fromCharCode(...units);
}
