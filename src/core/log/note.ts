// Signed notes (C2SP signed-note): text that ends in a line end, an empty line, then one line a signature.
//
//   neleus/00112233445566778899aabbccddeeff/1
//   4
//   /kMzdjPys03FWCS2UjqDILF+KK0U2cl178WfALFnMwk=
//
//   — neleus/00112233445566778899aabbccddeeff/1 kxhDH+mvLSLD…QAA=          base 64 of key id (4 bytes) ‖ signature
//
// Signatures cover the text with its last line end. Signatures by unknown keys are kept and ignored; one by a known key
// that is invalid spoils the note. Until a trusted key has signed it, the text means nothing: use `verifyNote`.
import { concatBytes, fromHex, isWellFormed, toHex, utf8 } from "../bytes.js";
import { InvalidArgument, Malformed, NeleusError, NotAnchored, VerificationFailed } from "../errors.js";
import { MAX_NOTE_BYTES, MAX_NOTE_SIGNATURES } from "../limits.js";
import { isValidSignature, signatureFault } from "../signature/index.js";
import type { Signer } from "../signature/index.js";
import { fromBase64, toBase64 } from "./base64.js";
import { holdsControlCharacter, isKeyName, verifierKey } from "./verifier-key.js";
import type { VerifierKey } from "./verifier-key.js";

/** One signature line. */
export interface NoteSignature {
  readonly name: string;
  /** 8 lower-case hex digits. */
  readonly keyId: string;
  /** At least one byte; of Ed25519, 64. */
  readonly value: Uint8Array;
}

/** A note taken apart. Nothing in it is verified. */
export interface Note {
  /** With its last line end. */
  readonly text: string;
  /** In the order of their lines. */
  readonly signatures: readonly NoteSignature[];
}

/** Signs notes under a name. */
export interface NoteSigner {
  readonly name: string;
  readonly signer: Signer;
}

const LINE_START = "— ";
const KEY_ID_BYTES = 4;

/**
 * Takes a note apart, without verifying anything.
 * @throws Malformed - not the form above, control characters, over 64 KiB, over 100 signatures
 */
export function parseNote(encoded: string): Note {
  // UTF-8 has no fewer bytes than UTF-16 has units, so absurd input is refused before it is encoded.
  if (encoded.length > MAX_NOTE_BYTES || !isWellFormed(encoded) || utf8(encoded).length > MAX_NOTE_BYTES) {
    throw new Malformed(`a note is well-formed text of at most ${MAX_NOTE_BYTES} bytes`);
  }
  if (encoded.split("\n").some(holdsControlCharacter)) throw new Malformed("a note has no control characters");
  const split = encoded.lastIndexOf("\n\n");
  if (split < 0 || !encoded.endsWith("\n")) throw new Malformed("a note ends in an empty line and signature lines");
  const lines = encoded
    .slice(split + 2)
    .split("\n")
    .slice(0, -1);
  if (lines.length === 0) throw new Malformed("a note has at least one signature");
  if (lines.length > MAX_NOTE_SIGNATURES) throw new Malformed(`a note has at most ${MAX_NOTE_SIGNATURES} signatures`);
  return { text: encoded.slice(0, split + 1), signatures: lines.map(parseSignatureLine) };
}

function parseSignatureLine(line: string): NoteSignature {
  if (!line.startsWith(LINE_START)) throw new Malformed("a signature line begins with an em dash and a space");
  const [name = "", encoded = "", ...rest] = line.slice(LINE_START.length).split(" ");
  if (!isKeyName(name) || rest.length > 0)
    throw new Malformed("a signature line holds a name, a space and a signature");
  const bytes = fromBase64(encoded);
  if (bytes.length <= KEY_ID_BYTES) throw new Malformed("a signature line holds a key id and a signature");
  return { name, keyId: toHex(bytes.subarray(0, KEY_ID_BYTES)), value: bytes.slice(KEY_ID_BYTES) };
}

/**
 * The text of a note.
 * @throws InvalidArgument - text without a last line end, a part of a wrong form, no signature, or beyond a limit
 */
export function formatNote(note: Note): string {
  try {
    const lines = note.signatures.map(({ name, keyId, value }) => {
      return `${LINE_START}${name} ${toBase64(concatBytes(fromHex(keyId), value))}\n`;
    });
    const encoded = `${note.text}\n${lines.join("")}`;
    // Whatever does not read back the same was not of the form: a line end in a name, a text without its last one.
    const again = parseNote(encoded);
    if (again.text === note.text && again.signatures.length === lines.length) return encoded;
  } catch (cause) {
    if (!(cause instanceof NeleusError)) throw cause;
    throw new InvalidArgument(`the parts do not make a note: ${cause.message}`, {}, { cause });
  }
  throw new InvalidArgument("the parts do not make a note: the text ends in a line end");
}

/**
 * A note's text, signed: after other signatures, which stay, and in place of an earlier one by the same key.
 * @throws InvalidArgument - as `formatNote`; or the signer made an invalid signature, which is not let out
 */
export function signNote(note: Note, by: NoteSigner): string {
  const { name, keyId, publicKey } = verifierKey(by.name, by.signer.publicKey);
  const message = utf8(note.text);
  const value = by.signer.sign(message);
  const fault = signatureFault({ publicKey, message, signature: value });
  if (fault !== undefined) throw new InvalidArgument(`the signer made no valid signature: ${fault}`);
  const others = note.signatures.filter((signature) => signature.name !== name || signature.keyId !== keyId);
  return formatNote({ text: note.text, signatures: [...others, { name, keyId, value }] });
}

/** A note that trusted keys have signed. */
export interface VerifiedNote extends Note {
  /** The trusted keys whose signatures are valid; at least one. */
  readonly signedBy: readonly VerifierKey[];
}

/**
 * Takes a note apart and verifies it.
 * @throws Malformed - as `parseNote`
 * @throws NotAnchored - no key is trusted
 * @throws VerificationFailed - no trusted key has signed it, or a signature by one is invalid; the note is the evidence
 */
export function verifyNote(encoded: string, trusted: readonly VerifierKey[]): VerifiedNote {
  const note = parseNote(encoded);
  if (trusted.length === 0) throw new NotAnchored("no key is trusted to sign this note");
  const message = utf8(note.text);
  const signedBy = new Set<VerifierKey>();
  for (const { name, keyId, value } of note.signatures) {
    const candidates = trusted.filter((key) => key.name === name && key.keyId === keyId);
    if (candidates.length === 0) continue;
    const signer = candidates.find(({ publicKey }) => isValidSignature({ publicKey, message, signature: value }));
    if (signer === undefined) {
      throw new VerificationFailed(`the signature of ${name}+${keyId} is invalid`, { evidence: encoded });
    }
    signedBy.add(signer);
  }
  if (signedBy.size === 0) throw new VerificationFailed("no trusted key has signed this note", { evidence: encoded });
  return { ...note, signedBy: [...signedBy] };
}
