// How a client is opened, and whom it trusts: the arguments of
//
//   connect(address: string, options?: DatabaseOptions & ConnectionOptions): Promise<Database>     client/remote.ts
//   open(directory: string, options?: DatabaseOptions): Promise<Database>                          client/embedded
//
// `connect` imports no engine and no store; both give the same contract.
import type { RecentAnswers } from "./recent-answers.js";
import type { CommitSigner, CommitVerifier } from "./signing.js";
import type { CallOptions } from "./transport.js";
import type { TrustStore } from "./trust/trust-store.js";
import type { WitnessPolicy } from "./trust/witnesses.js";

/** What a client must remember between runs to notice a rollback: keep it where the server cannot write. */
export interface TrustState {
  /** C2SP signed-note verifier key of the log: `<origin>+<key id>+<base64>`. */
  readonly verifierKey: string;
  /** The newest checkpoint seen, a signed note; absent before the first. */
  readonly checkpoint?: string | undefined;
}

/** Given when a key is trusted only because the server presented it first. */
export interface FirstUseNotice {
  readonly address: string;
  readonly database: string;
  readonly origin: string;
  readonly verifierKey: string;
}

export interface TrustOptions {
  /** The key to trust; absent: the one that the server presents at first is trusted, and `onTrustOnFirstUse` is told. */
  readonly verifierKey?: string | undefined;
  /** The newest checkpoint that an earlier run saw (`TrustState.checkpoint`). The log must extend it. */
  readonly checkpoint?: string | undefined;
  /** Default: a process warning for a remote server, nothing for a directory of one's own. */
  readonly onTrustOnFirstUse?: ((notice: FirstUseNotice) => void) | undefined;
  /**
   * Remembers the key and how far the log was seen, from one run to the next: so that a key is trusted once and for all, and a
   * server that rolls back in between is found out. `verifierKey` beside it pins; `checkpoint` must not be given as well.
   */
  readonly trustStore?: TrustStore | undefined;
  /** Called when the pinned key or the newest checkpoint shown to be consistent has changed. Keep what it is given. */
  readonly onTrustChanged?: ((state: TrustState) => void) | undefined;
}

export interface DatabaseOptions extends TrustOptions {
  /** Signs the commits that this client makes. Absent: nobody. */
  readonly signer?: CommitSigner | undefined;
  /** Judges every commit that this client reads or walks: `keyring`, `headKeys`, or the caller's own. Absent: nobody. */
  readonly commitVerifier?: CommitVerifier | undefined;
  /** Keeps the last answers as they came, for `evidenceOf`. Absent: what is refused is kept only as far as the error holds it. */
  readonly answers?: RecentAnswers | undefined;
  /** Name of the database; default `default`. */
  readonly database?: string | undefined;
  /** Milliseconds since 1970, for `maxAgeMs`; default: the system's clock. */
  readonly clock?: (() => number) | undefined;
  /**
   * How often a call is made at most where its answer may have been lost (`Unavailable`): reads, and writes with their
   * idempotency key, within their deadline. 1: never again. Default 5, with random waits of at most 1.5 seconds in all.
   */
  readonly maxAttempts?: number | undefined;
  /**
   * Witnesses that must have cosigned the log, k of n: asked for with the first read of the log, and again when what they said
   * has become too old. A read where too few have is `IncompleteProof`.
   */
  readonly witnesses?: WitnessPolicy | undefined;
  /** How far the server's clock may be ahead of or behind this one where ages are checked. Default 10 seconds. */
  readonly clockToleranceMs?: number | undefined;
}

/** Settings of the connection itself, taken as they are by the gRPC transport. */
export interface ConnectionOptions extends CallOptions {
  /** Bearer token sent with every call. */
  readonly token?: string | undefined;
}
