// The pinned key of a log, and what it takes to open a checkpoint with it (FORMATS §7; C2SP signed-note).
//
// Cost: one Ed25519 verification for each checkpoint that is not among the last few opened: one to three milliseconds in
// portable code, a fifth of one with the platform's help (`SignatureCheck`).
import { toHex, utf8 } from "../../core/bytes.js";
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
import { publicKeyFault } from "../../core/signature/index.js";
import { verifying } from "../received.js";
import type { SignedCheckpoint } from "../records.js";

/** Checkpoints remembered as verified: each is met again in receipts and answers of the same instant. */
const REMEMBERED = 128;

/**
 * True only where a signature over the message is valid by the strict rule of FORMATS §6 under a key that is canonical and
 * not of small order. False says nothing: core then decides.
 */
export type SignatureCheck = (message: Uint8Array, signature: Uint8Array) => boolean;

/** Makes the check for a public key of 32 bytes. */
export type SignatureCheckMaker = (publicKey: Uint8Array) => SignatureCheck;

export class LogKey {
  /** As pinned: `<origin>+<key id>+<base64>`. */
  readonly text: string;
  readonly #key: VerifierKey;
  readonly #origin: Origin;
  readonly #opened = new Map<string, SignedCheckpoint>();

  readonly #isSignature: SignatureCheck | undefined;

  private constructor(text: string, key: VerifierKey, makeCheck: SignatureCheckMaker | undefined) {
    this.text = text;
    this.#key = key;
    this.#origin = parseOrigin(key.name);
    requireSoundKey(key);
    this.#isSignature = makeCheck?.(key.publicKey);
  }

  /**
   * @throws InvalidArgument - no verifier key, a point that is none or of small order, or its name is no origin of a
   *   database
   * @throws Unsupported - a key of another kind than Ed25519
   */
  static parse(text: string, makeCheck?: SignatureCheckMaker): LogKey {
    try {
      return new LogKey(text, parseVerifierKey(text), makeCheck);
    } catch (cause) {
      if (!(cause instanceof Malformed)) throw cause;
      throw new InvalidArgument(`verifier key: ${cause.message}`, { field: "verifierKey" }, { cause });
    }
  }

  /** Id of the database, in lower-case hex. */
  get databaseId(): string {
    return toHex(this.#origin.databaseId);
  }

  /** From 1. */
  get epoch(): number {
    return this.#origin.epoch;
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
    if (!this.#isQuicklySigned(note)) verifying("the checkpoint", () => verifyCheckpoint(note, this.#key));
    const { origin, size, root } = claimed;
    return this.#remember({ note, origin, size, root });
  }

  /** True for a key of the same database: of another epoch of its log, or of a log that has the same name. */
  isOfSameDatabase(other: LogKey): boolean {
    return other.databaseId === this.databaseId;
  }

  /** The error for a server that presents a key of another database. */
  mismatch(presented: LogKey): NewEpoch | VerificationFailed {
    return this.#strange(presented.origin, presented.text);
  }

  /**
   * True where the platform's check finds our signature valid.
   * @throws VerificationFailed - the note repeats it, which would make a reader verify it up to a hundred times
   */
  #isQuicklySigned(note: string): boolean {
    const { name, keyId } = this.#key;
    const { text, signatures } = parseNote(note);
    const [ours, second] = signatures.filter((signature) => signature.name === name && signature.keyId === keyId);
    if (second !== undefined) throw new VerificationFailed("the checkpoint repeats a signature", { evidence: note });
    return ours !== undefined && this.#isSignature?.(utf8(text), ours.value) === true;
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

/** Public keys found sound, in hex: the check costs point arithmetic, and clients share keys. */
const soundKeys = new Set<string>();
const MAX_SOUND_KEYS = 256;

/** @throws Malformed - no point of the curve, or one of small order: under such a key anything is signed */
function requireSoundKey({ publicKey }: VerifierKey): void {
  const name = toHex(publicKey);
  if (soundKeys.has(name)) return;
  const fault = publicKeyFault(publicKey);
  if (fault !== undefined) throw new Malformed(fault);
  if (soundKeys.size >= MAX_SOUND_KEYS) soundKeys.clear();
  soundKeys.add(name);
}

function parsedOrigin(text: string): Origin | undefined {
  try {
    return parseOrigin(text);
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}
