// The listening socket and its connections. It is ours, not grpc-js's, which takes connections handed to it: so a Unix
// socket has mode 0600 from its first instant, connections can be counted and limited, and at the end each can be closed.
import { chmodSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { AlreadyExists, InvalidArgument, NeleusError } from "../core/errors.js";
import { formatListenAddress, type ListenAddress } from "./listen-address.js";
import { clearSocketPath } from "./unix-socket.js";

export interface ListenerOptions {
  readonly address: ListenAddress;
  readonly maxConnections: number;
  /** Takes each new connection. */
  readonly onConnection: (socket: Socket) => void;
  /** Called after the number of connections has changed. */
  readonly onCountChanged: () => void;
}

export class Listener {
  /** Where it listens, with the port that was chosen: what a client connects to. */
  readonly address: string;
  readonly #server: Server;
  readonly #sockets: Set<Socket>;

  private constructor(parts: { address: string; server: Server; sockets: Set<Socket> }) {
    this.address = parts.address;
    this.#server = parts.server;
    this.#sockets = parts.sockets;
  }

  /**
   * Starts to listen.
   * @throws AlreadyExists - somebody listens there
   * @throws InvalidArgument - there is no such place
   * @throws NeleusError - PERMISSION_DENIED
   */
  static async open(options: ListenerOptions): Promise<Listener> {
    const { address } = options;
    if (address.kind === "unix") await clearSocketPath(address.path);
    const sockets = new Set<Socket>();
    const server = createServer({ noDelay: true }, (socket) => {
      sockets.add(socket);
      socket.once("close", () => {
        sockets.delete(socket);
        options.onCountChanged();
      });
      options.onCountChanged();
      options.onConnection(socket);
    });
    server.maxConnections = options.maxConnections;
    await listen(server, address);
    const bound = server.address();
    const actual =
      address.kind === "tcp" && bound !== null && typeof bound === "object"
        ? { ...address, port: bound.port }
        : address;
    return new Listener({ address: formatListenAddress(actual), server, sockets });
  }

  get connectionCount(): number {
    return this.#sockets.size;
  }

  /** Takes no more connections, and frees the address at once. Open ones go on. */
  stop(): void {
    this.#server.close();
  }

  /** Closes every connection, whatever it is doing. */
  destroyConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

function listen(server: Server, address: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => reject(listenError(address, cause)));
    server.once("listening", () => {
      server.removeAllListeners("error");
      // A connection that could not be taken (no descriptors left) is the peer's loss, not the end of the server.
      server.on("error", () => undefined);
      resolve();
    });
    if (address.kind === "tcp") server.listen({ host: address.host, port: address.port });
    else listenPrivately(server, address.path);
  });
}

/** Makes the socket within one turn under a mask that leaves it to its owner: at no time can others open it. */
function listenPrivately(server: Server, path: string): void {
  const mask = withoutMask(() => process.umask(0o177));
  try {
    server.listen({ path });
  } finally {
    if (mask !== undefined) process.umask(mask);
  }
  // Where the mask could not be set (worker threads may not), the mode comes an instant later.
  server.once("listening", () => chmodSync(path, 0o600));
}

function withoutMask(setMask: () => number): number | undefined {
  try {
    return setMask();
  } catch {
    return undefined;
  }
}

function listenError(address: ListenAddress, cause: NodeJS.ErrnoException): NeleusError {
  const name = formatListenAddress(address);
  const options = { cause };
  switch (cause.code) {
    case "EADDRINUSE":
      return new AlreadyExists(
        `${name} is in use`,
        {
          field: "listen",
          hint: "another neleus may be serving there; choose another --listen (port 0: any free one)",
        },
        options,
      );
    case "EACCES":
    case "EPERM":
      return new NeleusError("PERMISSION_DENIED", `may not listen on ${name}`, { field: "listen" }, options);
    default:
      return new InvalidArgument(`cannot listen on ${name}: ${cause.message}`, { field: "listen" }, options);
  }
}
