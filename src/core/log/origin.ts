// Origins of logs (FORMATS §7): `neleus/<database id>/<epoch>` or `<host>/<database id>/<epoch>`. The first line of every
// checkpoint, and the name of the key that signs it.
import { fromHex, toHex } from "../bytes.js";
import { InvalidArgument, Malformed } from "../errors.js";
import { MAX_ORIGIN_HOST_CHARACTERS } from "../limits.js";

/** What an origin says. */
export interface Origin {
  /** A DNS name in lower case; `neleus` where none is configured. */
  readonly host: string;
  /** 16 bytes. */
  readonly databaseId: Uint8Array;
  /** From 1; a restored, cloned or re-keyed database starts a new one. */
  readonly epoch: number;
}

/** The host of origins without a configured one. */
export const DEFAULT_ORIGIN_HOST = "neleus";

const SHAPE = /^([^/]{1,253})\/([0-9a-f]{32})\/([1-9][0-9]{0,15})$/;
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** @throws Malformed */
export function parseOrigin(text: string): Origin {
  const match = SHAPE.exec(text);
  if (match === null) throw new Malformed("an origin is <host>/<32 hex digits>/<epoch>");
  const [, host = "", id = "", epochText = ""] = match;
  const epoch = Number(epochText);
  if (!Number.isSafeInteger(epoch)) throw new Malformed("an epoch is at most 2^53 − 1");
  if (!isHost(host)) throw new Malformed("the host of an origin is a DNS name in lower case");
  return { host, databaseId: fromHex(id), epoch };
}

/** @throws InvalidArgument - `field` names the part */
export function formatOrigin(origin: Origin): string {
  const { host, databaseId, epoch } = origin;
  if (!isHost(host)) throw new InvalidArgument("the host of an origin is a DNS name in lower case", { field: "host" });
  if (databaseId.length !== 16) throw new InvalidArgument("a database id is 16 bytes", { field: "databaseId" });
  if (!Number.isSafeInteger(epoch) || epoch < 1)
    throw new InvalidArgument("an epoch counts from 1", { field: "epoch" });
  return `${host}/${toHex(databaseId)}/${epoch}`;
}

/** What is wrong with a host that somebody wants for a log; undefined where nothing is. */
export function originHostProblem(host: string): string | undefined {
  if (!isHost(host)) return "is no DNS name in lower case";
  if (host.length <= MAX_ORIGIN_HOST_CHARACTERS) return undefined;
  return `has over ${MAX_ORIGIN_HOST_CHARACTERS} characters, and two keys of the log with that name would not fit in its refs`;
}

function isHost(host: string): boolean {
  return host.length <= 253 && host.split(".").every((label) => LABEL.test(label));
}
