// The pinned key of a log, and what it takes to open a checkpoint with it (FORMATS §7; C2SP signed-note).
//
// Cost: one Ed25519 verification (about a millisecond) for each checkpoint that is not among the last few opened.
import { toHex } from "../../core/bytes.js";
import { InvalidArgument, Malformed, NewEpoch, VerificationFailed } from "../../core/errors.js";
import {
  parseCheckpointUnverified,
  parseNote,
  parseOrigin,
  parseVerifierKey,
  verifyCheckpoint,
  type Origin,
  type VerifierKey,
} from "../../core/log/index.js";
import { verifying } from "../received.js";
import type { SignedCheckpoint } from "../records.js";

/** Checkpoints remembered as verified: each is met again in receipts and answers of the same instant. */
const REMEMBERED = 128;

export class LogKey {
  /** As pinned: `<origin>+<key id>+<base64>`. */
  readonly text: string;
  readonly #key: VerifierKey;
  readonly #origin: Origin;
  readonly #opened = new Map<string, SignedCheckpoint>();

  private constructor(text: string, key: VerifierKey) {
    this.text = text;
    this.#key = key;
    this.#origin = parseOrigin(key.name);
  }

  /** @throws InvalidArgument - no verifier key, not one of Ed25519, or its name is no origin of a database */
  static parse(text: string): LogKey {
    try {
      return new LogKey(text, parseVerifierKey(text));
    } catch (cause) {
      if (!(cause instanceof Malformed)) throw cause;
      throw new InvalidArgument(`verifier key: ${cause.message}`, { field: "verifierKey" }, { cause });
    }
  }

  /** Origin of the log: the name of the key. */
  get origin(): string {
    return this.#key.name;
  }

  /**
   * A checkpoint, once its signature has been verified.
   * @throws VerificationFailed - no checkpoint, of another log, or not signed by this key; the note is the evidence
   * @throws NewEpoch - of a later or earlier log of the same database
   */
  open(note: string): SignedCheckpoint {
    const opened = this.#opened.get(note);
    if (opened !== undefined) return opened;
    const claimed = verifying("the checkpoint", () => parseCheckpointUnverified(note));
    if (claimed.origin !== this.origin) throw this.#strange(claimed.origin, note);
    this.#requireOneSignature(note);
    const { origin, size, root } = verifying("the checkpoint", () => verifyCheckpoint(note, this.#key));
    return this.#remember({ note, origin, size, root });
  }

  /** The error for a server that presents another key than this one. */
  mismatch(presented: LogKey): NewEpoch | VerificationFailed {
    if (presented.origin !== this.origin) return this.#strange(presented.origin, presented.text);
    return new VerificationFailed(`the server has another key for ${this.origin} than the pinned one`, {
      facts: { expected: this.text, actual: presented.text },
      evidence: presented.text,
    });
  }

  /** A note could repeat our signature a hundred times, to make a reader verify it as often. */
  #requireOneSignature(note: string): void {
    const { name, keyId } = this.#key;
    const ours = parseNote(note).signatures.filter((signature) => signature.name === name && signature.keyId === keyId);
    if (ours.length > 1) throw new VerificationFailed("the checkpoint repeats a signature", { evidence: note });
  }

  #remember(checkpoint: SignedCheckpoint): SignedCheckpoint {
    if (this.#opened.size >= REMEMBERED) {
      const [oldest] = this.#opened.keys();
      if (oldest !== undefined) this.#opened.delete(oldest);
    }
    this.#opened.set(checkpoint.note, checkpoint);
    return checkpoint;
  }

  #strange(origin: string, evidence: string): NewEpoch | VerificationFailed {
    const facts = { trusted_origin: this.origin, origin };
    const shown = parsedOrigin(origin);
    if (shown === undefined || toHex(shown.databaseId) !== toHex(this.#origin.databaseId)) {
      return new VerificationFailed(`this is the log ${origin}; the pinned key is of ${this.origin}`, {
        facts,
        evidence,
      });
    }
    return new NewEpoch(`the database has begun another log, ${origin}; the pinned key is of ${this.origin}`, {
      facts,
      hint: "ask whoever runs it why; if it was restored, cloned or re-keyed on purpose, pin its new key",
    });
  }
}

function parsedOrigin(text: string): Origin | undefined {
  try {
    return parseOrigin(text);
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}
