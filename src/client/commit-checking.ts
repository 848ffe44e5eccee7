// Where commits are shown to the caller's verifier: one place for all that is read.
import type { CommitRecord } from "./records.js";
import type { CommitVerifier } from "./signing.js";

/** For one call another verifier than the client's; null: none. */
export interface VerifierOptions {
  readonly commitVerifier?: CommitVerifier | null | undefined;
}

/** The verifier of a client, if it has one. */
export class CommitChecking {
  readonly #verifier: CommitVerifier | undefined;

  constructor(verifier: CommitVerifier | undefined) {
    this.#verifier = verifier;
  }

  /** The verifier of a call. */
  of({ commitVerifier }: VerifierOptions): CommitVerifier | undefined {
    return commitVerifier === undefined ? this.#verifier : (commitVerifier ?? undefined);
  }

  /** @throws whatever the verifier throws: VerificationFailed, to refuse */
  async check(
    commit: CommitRecord,
    options: VerifierOptions,
    of?: { readonly head: string; readonly headKeys: readonly Uint8Array[] | undefined },
  ): Promise<void> {
    const verifier = this.of(options);
    if (verifier === undefined) return;
    const { hash, signatures } = commit;
    await verifier.verify({ hash, commit, signatures, ...of });
  }
}
