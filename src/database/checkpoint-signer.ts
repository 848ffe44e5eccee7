// Signs checkpoints of durable tails, and keeps the last one: the same size is signed once.
//
// The signature may be made while the tail is still being flushed, when this thread has nothing else to do. It then stays
// in here until somebody asks for the checkpoint of that very tree, which only a durable tail makes them do; of a flush
// that failed it is never seen.
//
// Core's `signCheckpoint` verifies each signature by its own strict rule, in portable code: 5 ms measured, more than all
// else that a small write costs. Here node:crypto signs and verifies instead (0.3 ms); the note is the same to the byte.
import { verify } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { equalBytes, utf8 } from "../core/bytes.js";
import { assert } from "../core/errors.js";
import type { Digest } from "../core/hashes.js";
import { formatNote, formatVerifierKey, verifierKey } from "../core/log/index.js";
import type { VerifierKey } from "../core/log/index.js";
import type { SigningKey } from "./signing-key.js";

/** A durable log of this size has this root. */
export interface SignedTree {
  readonly size: number;
  readonly root: Digest;
}

interface SignedNote {
  readonly tree: SignedTree;
  readonly note: string;
}

export class CheckpointSigner {
  readonly origin: string;
  /** Text of the verifier key: what clients pin. */
  readonly verifierKey: string;
  readonly #key: VerifierKey;
  readonly #publicKey: KeyObject;
  readonly #signMessage: (message: Uint8Array) => Uint8Array;
  #last: SignedNote | undefined;
  /** Of a tree that may not be durable. */
  #prepared: SignedNote | undefined;

  constructor(options: { readonly origin: string; readonly signingKey: SigningKey }) {
    const { origin, signingKey } = options;
    this.origin = origin;
    this.#key = verifierKey(origin, signingKey.publicKey);
    this.verifierKey = formatVerifierKey(this.#key);
    this.#publicKey = signingKey.verifyingKey;
    this.#signMessage = signingKey.sign;
  }

  /** Signs ahead. Where that fails, `checkpoint` tries again, and says so. */
  prepare(tree: SignedTree): void {
    if (this.#last !== undefined && this.#last.tree.size >= tree.size) return;
    try {
      this.#prepared = { tree, note: this.#sign(tree) };
    } catch {
      this.#prepared = undefined;
    }
  }

  /** The note for a tree, which MUST be durable. */
  checkpoint(tree: SignedTree): string {
    const last = this.#last;
    if (last?.tree.size === tree.size) {
      assert(equalBytes(last.tree.root, tree.root), "a log has one root for a size");
      return last.note;
    }
    const prepared = this.#prepared;
    const isPrepared = prepared?.tree.size === tree.size && equalBytes(prepared.tree.root, tree.root);
    const note = isPrepared ? prepared.note : this.#sign(tree);
    if (last === undefined || last.tree.size < tree.size) this.#last = { tree, note };
    return note;
  }

  #sign({ size, root }: SignedTree): string {
    const text = `${this.origin}\n${size}\n${Buffer.from(root).toString("base64")}\n`;
    const message = utf8(text);
    const value = this.#signMessage(message);
    // A fault while signing could give the key away: nothing that does not verify leaves here.
    assert(verify(undefined, message, this.#publicKey, value), "the signer made no valid signature");
    return formatNote({ text, signatures: [{ name: this.#key.name, keyId: this.#key.keyId, value }] });
  }
}
