// The checkpoints that a client has seen, as far as they must still be remembered.
//
// A signed checkpoint on its own says nothing of the others: a server with two histories signs both. What makes them one
// history is a consistency proof (RFC 6962) from the older to the newer. The frontier holds the checkpoints from which
// such a proof is still owed, ascending by size; every other one seen is proved to be extended by one of these. One
// left: all that this client ever saw is one history. Each answer that proves A → B replaces A by B, and two that meet at
// the same size must have the same root.
//
//   snapshot at 5           [5]
//   two writes, receipts    [5, 6, 8]       signed, not yet proved
//   answer: 5 → 8           [6, 8]          5 is extended by 8, which is the 8 of the receipt
//   answer: 6 → 8           [8]
import { equalBytes } from "../../core/bytes.js";
import { Forked } from "../../core/errors.js";
import type { SignedCheckpoint } from "../records.js";

/** True for checkpoints that say the same, whatever their signatures. */
export function sameTree(a: SignedCheckpoint, b: SignedCheckpoint): boolean {
  return a.size === b.size && equalBytes(a.root, b.root);
}

/** Hashes of a consistency proof at most: two for each level of a log of 2^53 leaves. */
const MOST_PROOF_HASHES = 106;

/** What has the form of a proof: what has not shows nothing to others, and may be of any size. */
function isProof(hashes: readonly Uint8Array[]): boolean {
  return hashes.length > 0 && hashes.length <= MOST_PROOF_HASHES && hashes.every(({ length }) => length === 32);
}

/**
 * The error for two checkpoints that no one history holds.
 * @param consistency - the proof that was to lead from the one to the other, where there was one
 */
export function forked(
  older: SignedCheckpoint,
  newer: SignedCheckpoint,
  reason: string,
  consistency: readonly Uint8Array[] = [],
): Forked {
  return new Forked(`the log of ${newer.origin} has two histories: ${reason}`, {
    hint: "keep both checkpoints as evidence, and stop using this server",
    facts: { older_size: String(older.size), newer_size: String(newer.size) },
    evidence: {
      older: older.note,
      newer: newer.note,
      ...(isProof(consistency) ? { consistency: consistency.map((hash) => new Uint8Array(hash)) } : {}),
    },
  });
}

export class Frontier {
  #checkpoints: SignedCheckpoint[] = [];

  /** Ascending by size, no two of one size. */
  get checkpoints(): readonly SignedCheckpoint[] {
    return this.#checkpoints;
  }

  /**
   * Adds one that is signed, and from which a proof is owed.
   * @throws Forked - one of the same size has another root
   */
  add(checkpoint: SignedCheckpoint): void {
    const index = this.#checkpoints.findIndex(({ size }) => size >= checkpoint.size);
    const there = this.#checkpoints[index];
    if (there?.size !== checkpoint.size) {
      this.#checkpoints.splice(index < 0 ? this.#checkpoints.length : index, 0, checkpoint);
    } else if (!sameTree(there, checkpoint)) {
      throw forked(there, checkpoint, `two roots at size ${checkpoint.size}`);
    }
  }

  /** Replaces one by what is proved to extend it. @throws Forked - as `add` */
  replace(older: SignedCheckpoint, newer: SignedCheckpoint): void {
    this.add(newer);
    if (sameTree(older, newer)) return;
    this.#checkpoints = this.#checkpoints.filter((checkpoint) => !sameTree(checkpoint, older));
  }
}
