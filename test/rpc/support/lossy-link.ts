// A link of TCP between a client and its server that is cut when a test says so: every connection over it is reset, and
// what was under way on it is lost. New connections go through again, to wherever the link leads by then.
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

export class LossyLink {
  /** Called with each part that the server sends, before it is passed on; true: cut the link instead. */
  losesAnswer: (bytes: Buffer) => boolean = () => false;
  /** Connections made over it so far. */
  connections = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #to: () => string;

  private constructor(to: () => string) {
    this.#to = to;
    this.#server = createServer((client) => this.#pass(client));
  }

  /** A link to `host:port`; asked for with each connection. */
  static async to(address: () => string): Promise<LossyLink> {
    const link = new LossyLink(address);
    await new Promise<void>((resolve) => link.#server.listen(0, "127.0.0.1", resolve));
    return link;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Resets every connection. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.cut();
    await closed;
  }

  #pass(client: Socket): void {
    this.connections += 1;
    const [host = "", port = ""] = this.#to().split(":");
    const server = connect(Number(port), host);
    const end = (): void => {
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", end);
      socket.on("close", () => {
        this.#sockets.delete(socket);
        end();
      });
    }
    client.on("data", (bytes) => server.write(bytes));
    server.on("data", (bytes) => {
      if (this.losesAnswer(bytes)) this.cut();
      else client.write(bytes);
    });
  }
}
