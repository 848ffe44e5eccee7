// Signs checkpoints of durable tails, and keeps the last one: the same size is signed once.
//
// The signature may be made while the tail is still being flushed, when this thread has nothing else to do. It then stays
// in here until somebody asks for the checkpoint of that very tree, which only a durable tail makes them do; of a flush
// that failed it is never seen.
//
// While a key is announced for the next epoch it signs too, below the one in force: who does not know it ignores it.
//
// Core's `signCheckpoint` verifies each signature by its own strict rule, in portable code: 5 ms measured, more than all
// else that a small write costs. Here node:crypto signs and verifies instead (0.3 ms); the note is the same to the byte.
import { verify } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { equalBytes, utf8 } from "../core/bytes.js";
import { assert } from "../core/errors.js";
import type { Digest } from "../core/hashes.js";
import { formatNote, formatVerifierKey, verifierKey } from "../core/log/index.js";
import type { Note, NoteSignature, VerifierKey } from "../core/log/index.js";
import type { NamedKey } from "./identity.js";

/** A durable log of this size has this root. */
export interface SignedTree {
  readonly size: number;
  readonly root: Digest;
}

interface SignedNote {
  readonly tree: SignedTree;
  readonly note: string;
}

/** A key, ready to sign and to check what it signed. */
interface NoteKey {
  readonly key: VerifierKey;
  readonly publicKey: KeyObject;
  readonly sign: (message: Uint8Array) => Uint8Array;
}

export class CheckpointSigner {
  readonly origin: string;
  /** Text of the verifier key: what clients pin. */
  readonly verifierKey: string;
  /** That of the next epoch, while it is announced. */
  readonly nextVerifierKey: string | undefined;
  readonly #keys: readonly NoteKey[];
  #last: SignedNote | undefined;
  /** Of a tree that may not be durable. */
  #prepared: SignedNote | undefined;

  constructor(options: NamedKey & { readonly next?: NamedKey | undefined }) {
    const own = noteKey(options);
    const next = options.next && noteKey(options.next);
    this.origin = options.origin;
    this.verifierKey = formatVerifierKey(own.key);
    this.nextVerifierKey = next && formatVerifierKey(next.key);
    this.#keys = next === undefined ? [own] : [own, next];
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
    const signatures = this.#keys.map(({ key, publicKey, sign }) => {
      const value = sign(message);
      // A fault while signing could give the key away: nothing that does not verify leaves here.
      assert(verify(undefined, message, publicKey, value), "the signer made no valid signature");
      return { name: key.name, keyId: key.keyId, value };
    });
    return formatNote({ text, signatures });
  }

  /**
   * The signature of the key in force, where it is valid, by node:crypto: for what this process wants to know, not for what
   * others are to be convinced of. Undefined too where a note repeats it.
   */
  ownSignature(note: Note): NoteSignature | undefined {
    const [own] = this.#keys;
    assert(own !== undefined, "a signer has a key");
    const { name, keyId } = own.key;
    const [ours, second] = note.signatures.filter((line) => line.name === name && line.keyId === keyId);
    if (ours === undefined || second !== undefined) return undefined;
    return verify(undefined, utf8(note.text), own.publicKey, ours.value) ? ours : undefined;
  }
}

function noteKey({ origin, signingKey }: NamedKey): NoteKey {
  const { publicKey, verifyingKey, sign } = signingKey;
  return { key: verifierKey(origin, publicKey), publicKey: verifyingKey, sign };
}
