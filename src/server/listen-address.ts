// Where a server listens: `HOST:PORT` on a loopback address, or `unix:PATH`.
//
// This version knows no identities, so whoever can connect may read and write everything. It therefore listens only
// where the machine itself decides who connects: loopback addresses, and sockets in the file system with mode 0600.
// test/server/listen-address.test.ts shows that every other address is refused.
import { isIPv4 } from "node:net";
import { resolve } from "node:path";
import { InvalidArgument } from "../core/errors.js";

/** Where a server listens. */
export type ListenAddress =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/** Longest path of a Unix socket, in bytes: what fits the system's address structure beside its final zero. */
export const MAX_SOCKET_PATH_BYTES = process.platform === "darwin" ? 103 : 107;

/**
 * Reads an address. Port 0 stands for any free one; `localhost` for 127.0.0.1; a relative path is made absolute.
 * @throws InvalidArgument - not an address, not a loopback address, or too long a path
 */
export function parseListenAddress(text: string): ListenAddress {
  return text.startsWith("unix:") ? parseSocket(text.slice("unix:".length)) : parseHostAndPort(text);
}

function parseSocket(path: string): ListenAddress {
  if (process.platform === "win32") {
    throw refuse("unix: sockets are not served on Windows", "use 127.0.0.1:7117");
  }
  if (path === "" || path.includes("\0"))
    throw refuse("unix: wants the path of a socket", "e.g. unix:/run/neleus.sock");
  const absolute = resolve(path);
  const sizeBytes = Buffer.byteLength(absolute);
  if (sizeBytes > MAX_SOCKET_PATH_BYTES) {
    throw refuse(
      `the socket path ${absolute} is ${sizeBytes} bytes long, and the system takes ${MAX_SOCKET_PATH_BYTES}`,
      "choose a shorter one, e.g. below $XDG_RUNTIME_DIR",
    );
  }
  return { kind: "unix", path: absolute };
}

function parseHostAndPort(text: string): ListenAddress {
  const match = /^(?:\[(?<six>[0-9a-fA-F:.]+)\]|(?<host>[^[\]:]+)):(?<port>\d{1,5})$/.exec(text);
  const host = match?.groups?.["six"] ?? match?.groups?.["host"];
  const port = Number(match?.groups?.["port"]);
  if (host === undefined || port > 65_535) {
    throw refuse(`"${text}" is no address to listen on`, "use HOST:PORT, e.g. 127.0.0.1:7117, or unix:PATH");
  }
  const loopback = loopbackHost(host);
  if (loopback === undefined) {
    throw refuse(
      `${text} can be reached from other machines, and this version knows no identities: whoever connects may read ` +
        "and write everything",
      "listen on 127.0.0.1:7117 or unix:PATH, and reach it from elsewhere through ssh -L 7117:127.0.0.1:7117 HOST",
    );
  }
  return { kind: "tcp", host: loopback, port };
}

/** The loopback address that a host names, or undefined. Names other than `localhost` are not looked up. */
function loopbackHost(host: string): string | undefined {
  if (host.toLowerCase() === "localhost") return "127.0.0.1";
  if (host === "::1" || /^(?:0{1,4}:){7}0{0,3}1$/.test(host)) return "::1";
  return isIPv4(host) && host.startsWith("127.") ? host : undefined;
}

/** How the address is written for people and clients. */
export function formatListenAddress(address: ListenAddress): string {
  if (address.kind === "unix") return `unix:${address.path}`;
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

function refuse(message: string, hint: string): InvalidArgument {
  return new InvalidArgument(message, { field: "listen", hint });
}
