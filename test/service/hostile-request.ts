// Requests made from descriptors: every field of every message takes values from the edges of its type, from what the
// database really holds, and from noise. For tests.
import {
  create,
  isMessage,
  ScalarType,
  type DescField,
  type DescMessage,
  type DescMethod,
  type Message,
} from "@bufbuild/protobuf";
import { formatWitnessKey, witnessKey } from "#src/core/log/index.js";
import { signerFromSeed } from "#src/core/signature/index.js";
import fc from "fast-check";
import { toHex } from "#src/core/bytes.js";
import { UploadDataSchema, UploadFinishSchema } from "#gen/neleus/v1/blob_pb.js";
import { CommitServiceCreateRequestSchema } from "#gen/neleus/v1/commit_pb.js";
import { LoadEntriesSchema, LoadFinishSchema, StateServiceLoadRequestSchema } from "#gen/neleus/v1/state_pb.js";

/** What the database holds, so that requests get past the first check. */
export interface KnownValues {
  readonly blobs: readonly Uint8Array[];
  readonly commits: readonly Uint8Array[];
  readonly manifests: readonly Uint8Array[];
  /** Of maps of every kind. */
  readonly roots: readonly Uint8Array[];
  readonly checkpoint: string;
  /** The same, with the line of WITNESS. */
  readonly cosigned: string;
  readonly keys: readonly Uint8Array[];
  /** That may move heads. */
  readonly publicKeys: readonly Uint8Array[];
  /** With their signatures; what they were prepared on may have gone on. */
  readonly signedCommits: readonly Uint8Array[];
  readonly signedManifests: readonly Uint8Array[];
  /** Content to send, and its hash. */
  readonly content: { readonly bytes: Uint8Array; readonly hash: Uint8Array };
}

/** A witness, whose key requests name. */
export const WITNESS = { name: "witness.example", signer: signerFromSeed(new Uint8Array(32).fill(1)) };
const WITNESS_KEY = formatWitnessKey(witnessKey(WITNESS.name, WITNESS.signer.publicKey));

const EDGES_OF_U64 = [10n, 262_144n, 2n ** 31n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];

function integerOf(field: DescField): fc.Arbitrary<bigint> {
  const fitting = field.name === "overlap" ? [0n, 1n] : field.name === "size" ? [6n, 6n, 19n] : [0n, 1n, 2n, 3n, 4n];
  return fc.oneof(
    { arbitrary: fc.constantFrom(...fitting), weight: 12 },
    { arbitrary: fc.constantFrom(...EDGES_OF_U64), weight: 1 },
    { arbitrary: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), weight: 1 },
  );
}

/** What belongs into a field, by its name. */
function fittingTexts(name: string, known: KnownValues): readonly string[] {
  if (name === "database") return [""];
  if (name === "method") return ["fixed"];
  if (name === "known_checkpoint") return ["", known.checkpoint];
  if (name === "checkpoint") return [known.cosigned, known.cosigned, known.checkpoint];
  if (name === "witness_keys") return [WITNESS_KEY];
  if (name === "tag") return ["v1", "v1", "", "new"];
  if (name === "prefix") return ["", "v"];
  return name === "head" ? ["main", "main", "main", "fresh"] : ["main"];
}

function textOf(field: DescField, known: KnownValues): fc.Arbitrary<string> {
  const odd = ["", "default", "nothing", "..", "a/../b", "\0", "a".repeat(129), "x".repeat(70_000)];
  return fc.oneof(
    { arbitrary: fc.constantFrom(...fittingTexts(field.name, known)), weight: 30 },
    { arbitrary: fc.constantFrom(...odd), weight: 1 },
    { arbitrary: fc.string({ unit: "grapheme", maxLength: 20 }), weight: 1 },
  );
}

/** What belongs into a field, by its name. */
function fittingBytes({ name, parent }: DescField, known: KnownValues): readonly Uint8Array[] {
  if (name === "keys" && parent.name.includes("HeadKeys")) return known.publicKeys;
  if (name === "signed_commit") return known.signedCommits;
  if (name === "manifest" && parent.name.includes("PutSigned")) return known.signedManifests;
  if (name.startsWith("manifest")) return known.manifests;
  if (name === "root" || name === "expected_root") return known.roots;
  if (name.endsWith("commit")) return known.commits;
  return name.startsWith("hash") || name === "expected_hash" ? known.blobs : known.keys;
}

function bytesOf(field: DescField, known: KnownValues): fc.Arbitrary<Uint8Array> {
  const { blobs, commits, manifests, roots } = known;
  return fc.oneof(
    { arbitrary: fc.constantFrom(...fittingBytes(field, known)), weight: 30 },
    { arbitrary: fc.constantFrom(...blobs, ...commits, ...manifests, ...roots), weight: 1 },
    {
      arbitrary: fc.constantFrom(0, 1, 31, 32, 33, 1024, 1025, 20_000).map((length) => new Uint8Array(length)),
      weight: 1,
    },
    { arbitrary: fc.uint8Array({ maxLength: 40 }), weight: 1 },
  );
}

function scalarOf(field: DescField, scalar: ScalarType, known: KnownValues): fc.Arbitrary<unknown> {
  switch (scalar) {
    case ScalarType.STRING:
      return textOf(field, known);
    case ScalarType.BYTES:
      return bytesOf(field, known);
    case ScalarType.BOOL:
      return fc.constantFrom(...Array<boolean>(7).fill(true), false);
    case ScalarType.UINT32:
      return fc.oneof(
        { arbitrary: fc.constantFrom(0, 1, 2), weight: 12 },
        { arbitrary: fc.nat(2 ** 32 - 1), weight: 1 },
      );
    case ScalarType.UINT64:
      return integerOf(field);
    default:
      throw new Error(`no request has a field of type ${ScalarType[scalar]}: ${field.name}`);
  }
}

/** Lists in any order, and as often ascending without repetition, which some fields want. */
function listOf(item: fc.Arbitrary<unknown>): fc.Arbitrary<unknown[]> {
  const list = fc.array(item, { maxLength: 5 });
  const ascending = list.map((items) => {
    const byHex = new Map(items.map((value) => [value instanceof Uint8Array ? toHex(value) : String(value), value]));
    return [...byHex].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value);
  });
  return fc.oneof(list, ascending);
}

/** Any value that the field may hold, once it is set. */
function valueOf(field: DescField, known: KnownValues): fc.Arbitrary<unknown> {
  switch (field.fieldKind) {
    case "scalar":
      return scalarOf(field, field.scalar, known);
    case "message":
      return messageOf(field.message, known);
    case "list":
      if (field.listKind === "message") return fc.array(messageOf(field.message, known), { maxLength: 3 });
      if (field.listKind === "scalar") return listOf(scalarOf(field, field.scalar, known));
      break;
    case "map":
      return fc.dictionary(fc.string({ maxLength: 5 }), fc.string({ unit: "grapheme", maxLength: 20 }), { maxKeys: 3 });
    case "enum":
      break;
  }
  throw new Error(`no request has a field of kind ${field.fieldKind}: ${field.name}`);
}

/** How seldom a field is left out, as one in so many: conditions seldom hold, and without these most requests are refused. */
function seldomAbsent(name: string): number {
  if (name.startsWith("expected_") || name === "condition" || name === "signed_commit") return 1;
  return [
    "method",
    "size",
    "at",
    "before",
    "after",
    "key",
    "head",
    "source",
    "author",
    "chunking",
    "operations",
    "manifest",
    "hash",
  ].includes(name)
    ? 20
    : 3;
}

/** Any message of a type. */
export function messageOf(desc: DescMessage, known: KnownValues): fc.Arbitrary<Message> {
  const members: Record<string, fc.Arbitrary<unknown>> = {};
  for (const field of desc.fields) {
    if (field.oneof !== undefined) continue;
    members[field.localName] = fc.option(valueOf(field, known), { nil: undefined, freq: seldomAbsent(field.name) });
  }
  for (const oneof of desc.oneofs) {
    const cases = oneof.fields.map((field) => valueOf(field, known).map((value) => ({ case: field.localName, value })));
    members[oneof.localName] = fc.option(fc.oneof(...cases), {
      nil: { case: undefined },
      freq: seldomAbsent(oneof.name),
    });
  }
  return fc.record(members).map((init) => {
    const set = Object.entries(init).filter(([, value]) => value !== undefined);
    return create(desc, Object.fromEntries(set));
  });
}

/** A finished commit stands alone: half of the time nothing is said beside it. */
function sparing(message: Message): fc.Arbitrary<Message> {
  if (!isMessage(message, CommitServiceCreateRequestSchema) || message.signedCommit.length === 0) {
    return fc.constant(message);
  }
  const { database, head, manifests, signedCommit, idempotencyKey } = message;
  const alone = { database, head, manifests, signedCommit, idempotencyKey };
  return fc.constantFrom(message, create(CommitServiceCreateRequestSchema, alone));
}

/** What may be sent to an rpc: one request, or the messages of a stream, half of which are well put together. */
export function requestsOf(method: DescMethod, known: KnownValues): fc.Arbitrary<Message[]> {
  const any = messageOf(method.input, known).chain(sparing);
  if (method.methodKind !== "client_streaming") return any.map((request) => [request]);
  const { bytes, hash } = known.content;
  const part = (name: string, value: object): Message => create(method.input, { part: { case: name, value } });
  const isLoad = method.input.typeName === StateServiceLoadRequestSchema.typeName;
  const data = isLoad
    ? part("entries", create(LoadEntriesSchema, { keys: [known.keys[0]!], values: [bytes] }))
    : part("data", create(UploadDataSchema, { data: bytes }));
  const finish = isLoad
    ? part("finish", create(LoadFinishSchema, { count: 1n }))
    : part("finish", create(UploadFinishSchema, { size: BigInt(bytes.length), hash }));
  const isHeader = (message: Message): boolean => (message as { part?: { case?: string } }).part?.case === "header";
  const header = any.filter(isHeader);
  return fc.oneof(
    fc.array(any, { maxLength: 5 }),
    fc.tuple(header, fc.array(any, { maxLength: 4 })).map(([first, rest]) => [first, ...rest]),
    header.map((first) => [first, data, finish]),
    header.map((first) => [first, data, finish]),
  );
}

/** True where a path such as `operations[3].key` leads to a field, or a oneof, of the message. */
export function leadsToField(desc: DescMessage, path: string): boolean {
  const [step = "", ...rest] = path.split(".");
  const match = /^([a-z_0-9]+)(\[\d+\])?$/.exec(step);
  if (match === null) return false;
  const [, name, index] = match;
  if (desc.oneofs.some((oneof) => oneof.name === name)) return rest.length === 0 && index === undefined;
  const field = desc.fields.find((candidate) => candidate.name === name);
  if (field === undefined || (index !== undefined && field.fieldKind !== "list")) return false;
  if (rest.length === 0) return true;
  const child =
    field.fieldKind === "message" || (field.fieldKind === "list" && field.listKind === "message")
      ? field.message
      : undefined;
  return child !== undefined && leadsToField(child, rest.join("."));
}
