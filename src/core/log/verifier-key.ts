// Verifier keys of signed notes (C2SP signed-note; golang.org/x/mod/sumdb/note):
//
//   <name>+<key id, 8 lower-case hex digits>+<base 64 of 0x01 ‖ Ed25519 public key>
//   key id = first four bytes of SHA-256(name ‖ 0x0a ‖ 0x01 ‖ public key)
//
// The id is short: it finds a key, it does not identify one. Trust is in the whole key.
import { sha256 } from "@noble/hashes/sha2.js";
import { concatBytes, isWellFormed, toHex, utf8 } from "../bytes.js";
import { InvalidArgument, Malformed, Unsupported } from "../errors.js";
import { fromBase64, toBase64 } from "./base64.js";

/** A public key and the name it signs notes under. */
export interface VerifierKey {
  readonly name: string;
  /** 4 bytes as 8 lower-case hex digits; follows from the rest. */
  readonly keyId: string;
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
}

const ED25519 = 0x01;
const PUBLIC_KEY_BYTES = 32;
const MAX_NAME_CHARACTERS = 1024;

/** True for names of keys: not empty, no Unicode space, no plus, no control character, well-formed, not absurdly long. */
export function isKeyName(name: string): boolean {
  if (name === "" || name.length > MAX_NAME_CHARACTERS || !isWellFormed(name)) return false;
  return !/[\p{White_Space}+]/u.test(name) && !holdsControlCharacter(name);
}

/** True where the text has an ASCII control character, line ends included. */
export function holdsControlCharacter(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) if (text.charCodeAt(index) < 0x20) return true;
  return false;
}

/**
 * A verifier key from its parts.
 * @throws InvalidArgument - no name of a key, or not 32 bytes
 */
export function verifierKey(name: string, publicKey: Uint8Array): VerifierKey {
  return namedKey(name, publicKey, ED25519);
}

/** The same for a signature type of the C2SP registry. */
export function namedKey(name: string, publicKey: Uint8Array, type: number): VerifierKey {
  if (!isKeyName(name)) throw new InvalidArgument("the name of a key is not empty and has no spaces and no plus");
  if (publicKey.length !== PUBLIC_KEY_BYTES) {
    throw new InvalidArgument(`an Ed25519 public key is 32 bytes, not ${publicKey.length}`);
  }
  return { name, keyId: keyIdOf(name, publicKey, type), publicKey: new Uint8Array(publicKey) };
}

function keyIdOf(name: string, publicKey: Uint8Array, type: number): string {
  return toHex(sha256(concatBytes(utf8(name), Uint8Array.of(0x0a, type), publicKey)).subarray(0, 4));
}

/** The text of a verifier key: what is pinned, and what a `keys/log` cell holds. */
export function formatVerifierKey(key: VerifierKey): string {
  return formatTypedKey(key, ED25519);
}

export function formatTypedKey({ name, keyId, publicKey }: VerifierKey, type: number): string {
  return `${name}+${keyId}+${toBase64(concatBytes(Uint8Array.of(type), publicKey))}`;
}

/**
 * A verifier key from its text.
 * @throws Malformed - not of that form, or an id that does not follow from name and key
 * @throws Unsupported - a signature type other than Ed25519 (0x01)
 */
export function parseVerifierKey(text: string): VerifierKey {
  return parseTypedKey(text, ED25519);
}

/** The same for a signature type of the C2SP registry. Errors likewise. */
export function parseTypedKey(text: string, type: number): VerifierKey {
  // Base 64 may hold a plus, so only the first two separate.
  const match = /^([^+]{1,1024})\+([0-9a-f]{8})\+([A-Za-z0-9+/=]{4,8192})$/.exec(text);
  if (match === null) throw new Malformed("a verifier key is <name>+<8 hex digits>+<base 64>");
  const [, name = "", keyId = "", encoded = ""] = match;
  if (!isKeyName(name)) throw new Malformed("the name of a verifier key is not empty and has no spaces");
  const material = fromBase64(encoded);
  if (material[0] !== type)
    throw new Unsupported(`a verifier key of signature type ${material[0] ?? -1}, where ${type} is wanted`);
  const publicKey = material.slice(1);
  if (publicKey.length !== PUBLIC_KEY_BYTES) throw new Malformed("an Ed25519 verifier key holds 32 bytes");
  if (keyIdOf(name, publicKey, type) !== keyId)
    throw new Malformed(`key id ${keyId} does not belong to this name and key`);
  return { name, keyId, publicKey };
}
