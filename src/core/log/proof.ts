// Inclusion and consistency proofs (RFC 6962 §2.1.1, §2.1.2), made and verified from one description.
//
// A proof is a list of hashes of ranges of leaves, and which ranges these are follows from the sizes alone. The maker
// hashes those ranges; the verifier knows how many to expect and on which side each one stands. So the two cannot
// disagree, and a proof of a wrong length is refused before anything is hashed.
//
//   inclusion of leaf 2 in 7: [3,4) [0,2) [4,7)          consistency of 3 with 7: [2,3) [3,4) [0,2) [4,7)
import { equalBytes } from "../bytes.js";
import { InvalidArgument, VerificationFailed, assert } from "../errors.js";
import type { Digest } from "../hashes.js";
import { EMPTY_LOG_ROOT, logNodeHash, isLogSize, rangeHash, splitPoint } from "./tree.js";
import type { LeafRange, ReadSubtree } from "./tree.js";

/** A leaf in a tree. */
export interface LeafPosition {
  readonly index: number;
  /** Leaves in the tree; above the index. */
  readonly size: number;
}

/** Two sizes of one log. */
export interface SizePair {
  readonly from: number;
  /** At or above `from`. */
  readonly to: number;
}

function isLeaf({ index, size }: LeafPosition): boolean {
  return isLogSize(size) && Number.isSafeInteger(index) && index >= 0 && index < size;
}

function isGrowth({ from, to }: SizePair): boolean {
  return isLogSize(from) && isLogSize(to) && from <= to;
}

/** Siblings of the path from a leaf to the root, lowest first. */
function inclusionRanges({ index, size }: LeafPosition): LeafRange[] {
  const siblings: LeafRange[] = [];
  let start = 0;
  let end = size;
  while (end - start > 1) {
    const middle = start + splitPoint(end - start);
    if (index < middle) {
      siblings.push({ start: middle, end });
      end = middle;
    } else {
      siblings.push({ start, end: middle });
      start = middle;
    }
  }
  return siblings.reverse();
}

interface ConsistencyRanges {
  /** The last complete part of the old tree; absent where that is all of it, whose root the verifier knows. */
  readonly seed?: LeafRange;
  /** Siblings of the path from there to the root of the new tree, lowest first. */
  readonly siblings: readonly LeafRange[];
}

function consistencyRanges({ from, to }: SizePair): ConsistencyRanges {
  // Every log extends the empty one.
  if (from === 0) return { siblings: [] };
  const siblings: LeafRange[] = [];
  let start = 0;
  let end = to;
  while (end !== from) {
    const middle = start + splitPoint(end - start);
    if (from <= middle) {
      siblings.push({ start: middle, end });
      end = middle;
    } else {
      siblings.push({ start, end: middle });
      start = middle;
    }
  }
  siblings.reverse();
  return start === 0 ? { siblings } : { seed: { start, end }, siblings };
}

/**
 * The proof that the tree of `size` leaves holds leaf `index`: 32 bytes a hash, at most 53.
 * @throws InvalidArgument - no such leaf
 */
export function proveInclusion(position: LeafPosition, readSubtree: ReadSubtree): Digest[] {
  if (!isLeaf(position)) {
    throw new InvalidArgument(`a log of ${position.size} leaves has no leaf ${position.index}`);
  }
  return inclusionRanges(position).map((range) => rangeHash(range, readSubtree));
}

/**
 * The proof that the tree of `to` leaves extends that of `from`: 32 bytes a hash, at most 54; empty where `from` is 0 or
 * `to`.
 * @throws InvalidArgument - not sizes, or from > to
 */
export function proveConsistency(sizes: SizePair, readSubtree: ReadSubtree): Digest[] {
  if (!isGrowth(sizes)) {
    throw new InvalidArgument(`a log of ${sizes.to} leaves does not extend one of ${sizes.from}`);
  }
  const { seed, siblings } = consistencyRanges(sizes);
  const ranges = seed === undefined ? siblings : [seed, ...siblings];
  return ranges.map((range) => rangeHash(range, readSubtree));
}

/** What `verifyInclusion` checks. */
export interface InclusionClaim extends LeafPosition {
  readonly leafHash: Digest;
  readonly proof: readonly Uint8Array[];
  /** The root that is trusted. */
  readonly root: Digest;
}

/**
 * Requires that the tree of `size` leaves with this root holds this leaf at this index.
 * @throws VerificationFailed - no such leaf in a tree of that size, a wrong number or length of hashes, or another root;
 *   the claim is the evidence
 */
export function verifyInclusion(claim: InclusionClaim): void {
  const { index, size, proof, root } = claim;
  if (!isLeaf(claim)) {
    throw new VerificationFailed(`a log of ${size} leaves has no leaf ${index}`, { evidence: claim });
  }
  const siblings = inclusionRanges(claim);
  requireProofShape(proof, siblings.length, claim);
  let hash = claim.leafHash;
  for (const [step, range] of siblings.entries()) {
    const sibling = hashAt(proof, step);
    hash = range.start < index ? logNodeHash(sibling, hash) : logNodeHash(hash, sibling);
  }
  if (!equalBytes(hash, root)) {
    throw new VerificationFailed(`leaf ${index} is not in the log of ${size} leaves with this root`, {
      evidence: claim,
    });
  }
}

/** What `verifyConsistency` checks. */
export interface ConsistencyClaim extends SizePair {
  readonly fromRoot: Digest;
  readonly toRoot: Digest;
  readonly proof: readonly Uint8Array[];
}

/**
 * Requires that the tree of `to` leaves extends the tree of `from` leaves: the same leaves in the same places.
 * @throws VerificationFailed - from > to (a rollback, which callers name before they come here), a wrong number or length
 *   of hashes, or other roots; the claim is the evidence
 */
export function verifyConsistency(claim: ConsistencyClaim): void {
  const { from, to, fromRoot, toRoot } = claim;
  if (!isGrowth(claim)) {
    throw new VerificationFailed(`a log of ${to} leaves does not extend one of ${from}`, { evidence: claim });
  }
  const { old, grown } = consistencyRoots(claim);
  if (!equalBytes(old, fromRoot)) {
    throw new VerificationFailed(`the proof does not begin at the log of ${from} leaves with that root`, {
      evidence: claim,
    });
  }
  if (!equalBytes(grown, toRoot)) {
    throw new VerificationFailed(`the log of ${to} leaves does not extend the one of ${from}`, { evidence: claim });
  }
}

/**
 * True where the proof shows that a tree of `to` leaves with that root has, as its first `from` leaves, others than those of
 * the tree of `from` leaves with that root: whoever signed both roots signed two histories. The proof is one of consistency, of
 * the larger tree with its own beginning. It does not show this where `from` is a power of two, since it then takes the older root
 * from the reader, nor where `from` is 0 or `to`.
 * @throws VerificationFailed - not sizes that ascend, or a wrong number or length of hashes; the claim is the evidence
 */
export function showsOtherBeginning(claim: ConsistencyClaim): boolean {
  const { from, to, fromRoot, toRoot } = claim;
  if (!isGrowth(claim) || from === 0 || from === to) {
    throw new VerificationFailed(`a log of ${to} leaves has no beginning of ${from} to compare`, { evidence: claim });
  }
  const { old, grown } = consistencyRoots(claim);
  return equalBytes(grown, toRoot) && !equalBytes(old, fromRoot);
}

/** The roots of both trees as the proof has them. @throws VerificationFailed - a wrong number or length of hashes */
function consistencyRoots(claim: ConsistencyClaim): { readonly old: Uint8Array; readonly grown: Uint8Array } {
  const { from, to, fromRoot, toRoot, proof } = claim;
  const { seed, siblings } = consistencyRanges(claim);
  const skipped = seed === undefined ? 0 : 1;
  requireProofShape(proof, skipped + siblings.length, claim);
  // The empty tree has one root, and is no part of any other.
  if (from === 0) return { old: EMPTY_LOG_ROOT, grown: to === 0 ? EMPTY_LOG_ROOT : toRoot };
  // Both trees grow from the same part: nothing of the old one can be elsewhere in the new one.
  let old = seed === undefined ? fromRoot : hashAt(proof, 0);
  let grown = old;
  for (const [step, range] of siblings.entries()) {
    const sibling = hashAt(proof, skipped + step);
    if (range.start < from) {
      old = logNodeHash(sibling, old);
      grown = logNodeHash(sibling, grown);
    } else {
      grown = logNodeHash(grown, sibling);
    }
  }
  return { old, grown };
}

function hashAt(proof: readonly Uint8Array[], step: number): Uint8Array {
  const hash = proof[step];
  assert(hash !== undefined, "a proof whose length was checked is too short");
  return hash;
}

function requireProofShape(proof: readonly Uint8Array[], expected: number, evidence: unknown): void {
  if (proof.length !== expected) {
    throw new VerificationFailed(`the proof has ${proof.length} hashes, not ${expected}`, { evidence });
  }
  if (proof.some((hash) => hash.length !== 32)) {
    throw new VerificationFailed("a hash of the proof is not 32 bytes", { evidence });
  }
}
