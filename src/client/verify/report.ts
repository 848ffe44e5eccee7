// What checking a proof on its own comes to: the verdict and its reasons, in plain sentences.
//
// A proof that is wrong or does not show what it says is no report but an error: VerificationFailed, IncompleteProof.
import type { HashArgument } from "../records.js";

/** What the caller trusts already, to hold a proof against. Any of them, or none. */
export interface Anchors {
  /** The map root that the proof must be of: state root, or for a chunk the ledger root or the chunk list's. */
  readonly root?: HashArgument | undefined;
  /** Verifier key of the log: the checkpoint in the proof must be signed by it. */
  readonly verifierKey?: string | undefined;
  /** A checkpoint seen before, as text: the proof's must be the same one or, with its consistency proof, extend it. */
  readonly checkpoint?: string | undefined;
}

export type ProofKind = "state" | "range" | "chunk";

export interface ProofReport {
  readonly kind: ProofKind;
  /** `not anchored`: all of it fits together, but nothing that the caller gave says that it is the right root. */
  readonly verdict: "shown" | "not anchored";
  /** What the proof shows, sentence by sentence, from what was asked up to the root it hangs on. */
  readonly shown: readonly string[];
  /** What of the caller's it was held against; empty where the verdict is `not anchored`. */
  readonly anchoredTo: readonly string[];
  /** What it does not show. */
  readonly notShown: readonly string[];
}
