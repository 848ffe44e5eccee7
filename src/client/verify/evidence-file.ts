// Evidence as it lies in a file: neleus.evidence.v1, JSON (FORMATS §10). It may come from anybody: form and sizes are checked, and
// nothing in it is believed. Members that this program does not know are ignored, exhibits of other kinds are counted.
import { fromUtf8 } from "../../core/bytes.js";
import { Malformed, Unsupported, VerificationFailed } from "../../core/errors.js";
import { fromBase64 } from "../../core/log/base64.js";
import { isJsonObject } from "./proof-json.js";

export const EVIDENCE_TYPE = "neleus.evidence.v1";

const MAX_FILE_CHARACTERS = 16 << 20;
/** Each checkpoint costs a signature. */
const MAX_EXHIBITS = 64;
const MAX_CONSISTENCY_HASHES = 64;

/** What of the exhibits can be checked. */
export interface ParsedEvidence {
  /** As the file says: the code and the message of the refusal. */
  readonly code: string;
  readonly message: string;
  readonly verifierKey: string | undefined;
  readonly checkpoints: readonly { readonly role: string; readonly note: string }[];
  /** Proofs that were to lead from the seen checkpoint to the answered one. */
  readonly consistency: readonly (readonly Uint8Array[])[];
  /** Exhibits that nobody has signed: answers, bytes, values, keys, and kinds that this program does not know. */
  readonly unsignedCount: number;
}

/** True for JSON whose `type` is that of evidence: what is to be read as evidence, and not as a proof. */
export function isEvidence(file: string | Uint8Array): boolean {
  if (file.length > MAX_FILE_CHARACTERS) return false;
  try {
    const text = typeof file === "string" ? file : fromUtf8(file);
    // Most files are proofs: those are not read twice.
    if (!text.includes("neleus.evidence.")) return false;
    const value = parsedJson(text);
    return isJsonObject(value) && typeof value["type"] === "string" && value["type"].startsWith("neleus.evidence.");
  } catch (error) {
    if (error instanceof Malformed || error instanceof SyntaxError) return false;
    throw error;
  }
}

function parsedJson(text: string): unknown {
  return JSON.parse(text.replace(/^\u{FEFF}/u, ""));
}

/** @throws VerificationFailed - not of the form, or too large @throws Unsupported - of another version */
export function parseEvidence(file: string | Uint8Array): ParsedEvidence {
  try {
    if (file.length > MAX_FILE_CHARACTERS) throw new Malformed("it is over 16 MiB");
    const text = typeof file === "string" ? file : fromUtf8(file);
    return readEvidence(parsedJson(text));
  } catch (cause) {
    if (!(cause instanceof Malformed) && !(cause instanceof SyntaxError)) throw cause;
    throw new VerificationFailed(`this is no evidence: ${cause.message}`, {}, { cause });
  }
}

function readEvidence(value: unknown): ParsedEvidence {
  const file = objectOf(value, "the file");
  if (file["type"] !== EVIDENCE_TYPE) {
    throw new Unsupported(`evidence of a type that this program does not know: it reads ${EVIDENCE_TYPE}`);
  }
  const refused = objectOf(file["refused"], "refused");
  const exhibits = listOf(file["exhibits"], "exhibits", MAX_EXHIBITS).map((exhibit) => objectOf(exhibit, "an exhibit"));
  const ofKind = (kind: string) => exhibits.filter((exhibit) => exhibit["kind"] === kind);
  const checkpoints = ofKind("checkpoint");
  const proofs = ofKind("consistency");
  return {
    code: textOf(refused["code"], "the code"),
    message: textOf(refused["message"], "the message"),
    verifierKey: file["verifier_key"] === undefined ? undefined : textOf(file["verifier_key"], "the verifier key"),
    checkpoints: checkpoints.map(({ role, note }) => ({ role: textOf(role, "a role"), note: textOf(note, "a note") })),
    consistency: proofs.map(({ hashes }) =>
      listOf(hashes, "hashes", MAX_CONSISTENCY_HASHES).map((hash) => fromBase64(textOf(hash, "a hash"))),
    ),
    unsignedCount: exhibits.length - checkpoints.length - proofs.length,
  };
}

function objectOf(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (isJsonObject(value)) return value;
  throw new Malformed(`${what} is not an object`);
}

function listOf(value: unknown, what: string, most: number): readonly unknown[] {
  if (Array.isArray(value) && value.length <= most) return value as readonly unknown[];
  throw new Malformed(`${what} is not a list of at most ${most}`);
}

function textOf(value: unknown, what: string): string {
  if (typeof value === "string") return value;
  throw new Malformed(`${what} is not text`);
}
