// Who a database is: its id, the epoch of its log, the origin that follows from them, and the key that signs.
//
//   meta  identity      dag_cbor([1, id (16 bytes), epoch, origin])
//   meta  signing-key   dag_cbor([1, seed (32 bytes)])
import { toHex, utf8 } from "../core/bytes.js";
import { decode, encode } from "../core/codec/index.js";
import { Corrupt, Malformed } from "../core/errors.js";
import { DEFAULT_ORIGIN_HOST, formatOrigin, parseOrigin } from "../core/log/index.js";
import type { Row, SyncReader } from "../store/contract.js";
import { fromStore } from "./boundary.js";
import { SEED_BYTES, signingKeyFromSeed } from "./signing-key.js";
import type { SigningKey } from "./signing-key.js";

const IDENTITY_KEY = utf8("identity");
const SIGNING_KEY_KEY = utf8("signing-key");
const VERSION = 1;
const ID_BYTES = 16;

export interface Identity {
  /** 16 bytes. */
  readonly id: Uint8Array;
  readonly epoch: number;
  readonly origin: string;
  readonly signingKey: SigningKey;
}

/** A new database's identity, in its first epoch, and the rows that keep it. */
export function newIdentity(randomBytes: (count: number) => Uint8Array): { identity: Identity; rows: readonly Row[] } {
  const id = new Uint8Array(randomBytes(ID_BYTES));
  const seed = new Uint8Array(randomBytes(SEED_BYTES));
  const epoch = 1;
  const origin = formatOrigin({ host: DEFAULT_ORIGIN_HOST, databaseId: id, epoch });
  const rows: Row[] = [
    { space: "meta", key: IDENTITY_KEY, value: encode([VERSION, id, epoch, origin]) },
    { space: "meta", key: SIGNING_KEY_KEY, value: encode([VERSION, seed]) },
  ];
  return { identity: { id, epoch, origin, signingKey: signingKeyFromSeed(seed) }, rows };
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
  const seed = readRow(rows, SIGNING_KEY_KEY, (row) => {
    const [, part, ...rest] = row;
    if (!(part instanceof Uint8Array) || part.length !== SEED_BYTES || rest.length > 0) {
      throw new Malformed("not [1, seed]");
    }
    return part;
  });
  return { id, epoch, origin, signingKey: signingKeyFromSeed(seed) };
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
