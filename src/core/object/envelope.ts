// An object and its signatures, taken apart and put together (FORMATS §6). Signatures cover the object without them,
// with every member that the signer wrote, known to this version or not; so this works on members, not on types.
import { decodeMap, encode } from "../codec/index.js";
import { compareBytes } from "../bytes.js";
import { signatures as signatureList } from "./common.js";
import type { Signature } from "./common.js";
import { optional, read, struct, write } from "../codec/schema.js";
import type { Extensible } from "../codec/schema.js";

/** `extra` is then everything but the signatures. */
interface Envelope extends Extensible {
  readonly signatures?: readonly Signature[];
}

const envelope = struct<Envelope>({ signatures: optional(signatureList) });

/** What `splitSignatures` gives. */
export interface SplitObject {
  /** Encoding of the object without signatures: what each of them covers. */
  readonly unsigned: Uint8Array;
  /** Strictly ascending by key; empty where the object has none. */
  readonly signatures: readonly Signature[];
}

/**
 * Takes the signatures off an object of any kind and version.
 * @throws Malformed - not canonical, not a map, or signatures that break a rule of formats.cddl
 */
export function splitSignatures(received: Uint8Array): SplitObject {
  const { signatures = [], extra = {} } = read(envelope, decodeMap(received));
  return { unsigned: encode(extra), signatures };
}

/**
 * The object with a signature added; one by the same key is replaced.
 * @throws InvalidArgument - more than 16, or a signature of a wrong shape
 */
export function addSignature(split: SplitObject, signature: Signature): Uint8Array {
  const others = split.signatures.filter(({ key }) => compareBytes(key, signature.key) !== 0);
  const signatures = [...others, signature].sort((a, b) => compareBytes(a.key, b.key));
  return encode(write(envelope, { signatures, extra: decodeMap(split.unsigned) }));
}
