// Cosignatures of checkpoints (C2SP tlog-cosignature): a witness saw this checkpoint, and that it extends all which it had
// seen of the log before. k of n of them make a fork show that no client could see by itself.
//
//   — witness.example/w1 c3pp…            base 64 of key id (4 bytes) ‖ seconds since 1970 (8 bytes, big-endian) ‖ signature (64)
//
//   signed text    cosignature/v1
//                  time <seconds, decimal>
//                  <the note's text>
//   verifier key   <name>+<key id, 8 hex digits>+<base 64 of 0x04 ‖ Ed25519 public key>
//   key id         first four bytes of SHA-256(name ‖ 0x0a ‖ 0x04 ‖ public key)
import { concatBytes, readU64be, u64be, utf8 } from "../bytes.js";
import { InvalidArgument } from "../errors.js";
import { isValidSignature } from "../signature/index.js";
import type { Signer } from "../signature/index.js";
import type { Note, NoteSignature } from "./note.js";
import { formatTypedKey, namedKey, parseTypedKey, type VerifierKey } from "./verifier-key.js";

/** Signature type of the C2SP registry. */
const COSIGNATURE_V1 = 0x04;
const TIME_BYTES = 8;
const SIGNATURE_BYTES = 64;
/** Lines of one witness that are looked at: anybody can add more, each of which would cost a verification. */
const MOST_LINES = 4;

/** A witness's key: its name, and an id that differs from that of a log's key. */
export interface WitnessKey extends VerifierKey {
  readonly isWitness: true;
}

/**
 * A witness's key from its text.
 * @throws Malformed - not of that form, or an id that does not follow from name and key
 * @throws Unsupported - a signature type other than cosignature/v1 (0x04), as of a log's key
 */
export function parseWitnessKey(text: string): WitnessKey {
  return { ...parseTypedKey(text, COSIGNATURE_V1), isWitness: true };
}

/** @throws InvalidArgument - no name of a key, or not 32 bytes */
export function witnessKey(name: string, publicKey: Uint8Array): WitnessKey {
  return { ...namedKey(name, publicKey, COSIGNATURE_V1), isWitness: true };
}

export function formatWitnessKey(key: WitnessKey): string {
  return formatTypedKey(key, COSIGNATURE_V1);
}

/** A witness's valid signature under a note. */
export interface Cosignature {
  readonly witness: WitnessKey;
  /** When the witness says that it saw the checkpoint, in milliseconds since 1970. */
  readonly timeMs: number;
  /** The line that holds it. */
  readonly signature: NoteSignature;
}

/** What a witness's lines under a note come to. */
export type WitnessVerdict = Cosignature | "absent" | "invalid";

/**
 * The newest valid cosignature of a witness; "invalid" where there are lines of it, and none is valid. That the note is a
 * checkpoint of the log, signed by it, is for the caller to check. One verification a line: 2 to 3 ms.
 */
export function findCosignature(note: Note, witness: WitnessKey): WitnessVerdict {
  const own = note.signatures.filter(({ name, keyId }) => name === witness.name && keyId === witness.keyId);
  let newest: Cosignature | undefined;
  for (const signature of own.slice(0, MOST_LINES)) {
    const timeMs = timeOf(note.text, signature.value, witness);
    if (timeMs !== undefined && (newest === undefined || timeMs > newest.timeMs))
      newest = { witness, timeMs, signature };
  }
  return newest ?? (own.length === 0 ? "absent" : "invalid");
}

function timeOf(text: string, value: Uint8Array, { publicKey }: WitnessKey): number | undefined {
  if (value.length !== TIME_BYTES + SIGNATURE_BYTES) return undefined;
  const view = new DataView(value.buffer, value.byteOffset, TIME_BYTES);
  // Beyond this no time fits a number of milliseconds, and none is meant.
  if (view.getUint32(0) >= 2 ** 11) return undefined;
  const seconds = readU64be(value.subarray(0, TIME_BYTES));
  const message = signedText(text, seconds);
  const isValid = isValidSignature({ publicKey, message, signature: value.subarray(TIME_BYTES) });
  return isValid ? seconds * 1000 : undefined;
}

/**
 * A note with a witness's line behind its others. For witnesses, who have checked what they say.
 * @throws InvalidArgument - the time is not a number of whole seconds from 1970 on
 */
export function cosign(
  note: Note,
  by: { readonly name: string; readonly signer: Signer; readonly seconds: number },
): Note {
  const { name, signer, seconds } = by;
  if (!Number.isSafeInteger(seconds) || seconds < 0 || seconds >= 2 ** 43) {
    throw new InvalidArgument(`the time of a cosignature is whole seconds since 1970, not ${seconds}`);
  }
  const { keyId } = witnessKey(name, signer.publicKey);
  const value = concatBytes(u64be(seconds), signer.sign(signedText(note.text, seconds)));
  return { text: note.text, signatures: [...note.signatures, { name, keyId, value }] };
}

function signedText(text: string, seconds: number): Uint8Array {
  return utf8(`cosignature/v1\ntime ${seconds}\n${text}`);
}
