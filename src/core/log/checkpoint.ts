// Checkpoints (C2SP tlog-checkpoint): signed notes whose text is origin, size and root of a log, a line each.
//
//   neleus/00112233445566778899aabbccddeeff/1
//   4
//   /kMzdjPys03FWCS2UjqDILF+KK0U2cl178WfALFnMwk=
//   extension lines, opaque: accepted and ignored
//
// A log signs one root for a size, ever; two that differ are a transferable proof of fraud. The name of its key is its
// origin (FORMATS §7).
import { equalBytes } from "../bytes.js";
import { InvalidArgument, Malformed, VerificationFailed } from "../errors.js";
import type { Digest } from "../hashes.js";
import type { Signer } from "../signature/index.js";
import { fromBase64, toBase64 } from "./base64.js";
import { parseNote, signNote, verifyNote } from "./note.js";
import { EMPTY_LOG_ROOT, isLogSize } from "./tree.js";
import type { VerifierKey } from "./verifier-key.js";

/** What a checkpoint says. */
export interface Checkpoint {
  readonly origin: string;
  /** Leaves in the log. */
  readonly size: number;
  /** Root of the tree of that many leaves. */
  readonly root: Digest;
}

/**
 * What a checkpoint says, without verifying who says so.
 * @throws Malformed - no note, or no checkpoint
 */
export function parseCheckpointUnverified(encoded: string): Checkpoint {
  return parseText(parseNote(encoded).text);
}

/**
 * What a checkpoint says, once the key of its log has signed it. The key's name is the origin wanted.
 * @throws Malformed - no note, or no checkpoint
 * @throws VerificationFailed - not signed by the key, or of another origin; the note is the evidence
 */
export function verifyCheckpoint(encoded: string, key: VerifierKey): Checkpoint {
  const { text } = verifyNote(encoded, [key]);
  const checkpoint = parseText(text);
  if (checkpoint.origin !== key.name) {
    throw new VerificationFailed(`a checkpoint of ${checkpoint.origin}, signed by the key of ${key.name}`, {
      evidence: encoded,
    });
  }
  return checkpoint;
}

/**
 * A checkpoint as a note, signed by the key of the log under the name of the origin.
 * @throws InvalidArgument - an origin that is no name of a key, no size, no root, or an invalid signature
 */
export function signCheckpoint(checkpoint: Checkpoint, signer: Signer): string {
  const { origin, size, root } = checkpoint;
  if (!isLogSize(size)) throw new InvalidArgument(`a log has 0 to 2^53 − 1 leaves, not ${size}`);
  if (root.length !== 32) throw new InvalidArgument(`the root of a log is 32 bytes, not ${root.length}`);
  const text = `${origin}\n${size}\n${toBase64(root)}\n`;
  return signNote({ text, signatures: [] }, { name: origin, signer });
}

function parseText(text: string): Checkpoint {
  // The text ends in a line end, after which nothing follows.
  const lines = text.split("\n").slice(0, -1);
  const [origin, sizeText, rootText] = lines;
  if (origin === undefined || sizeText === undefined || rootText === undefined) {
    throw new Malformed("a checkpoint has an origin, a size and a root, a line each");
  }
  if (lines.includes("")) throw new Malformed("a checkpoint has no empty line");
  const size = Number(sizeText);
  if (!/^(?:0|[1-9][0-9]{0,15})$/.test(sizeText) || !isLogSize(size)) {
    throw new Malformed("the size of a log is a decimal number of 0 to 2^53 − 1");
  }
  const root = fromBase64(rootText);
  if (root.length !== 32) throw new Malformed(`the root of a log is 32 bytes, not ${root.length}`);
  if (size === 0 && !equalBytes(root, EMPTY_LOG_ROOT)) throw new Malformed("the log without leaves has one root only");
  return { origin, size, root };
}
