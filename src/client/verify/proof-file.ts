// A proof as it lies in a file: protobuf JSON, as `neleus proof` prints it, or the bytes of the message.
import { fromUtf8 } from "../../core/bytes.js";
import { Malformed, Unsupported, VerificationFailed } from "../../core/errors.js";
import type {
  ChunkProof,
  CommitProof,
  ManifestProof,
  RangeProof,
  RefProof,
  StateProof,
} from "../../../gen/neleus/v1/proof_pb.js";
import { CHUNK_PROOF_TYPE } from "./chunk-proof.js";
import { COMMIT_PROOF_TYPE } from "./commit-proof.js";
import { MANIFEST_PROOF_TYPE } from "./manifest-proof.js";
import { leadingText, readBinaryMessage } from "./proof-binary.js";
import {
  CHUNK_PROOF,
  COMMIT_PROOF,
  MANIFEST_PROOF,
  RANGE_PROOF,
  REF_PROOF,
  STATE_PROOF,
  type MessageForm,
  type ReadMessage,
} from "./proof-form.js";
import { isJsonObject, readJsonMessage } from "./proof-json.js";
import { RANGE_PROOF_TYPE } from "./range-proof.js";
import { REF_PROOF_TYPE } from "./ref-proof.js";
import { STATE_PROOF_TYPE } from "./state-proof.js";

/** Any proof that stands on its own. */
export type Proof = StateProof | RangeProof | ChunkProof | ManifestProof | RefProof | CommitProof;

const FORMS: ReadonlyMap<string, MessageForm> = new Map([
  [STATE_PROOF_TYPE, STATE_PROOF],
  [RANGE_PROOF_TYPE, RANGE_PROOF],
  [CHUNK_PROOF_TYPE, CHUNK_PROOF],
  [MANIFEST_PROOF_TYPE, MANIFEST_PROOF],
  [REF_PROOF_TYPE, REF_PROOF],
  [COMMIT_PROOF_TYPE, COMMIT_PROOF],
]);

/**
 * A proof from its protobuf JSON, as text or UTF-8, or from its protobuf bytes, which start with the type. What is returned
 * shares nothing with the argument.
 * @throws VerificationFailed - neither, or not of the form of its type
 * @throws Unsupported - a type that this program does not know
 */
export function parseProof(file: string | Uint8Array): Proof {
  try {
    // A form has exactly the fields of its message's type.
    return (isBinary(file) ? readBinary(file) : readJson(file)) as unknown as Proof;
  } catch (cause) {
    if (!(cause instanceof Malformed)) throw cause;
    throw new VerificationFailed(`this is no proof: ${cause.message}`, {}, { cause });
  }
}

/** Bytes whose first one that is no white space, or part of a byte order mark, does not open an object. */
function isBinary(file: string | Uint8Array): file is Uint8Array {
  if (typeof file === "string") return false;
  const start = file.findIndex((byte) => ![0x20, 0x09, 0x0a, 0x0d, 0xef, 0xbb, 0xbf].includes(byte));
  return file[start] !== 0x7b;
}

function readBinary(bytes: Uint8Array): ReadMessage {
  const type = bytes.length === 0 ? undefined : leadingText(bytes);
  return readBinaryMessage(formOf(type), bytes);
}

function readJson(file: string | Uint8Array): ReadMessage {
  const text = typeof file === "string" ? file : fromUtf8(file).replace(/^\u{FEFF}/u, "");
  const value = parsedJson(text);
  return readJsonMessage(formOf(isJsonObject(value) ? value["type"] : undefined), value);
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Malformed("it is not JSON", {}, { cause });
  }
}

/** @throws Malformed - no text */
function formOf(type: unknown): MessageForm {
  if (typeof type !== "string" || type === "") throw new Malformed("it has no type");
  const form = FORMS.get(type);
  if (form !== undefined) return form;
  throw new Unsupported(`a proof of type ${JSON.stringify(type.slice(0, 64))} is not known to this program`);
}
