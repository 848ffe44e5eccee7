// The two authenticated ciphers that records are sealed with (docs/FORMATS.md §8): AES-256-GCM (NIST SP 800-38D) and
// ChaCha20-Poly1305 (RFC 8439). Keys are 32 bytes, nonces 12, tags 16 and behind the ciphertext.
//
// node:crypto does the work. Where a build of Node has been left without one of them, @noble/ciphers does: the bytes are
// the same, at a tenth of the speed.
import { createCipheriv, createDecipheriv, getCiphers } from "node:crypto";
import type { CipherGCM, CipherGCMTypes, DecipherGCM } from "node:crypto";
import { gcm } from "@noble/ciphers/aes.js";
import { chacha20poly1305 } from "@noble/ciphers/chacha.js";

/** The ciphers, as they are named in `meta/config.json`. */
export const ALGORITHMS = ["aes-256-gcm", "chacha20-poly1305"] as const;
export type Algorithm = (typeof ALGORITHMS)[number];

export const TAG_BYTES = 16;

/** One message of one key: never two different ones of one nonce. */
export interface AeadMessage {
  /** 32 bytes. */
  readonly key: Uint8Array;
  /** 12 bytes. */
  readonly nonce: Uint8Array;
  /** What is authenticated beside it. */
  readonly associatedData: Uint8Array;
}

export interface Aead {
  /** Ciphertext and tag into an array that has room for both; it may hold the plaintext. */
  sealInto(message: AeadMessage, plaintext: Uint8Array, into: Uint8Array): void;
  /** The plaintext of ciphertext and tag into an array of its size; false where they are not what was sealed. */
  openInto(message: AeadMessage, sealed: Uint8Array, into: Uint8Array): boolean;
}

export function nativeAead(algorithm: Algorithm): Aead {
  // The declarations know the options of this cipher and of the other apart; they are the same.
  const name = algorithm as CipherGCMTypes;
  const options = { authTagLength: TAG_BYTES };
  return {
    sealInto({ key, nonce, associatedData }, plaintext, into) {
      const cipher: CipherGCM = createCipheriv(name, key, nonce, options);
      cipher.setAAD(associatedData);
      into.set(cipher.update(plaintext));
      cipher.final();
      into.set(cipher.getAuthTag(), plaintext.length);
    },
    openInto({ key, nonce, associatedData }, sealed, into) {
      const end = sealed.length - TAG_BYTES;
      const decipher: DecipherGCM = createDecipheriv(name, key, nonce, options);
      decipher.setAAD(associatedData);
      decipher.setAuthTag(sealed.subarray(end));
      const plaintext = decipher.update(sealed.subarray(0, end));
      try {
        decipher.final();
      } catch {
        return false;
      }
      // Only now: what is not authentic is handed to nobody.
      into.set(plaintext);
      return true;
    },
  };
}

export function portableAead(algorithm: Algorithm): Aead {
  const make = algorithm === "aes-256-gcm" ? gcm : chacha20poly1305;
  return {
    sealInto({ key, nonce, associatedData }, plaintext, into) {
      into.set(make(key, nonce, associatedData).encrypt(plaintext));
    },
    openInto({ key, nonce, associatedData }, sealed, into) {
      let plaintext;
      try {
        plaintext = make(key, nonce, associatedData).decrypt(sealed);
      } catch {
        return false;
      }
      into.set(plaintext);
      return true;
    },
  };
}

const NATIVE = new Set(getCiphers());

const AEADS: Readonly<Record<Algorithm, Aead>> = {
  "aes-256-gcm": aeadHere("aes-256-gcm"),
  "chacha20-poly1305": aeadHere("chacha20-poly1305"),
};

function aeadHere(algorithm: Algorithm): Aead {
  return NATIVE.has(algorithm) ? nativeAead(algorithm) : portableAead(algorithm);
}

/** The cipher, by whatever is the fastest here. */
export function aeadOf(algorithm: Algorithm): Aead {
  return AEADS[algorithm];
}

export function isAlgorithm(name: unknown): name is Algorithm {
  return ALGORITHMS.some((known) => known === name);
}
