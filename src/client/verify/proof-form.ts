// The messages of a proof file, field by field: what `proof-json.ts` and `proof-binary.ts` read by.
//
// The general protobuf runtime is not used here: with its reflection it is half of what a verifier in a browser would have to
// load, and it reads more than this needs (any message, unknown fields, lenient numbers). proto/neleus/v1/proof.proto is the
// contract; test/client/verify/proof-form.test.ts holds every form against the generated descriptors, and both readers
// against the runtime's.

export type ScalarKind = "uint32" | "uint64" | "bool" | "bytes" | "string";

export interface FieldForm {
  readonly number: number;
  /** As in the messages' types, and in canonical JSON. */
  readonly name: string;
  /** As in the contract, which JSON may use as well. */
  readonly protoName: string;
  readonly kind: ScalarKind | MessageForm;
  /** `implicit`: absent is zero or empty. */
  readonly presence: "implicit" | "optional" | "repeated";
}

export interface MessageForm {
  /** With its package. */
  readonly typeName: string;
  readonly fields: readonly FieldForm[];
  readonly byNumber: ReadonlyMap<number, FieldForm>;
  /** By both spellings. */
  readonly byName: ReadonlyMap<string, FieldForm>;
}

/** A message as it is read: by the names of its fields, and `$typeName`. */
export type ReadMessage = Record<string, unknown>;

/** A message of which nothing has been read yet. */
export function emptyMessage(form: MessageForm): ReadMessage {
  const message: ReadMessage = { $typeName: form.typeName };
  for (const { name, kind, presence } of form.fields) {
    if (presence === "repeated") message[name] = [];
    else if (presence === "implicit") message[name] = zeroOf(kind);
  }
  return message;
}

/** Shared: an array without bytes cannot be changed. A file can hold a million empty fields. */
const NO_BYTES = new Uint8Array(0);

function zeroOf(kind: FieldForm["kind"]): unknown {
  if (kind === "uint32") return 0;
  if (kind === "uint64") return 0n;
  if (kind === "bool") return false;
  if (kind === "string") return "";
  return NO_BYTES;
}

function field(number: number, name: string, kind: FieldForm["kind"], presence?: FieldForm["presence"]): FieldForm {
  const protoName = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  // A message alone is there or not: it has no zero.
  return { number, name, protoName, kind, presence: presence ?? (typeof kind === "object" ? "optional" : "implicit") };
}

function form(name: string, fields: readonly FieldForm[]): MessageForm {
  return {
    typeName: `neleus.v1.${name}`,
    fields,
    byNumber: new Map(fields.map((one) => [one.number, one])),
    byName: new Map(fields.flatMap((one) => [one.name, one.protoName].map((spelling) => [spelling, one]))),
  };
}

const NODE_REVEAL = form("NodeReveal", [
  field(1, "kind", "uint32"),
  field(2, "level", "uint32"),
  field(3, "count", "uint32"),
  field(4, "total", "uint64"),
  field(5, "indices", "uint32", "repeated"),
  field(6, "entries", "bytes", "repeated"),
  field(7, "siblings", "bytes"),
]);

const LOG_PROOF = form("LogProof", [
  field(1, "checkpoint", "string"),
  field(2, "consistency", "bytes", "repeated"),
  field(3, "leaf", "bytes"),
  field(4, "inclusion", "bytes", "repeated"),
]);

const COSIGNED_CHECKPOINT = form("CosignedCheckpoint", [
  field(1, "note", "string"),
  field(2, "consistency", "bytes", "repeated"),
]);

const SNAPSHOT = form("Snapshot", [
  field(1, "head", "string"),
  field(2, "log", LOG_PROOF),
  field(3, "refs", NODE_REVEAL, "repeated"),
  field(4, "commit", "bytes"),
  field(5, "tag", "string"),
  field(6, "cosigned", COSIGNED_CHECKPOINT, "repeated"),
]);

const BLOB_SLICE = form("BlobSlice", [
  field(1, "size", "uint64"),
  field(2, "start", "uint64"),
  field(3, "end", "uint64"),
  field(4, "parents", "bytes"),
  field(5, "data", "bytes"),
]);

export const STATE_PROOF = form("StateProof", [
  field(1, "type", "string"),
  field(2, "root", "bytes"),
  field(3, "key", "bytes"),
  field(4, "present", "bool"),
  field(5, "value", "bytes", "optional"),
  field(6, "nodes", NODE_REVEAL, "repeated"),
  field(7, "chain", SNAPSHOT),
  field(8, "staged", "bool"),
]);

export const RANGE_PROOF = form("RangeProof", [
  field(1, "type", "string"),
  field(2, "root", "bytes"),
  field(3, "from", "bytes"),
  field(4, "to", "bytes", "optional"),
  field(5, "nodes", NODE_REVEAL, "repeated"),
  field(6, "chain", SNAPSHOT),
  field(7, "staged", "bool"),
]);

export const CHUNK_PROOF = form("ChunkProof", [
  field(1, "type", "string"),
  field(2, "manifest", "bytes"),
  field(3, "index", "uint64"),
  field(4, "nodes", NODE_REVEAL, "repeated"),
  field(5, "slice", BLOB_SLICE),
  field(6, "ledgerRoot", "bytes"),
  field(7, "ledgerNodes", NODE_REVEAL, "repeated"),
  field(8, "commit", "bytes"),
  field(9, "chain", SNAPSHOT),
  field(10, "staged", "bool"),
]);

export const MANIFEST_PROOF = form("ManifestProof", [
  field(1, "type", "string"),
  field(2, "manifest", "bytes"),
  field(3, "ledgerRoot", "bytes"),
  field(4, "ledgerNodes", NODE_REVEAL, "repeated"),
  field(5, "commit", "bytes"),
  field(6, "chain", SNAPSHOT),
  field(7, "staged", "bool"),
]);

export const REF_PROOF = form("RefProof", [
  field(1, "type", "string"),
  field(2, "present", "bool"),
  field(3, "chain", SNAPSHOT),
]);

export const COMMIT_PROOF = form("CommitProof", [
  field(1, "type", "string"),
  field(2, "path", "bytes", "repeated"),
  field(3, "chain", SNAPSHOT),
]);
