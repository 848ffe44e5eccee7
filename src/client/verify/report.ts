// What checking a proof on its own comes to: the verdict and its reasons, in plain sentences.
//
// A proof that is wrong or does not show what it says is no report but an error: VerificationFailed, IncompleteProof.
import type { BlobHash, CommitHash, ManifestHash } from "../../core/hashes.js";
import type { ManifestKind } from "../../core/object/index.js";
import type { CommitRecord, HashArgument } from "../records.js";
import type { Witnessed, WitnessPolicy } from "../trust/index.js";

/** What the caller trusts already, to hold a proof against. Any of them, or none. */
export interface Anchors {
  /**
   * A root that the proof must hang on: the state root; for a chunk the ledger root or the root of the chunk list. The
   * hash of a commit or manifest that the proof holds serves as well, of a commit above the one that is proved too.
   */
  readonly root?: HashArgument | undefined;
  /** Verifier key of the log: the checkpoint in the proof must be signed by it. */
  readonly verifierKey?: string | undefined;
  /** A checkpoint seen before, as text: the proof's must be the same one or, with its consistency proof, extend it. */
  readonly checkpoint?: string | undefined;
  /**
   * Witnesses that must have cosigned the log, k of n, in what the proof holds of them. Beside the verifier key: a witness
   * says that a log only grew, and not whose it is.
   */
  readonly witnesses?: WitnessPolicy | undefined;
  /** When it is, for the age of cosignatures: milliseconds since 1970. Absent: as this machine's clock has it. */
  readonly nowMs?: number | undefined;
}

/** What a proof is about, for programs. */
export type ProofClaim = StateClaim | RangeClaim | ChunkClaim | ManifestClaim | RefClaim | CommitClaim;

/** A key and what the map holds under it. */
export interface KeyClaim {
  readonly key: Uint8Array;
  readonly hash: BlobHash;
  readonly sizeBytes: number;
}

/** That a key is absent, or present with a value of this hash. */
export interface StateClaim {
  readonly kind: "state";
  readonly key: Uint8Array;
  /** Undefined where the key is absent. */
  readonly entry: KeyClaim | undefined;
  /** The value, where the proof holds it. */
  readonly value: Uint8Array | undefined;
}

/** That a range holds these keys and no others. */
export interface RangeClaim {
  readonly kind: "range";
  readonly from: Uint8Array;
  /** Undefined: to the end. */
  readonly to: Uint8Array | undefined;
  readonly entries: readonly KeyClaim[];
}

/** That a chunk stands at an index of a document's list. */
export interface ChunkClaim {
  readonly kind: "chunk";
  readonly manifest: ManifestHash;
  readonly source: string;
  readonly index: number;
  readonly hash: BlobHash;
  readonly sizeBytes: number;
  readonly offset: number;
  /** The chunk's bytes, where the proof holds them. */
  readonly bytes: Uint8Array | undefined;
}

/** That a ledger holds a manifest. */
export interface ManifestClaim {
  readonly kind: "manifest";
  readonly manifest: ManifestHash;
  readonly manifestKind: ManifestKind;
  /** Its exact bytes. */
  readonly bytes: Uint8Array;
}

/** What the refs have under a name. */
export interface RefClaim {
  readonly kind: "ref";
  readonly ref: { readonly kind: "head" | "tag"; readonly name: string };
  readonly isPresent: boolean;
  /** Undefined where there is no such head or tag, and of a head without a commit. */
  readonly commit: CommitRecord | undefined;
}

/** That a commit is in the history of a head or tag. */
export interface CommitClaim {
  readonly kind: "commit";
  readonly ref: { readonly kind: "head" | "tag"; readonly name: string };
  readonly commit: CommitRecord;
  /** The one that the head or tag is at. */
  readonly newest: CommitHash;
  /** How far below that one it is shown to be; 0: it is that one. There may be a shorter way. */
  readonly steps: number;
}

export interface ProofReport {
  readonly claim: ProofClaim;
  /** `not anchored`: all of it fits together, but nothing that the caller gave says that it is the right root. */
  readonly verdict: "shown" | "not anchored";
  /** What the proof shows, sentence by sentence, from what was asked up to the root it hangs on. */
  readonly shown: readonly string[];
  /** What the witnesses that were named have cosigned; undefined where none were. */
  readonly witnesses: readonly Witnessed[] | undefined;
  /** What of the caller's it was held against; empty where the verdict is `not anchored`. */
  readonly anchoredTo: readonly string[];
  /** What it does not show. */
  readonly notShown: readonly string[];
}
