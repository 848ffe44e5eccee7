// The slow, obvious twin of the log's tree: the definitions of RFC 6962 §2.1 word for word, on lists of leaves, with
// node's own SHA-256.
import { createHash } from "node:crypto";

function sha256(...parts: Uint8Array[]): Uint8Array {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}

function largestPowerBelow(n: number): number {
  return 2 ** Math.ceil(Math.log2(n) - 1);
}

/** MTH(D[n]). */
export function slowRoot(leaves: readonly Uint8Array[]): Uint8Array {
  const [first] = leaves;
  if (first === undefined) return sha256();
  if (leaves.length === 1) return sha256(Uint8Array.of(0), first);
  const k = largestPowerBelow(leaves.length);
  return sha256(Uint8Array.of(1), slowRoot(leaves.slice(0, k)), slowRoot(leaves.slice(k)));
}

/** PATH(m, D[n]). */
export function slowInclusion(m: number, leaves: readonly Uint8Array[]): Uint8Array[] {
  if (leaves.length === 1) return [];
  const k = largestPowerBelow(leaves.length);
  if (m < k) return [...slowInclusion(m, leaves.slice(0, k)), slowRoot(leaves.slice(k))];
  return [...slowInclusion(m - k, leaves.slice(k)), slowRoot(leaves.slice(0, k))];
}

/** PROOF(m, D[n]). */
export function slowConsistency(m: number, leaves: readonly Uint8Array[]): Uint8Array[] {
  return subProof({ m, isComplete: true }, leaves);
}

function subProof({ m, isComplete }: { m: number; isComplete: boolean }, leaves: readonly Uint8Array[]): Uint8Array[] {
  if (m === leaves.length) return isComplete ? [] : [slowRoot(leaves)];
  const k = largestPowerBelow(leaves.length);
  if (m <= k) return [...subProof({ m, isComplete }, leaves.slice(0, k)), slowRoot(leaves.slice(k))];
  return [...subProof({ m: m - k, isComplete: false }, leaves.slice(k)), slowRoot(leaves.slice(0, k))];
}
