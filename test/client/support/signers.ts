// Keys that are the same in each test, and a signer that says what it was asked to sign.
import type { CommitSigner } from "#src/client/signing.js";
import { signerFromSeed } from "#src/core/signature/index.js";

/** A signer of its own for each seed. */
export function signerOf(seed: number): CommitSigner {
  return signerFromSeed(new Uint8Array(32).fill(seed));
}

/** The same, elsewhere: it answers later, and keeps what it has signed. */
export function remoteSigner(seed: number): CommitSigner & { readonly signed: Uint8Array[] } {
  const inner = signerOf(seed);
  const signed: Uint8Array[] = [];
  return {
    publicKey: inner.publicKey,
    signed,
    async sign(message) {
      await new Promise((resolve) => setImmediate(resolve));
      signed.push(new Uint8Array(message));
      return inner.sign(message);
    },
  };
}
