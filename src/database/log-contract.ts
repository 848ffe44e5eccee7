// The surface of the engine: the transparency log, its keys and its epochs (FORMATS §7). What holds throughout is told in
// contract.ts.
import type { Digest } from "../core/hashes.js";
import type { Cosignature } from "../core/log/index.js";
import type { MapAt, NodeSource } from "../core/map/index.js";
import type { LostLeaves } from "./rollback-alarm.js";
import type { LogProof, Receipt, View } from "./view-contract.js";

/** The transparency log, in the epoch that goes on. Proofs come from a `View`. */
export interface TransparencyLog {
  /** `neleus/<database id>/<epoch>`, or with a configured host before it: the first line of every checkpoint. */
  readonly origin: string;
  /** C2SP signed-note verifier key: what a client pins. */
  readonly verifierKey: string;
  /** That of the epoch to come, while it is announced: it signs every checkpoint too. */
  readonly nextVerifierKey: string | undefined;
  /** What is known of leaves that the log lost: then nothing is signed. Undefined: nothing. */
  readonly lost: LostLeaves | undefined;
  /** The newest checkpoint. @throws RolledBack - leaves were lost */
  checkpoint(): Promise<string>;
  /**
   * Takes a checkpoint that somebody says to have seen. One that our key has signed, and that the log does not lead to, is
   * remembered for good, and nothing is signed from then on. Any other says nothing: anybody could have made it.
   * @throws RolledBack - that is so; `facts.shown` and `facts.own` are the notes, in base 64 @throws Malformed - no checkpoint
   */
  shown(checkpoint: string): Promise<void>;
  /**
   * Takes what witnesses have put under a checkpoint of this log, by their keys (C2SP tlog-cosignature); other lines are
   * ignored. Of each witness the largest log is kept. Durable when it resolves.
   * @throws InvalidArgument - `checkpoint`: none of this log's; `witness_keys[i]`: malformed, or has not validly signed it
   * @throws LimitExceeded - MAX_WITNESSES others have @throws RolledBack - leaves were lost, or are by this
   */
  cosign(checkpoint: string, witnessKeys: readonly string[]): Promise<readonly Cosignature[]>;
  /**
   * Has the newest leaf be at most this old at the time of the call, in milliseconds: where it is older, one with the same
   * refs root is appended, at most one in FRESH_LEAF_INTERVAL_MS, for which this waits if it must. The signal ends the
   * wait, with an AbortError.
   */
  freshen(options: { readonly maxAgeMs: number; readonly signal?: AbortSignal | undefined }): Promise<void>;
}

/** Why an epoch began, other than the first. */
export type EpochReason = "restored" | "cloned" | "rekeyed";

export interface BeginEpochOptions {
  readonly reason: EpochReason;
  /**
   * The last checkpoint known of the log so far, where a later one is known than this copy has: whole, signed by the key in
   * force or by the one announced. Not of `rekeyed`. Absent: our own newest, or the one that was shown to us.
   */
  readonly previous?: string | undefined;
  /** Of `rekeyed`: also where no key is announced. Every client will have to be told to trust the new one. */
  readonly announcement?: "required" | "waived" | undefined;
  /** Host of the origin from now on; absent: as it is. Not of a key that was announced, whose name has the host of then. */
  readonly originHost?: string | undefined;
}

/** An epoch that has begun. */
export interface BegunEpoch {
  readonly epoch: number;
  readonly reason: EpochReason;
  readonly origin: string;
  readonly verifierKey: string;
  /** As leaf 0 has it. */
  readonly previous: string;
  readonly receipt: Receipt;
}

/** From one epoch to the one after it. */
export interface EpochStep {
  /** The last checkpoint of the one, and what leads from there to the keys that it listed. */
  readonly end: { readonly log: LogProof; readonly refs: MapAt; readonly nodes: NodeSource };
  /** The first leaf of the other, in a checkpoint of its key: its newest, or its last. */
  readonly beginning: {
    readonly verifierKey: string;
    readonly checkpoint: string;
    readonly leaf: Uint8Array;
    readonly inclusion: readonly Digest[];
  };
}

/** Keys and epochs of the log (FORMATS §7). Heads, tags and everything below them stay as they are throughout. */
export interface Epochs {
  /**
   * Announces the key of the next epoch, which signs every checkpoint too from then on. Again: the same one.
   * @throws RolledBack - leaves were lost @throws LimitExceeded - the origin is too long for two keys
   */
  announceKey(): Promise<{ readonly nextVerifierKey: string; readonly receipt: Receipt }>;
  /**
   * Begins a new epoch: a new key, and a log of its own. `rekeyed`: with the key that was announced.
   * @throws InvalidArgument - `previous`: no such note, or older than the log here; `reason`: no key is announced
   * @throws RolledBack - `rekeyed`, and leaves were lost: that is a restored database, and to be called one
   */
  begin(options: BeginEpochOptions): Promise<BegunEpoch>;
  /**
   * An epoch that has ended as it was in the end, or the one that goes on: for what is below the log, nodes may be gone.
   * @throws NotFound - kind `epoch`: it never was here
   */
  view(epoch: number): Promise<View>;
  /**
   * How an epoch ended and the next began. `knownSize`: of a checkpoint of it that the caller has.
   * @throws NotFound - kind `epoch`: it never was here, or it goes on
   */
  step(from: { readonly epoch: number; readonly knownSize?: number | undefined }): Promise<EpochStep>;
}
