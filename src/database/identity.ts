// Who a database is: its id, the epoch of its log, the origin that follows from them, and the key that signs.
//
//   meta  identity           dag_cbor([1, id (16 bytes), epoch, origin])
//   meta  signing-key        dag_cbor([1, seed (32 bytes)])
//   meta  next-signing-key   the same, of the key that is announced for the next epoch; mostly there is none
import { toHex, utf8 } from "../core/bytes.js";
import { decode, encode } from "../core/codec/index.js";
import { Corrupt, InvalidArgument, Malformed } from "../core/errors.js";
import { DEFAULT_ORIGIN_HOST, formatOrigin, originHostProblem, parseOrigin } from "../core/log/index.js";
import type { Condition, Row, RowName, SyncReader } from "../store/contract.js";
import { fromStore } from "./boundary.js";
import { SEED_BYTES, signingKeyFromSeed } from "./signing-key.js";
import type { SigningKey } from "./signing-key.js";

const IDENTITY_KEY = utf8("identity");
const SIGNING_KEY_KEY = utf8("signing-key");
const NEXT_SIGNING_KEY: RowName = { space: "meta", key: utf8("next-signing-key") };
const VERSION = 1;
const ID_BYTES = 16;

/** A key and the name that it signs checkpoints under. */
export interface NamedKey {
  readonly origin: string;
  readonly signingKey: SigningKey;
}

export interface Identity extends NamedKey {
  /** 16 bytes. */
  readonly id: Uint8Array;
  readonly epoch: number;
  /** The key of the epoch to come, once it is announced. */
  readonly next: NamedKey | undefined;
}

/** An identity to be, and the rows that make it so. */
export interface NewIdentity {
  readonly identity: Identity;
  readonly rows: readonly Row[];
  readonly deletes: readonly RowName[];
}

type RandomBytes = (count: number) => Uint8Array;

/** A new database's identity, in its first epoch. */
export function newIdentity({
  randomBytes,
  originHost = DEFAULT_ORIGIN_HOST,
}: {
  readonly randomBytes: RandomBytes;
  readonly originHost?: string | undefined;
}): NewIdentity {
  const id = new Uint8Array(randomBytes(ID_BYTES));
  const seed = new Uint8Array(randomBytes(SEED_BYTES));
  const origin = formatOrigin({ host: originHost, databaseId: id, epoch: 1 });
  return identityOf({ id, epoch: 1, origin }, seed);
}

/** The same database in a later epoch, with a key of its own, and another host where one is given. No key is announced. */
export function identityInEpoch(
  identity: Identity,
  next: { readonly epoch: number; readonly seed: Uint8Array; readonly originHost?: string | undefined },
): NewIdentity {
  const { id, origin } = identity;
  const { epoch, seed, originHost: host = parseOrigin(origin).host } = next;
  return identityOf({ id, epoch, origin: formatOrigin({ host, databaseId: id, epoch }) }, seed);
}

/** The same database in the same epoch, with the key of the next one announced. */
export function announcingIdentity(identity: Identity, seed: Uint8Array): NewIdentity {
  const next = { origin: originOfEpoch(identity.origin, identity.epoch + 1), signingKey: signingKeyFromSeed(seed) };
  const row = { ...NEXT_SIGNING_KEY, value: encode([VERSION, seed]) };
  return { identity: { ...identity, next }, rows: [row], deletes: [] };
}

/** @throws InvalidArgument - `originHost` */
export function requireOriginHost(originHost: string | undefined): void {
  const problem = originHost === undefined ? undefined : originHostProblem(originHost);
  if (problem === undefined) return;
  throw new InvalidArgument(`originHost: "${originHost?.slice(0, 64)}" ${problem}`, { field: "originHost" });
}

function identityOf(name: Pick<Identity, "id" | "epoch" | "origin">, seed: Uint8Array): NewIdentity {
  const { id, epoch, origin } = name;
  const rows: Row[] = [
    { space: "meta", key: IDENTITY_KEY, value: encode([VERSION, id, epoch, origin]) },
    { space: "meta", key: SIGNING_KEY_KEY, value: encode([VERSION, seed]) },
  ];
  const identity = { ...name, signingKey: signingKeyFromSeed(seed), next: undefined };
  return { identity, rows, deletes: [NEXT_SIGNING_KEY] };
}

function originOfEpoch(origin: string, epoch: number): string {
  return formatOrigin({ ...parseOrigin(origin), epoch });
}

/** @throws Corrupt - missing, or not what it should be */
export function readIdentity(rows: SyncReader): Identity {
  const { id, epoch, origin } = readRow(rows, IDENTITY_KEY, (row) => {
    const [, idPart, epochPart, originPart, ...rest] = row;
    if (!(idPart instanceof Uint8Array) || typeof epochPart !== "number" || typeof originPart !== "string") {
      throw new Malformed("not [1, id, epoch, origin]");
    }
    const parsed = parseOrigin(originPart);
    if (rest.length > 0 || toHex(parsed.databaseId) !== toHex(idPart) || parsed.epoch !== epochPart) {
      throw new Malformed("id, epoch and origin do not agree");
    }
    return { id: idPart, epoch: epochPart, origin: originPart };
  });
  const signingKey = signingKeyFromSeed(readSeed(rows, SIGNING_KEY_KEY));
  return { id, epoch, origin, signingKey, next: readNext(rows, { epoch, origin }) };
}

/** The condition that the epoch is still what it is now. */
export function sameEpoch(rows: SyncReader): Condition {
  return { space: "meta", key: IDENTITY_KEY, expected: rows.get("meta", IDENTITY_KEY) ?? "absent" };
}

/** The seed of the key that is announced. @throws Corrupt - there is none */
export function readNextSeed(rows: SyncReader): Uint8Array {
  return readSeed(rows, NEXT_SIGNING_KEY.key);
}

function readNext(rows: SyncReader, { epoch, origin }: Pick<Identity, "epoch" | "origin">): NamedKey | undefined {
  const { space, key } = NEXT_SIGNING_KEY;
  if (!rows.has(space, key)) return undefined;
  return { origin: originOfEpoch(origin, epoch + 1), signingKey: signingKeyFromSeed(readSeed(rows, key)) };
}

function readSeed(rows: SyncReader, key: Uint8Array): Uint8Array {
  return readRow(rows, key, (row) => {
    const [, part, ...rest] = row;
    if (!(part instanceof Uint8Array) || part.length !== SEED_BYTES || rest.length > 0) {
      throw new Malformed("not [1, seed]");
    }
    return part;
  });
}

function readRow<T>(rows: SyncReader, key: Uint8Array, read: (row: readonly unknown[]) => T): T {
  const name = Buffer.from(key).toString();
  const bytes = rows.get("meta", key);
  if (bytes === undefined) {
    throw new Corrupt(`the row "${name}" of the database is missing`, {
      hint: "restore the database from a backup",
      facts: { kind: "meta", row: name },
    });
  }
  return fromStore(`the row "${name}"`, () => {
    const row: unknown = decode(bytes);
    if (!Array.isArray(row) || row[0] !== VERSION) throw new Malformed("not a list of version 1");
    return read(row);
  });
}
