// Where a server is, as a client writes it: `host:port`, `http://host:port`, `https://host:port` (TLS), `unix:/path`.
// A port left out is 7117, or 443 with https.
import { isIPv4 } from "node:net";
import { resolve } from "node:path";
import { InvalidArgument } from "../core/errors.js";

/** Port of a server that was not told another. */
export const DEFAULT_PORT = 7117;

export interface ServerAddress {
  /** One text for each place, whichever way it was written. */
  readonly text: string;
  /** The same for grpc-js, with the scheme of a resolver. */
  readonly target: string;
  readonly isEncrypted: boolean;
  /** True where nothing leaves this machine. */
  readonly isLocal: boolean;
}

/** @throws InvalidArgument - not an address */
export function parseServerAddress(address: string): ServerAddress {
  if (address.startsWith("unix:")) return parseSocket(address.slice("unix:".length), address);
  const match = /^(?<scheme>https?:\/\/)?(?<rest>[^/?#@\s]+)\/?$/.exec(address);
  if (match?.groups === undefined) throw malformed(address);
  const isEncrypted = match.groups["scheme"] === "https://";
  const { host, port } = parseHostAndPort(match.groups["rest"] ?? "", address);
  const place = `${host.includes(":") ? `[${host}]` : host}:${port ?? (isEncrypted ? 443 : DEFAULT_PORT)}`;
  return {
    text: isEncrypted ? `https://${place}` : place,
    target: `dns:${place}`,
    isEncrypted,
    isLocal: host === "localhost" || host === "::1" || (isIPv4(host) && host.startsWith("127.")),
  };
}

function parseSocket(path: string, address: string): ServerAddress {
  if (path === "" || path.includes("\0")) throw malformed(address);
  // `unix:///path` is how URLs write it.
  const text = `unix:${resolve(path.replace(/^\/\/(?=\/)/, ""))}`;
  return { text, target: text, isEncrypted: false, isLocal: true };
}

function parseHostAndPort(text: string, address: string): { host: string; port: number | undefined } {
  const match = /^(?:\[(?<six>[0-9a-f:.]+)\]|(?<host>[a-z0-9._-]+))(?::(?<port>\d{1,5}))?$/i.exec(text);
  const host = match?.groups?.["six"] ?? match?.groups?.["host"];
  const port = match?.groups?.["port"];
  if (host === undefined || (port !== undefined && (Number(port) === 0 || Number(port) > 65_535))) {
    throw malformed(address);
  }
  return { host: host.toLowerCase(), port: port === undefined ? undefined : Number(port) };
}

function malformed(address: string): InvalidArgument {
  return new InvalidArgument(`"${address}" is no address of a server`, {
    field: "server",
    hint: "use host:port, https://host:port or unix:/path",
  });
}
